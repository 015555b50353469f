/* Training of a whole network for one dtype: epochs of mini-batches, and the way back when a run diverges. */
#ifdef real

/*
 * One run. Results do not depend on how a run is split into calls, and neither does its safety net: a snapshot of the
 * parameters, renewed after about a second of work. A run that diverges goes back to it and repeats, bit for bit, the
 * steps before the one that did the damage.
 *
 * The snapshot is in the workspace; but in a lazy run with packed weights all that is trained is there, and the
 * caller's array itself is the snapshot.
 */
typedef struct FN(run) {
    size_t n_rows, batch_size;
    const pn_training *training;
    FN(model) model;
    double *losses;
    const real *x, *y;
    pn_progress *progress;
    char *tape;                /* room for it */
    FN(sums) sums;             /* of batches of several blocks */
    size_t *order;
    real *parameters, *snapshot; /* the caller's; the same array in a lazy run with packed weights */
    struct FN(state) {         /* what lasts from call to call, at the start of the workspace */
        pn_progress snapshot_progress;
        const pn_isa_kernels *isa; /* with which the run began: it ends with the same */
        int ahead;                 /* whether packed weights have been trained since the caller's were up to date */
    } *state;
    size_t steps_per_snapshot;
} FN(run);

enum { FN(STATE_BYTES) = 2 * PN_WORKSPACE_ALIGNMENT };
_Static_assert(sizeof(struct FN(state)) <= FN(STATE_BYTES), "the state has outgrown its place");

static size_t FN(batch_size)(size_t n_rows, const pn_training *training)
{
    return training->batch_size == 0 || training->batch_size > n_rows ? n_rows : training->batch_size;
}

static size_t FN(order_elements)(size_t n_rows, const pn_training *training)
{
    return training->shuffle ? (n_rows * sizeof(size_t) + sizeof(real) - 1) / sizeof(real) : 0;
}

/* Runs of so many steps keep their weights packed. */
enum { FN(STEPS_TO_PACK) = 4 };

static size_t FN(packed_bytes)(size_t n_rows, const pn_network *network, const pn_training *training,
                               const FN(pn_kernels) *kernels)
{
    size_t batch_size = FN(batch_size)(n_rows, training);
    if ((double)training->epochs * (double)((n_rows - 1) / batch_size + 1) < FN(STEPS_TO_PACK))
        return 0;
    return FN(all_packed_bytes)(FN(block_rows)(batch_size), network, kernels);
}

static size_t FN(train_bytes)(size_t n_rows, const pn_network *network, const pn_training *training,
                              const FN(pn_kernels) *kernels, const FN(extent) *e)
{
    size_t batch_size = FN(batch_size)(n_rows, training);
    size_t packed_bytes = FN(packed_bytes)(n_rows, network, training, kernels);
    const FN(sums) sums = FN(plan_sums)(batch_size, e, packed_bytes);
    return PN_WORKSPACE_ALIGNMENT + FN(STATE_BYTES) + FN(taken)(e->n_parameters) +
           FN(taken)(FN(order_elements)(n_rows, training)) + packed_bytes + FN(sums_bytes)(&sums) +
           FN(tape_bytes)(FN(block_rows)(batch_size), network, kernels, e, training->shuffle);
}

static pn_status FN(check_training)(size_t n_rows, const pn_network *network, const pn_training *training,
                                    FN(extent) *e)
{
    PN_REQUIRE(training != NULL, PN_NULL_POINTER);
    PN_REQUIRE((real)training->learning_rate > 0 && isfinite((real)training->learning_rate), PN_BAD_LEARNING_RATE);
    PN_REQUIRE(!training->shuffle || (uint64_t)n_rows <= UINT64_C(1) << 32, PN_SIZE_OVERFLOW);
    return FN(measure)(n_rows, network, e);
}

pn_status FN(pn_train_workspace)(size_t n_rows, const pn_network *network, const pn_training *training,
                                 size_t *n_bytes)
{
    const pn_isa_kernels *isa;
    FN(extent) e;
    size_t most = 0;
    PN_REQUIRE(n_bytes != NULL, PN_NULL_POINTER);
    PN_TRY(pn_ready(&isa));
    PN_TRY(FN(check_training)(n_rows, network, training, &e));
    for (size_t i = 0; (isa = pn_usable_isa(i)) != NULL; i++) {
        size_t bytes = FN(train_bytes)(n_rows, network, training, &isa->MEMBER, &e);
        most = bytes > most ? bytes : most;
    }
    *n_bytes = most;
    return PN_OK;
}

static void FN(make_order)(const FN(run) *run)
{
    if (run->training->shuffle)
        pn_shuffle(run->training->shuffle_seed, run->training->first_epoch + run->progress->epoch, run->n_rows,
                   run->order);
}

/* Brings the caller's parameters up to date. */
static void FN(unpack)(const FN(run) *run)
{
    if (run->state->ahead)
        FN(unpack_parameters)(&run->model, run->parameters);
    run->state->ahead = 0;
}

/* Keeps the parameters, if they are all finite, as a state to come back to. */
static int FN(take_snapshot)(const FN(run) *run)
{
    if (!FN(parameters_finite)(&run->model))
        return 0;
    FN(unpack)(run);
    if (run->snapshot != run->parameters)
        memcpy(run->snapshot, run->parameters, run->model.e.n_parameters * sizeof(real));
    run->state->snapshot_progress = *run->progress;
    return 1;
}

/* One step; 0 if its loss is not finite, and then nothing has changed. */
static int FN(step)(const FN(run) *run)
{
    pn_progress *progress = run->progress;
    const FN(model) *model = &run->model;
    size_t row = progress->row, left = run->n_rows - row, m = left < run->batch_size ? left : run->batch_size;
    FN(rows) rows = {m, run->x, run->y, NULL};
    if (run->training->shuffle) {
        if (row == 0)
            FN(make_order)(run);
        rows.order = run->order + row;
    } else {
        rows.x += row * model->e.n_in;
        rows.y += row * model->e.n_out;
    }
    int is_block = m <= PN_BLOCK_ROWS;
    FN(tape) tape = FN(take_tape)(run->tape, FN(block_rows)(m), &model->e, run->training->shuffle);
    double sum = is_block ? FN(loss)(model, &rows, 0, m, &tape) : FN(sum_blocks)(model, &rows, &run->sums, run->tape);
    if (!isfinite(progress->loss_sum + sum))
        return 0;
    if (progress->steps == 0 || progress->steps - run->state->snapshot_progress.steps >= run->steps_per_snapshot)
        if (!FN(take_snapshot)(run))
            return 0;
    real rate = (real)run->training->learning_rate;
    if (is_block)
        FN(backward)(m, model, tape, rate, (FN(values)){model->parameters, model->packed});
    else
        FN(descend)(model, &run->sums, rate);
    run->state->ahead = model->packed != NULL;
    progress->steps++;
    progress->loss_sum += sum;
    progress->row += m;
    if (progress->row == run->n_rows) {
        if (run->losses != NULL)
            run->losses[progress->epoch] = progress->loss_sum / FN(denominator)(model->network, run->n_rows);
        progress->epoch++;
        progress->row = 0;
        progress->loss_sum = 0;
    }
    return 1;
}

/* Up to max_steps steps of a tiny network, each an epoch; 0 if a loss is not finite, which stops them before its step. */
static int FN(tiny_steps)(const FN(run) *run, size_t max_steps)
{
    pn_progress *progress = run->progress, before = *progress;
    real start[PN_TINY_PARAMETERS];
    size_t left = run->training->epochs - progress->epoch, steps = max_steps < left ? max_steps : left;
    size_t since = progress->steps == 0 ? run->steps_per_snapshot : progress->steps - run->state->snapshot_progress.steps;
    int due = since >= run->steps_per_snapshot;
    size_t until_next = due ? run->steps_per_snapshot : run->steps_per_snapshot - since;
    steps = steps < until_next ? steps : until_next;
    const FN(model) *model = &run->model;
    const size_t n_bytes = model->e.n_parameters * sizeof(real);
    if (due && !model->kernels->all_finite(model->e.n_parameters, model->parameters))
        return 0;
    memcpy(start, model->parameters, n_bytes);
    double denominator = FN(denominator)(model->network, run->n_rows);
    size_t done = model->kernels->tiny_train(run->n_rows, model->network, steps, model->parameters, run->x, run->y,
                                             (real)run->training->learning_rate, denominator,
                                             run->losses == NULL ? NULL : run->losses + progress->epoch);
    if (due && done > 0) {
        memcpy(run->snapshot, start, n_bytes);
        run->state->snapshot_progress = before;
    }
    progress->steps += done;
    progress->epoch += done;
    return done == steps;
}

static void FN(restore)(const FN(run) *run)
{
    if (run->snapshot != run->parameters)
        memcpy(run->parameters, run->snapshot, run->model.e.n_parameters * sizeof(real));
    FN(pack_parameters)(&run->model, run->parameters);
    run->state->ahead = 0;
    *run->progress = run->state->snapshot_progress;
    FN(make_order)(run);
}

/* Something is not finite after so many steps: back to the last step whose parameters and loss were, before its update. */
static void FN(go_back)(const FN(run) *run)
{
    size_t steps = run->progress->steps, good = 0;
    if (steps == 0)
        return;
    FN(restore)(run);
    while (run->progress->steps + 1 < steps && FN(step)(run) && FN(parameters_finite)(&run->model))
        good++;
    if (!FN(parameters_finite)(&run->model)) {
        FN(restore)(run);
        while (good-- > 0)
            FN(step)(run);
    }
}

/* What a call ends with; 0 if the parameters had to be finite and are not. */
static int FN(deliver)(const FN(run) *run)
{
    if (run->snapshot == run->parameters)
        return !run->state->ahead || FN(take_snapshot)(run);
    FN(unpack)(run);
    return run->progress->epoch < run->training->epochs || FN(parameters_finite)(&run->model);
}

pn_status FN(pn_train)(size_t n_rows, const pn_network *network, const pn_training *training, real *parameters,
                       const real *x, const real *y, size_t max_steps, double *losses, pn_progress *progress,
                       void *workspace, size_t workspace_bytes)
{
    const pn_isa_kernels *isa;
    FN(run) run = {.n_rows = n_rows, .training = training, .losses = losses, .x = x, .y = y, .progress = progress,
                   .parameters = parameters};
    FN(model) *model = &run.model;
    FN(extent) *e = &model->e;
    PN_TRY(pn_ready(&isa));
    PN_EXACT_MODE;
    model->network = network;
    model->parameters = parameters;
    PN_TRY(FN(check_training)(n_rows, network, training, e));
    run.batch_size = FN(batch_size)(n_rows, training);

    const pn_array inputs[] = {PN_ARRAY(x, n_rows * e->n_in), PN_ARRAY(y, n_rows * e->n_out)};
    const pn_array outputs[] = {PN_ARRAY(parameters, e->n_parameters), {workspace, workspace_bytes, 1},
                                {progress, sizeof *progress, _Alignof(pn_progress)},
                                PN_ARRAY(losses, losses == NULL ? 0 : training->epochs)};
    PN_TRY(pn_check_arrays(inputs, 2, outputs, 4));
    PN_REQUIRE(workspace_bytes >= PN_WORKSPACE_ALIGNMENT + FN(STATE_BYTES), PN_WORKSPACE_TOO_SMALL);
    char *space = pn_align_workspace(workspace);
    run.state = (struct FN(state) *)(void *)space;
    if (progress->steps > 0 && pn_is_isa(run.state->isa))
        isa = run.state->isa;
    model->kernels = &isa->MEMBER;
    size_t bytes = FN(train_bytes)(n_rows, network, training, model->kernels, e);
    PN_REQUIRE(workspace_bytes >= bytes, PN_WORKSPACE_TOO_SMALL);
    PN_REQUIRE(progress->row < n_rows, PN_BAD_PROGRESS);
    if (progress->steps == 0)
        PN_TRY(FN(check_data)(n_rows, model, x, y));
    if (progress->epoch >= training->epochs)
        return PN_OK;

    run.state->isa = isa;
    if (progress->steps == 0)
        run.state->ahead = 0;
    space += FN(STATE_BYTES);
    run.snapshot = FN(take)(&space, e->n_parameters);
    run.order = (size_t *)(void *)FN(take)(&space, FN(order_elements)(n_rows, training));
    size_t packed_bytes = FN(packed_bytes)(n_rows, network, training, model->kernels);
    if (packed_bytes > 0) {
        model->packed = FN(take)(&space, packed_bytes / sizeof(real));
        model->packed_rows = FN(block_rows)(run.batch_size);
        model->packed_size = packed_bytes / sizeof(real);
        if (training->lazy) {
            model->parameters = run.snapshot;
            run.snapshot = parameters;
        }
    }
    run.sums = FN(plan_sums)(run.batch_size, e, packed_bytes);
    run.sums.arrays = space;
    run.tape = space + FN(sums_bytes)(&run.sums);
    if (run.batch_size > PN_BLOCK_ROWS)
        run.sums.tape_bytes = FN(tape_bytes)(PN_BLOCK_ROWS, network, model->kernels, e, training->shuffle);
    if (packed_bytes > 0 && progress->steps == 0) {
        /* Between panels there are numbers that nothing reads but elementwise updates: not to be slow, they are 0. */
        memset(model->packed, 0, packed_bytes);
        memset(run.sums.arrays, 0, (size_t)(run.tape - run.sums.arrays));
        FN(pack_parameters)(model, parameters);
    }

    /* About a second between snapshots: 5e10 operations, of which activations cost some fifty a row and neuron. */
    double operations = (double)run.batch_size * (6 * (double)e->n_parameters + 50 * (double)(e->n_out + e->hidden));
    run.steps_per_snapshot = (size_t)(5e10 / operations) + 16; /* 16: it costs a fraction of a step */
    if (progress->steps == 0 && progress->row != 0)
        FN(make_order)(&run);

    int tiny = run.batch_size == n_rows && model->kernels->tiny_fits(n_rows, network), finite = 1;
    size_t done = max_steps == PN_NO_STEPS ? max_steps : 0;
    while (finite && progress->epoch < training->epochs && (max_steps == 0 || done < max_steps)) {
        size_t most = max_steps == 0 ? SIZE_MAX : max_steps - done, before = progress->steps;
        finite = tiny ? FN(tiny_steps)(&run, most) : FN(step)(&run);
        done += progress->steps - before;
    }
    if (finite && (!training->lazy || max_steps == PN_NO_STEPS || progress->epoch == training->epochs))
        finite = FN(deliver)(&run);
    if (finite)
        return PN_OK;

    size_t steps = progress->steps;
    FN(go_back)(&run);
    FN(deliver)(&run);
    int ends_epoch = n_rows - progress->row <= run.batch_size;
    progress->diverged_epoch = progress->epoch + (steps > 0 && ends_epoch);
    return PN_DIVERGED;
}

pn_status FN(pn_train_on_batch)(size_t n_rows, const pn_network *network, double learning_rate, real *parameters,
                                const real *x, const real *y, double *loss, void *workspace, size_t workspace_bytes)
{
    const pn_training training = {.epochs = 1, .learning_rate = learning_rate};
    pn_progress progress = {0};
    char before[sizeof *loss];
    PN_REQUIRE(loss != NULL, PN_NULL_POINTER);
    memcpy(before, (const void *)loss, sizeof before);
    pn_status status = FN(pn_train)(n_rows, network, &training, parameters, x, y, 0, loss, &progress, workspace,
                                    workspace_bytes);
    if (status == PN_DIVERGED) /* where the loss was finite, and the update was not */
        memcpy((void *)loss, before, sizeof before);
    return status;
}

#else
#include "plainnet.h"
#endif
