/* SPDX-License-Identifier: MIT */
/* See expect.h. */
#include "verdicts/expect.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "memory.h"

#define BLANK " \t\r\n"

struct loader {
    struct vpc_expectations *all;
    const char *path;
    int line;
    char *implementation; /* of the section */
};

static char *word(char **at)
{
    char *start = *at + strspn(*at, BLANK);
    size_t n = strcspn(start, BLANK);

    *at = start + n + (start[n] != '\0');
    start[n] = '\0';
    return start;
}

static char *rest(char *at)
{
    size_t n;

    at += strspn(at, BLANK);
    n = strlen(at);
    while (n > 0 && strchr(BLANK, at[n - 1]))
        n--;
    at[n] = '\0';
    return at;
}

static bool take_section(struct loader *loader, char *line, char **error)
{
    size_t n = strlen(line);

    if (n < 3 || line[n - 1] != ']') {
        *error =
            vpc_format("%s:%d: expected [NAME] of an implementation", loader->path, loader->line);
        return false;
    }
    free(loader->implementation);
    loader->implementation = vpc_copy_n(line + 1, n - 2);
    return true;
}

static bool take_line(struct loader *loader, char *line, char **error)
{
    struct vpc_expectations *all = loader->all;
    char *name = word(&line), *verdict = word(&line), *reason = rest(line);
    struct vpc_expectation *one;
    enum vpc_verdict which;

    if (!vpc_verdict_of(verdict, &which))
        *error = vpc_format("%s:%d: expected SCENARIO VERDICT REASON, where VERDICT is pass, "
                            "non-strict, fail, inconclusive, not-supported or harness-error",
                            loader->path, loader->line);
    else if (*reason == '\0')
        *error =
            vpc_format("%s:%d: expected a reason behind the verdict", loader->path, loader->line);
    if (*error)
        return false;
    all->list = vpc_grow_by_one(all->list, all->count, sizeof(*all->list));
    one = &all->list[all->count++];
    *one = (struct vpc_expectation){.scenario = vpc_copy(name),
                                    .implementation = vpc_copy(loader->implementation),
                                    .verdict = which,
                                    .reason = vpc_copy(reason),
                                    .place = vpc_format("%s:%d", loader->path, loader->line)};
    return true;
}

bool vpc_expectations_load(struct vpc_expectations *all, const char *path, char **error)
{
    struct loader loader = {.all = all, .path = path};
    FILE *file = vpc_file_open(path);
    char *line = NULL;
    size_t room = 0;
    bool good = file != NULL;

    while (good && getline(&line, &room, file) >= 0) {
        char *text = rest(line);

        loader.line++;
        if (*text == '[')
            good = take_section(&loader, text, error);
        else if (*text != '\0' && *text != '#')
            good = take_line(&loader, text, error);
    }
    if (file == NULL || (good && ferror(file))) {
        *error = vpc_format("%s: can not be read: %s", path, vpc_file_words(errno));
        good = false;
    }
    if (file)
        fclose(file);
    free(line);
    free(loader.implementation);
    return good;
}

struct vpc_expectation *vpc_expectation_of(const struct vpc_expectations *all, const char *scenario,
                                           const char *implementation)
{
    for (size_t i = all->count; i > 0; i--) {
        struct vpc_expectation *one = &all->list[i - 1];

        if (one->implementation && strcmp(one->implementation, implementation) != 0)
            continue;
        if (fnmatch(one->scenario, scenario, 0) == 0)
            return one;
    }
    return NULL;
}

void vpc_expectations_free(struct vpc_expectations *all)
{
    for (size_t i = 0; i < all->count; i++) {
        free(all->list[i].scenario);
        free(all->list[i].implementation);
        free(all->list[i].reason);
        free(all->list[i].place);
    }
    free(all->list);
    *all = (struct vpc_expectations){0};
}
