/*
 * C[m][n] = init[n] + A[m][k] B[k][n] with what follows the sum fused in, where A and B may lie transposed in memory.
 *
 * Every element of C is one chain of fused multiply-adds over k, in order. It lives in one lane of one register of a
 * tile; between two blocks of k it rests in C itself. So nothing below can change a bit of the result: neither the
 * tile's shape, nor the blocks, nor which thread computes which part of C.
 */
#include "blocking.inc.h"
#include "product.inc.h"
#include "microkernel.inc.c"
#include "packing.inc.c"
#include "tiles.inc.c"
#include "macrokernel.inc.c"
#include "unpacked.inc.c"
#include "transposed.inc.c"
#include "select.inc.c"
#include "partition.inc.c"
