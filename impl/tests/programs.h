/* SPDX-License-Identifier: MIT */
/* The programs of the build as children of a test, and what the system says of them. */
#ifndef VPC_TEST_PROGRAMS_H
#define VPC_TEST_PROGRAMS_H

#include <stdbool.h>
#include <sys/types.h>

enum {
    PROGRAM_LIMIT_MS = 10000,
};

extern bool program_nameless; /* programs run on a machine without a host name */

/* Runs a program of the build with descriptors 0 and 1 as given (-1: nothing); it dies with the test. */
pid_t program_run(int in, int out, const char *const argv[]);
/* Waits for its end: the exit status, or -SIGNAL. */
int program_ended(pid_t pid);
/* Tells an endpoint to stop, which must end well; *pid is 0 then, and may be so before. */
void program_stop(pid_t *pid);
/* The number (base 16) in the line `name` of /proc/PID/status. */
unsigned long program_status(pid_t pid, const char *name);
/* Resident memory, in KiB. */
long program_rss(pid_t pid);
/* Processor time, in milliseconds. */
long program_cpu(pid_t pid);

#endif
