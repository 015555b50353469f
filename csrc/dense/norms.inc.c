/* Norms of weights and of gradients, which may be packed. Their bits do not depend on that. */

static void FN(add_norms)(size_t k, size_t n, int packed, double a, double b, const real *values, double *sums)
{
    const size_t columns = packed ? PN_NR : n, panel_size = packed ? FN(packed_panel_size)(k) : 0;
    double sum[PN_NORM_SUMS];
    memcpy(sum, sums, sizeof sum);
    for (size_t p = 0; p < k; p++, values += columns)
        for (size_t j = 0; j < n; j += columns) {
            const real *row = values + j / columns * panel_size;
            size_t count = FN(min)(n - j, columns), c = 0;
            for (; (j + c) % PN_NORM_SUMS == 0 && c + PN_NORM_SUMS <= count; c += PN_NORM_SUMS) {
                PN_UNROLL
                for (size_t l = 0; l < PN_NORM_SUMS; l++)
                    sum[l] += fabs((double)row[c + l]) * (a + b * fabs((double)row[c + l]));
            }
            for (; c < count; c++)
                sum[(j + c) % PN_NORM_SUMS] += fabs((double)row[c]) * (a + b * fabs((double)row[c]));
        }
    memcpy(sums, sum, sizeof sum);
}

/* PN_NR columns at a time: a panel, if the weight is packed. */
static void FN(limit_norms)(size_t k, size_t n, int packed, double max_norm, real *weight)
{
    const size_t stride = packed ? PN_NR : n, panel_size = packed ? FN(packed_panel_size)(k) : PN_NR;
    for (size_t j = 0; j < n; j += PN_NR, weight += panel_size) {
        const size_t count = FN(min)(n - j, PN_NR);
        double squares[PN_NR] = {0};
        real factors[PN_NR];
        for (size_t p = 0; p < k; p++)
            for (size_t c = 0; c < count; c++)
                squares[c] += (double)weight[p * stride + c] * (double)weight[p * stride + c];
        for (size_t c = 0; c < count; c++) {
            double norm = sqrt(squares[c]);
            factors[c] = norm > max_norm && norm <= DBL_MAX ? (real)(max_norm / norm) : 1;
        }
        for (size_t p = 0; p < k; p++)
            for (size_t c = 0; c < count; c++)
                weight[p * stride + c] *= factors[c];
    }
}
