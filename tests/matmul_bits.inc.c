/* One dtype of matmul_bits.c. */

static real *NAME(numbers)(size_t n, int poison)
{
    real *array = fenced(n * sizeof *array);
    for (size_t i = 0; i < n; i++)
        array[i] = poison ? (real)NAN : (real)((double)(random_bits() >> 11) / 4503599627370496.0 - 1);
    return array;
}

static real *NAME(copy)(size_t n, const real *from)
{
    real *array = fenced(n * sizeof *array);
    memcpy(array, from, n * sizeof *array);
    return array;
}

static void NAME(drop)(real *array, size_t n) { release(array, n * sizeof *array); }

/* to[columns][rows] = from[rows][columns] transposed */
UNCHECKED static void NAME(turn)(size_t rows, size_t columns, const real *from, real *to)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++)
            to[j * rows + i] = from[i * columns + j];
}

/* ---- What the sums must be, by plain loops; columns run innermost, which changes no element's own order -------- */

UNCHECKED WITH_FMA
static void NAME(add_row_quickly)(size_t n, real factor, const real *restrict row, real *restrict sums)
{
    for (size_t j = 0; j < n; j++)
        sums[j] = REAL_FMA(factor, row[j], sums[j]);
}

UNCHECKED static void NAME(add_row)(size_t n, real factor, const real *restrict row, real *restrict sums)
{
    for (size_t j = 0; j < n; j++)
        sums[j] = REAL_FMA(factor, row[j], sums[j]);
}

/* Products go through volatile memory, so that the compiler does not fuse them with the additions. */
UNCHECKED static void NAME(add_row_unfused)(size_t n, real factor, const real *restrict row, real *restrict sums)
{
    real products[64];
    for (size_t j = 0, some; j < n; j += some) {
        some = n - j < 64 ? n - j : 64;
        for (size_t l = 0; l < some; l++)
            products[l] = factor * row[j + l];
        __asm__ volatile("" : : "r"(products) : "memory");
        for (size_t l = 0; l < some; l++)
            sums[j + l] += products[l];
    }
}

/* c[m][n] = init[n] (NULL: 0) + a[m][k] b[k][n], some rows of b at a time */
static void NAME(multiply)(int fused, size_t m, size_t k, size_t n, const real *a, const real *b, const real *init,
                           real *c)
{
    void (*add_row)(size_t, real, const real *, real *) = NAME(add_row_unfused);
    if (fused)
        add_row = MACHINE_HAS_FMA() ? NAME(add_row_quickly) : NAME(add_row);
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++)
            c[i * n + j] = init != NULL ? init[j] : 0;
    for (size_t start = 0; start < k; start += 64)
        for (size_t i = 0; i < m; i++)
            for (size_t p = start; p < k && p < start + 64; p++)
                add_row(n, a[i * k + p], b + p * n, c + i * n);
}

/* a + b * c, as the kernels round it */
static real NAME(mul_add)(int fused, real a, real b, real c)
{
    if (fused)
        NAME(add_row)(1, b, &c, &a);
    else
        NAME(add_row_unfused)(1, b, &c, &a);
    return a;
}

/* ---- One shape -------------------------------------------------------------------------------------------------- */

typedef struct NAME(layer) {
    size_t m, k, n;
    real *x, *weight, *bias, *grad_z;
    int fused;
    real *forward[2], *grad_x, *grad_weight, *grad_bias; /* sums; forward without and with the bias */
} NAME(layer);

static void NAME(compare)(const char *what, size_t count, const real *expected, const real *got)
{
    if (memcmp(expected, got, count * sizeof *got) == 0)
        return;
    for (size_t i = 0; i < count; i++)
        if (memcmp(expected + i, got + i, sizeof *got) != 0) {
            printf("%s %s: element %zu is %a, not %a\n", under_way, what, i, (double)got[i], (double)expected[i]);
            exit(1);
        }
}

static NAME(layer) NAME(make)(int fused, size_t m, size_t k, size_t n)
{
    NAME(layer) s = {.m = m, .k = k, .n = n, .fused = fused};
    s.x = NAME(numbers)(m * k, 0);
    s.weight = NAME(numbers)(k * n, 0);
    s.bias = NAME(numbers)(n, 0);
    s.grad_z = NAME(numbers)(m * n, 0);
    s.forward[0] = malloc(m * n * sizeof(real));
    s.forward[1] = malloc(m * n * sizeof(real));
    s.grad_x = malloc(m * k * sizeof(real));
    s.grad_weight = malloc(k * n * sizeof(real));
    s.grad_bias = calloc(n, sizeof(real));
    real *turned = malloc((m > n ? m : n) * k * sizeof(real));
    NAME(multiply)(fused, m, k, n, s.x, s.weight, NULL, s.forward[0]);
    NAME(multiply)(fused, m, k, n, s.x, s.weight, s.bias, s.forward[1]);
    NAME(turn)(k, n, s.weight, turned);
    NAME(multiply)(fused, m, n, k, s.grad_z, turned, NULL, s.grad_x);
    NAME(turn)(m, k, s.x, turned);
    NAME(multiply)(fused, k, m, n, turned, s.grad_z, NULL, s.grad_weight);
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++)
            s.grad_bias[j] += s.grad_z[i * n + j];
    free(turned);
    return s;
}

static void NAME(discard)(NAME(layer) s)
{
    NAME(drop)(s.x, s.m * s.k), NAME(drop)(s.weight, s.k * s.n), NAME(drop)(s.bias, s.n);
    NAME(drop)(s.grad_z, s.m * s.n);
    free(s.forward[0]), free(s.forward[1]), free(s.grad_x), free(s.grad_weight), free(s.grad_bias);
}

/* As many rows as weights are packed for: any number of rows may then be multiplied by them. */
static size_t NAME(packed_size)(const pn_isa_kernels *isa, const NAME(layer) *s)
{
    return isa->KERNELS.packed_size(s->m < 64 ? 64 : s->m, s->k, s->n);
}

/* f(sums) of a forward pass, by the kernels' own f */
static void NAME(check_forward)(const pn_isa_kernels *isa, const NAME(layer) *s, int with_bias, pn_activation f,
                                const real *packed)
{
    size_t m = s->m, k = s->k, n = s->n, need = isa->KERNELS.dense_forward_workspace(m, k, n);
    size_t need_packed = isa->KERNELS.dense_workspace(m, k, n);
    const real *bias = with_bias ? s->bias : NULL;
    real *expected = malloc(m * n * sizeof *expected), *a = NAME(numbers)(m * n, 1);
    real *z = NAME(numbers)(m * n, 1), *workspace = NAME(numbers)(need, 1);
    isa->KERNELS.activate(m * n, f, s->forward[with_bias], expected);
    NAME(pn_dense_layer) layer = {m, k, n, s->weight, 0, bias, f, need > 0 ? workspace : NULL};
    isa->KERNELS.dense_forward(&layer, s->x, NULL, a);
    NAME(compare)("forward", m * n, expected, a);
    memset(a, 255, m * n * sizeof *a);
    isa->KERNELS.dense_forward(&layer, s->x, z, a);
    NAME(compare)("forward, which keeps z", m * n, expected, a);
    NAME(compare)("z", m * n, s->forward[with_bias], z);
    NAME(drop)(workspace, need);
    if (packed != NULL) {
        workspace = NAME(numbers)(need_packed, 1);
        memset(a, 255, m * n * sizeof *a);
        layer.weight = packed;
        layer.packed = 1;
        layer.workspace = workspace;
        isa->KERNELS.dense_forward(&layer, s->x, NULL, a);
        NAME(compare)("forward_packed", m * n, expected, a);
        NAME(drop)(workspace, need_packed);
    }
    NAME(drop)(a, m * n), NAME(drop)(z, m * n);
    free(expected);
}

static void NAME(check_backward_x)(const pn_isa_kernels *isa, const NAME(layer) *s, pn_activation f,
                                   const real *packed, real *workspace)
{
    size_t m = s->m, k = s->k, n = s->n;
    real *expected = malloc(m * k * sizeof *expected), *grad_x = NAME(numbers)(m * k, 1);
    const real *z = pn_activations[f].backward_needs_z ? s->x : NULL;
    isa->KERNELS.activate_backward(m * k, f, z, s->x, s->grad_x, expected);
    NAME(pn_dense_layer) layer = {m, k, n, s->weight, 0, NULL, PN_IDENTITY, workspace};
    isa->KERNELS.dense_backward_x(&layer, s->grad_z, f, z, s->x, grad_x);
    NAME(compare)("backward_x", m * k, expected, grad_x);
    if (packed != NULL) {
        memset(grad_x, 255, m * k * sizeof *grad_x);
        layer.weight = packed;
        layer.packed = 1;
        isa->KERNELS.dense_backward_x(&layer, s->grad_z, f, z, s->x, grad_x);
        NAME(compare)("backward_x_packed", m * k, expected, grad_x);
    }
    NAME(drop)(grad_x, m * k);
    free(expected);
}

/* The gradients of weight and bias if beta is 0, or a step along them; `packed`: the weights, if they can be packed. */
static void NAME(check_gradients)(const pn_isa_kernels *isa, const NAME(layer) *s, real alpha, real beta,
                                  const real *packed, real *workspace)
{
    size_t m = s->m, k = s->k, n = s->n;
    real *target = NAME(copy)(k * n, s->weight), *expected = malloc(k * n * sizeof *expected);
    memcpy(expected, s->grad_weight, k * n * sizeof *expected);
    if (beta != 0)
        for (size_t e = 0; e < k * n; e++)
            expected[e] = NAME(mul_add)(s->fused, beta * target[e], alpha, expected[e]);
    else
        memset(target, 255, k * n * sizeof *target);
    NAME(pn_dense_layer) layer = {m, k, n, s->weight, 0, NULL, PN_IDENTITY, workspace};
    isa->KERNELS.dense_backward_weight(&layer, s->x, s->grad_z, alpha, beta, target);
    NAME(compare)(beta != 0 ? "descent" : "backward_weight", k * n, expected, target);
    if (packed != NULL) {
        size_t size = NAME(packed_size)(isa, s);
        real *changed = NAME(copy)(size, packed);
        layer.packed = 1;
        isa->KERNELS.dense_backward_weight(&layer, s->x, s->grad_z, alpha, beta, changed);
        memset(target, 255, k * n * sizeof *target);
        isa->KERNELS.unpack(k, n, changed, target);
        NAME(compare)("descent_packed", k * n, expected, target);
        NAME(drop)(changed, size);
    }
    NAME(drop)(target, k * n);
    free(expected);

    target = NAME(copy)(n, s->bias);
    for (size_t j = 0; beta == 0 && j < n; j++)
        target[j] = (real)NAN;
    expected = malloc(n * sizeof *expected);
    for (size_t j = 0; j < n; j++)
        expected[j] = beta != 0 ? NAME(mul_add)(s->fused, beta * s->bias[j], alpha, s->grad_bias[j]) : s->grad_bias[j];
    isa->KERNELS.dense_backward_bias(m, n, s->grad_z, alpha, beta, target);
    NAME(compare)("backward_bias", n, expected, target);
    NAME(drop)(target, n);
    free(expected);
}

/* What is packed comes back as it was. */
static void NAME(check_packing)(const pn_isa_kernels *isa, const NAME(layer) *s, real *packed)
{
    size_t k = s->k, n = s->n;
    real *back = NAME(numbers)(k * n, 1);
    memset(packed, 255, NAME(packed_size)(isa, s) * sizeof *packed);
    isa->KERNELS.pack(k, n, s->weight, packed);
    isa->KERNELS.unpack(k, n, packed, back);
    NAME(compare)("unpack", k * n, s->weight, back);
    NAME(drop)(back, k * n);
}

static void NAME(check_layer)(const pn_isa_kernels *isa, const NAME(layer) *s, int with_bias, real *packed)
{
    size_t need = isa->KERNELS.dense_workspace(s->m, s->k, s->n);
    pn_activation f = (pn_activation)(random_bits() % PN_N_ACTIVATIONS);
    real *workspace = NAME(numbers)(need, 1);
    NAME(check_forward)(isa, s, with_bias, f, packed);
    NAME(check_backward_x)(isa, s, f, packed, workspace);
    if (with_bias)
        NAME(check_gradients)(isa, s, (real)-0.1, random_bits() % 2 ? 1 : (real)0.9, packed, workspace);
    else
        NAME(check_gradients)(isa, s, 1, 0, packed, workspace);
    NAME(drop)(workspace, need);
}

/* With every instruction set and number of threads; `both`: without and with a bias, or else one of these. */
static void NAME(check_shape)(size_t m, size_t k, size_t n, int both)
{
    /* Products too small to be divided are tried with the first number of threads alone. */
    size_t n_counts = (double)m * (double)k * (double)n < 1.5e5 ? 1 : n_thread_counts;
    for (int fused = 0; fused < 2; fused++) {
        NAME(layer) s = {0};
        for (size_t i = 0; i < n_isas; i++) {
            if (fuses[i] != fused)
                continue;
            if (s.m == 0)
                s = NAME(make)(fused, m, k, n);
            size_t packed_size = NAME(packed_size)(isas[i], &s);
            real *packed = packed_size > 0 ? NAME(numbers)(packed_size, 1) : NULL;
            for (size_t t = 0; t < n_counts; t++) {
                snprintf(under_way, sizeof under_way, "%s %s m=%zu k=%zu n=%zu, %zu threads", isas[i]->name,
                         sizeof(real) == 4 ? "f32" : "f64", m, k, n, thread_counts[t]);
                pn_set_num_threads(thread_counts[t]);
                if (packed != NULL && t == 0)
                    NAME(check_packing)(isas[i], &s, packed);
                int first = both ? 0 : (int)(random_bits() % 2), last = both ? 1 : first;
                for (int with_bias = first; with_bias <= last; with_bias++)
                    NAME(check_layer)(isas[i], &s, with_bias, packed);
            }
            if (packed != NULL)
                NAME(drop)(packed, packed_size);
        }
        if (s.m > 0)
            NAME(discard)(s);
    }
}
