/* SPDX-License-Identifier: MIT */
/* forward: sockets that go on listening, each client of which gets a channel of its own. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "output.h"

/* A port alone is one of 127.0.0.1, a path that begins here an absolute one.  False: it is too long. */
static bool complete(const char *listen, char *full, size_t size)
{
    char here[VPC_FILE_SIZE] = "";
    int n;

    if (vpc_port(listen) != 0)
        n = snprintf(full, size, "127.0.0.1:%s", listen);
    else if (*listen != '/' && strchr(listen, '/') != NULL && getcwd(here, sizeof(here)) != NULL)
        n = snprintf(full, size, "%s/%s", here,
                     strncmp(listen, "./", 2) == 0 ? listen + 2 : listen);
    else
        n = snprintf(full, size, "%s", listen);
    return n < (int)size;
}

static json_t *arguments_of(const struct ctl *c, const char *listen)
{
    json_t *arguments =
        json_pack("{s:s, s:i}", "listen", listen, "port", (int)vpc_port(c->args[1]));

    if (arguments != NULL && c->wait_until_ready)
        json_object_set_new(arguments, "when-not-ready", json_string("wait"));
    if (arguments != NULL && c->refuse_when_full)
        json_object_set_new(arguments, "when-full", json_string("refuse"));
    return arguments;
}

/* What its sandbox keeps from an endpoint looks as if it were not there, or were somebody else's. */
static void tell_folders(const struct ctl *c, const char *listen, int error)
{
    if (*listen == '/' && (error == EACCES || error == ENOENT))
        ctl_complain(c, "a path must be in the runtime directory of the endpoint, or in the folder "
                        "that it was started with (vpc-host --forward-dir)");
}

/* Prints where clients can connect: what a script wants of it. */
static int start(const struct ctl *c, vpc_virtual_machine *vm, const char *listen)
{
    json_t *answer = NULL, *arguments = arguments_of(c, listen);
    vpc_hresult result =
        arguments != NULL ? vpc_control(vm, "start-forward", arguments, &answer) : VPC_E_POINTER;
    const char *path = json_string_value(json_object_get(answer, "path"));
    const char *at = json_string_value(json_object_get(answer, "listen"));
    int status = CTL_OK;

    if (result != VPC_S_OK) {
        status = ctl_failed(c, vm, result, answer);
        tell_folders(c, listen, (int)json_integer_value(json_object_get(answer, "errno")));
    } else if (c->json) {
        ctl_print_json(answer);
    } else {
        ctl_print_path(c, path != NULL && *path ? path : at != NULL ? at : "");
    }
    json_decref(answer);
    return status;
}

static int stop(const struct ctl *c, vpc_virtual_machine *vm, const char *listen)
{
    vpc_hresult result = vpc_stop_forward(vm, listen);

    if (result == VPC_S_OK && c->json)
        puts("{}");
    return result == VPC_S_OK ? CTL_OK : ctl_failed(c, vm, result, NULL);
}

static const char *text_of(const json_t *forward, const char *key)
{
    const char *text = json_string_value(json_object_get(forward, key));

    return text != NULL ? text : "";
}

static int number_of(const json_t *forward, const char *key)
{
    return (int)json_integer_value(json_object_get(forward, key));
}

static void print_forwards(const json_t *forwards)
{
    json_t *forward;
    size_t i;

    json_array_foreach(forwards, i, forward)
    {
        const char *path = text_of(forward, "path");
        char *shown = vpc_visible(*path ? path : text_of(forward, "listen"));

        if (i == 0)
            printf("%-5s  %-9s  %-9s  %5s  %8s  %7s  %s\n", "PORT", "NOT-READY", "FULL", "PAIRS",
                   "ACCEPTED", "REFUSED", "LISTEN");
        printf("%-5d  %-9s  %-9s  %5d  %8d  %7d  %s\n", number_of(forward, "port"),
               text_of(forward, "when-not-ready"), text_of(forward, "when-full"),
               number_of(forward, "pairs"), number_of(forward, "accepted"),
               number_of(forward, "refused"), shown != NULL ? shown : "?");
        free(shown);
    }
}

static int list(const struct ctl *c, vpc_virtual_machine *vm)
{
    json_t *answer = NULL;
    vpc_hresult result = vpc_control(vm, "query-forwards", NULL, &answer);
    int status = CTL_OK;

    if (result != VPC_S_OK)
        status = ctl_failed(c, vm, result, answer);
    else if (c->json)
        ctl_print_json(json_object_get(answer, "forwards"));
    else
        print_forwards(json_object_get(answer, "forwards"));
    json_decref(answer);
    return status;
}

int ctl_forward(const struct ctl *c)
{
    const char *given = c->remove != NULL ? c->remove : c->count > 0 ? c->args[0] : "";
    int wanted = c->remove != NULL || c->list ? 0 : 2;
    char listen[VPC_FILE_SIZE];
    vpc_virtual_machine *vm;

    if (c->count != wanted || (c->remove != NULL && c->list)) {
        ctl_complain(c, "it needs LISTEN and PORT, --remove LISTEN, or --list");
        return CTL_USAGE;
    }
    if (!complete(given, listen, sizeof(listen))) {
        ctl_complain(c, "the path is too long");
        return CTL_USAGE;
    }
    int status = ctl_open(c, &vm);
    if (status)
        return status;
    if (c->list)
        status = list(c, vm);
    else
        status = c->remove != NULL ? stop(c, vm, listen) : start(c, vm, listen);
    vpc_release_virtual_machine(vm);
    return status;
}
