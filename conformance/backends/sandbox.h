/* SPDX-License-Identifier: MIT */
/*
 * The sandbox of --sandbox: what a run's processes can not reach, whoever runs them.
 *
 * The process that judges a run enters namespaces of its own, with a loopback that nobody else has: its TCP
 * servers and the subject are both at it.  What it starts from then on is in a process namespace that ends
 * with it.  Each program that is started closes the rest behind itself: files, /proc, /run, system calls.
 *
 * Errors: 0 or an errno.
 */
#ifndef VPC_CONFORM_SANDBOX_H
#define VPC_CONFORM_SANDBOX_H

#include <stdbool.h>

#include "backends/folder.h"

enum conform_sandbox_part {
    VPC_SANDBOX_NAMESPACES =
        1 << 0, /* of users, processes, IPC and networks; root's subjects are nobody */
    VPC_SANDBOX_MOUNTS = 1 << 1, /* a /proc of its own, an empty /run */
    VPC_SANDBOX_FILES = 1 << 2,  /* Landlock: nothing is written but in the run's folder */
    VPC_SANDBOX_CALLS = 1 << 3,  /* seccomp */
    VPC_SANDBOX_ALL = (1 << 4) - 1,
};

/* Those that the kernel and its settings grant this process; it tries each in a child. */
unsigned conform_sandbox_granted(void);
/* Their names for people, freed by the caller. */
char *conform_sandbox_words(unsigned parts);

/* This process, which has one thread, and all that it starts from now on; root becomes nobody and gives away
   the folder. */
int conform_sandbox_enter(unsigned parts, const struct vpc_folder *folder);

/* What a program that is started is shut into. */
struct conform_sandbox {
    unsigned parts;     /* 0: it is not */
    const char *folder; /* the only one where it may write; NULL: nowhere */
    /* of processes that are bounded together (group.h), which it enters; 0: none */
    int group;
};

/* In the process that is about to become that program, of one that has entered the same parts. */
int conform_sandbox_close(const struct conform_sandbox *sandbox);

#endif
