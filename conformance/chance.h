/* SPDX-License-Identifier: MIT */
/* Chance that comes again: the same seed gives the same numbers, on every machine. */
#ifndef VPC_CONFORM_CHANCE_H
#define VPC_CONFORM_CHANCE_H

#include <stdint.h>

/* The next 64 bits; the state is a seed at first, any one. */
uint64_t vpc_draw(uint64_t *state);

#endif
