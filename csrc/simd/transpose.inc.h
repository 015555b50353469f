/* Transposes a square of PN_LANES x PN_LANES elements in registers. */

/*
 * Initialisers of vectors for `interleave`. A vector consists of chunks of 16 bytes. c is the first lane of a chunk;
 * `second` is 0 or 1.
 */
#define PN_CHUNK (16 / (4 + 4 * REAL_IS_DOUBLE))
#if REAL_IS_DOUBLE
#define PN_CHUNK_HALVES(second, c) a[(c) + (second)], b[(c) + (second)]
#define PN_CHUNK_OF(v, c) v[c], v[(c) + 1]
#else
#define PN_CHUNK_HALVES(second, c) PN_PAIR((c) + 2 * (second)), PN_PAIR((c) + 2 * (second) + 1)
#define PN_PAIR(l) a[l], b[l]
#define PN_CHUNK_OF(v, c) v[c], v[(c) + 1], v[(c) + 2], v[(c) + 3]
#endif
#if PN_VECTOR_BYTES == 64
#define PN_ALL_HALVES(second)                                                                                        \
    PN_CHUNK_HALVES(second, 0), PN_CHUNK_HALVES(second, PN_CHUNK), PN_CHUNK_HALVES(second, 2 * PN_CHUNK),            \
        PN_CHUNK_HALVES(second, 3 * PN_CHUNK)
#define PN_CHUNKS(second, v) PN_CHUNK_OF(v, (second) * PN_CHUNK), PN_CHUNK_OF(v, (2 + (second)) * PN_CHUNK)
#elif PN_VECTOR_BYTES == 32
#define PN_ALL_HALVES(second) PN_CHUNK_HALVES(second, 0), PN_CHUNK_HALVES(second, PN_CHUNK)
#define PN_CHUNKS(second, v) PN_CHUNK_OF(v, (second) * PN_CHUNK)
#else
#define PN_ALL_HALVES(second) PN_CHUNK_HALVES(second, 0)
#endif

/*
 * Interleaves the first or the second halves of the chunks of a and b; or, if `chunks`, concatenates the even or the
 * odd chunks of a and those of b. Machines have a single fast instruction for each, and none that interleaves
 * registers.
 */
static inline PN_INLINE FN(vec) FN(interleave)(FN(vec) a, FN(vec) b, int second, int chunks)
{
#ifdef PN_CHUNKS
    if (chunks)
        return second ? (FN(vec)){PN_CHUNKS(1, a), PN_CHUNKS(1, b)} : (FN(vec)){PN_CHUNKS(0, a), PN_CHUNKS(0, b)};
#endif
    (void)chunks;
    return second ? (FN(vec)){PN_ALL_HALVES(1)} : (FN(vec)){PN_ALL_HALVES(0)};
}

/* The row that is put into slot i before the rounds, and the number of the column that slot i holds after them. */
static inline PN_INLINE int FN(row_in_slot)(int i)
{
    const int chunks = PN_LANES / PN_CHUNK;
    return (chunks == 4 ? i % 2 * 2 + i / 2 % 2 : i % chunks) * PN_CHUNK + i / chunks;
}

/* rows[l][c] becomes rows[c][l]. Each round interleaves the first half of the slots with the second half. */
static inline PN_INLINE void FN(transpose)(FN(vec) rows[PN_LANES])
{
    FN(vec) slot[PN_LANES], next[PN_LANES];
    PN_UNROLL
    for (int i = 0; i < PN_LANES; i++)
        slot[i] = rows[FN(row_in_slot)(i)];
    PN_UNROLL
    for (int round = 1; round < PN_LANES; round *= 2) {
        PN_UNROLL
        for (int i = 0; i < PN_LANES; i++)
            next[i] = FN(interleave)(slot[i / 2], slot[i / 2 + PN_LANES / 2], i % 2, round >= PN_CHUNK);
        PN_UNROLL
        for (int i = 0; i < PN_LANES; i++)
            slot[i] = next[i];
    }
    PN_UNROLL
    for (int i = 0; i < PN_LANES; i++)
        rows[FN(row_in_slot)(i)] = slot[i];
}

#undef PN_CHUNK
#undef PN_CHUNK_HALVES
#undef PN_PAIR
#undef PN_CHUNK_OF
#undef PN_ALL_HALVES
#undef PN_CHUNKS
