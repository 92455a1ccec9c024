/* SPDX-License-Identifier: MIT */
/* What the parts of the client library know of a virtual machine. */
#ifndef VPC_VIRTUAL_MACHINE_H
#define VPC_VIRTUAL_MACHINE_H

#include "local_socket.h"
#include "vpc_control.h"

#define VPC_CONTROL_PATH_SIZE (VPC_FILE_SIZE + 300)

struct vpc_virtual_machine {
    int fd; /* the control socket */
    int64_t limit_ms;
    unsigned last_id;
    char *in; /* what was read and is no whole line yet */
    size_t in_size, in_capacity;
    json_t *events; /* that came while an answer was awaited */
    char error[256];
};

struct vpc_trust;

/* To a control socket whose folder was looked at. */
vpc_hresult vpc_connect_control(const char *path, vpc_virtual_machine **vm,
                                struct vpc_trust *trust);
/* The control socket of a name; E_POINTER for names that a path could misread. */
vpc_hresult vpc_control_path(const char *dir, const char *name, char path[VPC_CONTROL_PATH_SIZE]);
/* Whether an event is wanted; the conventions of vpc_next_event() hold. */
typedef bool vpc_wanted(const json_t *event, const void *user);
/* Whether such an event has come and was not taken yet. */
bool vpc_has_event(const vpc_virtual_machine *vm, vpc_wanted *wanted, const void *user);
/* Takes the first such event, and leaves the others; end is of the monotonic clock (vpc_end_of()). */
vpc_hresult vpc_await_event(vpc_virtual_machine *vm, vpc_wanted *wanted, const void *user,
                            int64_t end, json_t **event);
/* Sets vpc_last_error() and answers result. */
vpc_hresult vpc_fail(vpc_virtual_machine *vm, vpc_hresult result, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
