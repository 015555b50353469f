/* Selects the instruction set: the one named by PLAINNET_ISA or pn_set_isa, or the best that the machine has. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "kernels.h"

/* Best first. Architectures other than x86-64 have a single one. */
static const pn_isa_kernels *const compiled[] = {
#if PN_HAVE_X86_ISAS
    &pn_isa_avx512,
    &pn_isa_avx2,
#endif
#if defined(__aarch64__)
    &pn_isa_neon,
#else
    &pn_isa_baseline,
#endif
};
enum { N_COMPILED = sizeof compiled / sizeof compiled[0] };

static _Atomic(const pn_isa_kernels *) in_use;

static int machine_has(const pn_isa_kernels *isa)
{
#if PN_HAVE_X86_ISAS
    if (isa == &pn_isa_avx512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (isa == &pn_isa_avx2)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
    (void)isa;
    return 1;
}

static const pn_isa_kernels *find(const char *name)
{
    for (int i = 0; i < N_COMPILED; i++)
        if ((name == NULL || strcmp(name, compiled[i]->name) == 0) && machine_has(compiled[i]))
            return compiled[i];
    return NULL;
}

const pn_isa_kernels *pn_kernels_in_use(void)
{
    const pn_isa_kernels *kernels = atomic_load_explicit(&in_use, memory_order_acquire);
    if (kernels == NULL) {
        const char *wanted = getenv("PLAINNET_ISA");
        kernels = find(wanted != NULL && *wanted != '\0' ? wanted : NULL);
        atomic_store_explicit(&in_use, kernels, memory_order_release);
    }
    return kernels;
}

int pn_is_isa(const pn_isa_kernels *isa)
{
    for (int i = 0; i < N_COMPILED; i++)
        if (isa == compiled[i] && machine_has(isa))
            return 1;
    return 0;
}

const pn_isa_kernels *pn_usable_isa(size_t index)
{
    for (int i = 0; i < N_COMPILED; i++)
        if (machine_has(compiled[i]) && index-- == 0)
            return compiled[i];
    return NULL;
}

/*
 * Tests what arithmetic.h demands, as not every compiler option that breaks it defines a macro: NaN and infinity are
 * found, a subnormal number is kept, and 2^70 + 1 - 2^70 is 0, as it is in this order. The kernels are tested, and this
 * unit, which may be compiled with other options.
 */
enum { PN_CHECK_WORKSPACE = 4096 };
#define PN_DEFINE_IS_EXACT(real, suffix, subnormal)                                                                  \
    static int is_exact_##suffix(const pn_kernels_##suffix *kernels)                                                 \
    {                                                                                                                \
        volatile real unknown_zero = 0, unknown_big = 1180591620717411303424.0;                                      \
        const real zero = unknown_zero, big = unknown_big, not_a_number = zero / zero;                               \
        const real one[] = {1, 1, 1}, numbers[] = {1, subnormal, -1}, sum[] = {big, 1, -big};                        \
        const real nan[] = {1, not_a_number, 1}, infinite[] = {1, 1, 1 / zero};                                      \
        real kept = 0, lost = 2, workspace[PN_CHECK_WORKSPACE];                                                      \
        if (not_a_number == not_a_number || big + 1 - big != zero ||                                                 \
            kernels->dense_workspace(1, 3, 1) > PN_CHECK_WORKSPACE)                                                  \
            return 0;                                                                                                \
        pn_dense_layer_##suffix layer = {1, 1, 1, one, 0, NULL, PN_IDENTITY, workspace};                             \
        kernels->dense_forward(&layer, numbers + 1, NULL, &kept);                                                    \
        layer.k = 3;                                                                                                 \
        kernels->dense_forward(&layer, sum, NULL, &lost);                                                            \
        return kernels->all_finite(3, numbers) && !kernels->all_finite(3, nan) && !kernels->all_finite(3, infinite) && \
               kept > zero && lost == zero;                                                                          \
    }
#if PN_HAVE_F32
PN_DEFINE_IS_EXACT(float, f32, FLT_MIN / 4)
#endif
PN_DEFINE_IS_EXACT(double, f64, DBL_MIN / 4)

/* The last kernels that have passed the test. */
static _Atomic(const pn_isa_kernels *) known_exact;

static int is_exact(const pn_isa_kernels *kernels)
{
    if (kernels == atomic_load_explicit(&known_exact, memory_order_relaxed))
        return 1;
    PN_EXACT_MODE;
#if PN_HAVE_F32
    if (!is_exact_f32(&kernels->f32))
        return 0;
#endif
    if (!is_exact_f64(&kernels->f64))
        return 0;
    atomic_store_explicit(&known_exact, kernels, memory_order_relaxed);
    return 1;
}

pn_status pn_ready(const pn_isa_kernels **kernels)
{
    *kernels = pn_kernels_in_use();
    if (*kernels == NULL)
        return PN_UNKNOWN_ISA;
    if (!is_exact(*kernels))
        return PN_INEXACT_BUILD;
    return pn_num_threads() == 0 ? PN_BAD_THREADS : PN_OK;
}

pn_status pn_library_status(void)
{
    const pn_isa_kernels *kernels;
    return pn_ready(&kernels);
}

const char *pn_isa(void)
{
    const pn_isa_kernels *kernels = pn_kernels_in_use();
    return kernels == NULL ? NULL : kernels->name;
}

int pn_isa_is_available(const char *name)
{
    return name != NULL && find(name) != NULL;
}

pn_status pn_set_isa(const char *name)
{
    if (name == NULL)
        return PN_NULL_POINTER;
    const pn_isa_kernels *kernels = find(name);
    if (kernels == NULL)
        return PN_UNKNOWN_ISA;
    atomic_store_explicit(&in_use, kernels, memory_order_release);
    return PN_OK;
}
