/*
 * The room of the dense layer: its three products, the gradient of the bias, and norms of its weights. Each product is
 * stated as one of csrc/gemm/, by a layer's sizes and arrays. So is the Gram matrix of a Jacobian.
 */
#include "sizes.inc.c"
#include "packed_weights.inc.c"
#include "norms.inc.c"
#include "forward.inc.c"
#include "backward.inc.c"
#include "bias.inc.c"
#include "gram.inc.c"
