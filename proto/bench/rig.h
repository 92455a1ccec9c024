/* SPDX-License-Identifier: MIT */
/* A host's and a guest's session back to back, as fast as they go; the guest's program takes what arrives at
   once. */
#ifndef RIG_H
#define RIG_H

#include "vpcbus.h"

struct rig {
    struct rig_end {
        struct rig *rig;
        vpc_session *session;
        uint64_t epoch;
    } host, guest;
    unsigned pairs;
    vpc_pair **pair; /* the host's */
    unsigned next;   /* the pair that writes next */
    size_t piece;    /* octets of each vpc_session_input(), 0: all that there are */
    size_t chunk;    /* octets that a pair writes at a time */
    const uint8_t *content;
    uint8_t *sink;
    uint64_t delivered;
};

struct rig_plan {
    unsigned pairs;
    uint32_t buffer; /* the windows and the send buffers, octets */
    size_t chunk, piece;
};

/* Exits when the sessions do not get all pairs open. */
void rig_up(struct rig *rig, const struct rig_plan *plan);
void rig_down(struct rig *rig);

/* One chunk goes from the host's program to the guest's, by the first pair, or by each pair in turn. */
void rig_first_pair(void *rig);
void rig_pair_in_turn(void *rig);
/* A chunk of every pair: all of them wait to be sent before the first of them is. */
void rig_all_pairs(void *rig);
/* A chunk is copied, once. */
void rig_memcpy(void *rig);

#endif
