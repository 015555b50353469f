/*
 * Helper of accuracy.py, which compiles it once for each instruction set. It has exp, log1p and the activations as the
 * kernels compute them, and measures errors in units of the last place against the C library in a wider type: double
 * for float, and long double for double, which must be wider, as it is on x86-64.
 */
#include "../csrc/simd/region_begin.inc.h"
#include "../csrc/kernels.h"
#pragma GCC diagnostic ignored "-Wunused-function"

#define FN(name) PN_JOIN(name, PN_ISA, f32)
typedef pn_update_f32 FN(update_constants);
#define real float
#define REAL_IS_DOUBLE 0
#include "../csrc/simd/simd.inc.h"
#include "../csrc/elementwise/elementwise.inc.c"
#undef FN
#undef real
#undef REAL_IS_DOUBLE
#undef PN_LANES
#define FN(name) PN_JOIN(name, PN_ISA, f64)
typedef pn_update_f64 FN(update_constants);
#define real double
#define REAL_IS_DOUBLE 1
#include "../csrc/simd/simd.inc.h"
#include "../csrc/elementwise/elementwise.inc.c"
#undef FN
#undef real

#define FN(name, suffix) PN_JOIN(name, PN_ISA, suffix)

/* The error of `got` in units of the last place of `exact`. Infinite if a NaN or an infinity is wrong. */
#define ERROR(suffix, real, wide, frexp_, ldexp_, digits, least, largest)                                             \
    static double error_##suffix(real y, wide exact)                                                                  \
    {                                                                                                                 \
        const wide edge = ldexp_(1, largest), got = y > edge ? edge : (wide)y;                                        \
        int exponent;                                                                                                 \
        if (isnan(exact) || isnan(y))                                                                                 \
            return isnan(exact) && isnan(y) ? 0 : HUGE_VAL;                                                           \
        exact = exact > edge ? edge : exact;                                                                          \
        frexp_(exact, &exponent);                                                                                     \
        exponent = (exponent > largest ? largest : exponent) - digits;                                                \
        exponent = exact == 0 || exponent < least ? least : exponent;                                                 \
        return (double)ldexp_(got > exact ? got - exact : exact - got, -exponent);                                    \
    }
ERROR(f32, float, double, frexp, ldexp, FLT_MANT_DIG, -149, FLT_MAX_EXP)
ERROR(f64, double, long double, frexpl, ldexpl, DBL_MANT_DIG, -1074, DBL_MAX_EXP)

/* x / (1 + exp(-w)) in a wider type, whose functions have the suffix f. It is 0 where that is infinity times 0. */
#define SIGMOID_OF(w, x, f) ((w) < -20000 ? 0 : (x) * ((w) < 0 ? exp##f(w) : 1) / (1 + exp##f(-fabs##f(w))))
#define LOG_1_PLUS_EXP(x, f) (fmax##f(x, 0) + log1p##f(exp##f(-fabs##f(x))))
#define SELU_SCALE 1.0507009873554804934193349852946L
#define SELU_ALPHA 1.6732632423543772848170429916717L

#define GELU_TANH(suffix, wide, f)                                                                                    \
    static wide exact_gelu_tanh_##suffix(wide x)                                                                      \
    {                                                                                                                 \
        wide b = (wide)0.044715L, w = (wide)1.5957691216057307117597842397375L * x * (1 + b * x * x);                 \
        return SIGMOID_OF(w, x, f);                                                                                   \
    }
GELU_TANH(f32, double, )
GELU_TANH(f64, long double, l)

/*
 * x Phi(x) = x / 2 erfc(t), t = -x / sqrt(2), where erfc is steep: what t lacks of its digits is made good to first
 * order. The square root is the sum of `root` and root_low.
 */
#define GELU(suffix, wide, f, root_low)                                                                               \
    static wide exact_gelu_##suffix(wide x)                                                                           \
    {                                                                                                                 \
        const wide root = (wide)1.414213562373095048802L, t = -x / root;                                              \
        wide lost = -(fma##f(t, root, x) + t * root_low) / root;                                                      \
        return x / 2 * (erfc##f(t) - (wide)1.1283791670955125739L * exp##f(-t * t) * lost);                           \
    }
GELU(f32, double, , -9.66729331345291345e-17)
GELU(f64, long double, l, 3.79006511778651415931e-20L)

/* The function `name` of y[n] = f(x[n]), and ulp_name, the largest error of such y and, in *worst, its index. */
#define ERRORS(name, suffix, real, wide, exact)                                                                       \
    double ulp_##name##_##suffix(size_t n, const real *numbers, const real *y, size_t *worst)                         \
    {                                                                                                                 \
        double most = -1;                                                                                             \
        for (size_t i = 0; i < n; i++) {                                                                              \
            const wide x = numbers[i];                                                                                \
            double error = error_##suffix(y[i], exact);                                                               \
            if (error > most) {                                                                                       \
                most = error;                                                                                         \
                *worst = i;                                                                                           \
            }                                                                                                         \
        }                                                                                                             \
        return most;                                                                                                  \
    }
#define ACTIVATION(name, which, suffix, real, wide, exact)                                                            \
    void name##_##suffix(size_t n, const real *x, real *y) { FN(activate, suffix)(n, which, x, y); }                  \
    ERRORS(name, suffix, real, wide, exact)
#define ELEMENTARY(name, suffix, real, wide, lanes, result, exact)                                                    \
    void name##_##suffix(size_t n, const real *x, real *y)                                                            \
    {                                                                                                                 \
        for (size_t i = 0; i < n; i += lanes) {                                                                       \
            size_t count = n - i < lanes ? n - i : lanes;                                                             \
            FN(vec, suffix) e, sigmoid = FN(sigmoid_and_exp, suffix)(FN(load_n, suffix)(count, x + i), &e);           \
            (void)sigmoid;                                                                                            \
            FN(store_n, suffix)(count, y + i, result);                                                                \
        }                                                                                                             \
    }                                                                                                                 \
    ERRORS(name, suffix, real, wide, exact)

/*
 * Each with its value in the wider type, from whose number x it is computed: any number, infinite ones too. accuracy.py
 * calls them by their names.
 */
#define FUNCTIONS(suffix, real, wide, f, lanes)                                                                       \
    ELEMENTARY(exp, suffix, real, wide, lanes, e, exp##f(x))                                                          \
    ELEMENTARY(log1p, suffix, real, wide, lanes, FN(log1p_vector, suffix)(FN(load_n, suffix)(count, x + i)),          \
               log1p##f(x))                                                                                           \
    ELEMENTARY(loss_sigmoid, suffix, real, wide, lanes, sigmoid, SIGMOID_OF(x, 1, f))                                 \
    ACTIVATION(sigmoid, PN_SIGMOID, suffix, real, wide, SIGMOID_OF(x, 1, f))                                          \
    ACTIVATION(tanh, PN_TANH, suffix, real, wide, tanh##f(x))                                                         \
    ACTIVATION(leaky_relu, PN_LEAKY_RELU, suffix, real, wide, x < 0 ? x / 100 : x)                                    \
    ACTIVATION(elu, PN_ELU, suffix, real, wide, x < 0 ? expm1##f(x) : x)                                              \
    ACTIVATION(selu, PN_SELU, suffix, real, wide,                                                                     \
               (wide)SELU_SCALE * (x < 0 ? (wide)SELU_ALPHA * expm1##f(x) : x))                                       \
    ACTIVATION(gelu, PN_GELU, suffix, real, wide, x < -1000 ? 0 : x > 1000 ? x : exact_gelu_##suffix(x))              \
    ACTIVATION(gelu_tanh, PN_GELU_TANH, suffix, real, wide, exact_gelu_tanh_##suffix(x))                              \
    ACTIVATION(silu, PN_SILU, suffix, real, wide, SIGMOID_OF(x, x, f))                                                \
    ACTIVATION(mish, PN_MISH, suffix, real, wide, x < -20000 ? 0 : x * tanh##f(LOG_1_PLUS_EXP(x, f)))                 \
    ACTIVATION(softplus, PN_SOFTPLUS, suffix, real, wide, LOG_1_PLUS_EXP(x, f))
FUNCTIONS(f32, float, double, , (PN_VECTOR_BYTES / 4))
FUNCTIONS(f64, double, long double, l, (PN_VECTOR_BYTES / 8))
#include "../csrc/simd/region_end.inc.h"
