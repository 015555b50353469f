/* A whole network for one dtype: forward, loss and gradient, training. Layers are walked here, computed in kernels. */
#ifdef real

/* A workspace, dealt out in order. Offsets are rounded up so that every part starts on a cache line. */
static real *FN(take)(char **workspace, size_t n_elements)
{
    const size_t line = PN_WORKSPACE_ALIGNMENT;
    real *part = (real *)(void *)*workspace;
    *workspace += (n_elements * sizeof(real) + line - 1) / line * line;
    return part;
}

static size_t FN(taken)(size_t n_elements)
{
    const size_t line = PN_WORKSPACE_ALIGNMENT;
    return (n_elements * sizeof(real) + line - 1) / line * line;
}

/* Sizes that hold for every layer, checked against overflow for n_rows rows. */
typedef struct FN(extent) {
    size_t n_parameters, n_in, n_out;  /* of the network */
    size_t max_width;                  /* widest layer output */
    size_t hidden;                     /* elements of all hidden activations */
} FN(extent);

static pn_status FN(measure)(size_t n_rows, const pn_network *network, FN(extent) *e)
{
    size_t total = 0, hidden = 0;
    PN_TRY(pn_check_network(network, &e->n_parameters));
    PN_REQUIRE(n_rows > 0, PN_NO_ROWS);
    e->n_in = network->layers[0].n_in;
    e->n_out = network->layers[network->n_layers - 1].n_out;
    e->max_width = 0;
    PN_TRY(pn_add_product(&total, n_rows, e->n_in, 2));
    PN_TRY(pn_add_product(&total, e->n_parameters, 4, 1));
    for (size_t l = 0; l < network->n_layers; l++) {
        size_t n_out = network->layers[l].n_out;
        PN_TRY(pn_add_product(&total, n_rows, n_out, 6));
        e->max_width = n_out > e->max_width ? n_out : e->max_width;
        hidden += l + 1 < network->n_layers ? n_rows * n_out : 0;
    }
    e->hidden = hidden;
    return PN_OK;
}

/* Elements of workspace for the largest layer's products. */
static size_t FN(products)(size_t n_rows, const pn_network *network, size_t (*needed)(size_t m, size_t k, size_t n))
{
    size_t most = 0;
    for (size_t l = 0; l < network->n_layers; l++) {
        size_t elements = needed(n_rows, network->layers[l].n_in, network->layers[l].n_out);
        most = elements > most ? elements : most;
    }
    return most;
}

/* ---- Forward ------------------------------------------------------------------------------------------ */

/* Rows that go through the network together: their activations stay in cache. */
static size_t FN(forward_rows)(size_t n_rows, const FN(extent) *e)
{
    enum { CACHE_BYTES = 128 * 1024, LEAST_ROWS = 256 };
    size_t rows = CACHE_BYTES / sizeof(real) / e->max_width / 8 * 8;
    rows = rows < LEAST_ROWS ? LEAST_ROWS : rows;
    return n_rows < rows ? n_rows : rows;
}

/* A pass that needs no more than this much workspace keeps it on the stack. */
enum { FN(STACK_BYTES) = 8192 };

typedef struct FN(forward_plan) {
    size_t rows;       /* at a time */
    size_t hidden;     /* elements of each of two hidden activations */
    size_t products;   /* elements */
    size_t bytes;      /* of all three */
} FN(forward_plan);

static FN(forward_plan) FN(plan_forward)(size_t n_rows, const pn_network *network, const FN(pn_kernels) *kernels,
                                         const FN(extent) *e)
{
    FN(forward_plan) plan = {.rows = FN(forward_rows)(n_rows, e)};
    plan.hidden = network->n_layers == 1 ? 0 : plan.rows * e->max_width;
    plan.products = FN(products)(plan.rows, network, kernels->dense_forward_workspace);
    plan.bytes = 2 * FN(taken)(plan.hidden) + FN(taken)(plan.products);
    return plan;
}

pn_status FN(pn_forward_workspace)(size_t n_rows, const pn_network *network, size_t *n_bytes)
{
    const pn_isa_kernels *isa = pn_kernels_in_use();
    FN(extent) e;
    PN_REQUIRE(n_bytes != NULL, PN_NULL_POINTER);
    PN_REQUIRE(isa != NULL, PN_UNKNOWN_ISA);
    PN_TRY(FN(measure)(n_rows, network, &e));
    size_t bytes = FN(plan_forward)(n_rows, network, &isa->MEMBER, &e).bytes;
    *n_bytes = bytes <= FN(STACK_BYTES) ? 0 : bytes + PN_WORKSPACE_ALIGNMENT;
    return PN_OK;
}

pn_status FN(pn_forward)(size_t n_rows, const pn_network *network, const real *parameters, const real *x,
                         real *out, void *workspace, size_t workspace_bytes)
{
    const pn_isa_kernels *isa = pn_kernels_in_use();
    _Alignas(PN_WORKSPACE_ALIGNMENT) char stack[FN(STACK_BYTES)];
    FN(extent) e;
    PN_REQUIRE(isa != NULL, PN_UNKNOWN_ISA);
    PN_TRY(FN(measure)(n_rows, network, &e));
    const pn_array inputs[] = {PN_ARRAY(parameters, e.n_parameters), PN_ARRAY(x, n_rows * e.n_in)};
    const pn_array output = PN_ARRAY(out, n_rows * e.n_out);
    PN_TRY(pn_check_array(output));
    for (int i = 0; i < 2; i++) {
        PN_TRY(pn_check_array(inputs[i]));
        PN_TRY(pn_check_no_overlap(output, inputs[i]));
    }
    const FN(pn_kernels) *kernels = &isa->MEMBER;
    const FN(forward_plan) plan = FN(plan_forward)(n_rows, network, kernels, &e);
    char *space = stack;
    if (plan.bytes > FN(STACK_BYTES)) {
        const pn_array work = {workspace, workspace_bytes, 1};
        PN_REQUIRE(workspace_bytes >= plan.bytes + PN_WORKSPACE_ALIGNMENT, PN_WORKSPACE_TOO_SMALL);
        PN_TRY(pn_check_array(work));
        PN_TRY(pn_check_no_overlap(work, output));
        PN_TRY(pn_check_no_overlap(work, inputs[0]));
        PN_TRY(pn_check_no_overlap(work, inputs[1]));
        space = pn_align_workspace(workspace);
    }
    real *products = FN(take)(&space, plan.products);
    real *hidden[2] = {FN(take)(&space, plan.hidden), FN(take)(&space, plan.hidden)};

    for (size_t row = 0; row < n_rows; row += plan.rows) {
        size_t m = n_rows - row < plan.rows ? n_rows - row : plan.rows;
        const real *a = x + row * e.n_in, *weight = parameters;
        for (size_t l = 0; l < network->n_layers; l++) {
            const pn_layer *layer = &network->layers[l];
            const real *bias = weight + layer->n_in * layer->n_out;
            real *next = l + 1 == network->n_layers ? out + row * e.n_out : hidden[l % 2];
            kernels->dense_forward(m, layer->n_in, layer->n_out, a, weight, layer->has_bias ? bias : NULL,
                                   layer->activation, next, products);
            a = next;
            weight = bias + (layer->has_bias ? layer->n_out : 0);
        }
    }
    return PN_OK;
}

/* ---- Loss and gradient -------------------------------------------------------------------------------- */

/* Where back-propagation keeps its numbers. */
typedef struct FN(tape) {
    real *a;          /* activations of the hidden layers, one after another */
    real *grad_z[2];  /* of the layer at hand and of the one before it */
    real *products;
} FN(tape);

static size_t FN(tape_bytes)(size_t n_rows, const pn_network *network, const FN(pn_kernels) *kernels,
                             const FN(extent) *e)
{
    size_t products = FN(products)(n_rows, network, kernels->dense_workspace);
    return FN(taken)(e->hidden) + 2 * FN(taken)(n_rows * e->max_width) + FN(taken)(products);
}

static FN(tape) FN(take_tape)(char **space, size_t n_rows, const FN(extent) *e)
{
    FN(tape) tape;
    tape.a = FN(take)(space, e->hidden);
    tape.grad_z[0] = FN(take)(space, n_rows * e->max_width);
    tape.grad_z[1] = FN(take)(space, n_rows * e->max_width);
    tape.products = (real *)(void *)*space; /* to the end */
    return tape;
}

/* What turns the sum of all losses into the loss: see pn_loss. */
static double FN(denominator)(const pn_network *network, size_t n_rows)
{
    switch (network->loss) {
    case PN_LOG_LOSS: return (double)n_rows;
    case PN_MEAN_SQUARED_ERROR: return (double)n_rows * (double)network->layers[network->n_layers - 1].n_out;
    default: return 1;
    }
}

/* a[l] for the hidden layers and z of the last one, into grad_z[0]. */
static void FN(forward)(size_t m, const pn_network *network, const FN(pn_kernels) *kernels, const real *parameters,
                        const real *x, FN(tape) tape)
{
    const real *a = x, *weight = parameters;
    real *next = tape.a;
    for (size_t l = 0; l < network->n_layers; l++) {
        const pn_layer *layer = &network->layers[l];
        const real *bias = weight + layer->n_in * layer->n_out;
        int last = l + 1 == network->n_layers;
        real *out = last ? tape.grad_z[0] : next;
        kernels->dense_forward(m, layer->n_in, layer->n_out, a, weight, layer->has_bias ? bias : NULL,
                               last ? PN_IDENTITY : layer->activation, out, tape.products);
        a = out;
        next += m * layer->n_out;
        weight = bias + (layer->has_bias ? layer->n_out : 0);
    }
}

/* From grad_z[0] of the last layer: target = gradient where rate is 0, else target -= rate * gradient. */
static void FN(backward)(size_t m, const pn_network *network, const FN(pn_kernels) *kernels, const real *parameters,
                         size_t n_parameters, const real *x, FN(tape) tape, real rate, real *target)
{
    size_t end = n_parameters;
    const real *a = tape.a;
    for (size_t l = 0; l + 1 < network->n_layers; l++)
        a += m * network->layers[l].n_out;
    for (size_t l = network->n_layers; l-- > 0;) {
        const pn_layer *layer = &network->layers[l];
        size_t bias = end - (layer->has_bias ? layer->n_out : 0);
        size_t weight = bias - layer->n_in * layer->n_out;
        real *grad_z = tape.grad_z[0];
        if (l == 0)
            a = x;
        else {
            a -= m * layer->n_in;
            kernels->dense_backward_x(m, layer->n_in, layer->n_out, grad_z, parameters + weight,
                                      layer[-1].activation, a, tape.grad_z[1], tape.products);
        }
        kernels->dense_backward_weight(m, layer->n_in, layer->n_out, a, grad_z, rate, target + weight,
                                       tape.products);
        if (layer->has_bias)
            kernels->dense_backward_bias(m, layer->n_out, grad_z, rate, target + bias);
        tape.grad_z[0] = tape.grad_z[1];
        tape.grad_z[1] = grad_z;
        end = weight;
    }
}

/* Loss of m rows, summed; leaves grad_z of the last layer in grad_z[0]. */
static double FN(loss)(size_t m, const pn_network *network, const FN(pn_kernels) *kernels, const FN(extent) *e,
                       const real *parameters, const real *x, const real *y, FN(tape) tape)
{
    FN(forward)(m, network, kernels, parameters, x, tape);
    return kernels->loss(network->loss, m * e->n_out, network->layers[network->n_layers - 1].activation,
                                        tape.grad_z[0], y, (real)(1 / FN(denominator)(network, m)), tape.grad_z[0]);
}

static int FN(all_finite)(size_t n, const real *values)
{
    int bad = 0;
    for (size_t i = 0; i < n; i++)
        bad |= values[i] - values[i] != 0;
    return !bad;
}

static pn_status FN(check_data)(size_t n_rows, const pn_network *network, const FN(extent) *e, const real *x,
                                const real *y)
{
    int outside = 0;
    PN_REQUIRE(FN(all_finite)(n_rows * e->n_in, x), PN_DATA_NOT_FINITE);
    PN_REQUIRE(FN(all_finite)(n_rows * e->n_out, y), PN_DATA_NOT_FINITE);
    if (network->loss == PN_LOG_LOSS)
        for (size_t i = 0; i < n_rows * e->n_out; i++)
            outside |= !(y[i] >= 0 && y[i] <= 1);
    PN_REQUIRE(!outside, PN_TARGET_OUT_OF_RANGE);
    return PN_OK;
}

pn_status FN(pn_gradient_workspace)(size_t n_rows, const pn_network *network, size_t *n_bytes)
{
    const pn_isa_kernels *isa = pn_kernels_in_use();
    FN(extent) e;
    PN_REQUIRE(n_bytes != NULL, PN_NULL_POINTER);
    PN_REQUIRE(isa != NULL, PN_UNKNOWN_ISA);
    PN_TRY(FN(measure)(n_rows, network, &e));
    *n_bytes = FN(tape_bytes)(n_rows, network, &isa->MEMBER, &e) + PN_WORKSPACE_ALIGNMENT;
    return PN_OK;
}

pn_status FN(pn_loss_and_gradient)(size_t n_rows, const pn_network *network, const real *parameters,
                                   const real *x, const real *y, double *loss, real *gradient,
                                   void *workspace, size_t workspace_bytes)
{
    const pn_isa_kernels *isa = pn_kernels_in_use();
    FN(extent) e;
    PN_REQUIRE(isa != NULL, PN_UNKNOWN_ISA);
    PN_TRY(FN(measure)(n_rows, network, &e));
    const pn_array inputs[] = {PN_ARRAY(parameters, e.n_parameters), PN_ARRAY(x, n_rows * e.n_in),
                               PN_ARRAY(y, n_rows * e.n_out), {workspace, workspace_bytes, 1}};
    const pn_array outputs[] = {PN_ARRAY(loss, 1), PN_ARRAY(gradient, e.n_parameters)};
    for (int i = 0; i < 4; i++) {
        PN_TRY(pn_check_array(inputs[i]));
        for (int o = 0; o < 2; o++) {
            PN_TRY(pn_check_array(outputs[o]));
            PN_TRY(pn_check_no_overlap(outputs[o], inputs[i]));
        }
    }
    PN_TRY(pn_check_no_overlap(outputs[0], outputs[1]));
    for (int i = 0; i < 3; i++)
        PN_TRY(pn_check_no_overlap(inputs[3], inputs[i]));
    PN_REQUIRE(workspace_bytes >= FN(tape_bytes)(n_rows, network, &isa->MEMBER, &e) + PN_WORKSPACE_ALIGNMENT, PN_WORKSPACE_TOO_SMALL);
    PN_TRY(FN(check_data)(n_rows, network, &e, x, y));

    char *space = pn_align_workspace(workspace);
    FN(tape) tape = FN(take_tape)(&space, n_rows, &e);
    *loss = FN(loss)(n_rows, network, &isa->MEMBER, &e, parameters, x, y, tape) / FN(denominator)(network, n_rows);
    FN(backward)(n_rows, network, &isa->MEMBER, parameters, e.n_parameters, x, tape, 0, gradient);
    return PN_OK;
}

/* ---- Training ----------------------------------------------------------------------------------------- */

/*
 * One run. Results do not depend on how a run is split into calls, and neither does its safety net: a snapshot of the
 * parameters, renewed after about a second of work. A run that diverges goes back to it and repeats, bit for bit, the
 * steps before the one that did the damage.
 */
typedef struct FN(run) {
    size_t n_rows, batch_size;
    const pn_network *network;
    const pn_training *training;
    const FN(pn_kernels) *kernels;
    FN(extent) e;              /* for a batch */
    double *losses;
    real *parameters;
    const real *x, *y;
    pn_progress *progress;
    FN(tape) tape;
    real *batch_x, *batch_y;   /* shuffled rows, gathered */
    size_t *order;
    real *snapshot;
    pn_progress *snapshot_progress;
    size_t steps_per_snapshot;
} FN(run);

static size_t FN(batch_size)(size_t n_rows, const pn_training *training)
{
    return training->batch_size == 0 || training->batch_size > n_rows ? n_rows : training->batch_size;
}

static size_t FN(order_elements)(size_t n_rows, const pn_training *training)
{
    return training->shuffle ? (n_rows * sizeof(size_t) + sizeof(real) - 1) / sizeof(real) : 0;
}

static size_t FN(train_bytes)(size_t n_rows, const pn_network *network, const pn_training *training,
                              const FN(pn_kernels) *kernels, const FN(extent) *e)
{
    size_t batch_size = FN(batch_size)(n_rows, training);
    size_t gathered = training->shuffle ? FN(taken)(batch_size * e->n_in) + FN(taken)(batch_size * e->n_out) : 0;
    return PN_WORKSPACE_ALIGNMENT + FN(tape_bytes)(batch_size, network, kernels, e) + gathered +
           FN(taken)(FN(order_elements)(n_rows, training)) + FN(taken)(e->n_parameters) + PN_WORKSPACE_ALIGNMENT;
}

static pn_status FN(check_training)(size_t n_rows, const pn_network *network, const pn_training *training,
                                    FN(extent) *e)
{
    PN_REQUIRE(training != NULL, PN_NULL_POINTER);
    PN_REQUIRE((real)training->learning_rate > 0 && isfinite((real)training->learning_rate), PN_BAD_LEARNING_RATE);
    PN_REQUIRE(!training->shuffle || (uint64_t)n_rows <= UINT64_C(1) << 32, PN_SIZE_OVERFLOW);
    PN_TRY(FN(measure)(n_rows, network, e));
    size_t batch_size = FN(batch_size)(n_rows, training);
    return batch_size == n_rows ? PN_OK : FN(measure)(batch_size, network, e);
}

pn_status FN(pn_train_workspace)(size_t n_rows, const pn_network *network, const pn_training *training,
                                 size_t *n_bytes)
{
    const pn_isa_kernels *isa = pn_kernels_in_use();
    FN(extent) e;
    PN_REQUIRE(n_bytes != NULL, PN_NULL_POINTER);
    PN_REQUIRE(isa != NULL, PN_UNKNOWN_ISA);
    PN_TRY(FN(check_training)(n_rows, network, training, &e));
    *n_bytes = FN(train_bytes)(n_rows, network, training, &isa->MEMBER, &e);
    return PN_OK;
}

static void FN(gather)(size_t m, size_t n, const size_t *order, const real *rows, real *out)
{
    for (size_t i = 0; i < m; i++)
        memcpy(out + i * n, rows + order[i] * n, n * sizeof *out);
}

static void FN(make_order)(const FN(run) *run)
{
    if (run->training->shuffle)
        pn_shuffle(run->training->shuffle_seed, run->training->first_epoch + run->progress->epoch, run->n_rows,
                   run->order);
}

/* Keeps the parameters, if they are all finite, as a state to come back to. */
static int FN(take_snapshot)(const FN(run) *run)
{
    if (!FN(all_finite)(run->e.n_parameters, run->parameters))
        return 0;
    memcpy(run->snapshot, run->parameters, run->e.n_parameters * sizeof(real));
    *run->snapshot_progress = *run->progress;
    return 1;
}

/* One step; 0 if its loss is not finite, and then nothing has changed. */
static int FN(step)(const FN(run) *run)
{
    pn_progress *progress = run->progress;
    const FN(extent) *e = &run->e;
    size_t row = progress->row, left = run->n_rows - row, m = left < run->batch_size ? left : run->batch_size;
    const real *x = run->x + row * e->n_in, *y = run->y + row * e->n_out;
    if (run->training->shuffle) {
        if (row == 0)
            FN(make_order)(run);
        FN(gather)(m, e->n_in, run->order + row, run->x, run->batch_x);
        FN(gather)(m, e->n_out, run->order + row, run->y, run->batch_y);
        x = run->batch_x;
        y = run->batch_y;
    }
    double sum = FN(loss)(m, run->network, run->kernels, e, run->parameters, x, y, run->tape);
    if (!isfinite(progress->loss_sum + sum))
        return 0;
    if (progress->steps == 0 || progress->steps - run->snapshot_progress->steps >= run->steps_per_snapshot)
        if (!FN(take_snapshot)(run))
            return 0;
    FN(backward)(m, run->network, run->kernels, run->parameters, e->n_parameters, x, run->tape,
                 (real)run->training->learning_rate, run->parameters);
    progress->steps++;
    progress->loss_sum += sum;
    progress->row += m;
    if (progress->row == run->n_rows) {
        if (run->losses != NULL)
            run->losses[progress->epoch] = progress->loss_sum / FN(denominator)(run->network, run->n_rows);
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
    size_t since = progress->steps == 0 ? run->steps_per_snapshot : progress->steps - run->snapshot_progress->steps;
    int due = since >= run->steps_per_snapshot;
    size_t until_next = due ? run->steps_per_snapshot : run->steps_per_snapshot - since;
    steps = steps < until_next ? steps : until_next;
    if (due && !FN(all_finite)(run->e.n_parameters, run->parameters))
        return 0;
    memcpy(start, run->parameters, run->e.n_parameters * sizeof(real));
    size_t done = run->kernels->tiny_train(run->n_rows, run->network, steps, run->parameters, run->x, run->y,
                                           (real)run->training->learning_rate,
                                           FN(denominator)(run->network, run->n_rows),
                                           run->losses == NULL ? NULL : run->losses + progress->epoch);
    if (due && done > 0) {
        memcpy(run->snapshot, start, run->e.n_parameters * sizeof(real));
        *run->snapshot_progress = before;
    }
    progress->steps += done;
    progress->epoch += done;
    return done == steps;
}

static void FN(restore)(const FN(run) *run)
{
    memcpy(run->parameters, run->snapshot, run->e.n_parameters * sizeof(real));
    *run->progress = *run->snapshot_progress;
    FN(make_order)(run);
}

/* Something is not finite after `steps` steps: back to the last step whose parameters and loss were, before its update. */
static void FN(go_back)(const FN(run) *run)
{
    size_t steps = run->progress->steps, good = 0;
    if (steps == 0)
        return;
    FN(restore)(run);
    while (run->progress->steps + 1 < steps && FN(step)(run) && FN(all_finite)(run->e.n_parameters, run->parameters))
        good++;
    if (!FN(all_finite)(run->e.n_parameters, run->parameters)) {
        FN(restore)(run);
        while (good-- > 0)
            FN(step)(run);
    }
}

pn_status FN(pn_train)(size_t n_rows, const pn_network *network, const pn_training *training, real *parameters,
                       const real *x, const real *y, size_t max_steps, double *losses, pn_progress *progress,
                       void *workspace, size_t workspace_bytes)
{
    const pn_isa_kernels *isa = pn_kernels_in_use();
    FN(run) run = {.n_rows = n_rows, .network = network, .training = training, .losses = losses,
                   .parameters = parameters, .x = x, .y = y, .progress = progress};
    PN_REQUIRE(isa != NULL, PN_UNKNOWN_ISA);
    run.kernels = &isa->MEMBER;
    PN_TRY(FN(check_training)(n_rows, network, training, &run.e));
    run.batch_size = FN(batch_size)(n_rows, training);

    const FN(extent) *e = &run.e;
    const pn_array inputs[] = {PN_ARRAY(x, n_rows * e->n_in), PN_ARRAY(y, n_rows * e->n_out)};
    const pn_array outputs[] = {PN_ARRAY(parameters, e->n_parameters), {workspace, workspace_bytes, 1},
                                {progress, sizeof *progress, _Alignof(pn_progress)},
                                PN_ARRAY(losses, losses == NULL ? 0 : training->epochs)};
    for (int o = 0; o < 4; o++) {
        PN_TRY(pn_check_array(outputs[o]));
        for (int i = 0; i < 2; i++) {
            PN_TRY(pn_check_array(inputs[i]));
            PN_TRY(pn_check_no_overlap(outputs[o], inputs[i]));
        }
        for (int p = 0; p < o; p++)
            PN_TRY(pn_check_no_overlap(outputs[o], outputs[p]));
    }
    PN_REQUIRE(workspace_bytes >= FN(train_bytes)(n_rows, network, training, run.kernels, e), PN_WORKSPACE_TOO_SMALL);
    PN_REQUIRE(progress->row < n_rows, PN_BAD_PROGRESS);
    if (progress->steps == 0)
        PN_TRY(FN(check_data)(n_rows, network, e, x, y));
    if (progress->epoch >= training->epochs)
        return PN_OK;

    char *space = pn_align_workspace(workspace);
    run.snapshot_progress = (pn_progress *)(void *)space;
    space += PN_WORKSPACE_ALIGNMENT;
    run.snapshot = FN(take)(&space, e->n_parameters);
    run.order = (size_t *)(void *)FN(take)(&space, FN(order_elements)(n_rows, training));
    if (training->shuffle) {
        run.batch_x = FN(take)(&space, run.batch_size * e->n_in);
        run.batch_y = FN(take)(&space, run.batch_size * e->n_out);
    }
    run.tape = FN(take_tape)(&space, run.batch_size, e);

    /* About a second between snapshots: 5e10 operations, of which activations cost some fifty a row and neuron. */
    double operations = (double)run.batch_size * (6 * (double)e->n_parameters + 50 * (double)e->n_out) +
                        50 * (double)e->hidden;
    run.steps_per_snapshot = (size_t)(5e10 / operations) + 1;
    if (progress->steps == 0 && progress->row != 0)
        FN(make_order)(&run);

    int tiny = run.batch_size == n_rows && run.kernels->tiny_fits(n_rows, network);
    for (size_t done = 0; progress->epoch < training->epochs && (max_steps == 0 || done < max_steps);) {
        size_t most = max_steps == 0 ? SIZE_MAX : max_steps - done, before = progress->steps;
        int finite = tiny ? FN(tiny_steps)(&run, most) : FN(step)(&run);
        done += progress->steps - before;
        if (finite && progress->epoch == training->epochs)
            finite = FN(all_finite)(e->n_parameters, parameters);
        if (!finite) {
            size_t steps = progress->steps;
            FN(go_back)(&run);
            int ends_epoch = n_rows - progress->row <= run.batch_size;
            progress->diverged_epoch = progress->epoch + (steps > 0 && ends_epoch);
            return PN_DIVERGED;
        }
    }
    return PN_OK;
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
