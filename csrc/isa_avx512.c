/* x86-64 with AVX2, FMA and AVX-512 F, DQ, BW, VL: 512-bit vectors. */
#include "kernels.h"

#if PN_HAVE_X86_ISAS
#define PN_ISA avx512
#define PN_VECTOR_BYTES 64
#define PN_HAVE_FMA 1
#include "simd/region_begin.inc.h"
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,avx512f,avx512dq,avx512bw,avx512vl"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,avx512f,avx512dq,avx512bw,avx512vl,prefer-vector-width=512")
#endif
#include "isa.inc.c"
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#include "simd/region_end.inc.h"
#endif
