/* SPDX-License-Identifier: MIT */
/* set-tag, start, stop, pipe-path: communication channels and names. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"

vpc_hresult ctl_start_channel(const struct ctl *c, vpc_virtual_machine *vm, const char *port,
                              json_t **answer)
{
    json_t *arguments =
        json_pack("{s:i, s:s, s:i, s:s}", "host-type", VPC_ENDPOINT_NAMED_PIPE, "host-name",
                  c->pipe, "guest-type", VPC_ENDPOINT_TCPIP, "guest-name", port);

    *answer = NULL;
    return arguments != NULL ? vpc_control(vm, "start", arguments, answer) : VPC_E_POINTER;
}

/* Prints the path of the pipe: what a script that starts a channel wants of it. */
int ctl_start(const struct ctl *c)
{
    vpc_virtual_machine *vm;
    json_t *answer;
    int status = ctl_open(c, &vm);

    if (status)
        return status;
    vpc_hresult result = ctl_start_channel(c, vm, c->args[0], &answer);
    const char *path = json_string_value(json_object_get(answer, "path"));
    if (result != VPC_S_OK)
        status = ctl_failed(c, vm, result, answer);
    else if (c->json)
        ctl_print_json(answer);
    else
        ctl_print_path(c, path != NULL ? path : "");
    json_decref(answer);
    vpc_release_virtual_machine(vm);
    return status;
}

/* Ends a command that only asks for something to be done. */
static int done(const struct ctl *c, vpc_virtual_machine *vm, vpc_hresult result)
{
    int status = result == VPC_S_OK ? CTL_OK : ctl_failed(c, vm, result, NULL);

    if (status == CTL_OK && c->json)
        puts("{}");
    vpc_release_virtual_machine(vm);
    return status;
}

int ctl_stop(const struct ctl *c)
{
    vpc_virtual_machine *vm;
    int status = ctl_open(c, &vm);

    return status ? status : done(c, vm, vpc_stop_communication_channel(vm, c->pipe));
}

int ctl_set_tag(const struct ctl *c)
{
    vpc_virtual_machine *vm;
    int status = ctl_open(c, &vm);

    return status ? status : done(c, vm, vpc_set_chassis_asset_tag(vm, c->args[0]));
}

int ctl_pipe_path(const struct ctl *c)
{
    char path[VPC_PATH_SIZE];
    int error = vpc_pipe_path(c->runtime_dir, c->pipe, path, sizeof(path));

    if (error) {
        ctl_complain(c, "%s: %s", c->pipe,
                     error == EINVAL ? "that is no pipe's name" : strerror(error));
        return error == EINVAL ? ctl_status(VPC_E_POINTER) : CTL_FAILED;
    }
    if (c->json) {
        json_t *answer = json_pack("{s:s, s:s}", "pipe", c->pipe, "path", path);

        ctl_print_json(answer);
        json_decref(answer);
    } else {
        ctl_print_path(c, path);
    }
    return CTL_OK;
}
