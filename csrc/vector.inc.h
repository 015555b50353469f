/*
 * One vector register of `real`, for the instruction set and dtype being compiled. Lanes never mix in arithmetic: a
 * vector operation is the scalar one, PN_LANES times over, so its bits do not depend on the width.
 */
#define PN_LANES (PN_VECTOR_BYTES / (4 + 4 * REAL_IS_DOUBLE))

/* Stands before a loop of at most 16 rounds, known when compiling, whose index must become a constant. */
#if defined(__clang__)
#define PN_UNROLL _Pragma("unroll")
#elif defined(__GNUC__)
#define PN_UNROLL _Pragma("GCC unroll 16")
#else
#define PN_UNROLL
#endif

typedef real FN(vec) __attribute__((vector_size(PN_VECTOR_BYTES)));
typedef real FN(vec_anywhere) __attribute__((vector_size(PN_VECTOR_BYTES), aligned(sizeof(real)), may_alias));

static inline PN_INLINE FN(vec) FN(load)(const real *from) { return *(const FN(vec_anywhere) *)from; }
static inline PN_INLINE void FN(store)(real *to, FN(vec) value) { *(FN(vec_anywhere) *)to = value; }
static inline PN_INLINE FN(vec) FN(broadcast)(real value) { return value - (FN(vec)){0}; }

/* a * b + c, rounded once wherever the machine can. The one place that decides what a multiply-add is. */
static inline PN_INLINE real FN(fma)(real a, real b, real c)
{
#if PN_HAVE_FMA
    return sizeof(real) == sizeof(float) ? (real)__builtin_fmaf((float)a, (float)b, (float)c)
                                         : (real)__builtin_fma((double)a, (double)b, (double)c);
#else
    real product = a * b;
    return product + c;
#endif
}

static inline PN_INLINE FN(vec) FN(vec_fma)(FN(vec) a, FN(vec) b, FN(vec) c)
{
#if PN_HAVE_FMA
    FN(vec) r;
    for (int l = 0; l < PN_LANES; l++)
        r[l] = FN(fma)(a[l], b[l], c[l]);
    return r;
#else
    FN(vec) product = a * b;
    return product + c;
#endif
}
