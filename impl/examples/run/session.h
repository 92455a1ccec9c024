/* SPDX-License-Identifier: MIT */
/* A command that runs, joined with the host: its standard streams, signals, end. */
#ifndef SESSION_H
#define SESSION_H

#include "command.h"
#include "run.h"

/*
 * From the start of the command to its end, of which the host is told; talk has heard the whole request.  When the host
 * goes, or limit_ms (0: none) passes, or this process gets SIGTERM, the command's processes get SIGTERM, and SIGKILL
 * five seconds later.  Answers when the command has ended.
 */
void session_run(struct talk *talk, const struct command *command, int64_t limit_ms);

#endif
