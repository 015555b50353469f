/*
 * Helper of accuracy.py, compiled by it once for each instruction set: exp, log1p, sigmoid and tanh as the kernels
 * inline them, and errors in units of the last place against the C library in a wider type (double for float, long
 * double for double, which must be wider: on x86-64 it is).
 */
#include "../csrc/region_begin.inc.h"
#include "../csrc/isa.inc.c"

#define LOOP(name, suffix, real)                                                                                      \
    void name##_##suffix(size_t n, const real *x, real *y)                                                            \
    {                                                                                                                 \
        for (size_t i = 0; i < n; i++)                                                                                \
            y[i] = PN_JOIN(name##1, PN_ISA, suffix)(x[i]);                                                            \
    }
LOOP(exp, f32, float)
LOOP(log1p, f32, float)
LOOP(sigmoid, f32, float)
LOOP(exp, f64, double)
LOOP(log1p, f64, double)
LOOP(sigmoid, f64, double)
void tanh_f32(size_t n, const float *x, float *y) { PN_JOIN(tanh, PN_ISA, f32)(n, x, y); }
void tanh_f64(size_t n, const double *x, double *y) { PN_JOIN(tanh, PN_ISA, f64)(n, x, y); }
#include "../csrc/region_end.inc.h"

enum { EXP, LOG1P, SIGMOID, TANH };

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

/* The largest error of y[n] = function(x[n]) and, in *worst, where. Infinite if NaN or an infinity is not in place. */
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
