/* SPDX-License-Identifier: MIT */
/*
 * Forwards (FWD-1 to FWD-8): sockets that go on listening, each client of which gets a pair of its own.
 *
 * forward.rl has every legal transition of one, forward_machine.rl steps it, forward.c says what happened and carries out
 * what it asks for.  A client that was let in is a relay from then on; the forward only counts it.
 */
#ifndef VPC_CORE_FORWARD_H
#define VPC_CORE_FORWARD_H

#include "endpoint.h"
#include "forward_events.h" /* enum vpc_forward_event: by the names of the grammar */

/* At once: each has a descriptor and some places for actions. */
#define VPC_FORWARDS_MAX 64u

enum vpc_forward_state {
    VPC_FORWARD_MAKING, /* FORWARD was said and is not answered */
    VPC_FORWARD_CLOSED, /* it listens, and nobody is let in */
    VPC_FORWARD_OPEN,   /* it listens, and the next client is let in as `next` */
    VPC_FORWARD_OVER,   /* it is about to be freed */
};

struct vpc_forward {
    uint32_t number; /* one of the streams' numbers */
    uint32_t next;   /* the same of the client that ACCEPT was said for; 0: none */
    int cs;          /* Ragel's own */
    enum vpc_forward_state state;
    char *listen, *path; /* path: NULL before it is made */
    uint16_t port;
    bool waits_until_ready, waits_for_place; /* the policies (FWD-3, FWD-4) */
    struct vpc_asker starter;
    unsigned pairs; /* relays of its clients */
    uint64_t accepted, refused;
    struct vpc_link all;
};

/* forward_machine.rl: in its first state; steps it.  why: what an answer says that the event leads to, else NULL. */
void vpc_forward_machine_start(struct vpc_forward *forward);
void vpc_forward_step(vpc_endpoint *ep, struct vpc_forward *forward, enum vpc_forward_event event,
                      const struct vpc_start_failure *why);

/* what the machine asks for */
void vpc_forward_tell_started(vpc_endpoint *ep, struct vpc_forward *forward);
void vpc_forward_tell_stopped(vpc_endpoint *ep, struct vpc_forward *forward);
void vpc_forward_answer_failure(vpc_endpoint *ep, struct vpc_forward *forward,
                                const struct vpc_start_failure *why);
void vpc_forward_say_accept(vpc_endpoint *ep, struct vpc_forward *forward);
void vpc_forward_take_back(vpc_endpoint *ep, struct vpc_forward *forward);
void vpc_forward_say_unlisten(vpc_endpoint *ep, struct vpc_forward *forward);

#endif
