/* SPDX-License-Identifier: MIT */
#include "backends/descriptor.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "document/table.h"
#include "memory.h"

struct loader {
    struct vpc_implementation *result;
    char *why; /* of the first error */
};

static int wrong(struct loader *loader, char *why)
{
    if (loader->why)
        free(why);
    else
        loader->why = why;
    return 0;
}

struct key {
    const char *section;
    const char *name;
    size_t place;
};

#define PLACE(field) offsetof(struct vpc_implementation, field)

static const struct key keys[] = {
    {"implementation", "name", PLACE(name)},    {"abi", "object", PLACE(object)},
    {"process", "command", PLACE(command)},     {"process", "option", PLACE(option)},
    {"process", "control", PLACE(control)},     {"process", "wait_ready", PLACE(wait_ready)},
    {"process", "adapter", PLACE(adapter)},     {"guest", "files", PLACE(guest_files)},
    {"guest", "command", PLACE(guest_command)}, {"pics", "features", PLACE(features)},
};

static int take_role(struct loader *loader, const char *value)
{
    if (strcmp(value, "host") == 0)
        loader->result->role = VPC_FROM_HOST;
    else if (strcmp(value, "guest") == 0)
        loader->result->role = VPC_FROM_GUEST;
    else
        return wrong(loader, vpc_format("role is \"%s\"; write host or guest", value));
    return 1;
}

static int take_pixit(struct loader *loader, const char *name, const char *value)
{
    struct vpc_implementation *result = loader->result;
    char *end;
    unsigned long long number = strtoull(value, &end, 10);

    if (!isdigit((unsigned char)*value) || *end)
        return wrong(loader, vpc_format("%s is \"%s\"; write a number", name, value));
    result->pixit = vpc_grow_by_one(result->pixit, result->pixit_count, sizeof(*result->pixit));
    result->pixit[result->pixit_count++] = (struct vpc_pixit){vpc_copy(name), number};
    return 1;
}

static int take(void *user, const char *section, const char *name, const char *value)
{
    struct loader *loader = user;

    if (strcmp(section, "implementation") == 0 && strcmp(name, "role") == 0)
        return take_role(loader, value);
    if (strcmp(section, "pixit") == 0)
        return take_pixit(loader, name, value);
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        char **place = (char **)((char *)loader->result + keys[i].place);

        if (strcmp(keys[i].section, section) != 0 || strcmp(keys[i].name, name) != 0)
            continue;
        if (*place)
            return wrong(loader, vpc_format("\"%s\" in [%s] stands there twice", name, section));
        *place = vpc_copy(value);
        return 1;
    }
    return wrong(loader, vpc_format("\"%s\" in [%s] is not known; known are name and role in "
                                    "[implementation], object in [abi], command, control, adapter, "
                                    "wait_ready and option in "
                                    "[process], files and command in [guest], features in [pics], "
                                    "and timers in [pixit]",
                                    name, section));
}

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

struct vpc_implementation *vpc_implementation_load(const char *path, char **error)
{
    struct loader loader = {.result = vpc_alloc(sizeof(struct vpc_implementation))};
    int line = ini_parse(path, take, &loader);
    const char *missing;

    loader.result->path = vpc_copy(path);
    missing = what_is_missing(loader.result);
    *error = NULL;
    if (line < 0)
        *error = vpc_format("%s: can not be read: %s", path, strerror(errno));
    else if (line > 0)
        *error =
            vpc_format("%s:%d: %s", path, line,
                       loader.why ? loader.why : "neither [section], NAME = VALUE nor comment");
    else if (missing)
        *error = vpc_format("%s:1: %s", path, missing);
    free(loader.why);
    if (*error) {
        vpc_implementation_free(loader.result);
        return NULL;
    }
    if (!loader.result->features)
        loader.result->features = vpc_copy("");
    if (!loader.result->control)
        loader.result->control = vpc_copy("%{control}");
    if (!loader.result->option)
        loader.result->option = vpc_copy("--option %{name}=%{value}");
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
    free(implementation);
}

bool vpc_implementation_has(const struct vpc_implementation *implementation, const char *feature)
{
    size_t n = strlen(feature);
    const char *at = implementation->features;

    while ((at = strstr(at, feature)) != NULL) {
        bool starts = at == implementation->features || at[-1] == ' ';

        if (starts && (at[n] == ' ' || at[n] == '\0'))
            return true;
        at += n;
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

static const char *value_of(const char *const *pairs, const char *name, size_t n)
{
    for (; *pairs; pairs += 2)
        if (strlen(*pairs) == n && strncmp(*pairs, name, n) == 0)
            return pairs[1];
    return NULL;
}

char *vpc_expand(const char *text, const char *const *pairs, const char **unknown)
{
    struct vpc_buffer out = {0};

    while (*text) {
        size_t n = strncmp(text, "%{", 2) == 0 ? strcspn(text, "}") : 0;
        const char *value = n ? value_of(pairs, text + 2, n - 2) : NULL;

        if (n && value == NULL) {
            *unknown = text;
            vpc_buffer_free(&out);
            return NULL;
        }
        vpc_buffer_add(&out, n ? value : text, n ? strlen(value) : 1);
        text += n ? n + (text[n] == '}') : 1;
    }
    vpc_buffer_fill(&out, 0, 1);
    return (char *)out.data;
}
