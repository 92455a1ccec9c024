/* SPDX-License-Identifier: MIT */
/* See flood_rig.h. */
#include "flood_rig.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "programs.h"
#include "scratch.h"
#include "shell_rig.h"
#include "vpc.h"

enum {
    FLOOD_MS = 600,
    ROUND_TRIP_MS = 3000, /* far more than it takes; a machine that is busy must not fail this */
    LOG_MAX = 256 << 10,
};

struct wire_peer peer;
unsigned port;
char victim_control[96];

static pid_t victim, other_host, other_guest;
static char victim_log[96], victim_bus[96];
static int qemu = -1, near = -1, far = -1, server = -1;

/* ---- the other virtual machine ----------------------------------------------------------------------------------- */

static void start_other(void)
{
    char bus[128], listen_at[140], dir[128], number[8];
    vpc_virtual_machine *vm;

    snprintf(bus, sizeof(bus), "%s/other-bus", scratch);
    snprintf(listen_at, sizeof(listen_at), "listen:%s", bus);
    snprintf(dir, sizeof(dir), "%s/other", scratch);
    other_guest = program_run(
        -1, -1, (const char *[]){"vpc-guest", "--bus", listen_at, "--runtime-dir", dir, NULL});
    other_host = program_run(-1, -1,
                             (const char *[]){"vpc-host", "--bus", bus, "--runtime-dir", scratch,
                                              "--vm", "other", NULL});
    cr_assert_eq(vpc_wait_channel_ready(scratch, "other", WIRE_LIMIT_MS, NULL, NULL, NULL),
                 VPC_S_OK);
    server = rig_tcp_server(&port, 4);
    snprintf(number, sizeof(number), "%u", port);
    cr_assert_eq(vpc_find_virtual_machine(scratch, "other", &vm), VPC_S_OK);
    cr_assert_eq(vpc_start_communication_channel(vm, 0, "\\\\.\\pipe\\other", 1, number, NULL),
                 VPC_S_OK);
    vpc_release_virtual_machine(vm);
    far = accept4(server, NULL, NULL, SOCK_CLOEXEC);
    cr_assert_eq(vpc_pipe_connect(scratch, "\\\\.\\pipe\\other", &near), 0);
}

static void pass_on(int from, int to)
{
    char octet;
    struct pollfd p = {.fd = to, .events = POLLIN};

    cr_assert_eq(write(from, "x", 1), 1);
    cr_assert_eq(poll(&p, 1, ROUND_TRIP_MS), 1, "the other virtual machine's channel stands still");
    cr_assert_eq(read(to, &octet, 1), 1);
}

static void round_trip(void)
{
    pass_on(near, far);
    pass_on(far, near);
}

/* ---- the victim -------------------------------------------------------------------------------------------------- */

static int listen_as_qemu(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
    cr_assert_eq(listen(fd, 1), 0);
    return fd;
}

void flood_take_host(void)
{
    struct pollfd p = {.fd = qemu, .events = POLLIN};

    cr_assert_eq(poll(&p, 1, WIRE_LIMIT_MS), 1, "the host endpoint does not come");
    wire_begin(&peer, accept4(qemu, NULL, NULL, SOCK_CLOEXEC), VPC_HOST);
}

void flood_begin_host(void)
{
    scratch_begin();
    start_other();
    snprintf(victim_bus, sizeof(victim_bus), "%s/bus", scratch);
    snprintf(victim_log, sizeof(victim_log), "%s/log/victim.jsonl", scratch);
    snprintf(victim_control, sizeof(victim_control), "%s/vms/victim.sock", scratch);
    qemu = listen_as_qemu(victim_bus);
    victim = program_run(-1, -1,
                         (const char *[]){"vpc-host", "--bus", victim_bus, "--runtime-dir", scratch,
                                          "--vm", "victim", "--option", "hello_interval_ms=50",
                                          "--option", "backoff_max_ms=50", NULL});
    flood_take_host();
}

static void take_guest(void)
{
    int fd, tries = WIRE_LIMIT_MS / 5;

    while ((fd = rig_connect(victim_bus)) < 0 && tries-- > 0)
        scratch_sleep_ms(5);
    wire_begin(&peer, fd, VPC_GUEST);
}

void flood_begin_guest(void)
{
    char listen_at[140], dir[128];

    scratch_begin();
    start_other();
    snprintf(victim_bus, sizeof(victim_bus), "%s/bus", scratch);
    snprintf(listen_at, sizeof(listen_at), "listen:%s", victim_bus);
    snprintf(dir, sizeof(dir), "%s/guest", scratch);
    snprintf(victim_log, sizeof(victim_log), "%s/guest/log/guest.jsonl", scratch);
    snprintf(victim_control, sizeof(victim_control), "%s/guest/guest.sock", scratch);
    victim = program_run(-1, -1,
                         (const char *[]){"vpc-guest", "--bus", listen_at, "--runtime-dir", dir,
                                          "--option", "hello_interval_ms=50", "--option",
                                          "backoff_max_ms=50", NULL});
    take_guest();
}

static void stop(pid_t pid)
{
    kill(pid, SIGTERM);
    cr_expect_eq(program_ended(pid), 0, "an endpoint did not stop well");
}

void flood_end(void)
{
    close(near);
    close(far);
    close(server);
    close(peer.fd);
    if (qemu >= 0)
        close(qemu);
    stop(victim);
    stop(other_host);
    stop(other_guest);
    scratch_end();
}

static off_t log_size(void)
{
    struct stat st;

    return stat(victim_log, &st) == 0 ? st.st_size : 0;
}

/* A tenth of a processor, measured over half a second. */
void flood_expect_idle(void)
{
    wire_hear(&peer, 100);
    long before = program_cpu(victim);
    int64_t start = scratch_now_ms();
    while (scratch_now_ms() - start < 500)
        wire_hear(&peer, 50);
    cr_assert_leq(program_cpu(victim) - before, 60, "it is busy after the flood");
}

void flood_within(void (*burst)(void), long growth)
{
    burst();
    burst();
    long rss = program_rss(victim), most = rss;
    off_t log = log_size();
    unsigned bursts = 0;
    for (int64_t start = scratch_now_ms(); bursts < 3 || scratch_now_ms() - start < FLOOD_MS;
         bursts++) {
        burst();
        round_trip();
        if (program_rss(victim) > most)
            most = program_rss(victim);
    }
    cr_log_info("%u bursts: %ld KiB, %+ld KiB, log %+ld octets", bursts, rss, most - rss,
                (long)(log_size() - log));
    cr_assert_leq(most - rss, growth, "%ld KiB became %ld KiB", rss, most);
    cr_assert_leq(log_size() - log, LOG_MAX);
}

void flood(void (*burst)(void))
{
    flood_within(burst, GROWTH_KIB);
    peer.deaf = false;
    if (peer.subject == VPC_HOST && peer.ended) {
        close(peer.fd);
        flood_take_host();
    }
    wire_join(&peer); /* it still takes a peer */
    flood_expect_idle();
}
