/* SPDX-License-Identifier: MIT */
/* Nothing that a guest says is printed but numbers: the paths are those of the command line. */
#include "view.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include <time.h>

#define BOLD_RED "\033[1;31m"
#define PLAIN    "\033[0m"
#define HOME     "\033[H\033[J"

enum {
    TIME_SIZE = 32,
    AMOUNT_SIZE = 16,
};

static const char *now(char text[TIME_SIZE])
{
    time_t seconds = time(NULL);
    struct tm utc;

    strftime(text, TIME_SIZE, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &utc));
    return text;
}

/* Octets as people read them: 3.9G. */
static const char *amount(uint64_t octets, char text[AMOUNT_SIZE])
{
    static const char units[] = "BKMGTPE";
    double value = (double)octets;
    unsigned unit = 0;

    for (; value >= 1024 && unit < sizeof(units) - 2; unit++)
        value /= 1024;
    snprintf(text, AMOUNT_SIZE, unit == 0 || value >= 100 ? "%.0f%c" : "%.1f%c", value,
             units[unit]);
    return text;
}

double view_percent(const struct item *item)
{
    return item->size == 0 ? 0 : 100.0 * (double)item->free / (double)item->size;
}

static void print_value(FILE *out, const struct item *item)
{
    char free[AMOUNT_SIZE], size[AMOUNT_SIZE];

    if (item->error)
        fprintf(out, "not known: %s", strerror(item->error));
    else if (item->kind == 'f')
        fputs(item->present ? "present" : "absent", out);
    else
        fprintf(out, "%s of %s free (%.0f%%)", amount(item->free, free), amount(item->size, size),
                view_percent(item));
}

static void print_line(FILE *out, const struct report *report)
{
    char time[TIME_SIZE];

    fprintf(out, "%s %s load %.2f %.2f %.2f%s", now(time), report->vm, report->load[0],
            report->load[1], report->load[2], report->load_crossed ? "!" : "");
    for (unsigned i = 0; i < report->count; i++) {
        fprintf(out, " | %s ", report->items[i].path);
        print_value(out, &report->items[i]);
        fputs(report->items[i].crossed ? "!" : "", out);
    }
    fputc('\n', out);
    fflush(out);
}

static void print_table(const struct report *report)
{
    char time[TIME_SIZE];

    printf(HOME "%s  %s\n\n%sload  %.2f %.2f %.2f" PLAIN "\n", report->vm, now(time),
           report->load_crossed ? BOLD_RED : "", report->load[0], report->load[1], report->load[2]);
    for (unsigned i = 0; i < report->count; i++) {
        const struct item *item = &report->items[i];

        printf("%s%s  %s  ", item->crossed ? BOLD_RED : "", item->kind == 'd' ? "disk" : "file",
               item->path);
        print_value(stdout, item);
        puts(PLAIN);
    }
    fflush(stdout);
}

static json_t *item_json(const struct item *item)
{
    json_t *value =
        json_pack("{s:s%, s:b}", "path", item->path, strlen(item->path), "crossed", item->crossed);

    if (item->error)
        json_object_set_new(value, "errno", json_integer(item->error));
    else if (item->kind == 'f')
        json_object_set_new(value, "present", json_boolean(item->present));
    else {
        json_object_set_new(value, "size", json_integer((json_int_t)item->size));
        json_object_set_new(value, "free", json_integer((json_int_t)item->free));
    }
    return value;
}

static void print_json(json_t *value)
{
    json_dumpf(value, stdout, JSON_COMPACT);
    putchar('\n');
    fflush(stdout);
    json_decref(value);
}

static void report_json(const struct report *report)
{
    char time[TIME_SIZE];
    json_t *disks = json_array(), *files = json_array();

    for (unsigned i = 0; i < report->count; i++)
        json_array_append_new(report->items[i].kind == 'd' ? disks : files,
                              item_json(&report->items[i]));
    print_json(json_pack("{s:s, s:s, s:[f,f,f], s:b, s:o, s:o}", "time", now(time), "vm",
                         report->vm, "load", report->load[0], report->load[1], report->load[2],
                         "load_crossed", report->load_crossed, "disks", disks, "files", files));
}

void view_report(const struct view *view, const struct report *report)
{
    if (view->log != NULL)
        print_line(view->log, report);
    if (view->json)
        report_json(report);
    else if (view->table)
        print_table(report);
    else
        print_line(stdout, report);
}

static void state_line(FILE *out, const char *vm, const char *state, const char *why)
{
    char time[TIME_SIZE];

    fprintf(out, "%s %s %s%s%s\n", now(time), vm, state, why != NULL ? ": " : "",
            why != NULL ? why : "");
    fflush(out);
}

void view_state(const struct view *view, const char *vm, const char *state, const char *why)
{
    char time[TIME_SIZE];

    if (view->log != NULL)
        state_line(view->log, vm, state, why);
    if (view->json)
        print_json(json_pack("{s:s, s:s, s:s, s:s*}", "time", now(time), "vm", vm, "state", state,
                             "why", why));
    else
        state_line(stdout, vm, state, why);
}
