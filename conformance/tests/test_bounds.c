/* SPDX-License-Identifier: MIT */
/*
 * What a guest or a subject may say to the harness is bounded, and comes to a verdict: on the puppet's line and QEMU's, in what
 * lives in the puppet, and in what a run keeps.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/qemu_guest.h"
#include "document/embedded.h"
#include "puppet/puppet_client.h"
#include "run/run.h"
#include "vm/qmp.h"

TestSuite(bounds, .timeout = 120);

/* ---- lines ---------------------------------------------------------------------------------------------------------- */

static void open_line(int ends[2])
{
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
}

static void say(int fd, const void *octets, size_t n)
{
    cr_assert_eq(write(fd, octets, n), (ssize_t)n);
}

/* A child that says this again and again. */
static pid_t say_without_end(int fd, const void *octets, size_t n)
{
    uint8_t many[60000];
    size_t size = 0;
    pid_t pid;

    for (; size + n <= sizeof(many); size += n)
        memcpy(many + size, octets, n);
    pid = fork();
    cr_assert_geq(pid, 0);
    while (pid == 0)
        if (send(fd, many, size, MSG_NOSIGNAL) <= 0)
            _exit(0);
    return pid;
}

static void hush(pid_t pid)
{
    kill(pid, SIGKILL);
    cr_expect_eq(waitpid(pid, NULL, 0), pid);
}

/* ---- the puppet's line ------------------------------------------------------------------------------------------------ */

static size_t frame(uint8_t *out, enum vpc_puppet_type type, uint32_t handle, uint32_t first,
                    size_t size)
{
    memset(out, 0, VPC_PUPPET_HEADER + size);
    vpc_puppet_put_header(out, type, handle, size);
    if (size >= 4)
        vpc_puppet_put32(out + VPC_PUPPET_HEADER, first);
    return VPC_PUPPET_HEADER + size;
}

static void say_frame(int fd, enum vpc_puppet_type type, uint32_t handle, uint32_t first,
                      size_t size)
{
    static uint8_t out[VPC_PUPPET_FRAME_MAX];

    say(fd, out, frame(out, type, handle, first, size));
}

/* After which the line is lost. */
static void expect_breach(struct vpc_puppet *puppet, const char *what)
{
    struct vpc_puppet_event event;
    int got;

    while ((got = vpc_puppet_next(puppet, &event)) > 0)
        ;
    cr_expect_eq(got, -1, "%s is taken", what);
    cr_expect_eq(errno, EPROTO, "%s: %s", what, strerror(errno));
}

Test(bounds, a_puppet_that_says_nothing_without_end_holds_nobody)
{
    uint8_t nothing[64];
    size_t size = frame(nothing, VPC_PUPPET_WINDOW_MORE, 77, 1, 4);
    struct vpc_puppet_event event;
    int ends[2];

    open_line(ends);
    pid_t pid = say_without_end(ends[1], nothing, size);
    struct vpc_puppet *puppet = vpc_puppet_new(ends[0]);
    for (int i = 0; i < 20; i++)
        cr_expect_eq(vpc_puppet_next(puppet, &event), 0);
    hush(pid);
    vpc_puppet_free(puppet);
    close(ends[1]);
}

Test(bounds, frames_that_no_puppet_says)
{
    static const struct {
        const char *what;
        enum vpc_puppet_type type;
        uint32_t first;
        size_t size;
    } frames[] = {
        {"a connection with the handle 0", VPC_PUPPET_ACCEPTANCE, 0, 8},
        {"a connection with a handle of the harness", VPC_PUPPET_ACCEPTANCE, 1, 8},
        {"credit beyond the window", VPC_PUPPET_WINDOW_MORE, 1, 4},
        {"endless credit", VPC_PUPPET_WINDOW_MORE, UINT32_MAX, 4},
        {"a request", VPC_PUPPET_RUN, 0, 8},
        {"a type that there is not", 999, 0, 8},
    };

    for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
        int ends[2];

        open_line(ends);
        struct vpc_puppet *puppet = vpc_puppet_new(ends[0]);
        uint32_t handle = vpc_puppet_listen(puppet, 0, 0, 0);
        say_frame(ends[1], frames[i].type, handle, frames[i].first, frames[i].size);
        expect_breach(puppet, frames[i].what);
        vpc_puppet_free(puppet);
        close(ends[1]);
    }
}

Test(bounds, a_frame_of_gigabytes_and_a_handle_twice)
{
    static const uint8_t huge[VPC_PUPPET_HEADER] = {0xff, 0xff, 0xff, 0xff, VPC_PUPPET_DATA};
    struct vpc_puppet *puppet;
    struct vpc_puppet_event event;
    int ends[2];

    open_line(ends);
    puppet = vpc_puppet_new(ends[0]);
    say(ends[1], huge, sizeof(huge));
    expect_breach(puppet, "a frame of 4 GiB");
    vpc_puppet_free(puppet);
    close(ends[1]);

    open_line(ends);
    puppet = vpc_puppet_new(ends[0]);
    uint32_t handle = vpc_puppet_listen(puppet, 0, 0, 0);
    say_frame(ends[1], VPC_PUPPET_ACCEPTANCE, handle, VPC_PUPPET_ACCEPTED | 1, 8);
    cr_expect_eq(vpc_puppet_next(puppet, &event), 1);
    cr_expect_eq(event.value, VPC_PUPPET_ACCEPTED | 1);
    say_frame(ends[1], VPC_PUPPET_ACCEPTANCE, handle, VPC_PUPPET_ACCEPTED | 1, 8);
    expect_breach(puppet, "a connection with a handle that is in use");
    vpc_puppet_free(puppet);
    close(ends[1]);
}

/* Whose queue is full can give no credit; what is said without any is not taken. */
Test(bounds, data_beyond_the_window)
{
    struct vpc_puppet_event event;
    int ends[2];

    open_line(ends);
    struct vpc_puppet *puppet = vpc_puppet_new(ends[0]);
    uint32_t handle = vpc_puppet_listen(puppet, 0, 0, 0);
    for (int i = 0; i < 10; i++) { /* until the socket is full as well */
        while (vpc_puppet_ping(puppet))
            ;
        cr_expect_eq(vpc_puppet_next(puppet, &event), 0);
    }
    for (int i = 0; i < 2; i++) {
        say_frame(ends[1], VPC_PUPPET_DATA, handle, 0, VPC_PUPPET_PAYLOAD_MAX);
        cr_expect_eq(vpc_puppet_next(puppet, &event), 1);
        cr_expect_eq(event.type, VPC_PUPPET_DATA);
    }
    say_frame(ends[1], VPC_PUPPET_DATA, handle, 0, 1);
    expect_breach(puppet, "an octet beyond the window");
    vpc_puppet_free(puppet);
    close(ends[1]);
}

/* ---- QEMU's line -------------------------------------------------------------------------------------------------------- */

/* Of a line that says this: a command must fail, and say so. */
static void expect_failure(const char *said, const char *words)
{
    int ends[2];

    open_line(ends);
    struct vpc_qmp *qmp = vpc_qmp_new(ends[0]);
    say(ends[1], said, strlen(said));
    cr_expect_eq(vpc_qmp_command(qmp, "stop", NULL, NULL, vpc_qmp_now() + 200), -1, "%s", said);
    cr_expect(strstr(vpc_qmp_error(qmp), words), "\"%s\" gives \"%s\"", said, vpc_qmp_error(qmp));
    vpc_qmp_free(qmp);
    close(ends[1]);
}

Test(bounds, answers_that_qemu_does_not_give)
{
    char *endless = malloc(70001), *deep = malloc(5001);

    memset(endless, 'x', 70000);
    memset(deep, '[', 5000);
    endless[70000] = '\0';
    memcpy(deep + 4999, "\n", 2);
    expect_failure(endless, "too long");
    expect_failure(deep, "bad JSON");
    expect_failure("{\"return\"\n", "bad JSON");
    expect_failure("[1]\n", "bad JSON: no object");
    expect_failure("{\"id\": 99999999999999999999999999, \"return\": {}}\n", "bad JSON");
    expect_failure("{\"id\": 7, \"return\": {}}\n", "no answer within the time limit");
    expect_failure("{\"id\": 1}\n", "neither return nor error");
    expect_failure("{\"id\": 1, \"error\": {\"desc\": 5}}\n", "neither return nor error");
    free(endless);
    free(deep);
}

Test(bounds, a_line_that_is_never_silent_does_not_put_off_a_deadline)
{
    static const char event[] = "{\"event\": \"VSERPORT_CHANGE\", \"data\": {}}\n";
    static const char answer[] = "{\"id\": 99, \"return\": {}}\n";
    const char *const said[] = {event, answer};

    for (size_t i = 0; i < 2; i++) {
        int ends[2];
        json_t *taken = NULL;

        open_line(ends);
        pid_t pid = say_without_end(ends[1], said[i], strlen(said[i]));
        struct vpc_qmp *qmp = vpc_qmp_new(ends[0]);
        int64_t start = vpc_qmp_now();
        cr_expect_eq(vpc_qmp_command(qmp, "stop", NULL, NULL, start + 200), -1);
        cr_expect(strstr(vpc_qmp_error(qmp), "no answer within the time limit"));
        cr_expect_eq(vpc_qmp_await(qmp, "RESET", vpc_qmp_now() + 200), -1);
        cr_expect_eq(vpc_qmp_next(qmp, &taken), said[i] == event);
        json_decref(taken);
        hush(pid);
        vpc_qmp_free(qmp);
        close(ends[1]);
    }
}

/* ---- what lives in the puppet --------------------------------------------------------------------------------------------- */

struct told {
    int broken, crashed, opened, logs;
};

static void note(void *user, const struct vpc_seen *seen)
{
    struct told *told = user;

    told->broken += seen->kind == VPC_SEEN_BROKEN;
    told->crashed += seen->kind == VPC_SEEN_CRASHED;
    told->opened += seen->kind == VPC_SEEN_LOCAL_OPENED;
    told->logs += seen->kind == VPC_SEEN_LOG;
}

static struct vpc_qemu_guest guest_that_tells(struct told *told)
{
    struct vpc_qemu_guest guest = {.bus = -1, .next_conn = 1000};

    guest.qemu.config.vm = "conform";
    guest.qemu.config.sink = note;
    guest.qemu.config.user = told;
    return guest;
}

static void tell(struct vpc_qemu_guest *guest, enum vpc_puppet_type type, uint32_t handle,
                 uint32_t value, const char *data)
{
    struct vpc_puppet_event event = {.type = type,
                                     .handle = handle,
                                     .data = (const uint8_t *)data,
                                     .size = data ? strlen(data) : 0,
                                     .value = value};

    vpc_things_on_puppet(&guest->qemu, &event);
}

Test(bounds, connections_without_end_break_the_run)
{
    struct told told = {0};
    struct vpc_qemu_guest guest = guest_that_tells(&told);

    vpc_thing_add(&guest, VPC_THING_LISTENER, 1, 0);
    for (uint32_t i = 1; i < VPC_THINGS_MAX + 10; i++)
        tell(&guest, VPC_PUPPET_ACCEPTANCE, 1, VPC_PUPPET_ACCEPTED | i, NULL);
    cr_expect_eq(told.opened, VPC_THINGS_MAX - 1);
    cr_expect_eq(told.broken, 1);
    vpc_things_free(&guest);
}

Test(bounds, connections_that_can_not_be)
{
    struct told told = {0};
    struct vpc_qemu_guest guest = guest_that_tells(&told);

    vpc_thing_add(&guest, VPC_THING_LISTENER, 1, 0);
    vpc_thing_add(&guest, VPC_THING_LOG, 2, 0);
    tell(&guest, VPC_PUPPET_ACCEPTANCE, 2, VPC_PUPPET_ACCEPTED | 1, NULL);
    cr_expect_eq(told.opened, 0);
    tell(&guest, VPC_PUPPET_ACCEPTANCE, 1, 0, NULL);
    cr_expect_eq(told.opened, 0);
    cr_expect_eq(told.broken, 1);
    vpc_things_free(&guest);
}

Test(bounds, an_end_is_told_once)
{
    struct told told = {0};
    struct vpc_qemu_guest guest = guest_that_tells(&told);

    guest.subject = vpc_thing_add(&guest, VPC_THING_COMMAND, 1, 0);
    tell(&guest, VPC_PUPPET_EXITED, 1, UINT32_MAX, NULL);
    tell(&guest, VPC_PUPPET_EXITED, 1, 0, NULL);
    cr_expect_eq(told.crashed, 1);
    vpc_things_free(&guest);
}

Test(bounds, output_and_log_without_end_fill_no_disk)
{
    static char line[30001];
    struct told told = {0};
    struct vpc_qemu_guest guest = guest_that_tells(&told);

    memset(line, 'x', sizeof(line) - 2);
    line[sizeof(line) - 2] = '\n';
    guest.output = tmpfile();
    guest.log = tmpfile();
    guest.output_left = guest.log_left = VPC_GUEST_COPY_MAX;
    vpc_thing_add(&guest, VPC_THING_COMMAND, 1, 0);
    vpc_thing_add(&guest, VPC_THING_LOG, 2, 0);
    for (int i = 0; i < 1000; i++) {
        tell(&guest, VPC_PUPPET_DATA, 1, 0, line);
        tell(&guest, VPC_PUPPET_DATA, 2, 0, line);
    }
    cr_expect_leq(ftell(guest.output), (long)VPC_GUEST_COPY_MAX + 100);
    cr_expect_leq(ftell(guest.log), (long)VPC_GUEST_COPY_MAX + 100);
    cr_expect_eq(told.crashed, 1, "a log without end is told once, and not %d times", told.crashed);
    cr_expect_lt(told.logs, 1000);
    vpc_things_free(&guest);
    fclose(guest.output);
    fclose(guest.log);
}

/* ---- what a run keeps ------------------------------------------------------------------------------------------------------- */

Test(bounds, a_connection_s_octets_are_kept_up_to_a_limit)
{
    static char part[1 << 20];
    struct conform_trace trace = {0};
    struct vpc_conn conn = {.id = 1000};
    struct vpc_run run = {.trace = &trace, .conns = &conn};
    struct vpc_seen seen = {VPC_SEEN_LOCAL_OCTETS, 1000, 0, part, sizeof(part)};
    int count = 0;

    for (; count < 1000 && !run.crash; count++)
        vpc_on_seen(&run, &seen);
    cr_expect_eq(count, 129);
    cr_expect_eq(vpc_buffer_size(&conn.in), 128u << 20);
    vpc_on_seen(&run, &seen);
    cr_expect_eq(vpc_buffer_size(&conn.in), 128u << 20);
    vpc_buffer_free(&conn.in);
    free(run.crash);
}

Test(bounds, frames_that_no_step_takes_are_kept_up_to_a_limit)
{
    struct conform_trace trace = {0};
    struct vpc_run run = {.trace = &trace, .tester.held = (128u << 20) + 1};
    struct vpc_seen seen = {VPC_SEEN_BUS_OCTETS, 0, 0, "", 0};

    vpc_on_seen(&run, &seen);
    cr_assert_not_null(run.crash);
    cr_expect(strstr(run.crash, "on the bus"), "%s", run.crash);
    free(run.crash);
}

Test(bounds, a_frame_counts_while_it_waits)
{
    char *error = NULL;
    struct vpc_table *table = vpc_table_load(vpc_embedded_messages, &error);
    struct conform_trace *trace = vpc_trace_begin();
    struct vpc_monitor monitor;
    struct vpc_tester peer, tester;

    vpc_monitor_begin(&monitor, table, VPC_FROM_GUEST);
    vpc_tester_begin(&tester, table, VPC_FROM_HOST, &monitor, trace, 1);
    vpc_tester_begin(&peer, table, VPC_FROM_GUEST, &monitor, trace, 2);
    vpc_tester_hello(&peer);
    vpc_tester_input(&tester, vpc_buffer_head(&peer.out), vpc_buffer_size(&peer.out));
    cr_assert_not_null(tester.first);
    cr_expect_gt(tester.held, sizeof(struct vpc_received));
    vpc_tester_drop(&tester, tester.first);
    cr_expect_eq(tester.held, 0);
    vpc_tester_end(&peer);
    vpc_tester_end(&tester);
    vpc_monitor_end(&monitor);
    vpc_trace_end(trace);
    vpc_table_free(table);
}
