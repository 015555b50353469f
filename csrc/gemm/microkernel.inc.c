/*
 * The micro-kernel: the innermost loop. It holds a micro-tile of C, `rows` times `vectors` accumulators, in registers,
 * and for each term of the sum it multiplies a row of B, a few vectors wide, by one broadcast number of A for each row
 * of C.
 */

typedef struct FN(microkernel_args) {
    /* A: a_stride lies between rows, or between columns if A is column-major. */
    const real *a;
    size_t a_stride;
    size_t a_chunk_gap;         /* elements that the rows of a row-major A skip after each chunk */
    /* B: b_stride lies between rows, b_panel_stride between panels. */
    const real *b;
    const real *b_tail;         /* rows of B for the last chunk, b_tail_stride apart; NULL: they follow the others */
    size_t b_stride, b_tail_stride, b_panel_stride;
    /* The sum has n_chunks chunks of chunk_depth terms each, and a last one of tail_depth terms. */
    size_t n_chunks, chunk_depth, tail_depth;
    /* Sums start from init. A micro-tile's width in panels, times *_panel_stride, leads to the next micro-tile. */
    const real *init;
    size_t init_stride, init_panel_stride;
    real *c;
    size_t c_stride, c_panel_stride;
    real alpha, beta;           /* as in a product */
    /* What is wanted soon is prefetched, a few lines before each chunk. If A is column-major, rows of C and a_prev: */
    const real *next_c, *next_a_prev; /* of the next micro-tile; next_a_prev may be NULL */
    /* In any case lines of A, a_stride apart: of one cache line each, or of PN_PREFETCH_ELEMENTS if A is row-major. */
    const real *next_a;
    size_t prefetch_lines_per_chunk, prefetch_chunk_stride;
    /* If A is column-major, rows of the next panel of B: squares of PN_NR rows, next_b_square_stride apart. */
    const real *next_b;
    size_t next_b_rows, next_b_rows_per_chunk, next_b_stride, next_b_square_stride;
} FN(microkernel_args);

/* Prefetches a few lines. All at once, between two micro-tiles, they would delay the first loads of the next one. */
static inline PN_INLINE void FN(prefetch)(size_t chunk, size_t rows, int vectors, int column_major,
                                          const FN(microkernel_args) *args)
{
    const real *line = args->next_a + chunk * args->prefetch_chunk_stride;
    for (size_t r = 0; r < args->prefetch_lines_per_chunk; r++, line += args->a_stride) {
        for (size_t l = 0; l < (column_major ? 1 : PN_PREFETCH_ELEMENTS); l += 64 / sizeof(real))
            __builtin_prefetch(line + l, 0, 3);
    }
    if (!column_major)
        return;
    if (chunk < rows) {
        PN_UNROLL
        for (int v = 0; v < vectors; v++)
            __builtin_prefetch(args->next_c + chunk * args->c_stride + v * PN_LANES, 1, 3);
        if (args->next_a_prev) {
            PN_UNROLL
            for (int v = 0; v < vectors; v++)
                __builtin_prefetch(args->next_a_prev + chunk * args->c_stride + v * PN_LANES, 0, 3);
        }
    }
    size_t begin = chunk * args->next_b_rows_per_chunk, end = begin + args->next_b_rows_per_chunk;
    for (size_t r = begin; r < end && r < args->next_b_rows; r++) {
        const real *row = args->next_b + r / PN_NR * args->next_b_square_stride + r % PN_NR * args->next_b_stride;
        __builtin_prefetch(row, 0, 2);
        __builtin_prefetch(row + PN_NR - 1, 0, 2);
    }
}

/* The accumulators start from init. */
static inline PN_INLINE void FN(load_sums)(int rows, int vectors, const FN(microkernel_args) *args,
                                           FN(vec) acc[PN_MR][PN_MAX_VECTORS])
{
    const real *init = args->init;
    size_t init_stride = args->init_stride;
    PN_UNROLL
    for (int i = 0; i < rows; i++, init += init_stride) {
        PN_OPAQUE(init);
        PN_UNROLL
        for (int v = 0; v < vectors; v++)
            acc[i][v] = FN(load)(init + v * PN_LANES);
    }
}

/* C = the accumulators or, if beta is not 0, beta C + alpha times the accumulators. */
static inline PN_INLINE void FN(store_sums)(int rows, int vectors, const FN(microkernel_args) *args,
                                            FN(vec) acc[PN_MR][PN_MAX_VECTORS])
{
    real *c = args->c;
    size_t c_stride = args->c_stride; /* a local copy: as far as the compiler knows, a store might change *args */
    int reads_c = args->beta != 0;
    FN(vec) alpha = FN(broadcast)(args->alpha), beta = FN(broadcast)(args->beta);
    PN_UNROLL
    for (int i = 0; i < rows; i++, c += c_stride) {
        PN_OPAQUE(c);
        PN_UNROLL
        for (int v = 0; v < vectors; v++)
            FN(store)(c + v * PN_LANES,
                      reads_c ? FN(vec_fma)(alpha, acc[i][v], beta * FN(load)(c + v * PN_LANES)) : acc[i][v]);
    }
}

/* All loops over accumulators are unrolled. `rows`, `vectors` and `column_major` are constants when this is inlined. */
static inline PN_INLINE void FN(microkernel)(int rows, int vectors, int column_major, const FN(microkernel_args) *args)
{
    FN(vec) acc[PN_MR][PN_MAX_VECTORS];
    FN(load_sums)(rows, vectors, args, acc);

    const real *a = args->a, *b = args->b;
    /* Of a row-major A every fourth row has a pointer; the three rows behind it are 1 to 3 strides away. */
    const real *four_rows[(PN_MR + 3) / 4];
    size_t a_stride = args->a_stride, three_strides = 3 * a_stride;
    size_t b_stride = args->b_stride, b_panel_stride = args->b_panel_stride;
    PN_OPAQUE(three_strides);
    PN_UNROLL
    for (int i = 0; i < rows && !column_major; i += 4)
        four_rows[i / 4] = a + (size_t)i * a_stride;
    for (size_t chunk = 0; chunk <= args->n_chunks; chunk++) {
        PN_OPAQUE(args); /* so that what is needed once a chunk is loaded then, and occupies no registers */
        size_t depth = chunk < args->n_chunks ? args->chunk_depth : args->tail_depth;
        if (chunk == args->n_chunks && args->b_tail) {
            b = args->b_tail;
            b_stride = args->b_tail_stride;
        }
        if (chunk < args->n_chunks)
            FN(prefetch)(chunk, (size_t)rows, vectors, column_major, args);
        for (size_t p = 0; p < depth; p++) {
            FN(vec) row[PN_MAX_VECTORS];
            PN_UNROLL
            for (int v = 0; v < vectors; v++) {
                row[v] = FN(load)(b + (size_t)(v / 2) * b_panel_stride + v % 2 * PN_LANES);
                if (rows > 1) /* GCC would load it two or three times, for as many uses */
                    PN_IN_REGISTER(row[v]);
            }
            PN_UNROLL
            for (int i = 0; i < rows; i++) {
                if (column_major)
                    PN_OPAQUE(a);
                else if (i % 4 == 0)
                    PN_OPAQUE(four_rows[i / 4]);
                size_t strides = i % 4 == 3 ? three_strides : (size_t)(i % 4) * a_stride;
                FN(vec) factor = FN(broadcast)(column_major ? a[i] : four_rows[i / 4][strides]);
                PN_UNROLL
                for (int v = 0; v < vectors; v++)
                    acc[i][v] = FN(vec_fma)(factor, row[v], acc[i][v]);
            }
            a += a_stride;
            PN_UNROLL
            for (int i = 0; i < rows && !column_major; i += 4)
                four_rows[i / 4]++;
            b += b_stride;
        }
        PN_UNROLL
        for (int i = 0; i < rows && !column_major; i += 4)
            four_rows[i / 4] += args->a_chunk_gap;
    }

    FN(store_sums)(rows, vectors, args, acc);
}

/* The micro-tiles, rows x vectors, that have a function: see PN_MR, PN_MR_4_VECTORS and PN_MR_8_VECTORS. */
#define PN_SIX_MICROKERNELS(T, v) T(1, v) T(2, v) T(3, v) T(4, v) T(5, v) T(6, v)
#if PN_MR == 12
#define PN_MICROKERNELS(T, v) PN_SIX_MICROKERNELS(T, v) T(7, v) T(8, v) T(9, v) T(10, v) T(11, v) T(12, v)
#define PN_MICROKERNELS_4(T) T(1, 4) T(2, 4) T(3, 4) T(4, 4)
#define PN_MICROKERNELS_8(T) T(1, 8) T(2, 8)
#else
#define PN_MICROKERNELS(T, v) PN_SIX_MICROKERNELS(T, v)
#define PN_MICROKERNELS_4(T) T(1, 4) T(2, 4)
#define PN_MICROKERNELS_8(T) T(1, 8)
#endif

#define PN_DEFINE_MICROKERNEL(rows, vectors)                                                                         \
    static void FN(microkernel_##rows##x##vectors##_row_major)(const FN(microkernel_args) *args)                     \
    {                                                                                                                \
        FN(microkernel)(rows, vectors, 0, args);                                                                     \
    }                                                                                                                \
    static void FN(microkernel_##rows##x##vectors##_column_major)(const FN(microkernel_args) *args)                  \
    {                                                                                                                \
        FN(microkernel)(rows, vectors, 1, args);                                                                     \
    }
PN_MICROKERNELS(PN_DEFINE_MICROKERNEL, 1)
PN_MICROKERNELS(PN_DEFINE_MICROKERNEL, 2)
PN_MICROKERNELS_4(PN_DEFINE_MICROKERNEL)
PN_MICROKERNELS_8(PN_DEFINE_MICROKERNEL)

#define PN_ROW_MAJOR(rows, vectors) FN(microkernel_##rows##x##vectors##_row_major),
#define PN_COLUMN_MAJOR(rows, vectors) FN(microkernel_##rows##x##vectors##_column_major),
#define PN_MICROKERNEL_TABLE(T)                                                                                      \
    {{PN_MICROKERNELS(T, 1)}, {PN_MICROKERNELS(T, 2)}, {PN_MICROKERNELS_4(T)}, {PN_MICROKERNELS_8(T)}}

/* [column_major][log2(vectors)][rows - 1] */
static void (*const FN(microkernels)[2][4][PN_MR])(const FN(microkernel_args) *) = {
    PN_MICROKERNEL_TABLE(PN_ROW_MAJOR), PN_MICROKERNEL_TABLE(PN_COLUMN_MAJOR),
};
