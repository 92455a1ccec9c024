/* SPDX-License-Identifier: MIT */
/* list, show, stat, devices: what there is and how far it has come. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "output.h"
#include "trust.h"

enum {
    LOOK_MS = 1000, /* a stopped endpoint must not hold up the list of all */
};

struct listing {
    const struct ctl *c;
    json_t *rows;
};

static void add_row(const char *name, void *user)
{
    struct listing *listing = user;
    vpc_virtual_machine *vm;
    json_t *answer = NULL;

    if (vpc_find_virtual_machine(listing->c->runtime_dir, name, &vm) != VPC_S_OK)
        return; /* it left since */
    vpc_set_time_limit(vm, LOOK_MS);
    vpc_hresult result = vpc_control(vm, "query-vm", NULL, &answer);
    vpc_release_virtual_machine(vm);
    json_array_append_new(listing->rows,
                          json_pack("{s:s, s:O*, s:O*}", "vm", name, "level",
                                    result == VPC_S_OK ? json_object_get(answer, "level") : NULL,
                                    "tag",
                                    result == VPC_S_OK ? json_object_get(answer, "tag") : NULL));
    json_decref(answer);
}

static const char *text_of(const json_t *row, const char *key, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(row, key));

    return text != NULL && *text ? text : otherwise;
}

/* What others have said, filled up to a width. */
static void print_padded(const char *text, int width, const char *end)
{
    char *shown = vpc_visible(text);

    printf("%-*s%s", width, shown != NULL ? shown : "?", end);
    free(shown);
}

static void print_rows(const json_t *rows)
{
    json_t *row;
    size_t i;

    json_array_foreach(rows, i, row)
    {
        if (i == 0)
            printf("%-24s %-11s %s\n", "NAME", "LEVEL", "TAG");
        print_padded(text_of(row, "vm", "-"), 24, " ");
        print_padded(text_of(row, "level", "silent"), 11, " ");
        print_padded(text_of(row, "tag", "-"), 0, "\n");
    }
}

static void complain_of_folder(const struct ctl *c, int error)
{
    char why[VPC_WHY_SIZE] = "";

    if (error == EPERM || error == EACCES)
        vpc_distrust(c->runtime_dir, "-", why, sizeof(why));
    ctl_complain(c, "the runtime directory can not be read: %s", *why ? why : strerror(error));
}

int ctl_list(const struct ctl *c)
{
    struct listing listing = {.c = c, .rows = json_array()};
    int error = vpc_list_virtual_machines(c->runtime_dir, add_row, &listing);

    if (error)
        complain_of_folder(c, error);
    else if (c->json)
        ctl_print_json(listing.rows);
    else
        print_rows(listing.rows);
    json_decref(listing.rows);
    return error ? CTL_FAILED : CTL_OK;
}

static void print_value(const json_t *value)
{
    char *text = json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);

    print_padded(text != NULL            ? text
                 : json_is_string(value) ? json_string_value(value)
                                         : "-",
                 0, "");
    free(text);
}

/* Sends a query without arguments, and prints its answer with print, or as JSON. */
static int query(const struct ctl *c, const char *command,
                 void (*print)(const struct ctl *c, json_t *answer))
{
    vpc_virtual_machine *vm;
    json_t *answer;
    int status = ctl_open(c, &vm);

    if (status)
        return status;
    vpc_hresult result = vpc_control(vm, command, NULL, &answer);
    if (result != VPC_S_OK)
        status = ctl_failed(c, vm, result, answer);
    else if (c->json)
        ctl_print_json(answer);
    else
        print(c, answer);
    json_decref(answer);
    vpc_release_virtual_machine(vm);
    return status;
}

static void print_fields(const struct ctl *c, json_t *answer)
{
    const char *key;
    json_t *value;

    (void)c;
    json_object_foreach(answer, key, value)
    {
        print_padded(key, 14, " ");
        print_value(value);
        puts(strcmp(key, "heartbeat") == 0 ? " %" : "");
    }
}

int ctl_show(const struct ctl *c)
{
    return query(c, "query-vm", print_fields);
}

int ctl_stat(const struct ctl *c)
{
    return query(c, "query-stats", print_fields);
}

static const struct {
    const char *key, *title;
} columns[] = {
    {"class", "CLASS"},         {"name", "NAME"},   {"instance", "INSTANCE"},
    {"direction", "DIRECTION"}, {"state", "STATE"}, {"pipe", "PIPE"},
    {"port", "PORT"},           {"bytes", "BYTES"}, {"credit", "CREDIT"},
};

enum {
    COLUMNS = sizeof(columns) / sizeof(columns[0]),
};

static char *cell(json_t *device, size_t column)
{
    json_t *value = json_object_get(device, columns[column].key);

    char *text = json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY);
    char *shown = vpc_visible(text != NULL            ? text
                              : json_is_string(value) ? json_string_value(value)
                                                      : "-");

    free(text);
    return shown;
}

static int width_of(json_t *devices, size_t column)
{
    size_t width = strlen(columns[column].title), i;
    json_t *device;

    json_array_foreach(devices, i, device)
    {
        char *text = cell(device, column);

        if (text != NULL && strlen(text) > width)
            width = strlen(text);
        free(text);
    }
    return (int)width;
}

static void print_devices(const struct ctl *c, json_t *answer)
{
    json_t *devices = json_object_get(answer, "devices"), *device;
    int width[COLUMNS];
    size_t i;

    for (size_t n = 0; n < COLUMNS; n++) {
        width[n] = width_of(devices, n);
        printf("%s%-*s%s", c->colour ? "\033[1m" : "", width[n], columns[n].title,
               c->colour ? "\033[0m" : "");
        fputs(n + 1 < COLUMNS ? "  " : "\n", stdout);
    }
    json_array_foreach(devices, i, device)
    {
        for (size_t n = 0; n < COLUMNS; n++) {
            char *text = cell(device, n);

            printf("%-*s%s", n + 1 < COLUMNS ? width[n] : 0, text != NULL ? text : "?",
                   n + 1 < COLUMNS ? "  " : "\n");
            free(text);
        }
    }
}

int ctl_devices(const struct ctl *c)
{
    return query(c, "query-devices", print_devices);
}
