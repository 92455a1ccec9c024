/* SPDX-License-Identifier: MIT */
/*
 * The session's events.  They are handled where they arise: they log, answer, and tell a relay what happened to it.  What
 * moves bytes or ends channels is done in vpc_endpoint_finish(), outside of the session's callbacks.
 */
#include "endpoint.h"

#include <stdio.h>
#include <string.h>

static void format_versions(char *out, size_t size, unsigned min, unsigned max)
{
    snprintf(out, size, "%u.%u-%u.%u", min >> 8, min & 255, max >> 8, max & 255);
}

static void on_session_up(vpc_endpoint *ep, const vpc_session_event *event)
{
    char version[16];

    ep->sessions++;
    ep->version = (uint32_t)event->value;
    ep->mismatched = ep->late = false;
    snprintf(ep->peer_name, sizeof(ep->peer_name), "%s", event->text);
    if (ep->role == VPC_ROLE_HOST && (ep->tag_learnt || ep->tag[0] == '\0')) {
        bool other = strcmp(ep->tag, event->tag) != 0;

        ep->tag_learnt = true;
        snprintf(ep->tag, sizeof(ep->tag), "%s", event->tag);
        if (other)
            vpc_host_set_event(ep);
    }
    snprintf(version, sizeof(version), "%u.%u", ep->version >> 8, ep->version & 255);
    vpc_log(
        ep, VPC_LOG_SESSION_UP,
        json_pack("{s:s, s:s, s:s}", "version", version, "peer", event->text, "tag", event->tag));
}

static void on_mismatch(vpc_endpoint *ep, const vpc_session_event *event)
{
    char local[32], peer[32];

    ep->mismatched = true;
    format_versions(local, sizeof(local), ep->options.version_min, ep->options.version_max);
    format_versions(peer, sizeof(peer), (unsigned)(event->value >> 16),
                    (unsigned)event->value & 0xffff);
    vpc_log(ep, VPC_LOG_REVISION_MISMATCH,
            json_pack("{s:s, s:s, s:s}", "local_versions", local, "peer_versions", peer, "peer",
                      event->text));
}

static void on_violation(vpc_endpoint *ep, const vpc_session_event *event)
{
    struct vpc_relay *relay = vpc_relay_of_channel(ep, event->channel);
    json_t *fields = relay != NULL ? vpc_relay_fields(relay, event->text, 0)
                                   : json_pack("{s:s}", "cause", event->text);

    json_object_set_new(fields, "frame", json_string(vpc_message_name((uint8_t)event->value)));
    json_object_set_new(fields, "channel", json_integer(event->channel));
    vpc_log(ep, VPC_LOG_PROTOCOL_VIOLATION, fields);
    if (relay != NULL && event->pair != NULL)
        vpc_relay_violated(ep, relay);
}

static void on_session_down(vpc_endpoint *ep, const vpc_session_event *event)
{
    vpc_guest_log_clock(ep, true);
    vpc_log_at(ep, VPC_LOG_SESSION_LOST, strcmp(event->text, "stopped") == 0 ? "info" : NULL,
               json_pack("{s:s, s:I}", "cause", event->text, "pairs", (json_int_t)event->value));
}

static void on_late(vpc_endpoint *ep, const vpc_session_event *event)
{
    ep->late = true;
    vpc_log(ep, VPC_LOG_HEARTBEAT_LATE, json_pack("{s:I}", "silent_ms", (json_int_t)event->value));
}

static void on_framing_lost(vpc_endpoint *ep, const vpc_session_event *event)
{
    vpc_log(ep, VPC_LOG_FRAMING_LOST, json_pack("{s:s}", "cause", event->text));
}

static void on_resumed(vpc_endpoint *ep, const vpc_session_event *event)
{
    (void)event;
    ep->late = false;
    vpc_log(ep, VPC_LOG_HEARTBEAT_RESUMED, NULL);
}

static void on_guest_event(vpc_endpoint *ep, const vpc_session_event *event)
{
    vpc_guest_log_received(ep, event->frame);
}

/* READY, NOT_READY and the pair's opening, which are the one role's or the other's. */
static void on_role_event(vpc_endpoint *ep, const vpc_session_event *event)
{
    (ep->role == VPC_ROLE_HOST ? vpc_host_event : vpc_guest_event)(ep, event);
}

static void (*const handlers[])(vpc_endpoint *ep, const vpc_session_event *event) = {
    [VPC_EV_SESSION_UP] = on_session_up,
    [VPC_EV_SESSION_DOWN] = on_session_down,
    [VPC_EV_MISMATCH] = on_mismatch,
    [VPC_EV_FRAMING_LOST] = on_framing_lost,
    [VPC_EV_VIOLATION] = on_violation,
    [VPC_EV_LATE] = on_late,
    [VPC_EV_RESUMED] = on_resumed,
    [VPC_EV_GUEST_EVENT] = on_guest_event,
    [VPC_EV_READY] = on_role_event,
    [VPC_EV_NOT_READY] = on_role_event,
    [VPC_EV_PAIR_REQUEST] = on_role_event,
    [VPC_EV_PAIR_OPENED] = on_role_event,
    [VPC_EV_PAIR_REFUSED] = on_role_event,
    [VPC_EV_PAIR_READABLE] = NULL,
    [VPC_EV_PAIR_WRITABLE] = NULL,
    [VPC_EV_PAIR_ANSWERED] = NULL,
    [VPC_EV_PAIR_RESET] = NULL,
    [VPC_EV_PAIR_RELEASED] = NULL,
};

void vpc_endpoint_on_event(void *user, const vpc_session_event *event)
{
    vpc_endpoint *ep = user;
    struct vpc_relay *relay = event->pair != NULL ? vpc_pair_user(event->pair) : NULL;

    if (handlers[event->kind] != NULL)
        handlers[event->kind](ep, event);
    if (relay == NULL)
        return;
    vpc_relay_touch(ep, relay); /* bytes, room, the end: vpc_endpoint_finish() moves it on */
    if (event->kind == VPC_EV_PAIR_RESET)
        vpc_relay_reset(ep, relay, event);
    if (event->kind == VPC_EV_PAIR_RELEASED)
        vpc_relay_released(ep, relay, event->text);
}
