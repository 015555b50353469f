/* The room of whole networks: layers are walked here, and computed by the kernels of an instruction set. */
#include "sizes.inc.c"
#include "parameters.inc.c"
#include "forward.inc.c"
#include "penalty.inc.c"
#include "backpropagation.inc.c"
#include "block_sums.inc.c"
#include "gradient.inc.c"
#include "input_gradient.inc.c"
