/* SPDX-License-Identifier: MIT */
/* See clock.h. */
#include "clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "memory.h"

uint64_t vpc_real_ms(void)
{
    struct timespec now;

    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) {
        fprintf(stderr, "vpc-conform: this kernel tells no time: %s\n", strerror(errno));
        _exit(VPC_EXIT_HARNESS);
    }
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}
