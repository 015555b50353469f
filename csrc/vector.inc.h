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

/* to[rows][to_step] = from[rows][from_step] for size <= n <= 2 size numbers of each row: two moves that may overlap. */
static inline PN_INLINE void FN(copy_ends)(const size_t size, size_t rows, size_t n, const real *from,
                                           size_t from_step, real *to, size_t to_step)
{
    for (; rows > 0; rows--, from += from_step, to += to_step) {
        real head[PN_LANES], tail[PN_LANES];
        memcpy(head, from, size * sizeof(real));
        memcpy(tail, from + n - size, size * sizeof(real));
        memcpy(to, head, size * sizeof(real));
        memcpy(to + n - size, tail, size * sizeof(real));
    }
}

/* The same for any n. */
static inline PN_INLINE void FN(copy_rows)(size_t rows, size_t n, const real *from, size_t from_step, real *to,
                                           size_t to_step)
{
    for (; n >= PN_LANES; n -= PN_LANES, from += PN_LANES, to += PN_LANES)
        for (size_t r = 0; r < rows; r++)
            FN(store)(to + r * to_step, FN(load)(from + r * from_step));
    if (PN_LANES > 8 && n >= 8)
        FN(copy_ends)(8, rows, n, from, from_step, to, to_step);
    else if (PN_LANES > 4 && n >= 4)
        FN(copy_ends)(4, rows, n, from, from_step, to, to_step);
    else if (PN_LANES > 2 && n >= 2)
        FN(copy_ends)(2, rows, n, from, from_step, to, to_step);
    else if (n > 0)
        FN(copy_ends)(1, rows, n, from, from_step, to, to_step);
}

/* The same in whole vectors, `width` numbers of each row of `to`; those behind the first n are 0. */
static inline PN_INLINE void FN(copy_rows_padded)(size_t rows, size_t n, size_t width, const real *from,
                                                  size_t from_step, real *to, size_t to_step)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t l = n / PN_LANES * PN_LANES; l < width; l += PN_LANES)
            FN(store)(to + r * to_step + l, (FN(vec)){0});
    FN(copy_rows)(rows, n, from, from_step, to, to_step);
}

static inline PN_INLINE void FN(copy_some)(size_t n, const real *from, real *to) { FN(copy_rows)(1, n, from, 0, to, 0); }

static inline PN_INLINE void FN(copy_padded)(size_t n, size_t width, const real *from, real *to)
{
    FN(copy_rows_padded)(1, n, width, from, 0, to, 0);
}

/* What mix mixes, in chunks of 16 bytes; second is 0 or 1, and c where a chunk begins. */
#define PN_CHUNK (16 / (4 + 4 * REAL_IS_DOUBLE))
#if REAL_IS_DOUBLE
#define PN_HALVES(second, c) a[(c) + (second)], b[(c) + (second)]
#define PN_WHOLE(v, c) v[c], v[(c) + 1]
#else
#define PN_HALVES(second, c) PN_PAIR((c) + 2 * (second)), PN_PAIR((c) + 2 * (second) + 1)
#define PN_PAIR(l) a[l], b[l]
#define PN_WHOLE(v, c) v[c], v[(c) + 1], v[(c) + 2], v[(c) + 3]
#endif
#if PN_VECTOR_BYTES == 64
#define PN_ALL_HALVES(second)                                                                                        \
    PN_HALVES(second, 0), PN_HALVES(second, PN_CHUNK), PN_HALVES(second, 2 * PN_CHUNK), PN_HALVES(second, 3 * PN_CHUNK)
#define PN_CHUNKS(second, v) PN_WHOLE(v, (second) * PN_CHUNK), PN_WHOLE(v, (2 + (second)) * PN_CHUNK)
#elif PN_VECTOR_BYTES == 32
#define PN_ALL_HALVES(second) PN_HALVES(second, 0), PN_HALVES(second, PN_CHUNK)
#define PN_CHUNKS(second, v) PN_WHOLE(v, (second) * PN_CHUNK)
#else
#define PN_ALL_HALVES(second) PN_HALVES(second, 0)
#endif

/*
 * Of each chunk of a and b the first or the second half, interleaved; or the even or the odd chunks of a, then of b.
 * Machines are faster at these than at interleaving whole registers.
 */
static inline PN_INLINE FN(vec) FN(mix)(FN(vec) a, FN(vec) b, int second, int chunks)
{
#ifdef PN_CHUNKS
    if (chunks)
        return second ? (FN(vec)){PN_CHUNKS(1, a), PN_CHUNKS(1, b)} : (FN(vec)){PN_CHUNKS(0, a), PN_CHUNKS(0, b)};
#endif
    (void)chunks;
    return second ? (FN(vec)){PN_ALL_HALVES(1)} : (FN(vec)){PN_ALL_HALVES(0)};
}

/* The row in place i of what is being transposed, and so, as the places turn out, the column in it afterwards. */
static inline PN_INLINE int FN(row_in_place)(int i)
{
    const int chunks = PN_LANES / PN_CHUNK;
    return (chunks == 4 ? i % 2 * 2 + i / 2 % 2 : i % chunks) * PN_CHUNK + i / chunks;
}

/* rows[l][c] becomes rows[c][l]: every round mixes the upper half of the places with the lower half. */
static inline PN_INLINE void FN(transpose)(FN(vec) rows[PN_LANES])
{
    FN(vec) place[PN_LANES], mixed[PN_LANES];
    PN_UNROLL
    for (int i = 0; i < PN_LANES; i++)
        place[i] = rows[FN(row_in_place)(i)];
    PN_UNROLL
    for (int round = 1; round < PN_LANES; round *= 2) {
        PN_UNROLL
        for (int i = 0; i < PN_LANES; i++)
            mixed[i] = FN(mix)(place[i / 2], place[i / 2 + PN_LANES / 2], i % 2, round >= PN_CHUNK);
        PN_UNROLL
        for (int i = 0; i < PN_LANES; i++)
            place[i] = mixed[i];
    }
    PN_UNROLL
    for (int i = 0; i < PN_LANES; i++)
        rows[FN(row_in_place)(i)] = place[i];
}

#undef PN_CHUNK
#undef PN_HALVES
#undef PN_PAIR
#undef PN_WHOLE
#undef PN_ALL_HALVES
#undef PN_CHUNKS

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
