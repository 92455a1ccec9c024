/* SPDX-License-Identifier: MIT */
/*
 * How a communication channel ended.
 *
 * Its pipe can not tell: a Unix socket has no end but the end of the file, whether the guest's program has finished or the
 * session was lost.  CHANNEL_CLOSED on the control socket does (CTL-4), to those who were connected when it was sent.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "virtual_machine.h"

static json_int_t number_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

/* Calls seen() with the host-to-guest channel of each pair. */
static vpc_hresult each_channel(vpc_virtual_machine *vm,
                                void (*seen)(const json_t *device, void *user), void *user)
{
    json_t *answer, *device;
    size_t i;
    vpc_hresult result = vpc_control(vm, "query-devices", NULL, &answer);

    json_array_foreach(json_object_get(answer, "devices"), i, device)
    {
        const char *direction = json_string_value(json_object_get(device, "direction"));

        if (direction != NULL && strcmp(direction, "h2g") == 0)
            seen(device, user);
    }
    json_decref(answer);
    return result;
}

/* ---- which channel it is ------------------------------------------------------------------------ */

struct search {
    const char *pipe;
    vpc_channel_info info; /* h2g 0: it is not found */
};

static void look_for_pipe(const json_t *device, void *user)
{
    struct search *search = user;
    const char *pipe = json_string_value(json_object_get(device, "pipe"));

    if (pipe == NULL || strcasecmp(pipe, search->pipe) != 0)
        return; /* and the last of several is meant (API-13) */
    search->info.h2g = (uint32_t)number_of(device, "instance");
    search->info.port = (unsigned)number_of(device, "port");
}

vpc_hresult vpc_find_communication_channel(vpc_virtual_machine *vm, const char *host_name,
                                           vpc_channel_info *info)
{
    struct search search = {.pipe = host_name};
    vpc_hresult result = each_channel(vm, look_for_pipe, &search);

    *info = search.info;
    if (result == VPC_S_OK && !info->h2g)
        return vpc_fail(vm, VPC_E_POINTER, "no communication channel has that pipe");
    return result;
}

/* ---- its end ------------------------------------------------------------------------------------ */

static bool is_end_of(const json_t *event, const void *user)
{
    const vpc_channel_info *info = user;
    const char *name = json_string_value(json_object_get(event, "event"));
    const json_t *data = json_object_get(event, "data");

    return name != NULL && strcmp(name, "CHANNEL_CLOSED") == 0 &&
           (uint32_t)number_of(data, "h2g") == info->h2g;
}

static void fill(vpc_channel_ending *ending, const json_t *data)
{
    const char *cause = json_string_value(json_object_get(data, "cause"));

    *ending = (vpc_channel_ending){
        .in_order = cause != NULL && strcmp(cause, "closed") == 0,
        .error = (int)number_of(data, "errno"),
        .sent = (uint64_t)number_of(data, "sent"),
        .received = (uint64_t)number_of(data, "received"),
    };
    snprintf(ending->cause, sizeof(ending->cause), "%s", cause != NULL ? cause : "unknown");
}

struct listing {
    uint32_t h2g;
    bool found;
};

static void look_for_id(const json_t *device, void *user)
{
    struct listing *listing = user;

    listing->found = listing->found || (uint32_t)number_of(device, "instance") == listing->h2g;
}

/* S_OK when its end can still come, or has come to us. */
static vpc_hresult can_end(vpc_virtual_machine *vm, const vpc_channel_info *info, bool *came)
{
    struct listing listing = {.h2g = info->h2g};
    vpc_hresult result = each_channel(vm, look_for_id, &listing);

    *came = vpc_has_event(vm, is_end_of, info);
    if (result == VPC_S_OK && !listing.found && !*came)
        return vpc_fail(vm, VPC_E_POINTER,
                        "the channel ended before this connection to the endpoint was made: how is "
                        "in the event log");
    return *came ? VPC_S_OK : result;
}

vpc_hresult vpc_wait_channel_end(vpc_virtual_machine *vm, const vpc_channel_info *info,
                                 int64_t limit_ms, vpc_channel_ending *ending)
{
    int64_t end = vpc_end_of(limit_ms);
    bool came = vpc_has_event(vm, is_end_of, info);
    json_t *event;

    *ending = (vpc_channel_ending){.in_order = false};
    vpc_hresult result = came ? VPC_S_OK : can_end(vm, info, &came);
    if (result == VPC_S_OK)
        result = vpc_await_event(vm, is_end_of, info, end, &event);
    if (result == VPC_ERROR_TIMEOUT)
        return vpc_fail(vm, result, "the channel has not ended in time");
    if (result != VPC_S_OK)
        return result;
    fill(ending, json_object_get(event, "data"));
    json_decref(event);
    return VPC_S_OK;
}
