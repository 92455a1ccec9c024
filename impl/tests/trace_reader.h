/* SPDX-License-Identifier: MIT */
/* A strict reader of traces (spec/TRACE.md), written from that page alone.  It fails the test at the first
   octet that is wrong. */
#ifndef VPC_TRACE_READER_H
#define VPC_TRACE_READER_H

#include <stddef.h>
#include <stdint.h>

struct traced_packet {
    uint32_t direction; /* 1 inbound, 2 outbound, 0 neither */
    uint64_t time_ns;
    const uint8_t *octets;
    uint32_t kept, whole;
    char comment[512]; /* "" without one */
};

struct traced {
    uint8_t *file;
    unsigned sections;
    char interface[32], description[96];
    size_t count;
    struct traced_packet packet[4096];
};

/* The caller gives it back with traced_free(). */
struct traced *traced_read(const char *path);
void traced_free(struct traced *t);

enum traced_kind {
    TRACED_FRAME,
    TRACED_PADDING,
    TRACED_OTHER,
    TRACED_ENTRY,
};

enum traced_kind traced_kind(const struct traced_packet *packet);

#endif
