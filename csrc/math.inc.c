/*
 * exp, log1p, sigmoid and tanh of one `real`, without branches or tables, so that a loop over them vectorises.
 * Coefficients: benchmarks/minimax.py, by the names EXP, TANH and LOG1P. Errors: docs/accuracy.md.
 */
#include "kernels.h"

#ifdef PN_ISA

#if REAL_IS_DOUBLE
typedef uint64_t FN(bits);
#define PN_MANTISSA 52
#define PN_BIAS 1023
#define PN_FABS __builtin_fabs
#define PN_COPYSIGN __builtin_copysign
#define PN_LOG2_E 1.4426950408889634
/* ln 2 in two parts; the high one times any exponent in use is exact, with or without a fused multiply-add. */
#define PN_LN2_HIGH 0x1.62e42feep-1
#define PN_LN2_LOW 0x1.a39ef35793c76p-33
#else
typedef uint32_t FN(bits);
#define PN_MANTISSA 23
#define PN_BIAS 127
#define PN_FABS __builtin_fabsf
#define PN_COPYSIGN __builtin_copysignf
#define PN_LOG2_E 1.44269504f
#define PN_LN2_HIGH 0x1.62e4p-1f
#define PN_LN2_LOW 0x1.7f7d1cp-20f
#endif

/* Adding 1.5 2^mantissa rounds to an integer, which then stands in the low bits. */
#define PN_ROUNDER ((real)(3 * ((FN(bits))1 << (PN_MANTISSA - 1))))

/* 2^m from m + bias + PN_ROUNDER: the low bits, shifted into the exponent. */
static inline PN_INLINE real FN(power_of_two)(real shifted)
{
    FN(bits) bits;
    real power;
    memcpy(&bits, &shifted, sizeof bits);
    bits <<= PN_MANTISSA;
    memcpy(&power, &bits, sizeof power);
    return power;
}

/* |x|, at most limit, with the sign of x; NaN stays. One comparison, which every compiler turns into a minimum. */
static inline PN_INLINE real FN(limit)(real x, real limit)
{
    real size = PN_FABS(x);
    return PN_COPYSIGN(size > limit ? limit : size, x);
}

/* exp(r) - 1 for |r| <= ln(2)/2: EXP. */
static inline PN_INLINE real FN(expm1_reduced)(real r)
{
    real r2 = r * r;
#if REAL_IS_DOUBLE
    real r4 = r2 * r2;
    real c01 = FN(fma)(1.66666666666664125e-1, r, 5.00000000000001063e-1);
    real c23 = FN(fma)(8.33333333349447802e-3, r, 4.16666666665301675e-2);
    real c45 = FN(fma)(1.98412695065496861e-4, r, 1.3888888943627829e-3);
    real c67 = FN(fma)(2.75575863953922636e-6, r, 2.48014931012446753e-5);
    real c89 = FN(fma)(2.50000556710188598e-8, r, 2.76302475361151331e-7);
    real c03 = FN(fma)(c23, r2, c01);
    real c47 = FN(fma)(c67, r2, c45);
    real c49 = FN(fma)(c89, r4, c47);
    return FN(fma)(FN(fma)(c49, r4, c03), r2, r);
#else
    real c01 = FN(fma)(1.666652064e-1f, r, 4.999999345e-1f);
    real c23 = FN(fma)(8.368715887e-3f, r, 4.166838815e-2f);
    real c24 = FN(fma)(1.381458886e-3f, r2, c23);
    return FN(fma)(FN(fma)(c24, r2, c01), r2, r);
#endif
}

/* x = n ln 2 + r with n an integer; gives r, and in *shifted n + rounder. */
static inline PN_INLINE real FN(reduce)(real x, real rounder, real *shifted)
{
    *shifted = FN(fma)(x, PN_LOG2_E, rounder);
    real n = *shifted - rounder;
    return FN(fma)(n, -PN_LN2_LOW, FN(fma)(n, -PN_LN2_HIGH, x));
}

/* exp(x) = 2^n exp(r), the power in two steps: each is a normal number. */
static inline PN_INLINE real FN(exp1)(real x)
{
    real shifted, biased = PN_ROUNDER + PN_BIAS;
    real r = FN(reduce)(FN(limit)(x, REAL_IS_DOUBLE ? 760 : 110), PN_ROUNDER, &shifted);
    real n = shifted - PN_ROUNDER;
    real half = FN(fma)(n, (real)0.5, biased);
    real rest = n - (half - biased);
    real p = 1 + FN(expm1_reduced)(r);
    return p * FN(power_of_two)(half) * FN(power_of_two)(rest + biased);
}

/* log(1 + x) for 0 <= x <= 1 only: LOG1P. */
static inline PN_INLINE real FN(log1p1)(real x)
{
    real t = x - (real)0.5, t2 = t * t, t4 = t2 * t2, t8 = t4 * t4;
#if REAL_IS_DOUBLE
    real c01 = FN(fma)(-1.7922493693603653e-1, t, 3.7813956756734247e-1);
    real c23 = FN(fma)(-5.10834461055880332e-2, t, 9.3230366363667551e-2);
    real c45 = FN(fma)(-1.67887424756526125e-2, t, 2.89431831648214091e-2);
    real c67 = FN(fma)(-5.92901214424574815e-3, t, 9.90990073400666203e-3);
    real c89 = FN(fma)(-2.1876359122860373e-3, t, 3.58566599123433918e-3);
    real cab = FN(fma)(-8.31478727942581232e-4, t, 1.34450699366854862e-3);
    real ccd = FN(fma)(-3.22519837599938902e-4, t, 5.16819078930607499e-4);
    real cef = FN(fma)(-1.29339968304310345e-4, t, 2.02934199631170266e-4);
    real cgh = FN(fma)(-4.4052378223027527e-5, t, 7.90644858097845314e-5);
    real cij = FN(fma)(-3.34588014042871232e-5, t, 3.33435686021066591e-5);
    real c07 = FN(fma)(FN(fma)(c67, t2, c45), t4, FN(fma)(c23, t2, c01));
    real c8f = FN(fma)(FN(fma)(cef, t2, ccd), t4, FN(fma)(cab, t2, c89));
    real cgk = FN(fma)(1.65995774773691714e-5, t4, FN(fma)(cij, t2, cgh));
    real c = FN(fma)(FN(fma)(cgk, t8, c8f), t8, c07);
#else
    real c01 = FN(fma)(-1.792248861e-1f, t, 3.781395594e-1f);
    real c23 = FN(fma)(-5.108905892e-2f, t, 9.323185601e-2f);
    real c45 = FN(fma)(-1.66569867e-2f, t, 2.890499954e-2f);
    real c67 = FN(fma)(-6.930693332e-3f, t, 1.017770414e-2f);
    real c07 = FN(fma)(FN(fma)(c67, t2, c45), t4, FN(fma)(c23, t2, c01));
    real c = FN(fma)(3.3184754e-3f, t8, c07);
#endif
    return FN(fma)(-c * x, x, x);
}

/*
 * 1 / (1 + exp(-z)), both sides of the fraction times 2^-scale: exp(-z) may be too large where the result is still a
 * subnormal number. Each step is monotone, so the whole is. The power 2^n is kept from vanishing; exp(-z) has long
 * become negligible then.
 */
static inline PN_INLINE real FN(sigmoid1)(real z)
{
    real one = REAL_IS_DOUBLE ? (real)0x1p-60 : (real)0x1p-30;
    real rounder = PN_ROUNDER + (PN_BIAS - (REAL_IS_DOUBLE ? 60 : 30)), lowest = PN_ROUNDER + 1, shifted;
    real r = FN(reduce)(FN(limit)(-z, REAL_IS_DOUBLE ? 750 : 108), rounder, &shifted);
    real power = FN(power_of_two)(lowest > shifted ? lowest : shifted);
    return one / FN(fma)(power, FN(expm1_reduced)(r), power + one);
}

/* x - x^3 c / a where |x| is small (TANH), else 1 - 2 / (1 + exp(2x)); the two share one division. */
static inline PN_INLINE real FN(tanh1)(real z)
{
    real size = PN_FABS(z), limit = REAL_IS_DOUBLE ? 20 : 10, shifted;
    real x = size > limit ? limit : size, x2 = x * x;
#if REAL_IS_DOUBLE
    real c = FN(fma)(FN(fma)(1.99223203273532627e-4, x2, 2.0499818119262538e-2), x2, 3.33333333333333305e-1);
    real a = FN(fma)(FN(fma)(FN(fma)(2.06582109710737205e-4, x2, 2.32926894482835974e-2), x2, 4.61499454357782298e-1), x2, 1);
#else
    real c = FN(fma)(1.550032404e-3f, x2, 3.333331966e-1f);
    real a = FN(fma)(4.046418892e-1f, x2, 1);
#endif
    real r = FN(reduce)(x + x, PN_ROUNDER + PN_BIAS, &shifted), power = FN(power_of_two)(shifted);
    real d = FN(fma)(power, FN(expm1_reduced)(r), power + 1), x3 = x2 * x;
    int is_small = x < (real)0.5625;
    real fraction = (is_small ? x3 * c : 2) / (is_small ? a : d);
    return PN_COPYSIGN((is_small ? x : 1) - fraction, z);
}

#undef PN_MANTISSA
#undef PN_BIAS
#undef PN_FABS
#undef PN_COPYSIGN
#undef PN_LOG2_E
#undef PN_LN2_HIGH
#undef PN_LN2_LOW
#undef PN_ROUNDER

#endif
