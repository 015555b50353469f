/* Sums of the totals of blocks, elementwise over a gradient. */

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
static void FN(settle)(size_t n, const real *total, const real *error, real *sum)
{
    PN_ELEMENTWISE
    for (size_t i = 0; i < n; i++)
        sum[i] = total[i] + (error[i] == error[i] ? error[i] : 0);
}

static void FN(axpby)(size_t n, real alpha, const real *x, real beta, real *y)
{
    PN_ELEMENTWISE
    for (size_t i = 0; i < n; i++)
        y[i] = FN(fma)(alpha, x[i], beta * y[i]);
}
