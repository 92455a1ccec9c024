/* SPDX-License-Identifier: MIT */
/* See shrink.h; the algorithm is ddmin of Zeller and Hildebrandt, without its subsets: complements alone are enough here. */
#include "verdicts/shrink.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define TRIES_MAX 2000

struct lines {
    const char **at; /* each up to its newline */
    size_t count;
    size_t head; /* of them stay: what comes before the first line that may go */
};

/* ---- is it the same ----------------------------------------------------------------------------------------------- */

static const char *skip_number(const char *at)
{
    while (isalnum((unsigned char)*at))
        at++;
    return at;
}

/* Equal but for numbers, with what hangs on them: 0x1f, 5ms, #12. */
static bool alike(const char *a, const char *b)
{
    while (a && b && *a && *b) {
        if (isdigit((unsigned char)*a) && isdigit((unsigned char)*b)) {
            a = skip_number(a);
            b = skip_number(b);
        } else if (*a++ != *b++) {
            return false;
        }
    }
    return (a == NULL || *a == '\0') && (b == NULL || *b == '\0');
}

static bool same(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

static bool as_wanted(const struct vpc_shrink *shrink, const struct vpc_result *result)
{
    const struct vpc_result *wanted = shrink->wanted;
    bool step =
        shrink->numbers ? alike(wanted->step, result->step) : same(wanted->step, result->step);

    return wanted->verdict == result->verdict && same(wanted->requirement, result->requirement) &&
           step && alike(wanted->got, result->got);
}

bool vpc_shrink_may_try(const struct vpc_shrink *shrink)
{
    return shrink->tries < TRIES_MAX && !shrink->suite->interrupted;
}

bool vpc_shrink_fails(struct vpc_shrink *shrink, const char *text)
{
    struct vpc_suite *suite = shrink->suite;
    struct vpc_suite_run good = shrink->run;
    struct vpc_result result;
    char *error = NULL;
    struct vpc_script *script =
        vpc_script_parse(shrink->path, text, suite->table, suite->spec, &error);
    bool fails = false;

    free(error);
    if (script == NULL)
        return false;
    shrink->tries++;
    vpc_suite_try(suite, &shrink->run, script, &result);
    fails = as_wanted(shrink, &result);
    vpc_result_clear(&result);
    good.implementation = shrink->good;
    if (fails && shrink->good) {
        vpc_suite_try(suite, &good, script, &result);
        fails = vpc_verdict_good(result.verdict);
        vpc_result_clear(&result);
    }
    vpc_script_free(script);
    return fails;
}

/* ---- lines -------------------------------------------------------------------------------------------------------- */

static bool is_setting(const char *line)
{
    return strncmp(line, "covers", 6) == 0 || strncmp(line, "subject ", 8) == 0 || *line == '#';
}

/* The first line, `covers` and `subject` stay; blank lines go at once. */
static void split(const char *text, struct lines *lines)
{
    *lines = (struct lines){0};
    while (*text) {
        size_t n = strcspn(text, "\n");

        if (n > 0) {
            lines->at = vpc_grow_by_one(lines->at, lines->count, sizeof(*lines->at));
            lines->at[lines->count++] = text;
            if (lines->head == lines->count - 1 && is_setting(text))
                lines->head = lines->count;
        }
        text += n + (text[n] == '\n');
    }
}

/* All but those from first to before last. */
static char *without(const struct lines *lines, size_t first, size_t last)
{
    struct vpc_buffer text = {0};

    for (size_t i = 0; i < lines->count; i++) {
        if (i >= first && i < last)
            continue;
        vpc_buffer_add(&text, lines->at[i], strcspn(lines->at[i], "\n"));
        vpc_buffer_add(&text, "\n", 1);
    }
    vpc_buffer_fill(&text, 0, 1);
    return (char *)text.data;
}

static void drop(struct lines *lines, size_t first, size_t last)
{
    memmove(lines->at + first, lines->at + last, (lines->count - last) * sizeof(*lines->at));
    lines->count -= last - first;
}

/* Tries to do without each piece of so many lines, from the end on, where a failing script is idle.  True if one went. */
static bool pass(struct vpc_shrink *shrink, struct lines *lines, size_t piece)
{
    bool went = false;

    for (size_t last = lines->count; last > lines->head && vpc_shrink_may_try(shrink);) {
        size_t first = last > lines->head + piece ? last - piece : lines->head;
        char *text = without(lines, first, last);

        if (shrink->progress)
            shrink->progress(shrink, lines->count);
        if (vpc_shrink_fails(shrink, text)) {
            drop(lines, first, last);
            went = true;
        }
        free(text);
        last = first;
    }
    return went;
}

char *vpc_shrink_text(struct vpc_shrink *shrink, const char *text)
{
    struct lines lines;
    size_t piece;
    char *result;

    split(text, &lines);
    piece = lines.count > lines.head ? (lines.count - lines.head + 1) / 2 : 1;
    while (pass(shrink, &lines, piece) || piece > 1)
        piece = piece > 1 ? piece / 2 : 1;
    result = without(&lines, 0, 0);
    free(lines.at);
    return vpc_shrink_numbers(shrink, result);
}
