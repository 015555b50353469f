/*
 * Weights that are kept packed between the steps of a training run: panels of NR columns, each of them [k][PN_NR],
 * which the micro-kernel reads as if they had just been packed.
 */

/*
 * Elements from one panel to the next: an odd number of squares of NR x NR, or the same rows of all panels would share
 * cache sets.
 */
static inline PN_INLINE size_t FN(packed_panel_size)(size_t k)
{
    return (FN(ceil_div)(k, PN_NR) | 1) * PN_NR * PN_NR;
}

static size_t FN(packed_size)(size_t m, size_t k, size_t n)
{
    if (m < PN_KEEP_PACKED_M || k < PN_NR || n < PN_NR || k * n * sizeof(real) <= PN_UNPACKED_B_BYTES)
        return 0;
    return FN(ceil_div)(n, PN_NR) * FN(packed_panel_size)(k);
}

static FN(matrix) FN(packed_matrix)(size_t k, const real *packed)
{
    return (FN(matrix)){packed, PN_NR, FN(packed_panel_size)(k), 0, NULL};
}

static void FN(pack_weight)(size_t k, size_t n, const real *weight, real *packed)
{
    FN(matrix) plain = FN(row_major)(k, n, weight);
    for (size_t j = 0; j < n; j += PN_NR, packed += FN(packed_panel_size)(k))
        FN(pack_b)(&plain, 0, k, j, FN(min)(n - j, PN_NR), packed);
}

static void FN(unpack_weight)(size_t k, size_t n, const real *packed, real *weight)
{
    for (size_t p = 0; p < k; p++)
        for (size_t j = 0; j < n; j += PN_NR)
            FN(copy_some)(FN(min)(n - j, PN_NR), packed + j / PN_NR * FN(packed_panel_size)(k) + p * PN_NR,
                          weight + p * n + j);
}

static int FN(packed_finite)(size_t k, size_t n, const real *packed)
{
    int finite = 1;
    for (; finite && n >= PN_NR; n -= PN_NR, packed += FN(packed_panel_size)(k))
        finite = FN(all_finite)(k * PN_NR, packed);
    for (size_t p = 0; finite && n > 0 && p < k; p++)
        finite = FN(all_finite)(n, packed + p * PN_NR);
    return finite;
}

static void FN(dense_forward_packed)(size_t m, size_t k, size_t n, const real *x, const real *packed, const real *bias,
                                     pn_activation f, real *a, real *workspace)
{
    FN(forward_product)(m, k, n, x, FN(packed_matrix)(k, packed), bias, f, a, workspace);
}

static void FN(dense_backward_x_packed)(size_t m, size_t k, size_t n, const real *grad_z, const real *packed,
                                        pn_activation f_prev, const real *a_prev, real *grad_z_prev, real *workspace)
{
    FN(backward_x_product)(m, k, n, grad_z, FN(packed_matrix)(k, packed), f_prev, a_prev, grad_z_prev, workspace);
}

static void FN(dense_backward_weight_packed)(size_t m, size_t k, size_t n, const real *x, const real *grad_z, real rate,
                                             real *packed, real *workspace)
{
    FN(backward_weight_product)(m, k, n, x, grad_z, rate, packed, PN_NR, FN(packed_panel_size)(k), workspace);
}
