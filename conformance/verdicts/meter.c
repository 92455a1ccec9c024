/* SPDX-License-Identifier: MIT */
/* See meter.h. */
#include "verdicts/meter.h"

#include <stdio.h>

#include "clock.h"

#define CLEAR_LINE "\r\033[K"

void vpc_meter_begin(struct vpc_meter *meter, const struct vpc_suite *suite)
{
    *meter = (struct vpc_meter){.suite = suite, .started = vpc_real_ms()};
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
    return vpc_real_ms() - meter->started;
}
