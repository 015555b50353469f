/* Threads, and the workspace of a product. */

typedef struct FN(partition) {
    const FN(product) *product;
    size_t n;
    int by_columns;
} FN(partition);

/* One thread's share: a band of columns or of rows, of whole tiles. */
static void FN(multiply_band)(void *context, size_t index, void *scratch)
{
    const FN(partition) *shares = context;
    const FN(product) *s = shares->product;
    size_t size = shares->by_columns ? s->n : s->m, grain = shares->by_columns ? PN_NR : PN_MR;
    size_t grains = (size + grain - 1) / grain;
    size_t begin = FN(min)(size, grains * index / shares->n * grain);
    size_t end = FN(min)(size, grains * (index + 1) / shares->n * grain);
    if (begin == end)
        return;
    FN(c_range) range = {begin, end - begin, 0, s->n};
    if (shares->by_columns)
        range = (FN(c_range)){0, s->m, begin, end - begin};
    FN(multiply_range)(s, &range, scratch, PN_SCRATCH_ELEMENTS);
}

/*
 * The larger side of C is shared out, unless whole tiles of the other one make clearly evener shares. Of weights it is
 * the columns, as in the forward pass: so they stay in the caches of the same cores.
 */
static int FN(partition_by_columns)(const FN(product) *s, size_t threads)
{
    size_t m = s->m, n = s->n;
    size_t by_columns = FN(ceil_div)(FN(ceil_div)(n, PN_NR), threads) * PN_NR * m;
    size_t by_rows = FN(ceil_div)(FN(ceil_div)(m, PN_MR), threads) * PN_MR * n;
    return n >= m || s->rate > 0 ? by_columns <= by_rows + by_rows / 16 : by_columns + by_columns / 16 < by_rows;
}

static void FN(multiply)(const FN(product) *s, real *workspace)
{
    double flops = 2.0 * (double)s->m * (double)s->n * (double)s->k, microseconds = flops / (1.6e4 * PN_LANES);
    /* The layer's weights, which are C, A or B here: so a step shares out all three products of a layer, or none. */
    double weights = s->rate > 0 ? (double)s->m * (double)s->n : (double)s->k * (double)(s->transposed ? s->m : s->n);
    double weight_bytes = weights * sizeof(real);
    real *scratch = (real *)(((uintptr_t)workspace + 63) / 64 * 64);
    if (weight_bytes > PN_CACHED_B_BYTES && microseconds < weight_bytes / PN_BYTES_PER_MICROSECOND)
        microseconds = weight_bytes / PN_BYTES_PER_MICROSECOND;
    if (microseconds >= 2 * PN_THREAD_MICROSECONDS) {
        int thin = FN(min)(s->m, FN(min)(s->n, s->k)) < PN_SHORT_SIDE;
        double shares = microseconds / (thin ? PN_SHORT_SIDE_MICROSECONDS : PN_THREAD_MICROSECONDS);
        size_t threads = pn_num_threads();
        threads = shares < (double)threads ? (size_t)shares : threads;
        if (threads > 1) {
            FN(partition) shares = {s, threads, FN(partition_by_columns)(s, threads)};
            pn_parallel_for(threads, FN(multiply_band), &shares, scratch, microseconds);
            return;
        }
    }
    const FN(c_range) whole = {0, s->m, 0, s->n};
    FN(multiply_range)(s, &whole, scratch, PN_SCRATCH_ELEMENTS);
}

/* Elements of workspace for one product. */
static size_t FN(multiply_workspace)(size_t m, size_t k, size_t n)
{
    size_t most = PN_SCRATCH_BYTES / sizeof(real), need = 64 / sizeof(real), depth = FN(min)(k, PN_KC);
    if (m > most || n > most)
        return most;
    need += depth * (n + 8 * PN_NR + PN_MR_PADDED * (FN(ceil_div)(m, PN_MR) + 1));
    need += FN(min)(k * PN_MAX_VECTORS / 2, PN_TRANSPOSED_MAX_K) * PN_NR;
    if (k > PN_KC_COLUMN_MAJOR) /* sums of several blocks */
        need += FN(min)(FN(round_up)(m, PN_MR) * (n + 2 * PN_NR) + 64, PN_SCRATCH_ELEMENTS / 2);
    return FN(min)(need, most);
}
