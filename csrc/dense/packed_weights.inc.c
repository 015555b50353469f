/* Weights kept packed: [k][PN_PANEL] for every PN_PANEL columns. */

/* From one panel to the next: an odd number of squares, as the same rows of all panels would else share cache lines. */
static inline PN_INLINE size_t FN(panel_size)(size_t k)
{
    return (FN(pieces)(k, PN_PANEL) | 1) * PN_PANEL * PN_PANEL;
}

static size_t FN(packed_size)(size_t m, size_t k, size_t n)
{
    if (m < PN_KEEP_PACKED_ROWS || k < PN_PANEL || n < PN_PANEL || k * n * sizeof(real) <= PN_IN_PLACE_BYTES)
        return 0;
    return FN(pieces)(n, PN_PANEL) * FN(panel_size)(k);
}

static FN(matrix) FN(packed)(size_t k, const real *packed)
{
    return (FN(matrix)){packed, PN_PANEL, 0, NULL, FN(panel_size)(k)};
}

static void FN(pack_weight)(size_t k, size_t n, const real *weight, real *packed)
{
    FN(matrix) plain = FN(plain)(k, n, weight);
    for (size_t j = 0; j < n; j += PN_PANEL, packed += FN(panel_size)(k))
        FN(pack_b)(&plain, 0, k, j, FN(least)(n - j, PN_PANEL), packed);
}

static void FN(unpack_weight)(size_t k, size_t n, const real *packed, real *weight)
{
    for (size_t p = 0; p < k; p++)
        for (size_t j = 0; j < n; j += PN_PANEL)
            FN(copy_some)(FN(least)(n - j, PN_PANEL), packed + j / PN_PANEL * FN(panel_size)(k) + p * PN_PANEL,
                          weight + p * n + j);
}

static int FN(packed_finite)(size_t k, size_t n, const real *packed)
{
    int finite = 1;
    for (; finite && n >= PN_PANEL; n -= PN_PANEL, packed += FN(panel_size)(k))
        finite = FN(all_finite)(k * PN_PANEL, packed);
    for (size_t p = 0; finite && n > 0 && p < k; p++)
        finite = FN(all_finite)(n, packed + p * PN_PANEL);
    return finite;
}

static void FN(dense_forward_packed)(size_t m, size_t k, size_t n, const real *x, const real *packed, const real *bias,
                                     pn_activation f, real *a, real *workspace)
{
    FN(forward)(m, k, n, x, FN(packed)(k, packed), bias, f, a, workspace);
}

static void FN(dense_backward_x_packed)(size_t m, size_t k, size_t n, const real *grad_z, const real *packed,
                                        pn_activation f_prev, const real *a_prev, real *grad_z_prev, real *workspace)
{
    FN(backward_x)(m, k, n, grad_z, FN(packed)(k, packed), f_prev, a_prev, grad_z_prev, workspace);
}

static void FN(dense_backward_weight_packed)(size_t m, size_t k, size_t n, const real *x, const real *grad_z,
                                             real rate, real *packed, real *workspace)
{
    FN(backward_weight)(m, k, n, x, grad_z, rate, packed, PN_PANEL, FN(panel_size)(k), workspace);
}
