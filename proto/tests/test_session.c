/* SPDX-License-Identifier: MIT */
/* Sessions: greeting, versions, readiness, heartbeats, backoff, and how they end.  Losses are in test_recovery.c. */
#include "bench.h"
#include "internal.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define HELLO_SIZE   (VPC_HEADER_SIZE + 128u + VPC_SEAL_SIZE)
#define PREAMBLE_MIN 131129u /* FRM-8 */

static void expect_state(const struct bench_end *end, enum vpc_session_state state)
{
    cr_expect_eq(vpc_session_state(end->session), state, "%s is %s, not %s",
                 end->side == HOST ? "host" : "guest",
                 vpc_session_state_name(vpc_session_state(end->session)),
                 vpc_session_state_name(state));
}

static void expect_cause(const struct bench_end *end, const char *cause)
{
    cr_assert_eq(end->count[VPC_EV_SESSION_DOWN], 1);
    cr_expect_str_eq(end->last[VPC_EV_SESSION_DOWN].text, cause);
}

/* Parses what a hunting peer finds on the wire: a HELLO after a whole preamble.  Returns its octets with the preamble. */
static size_t expect_hello(const uint8_t *wire, size_t n, vpc_frame *hello)
{
    vpc_parser *parser = calloc(1, sizeof(*parser));
    size_t pads = 0;
    const uint8_t *p;

    cr_assert_not_null(parser);
    while (pads < n && wire[pads] == VPC_PAD)
        pads++;
    cr_assert(pads >= PREAMBLE_MIN, "%zu octets of padding", pads);
    cr_assert(n >= pads + HELLO_SIZE);
    p = wire + pads;
    vpc_parser_follow(parser, VPC_HOST);
    cr_assert_eq(vpc_parse(parser, &p, p + HELLO_SIZE), VPC_PARSE_FRAME);
    *hello = parser->frame;
    free(parser);
    cr_assert_eq(hello->type, VPC_HELLO);
    cr_assert_eq(hello->seal_session, 0);
    cr_assert_eq(hello->seal_number, hello->crc);
    return pads + HELLO_SIZE;
}

static void inject_hello(struct bench_end *end, vpc_frame hello)
{
    uint8_t octets[PREAMBLE_MIN + VPC_SMALL_FRAME_MAX];

    hello.type = VPC_HELLO;
    memset(octets, VPC_PAD, PREAMBLE_MIN);
    bench_inject(end, octets, PREAMBLE_MIN + vpc_encode(&hello, octets + PREAMBLE_MIN));
}

/* ---- greeting -------------------------------------------------------------------------------------------------- */

Test(session, both_sides_greet_each_other, .timeout = 20)
{
    struct bench b;
    vpc_frame first, answer, third;
    size_t n;

    bench_init(&b);
    bench_up(&b);
    bench_collect(&b.end[HOST]);
    n = expect_hello(b.end[HOST].wire, b.end[HOST].wire_len, &first);
    cr_expect_eq(n, b.end[HOST].wire_len, "a HELLO and nothing else");
    cr_expect_eq(first.role, VPC_HOST);
    cr_expect_neq(first.epoch, 0);
    cr_expect_eq(first.echo, 0);
    cr_expect_eq(first.max_pairs, 4);
    cr_expect_eq(first.heartbeat_ms, 1000);
    cr_expect_str_eq(first.tag, "TAG-1");
    cr_expect_str_eq(first.name, "bench host");

    bench_deliver(&b.end[HOST], n);
    expect_state(&b.end[GUEST], VPC_SESSION_HUNTING);
    bench_collect(&b.end[GUEST]);
    n = expect_hello(b.end[GUEST].wire, b.end[GUEST].wire_len, &answer);
    cr_expect_eq(answer.echo, first.epoch);
    bench_deliver(&b.end[GUEST], n);
    expect_state(&b.end[HOST], VPC_SESSION_UP);

    bench_collect(&b.end[HOST]);
    n = expect_hello(b.end[HOST].wire, b.end[HOST].wire_len, &third);
    cr_expect_eq(third.epoch, first.epoch);
    cr_expect_eq(third.echo, answer.epoch);
    bench_run(&b);
    expect_state(&b.end[HOST], VPC_SESSION_READY);
    expect_state(&b.end[GUEST], VPC_SESSION_READY);
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

    for (size_t split = 0; split <= HELLO_SIZE + 20; split++) {
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
        inject_hello(
            &b.end[GUEST],
            (vpc_frame){.role = VPC_GUEST, .version_min = 256, .version_max = 256, .epoch = 5});
        bench_deliver(&b.end[GUEST], SIZE_MAX);
    }
    n = bench_collect(&b.end[HOST]);
    cr_expect_eq(expect_hello(b.end[HOST].wire, n, &hello), n);
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
    cr_expect_eq(expect_hello(b.end[HOST].wire, n, &hello), n);
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
        inject_hello(&b.end[GUEST], wrong[i]);
        bench_deliver(&b.end[GUEST], SIZE_MAX);
        cr_expect_eq(bench_collect(&b.end[HOST]), 0, "MSG-1: no answer");
    }
    bench_lose(&b.end[HOST], 0, SIZE_MAX);
    bench_wait_ready(&b);
    for (size_t i = 0; i < 2; i++) {
        inject_hello(&b.end[GUEST], wrong[i]);
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
    inject_hello(guest, hello);
    bench_deliver(guest, SIZE_MAX);
    cr_expect_eq(bench_collect(host), 0, "SES-7: a repetition is passed over");
    hello.echo = 0;
    inject_hello(guest, hello);
    bench_deliver(guest, SIZE_MAX);
    cr_expect(bench_collect(host) > 0, "SES-7: one that is deaf is answered");
    expect_hello(host->wire, host->wire_len, &answer);
    cr_expect_eq(answer.echo, guest->session->epoch);
    cr_expect_eq(answer.epoch, host->session->epoch);
    bench_run(&b);
    expect_state(host, VPC_SESSION_READY);
    expect_state(guest, VPC_SESSION_READY);
    hello.epoch++;
    inject_hello(guest, hello);
    bench_deliver(guest, SIZE_MAX);
    expect_cause(host, "peer restarted");
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
        expect_state(&b.end[side], VPC_SESSION_MISMATCHED);
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
    expect_state(&b.end[HOST], VPC_SESSION_UP);
    cr_expect_eq(b.end[HOST].count[VPC_EV_READY], 0);
    vpc_session_set_ready(b.end[GUEST].session, true);
    bench_run(&b);
    cr_expect_eq(b.end[HOST].count[VPC_EV_READY], 1);
    vpc_session_set_ready(b.end[GUEST].session, false);
    bench_run(&b);
    cr_expect_eq(b.end[HOST].count[VPC_EV_NOT_READY], 1);
    expect_state(&b.end[HOST], VPC_SESSION_UP);
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
    expect_state(&b.end[HOST], VPC_SESSION_UP);
    hush(&b, 5000);
    cr_expect_eq(b.end[HOST].count[VPC_EV_LATE], 1, "logged once");
    bench_run(&b);
    cr_expect_eq(b.end[HOST].count[VPC_EV_RESUMED], 1);
    cr_expect_eq(b.end[HOST].count[VPC_EV_READY], 2);
    expect_state(&b.end[HOST], VPC_SESSION_READY);
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
    inject_hello(guest, hello);
    bench_deliver(guest, SIZE_MAX);
    expect_cause(host, "peer restarted");
    expect_state(host, VPC_SESSION_HUNTING);
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
        expect_state(first, side == HOST ? VPC_SESSION_UP : VPC_SESSION_READY);
        bench_collect(first);
        bench_lose(first, 0, SIZE_MAX); /* the HELLO that the other waits for */
        expect_state(second, VPC_SESSION_HUNTING);
        bench_pass(&b, 6000);
        expect_state(first, VPC_SESSION_READY);
        expect_state(second, VPC_SESSION_READY);
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
    expect_state(&b.end[HOST], VPC_SESSION_UP);
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
    expect_cause(&b.end[HOST], "peer silent");
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
    expect_state(&b.end[HOST], VPC_SESSION_READY);
    bench_free(&b);
}

/* ---- the end ---------------------------------------------------------------------------------------------------------------- */

Test(session, goodbye_is_the_last_word, .timeout = 20)
{
    struct bench b;
    vpc_frame frames[8];
    unsigned n;

    bench_init(&b);
    bench_greet(&b);
    bench_open(&b, 1);
    vpc_pair_write(b.end[HOST].pair, "last", 4);
    vpc_session_stop(b.end[HOST].session);
    expect_state(&b.end[HOST], VPC_SESSION_STOPPED);
    bench_collect(&b.end[HOST]);
    n = bench_frames(&b.end[HOST], frames, 8);
    cr_assert(n > 0);
    cr_expect_eq(frames[n - 1].type, VPC_GOODBYE);
    cr_expect_eq(frames[n - 1].cause, 0);
    bench_deliver(&b.end[HOST], SIZE_MAX);
    expect_cause(&b.end[GUEST], "goodbye");
    expect_cause(&b.end[HOST], "stopped");
    cr_expect_eq(b.end[HOST].count[VPC_EV_PAIR_RELEASED], 1);
    cr_expect_eq(b.end[GUEST].count[VPC_EV_PAIR_RELEASED], 1);
    for (unsigned i = 0; i < 10; i++) { /* whatever comes, it says no more */
        bench_collect(&b.end[GUEST]);
        bench_deliver(&b.end[GUEST], SIZE_MAX);
        vpc_session_clock(b.end[GUEST].session, b.now += 1000);
        vpc_session_clock(b.end[HOST].session, b.now);
        cr_expect_eq(bench_collect(&b.end[HOST]), 0);
    }
    vpc_session_transport(b.end[HOST].session, false);
    vpc_session_transport(b.end[HOST].session, true);
    cr_expect_eq(bench_collect(&b.end[HOST]), 0);
    expect_state(&b.end[HOST], VPC_SESSION_STOPPED);
    cr_expect_eq(vpc_session_deadline(b.end[HOST].session), VPC_TIME_NEVER);
    bench_free(&b);
}

/* A stop in the middle of a greeting: no HELLO follows, since it would begin a session with nobody. */
Test(session, no_hello_after_stop, .timeout = 20)
{
    struct bench b;
    vpc_parser *parser = calloc(1, sizeof(*parser));
    const uint8_t *p;
    const void *octets;

    for (unsigned in_session = 0; in_session < 2; in_session++) {
        bench_init(&b);
        bench_up(&b);
        if (in_session) { /* the host has heard itself echoed; its own echo is under way */
            bench_collect(&b.end[HOST]);
            bench_deliver(&b.end[HOST], SIZE_MAX);
            bench_collect(&b.end[GUEST]);
            bench_deliver(&b.end[GUEST], SIZE_MAX);
            expect_state(&b.end[HOST], VPC_SESSION_UP);
        }
        vpc_session_sent(b.end[HOST].session, vpc_session_output(b.end[HOST].session, &octets) / 2);
        vpc_session_stop(b.end[HOST].session);
        bench_collect(&b.end[HOST]);
        p = b.end[HOST].wire;
        vpc_parser_follow(parser, VPC_HOST);
        while (p < b.end[HOST].wire + b.end[HOST].wire_len &&
               vpc_parse(parser, &p, b.end[HOST].wire + b.end[HOST].wire_len) == VPC_PARSE_FRAME)
            cr_expect_neq(parser->frame.type, VPC_HELLO);
        bench_free(&b);
    }
    free(parser);
}

Test(session, a_violation_ends_the_session_with_its_cause, .timeout = 20)
{
    struct bench b;
    vpc_frame frames[4];

    bench_init(&b);
    bench_greet(&b);
    bench_inject_frame(&b.end[GUEST], (vpc_frame){.type = VPC_CREDIT, .channel = 99, .limit = 1});
    bench_deliver(&b.end[GUEST], SIZE_MAX);
    expect_cause(&b.end[HOST], "protocol violation");
    cr_expect_eq(b.end[HOST].count[VPC_EV_VIOLATION], 1);
    cr_expect_eq(b.end[HOST].last[VPC_EV_VIOLATION].value, VPC_CREDIT);
    cr_expect_eq(b.end[HOST].last[VPC_EV_VIOLATION].channel, 99);
    bench_collect(&b.end[HOST]);
    cr_assert(bench_frames(&b.end[HOST], frames, 4) >= 1);
    cr_expect_eq(frames[0].type, VPC_GOODBYE);
    cr_expect_eq(frames[0].cause, 1);
    bench_deliver(&b.end[HOST], SIZE_MAX);
    expect_cause(&b.end[GUEST], "peer saw a violation");
    bench_wait_ready(&b);
    bench_free(&b);
}

/* A violation while a HELLO is being sent: the HELLO that follows has a whole preamble of its own. */
Test(session, a_goodbye_does_not_shorten_a_preamble, .timeout = 20)
{
    struct bench b;
    struct bench_end *host = &b.end[HOST], *guest = &b.end[GUEST];
    vpc_frame deaf = {.role = VPC_GUEST, .version_min = 256, .version_max = 256}, hello;
    size_t at = 0;
    const void *octets;

    bench_init(&b);
    bench_greet(&b);
    deaf.epoch = guest->session->epoch;
    inject_hello(guest, deaf);
    bench_deliver(guest, SIZE_MAX);
    vpc_session_sent(host->session, vpc_session_output(host->session, &octets));
    bench_inject_frame(guest, (vpc_frame){.type = VPC_CREDIT, .channel = 99, .limit = 1});
    bench_deliver(guest, SIZE_MAX);
    expect_cause(host, "protocol violation");
    bench_collect(host);
    while (at < host->wire_len && host->wire[at] == VPC_PAD)
        at++;
    cr_assert_eq(host->wire[at + 2], VPC_GOODBYE);
    at += VPC_HEADER_SIZE + 4 + VPC_SEAL_SIZE;
    expect_hello(host->wire + at, host->wire_len - at, &hello);
    bench_free(&b);
}

/* Attempt n waits 0, 100, 200, 400 ... ms after a session that did not last (SES-10). */
Test(session, backoff, .timeout = 60)
{
    static const uint64_t waits[] = {0, 100, 200, 400, 800, 1000, 1000};
    struct bench b;
    struct bench_end *host = &b.end[HOST], *guest = &b.end[GUEST];

    bench_init(&b);
    host->config.backoff_max_ms = 1000;
    bench_greet(&b);
    for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
        bench_inject(guest, "?", 1);
        bench_deliver(guest, SIZE_MAX);
        cr_expect_eq(host->count[VPC_EV_FRAMING_LOST], i + 1);
        if (waits[i] > 0) {
            expect_state(host, VPC_SESSION_BACKING_OFF);
            cr_expect_eq(vpc_session_deadline(host->session), b.now + waits[i]);
            vpc_session_clock(host->session, b.now + waits[i] - 1);
            expect_state(host, VPC_SESSION_BACKING_OFF);
            vpc_session_clock(host->session, b.now += waits[i]);
        }
        expect_state(host, VPC_SESSION_HUNTING);
        bench_restart(guest); /* so that the guest's own backoff takes no time */
        bench_wait_ready(&b);
    }
    bench_pass(&b, 1000); /* it lasted */
    bench_inject(guest, "?", 1);
    bench_deliver(guest, SIZE_MAX);
    expect_state(host, VPC_SESSION_HUNTING);
    bench_free(&b);
}

Test(session, the_transport_ends_and_comes_back, .timeout = 20)
{
    struct bench b;
    struct bench_end *host = &b.end[HOST], *guest = &b.end[GUEST];

    bench_init(&b);
    bench_greet(&b);
    bench_open(&b, 1);
    vpc_session_transport(host->session, false);
    vpc_session_transport(guest->session, false);
    for (int side = HOST; side <= GUEST; side++) {
        expect_cause(&b.end[side], "transport down");
        expect_state(&b.end[side], VPC_SESSION_DOWN);
        cr_expect_eq(b.end[side].last[VPC_EV_SESSION_DOWN].value, 1);
        cr_expect_eq(bench_collect(&b.end[side]), 0);
        cr_expect_eq(vpc_session_deadline(b.end[side].session), VPC_TIME_NEVER);
        vpc_session_input(b.end[side].session, "noise", 5);
        vpc_session_clock(b.end[side].session, b.now += 100000);
    }
    cr_expect_eq(host->count[VPC_EV_NOT_READY], 1);
    vpc_session_transport(host->session, true);
    vpc_session_transport(guest->session, true);
    bench_wait_ready(&b);
    bench_open(&b, 2);
    bench_free(&b);
}

/* A peer that knows the random numbers of this end, and never reads: nothing overflows. */
Test(session, a_peer_that_guesses_epochs_and_never_reads, .timeout = 20)
{
    struct bench b;
    struct bench_end *host = &b.end[HOST], *guest = &b.end[GUEST];
    const void *octets;

    bench_init(&b);
    host->config.backoff_max_ms = 0;
    bench_up(&b);
    cr_assert(vpc_session_output(host->session, &octets) > 0); /* and it stays there */
    for (unsigned i = 0; i < 10000; i++) {
        vpc_frame hello = {
            .role = VPC_GUEST, .version_min = 256, .version_max = 256, .epoch = i + 1};

        hello.echo = host->session->epoch;
        if (i == 0)
            inject_hello(guest, hello);
        else {
            uint8_t octet[VPC_SMALL_FRAME_MAX + 16];

            hello.type = VPC_HELLO;
            memset(octet, VPC_PAD, 16);
            bench_inject(guest, octet, 16 + vpc_encode(&hello, octet + 16));
        }
        bench_deliver(guest, SIZE_MAX);
        cr_assert(vpc_session_state(host->session) == VPC_SESSION_UP);
        bench_inject_frame(guest, (vpc_frame){.type = VPC_CREDIT, .channel = 99, .limit = 1});
        bench_deliver(guest, SIZE_MAX);
    }
    cr_expect(vpc_session_output(host->session, &octets) <= VPC_STAGING_SIZE);
    bench_free(&b);
}
