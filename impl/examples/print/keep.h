/* SPDX-License-Identifier: MIT */
/* Where vpc-print puts jobs: a folder, or a queue of lp. */
#ifndef KEEP_H
#define KEEP_H

#include <stdio.h>

#include "print.h"

enum {
    KEEP_NAME_SIZE = 256,
    KEEP_QUEUES_MAX = 64, /* whose last jobs are remembered */
};

/* The job that came last from a queue: it comes again when the guest did not hear that it was kept. */
struct last {
    uint64_t queue, number, size, digest; /* of what no other job has, too */
};

struct keep {
    const char *vm, *folder, *lp; /* lp: the queue, or NULL */
    uint64_t most;                /* octets of a job */
    int dir;
    unsigned count; /* of last, the newest first */
    struct last last[KEEP_QUEUES_MAX];
};

struct job {
    uint64_t number, copies, which, size, digest;
    char queue[PRINT_TEXT_MAX + 1], user[PRINT_TEXT_MAX + 1], title[PRINT_TEXT_MAX + 1];
    int file;                  /* without a name, or -1 */
    int error;                 /* why it will not be kept, or 0 */
    char name[KEEP_NAME_SIZE]; /* where it was put */
    bool again;                /* it was kept before */
};

/* Opens the folder for this process alone and reads which jobs came last: 0, or errno. */
int keep_open(struct keep *keep);
/* Begins a job of the numbers and texts that are set already; what goes wrong is in job->error. */
void keep_begin(const struct keep *keep, struct job *job);
void keep_add(const struct keep *keep, struct job *job, const void *data, size_t size);
/* All of the job is there: puts it in its place, safely on the disk, and remembers it; job->error tells if not. */
void keep_end(struct keep *keep, struct job *job);
/* A job that was cut off, too. */
void keep_forget(struct job *job);

#endif
