/* SPDX-License-Identifier: MIT */
/*
 * Verdicts (in the words of ISO 9646), and what stands beside one.
 *
 * Ownership: a result owns its texts; vpc_result_clear() frees them.
 */
#ifndef VPC_CONFORM_VERDICT_H
#define VPC_CONFORM_VERDICT_H

#include <stdbool.h>
#include <stdint.h>

enum vpc_verdict {
    VPC_PASS,
    VPC_NON_STRICT,    /* the subject did what the specification allows and does not recommend */
    VPC_FAIL,          /* the subject did what the specification forbids, crashed or hung */
    VPC_INCONCLUSIVE,  /* the run tells nothing: the machine held it up or was short of something */
    VPC_NOT_SUPPORTED, /* the scenario needs what the implementation does not claim */
    VPC_HARNESS_ERROR, /* the harness or the machine is at fault */
    VPC_VERDICT_COUNT,
};

struct vpc_result {
    enum vpc_verdict verdict;
    int line;   /* of the script, 0: of no line */
    char *step; /* the line's text */
    char *expected;
    char *got;
    char *requirement; /* ids with spaces */
    char *trace;       /* its lines, without the middle of a long one */
    uint64_t ms;       /* real time */
};

/* As people read it: "pass", "FAIL", "not supported". */
const char *vpc_verdict_name(enum vpc_verdict verdict);
/* As programs read it, one word in lower case: "pass", "fail", "not-supported". */
const char *vpc_verdict_word(enum vpc_verdict verdict);
bool vpc_verdict_of(const char *word, enum vpc_verdict *verdict);
/* Pass, or non-strict. */
bool vpc_verdict_good(enum vpc_verdict verdict);
void vpc_result_clear(struct vpc_result *result);

#endif
