/* SPDX-License-Identifier: MIT */
#include "document/table.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "memory.h"

static enum vpc_field_kind kind_of(const char *type)
{
    if (strncmp(type, "text", 4) == 0)
        return VPC_FIELD_TEXT;
    if (strncmp(type, "zero", 4) == 0)
        return VPC_FIELD_ZERO;
    return strcmp(type, "octets") == 0 ? VPC_FIELD_OCTETS : VPC_FIELD_INT;
}

static uint64_t number_or(const json_t *object, const char *key, uint64_t otherwise)
{
    const json_t *value = json_object_get(object, key);

    return json_is_integer(value) ? (uint64_t)json_integer_value(value) : otherwise;
}

static bool load_field(const json_t *types, const json_t *json, size_t offset,
                       struct vpc_field *field)
{
    const char *name = json_string_value(json_object_get(json, "name"));
    const char *type = json_string_value(json_object_get(json, "type"));
    const json_t *known = type ? json_object_get(types, type) : NULL;

    if (name == NULL || known == NULL || strlen(name) >= sizeof(field->name))
        return false;
    snprintf(field->name, sizeof(field->name), "%s", name);
    field->kind = kind_of(type);
    field->offset = offset;
    field->size = number_or(known, "size", 0);
    field->min = number_or(json, "min", 0);
    field->max = number_or(json, "max", UINT64_MAX);
    field->min_size = number_or(json, "min_size", field->size);
    field->max_size = number_or(json, "max_size", field->size);
    return field->size <= 8 || field->kind != VPC_FIELD_INT;
}

static bool load_message(const json_t *types, const json_t *json, struct conform_message *message)
{
    const char *name = json_string_value(json_object_get(json, "name"));
    const char *scope = json_string_value(json_object_get(json, "scope"));
    const json_t *fields = json_object_get(json, "fields");
    const json_t *from = json_object_get(json, "from");
    size_t i;

    if (name == NULL || scope == NULL || strlen(name) >= sizeof(message->name) ||
        json_array_size(fields) > VPC_MAX_FIELDS)
        return false;
    snprintf(message->name, sizeof(message->name), "%s", name);
    message->type = (uint8_t)number_or(json, "type", 0);
    message->of_session = strcmp(scope, "session") == 0;
    for (i = 0; i < json_array_size(from); i++) {
        const char *who = json_string_value(json_array_get(from, i));

        message->from |= who && strcmp(who, "host") == 0 ? VPC_FROM_HOST : VPC_FROM_GUEST;
    }
    for (i = 0; i < json_array_size(fields); i++) {
        struct vpc_field *field = &message->fields[message->field_count++];

        if (!load_field(types, json_array_get(fields, i), message->min_body, field))
            return false;
        message->min_body += field->min_size;
        message->max_body += field->max_size;
    }
    return message->type != 0;
}

static bool load_frame(const json_t *frame, struct vpc_table *table)
{
    const json_t *magic = json_object_get(frame, "magic");

    table->pad = (uint8_t)number_or(frame, "pad", 0);
    table->flags = (uint8_t)number_or(frame, "flags", 0);
    table->preamble_min = number_or(frame, "preamble_min", 0);
    table->magic[0] = (uint8_t)json_integer_value(json_array_get(magic, 0));
    table->magic[1] = (uint8_t)json_integer_value(json_array_get(magic, 1));
    return table->pad != 0 && table->magic[0] != 0 && table->preamble_min != 0;
}

static bool load_root(const json_t *root, struct vpc_table *table, char **error)
{
    const json_t *messages = json_object_get(root, "messages");
    const json_t *types = json_object_get(root, "types");
    size_t i;

    if (!load_frame(json_object_get(root, "frame"), table)) {
        *error = vpc_copy("message table: \"frame\" needs pad, magic and preamble_min");
        return false;
    }
    if (json_array_size(messages) == 0 || json_array_size(messages) > VPC_MAX_MESSAGES) {
        *error = vpc_copy("message table: \"messages\" must be a list of 1 to 32 messages");
        return false;
    }
    for (i = 0; i < json_array_size(messages); i++) {
        if (!load_message(types, json_array_get(messages, i), &table->messages[i])) {
            *error = vpc_format("message table: message %zu is not well formed", i + 1);
            return false;
        }
        table->message_count++;
    }
    return true;
}

struct vpc_table *vpc_table_load(const char *text, char **error)
{
    struct vpc_table *table = vpc_alloc(sizeof(*table));
    json_error_t where;
    json_t *root = json_loads(text, 0, &where);
    bool good = false;

    if (root == NULL)
        *error = vpc_format("message table: line %d: %s", where.line, where.text);
    else
        good = load_root(root, table, error);
    json_decref(root);
    if (!good) {
        free(table);
        return NULL;
    }
    return table;
}

void vpc_table_free(struct vpc_table *table)
{
    free(table);
}

const struct conform_message *vpc_table_by_name(const struct vpc_table *table, const char *name)
{
    size_t i;

    for (i = 0; i < table->message_count; i++)
        if (strcasecmp(table->messages[i].name, name) == 0)
            return &table->messages[i];
    return NULL;
}

const struct conform_message *vpc_table_by_type(const struct vpc_table *table, unsigned type)
{
    size_t i;

    for (i = 0; i < table->message_count; i++)
        if (table->messages[i].type == type)
            return &table->messages[i];
    return NULL;
}

const struct vpc_field *vpc_message_field(const struct conform_message *message, const char *name)
{
    size_t i;

    for (i = 0; i < message->field_count; i++)
        if (strcmp(message->fields[i].name, name) == 0)
            return &message->fields[i];
    return NULL;
}
