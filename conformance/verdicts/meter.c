/* SPDX-License-Identifier: MIT */
/* See meter.h. */
#include "verdicts/meter.h"

#include <stdio.h>

#define CLEAR_LINE "\r\033[K"

static uint64_t real_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void vpc_meter_begin(struct vpc_meter *meter, const struct vpc_suite *suite)
{
    *meter = (struct vpc_meter){.suite = suite, .started = real_ms()};
}

void vpc_meter_starts(const struct vpc_meter *meter, const struct vpc_suite_run *run)
{
    if (!meter->suite->progress)
        return;
    fprintf(stderr, CLEAR_LINE "%zu/%zu", meter->ended, meter->suite->run_count);
    if (meter->bad)
        fprintf(stderr, ", %zu bad", meter->bad);
    fprintf(stderr, "  %s %.50s", run->backend->name, run->script->name);
}

void vpc_meter_ended(struct vpc_meter *meter, const struct vpc_suite_run *run)
{
    meter->ended++;
    meter->bad += vpc_standing_of(run) == VPC_STANDING_BAD;
}

uint64_t vpc_meter_end(const struct vpc_meter *meter)
{
    if (meter->suite->progress)
        fputs(CLEAR_LINE, stderr);
    return real_ms() - meter->started;
}
