/* SPDX-License-Identifier: MIT */
/* What the parts of the client library know of a virtual machine. */
#ifndef VPC_VIRTUAL_MACHINE_H
#define VPC_VIRTUAL_MACHINE_H

#include "vpc_control.h"

struct vpc_virtual_machine {
    int fd; /* the control socket */
    int64_t limit_ms;
    unsigned last_id;
    char *in; /* what was read and is no whole line yet */
    size_t in_size, in_capacity;
    json_t *events; /* that came while an answer was awaited */
    char error[256];
};

/* Of the monotonic clock. */
int64_t vpc_now_ms(void);
/* When a time limit that begins now is over; INT64_MAX for VPC_FOREVER. */
int64_t vpc_end_of(int64_t limit_ms);
/* Sets vpc_last_error() and answers result. */
vpc_hresult vpc_fail(vpc_virtual_machine *vm, vpc_hresult result, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
