/* SPDX-License-Identifier: MIT */
/* What a process of the descriptor is called with: the files of an instance, and its command with placeholders filled in. */
#include <stdlib.h>

#include "backends/socket_backend.h"
#include "backends/words.h"

/* The files of an instance, as placeholders have them. */
struct names {
    char *bus, *dir, *log, *control, *monitor;
};

static struct names names_of(const struct vpc_socket_backend *self, const char *suffix)
{
    const char *dir = self->config.dir, *beside = self->config.beside ? self->config.beside : "";

    return (struct names){
        vpc_format("%s/bus%s%s", dir, beside, suffix), vpc_format("%s/run%s", dir, suffix),
        vpc_format("%s/subject%s%s.log", dir, beside, suffix),
        vpc_format("%s/control%s%s", dir, beside, suffix), vpc_format("%s/monitor", dir)};
}

static void names_free(struct names *names)
{
    free(names->bus);
    free(names->dir);
    free(names->log);
    free(names->control);
    free(names->monitor);
}

/* Takes over the error without a place. */
static void *misfit(const struct vpc_socket_backend *self, const char *key, char *why, char **error)
{
    *error = vpc_format("%s: %s in [process]: %s", self->config.implementation->path, key, why);
    free(why);
    return NULL;
}

char **vpc_socket_backend_command(struct vpc_socket_backend *self, const char *key,
                                  const char *text, const char *suffix, char *const *options,
                                  const char *seconds, char **error)
{
    static char *const none[] = {NULL};
    struct names names = names_of(self, suffix);
    const struct vpc_value values[] = {{.name = "build", .text = self->config.build},
                                       {.name = "bus", .text = names.bus},
                                       {.name = "dir", .text = names.dir},
                                       {.name = "log", .text = names.log},
                                       {.name = "control", .text = names.control},
                                       {.name = "monitor", .text = names.monitor},
                                       {.name = "vm", .text = self->config.vm},
                                       {.name = "tag", .text = self->config.tag},
                                       {.name = "options", .words = options ? options : none},
                                       {.name = "seconds", .text = seconds},
                                       {.name = NULL}};
    char *why = NULL, **words = vpc_words_fill(text, values, &why);

    names_free(&names);
    return why ? misfit(self, key, why, error) : words;
}

char *vpc_socket_backend_control_path(struct vpc_socket_backend *self, char **error)
{
    struct names names = names_of(self, "");
    const struct vpc_value values[] = {{.name = "build", .text = self->config.build},
                                       {.name = "bus", .text = names.bus},
                                       {.name = "dir", .text = names.dir},
                                       {.name = "control", .text = names.control},
                                       {.name = "vm", .text = self->config.vm},
                                       {.name = "tag", .text = self->config.tag},
                                       {.name = NULL}};
    char *why = NULL, *path = vpc_fill(self->config.implementation->control, values, &why);

    names_free(&names);
    return why ? misfit(self, "control", why, error) : path;
}

/* Where it shall be told of its machine it is told by whom too. */
static char **with_monitor(struct vpc_socket_backend *self, char **words, char **error)
{
    const char *monitor = self->config.implementation->monitor;
    char **more;

    if (words == NULL || !self->config.watched || monitor == NULL)
        return words;
    more = vpc_socket_backend_command(self, "monitor", monitor, "", NULL, "", error);
    if (more)
        words = vpc_words_join(words, (const char *const *)more);
    else
        vpc_words_free(words);
    vpc_words_free(more);
    return more ? words : NULL;
}

char **vpc_socket_backend_instance(struct vpc_socket_backend *self, const char *suffix,
                                   const struct vpc_arg *settings, size_t count, char **error)
{
    const struct vpc_implementation *implementation = self->config.implementation;
    char **options = conform_options(implementation, settings, count, error);
    char **words = options ? vpc_socket_backend_command(self, "command", implementation->command,
                                                        suffix, options, "", error)
                           : NULL;

    vpc_words_free(options);
    return with_monitor(self, words, error);
}
