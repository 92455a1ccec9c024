/* SPDX-License-Identifier: MIT */
/*
 * The blocks of a pcapng file, written with write(): no part of one waits in memory.
 *
 * Functions give 0 or an errno.  Numbers have the octet order of this machine, as the format allows.
 */
#ifndef VPC_CONFORM_PCAPNG_H
#define VPC_CONFORM_PCAPNG_H

#include <stddef.h>
#include <stdint.h>

struct conform_packet {
    uint64_t ns;   /* since 1970 */
    int direction; /* 1 inbound, 2 outbound */
    const uint8_t *octets;
    size_t size;         /* captured, of ... */
    size_t original;     /* ... so many */
    const char *comment; /* or NULL */
};

/* A section with its one interface: LINKTYPE_USER0, nanoseconds. */
int vpc_pcapng_begin(int fd, const char *writer, const char *interface, const char *description);
int vpc_pcapng_packet(int fd, const struct conform_packet *packet);

#endif
