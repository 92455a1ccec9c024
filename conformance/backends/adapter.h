/* SPDX-License-Identifier: MIT */
/* The adapter of an implementation, before any run: does it answer, and what does the implementation
   support? */
#ifndef VPC_CONFORM_ADAPTER_H
#define VPC_CONFORM_ADAPTER_H

#include "backends/descriptor.h"

/* Runs "ADAPTER probe" and takes the features that it names into the implementation.  True without an
 * adapter.  False when it can't be started, answers nothing within 10 seconds, or something else than it
 * must: *error, the caller's to free.  Of the parts of the sandbox (sandbox.h) it is shut into those that
 * need no run. */
bool vpc_adapter_probe(struct vpc_implementation *implementation, const char *build,
                       unsigned sandbox, char **error);

#endif
