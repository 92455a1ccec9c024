/* SPDX-License-Identifier: MIT */
/* The steps of the lower tester: session, auto, bus. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "run/run.h"

#define HELLO_MS     1000
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool is(const struct conform_frame *frame, const char *name)
{
    return strcmp(frame->message->name, name) == 0;
}

enum vpc_outcome vpc_step_bus_up(struct vpc_run *run, const struct vpc_step *step)
{
    char *error = NULL;

    (void)step;
    if (run->progress->first && !run->ops->bus_listen(run->backend, true, &error)) {
        enum vpc_outcome outcome = vpc_say(run, VPC_BROKEN, "%s", error);

        free(error);
        return outcome;
    }
    return run->bus_up ? VPC_DONE
                       : vpc_say(run, VPC_PENDING, "the subject has not come to the bus");
}

enum vpc_outcome vpc_step_bus_down(struct vpc_run *run, const struct vpc_step *step)
{
    char *error = NULL;

    (void)step;
    if (run->progress->first)
        run->ops->bus_listen(run->backend, false, &error);
    free(error);
    return run->bus_up ? VPC_PENDING : VPC_DONE;
}

enum vpc_outcome vpc_step_bus_taken(struct vpc_run *run, const struct vpc_step *step)
{
    char *error = NULL;
    enum vpc_outcome outcome = VPC_DONE;

    (void)step;
    if (run->ops->bus_serve_other == NULL)
        return vpc_say(run, VPC_BROKEN, "nobody waits in line here: backends socket");
    if (run->bus_up)
        return vpc_say(run, VPC_BROKEN, "the subject has the bus: \"bus down\" before");
    if (!run->ops->bus_serve_other(run->backend, &error))
        outcome = vpc_say(run, VPC_BROKEN, "%s", error);
    free(error);
    return outcome;
}

enum vpc_outcome vpc_step_bus_pause(struct vpc_run *run, const struct vpc_step *step)
{
    size_t octets;

    if (!vpc_octets_left(run, step, run->ops->bus_take != NULL, &octets))
        return VPC_BROKEN;
    if (octets)
        run->ops->bus_take(run->backend, octets);
    else
        run->ops->bus_read(run->backend, false);
    return VPC_DONE;
}

enum vpc_outcome vpc_step_bus_resume(struct vpc_run *run, const struct vpc_step *step)
{
    (void)step;
    run->ops->bus_read(run->backend, true);
    return VPC_DONE;
}

/* ---- session ----------------------------------------------------------------------------------------------------------- */

/* Sets a field of the frame; false: run->got says why not. */
static bool set_field(struct vpc_run *run, struct conform_frame *frame, const struct vpc_arg *arg)
{
    uint64_t value;

    if (arg->field->kind == VPC_FIELD_TEXT)
        return vpc_field_set_text(frame, arg->field, arg->value);
    if (arg->kind == VPC_VALUE_WORD) { /* fresh */
        vpc_tester_new_epoch(&run->tester);
        return vpc_field_set(frame, arg->field, run->tester.peer.epoch);
    }
    if (!vpc_number_of(run, arg, &value))
        return false;
    if (strcmp(arg->key, "port") == 0)
        value = run->ops->real_port(run->backend, (uint16_t)value);
    return vpc_field_set(frame, arg->field, value);
}

static bool greet(struct vpc_run *run, const struct vpc_step *step)
{
    struct conform_frame frame;

    vpc_tester_prepare(&run->tester, &frame, vpc_table_by_name(run->config->table, "HELLO"), 0);
    for (size_t i = 0; i < step->arg_count; i++) {
        if (step->args[i].field && !set_field(run, &frame, &step->args[i])) {
            vpc_frame_clear(&frame);
            return false;
        }
    }
    vpc_tester_seal(&run->tester, &frame);
    vpc_tester_send(&run->tester, &frame, run->config->table->preamble_min, SIZE_MAX);
    return true;
}

static void drop_hellos(struct vpc_run *run)
{
    struct vpc_received *at = run->tester.first, *next;

    for (; at; at = next) {
        next = at->next;
        if (is(&at->frame, "HELLO"))
            vpc_tester_drop(&run->tester, at);
    }
}

/* What came in an earlier session and was not looked at must not be taken for what this one brings. */
static void drop_earlier_sessions(struct vpc_run *run)
{
    struct vpc_received *at = run->tester.first, *next;

    for (; at; at = next) {
        next = at->next;
        if (at->frame.session != run->tester.peer.session)
            vpc_tester_drop(&run->tester, at);
    }
}

static void send_ready(struct vpc_run *run)
{
    struct conform_frame frame;

    vpc_tester_prepare(&run->tester, &frame, vpc_table_by_name(run->config->table, "READY"), 0);
    vpc_tester_seal(&run->tester, &frame);
    vpc_tester_send(&run->tester, &frame, 0, SIZE_MAX);
}

/* How often the subject said on its control socket that it is ready, or (not_ready) that a session is there. */
static size_t announcements(const struct vpc_run *run, bool not_ready)
{
    size_t count = 0;

    for (const struct vpc_item *item = run->events.first; item; item = item->next) {
        const json_t *name = json_object_get(item->json, "event");
        const json_t *id = json_object_get(json_object_get(item->json, "data"), "id");

        count += not_ready ? json_integer_value(id) == 1010
                           : name && strcmp(json_string_value(name), "CHANNEL_READY") == 0;
    }
    return count;
}

/* What a host reads from the bus and from its control socket has no order: the session is there when it says so. */
static enum vpc_outcome await_host(struct vpc_run *run, bool not_ready)
{
    if (!vpc_implementation_has(run->config->implementation, "events") || run->event_client == 0 ||
        announcements(run, not_ready) > run->progress->announced)
        return VPC_DONE;
    return vpc_say(run, VPC_PENDING, "the peer greets it, but it does not say that it is %s",
                   not_ready ? "in a session" : "ready");
}

static enum vpc_outcome await_ready(struct vpc_run *run)
{
    for (struct vpc_received *at = run->tester.first; at; at = at->next) {
        if (is(&at->frame, "READY")) {
            vpc_tester_drop(&run->tester, at);
            return VPC_DONE;
        }
    }
    return vpc_say(run, VPC_PENDING, "the session is there, its READY is not");
}

/* What later steps may want to compare with. */
static void set_session_variables(struct vpc_run *run)
{
    const struct vpc_peer *peer = &run->tester.peer;

    vpc_set_variable(run, VPC_VARIABLE_SUBJECT_EPOCH, peer->subject_epoch);
    vpc_set_variable(run, VPC_VARIABLE_TESTER_EPOCH, peer->epoch);
    vpc_set_variable(run, VPC_VARIABLE_SESSION_ID, peer->session);
}

/* The phases of the step, in their order. */
enum { TRANSPORT, GREETING, READINESS };

static enum vpc_outcome greet_again(struct vpc_run *run, const struct vpc_step *step)
{
    if (!greet(run, step))
        return VPC_BROKEN;
    run->progress->sent_mark = vpc_now(run);
    return VPC_DONE;
}

static enum vpc_outcome await_transport(struct vpc_run *run, const struct vpc_step *step,
                                        bool not_ready)
{
    struct vpc_tester *tester = &run->tester;

    if (vpc_step_bus_up(run, step) != VPC_DONE)
        return VPC_PENDING;
    run->progress->phase = GREETING;
    run->progress->announced = announcements(run, not_ready);
    vpc_tester_new_epoch(tester);
    drop_hellos(run);
    tester->peer.subject_epoch = tester->peer.subject_echo = tester->peer.told = 0;
    return greet_again(run, step);
}

/* The subject greeted in an epoch that it was not told yet, or it is time to say the own HELLO again. */
static bool must_greet(struct vpc_run *run)
{
    const struct vpc_peer *peer = &run->tester.peer;

    return (peer->subject_epoch && peer->told != peer->subject_epoch) ||
           vpc_now(run) >= run->progress->sent_mark + HELLO_MS;
}

static void begin_session(struct vpc_run *run, bool not_ready)
{
    run->progress->phase = READINESS;
    set_session_variables(run);
    drop_earlier_sessions(run); /* HELLOs have no session */
    if (run->tester.role == VPC_FROM_GUEST && !not_ready)
        send_ready(run);
}

static enum vpc_outcome await_greeting(struct vpc_run *run, const struct vpc_step *step,
                                       bool not_ready)
{
    const struct vpc_peer *peer = &run->tester.peer;

    while (peer->session == 0 || peer->told != peer->subject_epoch) {
        if (!must_greet(run))
            return vpc_say(run, VPC_PENDING, "no HELLO that echoes the tester's epoch");
        if (greet_again(run, step) != VPC_DONE)
            return VPC_BROKEN;
        vpc_run_flush(run);
    }
    begin_session(run, not_ready);
    return VPC_DONE;
}

enum vpc_outcome vpc_step_session(struct vpc_run *run, const struct vpc_step *step)
{
    bool not_ready = step->arg_count && !step->args[0].key;
    enum vpc_outcome outcome = VPC_DONE;

    if (run->progress->phase == TRANSPORT)
        outcome = await_transport(run, step, not_ready);
    if (outcome == VPC_DONE && run->progress->phase == GREETING)
        outcome = await_greeting(run, step, not_ready);
    if (outcome != VPC_DONE)
        return outcome;
    if (run->tester.role == VPC_FROM_GUEST)
        return await_host(run, not_ready);
    return not_ready ? VPC_DONE : await_ready(run);
}

enum vpc_outcome vpc_step_auto(struct vpc_run *run, const struct vpc_step *step)
{
    bool on = strcmp(step->args[0].value, "on") == 0;

    for (size_t i = 1; i < step->arg_count; i++) {
        const char *what = step->args[i].value;

        if (strcmp(what, "heartbeat") == 0)
            run->tester.auto_heartbeat = on;
        else if (strcmp(what, "credit") == 0)
            run->tester.auto_credit = on;
        else
            run->tester.auto_released = on;
    }
    return VPC_DONE;
}

/* ---- sending ------------------------------------------------------------------------------------------------------------- */

enum vpc_outcome vpc_step_bus_raw(struct vpc_run *run, const struct vpc_step *step)
{
    struct vpc_buffer octets = {0};

    for (size_t i = 0; i < step->arg_count; i++) {
        const struct vpc_arg *arg = &step->args[i];
        uint8_t octet = (uint8_t)arg->number;

        vpc_buffer_add(&octets, arg->quoted ? arg->value : (const char *)&octet,
                       arg->quoted ? arg->size : 1);
    }
    if (run->progress->first)
        vpc_tester_note_old(&run->tester);
    vpc_trace_add(run->trace, "  > raw, %zu octets", octets.end);
    vpc_buffer_add(&run->tester.out, octets.data, octets.end);
    vpc_monitor_sent(&run->monitor, octets.data, octets.end);
    vpc_buffer_free(&octets);
    return VPC_DONE;
}

enum vpc_outcome vpc_step_bus_pad(struct vpc_run *run, const struct vpc_step *step)
{
    size_t before = vpc_buffer_size(&run->tester.out);
    uint64_t n;

    if (!vpc_amount_of(run, &step->args[0], VPC_OCTETS_MAX, &n))
        return VPC_BROKEN;
    if (run->progress->first)
        vpc_tester_note_old(&run->tester);
    vpc_trace_add(run->trace, "  > %llu octets of padding", (unsigned long long)n);
    vpc_buffer_fill(&run->tester.out, run->config->table->pad, n);
    vpc_monitor_sent(&run->monitor, vpc_buffer_head(&run->tester.out) + before, n);
    return VPC_DONE;
}

static const struct {
    size_t offset, size;
} header_keys[] = {
    [VPC_KEY_MAGIC] = {offsetof(struct conform_frame, magic), 2},
    [VPC_KEY_TYPE] = {offsetof(struct conform_frame, type), 1},
    [VPC_KEY_FLAGS] = {offsetof(struct conform_frame, flags), 1},
    [VPC_KEY_LENGTH] = {offsetof(struct conform_frame, length), 4},
    [VPC_KEY_CHANNEL] = {offsetof(struct conform_frame, channel), 4},
    [VPC_KEY_SESSION] = {offsetof(struct conform_frame, session), 8},
    [VPC_KEY_NUMBER] = {offsetof(struct conform_frame, number), 8},
};

/* Writes a part of the header or the seal, if the argument is one, lowest octet first. */
static bool set_part(struct vpc_run *run, struct conform_frame *frame, const struct vpc_arg *arg)
{
    size_t size = arg->name < COUNT(header_keys) ? header_keys[arg->name].size : 0;
    uint64_t value;

    if (size == 0)
        return true;
    if (!vpc_number_of(run, arg, &value))
        return false;
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)frame + header_keys[arg->name].offset)[i] = (uint8_t)(value >> 8 * i);
    return true;
}

static bool is_of_seal(const struct vpc_arg *arg)
{
    return arg->name == VPC_KEY_SESSION || arg->name == VPC_KEY_NUMBER;
}

/* First header and fields, which the seal covers; then the seal itself. */
static bool apply_args(struct vpc_run *run, const struct vpc_step *step,
                       struct conform_frame *frame, bool seal)
{
    for (size_t i = 1; i < step->arg_count; i++) {
        const struct vpc_arg *arg = &step->args[i];

        if (is_of_seal(arg) != seal)
            continue;
        if (!(arg->field ? set_field(run, frame, arg) : set_part(run, frame, arg)))
            return false;
    }
    return true;
}

static uint64_t number_or(struct vpc_run *run, const struct vpc_step *step, enum vpc_key key,
                          uint64_t otherwise)
{
    const struct vpc_arg *arg = step->keyed[key];
    uint64_t value;

    return arg && vpc_number_of(run, arg, &value) ? value : otherwise;
}

static enum vpc_outcome send_frame(struct vpc_run *run, const struct vpc_step *step,
                                   const struct vpc_buffer *payload)
{
    bool hello = strcmp(step->message->name, "HELLO") == 0;
    size_t pads =
        number_or(run, step, VPC_KEY_PREAMBLE, hello ? run->config->table->preamble_min : 0);
    size_t cut = number_or(run, step, VPC_KEY_CUT, SIZE_MAX);
    struct conform_frame frame;

    if (pads > VPC_OCTETS_MAX)
        return vpc_say(run, VPC_BROKEN, "a preamble of more than %u octets", VPC_OCTETS_MAX);
    vpc_tester_prepare(&run->tester, &frame, step->message,
                       (uint32_t)number_or(run, step, VPC_KEY_CHANNEL, 0));
    if (is(&frame, "OPEN"))
        vpc_frame_set(&frame, "port", run->ops->real_port(run->backend, 6174));
    if (payload)
        vpc_frame_set_payload(&frame, payload->data, payload->end);
    if (!apply_args(run, step, &frame, false)) {
        vpc_frame_clear(&frame);
        return VPC_BROKEN;
    }
    vpc_tester_seal(&run->tester, &frame);
    apply_args(run, step, &frame, true);
    vpc_tester_send(&run->tester, &frame, pads, cut);
    return VPC_DONE;
}

/* Whether the step changes nothing about the frames, so that a DATA may be split and wait for credit. */
static bool plain(const struct vpc_step *step)
{
    static const bool harmless[] = {
        [VPC_KEY_TEXT] = true, [VPC_KEY_BYTES] = true,   [VPC_KEY_PATTERN] = true,
        [VPC_KEY_FROM] = true, [VPC_KEY_CHANNEL] = true, [VPC_KEY_FRAME] = true};

    for (size_t i = 1; i < step->arg_count; i++)
        if (step->args[i].name >= COUNT(harmless) || !harmless[step->args[i].name])
            return false;
    return !step->ignoring_credit;
}

/* The step was called before: what it queued goes when there is credit. */
static enum vpc_outcome await_credit(struct vpc_run *run, uint32_t id)
{
    const struct vpc_channel *channel = vpc_tester_channel(&run->tester, id);
    size_t waiting = channel ? vpc_buffer_size(&channel->waiting) : 0;

    if (channel == NULL)
        return vpc_say(run, VPC_WRONG, "channel %u went with its session, bytes waited for credit",
                       (unsigned)id);
    return waiting == 0 ? VPC_DONE
                        : vpc_say(run, VPC_PENDING, "%zu bytes wait for credit", waiting);
}

static enum vpc_outcome queue_data(struct vpc_run *run, const struct vpc_step *step,
                                   struct vpc_channel *channel, const struct vpc_buffer *bytes)
{
    enum vpc_outcome outcome;

    vpc_tester_queue(&run->tester, channel, bytes->data, bytes->end);
    outcome =
        step->in_background || vpc_buffer_size(&channel->waiting) == 0 ? VPC_DONE : VPC_PENDING;
    return vpc_say(run, outcome, "the bytes wait for credit");
}

static enum vpc_outcome send_data(struct vpc_run *run, const struct vpc_step *step)
{
    uint32_t id = (uint32_t)number_or(run, step, VPC_KEY_CHANNEL, 0);
    struct vpc_channel *channel = vpc_tester_channel(&run->tester, id);
    size_t frame_max = number_or(run, step, VPC_KEY_FRAME, 65528);
    struct vpc_buffer bytes = {0};
    enum vpc_outcome outcome;

    if (!run->progress->first)
        return await_credit(run, id);
    if (frame_max == 0)
        return vpc_say(run, VPC_BROKEN, "frames without a byte would never end");
    if (!vpc_bytes_of(run, &bytes))
        return VPC_BROKEN;
    if (plain(step) && channel && channel->tester_sends) {
        channel->frame_max = frame_max;
        outcome = queue_data(run, step, channel, &bytes);
    } else {
        outcome = send_frame(run, step, &bytes);
    }
    vpc_buffer_free(&bytes);
    return outcome;
}

static bool fin_must_wait(struct vpc_run *run, const struct vpc_step *step)
{
    struct vpc_channel *channel =
        vpc_tester_channel(&run->tester, (uint32_t)number_or(run, step, VPC_KEY_CHANNEL, 0));

    if (strcmp(step->message->name, "FIN") != 0 || channel == NULL || step->arg_count > 2 ||
        vpc_buffer_size(&channel->waiting) == 0)
        return false;
    channel->fin_waits = true;
    return true;
}

enum vpc_outcome vpc_step_bus_send(struct vpc_run *run, const struct vpc_step *step)
{
    if (run->progress->first)
        vpc_tester_note_old(&run->tester);
    if (run->progress->first && !run->bus_up)
        return vpc_say(run, VPC_BROKEN, "the bus is down: write \"bus up\" or \"session\" first");
    if (strcmp(step->message->name, "DATA") == 0)
        return send_data(run, step);
    return fin_must_wait(run, step) ? VPC_DONE : send_frame(run, step, NULL);
}
