/* SPDX-License-Identifier: MIT */
/* start, stop, pipe-path: communication channels and their names. */
#include <stdio.h>
#include <string.h>

#include "ctl.h"

/* "start VM PIPE PORT".  The answer is printed as it came: the path first, since scripts want it.
 */
int ctl_start(const ctl *c)
{
    vpc_virtual_machine *vm;
    json_t *answer;
    int status = ctl_open(c, &vm);
    if (status)
        return status;
    json_t *arguments =
        json_pack("{s:i, s:s, s:i, s:s}", "host-type", VPC_ENDPOINT_NAMED_PIPE, "host-name",
                  c->args[0], "guest-type", VPC_ENDPOINT_TCPIP, "guest-name", c->args[1]);
    if (!arguments) {
        ctl_complain(c, "the pipe's name is not UTF-8");
        vpc_release_virtual_machine(vm);
        return CTL_USAGE;
    }
    vpc_hresult result = vpc_control(vm, "start", arguments, &answer);
    const char *path = json_string_value(json_object_get(answer, "path"));
    if (result != VPC_S_OK)
        status = ctl_failed(c, vm, result, answer);
    else if (c->json)
        ctl_print_json(answer);
    else
        puts(path ? path : "");
    json_decref(answer);
    vpc_release_virtual_machine(vm);
    return status;
}

int ctl_stop(const ctl *c)
{
    vpc_virtual_machine *vm;
    int status = ctl_open(c, &vm);
    if (status)
        return status;
    vpc_hresult result = vpc_stop_communication_channel(vm, c->args[0]);
    if (result != VPC_S_OK)
        status = ctl_failed(c, vm, result, NULL);
    else if (c->json)
        puts("{}");
    vpc_release_virtual_machine(vm);
    return status;
}

int ctl_pipe_path(const ctl *c)
{
    char path[VPC_PATH_SIZE];
    int error = vpc_pipe_path(c->runtime_dir, c->args[0], path, sizeof(path));
    if (error) {
        ctl_complain(c, "%s: %s", c->args[0], strerror(error));
        return CTL_FAILED;
    }
    if (c->json) {
        json_t *answer = json_pack("{s:s, s:s}", "pipe", c->args[0], "path", path);
        ctl_print_json(answer);
        json_decref(answer);
    } else {
        puts(path);
    }
    return CTL_OK;
}
