/* SPDX-License-Identifier: MIT */
/*
 * Reports of a suite that has run: for people (summary, text, HTML), for CI (TAP, JUnit), for programs
 * (JSON).
 *
 * Every writer takes a stream; vpc_report_write() makes the file around it.  Texts of strangers pass through
 * clean.h.
 */
#ifndef VPC_CONFORM_REPORT_H
#define VPC_CONFORM_REPORT_H

#include <stdio.h>

#include "verdicts/suite.h"

typedef void vpc_report_fn(const struct vpc_suite *suite, FILE *out);

/* One row for each run, and all about each that is neither good nor expected. */
vpc_report_fn vpc_report_text;
vpc_report_fn vpc_report_tap, vpc_report_tap14;
vpc_report_fn vpc_report_junit;
/* As report.schema.json says. */
vpc_report_fn vpc_report_json;
/* One page that needs nothing else. */
vpc_report_fn vpc_report_html;

/*
 * Writes one to a file, or to standard output for "-".  False: *error, which the caller frees; a file that
 * could not be written whole is named there with the reason.
 */
bool vpc_report_write(const struct vpc_suite *suite, vpc_report_fn *fn, const char *path,
                      char **error);

/* What a person at a terminal wants to know: the first difference if there is one, a table by topic, one
   line. */
void vpc_report_summary(const struct vpc_suite *suite, FILE *out, bool colour);
/* All about one run, with its requirements and the end of its trace. */
void vpc_report_detail(const struct vpc_suite *suite, const struct vpc_suite_run *run, FILE *out);
/* Which scenarios were not run and why, a line for each reason. */
void vpc_report_left_out(const struct vpc_suite *suite, FILE *out);
/* The numbers of all runs, in one line. */
void vpc_report_totals(const struct vpc_suite *suite, FILE *out);

/* One run as an object of report.schema.json, without its trace. */
json_t *vpc_report_run_json(const struct vpc_suite_run *run);

#endif
