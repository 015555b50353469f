/* The arithmetic of sizes, and the description of a product and of its operands. */

static inline PN_INLINE size_t FN(ceil_div)(size_t size, size_t unit) { return (size + unit - 1) / unit; }

static inline PN_INLINE size_t FN(round_up)(size_t size, size_t unit) { return FN(ceil_div)(size, unit) * unit; }

static inline PN_INLINE size_t FN(min)(size_t a, size_t b) { return a < b ? a : b; }

/* The size of the chunks when `size` is divided evenly into as few chunks of at most `max` as possible. */
static inline PN_INLINE size_t FN(balanced_chunk)(size_t size, size_t max)
{
    return FN(ceil_div)(size, FN(ceil_div)(size, max));
}

/*
 * A or B of a product, or the part of it from some term of the sum on, in place or packed. Row-major: element (r, c) is
 * data[r * stride + c]; column-major: it is data[c * stride + r]. Each stored row consists of panels of PN_NR elements
 * that lie panel_stride apart; in a plain matrix panel_stride is PN_NR. Strips are column-major.
 */
typedef struct FN(matrix) {
    const real *data;
    size_t stride;
    size_t panel_stride;
    int column_major;
    const real *end;            /* nothing may be read from here on; NULL: whole vectors are there */
} FN(matrix);

/* C[m][n] = epilogue(init[n] + A[m][k] B[k][n]). */
typedef struct FN(product) {
    size_t m, n, k;
    FN(matrix) a, b;
    const real *bias;           /* init: bias[n], or 0 if NULL */
    real *c;                    /* c[m][c_stride] */
    size_t c_stride, c_panel_stride; /* as in a matrix */
    real alpha, beta;           /* if beta is not 0: C = beta C + alpha A B, without bias and epilogue. If it is
                                   0, alpha is ignored, unlike in BLIS */
    pn_activation f;            /* the epilogue: C = f(C), or C = C * f'(z_prev) if a_prev is given */
    real *z;                    /* z[m][c_stride], which keeps what C is before the epilogue; NULL: not wanted */
    const real *z_prev, *a_prev; /* a_prev[m][c_stride] = f(z_prev), or NULL; z_prev may be NULL if f' is written in a */
    int transposed;             /* C is stored transposed: C[i][j] is c[j * c_stride + i]; z, z_prev, a_prev likewise;
                                   bias[m] */
} FN(product);

/* C[i...][j...], which one thread or one call computes. */
typedef struct FN(c_range) { size_t i, rows, j, columns; } FN(c_range);

/* The address of B[p][j]. */
static inline PN_INLINE const real *FN(b_at)(const FN(matrix) *b, size_t p, size_t j)
{
    size_t row = b->column_major ? j : p, column = b->column_major ? p : j;
    return b->data + column / PN_NR * b->panel_stride + column % PN_NR + row * b->stride;
}

/* The address of C[i][j], where j is a multiple of PN_NR. */
static inline PN_INLINE real *FN(c_at)(const FN(product) *s, size_t i, size_t j)
{
    return s->c + j / PN_NR * s->c_panel_stride + i * s->c_stride;
}

/* Whether B lies in packed panels already. */
static inline PN_INLINE int FN(is_prepacked)(const FN(matrix) *b)
{
    return !b->column_major && b->panel_stride != PN_NR;
}

/* A row-major B from the term p and the column j on. */
static inline PN_INLINE FN(matrix) FN(b_from)(const FN(matrix) *b, size_t p, size_t j)
{
    return (FN(matrix)){FN(b_at)(b, p, j), b->stride, b->panel_stride, 0, b->panel_stride == PN_NR ? b->end : NULL};
}
