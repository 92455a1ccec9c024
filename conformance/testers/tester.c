/* SPDX-License-Identifier: MIT */
/*
 * The lower tester.
 *
 * Events: octets of the subject, the clock, and calls of the steps.  Received frames go into one queue, from which steps
 * take them; the numbers are kept at once, so that a later step finds them right.  The tester is in session when it has
 * heard a HELLO that echoes its epoch, and seals with the session of the epochs last heard and sent.
 */
#include "testers/tester.h"

#include <stdlib.h>
#include <string.h>

#include "chance.h"

#define HEARTBEAT_MS 1000
#define PAYLOAD_MAX  65528

static bool is(const struct conform_frame *frame, const char *name)
{
    return strcmp(frame->message->name, name) == 0;
}

static uint64_t field(const struct conform_frame *frame, const char *name)
{
    uint64_t value = 0;

    vpc_frame_get(frame, name, &value);
    return value;
}

uint64_t vpc_tester_random(struct vpc_tester *tester)
{
    return vpc_draw(&tester->peer.random);
}

void vpc_tester_begin(struct vpc_tester *tester, const struct vpc_table *table,
                      enum vpc_role_bit role, struct vpc_monitor *monitor,
                      struct conform_trace *trace, uint64_t seed)
{
    *tester = (struct vpc_tester){.table = table,
                                  .role = role,
                                  .monitor = monitor,
                                  .trace = trace,
                                  .peer.random = seed ^ 0x7e57e7,
                                  .auto_heartbeat = true,
                                  .auto_credit = true,
                                  .auto_released = true};
    tester->last = &tester->first;
    vpc_decoder_begin(&tester->decoder, table,
                      role == VPC_FROM_HOST ? VPC_FROM_GUEST : VPC_FROM_HOST);
    vpc_tester_new_epoch(tester);
}

void vpc_channels_free(struct vpc_channel **lists)
{
    for (size_t i = 0; i < VPC_CHANNEL_LISTS; i++) {
        while (lists[i]) {
            struct vpc_channel *next = lists[i]->next;

            vpc_buffer_free(&lists[i]->waiting);
            free(lists[i]);
            lists[i] = next;
        }
    }
}

static void forget_channels(struct vpc_tester *tester)
{
    vpc_channels_free(tester->channels);
}

void vpc_tester_end(struct vpc_tester *tester)
{
    forget_channels(tester);
    while (tester->first)
        vpc_tester_drop(tester, tester->first);
    vpc_decoder_end(&tester->decoder);
    vpc_buffer_free(&tester->out);
}

void vpc_tester_connected(struct vpc_tester *tester)
{
    enum vpc_role_bit from = tester->decoder.from;

    vpc_decoder_end(&tester->decoder);
    vpc_decoder_begin(&tester->decoder, tester->table, from);
    tester->peer.subject_epoch = tester->peer.subject_echo = tester->peer.session = 0;
    tester->peer.told = 0;
    vpc_buffer_free(&tester->out);
    forget_channels(tester);
}

void vpc_tester_new_epoch(struct vpc_tester *tester)
{
    tester->peer.epoch = vpc_tester_random(tester) | 1;
    tester->peer.session = 0;
    forget_channels(tester);
}

/* ---- channels ------------------------------------------------------------------------------------------------------ */

struct vpc_channel *vpc_tester_channel(const struct vpc_tester *tester, uint32_t id)
{
    struct vpc_channel *channel = tester->channels[id % VPC_CHANNEL_LISTS];

    while (channel && channel->id != id)
        channel = channel->next;
    return channel;
}

static struct vpc_channel *add_channel(struct vpc_tester *tester, uint32_t id, bool tester_sends)
{
    struct vpc_channel **list = &tester->channels[id % VPC_CHANNEL_LISTS];
    struct vpc_channel *channel = vpc_tester_channel(tester, id);

    if (channel)
        return channel;
    channel = vpc_alloc(sizeof(*channel));
    channel->next = *list;
    *list = channel;
    channel->id = id;
    channel->tester_sends = tester_sends;
    channel->frame_max = PAYLOAD_MAX;
    return channel;
}

/* An OPEN went either way: both channels are there. */
static void add_pair(struct vpc_tester *tester, const struct conform_frame *open,
                     bool tester_is_host)
{
    struct vpc_channel *h2g = add_channel(tester, open->channel, tester_is_host);
    struct vpc_channel *g2h =
        add_channel(tester, (uint32_t)field(open, "reverse_channel"), !tester_is_host);

    (void)h2g;
    if (tester_is_host)
        g2h->granted = field(open, "limit");
    else
        g2h->limit = field(open, "limit");
}

/* ---- out ------------------------------------------------------------------------------------------------------------- */

static void fill_hello(struct vpc_tester *tester, struct conform_frame *frame)
{
    vpc_frame_set(frame, "role", (uint64_t)tester->role);
    vpc_frame_set(frame, "version_min", 256);
    vpc_frame_set(frame, "version_max", 256);
    vpc_frame_set(frame, "max_pairs", 16);
    vpc_frame_set(frame, "epoch", tester->peer.epoch);
    vpc_frame_set(frame, "echo", tester->peer.subject_epoch);
    vpc_frame_set(frame, "heartbeat_ms", HEARTBEAT_MS);
    vpc_frame_set_text(frame, "tag", tester->role == VPC_FROM_GUEST ? "VPC-CONFORM" : "");
    vpc_frame_set_text(frame, "name", "vpc-conform 1.0");
}

static void fill_channel(const struct vpc_tester *tester, struct conform_frame *frame,
                         const struct vpc_channel *channel)
{
    (void)tester;
    if (channel == NULL)
        return;
    vpc_frame_set(frame, "offset", channel->tester_sends ? channel->sent : channel->received);
    if (is(frame, "CREDIT"))
        vpc_frame_set(frame, "limit", channel->received + VPC_TESTER_WINDOW);
}

void vpc_tester_prepare(struct vpc_tester *tester, struct conform_frame *frame,
                        const struct conform_message *message, uint32_t channel)
{
    vpc_frame_begin(frame, tester->table, message);
    frame->channel = channel;
    if (is(frame, "HELLO")) {
        fill_hello(tester, frame);
    } else if (is(frame, "OPEN")) {
        vpc_frame_set(frame, "reverse_channel", channel + 1);
        vpc_frame_set(frame, "port", 6174);
        vpc_frame_set(frame, "connect_ms", 10000);
        vpc_frame_set(frame, "limit", VPC_TESTER_WINDOW);
    } else if (is(frame, "OPENED")) {
        vpc_frame_set(frame, "limit", VPC_TESTER_WINDOW);
    } else if (is(frame, "READY")) {
        vpc_frame_set(frame, "ready", 1);
    } else if (is(frame, "HEARTBEAT")) {
        vpc_frame_set(frame, "count", tester->peer.beats + 1);
    } else {
        fill_channel(tester, frame, vpc_tester_channel(tester, channel));
    }
}

void vpc_tester_seal(struct vpc_tester *tester, struct conform_frame *frame)
{
    if (is(frame, "HELLO")) {
        frame->session = 0;
        frame->number = vpc_frame_crc(frame);
    } else {
        frame->session = tester->peer.session;
        frame->number = tester->peer.number + 1;
    }
}

/* What a frame that goes out means for the tester's own numbers. */
static void note_sent(struct vpc_tester *tester, const struct conform_frame *frame)
{
    struct vpc_channel *channel = vpc_tester_channel(tester, frame->channel);
    size_t n;

    if (is(frame, "HELLO")) {
        if (field(frame, "echo") == tester->peer.subject_epoch)
            tester->peer.told = tester->peer.subject_epoch;
        return;
    }
    tester->peer.number++;
    tester->peer.beats += is(frame, "HEARTBEAT");
    if (is(frame, "OPEN"))
        add_pair(tester, frame, true);
    if (channel == NULL)
        return;
    if (is(frame, "OPENED") || is(frame, "CREDIT"))
        channel->granted = field(frame, "limit");
    if (is(frame, "RESET"))
        channel->aborted = true;
    if (is(frame, "DATA") && channel->tester_sends) {
        vpc_frame_payload(frame, &n);
        channel->sent += n;
    }
}

void vpc_tester_send(struct vpc_tester *tester, struct conform_frame *frame, size_t pads,
                     size_t cut)
{
    size_t before = vpc_buffer_size(&tester->out), size;
    char *text = vpc_frame_text(frame);

    if (pads)
        vpc_trace_add(tester->trace, "  > %zu octets of padding", pads);
    vpc_trace_add(tester->trace, "  > %s%s", text, cut != SIZE_MAX ? " (cut)" : "");
    free(text);
    vpc_buffer_fill(&tester->out, tester->table->pad, pads);
    vpc_frame_encode(frame, &tester->out);
    size = vpc_buffer_size(&tester->out) - before;
    if (cut < size - pads) {
        tester->out.end -= size - pads - cut;
        size = pads + cut;
    }
    note_sent(tester, frame);
    vpc_monitor_sent(tester->monitor, vpc_buffer_head(&tester->out) + before, size);
    tester->last_sent_ms = tester->trace->now;
    vpc_frame_clear(frame);
}

static void send_simple(struct vpc_tester *tester, const char *name, uint32_t channel)
{
    struct conform_frame frame;

    vpc_tester_prepare(tester, &frame, vpc_table_by_name(tester->table, name), channel);
    vpc_tester_seal(tester, &frame);
    vpc_tester_send(tester, &frame, is(&frame, "HELLO") ? tester->table->preamble_min : 0,
                    SIZE_MAX);
}

void vpc_tester_hello(struct vpc_tester *tester)
{
    send_simple(tester, "HELLO", 0);
}

void vpc_tester_queue(struct vpc_tester *tester, struct vpc_channel *channel, const void *octets,
                      size_t n)
{
    vpc_buffer_add(&channel->waiting, octets, n);
    vpc_tester_push(tester, channel);
}

void vpc_tester_push(struct vpc_tester *tester, struct vpc_channel *channel)
{
    size_t waiting;

    while ((waiting = vpc_buffer_size(&channel->waiting)) > 0 && channel->sent < channel->limit) {
        uint64_t room = channel->limit - channel->sent;
        size_t n = waiting < channel->frame_max ? waiting : channel->frame_max;
        struct conform_frame frame;

        n = room < n ? (size_t)room : n;
        vpc_tester_prepare(tester, &frame, vpc_table_by_name(tester->table, "DATA"), channel->id);
        vpc_frame_set_payload(&frame, vpc_buffer_head(&channel->waiting), n);
        vpc_tester_seal(tester, &frame);
        vpc_buffer_drop(&channel->waiting, n);
        vpc_tester_send(tester, &frame, 0, SIZE_MAX);
    }
    if (waiting == 0 && channel->fin_waits) {
        channel->fin_waits = false;
        send_simple(tester, "FIN", channel->id);
    }
}

/* ---- in --------------------------------------------------------------------------------------------------------------- */

static void note_hello(struct vpc_tester *tester, struct vpc_received *received)
{
    const struct conform_frame *frame = &received->frame;
    uint64_t epoch = field(frame, "epoch"), echo = field(frame, "echo");

    received->repeated = epoch == tester->peer.subject_epoch && echo == tester->peer.subject_echo;
    tester->peer.subject_epoch = epoch;
    tester->peer.subject_echo = echo;
    if (echo == tester->peer.epoch) {
        uint64_t session = tester->role == VPC_FROM_HOST
                               ? conform_session_id(tester->peer.epoch, epoch)
                               : conform_session_id(epoch, tester->peer.epoch);

        if (session != tester->peer.session) {
            forget_channels(tester);
            tester->peer.number = tester->peer.beats = 0;
            tester->peer.sessions++;
        }
        tester->peer.session = session;
    } else {
        tester->peer.session = 0;
    }
}

static void note_data(struct vpc_tester *tester, struct vpc_channel *channel, size_t n)
{
    channel->received += n;
    if (tester->auto_credit && channel->granted < channel->received + VPC_TESTER_WINDOW / 2)
        send_simple(tester, "CREDIT", channel->id);
}

static void note_received(struct vpc_tester *tester, struct vpc_received *received)
{
    const struct conform_frame *frame = &received->frame;
    struct vpc_channel *channel;
    size_t n;

    if (is(frame, "HELLO"))
        note_hello(tester, received);
    if (is(frame, "OPEN"))
        add_pair(tester, frame, false);
    channel = vpc_tester_channel(tester, frame->channel);
    if (frame->message->of_session || channel == NULL)
        return;
    if (is(frame, "DATA")) {
        vpc_frame_payload(frame, &n);
        note_data(tester, channel, n);
    } else if ((is(frame, "CREDIT") || is(frame, "OPENED")) && channel->tester_sends) {
        channel->limit = field(frame, "limit");
        vpc_tester_push(tester, channel);
    } else if (is(frame, "FIN") && tester->auto_released && !channel->aborted) {
        send_simple(tester, "RELEASED", channel->id);
    } else if (is(frame, "RESET")) {
        vpc_buffer_free(&channel->waiting);
        if (tester->auto_released)
            send_simple(tester, "RELEASED", channel->id);
    }
}

static void take_frame(struct vpc_tester *tester, struct conform_frame *frame)
{
    struct vpc_received *received = vpc_alloc(sizeof(*received));
    char *text = vpc_frame_text(frame);

    vpc_trace_add(tester->trace, "  < %s", text);
    free(text);
    received->frame = *frame;
    *tester->last = received;
    tester->last = &received->next;
    tester->held += sizeof(*received) + frame->body_size;
    tester->last_heard_ms = tester->trace->now;
    vpc_monitor_frame(tester->monitor, frame);
    if (tester->on_frame)
        tester->on_frame(tester->user, frame);
    note_received(tester, received);
}

void vpc_tester_input(struct vpc_tester *tester, const void *octets, size_t n)
{
    struct conform_frame frame;
    struct vpc_bad_octets bad;
    enum vpc_decoded got;

    vpc_decoder_add(&tester->decoder, octets, n);
    while ((got = vpc_decoder_next(&tester->decoder, &frame, &bad)) != VPC_DECODED_NONE) {
        if (got == VPC_DECODED_FRAME) {
            take_frame(tester, &frame);
            continue;
        }
        vpc_trace_add(tester->trace, "  < octets that are no frame: %s", bad.why);
        vpc_monitor_bad(tester->monitor, &bad);
    }
}

void vpc_tester_note_old(struct vpc_tester *tester)
{
    for (struct vpc_received *at = tester->first; at; at = at->next)
        at->old = true;
}

void vpc_tester_drop(struct vpc_tester *tester, struct vpc_received *received)
{
    struct vpc_received **at = &tester->first;

    while (*at != received)
        at = &(*at)->next;
    *at = received->next;
    if (tester->last == &received->next)
        tester->last = at;
    tester->held -= sizeof(*received) + received->frame.body_size;
    vpc_frame_clear(&received->frame);
    free(received);
}

uint64_t vpc_tester_deadline(const struct vpc_tester *tester)
{
    bool greeted = tester->peer.session && tester->peer.told == tester->peer.subject_epoch;

    return greeted && tester->auto_heartbeat ? tester->last_sent_ms + HEARTBEAT_MS : UINT64_MAX;
}

void vpc_tester_clock(struct vpc_tester *tester, uint64_t now)
{
    if (now >= vpc_tester_deadline(tester))
        send_simple(tester, "HEARTBEAT", 0);
}
