/*
 * Helper of accuracy.py, which compiles it once for each instruction set. It has exp, log1p, sigmoid and tanh as the
 * kernels compute them, and measures errors in units of the last place against the C library in a wider type: double
 * for float, and long double for double, which must be wider, as it is on x86-64.
 */
#include "../csrc/simd/region_begin.inc.h"
#include "../csrc/kernels.h"
#pragma GCC diagnostic ignored "-Wunused-function"

#define FN(name) PN_JOIN(name, PN_ISA, f32)
#define real float
#define REAL_IS_DOUBLE 0
#include "../csrc/simd/simd.inc.h"
#include "../csrc/elementwise/elementwise.inc.c"
#undef FN
#undef real
#undef REAL_IS_DOUBLE
#undef PN_LANES
#define FN(name) PN_JOIN(name, PN_ISA, f64)
#define real double
#define REAL_IS_DOUBLE 1
#include "../csrc/simd/simd.inc.h"
#include "../csrc/elementwise/elementwise.inc.c"
#undef FN
#undef real

#define FN(name, suffix) PN_JOIN(name, PN_ISA, suffix)
#define LOOP(name, suffix, real, lanes, result)                                                                       \
    void name##_##suffix(size_t n, const real *x, real *y)                                                            \
    {                                                                                                                 \
        for (size_t i = 0; i < n; i += lanes) {                                                                       \
            size_t count = n - i < lanes ? n - i : lanes;                                                             \
            FN(vec, suffix) e, sigmoid = FN(sigmoid_and_exp, suffix)(FN(load_n, suffix)(count, x + i), &e);           \
            (void)sigmoid;                                                                                            \
            FN(store_n, suffix)(count, y + i, result);                                                                \
        }                                                                                                             \
    }
#define LOOPS(suffix, real, lanes)                                                                                    \
    LOOP(exp, suffix, real, lanes, e)                                                                                 \
    LOOP(loss_sigmoid, suffix, real, lanes, sigmoid)                                                                  \
    LOOP(log1p, suffix, real, lanes, FN(log1p_vector, suffix)(FN(load_n, suffix)(count, x + i)))                      \
    void sigmoid_##suffix(size_t n, const real *x, real *y) { FN(sigmoid, suffix)(n, x, y); }                         \
    void tanh_##suffix(size_t n, const real *x, real *y) { FN(tanh, suffix)(n, x, y); }
LOOPS(f32, float, (PN_VECTOR_BYTES / 4))
LOOPS(f64, double, (PN_VECTOR_BYTES / 8))
#include "../csrc/simd/region_end.inc.h"

enum { EXP, LOG1P, SIGMOID, LOSS_SIGMOID, TANH };

static double reference_f32(int function, double x)
{
    switch (function) {
    case EXP: return exp(x);
    case LOG1P: return log1p(x);
    case TANH: return tanh(x);
    default: {
        double e = exp(-fabs(x));
        return (x < 0 ? e : 1) / (1 + e);
    }
    }
}

static long double reference_f64(int function, long double x)
{
    switch (function) {
    case EXP: return expl(x);
    case LOG1P: return log1pl(x);
    case TANH: return tanhl(x);
    default: {
        long double e = expl(-fabsl(x));
        return (x < 0 ? e : 1) / (1 + e);
    }
    }
}

/* The largest error of y[n] = function(x[n]) and, in *worst, its index. Infinite if a NaN or an infinity is wrong. */
#define ULP(suffix, real, wide, frexp_, ldexp_, digits, least, largest)                                               \
    double ulp_##suffix(int function, size_t n, const real *x, const real *y, size_t *worst)                          \
    {                                                                                                                 \
        double most = -1;                                                                                             \
        for (size_t i = 0; i < n; i++) {                                                                              \
            wide exact = reference_##suffix(function, x[i]), edge = ldexp_(1, largest);                               \
            int exponent;                                                                                             \
            double error;                                                                                             \
            if (isnan(exact) || isnan(y[i]))                                                                          \
                error = isnan(exact) && isnan(y[i]) ? 0 : HUGE_VAL;                                                   \
            else {                                                                                                    \
                wide got = y[i] > edge ? edge : (wide)y[i];                                                           \
                exact = exact > edge ? edge : exact;                                                                  \
                frexp_(exact, &exponent);                                                                             \
                exponent = exponent > largest ? largest : exponent;                                                   \
                exponent -= digits;                                                                                   \
                exponent = exact == 0 || exponent < least ? least : exponent;                                         \
                error = (double)ldexp_(got > exact ? got - exact : exact - got, -exponent);                           \
            }                                                                                                         \
            if (error > most) {                                                                                       \
                most = error;                                                                                         \
                *worst = i;                                                                                           \
            }                                                                                                         \
        }                                                                                                             \
        return most;                                                                                                  \
    }
ULP(f32, float, double, frexp, ldexp, FLT_MANT_DIG, -149, FLT_MAX_EXP)
ULP(f64, double, long double, frexpl, ldexpl, DBL_MANT_DIG, -1074, DBL_MAX_EXP)
