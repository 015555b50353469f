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
#define ACTIVATION(name, which, suffix, real)                                                                         \
    void name##_##suffix(size_t n, const real *x, real *y) { FN(activate, suffix)(n, which, x, y); }
#define LOOPS(suffix, real, lanes)                                                                                    \
    LOOP(exp, suffix, real, lanes, e)                                                                                 \
    LOOP(loss_sigmoid, suffix, real, lanes, sigmoid)                                                                  \
    LOOP(log1p, suffix, real, lanes, FN(log1p_vector, suffix)(FN(load_n, suffix)(count, x + i)))                      \
    ACTIVATION(sigmoid, PN_SIGMOID, suffix, real)                                                                     \
    ACTIVATION(tanh, PN_TANH, suffix, real)                                                                           \
    ACTIVATION(leaky_relu, PN_LEAKY_RELU, suffix, real)                                                               \
    ACTIVATION(elu, PN_ELU, suffix, real)                                                                             \
    ACTIVATION(selu, PN_SELU, suffix, real)                                                                           \
    ACTIVATION(gelu, PN_GELU, suffix, real)                                                                           \
    ACTIVATION(gelu_tanh, PN_GELU_TANH, suffix, real)                                                                 \
    ACTIVATION(silu, PN_SILU, suffix, real)                                                                           \
    ACTIVATION(mish, PN_MISH, suffix, real)                                                                           \
    ACTIVATION(softplus, PN_SOFTPLUS, suffix, real)
LOOPS(f32, float, (PN_VECTOR_BYTES / 4))
LOOPS(f64, double, (PN_VECTOR_BYTES / 8))
#include "../csrc/simd/region_end.inc.h"

/* In the order of FUNCTIONS in accuracy.py. */
enum { EXP, LOG1P, SIGMOID, LOSS_SIGMOID, TANH, LEAKY_RELU, ELU, SELU, GELU, GELU_TANH, SILU, MISH, SOFTPLUS };

/* x / (1 + exp(-w)) in a wider type, whose functions have the suffix f. It is 0 where that is infinity times 0. */
#define SIGMOID_OF(w, x, wide, f) ((w) < -20000 ? 0 : (x) * ((w) < 0 ? exp##f(w) : 1) / (1 + exp##f(-fabs##f(w))))
#define LOG_1_PLUS_EXP(x, f) (fmax##f(x, 0) + log1p##f(exp##f(-fabs##f(x))))

/*
 * x Phi(x) = x / 2 erfc(t), t = -x / sqrt(2), where erfc is steep: what t lacks of its digits is made good to first
 * order. The square root is the sum of `root` and root_low.
 */
#define GELU_REFERENCE(suffix, wide, f, root_low)                                                                     \
    static wide gelu_##suffix##_reference(wide x)                                                                     \
    {                                                                                                                 \
        const wide root = (wide)1.414213562373095048802L, t = -x / root;                                              \
        wide lost = -(fma##f(t, root, x) + t * root_low) / root;                                                      \
        return x / 2 * (erfc##f(t) - (wide)1.1283791670955125739L * exp##f(-t * t) * lost);                           \
    }
GELU_REFERENCE(f32, double, , -9.66729331345291345e-17)
GELU_REFERENCE(f64, long double, l, 3.79006511778651415931e-20L)

#define REFERENCE(suffix, wide, f)                                                                                    \
    static wide reference_##suffix(int function, wide x)                                                              \
    {                                                                                                                 \
        const wide selu = (wide)1.0507009873554804934193349852946L;                                                   \
        const wide below_0 = selu * (wide)1.6732632423543772848170429916717L;                                         \
        switch (function) {                                                                                           \
        case EXP: return exp##f(x);                                                                                   \
        case LOG1P: return log1p##f(x);                                                                               \
        case TANH: return tanh##f(x);                                                                                 \
        case LEAKY_RELU: return x < 0 ? x / 100 : x;                                                                  \
        case ELU: return x < 0 ? expm1##f(x) : x;                                                                     \
        case SELU: return x < 0 ? below_0 * expm1##f(x) : selu * x;                                                   \
        case GELU: return x < -1000 ? 0 : x > 1000 ? x : gelu_##suffix##_reference(x);                                \
        case GELU_TANH: {                                                                                             \
            wide b = (wide)0.044715L, w = (wide)1.5957691216057307117597842397375L * x * (1 + b * x * x);             \
            return SIGMOID_OF(w, x, wide, f);                                                                         \
        }                                                                                                             \
        case SILU: return SIGMOID_OF(x, x, wide, f);                                                                  \
        case MISH: return x < -20000 ? 0 : x * tanh##f(LOG_1_PLUS_EXP(x, f));                                         \
        case SOFTPLUS: return LOG_1_PLUS_EXP(x, f);                                                                   \
        default: return SIGMOID_OF(x, 1, wide, f);                                                                    \
        }                                                                                                             \
    }
REFERENCE(f32, double, )
REFERENCE(f64, long double, l)

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
