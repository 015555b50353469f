/* The Gram matrix of the columns of a matrix, as Gauss-Newton needs it: a product that is symmetric. */

/*
 * gram[p][p] = beta gram + j^T j for j[m][p]: the triangle of elements (r, c) with r <= c, in bands of columns that reach
 * from the top to the diagonal. What a band has below the diagonal is written as well; other elements are not.
 */
static void FN(add_gram)(size_t m, size_t p, const real *j, real beta, real *gram, real *workspace)
{
    const size_t width = FN(round_up)(FN(balanced_chunk)(p, PN_GRAM_COLUMNS), PN_NR);
    for (size_t begin = 0; begin < p; begin += width) {
        const size_t columns = FN(min)(width, p - begin);
        FN(product) product = {
            .m = begin + columns, .n = columns, .k = m,
            .a = FN(row_major)(m, p, j), .b = FN(row_major)(m, p, j),
            .c = gram + begin, .c_stride = p, .c_panel_stride = PN_NR, .alpha = 1, .beta = beta, .f = PN_IDENTITY,
        };
        product.a.column_major = 1;
        product.b.data += begin;
        FN(multiply)(&product, workspace);
    }
}

/* Elements of workspace for that. */
static size_t FN(gram_workspace)(size_t m, size_t p)
{
    return FN(multiply_workspace)(p, m, FN(min)(p, PN_GRAM_COLUMNS + PN_NR));
}
