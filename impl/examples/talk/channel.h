/* SPDX-License-Identifier: MIT */
/* A channel to a server in the guest, as the example applications of the host open it. */
#ifndef CHANNEL_H
#define CHANNEL_H

#include <stdbool.h>
#include <stdint.h>

enum {
    CHANNEL_WHY_SIZE = 256,
};

struct channel_goal {
    const char *program, *runtime_dir; /* runtime_dir may be NULL */
    const char *vm, *port;
    int64_t limit_ms;
    bool patient; /* a server that does not listen yet is waited for, as long as the limit allows */
};

/*
 * The start sequence of VPCBus, steps 2 to 7: waits for the ready event, starts the channel, opens the pipe.  Answers
 * the connected socket, or -1 and what was missing, as text; closing the socket ends the channel.
 */
int channel_open(const struct channel_goal *goal, char why[CHANNEL_WHY_SIZE]);

#endif
