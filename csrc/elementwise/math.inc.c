/*
 * exp, log1p, sigmoid and tanh of a whole register, without branches; the tables of tanh are such that registers hold
 * them. NaN goes through all of them: vec_min and vec_max give their second argument if one is NaN.
 * Coefficients: benchmarks/minimax.py, by the names EXP, TANH and LOG1P. Errors: docs/accuracy.md.
 */

#if REAL_IS_DOUBLE
typedef uint64_t FN(bits);
#define PN_MANTISSA 52
#define PN_BIAS 1023
#define PN_LOG2_E 1.4426950408889634
/* ln 2 in two parts; the high one times any exponent in use is exact, with or without a fused multiply-add. */
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

/* Adding 1.5 2^mantissa rounds to an integer, which then stands in the low bits. */
#define PN_ROUNDER ((real)(3 * ((FN(bits))1 << (PN_MANTISSA - 1))))

static inline PN_INLINE FN(bits) FN(to_bits)(real x)
{
    FN(bits) bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* |z|, or `most` if that is less. */
static inline PN_INLINE FN(vec) FN(limited)(FN(vec) z, real most)
{
    FN(vec_bits) size = (FN(vec_bits))z & ~(FN(vec_bits))FN(broadcast)((real)-0.0);
    return FN(vec_min)(FN(broadcast)(most), (FN(vec))size);
}

/* a + b x */
static inline PN_INLINE FN(vec) FN(linear)(real a, real b, FN(vec) x)
{
    return FN(vec_fma)(FN(broadcast)(b), x, FN(broadcast)(a));
}

/* exp(r) - 1 for |r| <= ln(2)/2: EXP. */
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
 * exp(-x) 2^scale = power (1 + p): gives p, and the power of two, whose exponent must be one of normal numbers.
 * x = n ln 2 - r with n an integer, which stands in the low bits of n + PN_ROUNDER, and is shifted into an exponent.
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

/* log(1 + x) for 0 <= x <= 1 only: LOG1P. */
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

/*
 * 1 / (1 + exp(-z)), both sides of the fraction times 2^-scale: exp(-z) may be too large where the result is still a
 * subnormal number. Each step is monotone, so the whole is.
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
 * Both exp(-|z|) and the sigmoid, which is 1 over 1 + exp(-|z|), or exp(-|z|) over it. Not monotone, unlike the one
 * above, but for one exponential. Both sides of the fraction are times 2^scale, as exp(-|z|) may be subnormal.
 */
static inline PN_INLINE FN(vec) FN(sigmoid_and_exp)(FN(vec) z, FN(vec) *exp_minus_size)
{
    const int scale = REAL_IS_DOUBLE ? 100 : 40;
    FN(vec) one = FN(broadcast)(REAL_IS_DOUBLE ? (real)0x1p100 : (real)0x1p40), power;
    FN(vec) p = FN(exp_minus)(FN(limited)(z, REAL_IS_DOUBLE ? 750 : 108), scale, &power);
    FN(vec) e = FN(vec_fma)(power, p, power);
    *exp_minus_size = e * (REAL_IS_DOUBLE ? (real)0x1p-100 : (real)0x1p-40);
    return FN(choose)(z < (FN(vec)){0}, e, one) / FN(vec_fma)(power, p, power + one);
}

#if REAL_IS_DOUBLE

/*
 * With 2 |z| = n ln(2)/8 + 2r and p = 2^(-n/8): for |z| < 11/16 z - z^3 c / a, else 1 - 2p / (1 + p + expm1(2r)), both
 * sides of the fraction halved (TANH). One division for the two, and monotone step by step as long as n stays; the
 * tests look at where it changes.
 */
static inline PN_INLINE FN(vec) FN(tanh_vector)(FN(vec) z)
{
    /* 2^(i/8), but its bits less i 2^49: those of -n = 8m + i, shifted, add m to the exponent, and i 2^49. */
    _Alignas(64) static const real powers[8] = {
        0x1p0, 0x1.f72b83c7d517bp-1, 0x1.f06fe0a31b716p-1, 0x1.ebfdad5362a27p-1,
        0x1.ea09e667f3bcdp-1, 0x1.eace5422aa0dcp-1, 0x1.ee89f995ad3aep-1, 0x1.f5818dcfba488p-1,
    };
    FN(vec) x = FN(limited)(z, 20); /* from where on tanh is 1 */
    FN(vec) x2 = x * x, x3 = x2 * x;
    FN(vec) c = FN(vec_fma)(FN(broadcast)(1.98940953418302733e-4), x2, FN(broadcast)(2.04934430875400072e-2));
    FN(vec) a = FN(vec_fma)(FN(broadcast)(2.06279836230390156e-4), x2, FN(broadcast)(2.32841926610776992e-2));
    c = FN(vec_fma)(c, x2, FN(broadcast)(3.33333333333333032e-1));
    a = FN(vec_fma)(a, x2, FN(broadcast)(4.61480329262581407e-1));
    a = FN(vec_fma)(a, x2, FN(broadcast)(1));

    const real ln2 = PN_LN2_HIGH + PN_LN2_LOW;
    FN(vec) rounder = FN(broadcast)(PN_ROUNDER);
    FN(vec) shifted = FN(vec_fma)(x, FN(broadcast)(-16 * PN_LOG2_E), rounder), minus_n = shifted - rounder;
#if PN_HAVE_FMA /* n is so small that this needs no low part of ln 2: `powers` make up for what is missing */
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
    FN(vec) size = FN(choose)(small, x, FN(broadcast)(1)) - numerator / denominator;
    /* An addition: on Zen 5 a three-way bit operation delays the FMAs. */
    return (FN(vec))((FN(vec_bits))size + ((FN(vec_bits))z & (FN(vec_bits))FN(broadcast)((real)-0.0)));
}

#else

/*
 * In each of 8 pieces, tanh(b + y) = base + y (c1 + c2 y + ...) (TANH). The pieces are told apart by exponent and first
 * bit of 2 + 3.325 x, so they widen as tanh flattens, and their borders lie at 0, 0.3, 0.6, 1.2, 1.8, 3, 4.2, 6.6 and 9.
 * There are so few because one permutation of a register then looks up a coefficient. In two steps, so that a loop can
 * begin the next register before it ends this one: |z| and its piece, and then the rest.
 */
static inline PN_INLINE FN(vec) FN(tanh_piece)(FN(vec) z, FN(vec_bits) *piece)
{
    FN(vec) x = FN(limited)(z, 9.02f); /* from where on tanh is 1 */
    *piece = (FN(vec_bits))FN(vec_fma)(x, FN(broadcast)(3.325f), FN(broadcast)(2)) >> 22;
    return x;
}

/* z gives the sign. */
static inline PN_INLINE FN(vec) FN(tanh_in_piece)(FN(vec) z, FN(vec) x, FN(vec_bits) piece)
{
    _Alignas(64) static const real pieces[9][16] = { /* b, c0, c1, ... c7; 8 of each, and room for a whole register */
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
    FN(vec) y = x - FN(lookup)(pieces[0], piece), c0 = FN(lookup)(pieces[1], piece);
    FN(vec) base = FN(vec_max)(y, c0); /* y in the first piece, whose c0 is 0, and c0 in the others */
    FN(vec) y2 = y * y;
    FN(vec) c12 = FN(vec_fma)(FN(lookup)(pieces[3], piece), y, FN(lookup)(pieces[2], piece));
    FN(vec) c34 = FN(vec_fma)(FN(lookup)(pieces[5], piece), y, FN(lookup)(pieces[4], piece));
    FN(vec) c56 = FN(vec_fma)(FN(lookup)(pieces[7], piece), y, FN(lookup)(pieces[6], piece));
    FN(vec) c57 = FN(vec_fma)(FN(lookup)(pieces[8], piece), y2, c56);
    FN(vec) c = FN(vec_fma)(FN(vec_fma)(c57, y2, c34), y2, c12);
    return (FN(vec))((FN(vec_bits))FN(vec_fma)(c, y, base) + sign);
}

static inline PN_INLINE FN(vec) FN(tanh_vector)(FN(vec) z)
{
    FN(vec_bits) piece;
    FN(vec) x = FN(tanh_piece)(z, &piece);
    return FN(tanh_in_piece)(z, x, piece);
}

#endif

#undef PN_MANTISSA
#undef PN_BIAS
#undef PN_LOG2_E
#undef PN_LN2_HIGH
#undef PN_LN2_LOW
#undef PN_ROUNDER
