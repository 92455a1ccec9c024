/* SPDX-License-Identifier: MIT */
/* An endpoint from its making to its end, and the order of work within a call. */
#include "endpoint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STOP_FLUSH_MS 1000u /* for octets that wait for the bus when the endpoint stops */
#define SEND_BUFFER   (2 * VPC_DATA_MAX) /* of a channel, octets: one frame goes, one comes */

/* ---- stopping -------------------------------------------------------------------------------- */

/* When a GOODBYE that the bus does not take is given up. */
static uint64_t flush_by(const vpc_endpoint *ep)
{
    return ep->stop_at < VPC_NEVER - STOP_FLUSH_MS ? ep->stop_at + STOP_FLUSH_MS : VPC_NEVER;
}

/* Nothing is left to do before GOODBYE: no pair drains, and the host has the entries that may go now (LOG-6). */
static bool drained(const vpc_endpoint *ep)
{
    bool in_session = vpc_endpoint_level(ep) >= VPC_LEVEL_COMPONENTS;

    return ep->relay_count == 0 && !(in_session && vpc_outbox_due(ep));
}

/* Pairs drain until the limit; then GOODBYE, and when it was sent, or there is no one who takes it,
 * STOPPED. */
static void advance_stop(vpc_endpoint *ep)
{
    const void *octets;

    if (!ep->stopping || ep->stopped)
        return;
    if (drained(ep) || ep->now >= ep->stop_at)
        vpc_session_stop(ep->session);
    if (vpc_session_state(ep->session) != VPC_SESSION_STOPPED ||
        (vpc_session_output(ep->session, &octets) > 0 && ep->now < flush_by(ep)))
        return;
    vpc_host_give_up_starts(ep);
    vpc_log_clock(ep, true);
    vpc_log(ep, VPC_LOG_ENDPOINT_STOPPED, json_pack("{s:s}", "cause", "told to stop"));
    vpc_act(ep, (vpc_action){.kind = VPC_ACTION_STOPPED}, NULL);
    ep->stopped = true; /* from here on vpc_act() does nothing */
}

/* The event HEARTBEAT, when the percentage is another than before (RDY-5). */
static void tell_heartbeat(vpc_endpoint *ep)
{
    unsigned heartbeat;

    if (ep->role != VPC_ROLE_HOST)
        return;
    heartbeat = vpc_session_heartbeat(ep->session);
    if (heartbeat == ep->heartbeat)
        return;
    ep->heartbeat = heartbeat;
    vpc_broadcast(ep, "HEARTBEAT", json_pack("{s:i}", "heartbeat", (int)heartbeat));
}

void vpc_endpoint_finish(vpc_endpoint *ep)
{
    const void *octets;

    tell_heartbeat(ep);
    vpc_relays_advance(ep);
    do /* frames that are drawn up make room, and may release pairs */
        vpc_session_output(ep->session, &octets);
    while (vpc_relays_advance(ep));
    if (ep->forward_count > 0)
        vpc_forwards_advance(ep);
    advance_stop(ep);
}

static void begin_stop(vpc_endpoint *ep)
{
    struct vpc_relay *relay;

    ep->stopping = true;
    ep->stop_at = VPC_NEVER;
    vpc_session_set_ready(ep->session, false);
    vpc_forwards_stop(ep);
    for (relay = vpc_relay_first(ep); relay != NULL; relay = vpc_relay_next(ep, relay))
        if (relay->pair != NULL)
            vpc_relay_stop(ep, relay);
}

/* A second call can make the limit shorter, never longer. */
void vpc_endpoint_stop(vpc_endpoint *ep, uint64_t limit_ms)
{
    uint64_t at = limit_ms < VPC_NEVER - ep->now ? ep->now + limit_ms : VPC_NEVER;

    if (!ep->stopping)
        begin_stop(ep);
    if (at < ep->stop_at)
        ep->stop_at = at;
    vpc_endpoint_finish(ep);
}

/* ---- life ------------------------------------------------------------------------------------ */

void vpc_endpoint_destroy(vpc_endpoint *ep)
{
    if (ep == NULL)
        return;
    vpc_relays_free(ep);
    vpc_forwards_free(ep);
    vpc_drop_actions(ep);
    free(ep->outbox);
    free(ep->session);
    free(ep->vm);
    free(ep);
}

static bool next_log(void *user, vpc_frame *entry)
{
    return vpc_outbox_take(user, entry);
}

/* random() of the configuration gets the caller's own pointer, the events get ours. */
static uint64_t draw(void *user)
{
    vpc_endpoint *ep = user;

    return ep->random(ep->random_user);
}

static void session_config(vpc_endpoint *ep, vpc_session_config *config)
{
    const struct vpc_options *o = &ep->options;

    *config = (vpc_session_config){
        .role = ep->role == VPC_ROLE_HOST ? VPC_HOST : VPC_GUEST,
        .version_min = (uint16_t)o->version_min,
        .version_max = (uint16_t)o->version_max,
        .max_pairs = (uint16_t)o->max_pairs,
        .window = o->window,
        .send_buffer = o->window < SEND_BUFFER ? o->window : SEND_BUFFER,
        .hello_interval_ms = o->hello_interval_ms,
        .heartbeat_ms = o->heartbeat_ms,
        .heartbeat_late_ms = o->heartbeat_late_ms,
        .peer_limit_ms = o->peer_limit_ms,
        .backoff_max_ms = o->backoff_max_ms,
        .name = VPC_IMPLEMENTATION,
        .random = draw,
        .on_event = vpc_endpoint_on_event,
        .next_log = ep->role == VPC_ROLE_GUEST ? next_log : NULL,
        .user = ep,
    };
    memcpy(config->tag, ep->tag, sizeof(config->tag));
}

/* The log is JSON: what is no UTF-8 could not be shown in it. */
static bool valid_name(const char *vm)
{
    json_t *text = json_string(vm);

    json_decref(text);
    return text != NULL;
}

bool vpc_valid_tag(const char *tag)
{
    for (const char *c = tag; *c != '\0'; c++)
        if (*c < 0x20 || *c > 0x7e || c - tag >= (int)VPC_TEXT_MAX)
            return false;
    return true;
}

static vpc_endpoint *refuse(vpc_endpoint *ep, const vpc_endpoint_config *config, const char *error,
                            int number)
{
    if (config->error != NULL)
        snprintf(config->error, config->error_size, "%s", error);
    vpc_endpoint_destroy(ep);
    errno = number;
    return NULL;
}

static bool check_config(struct vpc_options *options, const vpc_endpoint_config *config,
                         char *error, size_t size)
{
    if (!vpc_options_parse(options, config->role, config->options, error, size))
        return false;
    if (!vpc_valid_tag(config->tag) ||
        (config->role != VPC_ROLE_HOST && config->role != VPC_ROLE_GUEST)) {
        snprintf(error, size,
                 "the tag must be at most 32 printable characters, the role host or guest");
        return false;
    }
    if (!valid_name(config->vm)) {
        snprintf(error, size, "the virtual machine's name must be UTF-8");
        return false;
    }
    return true;
}

/* The session's memory is all that the pairs will ever take (FLW-5): what to do where it is too much. */
static bool make_session(vpc_endpoint *ep, char *error, size_t size)
{
    vpc_session_config session;
    void *memory;

    session_config(ep, &session);
    memory = malloc(vpc_session_size(&session));
    if (memory != NULL)
        ep->session = vpc_session_init(memory, &session, ep->now);
    else
        snprintf(error, size, "no memory for %u pairs, %zu MiB: lower max_pairs or window",
                 ep->options.max_pairs, vpc_session_size(&session) >> 20);
    return memory != NULL;
}

/* False: there is no memory for all of it; vpc_endpoint_destroy() frees what there is. */
static bool make_parts(vpc_endpoint *ep, const vpc_endpoint_config *config, char *error,
                       size_t size)
{
    if (!make_session(ep, error, size))
        return false;
    ep->vm = strdup(config->vm);
    ep->outbox = vpc_outbox_create();
    return vpc_relays_init(ep) && ep->vm != NULL && ep->outbox != NULL &&
           vpc_reserve_actions(ep, 0);
}

vpc_endpoint *vpc_endpoint_create(const vpc_endpoint_config *config, uint64_t now_ms)
{
    vpc_endpoint *ep = calloc(1, sizeof(*ep));
    char error[128] = "no memory";

    if (ep == NULL)
        return refuse(ep, config, error, ENOMEM);
    vpc_list_init(&ep->in_use);
    vpc_forwards_init(ep);
    if (!check_config(&ep->options, config, error, sizeof(error)))
        return refuse(ep, config, error, EINVAL);
    ep->role = config->role;
    ep->now = ep->time = now_ms;
    ep->random = config->random;
    ep->random_user = config->user;
    snprintf(ep->tag, sizeof(ep->tag), "%s", config->tag);
    if (!make_parts(ep, config, error, sizeof(error)))
        return refuse(ep, config, error, ENOMEM);
    vpc_log(ep, VPC_LOG_ENDPOINT_STARTED,
            json_pack("{s:s, s:s}", "implementation", VPC_IMPLEMENTATION, "version", "1.0"));
    vpc_session_set_ready(ep->session, ep->role == VPC_ROLE_GUEST);
    if (ep->role == VPC_ROLE_HOST && ep->tag[0] != '\0')
        vpc_host_set_event(ep);
    return ep;
}

/* ---- time -------------------------------------------------------------------------------------- */

void vpc_endpoint_clock(vpc_endpoint *ep, uint64_t now_ms)
{
    if (now_ms > ep->now)
        ep->now = now_ms;
    vpc_machine_clock(ep);
    vpc_session_clock(ep->session, ep->time);
    vpc_relays_clock(ep);
    vpc_log_clock(ep, false);
    vpc_guest_log_clock(ep, false);
    vpc_endpoint_finish(ep);
}

uint64_t vpc_endpoint_deadline(const vpc_endpoint *ep)
{
    uint64_t session = vpc_session_deadline(ep->session), relays = vpc_relays_deadline(ep);
    uint64_t at = vpc_machine_due(ep, vpc_earlier(session, relays)), stop = VPC_NEVER;

    if (ep->stopped)
        return VPC_NEVER;
    if (ep->stopping)
        stop = vpc_session_state(ep->session) != VPC_SESSION_STOPPED ? ep->stop_at : flush_by(ep);
    return vpc_earlier(vpc_earlier(at, stop),
                       vpc_earlier(vpc_log_deadline(ep), vpc_guest_log_deadline(ep)));
}
