/* SPDX-License-Identifier: MIT */
/*
 * Whose turn it is at a Unix socket that serves one client at a time, as QEMU's does.
 *
 * connect() succeeds for everyone; who is not accepted waits in line, and nothing that it could read tells.  The kernel
 * knows (sock_diag(7)): a connection that was not accepted has no socket at its other end.  It knows the names of sockets
 * too, and each host endpoint gives its own to its connection (struct vpc_bus_address, label).
 */
#ifndef VPC_BUS_TURN_H
#define VPC_BUS_TURN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/un.h>

#define VPC_LABEL_MAX 106u /* octets of a name */

struct vpc_turn {
    int diag;                  /* whom to ask; -1: on this kernel nobody */
    uint32_t inode;            /* of the connection; 0: there is none */
    struct sockaddr_un server; /* where it waits */
};

void vpc_turn_open(struct vpc_turn *turn);
void vpc_turn_close(struct vpc_turn *turn);
/* From now on it is about this connection; its descriptor need not stay. */
void vpc_turn_of(struct vpc_turn *turn, int connection);
/* Whether it was not accepted yet; false too when nobody knows. */
bool vpc_turn_waits(const struct vpc_turn *turn);
/* Whether somebody else is served meanwhile; its name to holder, of VPC_LABEL_MAX + 1 octets; "": it has none. */
bool vpc_turn_holder(const struct vpc_turn *turn, char *holder);

#endif
