/* SPDX-License-Identifier: MIT */
/*
 * A second process of an endpoint, which does for it what its sandbox forbids.
 *
 * The endpoint reads what strangers send; so it must not be able to open, make, remove or reach anything.  The opener was
 * forked from it before the first stranger's octet came, reads none, and knows from the start what it may do (acts.h).
 * The endpoint asks with a message of one size that carries no more than what is wanted; an errno comes back, and a
 * descriptor.  What is wrong with a message ends the opener, and the end of the one is the end of the other: an opener
 * whose endpoint has ended, in whatever way, removes what it made for it.
 */
#ifndef VPC_SHELL_OPENER_H
#define VPC_SHELL_OPENER_H

#include <stdbool.h>
#include <sys/types.h>

#include "acts.h"

/* One who is not there has fd -1: {.fd = -1}. */
struct vpc_opener {
    int fd; /* the endpoint's end of what they talk through; epoll says EPOLLHUP when the opener has ended */
    pid_t pid;             /* it is no longer than we are */
    struct vpc_acts *acts; /* not NULL: there is no second process, they are done here */
};

/* Forks.  Nothing may be open yet that the opener must not have.  0, or an errno, and *opener is not there. */
int vpc_opener_start(struct vpc_opener *opener, const struct vpc_acts_config *config);

/*
 * Asks for an act: its errno; *fd is a descriptor, or -1.  EPIPE: the opener has ended; ETIMEDOUT: it does not answer;
 * EPROTO: its answer is none.
 */
int vpc_opener_ask(const struct vpc_opener *opener, const struct vpc_errand *errand,
                   struct vpc_answer *answer, int *fd);

/* For what needs no more than its name. */
int vpc_opener_wish(const struct vpc_opener *opener, enum vpc_wish wish, int *fd);
/* As vpc_bus_dial(), or, of a bus to listen at, a socket that listens. */
int vpc_opener_dial(const struct vpc_opener *opener, int *fd);
/* The server of a pipe: ENAMETOOLONG, or as vpc_named_socket_open(). */
int vpc_opener_pipe(const struct vpc_opener *opener, uint32_t number, const char *name, int *fd);
/* The socket of a forward: the same, or what bind() says of a port; vpc_opener_end_pipe() ends it too. */
int vpc_opener_forward(const struct vpc_opener *opener, uint32_t number, const char *listen,
                       int *fd);
void vpc_opener_end_pipe(const struct vpc_opener *opener, uint32_t number);
/* A connection to the port of 127.0.0.1: 0, EINPROGRESS, or an errno; EACCES: it is none of those that are allowed. */
int vpc_opener_connect(const struct vpc_opener *opener, unsigned port, int *fd);
/* VPC_WISH_FILE, and those of its kind. */
int vpc_opener_file(const struct vpc_opener *opener, enum vpc_wish wish, enum vpc_kept which,
                    int *fd);
/*
 * Owns the ready event and sets or resets it; `bits` of enum vpc_event_bit.  After EBUSY the answer tells the owner.  *fd,
 * if it is not -1, says that the owner lives until it is closed; it replaces the one before.
 */
int vpc_opener_event(const struct vpc_opener *opener, const char *name, uint32_t bits,
                     struct vpc_answer *answer, int *fd);

/* Ends it, and waits until what it made is removed. */
void vpc_opener_end(struct vpc_opener *opener);

/* The opener's side: serves until the other end of `fd` is closed, or says what it must not.  The exit status. */
int vpc_opener_serve(int fd, const struct vpc_acts_config *config);

#endif
