/* SPDX-License-Identifier: MIT */
#include "document/entry.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "document/embedded.h"

enum { START_FAILED = 1004, PROTOCOL_VIOLATION = 1014 };

json_t *vpc_catalogue_load(void)
{
    return json_loads(vpc_embedded_events, 0, NULL);
}

const json_t *vpc_catalogue_event(const json_t *catalogue, json_int_t id)
{
    const json_t *event;
    size_t i;

    json_array_foreach(json_object_get(catalogue, "events"), i, event)
    {
        if (json_integer_value(json_object_get(event, "id")) == id)
            return event;
    }
    return NULL;
}

static bool holds(const json_t *list, const char *name)
{
    const json_t *one;
    size_t i;

    json_array_foreach(list, i, one)
    {
        if (strcmp(json_string_value(one), name) == 0)
            return true;
    }
    return false;
}

static bool is_text(const json_t *entry, const char *key, const char *value)
{
    const char *text = json_string_value(json_object_get(entry, key));

    return text && (value ? strcmp(text, value) == 0 : *text != '\0');
}

/* LOG-1: what is wrong with the common fields, or NULL. */
static const char *common_fault(const json_t *entry, const json_t *event, const char *source,
                                const char *vm)
{
    if (event == NULL)
        return "id is not in the catalogue";
    if (!json_is_integer(json_object_get(entry, "time")))
        return "time is no number";
    if (!is_text(entry, "name", json_string_value(json_object_get(event, "name"))))
        return "name is not the catalogue's for this id";
    if (!is_text(entry, "level", "info") && !is_text(entry, "level", "warning") &&
        !is_text(entry, "level", "error"))
        return "level is not info, warning or error";
    if (!is_text(entry, "source", source) || !holds(json_object_get(event, "source"), source))
        return "source is not this endpoint, or one that does not log this id";
    if (!is_text(entry, "vm", vm))
        return "vm is not the virtual machine's name";
    return is_text(entry, "message", NULL) ? NULL : "message is missing";
}

/* Of a host's log: an entry that came by EVENT (LOG-7). */
static bool relayed(const json_t *entry, bool host)
{
    return host && json_object_get(entry, "guest_time") != NULL;
}

static const char *stranger(const json_t *catalogue, const json_t *entry, const json_t *event,
                            bool host)
{
    for (void *at = json_object_iter((json_t *)entry); at;
         at = json_object_iter_next((json_t *)entry, at)) {
        const char *key = json_object_iter_key(at);

        if (!holds(json_object_get(catalogue, "common_fields"), key) &&
            !holds(json_object_get(event, "fields"), key) &&
            !(relayed(entry, host) && holds(json_object_get(catalogue, "relayed_fields"), key)))
            return key;
    }
    return NULL;
}

/* LOG-2: the field that is missing, or NULL.  START_FAILED may be about a pair that has no name, a violation about none. */
static const char *missing(const json_t *entry, const json_t *event, bool host)
{
    static const char *const keys[] = {"pipe", "port", "errno"};
    const json_t *fields = json_object_get(event, "fields");
    json_int_t id = json_integer_value(json_object_get(event, "id"));
    bool closed = holds(fields, "sent"); /* by an error, or not */

    if (id == START_FAILED || id == PROTOCOL_VIOLATION || relayed(entry, host))
        return NULL; /* what came by EVENT has what the guest gave it */
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (!holds(fields, keys[i]) || json_object_get(entry, keys[i]))
            continue;
        if ((i == 0 && host) || i == 1 || (i == 2 && !closed))
            return keys[i];
    }
    return NULL;
}

const char *vpc_entry_breach(const json_t *catalogue, const json_t *entry, enum vpc_role_bit source,
                             const char *vm, char *text, size_t size)
{
    const json_t *event =
        vpc_catalogue_event(catalogue, json_integer_value(json_object_get(entry, "id")));
    bool host = source == VPC_FROM_HOST;
    const char *fault =
        common_fault(entry, event, host && !relayed(entry, host) ? "host" : "guest", vm);
    const char *key = fault ? NULL : stranger(catalogue, entry, event, host);

    if (fault)
        snprintf(text, size, "an entry of the event log: %s", fault);
    else if (key)
        snprintf(text, size, "an entry of the event log has the field %s, which its id has not",
                 key);
    if (fault || key)
        return "LOG-1";
    key = missing(entry, event, host);
    if (key == NULL)
        return NULL;
    snprintf(text, size, "an entry %s without %s",
             json_string_value(json_object_get(event, "name")), key);
    return "LOG-2";
}
