/* SPDX-License-Identifier: MIT */
/* How sessions end, and what comes between them: goodbye, violation, backoff, the transport. */
#include "bench.h"
#include "internal.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

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
    bench_expect_state(&b.end[HOST], VPC_SESSION_STOPPED);
    bench_collect(&b.end[HOST]);
    n = bench_frames(&b.end[HOST], frames, 8);
    cr_assert(n > 0);
    cr_expect_eq(frames[n - 1].type, VPC_GOODBYE);
    cr_expect_eq(frames[n - 1].cause, 0);
    bench_deliver(&b.end[HOST], SIZE_MAX);
    bench_expect_cause(&b.end[GUEST], "goodbye");
    bench_expect_cause(&b.end[HOST], "stopped");
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
    bench_expect_state(&b.end[HOST], VPC_SESSION_STOPPED);
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
            bench_expect_state(&b.end[HOST], VPC_SESSION_UP);
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
    bench_expect_cause(&b.end[HOST], "protocol violation");
    cr_expect_eq(b.end[HOST].count[VPC_EV_VIOLATION], 1);
    cr_expect_eq(b.end[HOST].last[VPC_EV_VIOLATION].value, VPC_CREDIT);
    cr_expect_eq(b.end[HOST].last[VPC_EV_VIOLATION].channel, 99);
    bench_collect(&b.end[HOST]);
    cr_assert(bench_frames(&b.end[HOST], frames, 4) >= 1);
    cr_expect_eq(frames[0].type, VPC_GOODBYE);
    cr_expect_eq(frames[0].cause, 1);
    bench_deliver(&b.end[HOST], SIZE_MAX);
    bench_expect_cause(&b.end[GUEST], "peer saw a violation");
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
    bench_inject_hello(guest, deaf);
    bench_deliver(guest, SIZE_MAX);
    vpc_session_sent(host->session, vpc_session_output(host->session, &octets));
    bench_inject_frame(guest, (vpc_frame){.type = VPC_CREDIT, .channel = 99, .limit = 1});
    bench_deliver(guest, SIZE_MAX);
    bench_expect_cause(host, "protocol violation");
    bench_collect(host);
    while (at < host->wire_len && host->wire[at] == VPC_PAD)
        at++;
    cr_assert_eq(host->wire[at + 2], VPC_GOODBYE);
    at += VPC_HEADER_SIZE + 4 + VPC_SEAL_SIZE;
    bench_expect_hello(host->wire + at, host->wire_len - at, &hello);
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
            bench_expect_state(host, VPC_SESSION_BACKING_OFF);
            cr_expect_eq(vpc_session_deadline(host->session), b.now + waits[i]);
            vpc_session_clock(host->session, b.now + waits[i] - 1);
            bench_expect_state(host, VPC_SESSION_BACKING_OFF);
            vpc_session_clock(host->session, b.now += waits[i]);
        }
        bench_expect_state(host, VPC_SESSION_HUNTING);
        bench_restart(guest); /* so that the guest's own backoff takes no time */
        bench_wait_ready(&b);
    }
    bench_pass(&b, 1000); /* it lasted */
    bench_inject(guest, "?", 1);
    bench_deliver(guest, SIZE_MAX);
    bench_expect_state(host, VPC_SESSION_HUNTING);
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
        bench_expect_cause(&b.end[side], "transport down");
        bench_expect_state(&b.end[side], VPC_SESSION_DOWN);
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
            bench_inject_hello(guest, hello);
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

/* A HELLO that was due in a session is not said while the endpoint waits to start again: it begins with a new epoch. */
Test(session, nothing_is_said_while_backing_off, .timeout = 20)
{
    struct bench b;
    struct bench_end *host = &b.end[HOST], *guest = &b.end[GUEST];
    vpc_frame deaf = {.role = VPC_GUEST, .version_min = 256, .version_max = 256};

    bench_init(&b);
    bench_greet(&b);
    for (unsigned i = 0; i < 2;
         i++) { /* the second session that does not last is followed by a wait */
        deaf.epoch = guest->session->epoch;
        bench_inject_hello(guest, deaf);
        bench_inject(guest, "?", 1);
        bench_deliver(guest, SIZE_MAX);
        if (i == 0)
            bench_wait_ready(&b);
    }
    bench_expect_state(host, VPC_SESSION_BACKING_OFF);
    cr_expect_eq(bench_collect(host), 0);
    bench_wait_ready(&b);
    bench_free(&b);
}

static uint64_t draw_badly(void *user)
{
    static const uint64_t drawn[] = {0, 0, 5, 5, 5, 0, 6};
    unsigned *at = user;

    return drawn[(*at)++];
}

static void ignore_event(void *user, const vpc_session_event *event)
{
    (void)user;
    (void)event;
}

Test(session, an_epoch_is_never_zero_and_never_the_one_before, .timeout = 20)
{
    struct bench b;
    unsigned drawn = 0;
    vpc_session *session;

    bench_init(&b);
    b.end[HOST].config.random = draw_badly;
    b.end[HOST].config.on_event = ignore_event;
    b.end[HOST].config.user = &drawn;
    session = malloc(vpc_session_size(&b.end[HOST].config));
    cr_assert_not_null(session);
    vpc_session_init(session, &b.end[HOST].config, 0);
    vpc_session_transport(session, true);
    cr_expect_eq(session->epoch, 5);
    vpc_session_transport(session, false);
    vpc_session_transport(session, true);
    cr_expect_eq(session->epoch, 6);
    cr_expect_eq(drawn, 7);
    free(session);
}
