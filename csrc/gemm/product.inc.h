/* What a product is made of: operands, and ranges of C. */

static inline PN_INLINE size_t FN(ceil_div)(size_t size, size_t most) { return (size + most - 1) / most; }

static inline PN_INLINE size_t FN(round_up)(size_t size, size_t unit) { return FN(ceil_div)(size, unit) * unit; }

static inline PN_INLINE size_t FN(min)(size_t a, size_t b) { return a < b ? a : b; }

/* Shares `size` out evenly over as few pieces of at most `most` as will do. */
static inline PN_INLINE size_t FN(balanced_chunk)(size_t size, size_t most)
{
    return FN(ceil_div)(size, FN(ceil_div)(size, most));
}

/*
 * Row i begins at data + i * stride; if column_major is 1, rows here are columns of the operand. Where a row is longer than
 * PN_NR, its next PN_NR numbers are `panel_stride` further on: PN_NR for a plain matrix, more for packed weights.
 * Nothing may be read from `end` on.
 */
typedef struct FN(matrix) {
    const real *data;
    size_t stride;
    int column_major;
    const real *end;
    size_t panel_stride;
} FN(matrix);

typedef struct FN(product) {
    size_t m, n, k;
    FN(matrix) a, b;
    const real *bias;           /* where sums start: bias[n]; NULL: 0 */
    real *c;                    /* c[m][c_stride] */
    size_t c_stride, c_panel_stride; /* as in a matrix */
    real rate;                  /* not 0: c = fma(-rate, sum, c) instead of c = sum */
    pn_activation f;            /* last: c = f(c), or c = c * f'(z) if a_prev[m][c_stride] is given */
    const real *a_prev;
    int transposed;             /* C[i][j] is c[j][i], likewise a_prev; and bias[m] */
} FN(product);

/* A strip of A or B from the first term of a sum on: in place or packed. */
typedef struct FN(operand) {
    const real *data;
    size_t stride;
    size_t panel_stride;        /* of A with contiguous rows, and of B: as in a matrix */
    int column_major;           /* of A */
    const real *end;            /* of B: nothing may be read from here on; NULL: whole vectors are there */
} FN(operand);

typedef struct FN(c_range) { size_t i, rows, j, columns; } FN(c_range); /* of C */

/* B[p][j]: within PN_NR columns, or rows if column_major, the others are at fixed distances from it. */
static inline PN_INLINE const real *FN(b_at)(const FN(matrix) *b, size_t p, size_t j)
{
    size_t row = b->column_major ? j : p, column = b->column_major ? p : j;
    return b->data + column / PN_NR * b->panel_stride + column % PN_NR + row * b->stride;
}

/* C[i][j...] for a j with which a panel begins. */
static inline PN_INLINE real *FN(c_at)(const FN(product) *s, size_t i, size_t j)
{
    return s->c + j / PN_NR * s->c_panel_stride + i * s->c_stride;
}

/* Whether B lies in panels already, as a product wants them. */
static inline PN_INLINE int FN(is_prepacked)(const FN(matrix) *b)
{
    return !b->column_major && b->panel_stride != PN_NR;
}

/* Columns j... of a B with contiguous rows, from the term p on. */
static inline PN_INLINE FN(operand) FN(operand_of_b)(const FN(matrix) *b, size_t p, size_t j)
{
    return (FN(operand)){FN(b_at)(b, p, j), b->stride, b->panel_stride, 0, b->panel_stride == PN_NR ? b->end : NULL};
}
