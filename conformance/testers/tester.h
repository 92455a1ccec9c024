/* SPDX-License-Identifier: MIT */
/*
 * The lower tester: the subject's peer on the bus, as far as a script does not act itself.
 *
 * It encodes what steps ask for, keeps numbers (epochs, seals, offsets, credit) so that a script need not
 * state them, and does what a peer must do unasked: heartbeats, credit, RELEASED.  It never judges; the
 * monitor and the steps do.
 *
 * Ownership: the tester owns its queues.  Output waits in `out` until the run has given it to the backend.
 */
#ifndef VPC_CONFORM_TESTER_H
#define VPC_CONFORM_TESTER_H

#include "codec/codec.h"
#include "testers/monitor.h"
#include "testers/trace.h"

#define VPC_TESTER_WINDOW 262144u

struct vpc_received {
    struct vpc_received *next;
    struct conform_frame frame;
    size_t consumed; /* of a DATA's payload */
    bool repeated;   /* a HELLO with the epoch and echo of the one before */
    bool old;        /* a step has sent something since it came */
};

struct vpc_channel {
    struct vpc_channel *next;
    uint32_t id;
    bool tester_sends;
    uint64_t sent;     /* by the tester */
    uint64_t limit;    /* the subject's credit */
    uint64_t received; /* from the subject */
    uint64_t granted;
    size_t frame_max; /* payload of one DATA */
    bool fin_waits;
    bool aborted; /* the tester sent RESET */
    struct vpc_buffer waiting;
};

/* What a peer remembers, its channels apart; its machine goes back to it (tester_keep.c). */
struct vpc_peer {
    uint64_t random; /* a restored machine draws again what it drew before (SES-5) */
    uint64_t epoch;
    uint64_t subject_epoch; /* the last heard on this connection; 0: none */
    uint64_t subject_echo;
    uint64_t session;  /* of which the tester seals its frames; 0: none */
    uint64_t sessions; /* that have begun, this one too */
    uint64_t number;   /* of the last sealed frame */
    uint64_t told;     /* the subject's epoch that a HELLO of the tester echoed last */
    uint64_t beats;
};

struct vpc_tester {
    const struct vpc_table *table;
    enum vpc_role_bit role; /* the tester's own */
    struct vpc_decoder decoder;
    struct vpc_monitor *monitor;
    struct conform_trace *trace;
    struct vpc_buffer out;
    struct vpc_received *first, **last;
    size_t held; /* octets of memory in those */
    struct vpc_channel *channels[VPC_CHANNEL_LISTS];
    struct vpc_peer peer;
    uint64_t last_sent_ms;
    uint64_t last_heard_ms;
    bool auto_heartbeat, auto_credit, auto_released;
    void (*on_frame)(void *user,
                     const struct conform_frame *frame); /* of each that came; or NULL */
    void *user;
};

/* The peer in that role; table, monitor and trace are the caller's and outlive it.  Of the seed are its
   epochs.  The end frees what it holds. */
void vpc_tester_begin(struct vpc_tester *tester, const struct vpc_table *table,
                      enum vpc_role_bit role, struct vpc_monitor *monitor,
                      struct conform_trace *trace, uint64_t seed);
void vpc_tester_end(struct vpc_tester *tester);
/* The connection is new: nothing is known of the subject. */
void vpc_tester_connected(struct vpc_tester *tester);
/* Draws a new epoch; the tester's session is over. */
void vpc_tester_new_epoch(struct vpc_tester *tester);
/* Octets of the subject. */
void vpc_tester_input(struct vpc_tester *tester, const void *octets, size_t n);
/* When the tester must be called next, and the call. */
uint64_t vpc_tester_deadline(const struct vpc_tester *tester);
void vpc_tester_clock(struct vpc_tester *tester, uint64_t now);

/* A frame with all that the tester knows filled in; the caller may change it, then sends it, which clears
   it. */
void vpc_tester_prepare(struct vpc_tester *tester, struct conform_frame *frame,
                        const struct conform_message *message, uint32_t channel);
void vpc_tester_seal(struct vpc_tester *tester, struct conform_frame *frame);
/* cut: at most so many octets of it; SIZE_MAX: all. */
void vpc_tester_send(struct vpc_tester *tester, struct conform_frame *frame, size_t pads,
                     size_t cut);
/* The tester's HELLO with its preamble. */
void vpc_tester_hello(struct vpc_tester *tester);
/* Queues bytes on a channel, sent as the credit allows. */
void vpc_tester_queue(struct vpc_tester *tester, struct vpc_channel *channel, const void *octets,
                      size_t n);
void vpc_tester_push(struct vpc_tester *tester, struct vpc_channel *channel);

/* The channel of that id in this session, the tester's; NULL: there is none. */
struct vpc_channel *vpc_tester_channel(const struct vpc_tester *tester, uint32_t id);
/* All VPC_CHANNEL_LISTS of them are empty then. */
void vpc_channels_free(struct vpc_channel **lists);
/* A step is about to send: what has come is no answer to that. */
void vpc_tester_note_old(struct vpc_tester *tester);
/* Takes one out of the queue of received frames. */
void vpc_tester_drop(struct vpc_tester *tester, struct vpc_received *received);
/* 64 bits by chance, of its seed. */
uint64_t vpc_tester_random(struct vpc_tester *tester);

/* tester_keep.c: what the peer is now, freed with vpc_tester_kept_free() (NULL is allowed); and it goes back
   to that. */
struct vpc_tester_kept;
struct vpc_tester_kept *vpc_tester_keep(const struct vpc_tester *tester);
void vpc_tester_go_back(struct vpc_tester *tester, const struct vpc_tester_kept *kept);
void vpc_tester_kept_free(struct vpc_tester_kept *kept);

#endif
