/* Losses: the loss of each output, and its gradient with respect to z times `scale`, in one pass. */
#define PN_LOSS_BLOCK 64 /* losses that are computed before they are added up */
#define PN_LOSS_SUMS 8   /* partial sums; loss number i is added to number i % PN_LOSS_SUMS. Divides PN_LOSS_BLOCK */

/* -[y ln a + (1-y) ln(1-a)] with a = sigmoid(z) is max(z,0) - y z + log1p(exp(-|z|)), and its gradient is a - y. */
static inline PN_INLINE FN(vec) FN(log_loss_vector)(FN(vec) z, FN(vec) y, real scale, FN(vec) *grad_z)
{
    FN(vec) e, error = FN(sigmoid_and_exp)(z, &e) - y;
    *grad_z = error * scale;
    return FN(vec_fma)(-y, z, FN(vec_max)(z, (FN(vec)){0})) + FN(log1p_vector)(e);
}

static inline PN_INLINE void FN(log_loss)(size_t n, const real *z, const real *y, real scale, real *loss, real *grad_z)
{
    FN(vec) grad;
    for (; n >= PN_LANES; n -= PN_LANES, z += PN_LANES, y += PN_LANES, loss += PN_LANES, grad_z += PN_LANES) {
        FN(store)(loss, FN(log_loss_vector)(FN(load)(z), FN(load)(y), scale, &grad));
        FN(store)(grad_z, grad);
    }
    if (n > 0) {
        FN(store_n)(n, loss, FN(log_loss_vector)(FN(load_n)(n, z), FN(load_n)(n, y), scale, &grad));
        FN(store_n)(n, grad_z, grad);
    }
}

/* (a - y)^2, and its gradient 2 (a - y) f'(z). `2 * scale` comes first, so that a scale below 1/2 avoids overflow. */
static inline PN_INLINE void FN(squares)(size_t n, pn_activation f, const real *z, const real *y, real scale,
                                         real *loss, real *grad_z)
{
    real a[PN_LOSS_BLOCK], grad_a[PN_LOSS_BLOCK];
    FN(activate)(n, f, z, a);
    for (size_t i = 0; i < n; i++) {
        real error = a[i] - y[i];
        loss[i] = error * error;
        grad_a[i] = 2 * scale * error;
    }
    FN(activate_backward)(n, f, z, a, grad_a, grad_z);
}

/* For n <= PN_LOSS_BLOCK outputs. To add a loss, define it above, and add a case here. */
static inline PN_INLINE void FN(losses)(pn_loss which, size_t n, pn_activation f, const real *z, const real *y,
                                        real scale, real *loss, real *grad_z)
{
    switch (which) {
    case PN_LOG_LOSS: FN(log_loss)(n, z, y, scale, loss, grad_z); break; /* f is the sigmoid */
    default: FN(squares)(n, f, z, y, scale, loss, grad_z); break;
    }
}

/* The total of the partial sums. */
static inline PN_INLINE double FN(sum_of_losses)(const double *sums)
{
    double half[PN_LOSS_SUMS / 2];
    for (int i = 0; i < PN_LOSS_SUMS / 2; i++)
        half[i] = sums[i] + sums[i + PN_LOSS_SUMS / 2];
    return (half[0] + half[2]) + (half[1] + half[3]);
}

/* All losses so far are elementwise: rows do not matter to them. */
static double FN(loss)(pn_loss which, size_t m, size_t n, pn_activation f, const real *z, const real *y, real scale,
                       real *grad_z)
{
    real loss[PN_LOSS_BLOCK];
    double sums[PN_LOSS_SUMS] = {0};
    for (size_t start = 0, all = m * n; start < all; start += PN_LOSS_BLOCK) {
        size_t count = all - start < PN_LOSS_BLOCK ? all - start : PN_LOSS_BLOCK, i = 0;
        FN(losses)(which, count, f, z + start, y + start, scale, loss, grad_z + start);
        for (; i + PN_LOSS_SUMS <= count; i += PN_LOSS_SUMS)
            for (size_t l = 0; l < PN_LOSS_SUMS; l++)
                sums[l] += (double)loss[i + l];
        for (size_t l = 0; i + l < count; l++)
            sums[l] += (double)loss[i + l];
    }
    return FN(sum_of_losses)(sums);
}
