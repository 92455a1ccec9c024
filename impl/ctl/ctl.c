/* SPDX-License-Identifier: MIT */
#include "ctl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "trust.h"

void ctl_complain(const struct ctl *c, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    fprintf(stderr, "vpcctl: %s: ", c->command);
    vpc_print_visible(stderr, text, strlen(text));
    fputc('\n', stderr);
}

void ctl_print_json(const json_t *value)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY);

    if (text != NULL) {
        vpc_print_visible(stdout, text, strlen(text));
        putchar('\n');
    }
    free(text);
}

void ctl_print_path(const struct ctl *c, const char *path)
{
    if (c->colour)
        vpc_print_visible(stdout, path, strlen(path));
    else
        fputs(path, stdout);
    putchar('\n');
}

static const struct {
    vpc_hresult result;
    int status;
} statuses[] = {
    {VPC_S_OK, CTL_OK},
    {VPC_DISP_E_EXCEPTION, CTL_FAILED},
    {VPC_ERROR_NOT_READY, 3},
    {VPC_ERROR_TIMEOUT, 4},
    {VPC_VM_E_VM_NOT_RUNNING, 5},
    {VPC_ERROR_REVISION_MISMATCH, 6},
    {VPC_ERROR_ALREADY_EXISTS, 7},
    {VPC_ERROR_PIPE_BUSY, 8},
    {VPC_ERROR_MAX_SESSIONS_REACHED, 9},
    {VPC_ERROR_CONNECTION_REFUSED, 10},
    {VPC_E_POINTER, 11},
    {VPC_E_INVALIDARG, 12},
    {VPC_ERROR_OUTOFMEMORY, 13},
    {VPC_ERROR_INVALID_HANDLE, 14},
    {VPC_ERROR_FILE_NOT_FOUND, 15},
    {VPC_VM_E_VM_RUNNING_OR_SAVED, 16},
};

int ctl_status(vpc_hresult result)
{
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
        if (statuses[i].result == result)
            return statuses[i].status;
    return CTL_FAILED;
}

const char *ctl_where(const struct ctl *c)
{
    return c->vm != NULL ? c->vm : c->socket != NULL ? c->socket : c->tag != NULL ? c->tag : "";
}

static void print_error(vpc_hresult result, const char *why, json_t *number)
{
    char text[16];

    snprintf(text, sizeof(text), "0x%08X", result);
    json_t *answer = json_pack("{s:s, s:s, s:s, s:O*}", "name", vpc_hresult_name(result), "hresult",
                               text, "desc", why, "errno", number);
    ctl_print_json(answer);
    json_decref(answer);
}

int ctl_failed(const struct ctl *c, const vpc_virtual_machine *vm, vpc_hresult result,
               const json_t *error)
{
    json_t *number = json_object_get(error, "errno");
    const char *why = vm != NULL ? vpc_last_error(vm) : "";

    const char *more = number != NULL ? strerror((int)json_integer_value(number)) : "";

    if (strstr(why, more) != NULL) /* it is said already */
        more = "";
    ctl_complain(c, "%s: %s (0x%08X)%s%s%s%s", ctl_where(c), vpc_hresult_name(result), result,
                 *why ? ": " : "", why, *more ? ": " : "", more);
    if (c->json)
        print_error(result, why, number);
    return ctl_status(result);
}

/* What to do about it, where no endpoint has said so. */
static const char *advice(vpc_hresult result)
{
    switch (result) {
    case VPC_ERROR_FILE_NOT_FOUND:
        return " (no endpoint answers there: does vpc-host run, with the same runtime directory?)";
    case VPC_ERROR_TIMEOUT:
        return " (the endpoint takes no more clients: is it stopped?)";
    default:
        return "";
    }
}

int ctl_open(const struct ctl *c, vpc_virtual_machine **vm)
{
    struct vpc_trust trust = {0};
    vpc_hresult result = c->socket != NULL ? vpc_open_trusted(c->socket, vm, &trust)
                                           : vpc_find_trusted(c->runtime_dir, c->vm, vm, &trust);

    if (result == VPC_S_OK) {
        if (c->timeout_ms != VPC_FOREVER)
            vpc_set_time_limit(*vm, c->timeout_ms);
        return CTL_OK;
    }
    const char *why = *trust.why ? trust.why : strerror(errno);
    ctl_complain(c, "%s: %s (0x%08X): %s%s", ctl_where(c), vpc_hresult_name(result), result, why,
                 advice(result));
    if (c->json)
        print_error(result, why, NULL);
    return ctl_status(result);
}
