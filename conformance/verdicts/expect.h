/* SPDX-License-Identifier: MIT */
/*
 * Expected verdicts: what is known to go wrong, and the alarm when it no longer does.
 *
 * A file has lines `SCENARIO VERDICT REASON`, where SCENARIO is a name or a pattern of the shell, VERDICT a
 * word of vpc_verdict_word(), and REASON is for people and may not be missing.  A line `[NAME]` binds what
 * follows to the implementation of that name.  `#` begins a comment.  Of several lines that fit a run the
 * last counts.
 *
 * Ownership: the list owns its texts; vpc_expectations_free() frees it.
 */
#ifndef VPC_CONFORM_EXPECT_H
#define VPC_CONFORM_EXPECT_H

#include <stddef.h>

#include "verdict.h"

struct vpc_expectation {
    char *scenario;
    char *implementation; /* NULL: any */
    enum vpc_verdict verdict;
    char *reason;
    char *place; /* FILE:LINE */
    size_t runs; /* that it was for */
};

struct vpc_expectations {
    struct vpc_expectation *list;
    size_t count;
};

/* Adds those of a file.  False: *error is "FILE:LINE: ...", which the caller frees. */
bool vpc_expectations_load(struct vpc_expectations *all, const char *path, char **error);
/* The one for this run, or NULL. */
struct vpc_expectation *vpc_expectation_of(const struct vpc_expectations *all, const char *scenario,
                                           const char *implementation);
void vpc_expectations_free(struct vpc_expectations *all);

#endif
