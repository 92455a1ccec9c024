/* SPDX-License-Identifier: MIT */
/*
 * One run in a child process.
 *
 * The child writes its result as one JSON object into a pipe.  No code of the subject ever runs in it: a
 * subject has a process of its own, which holds neither the pipe nor the memory below.  A child that ends
 * without a result crashed: it is the subject's fault if the child waited for the subject (the flag
 * in_subject below), else the harness's.
 */
#ifndef VPC_CONFORM_ATTEMPT_H
#define VPC_CONFORM_ATTEMPT_H

#include "backends/folder.h"
#include "backends/group.h"
#include "backends/witness.h"
#include "verdicts/jobs.h"
#include "verdicts/suite.h"

/* What the child tells as it goes, in memory that it shares with us alone: it outlives a child that is
   killed. */
struct vpc_running {
    int in_subject; /* the child waits for the subject */
    int line;       /* of the step, or 0 */
};

struct vpc_attempt {
    struct vpc_suite *suite;
    struct vpc_suite_run *run;
    struct vpc_folder folder;   /* of the run */
    struct conform_group group; /* of its subjects */
    const char *dir;            /* its path */
    struct conform_witness witness;
    volatile struct vpc_running *running; /* or NULL */
};

/* NULL with *error, the caller's, if the system can not. */
struct vpc_attempt *vpc_attempt_start(struct vpc_suite *suite, struct vpc_jobs *jobs,
                                      struct vpc_suite_run *run, char **error);
/* Fills the run's result from what the job said; the attempt's folder is still there. */
void vpc_attempt_judge(struct vpc_attempt *attempt, const struct vpc_job_result *end);
/* Removes the folder and frees the attempt. */
void vpc_attempt_end(struct vpc_attempt *attempt);

#endif
