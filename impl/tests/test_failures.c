/* SPDX-License-Identifier: MIT */
/*
 * Descriptors and memory that can't be had, in each endpoint's whole life: the N-th call that makes or registers a
 * descriptor fails, or the N-th request for memory, for each N; or all from the N-th on.
 *
 * Both endpoints run in this process, the subject with failing calls.  After the failure it must do a client's whole
 * work as if nothing had been; meanwhile it may refuse, but neither crash, hang, spin nor leak.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/tests/heap.h"
#include "failing.h"
#include "scratch.h"
#include "shell.h"
#include "shell_rig.h"
#include "vpc.h"

enum {
    FIRST_LIMIT_MS = 600, /* for each wait while something fails */
    LIMIT_MS = 10000,     /* when nothing does any more */
    TURNS_MAX = 4000,     /* in a second: a shell that spins makes many more */
};

TestSuite(failures, .timeout = 300, .init = scratch_begin, .fini = scratch_end);

extern const vpc_endpoint_abi vpc_endpoint_abi_v1;

static struct vpc_shell *subject, *other;
static char host_control[96], guest_control[96];
static int server;
static unsigned port;

static int open_shell(uint32_t role, struct vpc_shell **shell)
{
    static char bus[2][128], log[2][128], trace[2][128];
    bool host = role == VPC_ROLE_HOST;

    snprintf(bus[host], sizeof(bus[host]), host ? "%s/bus" : "listen:%s/bus", scratch);
    snprintf(log[host], sizeof(log[host]), "%s/log/%d.jsonl", scratch, host);
    snprintf(trace[host], sizeof(trace[host]), "%s/log/%d.pcapng", scratch, host);
    struct vpc_shell_config config = {
        .abi = &vpc_endpoint_abi_v1,
        .log_path = log[host],
        .trace_path = trace[host],
        .trace_limit = 1 << 20,
        .program = "test",
        .role = role,
        .vm = "vm",
        .tag = "T",
        .options = "{\"hello_interval_ms\": 50}",
        .bus = bus[host],
        .runtime_dir = host ? scratch : NULL,
        .control_path = host ? host_control : guest_control,
    };
    return vpc_shell_open(&config, shell);
}

/* The subject's calls fail, the other's do not. */
static void turn(void)
{
    failing_arm(true);
    int error = vpc_shell_turn(subject, 1);
    failing_arm(false);
    cr_assert_eq(error, 0);
    cr_assert_eq(vpc_shell_turn(other, 0), 0);
}

#define TURN_UNTIL(limit_ms, condition)                                                            \
    do {                                                                                           \
        int64_t limit_ = scratch_now_ms() + (limit_ms);                                            \
        while (!(condition)) {                                                                     \
            if (scratch_now_ms() >= limit_)                                                        \
                return false;                                                                      \
            turn();                                                                                \
        }                                                                                          \
    } while (0)

/* ---- a client's work --------------------------------------------------------------------------------------------- */

struct work {
    int control, near, far;
    char answer[4096];
    size_t answer_size;
};

/* Whether the answer has come; -1: the connection ended without it. */
static int answered(struct work *w)
{
    long n =
        rig_read(w->control, w->answer + w->answer_size, sizeof(w->answer) - 1 - w->answer_size);

    if (n == 0 || (n < 0 && errno != EAGAIN))
        return -1;
    w->answer_size += n > 0 ? (size_t)n : 0;
    w->answer[w->answer_size] = '\0';
    return strstr(w->answer, "\"return\"") != NULL || strstr(w->answer, "\"error\"") != NULL;
}

static bool start(struct work *w, const char *pipe, int limit_ms)
{
    char line[256], pipe_name[64];
    int n = snprintf(line, sizeof(line),
                     "{\"execute\": \"start\", \"arguments\": {\"host-name\": "
                     "\"\\\\\\\\.\\\\pipe\\\\%s\", \"guest-name\": "
                     "\"%u\"}}\n",
                     pipe, port);
    int got = 0;

    TURN_UNTIL(limit_ms, (w->control = rig_connect(host_control)) >= 0);
    if (write(w->control, line, (size_t)n) != n)
        return false;
    TURN_UNTIL(limit_ms, (got = answered(w)) != 0);
    if (got < 0 || strstr(w->answer, "\"return\"") == NULL)
        return false;
    TURN_UNTIL(limit_ms, (w->far = accept4(server, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0);
    snprintf(pipe_name, sizeof(pipe_name), "\\\\.\\pipe\\%s", pipe);
    return vpc_pipe_connect(scratch, pipe_name, &w->near) == 0;
}

static bool expect_octets(int fd, const char *text, int limit_ms)
{
    char octets[64];
    long n = -1;

    TURN_UNTIL(limit_ms, (n = rig_read(fd, octets, sizeof(octets))) >= 0 || errno != EAGAIN);
    return n == (long)strlen(text) && memcmp(octets, text, (size_t)n) == 0;
}

/* A question, the end of writing, the answer, the end. */
static bool converse(struct work *w, int limit_ms)
{
    return write(w->near, "question", 8) == 8 && shutdown(w->near, SHUT_WR) == 0 &&
           expect_octets(w->far, "question", limit_ms) && expect_octets(w->far, "", limit_ms) &&
           write(w->far, "answer", 6) == 6 && shutdown(w->far, SHUT_WR) == 0 &&
           expect_octets(w->near, "answer", limit_ms) && expect_octets(w->near, "", limit_ms);
}

static void close_all(struct work *w)
{
    int fds[] = {w->control, w->near, w->far};

    for (size_t i = 0; i < 3; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

static bool whole_work(const char *pipe, int limit_ms)
{
    struct work w = {-1, -1, -1, "", 0};
    bool done = start(&w, pipe, limit_ms) && converse(&w, limit_ms);

    close_all(&w);
    for (int fd; (fd = accept4(server, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0;)
        close(fd);
    return done;
}

/* The ready event, as a program of the host sees it. */
static bool is_ready(void)
{
    vpc_event *event;

    if (vpc_event_open(scratch, "Local\\T_ChannelReady", &event) != 0)
        return false;
    bool set = vpc_event_is_set(event);
    vpc_event_close(event);
    return set;
}

static bool becomes_ready(int limit_ms)
{
    TURN_UNTIL(limit_ms, is_ready());
    return true;
}

/* Until the work is done: a start may be refused while the session comes anew. */
static bool recovers(void)
{
    char pipe[16];
    int64_t limit = scratch_now_ms() + LIMIT_MS;

    if (!becomes_ready(LIMIT_MS))
        return false;
    for (int i = 0; scratch_now_ms() < limit; i++) {
        snprintf(pipe, sizeof(pipe), "again%d", i);
        if (whole_work(pipe, FIRST_LIMIT_MS))
            return true;
    }
    return false;
}

/* ---- lives ------------------------------------------------------------------------------------------------------- */

typedef void (*fail_at_fn)(unsigned n, bool for_good);

static void fail_memory(unsigned n, bool for_good)
{
    heap_fail_at(n, for_good);
}

/* The calls that the life made, of the kind that fails. */
static unsigned live(uint32_t role, fail_at_fn fail_at, unsigned n, bool for_good)
{
    size_t blocks = heap_blocks();
    unsigned fds = descriptors();

    failing_arm(false);
    server = rig_tcp_server(&port, 4);
    cr_assert_eq(fcntl(server, F_SETFL, O_NONBLOCK), 0);
    cr_assert_eq(open_shell(role == VPC_ROLE_HOST ? VPC_ROLE_GUEST : VPC_ROLE_HOST, &other), 0);
    fail_at(n, for_good);
    failing_arm(true);
    int error = open_shell(role, &subject);
    failing_arm(false);
    if (!error) {
        int64_t began = scratch_now_ms();

        becomes_ready(FIRST_LIMIT_MS);
        whole_work("first", FIRST_LIMIT_MS);
        uint64_t turns = vpc_shell_turns(subject);
        int64_t took = scratch_now_ms() - began;
        cr_assert_leq(turns, (uint64_t)(TURNS_MAX + TURNS_MAX * took / 1000),
                      "call %u (%s) failed: it spins: %u turns", n, failing_name(),
                      (unsigned)turns);
    } else {
        cr_assert_neq(n, 0, "nothing failed, and it did not open");
    }
    const char *what = fail_at == fail_memory ? "memory" : failing_name();
    unsigned calls = failing_calls(), requests = heap_requests();
    fail_at(0, false);
    if (!error)
        cr_assert(recovers(), "call %u (%s) failed: it does not go on", n, what);
    vpc_shell_close(error ? NULL : subject);
    vpc_shell_close(other);
    close(server);
    cr_assert_eq(descriptors(), fds, "call %u (%s) failed: a descriptor leaks", n, what);
    cr_assert_eq(heap_blocks(), blocks, "call %u (%s) failed: memory leaks", n, what);
    return fail_at == fail_memory ? requests : calls;
}

static void all_lives(uint32_t role, fail_at_fn fail_at, bool for_good, unsigned step)
{
    snprintf(host_control, sizeof(host_control), "%s/vms/vm.sock", scratch);
    snprintf(guest_control, sizeof(guest_control), "%s/guest.sock", scratch);
    heap_begin();
    unsigned calls = live(role, fail_at, 0, false);
    cr_assert_gt(calls, 8);
    cr_log_info("%u calls", calls);
    for (unsigned n = 1; n <= calls; n += step)
        live(role, fail_at, n, for_good);
}

Test(failures, one_call_of_a_host_fails)
{
    all_lives(VPC_ROLE_HOST, failing_at, false, 1);
}

Test(failures, one_call_of_a_guest_fails)
{
    all_lives(VPC_ROLE_GUEST, failing_at, false, 1);
}

Test(failures, calls_of_a_host_fail_from_one_on)
{
    all_lives(VPC_ROLE_HOST, failing_at, true, 1);
}

Test(failures, calls_of_a_guest_fail_from_one_on)
{
    all_lives(VPC_ROLE_GUEST, failing_at, true, 1);
}

Test(failures, one_request_for_memory_of_a_host_fails)
{
    all_lives(VPC_ROLE_HOST, fail_memory, false, 1);
}

Test(failures, one_request_for_memory_of_a_guest_fails)
{
    all_lives(VPC_ROLE_GUEST, fail_memory, false, 1);
}

/* Each of these lives waits until the memory is back. */
Test(failures, memory_of_both_is_out_from_one_request_on)
{
    all_lives(VPC_ROLE_HOST, fail_memory, true, 17);
    all_lives(VPC_ROLE_GUEST, fail_memory, true, 17);
}
