/* SPDX-License-Identifier: MIT */
#include "document/spec.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "document/entry.h"
#include "document/schema.h"
#include "memory.h"

static size_t id_size(const char *at)
{
    size_t letters = strspn(at, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    size_t digits = at[letters] == '-' ? strspn(at + letters + 1, "0123456789") : 0;

    return letters >= 2 && digits > 0 ? letters + 1 + digits : 0;
}

static void add_requirement(struct vpc_spec *spec, const char *id, size_t n, const char *text,
                            size_t size, const char *section)
{
    struct vpc_requirement *one;

    spec->requirements =
        vpc_grow_by_one(spec->requirements, spec->requirement_count, sizeof(*spec->requirements));
    one = &spec->requirements[spec->requirement_count++];
    one->id = vpc_copy_n(id, n);
    one->text = vpc_copy_n(text, size);
    one->must = false;
    one->section = vpc_copy_n(section, strcspn(section, "\n"));
}

static void continue_requirement(struct vpc_requirement *one, const char *text, size_t size)
{
    char *joined = vpc_format("%s %.*s", one->text, (int)size, text);

    free(one->text);
    one->text = joined;
}

static void add_settings(struct vpc_spec *spec, const char *line, size_t size)
{
    const char *value = memchr(line + 1, '|', size - 1);
    const char *at = line;

    if (value == NULL || !isdigit((unsigned char)value[2]))
        return;
    while ((at = memchr(at, '`', (size_t)(value - at))) != NULL) {
        const char *end = memchr(at + 1, '`', (size_t)(value - at - 1));

        if (end == NULL)
            return;
        spec->settings =
            vpc_grow_by_one(spec->settings, spec->setting_count, sizeof(*spec->settings));
        spec->settings[spec->setting_count++] = (struct vpc_setting){
            .name = vpc_copy_n(at + 1, (size_t)(end - at - 1)),
            .value = strtoull(value + 2, NULL, 10),
        };
        at = end + 1;
    }
}

/* One line; open tells whether the line before belongs to a requirement, limits whether section 10 is read. */
static bool take_line(struct vpc_spec *spec, const char *line, size_t size, bool open, bool limits,
                      const char *section)
{
    size_t n = size > 6 && strncmp(line, "- **", 4) == 0 ? id_size(line + 4) : 0;

    if (n > 0 && strncmp(line + 4 + n, "** ", 3) == 0) {
        add_requirement(spec, line + 4, n, line + 7 + n, size - 7 - n, section);
        return true;
    }
    if (open && size > 2 && strncmp(line, "  ", 2) == 0) {
        continue_requirement(&spec->requirements[spec->requirement_count - 1], line + 2, size - 2);
        return true;
    }
    if (limits && size > 3 && strncmp(line, "| `", 3) == 0)
        add_settings(spec, line, size);
    return false;
}

struct vpc_spec *vpc_spec_load(const char *document)
{
    struct vpc_spec *spec = vpc_alloc(sizeof(*spec));
    bool open = false, limits = false;
    const char *section = "";

    while (*document) {
        size_t size = strcspn(document, "\n");

        if (strncmp(document, "## ", 3) == 0) {
            limits = strncmp(document + 3, "10.", 3) == 0;
            section = document + 3 + strspn(document + 3, "0123456789. ");
        } else if (strncmp(document, "### ", 4) == 0 && memchr(document, '(', size) == NULL) {
            section = document + 4; /* with (N) it is the heading of one message */
        }
        open = take_line(spec, document, size, open, limits, section);
        document += size + (document[size] == '\n');
    }
    for (size_t i = 0; i < spec->requirement_count; i++)
        spec->requirements[i].must = strstr(spec->requirements[i].text, "MUST") != NULL;
    spec->catalogue = vpc_catalogue_load();
    spec->control = vpc_schema_load();
    return spec;
}

void vpc_spec_free(struct vpc_spec *spec)
{
    for (size_t i = 0; i < spec->requirement_count; i++) {
        free(spec->requirements[i].id);
        free(spec->requirements[i].text);
        free(spec->requirements[i].section);
    }
    for (size_t i = 0; i < spec->setting_count; i++)
        free(spec->settings[i].name);
    json_decref(spec->catalogue);
    vpc_schema_free(spec->control);
    free(spec->requirements);
    free(spec->settings);
    free(spec);
}

const struct vpc_requirement *vpc_spec_requirement(const struct vpc_spec *spec, const char *id)
{
    for (size_t i = 0; i < spec->requirement_count; i++)
        if (strcmp(spec->requirements[i].id, id) == 0)
            return &spec->requirements[i];
    return NULL;
}

const struct vpc_setting *vpc_spec_setting(const struct vpc_spec *spec, const char *name)
{
    for (size_t i = 0; i < spec->setting_count; i++)
        if (strcmp(spec->settings[i].name, name) == 0)
            return &spec->settings[i];
    return NULL;
}
