/* SPDX-License-Identifier: MIT */
/*
 * What the guest endpoint costs a small guest: the size of its one file, its resident memory idle and with every pair in
 * use and every buffer full, and the processor when nothing moves.  `test_impl_footprint --verbose=1` prints the figures that
 * vpc-guest(8) has.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "programs.h"
#include "scratch.h"
#include "shell_rig.h"
#include "vpc.h"

enum {
    PAIRS = 16,
    IDLE_MS = 3000,
    FILL_MS = 1500,
};

#if defined(__SANITIZE_ADDRESS__)
#define BOUND(kib) ((kib) + (256 << 10))
#else
#define BOUND(kib) (kib)
#endif

static pid_t host, guest;
static int server, near[PAIRS], far[PAIRS];

static void begin(void)
{
    char bus[96], listen_at[128], dir[96];
    scratch_begin();
    snprintf(bus, sizeof(bus), "%s/bus", scratch);
    snprintf(listen_at, sizeof(listen_at), "listen:%s", bus);
    snprintf(dir, sizeof(dir), "%s/guest", scratch);
    guest = program_run(
        -1, -1, (const char *[]){"vpc-guest", "--bus", listen_at, "--runtime-dir", dir, NULL});
    host = program_run(
        -1, -1,
        (const char *[]){"vpc-host", "--bus", bus, "--runtime-dir", scratch, "--vm", "vm", NULL});
    cr_assert_eq(vpc_wait_channel_ready(scratch, "vm", PROGRAM_LIMIT_MS, NULL, NULL, NULL),
                 VPC_S_OK);
}

static void end(void)
{
    for (int i = 0; i < PAIRS; i++) {
        close(near[i]);
        close(far[i]);
    }
    close(server);
    kill(host, SIGKILL);
    program_ended(host);
    kill(guest, SIGKILL);
    program_ended(guest);
    scratch_end();
}

TestSuite(footprint, .timeout = 60, .init = begin, .fini = end);

static void open_pairs(void)
{
    char number[8], pipe[32];
    unsigned port;
    vpc_virtual_machine *vm;
    server = rig_tcp_server(&port, PAIRS);
    snprintf(number, sizeof(number), "%u", port);
    cr_assert_eq(vpc_find_virtual_machine(scratch, "vm", &vm), VPC_S_OK);
    for (int i = 0; i < PAIRS; i++) {
        snprintf(pipe, sizeof(pipe), "\\\\.\\pipe\\p%d", i);
        cr_assert_eq(vpc_start_communication_channel(vm, 0, pipe, 1, number, NULL), VPC_S_OK);
        far[i] = accept4(server, NULL, NULL, SOCK_CLOEXEC);
        cr_assert_eq(vpc_pipe_connect(scratch, pipe, &near[i]), 0);
    }
    vpc_release_virtual_machine(vm);
}

/* Nobody reads: both windows of every pair are full in the end. */
static void fill_pairs(void)
{
    static char octets[65536];
    for (int64_t until = scratch_now_ms() + FILL_MS; scratch_now_ms() < until; scratch_sleep_ms(5))
        for (int i = 0; i < PAIRS; i++) {
            send(near[i], octets, sizeof(octets), MSG_DONTWAIT | MSG_NOSIGNAL);
            send(far[i], octets, sizeof(octets), MSG_DONTWAIT | MSG_NOSIGNAL);
        }
}

static long idle_cpu(void)
{
    long before = program_cpu(guest);
    scratch_sleep_ms(IDLE_MS);
    return program_cpu(guest) - before;
}

Test(footprint, of_the_guest_endpoint)
{
    struct stat st;
    cr_assert_eq(stat(VPC_BUILD "/vpc-guest", &st), 0);
    long idle_rss = program_rss(guest), cpu = idle_cpu();
    open_pairs();
    long open_rss = program_rss(guest);
    fill_pairs();
    long full_rss = program_rss(guest), full_cpu = idle_cpu();
    cr_log_info("vpc-guest: file %ld KiB; resident idle %ld KiB, with %d pairs %ld KiB, with their "
                "buffers full %ld KiB; "
                "processor in %d ms idle %ld ms, with full pairs that nobody reads %ld ms",
                (long)st.st_size / 1024, idle_rss, PAIRS, open_rss, full_rss, IDLE_MS, cpu,
                full_cpu);
    cr_assert_leq(idle_rss, BOUND(4 << 10));
    cr_assert_leq(full_rss - idle_rss, BOUND(PAIRS * (256 + 128) + 1024),
                  "windows and send buffers, and little else");
    cr_assert_leq(cpu, IDLE_MS / 50, "%ld ms", cpu);
    cr_assert_leq(full_cpu, IDLE_MS / 50, "%ld ms", full_cpu);
}
