/* SPDX-License-Identifier: MIT */
/* The ready event between processes (RDY-1 to RDY-3): each owner or waiter that matters is a
 * process of its own. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "named_event.h"
#include "scratch.h"
#include "vpc.h"

TestSuite(named_event, .timeout = 60, .init = scratch_begin, .fini = scratch_end);

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

/* Becomes the owner for the virtual machine, and is killed. */
static void killed_owner(const char *name, const char *vm, bool given)
{
    pid_t pid = fork();
    int status;

    cr_assert_geq(pid, 0);
    if (pid == 0) {
        vpc_event *event;

        if (vpc_event_open(scratch, name, &event) == 0 && vpc_event_claim(event, vm, given) == 0)
            raise(SIGKILL);
        _exit(1);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFSIGNALED(status));
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

static const char *file_path(void)
{
    static char path[128];

    snprintf(path, sizeof(path), "%s/events/Local%%5CTAG%%2F1_ChannelReady", scratch);
    return path;
}

Test(named_event, many_waiters_some_of_them_late)
{
    enum { WAITERS = 24 };
    pid_t pids[WAITERS];
    vpc_event *event = opened();

    cr_assert_eq(vpc_event_own(event), 0);
    for (int i = 0; i < WAITERS; i++) {
        pids[i] = waiter();
        if (i == WAITERS / 2)
            cr_assert_eq(vpc_event_set(event, true), 0);
    }
    for (int i = 0; i < WAITERS; i++)
        cr_assert_eq(status_of(pids[i]), 0);
    vpc_event_close(event);
}

/* Sets and resets as fast as it can, until it is killed. */
static pid_t restless_owner(void)
{
    pid_t pid = fork();

    cr_assert_geq(pid, 0);
    if (pid > 0)
        return pid;
    vpc_event *event = opened();
    while (vpc_event_own(event) != 0)
        ;
    for (bool set = true;; set = !set)
        vpc_event_set(event, set);
}

Test(named_event, an_owner_killed_at_any_moment_leaves_it_reset)
{
    vpc_event *event = opened(), *next = opened();

    for (int i = 0; i < 60; i++) {
        pid_t owner = restless_owner();
        int64_t limit = scratch_now_ms() + 5000;

        while (!vpc_event_is_set(event))
            cr_assert_lt(scratch_now_ms(), limit);
        scratch_sleep_ms(i % 3);
        kill(owner, SIGKILL);
        status_of(owner);
        cr_assert_not(vpc_event_is_set(event), "round %d", i);
        cr_assert_eq(vpc_event_own(next), 0);
        cr_assert_not(vpc_event_is_set(event), "round %d: the next owner begins with a stale word",
                      i);
        vpc_event_close(next);
        next = opened();
    }
    vpc_event_close(next);
    vpc_event_close(event);
}

/* While owners come and are killed, somebody who looks never sees it set without a living owner that set it: here none
 * ever sets it, and the word is stale. */
Test(named_event, a_stale_word_never_comes_alive)
{
    kill(setting_owner(), SIGKILL);
    while (waitpid(-1, NULL, 0) > 0)
        ;
    pid_t looker = fork();
    cr_assert_geq(looker, 0);
    if (looker == 0) {
        vpc_event *event = opened();
        int64_t end = scratch_now_ms() + 500;

        while (scratch_now_ms() < end)
            if (vpc_event_is_set(event))
                _exit(1);
        _exit(0);
    }
    int status;
    while (waitpid(looker, &status, WNOHANG) == 0) {
        vpc_event *event = opened();

        cr_assert_eq(vpc_event_own(event), 0);
        vpc_event_close(event);
    }
    cr_assert_eq(status, 0);
}

Test(named_event, garbage_in_the_file_is_not_set)
{
    FILE *file = fopen(file_path(), "w");

    for (int i = 0; i < 100000; i++)
        fputs("\x01\x01\x01\x01", file);
    fclose(file);
    vpc_event *event = opened(), *other = opened();
    cr_assert_not(vpc_event_is_set(other));
    cr_assert_eq(vpc_event_own(event), 0);
    cr_assert_not(vpc_event_is_set(other));
    cr_assert_eq(vpc_event_set(event, true), 0);
    cr_assert(vpc_event_is_set(other));
    vpc_event_close(other);
    vpc_event_close(event);
}

/* The map of a file without octets is SIGBUS to whoever looks at it. */
Test(named_event, a_file_cut_short_kills_nobody)
{
    vpc_event *event = opened(), *other = opened();

    cr_assert_eq(vpc_event_own(event), 0);
    cr_assert_eq(vpc_event_set(event, true), 0);
    cr_assert_eq(truncate(file_path(), 0), 0);
    cr_assert_not(vpc_event_is_set(other));
    cr_assert_eq(vpc_event_wait(other, 300), ETIMEDOUT);
    pid_t one = waiter();
    cr_assert_eq(vpc_event_set(event, true), 0, "set again, it is as long as it must be");
    cr_assert(vpc_event_is_set(other));
    cr_assert_eq(status_of(one), 0);
    vpc_event_close(other);
    vpc_event_close(event);
}

Test(named_event, a_file_that_was_removed_is_made_anew)
{
    vpc_event *event = opened();

    cr_assert_eq(vpc_event_own(event), 0);
    cr_assert_eq(vpc_event_set(event, true), 0);
    cr_assert_eq(unlink(file_path()), 0);
    pid_t one = waiter();
    vpc_event *other = opened();
    cr_assert_not(vpc_event_is_set(other));
    cr_assert_eq(vpc_event_set(event, true), 0);
    cr_assert(vpc_event_is_set(other));
    cr_assert_eq(status_of(one), 0);
    cr_assert_eq(vpc_event_own(other), EBUSY);
    vpc_event_close(event);
    cr_assert_not(vpc_event_is_set(other));
    vpc_event_close(other);
}

Test(named_event, what_is_no_file_of_ours_is_refused)
{
    vpc_event *event = NULL;
    char target[128];

    snprintf(target, sizeof(target), "%s/target", scratch);
    close(open(target, O_CREAT | O_RDWR | O_CLOEXEC, 0600));
    cr_assert_eq(symlink(target, file_path()), 0);
    cr_assert_eq(vpc_event_open(scratch, "Local\\TAG/1_ChannelReady", &event), ELOOP);
    cr_assert_eq(unlink(file_path()), 0);
    cr_assert_eq(mkfifo(file_path(), 0600), 0);
    cr_assert_eq(vpc_event_open(scratch, "Local\\TAG/1_ChannelReady", &event), EPERM);
    cr_assert_eq(unlink(file_path()), 0);
    cr_assert_eq(mkdir(file_path(), 0700), 0);
    cr_assert_eq(vpc_event_open(scratch, "Local\\TAG/1_ChannelReady", &event), EISDIR);
    cr_assert_eq(rmdir(file_path()), 0);
    if (geteuid() != 0)
        return;
    close(open(file_path(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
    cr_assert_eq(chown(file_path(), 12345, 12345), 0);
    cr_assert_eq(vpc_event_open(scratch, "Local\\TAG/1_ChannelReady", &event), EPERM);
}

Test(named_event, a_given_tag_goes_before_the_word_of_a_guest)
{
    vpc_event *said = opened(), *given = opened(), *second = opened();
    char owner[VPC_EVENT_OWNER_SIZE];

    cr_assert_eq(vpc_event_claim(said, "said", false), 0);
    cr_assert_eq(vpc_event_set(said, true), 0);
    cr_assert_eq(vpc_event_claim(given, "given", true), EBUSY);
    vpc_event_owner(given, owner);
    cr_assert_str_eq(owner, "said");
    cr_assert_eq(vpc_event_claim(said, "said", false), ECANCELED, "it must give it up");
    vpc_event_give_up(said);
    said = opened();
    cr_assert_eq(vpc_event_claim(said, "said", false), EBUSY, "nor takes it again in between");
    cr_assert_eq(vpc_event_claim(given, "given", true), 0);
    cr_assert_eq(vpc_event_claim(second, "second", true), EBUSY);
    vpc_event_owner(second, owner);
    cr_assert_str_eq(owner, "given");
    vpc_event_close(given);
    cr_assert_eq(vpc_event_claim(second, "second", true), 0);
    vpc_event_give_up(second);
    cr_assert_eq(access(file_path(), F_OK), 0, "the file of a given tag stays");
    vpc_event_give_up(said);
}

Test(named_event, a_given_tag_keeps_its_right_when_the_file_was_removed)
{
    vpc_event *given = opened();

    cr_assert_eq(vpc_event_claim(given, "given", true), 0);
    cr_assert_eq(unlink(file_path()), 0);
    cr_assert_eq(vpc_event_set(given, false), 0);
    vpc_event *said = opened();
    char owner[VPC_EVENT_OWNER_SIZE];
    cr_assert_eq(vpc_event_claim(said, "said", false), EBUSY);
    vpc_event_owner(said, owner);
    cr_assert_str_eq(owner, "given");
    vpc_event_close(said);
    vpc_event_close(given);
}

Test(named_event, the_file_of_a_guests_word_goes_unless_somebody_waits)
{
    vpc_event *event = opened();

    cr_assert_eq(vpc_event_claim(event, "said", false), 0);
    vpc_event_give_up(event);
    cr_assert_eq(access(file_path(), F_OK), -1);
    vpc_event *other = opened();
    event = opened();
    cr_assert_eq(vpc_event_claim(event, "said", false), 0);
    vpc_event_give_up(event);
    cr_assert_eq(access(file_path(), F_OK), 0);
    event = opened();
    cr_assert_eq(vpc_event_claim(event, "next", false), 0);
    cr_assert_eq(vpc_event_set(event, true), 0);
    cr_assert(vpc_event_is_set(other), "who waited sees the next owner");
    vpc_event_close(other);
    vpc_event_give_up(event);
    cr_assert_eq(access(file_path(), F_OK), -1);
}

/* Who opens the file while its owner removes it has the one that the path names. */
Test(named_event, no_waiter_has_a_removed_file)
{
    pid_t owner = fork();

    cr_assert_geq(owner, 0);
    while (owner == 0) {
        vpc_event *event = opened();

        vpc_event_claim(event, "said", false);
        vpc_event_give_up(event);
    }
    for (int i = 0; i < 500; i++) {
        vpc_event *event = opened();
        int error = vpc_event_claim(event, "given", true);
        while (error == EBUSY)
            error = vpc_event_claim(event, "given", true);
        cr_assert_eq(error, 0);
        cr_assert_eq(access(file_path(), F_OK), 0, "round %d", i);
        vpc_event_close(event);
    }
    kill(owner, SIGKILL);
    status_of(owner);
}

Test(named_event, the_name_of_an_owner_is_bounded_and_printable)
{
    vpc_event *event = opened(), *other = opened();
    char name[200], owner[VPC_EVENT_OWNER_SIZE];

    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    memcpy(name, "a\n\x1b\xff", 4);
    cr_assert_eq(vpc_event_claim(event, name, true), 0);
    vpc_event_owner(other, owner);
    cr_assert_eq(strncmp(owner, "a???nnn", 7), 0);
    cr_assert_eq(strlen(owner), VPC_EVENT_OWNER_SIZE - 1);
    cr_assert_eq(truncate(file_path(), 0), 0);
    vpc_event_owner(other, owner);
    cr_assert_str_eq(owner, "");
    vpc_event_close(other);
    vpc_event_close(event);
}

static bool has_file(const char *tag)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/events/Local%%5C%s", scratch, tag);
    return access(path, F_OK) == 0;
}

/* A guest may say another tag in every session, and its host endpoint may be killed in each. */
Test(named_event, what_killed_owners_have_left_goes_when_nobody_has_it_open)
{
    vpc_event *waited, *nobodys;

    killed_owner("Local\\ONE", "vm", false);
    killed_owner("Local\\TWO", "vm", true);
    killed_owner("Local\\WAITED", "vm", false);
    killed_owner("Local\\OTHER", "vm2", false);
    cr_assert_eq(vpc_event_open(scratch, "Local\\WAITED", &waited), 0);
    cr_assert_eq(vpc_event_open(scratch, "Local\\NOBODYS", &nobodys), 0);
    vpc_events_clear(scratch, "vm");
    cr_assert_not(has_file("ONE"));
    cr_assert_not(has_file("TWO"));
    cr_assert(has_file("WAITED"));
    cr_assert(has_file("OTHER"));
    cr_assert(has_file("NOBODYS"));
    vpc_event_close(waited);
    vpc_event_close(nobodys);
    vpc_events_clear(scratch, "vm");
    cr_assert_not(has_file("WAITED"));
    vpc_events_clear("/no/such/folder", "vm");
}
