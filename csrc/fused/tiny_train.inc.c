/*
 * Full-batch training of a network that fits into a few cache lines (XOR and the like). The rows of the batch run along
 * the lanes of one vector: every activation is a vector operation, and nothing is packed or gathered.
 */

enum { FN(TINY_LAYERS) = 4, FN(TINY_NEURONS) = 32, FN(TINY_WIDTH) = 8 };

static int FN(tiny_fits)(size_t m, const pn_network *network, const pn_training *training)
{
    const pn_optimizer *optimizer = &training->optimizer;
    int full_batch = training->batch_size == 0 || training->batch_size >= m;
    int descends = pn_is_plain(optimizer) && optimizer->weight_decay == 0 && training->learning_rates == NULL;
    size_t widest = network->layers[0].n_in, neurons = widest;
    if (!full_batch || !descends || training->shuffle || training->order != NULL || network->loss_limit > 0 ||
        m > PN_LANES || network->n_layers > (size_t)FN(TINY_LAYERS) || !FN(has_known_activations)(network, 1))
        return 0;
    for (size_t l = 0; l < network->n_layers; l++) {
        size_t n = network->layers[l].n_out;
        if (network->layers[l].options != NULL)
            return 0;
        widest = n > widest ? n : widest;
        neurons += n;
    }
    /* and so there are at most 4 (8 * 8 + 8) = PN_TINY_PARAMETERS parameters */
    return widest <= (size_t)FN(TINY_WIDTH) && neurons <= (size_t)FN(TINY_NEURONS);
}

/* columns[n][PN_LANES] = rows[m][n] transposed; the lanes from m on are zero. */
static inline PN_INLINE void FN(tiny_columns)(size_t m, size_t n, const real *rows, real *columns)
{
    memset(columns, 0, n * PN_LANES * sizeof *columns);
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++)
            columns[j * PN_LANES + i] = rows[i * n + j];
}

/* The three products of a layer. The number of neurons n is a constant, and all loops over it are unrolled. */

/* z[n][PN_LANES] = bias + x weight, from x[k][PN_LANES]. */
static inline PN_INLINE void FN(tiny_forward_n)(const int n, size_t k, const real *x, const real *weight,
                                                const real *bias, real *z)
{
    FN(vec) sum[FN(TINY_WIDTH)];
    PN_UNROLL
    for (int j = 0; j < n; j++)
        sum[j] = FN(broadcast)(bias != NULL ? bias[j] : 0);
    for (; k > 0; k--, x += PN_LANES, weight += n) {
        FN(vec) column = FN(load)(x);
        PN_UNROLL
        for (int j = 0; j < n; j++)
            sum[j] = FN(vec_fma)(column, FN(broadcast)(weight[j]), sum[j]);
    }
    PN_UNROLL
    for (int j = 0; j < n; j++)
        FN(store)(z + j * PN_LANES, sum[j]);
}

/* grad_x[k][PN_LANES] = grad_z[n][PN_LANES] weight^T */
static inline PN_INLINE void FN(tiny_backward_n)(const int n, size_t k, const real *grad_z, const real *weight,
                                                 real *grad_x)
{
    FN(vec) column[FN(TINY_WIDTH)];
    PN_UNROLL
    for (int j = 0; j < n; j++)
        column[j] = FN(load)(grad_z + j * PN_LANES);
    for (; k > 0; k--, grad_x += PN_LANES, weight += n) {
        FN(vec) sum = FN(broadcast)(0);
        PN_UNROLL
        for (int j = 0; j < n; j++)
            sum = FN(vec_fma)(column[j], FN(broadcast)(weight[j]), sum);
        FN(store)(grad_x, sum);
    }
}

/* weight -= rate x^T grad_z. The bias is one more row of the weight, and belongs to a column of ones in x. */
static inline PN_INLINE void FN(tiny_descend_n)(const int n, size_t m, size_t k, const real *x, const real *grad_z,
                                                real rate, real *weight)
{
    for (; k > 0; k--, x += PN_LANES, weight += n) {
        real sum[FN(TINY_WIDTH)] = {0};
        size_t i = 0;
        for (; i + 4 <= m; i += 4) {
            PN_UNROLL
            for (int s = 0; s < 4; s++) {
                PN_UNROLL
                for (int j = 0; j < n; j++)
                    sum[j] = FN(fma)(x[i + s], grad_z[j * PN_LANES + i + s], sum[j]);
            }
        }
        for (; i < m; i++) {
            PN_UNROLL
            for (int j = 0; j < n; j++)
                sum[j] = FN(fma)(x[i], grad_z[j * PN_LANES + i], sum[j]);
        }
        PN_UNROLL
        for (int j = 0; j < n; j++)
            weight[j] = FN(fma)(-rate, sum[j], weight[j]);
    }
}

#define PN_BY_WIDTH(n, call, ...)                                                                                    \
    switch (n) {                                                                                                     \
    case 1: call(1, __VA_ARGS__); break;                                                                             \
    case 2: call(2, __VA_ARGS__); break;                                                                             \
    case 3: call(3, __VA_ARGS__); break;                                                                             \
    case 4: call(4, __VA_ARGS__); break;                                                                             \
    case 5: call(5, __VA_ARGS__); break;                                                                             \
    case 6: call(6, __VA_ARGS__); break;                                                                             \
    case 7: call(7, __VA_ARGS__); break;                                                                             \
    default: call(8, __VA_ARGS__); break;                                                                            \
    }

typedef struct FN(tiny_layer) {
    size_t k, n;
    pn_activation f;
    real *weight, *bias;        /* in the caller's parameters; bias is NULL if there is none */
    real *x, *a;                /* x[k + 1][PN_LANES], the last row ones; a[n][PN_LANES], z in the last layer */
    real *grad_z;               /* grad_z[n][PN_LANES] */
} FN(tiny_layer);

/* A network with its batch. The arrays have a row of PN_LANES for each neuron. */
typedef struct FN(tiny_network) {
    size_t m, n_layers, n_out;
    pn_loss loss;
    real loss_parameter;
    real scale[PN_LANES];       /* of each row's gradient */
    FN(tiny_layer) layers[FN(TINY_LAYERS)];
    _Alignas(64) real a[(FN(TINY_NEURONS) + FN(TINY_LAYERS)) * PN_LANES];
    _Alignas(64) real grad_z[FN(TINY_NEURONS) * PN_LANES];
    _Alignas(64) real y[FN(TINY_WIDTH) * PN_LANES];
} FN(tiny_network);

static void FN(tiny_set_up)(FN(tiny_network) *tiny, size_t m, const pn_network *network, real *parameters,
                            const real *x, const real *y, double denominator)
{
    real *a = tiny->a, *grad_z = tiny->grad_z;
    tiny->m = m;
    tiny->n_layers = network->n_layers;
    tiny->n_out = network->layers[network->n_layers - 1].n_out;
    tiny->loss = network->loss;
    tiny->loss_parameter = (real)network->loss_parameter;
    for (size_t i = 0; i < PN_LANES; i++)
        tiny->scale[i] = (real)(1 / denominator);
    for (size_t l = 0; l < network->n_layers; l++) {
        const size_t k = network->layers[l].n_in, n = network->layers[l].n_out;
        const int has_bias = network->layers[l].has_bias;
        real *bias = parameters + k * n, *ones = a + k * PN_LANES, *next = ones + PN_LANES;
        tiny->layers[l] = (FN(tiny_layer)){k, n, network->layers[l].activation, parameters, has_bias ? bias : NULL,
                                           a, next, grad_z};
        for (size_t i = 0; i < PN_LANES; i++)
            ones[i] = 1;
        a = next;
        grad_z += n * PN_LANES;
        parameters = bias + (has_bias ? n : 0);
    }
    FN(tiny_columns)(m, network->layers[0].n_in, x, tiny->a);
    FN(tiny_columns)(m, tiny->n_out, y, tiny->y);
}

/* The sum of the losses, after a forward pass. The last layer's grad_z is that of the losses, scaled. */
static inline PN_INLINE double FN(tiny_loss)(const FN(tiny_network) *tiny)
{
    const FN(tiny_layer) *layer = tiny->layers;
    real loss[FN(TINY_WIDTH) * PN_LANES];
    double sums[PN_LOSS_SUMS] = {0};
    for (size_t l = 0; l < tiny->n_layers; l++) {
        layer = &tiny->layers[l];
        PN_BY_WIDTH(layer->n, FN(tiny_forward_n), layer->k, layer->x, layer->weight, layer->bias, layer->a);
        if (l + 1 < tiny->n_layers)
            FN(activate)(layer->n * PN_LANES, layer->f, layer->a, layer->a);
    }
    for (size_t j = 0; j < tiny->n_out * PN_LANES; j += PN_LANES)
        FN(losses)(tiny->loss, tiny->loss_parameter, PN_LANES, layer->f, layer->a + j, tiny->y + j, tiny->scale, loss + j,
                   layer->grad_z + j);
    for (size_t i = 0; i < tiny->m; i++)
        for (size_t j = 0; j < tiny->n_out; j++)
            sums[(i * tiny->n_out + j) % PN_LOSS_SUMS] += (double)loss[j * PN_LANES + i];
    return FN(sum_of_losses)(sums);
}

/* The backward pass and the update, layer by layer, from grad_z of the last layer. */
static inline PN_INLINE void FN(tiny_descend)(const FN(tiny_network) *tiny, real rate)
{
    for (size_t l = tiny->n_layers; l-- > 0;) {
        const FN(tiny_layer) *layer = &tiny->layers[l];
        if (l > 0) {
            real *grad_x = layer[-1].grad_z;
            PN_BY_WIDTH(layer->n, FN(tiny_backward_n), layer->k, layer->grad_z, layer->weight, grad_x);
            FN(activate_backward)(layer->k * PN_LANES, layer[-1].f, NULL, layer->x, grad_x, grad_x);
        }
        PN_BY_WIDTH(layer->n, FN(tiny_descend_n), tiny->m, layer->k + (layer->bias != NULL), layer->x, layer->grad_z,
                    rate, layer->weight);
    }
}

#undef PN_BY_WIDTH

static size_t FN(tiny_train)(size_t m, const pn_network *network, size_t n_steps, real *parameters, const real *x,
                             const real *y, real rate, double denominator, double *losses)
{
    FN(tiny_network) tiny;
    FN(tiny_set_up)(&tiny, m, network, parameters, x, y, denominator);
    for (size_t step = 0; step < n_steps; step++) {
        double sum = FN(tiny_loss)(&tiny);
        if (!isfinite(sum))
            return step;
        if (losses != NULL)
            losses[step] = sum / denominator;
        FN(tiny_descend)(&tiny, rate);
    }
    return n_steps;
}
