/* Copies rows whose length need not be a multiple of PN_LANES. */

/* Copies n elements of each row, size <= n <= 2 size, as its first `size` and its last `size`, which may overlap. */
static inline PN_INLINE void FN(copy_ends)(const size_t size, size_t rows, size_t n, const real *from,
                                           size_t from_stride, real *to, size_t to_stride)
{
    for (; rows > 0; rows--, from += from_stride, to += to_stride) {
        real head[PN_LANES], tail[PN_LANES];
        memcpy(head, from, size * sizeof(real));
        memcpy(tail, from + n - size, size * sizeof(real));
        memcpy(to, head, size * sizeof(real));
        memcpy(to + n - size, tail, size * sizeof(real));
    }
}

/* to[rows][to_stride] = from[rows][from_stride], n elements of each row. */
static inline PN_INLINE void FN(copy_rows)(size_t rows, size_t n, const real *from, size_t from_stride, real *to,
                                           size_t to_stride)
{
    for (; n >= PN_LANES; n -= PN_LANES, from += PN_LANES, to += PN_LANES)
        for (size_t r = 0; r < rows; r++)
            FN(store)(to + r * to_stride, FN(load)(from + r * from_stride));
    if (PN_LANES > 8 && n >= 8)
        FN(copy_ends)(8, rows, n, from, from_stride, to, to_stride);
    else if (PN_LANES > 4 && n >= 4)
        FN(copy_ends)(4, rows, n, from, from_stride, to, to_stride);
    else if (PN_LANES > 2 && n >= 2)
        FN(copy_ends)(2, rows, n, from, from_stride, to, to_stride);
    else if (n > 0)
        FN(copy_ends)(1, rows, n, from, from_stride, to, to_stride);
}

/* copy_rows into rows of `width` elements, a multiple of PN_LANES; those after the first n become 0. */
static inline PN_INLINE void FN(copy_rows_padded)(size_t rows, size_t n, size_t width, const real *from,
                                                  size_t from_stride, real *to, size_t to_stride)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t l = n / PN_LANES * PN_LANES; l < width; l += PN_LANES)
            FN(store)(to + r * to_stride + l, (FN(vec)){0});
    FN(copy_rows)(rows, n, from, from_stride, to, to_stride);
}

/* to[n] = from[n]. */
static inline PN_INLINE void FN(copy_n)(size_t n, const real *from, real *to)
{
    FN(copy_rows)(1, n, from, 0, to, 0);
}

/* to[n] = the first n lanes of value, n <= PN_LANES. */
static inline PN_INLINE void FN(store_n)(size_t n, real *to, FN(vec) value)
{
#if PN_HAVE_X86_ISAS && PN_VECTOR_BYTES == 64 && REAL_IS_DOUBLE
    _mm512_mask_storeu_pd(to, (__mmask8)((1u << n) - 1), value);
#elif PN_HAVE_X86_ISAS && PN_VECTOR_BYTES == 64
    _mm512_mask_storeu_ps(to, (__mmask16)((1u << n) - 1), value);
#else
    real lanes[PN_LANES];
    FN(store)(lanes, value);
    FN(copy_n)(n, lanes, to);
#endif
}

/* to[width] = from[n] and zeros; width is a multiple of PN_LANES. */
static inline PN_INLINE void FN(copy_padded)(size_t n, size_t width, const real *from, real *to)
{
    FN(copy_rows_padded)(1, n, width, from, 0, to, 0);
}
