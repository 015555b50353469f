/*
 * The matrix kernels of every instruction set against the loops that kernels.h states, bit for bit.
 *
 *     cc -O2 tests/matmul_bits.c csrc/(every .c file) -Icsrc -lm -lpthread && ./a.out [threads] [seconds]
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "kernels.h"

static uint64_t random_state = 88172645463325252u;

static uint64_t random_bits(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    return random_state ^= random_state << 17;
}

static int fused;

#define real float
#define REAL_FMA fmaf
#define NAME(name) name##_f32
#define KERNELS f32
#include "matmul_bits.inc.c"
#undef real
#undef REAL_FMA
#undef NAME
#undef KERNELS
#define real double
#define REAL_FMA fma
#define NAME(name) name##_f64
#define KERNELS f64
#include "matmul_bits.inc.c"

static const size_t sizes[] = {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 128, 129, 257, 512, 1030};
enum { N_SIZES = sizeof sizes / sizeof sizes[0] };

/* Wide, blocked, deep, single-row, single-term and thin but long shapes besides the random ones. */
static const size_t shapes[][3] = {
    {1, 784, 128}, {128, 784, 10}, {1, 1030, 1030}, {1030, 1, 1030}, {1030, 1030, 1}, {257, 600, 512},
    {2000, 13, 64}, {1100, 64, 200}, {3, 2049, 700}, {12, 700, 600}, {13, 700, 600}, {1500, 100, 130}, {1200, 300, 5}, {520, 1024, 40},
    {40, 1024, 530}, {300, 520, 520}, {32, 65, 1}, {33, 1, 65}, {1, 65, 33}, {24, 1200, 1100},
    {1500, 8, 600}, {1000, 70, 1030}, {900, 130, 1500},
    {33, 900, 140}, {48, 300, 201}, {64, 513, 129}, {17, 520, 1030}, {100, 10, 2100}, {371, 13, 512},
    {176, 300, 505}, {353, 400, 100}, {70, 620, 610}, {1, 200, 210}, {5, 330, 300}, {11, 300, 330}, {20, 410, 300},
};
enum { N_SHAPES = sizeof shapes / sizeof shapes[0] };

int main(int argc, char **argv)
{
    const char *names[] = {"baseline", "avx2", "avx512", "neon"};
    double seconds = argc > 2 ? atof(argv[2]) : 10;
    size_t checked = 0;
    if (argc > 1 && pn_set_num_threads((size_t)atoi(argv[1])) != PN_OK)
        return 2;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (pn_set_isa(names[i]) != PN_OK)
            continue;
        const pn_isa_kernels *isa = pn_kernels_in_use();
        fused = i > 0; /* not on the baseline, which some machines do not have */
        for (size_t s = 0; s < N_SHAPES; s++, checked++) {
            check_f32(isa, shapes[s][0], shapes[s][1], shapes[s][2]);
            check_f64(isa, shapes[s][0], shapes[s][1], shapes[s][2]);
        }
        for (time_t end = time(NULL) + (time_t)seconds; time(NULL) < end; checked++) {
            size_t m = sizes[random_bits() % N_SIZES], k = sizes[random_bits() % N_SIZES];
            size_t n = sizes[random_bits() % N_SIZES];
            check_f32(isa, m, k, n);
            check_f64(isa, m, k, n);
        }
    }
    printf("%zu shapes: the bits agree\n", checked);
    return 0;
}
