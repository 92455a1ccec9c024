/* SPDX-License-Identifier: MIT */
/*
 * A bench: a host's and a guest's session back to back, with the wire between them in the test's hand.
 *
 * What an end sends lies on its wire until the test delivers, drops or changes it.  Events are counted and
 * the last one of each kind is kept.  Time stands still unless the test moves it; random numbers come from
 * each end's seed.
 */
#ifndef BENCH_H
#define BENCH_H

#include "vpcbus.h"

#define BENCH_KINDS (VPC_EV_PAIR_RELEASED + 1)

enum bench_side { HOST, GUEST };

struct bench;

struct bench_end {
    struct bench *bench;
    enum bench_side side;
    vpc_session_config config;
    vpc_session *session;
    uint64_t seed;
    uint8_t *wire; /* sent and not yet arrived */
    size_t wire_len, wire_size;
    unsigned count[BENCH_KINDS];
    vpc_session_event last[BENCH_KINDS]; /* tag is NULL, text points into texts */
    char texts[BENCH_KINDS][64];
    vpc_pair *pair; /* of the last PAIR_REQUEST or bench_open(), NULL once it is released */
    void (*hook)(struct bench_end *end,
                 const vpc_session_event *event); /* after it was counted; NULL: none */
    void *user;
};

struct bench {
    struct bench_end end[2];
    uint64_t now;
    size_t piece; /* octets of each vpc_session_input, 0: as many as there are */
};

/* Two sessions with small windows, transport down.  The test may change end[].config before bench_up(). */
void bench_init(struct bench *bench);
/* Makes both sessions; the transport comes up; the guest is ready. */
void bench_up(struct bench *bench);
/* The same, then both greet each other; fails the test if they don't. */
void bench_greet(struct bench *bench);
void bench_free(struct bench *bench);

/* An end dies and starts anew; its wire stays as it is.  A restored end draws the same random numbers
   again. */
void bench_restart(struct bench_end *end);
void bench_restore(struct bench_end *end);

struct bench_end *bench_peer(struct bench_end *end);
/* Takes what the end sends now to its wire; returns how many octets. */
size_t bench_collect(struct bench_end *end);
/* The first n octets of the end's wire (or all that there are) arrive. */
void bench_deliver(struct bench_end *end, size_t n);
/* n octets of the wire, from octet `at` on, are lost. */
void bench_lose(struct bench_end *end, size_t at, size_t n);
/* Puts octets on the wire that the end did not send. */
void bench_inject(struct bench_end *end, const void *octets, size_t n);
/* The frame, sealed with the number that the peer expects next of this end. */
void bench_inject_frame(struct bench_end *end, vpc_frame frame);
/* Collects and delivers both ways until nothing moves. */
void bench_run(struct bench *bench);
/* Time passes, in steps of at most 10 ms with bench_run() after each of them. */
void bench_pass(struct bench *bench, uint64_t ms);

/* Runs until both are ready; fails the test if that takes more than ten seconds of the bench's time. */
void bench_wait_ready(struct bench *bench);
/* The host opens a pair to this port and the guest answers; both ends' `pair` is set. */
void bench_open(struct bench *bench, uint16_t port);

/* Frames on an end's wire, parsed from its start as in a session; returns how many, at most max. */
unsigned bench_frames(struct bench_end *end, vpc_frame *frames, unsigned max);

#define BENCH_HELLO_SIZE   (VPC_HEADER_SIZE + 128u + VPC_SEAL_SIZE)
#define BENCH_PREAMBLE_MIN 131129u /* FRM-8 */

void bench_expect_state(const struct bench_end *end, enum vpc_session_state state);
/* Exactly one session of this end is over, for this cause. */
void bench_expect_cause(const struct bench_end *end, const char *cause);
/* A whole preamble and a HELLO stand at the start of these octets; returns how many octets they are. */
size_t bench_expect_hello(const uint8_t *wire, size_t n, vpc_frame *hello);
/* Puts a preamble and this HELLO on the wire. */
void bench_inject_hello(struct bench_end *end, vpc_frame hello);

uint64_t bench_random(uint64_t *seed);

#endif
