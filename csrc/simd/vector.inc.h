/*
 * One vector register of `real`, for the instruction set and dtype being compiled. Lanes never mix in arithmetic: a
 * vector operation is the scalar one, PN_LANES times over, so its bits do not depend on the width.
 */
#define PN_LANES (PN_VECTOR_BYTES / (4 + 4 * REAL_IS_DOUBLE))

#define PN_INLINE __attribute__((always_inline))

/* Before a loop that gives element i of its outputs from element i of its inputs: in place, too, it may vectorise. */
#if defined(__clang__)
#define PN_ELEMENTWISE _Pragma("clang loop vectorize(assume_safety)")
#else
#define PN_ELEMENTWISE _Pragma("GCC ivdep")
#endif

/*
 * Stands before a loop of at most 16 rounds, known when compiling, whose index must become a constant to be fast. The
 * sanitizers' checks, unrolled as well, would take minutes to compile.
 */
#if defined(__SANITIZE_ADDRESS__)
#define PN_UNROLL _Pragma("GCC unroll 1")
#elif defined(__clang__)
#define PN_UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define PN_UNROLL _Pragma("GCC unroll 16")
#else
#define PN_UNROLL
#endif

/* After this a vector that was loaded is in a register, from where all uses take it. */
#if PN_HAVE_X86_ISAS
#define PN_IN_REGISTER(vector) __asm__("" : "+v"(vector))
#elif defined(__aarch64__)
#define PN_IN_REGISTER(vector) __asm__("" : "+w"(vector))
#else
#define PN_IN_REGISTER(vector) ((void)0)
#endif

/*
 * Of pointers that differ by multiples of a step gcc keeps each in a register, and most of these in memory; it loads
 * the numbers of a column as one vector, which it then takes apart with permutations. After this it knows nothing.
 */
#define PN_OPAQUE(value) __asm__("" : "+r"(value))

typedef real FN(vec) __attribute__((vector_size(PN_VECTOR_BYTES)));
typedef real FN(vec_anywhere) __attribute__((vector_size(PN_VECTOR_BYTES), aligned(sizeof(real)), may_alias));

/*
 * PN_INTRINSIC(add)(a, b) is _mm512_add_ps(a, b), or what else suits the register. For what a loop over lanes would say
 * as well: compilers make one instruction of it, but now and then, in the midst of a large function, many.
 */
#if PN_HAVE_X86_ISAS
#define PN_INTRINSIC(name) PN_JOIN(PN_MM, name, PN_PS)
#if PN_VECTOR_BYTES == 64
#define PN_MM _mm512
#elif PN_VECTOR_BYTES == 32
#define PN_MM _mm256
#else
#define PN_MM _mm
#endif
#if REAL_IS_DOUBLE
#define PN_PS pd
#else
#define PN_PS ps
#endif
#endif

static inline PN_INLINE FN(vec) FN(load)(const real *from) { return *(const FN(vec_anywhere) *)from; }
static inline PN_INLINE void FN(store)(real *to, FN(vec) value) { *(FN(vec_anywhere) *)to = value; }
static inline PN_INLINE FN(vec) FN(broadcast)(real value) { return value - (FN(vec)){0}; }

/* from[n], n <= PN_LANES, and zeros: not by way of memory, as reading what was written in parts would wait for it. */
static inline PN_INLINE FN(vec) FN(load_some)(size_t n, const real *from)
{
#if defined(PN_INTRINSIC) && PN_VECTOR_BYTES == 64
    return PN_INTRINSIC(maskz_loadu)((__mmask16)((1u << n) - 1), from);
#elif defined(PN_INTRINSIC) && PN_VECTOR_BYTES == 32
    static const int32_t ones_then_zeros[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    const int32_t *mask = ones_then_zeros + 8 - n * (8 / PN_LANES);
    return PN_INTRINSIC(maskload)(from, _mm256_loadu_si256((const __m256i *)mask));
#else
    FN(vec) some;
    for (size_t l = 0; l < PN_LANES; l++)
        some[l] = l < n ? from[l] : 0;
    return some;
#endif
}

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
#if PN_HAVE_FMA && defined(PN_INTRINSIC)
    return PN_INTRINSIC(fmadd)(a, b, c);
#elif PN_HAVE_FMA
    FN(vec) r;
    for (int l = 0; l < PN_LANES; l++)
        r[l] = FN(fma)(a[l], b[l], c[l]);
    return r;
#else
    FN(vec) product = a * b;
    return product + c;
#endif
}

/* For bit operations, and signed for masks and builtins. */
#if REAL_IS_DOUBLE
typedef uint64_t FN(vec_bits) __attribute__((vector_size(PN_VECTOR_BYTES)));
typedef int64_t FN(vec_signed) __attribute__((vector_size(PN_VECTOR_BYTES)));
#else
typedef uint32_t FN(vec_bits) __attribute__((vector_size(PN_VECTOR_BYTES)));
typedef int32_t FN(vec_signed) __attribute__((vector_size(PN_VECTOR_BYTES)));
#endif

/* a[l] where mask[l] is -1, b[l] where it is 0. */
static inline PN_INLINE FN(vec) FN(choose)(FN(vec_signed) mask, FN(vec) a, FN(vec) b)
{
#if PN_VECTOR_BYTES == 64 && !defined(__clang__) /* gcc does not see a choice in bit operations there, clang in lanes */
    FN(vec) r;
    for (int l = 0; l < PN_LANES; l++)
        r[l] = mask[l] ? a[l] : b[l];
    return r;
#else
    return (FN(vec))(((FN(vec_signed))a & mask) | ((FN(vec_signed))b & ~mask));
#endif
}

/* a[l] < b[l] ? a[l] : b[l]. */
static inline PN_INLINE FN(vec) FN(vec_min)(FN(vec) a, FN(vec) b)
{
#ifdef PN_INTRINSIC
    return PN_INTRINSIC(min)(a, b);
#else
    FN(vec) r;
    for (int l = 0; l < PN_LANES; l++)
        r[l] = a[l] < b[l] ? a[l] : b[l];
    return r;
#endif
}

/* a[l] > b[l] ? a[l] : b[l]. */
static inline PN_INLINE FN(vec) FN(vec_max)(FN(vec) a, FN(vec) b)
{
#ifdef PN_INTRINSIC
    return PN_INTRINSIC(max)(a, b);
#else
    FN(vec) r;
    for (int l = 0; l < PN_LANES; l++)
        r[l] = a[l] > b[l] ? a[l] : b[l];
    return r;
#endif
}

#if REAL_IS_DOUBLE
/* The two 32-bit halves of numbers. Without AVX-512 registers can be permuted by them alone. */
typedef int32_t FN(vec_halves) __attribute__((vector_size(PN_VECTOR_BYTES)));
#endif

/*
 * table[index[l]] in lane l, for indices below 8; of doubles, index modulo 8. As many numbers must be readable there as
 * the register has lanes, and 8.
 */
static inline PN_INLINE FN(vec) FN(lookup)(const real *table, FN(vec_bits) index)
{
#if PN_VECTOR_BYTES == 64
    return PN_INTRINSIC(permutexvar)((__m512i)index, FN(load)(table));
#elif PN_LANES == 8
    FN(vec) numbers = FN(load)(table);
    PN_IN_REGISTER(numbers); /* a permutation of memory takes a Zen 3 twice the time */
    return _mm256_permutevar8x32_ps(numbers, (__m256i)index);
#elif REAL_IS_DOUBLE && PN_LANES == 4
    FN(vec_halves) a = (FN(vec_halves))FN(load)(table), b = (FN(vec_halves))FN(load)(table + 4);
    FN(vec_halves) low = {a[0], a[2], a[4], a[6], b[0], b[2], b[4], b[6]};
    FN(vec_halves) high = {a[1], a[3], a[5], a[7], b[1], b[3], b[5], b[7]};
    __m256i twice = _mm256_shuffle_epi32((__m256i)index, 0xa0); /* lanes 0, 0, 2, 2 of each half */
    low = (FN(vec_halves))_mm256_permutevar8x32_epi32((__m256i)low, twice);
    high = (FN(vec_halves))_mm256_permutevar8x32_epi32((__m256i)high, twice);
    return (FN(vec))(FN(vec_halves)){low[0], high[1], low[2], high[3], low[4], high[5], low[6], high[7]};
#elif REAL_IS_DOUBLE
    /* Not index[1]: gcc would move it by an instruction that waits for the last round of a loop. */
    const FN(vec_halves) halves = (FN(vec_halves))index;
    const int low = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
    return (FN(vec)){table[halves[low] & 7], table[halves[2 + low] & 7]};
#else
    return (FN(vec)){table[index[0] & 7], table[index[1] & 7], table[index[2] & 7], table[index[3] & 7]};
#endif
}

#ifdef PN_INTRINSIC
#undef PN_INTRINSIC
#undef PN_MM
#undef PN_PS
#endif
