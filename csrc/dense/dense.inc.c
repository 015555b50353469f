/* The three products of a dense layer. */
#include "sizes.inc.c"
#include "forward.inc.c"
#include "backward.inc.c"
#include "packed_weights.inc.c"
#include "bias.inc.c"
