/*
 * Losses: the loss of each output, and its gradient with respect to z, times `scale`, in one pass. Here n is at most
 * PN_LOSS_BLOCK, and loss, a and grad_a have room for whole vectors.
 */
#define PN_LOSS_BLOCK 64 /* losses that are computed before they are added up */
#define PN_LOSS_SUMS 8   /* partial sums; loss number i is added to number i % PN_LOSS_SUMS. Divides PN_LOSS_BLOCK */

/* -[y ln a + (1-y) ln(1-a)] with a = sigmoid(z) is max(z,0) - y z + log1p(exp(-|z|)), and its gradient is a - y. */
static inline PN_INLINE FN(vec) FN(log_loss_vector)(FN(vec) z, FN(vec) y, FN(vec) scale, FN(vec) *grad_z)
{
    FN(vec) e, error = FN(sigmoid_and_exp)(z, &e) - y;
    *grad_z = error * scale;
    return FN(vec_fma)(-y, z, FN(vec_max)(z, (FN(vec)){0})) + FN(log1p_vector)(e);
}

static inline PN_INLINE void FN(log_loss)(size_t n, const real *z, const real *y, const real *scale, real *loss,
                                          real *grad_z)
{
    FN(vec) grad;
    for (; n >= PN_LANES; n -= PN_LANES, z += PN_LANES, y += PN_LANES, loss += PN_LANES, grad_z += PN_LANES) {
        FN(store)(loss, FN(log_loss_vector)(FN(load)(z), FN(load)(y), FN(load)(scale), &grad));
        FN(store)(grad_z, grad);
        scale += PN_LANES;
    }
    if (n > 0) {
        FN(vec) losses = FN(log_loss_vector)(FN(load_n)(n, z), FN(load_n)(n, y), FN(load_n)(n, scale), &grad);
        FN(store_n)(n, loss, losses);
        FN(store_n)(n, grad_z, grad);
    }
}

/* Losses of a = f(z). They write their gradient with respect to a. */

/* (a - y)^2, and its gradient 2 (a - y). `2 * scale` comes first, so that a scale below 1/2 avoids overflow. */
static inline PN_INLINE void FN(squares)(size_t n, const real *a, const real *y, const real *scale, real *loss,
                                         real *grad_a)
{
    PN_ELEMENTWISE
    for (size_t i = 0; i < n; i++) {
        real error = a[i] - y[i];
        loss[i] = error * error;
        grad_a[i] = 2 * scale[i] * error;
    }
}

/* |a - y|, and its gradient, the sign of a - y: NaN where that is NaN. */
static inline PN_INLINE void FN(absolute_errors)(size_t n, const real *a, const real *y, const real *scale, real *loss,
                                                 real *grad_a)
{
    PN_ELEMENTWISE
    for (size_t i = 0; i < n; i++) {
        real error = a[i] - y[i];
        loss[i] = error < 0 ? -error : error;
        grad_a[i] = scale[i] * (error > 0 ? 1 : error < 0 ? -1 : error);
    }
}

/* With d = a - y and c = d, but delta at most and -delta at least: c (d - c/2), and its gradient c. */
static inline PN_INLINE void FN(huber)(real delta, size_t n, const real *a, const real *y, const real *scale, real *loss,
                                       real *grad_a)
{
    PN_ELEMENTWISE
    for (size_t i = 0; i < n; i++) {
        real error = a[i] - y[i], clipped = error > delta ? delta : error < -delta ? -delta : error;
        loss[i] = clipped * (error - (real)0.5 * clipped);
        grad_a[i] = scale[i] * clipped;
    }
}

/* max(q (y - a), (q - 1) (y - a)); the gradient at a = y is 0. */
static inline PN_INLINE void FN(quantile)(real q, size_t n, const real *a, const real *y, const real *scale, real *loss,
                                          real *grad_a)
{
    PN_ELEMENTWISE
    for (size_t i = 0; i < n; i++) {
        real error = a[i] - y[i];
        loss[i] = error > 0 ? (1 - q) * error : q * (y[i] - a[i]);
        grad_a[i] = scale[i] * (error > 0 ? 1 - q : error < 0 ? -q : error);
    }
}

/*
 * ln cosh d with d = a - y, and its gradient tanh d. With s = |d|, it is log1p(expm1(-s)^2 / (2 exp(-s))), which
 * is exact near 0, where that fraction, cosh d - 1, is at most 1; beyond, s + log1p(exp(-2s)) - ln 2.
 */
static inline PN_INLINE FN(vec) FN(log_cosh_vector)(FN(vec) a, FN(vec) y, FN(vec) *grad_a)
{
    const FN(vec) one = FN(broadcast)(1);
    FN(vec) error = a - y, power;
    FN(vec) s = FN(min_abs)(error, REAL_IS_DOUBLE ? (real)DBL_MAX : (real)FLT_MAX);
    FN(vec) p = FN(exp_minus)(FN(vec_min)(FN(broadcast)(REAL_IS_DOUBLE ? 40 : 20), s), 0, &power);
    FN(vec) expm1 = FN(vec_fma)(power, p, power - one), e = FN(vec_fma)(power, p, power);
    FN(vec_signed) near = s < one;
    FN(vec) argument = FN(choose)(near, expm1 * expm1 / (e + e), e * e);
    *grad_a = FN(tanh_vector)(error);
    return FN(choose)(near, (FN(vec)){0}, s - (real)0.69314718055994531) + FN(log1p_vector)(argument);
}

/*
 * exp(z), a normal number: at least exp(-700) or, in single precision, exp(-80). Infinite where it overflows. Error:
 * as exp_minus. The result is scaled by 1/4 until the end, so that its exponent is that of a finite number.
 */
static inline PN_INLINE FN(vec) FN(exp_vector)(FN(vec) z)
{
    FN(vec) power, x = FN(vec_max)(FN(broadcast)(REAL_IS_DOUBLE ? -700 : -80), z);
    x = FN(vec_min)(FN(broadcast)(REAL_IS_DOUBLE ? 710 : 89), x);
    FN(vec) p = FN(exp_minus)(-x, -2, &power);
    return FN(vec_fma)(power, p, power) * 4;
}

/* exp(a) - y a, and its gradient exp(a) - y. */
static inline PN_INLINE FN(vec) FN(poisson_vector)(FN(vec) a, FN(vec) y, FN(vec) *grad_a)
{
    FN(vec) rate = FN(exp_vector)(a);
    *grad_a = rate - y;
    return FN(vec_fma)(-y, a, rate);
}

/* FN(name) from FN(name##_vector), whose gradient is not scaled. */
#define PN_DEFINE_LOSS(name)                                                                                         \
    static inline PN_INLINE void FN(name)(size_t n, const real *a, const real *y, const real *scale, real *loss,     \
                                          real *grad_a)                                                              \
    {                                                                                                                \
        FN(vec) grad;                                                                                                \
        for (; n >= PN_LANES; n -= PN_LANES, a += PN_LANES, y += PN_LANES, loss += PN_LANES) {                       \
            FN(store)(loss, FN(name##_vector)(FN(load)(a), FN(load)(y), &grad));                                     \
            FN(store)(grad_a, grad * FN(load)(scale));                                                               \
            scale += PN_LANES;                                                                                       \
            grad_a += PN_LANES;                                                                                      \
        }                                                                                                            \
        if (n > 0) {                                                                                                 \
            FN(store)(loss, FN(name##_vector)(FN(load_n)(n, a), FN(load_n)(n, y), &grad));                     \
            FN(store)(grad_a, grad * FN(load_n)(n, scale));                                                       \
        }                                                                                                            \
    }

PN_DEFINE_LOSS(log_cosh)
PN_DEFINE_LOSS(poisson)
#undef PN_DEFINE_LOSS

/* Losses of a = f(z), and their gradients with respect to z. To add a loss, add a case. */
static __attribute__((noinline)) void FN(losses_of_a)(pn_loss which, real parameter, size_t n, pn_activation f,
                                                      const real *z, const real *y, const real *scale, real *loss,
                                                      real *grad_z)
{
    real a[PN_LOSS_BLOCK], grad_a[PN_LOSS_BLOCK];
    FN(activate)(n, f, z, a);
    switch (which) {
    case PN_MEAN_ABSOLUTE_ERROR: FN(absolute_errors)(n, a, y, scale, loss, grad_a); break;
    case PN_HUBER: FN(huber)(parameter, n, a, y, scale, loss, grad_a); break;
    case PN_LOG_COSH: FN(log_cosh)(n, a, y, scale, loss, grad_a); break;
    case PN_QUANTILE: FN(quantile)(parameter, n, a, y, scale, loss, grad_a); break;
    case PN_POISSON: FN(poisson)(n, a, y, scale, loss, grad_a); break;
    case PN_SUM_OF_SQUARES:
    case PN_MEAN_SQUARED_ERROR: FN(squares)(n, a, y, scale, loss, grad_a); break;
    case PN_LOG_LOSS: /* these are computed from z, elsewhere */
    case PN_CROSS_ENTROPY:
    case PN_CROSS_ENTROPY_LABELS:
    case PN_N_LOSSES: return;
    }
    FN(activate_backward)(n, f, z, a, grad_a, grad_z);
}

/* The losses of n outputs, n <= PN_LOSS_BLOCK, and their gradients times scale[n]. */
static inline PN_INLINE void FN(losses)(pn_loss which, real parameter, size_t n, pn_activation f, const real *z,
                                        const real *y, const real *scale, real *loss, real *grad_z)
{
    if (which == PN_LOG_LOSS) /* f is the sigmoid */
        FN(log_loss)(n, z, y, scale, loss, grad_z);
    else
        FN(losses_of_a)(which, parameter, n, f, z, y, scale, loss, grad_z);
}

/* The total of the partial sums. */
static inline PN_INLINE double FN(sum_of_losses)(const double *sums)
{
    double half[PN_LOSS_SUMS / 2];
    for (int i = 0; i < PN_LOSS_SUMS / 2; i++)
        half[i] = sums[i] + sums[i + PN_LOSS_SUMS / 2];
    return (half[0] + half[2]) + (half[1] + half[3]);
}

/* sums += the losses of n outputs, of which the first has a number that PN_LOSS_SUMS divides. */
static inline PN_INLINE void FN(add_losses)(size_t n, const real *loss, double *sums)
{
    size_t i = 0;
    for (; i + PN_LOSS_SUMS <= n; i += PN_LOSS_SUMS)
        for (size_t l = 0; l < PN_LOSS_SUMS; l++)
            sums[l] += (double)loss[i + l];
    for (size_t l = 0; i + l < n; l++)
        sums[l] += (double)loss[i + l];
}

/* What the gradient of a row of this weight is multiplied by. */
static inline PN_INLINE real FN(row_scale)(real weight, double denominator)
{
    return weight > 0 ? (real)((double)weight / denominator) : 0;
}

/* The weights of n elements, of which the first is number `column` of *row; goes on to the element after them. */
static void FN(weigh_elements)(size_t n, size_t n_out, const real **row, size_t *column, double denominator,
                               real *weight, real *scale)
{
    for (size_t i = 0; i < n; i++) {
        weight[i] = **row;
        scale[i] = FN(row_scale)(**row, denominator);
        *column += 1;
        if (*column == n_out) {
            *column = 0;
            *row += 1;
        }
    }
}

/* Losses above the limit become the limit; NaN stays. */
static void FN(limit_losses)(size_t n, real limit, real *loss)
{
    for (size_t i = 0; i < n; i++)
        loss[i] = loss[i] > limit ? limit : loss[i];
}

/* loss *= weight; where that is 0, so are loss and grad_z, even if they were not finite. */
static void FN(apply_weights)(size_t n, const real *weight, real *loss, real *grad_z)
{
    for (size_t i = 0; i < n; i++) {
        loss[i] = weight[i] > 0 ? weight[i] * loss[i] : 0;
        grad_z[i] = weight[i] > 0 ? grad_z[i] : 0;
    }
}

/* A loss of single outputs: rows do not matter to it, but for their weights. */
static double FN(elementwise_loss)(const pn_network *network, size_t m, const real *z, const real *y,
                                   const real *weight, double denominator, real *grad_z)
{
    const pn_layer *last = &network->layers[network->n_layers - 1];
    const real parameter = (real)network->loss_parameter;
    real loss[PN_LOSS_BLOCK], scale[PN_LOSS_BLOCK], weights[PN_LOSS_BLOCK];
    const real *row = weight;
    size_t column = 0;
    double sums[PN_LOSS_SUMS] = {0};
    const size_t all = m * last->n_out;
    const FN(vec) unit = FN(broadcast)(FN(row_scale)(1, denominator));
    for (size_t i = 0; weight == NULL && i < PN_LOSS_BLOCK; i += PN_LANES)
        FN(store)(scale + i, unit);
    for (size_t start = 0; start < all; start += PN_LOSS_BLOCK) {
        size_t count = all - start < PN_LOSS_BLOCK ? all - start : PN_LOSS_BLOCK;
        if (weight != NULL)
            FN(weigh_elements)(count, last->n_out, &row, &column, denominator, weights, scale);
        FN(losses)(network->loss, parameter, count, last->activation, z + start, y + start, scale, loss, grad_z + start);
        if (network->loss_limit > 0)
            FN(limit_losses)(count, (real)network->loss_limit, loss);
        if (weight != NULL)
            FN(apply_weights)(count, weights, loss, grad_z + start);
        FN(add_losses)(count, loss, sums);
    }
    return FN(sum_of_losses)(sums);
}
