/* SPDX-License-Identifier: MIT */
/*
 * Blocks of a scenario: repeat, either ... or, unordered.
 *
 * A repeat is taken apart when the file is read: its lines are taken so often, with {NAME} standing for the counter, so
 * that a run knows steps only.  The other two become steps that say where their parts stand.  Neither stands in the
 * other or in itself; both may stand in a repeat, and a repeat in a repeat.  Limits: VPC_STEPS_MAX steps in all.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "script/script_forms.h"
#include "script/script_loader.h"

#define REPEAT_MAX 1000
#define NESTED_MAX 2
#define LINES_MAX  (2 * VPC_STEPS_MAX) /* read in all, those of a repeat each time */
#define NUMBER_MAX 1000000000

static bool is_word(const struct vpc_arg *arg, const char *word)
{
    return arg->key == NULL && !arg->quoted && strcmp(arg->value, word) == 0;
}

/* ---- counters ----------------------------------------------------------------------------------------------------------- */

/* The counter that {NAME} at this place stands for; *size is then the place's. */
static const struct counter *counter_at(const struct loader *loader, const char *text, size_t left,
                                        size_t *size)
{
    for (const struct counter *at = loader->counters; at; at = at->outer) {
        size_t n = at->name ? strlen(at->name) : 0;

        *size = n + 2;
        if (n && *size <= left && memcmp(text + 1, at->name, n) == 0 && text[n + 1] == '}')
            return at;
    }
    return NULL;
}

/* Puts the numbers into a text, which may hold NULs. */
static void count(const struct loader *loader, char **text, size_t *size)
{
    struct vpc_buffer out = {0};
    size_t taken;

    for (size_t i = 0; i < *size; i += taken) {
        const struct counter *counter =
            (*text)[i] == '{' ? counter_at(loader, *text + i, *size - i, &taken) : NULL;
        char number[24];

        if (counter) {
            snprintf(number, sizeof(number), "%llu", (unsigned long long)counter->number);
            vpc_buffer_add(&out, number, strlen(number));
        } else {
            taken = 1;
            vpc_buffer_add(&out, *text + i, 1);
        }
    }
    vpc_buffer_add(&out, "", 1);
    free(*text);
    *text = (char *)out.data;
    *size = out.end - 1;
}

static void count_line(const struct loader *loader, struct vpc_line *line)
{
    size_t size = line->label ? strlen(line->label) : 0;

    if (loader->counters == NULL)
        return;
    if (line->label)
        count(loader, &line->label, &size);
    for (size_t i = 0; i < line->arg_count; i++)
        count(loader, &line->args[i].value, &line->args[i].size);
}

char *vpc_block_text(const struct loader *loader, const char *text, size_t size)
{
    char *shown = vpc_copy_n(text, size);

    for (const struct counter *at = loader->counters; at; at = at->outer) {
        char *more = vpc_format("%s  # %s=%llu", shown, at->name ? at->name : "repeated",
                                (unsigned long long)at->number);

        free(shown);
        shown = more;
    }
    return shown;
}

/* ---- either, or, unordered ------------------------------------------------------------------------------------------------ */

/* The step is the block's last word: where its parts stand is known now. */
static bool close_block(struct loader *loader)
{
    struct vpc_step *steps = loader->script->steps;
    size_t end = loader->script->step_count;

    if (loader->part + 1 == end)
        return vpc_loader_wrong(loader, 1, "a step in the block");
    if (loader->block == VPC_OP_EITHER && loader->part == loader->opened)
        return vpc_loader_wrong(loader, 1, "\"or\" in the block: one alternative is none");
    steps[loader->part].next = end;
    for (size_t at = loader->opened; at != end; at = steps[at].next)
        steps[at].end = end;
    loader->block = VPC_OP_NONE;
    return true;
}

static bool open_part(struct loader *loader, struct vpc_step *step)
{
    size_t here = loader->script->step_count;

    step->non_strict = step->arg_count > 0;
    if (step->arg_count && !is_word(&step->args[0], "non-strict"))
        return vpc_loader_wrong(loader, step->args[0].column, "non-strict, or nothing");
    if (step->op == VPC_OP_OR) {
        if (loader->block != VPC_OP_EITHER)
            return vpc_loader_wrong(loader, 1, "\"either\" before it");
        if (loader->part + 1 == here)
            return vpc_loader_wrong(loader, 1, "a step in the alternative before it");
        loader->script->steps[loader->part].next = here;
    } else {
        if (loader->block)
            return vpc_loader_wrong(loader, 1, "\"end\" of the block in line %d before it",
                                    loader->script->steps[loader->opened].line);
        loader->block = step->op;
        loader->opened = here;
    }
    loader->part = here;
    return true;
}

/* Whether a step asks for one thing, whole or not at all: only such can be tried beside others. */
static bool asks(const struct vpc_step *step)
{
    bool bytes = step->form->flags & VPC_ASKS_BYTES ||
                 (step->message && strcmp(step->message->name, "DATA") == 0);

    return step->direction == '<' && !bytes;
}

bool vpc_block_step(struct loader *loader, struct vpc_step *step)
{
    bool first = loader->script->step_count == loader->part + 1;
    bool block = step->form->kind == VPC_KIND_BLOCK;

    if (block && *step->label)
        return vpc_loader_wrong(loader, (int)strlen(step->who) + 1,
                                "a space: blocks have no label");
    if (step->op == VPC_OP_END)
        return loader->block ? close_block(loader)
                             : vpc_loader_wrong(loader, 1, "a block before it");
    if (block)
        return open_part(loader, step);
    if (loader->block == VPC_OP_EITHER && first && !asks(step) &&
        !(step->form->flags & VPC_SILENCE))
        return vpc_loader_wrong(loader, 1,
                                "an alternative to begin with a step that asks (<) for a frame, an "
                                "entry, an answer or an end, or that asks for silence");
    if (loader->block == VPC_OP_UNORDERED && step->direction != '<')
        return vpc_loader_wrong(loader, 1, "only steps that ask (<) in an unordered block");
    return true;
}

/* ---- repeat, and the file ----------------------------------------------------------------------------------------------- */

struct text_line {
    const char *text;
    size_t size;
};

static bool opens(const struct text_line *line)
{
    static const char *const words[] = {"repeat", "either", "unordered"};
    size_t skip = strspn(line->text, " \t");

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t n = strlen(words[i]);

        if (strncmp(line->text + skip, words[i], n) == 0 &&
            strchr(" \t\r\n#", line->text[skip + n]))
            return true;
    }
    return false;
}

static bool ends(const struct text_line *line)
{
    size_t skip = strspn(line->text, " \t");

    return strncmp(line->text + skip, "end", 3) == 0 && strchr(" \t\r\n#", line->text[skip + 3]);
}

/* The line of the block's end; `to` when there is none. */
static size_t end_of(const struct text_line *lines, size_t from, size_t to)
{
    int depth = 1;

    for (; from < to; from++) {
        depth += opens(&lines[from]);
        depth -= ends(&lines[from]);
        if (depth == 0)
            return from;
    }
    return to;
}

static bool number_of(struct loader *loader, const struct vpc_arg *arg, uint64_t least,
                      uint64_t most, uint64_t *number)
{
    char *rest;

    *number = strtoull(arg->value, &rest, 10);
    if (*arg->value >= '0' && *arg->value <= '9' && *rest == '\0' && *number >= least &&
        *number <= most)
        return true;
    return vpc_loader_wrong(loader, arg->column, "a number from %llu to %llu",
                            (unsigned long long)least, (unsigned long long)most);
}

struct repeat {
    const char *name;
    uint64_t times, from, step;
};

static bool read_repeat(struct loader *loader, const struct vpc_line *line, struct repeat *repeat)
{
    *repeat = (struct repeat){.from = 1, .step = 1};
    for (size_t i = 0; i < line->arg_count; i++) {
        const struct vpc_arg *arg = &line->args[i];

        if (arg->key == NULL && repeat->times == 0) {
            if (!number_of(loader, arg, 1, REPEAT_MAX, &repeat->times))
                return false;
        } else if (arg->key && strcmp(arg->key, "counter") == 0) {
            repeat->name = arg->value;
        } else if (arg->key && strcmp(arg->key, "from") == 0) {
            if (!number_of(loader, arg, 0, NUMBER_MAX, &repeat->from))
                return false;
        } else if (arg->key && strcmp(arg->key, "step") == 0) {
            if (!number_of(loader, arg, 1, NUMBER_MAX, &repeat->step))
                return false;
        } else {
            return vpc_loader_wrong(loader, arg->column, "counter=NAME, from=N or step=N");
        }
    }
    return repeat->times > 0 || vpc_loader_wrong(loader, 7, "how often, at most %d", REPEAT_MAX);
}

static bool parse_lines(struct loader *loader, const struct text_line *lines, size_t from,
                        size_t to);

/* The block from the line behind `repeat` to its end, so often. */
static bool parse_repeat(struct loader *loader, const struct vpc_line *line,
                         const struct text_line *lines, size_t from, size_t to)
{
    struct counter counter = {.outer = loader->counters};
    struct repeat repeat;
    bool good = read_repeat(loader, line, &repeat);

    if (good && loader->block)
        good = vpc_loader_wrong(loader, 1, "no repeat in this block");
    if (good && loader->repeats == NESTED_MAX)
        good = vpc_loader_wrong(loader, 1, "at most %d repeats in each other", NESTED_MAX);
    counter.name = repeat.name;
    counter.number = repeat.from;
    loader->counters = &counter;
    loader->repeats++;
    for (uint64_t i = 0; good && i < repeat.times; i++, counter.number += repeat.step) {
        good = parse_lines(loader, lines, from, to);
        if (good && loader->block)
            good = vpc_loader_wrong(loader, 1, "\"end\" of the block before the repeat's");
    }
    loader->repeats--;
    loader->counters = counter.outer;
    return good;
}

/* The grammar does not take the line; expected is NULL if no word can be so. */
static void no_line(struct loader *loader, int column, const char *expected)
{
    char *words = expected ? vpc_copy(expected) : vpc_form_first_words();

    vpc_loader_wrong(loader, column, "%s", words);
    free(words);
}

/* One line, or a repeat with all of its lines; *at goes behind it. */
static bool parse_line(struct loader *loader, const struct text_line *lines, size_t *at, size_t to)
{
    const struct text_line *text = &lines[*at];
    char *ended = vpc_format("%.*s\n", (int)text->size, text->text);
    struct vpc_line line;
    const char *expected;
    int column;
    bool good = vpc_line_parse(ended, text->size + 1, &line, &column, &expected);

    loader->line = (int)*at + 1;
    free(ended);
    if (good && ++loader->lines > LINES_MAX)
        good = vpc_loader_wrong(loader, 1, "at most %d lines, those of a repeat counted each time",
                                LINES_MAX);
    else if (!good)
        no_line(loader, column, expected);
    if (good && line.who && strcmp(line.who, "repeat") == 0 && !line.direction && !line.label) {
        size_t end = end_of(lines, *at + 1, to);

        good = end < to ? parse_repeat(loader, &line, lines, *at + 1, end)
                        : vpc_loader_wrong(loader, 1, "\"end\" of this repeat further down");
        *at = end;
    } else if (good && line.who) {
        count_line(loader, &line);
        good = vpc_loader_line(loader, &line, text->text, text->size);
    }
    vpc_line_clear(&line);
    ++*at;
    return good;
}

static bool parse_lines(struct loader *loader, const struct text_line *lines, size_t from,
                        size_t to)
{
    while (from < to)
        if (!parse_line(loader, lines, &from, to))
            return false;
    return true;
}

bool vpc_blocks_parse(struct loader *loader, const char *text)
{
    struct text_line *lines = NULL;
    size_t n = 0;
    bool good;

    while (*text) {
        size_t size = strcspn(text, "\n");

        lines = vpc_grow_by_one(lines, n, sizeof(*lines));
        lines[n++] = (struct text_line){text, size};
        text += size + (text[size] == '\n');
    }
    good = parse_lines(loader, lines, 0, n);
    if (good && loader->block) {
        loader->line = loader->script->steps[loader->opened].line;
        good = vpc_loader_wrong(loader, 1, "\"end\" of this block further down");
    }
    free(lines);
    return good;
}
