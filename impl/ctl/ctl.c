/* SPDX-License-Identifier: MIT */
#include "ctl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ctl_complain(const ctl *c, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    fprintf(stderr, "vpcctl: %s: %s\n", c->command, text);
}

void ctl_print_json(const json_t *value)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY);
    if (text)
        puts(text);
    free(text);
}

static int status_of(vpc_hresult result)
{
    switch (result) {
    case VPC_S_OK:
        return CTL_OK;
    case VPC_ERROR_NOT_READY:
    case VPC_ERROR_TIMEOUT:
        return CTL_NOT_READY;
    default:
        return CTL_FAILED;
    }
}

int ctl_failed(const ctl *c, const vpc_virtual_machine *vm, vpc_hresult result, const json_t *error)
{
    json_t *number = json_object_get(error, "errno");
    const char *why = vm ? vpc_last_error(vm) : "";
    if (number)
        ctl_complain(c, "%s: %s (0x%08X): %s (in the guest: %s)", c->vm ? c->vm : c->socket,
                     vpc_hresult_name(result), result, why,
                     strerror((int)json_integer_value(number)));
    else
        ctl_complain(c, "%s: %s (0x%08X): %s", c->vm ? c->vm : c->socket, vpc_hresult_name(result),
                     result, why);
    if (c->json) {
        char text[16];
        snprintf(text, sizeof(text), "0x%08X", result);
        json_t *answer = json_pack("{s:s, s:s, s:s, s:O*}", "name", vpc_hresult_name(result),
                                   "hresult", text, "desc", why, "errno", number);
        ctl_print_json(answer);
        json_decref(answer);
    }
    return status_of(result);
}

int ctl_open(const ctl *c, vpc_virtual_machine **vm)
{
    vpc_hresult result = c->socket ? vpc_open_control_socket(c->socket, vm)
                                   : vpc_find_virtual_machine(c->runtime_dir, c->vm, vm);
    if (result == VPC_S_OK) {
        if (c->timeout_ms != VPC_FOREVER)
            vpc_set_time_limit(*vm, c->timeout_ms);
        return CTL_OK;
    }
    if (result == VPC_ERROR_FILE_NOT_FOUND)
        ctl_complain(c,
                     "%s: %s: no endpoint answers there (does vpc-host run, with the same runtime "
                     "directory?)",
                     c->socket ? c->socket : c->vm, vpc_hresult_name(result));
    else
        ctl_complain(c, "%s: %s (0x%08X)", c->socket ? c->socket : c->vm, vpc_hresult_name(result),
                     result);
    return CTL_FAILED;
}
