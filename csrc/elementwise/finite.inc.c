/* Whether none of n values is NaN or infinite. */

static int FN(all_finite)(size_t n, const real *values)
{
    FN(bits) bad = 0;
    for (size_t i = 0; i < n; i++)
        bad |= FN(to_bits)(values[i] - values[i]); /* 0 if finite, else NaN */
    return bad == 0;
}
