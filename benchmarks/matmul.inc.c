/* What matmul.c measures, for one dtype. */

static double NAME(peak)(pn_task *task, int bytes, size_t threads)
{
    static _Alignas(64) unsigned char scratch[PN_SCRATCH_BYTES];
    double start = now();
    pn_parallel_for(threads, task, NULL, scratch, 1e6);
    return 2e-9 * PEAK_ROUNDS * CHAINS * (double)threads * ((double)bytes / sizeof(real)) / (now() - start);
}

static void NAME(run)(int product, size_t m, size_t k, size_t n, real *const *p)
{
    const pn_isa_kernels *isa = pn_kernels_in_use();
    int packed = product > 3;
    const NAME(pn_dense_layer) layer = {m, k, n, packed ? p[7] : p[1], packed, p[2], PN_IDENTITY, p[5]};
    if (product == 0 || product == 4)
        isa->KERNELS.dense_forward(&layer, p[0], NULL, p[3]);
    else if (product == 1 || product == 5)
        isa->KERNELS.dense_backward_x(&layer, p[3], PN_IDENTITY, NULL, p[0], p[4]);
    else if (product == 2)
        isa->KERNELS.dense_backward_weight(&layer, p[0], p[3], 1, 0, p[6]);
    else
        isa->KERNELS.dense_backward_weight(&layer, p[0], p[3], (real)-1e-9, 1, product == 3 ? p[6] : p[7]);
}

/* Prints a table of the best GFLOP/s of 60 batches of calls. */
static void NAME(table)(const char *isa, pn_task *task, int bytes, size_t threads, const size_t (*shape)[3],
                        size_t n_shapes)
{
    printf("%s %s, %zu thread%s: GFLOP/s (microseconds, share of peak)\n", isa, sizeof(real) == 4 ? "f32" : "f64",
           threads, threads > 1 ? "s" : "");
    printf("%6s%6s%6s%8s%23s%23s%23s%23s%s\n", "m", "k", "n", "peak", "forward", "backward_x", "backward_weight",
           "the same, descending", "   with packed weights: forward, backward_x, descending");
    for (size_t s = 0; s < n_shapes; s++) {
        size_t m = shape[s][0], k = shape[s][1], n = shape[s][2];
        size_t sizes[] = {m * k, k * n, n, m * n, m * k, pn_kernels_in_use()->KERNELS.dense_workspace(m, k, n), k * n,
                          pn_kernels_in_use()->KERNELS.packed_size(m, k, n)};
        real *p[8];
        int products = sizes[7] > 0 ? 7 : 4;
        for (int i = 0; i < 8; i++) {
            p[i] = aligned_alloc(64, (sizes[i] * sizeof(real) / 64 + 1) * 64);
            for (size_t j = 0; j < sizes[i]; j++)
                p[i][j] = (real)(((double)(j * 7919 % 1009) / 1009 - 0.5) / (double)k);
        }
        double best[7] = {1, 1, 1, 1, 1, 1, 1}, peak = 0, flops = 2.0 * (double)m * (double)k * (double)n;
        for (int batch = 0; batch < 60; batch++) {
            double now_peak = NAME(peak)(task, bytes, threads);
            peak = now_peak > peak ? now_peak : peak;
            for (int product = 0; product < products; product++) {
                size_t calls = (size_t)(2e7 / flops) + 1;
                if (calls > 1000)
                    calls = 1000;
                NAME(run)(product, m, k, n, p);
                double start = now();
                for (size_t i = 0; i < calls; i++)
                    NAME(run)(product, m, k, n, p);
                double seconds = (now() - start) / (double)calls;
                best[product] = seconds < best[product] ? seconds : best[product];
            }
        }
        printf("%6zu%6zu%6zu%8.1f", m, k, n, peak);
        for (int product = 0; product < products; product++)
            printf("%7.1f (%8.2f %3.0f%%)", flops / best[product] * 1e-9, best[product] * 1e6,
                   100 * flops / best[product] * 1e-9 / peak);
        printf("\n");
        for (int i = 0; i < 8; i++)
            free(p[i]);
    }
}
