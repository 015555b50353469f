/* Private: the order in which an epoch visits the rows. */
#ifndef PLAINNET_SHUFFLE_H
#define PLAINNET_SHUFFLE_H

#include <stddef.h>
#include <stdint.h>

#include "arithmetic.h"

/*
 * order[n_rows], n_rows <= 2**32: a permutation of 0...n_rows-1 that depends on the seed and the epoch's number alone,
 * so that a run can be taken up anywhere.
 */
void pn_shuffle(uint64_t seed, uint64_t epoch, size_t n_rows, size_t *order);

#endif
