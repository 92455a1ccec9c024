/* SPDX-License-Identifier: MIT */
/* Timers, of which there may be many. */
#include "loop.h"

#include <criterion/criterion.h>
#include <stdlib.h>

TestSuite(timers, .timeout = 20);

enum { MANY = 10000 };

static struct vpc_loop loop;
static struct vpc_timer timers[MANY];
static size_t run[MANY], run_count;

static void on_due(struct vpc_timer *timer)
{
    cr_assert_lt(run_count, (size_t)MANY);
    run[run_count++] = (size_t)(timer - timers);
}

static void nothing(void *owner)
{
    (void)owner;
}

/* Makes all that is due by `now` due, and runs it. */
static void run_until(uint64_t now)
{
    loop.epoch_ms += now - loop.now;
    cr_assert_eq(vpc_loop_turn(&loop, 0, nothing, NULL), 0);
}

static uint64_t due_of(size_t i)
{
    return (uint64_t)(i * 7919 % 1000);
}

Test(timers, many_run_in_the_order_of_their_times_and_then_of_being_set)
{
    cr_assert_eq(vpc_loop_open(&loop), 0);
    uint64_t start = loop.now;

    for (size_t i = 0; i < MANY; i++) {
        timers[i].on_due = on_due;
        vpc_timer_set(&loop, &timers[i], start + 5000 + due_of(i));
    }
    run_until(start + 4000);
    cr_assert_eq(run_count, 0u);
    run_until(start + 60000);
    cr_assert_eq(run_count, (size_t)MANY);
    for (size_t i = 1; i < MANY; i++) {
        uint64_t before = due_of(run[i - 1]), now = due_of(run[i]);

        cr_assert(before < now || (before == now && run[i - 1] < run[i]));
        cr_assert(!timers[run[i]].armed);
    }
    vpc_loop_close(&loop);
}

Test(timers, those_that_were_cleared_or_set_again_do_not_run_before)
{
    cr_assert_eq(vpc_loop_open(&loop), 0);
    uint64_t start = loop.now;

    for (size_t i = 0; i < MANY; i++) {
        timers[i].on_due = on_due;
        vpc_timer_set(&loop, &timers[i], start + 5000 + due_of(i));
    }
    for (size_t i = 0; i < MANY; i += 3)
        vpc_timer_clear(&loop, &timers[i]);
    for (size_t i = 1; i < MANY; i += 3)
        vpc_timer_set(&loop, &timers[i], start + 100000 + due_of(i));
    run_until(start + 60000);
    for (size_t i = 0; i < run_count; i++)
        cr_assert_eq(run[i] % 3, 2u);
    cr_assert_eq(run_count, (size_t)MANY / 3);
    run_until(start + 200000);
    cr_assert_eq(run_count, (size_t)MANY / 3 * 2);
    cr_assert_null(loop.timers);
    vpc_loop_close(&loop);
}

static void set_again(struct vpc_timer *timer)
{
    run_count++;
    vpc_timer_set(&loop, timer, loop.now);
}

Test(timers, one_that_sets_itself_for_now_runs_once_a_turn)
{
    cr_assert_eq(vpc_loop_open(&loop), 0);
    timers[0].on_due = set_again;
    timers[1].on_due = set_again;
    vpc_timer_set(&loop, &timers[0], loop.now);
    vpc_timer_set(&loop, &timers[1], loop.now);
    run_until(loop.now);
    cr_assert_eq(run_count, 2u);
    run_until(loop.now);
    cr_assert_eq(run_count, 4u);
    vpc_loop_close(&loop);
}
