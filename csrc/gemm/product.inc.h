/* What a product is made of: operands, and ranges of C. */

static inline PN_INLINE size_t FN(pieces)(size_t size, size_t most) { return (size + most - 1) / most; }

static inline PN_INLINE size_t FN(whole)(size_t size, size_t unit) { return FN(pieces)(size, unit) * unit; }

static inline PN_INLINE size_t FN(least)(size_t a, size_t b) { return a < b ? a : b; }

/* Shares `size` out evenly over as few pieces of at most `most` as will do. */
static inline PN_INLINE size_t FN(even)(size_t size, size_t most)
{
    return FN(pieces)(size, FN(pieces)(size, most));
}

/*
 * Row i begins at data + i * step; if by_column is 1, rows here are columns of the operand. Where a row is longer than
 * PN_PANEL, its next PN_PANEL numbers are `panel` further on: PN_PANEL for a plain matrix, more for packed weights.
 * Nothing may be read from `end` on.
 */
typedef struct FN(matrix) {
    const real *data;
    size_t step;
    int by_column;
    const real *end;
    size_t panel;
} FN(matrix);

typedef struct FN(product) {
    size_t m, n, k;
    FN(matrix) a, b;
    const real *bias;           /* where sums start: bias[n]; NULL: 0 */
    real *c;                    /* c[m][c_step] */
    size_t c_step, c_panel;     /* as in a matrix */
    real rate;                  /* not 0: c = fma(-rate, sum, c) instead of c = sum */
    pn_activation f;            /* last: c = f(c), or c = c * f'(z) if a_prev[m][c_step] is given */
    const real *a_prev;
    int transposed;             /* C[i][j] is c[j][i], likewise a_prev; and bias[m] */
} FN(product);

/* A strip of A or B from the first term of a sum on: in place or packed. */
typedef struct FN(strip) {
    const real *data;
    size_t step;
    size_t panel;               /* of A with contiguous rows, and of B: as in a matrix */
    int by_column;              /* of A */
    const real *end;            /* of B: nothing may be read from here on; NULL: whole vectors are there */
} FN(strip);

typedef struct FN(part) { size_t i, rows, j, columns; } FN(part); /* of C */

/* B[p][j]: within PN_PANEL columns, or rows if by_column, the others are at fixed distances from it. */
static inline PN_INLINE const real *FN(b_at)(const FN(matrix) *b, size_t p, size_t j)
{
    size_t row = b->by_column ? j : p, column = b->by_column ? p : j;
    return b->data + column / PN_PANEL * b->panel + column % PN_PANEL + row * b->step;
}

/* C[i][j...] for a j with which a panel begins. */
static inline PN_INLINE real *FN(c_at)(const FN(product) *s, size_t i, size_t j)
{
    return s->c + j / PN_PANEL * s->c_panel + i * s->c_step;
}

/* Whether B lies in panels already, as a product wants them. */
static inline PN_INLINE int FN(is_ready)(const FN(matrix) *b) { return !b->by_column && b->panel != PN_PANEL; }

/* Columns j... of a B with contiguous rows, from the term p on. */
static inline PN_INLINE FN(strip) FN(strip_of_b)(const FN(matrix) *b, size_t p, size_t j)
{
    return (FN(strip)){FN(b_at)(b, p, j), b->step, b->panel, 0, b->panel == PN_PANEL ? b->end : NULL};
}
