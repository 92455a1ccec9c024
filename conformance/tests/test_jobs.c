/* SPDX-License-Identifier: MIT */
/* Jobs: whose word counts, and what becomes of them on a machine that is short of something. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "verdicts/jobs.h"

TestSuite(jobs, .timeout = 30);

/* What a job said is said; it must have been TEXT. */
static bool has_spoken(vpc_job_fn *fn, const char *text)
{
    struct vpc_jobs *jobs = vpc_jobs_begin(1, 10000);
    struct vpc_job_result result;
    bool spoken;

    cr_assert(vpc_jobs_start(jobs, fn, NULL));
    cr_assert(vpc_jobs_next(jobs, &result));
    spoken = vpc_job_has_spoken(&result);
    cr_expect_eq(vpc_buffer_size(&result.text), strlen(text));
    cr_expect_eq(memcmp(vpc_buffer_head(&result.text), text, strlen(text)), 0);
    vpc_buffer_free(&result.text);
    vpc_jobs_end(jobs);
    return spoken;
}

static void speak(void *user, int fd)
{
    (void)user;
    cr_assert_eq(write(fd, "all is well", 11), 11);
}

static void speak_and_fall(void *user, int fd)
{
    speak(user, fd);
    raise(SIGKILL);
}

static void speak_and_fail(void *user, int fd)
{
    speak(user, fd);
    _exit(1);
}

Test(jobs, only_who_ends_well_has_spoken)
{
    cr_expect(has_spoken(speak, "all is well"));
    cr_expect_not(has_spoken(speak_and_fall, "all is well"));
    cr_expect_not(has_spoken(speak_and_fail, "all is well"));
}

/* Until it is killed. */
static void speak_without_end(void *user, int fd)
{
    static const char part[65536];

    (void)user;
    while (write(fd, part, sizeof(part)) > 0)
        ;
    _exit(0);
}

Test(jobs, who_says_too_much_is_ended)
{
    struct vpc_jobs *jobs = vpc_jobs_begin(1, 25000);
    struct vpc_job_result result;

    cr_assert(vpc_jobs_start(jobs, speak_without_end, NULL));
    cr_assert(vpc_jobs_next(jobs, &result));
    cr_expect(result.too_long);
    cr_expect(result.in_time);
    cr_expect_not(vpc_job_has_spoken(&result));
    cr_expect_leq(vpc_buffer_size(&result.text), VPC_JOB_TEXT_MAX);
    vpc_buffer_free(&result.text);
    vpc_jobs_end(jobs);
}

/* The longest text that a job may say is heard whole. */
static void speak_at_length(void *user, int fd)
{
    static const char part[65536];

    (void)user;
    for (size_t left = VPC_JOB_TEXT_MAX; left > 0; left -= sizeof(part))
        for (size_t done = 0; done < sizeof(part);) {
            ssize_t n = write(fd, part + done, sizeof(part) - done);

            if (n <= 0)
                _exit(1);
            done += (size_t)n;
        }
}

static void wait_for_ever(void)
{
    for (;;)
        pause();
}

/* The first child is the namespace's first process, which ends only when its other children were taken; these are ours. */
static void leave_a_namespace(void *user, int fd)
{
    if (unshare(CLONE_NEWPID) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0)
        _exit(1);
    for (int i = 0; i < 3; i++)
        if (fork() == 0)
            wait_for_ever();
    speak(user, fd);
}

Test(jobs, what_is_left_of_a_namespace_is_taken)
{
    struct vpc_jobs *jobs = vpc_jobs_begin(1, 10000);
    struct vpc_job_result result;

    cr_assert(vpc_jobs_start(jobs, leave_a_namespace, NULL));
    cr_assert(vpc_jobs_next(jobs, &result));
    vpc_buffer_free(&result.text);
    vpc_jobs_end(jobs);
    if (!vpc_job_has_spoken(&result))
        cr_skip_test("no namespaces of processes for this user");
    cr_expect_eq(waitpid(-1, NULL, WNOHANG), -1, "a child is left");
}

Test(jobs, a_long_text_is_heard)
{
    struct vpc_jobs *jobs = vpc_jobs_begin(1, 25000);
    struct vpc_job_result result;

    cr_assert(vpc_jobs_start(jobs, speak_at_length, NULL));
    cr_assert(vpc_jobs_next(jobs, &result));
    cr_expect(vpc_job_has_spoken(&result));
    cr_expect_eq(vpc_buffer_size(&result.text), VPC_JOB_TEXT_MAX);
    vpc_buffer_free(&result.text);
    vpc_jobs_end(jobs);
}

/* ---- a machine that is short of something ------------------------------------------------------------------------------- */

/* Criterion wants one to say what it has seen: nothing is asserted while there is none. */
static bool leave_descriptors(rlim_t number)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return false;
    limit.rlim_cur = number;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

static void speak_later(void *user, int fd)
{
    nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    speak(user, fd);
}

/* poll() looks at no more descriptors than the limit says. */
Test(jobs, who_can_not_be_waited_for_is_heard_all_the_same)
{
    struct vpc_jobs *jobs = vpc_jobs_begin(100, 20000);
    struct vpc_job_result result;
    struct timespec used;

    cr_assert(vpc_jobs_start(jobs, speak_later, NULL));
    cr_assert(leave_descriptors(50));
    cr_assert(vpc_jobs_next(jobs, &result));
    cr_expect(result.in_time, "the job pays for the deafness of the harness");
    cr_expect(vpc_job_has_spoken(&result));
    cr_expect_eq(vpc_buffer_size(&result.text), 11);
    cr_assert_eq(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used), 0);
    cr_expect_eq(used.tv_sec, 0, "it did not sleep");
    vpc_buffer_free(&result.text);
    vpc_jobs_end(jobs);
}

/* The signals that nobody can read stay what they are. */
Test(jobs, without_descriptors_none_begins_and_signals_end_the_harness)
{
    bool left = leave_descriptors(0), started;
    struct vpc_jobs *jobs = vpc_jobs_begin(1, 10000);
    sigset_t mask;
    int why;

    started = vpc_jobs_start(jobs, speak, NULL);
    why = errno;
    cr_assert(leave_descriptors(256) && left);
    cr_expect_not(started);
    cr_expect_eq(why, EMFILE);
    cr_assert_eq(sigprocmask(SIG_BLOCK, NULL, &mask), 0);
    cr_expect_not(sigismember(&mask, SIGTERM), "SIGTERM is blocked, and nobody reads it");
    vpc_jobs_end(jobs);
}

/* ---- a machine that has no time ----------------------------------------------------------------------------------------- */

static void on_first_processor(void)
{
    cpu_set_t first;

    CPU_ZERO(&first);
    CPU_SET(0, &first);
    cr_assert_eq(sched_setaffinity(0, sizeof(first), &first), 0);
}

/* It wants a tenth of a second of a processor that others have; what it does so far takes nothing. */
static void want_a_processor(void *user, int fd)
{
    const struct sched_param none = {0};
    struct timespec used;

    on_first_processor();
    cr_assert_eq(sched_setscheduler(0, SCHED_IDLE, &none), 0);
    do
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    while (used.tv_sec == 0 && used.tv_nsec < 100000000);
    speak(user, fd);
}

/* The same in a process of its own, as subjects are. */
static void let_another_want_it(void *user, int fd)
{
    pid_t pid = fork();

    if (pid == 0) {
        want_a_processor(user, fd);
        _exit(0);
    }
    while (true)
        pause();
}

static void sleep_long(void *user, int fd)
{
    (void)user;
    (void)fd;
    sleep(20);
}

/* How long the job was held up while two others spin; it was late. */
static uint64_t held_up(vpc_job_fn *fn)
{
    struct vpc_jobs *jobs = vpc_jobs_begin(1, 1000);
    struct vpc_job_result result;
    struct timespec began, now;

    for (int i = 0; i < 2; i++) /* they are killed with what the job leaves */
        if (fork() == 0) {
            on_first_processor();
            while (true)
                ;
        }
    on_first_processor(); /* what we have waited ourselves is not the job's */
    clock_gettime(CLOCK_MONOTONIC, &began);
    do
        clock_gettime(CLOCK_MONOTONIC, &now);
    while (now.tv_sec - began.tv_sec < 2);
    cr_assert(vpc_jobs_start(jobs, fn, NULL));
    cr_assert(vpc_jobs_next(jobs, &result));
    cr_expect_not(result.in_time);
    vpc_buffer_free(&result.text);
    vpc_jobs_end(jobs);
    return result.held_up;
}

Test(jobs, who_is_late_for_want_of_a_processor_was_held_up)
{
    if (access("/proc/self/schedstat", R_OK) != 0)
        cr_skip_test("the kernel does not tell who waits");
    cr_expect_gt(held_up(want_a_processor), 250);
    cr_expect_gt(held_up(let_another_want_it), 250);
    cr_expect_lt(held_up(sleep_long), 250, "it wanted none but to begin");
}
