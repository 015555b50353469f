/* The three products of a dense layer. */
#include "kernels.h"
#include "matmul.inc.c"

#ifdef PN_ISA

static size_t FN(dense_workspace)(size_t m, size_t k, size_t n)
{
    size_t forward = FN(multiply_workspace)(m, k, n), backward_x = FN(multiply_workspace)(m, n, k),
           backward_weight = FN(multiply_workspace)(k, m, n);
    size_t most = forward > backward_x ? forward : backward_x;
    return most > backward_weight ? most : backward_weight;
}

/* So few columns that lanes along the rows do better. */
static inline PN_INLINE int FN(is_thin)(size_t columns, size_t rows)
{
    return columns <= PN_MR && rows > columns && 4 * columns <= 3 * ((columns + PN_LANES - 1) / PN_LANES * PN_LANES);
}

/* The transposed product: C^T = B^T A^T. */
static void FN(turn)(FN(product) *s)
{
    FN(matrix) a = s->a;
    size_t m = s->m;
    s->a = s->b;
    s->b = a;
    s->a.by_column = !s->a.by_column;
    s->b.by_column = !s->b.by_column;
    s->m = s->n;
    s->n = m;
    s->transposed = 1;
}

/*
 * Without a turn the forward product reads B in place, and needs no scratch, for few rows and for small weights: see
 * multiply_part.
 */
static size_t FN(dense_forward_workspace)(size_t m, size_t k, size_t n)
{
    if (FN(is_thin)(n, m) && k <= PN_TRANSPOSED_K)
        return FN(multiply_workspace)(n, k, m);
    return m <= PN_MR || k * n * sizeof(real) <= PN_IN_PLACE_BYTES ? 0 : FN(multiply_workspace)(m, k, n);
}

/*
 * A layer's sizes decide what runs along the lanes: the columns of the result, or, where these are few or its rows are
 * fewer than what would have to be transposed, the rows of the result; then the product is computed transposed.
 */
static void FN(dense_forward)(size_t m, size_t k, size_t n, const real *x, const real *weight, const real *bias,
                              pn_activation f, real *a, real *workspace)
{
    FN(product) product = {
        .m = m, .n = n, .k = k,
        .a = {x, k, 0, x + m * k},
        .b = {weight, n, 0, weight + k * n},
        .bias = bias, .c = a, .c_step = n, .f = f,
    };
    if (FN(is_thin)(n, m) && k <= PN_TRANSPOSED_K)
        FN(turn)(&product);
    FN(multiply)(&product, workspace);
}

static void FN(dense_backward_x)(size_t m, size_t k, size_t n, const real *grad_z, const real *weight,
                                 pn_activation f_prev, const real *a_prev, real *grad_z_prev, real *workspace)
{
    FN(product) product = {
        .m = m, .n = k, .k = n,
        .a = {grad_z, n, 0, grad_z + m * n},
        .b = {weight, n, 1, weight + k * n},
        .c = grad_z_prev, .c_step = k, .f = f_prev, .a_prev = a_prev,
    };
    if (n == 1)
        product.b = (FN(matrix)){weight, k, 0, weight + k};
    else if (m >= PN_LANES && PN_TRANSPOSED_GAIN * m * (n + k) <= n * k && n <= PN_TRANSPOSED_K)
        FN(turn)(&product);
    FN(multiply)(&product, workspace);
}

static void FN(dense_backward_weight)(size_t m, size_t k, size_t n, const real *x, const real *grad_z, real rate,
                                      real *target, real *workspace)
{
    FN(product) product = {
        .m = k, .n = n, .k = m,
        .a = {x, k, 1, x + m * k},
        .b = {grad_z, n, 0, grad_z + m * n},
        .c = target, .c_step = n, .rate = rate, .f = PN_IDENTITY,
    };
    if (FN(is_thin)(n, k))
        FN(turn)(&product);
    FN(multiply)(&product, workspace);
}

/* target = G, or target -= rate * G. */
static inline PN_INLINE real FN(descend)(real rate, real gradient, real target)
{
    return rate > 0 ? FN(fma)(-rate, gradient, target) : gradient;
}

static void FN(dense_backward_bias)(size_t m, size_t n, const real *grad_z, real rate, real *target)
{
    enum { BLOCK = 8 * PN_LANES };
    for (size_t start = 0; start < n; start += BLOCK) {
        size_t count = n - start < BLOCK ? n - start : BLOCK;
        real sum[BLOCK] = {0};
        for (size_t i = 0; i < m; i++)
            for (size_t j = 0; j < count; j++)
                sum[j] += grad_z[i * n + start + j];
        for (size_t j = 0; j < count; j++)
            target[start + j] = FN(descend)(rate, sum[j], target[start + j]);
    }
}

#endif
