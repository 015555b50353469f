/*
 * The room of shortcuts: whole networks in one kernel, with the bits of dense/. Each shortcut is asked with a
 * description of the work, and refuses what it does not know.
 */
#include "narrow_forward.inc.c"
#include "tiny_train.inc.c"
