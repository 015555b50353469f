/*
 * Activations a = f(z), and their backward forms grad_z = grad_a f'(z), in which f'(z) is computed from a or, where that
 * cannot be, from z. An output may be an input. The functions of this file's first part take whole vectors: n is a
 * multiple of PN_LANES.
 */

static inline PN_INLINE void FN(identity)(size_t n, const real *z, real *a)
{
    if (a != z)
        memcpy(a, z, n * sizeof *a);
}

static inline PN_INLINE void FN(sigmoid)(size_t n, const real *z, real *a)
{
    for (; n > 0; n -= PN_LANES, z += PN_LANES, a += PN_LANES)
        FN(store)(a, FN(sigmoid_vector)(FN(load)(z)));
}

static inline PN_INLINE void FN(tanh)(size_t n, const real *z, real *a)
{
#if REAL_IS_DOUBLE
    for (; n > 0; n -= PN_LANES, z += PN_LANES, a += PN_LANES)
        FN(store)(a, FN(tanh_vector)(FN(load)(z)));
#else
    /* The first step of the next vector is interleaved, as processors do not look ahead that far. */
    FN(vec_bits) interval, next_interval;
    FN(vec) x = FN(tanh_interval)(FN(load)(z), &interval);
    for (; n > PN_LANES; n -= PN_LANES, z += PN_LANES, a += PN_LANES) {
        FN(vec) next = FN(tanh_interval)(FN(load)(z + PN_LANES), &next_interval);
        FN(store)(a, FN(tanh_in_interval)(FN(load)(z), x, interval));
        x = next;
        interval = next_interval;
    }
    FN(store)(a, FN(tanh_in_interval)(FN(load)(z), x, interval));
#endif
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
    for (; n > 0; n -= PN_LANES, a += PN_LANES, grad_a += PN_LANES, grad_z += PN_LANES) {
        FN(vec) value = FN(load)(a);
        FN(store)(grad_z, FN(choose)(value > zero, FN(load)(grad_a), FN(vec_max)(zero, value)));
    }
}

/* Loops over what activation_vectors.inc.c computes. `kept` is z or a, whichever the slope is computed from. */
#define PN_DEFINE_ACTIVATION(name)                                                                                   \
    static void FN(name)(size_t n, const real *z, real *a)                                                           \
    {                                                                                                                \
        for (; n > 0; n -= PN_LANES, z += PN_LANES, a += PN_LANES)                                                   \
            FN(store)(a, FN(name##_vector)(FN(load)(z)));                                                            \
    }                                                                                                                \
    static void FN(name##_backward)(size_t n, const real *kept, const real *grad_a, real *grad_z)                    \
    {                                                                                                                \
        for (; n > 0; n -= PN_LANES, kept += PN_LANES, grad_a += PN_LANES, grad_z += PN_LANES)                       \
            FN(store)(grad_z, FN(load)(grad_a) * FN(name##_slope)(FN(load)(kept)));                                  \
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

/*
 * To add an activation, write it in activation_vectors.inc.c, and here a line above and a case in both switches. Softmax
 * is not elementwise: whoever computes it has an identity here, and softmax.inc.c.
 */
static void FN(activate_vectors)(size_t n, pn_activation f, const real *z, real *a)
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
    case PN_IDENTITY:
    case PN_SOFTMAX:
    case PN_N_ACTIVATIONS: FN(identity)(n, z, a); break;
    }
}

static void FN(activate_backward_vectors)(size_t n, pn_activation f, const real *z, const real *a, const real *grad_a,
                                          real *grad_z)
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
    case PN_IDENTITY:
    case PN_SOFTMAX:
    case PN_N_ACTIVATIONS: FN(identity_backward)(n, a, grad_a, grad_z); break;
    }
}

/* ---- Any number of elements: those that do not fill a vector are computed in one that zeros fill up ---- */

static void FN(activate)(size_t n, pn_activation f, const real *z, real *a)
{
    size_t tail = n % PN_LANES, whole = n - tail;
    if (whole > 0)
        FN(activate_vectors)(whole, f, z, a);
    if (tail > 0) {
        real padded[PN_LANES];
        FN(store)(padded, FN(load_n)(tail, z + whole));
        FN(activate_vectors)(PN_LANES, f, padded, padded);
        FN(copy_n)(tail, padded, a + whole);
    }
}

static void FN(activate_backward)(size_t n, pn_activation f, const real *z, const real *a, const real *grad_a,
                                  real *grad_z)
{
    size_t tail = n % PN_LANES, whole = n - tail;
    if (whole > 0)
        FN(activate_backward_vectors)(whole, f, z, a, grad_a, grad_z);
    if (tail > 0) {
        real padded_z[PN_LANES], padded_a[PN_LANES], padded_grad[PN_LANES];
        FN(store)(padded_z, FN(load_n)(z != NULL ? tail : 0, z != NULL ? z + whole : a));
        FN(store)(padded_a, FN(load_n)(tail, a + whole));
        FN(store)(padded_grad, FN(load_n)(tail, grad_a + whole));
        FN(activate_backward_vectors)(PN_LANES, f, padded_z, padded_a, padded_grad, padded_grad);
        FN(copy_n)(tail, padded_grad, grad_z + whole);
    }
}
