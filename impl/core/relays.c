/* SPDX-License-Identifier: MIT */
/*
 * The places of relays, and how one is found: by its stream, by its pipe's name, by its pair (vpc_pair_user), among those
 * in use, among those that are to be moved on.
 *
 * Nothing is searched: a place is taken and given back, a relay found, moved on and reminded of its time limit in as many
 * steps with ten thousand pairs as with one, save the heap of the limits, which is a little deeper.
 */
#include "endpoint.h"

#include <stdlib.h>
#include <string.h>

bool vpc_relays_init(vpc_endpoint *ep)
{
    unsigned room = ep->options.max_pairs;

    vpc_list_init(&ep->free);
    vpc_list_init(&ep->in_use);
    vpc_list_init(&ep->moving);
    vpc_list_init(&ep->awake);
    ep->relays = calloc(room, sizeof(*ep->relays));
    return ep->relays != NULL && vpc_index_init(&ep->streams, room) &&
           vpc_index_init(&ep->pipes, room) && vpc_index_init(&ep->askers, 2 * room) &&
           vpc_time_limits_init(&ep->limits, room);
}

void vpc_relays_free(vpc_endpoint *ep)
{
    struct vpc_relay *relay, *next;

    vpc_host_forget_waiting(ep);
    for (relay = vpc_relay_first(ep); relay != NULL; relay = next) {
        next = vpc_relay_next(ep, relay);
        vpc_asker_forget(&relay->stopper);
        vpc_relay_free(ep, relay);
    }
    free(ep->relays);
    free(ep->streams.buckets);
    free(ep->pipes.buckets);
    free(ep->askers.buckets);
    vpc_time_limits_free(&ep->limits);
}

/* ---- those in use ------------------------------------------------------------------------------ */

static struct vpc_relay *at_place(vpc_endpoint *ep, struct vpc_link *link)
{
    if (link == NULL || link == &ep->in_use)
        return NULL;
    ep->visits++;
    return VPC_LIST_ENTRY(link, struct vpc_relay, place);
}

struct vpc_relay *vpc_relay_first(vpc_endpoint *ep)
{
    return at_place(ep, ep->in_use.next);
}

struct vpc_relay *vpc_relay_next(vpc_endpoint *ep, struct vpc_relay *relay)
{
    return at_place(ep, relay->place.next);
}

static struct vpc_relay *free_place(vpc_endpoint *ep)
{
    struct vpc_relay *relay;

    if (!vpc_reserve_actions(ep, ep->relay_count + ep->forward_count + 1))
        return NULL;
    if (vpc_list_empty(&ep->free))
        return ep->fresh < ep->options.max_pairs ? &ep->relays[ep->fresh++] : NULL;
    relay = VPC_LIST_ENTRY(ep->free.next, struct vpc_relay, place);
    vpc_list_remove(&relay->place);
    return relay;
}

/* A number is used again after 2^32 streams only, and never while it is in use. */
uint32_t vpc_next_stream(vpc_endpoint *ep)
{
    do
        ep->last_stream++;
    while (ep->last_stream == 0 || vpc_relay_find(ep, ep->last_stream) != NULL ||
           vpc_forwards_use(ep, ep->last_stream));
    return ep->last_stream;
}

struct vpc_relay *vpc_relay_take(vpc_endpoint *ep)
{
    return vpc_relay_take_as(ep, 0);
}

struct vpc_relay *vpc_relay_take_as(vpc_endpoint *ep, uint32_t stream)
{
    struct vpc_relay *relay = free_place(ep);

    if (relay == NULL)
        return NULL;
    ep->visits++;
    *relay = (struct vpc_relay){.stream = stream != 0 ? stream : vpc_next_stream(ep),
                                .good_cause = "closed"};
    vpc_index_add(&ep->streams, relay->stream, &relay->by_stream);
    vpc_list_append(&ep->in_use, &relay->place);
    ep->relay_count++;
    vpc_relay_begin(relay);
    return relay;
}

void vpc_relay_free(vpc_endpoint *ep, struct vpc_relay *relay)
{
    if (relay->stopper.client != 0)
        vpc_answer(ep, &relay->stopper, json_object());
    vpc_forward_released(ep, relay);
    vpc_asker_forget(&relay->stopper);
    vpc_asker_forget(&relay->starter);
    vpc_entry_remove(&relay->by_stream);
    vpc_entry_remove(&relay->by_pipe);
    vpc_list_remove(&relay->place);
    vpc_list_remove(&relay->moving);
    vpc_list_remove(&relay->awake);
    vpc_time_limit_set(&ep->limits, &relay->limit, VPC_NEVER);
    ep->relay_count--;
    ep->pair_count -= relay->pair != NULL;
    ep->running_down -= relay->running_down;
    free(relay->pipe);
    free(relay->pipe_key);
    free(relay->path);
    free(relay->listen);
    *relay = (struct vpc_relay){0};
    vpc_list_append(&ep->free, &relay->place);
    vpc_unreserve_actions(ep, ep->relay_count + ep->forward_count);
}

/* ---- one of them ------------------------------------------------------------------------------- */

struct vpc_relay *vpc_relay_find(vpc_endpoint *ep, uint32_t stream)
{
    struct vpc_entry *entry = vpc_index_first(&ep->streams, stream);

    for (; entry != NULL; entry = entry->next) {
        struct vpc_relay *relay = VPC_LIST_ENTRY(entry, struct vpc_relay, by_stream);

        ep->visits++;
        if (relay->stream == stream)
            return relay;
    }
    return NULL;
}

struct vpc_relay *vpc_relay_live(vpc_endpoint *ep, uint32_t stream)
{
    struct vpc_relay *relay = vpc_relay_find(ep, stream);

    return relay != NULL && relay->pair != NULL && vpc_relay_has_stream(relay) ? relay : NULL;
}

struct vpc_relay *vpc_relay_of_channel(const vpc_endpoint *ep, uint32_t channel)
{
    vpc_pair *pair = vpc_session_pair(ep->session, channel);

    return pair != NULL ? vpc_pair_user(pair) : NULL;
}

/* FNV-1a. */
static uint32_t hash_of(const char *key)
{
    uint32_t hash = 2166136261u;

    for (; *key != '\0'; key++)
        hash = (hash ^ (uint8_t)*key) * 16777619u;
    return hash;
}

struct vpc_relay *vpc_relay_of_pipe(vpc_endpoint *ep, const char *key)
{
    struct vpc_entry *entry = vpc_index_first(&ep->pipes, hash_of(key));

    for (; entry != NULL; entry = entry->next) {
        struct vpc_relay *relay = VPC_LIST_ENTRY(entry, struct vpc_relay, by_pipe);

        ep->visits++;
        if (!relay->nameless && strcmp(relay->pipe_key, key) == 0)
            return relay;
    }
    return NULL;
}

/* The last one that came into the table is the first in it. */
struct vpc_relay *vpc_relay_last_of_pipe(vpc_endpoint *ep, const char *key)
{
    struct vpc_relay *relay = vpc_relay_of_pipe(ep, key);
    struct vpc_entry *entry = vpc_index_first(&ep->pipes, hash_of(key));

    for (; relay == NULL && entry != NULL; entry = entry->next) {
        ep->visits++;
        if (strcmp(VPC_LIST_ENTRY(entry, struct vpc_relay, by_pipe)->pipe_key, key) == 0)
            relay = VPC_LIST_ENTRY(entry, struct vpc_relay, by_pipe);
    }
    return relay;
}

bool vpc_relay_name(vpc_endpoint *ep, struct vpc_relay *relay, const char *pipe, const char *key)
{
    relay->pipe = strdup(pipe);
    relay->pipe_key = strdup(key);
    if (relay->pipe == NULL || relay->pipe_key == NULL)
        return false;
    vpc_index_add(&ep->pipes, hash_of(key), &relay->by_pipe);
    return true;
}

/* ---- those that something happened to ----------------------------------------------------------- */

void vpc_relay_touch(vpc_endpoint *ep, struct vpc_relay *relay)
{
    vpc_list_append(&ep->moving, &relay->moving);
}

bool vpc_relays_advance(vpc_endpoint *ep)
{
    bool any = !vpc_list_empty(&ep->moving);

    while (!vpc_list_empty(&ep->moving)) {
        struct vpc_relay *relay = VPC_LIST_ENTRY(ep->moving.next, struct vpc_relay, moving);

        vpc_list_remove(&relay->moving);
        ep->visits++;
        vpc_relay_advance(ep, relay);
    }
    return any;
}

struct vpc_relay *vpc_relay_next_awake(vpc_endpoint *ep)
{
    while (!vpc_list_empty(&ep->awake)) {
        struct vpc_relay *relay = VPC_LIST_ENTRY(ep->awake.next, struct vpc_relay, awake);

        ep->visits++;
        vpc_relay_look(ep, relay); /* it may have lost what it had */
        if (relay->untold == 0)
            continue;
        vpc_relay_asked(relay, VPC_HAS_OUTPUT | VPC_HAS_ROOM);
        return relay;
    }
    return NULL;
}

void vpc_relays_clock(vpc_endpoint *ep)
{
    struct vpc_time_limit *limit;

    while ((limit = vpc_time_limits_first(&ep->limits)) != NULL && limit->due <= ep->time) {
        ep->visits++;
        vpc_relay_limit(ep, VPC_LIST_ENTRY(limit, struct vpc_relay, limit));
    }
}

uint64_t vpc_relays_deadline(const vpc_endpoint *ep)
{
    const struct vpc_time_limit *limit = vpc_time_limits_first(&ep->limits);

    return limit != NULL ? limit->due : VPC_NEVER;
}
