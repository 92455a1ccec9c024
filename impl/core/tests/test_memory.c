/* SPDX-License-Identifier: MIT */
/*
 * Memory that can't be had: the N-th request of a whole life fails, or all from the N-th on, for each N.  Nothing may
 * crash or leak; what is lost is an answer or a log entry, and never the end of a stream.
 */
#include "heap.h"
#include "rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

TestSuite(memory, .timeout = 120);

static vpc_endpoint *subject, *other;
static uint64_t drawn;

/* What became of the subject's streams. */
static struct {
    uint32_t streams, live[64], live_count;
    unsigned stopped;
} seen;

static uint64_t draw(void *user)
{
    (void)user;
    return ++drawn * 77;
}

static vpc_endpoint *make(uint32_t role)
{
    vpc_endpoint_config config = {.role = role, .vm = "vm", .tag = "T", .random = draw};

    config.options = "{\"max_pairs\": 3}";
    return vpc_endpoint_abi_v1.create(&config, 0);
}

static void forget(uint32_t stream)
{
    for (uint32_t i = 0; i < seen.live_count; i++)
        if (seen.live[i] == stream)
            seen.live[i] = seen.live[--seen.live_count];
}

static void take(vpc_endpoint *ep)
{
    vpc_action action;

    while (vpc_endpoint_abi_v1.next_action(ep, &action)) {
        uint32_t stream = action.stream;

        if (ep != subject && action.kind != VPC_ACTION_LISTEN && action.kind != VPC_ACTION_CONNECT)
            continue;
        switch (action.kind) {
        case VPC_ACTION_LISTEN:
            cr_assert_not_null(action.text);
            if (ep == subject)
                seen.live[seen.live_count++] = stream;
            vpc_endpoint_abi_v1.stream_listening(ep, stream, 0, "/path");
            vpc_endpoint_abi_v1.stream_opened(ep, stream, 0);
            break;
        case VPC_ACTION_CONNECT:
            if (ep == subject)
                seen.live[seen.live_count++] = stream;
            vpc_endpoint_abi_v1.stream_opened(ep, stream, 0);
            break;
        case VPC_ACTION_CLOSE:
        case VPC_ACTION_ABORT:
        case VPC_ACTION_UNLISTEN:
            forget(stream);
            break;
        case VPC_ACTION_REPLY:
            cr_assert(strstr(action.text, "0x00000000") == NULL ||
                          strstr(action.text, "\"path\":") != NULL,
                      "S_OK does not say where the pipe is: %s", action.text);
            break;
        case VPC_ACTION_STOPPED:
            seen.stopped++;
            break;
        default:
            break;
        }
    }
}

/* The other endpoint has memory enough. */
static bool move(vpc_endpoint *from, vpc_endpoint *to)
{
    static uint8_t copy[1 << 18];
    const void *octets;
    size_t n = vpc_endpoint_abi_v1.bus_output(from, &octets);

    if (n == 0)
        return false;
    memcpy(copy, octets, n);
    vpc_endpoint_abi_v1.bus_sent(from, n);
    take(from);
    vpc_endpoint_abi_v1.bus_input(to, copy, n);
    take(to);
    return true;
}

static void settle(void)
{
    bool moved = true;

    take(subject);
    take(other);
    while (moved) {
        moved = move(subject, other);
        moved |= move(other, subject);
    }
}

static void say(vpc_endpoint *ep, const char *line)
{
    vpc_endpoint_abi_v1.control_line(ep, 1, line, strlen(line));
    settle();
}

/* One life with all that takes memory in it. */
static void live(uint32_t role)
{
    static const char start[] =
        "{\"execute\": \"start\", \"id\": [1, {\"a\": \"b\"}], \"arguments\": "
        "{\"host-name\": \"\\\\\\\\.\\\\pipe\\\\a\", \"guest-name\": \"80\"}}";
    static const char stop[] =
        "{\"execute\": \"stop\", \"id\": 1, \"arguments\": {\"pipe\": \"\\\\\\\\.\\\\pipe\\\\a\"}}";
    vpc_endpoint *host = role == VPC_ROLE_HOST ? subject : other;

    vpc_endpoint_abi_v1.bus_up(subject);
    vpc_endpoint_abi_v1.bus_up(other);
    vpc_endpoint_abi_v1.control_open(subject, 1);
    settle();
    say(host, start);
    say(host, start);
    say(subject, "{\"execute\": \"query-devices\"}");
    say(subject, "{\"execute\": \"query-vm\", \"id\": \"x\"}");
    say(subject, "nonsense");
    say(host, stop);
    say(host, start);
    vpc_endpoint_abi_v1.stream_gone(subject, seen.live_count > 0 ? seen.live[0] : 1, ECONNRESET);
    settle();
    say(host, start);
    vpc_endpoint_abi_v1.bus_down(subject);
    vpc_endpoint_abi_v1.bus_down(other);
    settle();
    vpc_endpoint_abi_v1.stop(subject, 0);
    settle();
}

/* The number of requests that the life made. */
static unsigned try_life(uint32_t role, unsigned fail_at, int for_good)
{
    unsigned requests;
    size_t blocks = heap_blocks();

    memset(&seen, 0, sizeof(seen));
    other = make(role == VPC_ROLE_HOST ? VPC_ROLE_GUEST : VPC_ROLE_HOST);
    heap_fail_at(fail_at, for_good);
    errno = 0;
    subject = make(role);
    if (subject != NULL) {
        live(role);
        cr_assert_eq(seen.live_count, 0, "request %u failed: a stream was not given back", fail_at);
        cr_assert_eq(seen.stopped, 1, "request %u failed: no STOPPED", fail_at);
    } else {
        cr_assert(errno == ENOMEM || errno == EINVAL, "request %u: errno %d", fail_at, errno);
    }
    vpc_endpoint_abi_v1.destroy(subject);
    requests = heap_requests();
    heap_fail_at(0, 0);
    vpc_endpoint_abi_v1.destroy(other);
    cr_assert_eq(heap_blocks(), blocks, "request %u failed: a leak", fail_at);
    return requests;
}

static void all_lives(uint32_t role, int for_good)
{
    unsigned requests;

    heap_begin();
    requests = try_life(role, 0, 0);
    cr_assert_gt(requests, 300, "%u", requests);
    for (unsigned n = 1; n <= requests; n++)
        try_life(role, n, for_good);
}

Test(memory, one_request_of_a_host_fails)
{
    all_lives(VPC_ROLE_HOST, 0);
}

Test(memory, one_request_of_a_guest_fails)
{
    all_lives(VPC_ROLE_GUEST, 0);
}

Test(memory, all_requests_from_one_on_fail)
{
    all_lives(VPC_ROLE_HOST, 1);
    all_lives(VPC_ROLE_GUEST, 1);
}

/* Whoever is told that there is no memory for the pairs is told what takes less. */
Test(memory, too_many_pairs_are_told_with_what_to_do)
{
    const char *told = "no memory for 16384 pairs, ";
    bool found = false;
    char error[128];
    vpc_endpoint_config config = {.role = VPC_ROLE_HOST,
                                  .vm = "vm",
                                  .tag = "T",
                                  .options = "{\"max_pairs\": 16384, \"window\": 256}",
                                  .random = draw,
                                  .error = error,
                                  .error_size = sizeof(error)};

    heap_begin();
    for (unsigned n = 1; n < 100 && !found; n++) {
        heap_fail_at(n, 0);
        vpc_endpoint_abi_v1.destroy(vpc_endpoint_abi_v1.create(&config, 0));
        found = strncmp(error, told, strlen(told)) == 0;
    }
    heap_fail_at(0, 0);
    cr_assert(found, "%s", error);
    cr_assert_not_null(strstr(error, " MiB: lower max_pairs or window"), "%s", error);
}
