/* SPDX-License-Identifier: MIT */
#include "generate/generate.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "chance.h"
#include "files.h"
#include "memory.h"

/* Makes the folder and those above it, as far as they are missing. */
static bool make_dirs(const char *path)
{
    char *copy = vpc_copy(path);
    bool good = true;

    for (char *at = copy + 1; good && *at; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        good = mkdir(copy, 0777) == 0 || errno == EEXIST;
        *at = '/';
    }
    good = good && (mkdir(copy, 0777) == 0 || errno == EEXIST);
    free(copy);
    return good;
}

static void fail(struct vpc_generator *generator, const char *what, const char *path)
{
    if (generator->error == NULL)
        generator->error = vpc_format("%s: can not be %s: %s", path, what, vpc_file_words(errno));
}

bool vpc_gen_begin(struct vpc_generator *generator, bool host, const char *topic, const char *name,
                   const char *title, const char *covers)
{
    const char *role = host ? "host" : "guest";
    char *folder = vpc_format("%s/%s/%s", generator->dir, role, topic);
    char *path = vpc_format("%s/%s-%s.vpcs", folder, name, role);

    generator->host = host;
    if (generator->error == NULL && !make_dirs(folder))
        fail(generator, "made", folder);
    if (generator->error == NULL && (generator->file = vpc_file_create(path)) == NULL)
        fail(generator, "written", path);
    free(folder);
    free(path);
    if (generator->error)
        return false;
    vpc_gen(generator, "# %s\ncovers %s\nsubject %s\n", title, covers, role);
    return true;
}

void vpc_gen(struct vpc_generator *generator, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vfprintf(generator->file, format, args);
    va_end(args);
}

void vpc_gen_end(struct vpc_generator *generator)
{
    if (!vpc_file_close(generator->file))
        fail(generator, "written", generator->dir);
    generator->file = NULL;
    generator->count++;
}

uint64_t vpc_gen_random(struct vpc_generator *generator, uint64_t below)
{
    return vpc_draw(&generator->random) % below;
}

const char *vpc_gen_lower(const char *name, char small[16])
{
    size_t i = 0;

    for (; name[i] && i < 15; i++)
        small[i] = (char)tolower((unsigned char)name[i]);
    small[i] = '\0';
    return small;
}

bool vpc_generate(const struct vpc_table *table, const char *dir, uint64_t seed, size_t *count,
                  char **error)
{
    struct vpc_generator generator = {.table = table, .dir = dir, .seed = seed, .random = seed};

    vpc_gen_session(&generator);
    vpc_gen_channels(&generator);
    vpc_gen_frames(&generator);
    vpc_gen_talks(&generator);
    *count = generator.count;
    *error = generator.error;
    return generator.error == NULL;
}
