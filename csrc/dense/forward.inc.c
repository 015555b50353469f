/* The forward pass: a = f(x weight + bias). */

/* A scalar chain of multiply-adds for each element; those of a row are computed at the same time. n is a constant. */
static inline PN_INLINE void FN(forward_scalar)(const int n, size_t m, size_t k, const real *x, const real *weight,
                                                const real *bias, real *a)
{
    for (; m > 0; m--, x += k, a += n) {
        real sum[PN_SCALAR_N] = {0};
        for (int j = 0; bias != NULL && j < n; j++)
            sum[j] = bias[j];
        for (size_t p = 0; p < k; p++) {
            PN_UNROLL
            for (int j = 0; j < n; j++)
                sum[j] = FN(fma)(x[p], weight[p * n + j], sum[j]);
        }
        for (int j = 0; j < n; j++)
            a[j] = sum[j];
    }
}

/* Whether the result is a single row of whole vectors that is not cut into blocks. */
static int FN(is_vector_row)(size_t m, size_t n) { return m == 1 && n % PN_LANES == 0 && n <= PN_NARROW_N; }

/* Computes such a row. It bypasses the selection of a path, which would take as long as the sums of a small layer. */
static void FN(forward_row)(const FN(dense_layer) *layer, const real *x, real *z)
{
    const size_t n = layer->n;
    FN(microkernel_args) args = {.a = x, .b_stride = n, .b_panel_stride = PN_NR, .tail_depth = layer->k};
    for (size_t j = 0, width; j < n; j += width) {
        int log_vectors = FN(tile_log_vectors)(1, n - j);
        while ((width = (size_t)PN_LANES << log_vectors) > n - j)
            log_vectors--;
        args.b = layer->weight + j;
        args.init = layer->bias != NULL ? layer->bias + j : FN(zeros);
        args.c = z + j;
        FN(microkernels)[0][log_vectors][0](&args);
    }
}

/* The forward pass as a product of x and the weights. */
static void FN(forward_product)(const FN(dense_layer) *layer, const real *x, real *z, real *a)
{
    const size_t m = layer->m, k = layer->k, n = layer->n;
    FN(product) product = {
        .m = m, .n = n, .k = k, .a = FN(row_major)(m, k, x), .b = FN(weight_matrix)(layer),
        .bias = layer->bias, .c = a, .c_stride = n, .c_panel_stride = PN_NR, .f = layer->f, .z = z,
    };
    if (FN(has_few_columns)(n, m) && k <= PN_TRANSPOSED_MAX_K)
        FN(transpose_product)(&product);
    FN(multiply)(&product, layer->workspace);
}

static void FN(dense_forward)(const FN(dense_layer) *layer, const real *x, real *z, real *a)
{
    const size_t m = layer->m, k = layer->k, n = layer->n;
    if (!layer->packed && FN(uses_scalar_chains)(m, k, n))
        switch (n) {
        case 1: FN(forward_scalar)(1, m, k, x, layer->weight, layer->bias, a); break;
        case 2: FN(forward_scalar)(2, m, k, x, layer->weight, layer->bias, a); break;
        case 3: FN(forward_scalar)(3, m, k, x, layer->weight, layer->bias, a); break;
        default: FN(forward_scalar)(4, m, k, x, layer->weight, layer->bias, a); break;
        }
    else if (!layer->packed && FN(is_vector_row)(m, n))
        FN(forward_row)(layer, x, a);
    else {
        FN(forward_product)(layer, x, z, a);
        return;
    }
    if (z != NULL)
        memcpy(z, a, m * n * sizeof(real));
    FN(activate)(m * n, layer->f, a, a);
}
