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
           k * n * sizeof(real) <= PN_TRANSPOSED_WEIGHT_BYTES && PN_TRANSPOSE_RATIO * lanes * (n + k) <= n * k;
}

static void FN(dense_backward_x)(const FN(dense_layer) *layer, const real *grad_z, pn_activation f_prev,
                                 const real *z_prev, const real *a_prev, real *grad_z_prev)
{
    const size_t m = layer->m, k = layer->k, n = layer->n;
    FN(product) product = {
        .m = m, .n = k, .k = n, .a = FN(row_major)(m, n, grad_z), .b = FN(weight_matrix)(layer),
        .c = grad_z_prev, .c_stride = k, .c_panel_stride = PN_NR, .f = f_prev, .z_prev = z_prev, .a_prev = a_prev,
    };
    product.b.column_major = 1;
    if (n == 1)
        product.b = FN(row_major)(1, k, layer->weight);
    else if (FN(transposes_backward_x)(m, k, n))
        FN(transpose_product)(&product);
    FN(multiply)(&product, layer->workspace);
}

static void FN(dense_backward_weight)(const FN(dense_layer) *layer, const real *x, const real *grad_z, real alpha,
                                      real beta, real *target)
{
    const size_t m = layer->m, k = layer->k, n = layer->n;
    const FN(matrix) weight = FN(weight_matrix)(layer);
    FN(product) product = {
        .m = k, .n = n, .k = m, .a = FN(row_major)(m, k, x), .b = FN(row_major)(m, n, grad_z),
        .c = target, .c_stride = weight.stride, .c_panel_stride = weight.panel_stride,
        .alpha = alpha, .beta = beta, .f = PN_IDENTITY,
    };
    product.a.column_major = 1;
    if (FN(has_few_columns)(n, k))
        FN(transpose_product)(&product);
    FN(multiply)(&product, layer->workspace);
}
