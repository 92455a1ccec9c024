/* SPDX-License-Identifier: MIT */
/* A peer of the test's own: well-sealed frames of any content to one endpoint, and what it answers. */
#ifndef VPC_CORE_TESTS_PEER_H
#define VPC_CORE_TESTS_PEER_H

#include "rig.h"

#define PEER_PAIRS 16

/* What the peer knows of a pair, so that its frames can be right when they shall be. */
struct peer_pair {
    uint32_t h2g, g2h;
    uint64_t sent; /* octets that the peer sent */
};

struct peer {
    struct side *side;
    vpc_parser parser;
    uint64_t epoch, their_epoch, number;
    uint16_t version_min, version_max, max_pairs;
    unsigned seen[32]; /* frames received, by type */
    vpc_frame last;    /* of them */
    struct peer_pair pairs[PEER_PAIRS];
    unsigned pair_count; /* ever known in this session; the last PEER_PAIRS are kept */
};

void peer_begin(struct peer *peer, struct side *side);
/* A session: the bus up if it is not, HELLO both ways; with `ready` (to a host endpoint) READY 1 too. */
void peer_join(struct peer *peer, bool ready);
/* Takes what the endpoint sends. */
void peer_hear(struct peer *peer);
void peer_hello(struct peer *peer, uint64_t echo);
/* Seals the frame with the next number, sends it, hears the answer. */
void peer_send(struct peer *peer, vpc_frame frame);
void peer_octets(struct peer *peer, const void *octets, size_t n);
void peer_knows(struct peer *peer, uint32_t h2g, uint32_t g2h);

#endif
