/* Private: the order in which an epoch visits the rows. */
#ifndef PLAINNET_SHUFFLE_H
#define PLAINNET_SHUFFLE_H

#include <stddef.h>
#include <stdint.h>

#include "arithmetic.h"

/*
 * Writes a permutation of 0...n_rows-1 to order[n_rows], n_rows <= 2**32. It depends on the seed and the number of the
 * epoch alone, so that a run can be resumed at any epoch.
 */
void pn_shuffle(uint64_t seed, uint64_t epoch, size_t n_rows, size_t *order);

#endif
