/* SPDX-License-Identifier: MIT */
/* One line on a terminal that tells how far a suite has come; nothing where suite->progress is off. */
#ifndef VPC_CONFORM_METER_H
#define VPC_CONFORM_METER_H

#include "verdicts/suite.h"

struct vpc_meter {
    const struct vpc_suite *suite;
    size_t ended, bad;
    uint64_t started; /* milliseconds */
};

/* Its clock begins; the suite is the caller's and outlives it. */
void vpc_meter_begin(struct vpc_meter *meter, const struct vpc_suite *suite);
/* Shows on standard error which run begins, if the suite shows its progress. */
void vpc_meter_starts(const struct vpc_meter *meter, const struct vpc_suite_run *run);
/* Counts it, by the result that it has. */
void vpc_meter_ended(struct vpc_meter *meter, const struct vpc_suite_run *run);
/* Takes the line away; the milliseconds since the begin. */
uint64_t vpc_meter_end(const struct vpc_meter *meter);

#endif
