/* SPDX-License-Identifier: MIT */
/* The ready event between processes (RDY-1 to RDY-3): each owner or waiter that matters is a
 * process of its own. */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scratch.h"
#include "vpc.h"

TestSuite(named_event, .timeout = 20, .init = scratch_begin, .fini = scratch_end);

static vpc_event *opened(void)
{
    vpc_event *event = NULL;
    char name[64];
    cr_assert_eq(vpc_event_name("TAG/1", name, sizeof(name)), 0);
    cr_assert_str_eq(name, "Local\\TAG/1_ChannelReady");
    cr_assert_eq(vpc_event_open(scratch, name, &event), 0);
    return event;
}

/* A process that waits for the event; exit status 0 when it was set within 10 s. */
static pid_t waiter(void)
{
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0)
        _exit(vpc_event_wait(opened(), 10000) == 0 ? 0 : 1);
    return pid;
}

/* A process that owns and sets the event, says so on the pipe, and lives until it is killed. */
static pid_t setting_owner(void)
{
    int said[2];
    char octet;
    cr_assert_eq(pipe(said), 0);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        vpc_event *event = opened();
        if (vpc_event_own(event) == 0 && vpc_event_set(event, true) == 0 &&
            write(said[1], "!", 1) == 1)
            pause();
        _exit(1);
    }
    close(said[1]);
    cr_assert_eq(read(said[0], &octet, 1), 1);
    close(said[0]);
    return pid;
}

static int status_of(pid_t pid)
{
    int status = 0;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return status;
}

Test(named_event, a_waiter_may_come_before_the_owner)
{
    pid_t one = waiter();
    scratch_sleep_ms(50);
    vpc_event *event = opened();
    cr_assert_eq(vpc_event_own(event), 0);
    cr_assert_eq(vpc_event_set(event, true), 0);
    cr_assert_eq(status_of(one), 0);
    vpc_event_close(event);
}

Test(named_event, set_wakes_every_waiter_and_stays)
{
    vpc_event *event = opened();
    cr_assert_eq(vpc_event_own(event), 0);
    pid_t one = waiter(), two = waiter();
    scratch_sleep_ms(50);
    cr_assert_eq(vpc_event_set(event, true), 0);
    cr_assert_eq(status_of(one), 0);
    cr_assert_eq(status_of(two), 0);
    pid_t three = waiter();
    cr_assert_eq(status_of(three), 0, "a manual-reset event stays set");
    vpc_event_close(event);
}

Test(named_event, reset_and_time_limit)
{
    vpc_event *event = opened(), *other = opened();
    cr_assert_eq(vpc_event_own(event), 0);
    cr_assert_eq(vpc_event_set(event, true), 0);
    cr_assert(vpc_event_is_set(other));
    cr_assert_eq(vpc_event_set(event, false), 0);
    cr_assert_not(vpc_event_is_set(other));
    int64_t start = scratch_now_ms();
    cr_assert_eq(vpc_event_wait(other, 300), ETIMEDOUT);
    cr_assert_geq(scratch_now_ms() - start, 300);
    cr_assert_eq(vpc_event_wait(other, 0), ETIMEDOUT);
    vpc_event_close(other);
    vpc_event_close(event);
}

Test(named_event, only_the_owner_sets)
{
    vpc_event *event = opened(), *other = opened();
    cr_assert_eq(vpc_event_set(other, true), EPERM);
    cr_assert_eq(vpc_event_own(event), 0);
    cr_assert_eq(vpc_event_own(other), EBUSY);
    vpc_event_close(event);
    cr_assert_eq(vpc_event_own(other), 0, "an owner that closed it is none");
    vpc_event_close(other);
}

Test(named_event, closing_resets)
{
    vpc_event *event = opened(), *other = opened();
    cr_assert_eq(vpc_event_own(event), 0);
    cr_assert_eq(vpc_event_set(event, true), 0);
    vpc_event_close(event);
    cr_assert_not(vpc_event_is_set(other));
    vpc_event_close(other);
}

Test(named_event, a_killed_owner_is_seen_as_not_set)
{
    pid_t owner = setting_owner();
    vpc_event *event = opened();
    cr_assert(vpc_event_is_set(event));
    kill(owner, SIGKILL);
    status_of(owner);
    cr_assert_not(vpc_event_is_set(event));
    cr_assert_eq(vpc_event_wait(event, 100), ETIMEDOUT);
    vpc_event_close(event);
}

Test(named_event, the_next_owner_after_a_killed_one_starts_reset)
{
    pid_t owner = setting_owner();
    kill(owner, SIGKILL);
    status_of(owner);
    pid_t one = waiter();
    vpc_event *event = opened(), *other = opened();
    cr_assert_eq(vpc_event_own(event), 0);
    cr_assert_not(vpc_event_is_set(other));
    cr_assert_eq(vpc_event_wait(other, 50), ETIMEDOUT);
    cr_assert_eq(vpc_event_set(event, true), 0);
    cr_assert_eq(status_of(one), 0);
    vpc_event_close(other);
    vpc_event_close(event);
}
