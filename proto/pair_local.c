/* SPDX-License-Identifier: MIT */
/* The local side of pairs: opening and answering, bytes to and from the local program, the end, and what can be asked. */
#include "internal.h"

static void abort_channel(struct channel *channel, uint32_t error)
{
    if (channel->state == VPC_CHANNEL_ABORTING || channel->state == VPC_CHANNEL_RELEASED)
        return;
    channel->error = error;
    vpc_lifecycle_channel(channel, VPC_LC_SND_RESET);
}

unsigned vpc_session_pair_limit(const vpc_session *session)
{
    unsigned own = session->config.max_pairs, peers = session->peer.max_pairs;

    return vpc_in_session(session) && peers < own ? peers : own;
}

unsigned vpc_session_pairs(const vpc_session *session, unsigned *running_down)
{
    *running_down = session->running_down;
    return session->pair_count;
}

vpc_pair *vpc_session_pair(vpc_session *session, uint32_t channel)
{
    struct channel *found = vpc_pairs_find(session, channel);

    return found != NULL ? vpc_pair_of(found) : NULL;
}

uint64_t vpc_pair_moved_at(const vpc_pair *pair)
{
    return pair->moved_at;
}

vpc_pair *vpc_pair_open(vpc_session *session, uint16_t port, uint32_t connect_ms)
{
    uint32_t id = session->highest_id;
    vpc_pair *pair;

    if (!vpc_in_session(session) || session->ending || id > UINT32_MAX - 2 ||
        session->pair_count >= vpc_session_pair_limit(session))
        return NULL;
    pair = vpc_pairs_take(session, id + 1, id + 2);
    pair->port = port;
    pair->connect_ms = connect_ms;
    vpc_pair_step(pair, VPC_LC_SND_OPEN);
    vpc_channel_pend(&pair->sending, PENDING_OPEN);
    vpc_pair_schedule(pair);
    return pair;
}

uint16_t vpc_pair_port(const vpc_pair *pair)
{
    return pair->port;
}

uint32_t vpc_pair_connect_ms(const vpc_pair *pair)
{
    return pair->connect_ms;
}

/* False when the host-to-guest channel, which the answer would name, was reset before: the other one follows it then. */
static bool can_answer(vpc_pair *pair)
{
    if (pair->receiving.state == VPC_CHANNEL_OPENING)
        return true;
    if (pair->sending.state == VPC_CHANNEL_OPENING)
        abort_channel(&pair->sending, 0);
    vpc_pair_schedule(pair);
    return false;
}

void vpc_pair_opened(vpc_pair *pair)
{
    if (!can_answer(pair))
        return;
    vpc_pair_step(pair, VPC_LC_SND_OPENED);
    vpc_channel_pend(&pair->receiving, PENDING_OPENED);
    vpc_pair_schedule(pair);
}

void vpc_pair_refused(vpc_pair *pair, uint32_t error)
{
    if (!can_answer(pair))
        return;
    vpc_pair_step(pair, VPC_LC_SND_REFUSED);
    /* A RELEASED that waits is dropped: REFUSED has released both channels (CHN-9). */
    *vpc_pending(&pair->sending) = 0;
    pair->receiving.error = error;
    vpc_channel_pend(&pair->receiving, PENDING_REFUSED);
    vpc_pair_schedule(pair);
}

size_t vpc_pair_write_room(const vpc_pair *pair)
{
    const struct channel *channel = &pair->sending;

    return channel->state == VPC_CHANNEL_OPEN && !channel->finishing
               ? channel->ring.size - channel->ring.used
               : 0;
}

static void after_write(vpc_pair *pair)
{
    pair->writable_wanted = vpc_pair_write_room(pair) == 0;
    vpc_pair_schedule(pair);
}

size_t vpc_pair_write(vpc_pair *pair, const void *octets, size_t n)
{
    size_t taken = n;

    if (taken > vpc_pair_write_room(pair))
        taken = vpc_pair_write_room(pair);
    if (taken > 0)
        vpc_ring_write(&pair->sending.ring, octets, taken);
    after_write(pair);
    return taken;
}

/* In the frames that will carry them, where that can be the next thing that is sent; else in the ring. */
unsigned vpc_pair_write_space(vpc_pair *pair, vpc_piece space[2])
{
    size_t room = vpc_pair_write_room(pair);
    unsigned lent = room > 0 ? vpc_output_lend(&pair->sending, room, space) : 0;

    return lent > 0 || room == 0 ? lent : vpc_ring_free(&pair->sending.ring, space);
}

void vpc_pair_written(vpc_pair *pair, size_t n)
{
    if (!vpc_output_take(&pair->sending, (uint32_t)n))
        pair->sending.ring.used += (uint32_t)n;
    after_write(pair);
}

void vpc_pair_finish(vpc_pair *pair)
{
    pair->sending.finishing = true;
    vpc_pair_count_down(pair);
    vpc_pair_schedule(pair);
}

size_t vpc_pair_read(const vpc_pair *pair, const void **octets)
{
    vpc_piece pieces[2];

    vpc_ring_held(&pair->receiving.ring, pieces);
    *octets = pieces[0].octets;
    return pieces[0].size;
}

unsigned vpc_pair_read_pieces(const vpc_pair *pair, vpc_piece pieces[2])
{
    return vpc_ring_held(&pair->receiving.ring, pieces);
}

/* Credit goes out when half of the window is free that the sender does not know of (FLW-3); behind a FIN with every
 * delivery, since nothing else shows the sender that its last bytes move (CLS-12). */
static bool credit_is_due(const struct channel *channel, uint64_t limit)
{
    if (channel->state == VPC_CHANNEL_DRAINING)
        return channel->ring.used > 0 && limit > channel->limit;
    return channel->state == VPC_CHANNEL_OPEN && (limit - channel->limit) * 2 >= channel->ring.size;
}

void vpc_pair_delivered(vpc_pair *pair, size_t n)
{
    struct channel *channel = &pair->receiving;

    vpc_ring_drop(&channel->ring, (uint32_t)n);
    channel->delivered += n;
    if (n > 0)
        vpc_pair_moved(pair);
    if (credit_is_due(channel, channel->delivered + channel->ring.size))
        vpc_channel_pend(channel, PENDING_CREDIT);
    vpc_channel_schedule(channel);
}

bool vpc_pair_at_end(const vpc_pair *pair)
{
    return pair->receiving.state == VPC_CHANNEL_DRAINING && pair->receiving.ring.used == 0;
}

void vpc_pair_end_delivered(vpc_pair *pair)
{
    if (!vpc_pair_at_end(pair))
        return;
    vpc_lifecycle_channel(&pair->receiving, VPC_LC_SND_RELEASED);
    vpc_channel_schedule(&pair->receiving);
}

void vpc_pair_reset(vpc_pair *pair, uint32_t error)
{
    abort_channel(&pair->sending, error);
    abort_channel(&pair->receiving, error);
    vpc_pair_schedule(pair);
}

void vpc_pair_stop_reading(vpc_pair *pair)
{
    if (pair->receiving.state == VPC_CHANNEL_OPENING)
        abort_channel(&pair->sending, 0); /* no answer could open the one without the other */
    abort_channel(&pair->receiving, 0);
    vpc_pair_schedule(pair);
}

void vpc_pair_discard(vpc_pair *pair)
{
    pair->discarding = true;
    vpc_pair_count_down(pair);
    vpc_pair_delivered(pair, pair->receiving.ring.used);
}

enum vpc_channel_state vpc_pair_sending_state(const vpc_pair *pair)
{
    return pair->sending.state;
}

enum vpc_channel_state vpc_pair_receiving_state(const vpc_pair *pair)
{
    return pair->receiving.state;
}

static void describe(const struct channel *channel, bool host, vpc_channel_status *info)
{
    *info = (vpc_channel_status){
        .id = channel->id,
        .host_to_guest = channel->sending == host,
        .state = channel->state,
        .bytes = channel->offset,
        .credit = channel->limit - channel->offset,
    };
}

void vpc_pair_channels(const vpc_pair *pair, vpc_channel_status *sending,
                       vpc_channel_status *receiving)
{
    bool host = pair->session->config.role == VPC_HOST;

    describe(&pair->sending, host, sending);
    describe(&pair->receiving, host, receiving);
}

void vpc_pair_set_user(vpc_pair *pair, void *user)
{
    pair->user = user;
}

void *vpc_pair_user(const vpc_pair *pair)
{
    return pair->user;
}

const char *vpc_channel_state_name(enum vpc_channel_state state)
{
    static const char *const names[] = {"idle",     "opening",  "open",    "closing",
                                        "draining", "aborting", "released"};

    return names[state];
}
