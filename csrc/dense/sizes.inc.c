/* The operands of a layer's products, and their workspace. */

#define PN_SCALAR_COLUMNS 4   /* scalar chains up to so many columns, */
#define PN_SCALAR_TERMS 256   /* of one row or of rows with so many terms together */

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
