/* SPDX-License-Identifier: MIT */
/*
 * Restarts, losses, restores and imitations: no byte of an old session reaches a pair of a new one, and both ends are
 * ready again in the end.
 *
 * Every transfer has a generation, which is the port of its pair; each byte that travels is a function of generation,
 * direction and place.  So a byte of another generation, or one at the wrong place, is seen where it arrives.
 *
 * The random walk prints its seed when it fails; RECOVERY_SEED=S makes it again.
 */
#include "bench.h"
#include "internal.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES 40u /* of a transfer, each way */

static uint8_t byte_of(unsigned generation, enum bench_side from, uint64_t at)
{
    uint64_t seed = (uint64_t)generation << 33 | (uint64_t)from << 32 | at;

    return (uint8_t)bench_random(&seed);
}

struct receipt {
    uint16_t port;
    uint64_t bytes;
    bool ended;
};

/* What arrived on the last pair of an end is read and compared at once. */
static void check_bytes(struct bench_end *end, const vpc_session_event *event)
{
    struct receipt *receipt = end->user;
    const void *octets;
    size_t n;

    if (event->kind != VPC_EV_PAIR_READABLE)
        return;
    if (receipt->port != vpc_pair_port(event->pair))
        *receipt = (struct receipt){.port = vpc_pair_port(event->pair)};
    while ((n = vpc_pair_read(event->pair, &octets)) > 0) {
        for (size_t i = 0; i < n; i++)
            cr_assert_eq(((const uint8_t *)octets)[i],
                         byte_of(receipt->port, bench_peer(end)->side, receipt->bytes + i),
                         "byte %zu of generation %u", (size_t)receipt->bytes + i, receipt->port);
        receipt->bytes += n;
        vpc_pair_delivered(event->pair, n);
    }
    if (vpc_pair_at_end(event->pair)) {
        receipt->ended = true;
        vpc_pair_end_delivered(event->pair);
    }
}

static void answer_request(struct bench_end *end, const vpc_session_event *event)
{
    uint8_t bytes[BYTES];

    check_bytes(end, event);
    if (event->kind != VPC_EV_PAIR_REQUEST && event->kind != VPC_EV_PAIR_OPENED)
        return;
    if (event->kind == VPC_EV_PAIR_REQUEST)
        vpc_pair_opened(event->pair);
    for (size_t i = 0; i < BYTES; i++)
        bytes[i] = byte_of(vpc_pair_port(event->pair), end->side, i);
    cr_assert_eq(vpc_pair_write(event->pair, bytes, BYTES), BYTES);
    vpc_pair_finish(event->pair);
}

static struct receipt receipts[2];

static void begin(struct bench *b)
{
    bench_init(b);
    memset(receipts, 0, sizeof(receipts));
    for (int side = HOST; side <= GUEST; side++) {
        b->end[side].hook = answer_request;
        b->end[side].user = &receipts[side];
    }
    bench_greet(b);
}

/* The whole of a transfer, both ways. */
static void expect_transfer(struct bench *b, unsigned generation)
{
    cr_assert_not_null(vpc_pair_open(b->end[HOST].session, (uint16_t)generation, 1000));
    bench_run(b);
    for (int side = HOST; side <= GUEST; side++) {
        cr_assert_eq(receipts[side].port, generation);
        cr_assert_eq(receipts[side].bytes, BYTES);
        cr_assert(receipts[side].ended);
    }
}

/* A transfer under way, of which `from`'s last words are on its wire and no more was delivered. */
static void half_transfer(struct bench *b, struct bench_end *from, unsigned generation)
{
    cr_assert_not_null(vpc_pair_open(b->end[HOST].session, (uint16_t)generation, 1000));
    bench_collect(&b->end[HOST]);
    if (from->side == HOST) {
        bench_deliver(&b->end[HOST], SIZE_MAX);
        bench_collect(&b->end[GUEST]);
        bench_deliver(&b->end[GUEST],
                      SIZE_MAX); /* OPENED and the bytes: the host answers with its own */
        bench_collect(&b->end[HOST]);
        return;
    }
    bench_deliver(&b->end[HOST], SIZE_MAX);
    bench_collect(&b->end[GUEST]);
}

static size_t half_transfer_size(enum bench_side from)
{
    struct bench b;
    size_t n;

    begin(&b);
    half_transfer(&b, &b.end[from], 1);
    n = b.end[from].wire_len;
    bench_free(&b);
    cr_assert(n > 100 && n < 400);
    return n;
}

/* What happens to the octets behind the cut. */
enum rest {
    LOST,    /* they never arrive */
    TORN,    /* all but the last 5 are lost: they may end in a seal that fits another frame */
    ARRIVES, /* they arrive before the new preamble */
};

static void settle(struct bench *b)
{
    bench_wait_ready(b);
    bench_pass(
        b,
        /* two heartbeats complete every frame here that was cut, and show what was lost at the end */
        2100);
    bench_wait_ready(b);
}

static void restart_at(enum bench_side side, size_t cut, enum rest rest,
                       void (*again)(struct bench_end *))
{
    struct bench b;
    struct bench_end *end = &b.end[side];

    begin(&b);
    half_transfer(&b, end, 1);
    bench_deliver(end, cut);
    if (rest == LOST)
        bench_lose(end, 0, SIZE_MAX);
    else if (rest == TORN && end->wire_len > 5)
        bench_lose(end, 0, end->wire_len - 5);
    again(end);
    settle(&b);
    expect_transfer(&b, 2);
    bench_free(&b);
}

static void restart_everywhere(enum bench_side side, enum rest rest,
                               void (*again)(struct bench_end *))
{
    size_t n = half_transfer_size(side);

    for (size_t cut = 0; cut <= n; cut++)
        restart_at(side, cut, rest, again);
}

Test(recovery, the_host_restarts_and_its_last_octets_are_lost, .timeout = 120)
{
    restart_everywhere(HOST, LOST, bench_restart);
}

Test(recovery, the_guest_restarts_and_its_last_octets_are_lost, .timeout = 120)
{
    restart_everywhere(GUEST, LOST, bench_restart);
}

Test(recovery, the_host_restarts_and_a_shred_arrives, .timeout = 120)
{
    restart_everywhere(HOST, TORN, bench_restart);
}

Test(recovery, the_guest_restarts_and_old_octets_arrive, .timeout = 120)
{
    restart_everywhere(GUEST, ARRIVES, bench_restart);
}

/* A guest that comes from the same snapshot again draws the same epochs. */
Test(recovery, a_restored_guest_with_the_same_epochs, .timeout = 120)
{
    restart_everywhere(GUEST, LOST, bench_restore);
    restart_everywhere(GUEST, TORN, bench_restore);
}

Test(recovery, a_restored_host_with_the_same_epochs, .timeout = 120)
{
    restart_everywhere(HOST, LOST, bench_restore);
}

/* What the other end still says to the one that died meets the one that comes. */
Test(recovery, octets_for_the_dead_reach_its_successor, .timeout = 120)
{
    size_t n = half_transfer_size(GUEST);

    for (size_t cut = 0; cut <= n; cut++) {
        struct bench b;

        begin(&b);
        half_transfer(&b, &b.end[GUEST], 1);
        bench_lose(&b.end[GUEST], 0, cut);
        bench_restart(&b.end[HOST]);
        bench_deliver(&b.end[GUEST], SIZE_MAX);
        settle(&b);
        expect_transfer(&b, 2);
        bench_free(&b);
    }
}

/* ---- losses from the middle -------------------------------------------------------------------------------------------- */

static void lose_everywhere(enum bench_side side, size_t length)
{
    size_t n = half_transfer_size(side);

    for (size_t at = 0; at < n; at++) {
        struct bench b;

        begin(&b);
        half_transfer(&b, &b.end[side], 1);
        bench_lose(&b.end[side], at, length);
        settle(&b);
        cr_expect(b.end[HOST].count[VPC_EV_SESSION_DOWN] > 0,
                  "the loss of %zu octets at %zu was not seen", length, at);
        expect_transfer(&b, 2);
        bench_free(&b);
    }
}

Test(recovery, one_octet_is_lost, .timeout = 120)
{
    lose_everywhere(GUEST, 1);
    lose_everywhere(HOST, 1);
}

Test(recovery, several_octets_are_lost, .timeout = 120)
{
    lose_everywhere(GUEST, 7);
    lose_everywhere(GUEST, 28 + 8); /* a whole frame of that size, at a frame's begin */
    lose_everywhere(HOST, 36 + BYTES);
}

Test(recovery, a_changed_octet, .timeout = 120)
{
    /* The transport changes none; but a header or a seal that is changed must not pass either. */
    size_t n = half_transfer_size(GUEST);

    for (size_t at = 0; at < n; at++) {
        struct bench b;

        begin(&b);
        half_transfer(&b, &b.end[GUEST], 1);
        if (at < 12 || at >= n - 16) {
            b.end[GUEST].wire[at] ^= 0x40;
            settle(&b);
            cr_expect(b.end[HOST].count[VPC_EV_SESSION_DOWN] > 0, "octet %zu", at);
            expect_transfer(&b, 2);
        }
        bench_free(&b);
    }
}

/* ---- framing is lost ------------------------------------------------------------------------------------------------------ */

static void expect_framing_lost(struct bench *b, const char *what)
{
    struct bench_end *host = &b->end[HOST], *guest = &b->end[GUEST];

    bench_deliver(guest, SIZE_MAX);
    cr_assert_eq(host->count[VPC_EV_FRAMING_LOST], 1);
    cr_expect_str_eq(host->last[VPC_EV_FRAMING_LOST].text, what);
    cr_expect_str_eq(host->last[VPC_EV_SESSION_DOWN].text, "framing lost");
    settle(b);
    cr_expect_str_eq(guest->last[VPC_EV_SESSION_DOWN].text, "peer restarted");
    cr_expect_eq(host->count[VPC_EV_SESSION_UP], 2);
    cr_expect_eq(guest->count[VPC_EV_SESSION_UP], 2);
    expect_transfer(b, 2);
    bench_free(b);
}

Test(recovery, octets_that_are_no_frame, .timeout = 20)
{
    struct bench b;

    begin(&b);
    bench_inject(&b.end[GUEST], "\x16\x16\x16!", 4);
    expect_framing_lost(&b, "octets that are no frame");
}

Test(recovery, seals_that_do_not_fit, .timeout = 20)
{
    static const struct {
        uint64_t session, number;
        const char *what;
    } wrong[] = {
        {1, 0, "a seal of another session"},
        {0, 1, "a seal with another number"},
        {0, UINT64_MAX, "a seal with another number"},
    };

    for (size_t i = 0; i < 3; i++) {
        struct bench b;
        uint8_t octets[VPC_SMALL_FRAME_MAX];
        vpc_frame frame = {.type = VPC_HEARTBEAT, .count = 1};

        begin(&b);
        frame.seal_session = b.end[HOST].session->id + wrong[i].session;
        frame.seal_number = b.end[HOST].session->received_number + 1 + wrong[i].number;
        bench_inject(&b.end[GUEST], octets, vpc_encode(&frame, octets));
        expect_framing_lost(&b, wrong[i].what);
    }
}

Test(recovery, a_hello_with_a_wrong_crc_in_a_session, .timeout = 20)
{
    struct bench b;
    uint8_t octets[VPC_SMALL_FRAME_MAX];
    vpc_frame hello = {
        .type = VPC_HELLO, .role = 2, .version_min = 256, .version_max = 256, .epoch = 1};
    size_t n;

    begin(&b);
    n = vpc_encode(&hello, octets);
    octets[n - 8] ^= 1;
    bench_inject(&b.end[GUEST], octets, n);
    expect_framing_lost(&b, "the CRC of a HELLO");
}

Test(recovery, messages_of_the_wrong_direction, .timeout = 20)
{
    struct bench b;

    begin(&b);
    bench_inject_frame(
        &b.end[GUEST],
        (vpc_frame){.type = VPC_OPEN, .channel = 1, .reverse_channel = 2, .port = 1});
    b.end[GUEST].session->sent_number--;
    expect_framing_lost(&b, "octets that are no frame");
}

/* ---- imitation ------------------------------------------------------------------------------------------------------------- */

/* Octets that an application could have seen or made up: a preamble, a HELLO that was sent on this wire before (or one
 * that is made up), and frames behind it. */
static size_t imitate(uint8_t *out, vpc_frame hello)
{
    size_t n = 200;

    hello.type = VPC_HELLO;
    memset(out, VPC_PAD, n);
    n += vpc_encode(&hello, out + n);
    for (uint64_t number = 1; number < 4; number++) {
        vpc_frame ready = {.type = VPC_READY,
                           .ready = 1,
                           .seal_number = number,
                           .seal_session = vpc_session_id(hello.echo, hello.epoch)};
        n += vpc_encode(&ready, out + n);
    }
    return n;
}

/* The guest's program sends the imitation; the host restarts when `cut` octets of it have arrived, and hunts in it. */
static void imitate_at(size_t cut, bool old_epochs)
{
    struct bench b;
    struct bench_end *host = &b.end[HOST], *guest = &b.end[GUEST];
    vpc_frame hello = {
        .role = VPC_GUEST, .version_min = 256, .version_max = 256, .max_pairs = 4, .epoch = 77};
    uint8_t octets[1024];
    size_t n;

    bench_init(&b);
    b.end[HOST].config.window = b.end[GUEST].config.send_buffer = sizeof(octets);
    bench_greet(&b);
    if (old_epochs) {
        hello.epoch = guest->session->epoch;
        hello.echo = host->session->epoch;
    }
    n = imitate(octets, hello);
    bench_open(&b, 1);
    cr_assert_eq(vpc_pair_write(guest->pair, octets, n), n);
    bench_collect(guest);
    cr_assert_eq(guest->wire_len, 36 + n);
    bench_deliver(guest, cut);
    bench_restart(host);
    bench_deliver(guest, SIZE_MAX);
    cr_assert_eq(vpc_session_state(host->session), VPC_SESSION_HUNTING, "fooled at %zu", cut);
    cr_assert_eq(host->count[VPC_EV_SESSION_UP], 1);
    bench_wait_ready(&b);
    cr_expect_eq(host->count[VPC_EV_FRAMING_LOST], 0);
    for (int side = HOST; side <= GUEST; side++) {
        b.end[side].hook = answer_request;
        b.end[side].user = &receipts[side];
        receipts[side] = (struct receipt){0};
    }
    expect_transfer(&b, 2);
    bench_free(&b);
}

Test(recovery, imitated_greetings, .timeout = 120)
{
    for (size_t cut = 0; cut < 36 + 200 + 156 + 3 * 32; cut++) {
        imitate_at(cut, false);
        imitate_at(cut, true);
    }
}

/* ---- everything at random ---------------------------------------------------------------------------------------------------- */

static void misfortune(struct bench *b, uint64_t *seed)
{
    struct bench_end *end = &b->end[bench_random(seed) % 2];
    size_t n = end->wire_len > 0 ? (size_t)(bench_random(seed) % (end->wire_len + 1)) : 0;

    switch (bench_random(seed) % 8) {
    case 0:
        bench_restart(end);
        break;
    case 1:
        bench_restore(end);
        break;
    case 2:
        bench_lose(end, n, (size_t)(bench_random(seed) % 300));
        break;
    case 3:
        bench_lose(end, 0, n);
        break;
    case 4:
        vpc_session_clock(end->session, b->now += bench_random(seed) % 2000);
        break;
    default:
        bench_collect(end);
        bench_deliver(end, n);
        break;
    }
}

static uint64_t walk_under_way;

/* Whatever of the walk failed, in the bench too: the setting that makes it again. */
static void say_seed(void)
{
    if (walk_under_way != 0)
        fprintf(stderr, "RECOVERY_SEED=%llu\n", (unsigned long long)walk_under_way);
}

static void take_a_walk(uint64_t seed)
{
    struct bench b;

    walk_under_way = seed;
    begin(&b);
    for (unsigned i = 0; i < 40; i++) {
        vpc_pair_open(b.end[HOST].session, (uint16_t)(walk_under_way % 1000 * 40 + i + 1), 1000);
        misfortune(&b, &seed);
    }
    /* The two of one generation may both have come from a snapshot; the one that comes now has not. */
    bench_restart(&b.end[GUEST]);
    settle(&b);
    cr_assert(vpc_pair_open(b.end[HOST].session, 1, 1) != NULL);
    bench_run(&b);
    cr_assert_eq(b.end[HOST].count[VPC_EV_VIOLATION] + b.end[GUEST].count[VPC_EV_VIOLATION], 0);
    bench_free(&b);
    walk_under_way = 0;
}

/* RECOVERY_SEED=S, as a failure prints it, takes that walk alone; RECOVERY_WALKS=N is how many there are. */
Test(recovery, a_random_walk_through_misfortunes, .timeout = 300, .fini = say_seed)
{
    const char *only = getenv("RECOVERY_SEED"), *walks = getenv("RECOVERY_WALKS");
    uint64_t count = walks != NULL ? strtoull(walks, NULL, 0) : 150;

    if (only != NULL)
        take_a_walk(strtoull(only, NULL, 0));
    for (uint64_t seed = 1; seed <= count && only == NULL; seed++)
        take_a_walk(seed);
}
