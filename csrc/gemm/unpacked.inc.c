/* Products without the macro-kernel: A is read in place or packed strip by strip, B is read in place or packed. */

/* A row of a rank-1 product, as far as it consists of whole vectors. */
static inline PN_INLINE void FN(rank1_row)(const int has_bias, const int reads_c, size_t columns, FN(vec) factor,
                                           const real *b, const real *bias, FN(vec) alpha, FN(vec) beta, real *c)
{
    for (size_t j = 0; j + PN_LANES <= columns; j += PN_LANES) {
        FN(vec) sum = FN(vec_fma)(factor, FN(load)(b + j), has_bias ? FN(load)(bias + j) : (FN(vec)){0});
        FN(store)(c + j, reads_c ? FN(vec_fma)(alpha, sum, beta * FN(load)(c + j)) : sum);
    }
}

/* The rank-1 product, k = 1, as for a layer with one output: C = init + a b^T. */
static void FN(multiply_rank1)(const FN(product) *s, const FN(c_range) *range)
{
    size_t columns = range->columns, whole = columns / PN_LANES * PN_LANES, tail = columns - whole;
    const real *a = s->a.data, *b = s->b.data + range->j, *bias = s->bias ? s->bias + range->j : NULL;
    FN(vec) alpha = FN(broadcast)(s->alpha), beta = FN(broadcast)(s->beta);
    FN(vec) last_b = FN(load_n)(tail, b + whole);
    FN(vec) last_bias = FN(load_n)(bias ? tail : 0, bias ? bias + whole : b);
    real last[PN_LANES];
    for (size_t i = range->i; i < range->i + range->rows; i++) {
        real *c = FN(c_at)(s, i, 0) + range->j;
        FN(vec) factor = FN(broadcast)(a[s->a.column_major ? i : i * s->a.stride]);
        if (bias)
            FN(rank1_row)(1, 0, columns, factor, b, bias, alpha, beta, c);
        else if (s->beta != 0)
            FN(rank1_row)(0, 1, columns, factor, b, NULL, alpha, beta, c);
        else
            FN(rank1_row)(0, 0, columns, factor, b, NULL, alpha, beta, c);
        if (tail > 0) {
            FN(store)(last, FN(vec_fma)(factor, last_b, last_bias));
            FN(store_scaled)(s->alpha, s->beta, tail, last, c + whole);
        }
    }
    FN(epilogue)(s, range->i, range->rows, range->j, columns);
}

/*
 * run_microkernels for micro-tiles that are a panel wide. They prefetch the next_rows rows of A that follow, in equal
 * shares, and each prefetches C for the next micro-tile.
 */
static void FN(run_prefetching_microkernels)(FN(microkernel_args) *args, size_t rows, size_t n_tiles, int column_major,
                                             size_t depth, size_t next_rows)
{
    args->n_chunks = column_major ? rows : depth / PN_PREFETCH_ELEMENTS;
    args->chunk_depth = column_major ? depth / rows : PN_PREFETCH_ELEMENTS;
    args->tail_depth = depth - args->n_chunks * args->chunk_depth;
    args->next_a = args->a + (column_major ? rows + next_rows - 1 : rows * args->a_stride);
    size_t lines = next_rows == 0 ? 0 : column_major ? depth : next_rows, times = column_major ? rows : 1;
    args->prefetch_lines_per_chunk = FN(ceil_div)(lines, n_tiles * times);
    args->prefetch_chunk_stride = column_major ? args->prefetch_lines_per_chunk * args->a_stride : PN_PREFETCH_ELEMENTS;
    size_t lines_per_tile = args->prefetch_lines_per_chunk * times;
    for (; n_tiles > 0; n_tiles--) {
        args->next_c = args->c + (n_tiles > 1 ? args->c_panel_stride : 0);
        FN(microkernels)[column_major][1][rows - 1](args);
        args->init += args->init_panel_stride;
        args->b += args->b_panel_stride;
        args->c += args->c_panel_stride;
        args->next_a += lines_per_tile * args->a_stride;
        lines -= FN(min)(lines, lines_per_tile);
        args->prefetch_lines_per_chunk = FN(min)(args->prefetch_lines_per_chunk, lines);
    }
    args->n_chunks = 0;
    args->tail_depth = depth;
}

/* Whether A comes from beyond the second-level cache. */
static inline PN_INLINE int FN(a_exceeds_cache)(const FN(product) *s, const FN(c_range) *range)
{
    return range->rows * s->k * sizeof(real) >= PN_CACHED_A_BYTES;
}

/* accumulate for the columns from j on, of the `columns` columns of C that begin with column j_block. */
static void FN(accumulate_columns)(const FN(product) *s, size_t i, size_t rows, size_t j_block, size_t j,
                                   size_t columns, size_t p, size_t depth, const FN(matrix) *a,
                                   const FN(matrix) *block_b)
{
    for (size_t some; j < columns; j += some) {
        int log_vectors = columns - j > PN_LANES;
        if (s->c_panel_stride == PN_NR)
            log_vectors = FN(tile_log_vectors)(rows, columns - j);
        if (FN(is_prepacked)(&s->b) && (size_t)PN_LANES << log_vectors > FN(round_up)(columns - j, PN_NR))
            log_vectors--; /* nothing may be read behind the last panel */
        size_t width = (size_t)PN_LANES << log_vectors;
        some = columns - j < width ? columns - j : (columns - j) & ~(width - 1);
        FN(matrix) b = *block_b;
        b.data += j / PN_NR * b.panel_stride;
        FN(accumulate)(s, i, rows, j_block + j, some, log_vectors, p, depth, a, &b);
    }
}

/*
 * For few rows, few columns, or a small B. With pack_strips, each strip of A is packed before it is used; with packs_b,
 * B is packed by blocks of KC x NC.
 */
static void FN(multiply_unpacked)(const FN(product) *s, const FN(c_range) *range, int pack_strips, int packs_b,
                                  size_t kc, real *panels)
{
    size_t i_end = range->i + range->rows, j_end = range->j + range->columns;
    size_t nc = packs_b ? FN(balanced_chunk)(range->columns, PN_NC) : range->columns;
    nc = FN(round_up)(nc, PN_NR);
    size_t mr = FN(balanced_chunk)(range->rows, PN_MR);
    int prefetch = !pack_strips && FN(a_exceeds_cache)(s, range);
    real *strip = panels + (packs_b ? nc * kc : 0);
    for (size_t j_block = range->j; j_block < j_end; j_block += nc) {
        size_t columns = FN(min)(nc, j_end - j_block);
        for (size_t p = 0; p < s->k; p += kc) {
            size_t depth = FN(min)(kc, s->k - p), panel = depth * PN_NR;
            if (packs_b)
                for (size_t j = 0; j < columns; j += PN_NR)
                    FN(pack_b)(&s->b, p, depth, j_block + j, FN(min)(PN_NR, columns - j), panels + j * depth);
            FN(matrix) first_b = FN(b_from)(&s->b, p, j_block);
            if (packs_b)
                first_b = (FN(matrix)){panels, PN_NR, panel, 0, NULL};
            FN(microkernel_args) args = {0}; /* of the whole panels, for all rows */
            FN(set_c)(s, range->i, j_block, p, &args);
            const real *init = args.init;
            args.a_stride = s->a.stride;
            args.b_stride = first_b.stride;
            args.b_panel_stride = first_b.panel_stride;
            args.tail_depth = depth;
            size_t finished = range->i; /* rows that are through the epilogue */
            for (size_t i = range->i, rows; i < i_end; i += rows) {
                rows = FN(tile_rows)(i_end - i, mr);
                const real *from = s->a.data + (s->a.column_major ? p * s->a.stride + i : i * s->a.stride + p);
                FN(matrix) a = {from, s->a.stride, PN_NR, s->a.column_major, NULL};
                if (pack_strips) {
                    FN(pack_a)(&s->a, i, rows, p, depth, strip, rows);
                    a.data = strip;
                    args.a_stride = a.stride = rows;
                }
                size_t j = 0;
                if (columns >= PN_NR && FN(tile_log_vectors)(rows, columns) == 1) {
                    args.a = a.data;
                    args.b = first_b.data;
                    args.c = FN(c_at)(s, i, j_block);
                    args.init = p > 0 ? args.c : init;
                    size_t n_tiles = columns / PN_NR;
                    if (prefetch)
                        FN(run_prefetching_microkernels)(&args, rows, n_tiles, a.column_major, depth,
                                                         FN(tile_rows)(i_end - i - rows, mr));
                    else
                        FN(run_microkernels)(&args, rows, n_tiles, 1, a.column_major);
                    j = n_tiles * PN_NR;
                }
                FN(accumulate_columns)(s, i, rows, j_block, j, columns, p, depth, &a, &first_b);
                const size_t computed = i + rows - finished;
                if (p + depth == s->k && (computed * columns >= PN_EPILOGUE_ELEMENTS || i + rows == i_end)) {
                    FN(epilogue)(s, finished, computed, j_block, columns);
                    finished = i + rows;
                }
            }
        }
    }
}
