/* Steps. */

static void FN(make_order)(const FN(run) *run)
{
    if (run->shuffled != NULL)
        pn_shuffle(run->training->seed, run->training->first_epoch + run->now.progress->epoch, run->rows.n,
                   run->shuffled);
}

/* The rows of the next mini-batch. */
static FN(rows) FN(next_batch)(const FN(run) *run)
{
    size_t row = run->now.progress->row, left = run->rows.n - row;
    FN(rows) batch = run->rows;
    batch.n = left < run->batch_size ? left : run->batch_size;
    if (run->batches != NULL) {
        batch = FN(batch_apart)(run, row / run->batch_size);
    } else if (run->order != NULL) {
        if (row == 0)
            FN(make_order)(run);
        batch.order = run->order + row;
    } else {
        batch.x += row * run->model.e.n_in;
        batch.y += row * run->model.e.n_targets;
        batch.weight = batch.weight == NULL ? NULL : batch.weight + row;
    }
    FN(set_denominator)(run->model.network, &batch);
    return batch;
}

/* Counts a step with m rows, whose losses add up to `sum`. Mini-batches that lie apart are no epoch. */
static void FN(count_step)(const FN(run) *run, size_t m, double sum)
{
    pn_progress *progress = run->now.progress;
    progress->steps++;
    progress->loss_sum += sum;
    progress->row += m;
    if (progress->row < run->rows.n || run->batches != NULL)
        return;
    if (run->losses != NULL)
        run->losses[progress->epoch] = progress->loss_sum / run->rows.denominator;
    progress->epoch++;
    progress->row = 0;
    progress->loss_sum = 0;
}

/* From the last layer's grad_z on `tape` or, for more rows than a block, from the sums: the update of the parameters. */
static void FN(update_step)(const FN(run) *run, const FN(rows) *batch, FN(tape) tape)
{
    const size_t m = batch->n;
    const FN(model) *model = &run->model;
    const pn_training *training = run->training;
    const size_t steps = run->now.progress->steps;
    real *gradient = run->sums.n_blocks > 0 ? run->sums.total : run->gradient;
    int is_block = m <= PN_BLOCK_ROWS;
    if (FN(is_fused)(training, &model->e)) {
        const double rate = FN(rate_of_step)(training, steps);
        const real alpha = -(real)rate, kept = (real)(1 - rate * training->optimizer.weight_decay);
        if (is_block)
            FN(backward)(m, model, tape, alpha, kept, model->parameters, NULL);
        else
            model->kernels->axpby(run->sums.n_stored, alpha, gradient, kept, model->parameters);
        return;
    }
    if (is_block)
        FN(backward)(m, model, tape, 1, 0, gradient, NULL);
    FN(update_parameters)(model, training, steps, batch->penalty_scale, &run->slots, gradient, run->tape_memory);
}

/*
 * Makes one step. Returns 0, and changes nothing, if the loss is not finite, or if a snapshot is due and the parameters
 * or the slots are not finite.
 */
static int FN(step)(const FN(run) *run)
{
    const FN(model) *model = &run->model;
    const pn_training *training = run->training;
    const FN(step_number) number = {training->seed, training->first_epoch + run->now.progress->epoch,
                                    training->first_step + run->now.progress->steps};
    FN(rows) batch = FN(next_batch)(run);
    batch.step = model->e.hidden_dropout > 0 ? &number : NULL;
    int is_block = batch.n <= PN_BLOCK_ROWS;
    FN(tape) tape = FN(make_tape)(run->tape_memory, FN(block_rows)(batch.n), &model->e, run->order != NULL);
    double sum = is_block ? FN(loss)(model, &batch, 0, batch.n, &tape)
                          : FN(sum_blocks)(model, &batch, &run->sums, run->tape_memory);
    if (model->e.has_penalty)
        sum += FN(penalty)(model, &batch);
    if (!isfinite(run->now.progress->loss_sum + sum))
        return 0;
    if (FN(steps_to_snapshot)(run) == 0 && !FN(take_snapshot)(run))
        return 0;
    FN(update_step)(run, &batch, tape);
    FN(count_step)(run, batch.n, sum);
    return 1;
}

/*
 * Makes up to max_steps steps of a network that tiny_train takes, each of them an epoch, and none beyond the next
 * snapshot. Returns 0 where `step` would.
 */
static int FN(tiny_steps)(const FN(run) *run, size_t max_steps)
{
    const FN(model) *model = &run->model;
    real parameters[PN_TINY_PARAMETERS];
    pn_progress *progress = run->now.progress, start = *progress;
    size_t steps = run->training->epochs - progress->epoch, to_snapshot = FN(steps_to_snapshot)(run);
    if (to_snapshot == 0) {
        if (!FN(is_finite)(run))
            return 0;
        memcpy(parameters, model->parameters, model->e.n_parameters * sizeof(real));
    }
    size_t most = to_snapshot == 0 ? run->steps_per_snapshot : to_snapshot;
    most = max_steps < most ? max_steps : most;
    steps = steps < most ? steps : most;
    size_t done = model->kernels->tiny_train(run->rows.n, model->network, steps, model->parameters, run->rows.x,
                                             run->rows.y, (real)run->training->learning_rate, run->rows.denominator,
                                             run->losses == NULL ? NULL : run->losses + progress->epoch);
    if (to_snapshot == 0 && done > 0) /* with a finite loss: a state to come back to */
        FN(copy_state)(run, run->snapshot, (FN(run_state)){&start, parameters, NULL});
    progress->steps += done;
    progress->epoch += done;
    return done == steps;
}
