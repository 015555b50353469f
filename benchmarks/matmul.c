/*
 * Speed of the three matrix products of a layer, and its share of the peak, which is measured in the same run.
 *
 *     cc -O3 benchmarks/matmul.c csrc/(every .c file) -Icsrc -lm -lpthread -o matmul
 *     ./matmul [isa] [f32|f64] [threads] [m k n]
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "kernels.h"
#include "threads.h"

static size_t threads_in_use;

/* For one thread the CPU time, which other processes disturb least. */
static double now(void)
{
    struct timespec t;
    if (threads_in_use == 1)
        return (double)clock() / CLOCKS_PER_SEC;
    timespec_get(&t, TIME_UTC);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Independent chains of multiply-adds in registers, on every thread at once. */
enum { PEAK_ROUNDS = 10000, CHAINS = 12 };
static volatile double seed = 0.1, sink;

/* The compiler makes one instruction of a * c + b where the target has it. */
#define DEFINE_PEAK(name, attribute, real, bytes)                                                                    \
    attribute static void name(void *context, size_t index, void *scratch)                                           \
    {                                                                                                                \
        typedef real vec __attribute__((vector_size(bytes)));                                                        \
        vec c[CHAINS], a = (vec){0} + (real)0.999, b = (vec){0} + (real)0.001;                                       \
        (void)context, (void)index, (void)scratch;                                                                   \
        for (int i = 0; i < CHAINS; i++)                                                                             \
            c[i] = (vec){0} + (real)seed;                                                                            \
        for (int round = 0; round < PEAK_ROUNDS; round++)                                                            \
            _Pragma("GCC unroll 16") for (int i = 0; i < CHAINS; i++)                                                \
                c[i] = a * c[i] + b;                                                                                 \
        for (int i = 0; i < CHAINS; i++) /* every lane, or compilers leave out half of them */                     \
            for (size_t l = 0; l < (bytes) / sizeof(real); l++)                                                      \
                sink += (double)c[i][l];                                                                             \
    }
#if PN_HAVE_X86_ISAS
#if defined(__clang__)
#define AVX512 __attribute__((target("avx512f")))
#else
#define AVX512 __attribute__((target("avx512f,prefer-vector-width=512")))
#endif
#define AVX2 __attribute__((target("avx2,fma")))
DEFINE_PEAK(peak_avx512_f32, AVX512, float, 64)
DEFINE_PEAK(peak_avx512_f64, AVX512, double, 64)
DEFINE_PEAK(peak_avx2_f32, AVX2, float, 32)
DEFINE_PEAK(peak_avx2_f64, AVX2, double, 32)
#endif
DEFINE_PEAK(peak_baseline_f32, , float, 16)
DEFINE_PEAK(peak_baseline_f64, , double, 16)

static const struct { const char *isa; pn_task *f32, *f64; int bytes; } peaks[] = {
#if PN_HAVE_X86_ISAS
    {"avx512", peak_avx512_f32, peak_avx512_f64, 64},
    {"avx2", peak_avx2_f32, peak_avx2_f64, 32},
#endif
    {"baseline", peak_baseline_f32, peak_baseline_f64, 16},
    {"neon", peak_baseline_f32, peak_baseline_f64, 16},
};

static const size_t shapes[][3] = {
    {1, 13, 64}, {1, 64, 64}, {1, 784, 128}, {1, 2048, 2048}, {4, 512, 512}, {32, 13, 64}, {32, 64, 64}, {32, 64, 1},
    {64, 64, 64}, {128, 784, 128}, {128, 128, 10}, {32, 512, 512}, {256, 1024, 2048}, {256, 2048, 2048},
    {256, 2048, 10}, {10000, 784, 128},
};

#define real float
#define NAME(name) name##_f32
#define KERNELS f32
#include "matmul.inc.c"
#undef real
#undef NAME
#undef KERNELS
#define real double
#define NAME(name) name##_f64
#define KERNELS f64
#include "matmul.inc.c"

int main(int argc, char **argv)
{
    const char *isa = argc > 1 ? argv[1] : NULL, *dtype = argc > 2 ? argv[2] : NULL;
    size_t threads = argc > 3 ? (size_t)atoi(argv[3]) : 0, wanted[1][3] = {{0}};
    for (int i = 0; i < 3; i++)
        wanted[0][i] = argc > 4 + i ? (size_t)atoi(argv[4 + i]) : 0;
    const size_t(*shape)[3] = wanted[0][0] ? (const size_t(*)[3])wanted : shapes;
    size_t n_shapes = wanted[0][0] ? 1 : sizeof shapes / sizeof shapes[0];
    for (size_t i = 0; i < sizeof peaks / sizeof peaks[0]; i++)
        if ((isa == NULL || strcmp(isa, peaks[i].isa) == 0) && pn_set_isa(peaks[i].isa) == PN_OK)
            for (size_t t = 1; t <= 2; t++)
                if (threads == 0 || t == threads) {
                    pn_set_num_threads(threads_in_use = t);
                    if (dtype == NULL || strcmp(dtype, "f32") == 0)
                        table_f32(peaks[i].isa, peaks[i].f32, peaks[i].bytes, t, shape, n_shapes);
                    if (dtype == NULL || strcmp(dtype, "f64") == 0)
                        table_f64(peaks[i].isa, peaks[i].f64, peaks[i].bytes, t, shape, n_shapes);
                }
    return 0;
}
