/*
 * The room of the dense layer: its three products, and the gradient of the bias. Each function here states a layer's
 * sizes and arrays as a product of csrc/gemm/.
 */
#include "sizes.inc.c"
#include "packed_weights.inc.c"
#include "forward.inc.c"
#include "backward.inc.c"
#include "bias.inc.c"
