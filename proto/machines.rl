/* SPDX-License-Identifier: MIT */
/*
 * The machines of spec/lifecycle.rl with their actions.  No transition is decided outside of the grammar: session.c and
 * pair.c classify what happened as an event and step the machine here.
 *
 * A machine is stepped with one event as its whole input.  An action must not step the machine that runs it.
 */
#include "internal.h"

static void enter_session(vpc_session *session, enum vpc_session_state state)
{
    session->state = state;
}

%%{
machine session_machine;
access session->;

action start_attempt   { vpc_action_start_attempt(session); }
action send_hello      { vpc_action_send_hello(session); }
action begin_session   { vpc_action_begin_session(session); }
action report_mismatch { vpc_action_report_mismatch(session); }
action report_late     { vpc_action_report_late(session); }
action now_ready       { vpc_action_now_ready(session); }
action now_not_ready   { vpc_action_now_not_ready(session); }
action announce_ready  { vpc_action_announce_ready(session); }
action say_goodbye     { vpc_action_say_goodbye(session); }
action end_session     { vpc_action_end_session(session); }

action in_down         { enter_session(session, VPC_SESSION_DOWN); }
action in_hunting      { enter_session(session, VPC_SESSION_HUNTING); }
action in_mismatched   { enter_session(session, VPC_SESSION_MISMATCHED); }
action in_up           { enter_session(session, VPC_SESSION_UP); }
action in_ready        { enter_session(session, VPC_SESSION_READY); }
action in_backing_off  { enter_session(session, VPC_SESSION_BACKING_OFF); }
action in_stopped      { enter_session(session, VPC_SESSION_STOPPED); }

include vpc_session "lifecycle.rl";
write data noerror nofinal noentry;
}%%

void vpc_lifecycle_start_session(vpc_session *session)
{
    %% write init;
    enter_session(session, VPC_SESSION_DOWN);
}

bool vpc_lifecycle_session(vpc_session *session, enum vpc_lifecycle_event event)
{
    const unsigned char octet = (unsigned char)event, *p = &octet, *const pe = p + 1;
    const int before = session->cs;

    %% write exec;
    if (p == pe)
        return true;
    session->cs = before;
    return false;
}

%%{
machine sending_machine;
access channel->;

action abort           { vpc_action_abort(channel); }
action answer_released { vpc_action_answer_released(channel); }

action in_idle         { vpc_channel_enter(channel, VPC_CHANNEL_IDLE); }
action in_opening      { vpc_channel_enter(channel, VPC_CHANNEL_OPENING); }
action in_open         { vpc_channel_enter(channel, VPC_CHANNEL_OPEN); }
action in_closing      { vpc_channel_enter(channel, VPC_CHANNEL_CLOSING); }
action in_aborting     { vpc_channel_enter(channel, VPC_CHANNEL_ABORTING); }
action in_released     { vpc_channel_enter(channel, VPC_CHANNEL_RELEASED); }

include vpc_sending_channel "lifecycle.rl";
write data noerror nofinal noentry;
}%%

%%{
machine receiving_machine;
access channel->;

action abort           { vpc_action_abort(channel); }
action answer_released { vpc_action_answer_released(channel); }

action in_idle         { vpc_channel_enter(channel, VPC_CHANNEL_IDLE); }
action in_opening      { vpc_channel_enter(channel, VPC_CHANNEL_OPENING); }
action in_open         { vpc_channel_enter(channel, VPC_CHANNEL_OPEN); }
action in_draining     { vpc_channel_enter(channel, VPC_CHANNEL_DRAINING); }
action in_aborting     { vpc_channel_enter(channel, VPC_CHANNEL_ABORTING); }
action in_released     { vpc_channel_enter(channel, VPC_CHANNEL_RELEASED); }

include vpc_receiving_channel "lifecycle.rl";
write data noerror nofinal noentry;
}%%

void vpc_lifecycle_start_channel(struct channel *channel)
{
    channel->cs = channel->sending ? sending_machine_start : receiving_machine_start;
    vpc_channel_enter(channel, VPC_CHANNEL_IDLE);
}

static const unsigned char *step_sending(struct channel *channel, const unsigned char *p)
{
    const unsigned char *const pe = p + 1;

    %%{
    machine sending_machine;
    write exec;
    }%%
    return p;
}

static const unsigned char *step_receiving(struct channel *channel, const unsigned char *p)
{
    const unsigned char *const pe = p + 1;

    %%{
    machine receiving_machine;
    write exec;
    }%%
    return p;
}

bool vpc_lifecycle_channel(struct channel *channel, enum vpc_lifecycle_event event)
{
    const unsigned char octet = (unsigned char)event;
    const int before = channel->cs;
    const unsigned char *p =
        channel->sending ? step_sending(channel, &octet) : step_receiving(channel, &octet);

    if (p != &octet)
        return true;
    channel->cs = before;
    return false;
}
