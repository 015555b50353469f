/* One dtype of matmul_bits.c. */

static real NAME(mul_add)(real a, real b, real c)
{
    volatile real product = a * b;
    return fused ? REAL_FMA(a, b, c) : product + c;
}

/* Exactly n numbers, at any alignment, with nothing readable behind them under a sanitizer. */
static real *NAME(numbers)(size_t n, int poison)
{
    real *array = malloc(n * sizeof *array);
    for (size_t i = 0; i < n; i++)
        array[i] = poison ? (real)NAN : (real)((double)(random_bits() >> 11) / 4503599627370496.0 - 1);
    return array;
}

static void NAME(compare)(const char *what, const pn_isa_kernels *isa, size_t m, size_t k, size_t n, size_t count,
                          const real *expected, const real *got)
{
    for (size_t i = 0; i < count; i++)
        if (memcmp(expected + i, got + i, sizeof *got) != 0) {
            printf("%s %s %s m=%zu k=%zu n=%zu: element %zu is %a, not %a\n", isa->name,
                   sizeof(real) == 4 ? "f32" : "f64", what, m, k, n, i, (double)got[i], (double)expected[i]);
            exit(1);
        }
}

/* The gradients of weight and bias for rate 0, or a step of descent; `packed` has room for packed weights, if any are. */
static void NAME(check_gradients)(const pn_isa_kernels *isa, size_t m, size_t k, size_t n, const real *x,
                                  const real *grad_z, real rate, const real *grad_weight, const real *grad_bias,
                                  real *workspace, real *packed)
{
    real *target = NAME(numbers)(k * n, rate == 0), *expected = NAME(numbers)(k * n, 0);
    for (size_t e = 0; e < k * n; e++)
        expected[e] = rate > 0 ? NAME(mul_add)(-rate, grad_weight[e], target[e]) : grad_weight[e];
    int is_packed = rate > 0 && isa->KERNELS.packed_size(m, k, n) > 0;
    if (is_packed)
        isa->KERNELS.pack(k, n, target, packed);
    isa->KERNELS.dense_backward_weight(m, k, n, x, grad_z, rate, target, workspace);
    NAME(compare)("backward_weight", isa, m, k, n, k * n, expected, target);
    if (is_packed) {
        isa->KERNELS.dense_backward_weight_packed(m, k, n, x, grad_z, rate, packed, workspace);
        isa->KERNELS.unpack(k, n, packed, target);
        NAME(compare)("backward_weight_packed", isa, m, k, n, k * n, expected, target);
    }
    free(target), free(expected);

    target = NAME(numbers)(n, rate == 0);
    expected = NAME(numbers)(n, 0);
    for (size_t j = 0; j < n; j++)
        expected[j] = rate > 0 ? NAME(mul_add)(-rate, grad_bias[j], target[j]) : grad_bias[j];
    isa->KERNELS.dense_backward_bias(m, n, grad_z, rate, target);
    NAME(compare)("backward_bias", isa, m, k, n, n, expected, target);
    free(target), free(expected);
}

static void NAME(check)(const pn_isa_kernels *isa, size_t m, size_t k, size_t n)
{
    real *x = NAME(numbers)(m * k, 0), *weight = NAME(numbers)(k * n, 0), *bias = NAME(numbers)(n, 0);
    real *grad_z = NAME(numbers)(m * n, 0);
    real *workspace = malloc((isa->KERNELS.dense_workspace(m, k, n) + 1) * sizeof(real));
    int with_bias = random_bits() % 2, f = (int)(random_bits() % PN_N_ACTIVATIONS);

    real *a = NAME(numbers)(m * n, 1), *expected = NAME(numbers)(m * n, 0);
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            real sum = with_bias ? bias[j] : 0;
            for (size_t p = 0; p < k; p++)
                sum = NAME(mul_add)(x[i * k + p], weight[p * n + j], sum);
            expected[i * n + j] = sum;
        }
    isa->KERNELS.activate(m * n, (pn_activation)f, expected, expected);
    isa->KERNELS.dense_forward(m, k, n, x, weight, with_bias ? bias : NULL, (pn_activation)f, a, workspace);
    NAME(compare)("forward", isa, m, k, n, m * n, expected, a);
    size_t packed_size = isa->KERNELS.packed_size(m, k, n);
    real *packed = malloc((packed_size + 1) * sizeof *packed);
    if (packed_size > 0) {
        isa->KERNELS.pack(k, n, weight, packed);
        memset(a, 255, m * n * sizeof *a);
        isa->KERNELS.dense_forward_packed(m, k, n, x, packed, with_bias ? bias : NULL, (pn_activation)f, a, workspace);
        NAME(compare)("forward_packed", isa, m, k, n, m * n, expected, a);
    }
    free(a), free(expected);

    real *grad_x = NAME(numbers)(m * k, 1);
    expected = NAME(numbers)(m * k, 0);
    for (size_t i = 0; i < m; i++)
        for (size_t p = 0; p < k; p++) {
            real sum = 0;
            for (size_t j = 0; j < n; j++)
                sum = NAME(mul_add)(grad_z[i * n + j], weight[p * n + j], sum);
            expected[i * k + p] = sum;
        }
    isa->KERNELS.activate_backward(m * k, (pn_activation)f, x, expected, expected);
    isa->KERNELS.dense_backward_x(m, k, n, grad_z, weight, (pn_activation)f, x, grad_x, workspace);
    NAME(compare)("backward_x", isa, m, k, n, m * k, expected, grad_x);
    if (packed_size > 0) {
        memset(grad_x, 255, m * k * sizeof *grad_x);
        isa->KERNELS.dense_backward_x_packed(m, k, n, grad_z, packed, (pn_activation)f, x, grad_x, workspace);
        NAME(compare)("backward_x_packed", isa, m, k, n, m * k, expected, grad_x);
    }
    free(grad_x), free(expected);

    real *grad_weight = NAME(numbers)(k * n, 0), *grad_bias = NAME(numbers)(n, 0);
    for (size_t p = 0; p < k; p++)
        for (size_t j = 0; j < n; j++) {
            real sum = 0;
            for (size_t i = 0; i < m; i++)
                sum = NAME(mul_add)(x[i * k + p], grad_z[i * n + j], sum);
            grad_weight[p * n + j] = sum;
        }
    for (size_t j = 0; j < n; j++) {
        real sum = 0;
        for (size_t i = 0; i < m; i++)
            sum += grad_z[i * n + j];
        grad_bias[j] = sum;
    }
    NAME(check_gradients)(isa, m, k, n, x, grad_z, 0, grad_weight, grad_bias, workspace, packed);
    NAME(check_gradients)(isa, m, k, n, x, grad_z, (real)0.1, grad_weight, grad_bias, workspace, packed);
    free(grad_weight), free(grad_bias), free(x), free(weight), free(bias), free(grad_z), free(workspace), free(packed);
}
