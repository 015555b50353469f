/* What every machine of the target architecture has: on x86-64 SSE2, without fused multiply-add. */
#include "kernels.h"

#if !defined(__aarch64__)
#define PN_ISA baseline
#define PN_VECTOR_BYTES 16
#if defined(__FP_FAST_FMA) && defined(__FP_FAST_FMAF)
#define PN_HAVE_FMA 1
#else
#define PN_HAVE_FMA 0
#endif
#include "simd/region_begin.inc.h"
#include "isa.inc.c"
#include "simd/region_end.inc.h"
#endif
