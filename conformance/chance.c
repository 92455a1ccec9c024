/* SPDX-License-Identifier: MIT */
/* See chance.h; the generator is SplitMix64. */
#include "chance.h"

uint64_t vpc_draw(uint64_t *state)
{
    uint64_t x = *state += 0x9e3779b97f4a7c15;

    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}
