/*
 * One vector register of `real`, for the instruction set and dtype being compiled. Lanes never mix in arithmetic: a
 * vector operation is the scalar one, PN_LANES times over, so its bits do not depend on the width.
 */
#define PN_LANES (PN_VECTOR_BYTES / (4 + 4 * REAL_IS_DOUBLE))

/*
 * Stands before a loop of at most 16 rounds, known when compiling, whose index must become a constant to be fast. The
 * sanitizers' checks, unrolled as well, would take minutes to compile.
 */
#if defined(__SANITIZE_ADDRESS__)
#define PN_UNROLL _Pragma("GCC unroll 1")
#elif defined(__clang__)
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

/* n numbers, in as few moves as will do. */
static inline PN_INLINE void FN(copy_some)(size_t n, const real *from, real *to)
{
    for (; n >= PN_LANES; n -= PN_LANES, from += PN_LANES, to += PN_LANES)
        FN(store)(to, FN(load)(from));
    PN_UNROLL
    for (size_t size = PN_LANES / 2; size > 0; size /= 2)
        if (n >= size) {
            real head[PN_LANES], tail[PN_LANES];
            memcpy(head, from, size * sizeof(real));
            memcpy(tail, from + n - size, size * sizeof(real));
            memcpy(to, head, size * sizeof(real));
            memcpy(to + n - size, tail, size * sizeof(real));
            return;
        }
}

/* Whole vectors, of which the first n numbers come from `from` and the others are 0. */
static inline PN_INLINE void FN(copy_padded)(size_t n, size_t width, const real *from, real *to)
{
    for (size_t l = n / PN_LANES * PN_LANES; l < width; l += PN_LANES)
        FN(store)(to + l, (FN(vec)){0});
    FN(copy_some)(n, from, to);
}

/* a[0] b[0] a[1] b[1] ...: the first or the second half of the 2 PN_LANES numbers. */
static inline PN_INLINE FN(vec) FN(interleave)(FN(vec) a, FN(vec) b, int second)
{
#if PN_LANES == 2
    return second ? (FN(vec)){a[1], b[1]} : (FN(vec)){a[0], b[0]};
#elif PN_LANES == 4
    return second ? (FN(vec)){a[2], b[2], a[3], b[3]} : (FN(vec)){a[0], b[0], a[1], b[1]};
#elif PN_LANES == 8
    return second ? (FN(vec)){a[4], b[4], a[5], b[5], a[6], b[6], a[7], b[7]}
                  : (FN(vec)){a[0], b[0], a[1], b[1], a[2], b[2], a[3], b[3]};
#else
    return second ? (FN(vec)){a[8], b[8], a[9], b[9], a[10], b[10], a[11], b[11], a[12], b[12], a[13], b[13],
                              a[14], b[14], a[15], b[15]}
                  : (FN(vec)){a[0], b[0], a[1], b[1], a[2], b[2], a[3], b[3], a[4], b[4], a[5], b[5],
                              a[6], b[6], a[7], b[7]};
#endif
}

/* rows[l][c] becomes rows[c][l]: every round interleaves the upper half of the rows with the lower half. */
static inline PN_INLINE void FN(transpose)(FN(vec) rows[PN_LANES])
{
    PN_UNROLL
    for (int round = 1; round < PN_LANES; round *= 2) {
        FN(vec) mixed[PN_LANES];
        PN_UNROLL
        for (int i = 0; i < PN_LANES / 2; i++) {
            mixed[2 * i] = FN(interleave)(rows[i], rows[i + PN_LANES / 2], 0);
            mixed[2 * i + 1] = FN(interleave)(rows[i], rows[i + PN_LANES / 2], 1);
        }
        PN_UNROLL
        for (int i = 0; i < PN_LANES; i++)
            rows[i] = mixed[i];
    }
}

#if !REAL_IS_DOUBLE
typedef uint32_t FN(vec_bits) __attribute__((vector_size(PN_VECTOR_BYTES)));

typedef int32_t FN(vec_signed) __attribute__((vector_size(PN_VECTOR_BYTES))); /* for the builtins */

/* table[index[l]] in lane l, for indices below 8; PN_LANES numbers must be readable there. */
static inline PN_INLINE FN(vec) FN(lookup)(const real *table, FN(vec_bits) index)
{
#if PN_LANES == 16 && defined(__clang__)
    return __builtin_ia32_permvarsf512(FN(load)(table), (FN(vec_signed))index);
#elif PN_LANES == 16
    return __builtin_shuffle(FN(load)(table), index);
#elif PN_LANES == 8
    return __builtin_ia32_permvarsf256(FN(load)(table), (FN(vec_signed))index);
#else
    return (FN(vec)){table[index[0] & 7], table[index[1] & 7], table[index[2] & 7], table[index[3] & 7]};
#endif
}
#endif
