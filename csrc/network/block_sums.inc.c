/*
 * The gradient of more rows than a block. The gradients of blocks of PN_BLOCK_ROWS rows, the last one of what is left,
 * are added in order, and so are the rounding errors of these additions: the sum is as exact for 2^25 rows as for a
 * block, and memory does not grow with the rows. Threads may compute several blocks at a time, each into its own array.
 */

/* Blocks whose gradients are computed at a time: at most so many, and so many bytes of them. */
enum { FN(MAX_BLOCKS_AT_ONCE) = 16, FN(BLOCKS_AT_ONCE_BYTES) = 1 << 22 };

/* Arrays stored as the parameters are. */
typedef struct FN(sums) {
    size_t n_stored, array_bytes;    /* of an array */
    size_t n_blocks;                 /* 0: a single block needs no sums */
    size_t tape_bytes;               /* of a block */
    real *total, *error;
    char *blocks;                    /* the gradients of n_blocks blocks */
} FN(sums);

static FN(sums) FN(plan_sums)(size_t n_rows, size_t n_stored)
{
    FN(sums) sums = {.n_stored = n_stored, .array_bytes = FN(arena_bytes)(n_stored)};
    if (n_rows > PN_BLOCK_ROWS) {
        size_t n = FN(BLOCKS_AT_ONCE_BYTES) / sums.array_bytes, all = (n_rows - 1) / PN_BLOCK_ROWS + 1;
        n = n > (size_t)FN(MAX_BLOCKS_AT_ONCE) ? (size_t)FN(MAX_BLOCKS_AT_ONCE) : n < 1 ? 1 : n;
        sums.n_blocks = n < all ? n : all;
    }
    return sums;
}

static size_t FN(sums_bytes)(const FN(sums) *sums)
{
    return sums->n_blocks == 0 ? 0 : (2 + sums->n_blocks) * sums->array_bytes;
}

static void FN(alloc_sums)(FN(sums) *sums, char **workspace)
{
    char *end = *workspace + FN(sums_bytes)(sums);
    if (sums->n_blocks == 0)
        return;
    sums->total = FN(arena_alloc)(workspace, sums->n_stored);
    sums->error = FN(arena_alloc)(workspace, sums->n_stored);
    sums->blocks = *workspace;
    *workspace = end;
}

static real *FN(gradient_of_block)(const FN(sums) *sums, size_t index)
{
    return (real *)(void *)(sums->blocks + index * sums->array_bytes);
}

/* Blocks that are computed at the same time. */
typedef struct FN(wave) {
    const FN(model) *model;
    const FN(rows) *rows;
    const FN(sums) *sums;
    real *out;                                 /* the outputs of all rows; NULL: not wanted */
    size_t first;                              /* number of the first block */
    double losses[FN(MAX_BLOCKS_AT_ONCE)];
} FN(wave);

static void FN(block_gradient)(void *context, size_t index, void *scratch)
{
    FN(wave) *wave = context;
    const FN(rows) *rows = wave->rows;
    size_t row = (wave->first + index) * PN_BLOCK_ROWS, m = FN(block_rows)(rows->n - row);
    FN(tape) tape = FN(make_tape)(scratch, m, &wave->model->e, rows->order != NULL);
    wave->losses[index] = FN(loss)(wave->model, rows, row, m, &tape);
    FN(backward)(m, wave->model, tape, 1, 0, FN(gradient_of_block)(wave->sums, index), NULL);
}

/* How long m rows take, if each parameter takes part in so many multiplications and additions. */
static double FN(microseconds)(size_t m, int operations, const FN(extent) *e)
{
    return (double)m * FN(operations_a_row)(operations, e) / PN_OPERATIONS_PER_MICROSECOND;
}

/*
 * Blocks of a wave, at most n_blocks: 1 where a block's tape is too large for a thread's own memory. Then threads share
 * each product.
 */
static size_t FN(blocks_in_wave)(const FN(extent) *e, int operations, size_t n_blocks, size_t tape_bytes)
{
    size_t threads = pn_num_threads(), blocks = 2 * threads < n_blocks ? 2 * threads : n_blocks;
    return threads > 1 && tape_bytes <= PN_TASK_BYTES &&
           FN(microseconds)(blocks * PN_BLOCK_ROWS, operations, e) >= FN(SHARE_MICROSECONDS) ? blocks : 1;
}

/*
 * The loss of more rows than a block, summed, and its gradient in sums->total. If the loss is not finite, neither
 * is complete. scratch: sums->tape_bytes.
 */
static double FN(sum_blocks)(const FN(model) *model, const FN(rows) *rows, const FN(sums) *sums, char *scratch)
{
    size_t in_wave = FN(blocks_in_wave)(&model->e, 6, sums->n_blocks, sums->tape_bytes);
    double microseconds = FN(microseconds)(PN_BLOCK_ROWS, 6, &model->e), loss = 0;
    FN(wave) wave = {.model = model, .rows = rows, .sums = sums};
    memset(sums->total, 0, sums->n_stored * sizeof(real));
    memset(sums->error, 0, sums->n_stored * sizeof(real));
    for (size_t n = 0, n_blocks = (rows->n - 1) / PN_BLOCK_ROWS + 1; wave.first < n_blocks; wave.first += n) {
        size_t left = n_blocks - wave.first;
        n = left < in_wave ? left : in_wave;
        if (n > 1)
            pn_parallel_for(n, FN(block_gradient), &wave, scratch, microseconds * (double)n);
        else
            FN(block_gradient)(&wave, 0, scratch);
        for (size_t i = 0; i < n; i++) {
            loss += wave.losses[i];
            model->kernels->add_block(sums->n_stored, FN(gradient_of_block)(sums, i), sums->total, sums->error);
        }
        if (!isfinite(loss))
            break;
    }
    model->kernels->settle(sums->n_stored, sums->total, sums->error, sums->total);
    return loss;
}
