/* The gradient of the bias. */

#define PN_BIAS_VECTORS 4     /* vectors of columns of the bias at a time */

/* So many vectors of columns; of the last one, which reads into the next row, `columns` count. */
static inline PN_INLINE void FN(sum_columns)(const size_t vectors, size_t columns, size_t m, size_t n,
                                             const real *grad_z, const real *end, real rate, real *target)
{
    FN(vec) sum[PN_BIAS_VECTORS] = {{0}};
    real total[PN_BIAS_VECTORS * PN_LANES];
    size_t whole = FN(readable_rows)(m, vectors * PN_LANES, grad_z, n, end);
    for (size_t i = 0; i < whole; i++)
        PN_UNROLL
        for (size_t v = 0; v < vectors; v++)
            sum[v] += FN(load)(grad_z + i * n + v * PN_LANES);
    PN_UNROLL
    for (size_t v = 0; v < vectors; v++)
        FN(store)(total + v * PN_LANES, sum[v]);
    for (size_t i = whole; i < m; i++)
        for (size_t j = 0; j < columns; j++)
            total[j] += grad_z[i * n + j];
    FN(store_or_update)(rate, columns, total, target);
}

static void FN(dense_backward_bias)(size_t m, size_t n, const real *grad_z, real rate, real *target)
{
    const real *end = grad_z + m * n;
    for (size_t j = 0, columns; j < n; j += columns) {
        columns = FN(min)(n - j, PN_BIAS_VECTORS * PN_LANES);
        if (columns == PN_BIAS_VECTORS * PN_LANES)
            FN(sum_columns)(PN_BIAS_VECTORS, columns, m, n, grad_z + j, end, rate, target + j);
        else {
            columns = FN(min)(columns, PN_LANES);
            FN(sum_columns)(1, columns, m, n, grad_z + j, end, rate, target + j);
        }
    }
}
