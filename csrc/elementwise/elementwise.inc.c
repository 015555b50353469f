/* The room of elementwise functions: activations and losses with their derivatives, and what goes over a gradient. */
#include "math.inc.c"
#include "finite.inc.c"
#include "activation_vectors.inc.c"
#include "activations.inc.c"
#include "losses.inc.c"
#include "softmax.inc.c"
#include "block_sums.inc.c"
#include "updates.inc.c"
