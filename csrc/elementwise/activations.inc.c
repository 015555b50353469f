/*
 * Activations a = f(z), and their backward forms grad_z = grad_a f'(z), in which f'(z) is computed from a or, where that
 * cannot be, from z. An output may be an input.
 */

static inline PN_INLINE void FN(identity)(size_t n, const real *z, real *a)
{
    if (a != z)
        memcpy(a, z, n * sizeof *a);
}

/* For n < PN_LANES. Not inline, so that compilers keep the constants of the main loop in registers. */
static __attribute__((noinline)) void FN(sigmoid_tail)(size_t n, const real *z, real *a)
{
    FN(store_n)(n, a, FN(sigmoid_vector)(FN(load_n)(n, z)));
}

static inline PN_INLINE void FN(sigmoid)(size_t n, const real *z, real *a)
{
    for (; n >= PN_LANES; n -= PN_LANES, z += PN_LANES, a += PN_LANES)
        FN(store)(a, FN(sigmoid_vector)(FN(load)(z)));
    if (n > 0)
        FN(sigmoid_tail)(n, z, a);
}

static __attribute__((noinline)) void FN(tanh_tail)(size_t n, const real *z, real *a)
{
    FN(store_n)(n, a, FN(tanh_vector)(FN(load_n)(n, z)));
}

static inline PN_INLINE void FN(tanh)(size_t n, const real *z, real *a)
{
#if REAL_IS_DOUBLE
    for (; n >= PN_LANES; n -= PN_LANES, z += PN_LANES, a += PN_LANES)
        FN(store)(a, FN(tanh_vector)(FN(load)(z)));
#else
    if (n >= PN_LANES) { /* the first step of the next vector is interleaved: processors do not look ahead that far */
        FN(vec_bits) interval, next_interval;
        FN(vec) x = FN(tanh_interval)(FN(load)(z), &interval);
        for (; n >= 2 * PN_LANES; n -= PN_LANES, z += PN_LANES, a += PN_LANES) {
            FN(vec) next = FN(tanh_interval)(FN(load)(z + PN_LANES), &next_interval);
            FN(store)(a, FN(tanh_in_interval)(FN(load)(z), x, interval));
            x = next;
            interval = next_interval;
        }
        FN(store)(a, FN(tanh_in_interval)(FN(load)(z), x, interval));
        n -= PN_LANES;
        z += PN_LANES;
        a += PN_LANES;
    }
#endif
    if (n > 0)
        FN(tanh_tail)(n, z, a);
}

static inline PN_INLINE void FN(relu)(size_t n, const real *z, real *a)
{
    PN_ELEMENTWISE
    for (size_t i = 0; i < n; i++)
        a[i] = z[i] < 0 ? 0 : z[i];
}

static inline PN_INLINE void FN(identity_backward)(size_t n, const real *a, const real *grad_a, real *grad_z)
{
    (void)a;
    FN(identity)(n, grad_a, grad_z);
}

static inline PN_INLINE void FN(sigmoid_backward)(size_t n, const real *a, const real *grad_a, real *grad_z)
{
    PN_ELEMENTWISE
    for (size_t i = 0; i < n; i++)
        grad_z[i] = grad_a[i] * (a[i] * (1 - a[i]));
}

static inline PN_INLINE void FN(tanh_backward)(size_t n, const real *a, const real *grad_a, real *grad_z)
{
    PN_ELEMENTWISE
    for (size_t i = 0; i < n; i++)
        grad_z[i] = grad_a[i] * FN(fma)(-a[i], a[i], 1);
}

/* grad_a where a > 0, else 0, but NaN where a is NaN. A product 0 grad_a would be NaN where grad_a is infinite. */
static inline PN_INLINE void FN(relu_backward)(size_t n, const real *a, const real *grad_a, real *grad_z)
{
    const FN(vec) zero = {0};
    for (; n >= PN_LANES; n -= PN_LANES, a += PN_LANES, grad_a += PN_LANES, grad_z += PN_LANES) {
        FN(vec) value = FN(load)(a);
        FN(store)(grad_z, FN(choose)(value > zero, FN(load)(grad_a), FN(vec_max)(zero, value)));
    }
    PN_ELEMENTWISE
    for (size_t i = 0; i < n; i++)
        grad_z[i] = a[i] > 0 ? grad_a[i] : a[i] < 0 ? 0 : a[i];
}

/* Loops over what activation_vectors.inc.c computes. For fewer than PN_LANES elements see sigmoid_tail. */
#define PN_DEFINE_ACTIVATION(name)                                                                                   \
    static __attribute__((noinline)) void FN(name##_tail)(size_t n, const real *z, real *a)                          \
    {                                                                                                                \
        real padded[PN_LANES];                                                                                       \
        FN(store)(padded, FN(name##_vector)(FN(load_n)(n, z)));                                                   \
        FN(copy_n)(n, padded, a);                                                                                 \
    }                                                                                                                \
    static __attribute__((noinline)) void FN(name)(size_t n, const real *z, real *a)                                 \
    {                                                                                                                \
        for (; n >= PN_LANES; n -= PN_LANES, z += PN_LANES, a += PN_LANES)                                           \
            FN(store)(a, FN(name##_vector)(FN(load)(z)));                                                            \
        if (n > 0)                                                                                                   \
            FN(name##_tail)(n, z, a);                                                                                \
    }                                                                                                                \
    static __attribute__((noinline)) void FN(name##_backward_tail)(size_t n, const real *kept, const real *grad_a,   \
                                                                   real *grad_z)                                     \
    {                                                                                                                \
        real padded[PN_LANES];                                                                                       \
        FN(store)(padded, FN(load_n)(n, grad_a) * FN(name##_slope)(FN(load_n)(n, kept)));                      \
        FN(copy_n)(n, padded, grad_z);                                                                            \
    }                                                                                                                \
    /* `kept` is z or a, whichever the slope is computed from. */                                                    \
    static __attribute__((noinline)) void FN(name##_backward)(size_t n, const real *kept, const real *grad_a,        \
                                                              real *grad_z)                                          \
    {                                                                                                                \
        for (; n >= PN_LANES; n -= PN_LANES, kept += PN_LANES, grad_a += PN_LANES, grad_z += PN_LANES)               \
            FN(store)(grad_z, FN(load)(grad_a) * FN(name##_slope)(FN(load)(kept)));                                  \
        if (n > 0)                                                                                                   \
            FN(name##_backward_tail)(n, kept, grad_a, grad_z);                                                       \
    }

PN_DEFINE_ACTIVATION(leaky_relu)
PN_DEFINE_ACTIVATION(elu)
PN_DEFINE_ACTIVATION(selu)
PN_DEFINE_ACTIVATION(gelu)
PN_DEFINE_ACTIVATION(gelu_tanh)
PN_DEFINE_ACTIVATION(silu)
PN_DEFINE_ACTIVATION(mish)
PN_DEFINE_ACTIVATION(softplus)
#undef PN_DEFINE_ACTIVATION

/* To add an activation, define it and its backward form above, and add a case to both switches. */
static inline PN_INLINE void FN(activate_inline)(size_t n, pn_activation f, const real *z, real *a)
{
    switch (f) {
    case PN_SIGMOID: FN(sigmoid)(n, z, a); break;
    case PN_TANH: FN(tanh)(n, z, a); break;
    case PN_RELU: FN(relu)(n, z, a); break;
    case PN_LEAKY_RELU: FN(leaky_relu)(n, z, a); break;
    case PN_ELU: FN(elu)(n, z, a); break;
    case PN_SELU: FN(selu)(n, z, a); break;
    case PN_GELU: FN(gelu)(n, z, a); break;
    case PN_GELU_TANH: FN(gelu_tanh)(n, z, a); break;
    case PN_SILU: FN(silu)(n, z, a); break;
    case PN_MISH: FN(mish)(n, z, a); break;
    case PN_SOFTPLUS: FN(softplus)(n, z, a); break;
    default: FN(identity)(n, z, a); break;
    }
}

static inline PN_INLINE void FN(activate_backward_inline)(size_t n, pn_activation f, const real *z, const real *a,
                                                          const real *grad_a, real *grad_z)
{
    switch (f) {
    case PN_SIGMOID: FN(sigmoid_backward)(n, a, grad_a, grad_z); break;
    case PN_TANH: FN(tanh_backward)(n, a, grad_a, grad_z); break;
    case PN_RELU: FN(relu_backward)(n, a, grad_a, grad_z); break;
    case PN_LEAKY_RELU: FN(leaky_relu_backward)(n, a, grad_a, grad_z); break;
    case PN_ELU: FN(elu_backward)(n, a, grad_a, grad_z); break;
    case PN_SELU: FN(selu_backward)(n, a, grad_a, grad_z); break;
    case PN_GELU: FN(gelu_backward)(n, z, grad_a, grad_z); break;
    case PN_GELU_TANH: FN(gelu_tanh_backward)(n, z, grad_a, grad_z); break;
    case PN_SILU: FN(silu_backward)(n, z, grad_a, grad_z); break;
    case PN_MISH: FN(mish_backward)(n, z, grad_a, grad_z); break;
    case PN_SOFTPLUS: FN(softplus_backward)(n, a, grad_a, grad_z); break;
    default: FN(identity_backward)(n, a, grad_a, grad_z); break;
    }
}

static void FN(activate)(size_t n, pn_activation f, const real *z, real *a)
{
    FN(activate_inline)(n, f, z, a);
}

static void FN(activate_backward)(size_t n, pn_activation f, const real *z, const real *a, const real *grad_a,
                                  real *grad_z)
{
    FN(activate_backward_inline)(n, f, z, a, grad_a, grad_z);
}
