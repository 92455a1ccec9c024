/* SPDX-License-Identifier: MIT */
#include "backends/descriptor.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/words.h"
#include "document/embedded.h"
#include "document/spec.h"
#include "document/table.h"
#include "files.h"
#include "memory.h"

const char *const vpc_features[] = {
    "control",        "events",      "wait-ready", "faults", "two-machines",
    "machine-events", "pipe-errors", "forwards",   "none",   NULL};

struct loader {
    struct vpc_implementation *result;
    char *section;
    char *name, *value; /* of the entry that is read; NULL: none */
    int line, begun;    /* the line that is read, and that in which the entry begins */
    char *why;          /* of the first error */
    int at;             /* its line */
};

/* The first counts. */
static void wrong(struct loader *loader, char *why)
{
    if (loader->why) {
        free(why);
        return;
    }
    loader->why = why;
    loader->at = loader->line;
}

/* ---- entries -------------------------------------------------------------------------------------------------------- */

enum form {
    TEXT,
    LIST,    /* words; it may stand several times */
    COMMAND, /* words, the first of which is a program */
};

struct key {
    const char *section;
    const char *name;
    size_t place;
    enum form form;
};

#define PLACE(field) offsetof(struct vpc_implementation, field)

static const struct key keys[] = {
    {"implementation", "name", PLACE(name), TEXT},
    {"abi", "object", PLACE(object), TEXT},
    {"process", "command", PLACE(command), COMMAND},
    {"process", "option", PLACE(option), COMMAND},
    {"process", "control", PLACE(control), TEXT},
    {"process", "wait_ready", PLACE(wait_ready), COMMAND},
    {"process", "monitor", PLACE(monitor), LIST},
    {"process", "adapter", PLACE(adapter), COMMAND},
    {"guest", "files", PLACE(guest_files), LIST},
    {"guest", "command", PLACE(guest_command), COMMAND},
    {"pics", "features", PLACE(features), LIST},
};

static void take_role(struct loader *loader, const char *value)
{
    if (loader->result->role)
        wrong(loader, vpc_copy("\"role\" in [implementation] stands there twice"));
    else if (strcmp(value, "host") == 0)
        loader->result->role = VPC_FROM_HOST;
    else if (strcmp(value, "guest") == 0)
        loader->result->role = VPC_FROM_GUEST;
    else
        wrong(loader, vpc_format("role is \"%s\"; write host or guest", value));
}

/* Settings of section 10 that are times: only those are asked for. */
static bool is_time(const char *name)
{
    size_t n = strlen(name);

    return n > 3 && strcmp(name + n - 3, "_ms") == 0;
}

/* NULL when there is such a one in [pixit], else those that there are. */
static char *known_pixit(const char *name)
{
    struct vpc_spec *spec;
    char *known;
    bool found;

    if (strcmp(name, "start_ms") == 0 || strcmp(name, "slack_ms") == 0)
        return NULL;
    spec = vpc_spec_load(vpc_embedded_document);
    found = is_time(name) && vpc_spec_setting(spec, name);
    known = found ? NULL : vpc_copy("start_ms, slack_ms");
    for (size_t i = 0; known && i < spec->setting_count; i++) {
        char *longer = known;

        if (!is_time(spec->settings[i].name))
            continue;
        known = vpc_format("%s, %s", longer, spec->settings[i].name);
        free(longer);
    }
    vpc_spec_free(spec);
    return known;
}

static void take_pixit(struct loader *loader, const char *name, const char *value)
{
    struct vpc_implementation *result = loader->result;
    char *known = known_pixit(name), *end;
    unsigned long long number;

    errno = 0;
    number = strtoull(value, &end, 10);
    if (known)
        wrong(loader, vpc_format("\"%s\" in [pixit] is not known; known are %s", name, known));
    else if (!isdigit((unsigned char)*value) || *end || errno)
        wrong(loader, vpc_format("%s is \"%s\"; write a number", name, value));
    else if (vpc_implementation_pixit(result, name, UINT64_MAX) != UINT64_MAX)
        wrong(loader, vpc_format("\"%s\" in [pixit] stands there twice", name));
    free(known);
    if (loader->why)
        return;
    result->pixit = vpc_grow_by_one(result->pixit, result->pixit_count, sizeof(*result->pixit));
    result->pixit[result->pixit_count++] = (struct vpc_pixit){vpc_copy(name), number};
}

char *vpc_features_wrong(const char *list)
{
    char *error = NULL, **words = vpc_words_split(list, &error);

    for (size_t i = 0; words && words[i] && !error; i++) {
        size_t known = 0;

        while (vpc_features[known] && strcmp(vpc_features[known], words[i]) != 0)
            known++;
        if (vpc_features[known] == NULL)
            error = vpc_format("the feature \"%s\" is not known; known are control (a control "
                               "socket), events (its event stream), wait-ready (a program that "
                               "waits for the ready event), faults (faults on demand), "
                               "two-machines (of two virtual machines at once), "
                               "machine-events (a host endpoint is told of its machine), "
                               "pipe-errors (a pipe that was "
                               "broken off is an error to its client), none",
                               words[i]);
    }
    vpc_words_free(words);
    return error;
}

static void take_key(struct loader *loader, const struct key *key, const char *value)
{
    char **place = (char **)((char *)loader->result + key->place), *old = *place, *error = NULL;
    char **words = key->form == TEXT ? NULL : vpc_words_split(value, &error);

    if (error == NULL && key->form == COMMAND && words[0] == NULL)
        error = vpc_format("\"%s\" in [%s] names no program", key->name, key->section);
    if (error == NULL && key->place == PLACE(features))
        error = vpc_features_wrong(value);
    if (error == NULL && old && key->form != LIST)
        error = vpc_format("\"%s\" in [%s] stands there twice", key->name, key->section);
    vpc_words_free(words);
    if (error) {
        wrong(loader, error);
        return;
    }
    *place = old ? vpc_format("%s %s", old, value) : vpc_copy(value);
    free(old);
}

static void take_entry(struct loader *loader)
{
    const char *section = loader->section ? loader->section : "", *name = loader->name;

    if (strcmp(section, "implementation") == 0 && strcmp(name, "role") == 0) {
        take_role(loader, loader->value);
        return;
    }
    if (strcmp(section, "pixit") == 0) {
        take_pixit(loader, name, loader->value);
        return;
    }
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (strcmp(keys[i].section, section) != 0 || strcmp(keys[i].name, name) != 0)
            continue;
        take_key(loader, &keys[i], loader->value);
        return;
    }
    wrong(loader,
          vpc_format(
              "\"%s\" in [%s] is not known; known are name and role in "
              "[implementation], object in [abi], command, control, adapter, "
              "wait_ready, monitor and option in [process], files and command in [guest], features "
              "in [pics], and times in [pixit]",
              name, section));
}

/* ---- lines ---------------------------------------------------------------------------------------------------------- */

/* What is wrong with an entry is said of the line in which it begins. */
static void end_entry(struct loader *loader)
{
    int line = loader->line;

    if (loader->name == NULL)
        return;
    loader->line = loader->begun;
    take_entry(loader);
    loader->line = line;
    free(loader->name);
    free(loader->value);
    loader->name = loader->value = NULL;
}

/* Without the spaces around it, and what begins with a space and a semicolon. */
static char *bare(const char *text, size_t n)
{
    size_t from = 0;

    for (size_t i = 1; i < n; i++)
        if (text[i] == ';' && isspace((unsigned char)text[i - 1]))
            n = i;
    while (from < n && isspace((unsigned char)text[from]))
        from++;
    while (n > from && isspace((unsigned char)text[n - 1]))
        n--;
    return vpc_copy_n(text + from, n - from);
}

static void take_section(struct loader *loader, const char *line)
{
    const char *end = strchr(line, ']');

    if (end == NULL) {
        wrong(loader, vpc_copy("the name of a section ends with ]"));
        return;
    }
    free(loader->section);
    loader->section = bare(line + 1, (size_t)(end - line) - 1);
}

static void begin_entry(struct loader *loader, const char *line)
{
    const char *equals = strchr(line, '=');

    if (equals == NULL || equals == line) {
        wrong(loader, vpc_copy("neither [section], NAME = VALUE nor comment"));
        return;
    }
    loader->begun = loader->line;
    loader->name = bare(line, (size_t)(equals - line));
    loader->value = bare(equals + 1, strlen(equals + 1));
}

static void continue_entry(struct loader *loader, const char *line)
{
    char *more = bare(line, strlen(line)), *value = loader->value;

    loader->value = vpc_format("%s%s%s", value, *value && *more ? " " : "", more);
    free(value);
    free(more);
}

static void take_line(struct loader *loader, const char *line)
{
    const char *text = line + strspn(line, " \t\r");

    if (*text == '\0' || *text == ';' || *text == '#')
        return;
    if (text > line && loader->name) {
        continue_entry(loader, line);
        return;
    }
    end_entry(loader);
    if (*text == '[')
        take_section(loader, text);
    else
        begin_entry(loader, text);
}

/* False with errno when the file can not be read. */
static bool read_lines(struct loader *loader, const char *path)
{
    static const char mark[] = "\xef\xbb\xbf"; /* some editors begin a file with it */
    FILE *file = vpc_file_open(path);
    char *line = NULL;
    size_t room = 0;
    bool good = file != NULL;

    while (good && loader->why == NULL && (errno = 0, getline(&line, &room, file) >= 0)) {
        bool marked = loader->line++ == 0 && strncmp(line, mark, 3) == 0;

        line[strcspn(line, "\n")] = '\0';
        take_line(loader, marked ? line + 3 : line);
    }
    good = good && errno == 0 && !ferror(file);
    if (good && loader->why == NULL)
        end_entry(loader);
    free(line);
    if (file && fclose(file) != 0)
        good = false;
    return good;
}

/* ---- the whole ------------------------------------------------------------------------------------------------------ */

static const char *what_is_missing(const struct vpc_implementation *result)
{
    if (result->name == NULL)
        return "name in [implementation] is missing";
    if (result->role == 0)
        return "role in [implementation] is missing";
    if (!result->object && !result->command && !result->guest_command)
        return "nothing says how to run it: object in [abi], or command in [process] or [guest]";
    return NULL;
}

static void set_default(char **place, const char *value)
{
    if (*place == NULL)
        *place = vpc_copy(value);
}

/* NULL with errno when there is no such file. */
static char *folder_of(const char *path)
{
    char *real = realpath(path, NULL), *slash = real ? strrchr(real, '/') : NULL;

    if (slash)
        slash[slash == real] = '\0';
    return real;
}

static char *what_is_wrong(struct loader *loader, const char *path)
{
    const char *missing;

    loader->result->folder = folder_of(path);
    if (loader->result->folder == NULL || !read_lines(loader, path))
        return vpc_format("%s: can not be read: %s", path, vpc_file_words(errno));
    if (loader->why)
        return vpc_format("%s:%d: %s", path, loader->at, loader->why);
    missing = what_is_missing(loader->result);
    return missing ? vpc_format("%s:1: %s", path, missing) : NULL;
}

struct vpc_implementation *vpc_implementation_load(const char *path, char **error)
{
    struct loader loader = {.result = vpc_alloc(sizeof(struct vpc_implementation))};

    loader.result->path = vpc_copy(path);
    *error = what_is_wrong(&loader, path);
    free(loader.section);
    free(loader.name);
    free(loader.value);
    free(loader.why);
    if (*error) {
        vpc_implementation_free(loader.result);
        return NULL;
    }
    set_default(&loader.result->features, "");
    set_default(&loader.result->control, "%{control}");
    set_default(&loader.result->option, "--option %{name}=%{value}");
    return loader.result;
}

void vpc_implementation_free(struct vpc_implementation *implementation)
{
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        free(*(char **)((char *)implementation + keys[i].place));
    for (size_t i = 0; i < implementation->pixit_count; i++)
        free(implementation->pixit[i].name);
    free(implementation->pixit);
    free(implementation->path);
    free(implementation->folder);
    free(implementation);
}

bool vpc_implementation_has(const struct vpc_implementation *implementation, const char *feature)
{
    size_t n = strlen(feature), size;

    for (const char *at = implementation->features; *at; at += size + strspn(at + size, " ")) {
        size = strcspn(at, " ");
        if (size == n && strncmp(at, feature, n) == 0)
            return true;
    }
    return false;
}

uint64_t vpc_implementation_pixit(const struct vpc_implementation *implementation, const char *name,
                                  uint64_t otherwise)
{
    for (size_t i = 0; i < implementation->pixit_count; i++)
        if (strcmp(implementation->pixit[i].name, name) == 0)
            return implementation->pixit[i].value;
    return otherwise;
}

char *vpc_implementation_path(const struct vpc_implementation *implementation, const char *path)
{
    return *path == '/' ? vpc_copy(path) : vpc_format("%s/%s", implementation->folder, path);
}

char *vpc_implementation_object(const struct vpc_implementation *implementation, const char *build,
                                char **error)
{
    const struct vpc_value values[] = {{.name = "build", .text = build}, {.name = NULL}};
    char *why = NULL, *path, *absolute;

    if (implementation->object == NULL) {
        *error = vpc_format("%s: object in [abi] is missing", implementation->path);
        return NULL;
    }
    path = vpc_fill(implementation->object, values, &why);
    absolute = path ? vpc_implementation_path(implementation, path) : NULL;
    if (why)
        *error = vpc_format("%s: object in [abi]: %s", implementation->path, why);
    free(path);
    free(why);
    return absolute;
}
