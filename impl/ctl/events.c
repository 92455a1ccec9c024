/* SPDX-License-Identifier: MIT */
/* events: the event log for people and for programs, followed if wanted, and the catalogue's explanations. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "ctl.h"
#include "event_xml.h"
#include "log_files.h"
#include "log_line.h"
#include "output.h"
#include "trust.h"

extern const char vpc_events_json[]; /* spec/events.json, as it is */

enum {
    LOOK_AGAIN_MS = 1000, /* the log may not exist yet, or be another file by now */
};

/* ---- --explain ---------------------------------------------------------------------------------- */

static void print_colour(const struct ctl *c, const char *code)
{
    if (c->colour)
        fputs(code, stdout);
}

static void print_explanation(const struct ctl *c, json_t *kind)
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

/* By id, by name, or all of them. */
static bool is_asked(const struct ctl *c, const json_t *kind)
{
    char *end;
    long id = strtol(c->explain, &end, 10);

    if (strcmp(c->explain, "all") == 0)
        return true;
    return *end ? strcmp(json_string_value(json_object_get(kind, "name")), c->explain) == 0
                : json_integer_value(json_object_get(kind, "id")) == id;
}

static int explain(const struct ctl *c)
{
    json_t *catalogue = json_loads(vpc_events_json, 0, NULL), *kind;
    unsigned found = 0;
    size_t i;

    json_array_foreach(json_object_get(catalogue, "events"), i, kind)
    {
        if (!is_asked(c, kind))
            continue;
        found++;
        if (c->json)
            ctl_print_json(kind);
        else
            print_explanation(c, kind);
    }
    if (found == 0)
        ctl_complain(c, "there is no event %s", c->explain);
    json_decref(catalogue);
    return found ? CTL_OK : CTL_FAILED;
}

/* ---- the log -------------------------------------------------------------------------------------- */

struct reader {
    const struct ctl *c;
    const char *path;
    struct ctl_log log;
    uint64_t record;
};

static void print_line(const char *line, size_t n)
{
    vpc_print_visible(stdout, line, n);
    putchar('\n');
}

static void print_entry(struct reader *reader, const char *line, size_t n)
{
    reader->record++;
    if (reader->c->xml)
        vpc_event_xml_entry(stdout, line, n, reader->record);
    else if (reader->c->json)
        print_line(line, n);
    else
        vpc_log_line_print(stdout, line, n, reader->c->colour);
}

static void print_new_entries(struct reader *reader)
{
    const char *line;
    size_t n;

    while ((line = ctl_log_next(&reader->log, &n)) != NULL)
        print_entry(reader, line, n);
    fflush(stdout);
}

static bool open_log(struct reader *reader)
{
    int error = ctl_log_open(&reader->log);

    if (error && !(reader->c->follow && error == ENOENT))
        ctl_complain(reader->c, "the event log %s can not be read: %s (see --file)", reader->path,
                     strerror(error));
    return !error;
}

/* ---- --follow --------------------------------------------------------------------------------------- */

/* Whether there was a file that nobody watched yet. */
static bool watch_files(struct reader *reader, int watch)
{
    bool any = false;

    for (size_t i = 0; i < 2; i++) {
        struct ctl_log_file *file = &reader->log.files[i];

        if (file->was_opened)
            inotify_add_watch(watch, file->path, IN_MODIFY | IN_MOVE_SELF);
        any |= file->was_opened;
        file->was_opened = false;
    }
    return any;
}

/* Sleeps until the log may have changed; without inotify or a log, for a moment.  False: nobody reads what we print. */
static bool wait_for_change(int watch)
{
    char events[4096];
    struct pollfd p[2] = {{.fd = watch, .events = POLLIN}, {.fd = STDOUT_FILENO}};

    poll(p, 2, LOOK_AGAIN_MS);
    if (p[1].revents & (POLLERR | POLLHUP | POLLNVAL))
        return false;
    if (p[0].revents && read(watch, events, sizeof(events)) < 0)
        poll(NULL, 0, LOOK_AGAIN_MS);
    return true;
}

static void follow(struct reader *reader)
{
    int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

    while (!ferror(stdout)) {
        while (watch_files(reader, watch))
            print_new_entries(reader); /* written before it was watched */
        if (!wait_for_change(watch)) {
            raise(SIGPIPE);
            break;
        }
        print_new_entries(reader);
    }
    close(watch);
}

static int print_log(struct reader *reader)
{
    ctl_log_begin(&reader->log, reader->path);
    bool opened = open_log(reader);
    if (reader->c->xml && opened)
        vpc_event_xml_begin(stdout);
    if (opened)
        print_new_entries(reader);
    if (reader->c->follow)
        follow(reader);
    else if (reader->c->xml && opened)
        vpc_event_xml_end(stdout);
    ctl_log_end(&reader->log);
    return opened && !reader->c->follow ? CTL_OK : CTL_FAILED;
}

int ctl_events(const struct ctl *c)
{
    char root[VPC_FILE_SIZE], path[VPC_FILE_SIZE + 300];
    struct vpc_trust trust;

    if (c->explain != NULL)
        return explain(c);
    if (c->xml && (c->follow || c->json)) {
        ctl_complain(c, "--xml goes with neither --follow nor --json");
        return CTL_USAGE;
    }
    int error = vpc_runtime_dir(c->runtime_dir, root, sizeof(root));
    if (error || (c->file == NULL && (c->vm == NULL || strchr(c->vm, '/') != NULL))) {
        ctl_complain(c, "%s", error ? strerror(error) : "VM, --file or --explain is missing");
        return CTL_USAGE;
    }
    if (c->file == NULL && vpc_trust_folder(&trust, root, "log") == EPERM) {
        ctl_complain(c, "%s", trust.why);
        return CTL_FAILED;
    }
    snprintf(path, sizeof(path), "%s/log/%s.jsonl", root, c->vm != NULL ? c->vm : "");
    return print_log(&(struct reader){.c = c, .path = c->file != NULL ? c->file : path});
}
