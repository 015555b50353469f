/* A whole network for one dtype: forward, loss and gradient. Layers are walked here, computed in kernels. */
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
    size_t hidden;                     /* neurons of all hidden layers */
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
    PN_TRY(pn_add_product(&total, e->n_parameters, 8, 1));
    for (size_t l = 0; l < network->n_layers; l++) {
        size_t n_out = network->layers[l].n_out;
        PN_TRY(pn_add_product(&total, n_rows, n_out, 6));
        e->max_width = n_out > e->max_width ? n_out : e->max_width;
        hidden += l + 1 < network->n_layers ? n_out : 0;
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

/* A network at work. */
typedef struct FN(model) {
    const pn_network *network;
    const FN(pn_kernels) *kernels;
    FN(extent) e;
    real *parameters;
    real *packed;         /* weights in the kernels' order, layer after layer, where that pays; NULL: none */
    size_t packed_rows;   /* of the blocks that they are packed for */
    size_t packed_size;   /* elements of all packed weights */
} FN(model);

/* An array laid out as a model's parameters: weights that it keeps packed are in `packed`, all else is in `plain`. */
typedef struct FN(values) {
    real *plain, *packed;
} FN(values);

/* Elements of layer l's packed weights, 0 if it has none. */
static size_t FN(packed_size)(const FN(model) *model, size_t l)
{
    const pn_layer *layer = &model->network->layers[l];
    return model->packed == NULL ? 0 : model->kernels->packed_size(model->packed_rows, layer->n_in, layer->n_out);
}

static real *FN(after_packed)(real *packed, size_t size)
{
    return packed == NULL ? NULL : packed + FN(taken)(size) / sizeof(real);
}

/*
 * Layer l's parameters: n from number `first` on. Of these the first n_packed, its weights or none, are among the
 * packed ones from number `packed` on.
 */
typedef struct FN(place) {
    size_t l, first, n, n_packed, packed;
} FN(place);

static FN(place) FN(place_of)(const FN(model) *model, size_t l, size_t first, size_t packed)
{
    FN(place) place = {.l = l, .first = first, .packed = packed};
    if (l < model->network->n_layers) {
        const pn_layer *layer = &model->network->layers[l];
        size_t n_weights = layer->n_in * layer->n_out;
        place.n = n_weights + (layer->has_bias ? layer->n_out : 0);
        place.n_packed = FN(packed_size)(model, l) > 0 ? n_weights : 0;
    }
    return place;
}

static FN(place) FN(next_place)(const FN(model) *model, FN(place) at)
{
    size_t packed = at.packed + FN(taken)(FN(packed_size)(model, at.l)) / sizeof(real);
    return FN(place_of)(model, at.l + 1, at.first + at.n, packed);
}

#define PN_FOR_PLACES(at, model)                                                                                     \
    for (FN(place) at = FN(place_of)(model, 0, 0, 0); at.l < (model)->network->n_layers;                             \
         at = FN(next_place)(model, at))

/*
 * All of `parameters` to where a model with packed weights has them; what it does not pack goes to its own parameters,
 * unless these are the same.
 */
static void FN(pack_parameters)(const FN(model) *model, const real *parameters)
{
    PN_FOR_PLACES(at, model) {
        const pn_layer *layer = &model->network->layers[at.l];
        size_t plain = at.first + at.n_packed;
        if (at.n_packed > 0)
            model->kernels->pack(layer->n_in, layer->n_out, parameters + at.first, model->packed + at.packed);
        if (parameters != model->parameters)
            memcpy(model->parameters + plain, parameters + plain, (at.n - at.n_packed) * sizeof(real));
    }
}

/* And back. */
static void FN(unpack_parameters)(const FN(model) *model, real *parameters)
{
    PN_FOR_PLACES(at, model) {
        const pn_layer *layer = &model->network->layers[at.l];
        size_t plain = at.first + at.n_packed;
        if (at.n_packed > 0)
            model->kernels->unpack(layer->n_in, layer->n_out, model->packed + at.packed, parameters + at.first);
        if (parameters != model->parameters)
            memcpy(parameters + plain, model->parameters + plain, (at.n - at.n_packed) * sizeof(real));
    }
}

static int FN(parameters_finite)(const FN(model) *model)
{
    if (model->packed == NULL)
        return model->kernels->all_finite(model->e.n_parameters, model->parameters);
    PN_FOR_PLACES(at, model) {
        const pn_layer *layer = &model->network->layers[at.l];
        if (at.n_packed > 0 && !model->kernels->packed_finite(layer->n_in, layer->n_out, model->packed + at.packed))
            return 0;
        if (!model->kernels->all_finite(at.n - at.n_packed, model->parameters + at.first + at.n_packed))
            return 0;
    }
    return 1;
}

/* Bytes of a network's packed weights, for batches of about so many rows. */
static size_t FN(all_packed_bytes)(size_t n_rows, const pn_network *network, const FN(pn_kernels) *kernels)
{
    size_t bytes = 0;
    for (size_t l = 0; l < network->n_layers; l++)
        bytes += FN(taken)(kernels->packed_size(n_rows, network->layers[l].n_in, network->layers[l].n_out));
    return bytes;
}

/* Where a layer's weights are; forward_layer goes on to the next layer's. */
typedef struct FN(weights) {
    const real *plain;
    real *packed;
} FN(weights);

/* out[m][n_out] = f(a @ weight + bias) of layer l. */
static void FN(forward_layer)(size_t m, const FN(model) *model, size_t l, FN(weights) *weights, const real *a,
                              pn_activation f, real *out, real *products)
{
    const pn_layer *layer = &model->network->layers[l];
    size_t k = layer->n_in, n = layer->n_out, packed_size = FN(packed_size)(model, l);
    const real *end = weights->plain + k * n, *bias = layer->has_bias ? end : NULL;
    if (packed_size > 0)
        model->kernels->dense_forward_packed(m, k, n, a, weights->packed, bias, f, out, products);
    else
        model->kernels->dense_forward(m, k, n, a, weights->plain, bias, f, out, products);
    weights->plain = end + (layer->has_bias ? n : 0);
    weights->packed = FN(after_packed)(weights->packed, packed_size);
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

/*
 * A pass that needs no more than so many bytes of workspace keeps them on the stack; one that takes so long is for
 * threads; and one of so many parts packs the weights first.
 */
enum { FN(STACK_BYTES) = 8192, FN(MICROSECONDS_TO_SHARE) = 100, FN(PARTS_TO_PACK) = 2 };

typedef struct FN(forward_plan) {
    size_t rows;       /* at a time */
    size_t hidden;     /* elements of each of two hidden activations */
    size_t products;   /* elements */
    size_t bytes;      /* of these three */
    size_t packed;     /* bytes of packed weights; 0: for so few rows it does not pay */
    int thin;          /* the kernels have a way of their own for all layers, and need nothing of the above */
} FN(forward_plan);

static FN(forward_plan) FN(plan_forward)(size_t n_rows, const pn_network *network, const FN(pn_kernels) *kernels,
                                         const FN(extent) *e)
{
    FN(forward_plan) plan = {.rows = FN(forward_rows)(n_rows, e), .thin = kernels->thin_fits(n_rows, network)};
    if (plan.thin)
        return plan;
    plan.hidden = network->n_layers == 1 ? 0 : plan.rows * e->max_width;
    plan.products = FN(products)(plan.rows, network, kernels->dense_forward_workspace);
    plan.bytes = 2 * FN(taken)(plan.hidden) + FN(taken)(plan.products);
    plan.packed = n_rows / plan.rows < FN(PARTS_TO_PACK) ? 0 : FN(all_packed_bytes)(plan.rows, network, kernels);
    return plan;
}

typedef struct FN(pass) {
    FN(model) model;
    FN(forward_plan) plan;
    size_t n_rows;
    const real *x;
    real *out;
} FN(pass);

/* The rows of one part of the plan, through all layers. */
static void FN(forward_part)(void *context, size_t part, void *scratch)
{
    const FN(pass) *pass = context;
    const FN(model) *model = &pass->model;
    const size_t row = part * pass->plan.rows, left = pass->n_rows - row, n_layers = model->network->n_layers;
    const size_t m = left < pass->plan.rows ? left : pass->plan.rows;
    if (pass->plan.thin) {
        model->kernels->thin_forward(m, model->network, model->parameters, pass->x + row * model->e.n_in,
                                     pass->out + row * model->e.n_out);
        return;
    }
    char *space = scratch;
    real *products = FN(take)(&space, pass->plan.products);
    real *hidden[2] = {FN(take)(&space, pass->plan.hidden), FN(take)(&space, pass->plan.hidden)};
    FN(weights) weights = {model->parameters, model->packed};
    const real *a = pass->x + row * model->e.n_in;
    for (size_t l = 0; l < n_layers; l++) {
        real *next = l + 1 == n_layers ? pass->out + row * model->e.n_out : hidden[l % 2];
        FN(forward_layer)(m, model, l, &weights, a, model->network->layers[l].activation, next, products);
        a = next;
    }
}

pn_status FN(pn_forward_workspace)(size_t n_rows, const pn_network *network, size_t *n_bytes)
{
    const pn_isa_kernels *isa;
    FN(extent) e;
    size_t most = 0;
    PN_REQUIRE(n_bytes != NULL, PN_NULL_POINTER);
    PN_TRY(pn_ready(&isa));
    PN_TRY(FN(measure)(n_rows, network, &e));
    for (size_t i = 0; (isa = pn_usable_isa(i)) != NULL; i++) {
        FN(forward_plan) plan = FN(plan_forward)(n_rows, network, &isa->MEMBER, &e);
        size_t bytes = plan.bytes + plan.packed;
        if (bytes > FN(STACK_BYTES) && bytes + PN_WORKSPACE_ALIGNMENT > most)
            most = bytes + PN_WORKSPACE_ALIGNMENT;
    }
    *n_bytes = most;
    return PN_OK;
}

pn_status FN(pn_forward)(size_t n_rows, const pn_network *network, const real *parameters, const real *x,
                         real *out, void *workspace, size_t workspace_bytes)
{
    const pn_isa_kernels *isa;
    _Alignas(PN_WORKSPACE_ALIGNMENT) char stack[FN(STACK_BYTES)];
    FN(extent) e;
    PN_TRY(pn_ready(&isa));
    PN_EXACT_MODE;
    PN_TRY(FN(measure)(n_rows, network, &e));
    const pn_array inputs[] = {PN_ARRAY(parameters, e.n_parameters), PN_ARRAY(x, n_rows * e.n_in)};
    const pn_array outputs[] = {PN_ARRAY(out, n_rows * e.n_out), {workspace, workspace_bytes, 1}};
    FN(pass) pass = {{.network = network, .kernels = &isa->MEMBER, .e = e, .parameters = (real *)parameters}, /* read */
                     FN(plan_forward)(n_rows, network, &isa->MEMBER, &e), n_rows, x, out};
    const FN(forward_plan) *plan = &pass.plan;
    size_t bytes = plan->bytes + plan->packed, parts = (n_rows - 1) / plan->rows + 1;
    int on_stack = bytes <= FN(STACK_BYTES);
    PN_TRY(pn_check_arrays(inputs, 2, outputs, on_stack ? 1 : 2));
    PN_REQUIRE(on_stack || workspace_bytes >= bytes + PN_WORKSPACE_ALIGNMENT, PN_WORKSPACE_TOO_SMALL);
    char *space = on_stack ? stack : pn_align_workspace(workspace);
    if (plan->packed > 0) {
        pass.model.packed = (real *)(void *)space;
        pass.model.packed_rows = plan->rows;
        pass.model.packed_size = plan->packed / sizeof(real);
        space += plan->packed;
        FN(pack_parameters)(&pass.model, parameters);
    }

    /* Threads take parts, each with activations of its own; where these are too large, they share each product. */
    double microseconds = (double)n_rows * (2 * (double)e.n_parameters + 50 * (double)e.hidden) / 1.6e5;
    if (parts > 1 && plan->bytes <= PN_TASK_BYTES && microseconds >= FN(MICROSECONDS_TO_SHARE))
        pn_parallel_for(parts, FN(forward_part), &pass, space, microseconds);
    else
        for (size_t part = 0; part < parts; part++)
            FN(forward_part)(&pass, part, space);
    return PN_OK;
}

/* ---- Loss and gradient of one block of rows ----------------------------------------------------------- */

/* Rows of x and y: those that follow each other in memory or, with `order`, row i is row order[i] of x and y. */
typedef struct FN(rows) {
    size_t n;
    const real *x, *y;
    const size_t *order;
} FN(rows);

/* What back-propagation keeps of a block of rows between the forward and the backward pass. */
typedef struct FN(tape) {
    real *gathered_x, *gathered_y; /* rows in an order of their own; NULL: they are used where they lie */
    const real *x;                 /* the block's rows, gathered or not */
    real *a;                       /* activations of the hidden layers, one after another */
    real *grad_z[2];               /* of the layer at hand and of the one before it */
    real *products;
} FN(tape);

/* How many of a batch's rows go through the network together. */
static size_t FN(block_rows)(size_t n_rows) { return n_rows < PN_BLOCK_ROWS ? n_rows : PN_BLOCK_ROWS; }

static size_t FN(tape_bytes)(size_t m, const pn_network *network, const FN(pn_kernels) *kernels, const FN(extent) *e,
                             int gathers)
{
    size_t gathered = gathers ? FN(taken)(m * e->n_in) + FN(taken)(m * e->n_out) : 0;
    size_t products = FN(products)(m, network, kernels->dense_workspace);
    return gathered + FN(taken)(m * e->hidden) + 2 * FN(taken)(m * e->max_width) + FN(taken)(products);
}

static FN(tape) FN(take_tape)(char *space, size_t m, const FN(extent) *e, int gathers)
{
    FN(tape) tape = {0};
    if (gathers) {
        tape.gathered_x = FN(take)(&space, m * e->n_in);
        tape.gathered_y = FN(take)(&space, m * e->n_out);
    }
    tape.a = FN(take)(&space, m * e->hidden);
    tape.grad_z[0] = FN(take)(&space, m * e->max_width);
    tape.grad_z[1] = FN(take)(&space, m * e->max_width);
    tape.products = (real *)(void *)space; /* to the end */
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
static void FN(forward)(size_t m, const FN(model) *model, FN(tape) tape)
{
    const size_t n_layers = model->network->n_layers;
    FN(weights) weights = {model->parameters, model->packed};
    const real *a = tape.x;
    real *next = tape.a;
    for (size_t l = 0; l + 1 < n_layers; l++) {
        const pn_layer *layer = &model->network->layers[l];
        FN(forward_layer)(m, model, l, &weights, a, layer->activation, next, tape.products);
        a = next;
        next += m * layer->n_out;
    }
    FN(forward_layer)(m, model, n_layers - 1, &weights, a, PN_IDENTITY, tape.grad_z[0], tape.products);
}

/*
 * From grad_z[0] of the last layer. rate 0: target = gradient. Otherwise target is the model's own values, and
 * target -= rate * gradient, layer by layer.
 */
static void FN(backward)(size_t m, const FN(model) *model, FN(tape) tape, real rate, FN(values) target)
{
    const FN(pn_kernels) *kernels = model->kernels;
    size_t end = model->e.n_parameters;
    const real *a = tape.a + m * model->e.hidden;
    size_t packed = model->packed_size;
    for (size_t l = model->network->n_layers; l-- > 0;) {
        const pn_layer *layer = &model->network->layers[l];
        size_t k = layer->n_in, n = layer->n_out, packed_size = FN(packed_size)(model, l);
        size_t bias = end - (layer->has_bias ? n : 0), weight = bias - k * n;
        real *grad_z = tape.grad_z[0];
        packed -= FN(taken)(packed_size) / sizeof(real);
        if (l == 0)
            a = tape.x;
        else {
            a -= m * k;
            if (packed_size > 0)
                kernels->dense_backward_x_packed(m, k, n, grad_z, model->packed + packed, layer[-1].activation, a,
                                                 tape.grad_z[1], tape.products);
            else
                kernels->dense_backward_x(m, k, n, grad_z, model->parameters + weight, layer[-1].activation, a,
                                          tape.grad_z[1], tape.products);
        }
        if (packed_size > 0)
            kernels->dense_backward_weight_packed(m, k, n, a, grad_z, rate, target.packed + packed, tape.products);
        else
            kernels->dense_backward_weight(m, k, n, a, grad_z, rate, target.plain + weight, tape.products);
        if (layer->has_bias)
            kernels->dense_backward_bias(m, n, grad_z, rate, target.plain + bias);
        tape.grad_z[0] = tape.grad_z[1];
        tape.grad_z[1] = grad_z;
        end = weight;
    }
}

static void FN(gather)(size_t m, size_t n, const size_t *order, const real *rows, real *out)
{
    for (size_t i = 0; i < m; i++)
        memcpy(out + i * n, rows + order[i] * n, n * sizeof *out);
}

/*
 * The loss of m rows from number `first` on, summed. It leaves grad_z of the last layer in grad_z[0], where the loss is
 * that of all rows: the mean is taken over these.
 */
static double FN(loss)(const FN(model) *model, const FN(rows) *rows, size_t first, size_t m, FN(tape) *tape)
{
    const pn_network *network = model->network;
    size_t n_in = model->e.n_in, n_out = model->e.n_out;
    const real *y = rows->y + first * n_out;
    tape->x = rows->x + first * n_in;
    if (rows->order != NULL) {
        FN(gather)(m, n_in, rows->order + first, rows->x, tape->gathered_x);
        FN(gather)(m, n_out, rows->order + first, rows->y, tape->gathered_y);
        tape->x = tape->gathered_x;
        y = tape->gathered_y;
    }
    FN(forward)(m, model, *tape);
    return model->kernels->loss(network->loss, m * n_out, network->layers[network->n_layers - 1].activation,
                                tape->grad_z[0], y, (real)(1 / FN(denominator)(network, rows->n)), tape->grad_z[0]);
}

/* ---- Gradient of many rows, block by block ------------------------------------------------------------ */

/*
 * The gradients of blocks of PN_BLOCK_ROWS rows, the last one of what is left, are added in order, and so are the
 * rounding errors of these additions: the sum is as exact for 2^25 rows as for a block, and memory does not grow with
 * the rows. Threads may compute several blocks at a time, each into an array of its own.
 */
enum { FN(MAX_BLOCKS_AT_ONCE) = 16, FN(BLOCKS_AT_ONCE_BYTES) = 1 << 22 };

/* Arrays that follow each other: the total, the errors, and the gradients of n_blocks blocks. */
typedef struct FN(sums) {
    char *arrays;
    size_t packed_bytes, array_bytes; /* of the packed weights in an array, and of all of it */
    size_t n_blocks, tape_bytes;      /* tape_bytes: of a block */
} FN(sums);

enum { FN(TOTAL), FN(ERROR), FN(FIRST_BLOCK) };

static FN(values) FN(array_of)(const FN(sums) *sums, size_t number)
{
    char *array = sums->arrays + number * sums->array_bytes;
    return (FN(values)){(real *)(void *)(array + sums->packed_bytes), (real *)(void *)array};
}

/* Of a single block, which needs no sums, there are no arrays. */
static FN(sums) FN(plan_sums)(size_t n_rows, const FN(extent) *e, size_t packed_bytes)
{
    FN(sums) sums = {.packed_bytes = packed_bytes, .array_bytes = packed_bytes + FN(taken)(e->n_parameters)};
    if (n_rows > PN_BLOCK_ROWS) {
        size_t n = FN(BLOCKS_AT_ONCE_BYTES) / sums.array_bytes, all = (n_rows - 1) / PN_BLOCK_ROWS + 1;
        n = n > (size_t)FN(MAX_BLOCKS_AT_ONCE) ? (size_t)FN(MAX_BLOCKS_AT_ONCE) : n < 1 ? 1 : n;
        sums.n_blocks = n < all ? n : all;
    }
    return sums;
}

static size_t FN(sums_bytes)(const FN(sums) *sums)
{
    return sums->n_blocks == 0 ? 0 : (FN(FIRST_BLOCK) + sums->n_blocks) * sums->array_bytes;
}

/* Adds the gradient of one block to the sums. */
static void FN(add_block)(const FN(model) *model, FN(values) block, const FN(sums) *sums)
{
    const FN(values) total = FN(array_of)(sums, FN(TOTAL)), error = FN(array_of)(sums, FN(ERROR));
    PN_FOR_PLACES(at, model) {
        size_t plain = at.first + at.n_packed;
        if (at.n_packed > 0)
            model->kernels->add_block(FN(packed_size)(model, at.l), block.packed + at.packed, total.packed + at.packed,
                                      error.packed + at.packed);
        model->kernels->add_block(at.n - at.n_packed, block.plain + plain, total.plain + plain, error.plain + plain);
    }
}

/* A step of gradient descent along the sums. */
static void FN(descend)(const FN(model) *model, const FN(sums) *sums, real rate)
{
    const FN(values) total = FN(array_of)(sums, FN(TOTAL)), error = FN(array_of)(sums, FN(ERROR));
    PN_FOR_PLACES(at, model) {
        size_t plain = at.first + at.n_packed;
        if (at.n_packed > 0)
            model->kernels->descend(FN(packed_size)(model, at.l), total.packed + at.packed, error.packed + at.packed,
                                    rate, model->packed + at.packed);
        model->kernels->descend(at.n - at.n_packed, total.plain + plain, error.plain + plain, rate,
                                model->parameters + plain);
    }
}

#undef PN_FOR_PLACES

/* Blocks that follow each other, computed at the same time. */
typedef struct FN(wave) {
    const FN(model) *model;
    const FN(rows) *rows;
    const FN(sums) *sums;
    size_t first;                              /* number of the first block */
    double losses[FN(MAX_BLOCKS_AT_ONCE)];
} FN(wave);

static void FN(block_gradient)(void *context, size_t index, void *scratch)
{
    FN(wave) *wave = context;
    const FN(rows) *rows = wave->rows;
    size_t row = (wave->first + index) * PN_BLOCK_ROWS, m = FN(block_rows)(rows->n - row);
    FN(tape) tape = FN(take_tape)(scratch, m, &wave->model->e, rows->order != NULL);
    wave->losses[index] = FN(loss)(wave->model, rows, row, m, &tape);
    FN(backward)(m, wave->model, tape, 0, FN(array_of)(wave->sums, FN(FIRST_BLOCK) + index));
}

/*
 * The loss of more rows than a block, summed, and its gradient in the sums' total and errors. If the loss is not
 * finite, these hold no gradient. scratch: sums->tape_bytes. Where a block's tape is too large for a thread's own
 * memory, threads share each product instead of blocks.
 */
static double FN(sum_blocks)(const FN(model) *model, const FN(rows) *rows, const FN(sums) *sums, char *scratch)
{
    double operations_a_row = 6 * (double)model->e.n_parameters + 50 * (double)(model->e.hidden + model->e.n_out);
    double microseconds = PN_BLOCK_ROWS * operations_a_row / 1.6e5, loss = 0; /* for a block */
    size_t threads = pn_num_threads(), at_once = 2 * threads < sums->n_blocks ? 2 * threads : sums->n_blocks;
    int shares_blocks = threads > 1 && at_once > 1 && sums->tape_bytes <= PN_TASK_BYTES &&
                        microseconds * (double)at_once >= FN(MICROSECONDS_TO_SHARE);
    FN(wave) wave = {.model = model, .rows = rows, .sums = sums};
    memset(sums->arrays, 0, FN(FIRST_BLOCK) * sums->array_bytes); /* the total and the errors */
    for (size_t n = 0, n_blocks = (rows->n - 1) / PN_BLOCK_ROWS + 1; wave.first < n_blocks; wave.first += n) {
        size_t left = n_blocks - wave.first;
        n = !shares_blocks ? 1 : left < at_once ? left : at_once;
        if (n > 1)
            pn_parallel_for(n, FN(block_gradient), &wave, scratch, microseconds * (double)n);
        else
            FN(block_gradient)(&wave, 0, scratch);
        for (size_t i = 0; i < n; i++) {
            loss += wave.losses[i];
            FN(add_block)(model, FN(array_of)(sums, FN(FIRST_BLOCK) + i), sums);
        }
        if (!isfinite(loss))
            break;
    }
    return loss;
}

static pn_status FN(check_data)(size_t n_rows, const FN(model) *model, const real *x, const real *y)
{
    int outside = 0;
    PN_REQUIRE(model->kernels->all_finite(n_rows * model->e.n_in, x), PN_DATA_NOT_FINITE);
    PN_REQUIRE(model->kernels->all_finite(n_rows * model->e.n_out, y), PN_DATA_NOT_FINITE);
    if (model->network->loss == PN_LOG_LOSS)
        for (size_t i = 0; i < n_rows * model->e.n_out; i++)
            outside |= !(y[i] >= 0 && y[i] <= 1);
    PN_REQUIRE(!outside, PN_TARGET_OUT_OF_RANGE);
    return PN_OK;
}

static size_t FN(gradient_bytes)(size_t n_rows, const pn_network *network, const FN(pn_kernels) *kernels,
                                 const FN(extent) *e)
{
    const FN(sums) sums = FN(plan_sums)(n_rows, e, 0);
    return PN_WORKSPACE_ALIGNMENT + FN(sums_bytes)(&sums) +
           FN(tape_bytes)(FN(block_rows)(n_rows), network, kernels, e, 0);
}

pn_status FN(pn_gradient_workspace)(size_t n_rows, const pn_network *network, size_t *n_bytes)
{
    const pn_isa_kernels *isa;
    FN(extent) e;
    size_t most = 0;
    PN_REQUIRE(n_bytes != NULL, PN_NULL_POINTER);
    PN_TRY(pn_ready(&isa));
    PN_TRY(FN(measure)(n_rows, network, &e));
    for (size_t i = 0; (isa = pn_usable_isa(i)) != NULL; i++) {
        size_t bytes = FN(gradient_bytes)(n_rows, network, &isa->MEMBER, &e);
        most = bytes > most ? bytes : most;
    }
    *n_bytes = most;
    return PN_OK;
}

pn_status FN(pn_loss_and_gradient)(size_t n_rows, const pn_network *network, const real *parameters,
                                   const real *x, const real *y, double *loss, real *gradient,
                                   void *workspace, size_t workspace_bytes)
{
    const pn_isa_kernels *isa;
    FN(extent) e;
    PN_TRY(pn_ready(&isa));
    PN_EXACT_MODE;
    PN_TRY(FN(measure)(n_rows, network, &e));
    const pn_array inputs[] = {PN_ARRAY(parameters, e.n_parameters), PN_ARRAY(x, n_rows * e.n_in),
                               PN_ARRAY(y, n_rows * e.n_out)};
    const pn_array outputs[] = {PN_ARRAY(loss, 1), PN_ARRAY(gradient, e.n_parameters), {workspace, workspace_bytes, 1}};
    PN_TRY(pn_check_arrays(inputs, 3, outputs, 3));
    size_t bytes = FN(gradient_bytes)(n_rows, network, &isa->MEMBER, &e);
    PN_REQUIRE(workspace_bytes >= bytes, PN_WORKSPACE_TOO_SMALL);
    const FN(model) model = {.network = network, .kernels = &isa->MEMBER, .e = e,
                             .parameters = (real *)parameters}; /* which are only read */
    PN_TRY(FN(check_data)(n_rows, &model, x, y));

    char *space = pn_align_workspace(workspace);
    size_t m = FN(block_rows)(n_rows);
    const FN(rows) rows = {n_rows, x, y, NULL};
    double sum;
    if (m == n_rows) {
        FN(tape) tape = FN(take_tape)(space, m, &e, 0);
        sum = FN(loss)(&model, &rows, 0, m, &tape);
        FN(backward)(m, &model, tape, 0, (FN(values)){gradient, NULL});
    } else {
        FN(sums) sums = FN(plan_sums)(n_rows, &e, 0);
        sums.arrays = space;
        sums.tape_bytes = FN(tape_bytes)(m, network, model.kernels, &e, 0);
        sum = FN(sum_blocks)(&model, &rows, &sums, space + FN(sums_bytes)(&sums));
        model.kernels->settle(e.n_parameters, FN(array_of)(&sums, FN(TOTAL)).plain,
                              FN(array_of)(&sums, FN(ERROR)).plain, gradient);
    }
    *loss = sum / FN(denominator)(network, n_rows);
    return PN_OK;
}

#else
#include "plainnet.h"
#endif
