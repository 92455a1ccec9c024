/* SPDX-License-Identifier: MIT */
/*
 * The monitor's channels.
 *
 * Goal: to tell whether lifecycle.rl allows what the subject sent, without knowing which of the tester's frames it had
 * read by then.  A channel holds the tester's frames in their order, and the set of all (state, how many were read, how
 * many RELEASED are owed) that explain the trace so far.  A frame of the subject keeps those from which the grammar has a
 * transition; when none is left, the subject broke the grammar.  DATA and CREDIT of the tester change no state, so they
 * are not in the list: the sets stay small.
 */
#include "testers/monitor_channel.h"

#include <stdlib.h>
#include <string.h>

#define MAX_STATES 64
#define MAX_EVENTS 32

struct possible {
    int state;
    unsigned read; /* of the tester's events */
    unsigned owed; /* RELEASED */
    const char *name;
};

struct vpc_monitor_channel {
    struct vpc_monitor_channel *next;
    uint32_t id;
    uint32_t reverse; /* the pair's other channel */
    bool subject_sends;
    bool spent; /* more events than the monitor holds: it judges numbers only from here on */
    unsigned char events[MAX_EVENTS];
    unsigned event_count;
    struct possible set[MAX_STATES];
    size_t count;
    uint64_t sent;  /* by the channel's sender, in octets */
    uint64_t limit; /* the last that the receiver gave */
    bool fin;
};

void vpc_monitor_forget_channels(struct vpc_monitor *monitor)
{
    for (size_t i = 0; i < VPC_CHANNEL_LISTS; i++) {
        while (monitor->channels[i]) {
            struct vpc_monitor_channel *next = monitor->channels[i]->next;

            free(monitor->channels[i]);
            monitor->channels[i] = next;
        }
    }
}

static struct vpc_monitor_channel *find(const struct vpc_monitor *monitor, uint64_t id)
{
    struct vpc_monitor_channel *channel = monitor->channels[id % VPC_CHANNEL_LISTS];

    while (channel && channel->id != id)
        channel = channel->next;
    return channel;
}

static struct vpc_monitor_channel *add(struct vpc_monitor *monitor, uint64_t id, bool subject_sends)
{
    struct vpc_monitor_channel **list = &monitor->channels[id % VPC_CHANNEL_LISTS];
    struct vpc_monitor_channel *channel = vpc_alloc(sizeof(*channel));

    channel->next = *list;
    *list = channel;
    channel->id = (uint32_t)id;
    channel->subject_sends = subject_sends;
    channel->count = 1;
    channel->set[0] = (struct possible){vpc_channel_start(subject_sends), 0, 0, "idle"};
    if (id > monitor->highest_id)
        monitor->highest_id = (uint32_t)id;
    return channel;
}

static uint64_t field(const struct conform_frame *frame, const char *name)
{
    uint64_t value = 0;

    vpc_frame_get(frame, name, &value);
    return value;
}

static bool is(const struct conform_frame *frame, const char *name)
{
    return strcmp(frame->message->name, name) == 0;
}

/* The snd_ event of a message of a channel: types 10h to 17h are events 32 to 39. */
static unsigned char event_of(const struct conform_frame *frame)
{
    return (unsigned char)(VPC_SND_OPEN + frame->type - 0x10);
}

/* ---- the set of what is possible ------------------------------------------------------------------------------------ */

static void include(struct vpc_monitor_channel *channel, struct possible one)
{
    for (size_t i = 0; i < channel->count; i++)
        if (channel->set[i].state == one.state && channel->set[i].read == one.read &&
            channel->set[i].owed == one.owed)
            return;
    if (channel->count < MAX_STATES)
        channel->set[channel->count++] = one;
    else
        channel->spent = true;
}

/* Adds all states that come from reading more of the tester's events. */
static void read_more(struct vpc_monitor_channel *channel)
{
    for (size_t i = 0; i < channel->count; i++) {
        struct possible one = channel->set[i];
        unsigned actions;

        if (one.read >= channel->event_count)
            continue;
        one.state = vpc_channel_step(channel->subject_sends, one.state, channel->events[one.read],
                                     &actions, &one.name);
        one.read++;
        one.owed += actions & VPC_STEP_RELEASED ? 1 : 0;
        if (one.state >= 0)
            include(channel, one);
    }
}

/* What one possible state says to a frame of the subject; false when it does not allow it. */
static bool follow(const struct vpc_monitor_channel *channel, struct possible *one,
                   const struct conform_frame *frame)
{
    unsigned actions;

    if (is(frame, "RELEASED") && one->owed > 0) {
        one->owed--;
        return true;
    }
    one->state =
        vpc_channel_step(channel->subject_sends, one->state, event_of(frame), &actions, &one->name);
    if (is(frame, "RELEASED"))
        return one->state >= 0 && actions & VPC_STEP_RELEASED;
    if (is(frame, "RESET"))
        return one->state >= 0 && actions & VPC_STEP_ABORT;
    if (is(frame, "REFUSED"))
        one->owed = 0; /* it has released both channels (CHN-9) */
    return one->state >= 0;
}

static void judge_state(struct vpc_monitor *monitor, struct vpc_monitor_channel *channel,
                        const struct conform_frame *frame)
{
    struct possible before[MAX_STATES];
    size_t count;

    read_more(channel);
    count = channel->count;
    memcpy(before, channel->set, sizeof(before));
    channel->count = 0;
    for (size_t i = 0; i < count; i++) {
        struct possible one = before[i];

        if (follow(channel, &one, frame))
            include(channel, one);
    }
    if (channel->count > 0 || channel->spent)
        return;
    vpc_monitor_breach(monitor, channel->fin && is(frame, "DATA") ? "CLS-1" : "CHN-3",
                       "%s on channel %u, %s end, where lifecycle.rl allows none (state %s)",
                       frame->message->name, channel->id,
                       channel->subject_sends ? "sending" : "receiving",
                       count ? before[0].name : "?");
    channel->spent = true;
}

static void note_event(struct vpc_monitor_channel *channel, const struct conform_frame *frame)
{
    if (is(frame, "DATA") || is(frame, "CREDIT"))
        return;
    if (channel->event_count == MAX_EVENTS)
        channel->spent = true;
    else
        channel->events[channel->event_count++] = (unsigned char)(event_of(frame) + VPC_RCV_OFFSET);
}

/* ---- the tester's messages --------------------------------------------------------------------------------------------- */

static void raise_limit(struct vpc_monitor_channel *channel, const struct conform_frame *frame)
{
    if (field(frame, "limit") > channel->limit)
        channel->limit = field(frame, "limit");
}

/* OPEN, OPENED and REFUSED stand for both channels of the pair. */
static bool of_pair(const struct conform_frame *frame)
{
    return is(frame, "OPEN") || is(frame, "OPENED") || is(frame, "REFUSED");
}

static bool good_ids(const struct vpc_monitor *monitor, const struct conform_frame *open)
{
    uint64_t reverse = field(open, "reverse_channel");

    return open->channel != reverse && open->channel > monitor->highest_id &&
           reverse > monitor->highest_id;
}

static void add_pair(struct vpc_monitor *monitor, const struct conform_frame *open)
{
    bool host = monitor->subject == VPC_FROM_HOST;
    struct vpc_monitor_channel *h2g = add(monitor, open->channel, host);
    struct vpc_monitor_channel *g2h = add(monitor, field(open, "reverse_channel"), !host);

    h2g->reverse = g2h->id;
    g2h->reverse = h2g->id;
    g2h->limit = field(open, "limit");
}

void vpc_monitor_channel_sent(struct vpc_monitor *monitor, const struct conform_frame *frame)
{
    struct vpc_monitor_channel *channel = find(monitor, frame->channel), *reverse;

    if (is(frame, "OPEN")) {
        if (!good_ids(monitor, frame))
            return;
        add_pair(monitor, frame);
        channel = find(monitor, frame->channel);
    }
    if (channel == NULL)
        return;
    note_event(channel, frame);
    reverse = find(monitor, channel->reverse);
    if (of_pair(frame) && reverse)
        note_event(reverse, frame);
    if ((is(frame, "CREDIT") || is(frame, "OPENED")) && channel->subject_sends)
        raise_limit(channel, frame);
    if (is(frame, "DATA") && !channel->subject_sends)
        channel->sent += frame->body_size - 8;
}

/* ---- the subject's messages --------------------------------------------------------------------------------------------- */

static void judge_sender(struct vpc_monitor *monitor, struct vpc_monitor_channel *channel,
                         const struct conform_frame *frame)
{
    unsigned long long offset = field(frame, "offset"), sent = channel->sent;
    size_t n = 0;

    if (is(frame, "DATA"))
        vpc_frame_payload(frame, &n);
    if ((is(frame, "DATA") || is(frame, "FIN")) && offset != sent)
        vpc_monitor_breach(monitor, is(frame, "DATA") ? "FLW-2" : "FLW-4",
                           "%s on channel %u with offset %llu, %llu bytes were sent",
                           frame->message->name, channel->id, offset, sent);
    channel->sent += n;
    if (channel->sent > channel->limit)
        vpc_monitor_breach(monitor, "FLW-1", "channel %u went to %llu, its limit is %llu",
                           channel->id, (unsigned long long)channel->sent,
                           (unsigned long long)channel->limit);
    channel->fin |= is(frame, "FIN");
}

static void judge_receiver(struct vpc_monitor *monitor, struct vpc_monitor_channel *channel,
                           const struct conform_frame *frame)
{
    unsigned long long value = field(frame, is(frame, "RELEASED") ? "offset" : "limit");

    if (is(frame, "CREDIT") && value < channel->limit)
        vpc_monitor_breach(monitor, "FLW-3", "CREDIT on channel %u lowers the limit to %llu",
                           channel->id, value);
    if (is(frame, "CREDIT") || is(frame, "OPENED"))
        raise_limit(channel, frame);
    if (is(frame, "RELEASED") && value > channel->sent)
        vpc_monitor_breach(monitor, "CLS-3",
                           "RELEASED on channel %u tells of %llu bytes, %llu were sent",
                           channel->id, value, (unsigned long long)channel->sent);
}

static void judge_open(struct vpc_monitor *monitor, const struct conform_frame *frame)
{
    if (!good_ids(monitor, frame))
        vpc_monitor_breach(monitor, "CHN-1", "OPEN with ids %u and %llu, the highest was %u",
                           frame->channel, (unsigned long long)field(frame, "reverse_channel"),
                           monitor->highest_id);
    if (field(frame, "port") == 0)
        vpc_monitor_breach(monitor, "API-1", "OPEN with port 0");
    add_pair(monitor, frame);
}

void vpc_monitor_channel_frame(struct vpc_monitor *monitor, const struct conform_frame *frame)
{
    struct vpc_monitor_channel *channel, *reverse;

    if (is(frame, "OPEN"))
        judge_open(monitor, frame);
    channel = find(monitor, frame->channel);
    if (channel == NULL) {
        vpc_monitor_breach(monitor, "CHN-2", "%s on channel %u, which was never opened",
                           frame->message->name, frame->channel);
        return;
    }
    judge_state(monitor, channel, frame);
    reverse = of_pair(frame) ? find(monitor, channel->reverse) : NULL;
    if (reverse)
        judge_state(monitor, reverse, frame);
    if (channel->subject_sends)
        judge_sender(monitor, channel, frame);
    else
        judge_receiver(monitor, channel, frame);
}
