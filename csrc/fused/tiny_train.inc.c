/*
 * Full-batch training of a whole network that fits into a few cache lines (XOR and the like). Samples run along the
 * lanes of one vector, so every activation is a vector operation and nothing is packed, gathered or called per layer.
 * Sums keep their order: the results are those of dense/, bit for bit.
 */

enum { FN(TINY_LAYERS) = 4, FN(TINY_NEURONS) = 32, FN(TINY_WIDTH) = 8 };

static int FN(tiny_fits)(size_t m, const pn_network *network)
{
    size_t neurons = network->layers[0].n_in;
    if (m > (size_t)PN_LANES || network->n_layers > (size_t)FN(TINY_LAYERS) || neurons > (size_t)FN(TINY_WIDTH))
        return 0;
    for (size_t l = 0; l < network->n_layers; l++) {
        neurons += network->layers[l].n_out;
        if (network->layers[l].n_out > (size_t)FN(TINY_WIDTH) || neurons > (size_t)FN(TINY_NEURONS))
            return 0;
    }
    return 1; /* and so there are at most 4 (8 * 8 + 8) = PN_TINY_PARAMETERS parameters */
}

/* rows[m][n] to columns[n][PN_LANES], the lanes from m on zero */
static inline PN_INLINE void FN(tiny_columns)(size_t m, size_t n, const real *rows, real *columns)
{
    memset(columns, 0, n * PN_LANES * sizeof *columns);
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++)
            columns[j * PN_LANES + i] = rows[i * n + j];
}

/* The three products of a layer, for a number of neurons n that is known when compiling: everything unrolls over it. */

/* z[n][PN_LANES] = bias + x @ weight, from x[k][PN_LANES]. */
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

/* grad_x[k][PN_LANES] = grad_z[n][PN_LANES] @ weight^T */
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

/* weight -= rate * x^T @ grad_z; the bias is one more row of weight, with a column of ones in x */
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

/*
 * n_steps steps; losses[n_steps] (or NULL) from before each. Stops before a step whose loss is not finite and returns
 * how many it made.
 */
static size_t FN(tiny_train)(size_t m, const pn_network *network, size_t n_steps, real *parameters, const real *x,
                             const real *y, real rate, double denominator, double *losses)
{
    _Alignas(64) real a[(FN(TINY_NEURONS) + FN(TINY_LAYERS)) * PN_LANES];
    _Alignas(64) real grad[FN(TINY_NEURONS) * PN_LANES];
    _Alignas(64) real targets[FN(TINY_WIDTH) * PN_LANES], loss[FN(TINY_WIDTH) * PN_LANES];
    const size_t n_layers = network->n_layers, n_out = network->layers[n_layers - 1].n_out;
    const pn_activation f_out = network->layers[n_layers - 1].activation;
    const real scale = (real)(1 / denominator);
    struct {
        size_t k, n;
        pn_activation f;
        real *a, *a_next, *grad_z, *weight, *bias;
    } layers[FN(TINY_LAYERS)];

    real *weight = parameters, *next = a, *next_grad = grad;
    for (size_t l = 0; l < n_layers; l++) {
        size_t k = network->layers[l].n_in, n = network->layers[l].n_out;
        real *bias = weight + k * n;
        layers[l].k = k;
        layers[l].n = n;
        layers[l].f = network->layers[l].activation;
        layers[l].a = next;
        for (size_t i = 0; i < (size_t)PN_LANES; i++)
            next[k * PN_LANES + i] = 1;
        layers[l].a_next = next += (k + 1) * PN_LANES;
        layers[l].grad_z = next_grad;
        layers[l].weight = weight;
        layers[l].bias = network->layers[l].has_bias ? bias : NULL;
        next_grad += n * PN_LANES;
        weight = bias + (network->layers[l].has_bias ? n : 0);
    }
    real *z_out = layers[n_layers - 1].a_next, *grad_out = layers[n_layers - 1].grad_z;
    FN(tiny_columns)(m, layers[0].k, x, a);
    FN(tiny_columns)(m, n_out, y, targets);

    for (size_t step = 0; step < n_steps; step++) {
        double sums[PN_LOSS_SUMS] = {0};
        for (size_t l = 0; l < n_layers; l++) {
            PN_BY_WIDTH(layers[l].n, FN(tiny_forward_n), layers[l].k, layers[l].a, layers[l].weight, layers[l].bias,
                        layers[l].a_next);
            if (l + 1 < n_layers)
                FN(activate)(layers[l].n * PN_LANES, layers[l].f, layers[l].a_next, layers[l].a_next);
        }
        for (size_t j = 0; j < n_out; j++)
            FN(losses)(network->loss, PN_LANES, f_out, z_out + j * PN_LANES, targets + j * PN_LANES, scale,
                       loss + j * PN_LANES, grad_out + j * PN_LANES);
        for (size_t i = 0; i < m; i++)
            for (size_t j = 0; j < n_out; j++)
                sums[(i * n_out + j) % PN_LOSS_SUMS] += (double)loss[j * PN_LANES + i];
        double sum = FN(sum_of_losses)(sums);
        if (!isfinite(sum))
            return step;
        if (losses != NULL)
            losses[step] = sum / denominator;
        for (size_t l = n_layers; l-- > 0;) {
            if (l > 0) {
                PN_BY_WIDTH(layers[l].n, FN(tiny_backward_n), layers[l].k, layers[l].grad_z, layers[l].weight,
                            layers[l - 1].grad_z);
                FN(activate_backward)(layers[l].k * PN_LANES, layers[l - 1].f, NULL, layers[l].a, layers[l - 1].grad_z,
                                      layers[l - 1].grad_z);
            }
            PN_BY_WIDTH(layers[l].n, FN(tiny_descend_n), m, layers[l].k + (layers[l].bias != NULL), layers[l].a,
                        layers[l].grad_z, rate, layers[l].weight);
        }
    }
    return n_steps;
}

#undef PN_BY_WIDTH
