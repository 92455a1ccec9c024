/* SPDX-License-Identifier: MIT */
/*
 * What the values of a step are, found once when the script is read.
 *
 * A run performs a step many times, and looks at it many more; it compares numbers, not texts.  What it can't know before
 * is what a variable has.  Whatever a value can't be, wherever it stands, is refused here.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "script/script_forms.h"
#include "script/script_loader.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

bool vpc_number(const char *text, uint64_t *value)
{
    char *end;

    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    *value = strtoull(text, &end, 0);
    return *end == '\0' && errno == 0;
}

/* ---- names -------------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    enum vpc_key key;
} keys[] = {
    {"text", VPC_KEY_TEXT},
    {"bytes", VPC_KEY_BYTES},
    {"pattern", VPC_KEY_PATTERN},
    {"from", VPC_KEY_FROM},
    {"channel", VPC_KEY_CHANNEL},
    {"preamble", VPC_KEY_PREAMBLE},
    {"cut", VPC_KEY_CUT},
    {"frame", VPC_KEY_FRAME},
    {"behind", VPC_KEY_BEHIND},
    {"share", VPC_KEY_SHARE},
    {"header.magic", VPC_KEY_MAGIC},
    {"header.type", VPC_KEY_TYPE},
    {"header.flags", VPC_KEY_FLAGS},
    {"header.length", VPC_KEY_LENGTH},
    {"seal.session", VPC_KEY_SESSION},
    {"seal.number", VPC_KEY_NUMBER},
};

/* Bytes may stand in quotes without a name. */
static void name_key(const struct vpc_step *step, struct vpc_arg *arg)
{
    const struct vpc_field *field;

    if (arg->key == NULL) {
        arg->name = arg->quoted ? VPC_KEY_TEXT : VPC_KEY_OTHER;
        return;
    }
    field = step->message ? vpc_message_field(step->message, arg->key) : NULL;
    if (field && field->kind != VPC_FIELD_OCTETS) {
        arg->name = VPC_KEY_FIELD;
        arg->field = field;
    }
    for (size_t i = 0; !arg->field && i < COUNT(keys); i++)
        if (strcmp(keys[i].name, arg->key) == 0)
            arg->name = keys[i].key;
}

/* ---- values ------------------------------------------------------------------------------------------------------------- */

static size_t variable_of(struct vpc_script *script, const char *name, size_t n)
{
    for (size_t i = 0; i < script->variable_count; i++)
        if (strncmp(script->variables[i].name, name, n) == 0 && !script->variables[i].name[n])
            return i;
    script->variables =
        vpc_grow_by_one(script->variables, script->variable_count, sizeof(*script->variables));
    script->variables[script->variable_count] =
        (struct vpc_script_variable){.name = vpc_copy_n(name, n)};
    return script->variable_count++;
}

void vpc_variables_begin(struct vpc_script *script)
{
    static const char *const known[] = {[VPC_VARIABLE_SUBJECT_EPOCH] = "subject_epoch",
                                        [VPC_VARIABLE_TESTER_EPOCH] = "tester_epoch",
                                        [VPC_VARIABLE_SESSION_ID] = "session_id"};

    for (size_t i = 0; i < COUNT(known); i++)
        variable_of(script, known[i], strlen(known[i]));
}

void vpc_variables_of_session(struct vpc_script *script)
{
    for (size_t i = 0; i <= VPC_VARIABLE_SESSION_ID; i++)
        script->variables[i].set = true;
}

/* $NAME, $NAME+N, $NAME-N; the grammar has looked that there is a number, but not whether it is too large. */
static bool compile_variable(struct loader *loader, struct vpc_arg *arg)
{
    const char *name = arg->value + 1;
    size_t n = strcspn(name, "+-");

    arg->kind = VPC_VALUE_VARIABLE;
    arg->variable = variable_of(loader->script, name, n);
    arg->sum = name[n] != '\0';
    if (arg->sum && !vpc_number(name + n + 1, &arg->number))
        return vpc_loader_wrong(loader, arg->column, "a number of 64 bits behind the variable");
    if (name[n] == '-')
        arg->number = -arg->number;
    return true;
}

static bool compile_value(struct loader *loader, struct vpc_arg *arg)
{
    if (arg->quoted)
        arg->kind = VPC_VALUE_TEXT;
    else if (arg->value[0] == '$')
        return compile_variable(loader, arg);
    else if (vpc_number(arg->value, &arg->number))
        arg->kind = VPC_VALUE_NUMBER;
    else if (strcmp(arg->value, "*") == 0)
        arg->kind = VPC_VALUE_ANY;
    else if (strcmp(arg->value, "absent") == 0)
        arg->kind = VPC_VALUE_ABSENT;
    return true;
}

static json_t *json_of(const struct vpc_arg *arg)
{
    if (arg->kind == VPC_VALUE_NUMBER && arg->number <= INT64_MAX)
        return json_integer((json_int_t)arg->number);
    if (arg->kind == VPC_VALUE_WORD && strcmp(arg->value, "null") == 0)
        return json_null();
    if (arg->kind == VPC_VALUE_WORD && strcmp(arg->value, "true") == 0)
        return json_true();
    if (arg->kind == VPC_VALUE_WORD && strcmp(arg->value, "false") == 0)
        return json_false();
    return json_stringn(arg->value, arg->size);
}

/* ---- what fits where ------------------------------------------------------------------------------------------------------ */

static bool is_number(const struct vpc_arg *arg)
{
    return arg->kind == VPC_VALUE_NUMBER || arg->kind == VPC_VALUE_VARIABLE;
}

/* What stands in the script; a variable's number is looked at in the run. */
static bool fits_amount(struct loader *loader, const struct vpc_arg *arg)
{
    bool octets = arg->name == VPC_KEY_BYTES || arg->name == VPC_KEY_PREAMBLE;

    if (arg->kind != VPC_VALUE_NUMBER)
        return true;
    if (octets && arg->number > VPC_OCTETS_MAX)
        return vpc_loader_wrong(loader, arg->column, "%u at most", VPC_OCTETS_MAX);
    if (arg->name == VPC_KEY_FRAME && arg->number == 0)
        return vpc_loader_wrong(loader, arg->column, "1 at least");
    return true;
}

/* A field of text takes any word; another one a number, or `fresh`, which is an epoch. */
static bool fits_field(const struct vpc_arg *arg)
{
    if (arg->field->kind == VPC_FIELD_TEXT)
        return arg->kind != VPC_VALUE_VARIABLE;
    return is_number(arg) || (arg->kind == VPC_VALUE_WORD && strcmp(arg->value, "fresh") == 0);
}

bool vpc_value_fits(struct loader *loader, const struct vpc_arg *arg)
{
    bool text = arg->name == VPC_KEY_TEXT || (arg->field && arg->field->kind == VPC_FIELD_TEXT);
    bool fits =
        arg->name == VPC_KEY_OTHER || (arg->name == VPC_KEY_FIELD  ? fits_field(arg)
                                       : arg->name == VPC_KEY_TEXT ? arg->kind != VPC_VALUE_VARIABLE
                                                                   : is_number(arg));

    return fits || vpc_loader_wrong(loader, arg->column, "%s",
                                    text ? "a \"text\"" : "a number, or a $variable");
}

/* An expectation sets what has no value yet; no other step can do without one. */
static bool note_variable(struct loader *loader, const struct vpc_step *step,
                          const struct vpc_arg *arg)
{
    struct vpc_script_variable *variable = &loader->script->variables[arg->variable];

    variable->set |= step->direction == '<' && !arg->sum;
    return variable->set ||
           vpc_loader_wrong(loader, arg->column, "a step before this one that sets $%s",
                            variable->name);
}

bool vpc_values_compile(struct loader *loader, struct vpc_step *step)
{
    for (size_t i = 0; i < step->arg_count; i++) {
        struct vpc_arg *arg = &step->args[i];

        if (!compile_value(loader, arg))
            return false;
        if (step->form->keys == NULL && arg->kind != VPC_VALUE_VARIABLE)
            arg->json = json_of(arg);
        else if (step->form->keys)
            name_key(step, arg);
        step->keyed[arg->name] = arg;
        if (!vpc_value_fits(loader, arg) || !fits_amount(loader, arg))
            return false;
        if (arg->kind == VPC_VALUE_VARIABLE && !note_variable(loader, step, arg))
            return false;
    }
    return true;
}
