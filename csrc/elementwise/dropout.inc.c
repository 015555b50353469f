/*
 * Dropout. Whether an element is kept is computed from its place alone, so no mask is stored: the backward pass computes
 * it again.
 */

/* 32 random bits for a column of a row with these two keys: an avalanche hash, by two multiplications. */
static inline PN_INLINE uint32_t FN(random_bits)(uint32_t key1, uint32_t key2, uint32_t column)
{
    uint32_t bits = column + key1;
    bits ^= bits >> 16;
    bits *= UINT32_C(0x7feb352d);
    bits = (bits ^ (bits >> 15)) + key2;
    bits *= UINT32_C(0x846ca68b);
    return bits ^ (bits >> 16);
}

static void FN(dropout)(uint64_t key, size_t first_row, size_t m, size_t n, double rate, const real *values, real *out)
{
    const double bound = rate * 4294967296.0 + 0.5; /* 2^32 */
    const uint32_t least = bound < 4294967295.0 ? (uint32_t)bound : UINT32_MAX;
    const real scale = (real)(1 / (1 - rate));
    for (size_t i = 0; i < m; i++, values += n, out += n) {
        const uint64_t row = pn_mix(key + PN_GOLDEN * (uint64_t)(first_row + i));
        const uint32_t key1 = (uint32_t)row, key2 = (uint32_t)(row >> 32);
        PN_ELEMENTWISE
        for (size_t j = 0; j < n; j++)
            out[j] = FN(random_bits)(key1, key2, (uint32_t)j) >= least ? values[j] * scale : 0;
    }
}
