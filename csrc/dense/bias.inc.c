/* The gradient of the bias. */

/* Vectors of columns that are summed at a time. */
#define PN_BIAS_VECTORS 4

/*
 * c = beta c + alpha times the column sums of grad_z[m][n], for `columns` columns, which `vectors` vectors hold. The
 * last vector may read into the next row.
 */
static inline PN_INLINE void FN(sum_columns)(const size_t vectors, size_t columns, size_t m, size_t n,
                                             const real *grad_z, const real *end, real alpha, real beta, real *c)
{
    FN(vec) sum[PN_BIAS_VECTORS] = {{0}};
    real total[PN_BIAS_VECTORS * PN_LANES];
    size_t readable = FN(readable_rows)(m, vectors * PN_LANES, grad_z, n, end);
    for (size_t i = 0; i < readable; i++)
        PN_UNROLL
        for (size_t v = 0; v < vectors; v++)
            sum[v] += FN(load)(grad_z + i * n + v * PN_LANES);
    PN_UNROLL
    for (size_t v = 0; v < vectors; v++)
        FN(store)(total + v * PN_LANES, sum[v]);
    for (size_t i = readable; i < m; i++)
        for (size_t j = 0; j < columns; j++)
            total[j] += grad_z[i * n + j];
    FN(store_scaled)(alpha, beta, columns, total, c);
}

static void FN(dense_backward_bias)(size_t m, size_t n, const real *grad_z, real alpha, real beta, real *c)
{
    const real *end = grad_z + m * n;
    for (size_t j = 0, columns; j < n; j += columns) {
        columns = FN(min)(n - j, PN_BIAS_VECTORS * PN_LANES);
        if (columns == PN_BIAS_VECTORS * PN_LANES)
            FN(sum_columns)(PN_BIAS_VECTORS, columns, m, n, grad_z + j, end, alpha, beta, c + j);
        else {
            columns = FN(min)(columns, PN_LANES);
            FN(sum_columns)(1, columns, m, n, grad_z + j, end, alpha, beta, c + j);
        }
    }
}
