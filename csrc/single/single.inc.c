/* The room of the public functions that compute one equation. */
#include "activations.inc.c"
#include "dense.inc.c"
