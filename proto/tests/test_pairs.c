/* SPDX-License-Identifier: MIT */
/* Pairs and their channels: opening, credit, order, guards, and every way to end.  The random walk is in test_walk.c. */
#include "bench.h"
#include "internal.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HOST_OF(b)  (&(b)->end[HOST])
#define GUEST_OF(b) (&(b)->end[GUEST])

static void expect_no_fault(const struct bench *b)
{
    for (int side = HOST; side <= GUEST; side++) {
        cr_expect_eq(b->end[side].count[VPC_EV_VIOLATION], 0, "%s: %s",
                     side == HOST ? "host" : "guest", b->end[side].texts[VPC_EV_VIOLATION]);
        cr_expect_eq(b->end[side].count[VPC_EV_SESSION_DOWN], 0);
    }
}

static void expect_all_released(const struct bench *b)
{
    unsigned down;

    for (int side = HOST; side <= GUEST; side++) {
        cr_expect_eq(vpc_session_pairs(b->end[side].session, &down), 0, "%s holds a pair",
                     side == HOST ? "the host" : "the guest");
        cr_expect_eq(down, 0);
        for (unsigned i = 0; i < b->end[side].session->bucket_count; i++)
            cr_expect_null(b->end[side].session->buckets[i]);
    }
}

/* Reads up to n bytes; returns how many there were. */
static size_t read_bytes(vpc_pair *pair, void *out, size_t n)
{
    const void *octets;
    size_t got, total = 0;

    while (total < n && (got = vpc_pair_read(pair, &octets)) > 0) {
        if (got > n - total)
            got = n - total;
        memcpy((uint8_t *)out + total, octets, got);
        total += got;
        vpc_pair_delivered(pair, got);
    }
    return total;
}

static void begin(struct bench *b)
{
    bench_init(b);
    bench_greet(b);
}

/* ---- opening -------------------------------------------------------------------------------------------------------- */

Test(pairs, hello_world_both_ways_and_an_orderly_end, .timeout = 20)
{
    struct bench b;
    char text[32];
    vpc_channel_status h2g, g2h;

    begin(&b);
    bench_open(&b, 6174);
    cr_expect_eq(vpc_pair_port(GUEST_OF(&b)->pair), 6174);
    cr_expect_eq(vpc_pair_connect_ms(GUEST_OF(&b)->pair), 1000);
    vpc_pair_channels(HOST_OF(&b)->pair, &h2g, &g2h);
    cr_expect(h2g.host_to_guest && !g2h.host_to_guest && h2g.id != g2h.id);
    cr_expect_eq(vpc_pair_write(HOST_OF(&b)->pair, "Hello World!", 12), 12);
    cr_expect_eq(vpc_pair_write(GUEST_OF(&b)->pair, "yes", 3), 3);
    vpc_pair_finish(HOST_OF(&b)->pair);
    bench_run(&b);
    cr_expect_eq(read_bytes(GUEST_OF(&b)->pair, text, sizeof(text)), 12);
    cr_expect_arr_eq(text, "Hello World!", 12);
    cr_expect(vpc_pair_at_end(GUEST_OF(&b)->pair));
    vpc_pair_end_delivered(GUEST_OF(&b)->pair);
    bench_run(&b);
    cr_expect_eq(vpc_pair_sending_state(HOST_OF(&b)->pair), VPC_CHANNEL_RELEASED);
    vpc_pair_write(GUEST_OF(&b)->pair, " indeed", 7); /* CLS-2: the other direction goes on */
    vpc_pair_finish(GUEST_OF(&b)->pair);
    bench_run(&b);
    cr_expect(!vpc_pair_at_end(HOST_OF(&b)->pair));
    cr_expect_eq(read_bytes(HOST_OF(&b)->pair, text, sizeof(text)), 10);
    cr_expect_arr_eq(text, "yes indeed", 10);
    cr_expect(vpc_pair_at_end(HOST_OF(&b)->pair));
    vpc_pair_end_delivered(HOST_OF(&b)->pair);
    bench_run(&b);
    expect_all_released(&b);
    expect_no_fault(&b);
    bench_free(&b);
}

/* A pair that its peer has released holds no place, though a RESET of it was still to be sent: the next OPEN finds one. */
Test(pairs, a_reset_that_came_too_late_holds_no_place, .timeout = 20)
{
    struct bench b;

    begin(&b);
    for (unsigned i = 0; i < 16; i++) {
        struct bench_end *host = HOST_OF(&b), *guest = GUEST_OF(&b);

        bench_open(&b, 6174);
        vpc_pair_finish(host->pair);
        vpc_pair_finish(guest->pair);
        bench_run(&b);
        vpc_pair_end_delivered(guest->pair);
        bench_run(&b);
        vpc_pair_end_delivered(host->pair);
        vpc_pair_reset(guest->pair,
                       110); /* crosses RELEASED, and is not taken by the transport yet */
        bench_collect(host);
        bench_deliver(host, SIZE_MAX);
        cr_expect_eq(vpc_session_pairs(guest->session, &(unsigned){0}), 0);
        bench_run(&b);
    }
    expect_all_released(&b);
    expect_no_fault(&b);
    bench_free(&b);
}

/* A pair is found by either of its channels as long as it exists. */
Test(pairs, found_by_a_channel, .timeout = 20)
{
    struct bench b;
    vpc_channel_status sending, receiving;

    begin(&b);
    bench_open(&b, 6174);
    vpc_pair_channels(HOST_OF(&b)->pair, &sending, &receiving);
    cr_expect_eq(vpc_session_pair(HOST_OF(&b)->session, sending.id), HOST_OF(&b)->pair);
    cr_expect_eq(vpc_session_pair(HOST_OF(&b)->session, receiving.id), HOST_OF(&b)->pair);
    cr_expect_eq(vpc_session_pair(GUEST_OF(&b)->session, sending.id), GUEST_OF(&b)->pair);
    cr_expect_null(vpc_session_pair(HOST_OF(&b)->session, receiving.id + 1));
    vpc_pair_reset(HOST_OF(&b)->pair, 110);
    bench_run(&b);
    cr_expect_null(vpc_session_pair(HOST_OF(&b)->session, sending.id));
    bench_free(&b);
}

static void expect_moved(struct bench *b, int side, bool moved)
{
    uint64_t at = vpc_pair_moved_at(b->end[side].pair);

    cr_expect_eq(at == b->now, moved, "%s: moved at %llu, now %llu",
                 side == HOST ? "host" : "guest", (unsigned long long)at,
                 (unsigned long long)b->now);
    b->now += 10;
    for (int end = HOST; end <= GUEST; end++)
        vpc_session_clock(b->end[end].session, b->now);
}

/* CLS-8: progress is a byte or a message, in either direction, or what the local program took. */
Test(pairs, what_moves_a_pair_on, .timeout = 20)
{
    struct bench b;
    char text[256];

    begin(&b);
    bench_open(&b, 6174);
    expect_moved(&b, HOST, true);
    expect_moved(&b, GUEST, false);
    cr_expect_eq(vpc_pair_write(HOST_OF(&b)->pair, "Hello World!", 12), 12);
    expect_moved(&b, HOST, false); /* it lies in the ring yet, and the bus was not looked at */
    bench_collect(HOST_OF(&b));
    expect_moved(&b, GUEST, false);
    bench_deliver(HOST_OF(&b), SIZE_MAX);
    expect_moved(&b, GUEST, true);
    vpc_pair_delivered(GUEST_OF(&b)->pair, 0);
    expect_moved(&b, GUEST, false);
    cr_expect_eq(read_bytes(GUEST_OF(&b)->pair, text, sizeof(text)), 12);
    expect_moved(&b, GUEST, true);
    memset(text, 'x', sizeof(text));
    cr_expect_eq(vpc_pair_write(HOST_OF(&b)->pair, text, 128), 128);
    bench_run(&b);
    expect_moved(&b, HOST, true);
    cr_expect_eq(read_bytes(GUEST_OF(&b)->pair, text, sizeof(text)), 128);
    bench_run(&b);
    expect_moved(&b, HOST, true); /* by the credit */
    vpc_pair_finish(GUEST_OF(&b)->pair);
    bench_run(&b);
    expect_moved(&b, HOST, true);
    vpc_pair_end_delivered(HOST_OF(&b)->pair);
    bench_run(&b);
    cr_expect_eq(GUEST_OF(&b)->count[VPC_EV_PAIR_ANSWERED], 1);
    cr_expect_eq(HOST_OF(&b)->count[VPC_EV_PAIR_ANSWERED], 0);
    expect_moved(&b, GUEST, true);
    bench_free(&b);
}

Test(pairs, refused, .timeout = 20)
{
    struct bench b;

    begin(&b);
    HOST_OF(&b)->pair = vpc_pair_open(HOST_OF(&b)->session, 1, 1);
    bench_run(&b);
    vpc_pair_refused(GUEST_OF(&b)->pair, 111);
    bench_run(&b);
    cr_expect_eq(HOST_OF(&b)->count[VPC_EV_PAIR_REFUSED], 1);
    cr_expect_eq(HOST_OF(&b)->last[VPC_EV_PAIR_REFUSED].value, 111);
    expect_all_released(&b);
    expect_no_fault(&b);
    bench_free(&b);
}

Test(pairs, refused_by_the_session, .timeout = 20)
{
    struct bench b;

    begin(&b);
    cr_assert_not_null(vpc_pair_open(HOST_OF(&b)->session, 0, 1));
    bench_run(&b);
    cr_expect_eq(HOST_OF(&b)->last[VPC_EV_PAIR_REFUSED].value, VPC_EINVAL);
    cr_assert_not_null(vpc_pair_open(HOST_OF(&b)->session, 1, 1));
    vpc_session_set_ready(GUEST_OF(&b)->session, false);
    bench_run(&b);
    cr_expect_eq(HOST_OF(&b)->last[VPC_EV_PAIR_REFUSED].value, VPC_EAGAIN);
    cr_expect_eq(GUEST_OF(&b)->count[VPC_EV_PAIR_REQUEST], 0);
    expect_all_released(&b);
    expect_no_fault(&b);
    bench_free(&b);
}

Test(pairs, as_many_as_the_lower_limit, .timeout = 20)
{
    struct bench b;

    bench_init(&b);
    GUEST_OF(&b)->config.max_pairs = 3;
    bench_greet(&b);
    cr_expect_eq(vpc_session_pair_limit(HOST_OF(&b)->session), 3);
    for (unsigned i = 0; i < 3; i++)
        cr_assert_not_null(vpc_pair_open(HOST_OF(&b)->session, 1, 1));
    cr_expect_null(vpc_pair_open(HOST_OF(&b)->session, 1, 1), "CHN-7");
    bench_run(&b);
    cr_expect_eq(GUEST_OF(&b)->count[VPC_EV_PAIR_REQUEST], 3);
    /* a host that opens one more all the same */
    bench_inject_frame(
        HOST_OF(&b),
        (vpc_frame){.type = VPC_OPEN, .channel = 100, .reverse_channel = 101, .port = 1});
    bench_deliver(HOST_OF(&b), SIZE_MAX);
    bench_collect(GUEST_OF(&b));
    {
        vpc_frame answer;

        cr_assert_eq(bench_frames(GUEST_OF(&b), &answer, 1), 1);
        cr_expect_eq(answer.type, VPC_REFUSED);
        cr_expect_eq(answer.error, VPC_ENOBUFS);
        cr_expect_eq(answer.channel, 100);
    }
    cr_expect_eq(GUEST_OF(&b)->count[VPC_EV_SESSION_DOWN], 0);
    bench_free(&b);
}

/* An honest host may have as many OPENs under way as both sides allow, however slowly the guest's answers leave. */
Test(pairs, a_flood_of_refusals_is_bounded, .timeout = 20)
{
    struct bench b;
    uint32_t id = 1, refused;

    bench_init(&b);
    HOST_OF(&b)->config.max_pairs = GUEST_OF(&b)->config.max_pairs = 200;
    bench_greet(&b);
    vpc_session_set_ready(GUEST_OF(&b)->session, false);
    for (unsigned i = 0; i < 200; i++)
        cr_assert_not_null(vpc_pair_open(HOST_OF(&b)->session, 1, 1));
    bench_collect(HOST_OF(&b));
    bench_deliver(HOST_OF(&b), SIZE_MAX); /* all at once: no answer has left */
    cr_expect_eq(GUEST_OF(&b)->count[VPC_EV_VIOLATION], 0);
    bench_run(&b);
    cr_expect_eq(HOST_OF(&b)->count[VPC_EV_PAIR_REFUSED], 200);
    expect_no_fault(&b);
    expect_all_released(&b);
    /* a hostile one has its answer when it goes on */
    id = HOST_OF(&b)->session->highest_id;
    for (refused = 0; refused < 1000 && GUEST_OF(&b)->count[VPC_EV_SESSION_DOWN] == 0; refused++) {
        bench_inject_frame(
            HOST_OF(&b),
            (vpc_frame){.type = VPC_OPEN, .channel = id + 1, .reverse_channel = id + 2, .port = 1});
        bench_deliver(HOST_OF(&b), SIZE_MAX);
        id += 2;
    }
    cr_expect_eq(refused, 201);
    cr_expect_eq(GUEST_OF(&b)->count[VPC_EV_VIOLATION], 1);
    bench_free(&b);
}

static void open_again(struct bench_end *end, const vpc_session_event *event)
{
    if (event->kind == VPC_EV_PAIR_RELEASED)
        vpc_pair_open(end->session, 2, 1);
}

Test(pairs, none_opens_in_a_session_that_ends, .timeout = 20)
{
    struct bench b;
    unsigned down;

    begin(&b);
    bench_open(&b, 1);
    HOST_OF(&b)->hook = open_again;
    bench_restart(GUEST_OF(&b));
    bench_wait_ready(&b);
    cr_expect_eq(vpc_session_pairs(HOST_OF(&b)->session, &down), 0);
    cr_expect_eq(GUEST_OF(&b)->count[VPC_EV_PAIR_REQUEST], 1);
    bench_free(&b);
}

/* ---- every order of an early end ------------------------------------------------------------------------------------------- */

/* What either side does once, at any point while a pair opens; the other does not know of it yet. */
enum deed { NOTHING, RESET_PAIR, STOP_READING, FINISH, DISCARD, DEEDS };

static void carry_out(enum deed deed, vpc_pair *pair)
{
    if (pair == NULL)
        return;
    switch (deed) {
    case RESET_PAIR:
        vpc_pair_reset(pair, ECONNRESET);
        break;
    case STOP_READING:
        vpc_pair_stop_reading(pair);
        break;
    case FINISH:
        vpc_pair_finish(pair);
        break;
    case DISCARD:
        vpc_pair_discard(pair);
        break;
    case NOTHING:
    case DEEDS:
        break;
    }
}

/* What every endpoint does: what is read is thrown away, the end is taken, and a reset with an error is answered with
 * one of the other channel (CLS-5). */
static void behave(struct bench_end *end, const vpc_session_event *event)
{
    uint8_t bytes[512];

    (void)end;
    if (event->kind == VPC_EV_PAIR_READABLE) {
        read_bytes(event->pair, bytes, sizeof(bytes));
        vpc_pair_end_delivered(event->pair);
    }
    if (event->kind == VPC_EV_PAIR_RESET && event->value != 0)
        vpc_pair_reset(event->pair, (uint32_t)event->value);
}

/* The points of a pair's life; every one of them is a place for a deed of either side. */
enum moment {
    OPEN_UNSENT,
    OPEN_ON_THE_WIRE,
    REQUESTED,
    ANSWERED,
    ANSWER_ON_THE_WIRE,
    BYTES_WRITTEN,
    BYTES_ON_THE_WIRE,
    MOMENTS
};

struct plan {
    enum deed deed[2];
    enum moment moment[2];
    bool refuse;
};

static void at_moment(struct bench *b, const struct plan *plan, enum moment moment)
{
    for (int side = HOST; side <= GUEST; side++)
        if (plan->moment[side] == moment)
            carry_out(plan->deed[side], b->end[side].pair);
}

static void answer(struct bench *b, const struct plan *plan)
{
    if (GUEST_OF(b)->pair == NULL)
        return;
    if (plan->refuse)
        vpc_pair_refused(GUEST_OF(b)->pair, ECONNREFUSED);
    else
        vpc_pair_opened(GUEST_OF(b)->pair);
}

static void run_plan(const struct plan *plan)
{
    struct bench b;
    struct bench_end *host = HOST_OF(&b), *guest = GUEST_OF(&b);

    begin(&b);
    host->hook = guest->hook = behave;
    host->pair = vpc_pair_open(host->session, 1, 1);
    at_moment(&b, plan, OPEN_UNSENT);
    bench_collect(host);
    at_moment(&b, plan, OPEN_ON_THE_WIRE);
    bench_deliver(host, SIZE_MAX);
    at_moment(&b, plan, REQUESTED);
    answer(&b, plan);
    at_moment(&b, plan, ANSWERED);
    bench_collect(guest);
    at_moment(&b, plan, ANSWER_ON_THE_WIRE);
    bench_collect(host);
    bench_deliver(guest, SIZE_MAX);
    for (int side = HOST; side <= GUEST; side++)
        if (b.end[side].pair != NULL)
            vpc_pair_write(b.end[side].pair, "bytes", 5);
    at_moment(&b, plan, BYTES_WRITTEN);
    bench_collect(host);
    bench_collect(guest);
    at_moment(&b, plan, BYTES_ON_THE_WIRE);
    bench_run(&b);
    for (int side = HOST; side <= GUEST; side++) /* both programs finish in the end */
        carry_out(FINISH, b.end[side].pair);
    bench_run(&b);
    for (int side = HOST; side <= GUEST; side++)
        if (b.end[side].pair != NULL &&
            vpc_pair_receiving_state(b.end[side].pair) == VPC_CHANNEL_DRAINING)
            vpc_pair_end_delivered(b.end[side].pair);
    bench_run(&b);
    expect_all_released(&b);
    expect_no_fault(&b);
    bench_free(&b);
}

static void run_plans(bool refuse)
{
    struct plan plan = {.refuse = refuse};

    for (plan.deed[HOST] = NOTHING; plan.deed[HOST] < DEEDS; plan.deed[HOST]++)
        for (plan.deed[GUEST] = NOTHING; plan.deed[GUEST] < DEEDS; plan.deed[GUEST]++)
            for (plan.moment[HOST] = OPEN_UNSENT; plan.moment[HOST] < MOMENTS; plan.moment[HOST]++)
                for (plan.moment[GUEST] = OPEN_UNSENT; plan.moment[GUEST] < MOMENTS;
                     plan.moment[GUEST]++) {
                    cr_log_info("host %d at %d, guest %d at %d", plan.deed[HOST], plan.moment[HOST],
                                plan.deed[GUEST], plan.moment[GUEST]);
                    run_plan(&plan);
                }
}

Test(pairs, every_crossing_of_two_deeds_when_opened, .timeout = 300)
{
    run_plans(false);
}

Test(pairs, every_crossing_of_two_deeds_when_refused, .timeout = 300)
{
    run_plans(true);
}

/* ---- credit and order ------------------------------------------------------------------------------------------------------- */

Test(pairs, credit_to_the_byte, .timeout = 20)
{
    struct bench b;
    uint8_t bytes[512];
    vpc_channel_status sending, receiving;
    vpc_frame frames[4];

    begin(&b);
    bench_open(&b, 1);
    memset(bytes, 'x', sizeof(bytes));
    for (unsigned i = 0; i < 2; i++) { /* window 256, send buffer 128 */
        cr_expect_eq(vpc_pair_write(HOST_OF(&b)->pair, bytes, sizeof(bytes)), 128);
        bench_run(&b);
    }
    cr_expect_eq(vpc_pair_write(HOST_OF(&b)->pair, bytes, sizeof(bytes)), 128);
    vpc_pair_finish(HOST_OF(&b)->pair);
    bench_run(&b);
    vpc_pair_channels(HOST_OF(&b)->pair, &sending, &receiving);
    cr_expect_eq(sending.bytes, 256);
    cr_expect_eq(sending.credit, 0);
    cr_expect_eq(read_bytes(GUEST_OF(&b)->pair, bytes, 127), 127);
    cr_expect_eq(bench_collect(GUEST_OF(&b)), 0, "less than half of the window");
    cr_expect_eq(read_bytes(GUEST_OF(&b)->pair, bytes, 1), 1);
    bench_collect(GUEST_OF(&b));
    cr_assert_eq(bench_frames(GUEST_OF(&b), frames, 4), 1);
    cr_expect_eq(frames[0].type, VPC_CREDIT);
    cr_expect_eq(frames[0].limit, 256 + 128);
    bench_deliver(GUEST_OF(&b), SIZE_MAX);
    bench_collect(HOST_OF(&b));
    cr_assert_eq(bench_frames(HOST_OF(&b), frames, 4), 2,
                 "CLS-1: FIN needs no credit and follows the last byte");
    cr_expect_eq(frames[0].type, VPC_DATA);
    cr_expect_eq(frames[0].offset, 256);
    cr_expect_eq(frames[0].payload_len, 128);
    cr_expect_eq(frames[1].type, VPC_FIN);
    cr_expect_eq(frames[1].offset, 384);
    bench_deliver(HOST_OF(&b), SIZE_MAX);
    cr_expect_eq(read_bytes(GUEST_OF(&b)->pair, bytes, sizeof(bytes)), 256);
    cr_expect(vpc_pair_at_end(GUEST_OF(&b)->pair));
    expect_no_fault(&b);
    bench_free(&b);
}

/* CLS-4: behind a RESET, also one with 0 of a peer that reads no more, nothing is taken for the channel. */
Test(pairs, nothing_is_taken_behind_a_reset, .timeout = 20)
{
    struct bench b;

    begin(&b);
    bench_open(&b, 1);
    vpc_pair_stop_reading(GUEST_OF(&b)->pair);
    bench_run(&b);
    cr_expect_eq(vpc_pair_sending_state(HOST_OF(&b)->pair), VPC_CHANNEL_RELEASED);
    cr_expect_eq(vpc_pair_write_room(HOST_OF(&b)->pair), 0);
    cr_expect_eq(vpc_pair_write(HOST_OF(&b)->pair, "more", 4), 0);
    cr_expect_gt(vpc_pair_write_room(GUEST_OF(&b)->pair), 0, "the other direction goes on");
    expect_no_fault(&b);
    bench_free(&b);
}

/* Without a copy: what is free, and what is held, goes on at the begin of the ring (window 256, send buffer 128). */
Test(pairs, pieces_of_rings_that_wrap, .timeout = 20)
{
    struct bench b;
    uint8_t bytes[256];
    vpc_piece piece[2];

    begin(&b);
    bench_open(&b, 1);
    cr_expect_eq(vpc_pair_read_pieces(GUEST_OF(&b)->pair, piece), 0);
    cr_assert_eq(vpc_pair_write_space(HOST_OF(&b)->pair, piece), 1);
    cr_expect_eq(piece[0].size, 128);
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_gt(vpc_pair_write_space(HOST_OF(&b)->pair, piece), 0);
        memset(piece[0].octets, 'x', piece[0].size);
        vpc_pair_written(HOST_OF(&b)->pair, (const size_t[]){128, 100, 50}[i]);
        bench_run(&b);
    }
    cr_assert_eq(vpc_pair_write_space(HOST_OF(&b)->pair, piece), 2, "22 octets have no credit");
    cr_expect_eq(piece[0].size, 78);
    cr_expect_eq(piece[1].size, 28);
    memset(piece[0].octets, 'y', 78);
    memset(piece[1].octets, 'z', 28);
    vpc_pair_written(HOST_OF(&b)->pair, 106);
    cr_expect_eq(vpc_pair_write_space(HOST_OF(&b)->pair, piece), 0);
    cr_assert_eq(read_bytes(GUEST_OF(&b)->pair, bytes, 200), 200);
    bench_run(&b);
    cr_expect_eq(HOST_OF(&b)->count[VPC_EV_PAIR_WRITABLE], 1, "of 106 octets");
    cr_assert_eq(vpc_pair_read_pieces(GUEST_OF(&b)->pair, piece), 2);
    cr_expect_eq(piece[0].size, 56);
    cr_expect_eq(piece[1].size, 128);
    cr_assert_eq(read_bytes(GUEST_OF(&b)->pair, bytes, sizeof(bytes)), 56 + 128);
    for (unsigned i = 0; i < 56 + 128; i++)
        cr_expect_eq(bytes[i], i < 78 ? 'x' : i < 78 + 78 ? 'y' : 'z', "octet %u", i);
    vpc_pair_finish(HOST_OF(&b)->pair);
    cr_expect_eq(vpc_pair_write_space(HOST_OF(&b)->pair, piece), 0);
    expect_no_fault(&b);
    bench_free(&b);
}

/* ---- octets that stand in their frame (window 256, send buffer 128) --------------------------------------------------------- */

/* The guest has n octets from `at` on that are all this one. */
static void expect_octets(const struct bench *b, size_t at, size_t n, char octet)
{
    const void *octets;

    cr_assert_geq(vpc_pair_read(b->end[GUEST].pair, &octets), at + n);
    for (size_t i = at; i < at + n; i++)
        cr_expect_eq(((const char *)octets)[i], octet, "octet %zu", i);
}

Test(pairs, octets_stand_in_their_frame, .timeout = 20)
{
    struct bench b;
    struct bench_end *host = HOST_OF(&b);
    vpc_piece piece[2];
    vpc_frame frames[2];
    const void *octets;

    begin(&b);
    bench_open(&b, 1);
    cr_assert_eq(vpc_pair_write_space(host->pair, piece), 1);
    memset(piece[0].octets, 'a', 100);
    vpc_pair_written(host->pair, 100);
    cr_assert_eq(vpc_session_output(host->session, &octets),
                 VPC_HEADER_SIZE + 8 + 100 + VPC_SEAL_SIZE);
    cr_expect_eq((const uint8_t *)octets + VPC_HEADER_SIZE + 8, (const uint8_t *)piece[0].octets);
    cr_expect_eq(vpc_pair_write_room(host->pair), 128);
    bench_collect(host);
    cr_assert_eq(bench_frames(host, frames, 2), 1);
    cr_expect_eq(frames[0].payload_len, 100);
    bench_run(&b);
    expect_octets(&b, 0, 100, 'a');
    expect_no_fault(&b);
    bench_free(&b);
}

/* A frame waits already, and the octets behind it are in the ring. */
Test(pairs, octets_that_must_wait_keep_their_order, .timeout = 20)
{
    struct bench b;
    struct bench_end *host = HOST_OF(&b);
    vpc_piece piece[2];
    vpc_frame frames[3];

    begin(&b);
    bench_open(&b, 1);
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_eq(vpc_pair_write_space(host->pair, piece), 1);
        memset(piece[0].octets, 'a' + (int)i, 20);
        vpc_pair_written(host->pair, 20);
    }
    cr_expect_eq(vpc_pair_write_room(host->pair), 128 - 40);
    bench_collect(host);
    cr_assert_eq(bench_frames(host, frames, 3), 2);
    cr_expect_eq(frames[0].payload_len, 20);
    bench_run(&b);
    for (unsigned i = 0; i < 3; i++)
        expect_octets(&b, i * 20, 20, (char)('a' + (int)i));
    expect_no_fault(&b);
    bench_free(&b);
}

/* Nothing came: there is no frame without octets, and the place is not the pair's any more. */
Test(pairs, a_place_that_was_not_used, .timeout = 20)
{
    struct bench b;
    struct bench_end *host = HOST_OF(&b);
    vpc_piece piece[2];
    const void *octets;

    begin(&b);
    bench_open(&b, 1);
    cr_assert_eq(vpc_pair_write_space(host->pair, piece), 1);
    vpc_pair_written(host->pair, 0);
    cr_expect_eq(vpc_session_output(host->session, &octets), 0);
    cr_assert_eq(vpc_pair_write_space(host->pair, piece), 1);
    cr_assert_eq(vpc_pair_write(host->pair, "xyz", 3), 3);
    bench_collect(host);
    cr_assert_eq(vpc_pair_write_space(host->pair, piece), 1);
    memset(piece[0].octets, 'b', 128);
    vpc_pair_written(host->pair, 128);
    cr_assert_eq(vpc_pair_write_space(host->pair, piece), 1, "125 octets have credit");
    memset(piece[0].octets, 'c', 128);
    vpc_pair_written(host->pair, 128);
    bench_run(&b);
    expect_octets(&b, 3, 128, 'b');
    expect_octets(&b, 131, 125, 'c');
    expect_no_fault(&b);
    bench_free(&b);
}

/* As many octets as two whole frames have, and then as there is credit for. */
Test(pairs, two_frames_are_lent_at_once, .timeout = 20)
{
    struct bench b;
    struct bench_end *host = HOST_OF(&b);
    vpc_piece piece[2];
    vpc_frame frames[3];

    bench_init(&b);
    b.end[GUEST].config.window = 4 * VPC_DATA_MAX;
    host->config.send_buffer = 3 * VPC_DATA_MAX;
    bench_greet(&b);
    bench_open(&b, 1);
    cr_assert_eq(vpc_pair_write_space(host->pair, piece), 2);
    cr_expect_eq(piece[0].size, VPC_DATA_MAX);
    cr_expect_eq(piece[1].size, VPC_DATA_MAX);
    memset(piece[0].octets, 'a', VPC_DATA_MAX);
    memset(piece[1].octets, 'b', 36);
    vpc_pair_written(host->pair, VPC_DATA_MAX + 36);
    bench_collect(host);
    cr_assert_eq(bench_frames(host, frames, 3), 2);
    cr_expect_eq(frames[0].payload_len, VPC_DATA_MAX);
    cr_expect_eq(frames[1].payload_len, 36);
    bench_deliver(host, SIZE_MAX);
    expect_octets(&b, 0, VPC_DATA_MAX, 'a');
    expect_octets(&b, VPC_DATA_MAX, 36, 'b');
    cr_assert_eq(vpc_pair_write_space(host->pair, piece), 2);
    vpc_pair_written(host->pair, 2 * VPC_DATA_MAX);
    bench_collect(host);
    cr_assert_eq(vpc_pair_write_space(host->pair, piece), 1,
                 "credit for less than a whole frame: the ring");
    cr_expect_eq(piece[0].size, 3 * VPC_DATA_MAX);
    expect_no_fault(&b);
    bench_free(&b);
}

Test(pairs, windows_of_one_byte, .timeout = 60)
{
    struct bench b;
    uint8_t byte;

    bench_init(&b);
    for (int side = HOST; side <= GUEST; side++)
        b.end[side].config.window = b.end[side].config.send_buffer = 1;
    bench_greet(&b);
    bench_open(&b, 1);
    for (unsigned i = 0; i < 1000; i++) {
        byte = (uint8_t)i;
        cr_assert_eq(vpc_pair_write(HOST_OF(&b)->pair, &byte, 1), 1, "stalled at byte %u", i);
        cr_assert_eq(vpc_pair_write(HOST_OF(&b)->pair, &byte, 1), 0);
        bench_run(&b);
        cr_assert_eq(HOST_OF(&b)->count[VPC_EV_PAIR_WRITABLE], i + 1);
        cr_assert_eq(read_bytes(GUEST_OF(&b)->pair, &byte, 1), 1);
        cr_assert_eq(byte, (uint8_t)i);
        bench_run(&b);
    }
    bench_free(&b);
}

Test(pairs, channels_take_turns_and_control_goes_first, .timeout = 20)
{
    struct bench b;
    uint8_t *bytes = calloc(1, 1u << 20);
    vpc_pair *first, *second;
    vpc_frame frames[64];
    uint32_t before = 0;
    unsigned n;

    bench_init(&b);
    for (int side = HOST; side <= GUEST; side++)
        b.end[side].config.window = b.end[side].config.send_buffer = 1u << 20;
    bench_greet(&b);
    bench_open(&b, 1);
    first = HOST_OF(&b)->pair;
    bench_open(&b, 2);
    second = HOST_OF(&b)->pair;
    vpc_pair_write(first, bytes, 1u << 20);
    vpc_pair_write(second, bytes, 1u << 20);
    vpc_pair_open(HOST_OF(&b)->session, 3, 1);
    bench_collect(HOST_OF(&b));
    n = bench_frames(HOST_OF(&b), frames, 64);
    cr_assert(n > 30);
    cr_expect_eq(frames[0].type, VPC_OPEN, "FLW-6: before DATA that waits");
    for (unsigned i = 1; i < n; i++) {
        cr_assert_eq(frames[i].type, VPC_DATA);
        cr_assert_neq(frames[i].channel, before, "FLW-6: frame %u", i);
        before = frames[i].channel;
    }
    bench_free(&b);
    free(bytes);
}

Test(pairs, a_slow_reader_holds_up_nobody, .timeout = 20)
{
    struct bench b;
    uint8_t bytes[128] = {0};
    vpc_pair *slow, *guest_fast;

    begin(&b);
    bench_open(&b, 1);
    slow = HOST_OF(&b)->pair;
    bench_open(&b, 2);
    guest_fast = GUEST_OF(&b)->pair;
    for (unsigned i = 0; i < 100; i++) {
        vpc_pair_write(slow, bytes, sizeof(bytes));
        cr_assert_eq(vpc_pair_write(HOST_OF(&b)->pair, bytes, sizeof(bytes)), sizeof(bytes),
                     "FLW-7");
        bench_run(&b);
        cr_assert_eq(read_bytes(guest_fast, bytes, sizeof(bytes)), sizeof(bytes));
        bench_run(&b);
    }
    bench_free(&b);
}

Test(pairs, what_nobody_reads_is_given_credit, .timeout = 20)
{
    struct bench b;
    uint8_t bytes[128] = {0};
    unsigned down;

    begin(&b);
    bench_open(&b, 1);
    vpc_pair_write(GUEST_OF(&b)->pair, bytes, sizeof(bytes));
    bench_run(&b);
    vpc_pair_discard(HOST_OF(&b)->pair);
    vpc_session_pairs(HOST_OF(&b)->session, &down);
    cr_expect_eq(down, 1);
    for (unsigned i = 0; i < 50; i++) {
        cr_assert_eq(vpc_pair_write(GUEST_OF(&b)->pair, bytes, sizeof(bytes)), sizeof(bytes),
                     "CLS-6: round %u", i);
        bench_run(&b);
    }
    vpc_pair_finish(GUEST_OF(&b)->pair);
    bench_run(&b);
    cr_expect(vpc_pair_at_end(HOST_OF(&b)->pair));
    vpc_pair_end_delivered(HOST_OF(&b)->pair);
    vpc_pair_finish(HOST_OF(&b)->pair);
    bench_run(&b);
    vpc_pair_end_delivered(GUEST_OF(&b)->pair);
    bench_run(&b);
    expect_all_released(&b);
    expect_no_fault(&b);
    bench_free(&b);
}
