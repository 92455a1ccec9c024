/* SPDX-License-Identifier: MIT */
/* The parts of the bench; each returns an array of objects, one for each row of its table. */
#ifndef SUITES_H
#define SUITES_H

#include "report.h"

#include <stdbool.h>

json_t *suite_decode(double ms);
json_t *suite_encode(double ms);
json_t *suite_session(double ms);
json_t *suite_channels(double ms);
/* Runs this program under callgrind; NULL when there is none. */
json_t *suite_instructions(void);

/* One line of work for callgrind to count: `frames` frames of a case; false when there is no such case. */
bool suite_run_case(const char *name, unsigned long frames);

#endif
