/* SPDX-License-Identifier: MIT */
/* What a hostile peer sends on channels: every illegal message has its defined answer, and harms no other pair. */
#include "bench.h"
#include "internal.h"

#include <criterion/criterion.h>
#include <string.h>

#define HOST_OF(b)  (&(b)->end[HOST])
#define GUEST_OF(b) (&(b)->end[GUEST])

/* Two pairs; the first is the victim (channels 1 and 2), of the second it is seen that it goes on (3 and 4).  On the
 * first the host has sent 5 bytes and the guest 3. */
static void begin(struct bench *b, vpc_pair **host_first, vpc_pair **guest_first)
{
    bench_init(b);
    bench_greet(b);
    bench_open(b, 1);
    *host_first = HOST_OF(b)->pair;
    *guest_first = GUEST_OF(b)->pair;
    vpc_pair_write(*host_first, "12345", 5);
    vpc_pair_write(*guest_first, "123", 3);
    bench_open(b, 2);
}

enum outcome { FINE, PAIR_RESET, SESSION_ENDS };

struct blow {
    const char *requirement;
    enum bench_side from;
    vpc_frame frame;
    enum outcome outcome;
};

#define BYTES(n) .payload = some_bytes, .payload_len = (n)
static const uint8_t some_bytes[300];

static const struct blow blows[] = {
    /* the guards (FLW-4) */
    {"FLW-2", HOST, {.type = VPC_DATA, .channel = 1, .offset = 5, BYTES(251)}, FINE},
    {"FLW-1", HOST, {.type = VPC_DATA, .channel = 1, .offset = 5, BYTES(252)}, PAIR_RESET},
    {"FLW-2", HOST, {.type = VPC_DATA, .channel = 1, .offset = 4, BYTES(1)}, PAIR_RESET},
    {"FLW-2", HOST, {.type = VPC_DATA, .channel = 1, .offset = 6, BYTES(1)}, PAIR_RESET},
    {"FLW-2", HOST, {.type = VPC_DATA, .channel = 1, .offset = UINT64_MAX, BYTES(1)}, PAIR_RESET},
    {"FLW-4", HOST, {.type = VPC_FIN, .channel = 1, .offset = 5}, FINE},
    {"FLW-4", HOST, {.type = VPC_FIN, .channel = 1, .offset = 4}, PAIR_RESET},
    {"FLW-4", HOST, {.type = VPC_FIN, .channel = 1, .offset = 6}, PAIR_RESET},
    {"FLW-4", HOST, {.type = VPC_CREDIT, .channel = 2, .limit = 255}, PAIR_RESET},
    {"FLW-3", HOST, {.type = VPC_CREDIT, .channel = 2, .limit = 256}, FINE},
    {"FLW-3", HOST, {.type = VPC_CREDIT, .channel = 2, .limit = UINT64_MAX}, FINE},
    {"FLW-1", GUEST, {.type = VPC_DATA, .channel = 2, .offset = 3, BYTES(254)}, PAIR_RESET},
    {"FLW-2", GUEST, {.type = VPC_DATA, .channel = 2, .offset = 0, BYTES(1)}, PAIR_RESET},
    {"FLW-4", GUEST, {.type = VPC_FIN, .channel = 2, .offset = 0}, PAIR_RESET},
    {"FLW-4", GUEST, {.type = VPC_CREDIT, .channel = 1, .limit = 0}, PAIR_RESET},
    /* the wrong end (CHN-3), whatever the guard would say */
    {"CHN-3", HOST, {.type = VPC_DATA, .channel = 2, .offset = 3, BYTES(1)}, SESSION_ENDS},
    {"CHN-3", HOST, {.type = VPC_DATA, .channel = 2, .offset = 99, BYTES(1)}, SESSION_ENDS},
    {"CHN-3", HOST, {.type = VPC_FIN, .channel = 2, .offset = 3}, SESSION_ENDS},
    {"CHN-3", HOST, {.type = VPC_FIN, .channel = 2, .offset = 99}, SESSION_ENDS},
    {"CHN-3", HOST, {.type = VPC_CREDIT, .channel = 1, .limit = 300}, SESSION_ENDS},
    {"CHN-3", HOST, {.type = VPC_CREDIT, .channel = 1, .limit = 0}, SESSION_ENDS},
    {"CHN-3", GUEST, {.type = VPC_DATA, .channel = 1, .offset = 99, BYTES(1)}, SESSION_ENDS},
    {"CHN-3", GUEST, {.type = VPC_FIN, .channel = 1, .offset = 5}, SESSION_ENDS},
    {"CHN-3", GUEST, {.type = VPC_CREDIT, .channel = 2, .limit = 0}, SESSION_ENDS},
    /* ids (CHN-1, CHN-2) */
    {"CHN-1", HOST, {.type = VPC_OPEN, .channel = 5, .reverse_channel = 6, .port = 1}, FINE},
    {"CHN-1", HOST, {.type = VPC_OPEN, .channel = 6, .reverse_channel = 5, .port = 1}, FINE},
    {"CHN-1",
     HOST,
     {.type = VPC_OPEN, .channel = 0xFFFFFFFFu, .reverse_channel = 77, .port = 1},
     FINE},
    {"CHN-1",
     HOST,
     {.type = VPC_OPEN, .channel = 5, .reverse_channel = 5, .port = 1},
     SESSION_ENDS},
    {"CHN-1",
     HOST,
     {.type = VPC_OPEN, .channel = 4, .reverse_channel = 5, .port = 1},
     SESSION_ENDS},
    {"CHN-1",
     HOST,
     {.type = VPC_OPEN, .channel = 5, .reverse_channel = 4, .port = 1},
     SESSION_ENDS},
    {"CHN-1",
     HOST,
     {.type = VPC_OPEN, .channel = 1, .reverse_channel = 2, .port = 1},
     SESSION_ENDS},
    {"CHN-2", HOST, {.type = VPC_DATA, .channel = 9, BYTES(1)}, SESSION_ENDS},
    {"CHN-2", HOST, {.type = VPC_RESET, .channel = 9}, SESSION_ENDS},
    {"CHN-2", GUEST, {.type = VPC_RELEASED, .channel = 9}, SESSION_ENDS},
    {"CHN-2", GUEST, {.type = VPC_OPENED, .channel = 9}, SESSION_ENDS},
    {"CHN-2", GUEST, {.type = VPC_REFUSED, .channel = 9}, SESSION_ENDS},
    /* messages out of their time */
    {"CHN-4", GUEST, {.type = VPC_OPENED, .channel = 1, .limit = 1}, SESSION_ENDS},
    {"CHN-4", GUEST, {.type = VPC_OPENED, .channel = 2, .limit = 1}, SESSION_ENDS},
    {"CHN-4", GUEST, {.type = VPC_REFUSED, .channel = 1, .error = 1}, SESSION_ENDS},
    {"CHN-4", GUEST, {.type = VPC_REFUSED, .channel = 2, .error = 1}, SESSION_ENDS},
    {"CLS-3", GUEST, {.type = VPC_RELEASED, .channel = 1, .offset = 5}, SESSION_ENDS},
    {"CLS-3", GUEST, {.type = VPC_RELEASED, .channel = 2, .offset = 3}, SESSION_ENDS},
    {"CLS-3", HOST, {.type = VPC_RELEASED, .channel = 1, .offset = 5}, SESSION_ENDS},
};

static void expect_outcome(struct bench *b, const struct blow *blow, size_t i)
{
    struct bench_end *victim = &b->end[blow->from == HOST ? GUEST : HOST];
    const vpc_session_event *violation = &victim->last[VPC_EV_VIOLATION];

    cr_expect_eq(victim->count[VPC_EV_VIOLATION], blow->outcome == FINE ? 0 : 1, "%s: blow %zu",
                 blow->requirement, i);
    cr_expect_eq(victim->count[VPC_EV_SESSION_DOWN], blow->outcome == SESSION_ENDS ? 1 : 0,
                 "%s: blow %zu", blow->requirement, i);
    if (blow->outcome == FINE)
        return;
    cr_expect_eq(violation->value, blow->frame.type);
    cr_expect_eq(violation->channel, blow->frame.channel);
    cr_expect_eq(violation->pair != NULL, blow->outcome == PAIR_RESET);
}

Test(guards, every_blow_has_its_answer, .timeout = 60)
{
    for (size_t i = 0; i < sizeof(blows) / sizeof(blows[0]); i++) {
        const struct blow *blow = &blows[i];
        struct bench b;
        struct bench_end *victim = &b.end[blow->from == HOST ? GUEST : HOST];
        vpc_pair *first[2];
        vpc_frame frames[8];
        unsigned n;

        begin(&b, &first[HOST], &first[GUEST]);
        bench_inject_frame(&b.end[blow->from], blow->frame);
        bench_deliver(&b.end[blow->from], SIZE_MAX);
        expect_outcome(&b, blow, i);
        bench_collect(victim);
        n = bench_frames(victim, frames, 8);
        if (blow->outcome == SESSION_ENDS) {
            cr_expect(n >= 1 && frames[0].type == VPC_GOODBYE && frames[0].cause == 1,
                      "%s: blow %zu", blow->requirement, i);
        } else if (blow->outcome == PAIR_RESET) {
            cr_assert_eq(n, 2, "%s: blow %zu", blow->requirement, i);
            for (unsigned f = 0; f < 2; f++)
                cr_expect(frames[f].type == VPC_RESET && frames[f].error == VPC_EPROTO &&
                          frames[f].channel <= 2);
            cr_expect_neq(frames[0].channel, frames[1].channel);
            vpc_pair_write(b.end[HOST].pair, "on", 2); /* the other pair goes on */
            bench_run(&b);
            cr_expect_eq(b.end[GUEST].last[VPC_EV_PAIR_READABLE].pair, b.end[GUEST].pair);
        }
        bench_free(&b);
    }
}

/* After a guard was broken the peer may still send what it had under way, right or wrong: it is passed over. */
Test(guards, what_still_comes_is_passed_over, .timeout = 20)
{
    static const vpc_frame more[] = {
        {.type = VPC_DATA, .channel = 1, .offset = 77, BYTES(200)},
        {.type = VPC_DATA, .channel = 1, .offset = 5, BYTES(1)},
        {.type = VPC_CREDIT, .channel = 2, .limit = 1},
        {.type = VPC_CREDIT, .channel = 2, .limit = 1000},
        {.type = VPC_FIN, .channel = 1, .offset = 1},
        {.type = VPC_RESET, .channel = 1, .error = 5},
        {.type = VPC_RESET, .channel = 2, .error = 5},
        {.type = VPC_RELEASED, .channel = 1},
        {.type = VPC_RELEASED, .channel = 2},
        {.type = VPC_RESET, .channel = 1, .error = 5}, /* CHN-2: released, a RESET is passed over */
        {.type = VPC_RESET, .channel = 2, .error = 5},
    };
    struct bench b;
    vpc_pair *first[2];

    begin(&b, &first[HOST], &first[GUEST]);
    bench_inject_frame(HOST_OF(&b), (vpc_frame){.type = VPC_FIN, .channel = 1, .offset = 6});
    bench_deliver(HOST_OF(&b), SIZE_MAX);
    for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
        bench_inject_frame(HOST_OF(&b), more[i]);
        bench_deliver(HOST_OF(&b), SIZE_MAX);
        bench_collect(GUEST_OF(&b));
        cr_expect_eq(GUEST_OF(&b)->count[VPC_EV_SESSION_DOWN], 0, "frame %zu", i);
    }
    cr_expect_eq(GUEST_OF(&b)->count[VPC_EV_VIOLATION], 1, "logged once");
    cr_expect_eq(GUEST_OF(&b)->count[VPC_EV_PAIR_RELEASED], 1);
    bench_inject_frame(HOST_OF(&b), (vpc_frame){.type = VPC_RELEASED, .channel = 1});
    bench_deliver(HOST_OF(&b), SIZE_MAX);
    cr_expect_eq(GUEST_OF(&b)->count[VPC_EV_SESSION_DOWN], 1,
                 "CHN-2: any other on a released id is a violation");
    bench_free(&b);
}

/* FIN came: no byte may follow it. */
Test(guards, nothing_follows_fin, .timeout = 20)
{
    static const vpc_frame more[] = {
        {.type = VPC_DATA, .channel = 1, .offset = 5, BYTES(1)},
        {.type = VPC_DATA, .channel = 1, .offset = 9, BYTES(1)},
        {.type = VPC_FIN, .channel = 1, .offset = 5},
        {.type = VPC_FIN, .channel = 1, .offset = 9},
    };

    for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
        struct bench b;
        vpc_pair *first[2];

        begin(&b, &first[HOST], &first[GUEST]);
        bench_inject_frame(HOST_OF(&b), (vpc_frame){.type = VPC_FIN, .channel = 1, .offset = 5});
        bench_deliver(HOST_OF(&b), SIZE_MAX);
        cr_expect_eq(vpc_pair_receiving_state(first[GUEST]), VPC_CHANNEL_DRAINING);
        bench_inject_frame(HOST_OF(&b), more[i]);
        bench_deliver(HOST_OF(&b), SIZE_MAX);
        cr_expect_eq(GUEST_OF(&b)->count[VPC_EV_SESSION_DOWN], 1, "frame %zu", i);
        bench_free(&b);
    }
}

/* A RESET of one channel alone before the pair is answered: legal, and nothing is left of the pair in the end. */
Test(guards, one_channel_is_reset_before_the_answer, .timeout = 20)
{
    for (uint32_t channel = 1; channel <= 2; channel++)
        for (unsigned refuse = 0; refuse < 2; refuse++) {
            struct bench b;
            unsigned down;

            bench_init(&b);
            bench_greet(&b);
            bench_inject_frame(
                HOST_OF(&b),
                (vpc_frame){.type = VPC_OPEN, .channel = 1, .reverse_channel = 2, .port = 1});
            bench_deliver(HOST_OF(&b), SIZE_MAX);
            bench_inject_frame(HOST_OF(&b), (vpc_frame){.type = VPC_RESET, .channel = channel});
            bench_deliver(HOST_OF(&b), SIZE_MAX);
            bench_collect(GUEST_OF(&b)); /* RELEASED */
            if (refuse)
                vpc_pair_refused(GUEST_OF(&b)->pair, 111);
            else
                vpc_pair_opened(GUEST_OF(&b)->pair);
            bench_collect(GUEST_OF(&b));
            if (channel == 2 && !refuse) /* the other one is open */
                bench_inject_frame(HOST_OF(&b), (vpc_frame){.type = VPC_RESET, .channel = 1});
            else if (channel == 1) /* the guest has reset the other one */
                bench_inject_frame(HOST_OF(&b), (vpc_frame){.type = VPC_RELEASED, .channel = 2});
            bench_deliver(HOST_OF(&b), SIZE_MAX);
            bench_collect(GUEST_OF(&b));
            cr_expect_eq(GUEST_OF(&b)->count[VPC_EV_VIOLATION], 0, "channel %u: %s", channel,
                         GUEST_OF(&b)->texts[VPC_EV_VIOLATION]);
            cr_expect_eq(vpc_session_pairs(GUEST_OF(&b)->session, &down), 0, "channel %u", channel);
            bench_free(&b);
        }
}

/* The same from a guest that goes on to answer: the host takes the answer for the channel that is left. */
Test(guards, the_guest_resets_its_channel_and_answers, .timeout = 20)
{
    for (uint8_t type = VPC_OPENED; type <= VPC_REFUSED; type++) {
        struct bench b;

        bench_init(&b);
        bench_greet(&b);
        HOST_OF(&b)->pair = vpc_pair_open(HOST_OF(&b)->session, 1, 1);
        bench_collect(HOST_OF(&b));
        bench_inject_frame(GUEST_OF(&b), (vpc_frame){.type = VPC_RESET, .channel = 2});
        bench_deliver(GUEST_OF(&b), SIZE_MAX);
        bench_inject_frame(GUEST_OF(&b),
                           (vpc_frame){.type = type, .channel = 1, .limit = 9, .error = 9});
        bench_deliver(GUEST_OF(&b), SIZE_MAX);
        bench_collect(HOST_OF(&b));
        cr_expect_eq(HOST_OF(&b)->count[VPC_EV_VIOLATION], 0);
        if (type == VPC_OPENED)
            cr_expect_eq(vpc_pair_sending_state(HOST_OF(&b)->pair), VPC_CHANNEL_OPEN);
        else
            cr_expect_null(HOST_OF(&b)->pair, "released");
        bench_free(&b);
    }
}
