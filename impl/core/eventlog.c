/* SPDX-License-Identifier: MIT */
/*
 * Entries of the event log.  Id, name, level and message come from spec/events.json by way of the generated catalogue.
 *
 * An id that arises too often is written no more until its 10 seconds are over; then its number is (LOG-9).
 */
#include "endpoint.h"

#define SUPPRESS_AFTER     100u
#define SUPPRESS_WINDOW_MS 10000u

void vpc_broadcast(vpc_endpoint *ep, const char *event, json_t *data)
{
    json_object_set_new(data, "vm", json_string(ep->vm)); /* as in a log entry (CTL-4) */
    vpc_act_json(
        ep, VPC_ACTION_BROADCAST, 0,
        json_pack("{s:s, s:o, s:I}", "event", event, "data", data, "time", (json_int_t)ep->now));
}

void vpc_log_entry(vpc_endpoint *ep, const struct vpc_log_kind *kind, const char *level,
                   const char *source, json_t *fields)
{
    json_t *entry = vpc_log_entry_make(kind, level, source, ep->vm, ep->now, fields);

    if (entry == NULL)
        return;
    vpc_act_json(ep, VPC_ACTION_LOG, 0, json_incref(entry));
    vpc_broadcast(ep, "EVENT_LOGGED", entry);
}

/* An entry of this endpoint's own. */
static void write_own(vpc_endpoint *ep, const struct vpc_log_kind *kind, const char *level,
                      json_t *fields)
{
    if (level == NULL)
        level = kind->level;
    if (ep->role == VPC_ROLE_GUEST)
        vpc_outbox_add(ep, kind, level, fields);
    vpc_log_entry(ep, kind, level, ep->role == VPC_ROLE_HOST ? "host" : "guest", fields);
}

/* ---- too many of one id (LOG-9) ----------------------------------------------------------------- */

/* Each of these answers a call of the user's own, or is the summary itself. */
static bool never_left_out(int id)
{
    return id == VPC_LOG_START_FAILED || id == VPC_LOG_PIPE_FAILED || id == VPC_LOG_EVENTS_LOST ||
           id == VPC_LOG_EVENTS_SUPPRESSED;
}

static void end_window(vpc_endpoint *ep, size_t i)
{
    uint64_t left_out = ep->floods[i].left_out;

    ep->left_out -= left_out;
    ep->floods[i] = (struct vpc_flood){0};
    if (left_out > 0)
        write_own(ep, vpc_log_kind_of(VPC_LOG_EVENTS_SUPPRESSED), NULL,
                  json_pack("{s:i, s:I}", "event_id", vpc_log_kind_at(i)->id, "count",
                            (json_int_t)left_out));
}

/* Counts one more of this id; true when it must not be written. */
static bool too_many(vpc_endpoint *ep, const struct vpc_log_kind *kind)
{
    size_t i = vpc_log_kind_index(kind);
    struct vpc_flood *flood = &ep->floods[i];

    if (never_left_out(kind->id))
        return false;
    if (flood->written > 0 && ep->now - flood->since >= SUPPRESS_WINDOW_MS)
        end_window(ep, i);
    if (flood->written == 0)
        flood->since = ep->now;
    if (flood->written < SUPPRESS_AFTER) {
        flood->written++;
        return false;
    }
    flood->left_out++;
    ep->left_out++;
    return true;
}

void vpc_log_clock(vpc_endpoint *ep, bool at_once)
{
    if (ep->left_out == 0)
        return;
    for (size_t i = 0; i < VPC_LOG_KIND_COUNT; i++)
        if (ep->floods[i].left_out > 0 &&
            (at_once || ep->now - ep->floods[i].since >= SUPPRESS_WINDOW_MS))
            end_window(ep, i);
}

uint64_t vpc_log_deadline(const vpc_endpoint *ep)
{
    uint64_t at = VPC_NEVER;

    if (ep->left_out == 0)
        return at;
    for (size_t i = 0; i < VPC_LOG_KIND_COUNT; i++)
        if (ep->floods[i].left_out > 0 && ep->floods[i].since + SUPPRESS_WINDOW_MS < at)
            at = ep->floods[i].since + SUPPRESS_WINDOW_MS;
    return at;
}

/* ---- what the others call ----------------------------------------------------------------------- */

void vpc_log_at(vpc_endpoint *ep, enum vpc_log_id id, const char *level, json_t *fields)
{
    const struct vpc_log_kind *kind = vpc_log_kind_of(id);

    if (too_many(ep, kind))
        json_decref(fields);
    else
        write_own(ep, kind, level, fields);
}

void vpc_log(vpc_endpoint *ep, enum vpc_log_id id, json_t *fields)
{
    vpc_log_at(ep, id, NULL, fields);
}

json_t *vpc_relay_fields(const struct vpc_relay *relay, const char *cause, uint32_t error)
{
    json_t *fields = json_pack("{s:s*, s:s*, s:i}", "pipe", relay->pipe, "forward", relay->listen,
                               "port", relay->port);

    if (relay->h2g != 0) {
        json_object_set_new(fields, "h2g", json_integer(relay->h2g));
        json_object_set_new(fields, "g2h", json_integer(relay->g2h));
    }
    if (cause != NULL)
        json_object_set_new(fields, "cause", json_string(cause));
    if (error != 0)
        json_object_set_new(fields, "errno", json_integer(error));
    return fields;
}
