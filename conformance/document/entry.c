/* SPDX-License-Identifier: MIT */
#include "document/entry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "document/embedded.h"

enum { START_FAILED = 1004, PROTOCOL_VIOLATION = 1014, FORWARD_REFUSED = 1063 };

json_t *vpc_catalogue_load(void)
{
    return json_loads(vpc_embedded_events, 0, NULL);
}

static json_int_t id_of(const json_t *event)
{
    return json_integer_value(json_object_get(event, "id"));
}

/* Ids follow on each other, so the place of one is known; in a catalogue where they do not it is looked for. */
const json_t *vpc_catalogue_event(const json_t *catalogue, json_int_t id)
{
    const json_t *events = json_object_get(catalogue, "events"), *event;
    json_int_t place = id - id_of(json_array_get(events, 0));
    size_t i;

    event = place >= 0 ? json_array_get(events, (size_t)place) : NULL;
    if (event && id_of(event) == id)
        return event;
    json_array_foreach(events, i, event)
    {
        if (id_of(event) == id)
            return event;
    }
    return NULL;
}

bool vpc_catalogue_lists(const json_t *list, const char *name)
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

const json_t *vpc_catalogue_named(const json_t *catalogue, const char *name)
{
    const json_t *event;
    size_t i;

    if (name[strspn(name, "0123456789")] == '\0')
        return vpc_catalogue_event(catalogue, strtoll(name, NULL, 10));
    json_array_foreach(json_object_get(catalogue, "events"), i, event)
    {
        if (strcmp(json_string_value(json_object_get(event, "name")), name) == 0)
            return event;
    }
    return NULL;
}

bool vpc_catalogue_has_field(const json_t *catalogue, const json_t *event, const char *field)
{
    const json_t *events = json_object_get(catalogue, "events");
    bool any = false;

    for (size_t i = 0; event == NULL && i < json_array_size(events) && !any; i++)
        any = vpc_catalogue_lists(json_object_get(json_array_get(events, i), "fields"), field);
    return any || vpc_catalogue_lists(json_object_get(catalogue, "common_fields"), field) ||
           vpc_catalogue_lists(json_object_get(catalogue, "relayed_fields"), field) ||
           vpc_catalogue_lists(json_object_get(event, "fields"), field);
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
    if (!is_text(entry, "source", source) ||
        !vpc_catalogue_lists(json_object_get(event, "source"), source))
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

        if (!vpc_catalogue_lists(json_object_get(catalogue, "common_fields"), key) &&
            !vpc_catalogue_lists(json_object_get(event, "fields"), key) &&
            !(relayed(entry, host) &&
              vpc_catalogue_lists(json_object_get(catalogue, "relayed_fields"), key)))
            return key;
    }
    return NULL;
}

/* LOG-1: the field that has another type than the catalogue says, or NULL. */
static const char *mistyped(const json_t *catalogue, const json_t *entry)
{
    const json_t *numbers = json_object_get(catalogue, "number_fields"), *value;
    bool failed = json_integer_value(json_object_get(entry, "id")) == START_FAILED;
    const char *key;

    json_object_foreach((json_t *)entry, key, value)
    {
        bool right =
            vpc_catalogue_lists(numbers, key) ? json_is_integer(value) : json_is_string(value);

        if (!right && !(failed && strcmp(key, "port") == 0 && json_is_string(value)))
            return key;
    }
    return NULL;
}

/* LOG-2: the field that is missing, or NULL.  START_FAILED may be about a pair that has no name, a violation about none;
 * the pair of a forward's client has no pipe (FWD-8). */
static const char *missing(const json_t *entry, const json_t *event, bool host)
{
    static const char *const keys[] = {"pipe", "port", "errno"};
    const json_t *fields = json_object_get(event, "fields");
    json_int_t id = json_integer_value(json_object_get(event, "id"));
    bool closed = vpc_catalogue_lists(fields, "sent"); /* by an error, or not */

    if (id == START_FAILED || id == PROTOCOL_VIOLATION || relayed(entry, host))
        return NULL; /* what came by EVENT has what the guest gave it */
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (!vpc_catalogue_lists(fields, keys[i]) || json_object_get(entry, keys[i]))
            continue;
        if (i == 0 && json_object_get(entry, "forward"))
            continue;
        if (i == 2 && id == FORWARD_REFUSED)
            continue; /* where the guest gave one */
        if ((i == 0 && host) || i == 1 || (i == 2 && !closed))
            return keys[i];
    }
    return NULL;
}

struct looked_at {
    const json_t *catalogue, *entry, *event;
    bool host;
    const char *vm;
};

static const char *breaks_common(const struct looked_at *at, char *text, size_t size)
{
    bool of_host = at->host && !relayed(at->entry, at->host);
    const char *fault = common_fault(at->entry, at->event, of_host ? "host" : "guest", at->vm);

    if (fault)
        snprintf(text, size, "an entry of the event log: %s", fault);
    return fault ? "LOG-1" : NULL;
}

static const char *breaks_fields(const struct looked_at *at, char *text, size_t size)
{
    const char *strange = stranger(at->catalogue, at->entry, at->event, at->host);
    const char *key = strange ? strange : mistyped(at->catalogue, at->entry);

    if (key)
        snprintf(text, size, "an entry of the event log has the field %s, which %s", key,
                 strange ? "its id has not" : "is of another type in the catalogue");
    return key ? "LOG-1" : NULL;
}

static const char *breaks_message(const struct looked_at *at, char *text, size_t size)
{
    const char *message = json_string_value(json_object_get(at->event, "message"));

    if (!relayed(at->entry, at->host) || is_text(at->entry, "message", message))
        return NULL;
    snprintf(text, size, "an entry that came by EVENT has another message than the catalogue");
    return "LOG-7";
}

static const char *breaks_missing(const struct looked_at *at, char *text, size_t size)
{
    const char *key = missing(at->entry, at->event, at->host);

    if (key)
        snprintf(text, size, "an entry %s without %s",
                 json_string_value(json_object_get(at->event, "name")), key);
    return key ? "LOG-2" : NULL;
}

const char *vpc_entry_breach(const json_t *catalogue, const json_t *entry, enum vpc_role_bit source,
                             const char *vm, char *text, size_t size)
{
    static const char *(*const judges[])(const struct looked_at *, char *, size_t) = {
        breaks_common, breaks_fields, breaks_message, breaks_missing};
    json_int_t id = json_integer_value(json_object_get(entry, "id"));
    struct looked_at at = {catalogue, entry, vpc_catalogue_event(catalogue, id),
                           source == VPC_FROM_HOST, vm};
    const char *breach = NULL;

    for (size_t i = 0; breach == NULL && i < sizeof(judges) / sizeof(judges[0]); i++)
        breach = judges[i](&at, text, size);
    return breach;
}
