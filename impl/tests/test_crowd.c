/* SPDX-License-Identifier: MIT */
/* A crowd of streams: each has its share, and one costs no more because there are others. */
#include "scratch.h"
#include "shell_internal.h"
#include "shell_rig.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    CROWD = 1000,
    IDLE = 5000,
    SERVED = 40, /* times that each is served, more or less */
};

/* ---- an endpoint that always has output, or room ----------------------------------------------- */

static bool has_output, has_room;
static size_t sent[IDLE + 2], taken[IDLE + 2];
static unsigned char octets[4096];
static vpc_endpoint_abi crowd_abi;

static void opened(vpc_endpoint *ep, uint32_t number, int error)
{
    (void)ep;
    (void)number;
    cr_assert_eq(error, 0);
}

static size_t room(const vpc_endpoint *ep, uint32_t number)
{
    (void)ep;
    (void)number;
    return has_room ? 1 << 20 : 0;
}

static size_t input(vpc_endpoint *ep, uint32_t number, const void *from, size_t n)
{
    (void)ep;
    (void)from;
    taken[number] += n;
    return n;
}

static size_t output(vpc_endpoint *ep, uint32_t number, const void **from)
{
    (void)ep;
    (void)number;
    *from = octets;
    return has_output ? sizeof(octets) : 0;
}

static void was_sent(vpc_endpoint *ep, uint32_t number, size_t n)
{
    (void)ep;
    sent[number] += n;
}

/* ---- the crowd --------------------------------------------------------------------------------- */

static int other_end[CROWD + 1];

static void begin(void)
{
    static char bus[128]; /* the shell keeps it */
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    scratch_begin();
    crowd_abi = fake_abi;
    crowd_abi.stream_opened = opened;
    crowd_abi.stream_room = room;
    crowd_abi.stream_input = input;
    crowd_abi.stream_output = output;
    crowd_abi.stream_sent = was_sent;
    snprintf(bus, sizeof(bus), "listen:%s/bus", scratch);
    rig_begin_with(bus, &crowd_abi);
}

TestSuite(crowd, .timeout = 60, .init = begin, .fini = rig_end);

static struct vpc_stream *add(uint32_t number, int fd)
{
    struct vpc_stream *stream = vpc_stream_new(rig, number, true);

    cr_assert_not_null(stream);
    vpc_stream_start(stream, fd);
    return stream;
}

/* So many with both ends here, as far as descriptors go. */
static unsigned gather(void)
{
    struct rlimit limit;
    unsigned n = CROWD;
    const int small = 4096;

    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < 2 * CROWD + 100)
        n = (unsigned)(limit.rlim_cur - 100) / 2;
    for (uint32_t i = 1; i <= n; i++) {
        int ends[2];

        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
        setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
        setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
        add(i, ends[0]);
        other_end[i] = ends[1];
    }
    return n;
}

static void disperse(unsigned n)
{
    has_output = has_room = false;
    for (unsigned i = 1; i <= n; i++)
        close(other_end[i]);
}

static void expect_even(const size_t *octets_of, unsigned n)
{
    size_t least = SIZE_MAX, most = 0;

    for (unsigned i = 1; i <= n; i++) {
        least = octets_of[i] < least ? octets_of[i] : least;
        most = octets_of[i] > most ? octets_of[i] : most;
    }
    cr_assert_gt(least, 0u);
    cr_assert_leq((most - least) * 10, most, "%zu to %zu octets", least, most);
}

Test(crowd, what_is_delivered_is_within_a_tenth)
{
    char away[65536];
    unsigned n = gather();

    has_output = true;
    for (unsigned turn = 0; turn < n * SERVED / VPC_LOOP_BATCH; turn++) {
        cr_assert_eq(vpc_shell_turn(rig, 0), 0);
        for (unsigned i = 1; i <= n; i++)
            while (read(other_end[i], away, sizeof(away)) > 0)
                ;
    }
    expect_even(sent, n);
    disperse(n);
}

Test(crowd, what_is_taken_is_within_a_tenth)
{
    static char word[4096];
    unsigned n = gather();

    has_room = true;
    for (unsigned turn = 0; turn < n * SERVED / VPC_LOOP_BATCH; turn++) {
        for (unsigned i = 1; i <= n; i++)
            if (write(other_end[i], word, sizeof(word)) < 0)
                continue;
        cr_assert_eq(vpc_shell_turn(rig, 0), 0);
    }
    expect_even(taken, n);
    disperse(n);
}

/* ---- one among many ---------------------------------------------------------------------------- */

/* Processor time of so many rounds of a message for one stream, in nanoseconds; the least of several tries. */
static int64_t cost_of_messages(int fd)
{
    int64_t least = INT64_MAX;

    for (int i = 0; i < 7; i++) {
        struct timespec before, after;

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
        for (int round = 0; round < 500; round++) {
            cr_assert_eq(write(fd, "m", 1), 1);
            cr_assert_eq(vpc_shell_turn(rig, 0), 0);
        }
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
        int64_t ns = (after.tv_sec - before.tv_sec) * 1000000000LL + after.tv_nsec - before.tv_nsec;
        least = ns < least ? ns : least;
    }
    return least;
}

Test(crowd, one_message_costs_no_more_because_there_are_others)
{
    int busy[2], idle[2];
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    unsigned n = limit.rlim_cur < IDLE + 100 ? (unsigned)limit.rlim_cur - 100 : IDLE;
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, busy), 0);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, idle), 0);
    has_room = true;
    add(1, busy[0]);
    int64_t alone = cost_of_messages(busy[1]);
    for (uint32_t i = 0; i < n; i++)
        add(i + 2, fcntl(idle[0], F_DUPFD_CLOEXEC, 0));
    cr_assert_eq(vpc_shell_turn(rig, 0), 0);
    int64_t in_a_crowd = cost_of_messages(busy[1]);
    cr_assert_leq(in_a_crowd, 3 * alone, "%lld ns instead of %lld", (long long)in_a_crowd,
                  (long long)alone);
    has_room = false;
    close(busy[1]);
    close(idle[0]);
    close(idle[1]);
}
