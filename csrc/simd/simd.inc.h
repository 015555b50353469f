/*
 * The room of vector registers, for the instruction set and the dtype that are being compiled. It includes no other
 * file of this library. It needs the macros real, REAL_IS_DOUBLE, FN, PN_VECTOR_BYTES and PN_HAVE_FMA, and PN_JOIN and
 * PN_HAVE_X86_ISAS of kernels.h.
 */
#include "vector.inc.h"
#include "copy.inc.h"
#include "transpose.inc.h"
