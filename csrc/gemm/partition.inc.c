/* Threads, and the workspace of a product. */

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
