/*
 * exp, log1p, sigmoid, tanh and what the activations are made of, of a vector, without branches. NaN yields NaN, as
 * vec_min and vec_max return their second argument if either is NaN.
 *
 * Coefficients are minimax approximations of benchmarks/minimax.py, which calls them EXP, LOG1P and TANH. The errors
 * stated here are the largest on any instruction set, in units of the last place (ULP): docs/explain/accuracy.md.
 */

/* The format of numbers: the bits of the mantissa, and the bias of the exponent. */
#if REAL_IS_DOUBLE
typedef uint64_t FN(bits);
#define PN_MANTISSA 52
#define PN_BIAS 1023
#define PN_LOG2_E 1.4426950408889634
/* ln 2 = high + low. The product of the high part and any exponent in use is exact, even without FMA. */
#define PN_LN2_HIGH 0x1.62e42feep-1
#define PN_LN2_LOW 0x1.a39ef35793c76p-33
#else
typedef uint32_t FN(bits);
#define PN_MANTISSA 23
#define PN_BIAS 127
#define PN_LOG2_E 1.44269504f
#define PN_LN2_HIGH 0x1.62e4p-1f
#define PN_LN2_LOW 0x1.7f7d1cp-20f
#endif

/* 1.5 2^PN_MANTISSA. Adding it rounds to an integer, which the low bits of the sum then contain. */
#define PN_ROUNDER ((real)(3 * ((FN(bits))1 << (PN_MANTISSA - 1))))

static inline PN_INLINE FN(bits) FN(to_bits)(real x)
{
    FN(bits) bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* min(|z|, limit) */
static inline PN_INLINE FN(vec) FN(min_abs)(FN(vec) z, real limit)
{
    FN(vec_bits) abs = (FN(vec_bits))z & ~(FN(vec_bits))FN(broadcast)((real)-0.0);
    return FN(vec_min)(FN(broadcast)(limit), (FN(vec))abs);
}

/* a + b x */
static inline PN_INLINE FN(vec) FN(linear)(real a, real b, FN(vec) x)
{
    return FN(vec_fma)(FN(broadcast)(b), x, FN(broadcast)(a));
}

/* exp(r) - 1. Valid for |r| <= ln(2)/2. */
static inline PN_INLINE FN(vec) FN(expm1_reduced)(FN(vec) r)
{
    FN(vec) r2 = r * r;
#if REAL_IS_DOUBLE
    FN(vec) r4 = r2 * r2;
    FN(vec) c01 = FN(linear)(5.00000000000001063e-1, 1.66666666666664125e-1, r);
    FN(vec) c23 = FN(linear)(4.16666666665301675e-2, 8.33333333349447802e-3, r);
    FN(vec) c45 = FN(linear)(1.3888888943627829e-3, 1.98412695065496861e-4, r);
    FN(vec) c67 = FN(linear)(2.48014931012446753e-5, 2.75575863953922636e-6, r);
    FN(vec) c89 = FN(linear)(2.76302475361151331e-7, 2.50000556710188598e-8, r);
    FN(vec) c03 = FN(vec_fma)(c23, r2, c01);
    FN(vec) c47 = FN(vec_fma)(c67, r2, c45);
    FN(vec) c49 = FN(vec_fma)(c89, r4, c47);
    return FN(vec_fma)(FN(vec_fma)(c49, r4, c03), r2, r);
#else
    FN(vec) c01 = FN(linear)(4.999999345e-1f, 1.666652064e-1f, r);
    FN(vec) c23 = FN(linear)(4.166838815e-2f, 8.368715887e-3f, r);
    FN(vec) c24 = FN(vec_fma)(FN(broadcast)(1.381458886e-3f), r2, c23);
    return FN(vec_fma)(FN(vec_fma)(c24, r2, c01), r2, r);
#endif
}

/*
 * exp(-x) 2^scale = power (1 + p). Returns p, and in *power a power of two. Valid if that is a normal number.
 * x = n ln 2 - r with an integer n; -n, in the low bits of `shifted`, is moved into the exponent of the power.
 */
static inline PN_INLINE FN(vec) FN(exp_minus)(FN(vec) x, int scale, FN(vec) *power)
{
    FN(vec) rounder = FN(broadcast)(PN_ROUNDER + (real)(PN_BIAS + scale));
    FN(vec) shifted = FN(vec_fma)(x, FN(broadcast)(-PN_LOG2_E), rounder), minus_n = shifted - rounder;
    FN(vec) r = FN(vec_fma)(minus_n, FN(broadcast)(-PN_LN2_HIGH), -x);
    r = FN(vec_fma)(minus_n, FN(broadcast)(-PN_LN2_LOW), r);
    *power = (FN(vec))((FN(vec_bits))shifted << PN_MANTISSA);
    return FN(expm1_reduced)(r);
}

/*
 * exp(-high - low) 2^scale = power (1 + p), as exp_minus has it, of a sum in which low is much smaller than high: it
 * adds the digits that high lacks, without which the error would grow with the argument.
 */
static inline PN_INLINE FN(vec) FN(exp_minus_sum)(FN(vec) high, FN(vec) low, int scale, FN(vec) *power)
{
    FN(vec) rounder = FN(broadcast)(PN_ROUNDER + (real)(PN_BIAS + scale));
    FN(vec) shifted = FN(vec_fma)(high + low, FN(broadcast)(-PN_LOG2_E), rounder), minus_n = shifted - rounder;
    FN(vec) r = FN(vec_fma)(minus_n, FN(broadcast)(-PN_LN2_HIGH), -high);
    r = r + FN(vec_fma)(minus_n, FN(broadcast)(-PN_LN2_LOW), -low);
    *power = (FN(vec))((FN(vec_bits))shifted << PN_MANTISSA);
    return FN(expm1_reduced)(r);
}

/* x without the second half of its digits: the product of two such numbers is exact. */
static inline PN_INLINE FN(vec) FN(first_half)(FN(vec) x)
{
    const FN(bits) second_half = ((FN(bits))1 << (PN_MANTISSA + 2) / 2) - 1;
    return (FN(vec))((FN(vec_bits))x & ~(second_half - (FN(vec_bits)){0}));
}

/* 1 - exp(-x). Valid for x >= 0. */
static inline PN_INLINE FN(vec) FN(one_minus_exp)(FN(vec) x)
{
    FN(vec) power, p = FN(exp_minus)(FN(vec_min)(FN(broadcast)(REAL_IS_DOUBLE ? 40 : 20), x), 0, &power);
    return FN(vec_fma)(-power, p, 1 - power);
}

/* log(1 + x). Valid for 0 <= x <= 1. Error: 1.93 ULP in float32, 1.89 in float64. */
static inline PN_INLINE FN(vec) FN(log1p_vector)(FN(vec) x)
{
    FN(vec) t = x - (real)0.5, t2 = t * t, t4 = t2 * t2, t8 = t4 * t4;
#if REAL_IS_DOUBLE
    FN(vec) c01 = FN(linear)(3.7813956756734247e-1, -1.7922493693603653e-1, t);
    FN(vec) c23 = FN(linear)(9.3230366363667551e-2, -5.10834461055880332e-2, t);
    FN(vec) c45 = FN(linear)(2.89431831648214091e-2, -1.67887424756526125e-2, t);
    FN(vec) c67 = FN(linear)(9.90990073400666203e-3, -5.92901214424574815e-3, t);
    FN(vec) c89 = FN(linear)(3.58566599123433918e-3, -2.1876359122860373e-3, t);
    FN(vec) cab = FN(linear)(1.34450699366854862e-3, -8.31478727942581232e-4, t);
    FN(vec) ccd = FN(linear)(5.16819078930607499e-4, -3.22519837599938902e-4, t);
    FN(vec) cef = FN(linear)(2.02934199631170266e-4, -1.29339968304310345e-4, t);
    FN(vec) cgh = FN(linear)(7.90644858097845314e-5, -4.4052378223027527e-5, t);
    FN(vec) cij = FN(linear)(3.33435686021066591e-5, -3.34588014042871232e-5, t);
    FN(vec) c07 = FN(vec_fma)(FN(vec_fma)(c67, t2, c45), t4, FN(vec_fma)(c23, t2, c01));
    FN(vec) c8f = FN(vec_fma)(FN(vec_fma)(cef, t2, ccd), t4, FN(vec_fma)(cab, t2, c89));
    FN(vec) cgk = FN(vec_fma)(FN(broadcast)(1.65995774773691714e-5), t4, FN(vec_fma)(cij, t2, cgh));
    FN(vec) c = FN(vec_fma)(FN(vec_fma)(cgk, t8, c8f), t8, c07);
#else
    FN(vec) c01 = FN(linear)(3.781395594e-1f, -1.792248861e-1f, t);
    FN(vec) c23 = FN(linear)(9.323185601e-2f, -5.108905892e-2f, t);
    FN(vec) c45 = FN(linear)(2.890499954e-2f, -1.66569867e-2f, t);
    FN(vec) c67 = FN(linear)(1.017770414e-2f, -6.930693332e-3f, t);
    FN(vec) c07 = FN(vec_fma)(FN(vec_fma)(c67, t2, c45), t4, FN(vec_fma)(c23, t2, c01));
    FN(vec) c = FN(vec_fma)(FN(broadcast)(3.3184754e-3f), t8, c07);
#endif
    return FN(vec_fma)(-c * x, x, x);
}

/* log(x). Valid for finite x >= 1: x = 2^exponent m with 1 <= m < 2. No two terms of the sum have opposite signs. */
static inline PN_INLINE FN(vec) FN(log_vector)(FN(vec) x)
{
    const real power = (real)((FN(bits))1 << PN_MANTISSA); /* the low bits of this plus an integer contain that */
    const FN(bits) mantissa = ((FN(bits))1 << PN_MANTISSA) - 1;
    FN(vec_bits) bits = (FN(vec_bits))x, one = (FN(vec_bits))FN(broadcast)(1);
    FN(vec) m = (FN(vec))((bits & mantissa) | one);
    FN(vec) exponent = (FN(vec))((bits >> PN_MANTISSA) | (FN(vec_bits))FN(broadcast)(power)) - (power + PN_BIAS);
    FN(vec) low = FN(vec_fma)(exponent, FN(broadcast)(PN_LN2_LOW), FN(log1p_vector)(m - 1));
    return FN(vec_fma)(exponent, FN(broadcast)(PN_LN2_HIGH), low);
}

/*
 * 1 / (1 + exp(-z)). Valid for all z. Error: 2.45 ULP in float32, 2.40 in float64. Monotone, as each step is.
 * Numerator and denominator are scaled by 2^-60 or 2^-30: where the result is subnormal, exp(-z) may overflow.
 */
static inline PN_INLINE FN(vec) FN(sigmoid_vector)(FN(vec) z)
{
    const int scale = REAL_IS_DOUBLE ? 60 : 30;
    FN(vec) one = FN(broadcast)(REAL_IS_DOUBLE ? (real)0x1p-60 : (real)0x1p-30), power;
    FN(vec) x = FN(vec_max)(FN(broadcast)(REAL_IS_DOUBLE ? -750 : -108), z);
    x = FN(vec_min)(FN(broadcast)(REAL_IS_DOUBLE ? 40 : 20), x);
    FN(vec) p = FN(exp_minus)(x, -scale, &power);
    return one / FN(vec_fma)(power, p, power + one);
}

/*
 * The sigmoid of z, and in *exp_minus_abs e = exp(-|z|). Valid for all z. Error of the sigmoid: 2.41 ULP in float32,
 * 2.33 in float64; of e: 1.02 and 1.06. The sigmoid is 1 / (1 + e) if z >= 0, else e / (1 + e). Unlike sigmoid_vector,
 * it is not monotone. Numerator and denominator are scaled by 2^100 or 2^40, as e may be subnormal.
 */
static inline PN_INLINE FN(vec) FN(sigmoid_and_exp)(FN(vec) z, FN(vec) *exp_minus_abs)
{
    const int scale = REAL_IS_DOUBLE ? 100 : 40;
    FN(vec) one = FN(broadcast)(REAL_IS_DOUBLE ? (real)0x1p100 : (real)0x1p40), power;
    FN(vec) p = FN(exp_minus)(FN(min_abs)(z, REAL_IS_DOUBLE ? 750 : 108), scale, &power);
    FN(vec) e = FN(vec_fma)(power, p, power);
    *exp_minus_abs = e * (REAL_IS_DOUBLE ? (real)0x1p-100 : (real)0x1p-40);
    return FN(choose)(z < (FN(vec)){0}, e, one) / FN(vec_fma)(power, p, power + one);
}

#if REAL_IS_DOUBLE

/*
 * tanh(z). Valid for all z. Error: 1.23 ULP.
 *
 * For |z| < 11/16 this is z - z^3 c / a with two polynomials of z^2. Else, with 2 |z| = n ln(2)/8 + 2r and
 * p = 2^(-n/8), it is 1 - 2p / (1 + p + expm1(2r)), numerator and denominator halved. The two share one division.
 * Monotone within each n, as each step is. The tests examine where n changes.
 */
static inline PN_INLINE FN(vec) FN(tanh_vector)(FN(vec) z)
{
    /* 2^(i/8), less i 2^49 in its bits: the shifted bits of -n = 8m + i add m to the exponent, and i 2^49. */
    _Alignas(64) static const real powers[8] = {
        0x1p0, 0x1.f72b83c7d517bp-1, 0x1.f06fe0a31b716p-1, 0x1.ebfdad5362a27p-1,
        0x1.ea09e667f3bcdp-1, 0x1.eace5422aa0dcp-1, 0x1.ee89f995ad3aep-1, 0x1.f5818dcfba488p-1,
    };
    FN(vec) x = FN(min_abs)(z, 20); /* tanh is 1 from there on */
    FN(vec) x2 = x * x, x3 = x2 * x;
    FN(vec) c = FN(vec_fma)(FN(broadcast)(1.98940953418302733e-4), x2, FN(broadcast)(2.04934430875400072e-2));
    FN(vec) a = FN(vec_fma)(FN(broadcast)(2.06279836230390156e-4), x2, FN(broadcast)(2.32841926610776992e-2));
    c = FN(vec_fma)(c, x2, FN(broadcast)(3.33333333333333032e-1));
    a = FN(vec_fma)(a, x2, FN(broadcast)(4.61480329262581407e-1));
    a = FN(vec_fma)(a, x2, FN(broadcast)(1));

    const real ln2 = PN_LN2_HIGH + PN_LN2_LOW;
    FN(vec) rounder = FN(broadcast)(PN_ROUNDER);
    FN(vec) shifted = FN(vec_fma)(x, FN(broadcast)(-16 * PN_LOG2_E), rounder), minus_n = shifted - rounder;
#if PN_HAVE_FMA /* `powers` compensate for the rounding of ln 2 */
    FN(vec) r = FN(vec_fma)(minus_n, FN(broadcast)(ln2 / 16), x);
#else
    FN(vec) r = FN(vec_fma)(minus_n, FN(broadcast)(PN_LN2_HIGH / 16), x);
    r = FN(vec_fma)(minus_n, FN(broadcast)((ln2 - PN_LN2_HIGH) / 16), r);
#endif
    FN(vec) r2 = r * r;
    FN(vec_bits) bits = (FN(vec_bits))shifted;
    FN(vec) p = (FN(vec))((FN(vec_bits))FN(lookup)(powers, bits) + (bits << (PN_MANTISSA - 3)));
    FN(vec) e01 = FN(vec_fma)(FN(broadcast)(6.66666666666548259e-1), r, FN(broadcast)(1.00000000000005923));
    FN(vec) e23 = FN(vec_fma)(FN(broadcast)(1.33333333942693676e-1), r, FN(broadcast)(3.33333332560680345e-1));
    FN(vec) e45 = FN(vec_fma)(FN(broadcast)(1.26979553826985292e-2), r, FN(broadcast)(4.44472979995628145e-2));
    FN(vec) e = FN(vec_fma)(FN(vec_fma)(e45, r2, e23), r2, e01);
    FN(vec) d = FN(vec_fma)(p, FN(broadcast)(0.5), FN(broadcast)(0.5)) + FN(vec_fma)(e, r2, r);

    FN(vec_signed) small = x < FN(broadcast)(0.6875);
    FN(vec) numerator = FN(choose)(small, x3 * c, p), denominator = FN(choose)(small, a, d);
    FN(vec) abs = FN(choose)(small, x, FN(broadcast)(1)) - numerator / denominator;
    /* The sign is added, not or-ed: compilers would make a three-way bit operation, which delays the FMAs on Zen 5. */
    return (FN(vec))((FN(vec_bits))abs + ((FN(vec_bits))z & (FN(vec_bits))FN(broadcast)((real)-0.0)));
}

#else

/*
 * tanh(z). Valid for all z. Error: 1.05 ULP.
 *
 * There are two steps, so that a loop can begin the next vector before it ends this one. The first returns x = min(|z|,
 * 9.02) and the index of its interval. The second computes tanh(b + y) = base + y (c1 + c2 y + ...), where b is a point
 * of the interval, and copies the sign of z.
 *
 * The index is the exponent and the first bit of the mantissa of 2 + 3.325 x. So intervals widen as tanh flattens:
 * their bounds are 0, 0.3, 0.6, 1.2, 1.8, 3, 4.2, 6.6 and 9. There are 8, so that one permutation of a register looks
 * up a coefficient.
 */
static inline PN_INLINE FN(vec) FN(tanh_interval)(FN(vec) z, FN(vec_bits) *interval)
{
    FN(vec) x = FN(min_abs)(z, 9.02f); /* tanh is 1 from there on */
    *interval = (FN(vec_bits))FN(vec_fma)(x, FN(broadcast)(3.325f), FN(broadcast)(2)) >> 22;
    return x;
}

static inline PN_INLINE FN(vec) FN(tanh_in_interval)(FN(vec) z, FN(vec) x, FN(vec_bits) interval)
{
    /* b, c0, c1, ... c7 of the 8 intervals, each row padded to the width of a register. */
    _Alignas(64) static const real table[9][16] = {
        {0, 4.51120019e-1f, 9.02261913e-1f, 1.50383425f, 2.40602374f, 3.60902739f, 5.71575737f, 8.11503315f},
        {0, 4.22819227e-1f, 7.17397451e-1f, 9.05838728e-1f, 9.83868778e-1f, 9.9853462e-1f, 9.99978304e-1f,
         9.99999821e-1f},
        {0, 8.21223915e-1f, 4.85340863e-1f, 1.79456204e-1f, 3.20022628e-2f, 2.92861229e-3f, 4.33357382e-5f,
         3.57158569e-7f},
        {-1.32840626e-7f, -3.47229213e-1f, -3.48183602e-1f, -1.62558243e-1f, -3.14852446e-2f, -2.9243899e-3f,
         -4.33073328e-5f, -3.56994406e-7f},
        {-3.33325058e-1f, -1.26929626e-1f, 8.80081356e-2f, 8.74326155e-2f, 2.03094725e-2f, 1.94386055e-3f,
         2.93599187e-5f, 2.42040215e-7f},
        {-1.70632542e-4f, 1.69400379e-1f, 5.3011585e-2f, -2.50229146e-2f, -9.49988328e-3f, -9.65079234e-4f,
         -1.47378523e-5f, -1.21260172e-7f},
        {1.34920672e-1f, -1.0800316e-2f, -5.6606967e-2f, -2.49285693e-3f, 3.28704296e-3f, 3.81644466e-4f,
         4.85793589e-6f, 4.00583176e-8f},
        {-7.11418223e-3f, -5.88514097e-2f, 1.35400575e-2f, 7.15929875e-3f, -7.04373466e-4f, -1.29625056e-4f,
         -1.82774318e-6f, -1.52903752e-8f},
        {-4.06403393e-2f, 1.76859125e-2f, 9.72138438e-3f, -3.93848121e-3f, -9.46930925e-7f, 3.48477224e-5f,
         1.17805234e-6f, 9.63058433e-9f},
    };
    FN(vec_bits) sign = (FN(vec_bits))z & (FN(vec_bits))FN(broadcast)((real)-0.0);
    FN(vec) y = x - FN(lookup)(table[0], interval), c0 = FN(lookup)(table[1], interval);
    FN(vec) base = FN(vec_max)(y, c0); /* c0, or y in the first interval, where c0 is 0 */
    FN(vec) y2 = y * y;
    FN(vec) c12 = FN(vec_fma)(FN(lookup)(table[3], interval), y, FN(lookup)(table[2], interval));
    FN(vec) c34 = FN(vec_fma)(FN(lookup)(table[5], interval), y, FN(lookup)(table[4], interval));
    FN(vec) c56 = FN(vec_fma)(FN(lookup)(table[7], interval), y, FN(lookup)(table[6], interval));
    FN(vec) c57 = FN(vec_fma)(FN(lookup)(table[8], interval), y2, c56);
    FN(vec) c = FN(vec_fma)(FN(vec_fma)(c57, y2, c34), y2, c12);
    return (FN(vec))((FN(vec_bits))FN(vec_fma)(c, y, base) + sign);
}

static inline PN_INLINE FN(vec) FN(tanh_vector)(FN(vec) z)
{
    FN(vec_bits) interval;
    FN(vec) x = FN(tanh_interval)(z, &interval);
    return FN(tanh_in_interval)(z, x, interval);
}

#endif

#undef PN_MANTISSA
#undef PN_BIAS
#undef PN_LOG2_E
#undef PN_LN2_HIGH
#undef PN_LN2_LOW
#undef PN_ROUNDER
