/* The operands of a layer's products, and their workspace. */

#define PN_SCALAR_N 4   /* scalar chains up to so many columns, */
#define PN_SCALAR_MK 256   /* of one row or of rows with so many terms together */

static size_t FN(dense_workspace)(size_t m, size_t k, size_t n)
{
    size_t forward = FN(multiply_workspace)(m, k, n), backward_x = FN(multiply_workspace)(m, n, k),
           backward_weight = FN(multiply_workspace)(k, m, n);
    size_t most = forward > backward_x ? forward : backward_x;
    return most > backward_weight ? most : backward_weight;
}

/* A matrix that lies row by row. */
static inline PN_INLINE FN(matrix) FN(row_major)(size_t rows, size_t columns, const real *data)
{
    return (FN(matrix)){data, columns, 0, data + rows * columns, PN_NR};
}

/* So few columns that lanes along the rows do better. */
static inline PN_INLINE int FN(has_few_columns)(size_t columns, size_t rows)
{
    return columns <= PN_MR && rows > columns && 4 * columns <= 3 * ((columns + PN_LANES - 1) / PN_LANES * PN_LANES);
}

/* The transposed product: C^T = B^T A^T. */
static void FN(transpose_product)(FN(product) *s)
{
    FN(matrix) a = s->a;
    size_t m = s->m;
    s->a = s->b;
    s->b = a;
    s->a.column_major = !s->a.column_major;
    s->b.column_major = !s->b.column_major;
    s->m = s->n;
    s->n = m;
    s->transposed = 1;
}

static inline PN_INLINE int FN(uses_scalar_chains)(size_t m, size_t k, size_t n)
{
    return n <= PN_SCALAR_N && (m == 1 || m * k <= PN_SCALAR_MK);
}

/*
 * Without a turn the forward product reads B in place, and needs no scratch, for few rows and for small weights: see
 * multiply_range.
 */
static size_t FN(dense_forward_workspace)(size_t m, size_t k, size_t n)
{
    if (FN(uses_scalar_chains)(m, k, n))
        return 0;
    if (FN(has_few_columns)(n, m) && k <= PN_TRANSPOSED_MAX_K)
        return FN(multiply_workspace)(n, k, m);
    return m <= PN_UNPACKED_B_BLOCKED_M || k * n * sizeof(real) <= PN_UNPACKED_B_BYTES
               ? 0
               : FN(multiply_workspace)(m, k, n);
}
