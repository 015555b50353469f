/*
 * A run of training and its workspace. Results do not depend on how a run is split into calls, and neither does its
 * safety net: a snapshot, see rollback.inc.c.
 */

/*
 * What a snapshot keeps and rollback restores. The parameters and the optimizer's slots are in the caller's order; while
 * weights are packed, those of the model are newer, until `unpack`.
 */
typedef struct FN(run_state) {
    pn_progress *progress;
    real *parameters, *slots;
} FN(run_state);

/* What lasts from call to call, at the start of the workspace. The arrays of the snapshot follow. */
typedef struct FN(run_header) {
    const pn_isa_kernels *isa;     /* with which the run began: it ends with the same */
    pn_progress snapshot;
} FN(run_header);

enum { FN(HEADER_ELEMENTS) = (sizeof(FN(run_header)) + sizeof(real) - 1) / sizeof(real) };

/* Mini-batches that lie apart in memory; weight: NULL if all weights are 1. */
typedef struct FN(batches) {
    const real *const *x, *const *y, *const *weight;
} FN(batches);

typedef struct FN(run) {
    FN(rows) rows;                 /* all rows, in the caller's order; or, if there are `batches`, only how many there are */
    const FN(batches) *batches;    /* NULL: the rows follow each other */
    const pn_training *training;
    size_t batch_size;
    double *losses;                /* or NULL */
    FN(run_state) now, snapshot;
    FN(run_header) *header;
    FN(model) model;               /* its parameters are the caller's or, packed for the time of a call, in the workspace */
    FN(slots) slots;               /* stored as these parameters are, the caller's or in the workspace likewise */
    real *gradient;                /* of a batch, stored alike, if there must be an array for it and no sums are made */
    size_t *shuffled;              /* room for the order of an epoch, if there is to be a random one */
    const size_t *order;           /* of the rows in the epoch at hand: this or the caller's; NULL: theirs */
    FN(sums) sums;
    char *tape_memory;
    size_t steps_per_snapshot;
} FN(run);

/* A call of at least so many steps packs the weights, where the kernels gain from it. */
enum { FN(STEPS_TO_PACK) = 4 };

static size_t FN(batch_size)(size_t n_rows, const pn_training *training)
{
    return training->batch_size == 0 || training->batch_size > n_rows ? n_rows : training->batch_size;
}

/* Number k of the mini-batches that lie apart. */
static FN(rows) FN(batch_apart)(const FN(run) *run, size_t k)
{
    const FN(batches) *batches = run->batches;
    const real *weight = batches->weight == NULL ? NULL : batches->weight[k];
    return (FN(rows)){.n = run->batch_size, .x = batches->x[k], .y = batches->y[k], .weight = weight};
}

/* Whether the rows of an epoch are visited in an order that is not theirs. */
static int FN(has_order)(const pn_training *training) { return training->order != NULL || training->shuffle; }

static size_t FN(order_elements)(size_t n_rows, const pn_training *training)
{
    return training->order == NULL && training->shuffle ? (n_rows * sizeof(size_t) + sizeof(real) - 1) / sizeof(real) : 0;
}

/* The model's packed_rows in a call of so many steps. */
static size_t FN(training_packed_rows)(double steps, size_t batch_size, const pn_network *network,
                                       const FN(pn_kernels) *kernels)
{
    return steps < FN(STEPS_TO_PACK) ? 0 : FN(rows_to_pack_for)(FN(block_rows)(batch_size), network, kernels);
}

static double FN(steps_in_epochs)(size_t epochs, size_t n_rows, size_t batch_size)
{
    return (double)epochs * (double)((n_rows - 1) / batch_size + 1);
}

/* Whether the products add the step to the parameters as they compute the gradient. */
static int FN(is_fused)(const pn_training *training, const FN(extent) *e)
{
    return pn_is_plain(&training->optimizer) && !e->has_penalty && !e->has_rates && !e->has_limits;
}

/* Whether the gradient of a batch is stored for the optimizer. */
static int FN(needs_gradient)(const pn_training *training, const FN(extent) *e, const FN(sums) *sums)
{
    return !FN(is_fused)(training, e) && sums->n_blocks == 0;
}

static size_t FN(train_bytes)(size_t n_rows, const pn_network *network, const pn_training *training,
                              const FN(pn_kernels) *kernels, const FN(extent) *e)
{
    size_t batch_size = FN(batch_size)(n_rows, training);
    double steps = FN(steps_in_epochs)(training->epochs, n_rows, batch_size);
    const FN(model) model = {.network = network, .kernels = kernels,
                             .packed_rows = FN(training_packed_rows)(steps, batch_size, network, kernels)};
    size_t n_stored = FN(n_stored)(&model), n_slots = pn_n_slots(&training->optimizer);
    const FN(sums) sums = FN(plan_sums)(batch_size, n_stored);
    return PN_WORKSPACE_ALIGNMENT + FN(arena_bytes)(FN(HEADER_ELEMENTS)) +
           FN(arena_bytes)((1 + n_slots) * e->n_parameters) +
           FN(arena_bytes)(FN(order_elements)(n_rows, training)) +
           (model.packed_rows > 0 ? FN(arena_bytes)((1 + n_slots) * n_stored) : 0) +
           (FN(needs_gradient)(training, e, &sums) ? FN(arena_bytes)(n_stored) : 0) + FN(sums_bytes)(&sums) +
           FN(tape_bytes)(FN(block_rows)(batch_size), network, kernels, e, FN(has_order)(training));
}

static pn_status FN(check_training)(size_t n_rows, const pn_network *network, const pn_training *training,
                                    FN(extent) *e)
{
    PN_REQUIRE(training != NULL, PN_NULL_POINTER);
    PN_REQUIRE(training->learning_rates != NULL || FN(is_positive)(training->learning_rate), PN_BAD_LEARNING_RATE);
    PN_TRY(FN(check_optimizer)(&training->optimizer));
    PN_REQUIRE(!training->shuffle || (uint64_t)n_rows <= UINT64_C(1) << 32, PN_SIZE_OVERFLOW);
    return FN(measure)(n_rows, network, e);
}

pn_status FN(pn_train_workspace)(size_t n_rows, const pn_network *network, const pn_training *training,
                                 size_t *n_bytes)
{
    const pn_isa_kernels *isa;
    FN(extent) e;
    PN_REQUIRE(n_bytes != NULL, PN_NULL_POINTER);
    PN_TRY(pn_ready(&isa));
    PN_TRY(FN(check_training)(n_rows, network, training, &e));
    PN_MAX_OVER_ISAS(n_bytes, kernels, FN(train_bytes)(n_rows, network, training, kernels, &e));
    return PN_OK;
}

static pn_status FN(check_input)(pn_array input, const pn_array *outputs, size_t n_outputs)
{
    PN_TRY(pn_check_array(input));
    for (size_t o = 0; o < n_outputs; o++)
        PN_TRY(pn_check_no_overlap(outputs[o], input));
    return PN_OK;
}

/* Checks x, y and the weights as arrays, and that no output overlaps one of them. */
static pn_status FN(check_inputs)(const FN(run) *run, const pn_array *outputs, size_t n_outputs)
{
    const FN(batches) *batches = run->batches;
    const size_t n_parts = batches == NULL ? 1 : run->rows.n / run->batch_size;
    int has_weights = batches == NULL ? run->rows.weight != NULL : batches->weight != NULL;
    if (batches != NULL) {
        const pn_array tables[] = {PN_ARRAY(batches->x, n_parts), PN_ARRAY(batches->y, n_parts),
                                   PN_ARRAY(batches->weight, has_weights ? n_parts : 0)};
        for (size_t i = 0; i < 3; i++)
            PN_TRY(FN(check_input)(tables[i], outputs, n_outputs));
    }
    const size_t *order = run->training->order;
    PN_TRY(FN(check_input)(PN_ARRAY(order, order == NULL ? 0 : run->rows.n), outputs, n_outputs));
    for (size_t k = 0; k < n_parts; k++) {
        const FN(rows) rows = batches == NULL ? run->rows : FN(batch_apart)(run, k);
        const pn_array inputs[] = {PN_ARRAY(rows.x, rows.n * run->model.e.n_in),
                                   PN_ARRAY(rows.y, rows.n * run->model.e.n_targets),
                                   PN_ARRAY(rows.weight, has_weights ? rows.n : 0)};
        for (size_t i = 0; i < 3; i++)
            PN_TRY(FN(check_input)(inputs[i], outputs, n_outputs));
    }
    return PN_OK;
}

static pn_status FN(check_order)(size_t n_rows, const size_t *order)
{
    for (size_t i = 0; order != NULL && i < n_rows; i++)
        PN_REQUIRE(order[i] < n_rows, PN_BAD_ORDER);
    return PN_OK;
}

/*
 * Checks the workspace, the progress and, if the run begins, the order and the data, unless these lie apart. *isa and the
 * model's kernels are then those that the run began with.
 */
static pn_status FN(check_workspace)(FN(run) *run, void *workspace, size_t workspace_bytes, const pn_isa_kernels **isa)
{
    const size_t n_rows = run->rows.n;
    PN_REQUIRE(workspace_bytes >= PN_WORKSPACE_ALIGNMENT + sizeof *run->header, PN_WORKSPACE_TOO_SMALL);
    run->header = pn_align_workspace(workspace);
    if (run->now.progress->steps > 0 && pn_is_isa(run->header->isa))
        *isa = run->header->isa;
    run->model.kernels = &(*isa)->MEMBER;
    size_t bytes = FN(train_bytes)(n_rows, run->model.network, run->training, run->model.kernels, &run->model.e);
    PN_REQUIRE(workspace_bytes >= bytes, PN_WORKSPACE_TOO_SMALL);
    PN_REQUIRE(run->now.progress->row < n_rows, PN_BAD_PROGRESS);
    if (run->now.progress->steps > 0)
        return PN_OK;
    PN_TRY(FN(check_order)(n_rows, run->training->order));
    return run->training->is_checked || run->batches != NULL ? PN_OK : FN(check_data)(&run->rows, &run->model);
}

/* The steps that a call makes: up to max_steps, or 0: all that are left. */
static double FN(steps_of_call)(const FN(run) *run, size_t max_steps)
{
    const pn_progress *progress = run->now.progress;
    size_t in_this_epoch = (run->rows.n - progress->row - 1) / run->batch_size + 1;
    double steps = FN(steps_in_epochs)(run->training->epochs - progress->epoch - 1, run->rows.n, run->batch_size) +
                   (double)in_this_epoch;
    return max_steps > 0 && (double)max_steps < steps ? (double)max_steps : steps;
}

/* The learning rates of the steps that a call makes. */
static pn_status FN(check_rates)(const FN(run) *run, size_t max_steps)
{
    const double *rates = run->training->learning_rates;
    if (rates == NULL)
        return PN_OK;
    PN_TRY(pn_check_array((pn_array){rates, sizeof *rates, sizeof *rates}));
    rates += run->now.progress->steps;
    for (double steps = FN(steps_of_call)(run, max_steps); steps > 0; steps--)
        PN_REQUIRE(FN(is_positive)(*rates++), PN_BAD_LEARNING_RATE);
    return PN_OK;
}

/* The parameters and the slots as the caller has them become those that are stored in packed order. */
static void FN(pack)(const FN(run) *run)
{
    const FN(model) *model = &run->model;
    FN(pack_parameters)(model, run->now.parameters, model->parameters);
    for (size_t s = 0; s < run->slots.n; s++)
        FN(pack_parameters)(model, run->now.slots + s * model->e.n_parameters, FN(slot)(&run->slots, s));
}

/* And back. */
static void FN(unpack)(const FN(run) *run)
{
    const FN(model) *model = &run->model;
    FN(unpack_parameters)(model, model->parameters, run->now.parameters);
    for (size_t s = 0; s < run->slots.n; s++)
        FN(unpack_parameters)(model, FN(slot)(&run->slots, s), run->now.slots + s * model->e.n_parameters);
}

/* Deals out the workspace for a call of up to max_steps steps, and packs the parameters if that pays. */
static void FN(begin_call)(FN(run) *run, size_t max_steps)
{
    FN(model) *model = &run->model;
    const pn_training *training = run->training;
    const size_t n_rows = run->rows.n;
    char *space = (char *)run->header;
    FN(arena_alloc)(&space, FN(HEADER_ELEMENTS));
    const size_t n_parameters = model->e.n_parameters, n_slots = pn_n_slots(&training->optimizer);
    real *snapshot = FN(arena_alloc)(&space, (1 + n_slots) * n_parameters);
    run->snapshot = (FN(run_state)){&run->header->snapshot, snapshot, snapshot + n_parameters};
    run->shuffled = training->order == NULL && training->shuffle ? (size_t *)(void *)space : NULL;
    run->order = training->order != NULL ? training->order : run->shuffled;
    FN(arena_alloc)(&space, FN(order_elements)(n_rows, training));

    model->packed_rows = FN(training_packed_rows)(FN(steps_of_call)(run, max_steps), run->batch_size, model->network,
                                                  model->kernels);
    model->parameters = run->now.parameters;
    size_t n_stored = FN(n_stored)(model);
    run->slots = (FN(slots)){n_slots, n_stored, run->now.slots};
    if (model->packed_rows > 0) {
        model->parameters = FN(arena_alloc)(&space, (1 + n_slots) * n_stored);
        run->slots.first = model->parameters + n_stored;
        FN(pack)(run);
    }
    run->sums = FN(plan_sums)(run->batch_size, n_stored);
    char *sums = space;
    if (FN(needs_gradient)(training, &model->e, &run->sums))
        run->gradient = FN(arena_alloc)(&space, n_stored);
    FN(alloc_sums)(&run->sums, &space);
    run->tape_memory = space;
    if (run->sums.n_blocks > 0)
        run->sums.tape_bytes = FN(tape_bytes)(PN_BLOCK_ROWS, model->network, model->kernels, &model->e,
                                              run->order != NULL);
    if (model->packed_rows > 0) /* what lies between packed panels takes part in elementwise passes, and is to stay 0 */
        memset(sums, 0, (size_t)(space - sums));
}
