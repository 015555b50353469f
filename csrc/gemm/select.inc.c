/* The path that a product takes. */

/* How a product is computed that is neither transposed nor of rank 1. */
typedef struct FN(plan) {
    size_t kc;                  /* terms of the sum between two visits to C */
    int pack_b;                 /* whether B is packed; the macro-kernel reads a prepacked B as it is */
    int pack_a;                 /* whether A is packed in blocks too, for the macro-kernel */
    int pack_strips;            /* whether A is packed in strips, if it is not packed in blocks */
} FN(plan);

/* Selects packing and the size of blocks from measured crossovers. */
static inline PN_INLINE FN(plan) FN(select_plan)(const FN(product) *s, const FN(c_range) *range)
{
    int few_rows = range->rows <= PN_MR;
    int short_rows = s->k * sizeof(real) <= PN_UNPACKED_A_ROW_BYTES;
    /* The rows of A in a micro-tile, or the terms of a column-major A, share a set of the first-level cache. */
    int aliased = s->a.stride * sizeof(real) % 4096 == 0 && (s->a.column_major || range->rows > PN_L1_WAYS);
    /* A strip of A is read so few times that packing a block of A does not pay. */
    int few_columns = range->columns <= PN_NARROW_N && !aliased;
    size_t b_bytes = s->k * range->columns * sizeof(real);
    int small_b = b_bytes <= PN_UNPACKED_B_BYTES, prepacked = FN(is_prepacked)(&s->b);
    /* B stays in the second-level cache, so sums need not be cut into blocks. */
    int whole_k = few_columns && b_bytes <= (few_rows ? 2 : 1) * PN_CACHED_B_BYTES;
    size_t max_rows = whole_k ? PN_UNPACKED_B_M : s->beta != 0 ? PN_MR : PN_UNPACKED_B_BLOCKED_M;
    FN(plan) plan = {.kc = PN_KC};
    plan.pack_b = s->b.column_major ||
                  !(range->rows <= max_rows || small_b || (prepacked && (few_columns || short_rows)));
    plan.pack_a = plan.pack_b && !few_rows && !few_columns;

    if (!plan.pack_b && (small_b || prepacked || s->beta != 0 || whole_k))
        plan.kc = s->k;
    else if (!plan.pack_b)
        plan.kc = FN(round_up)(range->rows, PN_B_STREAMS);
    else if (!plan.pack_a)
        plan.kc = FN(min)(plan.kc, (PN_SCRATCH_ELEMENTS / 2 - PN_STRIP_ELEMENTS) / FN(round_up)(range->columns, PN_NR));
    if (s->a.column_major && !plan.pack_a && plan.pack_b)
        plan.kc = FN(min)(plan.kc, PN_KC_COLUMN_MAJOR);
    plan.kc = FN(balanced_chunk)(s->k, plan.kc);
    if (plan.kc < s->k && plan.pack_b)
        plan.kc = FN(round_up)(plan.kc, PN_NR);
    plan.pack_strips = s->a.column_major && plan.kc <= PN_KC_COLUMN_MAJOR &&
                       (FN(a_exceeds_cache)(s, range) || range->columns >= PN_PACK_STRIP_PANELS * PN_NR);
    return plan;
}

static void FN(update_by_blocks)(const FN(product) *s, const FN(c_range) *range, real *scratch);

/* Computes a range of C with scratch_elements of scratch memory, at least half PN_SCRATCH_ELEMENTS. */
static void FN(multiply_range)(const FN(product) *s, const FN(c_range) *range, real *scratch,
                               size_t scratch_elements)
{
    if (s->transposed) {
        FN(multiply_transposed)(s, range, scratch);
        return;
    }
    if (s->k == 1 && s->b.panel_stride == PN_NR && s->c_panel_stride == PN_NR &&
        (!s->b.column_major || s->b.stride == 1)) {
        FN(multiply_rank1)(s, range);
        return;
    }
    const FN(plan) plan = FN(select_plan)(s, range);
    if (s->beta != 0 && plan.kc < s->k)
        FN(update_by_blocks)(s, range, scratch);
    else if (plan.pack_a)
        FN(multiply_packed)(s, range, plan.kc, scratch, scratch_elements);
    else
        FN(multiply_unpacked)(s, range, plan.pack_strips, plan.pack_b, plan.kc, scratch);
}

/*
 * C = beta C + alpha A B where sums are taken in blocks: C itself cannot hold them meanwhile, so that they rest in one
 * half of the scratch memory, for a part of C at a time.
 */
static void FN(update_by_blocks)(const FN(product) *s, const FN(c_range) *range, real *scratch)
{
    FN(product) sums = *s;
    sums.beta = 0;
    sums.c = scratch;
    sums.c_panel_stride = PN_NR;
    size_t columns = FN(round_up)(FN(balanced_chunk)(range->columns, PN_NARROW_N), PN_NR);
    sums.c_stride = (columns / PN_NR | 1) * PN_NR; /* an odd number of panels, or rows would share cache sets */
    size_t max_rows = (PN_SCRATCH_ELEMENTS / 2 - 64) / sums.c_stride / PN_MR * PN_MR;
    size_t rows = FN(round_up)(FN(balanced_chunk)(range->rows, max_rows), PN_MR);
    real *rest_of_scratch = scratch + FN(round_up)(rows * sums.c_stride, 64);
    for (size_t i = 0; i < range->rows; i += rows)
        for (size_t j = 0; j < range->columns; j += columns) {
            FN(c_range) block = {0, FN(min)(range->rows - i, rows), 0, FN(min)(range->columns - j, columns)};
            sums.a.data = s->a.data + (range->i + i) * (s->a.column_major ? 1 : s->a.stride);
            sums.b.data = s->b.data + (range->j + j) * (s->b.column_major ? s->b.stride : 1);
            FN(multiply_range)(&sums, &block, rest_of_scratch,
                               (size_t)(scratch + PN_SCRATCH_ELEMENTS - rest_of_scratch));
            for (size_t r = 0; r < block.rows; r++)
                for (size_t l = 0; l < block.columns; l += PN_NR)
                    FN(store_scaled)(s->alpha, s->beta, FN(min)(PN_NR, block.columns - l),
                                     sums.c + r * sums.c_stride + l,
                                     FN(c_at)(s, range->i + i + r, range->j + j + l));
        }
}
