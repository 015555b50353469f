/* Losses: each output's share, and the gradient with respect to z, in one pass. */
#include "kernels.h"

#ifdef PN_ISA

/* -[y ln a + (1-y) ln(1-a)] with a = sigmoid(z) is max(z,0) - y z + log1p(exp(-|z|)), and its gradient is a - y. */
static inline PN_INLINE void FN(log_loss)(size_t n, const real *z, const real *y, real scale, real *loss, real *grad_z)
{
    PN_ELEMENTWISE
    for (size_t i = 0; i < n; i++) {
        real t = z[i], target = y[i], size = t < 0 ? -t : t;
        real hinge = FN(fma)(-target, t, t > 0 ? t : 0);
        loss[i] = hinge + FN(log1p1)(FN(exp1)(-size));
        grad_z[i] = scale * (FN(sigmoid1)(t) - target);
    }
}

/* (a - y)^2, with the gradient 2 (a - y) f'(z). */
static inline PN_INLINE void FN(squares)(size_t n, pn_activation f, const real *z, const real *y, real scale,
                                         real *loss, real *grad_z)
{
    real a[PN_LOSS_BLOCK], grad_a[PN_LOSS_BLOCK];
    FN(activate_inline)(n, f, z, a);
    for (size_t i = 0; i < n; i++) {
        real error = a[i] - y[i];
        loss[i] = error * error;
        grad_a[i] = 2 * scale * error;
    }
    FN(activate_backward_inline)(n, f, a, grad_a, grad_z);
}

/* n <= PN_LOSS_BLOCK outputs. The losses by number: to add one, write it above and name it here. */
static inline PN_INLINE void FN(losses)(pn_loss which, size_t n, pn_activation f, const real *z, const real *y,
                                        real scale, real *loss, real *grad_z)
{
    switch (which) {
    case PN_LOG_LOSS: FN(log_loss)(n, z, y, scale, loss, grad_z); break; /* f is the sigmoid */
    default: FN(squares)(n, f, z, y, scale, loss, grad_z); break;
    }
}

static double FN(loss)(pn_loss which, size_t n, pn_activation f, const real *z, const real *y, real scale,
                       real *grad_z)
{
    real loss[PN_LOSS_BLOCK];
    double sum = 0;
    for (size_t start = 0; start < n; start += PN_LOSS_BLOCK) {
        size_t count = n - start < PN_LOSS_BLOCK ? n - start : PN_LOSS_BLOCK;
        FN(losses)(which, count, f, z + start, y + start, scale, loss, grad_z + start);
        for (size_t i = 0; i < count; i++)
            sum += (double)loss[i];
    }
    return sum;
}

#endif
