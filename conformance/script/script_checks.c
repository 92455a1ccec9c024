/* SPDX-License-Identifier: MIT */
/*
 * What each form demands of its line: its words and names, and what its row of steps.def names as its check.
 *
 * A setting takes effect here; a step only is looked at.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "memory.h"
#include "script/script_forms.h"
#include "script/script_loader.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

const char *const vpc_vm_words[] = {"pause",   "resume", "reset", "kill",     "save",
                                    "restore", "unplug", "plug",  "shutdown", "close-port",
                                    "unwatch", "watch",  NULL};

static bool wrong(struct loader *loader, int column, const char *expected)
{
    return vpc_loader_wrong(loader, column, "%s", expected);
}

/* ---- words and names ------------------------------------------------------------------------------------------------ */

static bool wrong_key(struct loader *loader, const struct vpc_step *step, const struct vpc_arg *arg)
{
    char *keys = vpc_form_keys(step->form);

    vpc_loader_wrong(loader, arg->column, "one of: %s%s%s", keys,
                     step->message ? ", or a field of " : "",
                     step->message ? step->message->name : "");
    free(keys);
    return false;
}

bool vpc_check_words(struct loader *loader, const struct vpc_step *step)
{
    const struct vpc_form *form = step->form;
    size_t words = 0;

    for (size_t i = 0; i < step->arg_count; i++) {
        const struct vpc_arg *arg = &step->args[i];

        if (arg->key == NULL && ++words > form->max_words)
            return vpc_loader_wrong(loader, arg->column, "%s",
                                    *form->words ? form->words : "nothing more here");
        if (arg->key && !arg->field && !vpc_form_takes(form, arg->key))
            return wrong_key(loader, step, arg);
    }
    if (words < form->min_words)
        return wrong(loader, step->column, form->words);
    return true;
}

/* ---- settings ----------------------------------------------------------------------------------------------------- */

static void add_name(char ***list, size_t *count, const char *name)
{
    *list = vpc_grow_by_one(*list, *count, sizeof(**list));
    (*list)[(*count)++] = vpc_copy(name);
}

static bool set_covers(struct loader *loader, struct vpc_step *step)
{
    for (size_t i = 0; i < step->arg_count; i++) {
        if (!vpc_spec_requirement(loader->spec, step->args[i].value))
            return wrong(loader, step->args[i].column, "a requirement id of VPCBUS.md");
        add_name(&loader->script->covers, &loader->script->cover_count, step->args[i].value);
    }
    return true;
}

static bool set_role(struct loader *loader, struct vpc_step *step)
{
    if (vpc_is_word(&step->args[0], "host"))
        loader->script->role = VPC_FROM_HOST;
    else if (vpc_is_word(&step->args[0], "guest"))
        loader->script->role = VPC_FROM_GUEST;
    else
        return wrong(loader, step->args[0].column, "host or guest");
    loader->script->not_started = step->arg_count > 1;
    return step->arg_count == 1 || vpc_is_word(&step->args[1], "not-started") ||
           wrong(loader, step->args[1].column, "not-started, or nothing");
}

static void add_need(struct vpc_script *script, const char *feature)
{
    for (size_t i = 0; i < script->need_count; i++)
        if (strcmp(script->needs[i], feature) == 0)
            return;
    add_name(&script->needs, &script->need_count, feature);
}

static bool set_needs(struct loader *loader, struct vpc_step *step)
{
    for (size_t i = 0; i < step->arg_count; i++)
        add_need(loader->script, step->args[i].value);
    return true;
}

bool vpc_script_needs(const struct vpc_script *script, const char *feature)
{
    for (size_t i = 0; i < script->need_count; i++)
        if (strcmp(script->needs[i], feature) == 0)
            return true;
    return false;
}

/* What only a monitor tells. */
static bool is_about_monitor(const struct vpc_step *step)
{
    static const char *const words[] = {"shutdown", "close-port", "unwatch", "watch"};

    for (size_t i = 0; i < COUNT(words); i++)
        if (strcmp(step->who, "vm") == 0 && vpc_is_word(&step->args[0], words[i]))
            return true;
    return false;
}

/* What a step can't do without. */
void vpc_note_needs(struct vpc_script *script, const struct vpc_step *step)
{
    static const char *const needs[][2] = {
        {"api", "control"}, {"event", "control"}, {"event", "events"}, {"waiter", "wait-ready"}};

    for (size_t i = 0; i < COUNT(needs); i++)
        if (strcmp(step->who, needs[i][0]) == 0)
            add_need(script, needs[i][1]);
    if (step->op == VPC_OP_PIPE_TAKEN)
        add_need(script, VPC_TWO_MACHINES);
    if (is_about_monitor(step))
        add_need(script, VPC_MACHINE_EVENTS);
    if (step->op == VPC_OP_PIPE_JOIN || step->op == VPC_OP_PIPE_UNJOINED ||
        (step->op == VPC_OP_API_SEND && strstr(step->args[0].value, "-forward")))
        add_need(script, "forwards");
}

static bool set_backends(struct loader *loader, struct vpc_step *step)
{
    static const char *const names[] = {"inproc", "socket", "qemu"};
    const struct vpc_arg *because = vpc_step_arg(step, "because");

    if (because == NULL || *because->value == '\0')
        return wrong(loader, step->column, "a reason: because=\"...\"");
    free(loader->script->because);
    loader->script->because = vpc_copy(because->value);
    loader->script->backends = 0;
    for (size_t i = 0; i < step->arg_count; i++) {
        unsigned bit = 0;

        for (size_t k = 0; k < COUNT(names); k++)
            if (vpc_is_word(&step->args[i], names[k]))
                bit = 1u << k;
        if (!bit && !step->args[i].key)
            return wrong(loader, step->args[i].column, "inproc, socket or qemu");
        loader->script->backends |= bit;
    }
    return true;
}

static bool set_option(struct loader *loader, struct vpc_step *step)
{
    struct vpc_script *script = loader->script;

    if (step->arg_count == 0)
        return wrong(loader, step->column, "NAME=VALUE");
    for (size_t i = 0; i < step->arg_count; i++) {
        const struct vpc_arg *arg = &step->args[i];

        if (arg->key == NULL || !vpc_spec_setting(loader->spec, arg->key))
            return wrong(loader, arg->column, "a setting of section 10, as NAME=VALUE");
        script->options =
            vpc_grow_by_one(script->options, script->option_count, sizeof(*script->options));
        script->options[script->option_count++] = (struct vpc_arg){
            .key = vpc_copy(arg->key), .value = vpc_copy(arg->value), .size = arg->size};
    }
    return true;
}

static bool set_descriptors(struct loader *loader, struct vpc_step *step)
{
    const char *word = step->args[0].value;
    char *end;
    long n = strtol(word, &end, 10);

    if (*end || n < 16 || n > 1000)
        return wrong(loader, step->args[0].column, "how many, from 16 to 1000");
    loader->script->descriptors = (int)n;
    return true;
}

/* ---- steps -------------------------------------------------------------------------------------------------------- */

static bool check_nothing(struct loader *loader, struct vpc_step *step)
{
    (void)loader;
    (void)step;
    return true;
}

/* The first word, if there is one, is the only one that the form has. */
static bool check_word(struct loader *loader, const struct vpc_step *step, const char *word)
{
    return step->arg_count == 0 || vpc_is_word(&step->args[0], word) ||
           wrong(loader, step->args[0].column, step->form->words);
}

static bool check_subject(struct loader *loader, struct vpc_step *step)
{
    return check_word(loader, step, "subject");
}

static bool check_ready(struct loader *loader, struct vpc_step *step)
{
    return check_word(loader, step, "ready");
}

static bool check_clean(struct loader *loader, struct vpc_step *step)
{
    return check_word(loader, step, "clean");
}

static bool check_stop(struct loader *loader, struct vpc_step *step)
{
    return check_subject(loader, step) &&
           (step->arg_count < 2 || vpc_is_word(&step->args[1], "SIGINT") ||
            wrong(loader, step->args[1].column, step->form->words));
}

static bool check_start(struct loader *loader, struct vpc_step *step)
{
    if (!loader->script->not_started)
        return wrong(loader, 1, "\"subject ... not-started\" before it, or restart");
    return check_subject(loader, step);
}

static bool check_wait(struct loader *loader, struct vpc_step *step)
{
    return vpc_take_duration(loader, &step->args[0], &step->during);
}

/* The word is a number, if there is one. */
static bool check_number(struct loader *loader, struct vpc_step *step)
{
    return step->arg_count == 0 || step->args[0].kind == VPC_VALUE_NUMBER ||
           step->args[0].kind == VPC_VALUE_VARIABLE ||
           wrong(loader, step->args[0].column, step->form->words);
}

/* Words are octets in hexadecimal, and numbers from here on. */
static bool check_octets(struct loader *loader, struct vpc_step *step)
{
    for (size_t i = 0; i < step->arg_count; i++) {
        struct vpc_arg *arg = &step->args[i];
        char *end;

        if (arg->quoted)
            continue;
        arg->kind = VPC_VALUE_NUMBER;
        arg->number = strtoul(arg->value, &end, 16);
        if (*end || strlen(arg->value) > 2)
            return wrong(loader, arg->column, step->form->words);
    }
    return true;
}

static bool check_auto(struct loader *loader, struct vpc_step *step)
{
    static const char *const what[] = {"heartbeat", "credit", "released"};

    if (!vpc_is_word(&step->args[0], "on") && !vpc_is_word(&step->args[0], "off"))
        return wrong(loader, step->args[0].column, "on or off");
    for (size_t i = 1; i < step->arg_count; i++) {
        size_t k = 0;

        while (k < COUNT(what) && !vpc_is_word(&step->args[i], what[k]))
            k++;
        if (k == COUNT(what))
            return wrong(loader, step->args[i].column, "heartbeat, credit or released");
    }
    return true;
}

/* Its NAME=VALUE are fields of the HELLO. */
static bool check_session(struct loader *loader, struct vpc_step *step)
{
    const struct conform_message *hello = vpc_table_by_name(loader->table, "HELLO");

    for (size_t i = 0; i < step->arg_count; i++) {
        struct vpc_arg *arg = &step->args[i];

        if (arg->key == NULL && !vpc_is_word(arg, "not-ready"))
            return wrong(loader, arg->column, step->form->words);
        if (arg->key == NULL)
            continue;
        arg->name = VPC_KEY_FIELD;
        arg->field = vpc_message_field(hello, arg->key);
        if (!vpc_value_fits(loader, arg))
            return false;
    }
    vpc_variables_of_session(loader->script);
    return true;
}

static bool check_bytes(struct loader *loader, struct vpc_step *step)
{
    return step->keyed[VPC_KEY_TEXT] || step->keyed[VPC_KEY_BYTES] ||
           wrong(loader, step->column, "\"text\", or bytes= and pattern=");
}

/* Of the messages only a DATA has bytes. */
static bool check_message(struct loader *loader, struct vpc_step *step)
{
    return strcmp(step->message->name, "DATA") != 0 || check_bytes(loader, step);
}

static bool check_idle(struct loader *loader, struct vpc_step *step)
{
    return step->during || wrong(loader, step->column, "for T");
}

static bool check_vm(struct loader *loader, struct vpc_step *step)
{
    for (size_t i = 0; vpc_vm_words[i]; i++)
        if (vpc_is_word(&step->args[0], vpc_vm_words[i]))
            return true;
    return wrong(loader, step->args[0].column, step->form->words);
}

/* With its prefix, or without any. */
static bool check_pipe(struct loader *loader, struct vpc_step *step)
{
    const char *name = step->args[0].value;

    return *name != '\\' || (strncasecmp(name, "\\\\.\\pipe\\", 9) == 0 && name[9]) ||
           wrong(loader, step->args[0].column, step->form->words);
}

static bool check_amount(struct loader *loader, const struct vpc_arg *arg, uint64_t most)
{
    return arg == NULL || arg->kind == VPC_VALUE_VARIABLE ||
           (arg->kind == VPC_VALUE_NUMBER && arg->number > 0 && arg->number <= most) ||
           vpc_loader_wrong(loader, arg->column, "a number from 1 to %llu",
                            (unsigned long long)most);
}

static bool check_pad(struct loader *loader, struct vpc_step *step)
{
    return check_amount(loader, &step->args[0], VPC_OCTETS_MAX);
}

static bool check_request(struct loader *loader, struct vpc_step *step)
{
    return check_amount(loader, vpc_step_arg(step, "times"), VPC_REQUESTS_MAX) &&
           vpc_check_command(loader, step);
}

typedef bool check_fn(struct loader *loader, struct vpc_step *step);

static check_fn *const checks[VPC_OP_COUNT] = {
#define CHECK(op, name, who, direction, verb, min, max, words, keys, flags, check, meaning)        \
    [VPC_OP_##op] = check,
#define VPC_SETTING CHECK
#define VPC_BLOCK   CHECK
#define VPC_STEP    CHECK
#include "script/steps.def"
};

bool vpc_check_form(struct loader *loader, struct vpc_step *step)
{
    return checks[step->form->op](loader, step);
}

bool vpc_check_role(struct loader *loader, struct vpc_step *step)
{
    if (loader->script->role == 0)
        return wrong(loader, 1, "\"subject host\" or \"subject guest\" before the first step");
    if (strcmp(step->who, loader->script->role == VPC_FROM_HOST ? "tcp" : "pipe") == 0)
        return vpc_loader_wrong(loader, 1, "no %s step: it is the upper tester of the other role",
                                step->who);
    return true;
}
