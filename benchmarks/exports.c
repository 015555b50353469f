/*
 * Runs an exported network, for benchmarks/exports.py. The network's file is included, with its
 * void run(const float *x, float *out).
 *
 * On a host: a library, whose repeat() is timed, and a program of one prediction, for its size. On a Cortex-M: a program
 * that predicts some rows, and reports how many ticks of the system timer this takes.
 */
#include NETWORK

#ifndef ROWS
void repeat(long n, long n_rows, long n_in, long n_out, const float *x, float *out);

void repeat(long n, long n_rows, long n_in, long n_out, const float *x, float *out)
{
    for (long k = 0; k < n; k++)
        run(x + k % n_rows * n_in, out + k % n_rows * n_out);
}

int main(void)
{
    float x[N_IN] = {0}, out[N_OUT] = {0};
    __asm__ volatile("" : : "r"(x) : "memory");
    run(x, out);
    return out[0] > 0;
}
#else
#include <stdint.h>

static const float rows[N_ROWS][N_IN] = {
#include ROWS
};

void report(const char *name, uint32_t number); /* of tests/cortex_m.c */

int main(void)
{
    static float out[N_OUT];
    volatile uint32_t *const timer = (volatile uint32_t *)0xE000E010; /* control, reload, current value */
    timer[1] = 0xFFFFFF;
    timer[2] = 0;
    timer[0] = 5; /* on, with the processor's clock */
    const uint32_t before = timer[2];
    for (int k = 0; k < REPEATS * N_ROWS; k++) {
        run(rows[k % N_ROWS], out);
        __asm__ volatile("" : : "r"(rows[k % N_ROWS]), "r"(out) : "memory"); /* which an empty network needs, too */
    }
    report("ticks", (before - timer[2]) & 0xFFFFFF);
    return 0;
}
#endif
