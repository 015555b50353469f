/* The innermost loop: a tile of C, in registers. */

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
