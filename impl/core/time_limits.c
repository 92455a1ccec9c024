/* SPDX-License-Identifier: MIT */
#include "time_limits.h"

#include <stddef.h>
#include <stdlib.h>

bool vpc_time_limits_init(struct vpc_time_limits *limits, unsigned room)
{
    *limits = (struct vpc_time_limits){.heap = calloc(room + 1u, sizeof(struct vpc_time_limit *))};
    return limits->heap != NULL;
}

void vpc_time_limits_free(struct vpc_time_limits *limits)
{
    free(limits->heap);
}

static void put(struct vpc_time_limits *limits, unsigned place, struct vpc_time_limit *limit)
{
    limits->heap[place] = limit;
    limit->place = place;
    limits->steps++;
}

/* The place is free for the limit, or for one that stands above it and is due later. */
static void rise(struct vpc_time_limits *limits, unsigned place, struct vpc_time_limit *limit)
{
    for (; place > 1 && limits->heap[place / 2]->due > limit->due; place /= 2)
        put(limits, place, limits->heap[place / 2]);
    put(limits, place, limit);
}

/* The place is free for the limit, or for the one below it that is due first. */
static void sink(struct vpc_time_limits *limits, unsigned place, struct vpc_time_limit *limit)
{
    unsigned below;

    for (; (below = 2 * place) <= limits->count; place = below) {
        if (below < limits->count && limits->heap[below + 1]->due < limits->heap[below]->due)
            below++;
        if (limits->heap[below]->due >= limit->due)
            break;
        put(limits, place, limits->heap[below]);
    }
    put(limits, place, limit);
}

static void find_place(struct vpc_time_limits *limits, unsigned place, struct vpc_time_limit *limit)
{
    if (place > 1 && limits->heap[place / 2]->due > limit->due)
        rise(limits, place, limit);
    else
        sink(limits, place, limit);
}

static void clear(struct vpc_time_limits *limits, struct vpc_time_limit *limit)
{
    unsigned place = limit->place;
    struct vpc_time_limit *last = limits->heap[limits->count--];

    limit->place = 0;
    if (last != limit)
        find_place(limits, place, last);
}

void vpc_time_limit_set(struct vpc_time_limits *limits, struct vpc_time_limit *limit, uint64_t due)
{
    if (due == UINT64_MAX) {
        if (limit->place != 0)
            clear(limits, limit);
        return;
    }
    if (limit->place != 0 && limit->due == due)
        return;
    limit->due = due;
    if (limit->place == 0)
        rise(limits, ++limits->count, limit);
    else
        find_place(limits, limit->place, limit);
}

struct vpc_time_limit *vpc_time_limits_first(const struct vpc_time_limits *limits)
{
    return limits->count > 0 ? limits->heap[1] : NULL;
}
