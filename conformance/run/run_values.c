/* SPDX-License-Identifier: MIT */
/* The values of steps: numbers, variables, bytes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run/run.h"

char *vpc_pipe_name(const char *value)
{
    return value[0] == '\\' ? vpc_copy(value) : vpc_format(VPC_PIPE_PREFIX "%s", value);
}

bool vpc_number(const char *text, uint64_t *value)
{
    char *end;

    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    *value = strtoull(text, &end, 0);
    return *end == '\0' && errno == 0;
}

static const struct vpc_variable *variable_of(const struct vpc_run *run, const char *name, size_t n)
{
    struct vpc_variable *at = run->variables;

    while (at && (strncmp(at->name, name, n) != 0 || at->name[n]))
        at = at->next;
    return at;
}

/* `$NAME+N`: the sum is kept as a variable of that name. */
static const char *sum_of(struct vpc_run *run, const char *text, size_t name_size)
{
    const struct vpc_variable *base = variable_of(run, text, name_size);
    uint64_t number, other;
    char sum[24];

    if (base == NULL || !vpc_number(base->value, &number) ||
        !vpc_number(text + name_size + 1, &other))
        return NULL;
    number = text[name_size] == '+' ? number + other : number - other;
    snprintf(sum, sizeof(sum), "%llu", (unsigned long long)number);
    vpc_set_variable(run, text, sum);
    return variable_of(run, text, strlen(text))->value;
}

/* What an unquoted word of a script is as JSON. */
static json_t *word_json(const char *word)
{
    uint64_t number;

    if (vpc_number(word, &number) && number <= INT64_MAX)
        return json_integer((json_int_t)number);
    if (strcmp(word, "null") == 0)
        return json_null();
    if (strcmp(word, "true") == 0 || strcmp(word, "false") == 0)
        return json_boolean(word[0] == 't');
    return json_string(word);
}

json_t *vpc_json_of(struct vpc_run *run, const struct vpc_arg *arg)
{
    const char *name = arg->value + 1;
    const struct vpc_variable *variable;
    const char *text = vpc_value(run, arg);

    if (text == NULL || arg->quoted)
        return text ? json_stringn(text, arg->size) : NULL;
    variable = arg->value[0] == '$' ? variable_of(run, name, strlen(name)) : NULL;
    return variable && variable->json ? json_incref(variable->json) : word_json(text);
}

const char *vpc_value(struct vpc_run *run, const struct vpc_arg *arg)
{
    const char *name = arg->value + 1;
    const struct vpc_variable *variable;
    size_t n;

    if (arg->quoted || arg->value[0] != '$')
        return arg->value;
    n = strcspn(name, "+-");
    if (name[n])
        return sum_of(run, name, n);
    variable = variable_of(run, name, n);
    return variable ? variable->value : NULL;
}

static struct vpc_variable *set_variable(struct vpc_run *run, const char *name, const char *value)
{
    struct vpc_variable *at = run->variables;

    while (at && strcmp(at->name, name) != 0)
        at = at->next;
    if (at == NULL) {
        at = vpc_alloc(sizeof(*at));
        at->name = vpc_copy(name);
        at->next = run->variables;
        run->variables = at;
    }
    free(at->value);
    at->value = vpc_copy(value);
    json_decref(at->json);
    at->json = NULL;
    return at;
}

void vpc_set_variable(struct vpc_run *run, const char *name, const char *value)
{
    set_variable(run, name, value);
}

void vpc_set_json_variable(struct vpc_run *run, const char *name, const json_t *json)
{
    char *dump = json_is_string(json) ? vpc_copy(json_string_value(json))
                                      : json_dumps(json, JSON_ENCODE_ANY | JSON_COMPACT);

    set_variable(run, name, dump ? dump : "?")->json = json_incref((json_t *)json);
    free(dump);
}

bool vpc_number_of(struct vpc_run *run, const struct vpc_arg *arg, uint64_t *value)
{
    const char *text = vpc_value(run, arg);

    if (text && vpc_number(text, value))
        return true;
    vpc_say(run, VPC_BROKEN, "%s is %s, a number is needed", arg->key ? arg->key : "the word",
            text ? text : "a variable without a value");
    return false;
}

static uint8_t pattern_octet(uint64_t pattern, uint64_t at)
{
    uint64_t x = (at / 4 + 1) * 0x9e3779b97f4a7c15 + pattern * 0xbf58476d1ce4e5b9;

    x ^= x >> 29;
    x *= 0x94d049bb133111eb;
    return (uint8_t)(x >> (32 + at % 4 * 8));
}

static bool add_pattern(struct vpc_run *run, struct vpc_buffer *bytes)
{
    const struct vpc_arg *size = vpc_step_arg(run->progress->step, "bytes");
    const struct vpc_arg *pattern = vpc_step_arg(run->progress->step, "pattern");
    const struct vpc_arg *from = vpc_step_arg(run->progress->step, "from");
    uint64_t n, seed = 0, start = 0;

    if (!vpc_number_of(run, size, &n) || (pattern && !vpc_number_of(run, pattern, &seed)) ||
        (from && !vpc_number_of(run, from, &start)))
        return false;
    if (n > 64u << 20) {
        vpc_say(run, VPC_BROKEN, "bytes is more than 64 MiB");
        return false;
    }
    vpc_buffer_fill(bytes, 0, n);
    for (uint64_t i = 0; i < n; i++)
        bytes->data[i] = pattern_octet(seed, start + i);
    return true;
}

bool vpc_bytes_of(struct vpc_run *run, struct vpc_buffer *bytes)
{
    const struct vpc_arg *text = vpc_step_arg(run->progress->step, "text");

    for (size_t i = 0; i < run->progress->step->arg_count; i++) {
        if (run->progress->step->args[i].key == NULL && run->progress->step->args[i].quoted)
            text = &run->progress->step->args[i];
    }
    if (text == NULL && vpc_step_arg(run->progress->step, "bytes"))
        return add_pattern(run, bytes);
    if (text == NULL) {
        vpc_say(run, VPC_BROKEN, "the step has neither text nor bytes=");
        return false;
    }
    vpc_buffer_add(bytes, text->value, text->size);
    return true;
}

bool vpc_octets_left(struct vpc_run *run, const struct vpc_step *step, bool can, size_t *octets)
{
    const struct vpc_arg *arg = vpc_step_arg(step, "bytes");
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
