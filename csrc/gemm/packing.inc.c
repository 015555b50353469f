/*
 * Packing: strips of A and panels of B are copied into the order in which the micro-kernel reads them. Both lie term by
 * term: a strip has MR numbers of A for each term of the sum, a panel has NR numbers of B.
 */

/* How many of `depth` rows can be read `width` wide without reading at `end` or beyond. Rows may be narrower. */
static size_t FN(readable_rows)(size_t depth, size_t width, const real *from, size_t stride, const real *end)
{
    size_t left = (size_t)(end - from);
    if (left < width)
        return 0;
    size_t rows = (left - width) / stride + 1;
    return rows < depth ? rows : depth;
}

/*
 * to[p][to_stride] = from[p][stride], `width` numbers of each row. Whole vectors are stored, and their padding is
 * unspecified. Rows are written in ascending order, so that to_stride may be less than whole vectors.
 */
static void FN(pack)(size_t depth, size_t width, const real *from, size_t stride, const real *end, real *to,
                     size_t to_stride)
{
    size_t vectors = FN(ceil_div)(width, PN_LANES);
    size_t readable = FN(readable_rows)(depth, vectors * PN_LANES, from, stride, end);
    for (size_t p = 0; p < readable; p++)
        for (size_t v = 0; v < vectors; v++)
            FN(store)(to + p * to_stride + v * PN_LANES, FN(load)(from + p * stride + v * PN_LANES));
    for (size_t p = readable; p < depth; p++)
        for (size_t j = 0; j < vectors * PN_LANES; j++)
            to[p * to_stride + j] = j < width ? from[p * stride + j] : 0;
}

/* pack_transposed for rows that are shorter than a vector: each is loaded as the end of one. */
static void FN(pack_short_rows)(size_t depth, size_t width, const real *from, size_t stride, real *to, size_t to_stride)
{
    for (size_t r = FN(round_up)(width, PN_LANES); r > 0;) {
        r -= PN_LANES;
        FN(vec) block[PN_LANES];
        PN_UNROLL
        for (size_t l = 0; l < PN_LANES; l++) {
            size_t begin = FN(min)(r + l, width - 1) * stride;
            if (begin + depth >= PN_LANES)
                block[l] = FN(load)(from + begin + depth - PN_LANES);
            else { /* one of the first rows: nothing may be read before them */
                real row[PN_LANES] = {0};
                memcpy(row + PN_LANES - depth, from + begin, depth * sizeof(real));
                block[l] = FN(load)(row);
            }
        }
        FN(transpose)(block);
        PN_UNROLL
        for (size_t l = 0; l < PN_LANES; l++)
            if (l + depth >= PN_LANES)
                FN(store)(to + (l + depth - PN_LANES) * to_stride + r, block[l]);
    }
}

/*
 * to[p][to_stride] = from[r][stride] transposed, for r < width and p < depth. Padding is unspecified. The vectors of a
 * row are written from right to left, so that to_stride may be less than whole vectors.
 */
static void FN(pack_transposed)(size_t depth, size_t width, const real *from, size_t stride, real *to, size_t to_stride)
{
    size_t padded = FN(round_up)(width, PN_LANES);
    if (depth == 1) {
        for (size_t r = 0; r < padded; r++)
            to[r] = from[FN(min)(r, width - 1) * stride];
        return;
    }
    if (depth < PN_LANES) {
        FN(pack_short_rows)(depth, width, from, stride, to, to_stride);
        return;
    }
    for (size_t start = 0; start < depth; start += PN_LANES) {
        size_t p = start < depth - PN_LANES ? start : depth - PN_LANES;
        for (size_t r = padded; r > 0;) {
            r -= PN_LANES;
            FN(vec) block[PN_LANES];
            const real *row = from + r * stride + p;
            size_t some = width - r < PN_LANES ? width - r : PN_LANES;
            PN_UNROLL
            for (size_t l = 0; l < PN_LANES; l++) {
                block[l] = FN(load)(row);
                row += l + 1 < some ? stride : 0;
                PN_OPAQUE(row);
            }
            FN(transpose)(block);
            PN_UNROLL
            for (size_t l = 0; l < PN_LANES; l++)
                FN(store)(to + (p + l) * to_stride + r, block[l]);
        }
    }
}

/* Packs the rows i... of A, and of them the terms p..., into a strip. */
static void FN(pack_a)(const FN(matrix) *a, size_t i, size_t rows, size_t p, size_t depth, real *to, size_t to_stride)
{
    if (a->column_major)
        FN(pack)(depth, rows, a->data + p * a->stride + i, a->stride, a->end, to, to_stride);
    else
        FN(pack_transposed)(depth, rows, a->data + i * a->stride + p, a->stride, to, to_stride);
}

/* Packs the columns j... of B, and of them the terms p..., into a panel. */
static void FN(pack_b)(const FN(matrix) *b, size_t p, size_t depth, size_t j, size_t columns, real *to)
{
    if (b->column_major && b->panel_stride != PN_NR)
        for (size_t some, end = p + depth; p < end; p += some, to += some * PN_NR) {
            some = PN_NR - p % PN_NR < end - p ? PN_NR - p % PN_NR : end - p;
            FN(pack_transposed)(some, columns, FN(b_at)(b, p, j), b->stride, to, PN_NR);
        }
    else if (b->column_major)
        FN(pack_transposed)(depth, columns, FN(b_at)(b, p, j), b->stride, to, PN_NR);
    else
        FN(pack)(depth, columns, FN(b_at)(b, p, j), b->stride, b->end, to, PN_NR);
}
