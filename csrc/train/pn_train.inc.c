/* The public functions of training. */

/*
 * Makes up to max_steps steps, or all that are left if max_steps is 0. Returns 0 if a loss is not finite, or the
 * parameters at the end.
 */
static int FN(make_steps)(const FN(run) *run, size_t max_steps)
{
    const pn_progress *progress = run->now.progress;
    int tiny = run->rows.weight == NULL &&
               run->model.kernels->tiny_fits(run->rows.n, run->model.network, run->training);
    for (size_t done = 0, before; progress->epoch < run->training->epochs && (max_steps == 0 || done < max_steps);
         done += progress->steps - before) {
        before = progress->steps;
        if (!(tiny ? FN(tiny_steps)(run, max_steps == 0 ? SIZE_MAX : max_steps - done) : FN(step)(run)))
            return 0;
    }
    return FN(is_finite)(run);
}

pn_status FN(pn_train)(size_t n_rows, const pn_network *network, const pn_training *training, real *parameters,
                       real *state, const real *x, const real *y, const real *sample_weight, size_t max_steps,
                       double *losses, pn_progress *progress, void *workspace, size_t workspace_bytes)
{
    const pn_isa_kernels *isa;
    FN(run) run = {.rows = {.n = n_rows, .x = x, .y = y, .weight = sample_weight}, .training = training,
                   .losses = losses, .now = {progress, parameters, state},
                   .model = {.network = network}};
    FN(extent) *e = &run.model.e;
    PN_TRY(pn_ready(&isa));
    PN_EXACT_MODE;
    PN_TRY(FN(check_training)(n_rows, network, training, e));
    run.batch_size = FN(batch_size)(n_rows, training);
    const pn_array inputs[] = {PN_ARRAY(x, n_rows * e->n_in), PN_ARRAY(y, n_rows * e->n_targets),
                               PN_ARRAY(sample_weight, sample_weight == NULL ? 0 : n_rows),
                               PN_ARRAY(training->order, training->order == NULL ? 0 : n_rows)};
    const pn_array outputs[] = {PN_ARRAY(parameters, e->n_parameters), {workspace, workspace_bytes, 1},
                                {progress, sizeof *progress, _Alignof(pn_progress)},
                                PN_ARRAY(losses, losses == NULL ? 0 : training->epochs),
                                PN_ARRAY(state, pn_n_slots(&training->optimizer) * e->n_parameters)};
    PN_TRY(pn_check_arrays(inputs, 4, outputs, 5));
    FN(set_denominator)(network, &run.rows);
    PN_TRY(FN(check_workspace)(&run, workspace, workspace_bytes, &isa));
    if (progress->epoch >= training->epochs)
        return PN_OK;
    PN_TRY(FN(check_rates)(&run, max_steps));

    /* A snapshot every second or so, and of a large network every 16 steps, so that copying costs little beside them. */
    run.steps_per_snapshot = (size_t)(5e10 / ((double)run.batch_size * FN(operations_a_row)(6, e))) + 16;
    run.header->isa = isa;
    FN(begin_call)(&run, max_steps);
    if (progress->steps == 0 && progress->row != 0) /* an epoch is resumed; later calls find its order in the workspace */
        FN(make_order)(&run);
    if (FN(make_steps)(&run, max_steps)) {
        FN(write_back)(&run);
        return PN_OK;
    }
    size_t steps = progress->steps;
    FN(rollback)(&run);
    FN(write_back)(&run);
    /* The step that has been undone led to the infinite loss: that of the next epoch, if the step ended its own. */
    int ends_epoch = n_rows - progress->row <= run.batch_size;
    progress->diverged_epoch = progress->epoch + (steps > 0 && ends_epoch);
    return PN_DIVERGED;
}

pn_status FN(pn_train_on_batch)(size_t n_rows, const pn_network *network, const pn_training *training,
                                real *parameters, real *state, const real *x, const real *y, const real *sample_weight,
                                double *loss, void *workspace, size_t workspace_bytes)
{
    pn_progress progress = {0};
    char before[sizeof *loss]; /* bytes, as pn_train has not checked yet that loss is aligned */
    PN_REQUIRE(training != NULL && loss != NULL, PN_NULL_POINTER);
    const pn_training step = {.epochs = 1, .learning_rate = training->learning_rate, .optimizer = training->optimizer,
                              .learning_rates = training->learning_rates, .first_step = training->first_step,
                              .seed = training->seed, .first_epoch = training->first_epoch};
    memcpy(before, (const void *)loss, sizeof before);
    pn_status status = FN(pn_train)(n_rows, network, &step, parameters, state, x, y, sample_weight, 0, loss, &progress,
                                    workspace, workspace_bytes);
    if (status == PN_DIVERGED) /* where the loss was finite, and the update was not */
        memcpy((void *)loss, before, sizeof before);
    return status;
}
