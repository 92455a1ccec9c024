/* SPDX-License-Identifier: MIT */
/*
 * A relay: one pair and its local stream (a pipe's client at the host, a TCP connection in the
 * guest).
 *
 * Goal     Every byte that one program wrote reaches the other before the end does; each direction
 *          ends by itself; an end by error never looks like a good one.
 * Events   The stream's: opened, input, eof, gone.  The pair's: readable, reset, released.  Time.
 * Limits   Bytes lie in the pair's two rings and nowhere else; every wait has its limit: for the
 *          guest's answer, for the pipe's client, for progress while the pair ends.
 * Never    A stream's output is shut down before its last byte was taken; an action names a stream
 *          that was given up.
 */
#include "endpoint.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- places ---------------------------------------------------------------------------------- */

struct vpc_relay *vpc_relay_find(const vpc_endpoint *ep, uint32_t stream)
{
    for (unsigned i = 0; stream != 0 && i < ep->options.max_pairs; i++)
        if (ep->relays[i].stream == stream)
            return &ep->relays[i];
    return NULL;
}

struct vpc_relay *vpc_relay_live(const vpc_endpoint *ep, uint32_t stream)
{
    struct vpc_relay *relay = vpc_relay_find(ep, stream);

    return relay != NULL && relay->pair != NULL && !relay->aborted ? relay : NULL;
}

struct vpc_relay *vpc_relay_of_channel(const vpc_endpoint *ep, uint32_t channel)
{
    for (unsigned i = 0; i < ep->options.max_pairs; i++) {
        struct vpc_relay *relay = &ep->relays[i];

        if (relay->stream != 0 && relay->pair != NULL &&
            (relay->h2g == channel || relay->g2h == channel))
            return relay;
    }
    return NULL;
}

/* A number is used again after 2^32 streams only, and never while it is in use. */
static uint32_t next_stream(vpc_endpoint *ep)
{
    do
        ep->last_stream++;
    while (ep->last_stream == 0 || vpc_relay_find(ep, ep->last_stream) != NULL);
    return ep->last_stream;
}

struct vpc_relay *vpc_relay_take(vpc_endpoint *ep)
{
    for (unsigned i = 0; i < ep->options.max_pairs; i++) {
        struct vpc_relay *relay = &ep->relays[i];

        if (relay->stream != 0)
            continue;
        *relay = (struct vpc_relay){.stream = next_stream(ep)};
        return relay;
    }
    return NULL;
}

void vpc_relay_free(vpc_endpoint *ep, struct vpc_relay *relay)
{
    if (relay->stopper.client != 0)
        vpc_answer(ep, &relay->stopper, json_object());
    vpc_link_remove(&relay->awake);
    vpc_asker_forget(&relay->stopper);
    vpc_asker_forget(&relay->starter);
    free(relay->pipe);
    free(relay->pipe_key);
    free(relay->path);
    *relay = (struct vpc_relay){0};
}

unsigned vpc_relay_count(const vpc_endpoint *ep)
{
    unsigned n = 0;

    for (unsigned i = 0; i < ep->options.max_pairs; i++)
        n += ep->relays[i].stream != 0;
    return n;
}

static bool flowing(enum vpc_channel_state state)
{
    return state == VPC_CHANNEL_OPENING || state == VPC_CHANNEL_OPEN;
}

bool vpc_relay_running_down(const struct vpc_relay *relay)
{
    return relay->eof || relay->gone || relay->aborted ||
           (relay->pair != NULL && (!flowing(vpc_pair_sending_state(relay->pair)) ||
                                    !flowing(vpc_pair_receiving_state(relay->pair))));
}

void vpc_relay_join(vpc_endpoint *ep, struct vpc_relay *relay, vpc_pair *pair)
{
    vpc_channel_status sending, receiving;

    relay->pair = pair;
    relay->waits_since = ep->now;
    vpc_pair_set_user(pair, relay);
    vpc_pair_channels(pair, &sending, &receiving);
    relay->h2g = sending.host_to_guest ? sending.id : receiving.id;
    relay->g2h = sending.host_to_guest ? receiving.id : sending.id;
}

void vpc_relay_opened(vpc_endpoint *ep, struct vpc_relay *relay)
{
    relay->open = true;
    relay->eof |= ep->stopping;
    relay->waits_since = relay->progress_at = ep->now;
    ep->opened++;
    vpc_log(ep, VPC_LOG_CHANNEL_OPENED, vpc_relay_fields(relay, NULL, 0));
    vpc_broadcast(ep, "CHANNEL_OPENED", vpc_relay_fields(relay, NULL, 0));
    vpc_relay_look(ep, relay);
}

/* ---- ends ------------------------------------------------------------------------------------ */

static void act(vpc_endpoint *ep, const struct vpc_relay *relay, uint32_t kind)
{
    vpc_act(ep, (vpc_action){.kind = kind, .stream = relay->stream}, NULL);
}

void vpc_relay_abort(vpc_endpoint *ep, struct vpc_relay *relay, const char *cause, uint32_t error)
{
    if (relay->cause == NULL) {
        relay->cause = cause;
        relay->error = error;
    }
    if (!relay->aborted) {
        relay->aborted = true;
        act(ep, relay, VPC_ACTION_ABORT);
    }
    if (relay->pair != NULL)
        vpc_pair_reset(relay->pair, error);
}

/* A RESET from the peer.  With 0 from the receiving end nobody there reads any more; our own
 * reading may go on. */
void vpc_relay_reset(vpc_endpoint *ep, struct vpc_relay *relay, const vpc_session_event *event)
{
    const char *cause = ep->role == VPC_ROLE_HOST ? "reset by guest" : "reset by host";
    vpc_channel_status sending, receiving;

    vpc_pair_channels(relay->pair, &sending, &receiving);
    if (event->value == 0 && event->channel == sending.id)
        return;
    vpc_relay_abort(ep, relay, cause, event->value != 0 ? (uint32_t)event->value : ECONNRESET);
    if (ep->role == VPC_ROLE_HOST)
        vpc_host_start_lost(ep, relay, ""); /* it is the answer, if none came before (API-9) */
}

static json_t *closed_fields(const struct vpc_relay *relay)
{
    const char *cause = relay->cause != NULL  ? relay->cause
                        : relay->told_to_stop ? "stopped"
                                              : "closed";
    json_t *fields = vpc_relay_fields(relay, cause, relay->error);
    vpc_channel_status sending, receiving;

    vpc_pair_channels(relay->pair, &sending, &receiving);
    json_object_set_new(fields, "sent", json_integer((json_int_t)sending.bytes));
    json_object_set_new(fields, "received", json_integer((json_int_t)receiving.bytes));
    return fields;
}

static void report_closed(vpc_endpoint *ep, const struct vpc_relay *relay)
{
    bool good = relay->cause == NULL || strcmp(relay->cause, "stopped") == 0;

    vpc_log_at(ep, VPC_LOG_CHANNEL_CLOSED, good ? NULL : "warning", closed_fields(relay));
    vpc_broadcast(ep, "CHANNEL_CLOSED", closed_fields(relay));
}

void vpc_relay_released(vpc_endpoint *ep, struct vpc_relay *relay, const char *lost)
{
    if (*lost != '\0' && relay->cause == NULL)
        relay->cause = strcmp(lost, "stopped") == 0 ? "stopped" : "session lost";
    if (relay->open)
        report_closed(ep, relay);
    else if (ep->role == VPC_ROLE_HOST)
        vpc_host_start_lost(ep, relay, lost);
    if (!relay->aborted) {
        bool clean = relay->open && *lost == '\0';

        act(ep, relay, clean || relay->cause == NULL ? VPC_ACTION_CLOSE : VPC_ACTION_ABORT);
    }
    vpc_relay_free(ep, relay);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static bool has_stream(const struct vpc_relay *relay)
{
    return relay->pair != NULL && relay->connected && !relay->aborted;
}

size_t vpc_relay_output(const struct vpc_relay *relay, const void **octets)
{
    return has_stream(relay) ? vpc_pair_read(relay->pair, octets) : 0;
}

size_t vpc_relay_room(const struct vpc_relay *relay)
{
    return has_stream(relay) && relay->open && !relay->eof ? vpc_pair_write_room(relay->pair) : 0;
}

void vpc_relay_look(vpc_endpoint *ep, struct vpc_relay *relay)
{
    const void *octets;
    unsigned has = 0;

    if (vpc_relay_output(relay, &octets) > 0)
        has |= VPC_HAS_OUTPUT;
    if (vpc_relay_room(relay) > 0)
        has |= VPC_HAS_ROOM;
    relay->untold = (relay->untold | ~relay->had) & has;
    relay->had = has;
    if (relay->untold != 0)
        vpc_link_append(&ep->awake, &relay->awake);
    else
        vpc_link_remove(&relay->awake);
}

void vpc_relay_asked(struct vpc_relay *relay, enum vpc_has what)
{
    relay->untold &= ~(unsigned)what;
    if (relay->untold == 0)
        vpc_link_remove(&relay->awake);
}

struct vpc_relay *vpc_relay_next_awake(vpc_endpoint *ep)
{
    while (!vpc_list_empty(&ep->awake)) {
        struct vpc_relay *relay = VPC_LINKED(ep->awake.next, struct vpc_relay, awake);

        vpc_relay_look(ep, relay); /* it may have lost what it had */
        if (relay->untold == 0)
            continue;
        vpc_relay_asked(relay, VPC_HAS_OUTPUT | VPC_HAS_ROOM);
        return relay;
    }
    return NULL;
}

/* The local program has finished or is gone: what it wrote goes out first, FIN behind it. */
static void advance_sending(struct vpc_relay *relay)
{
    if (relay->eof && vpc_pair_sending_state(relay->pair) == VPC_CHANNEL_OPEN)
        vpc_pair_finish(relay->pair);
}

static void advance_receiving(vpc_endpoint *ep, struct vpc_relay *relay)
{
    if (relay->gone) {
        vpc_pair_discard(relay->pair);
        /* CLS-6: a reset only when all that the client wrote is delivered */
        if (vpc_pair_at_end(relay->pair))
            vpc_pair_end_delivered(relay->pair);
        else if (vpc_pair_sending_state(relay->pair) == VPC_CHANNEL_RELEASED)
            vpc_pair_stop_reading(relay->pair);
    } else if (relay->connected && !relay->shut && vpc_pair_at_end(relay->pair)) {
        relay->shut = true;
        act(ep, relay, VPC_ACTION_SHUTDOWN);
        vpc_pair_end_delivered(relay->pair);
    }
}

/* Whatever moves while a pair ends: bytes in either direction, credit, the states, and what the
 * local program does.  Nothing of it ever goes back, so the sum changes with each of them. */
static uint64_t progress_of(const struct vpc_relay *relay)
{
    vpc_channel_status sending, receiving;

    vpc_pair_channels(relay->pair, &sending, &receiving);
    return sending.bytes + (sending.bytes + sending.credit) + receiving.bytes + relay->delivered +
           (uint64_t)sending.state + (uint64_t)receiving.state + relay->eof + relay->gone;
}

static void note_progress(const vpc_endpoint *ep, struct vpc_relay *relay)
{
    uint64_t progress = progress_of(relay);

    if (progress == relay->progress)
        return;
    relay->progress = progress;
    relay->progress_at = ep->now;
}

void vpc_relays_advance(vpc_endpoint *ep)
{
    for (unsigned i = 0; i < ep->options.max_pairs; i++) {
        struct vpc_relay *relay = &ep->relays[i];

        if (relay->stream == 0 || relay->pair == NULL || !relay->open || relay->aborted)
            continue;
        advance_sending(relay);
        advance_receiving(ep, relay);
        note_progress(ep, relay);
    }
}

/* ---- time ------------------------------------------------------------------------------------ */

/* CLS-8, CLS-13: the local program has finished, whether its bytes have credit or not, and the peer's
 * FIN came.  Without that FIN a peer that does not read may be a slow reader. */
static bool ending(const struct vpc_relay *relay)
{
    bool own_end = relay->eof || !flowing(vpc_pair_sending_state(relay->pair));

    return relay->gone || (own_end && !flowing(vpc_pair_receiving_state(relay->pair)));
}

static bool waits_for_client(const vpc_endpoint *ep, const struct vpc_relay *relay)
{
    return ep->role == VPC_ROLE_HOST && relay->open && !relay->connected && !relay->aborted &&
           !relay->gone;
}

static uint64_t client_due(const vpc_endpoint *ep, const struct vpc_relay *relay)
{
    return waits_for_client(ep, relay) ? relay->waits_since + ep->options.pipe_open_ms : VPC_NEVER;
}

/* CHN-8: the guest keeps the connect's limit itself; what it may be late by is the heartbeat's. */
static uint64_t answer_due(const vpc_endpoint *ep, const struct vpc_relay *relay)
{
    return ep->role == VPC_ROLE_HOST && !relay->answered
               ? relay->waits_since + ep->options.connect_ms + ep->options.heartbeat_late_ms
               : VPC_NEVER;
}

static bool drains(const struct vpc_relay *relay)
{
    return relay->pair != NULL && relay->open && !relay->aborted && ending(relay);
}

static uint64_t drain_due(const vpc_endpoint *ep, const struct vpc_relay *relay)
{
    return drains(relay) ? relay->progress_at + ep->options.drain_ms : VPC_NEVER;
}

static void give_up_after(vpc_endpoint *ep, struct vpc_relay *relay, enum vpc_log_id id,
                          const char *cause)
{
    vpc_log(ep, id, vpc_relay_fields(relay, cause, 0));
    vpc_relay_abort(ep, relay, cause, VPC_ETIMEDOUT);
}

void vpc_relays_clock(vpc_endpoint *ep)
{
    for (unsigned i = 0; i < ep->options.max_pairs; i++) {
        struct vpc_relay *relay = &ep->relays[i];

        if (relay->stream == 0 || relay->pair == NULL)
            continue;
        note_progress(ep, relay); /* the bus may have taken octets since the last call */
        if (ep->now >= drain_due(ep, relay))
            give_up_after(ep, relay, VPC_LOG_DRAIN_TIMEOUT, "drain timeout");
        if (ep->now >= answer_due(ep, relay))
            vpc_host_start_unanswered(ep, relay);
        if (ep->now >= client_due(ep, relay))
            give_up_after(ep, relay, VPC_LOG_PIPE_UNUSED, "pipe unused");
    }
}

uint64_t vpc_relays_deadline(const vpc_endpoint *ep)
{
    uint64_t at = VPC_NEVER;

    for (unsigned i = 0; i < ep->options.max_pairs; i++) {
        const struct vpc_relay *relay = &ep->relays[i];

        if (relay->stream == 0 || relay->pair == NULL)
            continue;
        at = vpc_earlier(at, drain_due(ep, relay));
        at = vpc_earlier(at, client_due(ep, relay));
        at = vpc_earlier(at, answer_due(ep, relay));
    }
    return at;
}
