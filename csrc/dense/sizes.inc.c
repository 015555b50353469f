/* How a layer's sizes become the sides of a product, and the workspace of its products. */

/* A forward product may be computed by scalar chains of multiply-adds if it has at most this many columns. */
#define PN_SCALAR_N 4

/* The rows and the terms of such a product, m k, are at most this many together, unless m = 1. */
#define PN_SCALAR_MK 256

static size_t FN(dense_workspace)(size_t m, size_t k, size_t n)
{
    size_t forward = FN(multiply_workspace)(m, k, n), backward_x = FN(multiply_workspace)(m, n, k),
           backward_weight = FN(multiply_workspace)(k, m, n);
    size_t most = forward > backward_x ? forward : backward_x;
    return most > backward_weight ? most : backward_weight;
}

/*
 * Whether a result has so few columns that it is better computed transposed, with the lanes of a vector along its rows:
 * it fits into a micro-tile then, and along the columns a quarter of the lanes at least would be wasted.
 */
static inline PN_INLINE int FN(has_few_columns)(size_t columns, size_t rows)
{
    return columns <= PN_MR && rows > columns && 4 * columns <= 3 * ((columns + PN_LANES - 1) / PN_LANES * PN_LANES);
}

/* Makes the product the transposed one: C^T = B^T A^T. */
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

/* Whether the forward product is so small that scalar chains compute it. */
static inline PN_INLINE int FN(uses_scalar_chains)(size_t m, size_t k, size_t n)
{
    return n <= PN_SCALAR_N && (m == 1 || m * k <= PN_SCALAR_MK);
}

/*
 * The forward product needs no workspace for few rows and for small weights, unless it is computed transposed: B is not
 * packed then (multiply_range).
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
