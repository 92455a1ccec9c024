/* SPDX-License-Identifier: MIT */
/*
 * Cuts one direction of the transport into the packets of a trace (spec/TRACE.md): frames, runs of padding,
 * and octets that are neither.  It only looks on: octets go by, whatever it thinks of them.
 */
#ifndef VPC_TRACE_CUT_H
#define VPC_TRACE_CUT_H

#include <stddef.h>
#include <stdint.h>

#include "vpcbus.h"

enum vpc_cut_kind {
    VPC_CUT_FRAME,
    VPC_CUT_PADDING, /* `octets` are at most VPC_CUT_PADDING_KEPT of it */
    VPC_CUT_OTHER,   /* at most 2 * VPC_FRAME_MAX octets */
};

enum {
    VPC_CUT_PADDING_KEPT = 16,
};

struct vpc_cut {
    vpc_parser parser;
    enum vpc_side sender;
    uint64_t padding; /* octets of the run under way */
    size_t other;     /* octets in `held` that are no frame */
    size_t size;      /* octets in `held`: those, and then what there is of a frame */
    uint8_t held[2 * VPC_FRAME_MAX];
    void (*on_piece)(void *user, enum vpc_cut_kind kind, const uint8_t *octets, uint64_t size);
    void *user;
};

/* Sets the members up to `held`, for octets that `sender` sends; the caller sets the others. */
void vpc_cut_begin(struct vpc_cut *cut, enum vpc_side sender);
/* n octets go by. */
void vpc_cut_octets(struct vpc_cut *cut, const uint8_t *octets, size_t n);
/* Says what there is of a run, so that what is said next comes after it; a frame under way goes on. */
void vpc_cut_flush(struct vpc_cut *cut);
/* No more octets will come of this stream: a frame under way is none. */
void vpc_cut_end(struct vpc_cut *cut);

#endif
