/* SPDX-License-Identifier: MIT */
/* Pipe names over two virtual machines of one user: their names are the system's, whatever the machine. */
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "named_event.h"
#include "programs.h"
#include "scratch.h"
#include "shell_rig.h"
#include "vpc.h"

static pid_t hosts[2], guests[2];
static vpc_virtual_machine *vms[2];
static const char *const names[] = {"one", "two"};
static int server;
static char number[8];

static void start_host(int i)
{
    char bus[96];

    snprintf(bus, sizeof(bus), "%s/bus-%s", scratch, names[i]);
    hosts[i] = program_run(-1, -1,
                           (const char *[]){"vpc-host", "--bus", bus, "--runtime-dir", scratch,
                                            "--vm", names[i], NULL});
    cr_assert_eq(vpc_wait_channel_ready(scratch, names[i], PROGRAM_LIMIT_MS, NULL, NULL, NULL),
                 VPC_S_OK);
    cr_assert_eq(vpc_find_virtual_machine(scratch, names[i], &vms[i]), VPC_S_OK);
}

static void start_guest(int i)
{
    char bus[128], dir[96];

    snprintf(bus, sizeof(bus), "listen:%s/bus-%s", scratch, names[i]);
    snprintf(dir, sizeof(dir), "%s/%s", scratch, names[i]);
    guests[i] = program_run(
        -1, -1,
        (const char *[]){"vpc-guest", "--bus", bus, "--runtime-dir", dir, "--tag", names[i], NULL});
}

static void begin(void)
{
    unsigned port;

    scratch_begin();
    server = rig_tcp_server(&port, 16);
    snprintf(number, sizeof(number), "%u", port);
    for (int i = 0; i < 2; i++) {
        start_guest(i);
        start_host(i);
    }
}

static void stop(pid_t pid)
{
    kill(pid, SIGTERM);
    cr_expect_eq(program_ended(pid), 0, "an endpoint did not stop well");
}

static void end(void)
{
    close(server);
    for (int i = 0; i < 2; i++) {
        vpc_release_virtual_machine(vms[i]);
        stop(hosts[i]);
        stop(guests[i]);
    }
    scratch_end();
}

TestSuite(two_vms, .timeout = 60, .init = begin, .fini = end);

static vpc_hresult start(int i, const char *pipe)
{
    return vpc_start_communication_channel(vms[i], VPC_ENDPOINT_NAMED_PIPE, pipe,
                                           VPC_ENDPOINT_TCPIP, number, NULL);
}

static int opened(const char *pipe)
{
    int fd = -1;

    cr_assert_eq(vpc_pipe_connect(scratch, pipe, &fd), 0, "%s", pipe);
    return fd;
}

/* Until the name is free: the channel that had it runs down. */
static void start_when_free(int i, const char *pipe)
{
    vpc_hresult result;
    int64_t limit = scratch_now_ms() + PROGRAM_LIMIT_MS;

    while ((result = start(i, pipe)) == VPC_ERROR_ALREADY_EXISTS)
        cr_assert_lt(scratch_now_ms(), limit, "the name is never free");
    cr_assert_eq(result, VPC_S_OK, "%s", vpc_hresult_name(result));
}

static void expect_text(int fd, const char *text)
{
    char got[64];
    struct pollfd p = {.fd = fd, .events = POLLIN};

    cr_assert_eq(poll(&p, 1, PROGRAM_LIMIT_MS), 1);
    ssize_t n = read(fd, got, sizeof(got));
    cr_assert_eq(n, (ssize_t)strlen(text));
    cr_assert_arr_eq(got, text, strlen(text));
}

Test(two_vms, a_name_of_one_is_taken_for_the_other_in_any_case)
{
    cr_assert_eq(start(0, "\\\\.\\pipe\\Name"), VPC_S_OK);
    int far = accept4(server, NULL, NULL, SOCK_CLOEXEC);
    cr_assert_eq(start(1, "\\\\.\\PIPE\\nAME"), VPC_ERROR_ALREADY_EXISTS);
    cr_assert_eq(start(1, "\\\\.\\pipe\\other"), VPC_S_OK);
    close(opened("\\\\.\\pipe\\nAmE"));
    close(far);
    start_when_free(1, "\\\\.\\pipe\\NAME");
    close(opened("\\\\.\\pipe\\name"));
}

/* The longest name, of any characters, and others that differ by little, all at once and over both machines. */
Test(two_vms, names_of_any_length_and_characters)
{
    static char pipes[4][1200];
    static const char *const tails[] = {"", "x", "/../../vms/one",
                                        "%2F\xf0\x9f\x98\x80 \xc3\xa9*?:|<>\""};

    for (int i = 0; i < 4; i++) {
        strcpy(pipes[i], "\\\\.\\pipe\\");
        for (size_t n = 0; n < 247 - 40; n++)
            strcat(pipes[i], i == 0 ? "\xf0\x9f\x98\x80" : "a");
        strcat(pipes[i], tails[i]);
    }
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(start(i % 2, pipes[i]), VPC_S_OK, "%d: %s", i, vpc_last_error(vms[i % 2]));
        int far = accept4(server, NULL, NULL, SOCK_CLOEXEC), near = opened(pipes[i]);
        cr_assert_eq(write(near, pipes[i], 9 + (size_t)i), 9 + i);
        char text[16] = "";
        memcpy(text, pipes[i], 9 + (size_t)i);
        expect_text(far, text);
        cr_assert_eq(start(1 - i % 2, pipes[i]), VPC_ERROR_ALREADY_EXISTS, "%d", i);
        close(near);
        close(far);
    }
}

Test(two_vms, a_killed_host_endpoint_leaves_its_names_to_the_other)
{
    cr_assert_eq(start(0, "\\\\.\\pipe\\name"), VPC_S_OK);
    kill(hosts[0], SIGKILL);
    cr_assert_eq(program_ended(hosts[0]), -SIGKILL);
    vpc_release_virtual_machine(vms[0]);
    vms[0] = NULL;
    start_when_free(1, "\\\\.\\pipe\\name");
    start_host(0);
    cr_assert_eq(start(0, "\\\\.\\pipe\\name"), VPC_ERROR_ALREADY_EXISTS);
    close(opened("\\\\.\\pipe\\name"));
    start_when_free(0, "\\\\.\\pipe\\name");
}

/* The child of a process: its opener. */
static pid_t opener_of(pid_t pid)
{
    char name[64];
    int child = 0;

    snprintf(name, sizeof(name), "/proc/%d/task/%d/children", (int)pid, (int)pid);
    FILE *file = fopen(name, "re");
    cr_assert(file != NULL && fscanf(file, "%d", &child) == 1);
    fclose(file);
    return child;
}

/* Whoever of the two of an endpoint goes, with a channel open: the other goes too, in order, and nothing of it stays. */
Test(two_vms, an_endpoint_without_its_opener_ends_in_order)
{
    char path[VPC_FILE_SIZE], lock[VPC_FILE_SIZE + 8];

    cr_assert_eq(start(0, "\\\\.\\pipe\\name"), VPC_S_OK);
    cr_assert_eq(vpc_pipe_path(scratch, "\\\\.\\pipe\\name", path, sizeof(path)), 0);
    snprintf(lock, sizeof(lock), "%s.lock", path);
    int far = accept4(server, NULL, NULL, SOCK_CLOEXEC), near = opened("\\\\.\\pipe\\name");
    cr_assert_eq(write(near, "last words", 10), 10);
    expect_text(far, "last words");
    cr_assert_eq(kill(opener_of(hosts[0]), SIGKILL), 0);
    struct pollfd end_of_pipe = {.fd = near, .events = POLLIN};
    cr_assert_eq(poll(&end_of_pipe, 1, 2 * PROGRAM_LIMIT_MS), 1);
    char octet;
    cr_assert_leq(read(near, &octet, 1), 0, "the pipe ends, or breaks");
    cr_assert_eq(program_ended(hosts[0]), 1, "it tells that it did not end well");
    close(near);
    close(far);
    vpc_release_virtual_machine(vms[0]);
    vms[0] = NULL;
    start_host(0);
    cr_assert(access(path, F_OK) != 0 && access(lock, F_OK) != 0, "the next start clears them");
}

/* One client; its half-close keeps the pipe, its full close ends it and frees the name. */
Test(two_vms, one_client_half_close_and_full_close)
{
    int second;

    cr_assert_eq(start(0, "\\\\.\\pipe\\name"), VPC_S_OK);
    int far = accept4(server, NULL, NULL, SOCK_CLOEXEC), near = opened("\\\\.\\pipe\\name");
    cr_assert_eq(write(near, "a", 1), 1);
    expect_text(far, "a");
    cr_assert_eq(vpc_pipe_connect(scratch, "\\\\.\\pipe\\name", &second), ECONNREFUSED);
    cr_assert_eq(shutdown(near, SHUT_WR), 0);
    expect_text(far, "");
    cr_assert_eq(write(far, "answer", 6), 6);
    expect_text(near, "answer");
    cr_assert_eq(start(1, "\\\\.\\pipe\\name"), VPC_ERROR_ALREADY_EXISTS,
                 "a half-close does not end it");
    close(near);
    close(far);
    start_when_free(1, "\\\\.\\pipe\\name");
}

/* A host endpoint to which a tag is given, without any guest; what it says on standard error goes to nobody. */
static pid_t start_given(const char *vm, const char *tag)
{
    char bus[96];

    snprintf(bus, sizeof(bus), "%s/bus-%s", scratch, vm);
    return program_run(-1, -1,
                       (const char *[]){"vpc-host", "--bus", bus, "--runtime-dir", scratch, "--vm",
                                        vm, "--tag", tag, NULL});
}

static bool log_says(const char *vm, const char *one, const char *other)
{
    char path[96], line[4096];
    bool says = false;

    snprintf(path, sizeof(path), "%s/log/%s.jsonl", scratch, vm);
    FILE *file = fopen(path, "r");
    while (file != NULL && !says && fgets(line, sizeof(line), file) != NULL)
        says = strstr(line, "READY_EVENT_FAILED") && strstr(line, one) && strstr(line, other);
    if (file != NULL)
        fclose(file);
    return says;
}

static void await_log(const char *vm, const char *one, const char *other)
{
    int64_t limit = scratch_now_ms() + PROGRAM_LIMIT_MS;

    while (!log_says(vm, one, other)) {
        cr_assert_lt(scratch_now_ms(), limit, "%s: no entry with %s and %s", vm, one, other);
        scratch_sleep_ms(20);
    }
}

Test(two_vms, a_given_tag_takes_its_event_from_the_machine_whose_guest_said_it)
{
    vpc_event *event;

    cr_assert_eq(vpc_event_open(scratch, "Local\\one_ChannelReady", &event), 0);
    cr_assert_eq(vpc_event_wait(event, PROGRAM_LIMIT_MS), 0);
    pid_t given = start_given("three", "one");
    await_log("one", "VM three owns it", "guest of the VM one");
    cr_assert_not(vpc_event_is_set(event), "it is the event of a machine that is not ready");
    stop(given);
    cr_assert_eq(vpc_event_wait(event, PROGRAM_LIMIT_MS), 0);
    vpc_event_close(event);
}

Test(two_vms, the_second_to_whom_a_tag_is_given_says_so_and_has_it_after_the_first)
{
    char owner[VPC_EVENT_OWNER_SIZE] = "";
    vpc_event *event;
    int64_t limit = scratch_now_ms() + PROGRAM_LIMIT_MS;

    cr_assert_eq(vpc_event_open(scratch, "Local\\NEW_ChannelReady", &event), 0);
    pid_t first = start_given("three", "NEW");
    for (; strcmp(owner, "three") != 0; vpc_event_owner(event, owner))
        cr_assert_lt(scratch_now_ms(), limit, "the tag is not claimed at the start");
    pid_t second = start_given("four", "NEW");
    await_log("four", "VM three owns it", "VM four was given");
    stop(first);
    for (; strcmp(owner, "four") != 0; vpc_event_owner(event, owner))
        cr_assert_lt(scratch_now_ms(), limit, "the second does not go on trying");
    stop(second);
    vpc_event_close(event);
}

Test(two_vms, a_tag_that_a_guest_said_leaves_no_file)
{
    char path[128];
    int64_t limit = scratch_now_ms() + PROGRAM_LIMIT_MS;

    snprintf(path, sizeof(path), "%s/events/Local%%5Cone_ChannelReady", scratch);
    while (access(path, F_OK) != 0)
        cr_assert_lt(scratch_now_ms(), limit);
    stop(hosts[0]);
    cr_assert_eq(access(path, F_OK), -1);
    vpc_release_virtual_machine(vms[0]);
    vms[0] = NULL;
    start_host(0);
}
