/* SPDX-License-Identifier: MIT */
/*
 * The machines of stream.rl with their actions.  No transition is decided outside of the grammar: the others classify
 * what happened as an event, and step the machines here.
 *
 * The machines are stepped with one event as their whole input, the life first.  An action must not step them; what the
 * endpoint wants of it is carried out after the step.
 */
#include "stream_machines.h"

static const char *const names[] = {
    [VPC_LIFE_WAITING] = "waiting",       [VPC_LIFE_OPEN] = "open",
    [VPC_LIFE_LINGERING] = "lingering",   [VPC_LIFE_CLOSED] = "closed",
    [VPC_INPUT_NONE] = "none",            [VPC_INPUT_READING] = "reading",
    [VPC_INPUT_ENDING] = "ending",        [VPC_INPUT_LEFT] = "left",
    [VPC_INPUT_ENDED] = "ended",          [VPC_INPUT_KNOWN_GONE] = "known_gone",
    [VPC_INPUT_BROKEN] = "broken",        [VPC_INPUT_FINISHED] = "finished",
    [VPC_INPUT_PARTING] = "parting",      [VPC_INPUT_OVER] = "over",
    [VPC_OUTPUT_NONE] = "none",           [VPC_OUTPUT_WRITING] = "writing",
    [VPC_OUTPUT_DISCARDING] = "discarding", [VPC_OUTPUT_HALTED] = "halted",
    [VPC_OUTPUT_FINISHED] = "finished",
};

const char *vpc_stream_state_name(enum vpc_stream_state state)
{
    return names[state];
}

/* The only place where a state changes. */
static void enter(struct vpc_stream *stream, enum vpc_stream_part part, enum vpc_stream_state state)
{
    enum vpc_stream_state old = stream->state[part];

    if (old == state)
        return;
    stream->state[part] = state;
    vpc_stream_changed(stream, part, old);
}

%%{
machine life_machine;
variable cs stream->cs[VPC_LIFE];

action tell_opened    { vpc_stream_tell_opened(stream); }
action tell_failed    { vpc_stream_tell_failed(stream); }
action tell_eof       { vpc_stream_tell_eof(stream); }
action tell_gone      { vpc_stream_tell_gone(stream); }
action release        { vpc_stream_release(stream); }
action break_off      { vpc_stream_break_off(stream); }
action linger         { vpc_stream_linger(stream); }
action leave          { vpc_stream_leave(stream); }
action stop_reading   { vpc_stream_stop_reading(stream); }
action finish_writing { vpc_stream_finish_writing(stream); }

action in_waiting     { enter(stream, VPC_LIFE, VPC_LIFE_WAITING); }
action in_open        { enter(stream, VPC_LIFE, VPC_LIFE_OPEN); }
action in_lingering   { enter(stream, VPC_LIFE, VPC_LIFE_LINGERING); }
action in_closed      { enter(stream, VPC_LIFE, VPC_LIFE_CLOSED); }

include vpc_stream_life "stream.rl";
write data noerror nofinal noentry;
}%%

static bool step_life(struct vpc_stream *stream, const unsigned char *p)
{
    const unsigned char *const pe = p + 1;
    const int before = stream->cs[VPC_LIFE];

    %% write exec;
    if (p == pe)
        return true;
    stream->cs[VPC_LIFE] = before;
    return false;
}

%%{
machine pipe_input_machine;
variable cs stream->cs[VPC_INPUT];

action tell_eof       { vpc_stream_tell_eof(stream); }
action tell_gone      { vpc_stream_tell_gone(stream); }
action leave          { vpc_stream_leave(stream); }
action stop_reading   { vpc_stream_stop_reading(stream); }

action in_none        { enter(stream, VPC_INPUT, VPC_INPUT_NONE); }
action in_reading     { enter(stream, VPC_INPUT, VPC_INPUT_READING); }
action in_ending      { enter(stream, VPC_INPUT, VPC_INPUT_ENDING); }
action in_left        { enter(stream, VPC_INPUT, VPC_INPUT_LEFT); }
action in_ended       { enter(stream, VPC_INPUT, VPC_INPUT_ENDED); }
action in_known_gone  { enter(stream, VPC_INPUT, VPC_INPUT_KNOWN_GONE); }
action in_finished    { enter(stream, VPC_INPUT, VPC_INPUT_FINISHED); }
action in_parting     { enter(stream, VPC_INPUT, VPC_INPUT_PARTING); }
action in_over        { enter(stream, VPC_INPUT, VPC_INPUT_OVER); }

include vpc_pipe_input "stream.rl";
write data noerror nofinal noentry;
}%%

%%{
machine tcp_input_machine;
variable cs stream->cs[VPC_INPUT];

action tell_eof       { vpc_stream_tell_eof(stream); }
action tell_gone      { vpc_stream_tell_gone(stream); }
action leave          { vpc_stream_leave(stream); }
action stop_reading   { vpc_stream_stop_reading(stream); }

action in_none        { enter(stream, VPC_INPUT, VPC_INPUT_NONE); }
action in_reading     { enter(stream, VPC_INPUT, VPC_INPUT_READING); }
action in_ending      { enter(stream, VPC_INPUT, VPC_INPUT_ENDING); }
action in_ended       { enter(stream, VPC_INPUT, VPC_INPUT_ENDED); }
action in_broken      { enter(stream, VPC_INPUT, VPC_INPUT_BROKEN); }
action in_finished    { enter(stream, VPC_INPUT, VPC_INPUT_FINISHED); }
action in_over        { enter(stream, VPC_INPUT, VPC_INPUT_OVER); }

include vpc_tcp_input "stream.rl";
write data noerror nofinal noentry;
}%%

static const unsigned char *run_pipe_input(struct vpc_stream *stream, const unsigned char *p)
{
    const unsigned char *const pe = p + 1;

    %%{
    machine pipe_input_machine;
    write exec;
    }%%
    return p;
}

static const unsigned char *run_tcp_input(struct vpc_stream *stream, const unsigned char *p)
{
    const unsigned char *const pe = p + 1;

    %%{
    machine tcp_input_machine;
    write exec;
    }%%
    return p;
}

static bool step_input(struct vpc_stream *stream, const unsigned char *p)
{
    const int before = stream->cs[VPC_INPUT];

    if ((stream->local ? run_pipe_input(stream, p) : run_tcp_input(stream, p)) != p)
        return true;
    stream->cs[VPC_INPUT] = before;
    return false;
}

%%{
machine output_machine;
variable cs stream->cs[VPC_OUTPUT];

action finish_writing { vpc_stream_finish_writing(stream); }

action in_none        { enter(stream, VPC_OUTPUT, VPC_OUTPUT_NONE); }
action in_writing     { enter(stream, VPC_OUTPUT, VPC_OUTPUT_WRITING); }
action in_discarding  { enter(stream, VPC_OUTPUT, VPC_OUTPUT_DISCARDING); }
action in_halted      { enter(stream, VPC_OUTPUT, VPC_OUTPUT_HALTED); }
action in_finished    { enter(stream, VPC_OUTPUT, VPC_OUTPUT_FINISHED); }

include vpc_stream_output "stream.rl";
write data noerror nofinal noentry;
}%%

static bool step_output(struct vpc_stream *stream, const unsigned char *p)
{
    const unsigned char *const pe = p + 1;
    const int before = stream->cs[VPC_OUTPUT];

    %% write exec;
    if (p == pe)
        return true;
    stream->cs[VPC_OUTPUT] = before;
    return false;
}

void vpc_stream_begin(struct vpc_stream *stream)
{
    stream->cs[VPC_LIFE] = life_machine_start;
    stream->cs[VPC_INPUT] = stream->local ? pipe_input_machine_start : tcp_input_machine_start;
    stream->cs[VPC_OUTPUT] = output_machine_start;
    stream->state[VPC_LIFE] = VPC_LIFE_WAITING;
    stream->state[VPC_INPUT] = VPC_INPUT_NONE;
    stream->state[VPC_OUTPUT] = VPC_OUTPUT_NONE;
}

bool vpc_stream_step(struct vpc_stream *stream, enum vpc_stream_event event)
{
    const unsigned char octet = (unsigned char)event;
    bool any = step_life(stream, &octet);

    any |= step_input(stream, &octet);
    any |= step_output(stream, &octet);
    return any;
}
