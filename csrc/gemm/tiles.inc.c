/* Tiles side by side, and what becomes of their sums: the loops below are made of these. */

/* Rows of the next tile: the last two share what is left, as a tile of few rows keeps too few chains in flight. */
static inline PN_INLINE size_t FN(tile_rows)(size_t left, size_t mr)
{
    return left <= mr ? left : left < 2 * mr ? (left + 1) / 2 : mr;
}

/* log2 of the vectors of the tile for so many rows where so many columns are left. */
static inline PN_INLINE int FN(tile_width)(size_t rows, size_t columns)
{
    int widest = rows <= (PN_MR == 12 ? 2 : 1) ? 3 : rows <= (PN_MR == 12 ? 4 : 2) ? 2 : 1;
    int log_vectors = 0;
    while (log_vectors < widest && columns > (size_t)PN_LANES << log_vectors)
        log_vectors++;
    return log_vectors;
}

/* c = sum or fma(-rate, sum, c) for part of a row; sum[] is readable up to whole vectors. */
static inline PN_INLINE void FN(put)(real rate, size_t n, const real *sum, real *c)
{
    if (rate > 0)
        for (; n > 0; sum += PN_LANES, c += PN_LANES) {
            size_t some = n < PN_LANES ? n : PN_LANES;
            real next[PN_LANES];
            FN(store)(next, FN(vec_fma)(FN(broadcast)(-rate), FN(load)(sum), FN(load_some)(some, c)));
            FN(copy_some)(some, next, c);
            n -= some;
        }
    else
        FN(copy_some)(n, sum, c);
}

/* Tiles side by side: c[rows] from init[rows], as they stand in the job, which goes on by them. */
static inline PN_INLINE void FN(run_tiles)(FN(tile_job) *job, size_t rows, size_t n_tiles, int log_vectors,
                                           int by_column)
{
    void (*tile)(const FN(tile_job) *) = FN(tiles)[by_column][log_vectors][rows - 1];
    size_t panels = FN(pieces)((size_t)PN_LANES << log_vectors, PN_PANEL);
    job->next_c = job->c; /* which is near in any case */
    for (; n_tiles > 0; n_tiles--) {
        tile(job);
        job->init += panels * job->init_panel;
        job->b += panels * job->b_panel;
        job->c += panels * job->c_panel;
    }
}

/* The same for a sum of `depth` terms, for all `columns` of C or, where they are less than a tile, the last few. */
static void FN(run_strip)(FN(tile_job) *job, size_t rows, size_t columns, int log_vectors, size_t depth,
                          const FN(strip) *a, const FN(strip) *b)
{
    size_t width = (size_t)PN_LANES << log_vectors;
    real rest[PN_WIDEST * PN_LANES + PN_LANES * PN_LANES];
    job->a = a->data;
    job->a_step = a->step;
    job->b = b->data;
    job->b_step = b->step;
    job->b_panel = b->panel;
    job->last_depth = depth;
    if (!a->by_column && a->panel != PN_PANEL) {
        job->depth = PN_PANEL;
        job->parts = depth / PN_PANEL;
        job->last_depth = depth % PN_PANEL;
        job->a_jump = a->panel - PN_PANEL;
    } else if (columns < width && b->end) {
        job->parts = 1;
        job->depth = FN(readable_rows)(depth, width, b->data, b->step, b->end);
        job->last_depth = depth - job->depth;
        job->b_last = rest;
        job->b_last_step = width;
        FN(copy_rows_padded)(job->last_depth, columns, width, b->data + job->depth * b->step, b->step, rest, width);
    }
    FN(run_tiles)(job, rows, FN(pieces)(columns, width), log_vectors, a->by_column);
}

static const real FN(zeros)[PN_WIDEST * PN_LANES];

/* A tile of C[i...][j...], whose sums have come to the term p; `job` is all 0 before. */
static inline PN_INLINE void FN(place)(const FN(product) *s, size_t i, size_t j, size_t p, FN(tile_job) *job)
{
    job->c = FN(c_at)(s, i, j);
    job->c_step = s->c_step;
    job->c_panel = s->c_panel;
    job->rate = s->rate;
    job->init = p > 0 ? job->c : s->bias ? s->bias + j : FN(zeros);
    job->init_step = p > 0 ? s->c_step : 0;
    job->init_panel = p > 0 ? s->c_panel : s->bias ? PN_PANEL : 0;
}

/* The terms p... of the sums in C[i...][j...]: `columns` are whole tiles, or less than one. */
static void FN(add_terms)(const FN(product) *s, size_t i, size_t rows, size_t j, size_t columns, int log_vectors,
                          size_t p, size_t depth, const FN(strip) *a, const FN(strip) *b)
{
    size_t width = (size_t)PN_LANES << log_vectors;
    real *c = FN(c_at)(s, i, j);
    FN(tile_job) job = {0};
    FN(place)(s, i, j, p, &job);
    if (columns >= width) {
        FN(run_strip)(&job, rows, columns, log_vectors, depth, a, b);
        return;
    }

    real edge[PN_MR * PN_PANEL], old[PN_MR * PN_PANEL];
    FN(copy_rows_padded)(p > 0 ? rows : 1, columns, width, job.init, job.init_step, old, width);
    if (s->rate > 0)
        FN(copy_rows_padded)(rows, columns, width, c, s->c_step, edge, width);
    job.init = old;
    job.init_step = p > 0 ? width : 0;
    job.c = edge;
    job.c_step = width;
    FN(run_strip)(&job, rows, columns, log_vectors, depth, a, b);
    size_t r = 0;
    if (columns == s->c_step) /* what a whole vector writes into the next row is overwritten by it */
        for (; r * columns + width <= rows * columns; r++)
            for (size_t l = 0; l < width; l += PN_LANES)
                FN(store)(c + r * columns + l, FN(load)(edge + r * width + l));
    FN(copy_rows)(rows - r, columns, edge + r * width, width, c + r * s->c_step, s->c_step);
}

/* What follows the sum, for a part of C that is still in the cache. */
static void FN(finish)(const FN(product) *s, size_t i, size_t rows, size_t j, size_t columns)
{
    if (s->f == PN_IDENTITY)
        return;
    size_t length = columns == s->c_step ? rows * columns : columns;
    for (size_t done = 0; done < rows * columns; done += length, i++) {
        size_t at = i * s->c_step + j;
        if (s->a_prev)
            FN(activate_backward)(length, s->f, s->a_prev + at, s->c + at, s->c + at);
        else
            FN(activate)(length, s->f, s->c + at, s->c + at);
    }
}
