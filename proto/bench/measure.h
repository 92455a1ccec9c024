/* SPDX-License-Identifier: MIT */
/*
 * Contests: ways to do the same work, timed by turns in one process.
 *
 * A shared machine slows down and speeds up while it measures.  So the contenders alternate, each round gives
 * one ratio of times that were taken next to each other, and what counts is the median of those ratios.
 */
#ifndef MEASURE_H
#define MEASURE_H

#include <stdint.h>

#define CONTENDERS_MAX 6
#define ROUNDS         11

struct contender {
    const char *name;
    void (*run)(void *state); /* does the work once */
    void *state;
    double units; /* of work in one run, for instance frames; contest_add() takes the contest's */
};

/* A median and the quartiles around it. */
struct spread {
    double median, low, high;
};

struct contest {
    unsigned contenders;
    struct contender contender[CONTENDERS_MAX];
    double units;
    double ms;                           /* to spend on each contender in each round */
    struct spread ns[CONTENDERS_MAX];    /* per unit */
    struct spread ratio[CONTENDERS_MAX]; /* time, to the first contender's */
};

void contest_add(struct contest *contest, const char *name, void (*run)(void *), void *state);
void contest_run(struct contest *contest);

#endif
