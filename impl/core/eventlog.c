/* SPDX-License-Identifier: MIT */
/* Entries of the event log.  Id, name, level and message come from spec/events.json by way of the
 * generated catalogue. */
#include "endpoint.h"

void vpc_broadcast(vpc_endpoint *ep, const char *event, json_t *data)
{
    json_object_set_new(data, "vm", json_string(ep->vm)); /* as in a log entry (CTL-4) */
    vpc_act_json(
        ep, VPC_ACTION_BROADCAST, 0,
        json_pack("{s:s, s:o, s:I}", "event", event, "data", data, "time", (json_int_t)ep->now));
}

static const struct vpc_log_kind kinds[] = {VPC_LOG_KINDS};

static const struct vpc_log_kind *find_kind(enum vpc_log_id id)
{
    const struct vpc_log_kind *kind = kinds;

    while (kind->id != (int)id)
        kind++;
    return kind;
}

void vpc_log_at(vpc_endpoint *ep, enum vpc_log_id id, const char *level, json_t *fields)
{
    const struct vpc_log_kind *kind = find_kind(id);
    json_t *entry = json_pack(
        "{s:I, s:i, s:s, s:s, s:s, s:s, s:s}", "time", (json_int_t)ep->now, "id", kind->id, "name",
        kind->name, "level", level != NULL ? level : kind->level, "source",
        ep->role == VPC_ROLE_HOST ? "host" : "guest", "vm", ep->vm, "message", kind->message);

    if (entry != NULL && fields != NULL)
        json_object_update(entry, fields);
    json_decref(fields);
    if (entry == NULL)
        return;
    vpc_act_json(ep, VPC_ACTION_LOG, 0, json_incref(entry));
    vpc_broadcast(ep, "EVENT_LOGGED", entry);
}

void vpc_log(vpc_endpoint *ep, enum vpc_log_id id, json_t *fields)
{
    vpc_log_at(ep, id, NULL, fields);
}

json_t *vpc_relay_fields(const struct vpc_relay *relay, const char *cause, uint32_t error)
{
    json_t *fields = json_pack("{s:s*, s:i}", "pipe", relay->pipe, "port", relay->port);

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
