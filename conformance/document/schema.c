/* SPDX-License-Identifier: MIT */
/* See schema.h. */
#include "document/schema.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "document/embedded.h"
#include "memory.h"

#define DEPTH_MAX 32 /* of the schema: it is ours, so this is never met */

struct pattern {
    /* the word's value in the schema: there are few, and each stands in one place */
    const json_t *text;
    regex_t compiled;
};

struct vpc_schema {
    json_t *json;
    struct pattern *patterns;
    size_t pattern_count;
};

struct check {
    const struct vpc_schema *schema;
    char *text; /* what is wrong, of the innermost member */
    size_t size;
    const char *member; /* that is looked at */
    int depth;
};

static bool fits(struct check *check, const json_t *schema, const json_t *value);

static bool wrong(struct check *check, const char *what)
{
    snprintf(check->text, check->size, "%s %s", check->member, what);
    return false;
}

/* ---- one word of the schema each
 * ---------------------------------------------------------------------------------- */

static bool is_type(const char *type, const json_t *value)
{
    static const struct {
        const char *name;
        json_type type;
    } types[] = {
        {"object", JSON_OBJECT},   {"array", JSON_ARRAY}, {"string", JSON_STRING},
        {"integer", JSON_INTEGER}, {"null", JSON_NULL},
    };

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (strcmp(types[i].name, type) == 0)
            return types[i].type == json_typeof(value);
    return false;
}

static bool fits_type(struct check *check, const json_t *wanted, const json_t *value)
{
    const json_t *one;
    size_t i;

    if (json_is_string(wanted) && is_type(json_string_value(wanted), value))
        return true;
    json_array_foreach(wanted, i, one)
    {
        if (is_type(json_string_value(one), value))
            return true;
    }
    return wrong(check, "has a wrong type");
}

static bool fits_const(struct check *check, const json_t *wanted, const json_t *value)
{
    return json_equal(wanted, value) || wrong(check, "has another value");
}

static bool fits_enum(struct check *check, const json_t *wanted, const json_t *value)
{
    const json_t *one;
    size_t i;

    json_array_foreach(wanted, i, one)
    {
        if (json_equal(one, value))
            return true;
    }
    return wrong(check, "has a value that is none of those that it may have");
}

static bool fits_minimum(struct check *check, const json_t *wanted, const json_t *value)
{
    return !json_is_integer(value) || json_integer_value(value) >= json_integer_value(wanted) ||
           wrong(check, "is too low");
}

static bool fits_maximum(struct check *check, const json_t *wanted, const json_t *value)
{
    return !json_is_integer(value) || json_integer_value(value) <= json_integer_value(wanted) ||
           wrong(check, "is too high");
}

/* Characters, not octets. */
static json_int_t length(const json_t *value)
{
    json_int_t n = 0;

    for (const char *at = json_string_value(value); at && *at; at++)
        n += ((unsigned char)*at & 0xc0) != 0x80;
    return n;
}

static bool fits_min_length(struct check *check, const json_t *wanted, const json_t *value)
{
    return !json_is_string(value) || length(value) >= json_integer_value(wanted) ||
           wrong(check, "is empty");
}

static bool fits_max_length(struct check *check, const json_t *wanted, const json_t *value)
{
    return !json_is_string(value) || length(value) <= json_integer_value(wanted) ||
           wrong(check, "is too long");
}

static bool fits_pattern(struct check *check, const json_t *wanted, const json_t *value)
{
    const struct pattern *pattern = check->schema->patterns;

    if (!json_is_string(value))
        return true;
    while (pattern->text != wanted) /* all were compiled */
        pattern++;
    return regexec(&pattern->compiled, json_string_value(value), 0, NULL, 0) == 0 ||
           wrong(check, "is not written as it must be");
}

static bool fits_properties(struct check *check, const json_t *wanted, const json_t *value)
{
    const char *name, *outer = check->member;
    json_t *schema;
    bool good = true;

    json_object_foreach((json_t *)wanted, name, schema)
    {
        const json_t *member = json_object_get(value, name);

        check->member = name;
        if (good && member)
            good = fits(check, schema, member);
    }
    check->member = outer;
    return good;
}

static bool fits_required(struct check *check, const json_t *wanted, const json_t *value)
{
    const json_t *one;
    size_t i;

    json_array_foreach(wanted, i, one)
    {
        check->member = json_string_value(one);
        if (json_is_object(value) && json_object_get(value, check->member) == NULL)
            return wrong(check, "is missing");
    }
    return true;
}

static bool fits_items(struct check *check, const json_t *wanted, const json_t *value)
{
    const json_t *one;
    size_t i;

    json_array_foreach(value, i, one)
    {
        if (!fits(check, wanted, one))
            return false;
    }
    return true;
}

static bool fits_any(struct check *check, const json_t *wanted, const json_t *value)
{
    const json_t *one;
    size_t i;

    json_array_foreach(wanted, i, one)
    {
        if (fits(check, one, value))
            return true;
    }
    return false;
}

/* "a/b" below the schema, or NULL. */
static const json_t *below(const json_t *schema, const char *path)
{
    while (schema && *path) {
        size_t n = strcspn(path, "/");

        schema = json_object_getn(schema, path, n);
        path += n + (path[n] == '/');
    }
    return schema;
}

/* "#/$defs/a/b" */
static bool fits_reference(struct check *check, const json_t *wanted, const json_t *value)
{
    return fits(check, below(check->schema->json, json_string_value(wanted) + strlen("#/")), value);
}

/* ---- all of them
 * -------------------------------------------------------------------------------------------------- */

static const struct {
    const char *word;
    bool (*fits)(struct check *check, const json_t *wanted, const json_t *value);
} words[] = {
    {"$ref", fits_reference},
    {"type", fits_type},
    {"const", fits_const},
    {"enum", fits_enum},
    {"minimum", fits_minimum},
    {"maximum", fits_maximum},
    {"minLength", fits_min_length},
    {"maxLength", fits_max_length},
    {"pattern", fits_pattern},
    {"required", fits_required},
    {"properties", fits_properties},
    {"items", fits_items},
    {"anyOf", fits_any},
};

/* A schema that is `true`, or none, says nothing. */
static bool fits(struct check *check, const json_t *schema, const json_t *value)
{
    bool good = ++check->depth < DEPTH_MAX;

    for (size_t i = 0; good && i < sizeof(words) / sizeof(words[0]); i++) {
        const json_t *wanted = json_object_get(schema, words[i].word);

        good = wanted == NULL || words[i].fits(check, wanted, value);
    }
    check->depth--;
    return good;
}

/* ---- the whole ---------------------------------------------------------------------------------------------------- */

static void compile(struct vpc_schema *schema, const json_t *text)
{
    struct pattern *pattern;

    schema->patterns =
        vpc_grow_by_one(schema->patterns, schema->pattern_count, sizeof(*schema->patterns));
    pattern = &schema->patterns[schema->pattern_count++];
    pattern->text = text;
    if (regcomp(&pattern->compiled, json_string_value(text), REG_EXTENDED | REG_NOSUB) == 0)
        return;
    fprintf(stderr, "vpc-conform: control.schema.json has a pattern that is none: %s\n",
            json_string_value(text));
    exit(VPC_EXIT_HARNESS);
}

/* In whatever stands below, also what is called so and is no schema: that has a pattern that is no text. */
static void compile_patterns(struct vpc_schema *schema, const json_t *at)
{
    const char *word;
    json_t *inner;
    size_t i;

    json_object_foreach((json_t *)at, word, inner)
    {
        if (strcmp(word, "pattern") == 0 && json_is_string(inner))
            compile(schema, inner);
        compile_patterns(schema, inner);
    }
    json_array_foreach(at, i, inner)
    {
        compile_patterns(schema, inner);
    }
}

struct vpc_schema *vpc_schema_load(void)
{
    struct vpc_schema *schema = vpc_alloc(sizeof(*schema));

    schema->json = json_loads(vpc_embedded_control, 0, NULL);
    compile_patterns(schema, schema->json);
    return schema;
}

void vpc_schema_free(struct vpc_schema *schema)
{
    if (schema == NULL)
        return;
    for (size_t i = 0; i < schema->pattern_count; i++)
        regfree(&schema->patterns[i].compiled);
    free(schema->patterns);
    json_decref(schema->json);
    free(schema);
}

static const json_t *definitions(const struct vpc_schema *schema)
{
    return json_object_get(schema->json, "$defs");
}

bool vpc_schema_fits(const struct vpc_schema *schema, const char *place, const json_t *value,
                     char *text, size_t size)
{
    struct check check = {.schema = schema, .text = text, .size = size, .member = "it"};
    const json_t *wanted = below(definitions(schema), place);

    if (wanted != NULL && value == NULL)
        return wrong(&check, "is missing"); /* a subject may leave out anything */
    return fits(&check, wanted, value);
}

bool vpc_schema_has(const struct vpc_schema *schema, const char *place)
{
    return below(definitions(schema), place) != NULL;
}

static bool knows(const json_t *schema, const char *member)
{
    const char *word;
    json_t *inner;

    json_object_foreach((json_t *)schema, word, inner)
    {
        if (strcmp(word, "properties") == 0 && json_object_get(inner, member))
            return true;
        if (knows(inner, member))
            return true;
    }
    return false;
}

bool vpc_schema_knows(const struct vpc_schema *schema, const char *member)
{
    return knows(schema->json, member);
}

bool vpc_schema_takes(const struct vpc_schema *schema, const char *place, const char *member,
                      const char *text)
{
    const json_t *at = below(definitions(schema), place);
    const json_t *wanted = json_object_get(json_object_get(at, "properties"), member), *one;
    const json_t *texts = json_object_get(wanted, "enum");
    bool found = text == NULL || texts == NULL;
    size_t i;

    json_array_foreach(texts, i, one)
    {
        found |= text && json_is_string(one) && strcmp(json_string_value(one), text) == 0;
    }
    return wanted && found;
}
