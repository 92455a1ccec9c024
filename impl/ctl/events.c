/* SPDX-License-Identifier: MIT */
/* events: the event log for people and for programs, followed if wanted, and the catalogue's explanations. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl.h"
#include "event_xml.h"
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
    FILE *log; /* NULL: it can not be read now */
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

/* Prints the whole lines from here to the end.  A line without its newline is still being written: it stays. */
static void print_new_lines(struct reader *reader)
{
    char *line = NULL;
    size_t size = 0;

    for (;;) {
        long start = ftell(reader->log);
        ssize_t n = getline(&line, &size, reader->log);

        if (n <= 0)
            break;
        if (line[n - 1] != '\n') {
            fseek(reader->log, start, SEEK_SET);
            break;
        }
        print_entry(reader, line, (size_t)n - 1);
    }
    clearerr(reader->log);
    free(line);
    fflush(stdout);
}

static void open_log(struct reader *reader)
{
    struct vpc_trust trust = {0};

    reader->log = fopen(reader->path, "re");
    if (reader->log != NULL || (reader->c->follow && errno == ENOENT))
        return;
    int error = errno;
    if (error == EACCES)
        vpc_trust_closed(&trust, reader->path);
    ctl_complain(reader->c, "the event log %s can not be read: %s (see --file)", reader->path,
                 *trust.why ? trust.why : strerror(error));
}

/* ---- --follow --------------------------------------------------------------------------------------- */

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

/* Another file has the log's name, or the log was cut: log rotation. */
static bool was_replaced(const struct reader *reader)
{
    struct stat ours, named;

    if (fstat(fileno(reader->log), &ours) != 0 || stat(reader->path, &named) != 0)
        return false; /* gone: what comes in its place is seen when it is there */
    return ours.st_ino != named.st_ino || ours.st_dev != named.st_dev ||
           ours.st_size < ftell(reader->log);
}

static int follow(struct reader *reader)
{
    int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

    if (reader->log != NULL)
        inotify_add_watch(watch, reader->path, IN_MODIFY);
    while (!ferror(stdout)) {
        if (!wait_for_change(watch)) {
            raise(SIGPIPE);
            break;
        }
        if (reader->log != NULL && was_replaced(reader)) {
            print_new_lines(reader);
            fclose(reader->log);
            reader->log = NULL;
        }
        if (reader->log == NULL) {
            open_log(reader);
            inotify_add_watch(watch, reader->path, IN_MODIFY);
        }
        if (reader->log != NULL)
            print_new_lines(reader);
    }
    if (reader->log != NULL)
        fclose(reader->log);
    close(watch);
    return CTL_FAILED;
}

static int print_log(struct reader *reader)
{
    open_log(reader);
    if (reader->c->xml && reader->log != NULL)
        vpc_event_xml_begin(stdout);
    if (reader->log != NULL)
        print_new_lines(reader);
    if (reader->c->follow)
        return follow(reader);
    if (reader->log == NULL)
        return CTL_FAILED;
    if (reader->c->xml)
        vpc_event_xml_end(stdout);
    fclose(reader->log);
    return CTL_OK;
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
