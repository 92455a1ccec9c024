/* SPDX-License-Identifier: MIT */
#include "measure.h"

#include <stdlib.h>
#include <time.h>

static double now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double time_runs(const struct contender *contender, unsigned long runs)
{
    double start = now_ns();

    while (runs-- > 0)
        contender->run(contender->state);
    return now_ns() - start;
}

/* Also warms what the contender uses. */
static unsigned long calibrate(const struct contender *contender, double ms)
{
    unsigned long runs = 1;
    double spent;

    while ((spent = time_runs(contender, runs)) < ms * 1e6 / 4)
        runs *= 2;
    return (unsigned long)((double)runs * ms * 1e6 / spent) + 1;
}

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static struct spread spread_of(double *samples)
{
    qsort(samples, ROUNDS, sizeof(samples[0]), compare);
    return (struct spread){samples[ROUNDS / 2], samples[ROUNDS / 4], samples[ROUNDS * 3 / 4]};
}

void contest_add(struct contest *contest, const char *name, void (*run)(void *), void *state)
{
    contest->contender[contest->contenders++] =
        (struct contender){name, run, state, contest->units};
}

void contest_run(struct contest *contest)
{
    unsigned long runs[CONTENDERS_MAX];
    double ns[CONTENDERS_MAX][ROUNDS], ratio[CONTENDERS_MAX][ROUNDS];

    for (unsigned i = 0; i < contest->contenders; i++)
        runs[i] = calibrate(&contest->contender[i], contest->ms);
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < contest->contenders; i++)
            ns[i][round] = time_runs(&contest->contender[i], runs[i]) /
                           ((double)runs[i] * contest->contender[i].units);
        for (unsigned i = 0; i < contest->contenders; i++)
            ratio[i][round] = ns[i][round] / ns[0][round];
    }
    for (unsigned i = 0; i < contest->contenders; i++) {
        contest->ns[i] = spread_of(ns[i]);
        contest->ratio[i] = spread_of(ratio[i]);
    }
}
