/* SPDX-License-Identifier: MIT */
/*
 * The other side of a real endpoint's bus, on a socket: it greets, seals frames of any content, and may read
 * or not.  Nothing here blocks for longer than WIRE_LIMIT_MS; what the endpoint does not take by then is a
 * failed test.
 */
#ifndef VPC_TEST_WIRE_PEER_H
#define VPC_TEST_WIRE_PEER_H

#include <stdbool.h>

#include "vpcbus.h"

enum {
    WIRE_LIMIT_MS = 20000,
};

struct wire_peer {
    int fd;
    enum vpc_side subject; /* the endpoint under test */
    bool deaf;             /* it does not read */
    bool answers;          /* to a host endpoint: OPEN is answered with OPENED */
    bool ended;            /* the endpoint closed the bus */
    vpc_parser parser;
    uint64_t epoch, their_epoch, heard_echo, number;
    unsigned seen[32]; /* frames received, by type */
    uint32_t h2g, g2h; /* of the last OPEN */
};

void wire_begin(struct wire_peer *peer, int fd, enum vpc_side subject);
/* Reads what is there, or waits so long for it. */
void wire_hear(struct wire_peer *peer, int wait_ms);
/* Greets until there is a session; READY follows to a host endpoint. */
void wire_join(struct wire_peer *peer);
/* Sends them all, and hears meanwhile; false when the endpoint does not take them for wait_ms, or closed the
   bus. */
bool wire_put(struct wire_peer *peer, const void *octets, size_t n, int wait_ms);
/* Seals the frame with the next number and sends it. */
void wire_send(struct wire_peer *peer, vpc_frame frame);
/* The sealed frame's octets, for floods: how many. */
size_t wire_seal(struct wire_peer *peer, vpc_frame frame, uint8_t *octets);
/* A HELLO with its preamble. */
void wire_hello(struct wire_peer *peer, uint64_t echo);

#endif
