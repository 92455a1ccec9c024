/* SPDX-License-Identifier: MIT */
/* Inputs that are one octet of settings and then steps: what such a target tells the mutator of
   mutate_steps.c. */
#ifndef FUZZ_STEPS_H
#define FUZZ_STEPS_H

#include <stddef.h>
#include <stdint.h>

/* Octets of the step at `at`, operands included; 1 to `left`, which is 1 or more. */
size_t fuzz_step_size(const uint8_t *at, size_t left);

#endif
