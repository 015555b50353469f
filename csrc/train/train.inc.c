/* The room of training: a run, the way back from divergence, a step, and what is public. */
#include "run.inc.c"
#include "rollback.inc.c"
#include "step.inc.c"
#include "pn_train.inc.c"
