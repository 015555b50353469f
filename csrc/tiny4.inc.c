/*
 * Full-batch training of a network with one hidden layer, at most 4 neurons a layer and at most 4 rows (XOR and the
 * like). Each of its matrices is a block of 4 x 4 numbers that stays in registers from step to step. Sums keep their
 * order: the results are those of dense/, bit for bit.
 */
#include "kernels.h"

#ifdef PN_ISA

#if PN_LANES >= 4 /* a row of a block, at least */
static int FN(tiny4_fits)(size_t m, const pn_network *network)
{
    const pn_layer *layer = network->layers;
    return m <= 4 && network->n_layers == 2 && layer[0].n_in <= 4 && layer[0].n_out <= 4 && layer[1].n_out <= 4;
}
#endif

/* -O3 would take loops over lanes apart before it came to vectorise them. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC push_options
#pragma GCC optimize("O2", "tree-vectorize", "vect-cost-model=dynamic")
#endif

#if PN_LANES == 4 || PN_LANES == 8

#define PN_BLOCK_VECTORS (16 / PN_LANES)

/* b[r][c] is lane 4 r + c of all vectors together. Data, activations and gradients are b[neuron][sample]. */
typedef struct FN(block) {
    FN(vec) v[PN_BLOCK_VECTORS];
} FN(block);

/* The vector whose lane l is number PN_AT(l) of a and, behind it, b: a permutation, as compilers see. */
#define PN_PICK(a, b, l) (PN_AT(l) < PN_LANES ? (a)[PN_AT(l) % PN_LANES] : (b)[PN_AT(l) % PN_LANES])
#define PN_PICK_4(a, b, l) PN_PICK(a, b, l), PN_PICK(a, b, (l) + 1), PN_PICK(a, b, (l) + 2), PN_PICK(a, b, (l) + 3)
#if PN_LANES == 8
#define PN_PERMUTED(a, b) (FN(vec)){PN_PICK_4(a, b, 0), PN_PICK_4(a, b, 4)}
#else
#define PN_PERMUTED(a, b) (FN(vec)){PN_PICK_4(a, b, 0)}
#endif

/* Every row as row r. */
static inline PN_INLINE FN(block) FN(row)(const int r, FN(block) b)
{
    enum { ROWS = PN_LANES / 4 };
#define PN_AT(l) (r % ROWS * 4 + (l) % 4)
    FN(vec) from = b.v[r / ROWS], all = PN_PERMUTED(from, from);
#undef PN_AT
    PN_UNROLL
    for (int v = 0; v < PN_BLOCK_VECTORS; v++)
        b.v[v] = all;
    return b;
}

/* Every column as column c. */
static inline PN_INLINE FN(block) FN(column)(const int c, FN(block) b)
{
#define PN_AT(l) ((l) / 4 * 4 + c)
    PN_UNROLL
    for (int v = 0; v < PN_BLOCK_VECTORS; v++)
        b.v[v] = PN_PERMUTED(b.v[v], b.v[v]);
#undef PN_AT
    return b;
}

static inline PN_INLINE FN(block) FN(turned)(FN(block) b)
{
#if PN_LANES == 8
    FN(block) from = b;
#define PN_AT(l) ((l) % 4 * 4 + (l) / 4)
    b.v[0] = PN_PERMUTED(from.v[0], from.v[1]);
#undef PN_AT
#define PN_AT(l) ((l) % 4 * 4 + (l) / 4 + 2)
    b.v[1] = PN_PERMUTED(from.v[0], from.v[1]);
#undef PN_AT
#else
    FN(transpose)(b.v);
#endif
    return b;
}

static inline PN_INLINE FN(block) FN(block_of)(real value)
{
    FN(block) b;
    PN_UNROLL
    for (int v = 0; v < PN_BLOCK_VECTORS; v++)
        b.v[v] = FN(broadcast)(value);
    return b;
}

static inline PN_INLINE FN(block) FN(block_fma)(FN(block) a, FN(block) b, FN(block) c)
{
    PN_UNROLL
    for (int v = 0; v < PN_BLOCK_VECTORS; v++)
        c.v[v] = FN(vec_fma)(a.v[v], b.v[v], c.v[v]);
    return c;
}

/* c[i][j] + sum over p < terms of a[i][p] b[p][j], in order; terms >= 1 */
static inline PN_INLINE FN(block) FN(block_product)(size_t terms, FN(block) a, FN(block) b, FN(block) c)
{
    PN_UNROLL
    for (int p = 0; p < 4; p++)
        if (p < (int)terms)
            c = FN(block_fma)(FN(column)(p, a), FN(row)(p, b), c);
    return c;
}

/* The elementwise functions, for the vectors that hold the first `rows` rows. */
#define PN_USED_VECTORS(v, rows)                                                                                     \
    PN_UNROLL                                                                                                        \
    for (int v = 0; v < PN_BLOCK_VECTORS; v++)                                                                       \
        if (v * PN_LANES < (int)(rows) * 4)

static inline PN_INLINE FN(block) FN(block_activate)(size_t rows, pn_activation f, FN(block) z)
{
    PN_USED_VECTORS(v, rows)
    {
        real a[PN_LANES];
        FN(store)(a, z.v[v]);
        FN(activate_inline)(PN_LANES, f, a, a);
        z.v[v] = FN(load)(a);
    }
    return z;
}

static inline PN_INLINE FN(block) FN(block_activate_backward)(size_t rows, pn_activation f, FN(block) a,
                                                              FN(block) grad_a)
{
    PN_USED_VECTORS(v, rows)
    {
        real value[PN_LANES], grad[PN_LANES];
        FN(store)(value, a.v[v]);
        FN(store)(grad, grad_a.v[v]);
        FN(activate_backward_inline)(PN_LANES, f, value, value, grad, grad);
        grad_a.v[v] = FN(load)(grad);
    }
    return grad_a;
}

/* The gradient; loss[16] gets the losses. */
static inline PN_INLINE FN(block) FN(block_loss)(size_t rows, const pn_network *network, FN(block) z, FN(block) target,
                                                 real scale, real *loss)
{
    PN_USED_VECTORS(v, rows)
    {
        real pre[PN_LANES], y[PN_LANES], grad[PN_LANES];
        FN(store)(pre, z.v[v]);
        FN(store)(y, target.v[v]);
        FN(losses)(network->loss, PN_LANES, network->layers[1].activation, pre, y, scale, loss + v * PN_LANES, grad);
        z.v[v] = FN(load)(grad);
    }
    return z;
}

/* rows[m][n] in the corner of a block. */
static FN(block) FN(block_from)(size_t m, size_t n, const real *rows)
{
    FN(block) block = FN(block_of)(0);
    for (size_t i = 0; i < m; i++)
        memcpy((real *)block.v + 4 * i, rows + i * n, n * sizeof(real));
    return block;
}

static void FN(block_to)(size_t m, size_t n, FN(block) block, real *rows)
{
    for (size_t i = 0; i < m; i++)
        memcpy(rows + i * n, (const real *)block.v + 4 * i, n * sizeof(real));
}

/* As tiny_train. What stands outside the corners of the blocks is never added to what stands inside. */
static size_t FN(tiny4_train)(size_t m, const pn_network *network, size_t n_steps, real *parameters, const real *x,
                              const real *y, real rate, double denominator, double *losses)
{
    const pn_layer *layer = network->layers;
    const size_t n_out = layer[1].n_out;
    const real scale = (real)(1 / denominator);
    const FN(block) zero = FN(block_of)(0), one = FN(block_of)(1), minus_rate = FN(block_of)(-rate);
    const FN(block) target = FN(turned)(FN(block_from)(m, n_out, y));
    FN(block) a[3], weight[2], bias[2]; /* bias[neuron], in every column */
    real *from = parameters;
    a[0] = FN(turned)(FN(block_from)(m, layer[0].n_in, x));
    for (int l = 0; l < 2; l++) {
        weight[l] = FN(block_from)(layer[l].n_in, layer[l].n_out, from);
        from += layer[l].n_in * layer[l].n_out;
        bias[l] = FN(column)(0, FN(turned)(FN(block_from)(layer[l].has_bias != 0, layer[l].n_out, from)));
        from += layer[l].has_bias ? layer[l].n_out : 0;
    }

    size_t step = 0;
    for (; step < n_steps; step++) {
        a[1] = FN(block_product)(layer[0].n_in, FN(turned)(weight[0]), a[0], bias[0]);
        a[1] = FN(block_activate)(layer[0].n_out, layer[0].activation, a[1]);
        a[2] = FN(block_product)(layer[1].n_in, FN(turned)(weight[1]), a[1], bias[1]);
        real loss[16];
        FN(block) grad = FN(block_loss)(n_out, network, a[2], target, scale, loss);
        double sums[PN_LOSS_SUMS] = {0};
        for (size_t i = 0; i < m; i++)
            for (size_t j = 0; j < n_out; j++)
                sums[(i * n_out + j) % PN_LOSS_SUMS] += (double)loss[4 * j + i];
        double sum = FN(sum_of_losses)(sums);
        if (!isfinite(sum))
            break;
        if (losses != NULL)
            losses[step] = sum / denominator;

        PN_UNROLL
        for (int l = 1; l >= 0; l--) {
            FN(block) grad_weight = FN(block_product)(m, a[l], FN(turned)(grad), zero);
            FN(block) grad_bias = FN(block_product)(m, grad, one, zero), grad_prev = zero;
            if (l > 0) {
                grad_prev = FN(block_product)(layer[l].n_out, weight[l], grad, zero);
                grad_prev = FN(block_activate_backward)(layer[l].n_in, layer[0].activation, a[l], grad_prev);
            }
            weight[l] = FN(block_fma)(minus_rate, grad_weight, weight[l]);
            if (layer[l].has_bias)
                bias[l] = FN(block_fma)(minus_rate, grad_bias, bias[l]);
            grad = grad_prev;
        }
    }

    for (int l = 0; l < 2; l++) {
        FN(block_to)(layer[l].n_in, layer[l].n_out, weight[l], parameters);
        parameters += layer[l].n_in * layer[l].n_out;
        FN(block_to)(layer[l].has_bias != 0, layer[l].n_out, FN(turned)(bias[l]), parameters);
        parameters += layer[l].has_bias ? layer[l].n_out : 0;
    }
    return step;
}

#undef PN_BLOCK_VECTORS
#undef PN_PICK
#undef PN_PICK_4
#undef PN_PERMUTED
#undef PN_USED_VECTORS

#elif PN_LANES == 16

/* A step is one long chain of operations, and those of registers half as wide are done sooner. */
static size_t FN(tiny4_train)(size_t m, const pn_network *network, size_t n_steps, real *parameters, const real *x,
                              const real *y, real rate, double denominator, double *losses)
{
    return pn_isa_avx2.f32.tiny_train(m, network, n_steps, parameters, x, y, rate, denominator, losses);
}

#endif

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#endif

#endif
