/* SPDX-License-Identifier: MIT */
/* The far end of the bus, for those kinds of address that somebody else made.  Conventions are those of shell.h. */
#ifndef VPC_BUS_DIAL_H
#define VPC_BUS_DIAL_H

#include <stdbool.h>

#include "bus_address.h"

/*
 * A new descriptor to *fd, that does not block: a connection, one that is on its way (EINPROGRESS), or the port.  Of a
 * port below /dev/virtio-ports the name counts: where nobody made the link, the device that has the name is opened.
 * EINVAL: the address is one to listen at; else an errno, and *fd is -1.
 */
int vpc_bus_dial(const struct vpc_bus_address *address, int *fd);

/* Whether the device of an open port was taken out of the machine: it never comes back, not even under its old name. */
bool vpc_port_is_gone(int fd);

#endif
