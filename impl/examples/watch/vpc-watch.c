/* SPDX-License-Identifier: MIT */
/*
 * On the host: shows the disks, the load and the files of a virtual machine as its vpc-watchd reports them, keeps
 * a log, and ends when something crosses a threshold.
 */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../talk/channel.h"
#include "view.h"

enum {
    EXIT_CROSSED = 1,
    EXIT_USAGE = 2,
    EXIT_AWAY = 3,
    LOST = -1, /* no exit status: the guest has gone */
    EVERY = 5,
    LIMIT_MS = 60000,
};

struct watch {
    struct channel_goal goal;
    struct view view;
    struct report report;
    const char *log;
    unsigned long every, count; /* count: 0 for no end */
    struct talk talk;
};

/* ---- the talk -------------------------------------------------------------------------------- */

static int lost(const struct watch *w, const char *why)
{
    view_state(&w->view, w->report.vm, "away", why);
    return LOST;
}

static int ask(const struct watch *w)
{
    int fd = w->talk.fd;
    int result =
        talk_say(fd, &watch_question, 'e', (uint64_t[]){w->every}, NULL, 0, WATCH_LIMIT_MS);

    for (unsigned i = 0; i < w->report.count && result == 0; i++) {
        const struct item *item = &w->report.items[i];

        result = talk_say(fd, &watch_question, item->kind, NULL, item->path, strlen(item->path),
                          WATCH_LIMIT_MS);
    }
    return result == 0 ? talk_say(fd, &watch_question, 'g', NULL, NULL, 0, WATCH_LIMIT_MS) : result;
}

/* What the guest says of one disk or file; false when it was not asked. */
static bool take_item(struct watch *w, const struct talk_message *message)
{
    if (message->numbers[0] >= w->report.count)
        return false;
    struct item *item = &w->report.items[message->numbers[0]];

    if (message->kind != 'x' && message->kind != item->kind)
        return false;
    item->error = 0;
    if (message->kind == 'x')
        item->error =
            message->numbers[1] > 0 && message->numbers[1] < 4096 ? (int)message->numbers[1] : EIO;
    else if (message->kind == 'f')
        item->present = message->numbers[1] != 0;
    else {
        item->size = message->numbers[1];
        item->free = message->numbers[2];
    }
    return true;
}

/* What can't be looked at does not keep its rule. */
static bool crosses(const struct item *item)
{
    switch (item->rule) {
    case RULE_NONE:
        return false;
    case RULE_FREE_PERCENT:
        return item->error || view_percent(item) < item->least;
    case RULE_FREE_OCTETS:
        return item->error || (double)item->free < item->least;
    case RULE_PRESENT:
        return item->error || !item->present;
    case RULE_ABSENT:
        return item->error || item->present;
    }
    return true;
}

static bool judge(struct report *report)
{
    bool crossed = report->max_load >= 0 && report->load[0] > report->max_load;

    report->load_crossed = crossed;
    for (unsigned i = 0; i < report->count; i++) {
        report->items[i].crossed = crosses(&report->items[i]);
        crossed = crossed || report->items[i].crossed;
    }
    return crossed;
}

static void say_crossed(const struct report *report)
{
    if (report->load_crossed)
        fprintf(stderr, "vpc-watch: %s: the load %.2f is above %g\n", report->vm, report->load[0],
                report->max_load);
    for (unsigned i = 0; i < report->count; i++) {
        const struct item *item = &report->items[i];

        if (item->crossed)
            fprintf(stderr, "vpc-watch: %s: %s is %s\n", report->vm, item->path,
                    item->error         ? strerror(item->error)
                    : item->kind == 'd' ? "too full"
                    : item->present     ? "present"
                                        : "absent");
    }
}

/* Each of these answers an exit status, LOST, or that it goes on. */
enum {
    GO_ON = -2,
};

static int take_report(struct watch *w)
{
    bool crossed = judge(&w->report);

    view_report(&w->view, &w->report);
    if (w->view.log != NULL && ferror(w->view.log)) {
        fprintf(stderr, "vpc-watch: the log %s can not be written: %s\n", w->log, strerror(errno));
        return EXIT_AWAY;
    }
    if (crossed) {
        say_crossed(&w->report);
        return EXIT_CROSSED;
    }
    return w->count > 0 && --w->count == 0 ? 0 : GO_ON;
}

static int take(struct watch *w, const struct talk_message *message)
{
    switch (message->kind) {
    case 'h':
        if (message->numbers[0] == WATCH_VERSION)
            return GO_ON;
        fprintf(stderr, "vpc-watch: %s: its vpc-watchd is of another version\n", w->report.vm);
        return EXIT_AWAY;
    case 'l':
        for (int i = 0; i < 3; i++)
            w->report.load[i] = (double)message->numbers[i] / 100;
        return GO_ON;
    case 'e':
        return take_report(w);
    default:
        return take_item(w, message) ? GO_ON : lost(w, "the guest told what was not asked");
    }
}

static int session(struct watch *w, int fd)
{
    int64_t limit = (int64_t)w->every * 3000 + WATCH_LIMIT_MS;
    int status = GO_ON;

    talk_begin(&w->talk, fd, &watch_answer);
    while (status == GO_ON) {
        int heard = talk_next(&w->talk, limit);

        if (heard == 0)
            return lost(w, "the guest's program has ended the channel");
        if (heard < 0)
            return lost(w, errno == EPROTO ? "the guest said what is no report" : strerror(errno));
        status = take(w, &w->talk.message);
        if (w->talk.message.kind == 'h' && status == GO_ON && ask(w) != 0)
            return lost(w, strerror(errno));
    }
    return status;
}

static int watch(struct watch *w)
{
    char why[CHANNEL_WHY_SIZE];

    for (bool again = false;; again = true) {
        int fd = channel_open(&w->goal, why);

        if (fd < 0) {
            view_state(&w->view, w->report.vm, "away", why);
            fprintf(stderr, "vpc-watch: %s: %s\n", w->report.vm, why);
            return EXIT_AWAY;
        }
        if (again)
            view_state(&w->view, w->report.vm, "back", NULL);
        int status = session(w, fd);
        close(fd);
        if (status != LOST)
            return status;
        sleep(1); /* one that ends each channel at once is not asked at once again */
    }
}

/* ---- the command line -------------------------------------------------------------------------------- */

static int usage(int status)
{
    fputs("usage: vpc-watch VM [OPTION]...\n"
          "Shows the load, disks and files of a virtual machine in which vpc-watchd runs.\n"
          "  --disk PATH           show how much is free where PATH is\n"
          "  --file PATH           show whether PATH is there\n"
          "  --max-load N          end with status 1 when the load of a minute is above N\n"
          "  --min-free PATH=N     the same when less than N octets are free: 10%, 500M, 2G\n"
          "  --present PATH        the same when PATH is not there\n"
          "  --absent PATH         the same when it is\n"
          "  --every SECONDS       from report to report (5)\n"
          "  --count N             end with status 0 after N reports\n"
          "  --log FILE            add each report to FILE\n"
          "  --json                print JSON, an object a line\n"
          "  --timeout SECONDS     how long the guest may be away (60)\n"
          "  --port PORT           of vpc-watchd (" WATCH_PORT ")\n"
          "  --runtime-dir DIR     of the host endpoint\n",
          status == 0 ? stdout : stderr);
    return status;
}

static bool whole_number(const char *text, unsigned long most, unsigned long *number)
{
    char *end;

    *number = strtoul(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0' && *number > 0 && *number <= most;
}

/* A path goes over the channel and to a terminal: no controls, and UTF-8 for JSON. */
static bool good_path(const char *path, size_t size)
{
    json_t *text = size > 0 && size <= WATCH_PATH_MAX ? json_stringn(path, size) : NULL;
    bool good = text != NULL && *path == '/';

    for (size_t i = 0; i < size; i++)
        good = good && (unsigned char)path[i] >= 0x20 && path[i] != 0x7f;
    json_decref(text);
    return good;
}

static struct item *add(struct watch *w, char kind, const char *path, size_t size)
{
    struct item *item = &w->report.items[w->report.count];

    if (w->report.count == WATCH_ITEMS_MAX || !good_path(path, size))
        return NULL;
    w->report.count++;
    item->kind = kind;
    memcpy(item->path, path, size);
    return item;
}

static bool add_file(struct watch *w, const char *path, enum rule rule)
{
    struct item *item = add(w, 'f', path, strlen(path));

    if (item != NULL)
        item->rule = rule;
    return item != NULL;
}

/* 10%, 500M, 4096 */
static bool take_least(struct item *item, const char *text)
{
    static const char units[] = "KMGT";
    char *end;

    item->least = strtod(text, &end);
    const char *unit = *end != '\0' ? strchr(units, *end) : NULL;

    item->rule = *end == '%' ? RULE_FREE_PERCENT : RULE_FREE_OCTETS;
    for (ptrdiff_t i = unit != NULL ? unit - units : -1; i >= 0; i--)
        item->least *= 1024;
    return *text >= '0' && *text <= '9' &&
           (*end == '\0' || (end[1] == '\0' && strchr("%KMGT", *end) != NULL));
}

static bool add_min_free(struct watch *w, const char *text)
{
    const char *equals = strrchr(text, '=');
    struct item *item = equals != NULL ? add(w, 'd', text, (size_t)(equals - text)) : NULL;

    return item != NULL && take_least(item, equals + 1);
}

static bool set_max_load(struct watch *w, const char *text)
{
    char *end;

    w->report.max_load = strtod(text, &end);
    return *text >= '0' && *text <= '9' && *end == '\0';
}

static bool take_option(struct watch *w, int option, const char *value)
{
    unsigned long seconds;

    switch (option) {
    case 'd':
        return add(w, 'd', value, strlen(value)) != NULL;
    case 'f':
        return add_file(w, value, RULE_NONE);
    case 'p':
        return add_file(w, value, RULE_PRESENT);
    case 'a':
        return add_file(w, value, RULE_ABSENT);
    case 'm':
        return add_min_free(w, value);
    case 'l':
        return set_max_load(w, value);
    case 'e':
        return whole_number(value, WATCH_EVERY_MAX, &w->every);
    case 'c':
        return whole_number(value, ULONG_MAX, &w->count);
    case 't':
        if (!whole_number(value, 86400 * 365, &seconds))
            return false;
        w->goal.limit_ms = (int64_t)seconds * 1000;
        return true;
    default:
        return false;
    }
}

static const struct option options[] = {{"disk", required_argument, NULL, 'd'},
                                        {"file", required_argument, NULL, 'f'},
                                        {"present", required_argument, NULL, 'p'},
                                        {"absent", required_argument, NULL, 'a'},
                                        {"min-free", required_argument, NULL, 'm'},
                                        {"max-load", required_argument, NULL, 'l'},
                                        {"every", required_argument, NULL, 'e'},
                                        {"count", required_argument, NULL, 'c'},
                                        {"timeout", required_argument, NULL, 't'},
                                        {"log", required_argument, NULL, 'L'},
                                        {"json", no_argument, NULL, 'j'},
                                        {"port", required_argument, NULL, 'P'},
                                        {"runtime-dir", required_argument, NULL, 'R'},
                                        {"help", no_argument, NULL, 'h'},
                                        {0}};

/* What needs no check; false: take_option() has it. */
static bool take_plain(struct watch *w, int option, const char *value)
{
    if (option == 'j')
        w->view.json = true;
    else if (option == 'L')
        w->log = value;
    else if (option == 'P')
        w->goal.port = value;
    else if (option == 'R')
        w->goal.runtime_dir = value;
    return strchr("jLPR", option) != NULL;
}

/* The exit status of a command line that is wrong or asks for help, or GO_ON. */
static int take_arguments(struct watch *w, int argc, char **argv)
{
    int option, index;

    while ((option = getopt_long(argc, argv, "", options, &index)) != -1) {
        if (option == 'h' || option == '?')
            return usage(option == 'h' ? 0 : EXIT_USAGE);
        if (!take_plain(w, option, optarg) && !take_option(w, option, optarg)) {
            fprintf(stderr, "vpc-watch: --%s can not be %s, or there are too many\n",
                    options[index].name, optarg);
            return EXIT_USAGE;
        }
    }
    if (optind + 1 != argc)
        return usage(EXIT_USAGE);
    w->goal.vm = w->report.vm = argv[optind];
    return GO_ON;
}

int main(int argc, char **argv)
{
    static struct watch w = {
        .goal = {.program = "vpc-watch", .port = WATCH_PORT, .limit_ms = LIMIT_MS, .patient = true},
        .report = {.max_load = -1},
        .every = EVERY,
    };

    if (talk_version("vpc-watch", argc, argv))
        return 0;
    int status = take_arguments(&w, argc, argv);

    if (status != GO_ON)
        return status;
    w.view.table = isatty(STDOUT_FILENO);
    w.view.log = w.log != NULL ? fopen(w.log, "ae") : NULL;
    if (w.log != NULL && w.view.log == NULL) {
        fprintf(stderr, "vpc-watch: the log %s: %s\n", w.log, strerror(errno));
        return EXIT_USAGE;
    }
    status = watch(&w);
    if (w.view.log != NULL)
        fclose(w.view.log);
    return status;
}
