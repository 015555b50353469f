/*
 * One vector register of `real`, for the instruction set and dtype being compiled. Lanes never mix: a vector
 * operation is the scalar one, PN_LANES times over, so its bits do not depend on the width.
 */
#define PN_LANES ((int)(PN_VECTOR_BYTES / sizeof(real)))

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
