/* SPDX-License-Identifier: MIT */
/* The steps of the lower tester that ask for something on the bus. */
#include <stdio.h>
#include <string.h>

#include "run/run.h"

static bool is(const struct conform_frame *frame, const char *name)
{
    return strcmp(frame->message->name, name) == 0;
}

/* The offset of DATA is that of the first byte of the step, in whichever frame that came. */
static bool actual_of(const struct vpc_run *run, const struct vpc_received *received,
                      const struct vpc_arg *arg, uint64_t *actual)
{
    *actual = arg->name == VPC_KEY_CHANNEL ? received->frame.channel : received->frame.pads;
    if (arg->name != VPC_KEY_FIELD)
        return true;
    if (!vpc_field_get(&received->frame, arg->field, actual))
        return false;
    if (is(&received->frame, "DATA") && strcmp(arg->key, "offset") == 0)
        *actual += received->consumed - run->progress->compared;
    return true;
}

/* What the step asks of the frame itself, and not of its bytes or its place. */
static bool asks_frame(const struct vpc_arg *arg)
{
    return arg->name == VPC_KEY_FIELD || arg->name == VPC_KEY_CHANNEL ||
           arg->name == VPC_KEY_PREAMBLE;
}

/* What a variable without a value will be set by matches; a sum has none to set. */
static bool number_matches(struct vpc_run *run, const struct vpc_arg *arg, uint64_t actual)
{
    uint64_t wanted;

    if (!vpc_known(run, arg))
        return !arg->sum;
    return vpc_number_of(run, arg, &wanted) && (wanted == actual) != arg->differs;
}

static bool arg_matches(struct vpc_run *run, const struct vpc_arg *arg,
                        const struct vpc_received *received)
{
    char text[33];
    uint64_t actual = 0;

    if (arg->field && vpc_field_get_text(&received->frame, arg->field, text))
        return (strcmp(text, arg->value) == 0) != arg->differs;
    if (!actual_of(run, received, arg, &actual))
        return false;
    if (run->tester.role == VPC_FROM_HOST && arg->field && strcmp(arg->key, "port") == 0)
        return true;
    return number_matches(run, arg, actual);
}

static bool frame_matches(struct vpc_run *run, const struct vpc_step *step,
                          const struct vpc_received *received)
{
    for (size_t i = 1; i < step->arg_count; i++)
        if (asks_frame(&step->args[i]) && !arg_matches(run, &step->args[i], received))
            return false;
    return true;
}

/* A frame that matches sets the variables that have no value yet. */
static void take_variables(struct vpc_run *run, const struct vpc_step *step,
                           const struct vpc_received *received)
{
    for (size_t i = 1; i < step->arg_count; i++) {
        const struct vpc_arg *arg = &step->args[i];
        uint64_t actual;

        if (asks_frame(arg) && !vpc_known(run, arg) && actual_of(run, received, arg, &actual))
            vpc_set_variable(run, arg->variable, actual);
    }
}

/* A step looks for the next EVENT with its id: others are of things that the scenario is not about. */
static bool other_event(const struct conform_frame *frame, const struct vpc_step *step)
{
    const struct vpc_arg *id = vpc_step_arg(step, "event");
    uint64_t actual;

    return id && id->kind == VPC_VALUE_NUMBER && vpc_field_get(frame, id->field, &actual) &&
           actual != id->number;
}

static bool ambient(const struct vpc_received *received, const struct vpc_step *step)
{
    const struct conform_frame *frame = &received->frame;
    bool wants_repeated =
        step->arg_count > 1 && !step->args[1].key && strcmp(step->args[1].value, "repeated") == 0;

    if (is(frame, "HELLO"))
        return frame->message != step->message || received->repeated != wants_repeated;
    if (is(frame, "EVENT") && frame->message == step->message)
        return other_event(frame, step);
    return frame->message != step->message && (is(frame, "HEARTBEAT") || is(frame, "EVENT") ||
                                               is(frame, "CREDIT") || is(frame, "READY"));
}

static bool queues(const struct vpc_step *step)
{
    return step->keyed[VPC_KEY_BEHIND] != NULL;
}

/* `behind=N`: whether at most N octets of other DATA came before the frame and still wait to be judged. */
static bool in_turn(struct vpc_run *run, const struct vpc_step *step,
                    const struct vpc_received *received)
{
    uint64_t limit = 0, before = 0;
    size_t n;

    if (!queues(step) || !vpc_number_of(run, step->keyed[VPC_KEY_BEHIND], &limit))
        return true;
    for (const struct vpc_received *at = run->tester.first; at != received; at = at->next) {
        if (!is(&at->frame, "DATA"))
            continue;
        vpc_frame_payload(&at->frame, &n);
        before += n;
    }
    vpc_say(run, VPC_WRONG, "%llu octets of DATA went before it", (unsigned long long)before);
    return before <= limit;
}

/* The frame that the step must judge: the first of its channel, or of the session, that is not ambient. */
static struct vpc_received *candidate(struct vpc_run *run, const struct vpc_step *step)
{
    const struct vpc_arg *channel = step->keyed[VPC_KEY_CHANNEL];
    uint64_t wanted = 0;
    bool by_channel = channel && !channel->differs && vpc_known(run, channel) &&
                      vpc_number_of(run, channel, &wanted);

    for (struct vpc_received *at = run->tester.first; at; at = at->next) {
        if (at->frame.message->of_session != step->message->of_session || ambient(at, step))
            continue;
        if (by_channel && at->frame.channel != wanted)
            continue;
        if (is(&at->frame, "DATA") && at->frame.message != step->message && queues(step))
            continue;
        return at;
    }
    return NULL;
}

static enum vpc_outcome wrong_frame(struct vpc_run *run, const struct vpc_received *received)
{
    char *text = vpc_frame_text(&received->frame);
    enum vpc_outcome outcome = vpc_say(run, VPC_WRONG, "%s", text);

    free(text);
    return outcome;
}

static enum vpc_outcome match_payload(struct vpc_run *run, struct vpc_received *received)
{
    const uint8_t *want = run->progress->want.data + run->progress->compared;
    size_t n, left = run->progress->want.end - run->progress->compared, other;
    const uint8_t *payload = vpc_frame_payload(&received->frame, &n);

    payload += received->consumed;
    n -= received->consumed;
    n = n < left ? n : left;
    other = vpc_first_other(payload, want, n);
    if (other < n)
        return vpc_say(run, VPC_WRONG, "byte %zu is %02x and not %02x",
                       run->progress->compared + other, payload[other], want[other]);
    received->consumed += n;
    run->progress->compared += n;
    return VPC_DONE;
}

/* DATA as a stream: takes frames until all bytes are there. */
static enum vpc_outcome expect_data(struct vpc_run *run, const struct vpc_step *step)
{
    enum vpc_outcome outcome = VPC_DONE;
    size_t n;

    if (!vpc_want(run))
        return VPC_BROKEN;
    while (outcome == VPC_DONE && run->progress->compared < run->progress->want.end) {
        struct vpc_received *received = candidate(run, step);

        if (received == NULL) {
            outcome = vpc_say(run, VPC_PENDING, "%zu of %zu bytes came", run->progress->compared,
                              run->progress->want.end);
            break;
        }
        if (!is(&received->frame, "DATA") || !frame_matches(run, step, received)) {
            outcome = wrong_frame(run, received);
            break;
        }
        take_variables(run, step, received);
        if (!in_turn(run, step, received))
            return VPC_WRONG;
        outcome = match_payload(run, received);
        vpc_frame_payload(&received->frame, &n);
        if (received->consumed == n)
            vpc_tester_drop(&run->tester, received);
    }
    return outcome;
}

enum vpc_outcome vpc_step_bus_expect(struct vpc_run *run, const struct vpc_step *step)
{
    struct vpc_received *received;

    if (strcmp(step->message->name, "DATA") == 0)
        return expect_data(run, step);
    received = candidate(run, step);
    if (received == NULL)
        return vpc_say(run, VPC_PENDING, "no such frame");
    if (received->frame.message != step->message || !frame_matches(run, step, received))
        return wrong_frame(run, received);
    if (!in_turn(run, step, received))
        return VPC_WRONG;
    take_variables(run, step, received);
    vpc_tester_drop(&run->tester, received);
    return VPC_DONE;
}

enum vpc_outcome vpc_step_bus_none(struct vpc_run *run, const struct vpc_step *step)
{
    for (struct vpc_received *at = run->tester.first; at; at = at->next)
        if (at->frame.message == step->message && !(at->old && is(&at->frame, "HELLO")) &&
            frame_matches(run, step, at))
            return wrong_frame(run, at);
    return VPC_PENDING;
}

enum vpc_outcome vpc_step_bus_silent(struct vpc_run *run, const struct vpc_step *step)
{
    (void)step;
    if (run->tester.last_heard_ms > run->progress->start)
        return vpc_say(run, VPC_WRONG, "a frame came, see the trace");
    return VPC_PENDING;
}
