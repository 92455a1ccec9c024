/* SPDX-License-Identifier: MIT */
/*
 * Three host endpoints whose runtime directory, logs included, is in a small memory file system that somebody fills, as /run is.
 *
 * Each says once that its log can not be written, and that it can be again; nothing else suffers meanwhile.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "programs.h"
#include "scratch.h"
#include "shell_rig.h"
#include "vpc.h"

enum {
    HOSTS = 3,
};

static const char *const names[HOSTS] = {"one", "two", "three"};
static char disk[96], run[128], ballast[128], said[128];
static pid_t hosts[HOSTS], guest;
static int server, near = -1, far = -1;
static unsigned port;
static const char *why_not; /* NULL: there is such a disk */

/* Only this process and its children see it. */
static void make_disk(void)
{
    snprintf(disk, sizeof(disk), "%s/disk", scratch);
    cr_assert_eq(mkdir(disk, 0700), 0);
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", disk, "tmpfs", 0, "size=1m,mode=0700") != 0)
        why_not = "this user can mount no memory file system";
}

/* Standard error of the programs goes to a file. */
static void start_hosts(void)
{
    char bus[160];
    int error = dup(STDERR_FILENO);
    int file = open(said, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    cr_assert_geq(file, 0);
    dup2(file, STDERR_FILENO);
    for (int i = 0; i < HOSTS; i++) {
        snprintf(bus, sizeof(bus), "%s/bus-%s", scratch, names[i]);
        hosts[i] = program_run(-1, -1,
                               (const char *[]){"vpc-host", "--bus", bus, "--runtime-dir", run,
                                                "--vm", names[i], NULL});
    }
    dup2(error, STDERR_FILENO);
    close(error);
    close(file);
}

static void begin(void)
{
    char bus[160], dir[128];

    scratch_begin();
    make_disk();
    if (why_not != NULL)
        return;
    snprintf(run, sizeof(run), "%s/run", disk);
    snprintf(ballast, sizeof(ballast), "%s/ballast", disk);
    snprintf(said, sizeof(said), "%s/said", scratch);
    snprintf(bus, sizeof(bus), "listen:%s/bus-one", scratch);
    snprintf(dir, sizeof(dir), "%s/guest", scratch);
    guest = program_run(-1, -1,
                        (const char *[]){"vpc-guest", "--bus", bus, "--runtime-dir", dir, NULL});
    start_hosts();
    server = rig_tcp_server(&port, 4);
}

static void stop(pid_t pid)
{
    kill(pid, SIGTERM);
    cr_expect_eq(program_ended(pid), 0, "an endpoint did not stop well");
}

static void end(void)
{
    if (why_not == NULL) {
        close(near);
        close(far);
        close(server);
        stop(guest);
        for (int i = 0; i < HOSTS; i++)
            stop(hosts[i]);
        umount2(disk, MNT_DETACH);
    }
    scratch_end();
}

TestSuite(full_disk, .timeout = 60, .init = begin, .fini = end);

static vpc_virtual_machine *vm_of(int i)
{
    vpc_virtual_machine *vm;
    int64_t limit = scratch_now_ms() + PROGRAM_LIMIT_MS;

    while (vpc_find_virtual_machine(run, names[i], &vm) != VPC_S_OK) {
        cr_assert_lt(scratch_now_ms(), limit, "the endpoint %s does not come", names[i]);
        scratch_sleep_ms(5);
    }
    return vm;
}

static void fill_disk(void)
{
    static char octets[4096];
    int fd = open(ballast, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    cr_assert_geq(fd, 0);
    for (size_t n = sizeof(octets); n > 0; n /= 2)
        while (write(fd, octets, n) == (ssize_t)n)
            ;
    close(fd);
}

/* So many entries of the endpoint's own. */
static void fail_starts(int i, unsigned count)
{
    char pipe[200];
    vpc_virtual_machine *vm = vm_of(i);

    snprintf(pipe, sizeof(pipe), "\\\\.\\pipe\\%0180d", 0);
    while (count-- > 0)
        cr_assert_eq(vpc_start_communication_channel(vm, 0, pipe, 1, "none", NULL), VPC_E_POINTER);
    vpc_release_virtual_machine(vm);
}

static void start_channel(const char *pipe, int *near_end, int *far_end)
{
    char number[8];
    vpc_virtual_machine *vm = vm_of(0);

    snprintf(number, sizeof(number), "%u", port);
    cr_assert_eq(vpc_start_communication_channel(vm, 0, pipe, 1, number, NULL), VPC_S_OK);
    vpc_release_virtual_machine(vm);
    *far_end = accept4(server, NULL, NULL, SOCK_CLOEXEC);
    cr_assert_eq(vpc_pipe_connect(run, pipe, near_end), 0);
}

static void pass_on(int from, int to)
{
    char octet;
    struct pollfd p = {.fd = to, .events = POLLIN};

    cr_assert_eq(write(from, "x", 1), 1);
    cr_assert_eq(poll(&p, 1, PROGRAM_LIMIT_MS), 1, "the channel stands still");
    cr_assert_eq(read(to, &octet, 1), 1);
}

/* How many lines of standard error have the machine's name and the text. */
static unsigned times_said(int i, const char *text)
{
    char line[512], vm[32];
    unsigned n = 0;
    FILE *file = fopen(said, "re");

    cr_assert_not_null(file);
    snprintf(vm, sizeof(vm), "VM %s:", names[i]);
    while (fgets(line, sizeof(line), file) != NULL)
        n += strstr(line, vm) != NULL && strstr(line, text) != NULL;
    fclose(file);
    return n;
}

static unsigned entries_of(int i)
{
    char path[160], line[1024];
    unsigned n = 0;

    snprintf(path, sizeof(path), "%s/log/%s.jsonl", run, names[i]);
    FILE *file = fopen(path, "re");
    cr_assert_not_null(file);
    while (fgets(line, sizeof(line), file) != NULL)
        n += strstr(line, "START_FAILED") != NULL;
    fclose(file);
    return n;
}

Test(full_disk, three_endpoints_lose_entries_and_nothing_else)
{
    static const char fails[] = "can not be written", works[] = "can be written again";
    int other_near, other_far;

    if (why_not != NULL)
        cr_skip_test("%s", why_not);
    cr_assert_eq(vpc_wait_channel_ready(run, "one", PROGRAM_LIMIT_MS, NULL, NULL, NULL), VPC_S_OK);
    start_channel("\\\\.\\pipe\\a", &near, &far);
    for (int i = 0; i < HOSTS; i++)
        fail_starts(i, 2);
    fill_disk();
    for (int i = 0; i < HOSTS; i++) {
        fail_starts(i, 60);
        cr_assert_eq(times_said(i, fails), 1, "%s", names[i]);
        cr_assert_lt(entries_of(i), 62u);
    }
    pass_on(near, far);
    start_channel("\\\\.\\pipe\\b", &other_near, &other_far);
    pass_on(other_far, other_near);
    close(other_near);
    close(other_far);
    cr_assert_eq(unlink(ballast), 0);
    for (int i = 0; i < HOSTS; i++) {
        unsigned before = entries_of(i);

        fail_starts(i, 3);
        cr_assert_eq(entries_of(i), before + 3, "%s", names[i]);
        cr_assert_eq(times_said(i, works), 1, "%s", names[i]);
        cr_assert_eq(times_said(i, fails), 1, "%s", names[i]);
    }
    pass_on(far, near);
}
