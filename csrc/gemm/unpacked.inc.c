/* Products of which A or B, or both, are read where they lie. */

/* The whole vectors of a row of sums of a single term. */
static inline PN_INLINE void FN(add_one_term)(const int has_bias, const int descend, size_t columns, FN(vec) factor,
                                              const real *b, const real *bias, FN(vec) minus_rate, real *c)
{
    for (size_t j = 0; j + PN_LANES <= columns; j += PN_LANES) {
        FN(vec) sum = FN(vec_fma)(factor, FN(load)(b + j), has_bias ? FN(load)(bias + j) : (FN(vec)){0});
        FN(store)(c + j, descend ? FN(vec_fma)(minus_rate, sum, FN(load)(c + j)) : sum);
    }
}

/* Sums of a single term, as behind a layer with one output: a row of B, times one number of A for each row of C. */
static void FN(multiply_one_term)(const FN(product) *s, const FN(part) *part)
{
    size_t columns = part->columns, whole = columns / PN_LANES * PN_LANES, rest = columns - whole;
    const real *a = s->a.data, *b = s->b.data + part->j, *bias = s->bias ? s->bias + part->j : NULL;
    FN(vec) minus_rate = FN(broadcast)(-s->rate);
    FN(vec) last_b = FN(load_some)(rest, b + whole);
    FN(vec) last_bias = FN(load_some)(bias ? rest : 0, bias ? bias + whole : b);
    real last[PN_LANES];
    for (size_t i = part->i; i < part->i + part->rows; i++) {
        real *c = FN(c_at)(s, i, 0) + part->j;
        FN(vec) factor = FN(broadcast)(a[s->a.by_column ? i : i * s->a.step]);
        if (bias)
            FN(add_one_term)(1, 0, columns, factor, b, bias, minus_rate, c);
        else if (s->rate > 0)
            FN(add_one_term)(0, 1, columns, factor, b, NULL, minus_rate, c);
        else
            FN(add_one_term)(0, 0, columns, factor, b, NULL, minus_rate, c);
        if (rest > 0) {
            FN(store)(last, FN(vec_fma)(factor, last_b, last_bias));
            FN(put)(s->rate, rest, last, c + whole);
        }
    }
    FN(finish)(s, part->i, part->rows, part->j, columns);
}

/* The terms p... of the sums of a row, `terms` at a time: as many rows of B pass by from their first to their last. */
static inline PN_INLINE void FN(stream_terms)(const int terms, size_t columns, const real *a, const real *b,
                                              size_t step, real *c)
{
    size_t j = 0;
    for (; j + PN_LANES <= columns; j += PN_LANES) {
        FN(vec) sum = FN(load)(c + j);
        PN_UNROLL
        for (int q = 0; q < terms; q++)
            sum = FN(vec_fma)(FN(broadcast)(a[q]), FN(load)(b + (size_t)q * step + j), sum);
        FN(store)(c + j, sum);
    }
    for (; j < columns; j++)
        for (int q = 0; q < terms; q++)
            c[j] = FN(fma)(a[q], b[(size_t)q * step + j], c[j]);
}

/* A single row, and a B that comes from far away: machines fetch ahead of what they read from end to end. */
static void FN(multiply_streaming)(const FN(product) *s, const FN(part) *part)
{
    real *c = FN(c_at)(s, part->i, 0) + part->j;
    const real *a = s->a.data + part->i * s->a.step, *b = s->b.data + part->j;
    if (s->bias)
        memcpy(c, s->bias + part->j, part->columns * sizeof(real));
    else
        memset(c, 0, part->columns * sizeof(real));
    size_t p = 0;
    for (; p + PN_KC_FEW_ROWS <= s->k; p += PN_KC_FEW_ROWS)
        FN(stream_terms)(PN_KC_FEW_ROWS, part->columns, a + p, b + p * s->b.step, s->b.step, c);
    for (; p < s->k; p++)
        FN(stream_terms)(1, part->columns, a + p, b + p * s->b.step, s->b.step, c);
    FN(finish)(s, part->i, 1, part->j, part->columns);
}

/*
 * Tiles of whole panels side by side. Between them they fetch the `next_rows` rows of A after their own, and each the
 * C of the next one.
 */
static void FN(run_fetching_tiles)(FN(tile_job) *job, size_t rows, size_t n_tiles, int by_column, size_t depth,
                                   size_t next_rows)
{
    job->parts = by_column ? rows : depth / PN_FETCHED;
    job->depth = by_column ? depth / rows : PN_FETCHED;
    job->last_depth = depth - job->parts * job->depth;
    job->next_a = job->a + (by_column ? rows + next_rows - 1 : rows * job->a_step);
    size_t lines = next_rows == 0 ? 0 : by_column ? depth : next_rows, times = by_column ? rows : 1;
    job->lines_a_part = FN(pieces)(lines, n_tiles * times);
    job->next_part = by_column ? job->lines_a_part * job->a_step : PN_FETCHED;
    size_t lines_a_tile = job->lines_a_part * times;
    for (; n_tiles > 0; n_tiles--) {
        job->next_c = job->c + (n_tiles > 1 ? job->c_panel : 0);
        FN(tiles)[by_column][1][rows - 1](job);
        job->init += job->init_panel;
        job->b += job->b_panel;
        job->c += job->c_panel;
        job->next_a += lines_a_tile * job->a_step;
        lines -= FN(least)(lines, lines_a_tile);
        job->lines_a_part = FN(least)(job->lines_a_part, lines);
    }
    job->parts = 0;
    job->last_depth = depth;
}

/* Whether A is so large that it comes from beyond the nearer caches. */
static inline PN_INLINE int FN(is_far)(const FN(product) *s, const FN(part) *part)
{
    return part->rows * s->k * sizeof(real) >= PN_FETCH_BYTES;
}

/* A is used as it lies, or packed in strips; B too, or packed by blocks. For few rows, few columns, or a small B. */
static void FN(multiply_by_strips)(const FN(product) *s, const FN(part) *part, int pack_strips, int pack, size_t kc,
                                   real *panels)
{
    size_t i_end = part->i + part->rows, j_end = part->j + part->columns;
    int ready = FN(is_ready)(&s->b);
    size_t nc = pack ? FN(even)(part->columns, PN_NC) : part->columns;
    nc = FN(whole)(nc, PN_PANEL);
    size_t mr = FN(even)(part->rows, PN_MR);
    int fetch = !pack_strips && FN(is_far)(s, part);
    real *strip = panels + (pack ? nc * kc : 0);
    for (size_t j_block = part->j; j_block < j_end; j_block += nc) {
        size_t columns = FN(least)(nc, j_end - j_block);
        for (size_t p = 0; p < s->k; p += kc) {
            size_t depth = FN(least)(kc, s->k - p), panel = depth * PN_PANEL;
            if (pack)
                for (size_t j = 0; j < columns; j += PN_PANEL)
                    FN(pack_b)(&s->b, p, depth, j_block + j, FN(least)(PN_PANEL, columns - j),
                               panels + j * depth);
            FN(strip) first_b = FN(strip_of_b)(&s->b, p, j_block);
            if (pack)
                first_b = (FN(strip)){panels, PN_PANEL, panel, 0, NULL};
            FN(tile_job) job = {0}; /* of whole panels: its rows differ little */
            FN(place)(s, part->i, j_block, p, &job);
            const real *init = job.init;
            job.a_step = s->a.step;
            job.b_step = first_b.step;
            job.b_panel = first_b.panel;
            job.last_depth = depth;
            for (size_t i = part->i, rows; i < i_end; i += rows) {
                rows = FN(tile_rows)(i_end - i, mr);
                FN(strip) a = {s->a.data + (s->a.by_column ? p * s->a.step + i : i * s->a.step + p), s->a.step,
                               PN_PANEL, s->a.by_column, NULL};
                if (pack_strips) {
                    FN(pack_a)(&s->a, i, rows, p, depth, strip, rows);
                    a.data = strip;
                    job.a_step = a.step = rows;
                }
                size_t j = 0, some;
                if (columns >= PN_PANEL && FN(tile_width)(rows, columns) == 1) {
                    job.a = a.data;
                    job.b = first_b.data;
                    job.c = FN(c_at)(s, i, j_block);
                    job.init = p > 0 ? job.c : init;
                    size_t n_tiles = columns / PN_PANEL;
                    if (fetch)
                        FN(run_fetching_tiles)(&job, rows, n_tiles, a.by_column, depth,
                                               FN(tile_rows)(i_end - i - rows, mr));
                    else
                        FN(run_tiles)(&job, rows, n_tiles, 1, a.by_column);
                    j = n_tiles * PN_PANEL;
                }
                for (; j < columns; j += some) {
                    int log_vectors = columns - j > PN_LANES;
                    if (s->c_panel == PN_PANEL)
                        log_vectors = FN(tile_width)(rows, columns - j);
                    if (ready && (size_t)PN_LANES << log_vectors > FN(whole)(columns - j, PN_PANEL))
                        log_vectors--; /* behind the last panel there is nothing to read */
                    size_t width = (size_t)PN_LANES << log_vectors;
                    some = columns - j < width ? columns - j : (columns - j) & ~(width - 1);
                    FN(strip) b = first_b;
                    b.data += j / PN_PANEL * b.panel;
                    FN(add_terms)(s, i, rows, j_block + j, some, log_vectors, p, depth, &a, &b);
                }
                if (p + depth == s->k)
                    FN(finish)(s, i, rows, j_block, columns);
            }
        }
    }
}
