/* SPDX-License-Identifier: MIT */
/* The process that talks to the machine's monitor: in its sandbox, what it tells, and how either side ends. */
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "observer.h"
#include "sandbox.h"
#include "scratch.h"
#include "vpc_endpoint.h"

#define GREETING    "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n"
#define CAPABLE     "{\"return\": {}, \"id\": \"capabilities\"}\r\n"
#define RUNNING     "{\"return\": {\"status\": \"running\", \"running\": true}, \"id\": \"status\"}\r\n"
#define EVENT(name) "{\"event\": \"" name "\"}\r\n"

enum {
    LIMIT_MS = 20000,
};

static struct vpc_observer observer = {.fd = -1};
static int listener = -1, qemu = -1;
static char path[sizeof(scratch) + 8];

static void serve(void)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};

    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(at.sun_path, sizeof(at.sun_path), "%s/qmp", scratch);
    unlink(at.sun_path);
    cr_assert_eq(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
    cr_assert_eq(listen(listener, 1), 0);
}

static void begin(void)
{
    scratch_begin();
    snprintf(path, sizeof(path), "%s/qmp", scratch);
    serve();
    const struct vpc_observer_config config = {
        .program = "test",
        .vm = "vm",
        .path = path,
        .sandboxed = vpc_sandbox_possible(),
        .not_its_own = -1,
    };
    cr_assert_eq(vpc_observer_start(&observer, &config), 0);
}

static void end(void)
{
    vpc_observer_end(&observer);
    while (wait(NULL) > 0)
        ;
    if (qemu >= 0)
        close(qemu);
    if (listener >= 0)
        close(listener);
    qemu = listener = -1;
    scratch_end();
}

TestSuite(observer, .timeout = 60, .init = begin, .fini = end);

static void wait_for(int fd)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};

    cr_assert_eq(poll(&ready, 1, LIMIT_MS), 1);
}

static void say(const char *text)
{
    cr_assert_eq(send(qemu, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static void expect_asked(const char *command)
{
    char asked[512];
    ssize_t n;

    wait_for(qemu);
    n = recv(qemu, asked, sizeof(asked) - 1, 0);
    cr_assert_gt(n, 0);
    asked[n] = '\0';
    cr_assert_not_null(strstr(asked, command), "%s", asked);
}

static void expect_told(uint32_t want)
{
    uint32_t machine = 99;

    wait_for(observer.fd);
    cr_assert_eq(vpc_observer_hear(&observer, &machine), 0);
    cr_assert_eq(machine, want);
}

static void greet(void)
{
    wait_for(listener);
    qemu = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    cr_assert_geq(qemu, 0);
    say(GREETING);
    expect_asked("qmp_capabilities");
    say(CAPABLE);
    expect_asked("query-status");
    say(RUNNING);
    expect_told(VPC_MACHINE_RUNS);
}

Test(observer, it_tells_what_the_monitor_says)
{
    uint32_t machine;

    greet();
    say(EVENT("STOP") EVENT("RESUME"));
    say(EVENT("RESET"));
    expect_told(VPC_MACHINE_PAUSED);
    expect_told(VPC_MACHINE_RUNS);
    expect_told(VPC_MACHINE_RESET);
    cr_assert_eq(vpc_observer_hear(&observer, &machine), EAGAIN);
}

/* In its sandbox too it connects anew. */
Test(observer, a_monitor_that_is_lost_is_looked_for_again)
{
    greet();
    close(qemu);
    close(listener);
    expect_told(VPC_MACHINE_UNKNOWN);
    serve();
    greet();
}

Test(observer, it_ends_with_the_endpoint)
{
    int status;

    greet();
    vpc_observer_end(&observer);
    cr_assert_gt(wait(&status), 0);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

Test(observer, its_end_is_heard_behind_what_it_said)
{
    uint32_t machine;

    greet();
    say(EVENT("STOP"));
    wait_for(observer.fd);
    cr_assert_eq(kill(observer.pid, SIGKILL), 0);
    cr_assert_gt(wait(NULL), 0);
    expect_told(VPC_MACHINE_PAUSED);
    cr_assert_eq(vpc_observer_hear(&observer, &machine), EPIPE);
}

/* What is no message is none of any length or value. */
Test(observer, what_is_no_message_is_told_so)
{
    static const char octets[8] = {VPC_MACHINE_RUNS};
    static const uint32_t beyond = VPC_MACHINE_PORT_CLOSED + 1;
    int ends[2];
    uint32_t machine;

    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    const struct vpc_observer other = {.fd = ends[0]};
    for (size_t n = 1; n <= sizeof(octets); n++) {
        cr_assert_eq(send(ends[1], octets, n, 0), (ssize_t)n);
        cr_assert_eq(vpc_observer_hear(&other, &machine), n == 4 ? 0 : EPROTO, "%zu octets", n);
    }
    cr_assert_eq(send(ends[1], &beyond, sizeof(beyond), 0), (ssize_t)sizeof(beyond));
    cr_assert_eq(vpc_observer_hear(&other, &machine), EPROTO);
    close(ends[0]);
    close(ends[1]);
}
