/*
 * Private: what every result assumes of floating-point arithmetic. NaN and infinity exist and sums keep their order;
 * this depends on compiler options. Subnormal numbers are kept and results are rounded to nearest; this depends on the
 * floating-point mode of the thread. Every unit includes this file.
 */
#ifndef PLAINNET_ARITHMETIC_H
#define PLAINNET_ARITHMETIC_H

#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__) ||                             \
    defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) || defined(__NO_SIGNED_ZEROS__) || defined(_M_FP_FAST)
#error "plainnet needs exact arithmetic: compile it without -ffast-math, -Ofast and the options that these turn on"
#endif

/*
 * PN_EXACT_MODE; makes the calling thread round to nearest and keep subnormal numbers until the end of the enclosing
 * block, which restores the mode. Other libraries change it: one that is linked with -ffast-math turns subnormal
 * numbers off in the thread that loads it.
 */
#if defined(__GNUC__)
#if defined(__x86_64__)
#include <xmmintrin.h>

typedef unsigned pn_mode;
enum { PN_MODE_BITS = 0xe040 }; /* of MXCSR: flush to zero, rounding, denormals are zero */

static inline pn_mode pn_set_exact_mode(void)
{
    unsigned mode = _mm_getcsr();
    if (mode & PN_MODE_BITS)
        _mm_setcsr(mode & ~(unsigned)PN_MODE_BITS);
    return mode;
}

static inline void pn_restore_mode(const pn_mode *mode)
{
    if (*mode & PN_MODE_BITS)
        _mm_setcsr(*mode);
}
#else
#include <fenv.h>

typedef fenv_t pn_mode;

static inline pn_mode pn_set_exact_mode(void)
{
    fenv_t mode;
    fegetenv(&mode);
    fesetenv(FE_DFL_ENV);
    return mode;
}

static inline void pn_restore_mode(const pn_mode *mode)
{
    fesetenv(mode);
}
#endif
#define PN_EXACT_MODE __attribute__((cleanup(pn_restore_mode), unused)) pn_mode mode_of_caller = pn_set_exact_mode()
#else
#define PN_EXACT_MODE ((void)0) /* compilers without the attribute leave the mode as it is */
#endif

#endif
