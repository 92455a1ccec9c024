/* SPDX-License-Identifier: MIT */
/*
 * What the guest endpoint costs a small guest: the size of its one file, its resident memory idle and with every pair in
 * use and every buffer full, and the processor when nothing moves.  And what a machine costs its host at most: memory and
 * descriptors with every pair of max_pairs in use and every buffer full.  `test_impl_footprint --verbose=1` prints the figures
 * that the manual pages have.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "programs.h"
#include "scratch.h"
#include "shell_rig.h"
#include "vpc.h"

enum {
    PAIRS = 16, /* if nobody says another number */
    MANY = 64,
    WINDOW_KIB = 256,
    SENDING_KIB = 128, /* 131000 octets */
    IDLE_MS = 3000,
    FILL_MS = 1500,
};

#if defined(__SANITIZE_ADDRESS__)
#define BOUND(kib) ((kib) + (256 << 10))
#else
#define BOUND(kib) (kib)
#endif

static pid_t host, guest;
static int server, near[MANY], far[MANY], pairs;

static void begin_with(int count)
{
    char bus[96], listen_at[128], dir[96], option[32];
    scratch_begin();
    pairs = count;
    snprintf(option, sizeof(option), "max_pairs=%d", count);
    snprintf(bus, sizeof(bus), "%s/bus", scratch);
    snprintf(listen_at, sizeof(listen_at), "listen:%s", bus);
    snprintf(dir, sizeof(dir), "%s/guest", scratch);
    guest = program_run(-1, -1,
                        (const char *[]){"vpc-guest", "--bus", listen_at, "--runtime-dir", dir,
                                         "--option", option, NULL});
    host = program_run(-1, -1,
                       (const char *[]){"vpc-host", "--bus", bus, "--runtime-dir", scratch, "--vm",
                                        "vm", "--option", option, NULL});
    cr_assert_eq(vpc_wait_channel_ready(scratch, "vm", PROGRAM_LIMIT_MS, NULL, NULL, NULL),
                 VPC_S_OK);
}

static void begin(void)
{
    begin_with(PAIRS);
}

static void begin_many(void)
{
    begin_with(MANY);
}

static void end(void)
{
    for (int i = 0; i < pairs; i++) {
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

TestSuite(footprint, .timeout = 60, .fini = end);

static void open_pairs(void)
{
    char number[8], pipe[32];
    unsigned port;
    vpc_virtual_machine *vm;
    server = rig_tcp_server(&port, pairs);
    snprintf(number, sizeof(number), "%u", port);
    cr_assert_eq(vpc_find_virtual_machine(scratch, "vm", &vm), VPC_S_OK);
    for (int i = 0; i < pairs; i++) {
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
        for (int i = 0; i < pairs; i++) {
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

Test(footprint, of_the_guest_endpoint, .init = begin)
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

static unsigned open_files_of(pid_t pid)
{
    char path[64];
    unsigned n = 0;
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    DIR *dir = opendir(path);
    cr_assert_not_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        n += entry->d_name[0] != '.';
    closedir(dir);
    return n;
}

/* An endpoint's second process is the first one's child; 0 on a kernel that does not tell. */
static pid_t opener(void)
{
    char path[64], text[32] = "";
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)host, (int)host);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    if (fgets(text, sizeof(text), file) == NULL)
        text[0] = '\0';
    fclose(file);
    return (pid_t)strtol(text, NULL, 10);
}

static unsigned open_files(void)
{
    return open_files_of(host) + (opener() > 0 ? open_files_of(opener()) : 0);
}

Test(footprint, of_a_machine_to_its_host, .init = begin_many)
{
    long idle_rss = program_rss(host), opener_rss = opener() > 0 ? program_rss(opener()) : 0;
    unsigned idle_files = open_files();
    open_pairs();
    unsigned files = open_files();
    fill_pairs();
    long full_rss = program_rss(host);
    cr_log_info("vpc-host: resident idle %ld KiB and %ld KiB of its second process, with %d pairs "
                "whose buffers are full %ld KiB; open files of both idle %u, with %d pairs %u",
                idle_rss, opener_rss, pairs, full_rss, idle_files, pairs, files);
    cr_assert_leq(idle_rss, BOUND(8 << 10));
    cr_assert_leq(opener_rss, BOUND(8 << 10));
    cr_assert_leq(full_rss - idle_rss, BOUND(pairs * (WINDOW_KIB + SENDING_KIB + 4) + 1024),
                  "windows and send buffers, and little else");
    cr_assert_geq(full_rss - idle_rss, pairs * WINDOW_KIB, "they are full");
    cr_assert_leq(idle_files, 32u);
    cr_assert_leq(files - idle_files, 3u * (unsigned)pairs + 1,
                  "three for each pair, and a client");
}
