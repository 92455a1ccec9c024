/* SPDX-License-Identifier: MIT */
/*
 * What the peer sends on channels.
 *
 * Goal     Delivered bytes are a prefix of the bytes sent; every illegal message has its defined answer.
 * Events   One sealed frame of a channel at a time: guard, classify, step, apply.
 * Never    A guard is skipped: offset, credit and limit are checked before a byte is stored.
 */
#include "internal.h"

static bool refuse(vpc_session *session, const vpc_frame *open, uint32_t error)
{
    if (session->refusal_count == session->refusal_room)
        return false;
    session->refusals[session->refusal_count++] = (struct refusal){open->channel, error};
    return true;
}

static const char *receive_open(vpc_session *session, const vpc_frame *open)
{
    uint32_t h2g = open->channel, g2h = open->reverse_channel, error = 0;
    vpc_pair *pair;

    if (h2g == g2h || h2g <= session->highest_id || g2h <= session->highest_id)
        return "CHN-1: a channel id was used before";
    session->highest_id = h2g > g2h ? h2g : g2h;
    if (!session->local_ready)
        error = VPC_EAGAIN;
    else if (vpc_list_empty(&session->free))
        error = VPC_ENOBUFS;
    else if (open->port == 0)
        error = VPC_EINVAL;
    if (error != 0)
        return refuse(session, open, error) ? NULL : "CHN-7: too many channels at once";
    pair = vpc_pairs_take(session, h2g, g2h);
    pair->port = open->port;
    pair->connect_ms = open->connect_ms;
    pair->sending.limit = open->limit;
    vpc_pair_step(pair, VPC_LC_RCV_OPEN);
    vpc_pair_emit(pair, VPC_EV_PAIR_REQUEST, 0, 0);
    return NULL;
}

struct receipt {
    uint8_t type;
    enum vpc_lifecycle_event event;
    bool pair_wide; /* steps both channels, named by the h2g one */
    bool (*guard)(const struct channel *, const vpc_frame *); /* NULL: none */
    void (*apply)(struct channel *, const vpc_frame *,
                  bool open); /* after the step; `open`: the state before was open */
};

/* A guard is about the right end only; that a message comes from the wrong one (CHN-3) is for the grammar to say. */
static bool data_guard(const struct channel *channel, const vpc_frame *frame)
{
    if (channel->sending)
        return true;
    return frame->offset == channel->offset &&
           frame->payload_len <= channel->limit - channel->offset;
}

static bool fin_guard(const struct channel *channel, const vpc_frame *frame)
{
    return channel->sending || frame->offset == channel->offset;
}

static bool credit_guard(const struct channel *channel, const vpc_frame *frame)
{
    return !channel->sending || frame->limit >= channel->limit;
}

static void on_opened(struct channel *channel, const vpc_frame *frame, bool open)
{
    (void)open;
    if (channel->state != VPC_CHANNEL_OPEN)
        return; /* it is being aborted */
    channel->limit = frame->limit;
    vpc_pair_emit(vpc_pair_of(channel), VPC_EV_PAIR_OPENED, 0, 0);
}

static void on_refused(struct channel *channel, const vpc_frame *frame, bool open)
{
    vpc_pair *pair = vpc_pair_of(channel);

    (void)open;
    pair->pending[0] = pair->pending[1] = 0; /* a RESET that crossed it has no one to go to */
    vpc_pair_emit(pair, VPC_EV_PAIR_REFUSED, frame->error, 0);
}

static void on_data(struct channel *channel, const vpc_frame *frame, bool open)
{
    vpc_pair *pair = vpc_pair_of(channel);

    if (!open)
        return; /* aborting: what still arrives is passed over (CLS-4) */
    channel->offset += frame->payload_len;
    vpc_pair_moved(pair);
    if (pair->discarding) {
        channel->delivered += frame->payload_len;
        vpc_pair_delivered(pair, 0);
        return;
    }
    vpc_ring_write(&channel->ring, frame->payload, frame->payload_len);
    vpc_pair_emit(pair, VPC_EV_PAIR_READABLE, 0, channel->id);
}

static void on_credit(struct channel *channel, const vpc_frame *frame, bool open)
{
    if (!open || frame->limit == channel->limit)
        return;
    channel->limit = frame->limit;
    vpc_pair_moved(vpc_pair_of(channel));
}

static void on_fin(struct channel *channel, const vpc_frame *frame, bool open)
{
    (void)frame;
    if (open)
        vpc_pair_emit(vpc_pair_of(channel), VPC_EV_PAIR_READABLE, 0, channel->id);
}

static void on_reset(struct channel *channel, const vpc_frame *frame, bool open)
{
    (void)open;
    vpc_pair_emit(vpc_pair_of(channel), VPC_EV_PAIR_RESET, frame->error, channel->id);
}

/* The peer is done with the channel: a RESET that waits would be passed over, and until then it would hold the pair. */
static void on_released(struct channel *channel, const vpc_frame *frame, bool open)
{
    (void)frame;
    (void)open;
    *vpc_pending(channel) &= (uint8_t)~PENDING_RESET;
    if (channel->sending)
        vpc_pair_emit(vpc_pair_of(channel), VPC_EV_PAIR_ANSWERED, 0, channel->id);
}

static const struct receipt receipts[] = {
    {VPC_OPENED, VPC_LC_RCV_OPENED, true, NULL, on_opened},
    {VPC_REFUSED, VPC_LC_RCV_REFUSED, true, NULL, on_refused},
    {VPC_DATA, VPC_LC_RCV_DATA, false, data_guard, on_data},
    {VPC_CREDIT, VPC_LC_RCV_CREDIT, false, credit_guard, on_credit},
    {VPC_FIN, VPC_LC_RCV_FIN, false, fin_guard, on_fin},
    {VPC_RESET, VPC_LC_RCV_RESET, false, NULL, on_reset},
    {VPC_RELEASED, VPC_LC_RCV_RELEASED, false, NULL, on_released},
};

static const struct receipt *receipt_of(uint8_t type)
{
    for (size_t i = 0; i < sizeof(receipts) / sizeof(receipts[0]); i++)
        if (receipts[i].type == type)
            return &receipts[i];
    return NULL;
}

static const char *guard_rule(uint8_t type)
{
    return type == VPC_DATA     ? "FLW-4: DATA beyond its credit or at another offset"
           : type == VPC_CREDIT ? "FLW-4: CREDIT with a lower limit"
                                : "FLW-4: FIN at another offset";
}

/* A guard is broken: the pair is reset, the session goes on. */
static const char *break_pair(struct channel *channel, const vpc_frame *frame)
{
    vpc_pair *pair = vpc_pair_of(channel);
    bool news = channel->state != VPC_CHANNEL_ABORTING;

    channel->error = news ? VPC_EPROTO : channel->error;
    if (!vpc_lifecycle_channel(channel, VPC_LC_BAD_GUARD))
        return "a message that is illegal in the channel's state";
    if (!news)
        return NULL;
    vpc_pair_reset(pair, VPC_EPROTO);
    vpc_emit(pair->session, &(vpc_session_event){.kind = VPC_EV_VIOLATION,
                                                 .text = guard_rule(frame->type),
                                                 .tag = "",
                                                 .value = frame->type,
                                                 .channel = frame->channel,
                                                 .pair = pair});
    return NULL;
}

static const char *receive_on(struct channel *channel, const struct receipt *receipt,
                              const vpc_frame *frame)
{
    vpc_pair *pair = vpc_pair_of(channel);
    bool open = channel->state == VPC_CHANNEL_OPEN || channel->state == VPC_CHANNEL_CLOSING;

    if (receipt->pair_wide && channel != &pair->sending)
        return "CHN-2: the header names the guest-to-host channel";
    if (receipt->guard != NULL && !receipt->guard(channel, frame))
        return break_pair(channel, frame);
    if (!vpc_lifecycle_channel(channel, receipt->event) ||
        (receipt->pair_wide && !vpc_lifecycle_channel(&pair->receiving, receipt->event)))
        return "a message that is illegal in the channel's state";
    if (receipt->apply != NULL)
        receipt->apply(channel, frame, open);
    return NULL;
}

const char *vpc_pairs_receive(vpc_session *session, const vpc_frame *frame)
{
    struct channel *channel;
    const char *broken;

    if (frame->type == VPC_OPEN)
        return receive_open(session, frame);
    channel = vpc_pairs_find(session, frame->channel);
    if (channel == NULL || channel->state == VPC_CHANNEL_RELEASED) {
        if (frame->channel > session->highest_id)
            return "CHN-2: a channel that was never opened";
        return frame->type == VPC_RESET ? NULL : "CHN-2: a channel that is released";
    }
    broken = receive_on(channel, receipt_of(frame->type), frame);
    vpc_channel_schedule(channel);
    if (channel->state == VPC_CHANNEL_RELEASED)
        vpc_pair_release_when_over(vpc_pair_of(channel));
    return broken;
}
