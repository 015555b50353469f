/* The partition of a product among threads, and its workspace. */

/* C is divided into n bands, of columns or of rows. */
typedef struct FN(partition) {
    const FN(product) *product;
    size_t n;
    int by_columns;
} FN(partition);

/* One thread's band. Bands consist of whole panels, or of whole micro-tiles of MR rows; the last ones may be empty. */
static void FN(multiply_band)(void *context, size_t index, void *scratch)
{
    const FN(partition) *bands = context;
    const FN(product) *s = bands->product;
    size_t size = bands->by_columns ? s->n : s->m, grain = bands->by_columns ? PN_NR : PN_MR;
    size_t grains = FN(ceil_div)(size, grain);
    size_t begin = FN(min)(size, grains * index / bands->n * grain);
    size_t end = FN(min)(size, grains * (index + 1) / bands->n * grain);
    if (begin == end)
        return;
    FN(c_range) range = {begin, end - begin, 0, s->n};
    if (bands->by_columns)
        range = (FN(c_range)){0, s->m, begin, end - begin};
    FN(multiply_range)(s, &range, scratch, PN_SCRATCH_ELEMENTS);
}

/*
 * The longer side of C is divided, unless the other side makes clearly more even bands. Weights, as a C that is
 * updated, are divided by columns, as the forward pass divides them: so they stay in the caches of the same cores.
 */
static int FN(partition_by_columns)(const FN(product) *s, size_t threads)
{
    size_t m = s->m, n = s->n;
    size_t by_columns = FN(ceil_div)(FN(ceil_div)(n, PN_NR), threads) * PN_NR * m;
    size_t by_rows = FN(ceil_div)(FN(ceil_div)(m, PN_MR), threads) * PN_MR * n;
    return n >= m || s->beta != 0 ? by_columns <= by_rows + by_rows / 16 : by_columns + by_columns / 16 < by_rows;
}

/* Computes a product, on several threads if the model of costs says that they pay. */
static void FN(multiply)(const FN(product) *s, real *workspace)
{
    double flops = 2.0 * (double)s->m * (double)s->n * (double)s->k, microseconds = flops / PN_FLOPS_PER_MICROSECOND;
    /*
     * The time to read the layer's weights bounds that of the product from below. Where a gradient is stored, the size of
     * grad_z stands in for theirs.
     */
    double weights = s->beta != 0 ? (double)s->m * (double)s->n : (double)s->k * (double)(s->transposed ? s->m : s->n);
    double weight_bytes = weights * sizeof(real);
    real *scratch = (real *)(((uintptr_t)workspace + 63) / 64 * 64);
    if (weight_bytes > PN_CACHED_B_BYTES && microseconds < weight_bytes / PN_BYTES_PER_MICROSECOND)
        microseconds = weight_bytes / PN_BYTES_PER_MICROSECOND;
    if (microseconds >= 2 * PN_THREAD_MICROSECONDS) {
        int has_short_side = FN(min)(s->m, FN(min)(s->n, s->k)) < PN_SHORT_SIDE;
        double max_threads = microseconds / (has_short_side ? PN_SHORT_SIDE_MICROSECONDS : PN_THREAD_MICROSECONDS);
        size_t threads = pn_num_threads();
        threads = max_threads < (double)threads ? (size_t)max_threads : threads;
        if (threads > 1) {
            FN(partition) bands = {s, threads, FN(partition_by_columns)(s, threads)};
            pn_parallel_for(threads, FN(multiply_band), &bands, scratch, microseconds);
            return;
        }
    }
    const FN(c_range) all = {0, s->m, 0, s->n};
    FN(multiply_range)(s, &all, scratch, PN_SCRATCH_ELEMENTS);
}

/*
 * Elements of workspace for one product: the scratch memory of the calling thread, for panels of B and strips of A, for
 * the panels of a transposed product, and for the sums of update_by_blocks.
 */
static size_t FN(multiply_workspace)(size_t m, size_t k, size_t n)
{
    size_t max = PN_SCRATCH_BYTES / sizeof(real), need = 64 / sizeof(real), depth = FN(min)(k, PN_KC);
    if (m > max || n > max)
        return max;
    need += depth * (n + 8 * PN_NR + PN_MR_PADDED * (FN(ceil_div)(m, PN_MR) + 1));
    need += FN(min)(k * PN_MAX_VECTORS / 2, PN_TRANSPOSED_MAX_K) * PN_NR;
    if (k > PN_KC_COLUMN_MAJOR) /* update_by_blocks */
        need += FN(min)(FN(round_up)(m, PN_MR) * (n + 2 * PN_NR) + 64, PN_SCRATCH_ELEMENTS / 2);
    return FN(min)(need, max);
}
