/* SPDX-License-Identifier: MIT */
/*
 * Both endpoints' programs against each other over a Unix socket, the guest's playing QEMU's side, with the test as the
 * host's program (through libvpc and vpcctl) and as the server in the guest.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "programs.h"
#include "sandbox.h"
#include "scratch.h"
#include "shell_rig.h"
#include "trace_reader.h"
#include "vpc_control.h"

#define PIPE "\\\\.\\pipe\\test"

enum {
    LIMIT_MS = PROGRAM_LIMIT_MS,
    BIG = 3000000, /* more than all windows and socket buffers on the way hold */
};

static pid_t host, guest;
static int server;
static unsigned port;
static char octets[65536];

static void start_guest(void)
{
    char bus[128], control[128], log[128];

    snprintf(bus, sizeof(bus), "listen:%s/bus", scratch);
    snprintf(control, sizeof(control), "%s/guest.sock", scratch);
    snprintf(log, sizeof(log), "%s/log/guest.jsonl", scratch);
    guest = program_run(-1, -1,
                        (const char *[]){"vpc-guest", "--bus", bus, "--runtime-dir", scratch,
                                         "--tag", "T", "--vm", "guest", "--control", control,
                                         "--log", log, NULL});
}

static void start_host(void)
{
    char bus[128];

    snprintf(bus, sizeof(bus), "%s/bus", scratch);
    host = program_run(
        -1, -1,
        (const char *[]){"vpc-host", "--bus", bus, "--runtime-dir", scratch, "--vm", "vm", NULL});
}

static void wait_ready(void)
{
    vpc_progress progress;
    vpc_hresult result = vpc_wait_channel_ready(scratch, "vm", LIMIT_MS, &progress, NULL, NULL);

    cr_assert_eq(result, VPC_S_OK, "still missing: %s", progress.missing);
}

static void begin(void)
{
    scratch_begin();
    start_guest();
    start_host();
    server = rig_tcp_server(&port, 4);
}

static void end(void)
{
    close(server);
    program_stop(&guest);
    program_stop(&host);
    scratch_end();
}

TestSuite(daemons, .timeout = 60, .init = begin, .fini = end);

static vpc_virtual_machine *vm_of(void)
{
    vpc_virtual_machine *vm;

    cr_assert_eq(vpc_find_virtual_machine(scratch, "vm", &vm), VPC_S_OK);
    return vm;
}

/* StartCommunicationChannel to the test's server, whose end is the answer. */
static int started(void)
{
    char number[8];
    vpc_channel_info info;
    vpc_virtual_machine *vm = vm_of();

    snprintf(number, sizeof(number), "%u", port);
    vpc_hresult result = vpc_start_communication_channel(vm, VPC_ENDPOINT_NAMED_PIPE, PIPE,
                                                         VPC_ENDPOINT_TCPIP, number, &info);
    cr_assert_eq(result, VPC_S_OK, "%s: %s", vpc_hresult_name(result), vpc_last_error(vm));
    cr_assert_eq(info.port, port);
    cr_assert_neq(info.h2g, info.g2h);
    vpc_release_virtual_machine(vm);
    int fd = accept4(server, NULL, NULL, SOCK_CLOEXEC);
    cr_assert_geq(fd, 0);
    return fd;
}

static int opened(void)
{
    int fd;

    cr_assert_eq(vpc_pipe_connect(scratch, PIPE, &fd), 0);
    return fd;
}

static void put(int fd, const char *text)
{
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

/* Reads to the end of the file: the number of octets, or -errno. */
static long read_all(int fd, char *head, size_t size)
{
    long total = 0;
    struct pollfd p = {.fd = fd, .events = POLLIN};

    for (;;) {
        cr_assert_eq(poll(&p, 1, LIMIT_MS), 1, "neither octets nor an end after %ld octets", total);
        ssize_t n = read(fd, octets, sizeof(octets));
        if (n < 0)
            return -errno;
        if (n == 0)
            return total;
        for (ssize_t i = 0; i < n && (size_t)(total + i) + 1 < size; i++)
            head[total + i] = octets[i], head[total + i + 1] = '\0';
        total += n;
    }
}

static void await_pairs(vpc_virtual_machine *vm, json_int_t want)
{
    int64_t limit = scratch_now_ms() + LIMIT_MS;

    for (json_int_t open = -1; open != want;) {
        json_t *answer;

        cr_assert_lt(scratch_now_ms(), limit, "%d pairs are still open", (int)open);
        cr_assert_eq(vpc_control(vm, "query-stats", NULL, &answer), VPC_S_OK);
        open = json_integer_value(json_object_get(answer, "pairs_open"));
        json_decref(answer);
    }
}

Test(daemons, hello_both_ways_and_the_pair_is_released)
{
    char head[32] = "";

    wait_ready();
    int far = started(), near = opened();
    put(near, "Hello World!");
    shutdown(near, SHUT_WR);
    cr_assert_eq(read_all(far, head, sizeof(head)), 12);
    cr_assert_str_eq(head, "Hello World!");
    put(far, "an answer");
    close(far);
    cr_assert_eq(read_all(near, head, sizeof(head)), 9);
    cr_assert_str_eq(head, "an answer");
    close(near);
    vpc_virtual_machine *vm = vm_of();
    await_pairs(vm, 0);
    vpc_release_virtual_machine(vm);
}

Test(daemons, the_last_words_of_a_client_that_closes_at_once)
{
    wait_ready();
    int far = started(), near = opened();
    pid_t writer = fork();
    if (writer == 0) {
        memset(octets, 'w', sizeof(octets));
        for (long n = 0; n < BIG; n += 50000)
            if (write(near, octets, 50000) != 50000)
                _exit(1);
        _exit(0);
    }
    close(near);
    scratch_sleep_ms(100); /* the guest's program is slow: the writer has to wait for it */
    cr_assert_eq(read_all(far, NULL, 0), BIG);
    cr_assert_eq(program_ended(writer), 0);
    close(far);
}

Test(daemons, both_run_in_their_sandbox)
{
    if (!vpc_sandbox_possible())
        cr_skip_test("this build has no sandbox");
    wait_ready();
    for (int i = 0; i < 2; i++) {
        pid_t pid = i ? host : guest;

        cr_assert_eq(program_status(pid, "Seccomp:"), 2u, "SECCOMP_MODE_FILTER");
        cr_assert_eq(program_status(pid, "NoNewPrivs:"), 1u);
    }
    cr_assert_eq(program_status(guest, "CapEff:"), 0u);
    cr_assert_eq(program_status(host, "CapEff:") & ~(1ul << CAP_DAC_OVERRIDE), 0u);
}

Test(daemons, a_refused_port_is_an_error_at_once)
{
    vpc_channel_info info;
    char number[8];

    wait_ready();
    vpc_virtual_machine *vm = vm_of();
    snprintf(number, sizeof(number), "%u", port);
    close(server);
    cr_assert_eq(vpc_start_communication_channel(vm, VPC_ENDPOINT_NAMED_PIPE, PIPE,
                                                 VPC_ENDPOINT_TCPIP, number, &info),
                 VPC_ERROR_CONNECTION_REFUSED);
    cr_assert_eq(info.error, ECONNREFUSED);
    cr_assert_eq(vpc_start_communication_channel(vm, VPC_ENDPOINT_TCPIP, PIPE, VPC_ENDPOINT_TCPIP,
                                                 number, NULL),
                 VPC_E_INVALIDARG);
    cr_assert_eq(vpc_start_communication_channel(vm, VPC_ENDPOINT_NAMED_PIPE, NULL,
                                                 VPC_ENDPOINT_TCPIP, number, NULL),
                 VPC_E_POINTER);
    cr_assert_eq(vpc_stop_communication_channel(vm, PIPE), VPC_E_POINTER);
    vpc_release_virtual_machine(vm);
    server = rig_tcp_server(&port, 4);
}

Test(daemons, both_endpoints_list_both_channels)
{
    char path[128];
    const char *const where[] = {"vms/vm.sock", "guest.sock"};

    wait_ready();
    int far = started(), near = opened();
    for (int i = 0; i < 2; i++) {
        vpc_virtual_machine *vm;
        json_t *answer;

        snprintf(path, sizeof(path), "%s/%s", scratch, where[i]);
        cr_assert_eq(vpc_open_control_socket(path, &vm), VPC_S_OK);
        cr_assert_eq(vpc_control(vm, "query-devices", NULL, &answer), VPC_S_OK);
        cr_assert_eq(json_array_size(json_object_get(answer, "devices")), 2u);
        json_decref(answer);
        vpc_release_virtual_machine(vm);
    }
    close(near);
    close(far);
}

/* ---- how a channel ended ------------------------------------------------------------------------- */

/* The channel of the test's pipe, as a program finds it that has not started it. */
static vpc_channel_info found(vpc_virtual_machine *vm)
{
    vpc_channel_info info;

    cr_assert_eq(vpc_find_communication_channel(vm, "\\\\.\\PIPE\\Test", &info), VPC_S_OK);
    cr_assert_eq(info.port, port);
    cr_assert_neq(info.h2g, 0);
    return info;
}

Test(daemons, an_end_in_order_is_told_with_what_was_moved)
{
    vpc_channel_ending ending;

    wait_ready();
    vpc_virtual_machine *vm = vm_of();
    int far = started(), near = opened();
    vpc_channel_info info = found(vm);
    cr_assert_eq(vpc_wait_channel_end(vm, &info, 0, &ending), VPC_ERROR_TIMEOUT);
    put(far, "an answer");
    close(far);
    cr_assert_eq(read_all(near, NULL, 0), 9);
    close(near);
    cr_assert_eq(vpc_wait_channel_end(vm, &info, LIMIT_MS, &ending), VPC_S_OK);
    cr_assert(ending.in_order);
    cr_assert_str_eq(ending.cause, "closed");
    cr_assert_eq(ending.received, 9);
    cr_assert_eq(ending.sent, 0);
    vpc_virtual_machine *late = vm_of();
    cr_assert_eq(vpc_wait_channel_end(late, &info, LIMIT_MS, &ending), VPC_E_POINTER);
    cr_assert_eq(vpc_find_communication_channel(late, PIPE, &info), VPC_E_POINTER);
    vpc_release_virtual_machine(late);
    vpc_release_virtual_machine(vm);
}

/* A plain reader sees the end of the file, or an error if it has asked for something; the call tells in any case. */
Test(daemons, a_lost_session_is_no_end_in_order)
{
    vpc_channel_ending ending;
    json_t *event;

    wait_ready();
    vpc_virtual_machine *vm = vm_of();
    int far = started(), near = opened();
    vpc_channel_info info = found(vm);
    put(near, "a question"); /* who has asked nothing reads the end of the file */
    cr_assert_eq(read(far, octets, 10), 10);
    put(far, "a part");
    cr_assert_eq(read(near, octets, 6), 6);
    kill(guest, SIGKILL);
    cr_assert_eq(program_ended(guest), -SIGKILL);
    guest = 0;
    cr_assert_eq(read_all(near, NULL, 0), -ECONNRESET);
    cr_assert_eq(vpc_wait_channel_end(vm, &info, LIMIT_MS, &ending), VPC_S_OK);
    cr_assert_not(ending.in_order);
    cr_assert_str_eq(ending.cause, "session lost");
    cr_assert_eq(vpc_next_event(vm, 0, &event), VPC_S_OK, "other events are still to be had");
    json_decref(event);
    close(near);
    close(far);
    vpc_release_virtual_machine(vm);
}

/* ---- vpcctl connect ------------------------------------------------------------------------------ */

static pid_t connect_command(int in, int out)
{
    return program_run(
        in, out, (const char *[]){"vpcctl", "--runtime-dir", scratch, "connect", "vm", PIPE, NULL});
}

Test(daemons, connect_ends_well_after_both_directions_ended)
{
    int in[2], out[2];
    char head[32] = "";

    wait_ready();
    int far = started();
    cr_assert_eq(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC), 0);
    pid_t command = connect_command(in[0], out[1]);
    close(in[0]);
    close(out[1]);
    put(in[1], "question");
    close(in[1]);
    cr_assert_eq(read_all(far, head, sizeof(head)), 8);
    scratch_sleep_ms(50); /* half-closed, and the answer is late */
    put(far, "answer");
    close(far);
    cr_assert_eq(read_all(out[0], head, sizeof(head)), 6);
    cr_assert_str_eq(head, "answer");
    cr_assert_eq(program_ended(command), 0);
    close(out[0]);
}

/* Starts `connect` with a standard input that never ends, and a first octet on its way to the server. */
static pid_t connect_that_stays(int *far, int in[2])
{
    char octet;

    wait_ready();
    *far = started();
    cr_assert_eq(pipe2(in, O_CLOEXEC), 0);
    pid_t command = connect_command(in[0], -1);
    close(in[0]);
    put(in[1], "x");
    cr_assert_eq(read(*far, &octet, 1), 1);
    return command;
}

Test(daemons, connect_fails_when_the_guest_endpoint_is_killed_and_a_new_one_is_clean)
{
    int far, in[2];
    char head[32] = "";
    pid_t command = connect_that_stays(&far, in);

    put(in[1], "stale");
    kill(guest, SIGKILL);
    cr_assert_eq(program_ended(guest), -SIGKILL);
    cr_assert_eq(program_ended(command), 1);
    close(in[1]);
    close(far);
    start_guest();
    wait_ready();
    far = started();
    int near = opened();
    put(near, "fresh");
    close(near);
    cr_assert_eq(read_all(far, head, sizeof(head)), 5);
    cr_assert_str_eq(head, "fresh");
    close(far);
}

Test(daemons, connect_fails_when_the_server_resets)
{
    int far, in[2];
    struct linger reset = {.l_onoff = 1};
    pid_t command = connect_that_stays(&far, in);

    setsockopt(far, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(far);
    cr_assert_eq(program_ended(command), 1);
    close(in[1]);
}

Test(daemons, connect_fails_when_the_host_endpoint_is_killed)
{
    int far, in[2];
    pid_t command = connect_that_stays(&far, in);

    kill(host, SIGKILL);
    cr_assert_eq(program_ended(host), -SIGKILL);
    cr_assert_eq(program_ended(command), 1);
    cr_assert_eq(read_all(far, NULL, 0), -ECONNRESET,
                 "an end by error is a reset in the guest (CLS-7)");
    close(in[1]);
    close(far);
    vpc_event *event;
    cr_assert_eq(vpc_event_open(scratch, "Local\\T_ChannelReady", &event), 0);
    cr_assert_not(vpc_event_is_set(event));
    start_host();
    cr_assert_eq(vpc_event_wait(event, LIMIT_MS), 0, "a new host endpoint takes over the event");
    vpc_event_close(event);
    close(started());
}

/* ---- command lines ---------------------------------------------------------------------------------- */

Test(daemons, wrong_usage_of_the_endpoints)
{
    wait_ready();
#define HOST(...)                                                                                  \
    program_ended(program_run(-1, -1, (const char *[]){"vpc-host", __VA_ARGS__, NULL}))
    cr_assert_eq(HOST("--help"), 0);
    cr_assert_eq(HOST("--version"), 0);
    cr_assert_eq(HOST("--no-such-option"), 2);
    cr_assert_eq(HOST("--vm", "x"), 2);
    cr_assert_eq(HOST("--vm", "../x", "--bus", "b", "--runtime-dir", scratch), 2);
    cr_assert_eq(HOST("--vm", "x", "--bus", "b", "--runtime-dir", scratch, "--option", "window"),
                 2);
    cr_assert_eq(HOST("--vm", "x", "--bus", "b", "--runtime-dir", scratch, "--option", "window=0"),
                 2);
    cr_assert_eq(HOST("--vm", "x", "--bus", "b", "--runtime-dir", scratch, "--option", "colour=1"),
                 2);
    cr_assert_eq(HOST("--vm", "x", "--bus", "b", "--runtime-dir", scratch, "--option", "window=a"),
                 2);
    cr_assert_eq(HOST("--allow-ports", "80"), 2, "it is an option of the guest's");
    cr_assert_eq(
        program_ended(program_run(-1, -1,
                                  (const char *[]){"vpc-guest", "--bus", "b", "--runtime-dir",
                                                   scratch, "--allow-ports", "80-", NULL})),
        2);
    cr_assert_eq(HOST("--vm", "vm", "--bus", "b", "--runtime-dir", scratch), 1,
                 "one endpoint runs already");
}

Test(daemons, a_guest_without_a_host_name_has_a_name_in_the_log)
{
    char path[128];

    if (geteuid() != 0)
        cr_skip_test("needs root for a host name of its own");
    snprintf(path, sizeof(path), "%s/guest.sock", scratch);
    wait_ready();
    program_stop(&guest);
    program_nameless = true;
    guest = program_run(
        -1, -1, (const char *[]){"vpc-guest", "--bus", path, "--runtime-dir", scratch, NULL});
    vpc_virtual_machine *vm = NULL;
    int64_t limit = scratch_now_ms() + LIMIT_MS;
    while (vpc_open_control_socket(path, &vm) != VPC_S_OK)
        cr_assert_lt(scratch_now_ms(), limit, "the guest endpoint did not start");
    json_t *answer;
    cr_assert_eq(vpc_control(vm, "query-vm", NULL, &answer), VPC_S_OK);
    cr_assert_str_eq(json_string_value(json_object_get(answer, "vm")), "guest");
    json_decref(answer);
    vpc_release_virtual_machine(vm);
}

/* ---- reload and stop -------------------------------------------------------------------------------- */

/* Waits until somebody made the file. */
static void await_file(const char *path)
{
    int64_t limit = scratch_now_ms() + LIMIT_MS;

    while (access(path, F_OK) != 0) {
        cr_assert_lt(scratch_now_ms(), limit, "there is no %s", path);
        scratch_sleep_ms(5);
    }
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");

    cr_assert_not_null(file);
    fputs(text, file);
    fclose(file);
}

Test(daemons, a_reload_takes_new_files_and_settings_and_keeps_the_channel)
{
    char config[128], trace[128], log[128], moved[160], text[512];

    snprintf(config, sizeof(config), "%s/config", scratch);
    snprintf(trace, sizeof(trace), "%s/trace", scratch);
    snprintf(log, sizeof(log), "%s/log/vm.jsonl", scratch);
    snprintf(moved, sizeof(moved), "%s.1", log);
    wait_ready();
    program_stop(&host);
    write_file(config, "{\"options\": {\"max_pairs\": 3}}");
    snprintf(text, sizeof(text), "%s/bus", scratch);
    host = program_run(-1, -1,
                       (const char *[]){"vpc-host", "--bus", text, "--runtime-dir", scratch, "--vm",
                                        "vm", "--config", config, NULL});
    wait_ready();
    int far = started(), near = opened();
    char head[32] = "";
    put(near, "before, ");
    cr_assert_eq(rename(log, moved), 0);
    snprintf(text, sizeof(text), "{\"trace\": \"%s\", \"trace-limit\": 1, \"verbose\": false}",
             trace);
    write_file(config, text);
    kill(host, SIGHUP);
    await_file(trace);
    await_file(log);
    /* A file that is wrong changes nothing. */
    write_file(config, "{\"trace\": 4}");
    kill(host, SIGHUP);
    put(near, "after");
    close(near);
    cr_assert_eq(read_all(far, head, sizeof(head)), 13);
    cr_assert_str_eq(head, "before, after");
    close(far);
    vpc_virtual_machine *vm = vm_of();
    await_pairs(vm, 0);
    vpc_release_virtual_machine(vm);
    program_stop(&host);
    struct traced *t = traced_read(trace);
    cr_assert_str_eq(t->interface, "vpcbus-host");
    /* The guest may say something to the very end. */
    size_t last = t->count - 1, frames = 0;
    while (last > 0 && t->packet[last].direction == 1)
        last--;
    cr_assert_eq(traced_kind(&t->packet[last]), TRACED_ENTRY, "the log's last word");
    cr_assert_not_null(strstr(t->packet[last].comment, "ENDPOINT_STOPPED"));
    for (size_t i = 0; i < t->count; i++) {
        cr_assert_neq(traced_kind(&t->packet[i]), TRACED_OTHER);
        frames += traced_kind(&t->packet[i]) == TRACED_FRAME;
    }
    cr_assert_geq(frames, 6u, "DATA, FIN, RELEASED and the other channel's end, GOODBYE");
    traced_free(t);
}

static long long file_size(const char *log, const char *end)
{
    char path[160];
    struct stat st;

    snprintf(path, sizeof(path), "%s%s", log, end);
    return stat(path, &st) == 0 ? (long long)st.st_size : -1;
}

/* Each has an entry of its own (LOG-4). */
static void fail_starts(unsigned count)
{
    char pipe[200];
    vpc_virtual_machine *vm = vm_of();

    snprintf(pipe, sizeof(pipe), "\\\\.\\pipe\\%0180d", 0);
    while (count-- > 0)
        cr_assert_eq(vpc_start_communication_channel(vm, 0, pipe, 1, "none", NULL), VPC_E_POINTER);
    vpc_release_virtual_machine(vm);
}

Test(daemons, a_log_with_a_limit_is_turned_over_in_the_sandbox)
{
    char bus[128], log[128];

    snprintf(bus, sizeof(bus), "%s/bus", scratch);
    snprintf(log, sizeof(log), "%s/log/vm.jsonl", scratch);
    wait_ready();
    program_stop(&host);
    host = program_run(-1, -1,
                       (const char *[]){"vpc-host", "--bus", bus, "--runtime-dir", scratch, "--vm",
                                        "vm", "--log-limit", "1", NULL});
    wait_ready();
    for (int turn = 0; turn < 2; turn++) {
        long long before = 0, now;

        while ((now = file_size(log, "")) >= before) {
            before = now;
            fail_starts(50);
            cr_assert_leq(file_size(log, ""), 1 << 20);
            cr_assert_leq(file_size(log, ".1"), 1 << 20);
        }
        kill(host, SIGHUP);
    }
    for (int kills = 0; kills < 3; kills++) {
        fail_starts(500);
        kill(host, SIGKILL);
        cr_assert_eq(program_ended(host), -SIGKILL);
        host = program_run(-1, -1,
                           (const char *[]){"vpc-host", "--bus", bus, "--runtime-dir", scratch,
                                            "--vm", "vm", "--log-limit", "1", NULL});
        wait_ready();
        cr_assert_leq(file_size(log, ""), 1 << 20);
        cr_assert_leq(file_size(log, ".1"), 1 << 20);
    }
    fail_starts(1);
    cr_assert_gt(file_size(log, ".1"), 1000000);
    cr_assert_eq(file_size(log, ".guest"), -1);
}

static void run_host_logging_to(const char *folder, const char *file)
{
    char bus[128], config[128];

    snprintf(bus, sizeof(bus), "%s/bus", scratch);
    snprintf(config, sizeof(config), "%s/config", scratch);
    setenv("LOGS_DIRECTORY", folder, 1);
    host = program_run(-1, -1,
                       (const char *[]){"vpc-host", "--bus", bus, "--runtime-dir", scratch, "--vm",
                                        "vm", "--config", config, file != NULL ? "--log" : NULL,
                                        file, NULL});
    unsetenv("LOGS_DIRECTORY");
    wait_ready();
}

static void expect_link(const char *place, const char *log)
{
    char target[160];
    ssize_t n = readlink(place, target, sizeof(target) - 1);

    cr_assert_gt(n, 0, "%s is no link", place);
    target[n] = '\0';
    cr_assert_str_eq(target, log);
    cr_assert_eq(access(log, R_OK), 0);
}

Test(daemons, the_log_of_a_service_is_found_by_a_link)
{
    char folders[140], log[160], other[160], place[128], config[128], text[256];
    struct stat st;

    snprintf(folders, sizeof(folders), "%s/logs:/another", scratch);
    snprintf(log, sizeof(log), "%s/logs/vm.jsonl", scratch);
    snprintf(other, sizeof(other), "%s/logs/other", scratch);
    snprintf(place, sizeof(place), "%s/log/vm.jsonl", scratch);
    snprintf(config, sizeof(config), "%s/config", scratch);
    write_file(config, "{}");
    wait_ready();
    program_stop(&host);
    cr_assert_eq(unlink(place), 0);
    snprintf(text, sizeof(text), "%s/logs", scratch);
    cr_assert_eq(mkdir(text, 0700), 0);
    run_host_logging_to(folders, NULL);
    expect_link(place, log);
    /* One that can not run, since this one does, leaves it as it is. */
    snprintf(text, sizeof(text), "%s/bus", scratch);
    cr_assert_eq(HOST("--vm", "vm", "--bus", text, "--runtime-dir", scratch, "--log", other), 1);
    expect_link(place, log);
    /* Another log, while it runs: nobody must take the one before for it. */
    snprintf(text, sizeof(text), "{\"log\": \"%s\"}", other);
    write_file(config, text);
    kill(host, SIGHUP);
    for (int64_t limit = scratch_now_ms() + LIMIT_MS; lstat(place, &st) == 0; scratch_sleep_ms(5))
        cr_assert_lt(scratch_now_ms(), limit, "the link stays");
    program_stop(&host);
    write_file(config, "{}");
    run_host_logging_to("", other);
    expect_link(place, other);
    program_stop(&host);
    /* And back, to the place itself. */
    run_host_logging_to("", NULL);
    cr_assert_eq(lstat(place, &st), 0);
    cr_assert(S_ISREG(st.st_mode));
    program_stop(&host);
    /* What is there stays. */
    run_host_logging_to(folders, NULL);
    cr_assert_eq(lstat(place, &st), 0);
    cr_assert(S_ISREG(st.st_mode));
}

Test(daemons, wrong_configuration_files)
{
    static const char *const wrong[] = {
        "",
        "[1]",
        "{\"colour\": 1}",
        "{\"trace-limit\": -1}",
        "{\"log-limit\": \"1\"}",
        "{\"verbose\": 1}",
        "{\"bus\": 1}",
        "{\"options\": {\"window\": 0}}",
        "{\"config\": \"another\"}",
    };
    char config[128];

    snprintf(config, sizeof(config), "%s/config", scratch);
    cr_assert_eq(HOST("--vm", "x", "--bus", "b", "--runtime-dir", scratch, "--config", config), 2);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        write_file(config, wrong[i]);
        cr_assert_eq(HOST("--vm", "x", "--bus", "b", "--runtime-dir", scratch, "--config", config),
                     2, "%s", wrong[i]);
    }
    cr_assert_eq(HOST("--trace-limit", "much"), 2);
    cr_assert_eq(HOST("--log-limit", "-1"), 2);
    write_file(config, "{\"options\": {\"window\": 0}, \"vm\": \"vm\"}");
    cr_assert_eq(
        HOST("--option", "window=1", "--bus", "b", "--runtime-dir", scratch, "--config", config), 1,
        "the command line goes first; one endpoint runs already");
}

Test(daemons, a_signal_to_stop_loses_nothing_that_was_written)
{
    long written = 0;
    ssize_t n;

    wait_ready();
    int far = started(), near = opened();
    memset(octets, 'w', sizeof(octets));
    /* More than the window: some of it is still in the socket when the signal comes. */
    while ((n = send(near, octets, sizeof(octets), MSG_DONTWAIT)) > 0 || written < 400000) {
        written += n > 0 ? n : 0;
        scratch_sleep_ms(n > 0 ? 0 : 5);
    }
    kill(host, SIGTERM);
    scratch_sleep_ms(100);
    cr_assert_eq(send(near, octets, 1, MSG_NOSIGNAL), -1);
    cr_assert_eq(errno, EPIPE, "nobody reads any more");
    cr_assert_eq(read_all(far, NULL, 0), written);
    close(far);
    cr_assert_eq(read_all(near, NULL, 0), 0);
    close(near);
    cr_assert_eq(program_ended(host), 0);
    host = 0;
}

Test(daemons, a_second_signal_ends_at_once)
{
    wait_ready();
    int far = started(), near = opened();
    kill(host, SIGTERM);
    cr_assert_eq(read_all(far, NULL, 0), 0);
    scratch_sleep_ms(100);
    cr_assert_eq(waitpid(host, NULL, WNOHANG), 0, "the other direction has five seconds to drain");
    int64_t second = scratch_now_ms();
    kill(host, SIGTERM);
    cr_assert_eq(program_ended(host), 0);
    cr_assert_lt(scratch_now_ms() - second, 4000, "it waited for the drain");
    host = 0;
    close(near);
    close(far);
}
