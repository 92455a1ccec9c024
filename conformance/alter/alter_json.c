/* SPDX-License-Identifier: MIT */
/* Lines of JSON with one member wrong: answers, events, entries, requests. */
#include "alter/alter_internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- values
 * -------------------------------------------------------------------------------------------------------
 * */

static bool is_time(const char *name)
{
    size_t n = strlen(name);

    return strcmp(name, "time") == 0 || strcmp(name, "guest_time") == 0 ||
           (n > 3 && strcmp(name + n - 3, "_ms") == 0);
}

/* What can be changed of the value, as bits of enum vpc_change. */
static unsigned changes_of(const char *name, const json_t *value)
{
    unsigned any = 1u << VPC_LEFT_OUT | 1u << VPC_RETYPED;

    if (json_is_integer(value) && is_time(name))
        return any | 1u << VPC_SECONDS;
    if (json_is_integer(value))
        return any | 1u << VPC_MORE | 1u << VPC_LESS;
    if (json_is_string(value))
        return any | 1u << VPC_OTHER | (*json_string_value(value) ? 1u << VPC_EMPTY : 0);
    return json_is_null(value) ? 1u << VPC_LEFT_OUT : any;
}

/* The last character becomes another one, which stays a digit where it was one. */
static json_t *other_text(const char *text)
{
    char *copy = *text ? vpc_copy(text) : vpc_copy("x"), *last = copy + strlen(copy) - 1;
    json_t *json;

    if (*text)
        *last = *last >= '0' && *last < '9' ? (char)(*last + 1) : *last == 'x' ? 'y' : '1';
    json = json_string(copy);
    free(copy);
    return json;
}

static json_t *retyped(const json_t *value)
{
    char text[32];

    if (!json_is_integer(value))
        return json_null();
    snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(value));
    return json_string(text);
}

/* NULL: the member is left out. */
static json_t *changed(const json_t *value, enum vpc_change change)
{
    json_int_t number = json_integer_value(value);

    switch (change) {
    case VPC_MORE:
        return json_integer(number + 1);
    case VPC_LESS:
        return json_integer(number - 1);
    case VPC_SECONDS:
        return json_integer(number / 1000);
    case VPC_OTHER:
        return other_text(json_string_value(value));
    case VPC_EMPTY:
        return json_string("");
    case VPC_RETYPED:
        return retyped(value);
    default:
        return NULL;
    }
}

/* ---- objects
 * ------------------------------------------------------------------------------------------------------
 * */

/* Notes the members of the object that are fields, and changes the one that is wrong; true when it did. */
static bool alter_object(struct vpc_altering *altering, enum vpc_place place, const char *of,
                         json_t *object)
{
    const struct vpc_fields *fields = altering->fields;
    const struct vpc_field_at *at = vpc_altered_field(altering, place);
    const char *name;
    json_t *value, *other;

    json_object_foreach(object, name, value)
    {
        size_t field = vpc_fields_find(fields, place, altering->role, of, name);

        if (altering->seen && field < fields->count)
            altering->seen[field] |= (unsigned char)changes_of(name, value);
    }
    if (at == NULL || strcmp(at->of, of) != 0)
        return false;
    value = json_object_get(object, at->name);
    if (value == NULL || !(changes_of(at->name, value) & 1u << altering->change))
        return false;
    other = changed(value, altering->change);
    if (other)
        json_object_set_new(object, at->name, other);
    else
        json_object_del(object, at->name);
    return true;
}

static char *line_of(json_t *json, bool altered)
{
    char *line = altered ? json_dumps(json, JSON_COMPACT) : NULL;

    json_decref(json);
    return line;
}

char *vpc_alter_entry(struct vpc_altering *altering, const char *line, size_t n)
{
    json_t *entry = json_loadb(line, n, 0, NULL);
    char id[24];

    snprintf(id, sizeof(id), "%lld", (long long)json_integer_value(json_object_get(entry, "id")));
    return line_of(entry, alter_object(altering, VPC_SAID_ENTRY, id, entry));
}

/* ---- the control socket
 * ------------------------------------------------------------------------------------------- */

static char *key_of(int client, const json_t *line)
{
    char *id = json_dumps(json_object_get(line, "id"), JSON_ENCODE_ANY | JSON_COMPACT);
    char *key = vpc_format("%d %s", client, id ? id : "");

    free(id);
    return key;
}

static const char *command_of(const struct vpc_altering *altering, int client, const json_t *answer)
{
    char *key = key_of(client, answer);
    const char *command = json_string_value(json_object_get(altering->commands, key));

    free(key);
    return command ? command : "";
}

/* Each one of a list in an answer. */
static bool alter_list(struct vpc_altering *altering, json_t *result, const char *name,
                       const char *of)
{
    json_t *list = json_object_get(result, name);
    bool altered = false;

    for (size_t i = 0; i < json_array_size(list); i++)
        altered |= alter_object(altering, VPC_SAID_ANSWER, of, json_array_get(list, i));
    return altered;
}

static bool alter_answer(struct vpc_altering *altering, int client, json_t *line)
{
    json_t *result = json_object_get(line, "return"), *error = json_object_get(line, "error");
    bool altered = false;

    if (result) {
        altered = alter_list(altering, result, "devices", "device") |
                  alter_list(altering, result, "forwards", "forward");
        altered |=
            alter_object(altering, VPC_SAID_ANSWER, command_of(altering, client, line), result);
    }
    if (error)
        altered |= alter_object(altering, VPC_SAID_ANSWER, "error", error);
    return alter_object(altering, VPC_SAID_ANSWER, "any", line) || altered;
}

static bool alter_event(struct vpc_altering *altering, json_t *line)
{
    const char *name = json_string_value(json_object_get(line, "event"));
    bool altered =
        alter_object(altering, VPC_SAID_EVENT, name ? name : "", json_object_get(line, "data"));

    return alter_object(altering, VPC_SAID_EVENT, "any", line) || altered;
}

char *vpc_alter_said_line(struct vpc_altering *altering, int client, const char *line, size_t n)
{
    json_t *json = json_loadb(line, n, 0, NULL), *greeting = json_object_get(json, "VPCBus");
    bool altered;

    if (greeting)
        altered = alter_object(altering, VPC_SAID_ANSWER, "greeting", greeting);
    else if (json_object_get(json, "event"))
        altered = alter_event(altering, json);
    else
        altered = alter_answer(altering, client, json);
    return line_of(json, altered);
}

char *vpc_alter_request(struct vpc_altering *altering, int client, const char *line, size_t n)
{
    json_t *json = json_loadb(line, n, 0, NULL);
    const char *command = json_string_value(json_object_get(json, "execute"));
    char *key = key_of(client, json);
    bool altered = false;

    if (command) {
        json_object_set_new(altering->commands, key, json_string(command));
        altered =
            alter_object(altering, VPC_HEARD_REQUEST, command, json_object_get(json, "arguments"));
    }
    free(key);
    return line_of(json, altered);
}
