/* The room of training: the optimizers' updates, a run, the way back from divergence, a step, and what is public. */
#include "update.inc.c"
#include "run.inc.c"
#include "rollback.inc.c"
#include "step.inc.c"
#include "pn_train.inc.c"
