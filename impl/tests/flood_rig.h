/* SPDX-License-Identifier: MIT */
/*
 * A real endpoint, the victim, with a hostile side at its bus, and the endpoints of another virtual machine
 * that must not notice what the hostile side does.
 *
 * A test says what one burst is; the rig repeats it, and fails the test where the victim grows, writes much
 * into its log, stands in the other machine's way, or is busy when the flood is over.
 */
#ifndef VPC_TEST_FLOOD_RIG_H
#define VPC_TEST_FLOOD_RIG_H

#include "wire_peer.h"

enum {
#ifdef __SANITIZE_ADDRESS__
    GROWTH_KIB = 400 << 10, /* what is freed stays for a while */
#else
    GROWTH_KIB = 4 << 10,
#endif
};

extern struct wire_peer peer;   /* the hostile side */
extern unsigned port;           /* of a TCP server that accepts nothing more */
extern char victim_control[96]; /* the path of the victim's control socket */

/* For .init and .fini: all programs run, and the peer is connected; the victim is a host or a guest
   endpoint. */
void flood_begin_host(void);
void flood_begin_guest(void);
void flood_end(void);
/* Takes the connection of a host endpoint that has come again; the peer is at it then. */
void flood_take_host(void);

/* Bursts for 600 ms, at least three behind two that warm up; the victim grows by `growth` KiB at most, its
   log by 256 KiB. */
void flood_within(void (*burst)(void), long growth);
/* The victim has nothing to do, and uses no processor for it. */
void flood_expect_idle(void);
/* flood_within() of GROWTH_KIB; then the victim is in a session again, and idle. */
void flood(void (*burst)(void));

#endif
