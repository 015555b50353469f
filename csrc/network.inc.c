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

/* A network at work. */
typedef struct FN(model) {
    const pn_network *network;
    const FN(pn_kernels) *kernels;
    FN(extent) e;
    real *parameters;
    real *packed;         /* weights in the kernels' order, layer after layer, where that pays; NULL: none */
    size_t packed_rows;   /* of the batches that they are packed for */
} FN(model);

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

/* Layer l's parameters: n from number `first` on, of which the first n_packed, its weights or none, are in `packed`. */
typedef struct FN(place) {
    size_t l, first, n, n_packed;
    real *packed;
} FN(place);

static FN(place) FN(place_of)(const FN(model) *model, size_t l, size_t first, real *packed)
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
    return FN(place_of)(model, at.l + 1, at.first + at.n, FN(after_packed)(at.packed, FN(packed_size)(model, at.l)));
}

#define PN_FOR_PLACES(at, model)                                                                                     \
    for (FN(place) at = FN(place_of)(model, 0, 0, (model)->packed); at.l < (model)->network->n_layers;               \
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
            model->kernels->pack(layer->n_in, layer->n_out, parameters + at.first, at.packed);
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
            model->kernels->unpack(layer->n_in, layer->n_out, at.packed, parameters + at.first);
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
        if (at.n_packed > 0 && !model->kernels->packed_finite(layer->n_in, layer->n_out, at.packed))
            return 0;
        if (!model->kernels->all_finite(at.n - at.n_packed, model->parameters + at.first + at.n_packed))
            return 0;
    }
    return 1;
}

#undef PN_FOR_PLACES

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
    PN_REQUIRE(n_bytes != NULL, PN_NULL_POINTER);
    PN_TRY(pn_ready(&isa));
    PN_TRY(FN(measure)(n_rows, network, &e));
    FN(forward_plan) plan = FN(plan_forward)(n_rows, network, &isa->MEMBER, &e);
    *n_bytes = plan.bytes + plan.packed <= FN(STACK_BYTES) ? 0 : plan.bytes + plan.packed + PN_WORKSPACE_ALIGNMENT;
    return PN_OK;
}

pn_status FN(pn_forward)(size_t n_rows, const pn_network *network, const real *parameters, const real *x,
                         real *out, void *workspace, size_t workspace_bytes)
{
    const pn_isa_kernels *isa;
    _Alignas(PN_WORKSPACE_ALIGNMENT) char stack[FN(STACK_BYTES)];
    FN(extent) e;
    PN_TRY(pn_ready(&isa));
    PN_TRY(FN(measure)(n_rows, network, &e));
    const pn_array inputs[] = {PN_ARRAY(parameters, e.n_parameters), PN_ARRAY(x, n_rows * e.n_in)};
    const pn_array outputs[] = {PN_ARRAY(out, n_rows * e.n_out), {workspace, workspace_bytes, 1}};
    FN(pass) pass = {{network, &isa->MEMBER, e, (real *)parameters, NULL, 0}, /* which are only read */
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
        space += plan->packed;
        FN(pack_parameters)(&pass.model, parameters);
    }

    /* Threads take parts, each with activations of its own; where these are too large, they share each product. */
    double microseconds = (double)n_rows * (2 * (double)e.n_parameters + 50 * (double)(e.hidden / n_rows)) / 1.6e5;
    if (parts > 1 && plan->bytes <= PN_TASK_BYTES && microseconds >= FN(MICROSECONDS_TO_SHARE))
        pn_parallel_for(parts, FN(forward_part), &pass, space, microseconds);
    else
        for (size_t part = 0; part < parts; part++)
            FN(forward_part)(&pass, part, space);
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
static void FN(forward)(size_t m, const FN(model) *model, const real *x, FN(tape) tape)
{
    const size_t n_layers = model->network->n_layers;
    FN(weights) weights = {model->parameters, model->packed};
    const real *a = x;
    real *next = tape.a;
    for (size_t l = 0; l + 1 < n_layers; l++) {
        const pn_layer *layer = &model->network->layers[l];
        FN(forward_layer)(m, model, l, &weights, a, layer->activation, next, tape.products);
        a = next;
        next += m * layer->n_out;
    }
    FN(forward_layer)(m, model, n_layers - 1, &weights, a, PN_IDENTITY, tape.grad_z[0], tape.products);
}

/* From grad_z[0] of the last layer: target = gradient where rate is 0, else parameters -= rate * gradient. */
static void FN(backward)(size_t m, const FN(model) *model, const real *x, FN(tape) tape, real rate, real *target)
{
    const FN(pn_kernels) *kernels = model->kernels;
    size_t end = model->e.n_parameters;
    const real *a = tape.a;
    real *packed = model->packed;
    for (size_t l = 0; l < model->network->n_layers; l++) {
        a += l + 1 < model->network->n_layers ? m * model->network->layers[l].n_out : 0;
        packed = FN(after_packed)(packed, FN(packed_size)(model, l));
    }
    for (size_t l = model->network->n_layers; l-- > 0;) {
        const pn_layer *layer = &model->network->layers[l];
        size_t k = layer->n_in, n = layer->n_out, packed_size = FN(packed_size)(model, l);
        size_t bias = end - (layer->has_bias ? n : 0), weight = bias - k * n;
        real *grad_z = tape.grad_z[0];
        packed = packed == NULL ? NULL : packed - FN(taken)(packed_size) / sizeof(real);
        if (l == 0)
            a = x;
        else {
            a -= m * k;
            if (packed_size > 0)
                kernels->dense_backward_x_packed(m, k, n, grad_z, packed, layer[-1].activation, a, tape.grad_z[1],
                                                 tape.products);
            else
                kernels->dense_backward_x(m, k, n, grad_z, model->parameters + weight, layer[-1].activation, a,
                                          tape.grad_z[1], tape.products);
        }
        if (packed_size > 0)
            kernels->dense_backward_weight_packed(m, k, n, a, grad_z, rate, packed, tape.products);
        else
            kernels->dense_backward_weight(m, k, n, a, grad_z, rate, target + weight, tape.products);
        if (layer->has_bias)
            kernels->dense_backward_bias(m, n, grad_z, rate, target + bias);
        tape.grad_z[0] = tape.grad_z[1];
        tape.grad_z[1] = grad_z;
        end = weight;
    }
}

/* Loss of m rows, summed; leaves grad_z of the last layer in grad_z[0]. */
static double FN(loss)(size_t m, const FN(model) *model, const real *x, const real *y, FN(tape) tape)
{
    const pn_network *network = model->network;
    FN(forward)(m, model, x, tape);
    return model->kernels->loss(network->loss, m * model->e.n_out, network->layers[network->n_layers - 1].activation,
                                tape.grad_z[0], y, (real)(1 / FN(denominator)(network, m)), tape.grad_z[0]);
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

pn_status FN(pn_gradient_workspace)(size_t n_rows, const pn_network *network, size_t *n_bytes)
{
    const pn_isa_kernels *isa;
    FN(extent) e;
    PN_REQUIRE(n_bytes != NULL, PN_NULL_POINTER);
    PN_TRY(pn_ready(&isa));
    PN_TRY(FN(measure)(n_rows, network, &e));
    *n_bytes = FN(tape_bytes)(n_rows, network, &isa->MEMBER, &e) + PN_WORKSPACE_ALIGNMENT;
    return PN_OK;
}

pn_status FN(pn_loss_and_gradient)(size_t n_rows, const pn_network *network, const real *parameters,
                                   const real *x, const real *y, double *loss, real *gradient,
                                   void *workspace, size_t workspace_bytes)
{
    const pn_isa_kernels *isa;
    FN(extent) e;
    PN_TRY(pn_ready(&isa));
    PN_TRY(FN(measure)(n_rows, network, &e));
    const pn_array inputs[] = {PN_ARRAY(parameters, e.n_parameters), PN_ARRAY(x, n_rows * e.n_in),
                               PN_ARRAY(y, n_rows * e.n_out)};
    const pn_array outputs[] = {PN_ARRAY(loss, 1), PN_ARRAY(gradient, e.n_parameters), {workspace, workspace_bytes, 1}};
    PN_TRY(pn_check_arrays(inputs, 3, outputs, 3));
    size_t bytes = FN(tape_bytes)(n_rows, network, &isa->MEMBER, &e) + PN_WORKSPACE_ALIGNMENT;
    PN_REQUIRE(workspace_bytes >= bytes, PN_WORKSPACE_TOO_SMALL);
    const FN(model) model = {network, &isa->MEMBER, e, (real *)parameters, NULL, 0}; /* which are only read */
    PN_TRY(FN(check_data)(n_rows, &model, x, y));

    char *space = pn_align_workspace(workspace);
    FN(tape) tape = FN(take_tape)(&space, n_rows, &e);
    *loss = FN(loss)(n_rows, &model, x, y, tape) / FN(denominator)(network, n_rows);
    FN(backward)(n_rows, &model, x, tape, 0, gradient);
    return PN_OK;
}

#else
#include "plainnet.h"
#endif
