/* SPDX-License-Identifier: MIT */
/*
 * Work in child processes: several at once, each with a time limit, none left behind.
 *
 * A job leads a process group, which is killed when the job is over, with whatever left the group; it dies
 * with this process, which may have no other children meanwhile.  The signals by which a user ends a program
 * (SIGINT, SIGQUIT, SIGTERM and their like) are taken from vpc_jobs_begin() on: they end all jobs, and the
 * caller cleans up as after any end.
 *
 * Ownership: a result's text is the caller's to free with vpc_buffer_free(); user is the caller's all along.
 */
#ifndef VPC_CONFORM_JOBS_H
#define VPC_CONFORM_JOBS_H

#include "memory.h"

struct vpc_jobs;

/* Runs in the child: what it writes to fd is its result. */
typedef void vpc_job_fn(void *user, int fd);

#define VPC_JOB_TEXT_MAX (16u << 20) /* octets that a job may say */

struct vpc_job_result {
    void *user;
    struct vpc_buffer text;
    int status;   /* as waitpid gives it */
    bool in_time; /* false: it was killed at its limit, */
    /* and for so many ms others had the processor that it, or a process of it, wanted (backends/load.h) */
    uint64_t held_up;
    bool too_long; /* it was killed when it had said all that it may */
};

/* The status of a job that could not even begin. */
#define VPC_JOB_NOT_BEGUN 125

/* At most so many at once; each may take limit_ms of real time.  What the system can not do for them,
   vpc_jobs_start() tells. */
struct vpc_jobs *vpc_jobs_begin(size_t at_once, int limit_ms);
bool vpc_jobs_full(const struct vpc_jobs *jobs);
/* How many were started and have not been given by vpc_jobs_next(). */
size_t vpc_jobs_running(const struct vpc_jobs *jobs);
/* Starts one; there must be room.  False with errno if the system can not. */
bool vpc_jobs_start(struct vpc_jobs *jobs, vpc_job_fn *fn, void *user);
/* Waits for the end of one; false when none runs. */
bool vpc_jobs_next(struct vpc_jobs *jobs, struct vpc_job_result *result);
/*
 * True when the job has ended by itself, and well: only then its text is whole, and its own.  A process of
 * the subject that comes at the job's descriptors can say something in its stead, but must silence it.
 */
bool vpc_job_has_spoken(const struct vpc_job_result *result);
/* The signal that ended them, or 0. */
int vpc_jobs_interrupted(const struct vpc_jobs *jobs);
/* Kills what still runs. */
void vpc_jobs_end(struct vpc_jobs *jobs);

#endif
