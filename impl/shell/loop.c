/* SPDX-License-Identifier: MIT */
#include "loop.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

#define VPC_WAITING_MS 50 /* between two tries to register a watch */

static uint64_t read_clock(clockid_t clock)
{
    struct timespec ts;

    clock_gettime(clock, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void update_now(struct vpc_loop *loop)
{
    loop->now = loop->epoch_ms + read_clock(CLOCK_MONOTONIC);
}

int vpc_loop_open(struct vpc_loop *loop)
{
    *loop = (struct vpc_loop){.epoll = epoll_create1(EPOLL_CLOEXEC)};
    if (loop->epoll < 0)
        return errno;
    loop->epoch_ms = read_clock(CLOCK_REALTIME) - read_clock(CLOCK_MONOTONIC);
    update_now(loop);
    return 0;
}

void vpc_loop_close(struct vpc_loop *loop)
{
    close(loop->epoll);
    loop->epoll = -1;
}

static int tell_kernel(const struct vpc_loop *loop, struct vpc_watch *watch)
{
    struct epoll_event event = {.events = watch->interest, .data.ptr = watch};
    int op = watch->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

    if (epoll_ctl(loop->epoll, op, watch->fd, &event) != 0)
        return errno;
    watch->registered = true;
    return 0;
}

static void stop_waiting(struct vpc_watch *watch)
{
    if (!watch->waiting)
        return;
    *watch->at_waiting = watch->next_waiting;
    if (watch->next_waiting != NULL)
        watch->next_waiting->at_waiting = watch->at_waiting;
    watch->waiting = false;
}

static void wait_for_memory(struct vpc_loop *loop, struct vpc_watch *watch)
{
    watch->waiting = true;
    watch->next_waiting = loop->waiting;
    watch->at_waiting = &loop->waiting;
    if (watch->next_waiting != NULL)
        watch->next_waiting->at_waiting = &watch->next_waiting;
    loop->waiting = watch;
}

/* Only a new watch needs memory: one that is registered does not wait, or its old interest would spin. */
int vpc_watch_set(struct vpc_loop *loop, struct vpc_watch *watch, uint32_t interest)
{
    if ((watch->registered || watch->waiting) && watch->interest == interest)
        return 0;
    watch->interest = interest;
    if (watch->waiting)
        return 0;
    int error = tell_kernel(loop, watch);
    if (watch->registered || (error != ENOMEM && error != ENOSPC))
        return error;
    wait_for_memory(loop, watch);
    return 0;
}

static void retry_waiting(struct vpc_loop *loop)
{
    for (struct vpc_watch *watch = loop->waiting, *next; watch != NULL; watch = next) {
        next = watch->next_waiting;
        if (tell_kernel(loop, watch) == 0)
            stop_waiting(watch);
    }
}

/* What the kernel already handed out must not reach a watch that is gone. */
static void forget(struct vpc_loop *loop, struct vpc_watch *watch)
{
    stop_waiting(watch);
    watch->registered = false;
    for (int i = loop->batch_at; i < loop->batch_size; i++)
        if (loop->batch[i].data.ptr == watch)
            loop->batch[i].data.ptr = NULL;
}

void vpc_watch_remove(struct vpc_loop *loop, struct vpc_watch *watch)
{
    if (watch->registered)
        epoll_ctl(loop->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
    forget(loop, watch);
}

/* As it is closed the kernel takes a descriptor out of epoll that nobody else has; but the opener, which handed it over, may
 * have it for a moment longer. */
void vpc_watch_close(struct vpc_loop *loop, struct vpc_watch *watch)
{
    if (watch->fd < 0)
        return;
    vpc_watch_remove(loop, watch);
    close(watch->fd);
    watch->fd = -1;
}

/* ---- timers ------------------------------------------------------------------------------------ */

static bool earlier(const struct vpc_timer *a, const struct vpc_timer *b)
{
    return a->due < b->due || (a->due == b->due && a->order < b->order);
}

/* Two heaps become one; NULL is an empty one. */
static struct vpc_timer *join(struct vpc_timer *a, struct vpc_timer *b)
{
    if (a == NULL || b == NULL)
        return a != NULL ? a : b;
    struct vpc_timer *top = earlier(a, b) ? a : b, *other = top == a ? b : a;
    other->next = top->below;
    other->at = &top->below;
    if (other->next != NULL)
        other->next->at = &other->next;
    top->below = other;
    return top;
}

/* Likes become one heap: by twos, and then from the last two to the first, which keeps the heap flat. */
static struct vpc_timer *join_all(struct vpc_timer *first)
{
    struct vpc_timer *joined = NULL, *heap = NULL;

    while (first != NULL) {
        struct vpc_timer *a = first, *b = a->next;

        first = b != NULL ? b->next : NULL;
        a->next = NULL;
        if (b != NULL)
            b->next = NULL;
        a = join(a, b);
        a->next = joined;
        joined = a;
    }
    while (joined != NULL) {
        struct vpc_timer *one = joined;

        joined = one->next;
        one->next = NULL;
        heap = join(heap, one);
    }
    return heap;
}

static void put(struct vpc_loop *loop, struct vpc_timer *heap)
{
    loop->timers = join(loop->timers, heap);
    if (loop->timers != NULL)
        loop->timers->at = &loop->timers;
}

void vpc_timer_clear(struct vpc_loop *loop, struct vpc_timer *timer)
{
    if (!timer->armed)
        return;
    *timer->at = timer->next;
    if (timer->next != NULL)
        timer->next->at = timer->at;
    put(loop, join_all(timer->below));
    timer->armed = false;
}

void vpc_timer_set(struct vpc_loop *loop, struct vpc_timer *timer, uint64_t due)
{
    vpc_timer_clear(loop, timer);
    timer->due = due;
    timer->order = ++loop->timers_set;
    timer->armed = true;
    timer->below = timer->next = NULL;
    put(loop, timer);
}

static int wait_ms(const struct vpc_loop *loop, uint64_t until)
{
    if (loop->timers != NULL && loop->timers->due < until)
        until = loop->timers->due;
    if (until == UINT64_MAX)
        return -1;
    uint64_t now = loop->epoch_ms + read_clock(CLOCK_MONOTONIC);
    if (until <= now)
        return 0;
    return until - now > INT_MAX ? INT_MAX : (int)(until - now);
}

/* Timers that a handler sets for now or earlier run in the next turn, so that no timer keeps the
 * others waiting. */
static void run_timers(struct vpc_loop *loop)
{
    uint64_t last = loop->timers_set;

    while (loop->timers != NULL && loop->timers->due <= loop->now && loop->timers->order <= last) {
        struct vpc_timer *timer = loop->timers;

        vpc_timer_clear(loop, timer);
        timer->on_due(timer);
    }
}

int vpc_loop_turn(struct vpc_loop *loop, uint64_t until, void (*before)(void *owner), void *owner)
{
    retry_waiting(loop);
    if (loop->waiting != NULL && until > loop->now + VPC_WAITING_MS)
        until = loop->now + VPC_WAITING_MS;
    loop->batch_at = 0;
    loop->batch_size = epoll_wait(loop->epoll, loop->batch, VPC_LOOP_BATCH, wait_ms(loop, until));
    if (loop->batch_size < 0) {
        loop->batch_size = 0;
        if (errno != EINTR)
            return errno;
    }
    loop->turns++;
    update_now(loop);
    before(owner);
    run_timers(loop);
    while (loop->batch_at < loop->batch_size) {
        struct epoll_event *event = &loop->batch[loop->batch_at++];
        struct vpc_watch *watch = event->data.ptr;

        if (watch != NULL)
            watch->on_ready(watch, event->events);
    }
    loop->batch_size = 0;
    return 0;
}
