/* SPDX-License-Identifier: MIT */
/*
 * The folder of a run that went wrong: all that is needed to look at it, and to do it again.
 *
 * OUT/IMPLEMENTATION/SCENARIO.BACKEND.split-SPLIT holds
 *
 *   SCENARIO.vpcs  the script as it was run
 *   result.txt     the verdict, for people
 *   run.json       the same and the settings of the run, for programs
 *   repeat.sh      does it again: that script, seed, split and backend
 *   trace.txt      what happened, line by line
 *   trace.pcapng   the bus (spec/TRACE.md)
 *   subject.log    the event log and
 *   subject.out    the output of the subject, where there are any; their first 64 MiB
 */
#ifndef VPC_CONFORM_FAILURE_H
#define VPC_CONFORM_FAILURE_H

#include "verdicts/suite.h"

/* Makes it from the run's temporary folder and sets run->folder; a suite's keep(). */
vpc_keep_fn vpc_failure_keep;

/* A folder's run.json, read again; texts belong to the value. */
struct vpc_failure {
    char *script; /* its path in the folder */
    char *implementation, *backend, *split, *requirement;
    enum vpc_verdict verdict;
    uint64_t seed;
};

/* False: *error, which the caller frees. */
bool vpc_failure_load(const char *folder, struct vpc_failure *failure, char **error);
void vpc_failure_clear(struct vpc_failure *failure);

#endif
