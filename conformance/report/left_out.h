/* SPDX-License-Identifier: MIT */
/*
 * The scenarios of a suite that were not run, by reason: those that say themselves that they are not for a
 * backend, and those of a role of which no implementation is judged.
 *
 * Ownership: vpc_left_outs_of() gives a value that vpc_left_outs_free() frees; the texts and scripts are the
 * suite's.
 */
#ifndef VPC_CONFORM_LEFT_OUT_H
#define VPC_CONFORM_LEFT_OUT_H

#include "verdicts/suite.h"

struct vpc_left_out {
    const struct vpc_backend_ops *backend; /* NULL: the role has no implementation */
    const char *because;
    const struct vpc_script **scripts; /* in the suite's order */
    size_t count;
};

struct vpc_left_outs {
    struct vpc_left_out *list;
    size_t count;
};

void vpc_left_outs_of(const struct vpc_suite *suite, struct vpc_left_outs *outs);
void vpc_left_outs_free(struct vpc_left_outs *outs);

#endif
