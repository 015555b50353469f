/*
 * Activations of a vector, and what grad_a is multiplied by in their backward forms (their slopes). All are without
 * branches and valid for all z: each goes to its limit at both ends, and z is confined to where the result is neither
 * that limit nor z itself. Errors: docs/explain/accuracy.md.
 */

/* Results that may be subnormal are computed times 2^PN_SCALE. */
#define PN_SCALE (REAL_IS_DOUBLE ? 100 : 40)
#define PN_SCALED ((real)(REAL_IS_DOUBLE ? 0x1p100 : 0x1p40))
#define PN_UNSCALED ((real)(REAL_IS_DOUBLE ? 0x1p-100 : 0x1p-40))
#define PN_LEAKY_SLOPE ((real)0.01)
#define PN_SELU_ABOVE_0 ((real)1.0507009873554805)
#define PN_SELU_BELOW_0 ((real)1.7580993408473769) /* the above times alpha, 1.6732632423543772 */
/* Beyond these, z exp(z) is 0, and 1 + exp(-z) is 1. */
#define PN_LEAST_Z (REAL_IS_DOUBLE ? -760 : -110)
#define PN_MOST_Z (REAL_IS_DOUBLE ? 40 : 20)

/* z within least and most. */
static inline PN_INLINE FN(vec) FN(confine)(FN(vec) z, real least, real most)
{
    return FN(vec_max)(FN(broadcast)(least), FN(vec_min)(FN(broadcast)(most), z));
}

/* ---- Slopes from a: leaky_relu, elu, selu, softplus -------------------------------------------------- */

static inline PN_INLINE FN(vec) FN(leaky_relu_vector)(FN(vec) z)
{
    return FN(choose)(z < (FN(vec)){0}, z * PN_LEAKY_SLOPE, z);
}

static inline PN_INLINE FN(vec) FN(leaky_relu_slope)(FN(vec) a)
{
    FN(vec) zero = {0}, not_above_0 = FN(choose)(a <= zero, FN(broadcast)(PN_LEAKY_SLOPE), a); /* NaN: NaN */
    return FN(choose)(a > zero, FN(broadcast)(1), not_above_0);
}

static inline PN_INLINE FN(vec) FN(elu_vector)(FN(vec) z)
{
    return FN(choose)(z < (FN(vec)){0}, -FN(one_minus_exp)(FN(min_abs)(z, PN_MOST_Z)), z);
}

static inline PN_INLINE FN(vec) FN(elu_slope)(FN(vec) a)
{
    return FN(choose)(a > (FN(vec)){0}, FN(broadcast)(1), a + 1);
}

static inline PN_INLINE FN(vec) FN(selu_vector)(FN(vec) z)
{
    FN(vec) below_0 = FN(one_minus_exp)(FN(min_abs)(z, PN_MOST_Z)) * -PN_SELU_BELOW_0;
    return FN(choose)(z < (FN(vec)){0}, below_0, z * PN_SELU_ABOVE_0);
}

static inline PN_INLINE FN(vec) FN(selu_slope)(FN(vec) a)
{
    return FN(choose)(a > (FN(vec)){0}, FN(broadcast)(PN_SELU_ABOVE_0), a + PN_SELU_BELOW_0);
}

/* log(1 + exp(z)) = max(z, 0) + log1p(exp(-|z|)) */
static inline PN_INLINE FN(vec) FN(softplus_vector)(FN(vec) z)
{
    FN(vec) e;
    (void)FN(sigmoid_and_exp)(z, &e); /* compilers leave out what only the sigmoid needs */
    return FN(vec_max)(z, (FN(vec)){0}) + FN(log1p_vector)(e);
}

/* 1 / (1 + exp(-z)) = 1 - exp(-a) */
static inline PN_INLINE FN(vec) FN(softplus_slope)(FN(vec) a) { return FN(one_minus_exp)(a); }

/* ---- Slopes from z: silu, mish, gelu, gelu_tanh -------------------------------------------------------- */

/* x / (1 + e) from e 2^-PN_SCALE = power (1 + p). */
static inline PN_INLINE FN(vec) FN(over_1_plus)(FN(vec) x, FN(vec) power, FN(vec) p)
{
    return x / FN(vec_fma)(power, p, power + PN_UNSCALED) * PN_UNSCALED;
}

/* z sigmoid(z) */
static inline PN_INLINE FN(vec) FN(silu_vector)(FN(vec) z)
{
    FN(vec) power, x = FN(confine)(z, PN_LEAST_Z, PN_MOST_Z), p = FN(exp_minus)(x, -PN_SCALE, &power);
    return FN(choose)(z > FN(broadcast)(PN_MOST_Z), z, FN(over_1_plus)(x, power, p));
}

/* s + z s (1 - s) with s = sigmoid(z) */
static inline PN_INLINE FN(vec) FN(silu_slope)(FN(vec) z)
{
    FN(vec) x = FN(confine)(z, PN_LEAST_Z, PN_MOST_Z), s = FN(sigmoid_vector)(x);
    return s * FN(vec_fma)(x, 1 - s, FN(broadcast)(1));
}

/*
 * tanh(log(1 + exp(z))) = n / d, of which n is scaled. With e = exp(-|z|): n = e^2 + 2e and d = n + 2 where z < 0, else,
 * both divided by exp(2z), n = 1 + 2e and d = n + 2 e^2. *n_low is what rounding takes from n where z < 0. Returns x: z,
 * confined.
 */
static inline PN_INLINE FN(vec) FN(mish_quotient)(FN(vec) z, FN(vec) *e, FN(vec) *n, FN(vec) *n_low, FN(vec) *d)
{
    FN(vec) x = FN(confine)(z, PN_LEAST_Z, PN_MOST_Z), zero = {0}, power;
    FN(vec) p = FN(exp_minus)(FN(min_abs)(x, -PN_LEAST_Z), PN_SCALE, &power);
    FN(vec) scaled = FN(vec_fma)(power, p, power), scaled_low = FN(vec_fma)(power, p, power - scaled);
    FN(vec) twice = scaled + scaled, below_0;
    *e = scaled * PN_UNSCALED;
    below_0 = FN(vec_fma)(scaled, *e, twice);
    *n = FN(choose)(x < zero, below_0, twice + PN_SCALED);
    *n_low = FN(vec_fma)(2 * scaled_low, *e + 1, FN(vec_fma)(scaled, *e, twice - below_0));
    *n_low = FN(choose)(x < zero, *n_low, zero);
    *d = FN(vec_fma)(*n, FN(broadcast)(PN_UNSCALED), FN(choose)(x < zero, FN(broadcast)(2), 2 * *e * *e));
    return x;
}

/* z tanh(log(1 + exp(z))). What rounding takes from x n / d is added at the end. */
static inline PN_INLINE FN(vec) FN(mish_vector)(FN(vec) z)
{
    FN(vec) e, n, n_low, d, x = FN(mish_quotient)(z, &e, &n, &n_low, &d);
    FN(vec) over = 1 / d, product = x * n, a = product * over;
    FN(vec) low = FN(vec_fma)(-a, d, product) + FN(vec_fma)(x, n_low, FN(vec_fma)(x, n, -product));
    return FN(choose)(z > FN(broadcast)(PN_MOST_Z), z, FN(vec_fma)(low, over, a) * PN_UNSCALED);
}

/* t + z s (1 - t^2), t = n / d, s = sigmoid(z): (n d + 4 z c) / d^2 with c = (e + e^2) times 1 where z < 0, else e. */
static inline PN_INLINE FN(vec) FN(mish_slope)(FN(vec) z)
{
    FN(vec) e, n, n_low, d, x = FN(mish_quotient)(z, &e, &n, &n_low, &d), c = FN(vec_fma)(e, e, e);
    c = 4 * x * FN(choose)(x < (FN(vec)){0}, c, c * e);
    return FN(vec_fma)(n * PN_UNSCALED, d, c) / (d * d);
}

/*
 * K(y) - PN_NORMAL_0 where K(y) = Phi(-x) exp(x^2/2) (x + 4), y = x / (x + 4), and Phi is the distribution function of the
 * normal distribution. The coefficients are what benchmarks/minimax.py calls NORMAL.
 */
#define PN_NORMAL_0 ((real)8.20138801896491052e-1)
static inline PN_INLINE FN(vec) FN(normal_tail)(FN(vec) y)
{
    FN(vec) s = y - (real)0.45, s2 = s * s, s4 = s2 * s2, s8 = s4 * s4;
#if REAL_IS_DOUBLE
    FN(vec) c23 = FN(linear)(1.78715038826243177, -1.69087439283982792, s);
    FN(vec) c45 = FN(linear)(1.01742175856295728, -1.63848314678435632e-1, s);
    FN(vec) c67 = FN(linear)(-2.92141932379800609e-1, 1.8461722129914859e-1, s);
    FN(vec) c89 = FN(linear)(8.57040190045370952e-2, -1.07735395460933192e-1, s);
    FN(vec) cab = FN(linear)(-3.94163471988566663e-2, 6.14853587919513143e-2, s);
    FN(vec) ccd = FN(linear)(3.04436747910168136e-2, -3.39780781659017299e-2, s);
    FN(vec) cef = FN(linear)(-2.87957108142967221e-2, 1.46886605074116704e-2, s);
    FN(vec) cgh = FN(linear)(2.6268515486712559e-2, 3.6964080037775639e-5, s);
    FN(vec) cij = FN(linear)(-2.03656542871380488e-2, -9.53405840507513624e-3, s);
    FN(vec) ckl = FN(linear)(1.16856222656662551e-2, 1.12742440706471702e-2, s);
    FN(vec) cmn = FN(linear)(-3.66296143623392598e-3, -5.62796062609241182e-3, s);
    FN(vec) c29 = FN(vec_fma)(FN(vec_fma)(c89, s2, c67), s4, FN(vec_fma)(c45, s2, c23));
    FN(vec) cah = FN(vec_fma)(FN(vec_fma)(cgh, s2, cef), s4, FN(vec_fma)(ccd, s2, cab));
    FN(vec) cin = FN(vec_fma)(cmn, s4, FN(vec_fma)(ckl, s2, cij));
    FN(vec) c2n = FN(vec_fma)(FN(vec_fma)(cin, s8, cah), s8, c29);
    return s * FN(vec_fma)(c2n, s, FN(broadcast)(-1.38232982836663407));
#else
    FN(vec) c23 = FN(linear)(1.787150111f, -1.690877394f, s);
    FN(vec) c45 = FN(linear)(1.017441154f, -1.637278101e-1f, s);
    FN(vec) c67 = FN(linear)(-2.925868776e-1f, 1.824830705e-1f, s);
    FN(vec) c89 = FN(linear)(8.953629621e-2f, -8.981782775e-2f, s);
    FN(vec) c29 = FN(vec_fma)(FN(vec_fma)(c89, s2, c67), s4, FN(vec_fma)(c45, s2, c23));
    FN(vec) c2a = FN(vec_fma)(FN(broadcast)(-4.716859414e-2f), s8, c29);
    return s * FN(vec_fma)(c2a, s, FN(broadcast)(-1.382329806f));
#endif
}

/* exp(-x^2/2) 2^PN_SCALE = power (1 + p). x^2 = head^2 + (x - head) (x + head), of which the first part is exact. */
static inline PN_INLINE FN(vec) FN(exp_minus_half_square)(FN(vec) x, FN(vec) *power)
{
    FN(vec) head = FN(first_half)(x), half = (real)0.5 * head;
    return FN(exp_minus_sum)(half * head, (x - head) * FN(vec_fma)(x, FN(broadcast)(0.5), half), PN_SCALE, power);
}

#define PN_NORMAL_EDGE ((real)(REAL_IS_DOUBLE ? 39 : 14.6)) /* from there on, x Phi(-x) is 0 */

/*
 * z Phi(z) = max(z, 0) - |z| Phi(-|z|). What rounding takes from y is added at the end.
 */
static inline PN_INLINE FN(vec) FN(gelu_vector)(FN(vec) z)
{
    FN(vec) x = FN(min_abs)(z, PN_NORMAL_EDGE), d = x + 4, d_low = x - (d - 4), over = 1 / d, y = x * over, power;
    FN(vec) y_low = FN(vec_fma)(-y, d_low, FN(vec_fma)(-y, d, x)) * over;
    FN(vec) p = FN(exp_minus_half_square)(x, &power), k = FN(normal_tail)(y);
    k = FN(vec_fma)(p, k + PN_NORMAL_0, k) + PN_NORMAL_0; /* (1 + p) K */
    FN(vec) tail = FN(vec_fma)(k, y, k * y_low) * power;
    FN(vec) not_below_0 = FN(choose)(z < (FN(vec)){0}, FN(broadcast)((real)-0.0), z);
    return FN(vec_fma)(tail, FN(broadcast)(-PN_UNSCALED), not_below_0);
}

/* Phi(z) + z phi(z), with the density phi; 1 less this for -z. */
static inline PN_INLINE FN(vec) FN(gelu_slope)(FN(vec) z)
{
    const real density = (real)0.39894228040143268; /* 1 / sqrt(2 pi) */
    FN(vec) x = FN(min_abs)(z, PN_NORMAL_EDGE), over = 1 / (x + 4), power;
    FN(vec) p = FN(exp_minus_half_square)(x, &power), tail = (FN(normal_tail)(x * over) + PN_NORMAL_0) * over;
    FN(vec) below_0 = FN(vec_fma)(x, FN(broadcast)(-density), tail);
    below_0 = FN(vec_fma)(below_0, p, below_0) * power * PN_UNSCALED;
    return FN(choose)(z < (FN(vec)){0}, below_0, 1 - below_0);
}

/*
 * gelu_tanh: 0.5 z (1 + tanh(w / 2)) = z sigmoid(w) with w = z (A + B z^2), A = 2 sqrt(2 / pi), B = 0.044715 A. Each is the
 * sum of the first half of its digits and of the others: w must be known to more digits than it has room for.
 */
#if REAL_IS_DOUBLE
#define PN_A_HIGH 0x1.988453p+0
#define PN_A_LOW 0x1.ea1b284687e5ap-27
#define PN_B_HIGH 0x1.2444f28p-4
#define PN_B_LOW 0x1.26c5a57a4def1p-31
#else
#define PN_A_HIGH 0x1.988p+0f
#define PN_A_LOW 0x1.14cf5p-14f
#define PN_B_HIGH 0x1.244p-4f
#define PN_B_LOW 0x1.3ca936p-18f
#endif
/* Beyond these, gelu_tanh is 0 or z. */
#define PN_GELU_TANH_LEAST ((real)(REAL_IS_DOUBLE ? -21.7 : -10.9))
#define PN_GELU_TANH_MOST ((real)(REAL_IS_DOUBLE ? 7.5 : 5.5))

/* The first part of w = high + low, and the other, which is much smaller, in *low. */
static inline PN_INLINE FN(vec) FN(gelu_tanh_argument)(FN(vec) x, FN(vec) *low)
{
    FN(vec) head = FN(first_half)(x), square = x * x, square_high = FN(first_half)(square);
    FN(vec) square_low = FN(vec_fma)(head, head, -square_high) + (x - head) * (x + head);
    FN(vec) factor = FN(linear)(PN_A_HIGH + PN_A_LOW, PN_B_HIGH + PN_B_LOW, square), high = FN(first_half)(factor);
    FN(vec) factor_low = FN(vec_fma)(square_high, FN(broadcast)(PN_B_HIGH), PN_A_HIGH - high);
    FN(vec) factor_rest = FN(linear)(PN_A_LOW, PN_B_LOW, square);
    factor_low = factor_low + FN(vec_fma)(square_low, FN(broadcast)(PN_B_HIGH), factor_rest);
    *low = FN(vec_fma)(head, factor_low, (x - head) * factor);
    return head * high;
}

static inline PN_INLINE FN(vec) FN(gelu_tanh_vector)(FN(vec) z)
{
    FN(vec) x = FN(confine)(z, PN_GELU_TANH_LEAST, PN_GELU_TANH_MOST), low, power;
    FN(vec) high = FN(gelu_tanh_argument)(x, &low), p = FN(exp_minus_sum)(high, low, -PN_SCALE, &power);
    return FN(choose)(z > FN(broadcast)(PN_GELU_TANH_MOST), z, FN(over_1_plus)(x, power, p));
}

/* s + z s (1 - s) w' with s = sigmoid(w) and w' = A + 3 B z^2 */
static inline PN_INLINE FN(vec) FN(gelu_tanh_slope)(FN(vec) z)
{
    const real a = PN_A_HIGH + PN_A_LOW, b = PN_B_HIGH + PN_B_LOW;
    FN(vec) x = FN(confine)(z, PN_GELU_TANH_LEAST, PN_GELU_TANH_MOST), x2 = x * x;
    FN(vec) s = FN(sigmoid_vector)(x * FN(linear)(a, b, x2));
    return s * FN(vec_fma)(x * (1 - s), FN(linear)(a, 3 * b, x2), FN(broadcast)(1));
}

#undef PN_LEAKY_SLOPE
#undef PN_SELU_ABOVE_0
#undef PN_SELU_BELOW_0
#undef PN_SCALE
#undef PN_SCALED
#undef PN_UNSCALED
#undef PN_LEAST_Z
#undef PN_MOST_Z
#undef PN_NORMAL_0
#undef PN_NORMAL_EDGE
#undef PN_A_HIGH
#undef PN_A_LOW
#undef PN_B_HIGH
#undef PN_B_LOW
#undef PN_GELU_TANH_LEAST
#undef PN_GELU_TANH_MOST
