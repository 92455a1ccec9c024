/* SPDX-License-Identifier: MIT */
/*
 * A host's and a guest's endpoint behind the ABI with a crowd of pairs between them, more than the rig has room for.  The
 * programs do nothing by themselves; of the actions only those are carried out that a pair needs to open and to end.
 */
#ifndef VPC_CORE_TESTS_CROWD_H
#define VPC_CORE_TESTS_CROWD_H

#include "vpc_endpoint.h"

#include <stdbool.h>

struct crowd_side {
    vpc_endpoint *ep;
    bool guest;
    uint32_t stream; /* the newest */
    unsigned closed, aborted;
};

struct crowd {
    struct crowd_side host, guest;
    uint64_t now;
};

/* Both endpoints in a session, ready, with room for so many pairs; options: more of them, as ", \"name\": value". */
void crowd_begin(struct crowd *crowd, unsigned max_pairs, const char *options);
void crowd_end(struct crowd *crowd);

/* Takes the actions and carries the octets until nothing moves. */
void crowd_settle(struct crowd *crowd);
void crowd_clock(struct crowd *crowd, uint64_t ms);

/* A start of the pipe pNUMBER by the client, answered with S_OK; then its client opens the pipe. */
void crowd_start(struct crowd *crowd, uint32_t client, unsigned number);
void crowd_open(struct crowd *crowd);
/* A word of four octets on the newest pair, and its end in order. */
void crowd_say(struct crowd *crowd, struct crowd_side *from, struct crowd_side *to);
void crowd_finish(struct crowd *crowd);

#endif
