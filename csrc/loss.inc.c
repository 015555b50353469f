/* Losses: the sum over n outputs and the gradient with respect to z, in one pass. */
#include "kernels.h"

#ifdef PN_ISA

/* -[y ln a + (1-y) ln(1-a)] with a = sigmoid(z) is max(z,0) - y z + log1p(exp(-|z|)), and its gradient is a - y. */
static double FN(log_loss)(size_t n, pn_activation f, const real *z, const real *y, real scale, real *grad_z)
{
    enum { BLOCK = 64 };
    real loss[BLOCK];
    double sum = 0;
    (void)f; /* always the sigmoid */
    for (size_t start = 0; start < n; start += BLOCK) {
        size_t count = n - start < BLOCK ? n - start : BLOCK;
        PN_ELEMENTWISE
        for (size_t i = 0; i < count; i++) {
            real t = z[start + i], target = y[start + i], size = t < 0 ? -t : t;
            real hinge = FN(fma)(-target, t, t > 0 ? t : 0);
            loss[i] = hinge + FN(log1p1)(FN(exp1)(-size));
            grad_z[start + i] = scale * (FN(sigmoid1)(t) - target);
        }
        for (size_t i = 0; i < count; i++)
            sum += (double)loss[i];
    }
    return sum;
}

/* (a - y)^2, with the gradient 2 (a - y) f'(z). */
static double FN(squares)(size_t n, pn_activation f, const real *z, const real *y, real scale, real *grad_z)
{
    enum { BLOCK = 64 };
    real a[BLOCK], grad_a[BLOCK];
    double sum = 0;
    for (size_t start = 0; start < n; start += BLOCK) {
        size_t count = n - start < BLOCK ? n - start : BLOCK;
        FN(activate)(count, f, z + start, a);
        for (size_t i = 0; i < count; i++) {
            real error = a[i] - y[start + i];
            double square = (double)error * (double)error;
            sum += square;
            grad_a[i] = 2 * scale * error;
        }
        FN(activate_backward)(count, f, a, grad_a, grad_z + start);
    }
    return sum;
}

#endif
