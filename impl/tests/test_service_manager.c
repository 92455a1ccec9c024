/* SPDX-License-Identifier: MIT */
/* What a service manager is told, by the module alone and by both programs; and that no signal comes too early. */
#include "service_manager.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "opener.h"
#include "programs.h"
#include "scratch.h"

TestSuite(service_manager, .timeout = 60);

static int served = -1;
static char path[108];

static struct vpc_acts acts;
static const struct vpc_opener opener = {.fd = -1, .acts = &acts};

static int opened(struct vpc_service_manager *manager, const char *name)
{
    acts.config.manager = name;
    return vpc_service_manager_open(manager, &opener, name);
}

/* A manager at `name`, which may begin with an @. */
static void serve(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t n = strlen(name);

    memcpy(address.sun_path, name, n);
    if (*name == '@')
        address.sun_path[0] = '\0';
    served = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    cr_assert_eq(bind(served, (struct sockaddr *)&address, size), 0);
}

static void begin(void)
{
    scratch_begin();
    snprintf(path, sizeof(path), "%s/notify", scratch);
    serve(path);
}

static void end(void)
{
    close(served);
    scratch_end();
}

/* The next state that is told. */
static void expect_told(const char *state)
{
    struct pollfd poller = {.fd = served, .events = POLLIN};
    char told[64];

    cr_assert_eq(poll(&poller, 1, PROGRAM_LIMIT_MS), 1, "nobody tells %s", state);
    ssize_t n = recv(served, told, sizeof(told) - 1, 0);
    cr_assert_gt(n, 0);
    told[n] = '\0';
    cr_assert_str_eq(told, state);
}

Test(service_manager, without_one_nothing_is_told, .init = scratch_begin, .fini = scratch_end)
{
    struct vpc_service_manager manager;

    cr_assert_eq(opened(&manager, NULL), 0);
    cr_assert_eq(manager.fd, -1);
    cr_assert_eq(vpc_service_manager_tell(&manager, "READY=1"), 0);
    cr_assert_eq(opened(&manager, ""), 0);
    cr_assert_eq(manager.fd, -1);
}

Test(service_manager, names_that_are_none, .init = scratch_begin, .fini = scratch_end)
{
    struct vpc_service_manager manager;
    char longest[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 1];

    cr_assert_eq(opened(&manager, "notify"), EAFNOSUPPORT);
    cr_assert_eq(opened(&manager, "vsock:2:9999"), EAFNOSUPPORT);
    memset(longest, 'x', sizeof(longest));
    longest[0] = '/';
    longest[sizeof(longest) - 1] = '\0';
    cr_assert_eq(opened(&manager, longest), ENAMETOOLONG);
    longest[sizeof(longest) - 2] = '\0';
    cr_assert_eq(opened(&manager, longest), 0);
    cr_assert_eq(vpc_service_manager_tell(&manager, "READY=1"), ENOENT);
    vpc_service_manager_close(&manager);
}

Test(service_manager, a_path_is_told, .init = begin, .fini = end)
{
    struct vpc_service_manager manager;

    cr_assert_eq(opened(&manager, path), 0);
    cr_assert_eq(vpc_service_manager_tell(&manager, "READY=1"), 0);
    expect_told("READY=1");
    vpc_service_manager_close(&manager);
}

Test(service_manager, an_abstract_name_is_told, .init = scratch_begin, .fini = end)
{
    struct vpc_service_manager manager;

    snprintf(path, sizeof(path), "@%s/notify", scratch);
    serve(path);
    cr_assert_eq(opened(&manager, path), 0);
    cr_assert_eq(vpc_service_manager_tell(&manager, "STOPPING=1"), 0);
    expect_told("STOPPING=1");
    vpc_service_manager_close(&manager);
}

static pid_t start(const char *program)
{
    char bus[128];
    bool host = strcmp(program, "vpc-host") == 0;

    snprintf(bus, sizeof(bus), "%s/bus", scratch);
    const char *const argv[] = {program,         "--bus", bus, "--vm", host ? "vm" : "guest",
                                "--runtime-dir", scratch, NULL};
    setenv("NOTIFY_SOCKET", path, 1);
    pid_t pid = program_run(-1, -1, argv);
    unsetenv("NOTIFY_SOCKET");
    return pid;
}

static void a_life(const char *program)
{
    pid_t pid = start(program);

    expect_told("READY=1");
    cr_assert_eq(kill(pid, SIGHUP), 0);
    cr_assert_eq(kill(pid, SIGTERM), 0);
    expect_told("STOPPING=1");
    cr_assert_eq(program_ended(pid), 0);
}

Test(service_manager, the_host_tells_when_it_is_ready, .init = begin, .fini = end)
{
    a_life("vpc-host");
}

Test(service_manager, the_guest_tells_when_it_is_ready, .init = begin, .fini = end)
{
    a_life("vpc-guest");
}

/* What main() has not yet come to is the loader's time: from there on SIGHUP only means to read the settings anew. */
Test(service_manager, a_hangup_before_it_is_ready_ends_nothing, .init = begin, .fini = end)
{
    pid_t pid = start("vpc-host");

    for (int i = 0; (program_status(pid, "SigBlk:") & 1UL << (SIGHUP - 1)) == 0; i++) {
        cr_assert_lt(i, PROGRAM_LIMIT_MS, "SIGHUP is never held back");
        scratch_sleep_ms(1);
    }
    for (int i = 0; i < 20; i++)
        cr_assert_eq(kill(pid, SIGHUP), 0);
    expect_told("READY=1");
    cr_assert_eq(kill(pid, SIGTERM), 0);
    cr_assert_eq(program_ended(pid), 0);
}
