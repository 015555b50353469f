/*
 * The way back from a step that diverges. A snapshot of the run's state is renewed after about a second of work. A run
 * that diverges is restored from it, and repeats, bit for bit, the steps before the one that did the damage.
 */

static int FN(step)(const FN(run) *run);
static void FN(make_order)(const FN(run) *run);

/* Whether the parameters and the slots are finite. */
static int FN(is_finite)(const FN(run) *run)
{
    const FN(slots) *slots = &run->slots;
    return run->model.kernels->all_finite(slots->n_elements, run->model.parameters) &&
           run->model.kernels->all_finite(slots->n * slots->n_elements, slots->first);
}

/* Steps until the next snapshot; 0 if one is due before the next step. */
static size_t FN(steps_to_snapshot)(const FN(run) *run)
{
    size_t steps = run->now.progress->steps, since = steps - run->header->snapshot.steps;
    return steps == 0 || since >= run->steps_per_snapshot ? 0 : run->steps_per_snapshot - since;
}

/* Brings the caller's arrays up to date. */
static void FN(write_back)(const FN(run) *run)
{
    if (run->model.packed_rows > 0)
        FN(unpack)(run);
}

static void FN(copy_state)(const FN(run) *run, FN(run_state) to, FN(run_state) from)
{
    *to.progress = *from.progress;
    memcpy(to.parameters, from.parameters, run->model.e.n_parameters * sizeof(real));
    if (run->slots.n > 0)
        memcpy(to.slots, from.slots, run->slots.n * run->model.e.n_parameters * sizeof(real));
}

/* 0 if a parameter or a slot is not finite: that is no state to come back to. */
static int FN(take_snapshot)(const FN(run) *run)
{
    if (!FN(is_finite)(run))
        return 0;
    FN(write_back)(run);
    FN(copy_state)(run, run->snapshot, run->now);
    return 1;
}

static void FN(restore_snapshot)(const FN(run) *run)
{
    FN(copy_state)(run, run->now, run->snapshot);
    if (run->model.packed_rows > 0)
        FN(pack)(run);
    FN(make_order)(run);
}

/*
 * Restores the state from before the update of the last step whose parameters and loss were finite. Steps of tiny_train
 * are repeated by `step`, which computes the same bits.
 */
static void FN(rollback)(const FN(run) *run)
{
    const pn_progress *progress = run->now.progress;
    size_t steps = progress->steps, good = 0;
    if (steps == 0)
        return;
    FN(restore_snapshot)(run);
    while (progress->steps + 1 < steps && FN(step)(run) && FN(is_finite)(run))
        good++;
    if (!FN(is_finite)(run)) {
        FN(restore_snapshot)(run);
        while (good-- > 0)
            FN(step)(run);
    }
}
