/* 64-bit ARM: 128-bit vectors with fused multiply-add, which every such machine has. */
#include "kernels.h"

#if defined(__aarch64__)
#define PN_ISA neon
#define PN_VECTOR_BYTES 16
#define PN_HAVE_FMA 1
#include "simd/region_begin.inc.h"
#include "isa.inc.c"
#include "simd/region_end.inc.h"
#endif
