/* All kernels for one instruction set and one dtype, each room after those that it calls. */
#include "kernels.h"

#ifdef PN_ISA

#include "simd/simd.inc.h"
#include "elementwise/elementwise.inc.c"
#include "gemm/gemm.inc.c"
#include "dense/dense.inc.c"
#include "fused/fused.inc.c"
#undef real
#undef REAL_IS_DOUBLE
#undef FN
#undef PN_LANES
#undef PN_UNROLL

#endif
