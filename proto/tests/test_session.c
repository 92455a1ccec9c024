/* SPDX-License-Identifier: MIT */
/* Sessions: greeting, versions, readiness, heartbeats, backoff, and how they end.  Losses are in test_recovery.c. */
#include "bench.h"
#include "internal.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* ---- greeting -------------------------------------------------------------------------------------------------- */

Test(session, both_sides_greet_each_other, .timeout = 20)
{
    struct bench b;
    vpc_frame first, answer, third;
    size_t n;

    bench_init(&b);
    bench_up(&b);
    bench_collect(&b.end[HOST]);
    n = bench_expect_hello(b.end[HOST].wire, b.end[HOST].wire_len, &first);
    cr_expect_eq(n, b.end[HOST].wire_len, "a HELLO and nothing else");
    cr_expect_eq(first.role, VPC_HOST);
    cr_expect_neq(first.epoch, 0);
    cr_expect_eq(first.echo, 0);
    cr_expect_eq(first.max_pairs, 4);
    cr_expect_eq(first.heartbeat_ms, 1000);
    cr_expect_str_eq(first.tag, "TAG-1");
    cr_expect_str_eq(first.name, "bench host");

    bench_deliver(&b.end[HOST], n);
    bench_expect_state(&b.end[GUEST], VPC_SESSION_HUNTING);
    bench_collect(&b.end[GUEST]);
    n = bench_expect_hello(b.end[GUEST].wire, b.end[GUEST].wire_len, &answer);
    cr_expect_eq(answer.echo, first.epoch);
    bench_deliver(&b.end[GUEST], n);
    bench_expect_state(&b.end[HOST], VPC_SESSION_UP);

    bench_collect(&b.end[HOST]);
    n = bench_expect_hello(b.end[HOST].wire, b.end[HOST].wire_len, &third);
    cr_expect_eq(third.epoch, first.epoch);
    cr_expect_eq(third.echo, answer.epoch);
    bench_run(&b);
    bench_expect_state(&b.end[HOST], VPC_SESSION_READY);
    bench_expect_state(&b.end[GUEST], VPC_SESSION_READY);
    cr_expect_eq(b.end[HOST].count[VPC_EV_SESSION_UP], 1);
    cr_expect_eq(b.end[HOST].count[VPC_EV_READY], 1);
    cr_expect_str_eq(b.end[HOST].last[VPC_EV_SESSION_UP].text, "bench guest");
    cr_expect_eq(b.end[HOST].last[VPC_EV_SESSION_UP].value, VPC_VERSION_1_0);
    bench_free(&b);
}

Test(session, greeting_in_pieces_of_every_size, .timeout = 60)
{
    static const size_t pieces[] = {1, 2, 3, 5, 155, 156, 157, 4096, 65535, 131135, 131136, 131137};

    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        struct bench b;

        bench_init(&b);
        b.piece = pieces[i];
        bench_greet(&b);
        cr_expect_eq(b.end[HOST].count[VPC_EV_SESSION_UP], 1);
        bench_free(&b);
    }
}

Test(session, a_hello_split_at_every_octet, .timeout = 120)
{
    struct bench b;

    for (size_t split = 0; split <= BENCH_HELLO_SIZE + 20; split++) {
        bench_init(&b);
        bench_up(&b);
        for (int side = HOST; side <= GUEST; side++) {
            bench_collect(&b.end[side]);
            bench_deliver(&b.end[side], b.end[side].wire_len - split);
        }
        bench_wait_ready(&b);
        cr_expect_eq(
            b.end[HOST].count[VPC_EV_FRAMING_LOST] + b.end[GUEST].count[VPC_EV_FRAMING_LOST], 0);
        bench_free(&b);
    }
}

Test(session, hello_is_repeated_and_only_one_waits, .timeout = 20)
{
    struct bench b;
    vpc_frame hello;
    uint64_t epoch;
    size_t n;

    bench_init(&b);
    bench_up(&b);
    for (unsigned i = 0; i < 50; i++) { /* nobody takes what it says */
        b.now = vpc_session_deadline(b.end[HOST].session);
        vpc_session_clock(b.end[HOST].session, b.now);
        bench_inject_hello(
            &b.end[GUEST],
            (vpc_frame){.role = VPC_GUEST, .version_min = 256, .version_max = 256, .epoch = 5});
        bench_deliver(&b.end[GUEST], SIZE_MAX);
    }
    n = bench_collect(&b.end[HOST]);
    cr_expect_eq(bench_expect_hello(b.end[HOST].wire, n, &hello), n);
    cr_expect_eq(hello.echo, 5, "what is said is up to date");
    epoch = hello.epoch;
    bench_lose(&b.end[HOST], 0, n);
    b.now += 999;
    vpc_session_clock(b.end[HOST].session, b.now);
    cr_expect_eq(bench_collect(&b.end[HOST]), 0);
    b.now += 1;
    cr_expect_eq(vpc_session_deadline(b.end[HOST].session), b.now);
    vpc_session_clock(b.end[HOST].session, b.now);
    n = bench_collect(&b.end[HOST]);
    cr_expect_eq(bench_expect_hello(b.end[HOST].wire, n, &hello), n);
    cr_expect_eq(hello.epoch, epoch, "a repetition has the same epoch");
    bench_free(&b);
}

Test(session, hellos_that_are_passed_over, .timeout = 20)
{
    static const vpc_frame wrong[] = {
        {.role = VPC_HOST,
         .version_min = 256,
         .version_max = 256,
         .epoch = 9}, /* the receiver's own role */
        {.role = VPC_GUEST,
         .version_min = 257,
         .version_max = 256,
         .epoch = 9}, /* the range is empty */
    };
    struct bench b;

    bench_init(&b);
    bench_up(&b);
    bench_collect(&b.end[HOST]);
    for (size_t i = 0; i < 2; i++) {
        bench_inject_hello(&b.end[GUEST], wrong[i]);
        bench_deliver(&b.end[GUEST], SIZE_MAX);
        cr_expect_eq(bench_collect(&b.end[HOST]), 0, "MSG-1: no answer");
    }
    bench_lose(&b.end[HOST], 0, SIZE_MAX);
    bench_wait_ready(&b);
    for (size_t i = 0; i < 2; i++) {
        bench_inject_hello(&b.end[GUEST], wrong[i]);
        bench_run(&b);
    }
    cr_expect_eq(b.end[HOST].count[VPC_EV_SESSION_DOWN], 0);
    bench_free(&b);
}

Test(session, hello_in_a_session, .timeout = 20)
{
    struct bench b;
    struct bench_end *host = &b.end[HOST], *guest = &b.end[GUEST];
    vpc_frame hello = {.role = VPC_GUEST, .version_min = 256, .version_max = 256, .max_pairs = 4},
              answer;

    bench_init(&b);
    bench_greet(&b);
    hello.epoch = guest->session->epoch;
    hello.echo = host->session->epoch;
    bench_inject_hello(guest, hello);
    bench_deliver(guest, SIZE_MAX);
    cr_expect_eq(bench_collect(host), 0, "SES-7: a repetition is passed over");
    hello.echo = 0;
    bench_inject_hello(guest, hello);
    bench_deliver(guest, SIZE_MAX);
    cr_expect(bench_collect(host) > 0, "SES-7: one that is deaf is answered");
    bench_expect_hello(host->wire, host->wire_len, &answer);
    cr_expect_eq(answer.echo, guest->session->epoch);
    cr_expect_eq(answer.epoch, host->session->epoch);
    bench_run(&b);
    bench_expect_state(host, VPC_SESSION_READY);
    bench_expect_state(guest, VPC_SESSION_READY);
    hello.epoch++;
    bench_inject_hello(guest, hello);
    bench_deliver(guest, SIZE_MAX);
    bench_expect_cause(host, "peer restarted");
    bench_wait_ready(&b);
    bench_free(&b);
}

/* ---- versions ------------------------------------------------------------------------------------------------------- */

static void set_versions(struct bench_end *end, uint16_t min, uint16_t max)
{
    end->config.version_min = min;
    end->config.version_max = max;
}

Test(session, the_highest_common_version, .timeout = 20)
{
    static const uint16_t cases[][5] = {
        /* host from, to; guest from, to; the session's */
        {256, 256, 256, 256, 256}, {256, 300, 256, 280, 280}, {256, 270, 256, 280, 270},
        {1, 65535, 256, 256, 256}, {256, 260, 260, 270, 260}, {260, 270, 256, 260, 260},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bench b;

        bench_init(&b);
        set_versions(&b.end[HOST], cases[i][0], cases[i][1]);
        set_versions(&b.end[GUEST], cases[i][2], cases[i][3]);
        bench_greet(&b);
        cr_expect_eq(b.end[HOST].last[VPC_EV_SESSION_UP].value, cases[i][4]);
        cr_expect_eq(b.end[GUEST].last[VPC_EV_SESSION_UP].value, cases[i][4]);
        bench_free(&b);
    }
}

Test(session, no_common_version, .timeout = 30)
{
    struct bench b;

    bench_init(&b);
    set_versions(&b.end[HOST], 256, 260);
    set_versions(&b.end[GUEST], 512, 515);
    bench_up(&b);
    bench_pass(&b, 5000);
    for (int side = HOST; side <= GUEST; side++) {
        bench_expect_state(&b.end[side], VPC_SESSION_MISMATCHED);
        cr_expect_eq(b.end[side].count[VPC_EV_MISMATCH], 1, "SES-6: both log it, once");
        cr_expect_eq(b.end[side].count[VPC_EV_SESSION_UP], 0);
    }
    cr_expect_eq(b.end[HOST].last[VPC_EV_MISMATCH].value, (512u << 16 | 515u));
    cr_expect_eq(b.end[GUEST].last[VPC_EV_MISMATCH].value, (256u << 16 | 260u));
    cr_expect_null(vpc_pair_open(b.end[HOST].session, 1, 1));
    set_versions(&b.end[GUEST], 256, 256); /* it is updated */
    bench_restart(&b.end[GUEST]);
    bench_wait_ready(&b);
    bench_free(&b);
}

/* ---- readiness --------------------------------------------------------------------------------------------------------- */

Test(session, the_guest_says_when_it_is_ready, .timeout = 20)
{
    struct bench b;

    bench_init(&b);
    bench_up(&b);
    vpc_session_set_ready(b.end[GUEST].session, false);
    bench_run(&b);
    bench_expect_state(&b.end[HOST], VPC_SESSION_UP);
    cr_expect_eq(b.end[HOST].count[VPC_EV_READY], 0);
    vpc_session_set_ready(b.end[GUEST].session, true);
    bench_run(&b);
    cr_expect_eq(b.end[HOST].count[VPC_EV_READY], 1);
    vpc_session_set_ready(b.end[GUEST].session, false);
    bench_run(&b);
    cr_expect_eq(b.end[HOST].count[VPC_EV_NOT_READY], 1);
    bench_expect_state(&b.end[HOST], VPC_SESSION_UP);
    vpc_session_set_ready(b.end[GUEST].session, true);
    vpc_session_set_ready(b.end[GUEST].session, true);
    bench_run(&b);
    cr_expect_eq(b.end[HOST].count[VPC_EV_READY], 2);
    bench_free(&b);
}

static void become_ready(struct bench_end *end, const vpc_session_event *event)
{
    if (event->kind == VPC_EV_SESSION_UP)
        vpc_session_set_ready(end->session, true);
    if (event->kind == VPC_EV_SESSION_DOWN)
        vpc_session_set_ready(end->session, false);
}

Test(session, the_guest_becomes_ready_in_a_callback, .timeout = 20)
{
    struct bench b;

    bench_init(&b);
    b.end[GUEST].hook = become_ready;
    bench_up(&b);
    vpc_session_set_ready(b.end[GUEST].session, false);
    bench_wait_ready(&b);
    for (unsigned i = 0; i < 3; i++) {
        bench_restart(&b.end[HOST]);
        bench_wait_ready(&b);
        bench_pass(&b, 2000);
    }
    cr_expect_eq(b.end[HOST].count[VPC_EV_READY], 4);
    bench_free(&b);
}

/* ---- heartbeats ---------------------------------------------------------------------------------------------------------- */

Test(session, heartbeats_fill_the_silence, .timeout = 20)
{
    struct bench b;
    vpc_frame frames[4];

    bench_init(&b);
    bench_greet(&b);
    for (unsigned i = 1; i <= 3; i++) {
        b.now += 999;
        vpc_session_clock(b.end[HOST].session, b.now);
        cr_expect_eq(bench_collect(&b.end[HOST]), 0);
        b.now += 1;
        cr_expect_eq(vpc_session_deadline(b.end[HOST].session), b.now);
        vpc_session_clock(b.end[HOST].session, b.now);
        bench_collect(&b.end[HOST]);
        cr_assert_eq(bench_frames(&b.end[HOST], frames, 4), 1);
        cr_expect_eq(frames[0].type, VPC_HEARTBEAT);
        cr_expect_eq(frames[0].count, i);
        bench_deliver(&b.end[HOST], SIZE_MAX);
        vpc_session_clock(b.end[GUEST].session, b.now);
        bench_run(&b);
    }
    for (unsigned i = 0; i < 20; i++) /* nobody takes them: one waits */
        vpc_session_clock(b.end[HOST].session, b.now += 100);
    bench_collect(&b.end[HOST]);
    cr_expect_eq(bench_frames(&b.end[HOST], frames, 4), 1);
    bench_free(&b);
}

/* The guest falls silent: its octets stay on the wire. */
static void hush(struct bench *b, uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i += 10) {
        b->now += 10;
        vpc_session_clock(b->end[HOST].session, b->now);
        vpc_session_clock(b->end[GUEST].session, b->now);
        bench_collect(&b->end[HOST]);
        bench_collect(&b->end[GUEST]);
        bench_deliver(&b->end[HOST], SIZE_MAX);
    }
}

Test(session, late_and_resumed, .timeout = 20)
{
    struct bench b;

    bench_init(&b);
    bench_greet(&b);
    hush(&b, 2990);
    cr_expect_eq(b.end[HOST].count[VPC_EV_LATE], 0);
    hush(&b, 10);
    cr_expect_eq(b.end[HOST].count[VPC_EV_LATE], 1);
    cr_expect_eq(b.end[HOST].last[VPC_EV_LATE].value, 3000);
    cr_expect_eq(b.end[HOST].count[VPC_EV_NOT_READY], 1);
    bench_expect_state(&b.end[HOST], VPC_SESSION_UP);
    hush(&b, 5000);
    cr_expect_eq(b.end[HOST].count[VPC_EV_LATE], 1, "logged once");
    bench_run(&b);
    cr_expect_eq(b.end[HOST].count[VPC_EV_RESUMED], 1);
    cr_expect_eq(b.end[HOST].count[VPC_EV_READY], 2);
    bench_expect_state(&b.end[HOST], VPC_SESSION_READY);
    cr_expect_eq(b.end[HOST].count[VPC_EV_SESSION_DOWN], 0);
    bench_free(&b);
}

/* The peer greets as if it never heard of the session: its half of the greeting was lost, or it was restored to before. */
Test(session, hello_while_late_ends_the_session, .timeout = 20)
{
    struct bench b;
    struct bench_end *host = &b.end[HOST], *guest = &b.end[GUEST];
    vpc_frame hello = {.role = VPC_GUEST, .version_min = 256, .version_max = 256, .max_pairs = 4};

    bench_init(&b);
    bench_greet(&b);
    hello.epoch = guest->session->epoch;
    hello.echo = host->session->epoch;
    hush(&b, 3000);
    bench_collect(guest);
    bench_lose(guest, 0, SIZE_MAX);
    bench_inject_hello(guest, hello);
    bench_deliver(guest, SIZE_MAX);
    bench_expect_cause(host, "peer restarted");
    bench_expect_state(host, VPC_SESSION_HUNTING);
    cr_expect_neq(host->session->epoch, hello.echo, "SES-9: a new epoch");
    bench_wait_ready(&b);
    bench_free(&b);
}

/* No dead-peer limit helps here: what gets both ends out is SES-7. */
Test(session, a_lost_hello_leaves_nobody_waiting, .timeout = 20)
{
    for (int side = HOST; side <= GUEST; side++) {
        struct bench b;
        struct bench_end *first = &b.end[side], *second = &b.end[HOST + GUEST - side];

        bench_init(&b);
        first->config.peer_limit_ms = second->config.peer_limit_ms = 0;
        bench_up(&b);
        bench_collect(second);
        bench_lose(second, 0, SIZE_MAX);
        bench_collect(first);
        bench_deliver(first, SIZE_MAX);
        bench_collect(second);
        bench_deliver(second, SIZE_MAX);
        bench_expect_state(first, side == HOST ? VPC_SESSION_UP : VPC_SESSION_READY);
        bench_collect(first);
        bench_lose(first, 0, SIZE_MAX); /* the HELLO that the other waits for */
        bench_expect_state(second, VPC_SESSION_HUNTING);
        bench_pass(&b, 6000);
        bench_expect_state(first, VPC_SESSION_READY);
        bench_expect_state(second, VPC_SESSION_READY);
        bench_free(&b);
    }
}

Test(session, resumed_with_the_word_that_it_is_not_ready, .timeout = 20)
{
    struct bench b;

    bench_init(&b);
    bench_greet(&b);
    hush(&b, 500);
    vpc_session_set_ready(b.end[GUEST].session, false);
    bench_collect(&b.end[GUEST]);
    b.now += 4000;
    vpc_session_clock(b.end[HOST].session, b.now);
    cr_expect_eq(b.end[HOST].count[VPC_EV_LATE], 1);
    bench_run(&b);
    cr_expect_eq(b.end[HOST].count[VPC_EV_RESUMED], 1);
    cr_expect_eq(b.end[HOST].count[VPC_EV_READY], 1, "SES-15: the guest's last READY says no");
    bench_expect_state(&b.end[HOST], VPC_SESSION_UP);
    bench_free(&b);
}

Test(session, a_silent_peer_is_given_up, .timeout = 20)
{
    struct bench b;

    bench_init(&b);
    bench_greet(&b);
    hush(&b, 29990);
    cr_expect_eq(b.end[HOST].count[VPC_EV_SESSION_DOWN], 0);
    hush(&b, 10);
    bench_expect_cause(&b.end[HOST], "peer silent");
    bench_wait_ready(&b);
    bench_free(&b);
}

Test(session, the_peer_limit_may_be_off, .timeout = 20)
{
    struct bench b;

    bench_init(&b);
    b.end[HOST].config.peer_limit_ms = 0;
    bench_greet(&b);
    hush(&b, 100000);
    cr_expect_eq(b.end[HOST].count[VPC_EV_SESSION_DOWN], 0);
    bench_run(&b);
    bench_expect_state(&b.end[HOST], VPC_SESSION_READY);
    bench_free(&b);
}
