/* SPDX-License-Identifier: MIT */
/* What was measured, as JSON, and a table made from it. */
#ifndef REPORT_H
#define REPORT_H

#include "measure.h"

#include <jansson.h>

/* {"name": {"ns": [low, median, high], "per_second": ..., "ratio": [low, median, high]}, ...} */
json_t *report_contest(const struct contest *contest);
/* The times of `name` to those of the contest's first; and of two others, by their medians. */
double report_ratio(const json_t *contest, const char *name);
double report_ns(const json_t *contest, const char *name);

void report_print(const json_t *results);

#endif
