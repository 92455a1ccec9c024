/* SPDX-License-Identifier: MIT */
/* Octets of a host's session to decode, and readers that take them in pieces. */
#ifndef STREAMS_H
#define STREAMS_H

#include "hand_decoder.h"

#define EMPTY 0u /* no payload: HEARTBEAT and CREDIT by turns; else DATA of so many octets each */
#define WHOLE 0u /* as the input's piece: all octets at once */

struct stream {
    uint8_t *octets;
    size_t size;
    uint32_t payload;
    unsigned frames;
};

/* Exits when there is no memory. */
struct stream stream_make(uint32_t payload);
/* Every message that the side may send. */
struct stream stream_make_mixed(enum vpc_side sender);
void *must_allocate(size_t size);

/* A ring as a session has one. */
struct bench_ring {
    uint8_t *octets;
    uint32_t size, tail;
};

void bench_ring_put(struct bench_ring *ring, const uint8_t *octets, size_t n);

/* A stream, the size of the pieces in which it is read, and a reader of each kind; ring: NULL, or where
   payloads go. */
struct reading {
    struct stream stream;
    size_t piece;
    vpc_parser *parser;
    hand_decoder *hand;
    struct bench_ring *ring;
    uint64_t sum; /* so that no field is read for nothing */
};

void read_by_grammar(void *reading);
void read_by_hand(void *reading);
/* Only copies the octets to the ring: a piece at a time, of whole input a frame at a time. */
void read_by_memcpy(void *reading);

/* Both decoders see the same frames in the stream, and in copies of it with one octet changed.  Exits if
   not. */
void streams_verify(void);

#endif
