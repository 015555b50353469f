/*
 * A vector register of PN_LANES elements of `real`. No arithmetic crosses lanes: each lane of a result has the bits of
 * the scalar operation, whatever the width of the register.
 */
#define PN_LANES (PN_VECTOR_BYTES / (4 + 4 * REAL_IS_DOUBLE))

#define PN_INLINE __attribute__((always_inline))

/*
 * Precedes a loop that computes element i of each output from element i of the inputs, so that the compiler may
 * vectorise it even if an output is one of the inputs.
 */
#if defined(__clang__)
#define PN_ELEMENTWISE _Pragma("clang loop vectorize(assume_safety)")
#else
#define PN_ELEMENTWISE _Pragma("GCC ivdep")
#endif

/*
 * Precedes a loop of at most 16 iterations that must be unrolled, because its index selects registers or lanes. With
 * AddressSanitizer nothing is unrolled, as its checks would take minutes to compile.
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

/* Keeps a loaded vector in a register. Otherwise compilers load it again for each use. */
#if PN_HAVE_X86_ISAS
#define PN_IN_REGISTER(vector) __asm__("" : "+v"(vector))
#elif defined(__aarch64__)
#define PN_IN_REGISTER(vector) __asm__("" : "+w"(vector))
#else
#define PN_IN_REGISTER(vector) ((void)0)
#endif

/*
 * Hides a value from GCC's optimisers. Otherwise they keep each of several pointers that are a stride apart in a
 * register and spill most of them to memory, and they load the elements of a column as one vector and split it again.
 */
#define PN_OPAQUE(value) __asm__("" : "+r"(value))

typedef real FN(vec) __attribute__((vector_size(PN_VECTOR_BYTES)));
typedef real FN(vec_anywhere) __attribute__((vector_size(PN_VECTOR_BYTES), aligned(sizeof(real)), may_alias));

/*
 * PN_INTRINSIC(add)(a, b) is _mm512_add_ps(a, b), or its equivalent for the width and the dtype being compiled.
 * Intrinsics are used where compilers fail to vectorise the equivalent loop over lanes.
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

/*
 * from[n], n <= PN_LANES, and zeros in the other lanes. A copy through memory would be slow: a load that spans several
 * recent stores stalls.
 */
static inline PN_INLINE FN(vec) FN(load_n)(size_t n, const real *from)
{
#if defined(PN_INTRINSIC) && PN_VECTOR_BYTES == 64
    return PN_INTRINSIC(maskz_loadu)((__mmask16)((1u << n) - 1), from);
#elif defined(PN_INTRINSIC) && PN_VECTOR_BYTES == 32
    static const int32_t ones_then_zeros[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    const int32_t *mask = ones_then_zeros + 8 - n * (8 / PN_LANES);
    return PN_INTRINSIC(maskload)(from, _mm256_loadu_si256((const __m256i *)mask));
#else
    FN(vec) value;
    for (size_t l = 0; l < PN_LANES; l++)
        value[l] = l < n ? from[l] : 0;
    return value;
#endif
}

/* a * b + c, rounded once if PN_HAVE_FMA, else twice. vec_fma is the same in each lane. */
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

/* Integer vectors: unsigned for bits, signed for masks, which are -1 or 0 in each lane. */
#if REAL_IS_DOUBLE
typedef uint64_t FN(vec_bits) __attribute__((vector_size(PN_VECTOR_BYTES)));
typedef int64_t FN(vec_signed) __attribute__((vector_size(PN_VECTOR_BYTES)));
#else
typedef uint32_t FN(vec_bits) __attribute__((vector_size(PN_VECTOR_BYTES)));
typedef int32_t FN(vec_signed) __attribute__((vector_size(PN_VECTOR_BYTES)));
#endif

/* mask[l] ? a[l] : b[l]. */
static inline PN_INLINE FN(vec) FN(choose)(FN(vec_signed) mask, FN(vec) a, FN(vec) b)
{
#if PN_VECTOR_BYTES == 64 && !defined(__clang__) /* the form that GCC recognises; Clang recognises the other */
    FN(vec) r;
    for (int l = 0; l < PN_LANES; l++)
        r[l] = mask[l] ? a[l] : b[l];
    return r;
#else
    return (FN(vec))(((FN(vec_signed))a & mask) | ((FN(vec_signed))b & ~mask));
#endif
}

/* mask[l] ? a[l] : 0. With AVX-512, GCC makes more of this than of choose. */
static inline PN_INLINE FN(vec) FN(keep_where)(FN(vec_signed) mask, FN(vec) a)
{
    return (FN(vec))(mask & (FN(vec_signed))a);
}

/* a[l] < b[l] ? a[l] : b[l], which is b[l] if either is NaN. */
static inline PN_INLINE FN(vec) FN(vec_min)(FN(vec) a, FN(vec) b)
{
#ifdef PN_INTRINSIC
    return PN_INTRINSIC(min)(a, b);
#elif defined(__wasm_simd128__) && REAL_IS_DOUBLE /* pmin(a, b) is b < a ? b : a */
    return (FN(vec))__builtin_wasm_pmin_f64x2(b, a);
#else
    FN(vec) r;
    for (int l = 0; l < PN_LANES; l++)
        r[l] = a[l] < b[l] ? a[l] : b[l];
    return r;
#endif
}

/* a[l] > b[l] ? a[l] : b[l], which is b[l] if either is NaN. */
static inline PN_INLINE FN(vec) FN(vec_max)(FN(vec) a, FN(vec) b)
{
#ifdef PN_INTRINSIC
    return PN_INTRINSIC(max)(a, b);
#elif defined(__wasm_simd128__) && REAL_IS_DOUBLE
    return (FN(vec))__builtin_wasm_pmax_f64x2(b, a);
#else
    FN(vec) r;
    for (int l = 0; l < PN_LANES; l++)
        r[l] = a[l] > b[l] ? a[l] : b[l];
    return r;
#endif
}

/* v[l ^ distance] in lane l: two halves, quarters, ... of the register change places. */
static inline PN_INLINE FN(vec) FN(exchange)(FN(vec) v, const size_t distance)
{
    FN(vec) r;
    PN_UNROLL
    for (size_t l = 0; l < PN_LANES; l++)
        r[l] = v[l ^ distance];
    return r;
}

/* The square root of each lane, correctly rounded. */
static inline PN_INLINE FN(vec) FN(vec_sqrt)(FN(vec) a)
{
#ifdef PN_INTRINSIC
    return PN_INTRINSIC(sqrt)(a);
#elif defined(__aarch64__) && REAL_IS_DOUBLE
    return (FN(vec))vsqrtq_f64((float64x2_t)a);
#elif defined(__aarch64__)
    return (FN(vec))vsqrtq_f32((float32x4_t)a);
#elif defined(__wasm_simd128__) && REAL_IS_DOUBLE
    return (FN(vec))__builtin_wasm_sqrt_f64x2(a);
#else
    FN(vec) r;
    for (int l = 0; l < PN_LANES; l++)
        r[l] = (real)sqrt((double)a[l]); /* rounding twice does no harm to a root */
    return r;
#endif
}

#if REAL_IS_DOUBLE
/* The 32-bit halves of doubles. AVX2 has a variable permutation of a whole register for these only. */
typedef int32_t FN(vec_halves) __attribute__((vector_size(PN_VECTOR_BYTES)));
#endif

/*
 * table[index[l]] in lane l. Indices are less than 8; those of doubles are reduced modulo 8. The table must be readable
 * for 8 elements, and for PN_LANES.
 */
static inline PN_INLINE FN(vec) FN(lookup)(const real *table, FN(vec_bits) index)
{
#if PN_VECTOR_BYTES == 64
    return PN_INTRINSIC(permutexvar)((__m512i)index, FN(load)(table));
#elif PN_LANES == 8
    FN(vec) numbers = FN(load)(table);
    PN_IN_REGISTER(numbers); /* with an operand in memory Zen 3 permutes half as fast */
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
    /* Not index[1]: GCC would extract it by an instruction that depends on the previous iteration of a loop. */
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
