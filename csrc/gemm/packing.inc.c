/* Blocks of A and panels of B, copied into the order in which tiles read them. */

/* How many of `depth` rows can be read `width` wide without leaving the array, though they may be narrower. */
static size_t FN(readable_rows)(size_t depth, size_t width, const real *from, size_t step, const real *end)
{
    size_t left = (size_t)(end - from);
    if (left < width)
        return 0;
    size_t rows = (left - width) / step + 1;
    return rows < depth ? rows : depth;
}

/*
 * to[p][to_step] = from[p][step], `width` of each row; the next numbers of `to`, up to whole vectors, are anything: in
 * a narrower `to` they are the beginning of the next row, which comes later.
 */
static void FN(pack)(size_t depth, size_t width, const real *from, size_t step, const real *end, real *to,
                     size_t to_step)
{
    size_t vectors = FN(pieces)(width, PN_LANES);
    size_t fast = FN(readable_rows)(depth, vectors * PN_LANES, from, step, end);
    for (size_t p = 0; p < fast; p++)
        for (size_t v = 0; v < vectors; v++)
            FN(store)(to + p * to_step + v * PN_LANES, FN(load)(from + p * step + v * PN_LANES));
    for (size_t p = fast; p < depth; p++)
        for (size_t j = 0; j < vectors * PN_LANES; j++)
            to[p * to_step + j] = j < width ? from[p * step + j] : 0;
}

/* pack_transposed for rows shorter than a vector, of which each is read as the end of one. */
static void FN(pack_short_rows)(size_t depth, size_t width, const real *from, size_t step, real *to, size_t to_step)
{
    for (size_t r = FN(whole)(width, PN_LANES); r > 0;) {
        r -= PN_LANES;
        FN(vec) block[PN_LANES];
        PN_UNROLL
        for (size_t l = 0; l < PN_LANES; l++) {
            size_t begin = FN(least)(r + l, width - 1) * step;
            if (begin + depth >= PN_LANES)
                block[l] = FN(load)(from + begin + depth - PN_LANES);
            else { /* of the first rows, before which there may be nothing */
                real row[PN_LANES] = {0};
                memcpy(row + PN_LANES - depth, from + begin, depth * sizeof(real));
                block[l] = FN(load)(row);
            }
        }
        FN(transpose)(block);
        PN_UNROLL
        for (size_t l = 0; l < PN_LANES; l++)
            if (l + depth >= PN_LANES)
                FN(store)(to + (l + depth - PN_LANES) * to_step + r, block[l]);
    }
}

/* to[p][to_step] = from[][step] transposed; likewise, so that the last vectors of rows come first. */
static void FN(pack_transposed)(size_t depth, size_t width, const real *from, size_t step, real *to, size_t to_step)
{
    size_t padded = FN(whole)(width, PN_LANES);
    if (depth == 1) {
        for (size_t r = 0; r < padded; r++)
            to[r] = from[FN(least)(r, width - 1) * step];
        return;
    }
    if (depth < PN_LANES) {
        FN(pack_short_rows)(depth, width, from, step, to, to_step);
        return;
    }
    for (size_t start = 0; start < depth; start += PN_LANES) {
        size_t p = start < depth - PN_LANES ? start : depth - PN_LANES;
        for (size_t r = padded; r > 0;) {
            r -= PN_LANES;
            FN(vec) block[PN_LANES];
            const real *row = from + r * step + p;
            size_t some = width - r < PN_LANES ? width - r : PN_LANES;
            PN_UNROLL
            for (size_t l = 0; l < PN_LANES; l++) {
                block[l] = FN(load)(row);
                row += l + 1 < some ? step : 0;
                PN_OPAQUE(row);
            }
            FN(transpose)(block);
            PN_UNROLL
            for (size_t l = 0; l < PN_LANES; l++)
                FN(store)(to + (p + l) * to_step + r, block[l]);
        }
    }
}

/* Rows i... of A as a panel by columns. */
static void FN(pack_a)(const FN(matrix) *a, size_t i, size_t rows, size_t p, size_t depth, real *to, size_t to_step)
{
    if (a->by_column)
        FN(pack)(depth, rows, a->data + p * a->step + i, a->step, a->end, to, to_step);
    else
        FN(pack_transposed)(depth, rows, a->data + i * a->step + p, a->step, to, to_step);
}

/* Columns j... of B as a panel by rows, two vectors wide. */
static void FN(pack_b)(const FN(matrix) *b, size_t p, size_t depth, size_t j, size_t columns, real *to)
{
    if (b->by_column && b->panel != PN_PANEL)
        for (size_t some, end = p + depth; p < end; p += some, to += some * PN_PANEL) {
            some = PN_PANEL - p % PN_PANEL < end - p ? PN_PANEL - p % PN_PANEL : end - p;
            FN(pack_transposed)(some, columns, FN(b_at)(b, p, j), b->step, to, PN_PANEL);
        }
    else if (b->by_column)
        FN(pack_transposed)(depth, columns, FN(b_at)(b, p, j), b->step, to, PN_PANEL);
    else
        FN(pack)(depth, columns, FN(b_at)(b, p, j), b->step, b->end, to, PN_PANEL);
}
