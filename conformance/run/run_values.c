/* SPDX-License-Identifier: MIT */
/* The values of steps: numbers, variables, bytes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "run/run.h"

/* ---- variables ----------------------------------------------------------------------------------------------------- */

static const struct vpc_variable *variable_of(const struct vpc_run *run, const struct vpc_arg *arg)
{
    return &run->variables[arg->variable];
}

bool vpc_known(const struct vpc_run *run, const struct vpc_arg *arg)
{
    const struct vpc_variable *variable;

    if (arg->kind != VPC_VALUE_VARIABLE)
        return true;
    variable = variable_of(run, arg);
    return arg->sum ? variable->is_number : variable->is_number || variable->json != NULL;
}

void vpc_set_variable(struct vpc_run *run, size_t variable, uint64_t value)
{
    json_decref(run->variables[variable].json);
    run->variables[variable] = (struct vpc_variable){.is_number = true, .number = value};
}

void vpc_set_json_variable(struct vpc_run *run, size_t variable, const json_t *json)
{
    struct vpc_variable *at = &run->variables[variable];

    json_decref(at->json);
    *at = (struct vpc_variable){.json = json_incref((json_t *)json)};
    if (json_is_string(json)) {
        at->is_number = vpc_number(json_string_value(json), &at->number);
    } else if (json_is_integer(json) && json_integer_value(json) >= 0) {
        at->is_number = true;
        at->number = (uint64_t)json_integer_value(json);
    }
}

/* ---- values -------------------------------------------------------------------------------------------------------- */

/* False: it is none, or a variable without a value. */
static bool number_in(const struct vpc_run *run, const struct vpc_arg *arg, uint64_t *value)
{
    const struct vpc_variable *variable;

    *value = arg->number;
    if (arg->kind != VPC_VALUE_VARIABLE)
        return arg->kind == VPC_VALUE_NUMBER;
    variable = variable_of(run, arg);
    *value += variable->number;
    return variable->is_number;
}

bool vpc_number_of(struct vpc_run *run, const struct vpc_arg *arg, uint64_t *value)
{
    if (number_in(run, arg, value))
        return true;
    vpc_say(run, VPC_BROKEN, "%s is %s, a number is needed", arg->key ? arg->key : "the word",
            vpc_known(run, arg) ? arg->value : "a variable without a value");
    return false;
}

bool vpc_amount_of(struct vpc_run *run, const struct vpc_arg *arg, uint64_t most, uint64_t *value)
{
    if (!vpc_number_of(run, arg, value))
        return false;
    if (*value > most)
        vpc_say(run, VPC_BROKEN, "%s is %llu, more than %llu", arg->key ? arg->key : "the word",
                (unsigned long long)*value, (unsigned long long)most);
    return *value <= most;
}

static json_t *number_json(uint64_t number)
{
    char text[24];

    if (number <= INT64_MAX)
        return json_integer((json_int_t)number);
    snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
    return json_string(text);
}

json_t *vpc_json_of(const struct vpc_run *run, const struct vpc_arg *arg)
{
    const struct vpc_variable *variable;
    uint64_t number;

    if (arg->kind != VPC_VALUE_VARIABLE)
        return json_incref(arg->json);
    variable = variable_of(run, arg);
    if (!arg->sum && variable->json)
        return json_incref(variable->json);
    return number_in(run, arg, &number) ? number_json(number) : NULL;
}

char *vpc_text_of(struct vpc_run *run, const struct vpc_arg *arg)
{
    const struct vpc_variable *variable;
    uint64_t number;

    if (arg->kind != VPC_VALUE_VARIABLE)
        return vpc_copy(arg->value);
    variable = variable_of(run, arg);
    if (!arg->sum && json_is_string(variable->json))
        return vpc_copy(json_string_value(variable->json));
    return vpc_number_of(run, arg, &number) ? vpc_format("%llu", (unsigned long long)number) : NULL;
}

/* ---- pipes --------------------------------------------------------------------------------------------------------- */

static struct conform_pipe_path *path_of(const struct vpc_run *run, const char *name)
{
    struct conform_pipe_path *at = run->paths;

    while (at && strcasecmp(at->name, name) != 0)
        at = at->next;
    return at;
}

const char *conform_pipe_path(const struct vpc_run *run, const char *name)
{
    const struct conform_pipe_path *path = path_of(run, name);

    return path ? path->path : "";
}

void vpc_set_pipe_path(struct vpc_run *run, const char *name, const char *path)
{
    struct conform_pipe_path *at = path_of(run, name);

    if (at == NULL) {
        at = vpc_alloc(sizeof(*at));
        at->name = vpc_copy(name);
        at->next = run->paths;
        run->paths = at;
    }
    free(at->path);
    at->path = vpc_copy(path);
}

char *vpc_pipe_name(const char *value)
{
    return value[0] == '\\' ? vpc_copy(value) : vpc_format(VPC_PIPE_PREFIX "%s", value);
}

/* ---- bytes --------------------------------------------------------------------------------------------------------- */

/* Four octets of the pattern. */
static uint32_t pattern_word(uint64_t pattern, uint64_t word)
{
    uint64_t x = (word + 1) * 0x9e3779b97f4a7c15 + pattern * 0xbf58476d1ce4e5b9;

    x ^= x >> 29;
    x *= 0x94d049bb133111eb;
    return (uint32_t)(x >> 32);
}

/* Scenarios send it by the million: whole words where they are whole. */
static void fill_pattern(uint8_t *octets, size_t n, uint64_t pattern, uint64_t start)
{
    uint64_t at = start, end = start + n;

    while (at < end) {
        uint32_t word = pattern_word(pattern, at / 4);
        uint8_t part[] = {(uint8_t)word, (uint8_t)(word >> 8), (uint8_t)(word >> 16),
                          (uint8_t)(word >> 24)};
        size_t skip = at % 4, size = end - at < 4 - skip ? end - at : 4 - skip;

        if (size == sizeof(part))
            memcpy(octets, part, sizeof(part));
        else
            memcpy(octets, part + skip, size);
        octets += size;
        at += size;
    }
}

static bool add_pattern(struct vpc_run *run, struct vpc_buffer *bytes)
{
    const struct vpc_step *step = run->progress->step;
    const struct vpc_arg *size = step->keyed[VPC_KEY_BYTES];
    const struct vpc_arg *pattern = step->keyed[VPC_KEY_PATTERN];
    const struct vpc_arg *from = step->keyed[VPC_KEY_FROM];
    uint64_t n, seed = 0, start = 0;

    if (!vpc_amount_of(run, size, VPC_OCTETS_MAX, &n) ||
        (pattern && !vpc_number_of(run, pattern, &seed)) ||
        (from && !vpc_number_of(run, from, &start)))
        return false;
    fill_pattern(vpc_buffer_room(bytes, n), n, seed, start);
    vpc_buffer_filled(bytes, n);
    return true;
}

bool vpc_bytes_of(struct vpc_run *run, struct vpc_buffer *bytes)
{
    const struct vpc_arg *text = run->progress->step->keyed[VPC_KEY_TEXT];

    if (text == NULL)
        return add_pattern(run, bytes);
    vpc_buffer_add(bytes, text->value, text->size);
    return true;
}

bool vpc_octets_left(struct vpc_run *run, const struct vpc_step *step, bool can, size_t *octets)
{
    const struct vpc_arg *arg = step->keyed[VPC_KEY_BYTES];
    uint64_t n = 0;

    if (arg && !can) {
        vpc_say(run, VPC_BROKEN, "this backend reads all or nothing: backends inproc socket");
        return false;
    }
    if (arg && !vpc_number_of(run, arg, &n))
        return false;
    *octets = (size_t)n;
    return true;
}

size_t vpc_first_other(const uint8_t *a, const uint8_t *b, size_t n)
{
    enum { STRIDE = 4096 };
    size_t at = 0;

    while (n - at >= STRIDE && memcmp(a + at, b + at, STRIDE) == 0)
        at += STRIDE;
    while (at < n && a[at] == b[at])
        at++;
    return at;
}

bool vpc_want(struct vpc_run *run)
{
    if (!run->progress->first)
        return true;
    vpc_buffer_free(&run->progress->want);
    run->progress->compared = 0;
    return vpc_bytes_of(run, &run->progress->want);
}

char *vpc_show(const void *octets, size_t n)
{
    const unsigned char *at = octets;
    struct vpc_buffer out = {0};

    vpc_buffer_add(&out, "\"", 1);
    for (size_t i = 0; i < n && i < 40; i++) {
        char *one =
            at[i] >= 0x20 && at[i] < 0x7f ? vpc_format("%c", at[i]) : vpc_format("\\x%02x", at[i]);

        vpc_buffer_add(&out, one, strlen(one));
        free(one);
    }
    vpc_buffer_add(&out, n > 40 ? "\"..." : "\"", n > 40 ? 5 : 2);
    return (char *)out.data;
}
