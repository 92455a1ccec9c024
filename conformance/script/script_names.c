/* SPDX-License-Identifier: MIT */
/*
 * Names of the control socket and of the event log, looked up in spec/ when a script is read.
 *
 * A misspelt event, field or command would fail every subject, or, behind `none`, pass every one.  So each is one that
 * spec/events.json or spec/control.schema.json has, and a text one of those that the field can have.  A request or a line
 * that means something else is written with `api > raw`.
 */
#include <stdio.h>
#include <string.h>

#include "document/entry.h"
#include "document/schema.h"
#include "script/script_forms.h"
#include "script/script_loader.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The text that a field must have; NULL: any may be right, or it is known in the run. */
static const char *text_of(const struct vpc_step *step, const struct vpc_arg *arg)
{
    bool is_text = arg->kind == VPC_VALUE_TEXT || arg->kind == VPC_VALUE_WORD;

    return is_text && step->direction == '<' ? arg->value : NULL;
}

/*
 * Whether one of the places, NULL behind the last, has this member, and it can have that text there.  What is `absent`
 * may be a member of something else.
 */
static bool check_member(struct loader *loader, const struct vpc_step *step,
                         const struct vpc_arg *arg, const char *const places[])
{
    const struct vpc_schema *schema = loader->spec->control;
    bool member = arg->kind == VPC_VALUE_ABSENT && vpc_schema_knows(schema, arg->key);
    bool fits = member;

    for (size_t i = 0; places[i]; i++) {
        member |= vpc_schema_takes(schema, places[i], arg->key, NULL);
        fits |= vpc_schema_takes(schema, places[i], arg->key, text_of(step, arg));
    }
    if (!member)
        return vpc_loader_wrong(loader, arg->column, "a field that control.schema.json has here");
    return fits || vpc_loader_wrong(loader, arg->column,
                                    "a value of %s that control.schema.json has", arg->key);
}

static bool check_members(struct loader *loader, const struct vpc_step *step,
                          const char *const places[])
{
    for (size_t i = 0; i < step->arg_count; i++)
        if (step->args[i].key && !check_member(loader, step, &step->args[i], places))
            return false;
    return true;
}

/* ---- the control socket ------------------------------------------------------------------------------------------------- */

bool vpc_check_device(struct loader *loader, struct vpc_step *step)
{
    static const char *const places[] = {"device", NULL};

    return check_members(loader, step, places);
}

bool vpc_check_forward(struct loader *loader, struct vpc_step *step)
{
    static const char *const places[] = {"forward", NULL};

    return check_members(loader, step, places);
}

bool vpc_check_return(struct loader *loader, struct vpc_step *step)
{
    static const char *const places[] = {
        "returns/start",         "returns/stop",         "returns/set-tag",
        "returns/start-forward", "returns/stop-forward", "returns/query-vm",
        "returns/query-devices", "returns/query-stats",  NULL};

    return check_members(loader, step, places);
}

bool vpc_check_error(struct loader *loader, struct vpc_step *step)
{
    static const char *const places[] = {"failure/properties/error", NULL};

    return check_members(loader, step, places);
}

bool vpc_check_greeting(struct loader *loader, struct vpc_step *step)
{
    static const char *const places[] = {"greeting/properties/VPCBus", NULL};

    return check_members(loader, step, places);
}

bool vpc_check_result(struct loader *loader, struct vpc_step *step)
{
    uint32_t value;

    if (!vpc_result_value(step->args[0].value, &value))
        return vpc_loader_wrong(loader, step->args[0].column, "a result of section 8 such as S_OK");
    return value == 0 ? vpc_check_return(loader, step) : vpc_check_error(loader, step);
}

/* What a step adds to the arguments of a command. */
static bool is_short(const char *command, const char *key)
{
    static const char *const of_start[] = {"pipe", "port"}, *const of_any[] = {"id", "times"};

    for (size_t i = 0; i < COUNT(of_any); i++)
        if (strcmp(key, of_any[i]) == 0)
            return true;
    for (size_t i = 0; strcmp(command, "start") == 0 && i < COUNT(of_start); i++)
        if (strcmp(key, of_start[i]) == 0)
            return true;
    return false;
}

bool vpc_check_command(struct loader *loader, struct vpc_step *step)
{
    const char *command = step->args[0].value;
    const struct vpc_schema *schema = loader->spec->control;
    char place[64];

    snprintf(place, sizeof(place), "arguments/%s", command);
    if (!vpc_schema_has(schema, place))
        return vpc_loader_wrong(loader, step->args[0].column,
                                "a command of section 8; any other is written with raw");
    for (size_t i = 1; i < step->arg_count; i++) {
        const struct vpc_arg *arg = &step->args[i];

        if (!is_short(command, arg->key) && !vpc_schema_takes(schema, place, arg->key, NULL))
            return vpc_loader_wrong(loader, arg->column,
                                    "an argument of %s; any other is written with raw", command);
    }
    return true;
}

/* ---- the event log -------------------------------------------------------------------------------------------------------- */

/* A step that does not ask for the field, but for its absence, may name one of another event. */
static bool check_entry(struct loader *loader, const struct vpc_step *step, const json_t *event)
{
    const struct vpc_schema *schema = loader->spec->control;

    for (size_t i = 0; i < step->arg_count; i++) {
        const struct vpc_arg *arg = &step->args[i];
        bool asked = step->direction == '<' && arg->kind != VPC_VALUE_ABSENT && !arg->differs;

        if (arg->key == NULL)
            continue;
        if (!vpc_catalogue_has_field(loader->spec->catalogue, asked ? event : NULL, arg->key))
            return vpc_loader_wrong(loader, arg->column, "a field that the catalogue has %s",
                                    asked && event ? "for this event" : "at all");
        if (vpc_schema_takes(schema, "log_entry", arg->key, NULL) &&
            !vpc_schema_takes(schema, "log_entry", arg->key, text_of(step, arg)))
            return vpc_loader_wrong(loader, arg->column,
                                    "a value of %s that control.schema.json has", arg->key);
    }
    return true;
}

bool vpc_check_log(struct loader *loader, struct vpc_step *step)
{
    const json_t *event = vpc_catalogue_named(loader->spec->catalogue, step->args[0].value);

    if (event == NULL)
        return vpc_loader_wrong(loader, step->args[0].column,
                                "an event of the catalogue, by its number or its name");
    return check_entry(loader, step, event);
}

bool vpc_check_event(struct loader *loader, struct vpc_step *step)
{
    const char *name = step->args[0].value;
    const struct vpc_arg *id = vpc_step_arg(step, "id");
    const char *places[] = {NULL, NULL};
    char place[64];

    snprintf(place, sizeof(place), "events/%s", name);
    if (!vpc_schema_has(loader->spec->control, place))
        return vpc_loader_wrong(loader, step->args[0].column, "an event of section 8");
    if (strcmp(name, "EVENT_LOGGED") == 0)
        return check_entry(loader, step,
                           id ? vpc_catalogue_named(loader->spec->catalogue, id->value) : NULL);
    places[0] = place;
    return check_members(loader, step, places);
}
