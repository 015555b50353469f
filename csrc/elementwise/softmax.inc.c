/*
 * Softmax and cross entropy, which see rows as wholes. In a sum over a row, element number j is added to partial sum
 * number j % PN_ROW_SUMS, and these are added in pairs: the bits do not depend on the width of a vector.
 */
#define PN_ROW_SUMS 16                           /* a multiple of PN_LANES, whatever that is */
#define PN_ROW_VECTORS (PN_ROW_SUMS / PN_LANES)  /* of partial sums */

/* Element numbers first, first + 1, ... */
static inline PN_INLINE FN(vec) FN(numbers_from)(size_t first)
{
    static const real numbers[PN_ROW_SUMS] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return FN(load)(numbers) + FN(broadcast)((real)first);
}

/* True in the first n lanes. */
static inline PN_INLINE FN(vec_signed) FN(is_first)(size_t n)
{
    return FN(numbers_from)(0) < FN(broadcast)((real)n);
}

/* value in the first n lanes, 0 in the others. */
static inline PN_INLINE FN(vec) FN(first_lanes)(size_t n, FN(vec) value)
{
    return FN(keep_where)(FN(is_first)(n), value);
}

static inline PN_INLINE FN(vec) FN(load_up_to)(size_t n, const real *from)
{
    return n >= PN_LANES ? FN(load)(from) : FN(load_n)(n, from);
}

static inline PN_INLINE void FN(store_up_to)(size_t n, FN(vec) value, real *to)
{
    if (n >= PN_LANES)
        FN(store)(to, value);
    else
        FN(store_n)(n, to, value);
}

/* The total of the partial sums, in each lane. */
static inline PN_INLINE FN(vec) FN(sum_in_pairs)(FN(vec) *partial)
{
    PN_UNROLL
    for (int half = PN_ROW_VECTORS / 2; half > 0; half /= 2)
        for (int v = 0; v < half; v++)
            partial[v] += partial[v + half];
    FN(vec) sum = partial[0];
    PN_UNROLL
    for (int half = PN_LANES / 2; half > 0; half /= 2)
        sum += FN(exchange)(sum, half);
    return sum;
}

/* The largest of n >= 1 numbers, in each lane; any of them if one is NaN. */
static inline PN_INLINE FN(vec) FN(largest)(size_t n, const real *z)
{
    FN(vec) most = FN(broadcast)(z[0]);
    for (size_t j = 0; j < n; j += PN_LANES) {
        FN(vec) some = FN(load_up_to)(n - j, z + j);
        if (n - j < PN_LANES)
            some = FN(choose)(FN(is_first)(n - j), some, most);
        most = FN(vec_max)(most, some);
    }
    PN_UNROLL
    for (int half = PN_LANES / 2; half > 0; half /= 2)
        most = FN(vec_max)(most, FN(exchange)(most, half));
    return most;
}

/* exp(-x) for x >= 0, subnormal numbers and 0 included. Scaled by 2^100 or 2^40 until the end, as these are. */
static inline PN_INLINE FN(vec) FN(exp_of_minus)(FN(vec) x)
{
    const int scale = REAL_IS_DOUBLE ? 100 : 40;
    FN(vec) power, p = FN(exp_minus)(FN(vec_min)(FN(broadcast)(REAL_IS_DOUBLE ? 750 : 108), x), scale, &power);
    return FN(vec_fma)(power, p, power) * (REAL_IS_DOUBLE ? (real)0x1p-100 : (real)0x1p-40);
}

/* max(z) - z, at most the largest number: the difference of finite numbers is finite. NaN stays NaN. */
static inline PN_INLINE FN(vec) FN(below_largest)(FN(vec) largest, FN(vec) z)
{
    return FN(vec_min)(FN(broadcast)(REAL_IS_DOUBLE ? (real)DBL_MAX : (real)FLT_MAX), largest - z);
}

/* A row of z[n]: e = exp(z - max(z)). Returns their sum, in each lane. e may be z. */
static inline PN_INLINE FN(vec) FN(exponentials)(size_t n, const real *z, real *e)
{
    const FN(vec) largest = FN(largest)(n, z);
    FN(vec) sum[PN_ROW_VECTORS] = {{0}};
    for (size_t j = 0; j < n; j += PN_ROW_SUMS) {
        PN_UNROLL
        for (size_t v = 0; v < PN_ROW_VECTORS; v++) {
            size_t first = j + v * PN_LANES, left = first < n ? n - first : 0;
            if (left == 0)
                break;
            FN(vec) some = FN(exp_of_minus)(FN(below_largest)(largest, FN(load_up_to)(left, z + first)));
            some = left < PN_LANES ? FN(first_lanes)(left, some) : some;
            sum[v] += some;
            FN(store_up_to)(left, some, e + first);
        }
    }
    return FN(sum_in_pairs)(sum);
}

/* a[m][n] = exp(z) / the sum of exp(z) over the row; a may be z. */
static void FN(softmax)(size_t m, size_t n, const real *z, real *a)
{
    for (size_t i = 0; i < m; i++, z += n, a += n) {
        const FN(vec) sum = FN(exponentials)(n, z, a);
        for (size_t j = 0; j < n; j += PN_LANES)
            FN(store_up_to)(n - j, FN(load_up_to)(n - j, a + j) / sum, a + j);
    }
}

/* grad_z = a (grad_a - the sum of a grad_a over the row), [m][n] each; grad_z may be a or grad_a. */
static void FN(softmax_backward)(size_t m, size_t n, const real *a, const real *grad_a, real *grad_z)
{
    for (size_t i = 0; i < m; i++, a += n, grad_a += n, grad_z += n) {
        FN(vec) partial[PN_ROW_VECTORS] = {{0}};
        for (size_t j = 0; j < n; j += PN_LANES) {
            size_t v = j / PN_LANES % PN_ROW_VECTORS;
            partial[v] = FN(vec_fma)(FN(load_up_to)(n - j, a + j), FN(load_up_to)(n - j, grad_a + j), partial[v]);
        }
        const FN(vec) sum = FN(sum_in_pairs)(partial);
        for (size_t j = 0; j < n; j += PN_LANES)
            FN(store_up_to)(n - j, FN(load_up_to)(n - j, a + j) * (FN(load_up_to)(n - j, grad_a + j) - sum), grad_z + j);
    }
}

/* ---- Cross entropy --------------------------------------------------------------------------------------------- */

/* The targets y[m][n], or class numbers y[m], smoothed: t = keep y + share. */
typedef struct FN(targets) {
    const real *y;
    int are_labels;
    real keep, share;
} FN(targets);

/* t of `left` elements of row i from number first on; in lanes beyond them, anything. */
static inline PN_INLINE FN(vec) FN(smoothed)(const FN(targets) *targets, size_t n, size_t i, size_t first, size_t left)
{
    FN(vec) y;
    if (targets->are_labels)
        y = FN(keep_where)(FN(numbers_from)(first) == FN(broadcast)(targets->y[i]), FN(broadcast)(1));
    else
        y = FN(load_up_to)(left, targets->y + i * n + first);
    return FN(vec_fma)(FN(broadcast)(targets->keep), y, FN(broadcast)(targets->share));
}

/* What a row i of z[n] adds to the loss, in sums over j, with d = max(z) - z. */
typedef struct FN(row_sums) {
    real e;   /* exp(-d) */
    real t;   /* t */
    real td;  /* t d */
} FN(row_sums);

/* Also writes e[n] = exp(-d), which may be z. most is max(z). */
static inline PN_INLINE FN(row_sums) FN(sum_row)(const FN(targets) *targets, size_t n, size_t i, const real *z,
                                                 real most, real *e)
{
    const FN(vec) largest = FN(broadcast)(most);
    FN(vec) sum_e[PN_ROW_VECTORS] = {{0}}, sum_t[PN_ROW_VECTORS] = {{0}}, sum_td[PN_ROW_VECTORS] = {{0}};
    for (size_t j = 0; j < n; j += PN_ROW_SUMS) {
        PN_UNROLL
        for (size_t v = 0; v < PN_ROW_VECTORS; v++) {
            size_t first = j + v * PN_LANES, left = first < n ? n - first : 0;
            if (left == 0)
                break;
            FN(vec) d = FN(below_largest)(largest, FN(load_up_to)(left, z + first)), some = FN(exp_of_minus)(d);
            FN(vec) t = FN(smoothed)(targets, n, i, first, left);
            if (left < PN_LANES) {
                some = FN(first_lanes)(left, some);
                t = FN(first_lanes)(left, t);
                d = FN(first_lanes)(left, d);
            }
            sum_e[v] += some;
            sum_t[v] += t;
            sum_td[v] = FN(vec_fma)(t, d, sum_td[v]);
            FN(store_up_to)(left, some, e + first);
        }
    }
    return (FN(row_sums)){FN(sum_in_pairs)(sum_e)[0], FN(sum_in_pairs)(sum_t)[0], FN(sum_in_pairs)(sum_td)[0]};
}

/* grad_z[n] = scale (t_sum e / e_sum - t) of row i; e may be grad_z. */
static inline PN_INLINE void FN(cross_entropy_grad)(const FN(targets) *targets, size_t n, size_t i, real e_sum,
                                                    real t_sum, real scale, const real *e, real *grad_z)
{
    for (size_t j = 0; j < n; j += PN_LANES) {
        FN(vec) a = FN(load_up_to)(n - j, e + j) / FN(broadcast)(e_sum);
        FN(vec) t = FN(smoothed)(targets, n, i, j, n - j);
        FN(store_up_to)(n - j, FN(broadcast)(scale) * FN(vec_fma)(FN(broadcast)(t_sum), a, -t), grad_z + j);
    }
}

/*
 * -sum_j t_j ln a_j with a = softmax(z): with d = max(z) - z it is sum t_j d_j + ln(sum exp(-d_j)) sum t_j, of terms
 * that are finite and not negative. Its gradient is a sum t_j - t.
 */
static double FN(cross_entropy)(const pn_network *network, size_t m, const real *z, const real *y, const real *weight,
                                double denominator, real *grad_z)
{
    const size_t n = network->layers[network->n_layers - 1].n_out;
    const real smoothing = (real)network->loss_parameter;
    FN(targets) targets = {y, network->loss == PN_CROSS_ENTROPY_LABELS, 1 - smoothing, smoothing / (real)n};
    double sums[PN_LOSS_SUMS] = {0};
    for (size_t start = 0; start < m; start += PN_LOSS_BLOCK) {
        const size_t count = m - start < PN_LOSS_BLOCK ? m - start : PN_LOSS_BLOCK;
        real most[PN_LOSS_BLOCK], e[PN_LOSS_BLOCK], t[PN_LOSS_BLOCK], td[PN_LOSS_BLOCK], loss[PN_LOSS_BLOCK];
        for (size_t i = 0; i < count; i++)
            most[i] = FN(largest)(n, z + (start + i) * n)[0];
        for (size_t i = 0; i < count; i++) {
            const size_t first = (start + i) * n;
            FN(row_sums) row = FN(sum_row)(&targets, n, start + i, z + first, most[i], grad_z + first);
            e[i] = row.e;
            t[i] = row.t;
            td[i] = row.td;
        }
        for (size_t i = 0; i < count; i += PN_LANES) {
            size_t left = count - i;
            FN(vec) log = FN(log_vector)(FN(load_up_to)(left, e + i));
            FN(store)(loss + i, FN(vec_fma)(FN(load_up_to)(left, t + i), log, FN(load_up_to)(left, td + i)));
        }
        if (network->loss_limit > 0)
            FN(limit_losses)(count, (real)network->loss_limit, loss);
        for (size_t i = 0; i < count; i++) {
            const real w = weight == NULL ? 1 : weight[start + i];
            real *grad = grad_z + (start + i) * n;
            loss[i] = w > 0 ? w * loss[i] : 0;
            if (w > 0)
                FN(cross_entropy_grad)(&targets, n, start + i, e[i], t[i], FN(row_scale)(w, denominator), grad, grad);
            else
                memset(grad, 0, n * sizeof(real));
        }
        FN(add_losses)(count, loss, sums);
    }
    return FN(sum_of_losses)(sums);
}

static double FN(loss)(const pn_network *network, size_t m, const real *z, const real *y, const real *weight,
                       double denominator, real *grad_z)
{
    if (network->loss == PN_CROSS_ENTROPY || network->loss == PN_CROSS_ENTROPY_LABELS)
        return FN(cross_entropy)(network, m, z, y, weight, denominator, grad_z);
    return FN(elementwise_loss)(network, m, z, y, weight, denominator, grad_z);
}

#undef PN_ROW_SUMS
#undef PN_ROW_VECTORS
