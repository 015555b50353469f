/*
 * C[m][n] = init[n] + A[m][k] B[k][n] with what follows the sum fused in, where A and B may lie transposed in memory.
 *
 * Every element of C is one chain of fused multiply-adds over k, in order. It lives in one lane of one register of a
 * tile; between two blocks of k it rests in C itself. So nothing below can change a bit of the result: neither the
 * tile's shape, nor the blocks, nor which thread computes which part of C.
 */
#include "kernels.h"
#include "threads.h"

#ifdef PN_ISA

/* Crossovers, measured with benchmarks/matmul.c. */
#ifndef PN_KC
#define PN_KC (3072 / sizeof(real)) /* terms of the sum between two visits to C */
#define PN_KC_FEW_ROWS 8            /* the same for up to so many rows where B is read in place: as many streams */
#define PN_ROWS_TO_PACK 96          /* rows of A up to which packing B is much of the work, */
#define PN_KC_TO_PACK (REAL_IS_DOUBLE ? PN_KC : 256) /* and the same for them: float64 gains nothing from fewer */
#define PN_IN_PLACE_BYTES 40960     /* B up to this size is not packed */
#define PN_ROWS_B_IN_PLACE 128      /* nor any B for so many rows of A, if it is read in one go; */
#define PN_ROWS_B_BY_BLOCKS (4 * PN_MR) /* otherwise for so many */
#define PN_NARROW 512               /* columns: up to this width of C, A is not packed as a whole, */
#define PN_NARROW_BYTES (1 << 20)   /* and a B up to this size is read in one go, though it lies in place */
#define PN_ROWS_IN_PLACE 4032       /* bytes: nor if rows are no longer, B packed; from 4096 on rows collide */
#define PN_WAYS 8                   /* rows of A that may have the same places in the nearest cache */
#define PN_NC 512                   /* columns of B packed at a time where A is not */
#define PN_FETCH_BYTES 262144       /* from this size on A is fetched ahead where it is not packed; but where it lies */
#define PN_STRIP_PANELS 8           /* by columns it is packed in strips, as also for so many panels of B: each term */
#define PN_KC_BY_COLUMN (1408 / sizeof(real)) /* is in another page, or line of the cache; a sum has at most so many */
#define PN_TRANSPOSED_M 64          /* rows of a batch up to which backward_x may be computed transposed */
#define PN_TRANSPOSED_GAIN 3        /* transposing the weights costs so many times what transposing the others does */
#define PN_KEEP_PACKED_ROWS 8       /* rows of a batch from which on weights are better kept packed */
#define PN_BYTES_A_MICROSECOND 2e4  /* of weights that are larger than PN_NARROW_BYTES, from memory */
#define PN_SHARE_MICROSECONDS 32    /* of work, at least, for every thread; */
#define PN_SHARE_SIDE 64            /* if the shortest side is less than this, */
#define PN_SHARE_THIN 65            /* so many microseconds: cores then fetch most of what they use from each other */
#endif

#if PN_VECTOR_BYTES == 64 || defined(__aarch64__) /* 32 registers */
#define PN_MR 12
#else
#define PN_MR 6
#endif
#define PN_WIDEST 8 /* vectors in the widest tile */
#define PN_MR_WHOLE ((PN_MR + PN_LANES - 1) / PN_LANES * PN_LANES)

#define PN_TRANSPOSED_K (PN_SCRATCH / PN_PANEL) /* longest sum of a transposed product: what a panel holds */
#define PN_SCRATCH ((PN_SCRATCH_BYTES - 64) / sizeof(real))

#define PN_PANEL (2 * PN_LANES) /* columns of a packed panel of B */
#define PN_FETCHED (4 * PN_PANEL) /* numbers of a row of A that are fetched at a time, with as many terms of a sum */
#define PN_STRIP (PN_KC_BY_COLUMN * PN_MR_WHOLE) /* elements of a packed strip of A, at most */

/*
 * Row i begins at data + i * step; if by_column is 1, rows here are columns of the operand. Where a row is longer than
 * PN_PANEL, its next PN_PANEL numbers are `panel` further on: PN_PANEL for a plain matrix, more for packed weights.
 * Nothing may be read from `end` on.
 */
typedef struct FN(matrix) {
    const real *data;
    size_t step;
    int by_column;
    const real *end;
    size_t panel;
} FN(matrix);

typedef struct FN(product) {
    size_t m, n, k;
    FN(matrix) a, b;
    const real *bias;           /* where sums start: bias[n]; NULL: 0 */
    real *c;                    /* c[m][c_step] */
    size_t c_step, c_panel;     /* as in a matrix */
    real rate;                  /* not 0: c = fma(-rate, sum, c) instead of c = sum */
    pn_activation f;            /* last: c = f(c), or c = c * f'(z) if a_prev[m][c_step] is given */
    const real *a_prev;
    int transposed;             /* C[i][j] is c[j][i], likewise a_prev; and bias[m] */
} FN(product);

/*
 * Of pointers that differ by multiples of a step gcc keeps each in a register, and most of these in memory; it loads
 * the numbers of a column as one vector, which it then takes apart with permutations. After this it knows nothing.
 */
#define PN_OPAQUE(value) __asm__("" : "+r"(value))

/* ---- Tiles -------------------------------------------------------------------------------------------------- */

typedef struct FN(tile_job) {
    const real *a;
    size_t a_step, a_jump;      /* between rows or columns of A; what else rows go on by after each part */
    const real *b, *b_last;     /* b_last: where the rows of B for the last part are, if not behind the others */
    size_t b_step, b_last_step, b_panel;
    size_t parts, depth;        /* the sum has `parts` parts of `depth` terms each */
    size_t last_depth;          /* and one more of so many */
    const real *init;
    size_t init_step, init_panel; /* init_panel, c_panel: from a tile to the next one for every panel of its width */
    real *c;
    size_t c_step, c_panel;
    real rate;
    /* Wanted soon, and fetched while tiles compute, a little with each part of the sum: */
    const real *next_c, *a_prev; /* laid out as C; NULL: no a_prev */
    const real *next_a;         /* of rows that lie by columns the end, otherwise PN_FETCHED each; */
    size_t lines_a_part, next_part; /* so many, a_step apart, with every part, the next part's so much further on */
    const real *next_b;         /* rows of PN_PANEL numbers, one `next_step` after the other in squares of PN_PANEL */
    size_t next_rows, rows_a_part, next_step, next_square;
} FN(tile_job);

/* In bursts, between two tiles, these would hold up what the next tile loads first. */
static inline PN_INLINE void FN(fetch)(size_t part, size_t rows, int vectors, int by_column, const FN(tile_job) *t)
{
    const real *line = t->next_a + part * t->next_part;
    for (size_t r = 0; r < t->lines_a_part; r++, line += t->a_step) {
        for (size_t l = 0; l < (by_column ? 1 : PN_FETCHED); l += 64 / sizeof(real))
            __builtin_prefetch(line + l, 0, 3);
    }
    if (!by_column)
        return;
    if (part < rows) {
        PN_UNROLL
        for (int v = 0; v < vectors; v++)
            __builtin_prefetch(t->next_c + part * t->c_step + v * PN_LANES, 1, 3);
        if (t->a_prev) {
            PN_UNROLL
            for (int v = 0; v < vectors; v++)
                __builtin_prefetch(t->a_prev + part * t->c_step + v * PN_LANES, 0, 3);
        }
    }
    size_t begin = part * t->rows_a_part, end = begin + t->rows_a_part;
    for (size_t r = begin; r < end && r < t->next_rows; r++) {
        const real *row = t->next_b + r / PN_PANEL * t->next_square + r % PN_PANEL * t->next_step;
        __builtin_prefetch(row, 0, 2);
        __builtin_prefetch(row + PN_PANEL - 1, 0, 2);
    }
}

static inline PN_INLINE void FN(tile)(int rows, int vectors, int by_column, const FN(tile_job) *t)
{
    FN(vec) acc[PN_MR][PN_WIDEST];
    const real *init = t->init;
    size_t init_step = t->init_step;
    PN_UNROLL
    for (int i = 0; i < rows; i++, init += init_step) {
        PN_OPAQUE(init);
        PN_UNROLL
        for (int v = 0; v < vectors; v++)
            acc[i][v] = FN(load)(init + v * PN_LANES);
    }

    const real *a = t->a, *b = t->b, *four_rows[(PN_MR + 3) / 4]; /* of A: machines add 0 to 3 steps while they load */
    size_t a_step = t->a_step, three_steps = 3 * a_step, b_step = t->b_step, b_panel = t->b_panel;
    PN_OPAQUE(three_steps);
    PN_UNROLL
    for (int i = 0; i < rows && !by_column; i += 4)
        four_rows[i / 4] = a + (size_t)i * a_step;
    for (size_t part = 0; part <= t->parts; part++) {
        PN_OPAQUE(t); /* what is needed once a part shall not occupy registers */
        size_t depth = part < t->parts ? t->depth : t->last_depth;
        if (part == t->parts && t->b_last) {
            b = t->b_last;
            b_step = t->b_last_step;
        }
        if (part < t->parts)
            FN(fetch)(part, (size_t)rows, vectors, by_column, t);
        for (size_t p = 0; p < depth; p++) {
            FN(vec) row[PN_WIDEST];
            PN_UNROLL
            for (int v = 0; v < vectors; v++) {
                row[v] = FN(load)(b + (size_t)(v / 2) * b_panel + v % 2 * PN_LANES);
                if (rows > 1) /* for two or three uses gcc would load it as often */
                    PN_IN_REGISTER(row[v]);
            }
            PN_UNROLL
            for (int i = 0; i < rows; i++) {
                if (by_column)
                    PN_OPAQUE(a);
                else if (i % 4 == 0)
                    PN_OPAQUE(four_rows[i / 4]);
                size_t steps = i % 4 == 3 ? three_steps : (size_t)(i % 4) * a_step;
                FN(vec) factor = FN(broadcast)(by_column ? a[i] : four_rows[i / 4][steps]);
                PN_UNROLL
                for (int v = 0; v < vectors; v++)
                    acc[i][v] = FN(vec_fma)(factor, row[v], acc[i][v]);
            }
            a += a_step;
            PN_UNROLL
            for (int i = 0; i < rows && !by_column; i += 4)
                four_rows[i / 4]++;
            b += b_step;
        }
        PN_UNROLL
        for (int i = 0; i < rows && !by_column; i += 4)
            four_rows[i / 4] += t->a_jump;
    }

    real *c = t->c;
    size_t c_step = t->c_step; /* which a store might change, for all that the compiler knows */
    int descend = t->rate > 0;
    FN(vec) rate = FN(broadcast)(-t->rate);
    PN_UNROLL
    for (int i = 0; i < rows; i++, c += c_step) {
        PN_OPAQUE(c);
        PN_UNROLL
        for (int v = 0; v < vectors; v++)
            FN(store)(c + v * PN_LANES, descend ? FN(vec_fma)(rate, acc[i][v], FN(load)(c + v * PN_LANES)) : acc[i][v]);
    }
}

/* Rows x vectors that exist as functions: all that fit into the registers and keep enough chains in flight. */
#define PN_TILES_6(T, v) T(1, v) T(2, v) T(3, v) T(4, v) T(5, v) T(6, v)
#if PN_MR == 12
#define PN_TILES(T, v) PN_TILES_6(T, v) T(7, v) T(8, v) T(9, v) T(10, v) T(11, v) T(12, v)
#define PN_TILES_4(T) T(1, 4) T(2, 4) T(3, 4) T(4, 4)
#define PN_TILES_8(T) T(1, 8) T(2, 8)
#else
#define PN_TILES(T, v) PN_TILES_6(T, v)
#define PN_TILES_4(T) T(1, 4) T(2, 4)
#define PN_TILES_8(T) T(1, 8)
#endif

#define PN_DEFINE_TILE(rows, vectors)                                                                                \
    static void FN(tile_##rows##x##vectors##_by_row)(const FN(tile_job) *t) { FN(tile)(rows, vectors, 0, t); }       \
    static void FN(tile_##rows##x##vectors##_by_column)(const FN(tile_job) *t) { FN(tile)(rows, vectors, 1, t); }
PN_TILES(PN_DEFINE_TILE, 1)
PN_TILES(PN_DEFINE_TILE, 2)
PN_TILES_4(PN_DEFINE_TILE)
PN_TILES_8(PN_DEFINE_TILE)

#define PN_BY_ROW(rows, vectors) FN(tile_##rows##x##vectors##_by_row),
#define PN_BY_COLUMN(rows, vectors) FN(tile_##rows##x##vectors##_by_column),
#define PN_TILE_ROW(T) {{PN_TILES(T, 1)}, {PN_TILES(T, 2)}, {PN_TILES_4(T)}, {PN_TILES_8(T)}}

/* [by_column][log2(vectors)][rows - 1] */
static void (*const FN(tiles)[2][4][PN_MR])(const FN(tile_job) *) = {PN_TILE_ROW(PN_BY_ROW), PN_TILE_ROW(PN_BY_COLUMN)};

/* ---- Packing ------------------------------------------------------------------------------------------------ */

static inline PN_INLINE size_t FN(pieces)(size_t size, size_t most) { return (size + most - 1) / most; }

static inline PN_INLINE size_t FN(whole)(size_t size, size_t unit) { return FN(pieces)(size, unit) * unit; }

static inline PN_INLINE size_t FN(least)(size_t a, size_t b) { return a < b ? a : b; }

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

/* B[p][j]: within PN_PANEL columns, or rows if by_column, the others are at fixed distances from it. */
static inline PN_INLINE const real *FN(b_at)(const FN(matrix) *b, size_t p, size_t j)
{
    size_t row = b->by_column ? j : p, column = b->by_column ? p : j;
    return b->data + column / PN_PANEL * b->panel + column % PN_PANEL + row * b->step;
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

/* ---- One tile of C ------------------------------------------------------------------------------------------ */

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

/* A strip of A or B from the first term of a sum on: in place or packed. */
typedef struct FN(strip) {
    const real *data;
    size_t step;
    size_t panel;               /* of A with contiguous rows, and of B: as in a matrix */
    int by_column;              /* of A */
    const real *end;            /* of B: nothing may be read from here on; NULL: whole vectors are there */
} FN(strip);

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

/* C[i][j...] for a j with which a panel begins. */
static inline PN_INLINE real *FN(c_at)(const FN(product) *s, size_t i, size_t j)
{
    return s->c + j / PN_PANEL * s->c_panel + i * s->c_step;
}

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

/* Whether B lies in panels already, as a product wants them. */
static inline PN_INLINE int FN(is_ready)(const FN(matrix) *b) { return !b->by_column && b->panel != PN_PANEL; }

/* Columns j... of a B with contiguous rows, from the term p on. */
static inline PN_INLINE FN(strip) FN(strip_of_b)(const FN(matrix) *b, size_t p, size_t j)
{
    return (FN(strip)){FN(b_at)(b, p, j), b->step, b->panel, 0, b->panel == PN_PANEL ? b->end : NULL};
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

/* ---- Blocks ------------------------------------------------------------------------------------------------- */

/* Shares `size` out evenly over as few pieces of at most `most` as will do. */
static inline PN_INLINE size_t FN(even)(size_t size, size_t most)
{
    return FN(pieces)(size, FN(pieces)(size, most));
}

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

typedef struct FN(part) { size_t i, rows, j, columns; } FN(part); /* of C */

static void FN(descend_by_blocks)(const FN(product) *s, const FN(part) *part, real *scratch);

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

/* c[j...][i...] = edge[rows][columns] transposed; all of c[][i...] before i_end is still to come. */
static void FN(put_transposed)(const FN(product) *s, size_t i, size_t rows, size_t i_end, size_t j, size_t columns,
                               const real *edge, size_t width)
{
    for (size_t r = 0; r < rows; r += PN_LANES)
        for (size_t l = 0; l < columns; l += PN_LANES) {
            FN(vec) block[PN_LANES];
            PN_UNROLL
            for (size_t q = 0; q < PN_LANES; q++) /* no stray numbers: those below normal ones stall arithmetic */
                block[q] = r + q < rows ? FN(load)(edge + (r + q) * width + l) : (FN(vec)){0};
            FN(transpose)(block);
            real *c = s->c + (j + l) * s->c_step + i + r;
            size_t some = FN(least)(rows - r, PN_LANES), count = FN(least)(columns - l, PN_LANES), whole = 0;
            if (some == PN_LANES || (s->rate == 0 && i + r + PN_LANES <= i_end))
                whole = count;
            else if (some == s->c_step) { /* what a whole vector writes into the next row is overwritten by it */
                size_t reach = s->rate > 0 ? count : columns - l;
                while (whole < count && whole * some + PN_LANES <= reach * some)
                    whole++;
            }
            if (s->rate == 0 && whole == PN_LANES) {
                PN_UNROLL
                for (size_t q = 0; q < PN_LANES; q++)
                    FN(store)(c + q * s->c_step, block[q]);
                continue;
            }
            if (s->rate > 0)
                for (size_t q = 0; q < count; q++) {
                    real old[PN_LANES];
                    if (q >= whole)
                        FN(copy_padded)(some, PN_LANES, c + q * s->c_step, old);
                    block[q] = FN(vec_fma)(FN(broadcast)(-s->rate), block[q],
                                           FN(load)(q < whole ? c + q * s->c_step : old));
                }
            for (size_t q = 0; q < whole; q++)
                FN(store)(c + q * s->c_step, block[q]);
            for (size_t q = whole; q < count; q++)
                FN(copy_some)(some, (const real *)&block[q], c + q * s->c_step);
        }
}

/* to[rows][width] = from[rows] in every column; whole vectors. */
static void FN(spread)(size_t rows, size_t width, const real *from, real *to)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t l = 0; l < width; l += PN_LANES)
            FN(store)(to + r * width + l, FN(broadcast)(from[r]));
}

/*
 * The same product where C lies transposed: C[m][n] is c[n][c_step], and bias[m]. A is used as it lies; B is packed, as
 * many columns at a time as a tile has, unless its rows are contiguous.
 */
static void FN(multiply_transposed)(const FN(product) *s, const FN(part) *part, real *panels)
{
    size_t i_end = part->i + part->rows, j_end = part->j + part->columns, mr = FN(even)(part->rows, PN_MR);
    for (size_t j = part->j, columns; j < j_end; j += columns) {
        int log_vectors = FN(tile_width)(mr, j_end - j);
        while (log_vectors > 1 && s->k * PN_LANES << log_vectors > PN_SCRATCH)
            log_vectors--;
        size_t width = (size_t)PN_LANES << log_vectors;
        columns = FN(least)(width, j_end - j);
        FN(strip) b = FN(strip_of_b)(&s->b, 0, j);
        if (s->b.by_column) {
            b = (FN(strip)){panels, PN_PANEL, s->k * PN_PANEL, 0, NULL};
            for (size_t l = 0; l < columns; l += PN_PANEL)
                FN(pack_b)(&s->b, 0, s->k, j + l, FN(least)(columns - l, PN_PANEL), panels + l * s->k);
        }
        for (size_t i = part->i, rows; i < i_end; i += rows) {
            rows = FN(tile_rows)(i_end - i, mr);
            const real *from = s->a.data + i * (s->a.by_column ? 1 : s->a.step);
            FN(strip) a = {from, s->a.step, s->a.panel, s->a.by_column, NULL};
            real edge[PN_MR_WHOLE * PN_PANEL + PN_WIDEST * PN_LANES * PN_LANES], init[PN_MR * PN_PANEL + PN_PANEL * 2];
            if (s->bias)
                FN(spread)(rows, width, s->bias + i, init);
            FN(tile_job) job = {
                .c = edge, .c_step = width, .init = s->bias ? init : FN(zeros), .init_step = s->bias ? width : 0,
            };
            FN(run_strip)(&job, rows, columns, log_vectors, s->k, &a, &b);
            if (s->c_step == 1)
                FN(put)(s->rate, columns, edge, s->c + j);
            else
                FN(put_transposed)(s, i, rows, i_end, j, columns, edge, width);
        }
        FN(finish)(s, j, columns, part->i, part->rows);
    }
}

/* What tiles of mr packed rows of A and a whole panel of B have in common; as many parts as there are rows to fetch. */
static FN(tile_job) FN(panel_job)(const FN(product) *s, size_t mr, size_t j, size_t p, size_t depth, const FN(strip) *b)
{
    return (FN(tile_job)){
        .a_step = mr, .b = b->data, .b_step = b->step, .b_panel = b->panel,
        .parts = mr, .depth = depth / mr, .last_depth = depth % mr,
        .init = s->bias ? s->bias + j : FN(zeros), .init_step = p > 0 ? s->c_step : 0,
        .c_step = s->c_step, .rate = s->rate,
        .next_step = s->b.step, .next_square = s->b.by_column ? s->b.panel : PN_PANEL * s->b.step,
    };
}

/*
 * A block of A is packed; panels of B pass by. Tiles fetch the next panel piece by piece while they compute; if B is
 * not packed already, each piece is packed then.
 */
static void FN(multiply_packed)(const FN(product) *s, const FN(part) *part, size_t kc, real *scratch, size_t room)
{
    size_t i_end = part->i + part->rows, j_end = part->j + part->columns;
    size_t mr = FN(even)(part->rows, PN_MR), tiles = FN(pieces)(part->rows, mr);
    real *panel = scratch, *next_panel = scratch + PN_PANEL * kc, *block = scratch + 2 * PN_PANEL * kc;
    size_t mc = mr * FN(even)(tiles, (room - 2 * PN_PANEL * kc - PN_LANES) / (mr * kc));
    int ready = FN(is_ready)(&s->b);
    for (size_t p = 0; p < s->k; p += kc) {
        size_t depth = FN(least)(kc, s->k - p);
        for (size_t i_block = part->i; i_block < i_end; i_block += mc) {
            size_t i_block_end = FN(least)(i_block + mc, i_end);
            real *to = block;
            for (size_t i = i_block, rows; i < i_block_end; i += rows, to += depth * mr) {
                rows = FN(tile_rows)(i_block_end - i, mr);
                FN(pack_a)(&s->a, i, rows, p, depth, to, mr);
            }
            size_t piece = FN(whole)(FN(pieces)(depth, FN(pieces)(i_block_end - i_block, mr)), PN_PANEL);
            if (!ready)
                FN(pack_b)(&s->b, p, depth, part->j, FN(least)(PN_PANEL, part->columns), panel);
            for (size_t j = part->j; j < j_end; j += PN_PANEL) {
                size_t columns = FN(least)(PN_PANEL, j_end - j), next = j + columns;
                size_t next_columns = FN(least)(PN_PANEL, j_end - next), done = next < j_end ? 0 : depth;
                FN(strip) a = {block, mr, 0, 1, NULL}, b = {panel, PN_PANEL, 0, 0, NULL};
                if (ready)
                    b = FN(strip_of_b)(&s->b, p, j);
                FN(tile_job) job = FN(panel_job)(s, mr, j, p, depth, &b);
                job.rows_a_part = FN(pieces)(piece, mr);
                real *after_panel = FN(c_at)(s, i_block, next < j_end ? next : j);
                for (size_t i = i_block, rows; i < i_block_end; i += rows, a.data += depth * mr) {
                    size_t some = FN(least)(piece, depth - done);
                    rows = FN(tile_rows)(i_block_end - i, mr);
                    if (columns < PN_PANEL)
                        FN(add_terms)(s, i, rows, j, columns, columns > PN_LANES, p, depth, &a, &b);
                    else {
                        job.a = a.data;
                        job.c = FN(c_at)(s, i, j);
                        job.init = p > 0 ? job.c : job.init;
                        job.next_c = i + rows < i_block_end ? FN(c_at)(s, i + rows, j) : after_panel;
                        job.a_prev = s->a_prev && p + depth == s->k ? s->a_prev + (job.c - s->c) : NULL;
                        job.next_b = FN(b_at)(&s->b, p + done, next);
                        job.next_rows = some;
                        FN(tiles)[1][1][rows - 1](&job);
                    }
                    if (some > 0 && !ready)
                        FN(pack_b)(&s->b, p + done, some, next, next_columns, next_panel + done * PN_PANEL);
                    done += some;
                    if (p + depth == s->k)
                        FN(finish)(s, i, rows, j, columns);
                }
                real *used = panel;
                panel = next_panel;
                next_panel = used;
            }
        }
    }
}

/* Chooses the way, by what was measured. room: elements of scratch, at least half of PN_SCRATCH. */
static void FN(multiply_part)(const FN(product) *s, const FN(part) *part, real *scratch, size_t room)
{
    if (s->transposed) {
        FN(multiply_transposed)(s, part, scratch);
        return;
    }
    if (s->k == 1 && s->b.panel == PN_PANEL && s->c_panel == PN_PANEL && (!s->b.by_column || s->b.step == 1)) {
        FN(multiply_one_term)(s, part);
        return;
    }
    int few_rows = part->rows <= PN_MR;
    int short_rows = s->k * sizeof(real) <= PN_ROWS_IN_PLACE;
    int aliased = s->a.step * sizeof(real) % 4096 == 0 && (s->a.by_column || part->rows > PN_WAYS);
    int narrow = part->columns <= PN_NARROW && !aliased;
    size_t b_bytes = s->k * part->columns * sizeof(real);
    int small_b = b_bytes <= PN_IN_PLACE_BYTES, ready = FN(is_ready)(&s->b);
    int in_one_go = narrow && b_bytes <= (few_rows ? 2 : 1) * PN_NARROW_BYTES;
    size_t most_rows = in_one_go ? PN_ROWS_B_IN_PLACE : s->rate > 0 ? PN_MR : PN_ROWS_B_BY_BLOCKS;
    int b_in_place = !s->b.by_column && (part->rows <= most_rows || small_b || (ready && (narrow || short_rows)));
    int packed = !b_in_place && !few_rows && !narrow;

    size_t kc = PN_KC;
    if (b_in_place && (small_b || ready || s->rate > 0 || in_one_go))
        kc = s->k;
    else if (b_in_place)
        kc = FN(whole)(part->rows, PN_KC_FEW_ROWS);
    else if (packed && !ready && part->rows <= PN_ROWS_TO_PACK && s->rate == 0)
        kc = PN_KC_TO_PACK;
    else if (!packed)
        kc = FN(least)(kc, (PN_SCRATCH / 2 - PN_STRIP) / FN(whole)(part->columns, PN_PANEL));
    if (s->a.by_column && !packed && !b_in_place)
        kc = FN(least)(kc, PN_KC_BY_COLUMN);
    kc = FN(even)(s->k, kc);
    if (kc < s->k && !b_in_place)
        kc = FN(whole)(kc, PN_PANEL);

    if (s->rate > 0 && kc < s->k)
        FN(descend_by_blocks)(s, part, scratch);
    else if (part->rows == 1 && !s->a.by_column && b_in_place && kc < s->k)
        FN(multiply_streaming)(s, part);
    else if (packed)
        FN(multiply_packed)(s, part, kc, scratch, room);
    else {
        int pack_strips = s->a.by_column && kc <= PN_KC_BY_COLUMN &&
                          (FN(is_far)(s, part) || part->columns >= PN_STRIP_PANELS * PN_PANEL);
        FN(multiply_by_strips)(s, part, pack_strips, !b_in_place, kc, scratch);
    }
}

/* c -= rate * sum where the sum takes several blocks: those of a part of C meet in half of the scratch memory. */
static void FN(descend_by_blocks)(const FN(product) *s, const FN(part) *part, real *scratch)
{
    FN(product) sums = *s;
    sums.rate = 0;
    sums.c = scratch;
    sums.c_panel = PN_PANEL;
    size_t columns = FN(whole)(FN(even)(part->columns, PN_NARROW), PN_PANEL);
    sums.c_step = (columns / PN_PANEL | 1) * PN_PANEL; /* odd, as rows would else share cache lines */
    size_t most_rows = (PN_SCRATCH / 2 - 64) / sums.c_step / PN_MR * PN_MR;
    size_t rows = FN(whole)(FN(even)(part->rows, most_rows), PN_MR);
    real *rest = scratch + FN(whole)(rows * sums.c_step, 64);
    for (size_t i = 0; i < part->rows; i += rows)
        for (size_t j = 0; j < part->columns; j += columns) {
            FN(part) block = {0, FN(least)(part->rows - i, rows), 0, FN(least)(part->columns - j, columns)};
            sums.a.data = s->a.data + (part->i + i) * (s->a.by_column ? 1 : s->a.step);
            sums.b.data = s->b.data + (part->j + j) * (s->b.by_column ? s->b.step : 1);
            FN(multiply_part)(&sums, &block, rest, (size_t)(scratch + PN_SCRATCH - rest));
            for (size_t r = 0; r < block.rows; r++)
                for (size_t l = 0; l < block.columns; l += PN_PANEL)
                    FN(put)(s->rate, FN(least)(PN_PANEL, block.columns - l), sums.c + r * sums.c_step + l,
                            FN(c_at)(s, part->i + i + r, part->j + j + l));
        }
}

/* ---- Threads ------------------------------------------------------------------------------------------------ */

typedef struct FN(shares) {
    const FN(product) *product;
    size_t n;
    int by_columns;
} FN(shares);

/* One thread's share: a band of columns or of rows, of whole tiles. */
static void FN(multiply_share)(void *context, size_t index, void *scratch)
{
    const FN(shares) *shares = context;
    const FN(product) *s = shares->product;
    size_t size = shares->by_columns ? s->n : s->m, grain = shares->by_columns ? PN_PANEL : PN_MR;
    size_t grains = (size + grain - 1) / grain;
    size_t begin = FN(least)(size, grains * index / shares->n * grain);
    size_t end = FN(least)(size, grains * (index + 1) / shares->n * grain);
    if (begin == end)
        return;
    FN(part) part = {begin, end - begin, 0, s->n};
    if (shares->by_columns)
        part = (FN(part)){0, s->m, begin, end - begin};
    FN(multiply_part)(s, &part, scratch, PN_SCRATCH);
}

/*
 * The larger side of C is shared out, unless whole tiles of the other one make clearly evener shares. Of weights it is
 * the columns, as in the forward pass: so they stay in the caches of the same cores.
 */
static int FN(share_by_columns)(const FN(product) *s, size_t threads)
{
    size_t m = s->m, n = s->n;
    size_t by_columns = FN(pieces)(FN(pieces)(n, PN_PANEL), threads) * PN_PANEL * m;
    size_t by_rows = FN(pieces)(FN(pieces)(m, PN_MR), threads) * PN_MR * n;
    return n >= m || s->rate > 0 ? by_columns <= by_rows + by_rows / 16 : by_columns + by_columns / 16 < by_rows;
}

static void FN(multiply)(const FN(product) *s, real *workspace)
{
    double flops = 2.0 * (double)s->m * (double)s->n * (double)s->k, microseconds = flops / (1.6e4 * PN_LANES);
    /* The layer's weights, which are C, A or B here: so a step shares out all three products of a layer, or none. */
    double weights = s->rate > 0 ? (double)s->m * (double)s->n : (double)s->k * (double)(s->transposed ? s->m : s->n);
    double weight_bytes = weights * sizeof(real);
    real *scratch = (real *)(((uintptr_t)workspace + 63) / 64 * 64);
    if (weight_bytes > PN_NARROW_BYTES && microseconds < weight_bytes / PN_BYTES_A_MICROSECOND)
        microseconds = weight_bytes / PN_BYTES_A_MICROSECOND;
    if (microseconds >= 2 * PN_SHARE_MICROSECONDS) {
        int thin = FN(least)(s->m, FN(least)(s->n, s->k)) < PN_SHARE_SIDE;
        double shares = microseconds / (thin ? PN_SHARE_THIN : PN_SHARE_MICROSECONDS);
        size_t threads = pn_num_threads();
        threads = shares < (double)threads ? (size_t)shares : threads;
        if (threads > 1) {
            FN(shares) shares = {s, threads, FN(share_by_columns)(s, threads)};
            pn_parallel_for(threads, FN(multiply_share), &shares, scratch, microseconds);
            return;
        }
    }
    const FN(part) whole = {0, s->m, 0, s->n};
    FN(multiply_part)(s, &whole, scratch, PN_SCRATCH);
}

/* Elements of workspace for one product. */
static size_t FN(multiply_workspace)(size_t m, size_t k, size_t n)
{
    size_t most = PN_SCRATCH_BYTES / sizeof(real), need = 64 / sizeof(real), depth = FN(least)(k, PN_KC);
    if (m > most || n > most)
        return most;
    need += depth * (n + 8 * PN_PANEL + PN_MR_WHOLE * (FN(pieces)(m, PN_MR) + 1));
    need += FN(least)(k * PN_WIDEST / 2, PN_TRANSPOSED_K) * PN_PANEL;
    if (k > PN_KC_BY_COLUMN) /* sums of several blocks */
        need += FN(least)(FN(whole)(m, PN_MR) * (n + 2 * PN_PANEL) + 64, PN_SCRATCH / 2);
    return FN(least)(need, most);
}

#undef PN_OPAQUE

#endif
