/* SPDX-License-Identifier: MIT */
/*
 * What bench-client and bench-server say to each other, over any stream of octets that has no end of its own.
 *
 * The client sends a command of BENCH_HEAD octets, text that is filled up with spaces: "OP IN OUT MS".  Then blocks go, each
 * of IN octets to the server and of OUT octets to the client.  The first octet of a block tells whether it is the last one, so
 * both sides may go on for a time instead of a number of octets.  Then comes the next command.
 *
 *   X  the server answers each block of IN octets with one of OUT octets
 *   U  the client sends blocks; one octet answers the last
 *   D  the server sends blocks for MS milliseconds
 *   B  both at once; an octet after the server's last block tells that it has the client's last
 */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

enum {
    BENCH_HEAD = 32,
    BENCH_BLOCK_MAX = 1 << 20,
    BENCH_MORE = 0, /* the first octet of a block */
    BENCH_LAST = 1,
    BENCH_FILL = 0xa5, /* the others */
};

#endif
