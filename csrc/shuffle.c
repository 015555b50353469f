/* The Fisher-Yates shuffle, with random numbers that are a function of (seed, epoch, position). */
#include "shuffle.h"

#include "arguments.h"
#include "random.h"

void pn_shuffle(uint64_t seed, uint64_t epoch, size_t n_rows, size_t *order)
{
    uint64_t key = pn_key(seed, epoch);
    for (size_t i = 0; i < n_rows; i++)
        order[i] = i;
    for (size_t i = n_rows; i-- > 1;) {
        uint64_t random = pn_mix(key + PN_GOLDEN * i) >> 32;
        size_t j = (size_t)((random * (i + 1)) >> 32);
        size_t swapped = order[i];
        order[i] = order[j];
        order[j] = swapped;
    }
}

pn_status pn_order(uint64_t seed, uint64_t epoch, size_t n_rows, size_t *order)
{
    if ((uint64_t)n_rows > UINT64_C(1) << 32)
        return PN_SIZE_OVERFLOW;
    pn_status status = pn_check_array((pn_array){order, n_rows * sizeof *order, sizeof *order});
    if (status == PN_OK)
        pn_shuffle(seed, epoch, n_rows, order);
    return status;
}
