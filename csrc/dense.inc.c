/* The three products of a dense layer. */
#include "kernels.h"
#include "matmul.inc.c"

#ifdef PN_ISA

#define PN_SCALAR_COLUMNS 4   /* scalar chains up to so many columns, */
#define PN_SCALAR_TERMS 256   /* of one row or of rows with so many terms together */
#define PN_BIAS_VECTORS 4     /* vectors of columns of the bias at a time */

static size_t FN(dense_workspace)(size_t m, size_t k, size_t n)
{
    size_t forward = FN(multiply_workspace)(m, k, n), backward_x = FN(multiply_workspace)(m, n, k),
           backward_weight = FN(multiply_workspace)(k, m, n);
    size_t most = forward > backward_x ? forward : backward_x;
    return most > backward_weight ? most : backward_weight;
}

/* A matrix that lies row by row. */
static inline PN_INLINE FN(matrix) FN(plain)(size_t rows, size_t columns, const real *data)
{
    return (FN(matrix)){data, columns, 0, data + rows * columns, PN_PANEL};
}

/* So few columns that lanes along the rows do better. */
static inline PN_INLINE int FN(is_thin)(size_t columns, size_t rows)
{
    return columns <= PN_MR && rows > columns && 4 * columns <= 3 * ((columns + PN_LANES - 1) / PN_LANES * PN_LANES);
}

/* The transposed product: C^T = B^T A^T. */
static void FN(turn)(FN(product) *s)
{
    FN(matrix) a = s->a;
    size_t m = s->m;
    s->a = s->b;
    s->b = a;
    s->a.by_column = !s->a.by_column;
    s->b.by_column = !s->b.by_column;
    s->m = s->n;
    s->n = m;
    s->transposed = 1;
}

static inline PN_INLINE int FN(is_scalar)(size_t m, size_t k, size_t n)
{
    return n <= PN_SCALAR_COLUMNS && (m == 1 || m * k <= PN_SCALAR_TERMS);
}

/*
 * Without a turn the forward product reads B in place, and needs no scratch, for few rows and for small weights: see
 * multiply_part.
 */
static size_t FN(dense_forward_workspace)(size_t m, size_t k, size_t n)
{
    if (FN(is_scalar)(m, k, n))
        return 0;
    if (FN(is_thin)(n, m) && k <= PN_TRANSPOSED_K)
        return FN(multiply_workspace)(n, k, m);
    return m <= PN_ROWS_B_BY_BLOCKS || k * n * sizeof(real) <= PN_IN_PLACE_BYTES ? 0 : FN(multiply_workspace)(m, k, n);
}

/*
 * A layer's sizes decide what runs along the lanes: the columns of the result, or, where these are few or its rows are
 * fewer than what would have to be transposed, the rows of the result; then the product is computed transposed.
 */
static void FN(forward)(size_t m, size_t k, size_t n, const real *x, FN(matrix) weight, const real *bias,
                        pn_activation f, real *a, real *workspace)
{
    FN(product) product = {
        .m = m, .n = n, .k = k, .a = FN(plain)(m, k, x), .b = weight,
        .bias = bias, .c = a, .c_step = n, .c_panel = PN_PANEL, .f = f,
    };
    if (FN(is_thin)(n, m) && k <= PN_TRANSPOSED_K)
        FN(turn)(&product);
    FN(multiply)(&product, workspace);
}

/*
 * Whether transposing the batch costs less than transposing the weights. Lanes behind its last row work for nothing:
 * of floats half a register at most may, as their weights are transposed in less time than those of doubles.
 */
static inline PN_INLINE int FN(turns_backward_x)(size_t m, size_t k, size_t n)
{
    size_t lanes = FN(whole)(m, PN_LANES);
    return lanes <= PN_TRANSPOSED_M && n <= PN_TRANSPOSED_K && (REAL_IS_DOUBLE || 2 * (lanes - m) <= PN_LANES) &&
           PN_TRANSPOSED_GAIN * lanes * (n + k) <= n * k;
}

static void FN(backward_x)(size_t m, size_t k, size_t n, const real *grad_z, FN(matrix) weight, pn_activation f_prev,
                           const real *a_prev, real *grad_z_prev, real *workspace)
{
    weight.by_column = 1;
    FN(product) product = {
        .m = m, .n = k, .k = n, .a = FN(plain)(m, n, grad_z), .b = weight,
        .c = grad_z_prev, .c_step = k, .c_panel = PN_PANEL, .f = f_prev, .a_prev = a_prev,
    };
    if (n == 1)
        product.b = FN(plain)(1, k, weight.data);
    else if (FN(turns_backward_x)(m, k, n))
        FN(turn)(&product);
    FN(multiply)(&product, workspace);
}

static void FN(backward_weight)(size_t m, size_t k, size_t n, const real *x, const real *grad_z, real rate,
                                real *target, size_t step, size_t panel, real *workspace)
{
    FN(product) product = {
        .m = k, .n = n, .k = m, .a = FN(plain)(m, k, x), .b = FN(plain)(m, n, grad_z),
        .c = target, .c_step = step, .c_panel = panel, .rate = rate, .f = PN_IDENTITY,
    };
    product.a.by_column = 1;
    if (FN(is_thin)(n, k))
        FN(turn)(&product);
    FN(multiply)(&product, workspace);
}

/* Few rows and very few columns: a scalar chain for each element, several under way at once. */
static inline PN_INLINE void FN(forward_scalar)(const int n, size_t m, size_t k, const real *x, const real *weight,
                                                const real *bias, real *a)
{
    for (; m > 0; m--, x += k, a += n) {
        real sum[PN_SCALAR_COLUMNS] = {0};
        for (int j = 0; bias != NULL && j < n; j++)
            sum[j] = bias[j];
        for (size_t p = 0; p < k; p++) {
            PN_UNROLL
            for (int j = 0; j < n; j++)
                sum[j] = FN(fma)(x[p], weight[p * n + j], sum[j]);
        }
        for (int j = 0; j < n; j++)
            a[j] = sum[j];
    }
}

/* One row, whole vectors of columns, few enough that the sums of all of them may run through k at once. */
static int FN(is_plain_row)(size_t m, size_t n) { return m == 1 && n % PN_LANES == 0 && n <= PN_NARROW; }

/* What multiply would do for it, without its questions: they take as long as a small layer's sums. */
static void FN(forward_row)(size_t k, size_t n, const real *x, const real *weight, const real *bias, pn_activation f,
                            real *a)
{
    FN(tile_job) job = {.a = x, .b_step = n, .b_panel = PN_PANEL, .last_depth = k};
    for (size_t j = 0, width; j < n; j += width) {
        int log_vectors = FN(tile_width)(1, n - j);
        while ((width = (size_t)PN_LANES << log_vectors) > n - j)
            log_vectors--;
        job.b = weight + j;
        job.init = bias != NULL ? bias + j : FN(zeros);
        job.c = a + j;
        FN(tiles)[0][log_vectors][0](&job);
    }
    FN(activate)(n, f, a, a);
}

static void FN(dense_forward)(size_t m, size_t k, size_t n, const real *x, const real *weight, const real *bias,
                              pn_activation f, real *a, real *workspace)
{
    if (FN(is_scalar)(m, k, n)) {
        switch (n) {
        case 1: FN(forward_scalar)(1, m, k, x, weight, bias, a); break;
        case 2: FN(forward_scalar)(2, m, k, x, weight, bias, a); break;
        case 3: FN(forward_scalar)(3, m, k, x, weight, bias, a); break;
        default: FN(forward_scalar)(4, m, k, x, weight, bias, a); break;
        }
        FN(activate)(m * n, f, a, a);
        return;
    }
    if (FN(is_plain_row)(m, n))
        FN(forward_row)(k, n, x, weight, bias, f, a);
    else
        FN(forward)(m, k, n, x, FN(plain)(k, n, weight), bias, f, a, workspace);
}

static void FN(dense_backward_x)(size_t m, size_t k, size_t n, const real *grad_z, const real *weight,
                                 pn_activation f_prev, const real *a_prev, real *grad_z_prev, real *workspace)
{
    FN(backward_x)(m, k, n, grad_z, FN(plain)(k, n, weight), f_prev, a_prev, grad_z_prev, workspace);
}

static void FN(dense_backward_weight)(size_t m, size_t k, size_t n, const real *x, const real *grad_z, real rate,
                                      real *target, real *workspace)
{
    FN(backward_weight)(m, k, n, x, grad_z, rate, target, n, PN_PANEL, workspace);
}

/* ---- Weights kept packed: [k][PN_PANEL] for every PN_PANEL columns -------------------------------------- */

/* From one panel to the next: an odd number of squares, as the same rows of all panels would else share cache lines. */
static inline PN_INLINE size_t FN(panel_size)(size_t k)
{
    return (FN(pieces)(k, PN_PANEL) | 1) * PN_PANEL * PN_PANEL;
}

static size_t FN(packed_size)(size_t m, size_t k, size_t n)
{
    if (m < PN_KEEP_PACKED_ROWS || k < PN_PANEL || n < PN_PANEL || k * n * sizeof(real) <= PN_IN_PLACE_BYTES)
        return 0;
    return FN(pieces)(n, PN_PANEL) * FN(panel_size)(k);
}

static FN(matrix) FN(packed)(size_t k, const real *packed)
{
    return (FN(matrix)){packed, PN_PANEL, 0, NULL, FN(panel_size)(k)};
}

static void FN(pack_weight)(size_t k, size_t n, const real *weight, real *packed)
{
    FN(matrix) plain = FN(plain)(k, n, weight);
    for (size_t j = 0; j < n; j += PN_PANEL, packed += FN(panel_size)(k))
        FN(pack_b)(&plain, 0, k, j, FN(least)(n - j, PN_PANEL), packed);
}

static void FN(unpack_weight)(size_t k, size_t n, const real *packed, real *weight)
{
    for (size_t p = 0; p < k; p++)
        for (size_t j = 0; j < n; j += PN_PANEL)
            FN(copy_some)(FN(least)(n - j, PN_PANEL), packed + j / PN_PANEL * FN(panel_size)(k) + p * PN_PANEL,
                          weight + p * n + j);
}

static int FN(packed_finite)(size_t k, size_t n, const real *packed)
{
    int finite = 1;
    for (; finite && n >= PN_PANEL; n -= PN_PANEL, packed += FN(panel_size)(k))
        finite = FN(all_finite)(k * PN_PANEL, packed);
    for (size_t p = 0; finite && n > 0 && p < k; p++)
        finite = FN(all_finite)(n, packed + p * PN_PANEL);
    return finite;
}

static void FN(dense_forward_packed)(size_t m, size_t k, size_t n, const real *x, const real *packed, const real *bias,
                                     pn_activation f, real *a, real *workspace)
{
    FN(forward)(m, k, n, x, FN(packed)(k, packed), bias, f, a, workspace);
}

static void FN(dense_backward_x_packed)(size_t m, size_t k, size_t n, const real *grad_z, const real *packed,
                                        pn_activation f_prev, const real *a_prev, real *grad_z_prev, real *workspace)
{
    FN(backward_x)(m, k, n, grad_z, FN(packed)(k, packed), f_prev, a_prev, grad_z_prev, workspace);
}

static void FN(dense_backward_weight_packed)(size_t m, size_t k, size_t n, const real *x, const real *grad_z,
                                             real rate, real *packed, real *workspace)
{
    FN(backward_weight)(m, k, n, x, grad_z, rate, packed, PN_PANEL, FN(panel_size)(k), workspace);
}

/* ---- The bias ----------------------------------------------------------------------------------------------- */

/* So many vectors of columns; of the last one, which reads into the next row, `columns` count. */
static inline PN_INLINE void FN(backward_bias)(const size_t vectors, size_t columns, size_t m, size_t n,
                                               const real *grad_z, const real *end, real rate, real *target)
{
    FN(vec) sum[PN_BIAS_VECTORS] = {{0}};
    real total[PN_BIAS_VECTORS * PN_LANES];
    size_t whole = FN(readable_rows)(m, vectors * PN_LANES, grad_z, n, end);
    for (size_t i = 0; i < whole; i++)
        PN_UNROLL
        for (size_t v = 0; v < vectors; v++)
            sum[v] += FN(load)(grad_z + i * n + v * PN_LANES);
    PN_UNROLL
    for (size_t v = 0; v < vectors; v++)
        FN(store)(total + v * PN_LANES, sum[v]);
    for (size_t i = whole; i < m; i++)
        for (size_t j = 0; j < columns; j++)
            total[j] += grad_z[i * n + j];
    FN(put)(rate, columns, total, target);
}

static void FN(dense_backward_bias)(size_t m, size_t n, const real *grad_z, real rate, real *target)
{
    const real *end = grad_z + m * n;
    for (size_t j = 0, columns; j < n; j += columns) {
        columns = FN(least)(n - j, PN_BIAS_VECTORS * PN_LANES);
        if (columns == PN_BIAS_VECTORS * PN_LANES)
            FN(backward_bias)(PN_BIAS_VECTORS, columns, m, n, grad_z + j, end, rate, target + j);
        else {
            columns = FN(least)(columns, PN_LANES);
            FN(backward_bias)(1, columns, m, n, grad_z + j, end, rate, target + j);
        }
    }
}

#endif
