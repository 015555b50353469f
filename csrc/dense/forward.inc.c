/* The forward pass: a = f(x weight + bias). */

/* The forward pass as a product of x and a plain or packed weight matrix. */
static void FN(forward_product)(size_t m, size_t k, size_t n, const real *x, FN(matrix) weight, const real *bias,
                                pn_activation f, real *a, real *workspace)
{
    FN(product) product = {
        .m = m, .n = n, .k = k, .a = FN(row_major)(m, k, x), .b = weight,
        .bias = bias, .c = a, .c_stride = n, .c_panel_stride = PN_NR, .f = f,
    };
    if (FN(has_few_columns)(n, m) && k <= PN_TRANSPOSED_MAX_K)
        FN(transpose_product)(&product);
    FN(multiply)(&product, workspace);
}

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
static void FN(forward_row)(size_t k, size_t n, const real *x, const real *weight, const real *bias, pn_activation f,
                            real *a)
{
    FN(microkernel_args) args = {.a = x, .b_stride = n, .b_panel_stride = PN_NR, .tail_depth = k};
    for (size_t j = 0, width; j < n; j += width) {
        int log_vectors = FN(tile_log_vectors)(1, n - j);
        while ((width = (size_t)PN_LANES << log_vectors) > n - j)
            log_vectors--;
        args.b = weight + j;
        args.init = bias != NULL ? bias + j : FN(zeros);
        args.c = a + j;
        FN(microkernels)[0][log_vectors][0](&args);
    }
    FN(activate)(n, f, a, a);
}

static void FN(dense_forward)(size_t m, size_t k, size_t n, const real *x, const real *weight, const real *bias,
                              pn_activation f, real *a, real *workspace)
{
    if (FN(uses_scalar_chains)(m, k, n)) {
        switch (n) {
        case 1: FN(forward_scalar)(1, m, k, x, weight, bias, a); break;
        case 2: FN(forward_scalar)(2, m, k, x, weight, bias, a); break;
        case 3: FN(forward_scalar)(3, m, k, x, weight, bias, a); break;
        default: FN(forward_scalar)(4, m, k, x, weight, bias, a); break;
        }
        FN(activate)(m * n, f, a, a);
        return;
    }
    if (FN(is_vector_row)(m, n))
        FN(forward_row)(k, n, x, weight, bias, f, a);
    else
        FN(forward_product)(m, k, n, x, FN(row_major)(k, n, weight), bias, f, a, workspace);
}
