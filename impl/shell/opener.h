/* SPDX-License-Identifier: MIT */
/*
 * A second process of an endpoint, which opens for it what its sandbox forbids.
 *
 * The endpoint reads what strangers send; so it must not be able to open, or connect to, anything.  The opener was
 * forked from it before the first stranger's octet came, reads none, and knows from the start the one bus that it may
 * open.  The endpoint asks with a message of one size that carries no more than what is wanted; a descriptor or an errno
 * comes back.  What is wrong with a message ends the opener, and the end of the one is the end of the other.
 */
#ifndef VPC_SHELL_OPENER_H
#define VPC_SHELL_OPENER_H

#include <stdbool.h>
#include <sys/types.h>

#include "bus_address.h"

/* One who is not there has fd -1: {.fd = -1}. */
struct vpc_opener {
    int fd; /* the endpoint's end of what they talk through; epoll says EPOLLHUP when the opener has ended */
    pid_t pid; /* it is no longer than we are */
};

/* What the opener is told at its start; the strings must live as long as it. */
struct vpc_opener_config {
    const char *program, *vm;          /* for its messages */
    const struct vpc_bus_address *bus; /* that it opens, as vpc_bus_dial() does */
    bool sandboxed;                    /* it has a sandbox of its own */
};

/* Forks.  Nothing may be open yet that the opener must not have.  0, or an errno, and *opener is not there. */
int vpc_opener_start(struct vpc_opener *opener, const struct vpc_opener_config *config);

/*
 * As vpc_bus_dial(), by the opener.  EPIPE: it has ended; ETIMEDOUT: it does not answer; EPROTO: its answer is none.
 */
int vpc_opener_dial(const struct vpc_opener *opener, int *fd);

/* Ends it.  Nobody waits for it: where it ends last, its endpoint is gone. */
void vpc_opener_end(struct vpc_opener *opener);

/* The opener's side: serves until the other end of `fd` is closed, or says what it must not.  The exit status. */
int vpc_opener_serve(int fd, const struct vpc_opener_config *config);

/* What they say to each other; fuzzed. */
enum vpc_opener_wish {
    VPC_OPENER_BUS = 1, /* the bus */
};

struct vpc_opener_request {
    unsigned char wish; /* enum vpc_opener_wish */
    unsigned char zero[7];
};

struct vpc_opener_answer {
    int error; /* an errno; EINPROGRESS comes with a descriptor */
};

#endif
