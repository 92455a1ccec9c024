/* SPDX-License-Identifier: MIT */
/*
 * What is sent, and in which order: padding and HELLO, then the session's messages, then the channels' (in the order in
 * which they came to wait), then DATA, one frame for each channel in turn (FLW-6).
 *
 * Frames are drawn up when there is room for them, not when their cause arises: so a limit or a heartbeat is never stale,
 * and what waits is bits in the pairs, bounded whatever the peer does.  Numbers are given here and nowhere else.
 *
 * A DATA has 64 KiB at most, with its header and seal.  The protocol allows 28 octets more, but a virtio port takes 32 KiB
 * at once, so they would cost a write of their own; and who reads 64 KiB at once finds whole frames.
 */
#include "internal.h"

#include <string.h>

/* Always kept free, so that a GOODBYE can be staged at any time. */
#define GOODBYE_SIZE (VPC_HEADER_SIZE + 4u + VPC_SEAL_SIZE)
/* The longest frame that is sent; two of them have room beside a GOODBYE. */
#define WHOLE_FRAME (VPC_HEADER_SIZE + 8u + VPC_DATA_MAX + VPC_SEAL_SIZE)
_Static_assert(2 * WHOLE_FRAME + GOODBYE_SIZE <= VPC_STAGING_SIZE, "room for two frames");

static uint32_t staging_room(const vpc_session *session)
{
    return VPC_STAGING_SIZE - GOODBYE_SIZE - session->staged;
}

static void stage(vpc_session *session, vpc_frame *frame)
{
    if (frame->type != VPC_HELLO) {
        frame->seal_session = session->id;
        frame->seal_number = ++session->sent_number;
    }
    session->staged += (uint32_t)vpc_encode(frame, session->staging + session->staged);
}

void vpc_output_goodbye(vpc_session *session, uint32_t cause)
{
    session->preamble_begun = false; /* what it interrupts is no whole preamble any more (FRM-8) */
    if (VPC_STAGING_SIZE - session->staged < GOODBYE_SIZE)
        return; /* the one before was not even taken: the peer does not read */
    stage(session, &(vpc_frame){.type = VPC_GOODBYE, .cause = cause});
}

/* ---- greeting ------------------------------------------------------------------------------------------------------- */

static void stage_hello(vpc_session *session)
{
    const vpc_session_config *config = &session->config;
    vpc_frame hello = {
        .type = VPC_HELLO,
        .role = (uint8_t)config->role,
        .version_min = config->version_min,
        .version_max = config->version_max,
        .max_pairs = config->max_pairs,
        .epoch = session->epoch,
        .echo = session->peer_epoch,
        .heartbeat_ms = config->heartbeat_ms,
    };

    memcpy(hello.tag, config->tag, sizeof(hello.tag));
    memcpy(hello.name, config->name, sizeof(hello.name));
    stage(session, &hello);
    session->echoed = session->peer_epoch;
}

/* Stages padding, then HELLO; true while nothing else may follow. */
static bool stage_greeting(vpc_session *session)
{
    uint32_t n;

    if (!session->hello_waits)
        return false;
    if (!session->preamble_begun) {
        session->padding = VPC_PREAMBLE;
        session->preamble_begun = true;
    }
    n = staging_room(session);
    if (n > session->padding)
        n = session->padding;
    memset(session->staging + session->staged, VPC_PAD, n);
    session->staged += n;
    session->padding -= n;
    if (session->padding > 0 || staging_room(session) < VPC_SMALL_FRAME_MAX)
        return true;
    session->hello_waits = session->preamble_begun = false;
    stage_hello(session);
    return false;
}

/* ---- messages of the session, refusals --------------------------------------------------------------------------------- */

static void stage_log_entries(vpc_session *session)
{
    while (session->config.next_log != NULL && staging_room(session) >= 4 * VPC_SMALL_FRAME_MAX) {
        vpc_frame entry = {.type = VPC_EVENT};

        if (!session->config.next_log(session->config.user, &entry))
            return;
        stage(session, &entry);
    }
}

static void stage_session_messages(vpc_session *session)
{
    if (session->ready_waits) {
        session->ready_waits = false;
        stage(session, &(vpc_frame){.type = VPC_READY, .ready = session->local_ready});
    }
    stage_log_entries(session);
    if (session->heartbeat_waits) {
        session->heartbeat_waits = false;
        stage(session, &(vpc_frame){.type = VPC_HEARTBEAT, .count = ++session->heartbeats});
    }
}

static void stage_refusals(vpc_session *session)
{
    unsigned done = 0;

    while (done < session->refusal_count && staging_room(session) >= VPC_SMALL_FRAME_MAX) {
        const struct refusal *refusal = &session->refusals[done++];

        stage(session, &(vpc_frame){.type = VPC_REFUSED,
                                    .channel = refusal->channel,
                                    .error = refusal->error});
    }
    session->refusal_count -= done;
    memmove(session->refusals, session->refusals + done,
            session->refusal_count * sizeof(session->refusals[0]));
}

/* ---- messages of the channels -------------------------------------------------------------------------------------------- */

static void fill_open(struct channel *channel, vpc_frame *frame)
{
    const vpc_pair *pair = vpc_pair_of(channel);

    frame->reverse_channel = pair->receiving.id;
    frame->port = pair->port;
    frame->connect_ms = pair->connect_ms;
    frame->limit = pair->receiving.limit;
}

static void fill_limit(struct channel *channel, vpc_frame *frame)
{
    frame->limit = channel->limit;
}

/* A large window ends where a whole frame does: a sender that uses it up would have a frame of a few octets there. */
static void fill_credit(struct channel *channel, vpc_frame *frame)
{
    channel->limit = channel->delivered + channel->ring.size;
    if (channel->state == VPC_CHANNEL_OPEN && channel->ring.size >= 4 * VPC_DATA_MAX)
        channel->limit -= channel->limit % VPC_DATA_MAX;
    frame->limit = channel->limit;
}

static void fill_error(struct channel *channel, vpc_frame *frame)
{
    frame->error = channel->error;
}

static void fill_released(struct channel *channel, vpc_frame *frame)
{
    frame->offset = channel->sending ? channel->offset : channel->delivered;
}

static const struct {
    enum pending what;
    uint8_t type;
    void (*fill)(struct channel *, vpc_frame *);
} senders[] = {
    {PENDING_OPEN, VPC_OPEN, fill_open},        {PENDING_OPENED, VPC_OPENED, fill_limit},
    {PENDING_REFUSED, VPC_REFUSED, fill_error}, {PENDING_CREDIT, VPC_CREDIT, fill_credit},
    {PENDING_RESET, VPC_RESET, fill_error},     {PENDING_RELEASED, VPC_RELEASED, fill_released},
};

static void stage_pending(vpc_session *session, struct channel *channel, size_t i)
{
    vpc_frame frame = {.type = senders[i].type};
    uint8_t *pending = vpc_pending(channel);

    if (!(*pending & senders[i].what) || staging_room(session) < VPC_SMALL_FRAME_MAX)
        return;
    *pending &= (uint8_t)~senders[i].what;
    frame.channel = channel->id;
    senders[i].fill(channel, &frame);
    stage(session, &frame);
}

static void stage_control(vpc_session *session)
{
    while (!vpc_list_empty(&session->control) && staging_room(session) >= VPC_SMALL_FRAME_MAX) {
        vpc_pair *pair = VPC_LIST_ENTRY(session->control.next, vpc_pair, control);

        /* What opens the pair goes before anything else of either channel. */
        for (size_t i = 0; i < sizeof(senders) / sizeof(senders[0]); i++) {
            stage_pending(session, &pair->sending, i);
            stage_pending(session, &pair->receiving, i);
        }
        vpc_pair_schedule(pair);
        vpc_pair_release_when_over(pair);
    }
}

/* Where the payload of the next DATA will stand. */
static uint8_t *payload_place(vpc_session *session)
{
    return session->staging + session->staged + VPC_HEADER_SIZE + 8;
}

/* The payload, n octets, is in its place. */
static void stage_payload(vpc_session *session, struct channel *channel, uint32_t n)
{
    vpc_lifecycle_channel(channel, VPC_LC_SND_DATA);
    stage(session, &(vpc_frame){.type = VPC_DATA,
                                .channel = channel->id,
                                .offset = channel->offset,
                                .payload = payload_place(session),
                                .payload_len = n});
    channel->offset += n;
    vpc_pair_moved(vpc_pair_of(channel));
}

static void stage_bytes(vpc_session *session, struct channel *channel)
{
    uint64_t credit = channel->limit - channel->offset;
    uint32_t n = channel->ring.used;

    if (n > credit)
        n = (uint32_t)credit;
    if (n > VPC_DATA_MAX)
        n = VPC_DATA_MAX;
    vpc_ring_read(&channel->ring, payload_place(session), n);
    stage_payload(session, channel, n);
}

static void stage_fin(vpc_session *session, struct channel *channel)
{
    vpc_lifecycle_channel(channel, VPC_LC_SND_FIN);
    stage(session,
          &(vpc_frame){.type = VPC_FIN, .channel = channel->id, .offset = channel->offset});
}

static void stage_data(vpc_session *session)
{
    while (!vpc_list_empty(&session->data) && staging_room(session) >= VPC_FRAME_MAX) {
        vpc_pair *pair = VPC_LIST_ENTRY(session->data.next, vpc_pair, data);

        vpc_list_remove(&pair->data);
        if (pair->sending.ring.used > 0)
            stage_bytes(session, &pair->sending);
        else
            stage_fin(session, &pair->sending);
        vpc_pair_schedule(pair); /* at the end of the list, if it has more */
        if (pair->writable_wanted && vpc_pair_write_room(pair) > 0) {
            pair->writable_wanted = false;
            vpc_emit(session,
                     &(vpc_session_event){
                         .kind = VPC_EV_PAIR_WRITABLE, .text = "", .tag = "", .pair = pair});
        }
    }
}

static void fill_staging(vpc_session *session)
{
    if (session->state == VPC_SESSION_DOWN || session->state == VPC_SESSION_STOPPED)
        return;
    if (stage_greeting(session) || !vpc_in_session(session))
        return;
    if (staging_room(session) < 4 * VPC_SMALL_FRAME_MAX)
        return;
    stage_session_messages(session);
    stage_refusals(session);
    stage_control(session);
    stage_data(session);
}

size_t vpc_session_output(vpc_session *session, const void **octets)
{
    if (session->staged_sent == session->staged) {
        session->staged = session->staged_sent = 0;
        fill_staging(session);
    }
    *octets = session->staging + session->staged_sent;
    return session->staged - session->staged_sent;
}

/* The second piece is where the payload of a frame behind a whole one will stand. */
unsigned vpc_output_lend(struct channel *channel, size_t room, vpc_piece pieces[2])
{
    vpc_pair *pair = vpc_pair_of(channel);
    vpc_session *session = pair->session;
    uint64_t left = channel->limit - channel->offset; /* of the credit */
    size_t first = room < VPC_DATA_MAX ? room : VPC_DATA_MAX, second = room - first;
    const void *octets;

    session->lent = NULL;
    if (left < first || vpc_session_output(session, &octets) > 0)
        return 0; /* so the ring is empty, too: what is in it would go now */
    if (second > VPC_DATA_MAX)
        second = VPC_DATA_MAX;
    if (second > left - first)
        second = 0;
    session->lent = pair;
    pieces[0] = (vpc_piece){payload_place(session), first};
    pieces[1] = (vpc_piece){payload_place(session) + WHOLE_FRAME, second};
    return 1 + (second > 0);
}

bool vpc_output_take(struct channel *channel, uint32_t n)
{
    vpc_pair *pair = vpc_pair_of(channel);
    vpc_session *session = pair->session;
    uint32_t first = n < VPC_DATA_MAX ? n : VPC_DATA_MAX;

    if (session->lent != pair)
        return false;
    session->lent = NULL;
    if (first > 0)
        stage_payload(session, channel, first);
    if (n > first)
        stage_payload(session, channel, n - first);
    return true;
}

void vpc_session_sent(vpc_session *session, size_t n)
{
    session->staged_sent += (uint32_t)n;
    session->last_sent = session->now; /* not when it was drawn up: it may have waited (SES-13) */
}
