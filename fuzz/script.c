/* SPDX-License-Identifier: MIT */
/*
 * The scenario language of conformance/: any text is a script or has one error that says where.  Only the parser is run.
 *
 * Input   the text of a scenario.  What does not begin like one gets the lines that every scenario needs put before it.
 */
#include "script/script.h"
#include "document/embedded.h"
#include "input.h"
#include "memory.h"

#include <stdio.h>
#include <stdlib.h>

#define NAME "f.vpcs"

static struct vpc_table *table;
static struct vpc_spec *spec;

static void require(bool condition)
{
    if (!condition)
        abort();
}

static uint64_t timer_of(const void *user, const struct vpc_setting *timer)
{
    (void)user;
    return timer->value;
}

static void check_duration(const struct vpc_span *span)
{
    if (span != NULL)
        require(vpc_span_ms(span, timer_of, NULL) <= (uint64_t)FUZZ_LARGEST * 100000000000u);
}

static void check_arg(const struct vpc_script *script, const struct vpc_arg *arg)
{
    require(arg->value != NULL && strlen(arg->value) <= arg->size);
    require(arg->kind != VPC_VALUE_VARIABLE || arg->variable < script->variable_count);
    require((arg->name == VPC_KEY_FIELD) == (arg->field != NULL));
}

static void check_script(const struct vpc_script *script)
{
    require(script->step_count > 0 && script->cover_count > 0 && script->title != NULL);
    require(strcmp(script->name, "f") == 0);
    for (size_t i = 0; i < script->step_count; i++) {
        const struct vpc_step *step = &script->steps[i];

        require(step->op < VPC_OP_COUNT && step->line > 0 && step->who != NULL);
        check_duration(step->within);
        check_duration(step->during);
        for (size_t k = 0; k < step->arg_count; k++)
            check_arg(script, &step->args[k]);
    }
}

/* The place lies in the text. */
static void check_error(const char *error, const char *text)
{
    int line = 0, column = 0, lines = 1;

    require(error != NULL && strchr(error, '\n') == NULL);
    require(sscanf(error, NAME ":%d:%d: expected ", &line, &column) == 2);
    for (const char *c = text; *c != '\0'; c++)
        lines += *c == '\n';
    require(line >= 1 && line <= lines + 1 && column >= 1 && column <= (int)strlen(text) + 2);
}

static void parse(const char *text)
{
    char *error = NULL;
    struct vpc_script *script = vpc_script_parse(NAME, text, table, spec, &error);

    if (script != NULL) {
        check_script(script);
        vpc_script_free(script);
    } else {
        check_error(error, text);
    }
    free(error);
}

static void set_up(void)
{
    char *error = NULL;

    table = vpc_table_load(vpc_embedded_messages, &error);
    spec = vpc_spec_load(vpc_embedded_document);
    require(table != NULL && spec != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char head[] = "# What every scenario needs.\ncovers FRM-3\nsubject host\n";
    size_t before = size > 0 && data[0] == '#' ? 0 : sizeof(head) - 1;
    char *text = malloc(before + size + 1);

    if (table == NULL)
        set_up();
    memcpy(text, head, before);
    memcpy(text + before, data, size);
    text[before + size] = '\0';
    parse(text);
    free(text);
    return 0;
}
