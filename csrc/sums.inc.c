/* Sums of the totals of blocks, elementwise over a gradient. */
#include "kernels.h"

#ifdef PN_ISA

/*
 * The rounding error of an addition is itself a number of the same type, and is found with six additions whichever of
 * the two is larger (Knuth, "The Art of Computer Programming", volume 2, 4.2.2, theorem B).
 */
static void FN(add_block)(size_t n, const real *block, real *total, real *error)
{
    PN_ELEMENTWISE
    for (size_t i = 0; i < n; i++) {
        real sum = total[i] + block[i];
        real added = sum - total[i];
        error[i] += (total[i] - (sum - added)) + (block[i] - added);
        total[i] = sum;
    }
}

/* The error is NaN where the total is infinite or NaN, and counts only elsewhere: infinity stays infinity. */
static inline PN_INLINE real FN(settled)(real total, real error) { return total + (error == error ? error : 0); }

static void FN(settle)(size_t n, const real *total, const real *error, real *sum)
{
    PN_ELEMENTWISE
    for (size_t i = 0; i < n; i++)
        sum[i] = FN(settled)(total[i], error[i]);
}

static void FN(descend)(size_t n, const real *total, const real *error, real rate, real *parameters)
{
    PN_ELEMENTWISE
    for (size_t i = 0; i < n; i++)
        parameters[i] = FN(fma)(-rate, FN(settled)(total[i], error[i]), parameters[i]);
}

#endif
