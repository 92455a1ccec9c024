/* SPDX-License-Identifier: MIT */
/*
 * A subject as a process: in a process group of its own, killed with the harness, always reaped.
 *
 * Ownership: a process is a value of the caller; vpc_process_end() kills and reaps what still runs.
 */
#ifndef VPC_CONFORM_PROCESS_H
#define VPC_CONFORM_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "backends/sandbox.h"

struct vpc_process {
    pid_t pid; /* 0: none */
    /* Set before the start: */
    int descriptors;    /* as many as it may have open; 0: as the system says */
    const char *folder; /* in which it is started; NULL: in this one */
    struct conform_sandbox sandbox;
};

/*
 * Starts the command, a list of words; its output is appended to the file, of the folder of a run; NULL:
 * nobody wants it.
 * False: *error, the caller's.
 */
bool vpc_process_start(struct vpc_process *process, char *const *words, const char *output,
                       char **error);
/* The same; *joined is the harness's end of a socket that is the process's standard input and output, not
 * blocking and close-on-exec.  Only its messages go to the file. */
bool vpc_process_join(struct vpc_process *process, char *const *words, const char *output,
                      int *joined, char **error);
/* Whether it has ended, with its wait status; asks once and does not wait. */
bool vpc_process_ended(struct vpc_process *process, int *status);
/* The same, but waits for at most so long. */
bool vpc_process_wait(struct vpc_process *process, int *status, int limit_ms);
void vpc_process_signal(struct vpc_process *process, int number);
void vpc_process_end(struct vpc_process *process);
/* How it ended, for people; freed by the caller. */
char *vpc_process_status(int status);

/* Of an output that has become too long only the beginning stays, and what is written from now on. */
void vpc_process_bound_output(const char *output);
/* The last line, or its end, of what it has written to the file; NULL: nothing; freed by the caller. */
char *vpc_process_last_words(const char *output);

/* What a process has had of the processors, and how long it was ready and had to wait for one, in
 * microseconds: of its threads the sum, and the one that waited longest. */
struct vpc_share {
    uint64_t used, waited;
    /* one of them is ready and does not run: for how long, the kernel tells only when it does again */
    bool waits;
};

/* False when there is no such process, or the kernel does not tell. */
bool vpc_process_share(pid_t pid, struct vpc_share *share);
/*
 * The same of a process with all that it has started: the program behind a name may be a script, which sleeps
 * while its children do the work.  They wait for each other: what each waited is added.  What a child waited
 * that has ended since, the kernel tells nobody: see conform_load_look().
 */
bool vpc_process_tree_share(pid_t pid, struct vpc_share *share);

/* The processor time in a text of /proc/PID/stat, in microseconds; false: that is none. */
bool vpc_process_busy(const char *stat, uint64_t *us);

#endif
