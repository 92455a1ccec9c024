/* SPDX-License-Identifier: MIT */
/* Which requirement of VPCBUS.md has which scenarios. */
#ifndef VPC_CONFORM_COVERAGE_H
#define VPC_CONFORM_COVERAGE_H

#include <stdio.h>

#include "suite.h"

/* Writes each requirement with its scenarios, then the gaps; returns how many MUSTs have no scenario. */
size_t vpc_coverage(const struct vpc_suite *suite, FILE *out);

#endif
