/* SPDX-License-Identifier: MIT */
/*
 * The event loop: descriptors (epoll, level-triggered) and timers, one thread.
 *
 * Nothing here looks at all watches or all timers: a watch costs a system call when its interest changes and no other
 * time; timers are a pairing heap, linked through the timers themselves, so that setting one needs no memory, never
 * fails, and costs the logarithm of how many there are.  Timers that are due at the same time run in the order in which
 * they were set.
 *
 * Watches and timers belong to whoever embeds them; they must be removed before their memory goes
 * away.  A handler may remove any watch or timer, its own included.  EPOLLHUP and EPOLLERR come
 * whatever the interest: a handler that can't deal with them at once must remove the watch, or the
 * loop spins.
 */
#ifndef VPC_LOOP_H
#define VPC_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#define VPC_LOOP_BATCH 64

struct vpc_watch {
    int fd; /* -1: none */
    bool registered;
    bool waiting; /* the kernel had no memory for it: the loop tries again */
    uint32_t interest;
    struct vpc_watch *next_waiting, **at_waiting; /* at_: what points to it */
    void (*on_ready)(struct vpc_watch *watch, uint32_t events);
    void *owner;
};

struct vpc_timer {
    bool armed;
    uint64_t due, order; /* order: of being set */
    void (*on_due)(struct vpc_timer *timer);
    void *owner;
    struct vpc_timer *below, *next,
        **at; /* the first that is not earlier, its like, what points to it */
};

struct vpc_loop {
    int epoll;
    uint64_t epoch_ms; /* what makes the monotonic clock show the time of day of the start */
    uint64_t now;      /* milliseconds; as of the last turn */
    uint64_t turns;
    struct vpc_timer *timers; /* the earliest, above all others */
    uint64_t timers_set;
    struct vpc_watch *waiting;
    struct epoll_event batch[VPC_LOOP_BATCH];
    int batch_size, batch_at;
};

/* 0, or an errno. */
int vpc_loop_open(struct vpc_loop *loop);
void vpc_loop_close(struct vpc_loop *loop);

/*
 * Registers the watch or changes its interest (EPOLLIN, EPOLLOUT, or 0).  0, or an errno.  That the
 * kernel has no memory for it is no error: the loop tries again until it has, or the watch is
 * removed, so that no descriptor is ever forgotten.
 */
int vpc_watch_set(struct vpc_loop *loop, struct vpc_watch *watch, uint32_t interest);
/* Takes it out of the loop; its descriptor stays open. */
void vpc_watch_remove(struct vpc_loop *loop, struct vpc_watch *watch);
/* Takes it out and closes its descriptor. */
void vpc_watch_close(struct vpc_loop *loop, struct vpc_watch *watch);

void vpc_timer_set(struct vpc_loop *loop, struct vpc_timer *timer, uint64_t due);
void vpc_timer_clear(struct vpc_loop *loop, struct vpc_timer *timer);

/*
 * Waits until `until` at the latest (an absolute time; UINT64_MAX: for ever) for the first events,
 * sets loop->now, calls before(owner), and the handlers of what is ready or due.  0, or an errno.
 */
int vpc_loop_turn(struct vpc_loop *loop, uint64_t until, void (*before)(void *owner), void *owner);

#endif
