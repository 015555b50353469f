/* Compensated sums of the gradients of blocks of rows. */

/*
 * total += block; error += the rounding error of that addition, which six additions find exactly (TwoSum: Knuth, "The
 * Art of Computer Programming", volume 2, 4.2.2, theorem B).
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

/* sum = total + error. Where the total is not finite the error is NaN, and is left out, so that infinity stays infinity. */
static void FN(settle)(size_t n, const real *total, const real *error, real *sum)
{
    PN_ELEMENTWISE
    for (size_t i = 0; i < n; i++)
        sum[i] = total[i] + (error[i] == error[i] ? error[i] : 0);
}
