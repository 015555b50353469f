/* Updates of parameters, elementwise over a stretch of them in whatever order they lie. */

/* y = alpha x + beta y, with a fused multiply-add: gradient descent, where x is the gradient. */
static void FN(axpby)(size_t n, real alpha, const real *x, real beta, real *y)
{
    PN_ELEMENTWISE
    for (size_t i = 0; i < n; i++)
        y[i] = FN(fma)(alpha, x[i], beta * y[i]);
}
