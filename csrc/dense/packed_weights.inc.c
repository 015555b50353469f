/*
 * Weights that are kept packed between the products of a layer: panels of NR columns, each of them [k][PN_NR], which
 * the micro-kernel reads as if they had just been packed.
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

/* A plain row-major matrix. */
static inline PN_INLINE FN(matrix) FN(row_major)(size_t rows, size_t columns, const real *data)
{
    return (FN(matrix)){data, columns, PN_NR, 0, data + rows * columns};
}

/* The weights of a layer, plain or packed. */
static inline PN_INLINE FN(matrix) FN(weight_matrix)(const FN(dense_layer) *layer)
{
    if (layer->packed)
        return (FN(matrix)){layer->weight, PN_NR, FN(packed_panel_size)(layer->k), 0, NULL};
    return FN(row_major)(layer->k, layer->n, layer->weight);
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
            FN(copy_n)(FN(min)(n - j, PN_NR), packed + j / PN_NR * FN(packed_panel_size)(k) + p * PN_NR,
                          weight + p * n + j);
}
