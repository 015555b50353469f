/*
 * The room of the matrix product: C[m][n] = epilogue(init[n] + A[m][k] B[k][n]), where A, B and C may lie transposed.
 * csrc/README.md has a picture of its loops.
 *
 * Every element of C is one chain of fused multiply-adds over k, in ascending order. It stays in one lane of one
 * accumulator of a micro-tile; between two blocks of k it rests in C itself. So neither the shape of a micro-tile, nor
 * the sizes of blocks, nor the thread that computes a part of C can change a bit of the result.
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
