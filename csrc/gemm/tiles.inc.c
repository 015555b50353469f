/*
 * Rows of micro-tiles: micro-kernels side by side along N, the edge of C where a micro-tile is cut off, and the
 * epilogue. The loops of all paths are made of these.
 */

/*
 * Rows of the next micro-tile, where `left` rows are left. The last two micro-tiles share their rows evenly, as one of
 * few rows keeps too few chains of multiply-adds in flight.
 */
static inline PN_INLINE size_t FN(tile_rows)(size_t left, size_t mr)
{
    return left <= mr ? left : left < 2 * mr ? (left + 1) / 2 : mr;
}

/* log2 of the number of vectors that a micro-tile of `rows` rows is wide, where `columns` columns are left. */
static inline PN_INLINE int FN(tile_log_vectors)(size_t rows, size_t columns)
{
    int widest = rows <= PN_MR_8_VECTORS ? 3 : rows <= PN_MR_4_VECTORS ? 2 : 1;
    int log_vectors = 0;
    while (log_vectors < widest && columns > (size_t)PN_LANES << log_vectors)
        log_vectors++;
    return log_vectors;
}

/* c[n] = sum[n] or, if beta is not 0, beta c + alpha sum. sum[] is readable up to whole vectors. */
static inline PN_INLINE void FN(store_scaled)(real alpha, real beta, size_t n, const real *sum, real *c)
{
    if (beta != 0)
        for (; n > 0; sum += PN_LANES, c += PN_LANES) {
            size_t some = n < PN_LANES ? n : PN_LANES;
            FN(vec) old = FN(broadcast)(beta) * FN(load_n)(some, c);
            FN(store_n)(some, c, FN(vec_fma)(FN(broadcast)(alpha), FN(load)(sum), old));
            n -= some;
        }
    else
        FN(copy_n)(n, sum, c);
}

/* Runs n_tiles micro-kernels along N, and advances init, B and C by them. */
static inline PN_INLINE void FN(run_microkernels)(FN(microkernel_args) *args, size_t rows, size_t n_tiles,
                                                  int log_vectors, int column_major)
{
    void (*microkernel)(const FN(microkernel_args) *) = FN(microkernels)[column_major][log_vectors][rows - 1];
    size_t panels = FN(ceil_div)((size_t)PN_LANES << log_vectors, PN_NR);
    args->next_c = args->c; /* prefetching what is in the cache costs next to nothing */
    for (; n_tiles > 0; n_tiles--) {
        microkernel(args);
        args->init += panels * args->init_panel_stride;
        args->b += panels * args->b_panel_stride;
        args->c += panels * args->c_panel_stride;
    }
}

/*
 * Runs the micro-kernels of one row of micro-tiles over `depth` terms. `columns` is a multiple of a micro-tile's width,
 * or less than one width. In the second case the last rows of B are copied, if to read them as wide as a micro-tile
 * would go beyond the end of B.
 */
static void FN(run_tile_row)(FN(microkernel_args) *args, size_t rows, size_t columns, int log_vectors, size_t depth,
                             const FN(matrix) *a, const FN(matrix) *b)
{
    size_t width = (size_t)PN_LANES << log_vectors;
    real b_tail[PN_MAX_VECTORS * PN_LANES + PN_LANES * PN_LANES];
    args->a = a->data;
    args->a_stride = a->stride;
    args->b = b->data;
    args->b_stride = b->stride;
    args->b_panel_stride = b->panel_stride;
    args->tail_depth = depth;
    if (!a->column_major && a->panel_stride != PN_NR) {
        args->chunk_depth = PN_NR;
        args->n_chunks = depth / PN_NR;
        args->tail_depth = depth % PN_NR;
        args->a_chunk_gap = a->panel_stride - PN_NR;
    } else if (columns < width && b->end) {
        args->n_chunks = 1;
        args->chunk_depth = FN(readable_rows)(depth, width, b->data, b->stride, b->end);
        args->tail_depth = depth - args->chunk_depth;
        args->b_tail = b_tail;
        args->b_tail_stride = width;
        FN(copy_rows_padded)(args->tail_depth, columns, width, b->data + args->chunk_depth * b->stride, b->stride,
                             b_tail, width);
    }
    FN(run_microkernels)(args, rows, FN(ceil_div)(columns, width), log_vectors, a->column_major);
}

static const real FN(zeros)[PN_MAX_VECTORS * PN_LANES];

/*
 * Sets what *args says of C from C[i][j] on. Sums start from the bias if p is 0; otherwise the terms before p are
 * already in C. The other members must be 0 before.
 */
static inline PN_INLINE void FN(set_c)(const FN(product) *s, size_t i, size_t j, size_t p, FN(microkernel_args) *args)
{
    args->c = FN(c_at)(s, i, j);
    args->c_stride = s->c_stride;
    args->c_panel_stride = s->c_panel_stride;
    args->alpha = s->alpha;
    args->beta = s->beta;
    args->init = p > 0 ? args->c : s->bias ? s->bias + j : FN(zeros);
    args->init_stride = p > 0 ? s->c_stride : 0;
    args->init_panel_stride = p > 0 ? s->c_panel_stride : s->bias ? PN_NR : 0;
}

/*
 * Computes the terms from p on, `depth` of them, of the sums in C[i...][j...], which start from init if p is 0.
 * `columns` are whole micro-tiles, or less than one, which is computed in a buffer then.
 */
static void FN(accumulate)(const FN(product) *s, size_t i, size_t rows, size_t j, size_t columns, int log_vectors,
                           size_t p, size_t depth, const FN(matrix) *a, const FN(matrix) *b)
{
    size_t width = (size_t)PN_LANES << log_vectors;
    real *c = FN(c_at)(s, i, j);
    FN(microkernel_args) args = {0};
    FN(set_c)(s, i, j, p, &args);
    if (columns >= width) {
        FN(run_tile_row)(&args, rows, columns, log_vectors, depth, a, b);
        return;
    }

    real edge[PN_MR * PN_NR], old[PN_MR * PN_NR];
    FN(copy_rows_padded)(p > 0 ? rows : 1, columns, width, args.init, args.init_stride, old, width);
    if (s->beta != 0)
        FN(copy_rows_padded)(rows, columns, width, c, s->c_stride, edge, width);
    args.init = old;
    args.init_stride = p > 0 ? width : 0;
    args.c = edge;
    args.c_stride = width;
    FN(run_tile_row)(&args, rows, columns, log_vectors, depth, a, b);
    size_t r = 0;
    if (columns == s->c_stride) /* rows are stored in ascending order: each overwrites what spilt over from the last */
        for (; r * columns + width <= rows * columns; r++)
            for (size_t l = 0; l < width; l += PN_LANES)
                FN(store)(c + r * columns + l, FN(load)(edge + r * width + l));
    FN(copy_rows)(rows - r, columns, edge + r * width, width, c + r * s->c_stride, s->c_stride);
}

/* The epilogue: applies the activation, or the derivative, to finished sums that are still in the cache. */
static void FN(epilogue)(const FN(product) *s, size_t i, size_t rows, size_t j, size_t columns)
{
    if (s->f == PN_IDENTITY && s->z == NULL)
        return;
    size_t length = columns == s->c_stride ? rows * columns : columns;
    for (size_t done = 0; done < rows * columns; done += length, i++) {
        size_t at = i * s->c_stride + j;
        if (s->z)
            memcpy(s->z + at, s->c + at, length * sizeof(real));
        if (s->a_prev)
            FN(activate_backward)(length, s->f, s->z_prev ? s->z_prev + at : NULL, s->a_prev + at, s->c + at,
                                  s->c + at);
        else
            FN(activate)(length, s->f, s->c + at, s->c + at);
    }
}
