/* SPDX-License-Identifier: MIT */
/*
 * The machines of local.rl with their actions.  No transition is decided outside of the grammar: relay.c classifies what
 * happened as an event and steps the machines here; relay_actions.c carries out what they ask for.
 *
 * A machine is stepped with one event as its whole input.  An action steps no machine.
 */
#include "relay_machines.h"

/* The one setter of a machine's state. */
static void enter(struct vpc_machine *machine, unsigned state)
{
    if (machine->state != state)
        machine->before = machine->state;
    machine->state = (uint8_t)state;
}

%%{
machine opening_machine;
variable cs relay->opening.cs;

action tell_opened     { vpc_do_tell_opened(ep, relay); }
action answer_success  { vpc_do_answer_success(ep, relay); }
action answer_failure  { vpc_do_answer_failure(ep, relay, why); }
action tell_closed     { vpc_do_tell_closed(ep, relay); }

action in_idle         { enter(&relay->opening, VPC_OPENING_IDLE); }
action in_making       { enter(&relay->opening, VPC_OPENING_MAKING); }
action in_asking       { enter(&relay->opening, VPC_OPENING_ASKING); }
action in_connecting   { enter(&relay->opening, VPC_OPENING_CONNECTING); }
action in_open         { enter(&relay->opening, VPC_OPENING_OPEN); }
action in_failed       { enter(&relay->opening, VPC_OPENING_FAILED); }
action in_over         { enter(&relay->opening, VPC_OPENING_OVER); }

include vpc_local_opening "local.rl";
write data noerror nofinal noentry;
}%%

%%{
machine writing_machine;
variable cs relay->writing.cs;

action finish          { vpc_do_finish(ep, relay); }
action say_hangup      { vpc_do_say(ep, relay, VPC_ACTION_HANGUP); }

action in_silent       { enter(&relay->writing, VPC_WRITING_SILENT); }
action in_writing      { enter(&relay->writing, VPC_WRITING_WRITING); }
action in_last         { enter(&relay->writing, VPC_WRITING_LAST); }
action in_finished     { enter(&relay->writing, VPC_WRITING_FINISHED); }
action in_given_up     { enter(&relay->writing, VPC_WRITING_GIVEN_UP); }

include vpc_local_writing "local.rl";
write data noerror nofinal noentry;
}%%

%%{
machine delivery_machine;
variable cs relay->delivery.cs;

action tell_connected  { vpc_do_tell_connected(ep, relay); }
action say_shutdown    { vpc_do_say(ep, relay, VPC_ACTION_SHUTDOWN); }
action say_close       { vpc_do_say(ep, relay, VPC_ACTION_CLOSE); }
action say_abort       { vpc_do_say(ep, relay, VPC_ACTION_ABORT); }
action say_unlisten    { vpc_do_say(ep, relay, VPC_ACTION_UNLISTEN); }
action discard         { vpc_do_discard(ep, relay); }
action release_end     { vpc_do_release_end(ep, relay); }
action stop_reading    { vpc_do_stop_reading(ep, relay); }
action reset_pair      { vpc_do_reset_pair(ep, relay); }

action in_nobody       { enter(&relay->delivery, VPC_DELIVERY_NOBODY); }
action in_delivering   { enter(&relay->delivery, VPC_DELIVERY_DELIVERING); }
action in_shut         { enter(&relay->delivery, VPC_DELIVERY_SHUT); }
action in_declined     { enter(&relay->delivery, VPC_DELIVERY_DECLINED); }
action in_discarding   { enter(&relay->delivery, VPC_DELIVERY_DISCARDING); }
action in_given_up     { enter(&relay->delivery, VPC_DELIVERY_GIVEN_UP); }

include vpc_local_delivery "local.rl";
write data noerror nofinal noentry;
}%%

void vpc_machines_start(struct vpc_relay *relay)
{
    relay->opening.cs = opening_machine_start;
    relay->writing.cs = writing_machine_start;
    relay->delivery.cs = delivery_machine_start;
    enter(&relay->opening, VPC_OPENING_IDLE);
    enter(&relay->writing, VPC_WRITING_SILENT);
    enter(&relay->delivery, VPC_DELIVERY_NOBODY);
}

/* Each returns where it stopped: at p when it has no transition, and is in no state then. */
static const unsigned char *step_opening(vpc_endpoint *ep, struct vpc_relay *relay,
                                         const struct vpc_start_failure *why, const unsigned char *p)
{
    const unsigned char *const pe = p + 1;

    %%{
    machine opening_machine;
    write exec;
    }%%
    return p;
}

static const unsigned char *step_writing(vpc_endpoint *ep, struct vpc_relay *relay,
                                         const unsigned char *p)
{
    const unsigned char *const pe = p + 1;

    %%{
    machine writing_machine;
    write exec;
    }%%
    return p;
}

static const unsigned char *step_delivery(vpc_endpoint *ep, struct vpc_relay *relay,
                                          const unsigned char *p)
{
    const unsigned char *const pe = p + 1;

    %%{
    machine delivery_machine;
    write exec;
    }%%
    return p;
}

void vpc_machines_step(vpc_endpoint *ep, struct vpc_relay *relay, enum vpc_local_event event,
                       const struct vpc_start_failure *why)
{
    const unsigned char octet = (unsigned char)event;
    const uint8_t opening = relay->opening.cs, writing = relay->writing.cs,
                  delivery = relay->delivery.cs;

    if (step_opening(ep, relay, why, &octet) == &octet)
        relay->opening.cs = opening;
    if (step_writing(ep, relay, &octet) == &octet)
        relay->writing.cs = writing;
    if (step_delivery(ep, relay, &octet) == &octet)
        relay->delivery.cs = delivery;
}
