/* SPDX-License-Identifier: MIT */
/* See progress.h. */
#include "verdicts/progress.h"

#include <stdio.h>

#define CLEAR_LINE "\r\033[K"

static uint64_t real_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void vpc_progress_begin(struct vpc_progress *progress, const struct vpc_suite *suite)
{
    *progress = (struct vpc_progress){.suite = suite, .started = real_ms()};
}

void vpc_progress_starts(const struct vpc_progress *progress, const struct vpc_suite_run *run)
{
    if (!progress->suite->progress)
        return;
    fprintf(stderr, CLEAR_LINE "%zu/%zu", progress->ended, progress->suite->run_count);
    if (progress->bad)
        fprintf(stderr, ", %zu bad", progress->bad);
    fprintf(stderr, "  %s %.50s", run->backend->name, run->script->name);
}

void vpc_progress_ended(struct vpc_progress *progress, const struct vpc_suite_run *run)
{
    progress->ended++;
    progress->bad += vpc_standing_of(run) == VPC_STANDING_BAD;
}

uint64_t vpc_progress_end(const struct vpc_progress *progress)
{
    if (progress->suite->progress)
        fputs(CLEAR_LINE, stderr);
    return real_ms() - progress->started;
}
