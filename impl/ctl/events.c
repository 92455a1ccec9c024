/* SPDX-License-Identifier: MIT */
/* events: the event log for people, followed if wanted, and the catalogue's explanations. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "ctl.h"
#include "log_line.h"

extern const char vpc_events_json[]; /* spec/events.json, as it is */

enum {
    LOOK_AGAIN_MS = 1000, /* the log may not exist yet: nothing to watch then */
};

static void print_colour(const ctl *c, const char *code)
{
    if (c->colour)
        fputs(code, stdout);
}

static void print_explanation(const ctl *c, json_t *kind)
{
    static const char *const parts[] = {"message", "cause", "remedy"};
    print_colour(c, "\033[1m");
    printf("%d %s", (int)json_integer_value(json_object_get(kind, "id")),
           json_string_value(json_object_get(kind, "name")));
    print_colour(c, "\033[0m");
    printf(" (%s)\n", json_string_value(json_object_get(kind, "level")));
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        printf("  %-8s %s\n", parts[i], json_string_value(json_object_get(kind, parts[i])));
}

static int explain(const ctl *c)
{
    json_t *catalogue = json_loads(vpc_events_json, 0, NULL);
    json_t *kind, *found = NULL;
    char *end;
    size_t i;
    long id = strtol(c->explain, &end, 10);
    json_array_foreach(json_object_get(catalogue, "events"), i, kind)
    {
        const char *name = json_string_value(json_object_get(kind, "name"));
        if (*end ? name && strcmp(name, c->explain) == 0
                 : json_integer_value(json_object_get(kind, "id")) == id)
            found = kind;
    }
    if (!found)
        ctl_complain(c, "there is no event %s", c->explain);
    else if (c->json)
        ctl_print_json(found);
    else
        print_explanation(c, found);
    json_decref(catalogue);
    return found ? CTL_OK : CTL_FAILED;
}

static void print_entry(const ctl *c, const char *line, size_t n)
{
    if (c->json)
        printf("%.*s\n", (int)n, line);
    else
        vpc_log_line_print(stdout, line, n, c->colour);
}

/* Prints the whole lines from here to the end.  A line without its newline is still being written:
 * it stays. */
static void print_new_lines(const ctl *c, FILE *log)
{
    char *line = NULL;
    size_t size = 0;
    for (;;) {
        long start = ftell(log);
        ssize_t n = getline(&line, &size, log);
        if (n <= 0)
            break;
        if (line[n - 1] != '\n') {
            fseek(log, start, SEEK_SET);
            break;
        }
        print_entry(c, line, (size_t)n - 1);
    }
    clearerr(log);
    free(line);
    fflush(stdout);
}

static FILE *open_log(const ctl *c, const char *path)
{
    FILE *log = fopen(path, "re");
    if (!log && !(c->follow && errno == ENOENT))
        ctl_complain(c, "the event log %s can not be read: %s (see --file)", path, strerror(errno));
    return log;
}

/* Sleeps until the log may have changed; without inotify or a log, for a moment. */
static void wait_for_change(int watch)
{
    char events[4096];
    struct pollfd p = {.fd = watch, .events = POLLIN};
    if (poll(&p, 1, LOOK_AGAIN_MS) > 0 && read(watch, events, sizeof(events)) < 0)
        poll(NULL, 0, LOOK_AGAIN_MS);
}

static int follow(const ctl *c, const char *path, FILE *log)
{
    int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (log)
        inotify_add_watch(watch, path, IN_MODIFY);
    while (!ferror(stdout)) {
        wait_for_change(watch);
        if (!log && (log = open_log(c, path)))
            inotify_add_watch(watch, path, IN_MODIFY);
        if (log)
            print_new_lines(c, log);
    }
    if (log)
        fclose(log);
    close(watch);
    return CTL_FAILED;
}

int ctl_events(const ctl *c)
{
    char root[VPC_FILE_SIZE], path[VPC_FILE_SIZE + 300];
    if (c->explain)
        return explain(c);
    int error = vpc_runtime_dir(c->runtime_dir, root, sizeof(root));
    if (error || (!c->file && (!c->vm || strchr(c->vm, '/')))) {
        ctl_complain(c, "%s", error ? strerror(error) : "VM, --file or --explain is missing");
        return CTL_USAGE;
    }
    snprintf(path, sizeof(path), "%s/log/%s.jsonl", root, c->vm ? c->vm : "");
    const char *name = c->file ? c->file : path;
    FILE *log = open_log(c, name);
    if (log)
        print_new_lines(c, log);
    if (c->follow)
        return follow(c, name, log);
    if (log)
        fclose(log);
    return log ? CTL_OK : CTL_FAILED;
}
