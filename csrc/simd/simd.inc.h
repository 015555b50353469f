/*
 * The room of vector registers, for the instruction set and dtype being compiled. Defined beforehand are `real`,
 * REAL_IS_DOUBLE, FN, PN_VECTOR_BYTES, PN_HAVE_FMA, and from kernels.h PN_JOIN and PN_HAVE_X86_ISAS; nothing else of
 * this library is used here.
 */
#include "vector.inc.h"
#include "copy.inc.h"
#include "transpose.inc.h"
