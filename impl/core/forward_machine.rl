/* SPDX-License-Identifier: MIT */
/* The machine of forward.rl with its actions, stepped with one event as its whole input; forward.c carries them out. */
#include "forward.h"

/* The one setter of its state. */
static void enter(struct vpc_forward *forward, enum vpc_forward_state state)
{
    forward->state = state;
}

%%{
machine forward_machine;
variable cs forward->cs;

action tell_started   { vpc_forward_tell_started(ep, forward); }
action tell_stopped   { vpc_forward_tell_stopped(ep, forward); }
action answer_failure { vpc_forward_answer_failure(ep, forward, why); }
action say_accept     { vpc_forward_say_accept(ep, forward); }
action take_back      { vpc_forward_take_back(ep, forward); }
action say_unlisten   { vpc_forward_say_unlisten(ep, forward); }

action in_making      { enter(forward, VPC_FORWARD_MAKING); }
action in_closed      { enter(forward, VPC_FORWARD_CLOSED); }
action in_open        { enter(forward, VPC_FORWARD_OPEN); }
action in_over        { enter(forward, VPC_FORWARD_OVER); }

include vpc_forward_life "forward.rl";
write data noerror nofinal noentry;
}%%

void vpc_forward_machine_start(struct vpc_forward *forward)
{
    forward->cs = forward_machine_start;
    enter(forward, VPC_FORWARD_MAKING);
}

void vpc_forward_step(vpc_endpoint *ep, struct vpc_forward *forward, enum vpc_forward_event event,
                      const struct vpc_start_failure *why)
{
    const unsigned char octet = (unsigned char)event, *p = &octet;
    const unsigned char *const pe = p + 1;
    const int cs = forward->cs;

    %% write exec;
    if (p == &octet)
        forward->cs = cs;
}
