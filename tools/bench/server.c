/* SPDX-License-Identifier: MIT */
/*
 * bench-server: the server that everything is measured against; see wire.h.
 *
 *     bench-server PORT [DEVICE]
 *
 * Listens on 127.0.0.1:PORT (0: any; it prints which), or on every address with *:PORT, for any number of connections, and
 * serves the raw virtio-serial port DEVICE like one of them.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "wire.h"

enum {
    EVENTS = 64,
    READ_SIZE = 262144,
    TURN_BLOCKS = 64, /* of one connection before the others have their turn */
    AWAY_US = 20000,  /* a device without a host is looked at again after this */
    BACKLOG = 4096,
    DESCRIPTORS = 65536,
};

struct peer {
    int fd;
    bool device;         /* it has no end: a host that leaves may come back */
    bool taking, giving; /* blocks come, blocks go */
    bool last_in;        /* the block that comes is the last one */
    bool last_out;
    char op;
    uint32_t in, out; /* sizes of the blocks */
    uint32_t in_at, out_at;
    uint64_t owed;  /* octets of answers */
    uint64_t until; /* blocks go; ns */
    uint32_t interest;
    unsigned have;
    char head[BENCH_HEAD + 1];
};

static int epoll;
static uint8_t octets[READ_SIZE];
static uint8_t blocks[2][BENCH_BLOCK_MAX]; /* by their first octet */

static void fail(const char *what)
{
    fprintf(stderr, "bench-server: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void want(struct peer *peer, uint32_t interest)
{
    struct epoll_event event = {.events = interest, .data.ptr = peer};

    if (interest == peer->interest)
        return;
    peer->interest = interest;
    epoll_ctl(epoll, EPOLL_CTL_MOD, peer->fd, &event);
}

static void add(int fd, bool device)
{
    struct peer *peer = calloc(1, sizeof(*peer));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = peer};

    if (peer == NULL)
        fail("memory");
    peer->fd = fd;
    peer->device = device;
    peer->interest = EPOLLIN;
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        fail("epoll_ctl");
}

static bool obey(struct peer *peer)
{
    unsigned ms = 0;

    peer->have = 0;
    if (sscanf(peer->head, "%c %u %u %u", &peer->op, &peer->in, &peer->out, &ms) != 4 ||
        peer->in < 1 || peer->in > BENCH_BLOCK_MAX || peer->out < 1 || peer->out > BENCH_BLOCK_MAX)
        return false;
    peer->taking = peer->op != 'D';
    peer->giving = peer->op == 'D' || peer->op == 'B';
    peer->in_at = peer->out_at = 0;
    peer->until = now_ns() + (uint64_t)ms * 1000000;
    return true;
}

static void block_came(struct peer *peer)
{
    peer->in_at = 0;
    if (peer->op == 'X')
        peer->owed += peer->out;
    if (!peer->last_in)
        return;
    peer->taking = false;
    if (peer->op != 'X')
        peer->owed++;
}

/* As much as one block, or one command, has of it; 0: it is no command. */
static size_t take_part(struct peer *peer, const uint8_t *at, size_t n)
{
    size_t part;

    if (!peer->taking) {
        part = BENCH_HEAD - peer->have < n ? BENCH_HEAD - peer->have : n;
        memcpy(peer->head + peer->have, at, part);
        peer->have += (unsigned)part;
        return peer->have < BENCH_HEAD || obey(peer) ? part : 0;
    }
    part = peer->in - peer->in_at < n ? peer->in - peer->in_at : n;
    if (peer->in_at == 0)
        peer->last_in = at[0] == BENCH_LAST;
    peer->in_at += (uint32_t)part;
    if (peer->in_at == peer->in)
        block_came(peer);
    return part;
}

static bool may_try_again(int error)
{
    return error == EAGAIN || error == EINTR;
}

/* false: it has gone, or says what is no command. */
static bool take(struct peer *peer)
{
    ssize_t n = read(peer->fd, octets, sizeof(octets));

    if (n == 0 && peer->device) {
        usleep(AWAY_US);
        return true;
    }
    if (n <= 0)
        return n < 0 && may_try_again(errno);
    for (size_t at = 0, part; at < (size_t)n; at += part) {
        part = take_part(peer, octets + at, (size_t)n - at);
        if (part == 0)
            return false;
    }
    return true;
}

static ssize_t give_block(struct peer *peer)
{
    if (peer->out_at == 0)
        peer->last_out = now_ns() >= peer->until;
    ssize_t n = write(peer->fd, blocks[peer->last_out ? BENCH_LAST : BENCH_MORE] + peer->out_at,
                      peer->out - peer->out_at);

    if (n <= 0)
        return n;
    peer->out_at += (uint32_t)n;
    if (peer->out_at == peer->out) {
        peer->out_at = 0;
        peer->giving = !peer->last_out;
    }
    return n;
}

static ssize_t give_answer(struct peer *peer)
{
    size_t size = peer->owed < BENCH_BLOCK_MAX ? (size_t)peer->owed : BENCH_BLOCK_MAX;
    ssize_t n = write(peer->fd, blocks[BENCH_MORE], size);

    if (n > 0)
        peer->owed -= (uint64_t)n;
    return n;
}

static bool give(struct peer *peer)
{
    for (unsigned i = 0; i < TURN_BLOCKS && (peer->giving || peer->owed > 0); i++) {
        ssize_t n = peer->giving ? give_block(peer) : give_answer(peer);

        if (n <= 0)
            return n < 0 && may_try_again(errno);
    }
    return true;
}

static void serve(struct peer *peer, uint32_t events)
{
    bool good = true;

    if (events & EPOLLHUP && peer->device)
        usleep(AWAY_US);
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        good = take(peer);
    good = good && give(peer);
    if (good || peer->device) {
        want(peer, EPOLLIN | (peer->giving || peer->owed > 0 ? EPOLLOUT : 0u));
        return;
    }
    close(peer->fd);
    free(peer);
}

static int listen_at(const char *where)
{
    bool any = strncmp(where, "*:", 2) == 0;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)atoi(where + (any ? 2 : 0))),
                                  .sin_addr.s_addr = htonl(any ? INADDR_ANY : INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        fail("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, BACKLOG) != 0)
        fail("listen");
    getsockname(fd, (struct sockaddr *)&address, &size);
    printf("%u\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static void greet(int listener)
{
    int yes = 1, fd;

    while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &yes, sizeof(yes));
        add(fd, false);
    }
}

static void prepare(void)
{
    bench_prepare(blocks);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        fail("epoll");
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS];
    struct epoll_event event = {.events = EPOLLIN};

    if (argc < 2 || argc > 3) {
        fputs("usage: bench-server PORT [DEVICE]\n", stderr);
        return 2;
    }
    prepare();
    int listener = listen_at(argv[1]);

    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    if (argc > 2) {
        int device = open(argv[2], O_RDWR | O_NONBLOCK | O_CLOEXEC);

        if (device < 0)
            fail(argv[2]);
        add(device, true);
    }
    for (;;) {
        int n = epoll_wait(epoll, events, EVENTS, -1);

        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == NULL)
                greet(listener);
            else
                serve(events[i].data.ptr, events[i].events);
        }
    }
}
