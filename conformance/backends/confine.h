/* SPDX-License-Identifier: MIT */
/*
 * What a subject's process may use, and what it may not reach.
 *
 * Limits hold always: of the length of a file, of open files, of memory, no core; each makes a subject that
 * asks for more fail by itself.  A process that needs nothing of the machine (a shared object without input
 * and output) is shut in as well: it has a process namespace of its own, so that nothing that it starts
 * outlives it and it sees no other process, and it may write no file but its output (Landlock).  Where the
 * kernel has no such thing, it goes without.
 */
#ifndef VPC_CONFORM_CONFINE_H
#define VPC_CONFORM_CONFINE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* In the process itself, before it becomes the subject, with so many octets of memory: 0 or an errno. */
int vpc_limit_process(uint64_t memory);
/* Lowers one limit, RLIMIT_..., of this process where it is higher; 0 or an errno. */
int vpc_limit(int what, uint64_t most);
/* From now on this process may write below the folder only (NULL: nowhere), has no signals for others, and
 * TCP only if it is said so; 0 or an errno. */
int vpc_shut_in(const char *folder, bool tcp);

struct vpc_confined {
    pid_t pid;  /* of its guardian, 0: none */
    int report; /* from which the guardian says how it ended */
};

struct vpc_confined_config {
    void (*run)(void *user); /* does not return */
    void *user;
    int fd;             /* all that it has of the harness */
    const char *output; /* the file of its standard output and error */
    int group;          /* which it enters (group.h), or 0 */
};

/* Starts it, limited and shut in; false: *error, the caller's. */
bool vpc_confined_start(struct vpc_confined *process, const struct vpc_confined_config *config,
                        char **error);
/*
 * Waits so long for its end, then ends it and all that it has started.  How it ended, for people ("ended by
 * signal 6 (Aborted)"), freed by the caller.
 */
char *vpc_confined_end(struct vpc_confined *process, int wait_ms);

#endif
