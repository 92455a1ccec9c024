/* SPDX-License-Identifier: MIT */
#ifndef GOALS_H
#define GOALS_H

#include "report.h"

/* An array of {"goal", "met", "measured"}. */
json_t *goals_of(const json_t *results);

#endif
