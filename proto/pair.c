/* SPDX-License-Identifier: MIT */
/*
 * Pairs and their two one-way channels: memory, ids, and what waits to be sent.
 *
 * Goal     What was opened is released, and nothing is held beyond the caller's block.
 * Events   The grammar's actions; pair_receive.c has what the peer sends, pair_local.c the calls of the local side.
 * Limits   max_pairs pairs, one ring of `window` and one of `send_buffer` octets each; ids in a hash of fixed size.
 * Never    A transition is decided here: what happened is an event, the grammar knows the rest.
 */
#include "internal.h"

#include <string.h>

/* ---- rings ------------------------------------------------------------------------------------------------------- */

/* The n octets from `at` on, as one piece, or two if they go on at the ring's begin. */
static unsigned pieces_of(const struct ring *ring, uint32_t at, uint32_t n, vpc_piece pieces[2])
{
    uint32_t first = ring->size - at < n ? ring->size - at : n;

    pieces[0] = (vpc_piece){ring->octets + at, first};
    pieces[1] = (vpc_piece){ring->octets, n - first};
    return (n > 0) + (n > first);
}

static uint32_t tail_of(const struct ring *ring)
{
    return (ring->head + ring->used) % ring->size;
}

unsigned vpc_ring_free(const struct ring *ring, vpc_piece pieces[2])
{
    return pieces_of(ring, tail_of(ring), ring->size - ring->used, pieces);
}

unsigned vpc_ring_held(const struct ring *ring, vpc_piece pieces[2])
{
    return pieces_of(ring, ring->head, ring->used, pieces);
}

uint32_t vpc_ring_write(struct ring *ring, const uint8_t *octets, size_t n)
{
    uint32_t room = ring->size - ring->used;
    vpc_piece to[2];

    if (n > room)
        n = room;
    pieces_of(ring, tail_of(ring), (uint32_t)n, to);
    memcpy(to[0].octets, octets, to[0].size);
    memcpy(to[1].octets, octets + to[0].size, to[1].size);
    ring->used += (uint32_t)n;
    return (uint32_t)n;
}

/* An empty ring begins anew, so that little in it is always in the same few lines of memory. */
void vpc_ring_drop(struct ring *ring, uint32_t n)
{
    ring->used -= n;
    ring->head = ring->used == 0 ? 0 : (ring->head + n) % ring->size;
}

uint32_t vpc_ring_read(struct ring *ring, uint8_t *out, uint32_t n)
{
    vpc_piece from[2];

    pieces_of(ring, ring->head, n, from);
    memcpy(out, from[0].octets, from[0].size);
    memcpy(out + from[0].size, from[1].octets, from[1].size);
    vpc_ring_drop(ring, n);
    return n;
}

/* ---- the table of pairs and ids ----------------------------------------------------------------------------------- */

static unsigned bucket_count(const vpc_session_config *config)
{
    unsigned n = 8;

    while (n < 2u * config->max_pairs)
        n *= 2;
    return n;
}

/* A host that keeps CHN-7 never has more OPENs under way than max_pairs, however slowly the answers leave. */
static unsigned refusal_room(const vpc_session_config *config)
{
    return config->max_pairs > VPC_REFUSALS_MIN ? config->max_pairs : VPC_REFUSALS_MIN;
}

static uint8_t *next_line(void *memory)
{
    uint8_t *octets = memory;

    return octets + (VPC_LINE - (uintptr_t)octets % VPC_LINE);
}

size_t vpc_pairs_size(const vpc_session_config *config)
{
    size_t each = sizeof(vpc_pair) + config->window + config->send_buffer;

    return bucket_count(config) * sizeof(struct channel *) +
           refusal_room(config) * sizeof(struct refusal) + VPC_LINE + each * config->max_pairs;
}

void vpc_pairs_init(vpc_session *session, uint8_t *memory)
{
    const vpc_session_config *config = &session->config;
    uint8_t *octets;

    session->bucket_count = bucket_count(config);
    session->buckets = (struct channel **)(void *)memory;
    memset(session->buckets, 0, session->bucket_count * sizeof(struct channel *));
    session->refusal_room = refusal_room(config);
    session->refusals = (struct refusal *)(void *)(session->buckets + session->bucket_count);
    session->pairs = (vpc_pair *)(void *)next_line(session->refusals + session->refusal_room);
    memset(session->pairs, 0, config->max_pairs * sizeof(vpc_pair));
    octets = (uint8_t *)(session->pairs + config->max_pairs);
    vpc_list_init(&session->free);
    vpc_list_init(&session->in_use);
    vpc_list_init(&session->control);
    vpc_list_init(&session->data);
    for (unsigned i = 0; i < config->max_pairs; i++) {
        vpc_pair *pair = &session->pairs[i];

        pair->session = session;
        pair->receiving.ring = (struct ring){.octets = octets, .size = config->window};
        octets += config->window;
        pair->sending.ring = (struct ring){.octets = octets, .size = config->send_buffer};
        octets += config->send_buffer;
        vpc_list_append(&session->free, &pair->place);
    }
}

/* A host counts its ids up, so neighbours in the table are used one after the other.  One that picks ids of one bucket makes
 * the guest walk a chain, of at most two channels for each pair that the guest takes. */
static struct channel **bucket_of(vpc_session *session, uint32_t id)
{
    return &session->buckets[id & (session->bucket_count - 1)];
}

struct channel *vpc_pairs_find(vpc_session *session, uint32_t id)
{
    struct channel *channel = *bucket_of(session, id);

    while (channel != NULL && channel->id != id)
        channel = channel->next_in_bucket;
    return channel;
}

static void insert_channel(vpc_session *session, struct channel *channel)
{
    struct channel **bucket = bucket_of(session, channel->id);

    channel->next_in_bucket = *bucket;
    *bucket = channel;
}

static void remove_channel(vpc_session *session, const struct channel *channel)
{
    struct channel **at = bucket_of(session, channel->id);

    while (*at != channel)
        at = &(*at)->next_in_bucket;
    *at = channel->next_in_bucket;
}

static void start_channel(vpc_pair *pair, struct channel *channel, bool sending, uint32_t id)
{
    struct ring ring = channel->ring;

    ring.head = ring.used = 0;
    *channel = (struct channel){.sending = sending, .id = id, .ring = ring};
    if (!sending)
        channel->limit = ring.size;
    vpc_lifecycle_start_channel(channel);
    insert_channel(pair->session, channel);
}

vpc_pair *vpc_pairs_take(vpc_session *session, uint32_t h2g, uint32_t g2h)
{
    bool host = session->config.role == VPC_HOST;
    vpc_pair *pair = VPC_LIST_ENTRY(session->free.next, vpc_pair, place);

    vpc_list_remove(&pair->place);
    vpc_list_append(&session->in_use, &pair->place);
    session->pair_count++;
    session->highest_id = h2g > g2h ? h2g : g2h;
    pair->used = true;
    pair->writable_wanted = pair->discarding = false;
    pair->user = NULL;
    start_channel(pair, &pair->sending, true, host ? h2g : g2h);
    start_channel(pair, &pair->receiving, false, host ? g2h : h2g);
    return pair;
}

void vpc_pair_emit(vpc_pair *pair, enum vpc_event_kind kind, uint64_t value, uint32_t channel)
{
    vpc_emit(
        pair->session,
        &(vpc_session_event){
            .kind = kind, .text = "", .tag = "", .value = value, .channel = channel, .pair = pair});
}

static bool anything_pending(const vpc_pair *pair)
{
    return (pair->pending[0] | pair->pending[1]) != 0;
}

/* Gives the pair back when both of its channels are released and nothing of it waits to be sent. */
void vpc_pair_release_when_over(vpc_pair *pair)
{
    vpc_session *session = pair->session;

    if (!pair->used || anything_pending(pair) || pair->receiving.state != VPC_CHANNEL_RELEASED ||
        pair->sending.state != VPC_CHANNEL_RELEASED)
        return;
    pair->used = false;
    vpc_list_remove(&pair->control);
    vpc_list_remove(&pair->data);
    remove_channel(session, &pair->sending);
    remove_channel(session, &pair->receiving);
    vpc_emit(session, &(vpc_session_event){.kind = VPC_EV_PAIR_RELEASED,
                                           .text = session->losing != NULL ? session->losing : "",
                                           .tag = "",
                                           .pair = pair});
    session->pair_count--;
    session->running_down -= pair->running_down;
    pair->running_down = false;
    vpc_list_remove(&pair->place);
    vpc_list_append(&session->free, &pair->place);
}

/* ---- what holds of a pair ------------------------------------------------------------------------------------------ */

void vpc_pair_moved(vpc_pair *pair)
{
    pair->moved_at = pair->session->now;
}

static bool flows(const struct channel *channel)
{
    return channel->state == VPC_CHANNEL_OPENING || channel->state == VPC_CHANNEL_OPEN;
}

void vpc_pair_count_down(vpc_pair *pair)
{
    bool down = !flows(&pair->sending) || !flows(&pair->receiving) || pair->sending.finishing ||
                pair->discarding;

    pair->session->running_down += down - pair->running_down;
    pair->running_down = down;
}

void vpc_channel_enter(struct channel *channel, enum vpc_channel_state state)
{
    vpc_pair *pair = vpc_pair_of(channel);

    if (channel->state == state)
        return;
    channel->state = state;
    vpc_pair_moved(pair);
    vpc_pair_count_down(pair);
}

/* ---- stepping ------------------------------------------------------------------------------------------------------ */

static bool can_send_data(const struct channel *channel)
{
    return channel->state == VPC_CHANNEL_OPEN &&
           ((channel->ring.used > 0 && channel->offset < channel->limit) ||
            (channel->ring.used == 0 && channel->finishing));
}

/* After a change of this channel: puts the pair where the output looks for it, or takes it away from there. */
void vpc_channel_schedule(struct channel *channel)
{
    vpc_pair *pair = vpc_pair_of(channel);

    if (anything_pending(pair))
        vpc_list_append(&pair->session->control, &pair->control);
    else
        vpc_list_remove(&pair->control);
    if (!channel->sending)
        return;
    if (can_send_data(channel))
        vpc_list_append(&pair->session->data, &pair->data);
    else
        vpc_list_remove(&pair->data);
}

/* The same, after a change of either channel. */
void vpc_pair_schedule(vpc_pair *pair)
{
    vpc_channel_schedule(&pair->sending);
}

void vpc_channel_pend(struct channel *channel, enum pending what)
{
    *vpc_pending(channel) |= (uint8_t)what;
}

void vpc_action_abort(struct channel *channel)
{
    *vpc_pending(channel) &= (uint8_t)~PENDING_CREDIT;
    channel->ring.used = 0;
    vpc_channel_pend(channel, PENDING_RESET);
}

void vpc_action_answer_released(struct channel *channel)
{
    *vpc_pending(channel) &= (uint8_t) ~(PENDING_CREDIT | PENDING_OPENED);
    channel->ring.used = 0;
    vpc_channel_pend(channel, PENDING_RELEASED);
}

void vpc_pair_step(vpc_pair *pair, enum vpc_lifecycle_event event)
{
    vpc_lifecycle_channel(&pair->sending, event);
    vpc_lifecycle_channel(&pair->receiving, event);
}

void vpc_pairs_lose_session(vpc_session *session, const char *cause)
{
    session->losing = cause;
    for (struct vpc_link *at = session->in_use.next, *next; at != &session->in_use; at = next) {
        vpc_pair *pair = VPC_LIST_ENTRY(at, vpc_pair, place);

        next = at->next;
        vpc_pair_step(pair, VPC_LC_SESSION_LOST);
        pair->pending[0] = pair->pending[1] = 0;
        vpc_pair_release_when_over(pair);
    }
    session->losing = NULL;
}
