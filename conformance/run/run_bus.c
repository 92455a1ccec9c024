/* SPDX-License-Identifier: MIT */
/* The steps of the lower tester: session, auto, bus. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "run/run.h"

#define HELLO_MS 1000

static bool is(const struct vpc_frame *frame, const char *name)
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

static void greet(struct vpc_run *run, const struct vpc_step *step)
{
    struct vpc_frame frame;
    uint64_t value;

    vpc_tester_prepare(&run->tester, &frame, vpc_table_by_name(run->config->table, "HELLO"), 0);
    for (size_t i = 0; i < step->arg_count; i++) {
        const struct vpc_arg *arg = &step->args[i];

        if (arg->key && vpc_number(arg->value, &value))
            vpc_frame_set(&frame, arg->key, value);
        if (arg->key)
            vpc_frame_set_text(&frame, arg->key, arg->value);
    }
    vpc_tester_seal(&run->tester, &frame);
    vpc_tester_send(&run->tester, &frame, run->config->table->preamble_min, SIZE_MAX);
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
    struct vpc_frame frame;

    vpc_tester_prepare(&run->tester, &frame, vpc_table_by_name(run->config->table, "READY"), 0);
    vpc_tester_seal(&run->tester, &frame);
    vpc_tester_send(&run->tester, &frame, 0, SIZE_MAX);
}

/* How often the subject said on its control socket that it is ready, or (not_ready) that a session is there. */
static size_t announcements(const struct vpc_run *run, bool not_ready)
{
    size_t count = 0;

    for (const struct vpc_item *item = run->events; item; item = item->next) {
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
    const struct vpc_tester *tester = &run->tester;
    char number[24];

    snprintf(number, sizeof(number), "%llu", (unsigned long long)tester->peer.subject_epoch);
    vpc_set_variable(run, "subject_epoch", number);
    snprintf(number, sizeof(number), "%llu", (unsigned long long)tester->peer.epoch);
    vpc_set_variable(run, "tester_epoch", number);
    snprintf(number, sizeof(number), "%llu", (unsigned long long)tester->peer.session);
    vpc_set_variable(run, "session_id", number);
}

/* Phases: 0 the transport, 1 the greeting, 2 READY of a guest. */
enum vpc_outcome vpc_step_session(struct vpc_run *run, const struct vpc_step *step)
{
    struct vpc_tester *tester = &run->tester;
    bool subject_host = tester->role == VPC_FROM_GUEST;
    bool not_ready = step->arg_count && !step->args[0].key;

    if (run->progress->phase == 0) {
        if (vpc_step_bus_up(run, step) != VPC_DONE)
            return VPC_PENDING;
        run->progress->phase = 1;
        run->progress->announced = announcements(run, not_ready);
        vpc_tester_new_epoch(tester);
        drop_hellos(run);
        tester->peer.subject_epoch = tester->peer.subject_echo = tester->peer.told = 0;
        greet(run, step);
        run->progress->sent_mark = vpc_now(run);
    }
    if (run->progress->phase == 1) {
        bool heard = tester->peer.session != 0;

        if (heard && tester->peer.told == tester->peer.subject_epoch) {
            run->progress->phase = 2;
            set_session_variables(run);
            drop_earlier_sessions(run); /* HELLOs have no session */
            if (subject_host && !not_ready)
                send_ready(run);
        } else if ((tester->peer.subject_epoch &&
                    tester->peer.told != tester->peer.subject_epoch) ||
                   vpc_now(run) >= run->progress->sent_mark + HELLO_MS) {
            greet(run, step);
            run->progress->sent_mark = vpc_now(run);
            vpc_run_flush(run);
            return vpc_step_session(run, step);
        } else {
            return vpc_say(run, VPC_PENDING, "no HELLO that echoes the tester's epoch");
        }
    }
    if (subject_host)
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
        else if (strcmp(what, "released") == 0)
            run->tester.auto_released = on;
        else
            return vpc_say(run, VPC_BROKEN, "auto knows heartbeat, credit and released");
    }
    return VPC_DONE;
}

/* ---- sending ------------------------------------------------------------------------------------------------------------- */

enum vpc_outcome vpc_step_bus_raw(struct vpc_run *run, const struct vpc_step *step)
{
    struct vpc_buffer octets = {0};

    for (size_t i = 0; i < step->arg_count; i++) {
        const struct vpc_arg *arg = &step->args[i];
        char *end;
        uint8_t octet = (uint8_t)strtoul(arg->value, &end, 16);

        if (arg->quoted)
            vpc_buffer_add(&octets, arg->value, arg->size);
        else if (*end || strlen(arg->value) > 2)
            return vpc_say(run, VPC_BROKEN, "\"%s\" is no octet", arg->value);
        else
            vpc_buffer_add(&octets, &octet, 1);
    }
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

    if (!vpc_number_of(run, &step->args[0], &n))
        return VPC_BROKEN;
    vpc_trace_add(run->trace, "  > %llu octets of padding", (unsigned long long)n);
    vpc_buffer_fill(&run->tester.out, run->config->table->pad, n);
    vpc_monitor_sent(&run->monitor, vpc_buffer_head(&run->tester.out) + before, n);
    return VPC_DONE;
}

struct header_key {
    const char *name;
    size_t offset;
    size_t size;
};

static const struct header_key header_keys[] = {
    {"header.type", offsetof(struct vpc_frame, type), 1},
    {"header.flags", offsetof(struct vpc_frame, flags), 1},
    {"header.length", offsetof(struct vpc_frame, length), 4},
    {"channel", offsetof(struct vpc_frame, channel), 4},
    {"seal.session", offsetof(struct vpc_frame, session), 8},
    {"seal.number", offsetof(struct vpc_frame, number), 8},
};

static void set_header(struct vpc_frame *frame, const char *key, uint64_t value)
{
    for (size_t i = 0; i < sizeof(header_keys) / sizeof(header_keys[0]); i++)
        if (strcmp(header_keys[i].name, key) == 0)
            memcpy((char *)frame + header_keys[i].offset, &value, header_keys[i].size);
    if (strcmp(key, "header.magic") == 0) {
        frame->magic[0] = (uint8_t)value;
        frame->magic[1] = (uint8_t)(value >> 8);
    }
}

/* before: header and fields, which the seal covers; after: the seal itself. */
static bool apply_args(struct vpc_run *run, const struct vpc_step *step, struct vpc_frame *frame,
                       bool seal)
{
    for (size_t i = 1; i < step->arg_count; i++) {
        const struct vpc_arg *arg = &step->args[i];
        uint64_t value;

        if (strncmp(arg->key, "seal.", 5) == 0) {
            if (seal && !vpc_number_of(run, arg, &value))
                return false;
            if (seal)
                set_header(frame, arg->key, value);
        } else if (!seal && arg->quoted) {
            vpc_frame_set_text(frame, arg->key, arg->value);
        } else if (!seal && strcmp(arg->value, "fresh") == 0) {
            vpc_tester_new_epoch(&run->tester);
            vpc_frame_set(frame, arg->key, run->tester.peer.epoch);
        } else if (!seal) {
            if (!vpc_number_of(run, arg, &value))
                return false;
            set_header(frame, arg->key, value);
            if (strcmp(arg->key, "port") == 0)
                value = run->ops->real_port(run->backend, (uint16_t)value);
            vpc_frame_set(frame, arg->key, value);
        }
    }
    return true;
}

static uint64_t number_or(struct vpc_run *run, const struct vpc_step *step, const char *key,
                          uint64_t otherwise)
{
    const struct vpc_arg *arg = vpc_step_arg(step, key);
    uint64_t value;

    return arg && vpc_number_of(run, arg, &value) ? value : otherwise;
}

static enum vpc_outcome send_frame(struct vpc_run *run, const struct vpc_step *step,
                                   const struct vpc_buffer *payload)
{
    bool hello = strcmp(step->message->name, "HELLO") == 0;
    size_t pads = number_or(run, step, "preamble", hello ? run->config->table->preamble_min : 0);
    size_t cut = number_or(run, step, "cut", SIZE_MAX);
    struct vpc_frame frame;

    vpc_tester_prepare(&run->tester, &frame, step->message,
                       (uint32_t)number_or(run, step, "channel", 0));
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
    for (size_t i = 1; i < step->arg_count; i++)
        if (!strstr(" channel text bytes pattern from frame ", step->args[i].key))
            return false;
    return !step->ignoring_credit;
}

static enum vpc_outcome send_data(struct vpc_run *run, const struct vpc_step *step)
{
    uint32_t id = (uint32_t)number_or(run, step, "channel", 0);
    struct vpc_channel *channel = vpc_tester_channel(&run->tester, id);
    struct vpc_buffer bytes = {0};
    enum vpc_outcome outcome = VPC_DONE;

    if (!run->progress->first)
        return vpc_buffer_size(&channel->waiting) == 0
                   ? VPC_DONE
                   : vpc_say(run, VPC_PENDING, "%zu bytes wait for credit",
                             vpc_buffer_size(&channel->waiting));
    if (!vpc_bytes_of(run, &bytes))
        return VPC_BROKEN;
    if (plain(step) && channel && channel->tester_sends) {
        channel->frame_max = number_or(run, step, "frame", 65528);
        vpc_tester_queue(&run->tester, channel, bytes.data, bytes.end);
        outcome =
            step->in_background || vpc_buffer_size(&channel->waiting) == 0 ? VPC_DONE : VPC_PENDING;
        vpc_say(run, outcome, "the bytes wait for credit");
    } else {
        outcome = send_frame(run, step, &bytes);
    }
    vpc_buffer_free(&bytes);
    return outcome;
}

static bool fin_must_wait(struct vpc_run *run, const struct vpc_step *step)
{
    struct vpc_channel *channel =
        vpc_tester_channel(&run->tester, (uint32_t)number_or(run, step, "channel", 0));

    if (strcmp(step->message->name, "FIN") != 0 || channel == NULL || step->arg_count > 2 ||
        vpc_buffer_size(&channel->waiting) == 0)
        return false;
    channel->fin_waits = true;
    return true;
}

enum vpc_outcome vpc_step_bus_send(struct vpc_run *run, const struct vpc_step *step)
{
    if (run->progress->first && !run->bus_up)
        return vpc_say(run, VPC_BROKEN, "the bus is down: write \"bus up\" or \"session\" first");
    if (strcmp(step->message->name, "DATA") == 0)
        return send_data(run, step);
    return fin_must_wait(run, step) ? VPC_DONE : send_frame(run, step, NULL);
}
