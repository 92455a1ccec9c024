/* SPDX-License-Identifier: MIT */
/* LANGUAGE.md and the editor's file say what steps.def says: no form without a place in them, no word of theirs too many. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "document/embedded.h"
#include "document/table.h"
#include "memory.h"
#include "script/script_forms.h"

#define FORMS_MAX 200

TestSuite(language, .timeout = 10);

static char *whole_file(const char *path)
{
    FILE *file = fopen(path, "re");
    char *text = NULL;
    size_t room = 0;

    cr_assert_not_null(file, "%s", path);
    cr_assert_gt(getdelim(&text, &room, '\0', file), 0);
    fclose(file);
    return text;
}

static size_t index_of(const struct vpc_form *form)
{
    size_t i = 0;

    while (vpc_form_at(i) != form)
        i++;
    return i;
}

/* ---- LANGUAGE.md -------------------------------------------------------------------------------------------------------- */

/* A word of a line may be written as `a\|b`: both are tried. */
static void see_alternatives(struct vpc_line *line, const char *shown, bool seen[FORMS_MAX])
{
    char *words = line->arg_count ? line->args[0].value : NULL, *rest = words;

    do {
        const struct vpc_form *form;
        char *bar = rest ? strstr(rest, "\\|") : NULL;

        if (bar)
            *bar = '\0';
        if (line->arg_count)
            line->args[0].value = rest;
        form = vpc_form_of(line);
        cr_expect_not_null(form, "LANGUAGE.md has a step that there is not: %s", shown);
        if (form)
            seen[index_of(form)] = true;
        rest = bar ? bar + 2 : NULL;
    } while (rest);
    if (line->arg_count)
        line->args[0].value = words;
}

/* The words with which a line begins; what stands for a value, or may be left out, is not the grammar's. */
static size_t plain_part(const char *text, size_t size)
{
    size_t at = 0, end = 0;

    while (at < size) {
        size_t n = 0;

        while (at + n < size && text[at + n] != ' ')
            n++;
        if (text[at] == '[' || memchr(text + at, '=', n))
            break;
        end = at + n;
        at = end + 1;
    }
    return end;
}

static void see_span(const char *text, size_t size, bool seen[FORMS_MAX])
{
    char *shown = vpc_format("%.*s\n", (int)plain_part(text, size), text);
    struct vpc_line line;
    const char *expected;
    int column;

    cr_expect(vpc_line_parse(shown, strlen(shown), &line, &column, &expected), "%s: %s", shown,
              expected ? expected : "a word");
    if (line.who)
        see_alternatives(&line, shown, seen);
    vpc_line_clear(&line);
    free(shown);
}

/* What stands in backquotes in the first cell of a table's row. */
static void see_row(const char *row, bool seen[FORMS_MAX])
{
    const char *end = strstr(row, " | "), *open = strchr(row, '`');

    while (open && end && open < end) {
        const char *shut = strchr(open + 1, '`');

        see_span(open + 1, (size_t)(shut - open - 1), seen);
        open = strchr(shut + 1, '`');
    }
}

/* The rows of the chapters that tell of lines. */
static void see_chapters(const char *text, bool seen[FORMS_MAX])
{
    static const char *const chapters[] = {"## Settings\n", "## Steps\n", "## Blocks\n"};
    bool inside = false;

    for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        if (strncmp(line, "## ", 3) == 0) {
            inside = false;
            for (size_t i = 0; i < 3; i++)
                inside |= strncmp(line, chapters[i], strlen(chapters[i])) == 0;
        }
        if (inside && strncmp(line, "| `", 3) == 0)
            see_row(line + 1, seen);
    }
}

Test(language, the_manual_has_every_form_and_no_other)
{
    char *text = whole_file(VPC_MANUAL);
    const struct vpc_form *form;
    bool seen[FORMS_MAX] = {false};

    see_chapters(text, seen);
    for (size_t i = 0; (form = vpc_form_at(i)) != NULL; i++)
        cr_expect(seen[i], "LANGUAGE.md does not tell of: %s %c %s", form->who,
                  form->direction ? form->direction : ' ', form->verb ? form->verb : form->words);
    free(text);
}

/* ---- the editor's file -------------------------------------------------------------------------------------------------- */

static bool is_message(const struct vpc_table *table, const char *word)
{
    return vpc_table_by_name(table, word) != NULL;
}

static bool is_who(enum vpc_form_kind kind, const char *word)
{
    const struct vpc_form *form;

    for (size_t i = 0; (form = vpc_form_at(i)) != NULL; i++)
        if (form->kind == kind && strcmp(form->who, word) == 0)
            return true;
    return false;
}

static bool is_verb(const char *word)
{
    const struct vpc_form *form;

    for (size_t i = 0; (form = vpc_form_at(i)) != NULL; i++)
        if (form->verb && strcmp(form->verb, word) == 0)
            return true;
    for (size_t i = 0; vpc_vm_words[i]; i++)
        if (strcmp(vpc_vm_words[i], word) == 0)
            return true;
    return false;
}

static bool belongs(const struct vpc_table *table, const char *group, const char *word)
{
    if (strcmp(group, "vpcsSetting") == 0)
        return is_who(VPC_KIND_SETTING, word);
    if (strcmp(group, "vpcsBlock") == 0)
        return is_who(VPC_KIND_BLOCK, word);
    if (strcmp(group, "vpcsStep") == 0)
        return is_who(VPC_KIND_STEP, word);
    if (strcmp(group, "vpcsVerb") == 0)
        return is_verb(word);
    return strcmp(group, "vpcsMessage") != 0 || is_message(table, word);
}

/* The groups of `syn keyword GROUP WORD...`, each word of which must belong there; *words gets all, each between spaces. */
static void read_groups(char *text, const struct vpc_table *table, struct vpc_buffer *words)
{
    char *rest, *within;

    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        const char *group;

        if (strncmp(line, "syn keyword ", 12) != 0)
            continue;
        group = strtok_r(line + 12, " ", &within);
        for (char *word; (word = strtok_r(NULL, " ", &within));) {
            char *spaced = vpc_format(" %s:%s ", group, word);

            cr_expect(belongs(table, group, word), "%s: %s", group, word);
            vpc_buffer_add(words, spaced, strlen(spaced));
            free(spaced);
        }
    }
    vpc_buffer_add(words, "", 1);
}

static bool has(const struct vpc_buffer *words, const char *group, const char *word)
{
    char *spaced = vpc_format(" %s:%s ", group, word);
    bool found = strstr((const char *)words->data, spaced) != NULL;

    free(spaced);
    return found;
}

static void expect_messages(const struct vpc_buffer *words, const struct vpc_table *table)
{
    for (size_t i = 0; i < table->message_count; i++) {
        char name[32] = "";

        for (size_t k = 0; table->messages[i].name[k] && k < sizeof(name) - 1; k++)
            name[k] = (char)(table->messages[i].name[k] | 0x20);
        cr_expect(has(words, "vpcsMessage", name), "%s", name);
    }
}

Test(language, the_editor_has_every_word_and_no_other)
{
    static const char *const groups[] = {[VPC_KIND_SETTING] = "vpcsSetting",
                                         [VPC_KIND_BLOCK] = "vpcsBlock",
                                         [VPC_KIND_STEP] = "vpcsStep"};
    char *text = whole_file(VPC_EDITOR "/vpcs.vim"), *error = NULL;
    struct vpc_table *table = vpc_table_load(vpc_embedded_messages, &error);
    struct vpc_buffer words = {0};
    const struct vpc_form *form;

    read_groups(text, table, &words);
    for (size_t i = 0; (form = vpc_form_at(i)) != NULL; i++) {
        cr_expect(!*form->who || has(&words, groups[form->kind], form->who) ||
                      has(&words, "vpcsSetting", form->who),
                  "%s: %s", groups[form->kind], form->who);
        cr_expect(form->verb == NULL || has(&words, "vpcsVerb", form->verb), "%s", form->verb);
    }
    for (size_t i = 0; vpc_vm_words[i]; i++)
        cr_expect(has(&words, "vpcsVerb", vpc_vm_words[i]), "%s", vpc_vm_words[i]);
    expect_messages(&words, table);
    vpc_buffer_free(&words);
    vpc_table_free(table);
    free(text);
}
