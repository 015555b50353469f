/* The three products of a dense layer. */
#include "kernels.h"

#ifdef PN_ISA

static size_t FN(dense_workspace)(size_t m, size_t k, size_t n)
{
    (void)m, (void)k, (void)n;
    return 0;
}

static void FN(dense_forward)(size_t m, size_t k, size_t n, const real *x, const real *weight, const real *bias,
                              pn_activation f, real *a, real *workspace)
{
    (void)workspace;
    for (size_t i = 0; i < m; i++) {
        real *row = a + i * n;
        for (size_t j = 0; j < n; j++)
            row[j] = bias ? bias[j] : 0;
        for (size_t p = 0; p < k; p++)
            for (size_t j = 0; j < n; j++)
                row[j] = FN(fma)(x[i * k + p], weight[p * n + j], row[j]);
        FN(activate)(n, f, row, row);
    }
}

static void FN(dense_backward_x)(size_t m, size_t k, size_t n, const real *grad_z, const real *weight,
                                 pn_activation f_prev, const real *a_prev, real *grad_z_prev, real *workspace)
{
    (void)workspace;
    for (size_t i = 0; i < m; i++) {
        real *row = grad_z_prev + i * k;
        for (size_t p = 0; p < k; p++) {
            real sum = 0;
            for (size_t j = 0; j < n; j++)
                sum = FN(fma)(grad_z[i * n + j], weight[p * n + j], sum);
            row[p] = sum;
        }
        FN(activate_backward)(k, f_prev, a_prev + i * k, row, row);
    }
}

/* target = G, or target -= rate * G. */
static inline PN_INLINE real FN(descend)(real rate, real gradient, real target)
{
    return rate > 0 ? FN(fma)(-rate, gradient, target) : gradient;
}

static void FN(dense_backward_weight)(size_t m, size_t k, size_t n, const real *x, const real *grad_z, real rate,
                                      real *target, real *workspace)
{
    (void)workspace;
    enum { BLOCK = 64 };
    for (size_t p = 0; p < k; p++)
        for (size_t start = 0; start < n; start += BLOCK) {
            size_t count = n - start < BLOCK ? n - start : BLOCK;
            real sum[BLOCK] = {0};
            for (size_t i = 0; i < m; i++)
                for (size_t j = 0; j < count; j++)
                    sum[j] = FN(fma)(x[i * k + p], grad_z[i * n + start + j], sum[j]);
            for (size_t j = 0; j < count; j++)
                target[p * n + start + j] = FN(descend)(rate, sum[j], target[p * n + start + j]);
        }
}

static void FN(dense_backward_bias)(size_t m, size_t n, const real *grad_z, real rate, real *target)
{
    for (size_t j = 0; j < n; j++) {
        real sum = 0;
        for (size_t i = 0; i < m; i++)
            sum += grad_z[i * n + j];
        target[j] = FN(descend)(rate, sum, target[j]);
    }
}

#endif
