/* SPDX-License-Identifier: MIT */
/*
 * A moment of a machine that runs on, and the way back to it in the same QEMU: what people know as savevm and loadvm.
 *
 * QEMU's ends of the sockets stay where they are while the guest goes back: so the host's side of the bus sees no break, only
 * a guest that has forgotten.  The moment lives in a qcow2 image that QEMU itself makes, in the VM's own folder; no device of
 * the guest's has it.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vm/vm_internal.h"

#define NODE      "moment"
#define FILE_NODE "moment-file"
#define JOB       "moment-job"

static int command(struct vpc_vm *vm, const char *name, json_t *arguments, json_t **result,
                   int64_t deadline)
{
    if (!vm->qmp) {
        json_decref(arguments);
        return vm_fail(vm, "%s: the line to QEMU's control socket is lost", name);
    }
    if (vpc_qmp_command(vm->qmp, name, arguments, result, deadline) != 0)
        return vm_fail(vm, "%s", vpc_qmp_error(vm->qmp));
    return 0;
}

/* Waits until the one job is over, and dismisses it. */
static int await_job(struct vpc_vm *vm, int64_t deadline)
{
    for (;;) {
        json_t *jobs;
        const char *status, *error;
        int failed = 0, over;

        if (command(vm, "query-jobs", NULL, &jobs, deadline) != 0)
            return -1;
        status = json_string_value(json_object_get(json_array_get(jobs, 0), "status"));
        error = json_string_value(json_object_get(json_array_get(jobs, 0), "error"));
        over = !status || strcmp(status, "concluded") == 0;
        if (over && error)
            failed = vm_fail(vm, "the image of a moment: %s", error);
        json_decref(jobs);
        if (over)
            return command(vm, "job-dismiss", json_pack("{s:s}", "id", JOB), NULL, deadline) == 0
                       ? failed
                       : -1;
        poll(NULL, 0, 2);
    }
}

static int make_image(struct vpc_vm *vm, int64_t deadline)
{
    FILE *file = fopen(vm->moment, "wxe");

    if (file == NULL)
        return vm_fail(vm, "cannot make %s: %m", vm->moment);
    if (fclose(file) != 0)
        return vm_fail(vm, "cannot make %s: %m", vm->moment);
    if (command(vm, "blockdev-add",
                json_pack("{s:s, s:s, s:s}", "driver", "file", "filename", vm->moment, "node-name",
                          FILE_NODE),
                NULL, deadline) != 0 ||
        command(vm, "blockdev-create",
                json_pack("{s:s, s:{s:s, s:s, s:i}}", "job-id", JOB, "options", "driver", "qcow2",
                          "file", FILE_NODE, "size", 0),
                NULL, deadline) != 0 ||
        await_job(vm, deadline) != 0)
        return -1;
    return command(
        vm, "blockdev-add",
        json_pack("{s:s, s:s, s:s}", "driver", "qcow2", "file", FILE_NODE, "node-name", NODE), NULL,
        deadline);
}

/* A command for people: what it says is what went wrong. */
static int tell(struct vpc_vm *vm, const char *line, int64_t deadline)
{
    json_t *said;
    const char *words;
    int failed = 0;

    if (command(vm, "human-monitor-command", json_pack("{s:s}", "command-line", line), &said,
                deadline) != 0)
        return -1;
    words = json_string_value(said);
    if (words && *words)
        failed = vm_fail(vm, "%s: %.*s", line, (int)strcspn(words, "\r\n"), words);
    json_decref(said);
    return failed;
}

int vpc_vm_mark(struct vpc_vm *vm, int timeout)
{
    int64_t deadline = vpc_qmp_now() + timeout;

    if (vm->moment[0] == 0) {
        if (snprintf(vm->moment, sizeof(vm->moment), "%s/moment", vm->dir) >= PATH_MAX)
            return vm_fail(vm, "the path %s is too long", vm->dir);
        if (make_image(vm, deadline) != 0)
            return -1;
    }
    return tell(vm, "savevm moment", deadline);
}

int vpc_vm_go_back(struct vpc_vm *vm, int timeout)
{
    if (vm->moment[0] == 0) /* QEMU would stop the machine before it finds out */
        return vm_fail(vm, "no moment of it was kept");
    return tell(vm, "loadvm moment", vpc_qmp_now() + timeout);
}
