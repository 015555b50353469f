/* The gradients of a layer with respect to its input and its weights. */

/*
 * Whether transposing the batch costs less than transposing the weights. Lanes behind its last row work for nothing:
 * of floats half a register at most may, as their weights are transposed in less time than those of doubles.
 */
static inline PN_INLINE int FN(turns_backward_x)(size_t m, size_t k, size_t n)
{
    size_t lanes = FN(whole)(m, PN_LANES);
    return lanes <= PN_TRANSPOSED_M && n <= PN_TRANSPOSED_K && (REAL_IS_DOUBLE || 2 * (lanes - m) <= PN_LANES) &&
           PN_TRANSPOSED_GAIN * lanes * (n + k) <= n * k;
}

static void FN(backward_x)(size_t m, size_t k, size_t n, const real *grad_z, FN(matrix) weight, pn_activation f_prev,
                           const real *a_prev, real *grad_z_prev, real *workspace)
{
    weight.by_column = 1;
    FN(product) product = {
        .m = m, .n = k, .k = n, .a = FN(plain)(m, n, grad_z), .b = weight,
        .c = grad_z_prev, .c_step = k, .c_panel = PN_PANEL, .f = f_prev, .a_prev = a_prev,
    };
    if (n == 1)
        product.b = FN(plain)(1, k, weight.data);
    else if (FN(turns_backward_x)(m, k, n))
        FN(turn)(&product);
    FN(multiply)(&product, workspace);
}

static void FN(backward_weight)(size_t m, size_t k, size_t n, const real *x, const real *grad_z, real rate,
                                real *target, size_t step, size_t panel, real *workspace)
{
    FN(product) product = {
        .m = k, .n = n, .k = m, .a = FN(plain)(m, k, x), .b = FN(plain)(m, n, grad_z),
        .c = target, .c_step = step, .c_panel = panel, .rate = rate, .f = PN_IDENTITY,
    };
    product.a.by_column = 1;
    if (FN(is_thin)(n, k))
        FN(turn)(&product);
    FN(multiply)(&product, workspace);
}

static void FN(dense_backward_x)(size_t m, size_t k, size_t n, const real *grad_z, const real *weight,
                                 pn_activation f_prev, const real *a_prev, real *grad_z_prev, real *workspace)
{
    FN(backward_x)(m, k, n, grad_z, FN(plain)(k, n, weight), f_prev, a_prev, grad_z_prev, workspace);
}

static void FN(dense_backward_weight)(size_t m, size_t k, size_t n, const real *x, const real *grad_z, real rate,
                                      real *target, real *workspace)
{
    FN(backward_weight)(m, k, n, x, grad_z, rate, target, n, PN_PANEL, workspace);
}
