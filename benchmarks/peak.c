/*
 * The peak of a core: fused multiply-adds of the widest vectors in registers, in as many independent chains as hide
 * the latency. benchmarks/peers/fma_peak.py compiles it with -march=native.
 */

#if defined(__AVX512F__)
enum { VECTOR_BYTES = 64, CHAINS = 24 };
#elif defined(__AVX__)
enum { VECTOR_BYTES = 32, CHAINS = 12 };
#else
enum { VECTOR_BYTES = 16, CHAINS = 12 };
#endif

#define DEFINE_PEAK(NAME, REAL)                                                                         \
    typedef REAL vector_##REAL __attribute__((vector_size(VECTOR_BYTES)));                              \
                                                                                                        \
    /* Does at least n_flops operations. The result depends on all of them. */                        \
    double NAME(double n_flops)                                                                         \
    {                                                                                                   \
        enum { LANES = VECTOR_BYTES / sizeof(REAL) };                                                   \
        vector_##REAL sums[CHAINS], factor, term;                                                       \
        for (int lane = 0; lane < LANES; lane++)                                                        \
            factor[lane] = (REAL)0.999, term[lane] = (REAL)0.001;                                       \
        for (int i = 0; i < CHAINS; i++)                                                                \
            sums[i] = term * (REAL)i;                                                                   \
        for (double done = 0.0; done < n_flops; done += 2.0 * 64 * CHAINS * LANES)                      \
            for (int repeat = 0; repeat < 64; repeat++)                                                 \
                _Pragma("GCC unroll 24")                                                                \
                for (int i = 0; i < CHAINS; i++)                                                        \
                    sums[i] = sums[i] * factor + term;                                                  \
        double total = 0.0;                                                                             \
        for (int i = 0; i < CHAINS; i++)                                                                \
            for (int lane = 0; lane < LANES; lane++)                                                    \
                total += sums[i][lane];                                                                 \
        return total;                                                                                   \
    }

DEFINE_PEAK(peak_f64, double)
DEFINE_PEAK(peak_f32, float)
