/* The public elementwise functions: checks, then the kernel, for shares of the elements. */

/* Elements of an array, which threads share out. grad_a is NULL for a = f(z): then `in` is z and `out` a. */
typedef struct FN(elements) {
    size_t n, n_shares;
    pn_activation f;
    const FN(pn_kernels) *kernels;
    const real *in, *grad_a;
    real *out;
} FN(elements);

static void FN(activate_share)(void *context, size_t index, void *scratch)
{
    const FN(elements) *e = context;
    const size_t line = 64 / sizeof(real), lines = e->n / line;
    size_t begin = lines * index / e->n_shares * line;
    size_t end = index + 1 == e->n_shares ? e->n : lines * (index + 1) / e->n_shares * line;
    (void)scratch;
    if (e->grad_a == NULL)
        e->kernels->activate(end - begin, e->f, e->in + begin, e->out + begin);
    else
        e->kernels->activate_backward(end - begin, e->f, NULL, e->in + begin, e->grad_a + begin, e->out + begin);
}

/* So much work is worth a thread. A microsecond's is 16 KB, of the arithmetic as of fetching it. */
enum { FN(MICROSECONDS_A_SHARE) = 12, FN(BYTES_A_MICROSECOND) = 16000 };

static pn_status FN(activate_all)(FN(elements) *e)
{
    const pn_isa_kernels *isa;
    PN_TRY(pn_ready(&isa));
    PN_EXACT_MODE;
    e->kernels = &isa->MEMBER;
    double microseconds = (double)e->n * sizeof(real) / FN(BYTES_A_MICROSECOND);
    size_t threads = pn_num_threads();
    e->n_shares = 1;
    if (microseconds >= 2 * FN(MICROSECONDS_A_SHARE)) {
        double most = microseconds / FN(MICROSECONDS_A_SHARE);
        e->n_shares = most < (double)threads ? (size_t)most : threads;
    }
    pn_parallel_for(e->n_shares, FN(activate_share), e, NULL, microseconds);
    return PN_OK;
}

#define PN_DEFINE_ACTIVATION(name, which)                                                                            \
    pn_status FN(pn_##name)(size_t n, const real *z, real *a)                                                        \
    {                                                                                                                \
        FN(elements) e = {.n = n, .f = which, .in = z, .out = a};                                                    \
        size_t elements = 0;                                                                                         \
        PN_TRY(pn_add_product(&elements, n, 1, 1));                                                                  \
        PN_TRY(pn_check_array(PN_ARRAY(z, n)));                                                                      \
        PN_TRY(pn_check_array(PN_ARRAY(a, n)));                                                                      \
        if (a != z)                                                                                                  \
            PN_TRY(pn_check_no_overlap(PN_ARRAY(a, n), PN_ARRAY(z, n)));                                             \
        return FN(activate_all)(&e);                                                                                 \
    }                                                                                                                \
    pn_status FN(pn_##name##_backward)(size_t n, const real *a, const real *grad_a, real *grad_z)                    \
    {                                                                                                                \
        FN(elements) e = {.n = n, .f = which, .in = a, .grad_a = grad_a, .out = grad_z};                             \
        size_t elements = 0;                                                                                         \
        PN_TRY(pn_add_product(&elements, n, 1, 1));                                                                  \
        PN_TRY(pn_check_array(PN_ARRAY(a, n)));                                                                      \
        PN_TRY(pn_check_array(PN_ARRAY(grad_a, n)));                                                                 \
        PN_TRY(pn_check_array(PN_ARRAY(grad_z, n)));                                                                 \
        if (grad_z != a)                                                                                             \
            PN_TRY(pn_check_no_overlap(PN_ARRAY(grad_z, n), PN_ARRAY(a, n)));                                        \
        if (grad_z != grad_a)                                                                                        \
            PN_TRY(pn_check_no_overlap(PN_ARRAY(grad_z, n), PN_ARRAY(grad_a, n)));                                   \
        return FN(activate_all)(&e);                                                                                 \
    }

PN_DEFINE_ACTIVATION(sigmoid, PN_SIGMOID)
PN_DEFINE_ACTIVATION(tanh, PN_TANH)
PN_DEFINE_ACTIVATION(relu, PN_RELU)
#undef PN_DEFINE_ACTIVATION
