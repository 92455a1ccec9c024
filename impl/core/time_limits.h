/* SPDX-License-Identifier: MIT */
/*
 * Time limits: a heap that has the earliest at its top, so that it is known at once, and one is set, moved or cleared in as
 * many steps as the heap is deep.  A limit knows its place in the heap; nothing is allocated but the heap, once.
 */
#ifndef VPC_CORE_TIME_LIMITS_H
#define VPC_CORE_TIME_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

struct vpc_time_limit {
    uint64_t due;
    unsigned place; /* in the heap, from 1; 0: it is not set */
};

struct vpc_time_limits {
    struct vpc_time_limit **heap; /* heap[0] is not used */
    unsigned count;
    uint64_t steps; /* up or down in the heap so far, for tests */
};

/* Room for so many; false: no memory. */
bool vpc_time_limits_init(struct vpc_time_limits *limits, unsigned room);
void vpc_time_limits_free(struct vpc_time_limits *limits);
/* UINT64_MAX clears it. */
void vpc_time_limit_set(struct vpc_time_limits *limits, struct vpc_time_limit *limit, uint64_t due);
/* The earliest, or NULL. */
struct vpc_time_limit *vpc_time_limits_first(const struct vpc_time_limits *limits);

#endif
