/* SPDX-License-Identifier: MIT */
/* A command as a process of its own, with the rights of a user and nothing else of vpc-rund. */
#ifndef COMMAND_H
#define COMMAND_H

#include <sys/types.h>

#include "../talk/account.h"

struct command {
    pid_t pid;
    int in, out, err; /* our ends, which do not block */
};

/*
 * Starts words[0], which ends with NULL as execve() wants it: without a shell, in a session of its own, in the user's
 * home folder or /, with PATH, HOME, USER and LOGNAME.  Answers 0, or the errno of what failed in the new process.
 */
int command_start(struct command *command, const struct account *account, char *const *words);

#endif
