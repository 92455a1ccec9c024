/* SPDX-License-Identifier: MIT */
/* Real time, in milliseconds since some moment before this machine's start: it never goes back. */
#ifndef VPC_CONFORM_CLOCK_H
#define VPC_CONFORM_CLOCK_H

#include <stdint.h>

/* Ends the program where the kernel has no such clock. */
uint64_t vpc_real_ms(void);

#endif
