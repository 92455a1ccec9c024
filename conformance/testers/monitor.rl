/* SPDX-License-Identifier: MIT */
/* The channel machines of lifecycle.rl, as functions from a state and an event to the next state. */
#include "testers/monitor.h"

%%{
machine vpc_watch_sending;
alphtype unsigned char;
action in_idle     { name = "idle"; }
action in_opening  { name = "opening"; }
action in_open     { name = "open"; }
action in_closing  { name = "closing"; }
action in_aborting { name = "aborting"; }
action in_released { name = "released"; }
action abort           { done |= VPC_STEP_ABORT; }
action answer_released { done |= VPC_STEP_RELEASED; }
include vpc_sending_channel "lifecycle.rl";
}%%

%% write data nofinal noentry;

static int sending_step(int cs, unsigned char event, unsigned *actions, const char **state_name)
{
    const unsigned char *p = &event, *pe = p + 1;
    const char *name = "";
    unsigned done = 0;

    %% write exec;
    *actions = done;
    *state_name = name;
    return cs == vpc_watch_sending_error ? -1 : cs;
}

%%{
machine vpc_watch_receiving;
alphtype unsigned char;
action in_idle     { name = "idle"; }
action in_opening  { name = "opening"; }
action in_open     { name = "open"; }
action in_draining { name = "draining"; }
action in_aborting { name = "aborting"; }
action in_released { name = "released"; }
action abort           { done |= VPC_STEP_ABORT; }
action answer_released { done |= VPC_STEP_RELEASED; }
include vpc_receiving_channel "lifecycle.rl";
}%%

%% write data nofinal noentry;

static int receiving_step(int cs, unsigned char event, unsigned *actions, const char **state_name)
{
    const unsigned char *p = &event, *pe = p + 1;
    const char *name = "";
    unsigned done = 0;

    %% write exec;
    *actions = done;
    *state_name = name;
    return cs == vpc_watch_receiving_error ? -1 : cs;
}

int vpc_channel_start(bool sending)
{
    return sending ? vpc_watch_sending_start : vpc_watch_receiving_start;
}

int vpc_channel_step(bool sending, int state, unsigned char event, unsigned *actions,
                     const char **name)
{
    return sending ? sending_step(state, event, actions, name)
                   : receiving_step(state, event, actions, name);
}
