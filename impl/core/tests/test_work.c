/* SPDX-License-Identifier: MIT */
/* What is done for one pair is as much with ten thousand others as with none: relays that are looked at are counted. */
#include "crowd.h"
#include "endpoint.h"

#include <criterion/criterion.h>

TestSuite(work, .timeout = 120);

#define ABI  vpc_endpoint_abi_v1
#define MANY 10000u
#define DEEP 14u /* the heap of the limits with MANY in it */

/* What can happen to a pair, in the order in which it does. */
enum deed { START, OPEN, SAY, ANSWER, QUIET, CLIENT_GONE, FINISH, UNUSED, DEEDS };

struct work {
    uint64_t visits[DEEDS], steps[DEEDS];
};

static void carry_out(struct crowd *crowd, enum deed deed)
{
    switch (deed) {
    case START:
        crowd_start(crowd, 2, 0);
        break;
    case OPEN:
        crowd_open(crowd);
        break;
    case SAY:
        crowd_say(crowd, &crowd->host, &crowd->guest);
        break;
    case ANSWER:
        crowd_say(crowd, &crowd->guest, &crowd->host);
        break;
    case QUIET: /* heartbeats, and nothing that is due */
        crowd_clock(crowd, 1000);
        break;
    case CLIENT_GONE:
        ABI.control_close(crowd->host.ep, 2);
        break;
    case FINISH:
        crowd_finish(crowd);
        break;
    case UNUSED: /* one more, whose pipe nobody opens: its time limit */
        crowd_start(crowd, 2, 0);
        crowd_clock(crowd, 2000);
        break;
    case DEEDS:
        break;
    }
}

static uint64_t visits(const struct crowd *crowd)
{
    return crowd->host.ep->visits + crowd->guest.ep->visits;
}

static uint64_t steps(const struct crowd *crowd)
{
    return crowd->host.ep->limits.steps + crowd->guest.ep->limits.steps;
}

/* Beside so many pairs at rest; half of them have a pipe that nobody has opened, and so a time limit. */
static void measure(unsigned others, struct work *work)
{
    struct crowd crowd;

    crowd_begin(&crowd, others + 1, ", \"pipe_open_ms\": 2000");
    for (unsigned i = 1; i <= others; i++) {
        crowd_start(&crowd, 1, i);
        crowd_open(&crowd);
    }
    for (enum deed deed = START; deed < DEEDS; deed++) {
        work->visits[deed] = visits(&crowd);
        work->steps[deed] = steps(&crowd);
        carry_out(&crowd, deed);
        work->visits[deed] = visits(&crowd) - work->visits[deed];
        work->steps[deed] = steps(&crowd) - work->steps[deed];
    }
    cr_assert_eq(crowd.host.ep->relay_count, others);
    cr_assert_eq(crowd.host.closed, 1);
    cr_assert_eq(crowd.host.aborted, 1);
    crowd_end(&crowd);
}

Test(work, is_as_much_beside_ten_thousand_pairs)
{
    struct work alone, crowded;

    measure(0, &alone);
    measure(MANY, &crowded);
    for (enum deed deed = START; deed < DEEDS; deed++) {
        /* a name may have the bucket of a few others */
        bool by_name = deed == START || deed == UNUSED;

        cr_expect_geq(alone.visits[deed] + (by_name ? 4 : 0), crowded.visits[deed],
                      "deed %d: %llu visits, %llu beside others", deed,
                      (unsigned long long)alone.visits[deed],
                      (unsigned long long)crowded.visits[deed]);
        cr_expect_leq(crowded.steps[deed], alone.steps[deed] * DEEP);
    }
    cr_expect_eq(alone.visits[QUIET], 0);
    cr_expect_gt(alone.visits[START], 0);
}

/* A limit is at the top while it is the earliest, set and cleared in as many steps as the heap is deep. */
Test(work, limits_come_in_their_order)
{
    enum { COUNT = 1000 };
    static struct vpc_time_limit limit[COUNT];
    struct vpc_time_limits limits;
    uint64_t last = 0, before;
    unsigned left = COUNT;

    cr_assert(vpc_time_limits_init(&limits, COUNT));
    cr_assert_null(vpc_time_limits_first(&limits));
    for (unsigned i = 0; i < COUNT; i++)
        vpc_time_limit_set(&limits, &limit[i], i * 7919u % 1009u);
    for (unsigned i = 0; i < COUNT; i += 3)
        vpc_time_limit_set(&limits, &limit[i], i % 2 ? 5000 - i : UINT64_MAX);
    for (unsigned i = 0; i < COUNT; i++)
        left -= limit[i].place == 0;
    while (vpc_time_limits_first(&limits) != NULL) {
        struct vpc_time_limit *first = vpc_time_limits_first(&limits);

        cr_assert_geq(first->due, last);
        last = first->due;
        before = limits.steps;
        vpc_time_limit_set(&limits, first, UINT64_MAX);
        cr_assert_leq(limits.steps - before, 11);
        cr_assert_eq(first->place, 0);
        left--;
    }
    cr_assert_eq(left, 0);
    vpc_time_limits_free(&limits);
}

/* A number is found whatever the others are, and never given twice while it is in use. */
Test(work, numbers_of_streams_go_round)
{
    struct crowd crowd;
    uint32_t kept;

    crowd_begin(&crowd, 3, "");
    crowd_start(&crowd, 1, 1);
    kept = crowd.host.stream;
    crowd.host.ep->last_stream = UINT32_MAX - 1;
    crowd_start(&crowd, 1, 2);
    cr_assert_eq(crowd.host.stream, UINT32_MAX);
    crowd_start(&crowd, 1, 3);
    cr_assert_eq(kept, 1);
    cr_assert_eq(crowd.host.stream, 2, "0 is none, and 1 is in use");
    cr_assert_not_null(vpc_relay_find(crowd.host.ep, UINT32_MAX));
    cr_assert_null(vpc_relay_find(crowd.host.ep, 0));
    crowd_end(&crowd);
}
