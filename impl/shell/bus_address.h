/* SPDX-License-Identifier: MIT */
/*
 * What --bus may say:
 *   PATH, unix:PATH         a Unix socket to connect to; a PATH of a character device, or below /dev, is a port
 *   listen:PATH             a Unix socket to listen at
 *   vsock:CID:PORT          a machine (2: the host) and its port to connect to, over AF_VSOCK
 *   vsock-listen:PORT       a port to listen at, for any machine
 *   vsock-listen:CID:PORT   the same for the machine CID alone
 */
#ifndef VPC_BUS_ADDRESS_H
#define VPC_BUS_ADDRESS_H

#include <stddef.h>
#include <stdint.h>

enum vpc_bus_kind {
    VPC_BUS_CONNECT,
    VPC_BUS_LISTEN,
    VPC_BUS_PORT,
    VPC_BUS_VSOCK,
    VPC_BUS_VSOCK_LISTEN,
};

#define VPC_CID_ANY UINT32_MAX

struct vpc_bus_address {
    enum vpc_bus_kind kind;
    /* To whoever waits behind it the connection to a Unix socket is called so (bus_turn.h); NULL: nothing. */
    const char *label;
    const char *path; /* within what was parsed; of AF_VSOCK the whole of it, to be shown */
    uint32_t cid;     /* AF_VSOCK: whom to connect to, or who may connect; VPC_CID_ANY: anyone */
    uint32_t port;
};

/* NULL, or what is wrong with it, a sentence without its end. */
const char *vpc_bus_address_parse(const char *text, struct vpc_bus_address *address);

#endif
