/*
 * The room of vector registers, for the instruction set and the dtype that are being compiled. It includes nothing of
 * this library. These must be defined before: real, REAL_IS_DOUBLE, FN, PN_VECTOR_BYTES, PN_HAVE_FMA, and of kernels.h
 * PN_JOIN and PN_HAVE_X86_ISAS.
 */
#include "vector.inc.h"
#include "copy.inc.h"
#include "transpose.inc.h"
