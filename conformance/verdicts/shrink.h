/* SPDX-License-Identifier: MIT */
/*
 * Failing scripts made small: by delta debugging over their lines, then by halving the numbers of the lines
 * that are left (bytes=, times=, repeat N, wait T).
 *
 * A smaller script counts when it fails as the first did: the same verdict, requirements and step, and the
 * same found but for numbers.  Where the fault is that something does not come, a script that no longer asks
 * for it would do too; so a good implementation may be given, which must pass what is kept.
 */
#ifndef VPC_CONFORM_SHRINK_H
#define VPC_CONFORM_SHRINK_H

#include "verdicts/suite.h"

struct vpc_shrink {
    struct vpc_suite *suite;
    struct vpc_suite_run run;              /* how it is run; its script is not looked at */
    const struct vpc_implementation *good; /* must pass, or NULL */
    const char *path;                      /* of the script, for messages */
    const struct vpc_result *wanted;       /* how it must fail */
    size_t tries;                          /* that were made */
    bool numbers; /* they are being made small: those of the step that fails may differ too */
    void (*progress)(const struct vpc_shrink *shrink, size_t lines); /* or NULL */
};

/* Whether the text fails as wanted, run as shrink->run says. */
bool vpc_shrink_fails(struct vpc_shrink *shrink, const char *text);
/* Not after too many tries, or when interrupted. */
bool vpc_shrink_may_try(const struct vpc_shrink *shrink);
/* shrink_numbers.c: takes over a text that fails as wanted, and gives one with smaller numbers that does
   too. */
char *vpc_shrink_numbers(struct vpc_shrink *shrink, char *text);
/* The smallest text that was found; freed by the caller.  The given one must fail. */
char *vpc_shrink_text(struct vpc_shrink *shrink, const char *text);

#endif
