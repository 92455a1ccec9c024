/* SPDX-License-Identifier: MIT */
/*
 * The machine's monitor: QEMU's QMP, which tells a host endpoint how its machine is (TRN-7).
 *
 * It asks for nothing but to be told: how the machine is now, and whether a port of which QEMU speaks is the bus.  QEMU
 * serves one client of a QMP socket at a time; another one waits until it is served.  What it does not understand it
 * passes over.  When it is lost the endpoint is told that nobody tells, and it is looked for again.
 */
#ifndef VPC_SHELL_QMP_H
#define VPC_SHELL_QMP_H

#include <stdbool.h>
#include <stddef.h>

#include "loop.h"
#include "vpc_endpoint.h"

enum {
    VPC_HYPERVISOR_LINE_MAX = 65536, /* octets; a longer line is passed over */
    VPC_HYPERVISOR_ID_MAX = 128,     /* octets of the id of QEMU's device with the bus */
};

/* The strings must live as long as who has it. */
struct vpc_hypervisor_config {
    const char *program, *vm; /* for messages */
    const char *path;         /* of the Unix socket */
    void (*tell)(void *user, enum vpc_machine_state machine);
    void *user;
};

struct vpc_hypervisor {
    struct vpc_loop *loop; /* NULL: it is not open */
    struct vpc_hypervisor_config config;
    struct vpc_watch watch;
    struct vpc_timer retry;           /* armed while it is not connected */
    struct vpc_timer patience;        /* armed until it has said how the machine is */
    int last_error;                   /* why it is not connected, as people were told last */
    bool told;                        /* the endpoint knows of the machine by it */
    bool shut_down;                   /* a machine that stands still since then is not paused */
    bool strange;                     /* people were told that it says what is no JSON */
    bool skipping;                    /* the rest of a line that is too long */
    char port[VPC_HYPERVISOR_ID_MAX]; /* the id of the device with the bus; "": not known yet */
    char line[VPC_HYPERVISOR_LINE_MAX];
    size_t size; /* octets of a line that is not all there */
};

/* Begins to look for the monitor; it reads no octet of a guest. */
void vpc_hypervisor_open(struct vpc_hypervisor *qmp, const struct vpc_hypervisor_config *config,
                         struct vpc_loop *loop);
void vpc_hypervisor_close(struct vpc_hypervisor *qmp);

#endif
