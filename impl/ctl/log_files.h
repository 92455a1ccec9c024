/* SPDX-License-Identifier: MIT */
/*
 * The files of an event log read as one: FILE.1, then FILE, and what goes on in its place when that is turned over; FILE.guest
 * likewise, where there is one.  The conventions are those of lib/vpc.h.
 */
#ifndef VPC_CTL_LOG_FILES_H
#define VPC_CTL_LOG_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "vpc.h"

/* FILE and its like: one is being read. */
struct ctl_log_file {
    char path[VPC_FILE_SIZE + 16];
    FILE *now;    /* NULL: none could be opened yet */
    FILE *before; /* the one read before it: open, so that no other file can pass for it */
    char *line;
    size_t room, size; /* of line: what it can hold; 0: no entry waits */
    uint64_t time;     /* of the entry that waits, or the one before */
    bool was_opened;   /* in this round: whoever watches it has to look for it anew */
};

struct ctl_log {
    struct ctl_log_file files[2];
};

/* `path` is that of FILE; a link to it tells where the others are. */
void ctl_log_begin(struct ctl_log *log, const char *path);
void ctl_log_end(struct ctl_log *log);
/* 0, or why FILE can't be read: it, or FILE.1, is opened with the first call that succeeds. */
int ctl_log_open(struct ctl_log *log);
/* The next entry, without its newline, the earlier ones of all files before; NULL when there is no whole one now. */
const char *ctl_log_next(struct ctl_log *log, size_t *n);

#endif
