/* SPDX-License-Identifier: MIT */
/* The session machine of lifecycle.rl, as a function from a state and an event to the next state. */
#include "generate/generate.h"

%%{
machine vpc_walk_session;
alphtype unsigned char;
action in_down        { name = "down"; }
action in_hunting     { name = "hunting"; }
action in_mismatched  { name = "mismatched"; }
action in_up          { name = "up"; }
action in_ready       { name = "ready"; }
action in_backing_off { name = "backing_off"; }
action in_stopped     { name = "stopped"; }
action start_attempt   { done |= VPC_DOES_START_ATTEMPT; }
action send_hello      { done |= VPC_DOES_SEND_HELLO; }
action begin_session   { done |= VPC_DOES_BEGIN_SESSION; }
action report_mismatch { done |= VPC_DOES_REPORT_MISMATCH; }
action end_session     { done |= VPC_DOES_END_SESSION; }
action say_goodbye     { done |= VPC_DOES_SAY_GOODBYE; }
action now_ready       { done |= VPC_DOES_NOW_READY; }
action now_not_ready   { done |= VPC_DOES_NOW_NOT_READY; }
action announce_ready  { done |= VPC_DOES_ANNOUNCE_READY; }
action report_late     { done |= VPC_DOES_REPORT_LATE; }
include vpc_session "lifecycle.rl";
}%%

%% write data nofinal noentry;

int vpc_session_start(void)
{
    return vpc_walk_session_start;
}

int vpc_session_step(int state, unsigned char event, unsigned *actions, const char **state_name)
{
    const unsigned char *p = &event, *pe = p + 1;
    const char *name = "";
    unsigned done = 0;
    int cs = state;

    %% write exec;
    *actions = done;
    *state_name = name;
    return cs == vpc_walk_session_error ? -1 : cs;
}
