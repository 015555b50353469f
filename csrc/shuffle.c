/* The Fisher-Yates shuffle, with random numbers that are a function of (seed, epoch, position). */
#include "shuffle.h"

/* SplitMix64's output function (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014). */
static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void pn_shuffle(uint64_t seed, uint64_t epoch, size_t n_rows, size_t *order)
{
    const uint64_t golden = UINT64_C(0x9e3779b97f4a7c15); /* 2^64 over the golden ratio */
    uint64_t key = mix(seed + mix(epoch + golden));
    for (size_t i = 0; i < n_rows; i++)
        order[i] = i;
    for (size_t i = n_rows; i-- > 1;) {
        uint64_t random = mix(key + golden * i) >> 32;
        size_t j = (size_t)((random * (i + 1)) >> 32);
        size_t swapped = order[i];
        order[i] = order[j];
        order[j] = swapped;
    }
}
