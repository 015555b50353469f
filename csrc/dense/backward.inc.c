/* The backward pass: the gradients with respect to the input and to the weights. */

/*
 * Whether backward_x is computed transposed, with the lanes of a vector along the rows of the batch: then the batch and
 * the result are transposed and the weights are not. Padding lanes behind the last row are wasted work; of floats at
 * most half a vector may be wasted, as they are transposed faster than doubles.
 */
static inline PN_INLINE int FN(transposes_backward_x)(size_t m, size_t k, size_t n)
{
    size_t lanes = FN(round_up)(m, PN_LANES);
    return lanes <= PN_TRANSPOSED_M && n <= PN_TRANSPOSED_MAX_K && (REAL_IS_DOUBLE || 2 * (lanes - m) <= PN_LANES) &&
           PN_TRANSPOSE_RATIO * lanes * (n + k) <= n * k;
}

/* The gradient with respect to x, from a plain or packed weight matrix. */
static void FN(backward_x_product)(size_t m, size_t k, size_t n, const real *grad_z, FN(matrix) weight,
                                   pn_activation f_prev, const real *a_prev, real *grad_z_prev, real *workspace)
{
    weight.column_major = 1;
    FN(product) product = {
        .m = m, .n = k, .k = n, .a = FN(row_major)(m, n, grad_z), .b = weight,
        .c = grad_z_prev, .c_stride = k, .c_panel_stride = PN_NR, .f = f_prev, .a_prev = a_prev,
    };
    if (n == 1)
        product.b = FN(row_major)(1, k, weight.data);
    else if (FN(transposes_backward_x)(m, k, n))
        FN(transpose_product)(&product);
    FN(multiply)(&product, workspace);
}

/* The gradient with respect to the weights, or the update of plain or packed weights: see `rate` of a product. */
static void FN(backward_weight_product)(size_t m, size_t k, size_t n, const real *x, const real *grad_z, real rate,
                                        real *target, size_t stride, size_t panel_stride, real *workspace)
{
    FN(product) product = {
        .m = k, .n = n, .k = m, .a = FN(row_major)(m, k, x), .b = FN(row_major)(m, n, grad_z),
        .c = target, .c_stride = stride, .c_panel_stride = panel_stride, .rate = rate, .f = PN_IDENTITY,
    };
    product.a.column_major = 1;
    if (FN(has_few_columns)(n, k))
        FN(transpose_product)(&product);
    FN(multiply)(&product, workspace);
}

static void FN(dense_backward_x)(size_t m, size_t k, size_t n, const real *grad_z, const real *weight,
                                 pn_activation f_prev, const real *a_prev, real *grad_z_prev, real *workspace)
{
    FN(backward_x_product)(m, k, n, grad_z, FN(row_major)(k, n, weight), f_prev, a_prev, grad_z_prev, workspace);
}

static void FN(dense_backward_weight)(size_t m, size_t k, size_t n, const real *x, const real *grad_z, real rate,
                                      real *target, real *workspace)
{
    FN(backward_weight_product)(m, k, n, x, grad_z, rate, target, n, PN_NR, workspace);
}
