/* SPDX-License-Identifier: MIT */
/* The files that an endpoint writes: who opens them, and what of its settings may change while it runs.  Results are 0 or an
 * errno. */
#ifndef VPC_KEPT_FILES_H
#define VPC_KEPT_FILES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "vpc.h"

enum vpc_kept {
    VPC_KEPT_LOG,
    VPC_KEPT_GUEST_LOG, /* the log's path and ".guest" */
    VPC_KEPT_TRACE,
    VPC_KEPT_FILES, /* how many */
};

/* A path NULL or "": there is none. */
struct vpc_changing {
    const char *log_path, *trace_path;
    uint64_t log_limit, trace_limit; /* octets; 0: none */
    bool verbose;
};

struct vpc_kept_file {
    char path[VPC_FILE_SIZE]; /* "": it was not opened yet */
    dev_t device;             /* what it was then */
    ino_t number;
};

/* As it is called now; a file that can not be opened leaves the one before.  EEXIST: it is there, and is no trace. */
int vpc_kept_open(struct vpc_kept_file files[VPC_KEPT_FILES], const struct vpc_changing *changing,
                  enum vpc_kept which, int *fd);
/* To look what is in it. */
int vpc_kept_read(const struct vpc_kept_file *file, int *fd);
/* What was opened becomes PATH.1, unless somebody else has moved it away; then opens anew. */
int vpc_kept_turn_over(struct vpc_kept_file *file, enum vpc_kept which, int *fd);

#endif
