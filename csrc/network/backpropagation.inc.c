/* Back-propagation of one block of rows. */

/* The step whose masks of dropout are meant. */
typedef struct FN(step_number) {
    uint64_t seed, epoch, step;
} FN(step_number);

/* Rows of x and y: those that follow each other in memory or, with `order`, row i is row order[i] of x and y. */
typedef struct FN(rows) {
    size_t n;
    const real *x, *y, *weight;    /* weight: NULL if all are 1 */
    const size_t *order;
    double denominator;            /* what their losses are divided by */
    double penalty_scale;          /* what the layers' penalty is multiplied by before it is added */
    const FN(step_number) *step;   /* of which they are the mini-batch; NULL: nothing is dropped */
} FN(rows);

/* What is kept of a block between the forward and the backward pass. */
typedef struct FN(tape) {
    real *gathered_x, *gathered_y, *gathered_weight; /* rows that have an order; NULL: rows are used where they lie */
    const real *x;                 /* the block's rows, gathered or not */
    real *a;                       /* activations of the hidden layers, one after another */
    real *z;                       /* and z, of those whose derivative is written in it */
    real *dropped;                 /* and what dropout has left of a, of those that have it */
    const FN(step_number) *step;   /* as in the rows */
    size_t first_row;              /* of the block, in them */
    real *grad_z[2];               /* of the layer at hand and of the one before it */
    real *out;                     /* the last layer's a; NULL: not wanted */
    real *products;                /* the workspace of the products */
} FN(tape);

/* How many of a batch's rows go through the network together. */
static size_t FN(block_rows)(size_t n_rows) { return n_rows < PN_BLOCK_ROWS ? n_rows : PN_BLOCK_ROWS; }

static size_t FN(tape_bytes)(size_t m, const pn_network *network, const FN(pn_kernels) *kernels, const FN(extent) *e,
                             int gathers)
{
    size_t gathered = gathers ? FN(arena_bytes)(m * e->n_in) + FN(arena_bytes)(m * e->n_targets) + FN(arena_bytes)(m) : 0;
    size_t products = FN(products)(m, network, kernels->dense_workspace);
    return gathered + FN(arena_bytes)(m * e->hidden) + FN(arena_bytes)(m * e->hidden_z) +
           FN(arena_bytes)(m * e->hidden_dropout) + 2 * FN(arena_bytes)(m * e->max_width) + FN(arena_bytes)(products);
}

static FN(tape) FN(make_tape)(char *space, size_t m, const FN(extent) *e, int gathers)
{
    FN(tape) tape = {0};
    if (gathers) {
        tape.gathered_x = FN(arena_alloc)(&space, m * e->n_in);
        tape.gathered_y = FN(arena_alloc)(&space, m * e->n_targets);
        tape.gathered_weight = FN(arena_alloc)(&space, m);
    }
    tape.a = FN(arena_alloc)(&space, m * e->hidden);
    tape.z = FN(arena_alloc)(&space, m * e->hidden_z);
    tape.dropped = FN(arena_alloc)(&space, m * e->hidden_dropout);
    tape.grad_z[0] = FN(arena_alloc)(&space, m * e->max_width);
    tape.grad_z[1] = FN(arena_alloc)(&space, m * e->max_width);
    tape.products = (real *)(void *)space; /* to the end */
    return tape;
}

/* Whether outputs of the layer are dropped. */
static int FN(drops)(const pn_layer *layer, const FN(tape) *tape)
{
    return tape->step != NULL && pn_options_of(layer)->dropout > 0;
}

/* out[m][n_out] = what dropout leaves of values, layer l's outputs or their gradient; in place allowed. */
static void FN(drop)(size_t m, const FN(model) *model, size_t l, const FN(tape) *tape, const real *values, real *out)
{
    const pn_layer *layer = &model->network->layers[l];
    uint64_t key = pn_key(pn_key(pn_key(tape->step->seed, tape->step->epoch), tape->step->step), l);
    model->kernels->dropout(key, tape->first_row, m, layer->n_out, pn_options_of(layer)->dropout, values, out);
}

/* Writes the hidden layers' a and z to the tape, and z of the last layer to grad_z[0]. */
static void FN(forward)(size_t m, const FN(model) *model, FN(tape) tape)
{
    const size_t n_layers = model->network->n_layers;
    const real *a = tape.x, *parameters = model->parameters;
    real *next = tape.a, *next_z = tape.z, *next_dropped = tape.dropped;
    for (size_t l = 0; l < n_layers; l++) {
        FN(storage) storage = FN(storage_of)(model, l);
        FN(pn_dense_layer) layer = FN(layer_at)(model, l, m, storage, parameters, tape.products);
        if (l + 1 == n_layers) {
            layer.f = PN_IDENTITY; /* the loss kernel applies the activation itself, as the log loss needs z */
            model->kernels->dense_forward(&layer, a, NULL, tape.grad_z[0]);
            return;
        }
        int keeps_z = pn_activations[layer.f].backward_needs_z;
        model->kernels->dense_forward(&layer, a, keeps_z ? next_z : NULL, next);
        parameters += storage.size;
        a = next;
        if (FN(drops)(&model->network->layers[l], &tape)) {
            FN(drop)(m, model, l, &tape, next, next_dropped);
            a = next_dropped;
            next_dropped += m * layer.n;
        }
        next += m * layer.n;
        next_z += keeps_z ? m * layer.n : 0;
    }
}

/*
 * From grad_z[0] of the last layer: target = the gradient if beta is 0, else beta target + alpha times the gradient,
 * layer by layer. target is stored as the parameters are, and may be these; NULL: not wanted. grad_x[m][n_in of the
 * network] = the gradient with respect to the input, or NULL.
 */
static void FN(backward)(size_t m, const FN(model) *model, FN(tape) tape, real alpha, real beta, real *target,
                         real *grad_x)
{
    const FN(pn_kernels) *kernels = model->kernels;
    size_t offset = FN(n_stored)(model);
    const real *a = tape.a + m * model->e.hidden, *z = tape.z + m * model->e.hidden_z;
    const real *dropped = tape.dropped + m * model->e.hidden_dropout;
    for (size_t l = model->network->n_layers; l-- > 0;) {
        FN(storage) storage = FN(storage_of)(model, l);
        offset -= storage.size;
        FN(pn_dense_layer) layer = FN(layer_at)(model, l, m, storage, model->parameters + offset, tape.products);
        real *grad_z = tape.grad_z[0];
        const real *x = tape.x; /* what the layer takes */
        if (l == 0) {
            if (grad_x != NULL)
                kernels->dense_backward_x(&layer, grad_z, PN_IDENTITY, NULL, x, grad_x);
        } else {
            pn_activation f_prev = model->network->layers[l - 1].activation;
            int kept_z = pn_activations[f_prev].backward_needs_z;
            x = a -= m * layer.k;
            z -= kept_z ? m * layer.k : 0;
            /* This comes first: the update of the weights overwrites what it reads. */
            kernels->dense_backward_x(&layer, grad_z, f_prev, kept_z ? z : NULL, a, tape.grad_z[1]);
            if (FN(drops)(&model->network->layers[l - 1], &tape)) {
                x = dropped -= m * layer.k;
                FN(drop)(m, model, l - 1, &tape, tape.grad_z[1], tape.grad_z[1]);
            }
        }
        if (target != NULL)
            kernels->dense_backward_weight(&layer, x, grad_z, alpha, beta, target + offset);
        if (target != NULL && layer.bias != NULL)
            kernels->dense_backward_bias(m, layer.n, grad_z, alpha, beta, target + offset + storage.n_weight);
        tape.grad_z[0] = tape.grad_z[1];
        tape.grad_z[1] = grad_z;
    }
}

/* a = f(z) of the last layer. */
static void FN(activate_last)(size_t m, const FN(model) *model, const real *z, real *a)
{
    const pn_activation f = model->network->layers[model->network->n_layers - 1].activation;
    if (f == PN_SOFTMAX)
        model->kernels->softmax(m, model->e.n_out, z, a);
    else
        model->kernels->activate(m * model->e.n_out, f, z, a);
}

/* grad_z = grad_a * f'(z) of the last layer. */
static void FN(activate_last_backward)(size_t m, const FN(model) *model, const real *z, const real *a, const real *grad_a,
                                       real *grad_z)
{
    const pn_activation f = model->network->layers[model->network->n_layers - 1].activation;
    if (f == PN_SOFTMAX)
        model->kernels->softmax_backward(m, model->e.n_out, a, grad_a, grad_z);
    else
        model->kernels->activate_backward(m * model->e.n_out, f, z, a, grad_a, grad_z);
}

/* Where a Jacobian begins: the tape after the forward pass, and the last layer's z, a and a gradient of a. */
typedef struct FN(outputs) {
    FN(tape) tape;
    real *z, *a, *grad_a;
} FN(outputs);

static size_t FN(outputs_bytes)(size_t m, const pn_network *network, const FN(pn_kernels) *kernels, const FN(extent) *e)
{
    return 3 * FN(arena_bytes)(m * e->n_out) + FN(tape_bytes)(m, network, kernels, e, 0);
}

/* The outputs of the m rows x, without dropout. */
static FN(outputs) FN(compute_outputs)(size_t m, const FN(model) *model, const real *x, char *space)
{
    const size_t n = m * model->e.n_out;
    FN(outputs) outputs;
    outputs.z = FN(arena_alloc)(&space, n);
    outputs.a = FN(arena_alloc)(&space, n);
    outputs.grad_a = FN(arena_alloc)(&space, n);
    outputs.tape = FN(make_tape)(space, m, &model->e, 0);
    outputs.tape.x = x;
    FN(forward)(m, model, outputs.tape);
    memcpy(outputs.z, outputs.tape.grad_z[0], n * sizeof(real));
    FN(activate_last)(m, model, outputs.z, outputs.a);
    return outputs;
}

/* grad_z[0] of the tape = the gradient of output j of each row alone, times scale[m] if that is not NULL. */
static void FN(begin_at_output)(size_t m, const FN(model) *model, const FN(outputs) *outputs, size_t j, const real *scale)
{
    const size_t n_out = model->e.n_out;
    memset(outputs->grad_a, 0, m * n_out * sizeof(real));
    for (size_t i = 0; i < m; i++)
        outputs->grad_a[i * n_out + j] = scale == NULL ? 1 : scale[i];
    FN(activate_last_backward)(m, model, outputs->z, outputs->a, outputs->grad_a, outputs->tape.grad_z[0]);
}

/* Sets the denominator and the penalty's scale of rows whose n, weight and order are set. */
static void FN(set_denominator)(const pn_network *network, FN(rows) *rows)
{
    double sum = rows->weight == NULL ? (double)rows->n : 0;
    for (size_t i = 0; rows->weight != NULL && i < rows->n; i++)
        sum += (double)rows->weight[rows->order == NULL ? i : rows->order[i]];
    rows->denominator = pn_loss_denominator(network, sum);
    rows->penalty_scale = !network->divide_penalty ? 1 : sum > 0 ? 1 / sum : 0;
}

static void FN(gather)(size_t m, size_t n, const size_t *order, const real *rows, real *out)
{
    for (size_t i = 0; i < m; i++)
        memcpy(out + i * n, rows + order[i] * n, n * sizeof *out);
}

/*
 * Runs the forward pass of m rows from number `first` on, and returns the sum of their losses, undivided. grad_z[0]
 * receives the gradient of the loss of all rows: a mean divides by rows->n, not by m.
 */
static double FN(loss)(const FN(model) *model, const FN(rows) *rows, size_t first, size_t m, FN(tape) *tape)
{
    size_t n_in = model->e.n_in, n_targets = model->e.n_targets;
    const real *y = rows->y + first * n_targets, *weight = rows->weight == NULL ? NULL : rows->weight + first;
    tape->x = rows->x + first * n_in;
    tape->step = rows->step;
    tape->first_row = first;
    if (rows->order != NULL) {
        FN(gather)(m, n_in, rows->order + first, rows->x, tape->gathered_x);
        FN(gather)(m, n_targets, rows->order + first, rows->y, tape->gathered_y);
        tape->x = tape->gathered_x;
        y = tape->gathered_y;
        if (weight != NULL) {
            FN(gather)(m, 1, rows->order + first, rows->weight, tape->gathered_weight);
            weight = tape->gathered_weight;
        }
    }
    FN(forward)(m, model, *tape);
    if (tape->out != NULL)
        FN(activate_last)(m, model, tape->grad_z[0], tape->out);
    return model->kernels->loss(model->network, m, tape->grad_z[0], y, weight, rows->denominator, tape->grad_z[0]);
}
