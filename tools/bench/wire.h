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

#include <signal.h>
#include <string.h>
#include <sys/resource.h>

enum {
    BENCH_HEAD = 32,
    BENCH_BLOCK_MAX = 1 << 20,
    BENCH_MORE = 0, /* the first octet of a block */
    BENCH_LAST = 1,
    BENCH_FILL = 0xa5, /* the others */
};

/* A block of each kind, in blocks[BENCH_MORE] and blocks[BENCH_LAST]; as many descriptors as may be; no SIGPIPE. */
static inline void bench_prepare(unsigned char blocks[2][BENCH_BLOCK_MAX])
{
    struct rlimit limit;

    signal(SIGPIPE, SIG_IGN);
    memset(blocks[BENCH_MORE], BENCH_FILL, BENCH_BLOCK_MAX);
    memset(blocks[BENCH_LAST], BENCH_FILL, BENCH_BLOCK_MAX);
    blocks[BENCH_MORE][0] = BENCH_MORE;
    blocks[BENCH_LAST][0] = BENCH_LAST;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

#endif
