/* SPDX-License-Identifier: MIT */
/* See field.h. */
#include "alter/field.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "document/embedded.h"
#include "document/entry.h"
#include "memory.h"

const char *vpc_place_name(enum vpc_place place)
{
    static const char *const names[VPC_PLACE_COUNT] = {
        [VPC_SAID_FRAME] = "sent",   [VPC_HEARD_FRAME] = "received", [VPC_SAID_ENTRY] = "logged",
        [VPC_SAID_EVENT] = "event",  [VPC_SAID_ANSWER] = "answered", [VPC_HEARD_REQUEST] = "asked",
        [VPC_HEARD_SETTING] = "set",
    };

    return names[place];
}

size_t vpc_fields_find(const struct vpc_fields *fields, enum vpc_place place,
                       enum vpc_role_bit role, const char *of, const char *name)
{
    for (size_t i = 0; i < fields->count; i++) {
        const struct vpc_field_at *field = &fields->list[i];

        if (field->place == place && field->role == role && strcmp(field->name, name) == 0 &&
            strcmp(field->of, of) == 0)
            return i;
    }
    return fields->count;
}

/* Adds it for each role of the set, once. */
static void add(struct vpc_fields *fields, enum vpc_place place, unsigned roles, const char *of,
                const char *name, bool reserved)
{
    for (unsigned role = VPC_FROM_HOST; role <= VPC_FROM_GUEST; role <<= 1) {
        enum vpc_role_bit bit = (enum vpc_role_bit)role;

        if (!(roles & role) || vpc_fields_find(fields, place, bit, of, name) < fields->count)
            continue;
        fields->list = vpc_grow_by_one(fields->list, fields->count, sizeof(*fields->list));
        fields->list[fields->count++] =
            (struct vpc_field_at){place, bit, vpc_copy(of), vpc_copy(name), reserved};
    }
}

/* ---- frames
 * -------------------------------------------------------------------------------------------------------
 * */

static void add_message(struct vpc_fields *fields, const struct conform_message *message)
{
    unsigned others = (message->from & VPC_FROM_HOST ? VPC_FROM_GUEST : 0) |
                      (message->from & VPC_FROM_GUEST ? VPC_FROM_HOST : 0);

    if (!message->of_session) {
        add(fields, VPC_SAID_FRAME, message->from, message->name, "channel", false);
        add(fields, VPC_HEARD_FRAME, others, message->name, "channel", false);
    }
    for (size_t i = 0; i < message->field_count; i++) {
        const struct vpc_field *field = &message->fields[i];
        bool reserved = field->kind == VPC_FIELD_ZERO;

        add(fields, VPC_SAID_FRAME, message->from, message->name, field->name, reserved);
        if (!reserved) /* to hear one wrong is to pass it over, which is right */
            add(fields, VPC_HEARD_FRAME, others, message->name, field->name, false);
    }
}

/* ---- JSON
 * ---------------------------------------------------------------------------------------------------------
 * */

#define BOTH (VPC_FROM_HOST | VPC_FROM_GUEST)

/* What a host adds to an entry that came by EVENT; the pipe only to one about a pair that it has (LOG-7). */
static void add_relayed(struct vpc_fields *fields, const char *id, const json_t *catalogue,
                        const json_t *event)
{
    const json_t *name;
    size_t i;

    if (!vpc_catalogue_lists(json_object_get(event, "source"), "guest"))
        return;
    json_array_foreach(json_object_get(catalogue, "relayed_fields"), i, name)
    {
        bool pipe = strcmp(json_string_value(name), "pipe") == 0;

        if (!pipe || vpc_catalogue_lists(json_object_get(event, "fields"), "h2g"))
            add(fields, VPC_SAID_ENTRY, VPC_FROM_HOST, id, json_string_value(name), false);
    }
}

static void add_entries(struct vpc_fields *fields)
{
    json_t *catalogue = vpc_catalogue_load();
    const json_t *event, *name;
    size_t i, k;

    json_array_foreach(json_object_get(catalogue, "events"), i, event)
    {
        char *id = vpc_format("%lld", (long long)json_integer_value(json_object_get(event, "id")));

        json_array_foreach(json_object_get(catalogue, "common_fields"), k, name)
            add(fields, VPC_SAID_ENTRY, BOTH, id, json_string_value(name), false);
        json_array_foreach(json_object_get(event, "fields"), k, name)
            add(fields, VPC_SAID_ENTRY, BOTH, id, json_string_value(name), false);
        add_relayed(fields, id, catalogue, event);
        free(id);
    }
    json_decref(catalogue);
}

static void add_properties(struct vpc_fields *fields, enum vpc_place place, const char *of,
                           const json_t *schema)
{
    const char *name;
    json_t *value;

    json_object_foreach(json_object_get(schema, "properties"), name, value)
        add(fields, place, BOTH, of, name, false);
}

static void add_each(struct vpc_fields *fields, enum vpc_place place, json_t *schemas)
{
    const char *of;
    json_t *schema;

    json_object_foreach(schemas, of, schema) add_properties(fields, place, of, schema);
}

static const json_t *member(const json_t *object, const char *a, const char *b)
{
    return json_object_get(json_object_get(object, a), b);
}

static void add_control(struct vpc_fields *fields)
{
    json_t *schema = json_loads(vpc_embedded_control, 0, NULL);
    const json_t *defs = json_object_get(schema, "$defs");

    add_properties(fields, VPC_SAID_ANSWER, "greeting",
                   member(json_object_get(defs, "greeting"), "properties", "VPCBus"));
    add_properties(fields, VPC_SAID_ANSWER, "error",
                   member(json_object_get(defs, "failure"), "properties", "error"));
    add_properties(fields, VPC_SAID_ANSWER, "device", json_object_get(defs, "device"));
    add_properties(fields, VPC_SAID_ANSWER, "forward", json_object_get(defs, "forward"));
    add_each(fields, VPC_SAID_ANSWER, json_object_get(defs, "returns"));
    add_each(fields, VPC_SAID_EVENT, json_object_get(defs, "events"));
    add_properties(fields, VPC_SAID_EVENT, "EVENT_LOGGED", json_object_get(defs, "log_entry"));
    add_each(fields, VPC_HEARD_REQUEST, json_object_get(defs, "arguments"));
    add(fields, VPC_SAID_ANSWER, BOTH, "any", "id", false);
    add(fields, VPC_SAID_EVENT, BOTH, "any", "time", false);
    json_decref(schema);
}

struct vpc_fields *vpc_fields_load(const struct vpc_table *table, const struct vpc_spec *spec)
{
    struct vpc_fields *fields = vpc_alloc(sizeof(*fields));

    for (size_t i = 0; i < table->message_count; i++)
        add_message(fields, &table->messages[i]);
    add_entries(fields);
    add_control(fields);
    for (size_t i = 0; i < spec->setting_count; i++)
        add(fields, VPC_HEARD_SETTING, BOTH, "setting", spec->settings[i].name, false);
    return fields;
}

void vpc_fields_free(struct vpc_fields *fields)
{
    for (size_t i = 0; i < fields->count; i++) {
        free(fields->list[i].of);
        free(fields->list[i].name);
    }
    free(fields->list);
    free(fields);
}
