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

bool vpc_is_word(const struct vpc_arg *arg, const char *word)
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

bool vpc_take_duration(struct loader *loader, const struct vpc_arg *arg, struct vpc_span **span)
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
    if (vpc_is_word(&args[0], "within"))
        return vpc_take_duration(loader, &args[1], &step->within);
    if (vpc_is_word(&args[0], "for"))
        return vpc_take_duration(loader, &args[1], &step->during);
    if (vpc_is_word(&args[0], "by")) {
        free(step->by);
        step->by = vpc_copy(args[1].value);
        return vpc_spec_requirement(loader->spec, step->by) ||
               wrong(loader, args[1].column, "a requirement id of VPCBUS.md");
    }
    step->ignoring_credit |= vpc_is_word(&args[0], "ignoring");
    step->in_background |= vpc_is_word(&args[0], "in");
    return vpc_is_word(&args[1], step->in_background ? "background" : "credit") ||
           wrong(loader, args[1].column, vpc_is_word(&args[0], "in") ? "background" : "credit");
}

static bool is_modifier(const struct vpc_arg *arg)
{
    static const char *const words[] = {"within", "for", "by", "ignoring", "in"};

    for (size_t i = 0; i < COUNT(words); i++)
        if (vpc_is_word(arg, words[i]))
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

/* ---- one line ----------------------------------------------------------------------------------------------------- */

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
    if (!vpc_check_words(loader, step))
        return false;
    if (form->kind == VPC_KIND_SETTING)
        return loader->repeats || loader->block ? wrong(loader, 1, "no setting in a block")
                                                : vpc_check_form(loader, step);
    return vpc_check_role(loader, step) && vpc_check_form(loader, step) &&
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
    vpc_note_needs(script, &step);
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
