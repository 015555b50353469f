/* x86-64 with AVX2 and FMA (2013 on): 256-bit vectors. */
#include "kernels.h"

#if PN_HAVE_X86_ISAS
#define PN_ISA avx2
#define PN_VECTOR_BYTES 32
#define PN_HAVE_FMA 1
#include "simd/region_begin.inc.h"
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
#include "isa.inc.c"
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#include "simd/region_end.inc.h"
#endif
