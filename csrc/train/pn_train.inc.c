/* The public functions of training. */

/*
 * Makes up to max_steps steps, or all that are left if max_steps is 0. Returns 0 if a loss is not finite, or the
 * parameters at the end. Mini-batches that lie apart are checked one by one, each before its step, which then finds it in
 * the cache; *status is what has been found, and ends the steps.
 */
static int FN(make_steps)(const FN(run) *run, size_t max_steps, pn_status *status)
{
    const pn_progress *progress = run->now.progress;
    int tiny = run->rows.weight == NULL && run->batches == NULL &&
               run->model.kernels->tiny_fits(run->rows.n, run->model.network, run->training);
    for (size_t done = 0, before; progress->epoch < run->training->epochs && (max_steps == 0 || done < max_steps);
         done += progress->steps - before) {
        before = progress->steps;
        if (run->batches != NULL) {
            const FN(rows) batch = FN(batch_apart)(run, progress->row / run->batch_size);
            *status = FN(check_data)(&batch, &run->model);
            if (*status != PN_OK)
                break;
        }
        if (!(tiny ? FN(tiny_steps)(run, max_steps == 0 ? SIZE_MAX : max_steps - done) : FN(step)(run)))
            return 0;
    }
    return FN(is_finite)(run);
}

/* Checks the arguments that `run` was made of, and trains. */
static pn_status FN(train)(FN(run) *run, size_t max_steps, void *workspace, size_t workspace_bytes)
{
    const pn_training *training = run->training;
    const size_t n_rows = run->rows.n;
    pn_progress *progress = run->now.progress;
    FN(extent) *e = &run->model.e;
    const pn_isa_kernels *isa;
    PN_TRY(pn_ready(&isa));
    PN_EXACT_MODE;
    PN_TRY(FN(check_training)(n_rows, run->model.network, training, e));
    run->batch_size = FN(batch_size)(n_rows, training);
    const pn_array outputs[] = {PN_ARRAY(run->now.parameters, e->n_parameters), {workspace, workspace_bytes, 1},
                                {progress, sizeof *progress, _Alignof(pn_progress)},
                                PN_ARRAY(run->losses, run->losses == NULL ? 0 : training->epochs),
                                PN_ARRAY(run->now.slots, pn_n_slots(&training->optimizer) * e->n_parameters)};
    PN_TRY(pn_check_arrays(NULL, 0, outputs, 5));
    PN_TRY(FN(check_inputs)(run, outputs, 5));
    FN(set_denominator)(run->model.network, &run->rows);
    PN_TRY(FN(check_workspace)(run, workspace, workspace_bytes, &isa));
    if (progress->epoch >= training->epochs)
        return PN_OK;
    PN_TRY(FN(check_rates)(run, max_steps));

    /* A snapshot every second or so, and of a large network every 16 steps, so that copying costs little beside them. */
    run->steps_per_snapshot = (size_t)(5e10 / ((double)run->batch_size * FN(operations_a_row)(6, e))) + 16;
    run->header->isa = isa;
    FN(begin_call)(run, max_steps);
    if (progress->steps == 0 && progress->row != 0) /* an epoch is resumed; later calls find its order in the workspace */
        FN(make_order)(run);
    pn_status status = PN_OK;
    if (FN(make_steps)(run, max_steps, &status)) {
        FN(write_back)(run);
        return status;
    }
    size_t steps = progress->steps;
    FN(rollback)(run);
    FN(write_back)(run);
    /* The step that has been undone led to the infinite loss: that of the next epoch, if the step ended its own. */
    int ends_epoch = run->batches == NULL && n_rows - progress->row <= run->batch_size;
    progress->diverged_epoch = progress->epoch + (steps > 0 && ends_epoch);
    return PN_DIVERGED;
}

pn_status FN(pn_train)(size_t n_rows, const pn_network *network, const pn_training *training, real *parameters,
                       real *state, const real *x, const real *y, const real *sample_weight, size_t max_steps,
                       double *losses, pn_progress *progress, void *workspace, size_t workspace_bytes)
{
    FN(run) run = {.rows = {.n = n_rows, .x = x, .y = y, .weight = sample_weight}, .training = training,
                   .losses = losses, .now = {progress, parameters, state}, .model = {.network = network}};
    return FN(train)(&run, max_steps, workspace, workspace_bytes);
}

pn_status FN(pn_train_batches)(size_t n_batches, const pn_network *network, const pn_training *training,
                               real *parameters, real *state, const real *const *x, const real *const *y,
                               const real *const *sample_weight, size_t max_steps, pn_progress *progress,
                               void *workspace, size_t workspace_bytes)
{
    const FN(batches) batches = {x, y, sample_weight};
    PN_REQUIRE(training != NULL, PN_NULL_POINTER);
    PN_TRY(pn_check_array((pn_array){progress, sizeof *progress, _Alignof(pn_progress)}));
    PN_REQUIRE(n_batches > 0 && training->batch_size > 0, PN_NO_ROWS);
    size_t size = training->batch_size, n_rows = 0, done = progress->row / size;
    PN_TRY(pn_add_product(&n_rows, n_batches, size, 1));
    PN_REQUIRE(progress->epoch == 0 && progress->row % size == 0 && done < n_batches, PN_BAD_PROGRESS);
    pn_training once = *training;
    once.epochs = 1;
    once.shuffle = 0;
    once.order = NULL;
    FN(run) run = {.rows = {.n = n_rows}, .batches = &batches, .training = &once,
                   .now = {progress, parameters, state}, .model = {.network = network}};
    size_t left = n_batches - done;
    return FN(train)(&run, max_steps == 0 || max_steps > left ? left : max_steps, workspace, workspace_bytes);
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
