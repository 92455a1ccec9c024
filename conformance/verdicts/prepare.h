/* SPDX-License-Identifier: MIT */
/* What the runs of one implementation in a virtual machine share. */
#ifndef VPC_CONFORM_PREPARE_H
#define VPC_CONFORM_PREPARE_H

#include "verdicts/jobs.h"
#include "verdicts/suite.h"

/* Whether the descriptor says how to start the implementation on that backend. */
bool vpc_can_run(const struct vpc_implementation *implementation,
                 const struct vpc_backend_ops *backend);
/* Fills suite->prepared; an implementation that can not be prepared has its error there. */
void vpc_prepare(struct vpc_suite *suite, struct vpc_jobs *jobs);
void vpc_prepare_forget(struct vpc_suite *suite);

#endif
