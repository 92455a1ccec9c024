/* SPDX-License-Identifier: MIT */
/*
 * What the words of a scenario mean.
 *
 * The grammar (script.rl) has split each line; steps.def holds every form that a line may have.  All that can be
 * known to be wrong without running is found here: unknown words, fields that the message does not have, requirements
 * and timers that the document does not have, steps that the subject's role has no use for.
 */
#include "script/script.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "files.h"
#include "memory.h"
#include "script/script_forms.h"
#include "script/script_loader.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool wrong(struct loader *loader, int column, const char *expected)
{
    return vpc_loader_wrong(loader, column, "%s", expected);
}

bool vpc_loader_wrong(struct loader *loader, int column, const char *format, ...)
{
    char text[500];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (loader->error == NULL)
        loader->error =
            vpc_format("%s:%d:%d: expected %s", loader->script->path, loader->line, column, text);
    return false;
}

const char *const vpc_vm_words[] = {"pause", "resume", "reset", "kill", "save", "restore", NULL};

static bool is_word(const struct vpc_arg *arg, const char *word)
{
    return arg->key == NULL && !arg->quoted && strcmp(arg->value, word) == 0;
}

static bool no_form(struct loader *loader, const struct vpc_line *line)
{
    int column;
    char *expected = vpc_form_expected(line, &column);

    wrong(loader, column, expected);
    free(expected);
    return false;
}

/* ---- modifiers: within T, for T, by ID, ignoring credit, in background ------------------------------------- */

static bool take_duration(struct loader *loader, const struct vpc_arg *arg, struct vpc_span **span)
{
    if (*span)
        return wrong(loader, arg->column, "one length of time");
    *span = vpc_alloc(sizeof(**span));
    return vpc_span_parse(arg->value, loader->spec, *span) ||
           wrong(loader, arg->column,
                 "a duration: 500ms, 2s, or a timer of section 10 such as heartbeat_late+500ms");
}

static bool take_modifier(struct loader *loader, struct vpc_step *step, struct vpc_arg *args,
                          size_t left, size_t *taken)
{
    *taken = 2;
    if (left < 2)
        return vpc_loader_wrong(loader, args[0].column + (int)strlen(args[0].value) + 1,
                                "a word behind \"%s\"", args[0].value);
    if (is_word(&args[0], "within"))
        return take_duration(loader, &args[1], &step->within);
    if (is_word(&args[0], "for"))
        return take_duration(loader, &args[1], &step->during);
    if (is_word(&args[0], "by")) {
        free(step->by);
        step->by = vpc_copy(args[1].value);
        return vpc_spec_requirement(loader->spec, step->by) ||
               wrong(loader, args[1].column, "a requirement id of VPCBUS.md");
    }
    step->ignoring_credit |= is_word(&args[0], "ignoring");
    step->in_background |= is_word(&args[0], "in");
    return is_word(&args[1], step->in_background ? "background" : "credit") ||
           wrong(loader, args[1].column, is_word(&args[0], "in") ? "background" : "credit");
}

static bool is_modifier(const struct vpc_arg *arg)
{
    static const char *const words[] = {"within", "for", "by", "ignoring", "in"};

    for (size_t i = 0; i < COUNT(words); i++)
        if (is_word(arg, words[i]))
            return true;
    return false;
}

/* Moves the arguments from the line to the step, modifiers apart; skip leaves out the verb. */
static bool take_args(struct loader *loader, struct vpc_step *step, struct vpc_line *line,
                      bool skip)
{
    size_t i = skip ? 1 : 0, taken;

    step->args = vpc_alloc((line->arg_count + 1) * sizeof(*step->args));
    while (i < line->arg_count) {
        if (i > 0 && is_modifier(&line->args[i])) {
            if (!take_modifier(loader, step, &line->args[i], line->arg_count - i, &taken))
                return false;
            i += taken;
            continue;
        }
        step->args[step->arg_count++] = line->args[i];
        line->args[i++] = (struct vpc_arg){0};
    }
    return true;
}

/* ---- what each form demands ------------------------------------------------------------------------------------- */

static bool wrong_key(struct loader *loader, const struct vpc_step *step, const struct vpc_arg *arg)
{
    char *keys = vpc_form_keys(step->form);

    vpc_loader_wrong(loader, arg->column, "one of: %s%s%s", keys,
                     step->message ? ", or a field of " : "",
                     step->message ? step->message->name : "");
    free(keys);
    return false;
}

static bool check_words(struct loader *loader, const struct vpc_step *step)
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

static bool take_message(struct loader *loader, struct vpc_step *step)
{
    if (step->arg_count == 0 || step->args[0].key)
        return wrong(loader, step->arg_count ? step->args[0].column : step->column, "a message");
    step->message = vpc_table_by_name(loader->table, step->args[0].value);
    if (step->message == NULL)
        return wrong(loader, step->args[0].column,
                     "a message: hello, ready, heartbeat, goodbye, open, opened, refused, data, "
                     "credit, fin, reset, released (or raw, pad)");
    return true;
}

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
    if (is_word(&step->args[0], "host"))
        loader->script->role = VPC_FROM_HOST;
    else if (is_word(&step->args[0], "guest"))
        loader->script->role = VPC_FROM_GUEST;
    else
        return wrong(loader, step->args[0].column, "host or guest");
    loader->script->not_started = step->arg_count > 1;
    return step->arg_count == 1 || is_word(&step->args[1], "not-started") ||
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

/* What a step can't do without. */
static void note_needs(struct vpc_script *script, const struct vpc_step *step)
{
    static const char *const needs[][2] = {
        {"api", "control"}, {"event", "control"}, {"event", "events"}, {"waiter", "wait-ready"}};

    for (size_t i = 0; i < COUNT(needs); i++)
        if (strcmp(step->who, needs[i][0]) == 0)
            add_need(script, needs[i][1]);
    if (step->op == VPC_OP_PIPE_TAKEN)
        add_need(script, VPC_TWO_MACHINES);
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
            if (is_word(&step->args[i], names[k]))
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

static bool check_nothing(struct loader *loader, struct vpc_step *step)
{
    (void)loader;
    (void)step;
    return true;
}

/* The first word, if there is one, is the only one that the form has. */
static bool check_word(struct loader *loader, const struct vpc_step *step, const char *word)
{
    return step->arg_count == 0 || is_word(&step->args[0], word) ||
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

static bool check_start(struct loader *loader, struct vpc_step *step)
{
    if (!loader->script->not_started)
        return wrong(loader, 1, "\"subject ... not-started\" before it, or restart");
    return check_subject(loader, step);
}

static bool check_wait(struct loader *loader, struct vpc_step *step)
{
    return take_duration(loader, &step->args[0], &step->during);
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

    if (!is_word(&step->args[0], "on") && !is_word(&step->args[0], "off"))
        return wrong(loader, step->args[0].column, "on or off");
    for (size_t i = 1; i < step->arg_count; i++) {
        size_t k = 0;

        while (k < COUNT(what) && !is_word(&step->args[i], what[k]))
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

        if (arg->key == NULL && !is_word(arg, "not-ready"))
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
        if (is_word(&step->args[0], vpc_vm_words[i]))
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

static bool check_role(struct loader *loader, struct vpc_step *step)
{
    if (loader->script->role == 0)
        return wrong(loader, 1, "\"subject host\" or \"subject guest\" before the first step");
    if (strcmp(step->who, loader->script->role == VPC_FROM_HOST ? "tcp" : "pipe") == 0)
        return vpc_loader_wrong(loader, 1, "no %s step: it is the upper tester of the other role",
                                step->who);
    return true;
}

static void step_free(struct vpc_step *step)
{
    for (size_t i = 0; i < step->arg_count; i++) {
        free(step->args[i].key);
        free(step->args[i].value);
        json_decref(step->args[i].json);
    }
    free(step->args);
    free(step->text);
    free(step->who);
    free(step->label);
    free(step->within);
    free(step->during);
    free(step->by);
}

static bool fill_step(struct loader *loader, struct vpc_step *step, struct vpc_line *line)
{
    const struct vpc_form *form = step->form;

    if (!take_args(loader, step, line, form->verb != NULL))
        return false;
    if (form->flags & VPC_TAKES_MESSAGE && !take_message(loader, step))
        return false;
    if (form->kind == VPC_KIND_STEP && !vpc_values_compile(loader, step))
        return false;
    if (!check_words(loader, step))
        return false;
    if (form->kind == VPC_KIND_SETTING)
        return loader->repeats || loader->block ? wrong(loader, 1, "no setting in a block")
                                                : checks[form->op](loader, step);
    return check_role(loader, step) && checks[form->op](loader, step) &&
           vpc_block_step(loader, step);
}

bool vpc_loader_line(struct loader *loader, struct vpc_line *line, const char *text, size_t size)
{
    const struct vpc_form *form = vpc_form_of(line);
    struct vpc_script *script = loader->script;
    struct vpc_step step = {0};
    bool good;

    if (form == NULL)
        return no_form(loader, line);
    step.form = form;
    step.op = form->op;
    step.line = loader->line;
    step.direction = line->direction;
    step.column = (int)size + 1;
    step.text = vpc_block_text(loader, text, size);
    step.who = vpc_copy(line->who);
    step.label = vpc_copy(line->label ? line->label : "");
    good = fill_step(loader, &step, line);
    if (!good || form->kind == VPC_KIND_SETTING) {
        step_free(&step);
        return good;
    }
    if (script->step_count == VPC_STEPS_MAX) {
        step_free(&step);
        return vpc_loader_wrong(loader, 1, "at most %d steps in all", VPC_STEPS_MAX);
    }
    script->steps = vpc_grow_by_one(script->steps, script->step_count, sizeof(*script->steps));
    script->steps[script->step_count++] = step;
    note_needs(script, &step);
    return true;
}

/* ---- the file --------------------------------------------------------------------------------------------------- */

static bool parse_all(struct loader *loader, const char *text)
{
    size_t size = strcspn(text, "\n");

    loader->line = 1;
    if (strncmp(text, "# ", 2) != 0 || size < 10)
        return wrong(loader, 1, "\"# \" and one plain English sentence in the first line");
    loader->script->title = vpc_copy_n(text + 2, size - 2);
    if (!vpc_blocks_parse(loader, text))
        return false;
    loader->line = 1;
    if (loader->script->cover_count == 0)
        return wrong(loader, 1, "a line \"covers ID...\" in the file");
    if (loader->script->step_count == 0)
        return wrong(loader, 1, "at least one step in the file");
    return true;
}

static char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *base = slash ? slash + 1 : path;

    return vpc_copy_n(base, strcspn(base, "."));
}

struct vpc_script *vpc_script_parse(const char *path, const char *text,
                                    const struct vpc_table *table, const struct vpc_spec *spec,
                                    char **error)
{
    struct loader loader = {.table = table, .spec = spec};

    loader.script = vpc_alloc(sizeof(*loader.script));
    loader.script->path = vpc_copy(path);
    loader.script->name = name_of(path);
    loader.script->text = vpc_copy(text);
    loader.script->backends = VPC_ANY_BACKEND;
    vpc_variables_begin(loader.script);
    if (parse_all(&loader, text))
        return loader.script;
    *error = loader.error;
    vpc_script_free(loader.script);
    return NULL;
}

struct vpc_script *vpc_script_load(const char *path, const struct vpc_table *table,
                                   const struct vpc_spec *spec, char **error)
{
    struct vpc_script *script;
    char *text = vpc_file_read(path);

    if (text == NULL) {
        *error = vpc_format("%s: can not be read: %s", path, vpc_file_words(errno));
        return NULL;
    }
    script = vpc_script_parse(path, text, table, spec, error);
    free(text);
    return script;
}

static void names_free(char **names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
}

void vpc_script_fold(struct vpc_script *script)
{
    for (size_t i = 0; i < script->step_count; i++)
        step_free(&script->steps[i]);
    free(script->steps);
    script->steps = NULL;
    script->step_count = 0;
}

struct vpc_script *vpc_script_unfold(const struct vpc_script *script, const struct vpc_table *table,
                                     const struct vpc_spec *spec)
{
    char *error = NULL;
    struct vpc_script *whole = vpc_script_parse(script->path, script->text, table, spec, &error);

    free(error); /* what was read once can be read again */
    return whole;
}

void vpc_script_free(struct vpc_script *script)
{
    vpc_script_fold(script);
    for (size_t i = 0; i < script->option_count; i++) {
        free(script->options[i].key);
        free(script->options[i].value);
    }
    names_free(script->covers, script->cover_count);
    names_free(script->needs, script->need_count);
    for (size_t i = 0; i < script->variable_count; i++)
        free(script->variables[i].name);
    free(script->variables);
    free(script->options);
    free(script->steps);
    free(script->because);
    free(script->title);
    free(script->name);
    free(script->path);
    free(script->text);
    free(script);
}

const struct vpc_arg *vpc_step_arg(const struct vpc_step *step, const char *key)
{
    for (size_t i = 0; i < step->arg_count; i++)
        if (step->args[i].key && strcmp(step->args[i].key, key) == 0)
            return &step->args[i];
    return NULL;
}
