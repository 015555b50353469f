/* Private: random numbers as a function of numbers, for the order of rows and for the masks of dropout. */
#ifndef PLAINNET_RANDOM_H
#define PLAINNET_RANDOM_H

#include <stdint.h>

/* 2^64 over the golden ratio: its multiples are spread evenly. */
#define PN_GOLDEN UINT64_C(0x9e3779b97f4a7c15)

/* SplitMix64's output function (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014). */
static inline uint64_t pn_mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* A key made of another one and a number. */
static inline uint64_t pn_key(uint64_t key, uint64_t number) { return pn_mix(key + pn_mix(number + PN_GOLDEN)); }

#endif
