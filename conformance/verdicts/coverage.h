/* SPDX-License-Identifier: MIT */
/* Which requirement of VPCBUS.md has which scenarios. */
#ifndef VPC_CONFORM_COVERAGE_H
#define VPC_CONFORM_COVERAGE_H

#include <stdio.h>

#include "verdicts/suite.h"

/* Writes each requirement with its scenarios, then the gaps; returns how many MUSTs have no scenario. */
size_t vpc_coverage(const struct vpc_suite *suite, FILE *out);

/*
 * The events of the catalogue that no `log <` step expects of the subject itself: each must be listed with
 * its reason in the file (lines `ID reason` and # comments; it need not exist), and what is listed must not
 * be expected.  Returns how many faults it wrote.
 */
size_t vpc_coverage_events(const struct vpc_suite *suite, const char *list, FILE *out);

#endif
