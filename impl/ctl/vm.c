/* SPDX-License-Identifier: MIT */
/* list, show, stat, devices, wait-ready: what there is and how far it has come. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"

static void add_name(const char *name, void *user)
{
    json_array_append_new(user, json_string(name));
}

/* One line of `list`; an endpoint that left since is passed over. */
static void print_vm(const ctl *c, const char *name)
{
    vpc_virtual_machine *vm;
    char tag[VPC_TAG_SIZE];
    enum vpc_level level;
    if (vpc_find_virtual_machine(c->runtime_dir, name, &vm) != VPC_S_OK)
        return;
    if (vpc_chassis_asset_tag(vm, tag) == VPC_S_OK && vpc_readiness(vm, &level) == VPC_S_OK)
        printf("%-24s %-11s %s\n", name, vpc_level_name(level), *tag ? tag : "-");
    vpc_release_virtual_machine(vm);
}

int ctl_list(const ctl *c)
{
    json_t *names = json_array();
    int error = vpc_list_virtual_machines(c->runtime_dir, add_name, names);
    if (error)
        ctl_complain(c, "the runtime directory can not be read: %s", strerror(error));
    else if (c->json)
        ctl_print_json(names);
    else if (json_array_size(names) > 0)
        printf("%-24s %-11s %s\n", "NAME", "LEVEL", "TAG");
    for (size_t i = 0; !error && !c->json && i < json_array_size(names); i++)
        print_vm(c, json_string_value(json_array_get(names, i)));
    json_decref(names);
    return error ? CTL_FAILED : CTL_OK;
}

static void print_value(const json_t *value)
{
    char *text = json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    fputs(text ? text : json_is_string(value) ? json_string_value(value) : "-", stdout);
    free(text);
}

/* Sends a query without arguments, and prints its answer with print, or as JSON. */
static int query(const ctl *c, const char *command, void (*print)(const ctl *c, json_t *answer))
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

static void print_fields(const ctl *c, json_t *answer)
{
    const char *key;
    json_t *value;
    (void)c;
    json_object_foreach(answer, key, value)
    {
        printf("%-14s ", key);
        print_value(value);
        putchar('\n');
    }
}

int ctl_show(const ctl *c)
{
    return query(c, "query-vm", print_fields);
}

int ctl_stat(const ctl *c)
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
    if (json_is_string(value))
        return strdup(json_string_value(value));
    return value ? json_dumps(value, JSON_ENCODE_ANY) : strdup("-");
}

static int width_of(json_t *devices, size_t column)
{
    size_t width = strlen(columns[column].title), i;
    json_t *device;
    json_array_foreach(devices, i, device)
    {
        char *text = cell(device, column);
        if (text && strlen(text) > width)
            width = strlen(text);
        free(text);
    }
    return (int)width;
}

static void print_devices(const ctl *c, json_t *answer)
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
            printf("%-*s%s", n + 1 < COLUMNS ? width[n] : 0, text ? text : "?",
                   n + 1 < COLUMNS ? "  " : "\n");
            free(text);
        }
    }
}

int ctl_devices(const ctl *c)
{
    return query(c, "query-devices", print_devices);
}

/* Through the event alone: no host endpoint needs to run, and none tells what is missing. */
static int wait_for_tag(const ctl *c)
{
    char name[VPC_FILE_SIZE];
    vpc_event *event;
    int error = vpc_event_name(c->tag, name, sizeof(name));
    if (!error)
        error = vpc_event_open(c->runtime_dir, name, &event);
    if (error) {
        ctl_complain(c, "the ready event of the tag %s can not be opened: %s", c->tag,
                     strerror(error));
        return CTL_FAILED;
    }
    error = vpc_event_wait(event, c->timeout_ms);
    vpc_event_close(event);
    if (error)
        ctl_complain(c, "%s: the ready event %s was not set in time",
                     vpc_hresult_name(VPC_ERROR_TIMEOUT), name);
    return error ? CTL_NOT_READY : CTL_OK;
}

int ctl_wait_ready(const ctl *c)
{
    enum vpc_level level;
    if (c->tag)
        return wait_for_tag(c);
    vpc_hresult result = vpc_wait_channel_ready(c->runtime_dir, c->vm, c->timeout_ms, &level);
    if (c->json) {
        json_t *answer = json_pack("{s:s, s:s, s:b}", "vm", c->vm, "level", vpc_level_name(level),
                                   "ready", result == VPC_S_OK);
        ctl_print_json(answer);
        json_decref(answer);
    }
    if (result == VPC_S_OK)
        return CTL_OK;
    ctl_complain(c, "%s: %s: not ready in time: %s", c->vm, vpc_hresult_name(result),
                 vpc_level_missing(level));
    return CTL_NOT_READY;
}
