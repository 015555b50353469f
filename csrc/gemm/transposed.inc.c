/*
 * Products whose C lies transposed, so that the lanes of a vector run along the rows of a batch. They are used where C
 * has few columns, or where the batch is transposed in less time than the weights.
 */

/*
 * store_scaled for edge[rows][width] transposed, into c[j...][i...]. The elements c[][i...i_end) that follow are not
 * final: full-vector stores may overwrite them. n_full rows of c are stored as full vectors.
 */
static void FN(store_scaled_transposed)(const FN(product) *s, size_t i, size_t rows, size_t i_end, size_t j,
                                           size_t columns, const real *edge, size_t width)
{
    for (size_t r = 0; r < rows; r += PN_LANES)
        for (size_t l = 0; l < columns; l += PN_LANES) {
            FN(vec) block[PN_LANES];
            PN_UNROLL
            for (size_t q = 0; q < PN_LANES; q++) /* zero-filled, as arithmetic with stray subnormals is slow */
                block[q] = r + q < rows ? FN(load)(edge + (r + q) * width + l) : (FN(vec)){0};
            FN(transpose)(block);
            real *c = s->c + (j + l) * s->c_stride + i + r;
            size_t some = FN(min)(rows - r, PN_LANES), count = FN(min)(columns - l, PN_LANES), n_full = 0;
            if (some == PN_LANES || (s->beta == 0 && i + r + PN_LANES <= i_end))
                n_full = count;
            else if (some == s->c_stride) { /* ascending rows: each overwrites what spilt over from the last */
                size_t reach = s->beta != 0 ? count : columns - l;
                while (n_full < count && n_full * some + PN_LANES <= reach * some)
                    n_full++;
            }
            if (s->beta == 0 && n_full == PN_LANES) {
                PN_UNROLL
                for (size_t q = 0; q < PN_LANES; q++)
                    FN(store)(c + q * s->c_stride, block[q]);
                continue;
            }
            if (s->beta != 0)
                for (size_t q = 0; q < count; q++) {
                    real old[PN_LANES];
                    if (q >= n_full)
                        FN(copy_padded)(some, PN_LANES, c + q * s->c_stride, old);
                    block[q] = FN(vec_fma)(FN(broadcast)(s->alpha), block[q],
                                           FN(broadcast)(s->beta) * FN(load)(q < n_full ? c + q * s->c_stride : old));
                }
            for (size_t q = 0; q < n_full; q++)
                FN(store)(c + q * s->c_stride, block[q]);
            for (size_t q = n_full; q < count; q++)
                FN(copy_n)(some, (const real *)&block[q], c + q * s->c_stride);
        }
}

/* to[r][l] = from[r] for all l < width, in whole vectors. */
static void FN(broadcast_rows)(size_t rows, size_t width, const real *from, real *to)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t l = 0; l < width; l += PN_LANES)
            FN(store)(to + r * width + l, FN(broadcast)(from[r]));
}

/* A is read where it lies. A column-major B is packed, as many columns at a time as a micro-tile has. */
static void FN(multiply_transposed)(const FN(product) *s, const FN(c_range) *range, real *panels)
{
    size_t i_end = range->i + range->rows, j_end = range->j + range->columns;
    size_t mr = FN(balanced_chunk)(range->rows, PN_MR);
    for (size_t j = range->j, columns; j < j_end; j += columns) {
        int log_vectors = FN(tile_log_vectors)(mr, j_end - j);
        while (log_vectors > 1 && s->k * PN_LANES << log_vectors > PN_SCRATCH_ELEMENTS)
            log_vectors--;
        size_t width = (size_t)PN_LANES << log_vectors;
        columns = FN(min)(width, j_end - j);
        FN(matrix) b = FN(b_from)(&s->b, 0, j);
        if (s->b.column_major) {
            b = (FN(matrix)){panels, PN_NR, s->k * PN_NR, 0, NULL};
            for (size_t l = 0; l < columns; l += PN_NR)
                FN(pack_b)(&s->b, 0, s->k, j + l, FN(min)(columns - l, PN_NR), panels + l * s->k);
        }
        for (size_t i = range->i, rows; i < i_end; i += rows) {
            rows = FN(tile_rows)(i_end - i, mr);
            const real *from = s->a.data + i * (s->a.column_major ? 1 : s->a.stride);
            FN(matrix) a = {from, s->a.stride, s->a.panel_stride, s->a.column_major, NULL};
            real edge[PN_MR_PADDED * PN_NR + PN_MAX_VECTORS * PN_LANES * PN_LANES], init[PN_MR * PN_NR + PN_NR * 2];
            if (s->bias)
                FN(broadcast_rows)(rows, width, s->bias + i, init);
            FN(microkernel_args) args = {
                .c = edge, .c_stride = width, .init = s->bias ? init : FN(zeros), .init_stride = s->bias ? width : 0,
            };
            FN(run_tile_row)(&args, rows, columns, log_vectors, s->k, &a, &b);
            if (s->c_stride == 1)
                FN(store_scaled)(s->alpha, s->beta, columns, edge, s->c + j);
            else
                FN(store_scaled_transposed)(s, i, rows, i_end, j, columns, edge, width);
        }
        FN(epilogue)(s, j, columns, range->i, range->rows);
    }
}
