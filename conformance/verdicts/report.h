/* SPDX-License-Identifier: MIT */
/* Reports of a suite that has run: for people, for CI (JUnit), for programs (JSON). */
#ifndef VPC_CONFORM_REPORT_H
#define VPC_CONFORM_REPORT_H

#include <stdio.h>

#include "verdicts/suite.h"

/* The verdict table, and each verdict that is no pass in full. */
void vpc_report_text(const struct vpc_suite *suite, FILE *out, bool colour);
/* False with errno when the file can not be written. */
bool vpc_report_junit(const struct vpc_suite *suite, const char *path);
bool vpc_report_json(const struct vpc_suite *suite, const char *path);
size_t vpc_report_count(const struct vpc_suite *suite, enum vpc_verdict verdict);

#endif
