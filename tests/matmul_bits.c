/*
 * The matrix kernels of every instruction set against the loops that kernels.h states, bit for bit.
 *
 *     cc -O3 tests/matmul_bits.c csrc/(every .c file) -Icsrc -lm -lpthread && ./a.out [threads] [seconds] [large]
 *
 * threads   numbers of threads to try, as in 1,2,3,8; by default 1
 * seconds   for shapes drawn at random, after the fixed ones
 * large     any word: the shapes that take long as well
 */
#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "descriptions.h"
#include "kernels.h"

enum { N_ISAS = 4, MOST_THREAD_COUNTS = 8 };

static const pn_isa_kernels *isas[N_ISAS]; /* that this machine has */
static int fuses[N_ISAS];                  /* whether each has fused multiply-adds */
static size_t n_isas, thread_counts[MOST_THREAD_COUNTS], n_thread_counts;
#include "fenced.inc.c"

/* ---- Both dtypes ------------------------------------------------------------------------------------------------ */

/* Where the compiler supports it, the expected sums use the machine's vectors of fused multiply-adds. */
#if defined(__GNUC__) && defined(__x86_64__)
#define WITH_FMA __attribute__((target("avx2,fma")))
#define MACHINE_HAS_FMA() (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
#else
#define WITH_FMA
#define MACHINE_HAS_FMA() 0
#endif

/* The loops that take the most time stay within their arrays, as their callers allocate them. */
#if defined(__GNUC__)
#define UNCHECKED __attribute__((no_sanitize("address", "undefined")))
#else
#define UNCHECKED
#endif

#define real float
#define REAL_FMA __builtin_fmaf
#define NAME(name) name##_f32
#define KERNELS f32
#include "matmul_bits.inc.c"
#undef real
#undef REAL_FMA
#undef NAME
#undef KERNELS
#define real double
#define REAL_FMA __builtin_fma
#define NAME(name) name##_f64
#define KERNELS f64
#include "matmul_bits.inc.c"

/* ---- Shapes ----------------------------------------------------------------------------------------------------- */

static const size_t sizes[] = {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 128, 129, 257, 512, 1030};
enum { N_SIZES = sizeof sizes / sizeof sizes[0] };

/* Besides the random ones: wide, blocked, deep, one row, one term, and few columns with many terms. */
static const size_t shapes[][3] = {
    {1, 784, 128}, {128, 784, 10}, {1, 1030, 1030}, {1030, 1, 1030}, {1030, 1030, 1}, {257, 600, 512},
    {2000, 13, 64}, {1100, 64, 200}, {3, 2049, 700}, {12, 700, 600}, {13, 700, 600}, {1500, 100, 130}, {1200, 300, 5}, {520, 1024, 40},
    {40, 1024, 530}, {300, 520, 520}, {32, 65, 1}, {33, 1, 65}, {1, 65, 33}, {24, 1200, 1100},
    {1500, 8, 600}, {1000, 70, 1030}, {900, 130, 1500},
    {33, 900, 140}, {48, 300, 201}, {64, 513, 129}, {17, 520, 1030}, {100, 10, 2100}, {371, 13, 512},
    {176, 300, 505}, {353, 400, 100}, {70, 620, 610}, {1, 200, 210}, {5, 330, 300}, {11, 300, 330}, {20, 410, 300},
    {1500, 1024, 40}, {1100, 512, 70}, {3, 1, 700000}, {1, 1500, 1700}, {2, 900, 1100}, {7, 640, 1040}, {1040, 1040, 20},
    {40, 15000, 1}, {70, 7000, 2}, {8, 60, 25000}, {1, 15000, 3},
};
enum { N_SHAPES = sizeof shapes / sizeof shapes[0] };

/* Several blocks of A, of B and of the sum, for every thread. */
static const size_t large_shapes[][3] = {
    {1030, 1030, 1030}, {600, 1600, 600}, {2100, 530, 520}, {1, 4100, 3000}, {97, 2100, 1300}, {512, 1024, 1024},
    {40, 3000, 1500},
};
enum { N_LARGE_SHAPES = sizeof large_shapes / sizeof large_shapes[0] };

static void check(size_t m, size_t k, size_t n, int both)
{
    check_shape_f32(m, k, n, both);
    check_shape_f64(m, k, n, both);
}

int main(int argc, char **argv)
{
    const char *names[N_ISAS] = {"baseline", "avx2", "avx512", "neon"};
    double seconds = argc > 2 ? atof(argv[2]) : 10;
    size_t checked = 0;
    const char *counts = argc > 1 ? argv[1] : "1";
    while (*counts != '\0' && n_thread_counts < MOST_THREAD_COUNTS) {
        char *rest;
        thread_counts[n_thread_counts] = strtoul(counts, &rest, 10);
        if (rest == counts || pn_set_num_threads(thread_counts[n_thread_counts++]) != PN_OK)
            return 2;
        counts = *rest == ',' ? rest + 1 : rest;
    }
    raise_fences();
    for (size_t i = 0; i < N_ISAS; i++)
        if (pn_set_isa(names[i]) == PN_OK) {
            fuses[n_isas] = i > 0; /* not the baseline, which some machines do not have */
            isas[n_isas++] = pn_kernels_in_use();
        }
    for (size_t s = 0; s < N_SHAPES; s++, checked++)
        check(shapes[s][0], shapes[s][1], shapes[s][2], 1);
    for (size_t s = 0; argc > 3 && s < N_LARGE_SHAPES; s++, checked++)
        check(large_shapes[s][0], large_shapes[s][1], large_shapes[s][2], 1);
    for (time_t end = time(NULL) + (time_t)seconds; time(NULL) < end; checked++) {
        size_t m = sizes[random_bits() % N_SIZES], k = sizes[random_bits() % N_SIZES];
        size_t n = sizes[random_bits() % N_SIZES];
        if (argc > 3 || (double)m * (double)k * (double)n < 3e8)
            check(m, k, n, 0);
    }
    printf("%zu shapes: the bits agree\n", checked);
    return 0;
}
