/* SPDX-License-Identifier: MIT */
/* What seldom happens in a session: floods, entries of the log, long tags, slow peers, the end of the ids. */
#include "bench.h"
#include "internal.h"

#include <criterion/criterion.h>
#include <string.h>

#define READIES 16u /* within a second (SES-18) */

static void hear_ready(struct bench *b)
{
    bench_inject_frame(&b->end[GUEST], (vpc_frame){.type = VPC_READY, .ready = 1});
    bench_deliver(&b->end[GUEST], SIZE_MAX);
}

Test(rare, too_many_ready_within_a_second, .timeout = 20)
{
    struct bench b;
    struct bench_end *host = &b.end[HOST];

    bench_init(&b);
    bench_greet(&b); /* with one READY */
    for (unsigned i = 1; i < READIES; i++)
        hear_ready(&b);
    cr_assert_eq(host->count[VPC_EV_VIOLATION], 0);
    vpc_session_clock(host->session, b.now += 1000);
    for (unsigned i = 0; i < READIES; i++)
        hear_ready(&b);
    cr_assert_eq(host->count[VPC_EV_VIOLATION], 0);
    hear_ready(&b);
    cr_assert_eq(host->count[VPC_EV_VIOLATION], 1);
    cr_expect_str_eq(host->last[VPC_EV_VIOLATION].text, "SES-18: too many READY");
    bench_expect_cause(host, "protocol violation");
    bench_free(&b);
}

/* ---- the guest's log ------------------------------------------------------------------------------------------------- */

static unsigned entries, seen;

static bool next_entry(void *user, vpc_frame *entry)
{
    (void)user;
    if (entries == 0)
        return false;
    entry->event = 1000 + entries--;
    return true;
}

static void see_entry(struct bench_end *end, const vpc_session_event *event)
{
    if (end->side == HOST && event->kind == VPC_EV_GUEST_EVENT) {
        cr_expect_eq(event->frame->event, 1003 - seen);
        seen++;
    }
}

Test(rare, entries_of_the_log_arrive_in_order, .timeout = 20)
{
    struct bench b;

    bench_init(&b);
    b.end[GUEST].config.next_log = next_entry;
    b.end[HOST].hook = see_entry;
    entries = 3;
    bench_greet(&b);
    cr_expect_eq(seen, 3);
    bench_free(&b);
}

/* ---- tags, heartbeats -------------------------------------------------------------------------------------------------- */

static char heard_tag[64];

static void hear_tag(struct bench_end *end, const vpc_session_event *event)
{
    (void)end;
    if (event->kind == VPC_EV_SESSION_UP)
        strncpy(heard_tag, event->tag, sizeof(heard_tag) - 1);
}

Test(rare, a_tag_is_cut_at_its_field, .timeout = 20)
{
    struct bench b;

    bench_init(&b);
    b.end[HOST].hook = hear_tag;
    bench_greet(&b);
    cr_expect_str_eq(heard_tag, "TAG-1");
    vpc_session_set_tag(b.end[GUEST].session, "0123456789abcdef0123456789abcdefXYZ");
    vpc_session_transport(b.end[GUEST].session, false);
    vpc_session_transport(b.end[GUEST].session, true);
    bench_wait_ready(&b);
    cr_expect_str_eq(heard_tag, "0123456789abcdef0123456789abcdef");
    bench_free(&b);
}

static unsigned heartbeat_at(struct bench *b, uint64_t ms)
{
    vpc_session_clock(b->end[HOST].session, b->now + ms);
    return vpc_session_heartbeat(b->end[HOST].session);
}

/* Slots of two minutes, not of the 99 days that the peer says. */
Test(rare, a_promise_of_heartbeats_beyond_the_range, .timeout = 20)
{
    struct bench b;

    bench_init(&b);
    b.end[GUEST].config.heartbeat_ms = UINT32_MAX;
    b.end[HOST].config.peer_limit_ms = 0;
    bench_greet(&b);
    cr_expect_eq(heartbeat_at(&b, 119999), 100);
    cr_expect_eq(heartbeat_at(&b, 120000), 100);
    cr_expect_eq(heartbeat_at(&b, 240000), 50);
    cr_expect_eq(heartbeat_at(&b, 480000), 25);
    bench_free(&b);
}

Test(rare, a_silence_longer_than_all_slots, .timeout = 20)
{
    struct bench b;

    bench_init(&b);
    b.end[HOST].config.peer_limit_ms = 0;
    bench_greet(&b);
    bench_pass(&b, 20000); /* ten slots are heard, and then none */
    cr_expect_eq(heartbeat_at(&b, 0), 100);
    cr_expect_eq(heartbeat_at(&b, 2000 * 31), 0);
    cr_expect_eq(heartbeat_at(&b, 2000 * 32), 0);
    cr_expect_eq(heartbeat_at(&b, 2000 * 64), 0);
    bench_free(&b);
}

Test(rare, a_heartbeat_that_waits_has_no_deadline, .timeout = 20)
{
    struct bench b;
    struct bench_end *host = &b.end[HOST];

    bench_init(&b);
    bench_greet(&b);
    vpc_session_clock(host->session, b.now += 1000); /* its output is not taken */
    cr_expect_eq(vpc_session_deadline(host->session), b.now + 2000, "the late limit comes next");
    bench_free(&b);
}

/* ---- the clock, the transport in mid-preamble ------------------------------------------------------------------------------ */

Test(rare, time_does_not_go_back, .timeout = 20)
{
    struct bench b;
    struct bench_end *host = &b.end[HOST];
    uint64_t deadline;

    bench_init(&b);
    bench_greet(&b);
    bench_pass(&b, 500);
    deadline = vpc_session_deadline(host->session);
    vpc_session_clock(host->session, b.now - 600); /* before the last frame came */
    cr_expect_eq(vpc_session_deadline(host->session), deadline);
    cr_expect_eq(host->count[VPC_EV_LATE] + host->count[VPC_EV_SESSION_DOWN], 0);
    bench_free(&b);
}

Test(rare, a_preamble_that_was_cut_is_begun_anew, .timeout = 20)
{
    struct bench b;
    struct bench_end *host = &b.end[HOST];
    const void *octets;
    vpc_frame hello;

    bench_init(&b);
    bench_up(&b);
    vpc_session_sent(host->session, vpc_session_output(host->session, &octets) / 2);
    vpc_session_transport(host->session, false);
    vpc_session_transport(host->session, true);
    bench_collect(host);
    bench_expect_hello(host->wire, host->wire_len, &hello);
    bench_free(&b);
}

/* What was drawn up for a transport that ended is not sent on the next one. */
Test(rare, nothing_is_left_of_a_transport, .timeout = 20)
{
    struct bench b;
    struct bench_end *host = &b.end[HOST];
    const void *octets;
    vpc_frame hello;

    bench_init(&b);
    bench_greet(&b);
    vpc_session_clock(host->session, b.now += 1000);
    cr_assert(vpc_session_output(host->session, &octets) > 0, "no heartbeat");
    vpc_session_transport(host->session, false);
    vpc_session_transport(host->session, true);
    bench_collect(host);
    bench_expect_hello(host->wire, host->wire_len, &hello);
    bench_free(&b);
}

static uint64_t first_heartbeat(struct bench *b)
{
    struct bench_end *host = &b->end[HOST];
    vpc_frame frame;

    bench_run(b);
    vpc_session_clock(host->session, b->now += 1000);
    bench_collect(host);
    cr_assert_eq(bench_frames(host, &frame, 1), 1);
    cr_assert_eq(frame.type, VPC_HEARTBEAT);
    bench_deliver(host, SIZE_MAX);
    return frame.count;
}

Test(rare, heartbeats_are_counted_from_one_in_each_session, .timeout = 20)
{
    struct bench b;

    bench_init(&b);
    bench_greet(&b);
    cr_expect_eq(first_heartbeat(&b), 1);
    bench_pass(&b, 1500);
    vpc_session_transport(b.end[HOST].session, false);
    vpc_session_transport(b.end[HOST].session, true);
    bench_wait_ready(&b);
    cr_expect_eq(first_heartbeat(&b), 1);
    bench_free(&b);
}

/* ---- ids, names --------------------------------------------------------------------------------------------------------- */

Test(rare, ids_run_out, .timeout = 20)
{
    struct bench b;
    struct bench_end *host = &b.end[HOST];

    bench_init(&b);
    bench_greet(&b);
    host->session->highest_id = UINT32_MAX - 1;
    cr_expect_null(vpc_pair_open(host->session, 1, 1000));
    host->session->highest_id = UINT32_MAX - 2;
    cr_expect_not_null(vpc_pair_open(host->session, 1, 1000));
    cr_expect_null(vpc_pair_open(host->session, 1, 1000));
    bench_free(&b);
}

/* CHN-1 holds for ids of an OPEN that was refused, too. */
Test(rare, ids_of_a_refused_open_are_used, .timeout = 20)
{
    const vpc_frame open = {.type = VPC_OPEN, .channel = 5, .reverse_channel = 6, .port = 1};
    struct bench b;
    struct bench_end *host = &b.end[HOST], *guest = &b.end[GUEST];

    bench_init(&b);
    bench_greet(&b);
    vpc_session_set_ready(guest->session, false);
    bench_inject_frame(host, open);
    bench_deliver(host, SIZE_MAX);
    cr_assert_eq(guest->count[VPC_EV_VIOLATION], 0);
    bench_inject_frame(host, open);
    bench_deliver(host, SIZE_MAX);
    cr_assert_eq(guest->count[VPC_EV_VIOLATION], 1);
    cr_expect_str_eq(guest->last[VPC_EV_VIOLATION].text, "CHN-1: a channel id was used before");
    bench_free(&b);
}

Test(rare, the_limit_without_a_session_is_one_s_own, .timeout = 20)
{
    struct bench b;

    bench_init(&b);
    b.end[GUEST].config.max_pairs = 2;
    bench_up(&b);
    cr_expect_eq(vpc_session_pair_limit(b.end[HOST].session), 4);
    bench_run(&b);
    cr_expect_eq(vpc_session_pair_limit(b.end[HOST].session), 2);
    bench_free(&b);
}

Test(rare, names_of_messages, .timeout = 20)
{
    cr_expect_str_eq(vpc_message_name(VPC_EVENT), "EVENT");
    cr_expect_str_eq(vpc_message_name(VPC_RELEASED), "RELEASED");
    cr_expect_str_eq(vpc_message_name(0), "unknown");
    cr_expect_str_eq(vpc_message_name(255), "unknown");
}

/* ---- frames at their limits ----------------------------------------------------------------------------------------------- */

Test(rare, the_longest_payload_is_sent, .timeout = 20)
{
    static const uint8_t bytes[VPC_DATA_MAX + 2];
    struct bench b;
    struct bench_end *host = &b.end[HOST];
    vpc_frame frames[3];

    bench_init(&b);
    b.end[GUEST].config.window = host->config.send_buffer = sizeof(bytes);
    bench_greet(&b);
    bench_open(&b, 1);
    cr_assert_eq(vpc_pair_write(host->pair, bytes, sizeof(bytes)), sizeof(bytes));
    bench_collect(host);
    cr_assert_eq(bench_frames(host, frames, 3), 2);
    cr_expect_eq(frames[0].payload_len, VPC_DATA_MAX);
    cr_expect_eq(frames[1].payload_len, 2);
    bench_free(&b);
}

static void read_everything(vpc_pair *pair)
{
    const void *octets;
    size_t n;

    while ((n = vpc_pair_read(pair, &octets)) > 0)
        vpc_pair_delivered(pair, n);
}

/* The host writes as much as goes, and the guest reads it all; how many frames were not whole ones. */
static unsigned short_frames_of_a_stream(struct bench *b, unsigned turns)
{
    static const uint8_t bytes[VPC_DATA_MAX];
    struct bench_end *host = &b->end[HOST], *guest = &b->end[GUEST];
    vpc_frame frames[8];
    unsigned found = 0;

    for (unsigned i = 0; i < turns; i++) {
        do
            bench_collect(host);
        while (vpc_pair_write(host->pair, bytes, sizeof(bytes)) > 0);
        for (unsigned at = 0, count = bench_frames(host, frames, 8); at < count; at++)
            found += frames[at].type != VPC_DATA || frames[at].payload_len < VPC_DATA_MAX;
        bench_deliver(host, SIZE_MAX);
        read_everything(guest->pair);
        bench_collect(guest);
        bench_deliver(guest, SIZE_MAX);
    }
    return found;
}

/* The first window is as large as it is; each one behind it ends with a whole frame. */
Test(rare, a_large_window_ends_with_a_whole_frame, .timeout = 20)
{
    struct bench b;

    bench_init(&b);
    b.end[GUEST].config.window = 262144;
    b.end[HOST].config.send_buffer = 2 * VPC_DATA_MAX;
    bench_greet(&b);
    bench_open(&b, 1);
    short_frames_of_a_stream(&b, 4);
    cr_expect_eq(short_frames_of_a_stream(&b, 20), 0);
    bench_free(&b);
}

/* More answers than the staging memory has room for. */
Test(rare, ten_thousand_refusals_and_none_is_lost, .timeout = 60)
{
    const unsigned many = 10000;
    struct bench b;

    bench_init(&b);
    b.end[HOST].config.max_pairs = b.end[GUEST].config.max_pairs = (uint16_t)many;
    b.end[HOST].config.window = b.end[GUEST].config.window = 1;
    bench_greet(&b);
    vpc_session_set_ready(b.end[GUEST].session, false);
    for (unsigned i = 0; i < many; i++)
        cr_assert_not_null(vpc_pair_open(b.end[HOST].session, 1, 1000));
    bench_run(&b);
    cr_expect_eq(b.end[HOST].count[VPC_EV_PAIR_REFUSED], many);
    cr_expect_eq(b.end[HOST].count[VPC_EV_PAIR_RELEASED], many);
    cr_expect_eq(b.end[HOST].count[VPC_EV_VIOLATION] + b.end[GUEST].count[VPC_EV_VIOLATION], 0);
    bench_free(&b);
}

/* The guest's program wrote a hundred bytes and the host's read sixty of them. */
static vpc_pair *read_sixty(struct bench *b)
{
    const void *octets;
    uint8_t bytes[100] = {0};

    bench_init(b);
    b->end[HOST].config.window = sizeof(bytes);
    bench_greet(b);
    bench_open(b, 1);
    cr_assert_eq(vpc_pair_write(b->end[GUEST].pair, bytes, sizeof(bytes)), sizeof(bytes));
    bench_run(b);
    cr_assert_eq(vpc_pair_read(b->end[HOST].pair, &octets), sizeof(bytes));
    vpc_pair_delivered(b->end[HOST].pair, 60);
    return b->end[HOST].pair;
}

Test(rare, no_credit_goes_before_a_reset, .timeout = 20)
{
    struct bench b;
    vpc_pair *pair = read_sixty(&b);
    vpc_frame frames[4];

    cr_assert(*vpc_pending(&pair->receiving) != 0, "no CREDIT waits");
    vpc_pair_reset(pair, 104);
    bench_collect(&b.end[HOST]);
    cr_assert_eq(bench_frames(&b.end[HOST], frames, 4), 2);
    cr_expect_eq(frames[0].type, VPC_RESET);
    cr_expect_eq(frames[1].type, VPC_RESET);
    bench_free(&b);
}

/* The guest holds neither channel any more: a RESET to it would only be passed over. */
Test(rare, no_reset_follows_a_refusal, .timeout = 20)
{
    struct bench b;
    struct bench_end *host = &b.end[HOST];

    bench_init(&b);
    bench_greet(&b);
    host->pair = vpc_pair_open(host->session, 1, 1000);
    bench_run(&b);
    vpc_pair_refused(b.end[GUEST].pair, 111);
    bench_collect(&b.end[GUEST]);
    vpc_pair_reset(host->pair, 104);
    bench_deliver(&b.end[GUEST], SIZE_MAX);
    cr_expect_null(host->pair, "it is released at once");
    cr_expect_eq(bench_collect(host), 0);
    bench_free(&b);
}

Test(rare, released_tells_what_was_delivered, .timeout = 20)
{
    struct bench b;
    struct bench_end *host = &b.end[HOST];
    vpc_frame frames[4];
    unsigned n, released = 0;

    read_sixty(&b);
    cr_assert(*vpc_pending(&host->pair->receiving) != 0, "no CREDIT waits");
    vpc_pair_reset(b.end[GUEST].pair, 104);
    bench_collect(&b.end[GUEST]);
    bench_deliver(&b.end[GUEST], SIZE_MAX);
    bench_collect(host);
    n = bench_frames(host, frames, 4);
    for (unsigned i = 0; i < n; i++) {
        cr_expect_neq(frames[i].type, VPC_CREDIT, "the peer took no more of it");
        if (frames[i].type == VPC_RELEASED && frames[i].channel == 2) {
            released++;
            cr_expect_eq(frames[i].offset, 60);
        }
    }
    cr_expect_eq(released, 1);
    bench_free(&b);
}

/* The place of a pair whose reader was gone is used again: the next one's bytes are not dropped. */
Test(rare, a_pair_inherits_nothing_of_the_one_before, .timeout = 20)
{
    struct bench b;
    struct bench_end *host = &b.end[HOST], *guest = &b.end[GUEST];
    const void *octets;

    bench_init(&b);
    host->config.max_pairs = guest->config.max_pairs = 1;
    bench_greet(&b);
    bench_open(&b, 1);
    vpc_pair_discard(host->pair);
    vpc_pair_reset(host->pair, 104);
    bench_run(&b);
    cr_assert_null(host->pair);
    bench_open(&b, 2);
    cr_assert_eq(vpc_pair_write(guest->pair, "bytes", 5), 5);
    bench_run(&b);
    cr_expect_eq(vpc_pair_read(host->pair, &octets), 5);
    bench_free(&b);
}

/* ---- memory --------------------------------------------------------------------------------------------------------------- */

Test(rare, the_memory_is_what_the_header_says, .timeout = 20)
{
    static const uint32_t sizes[] = {1, 300, 65536, 1u << 20};
    static const uint16_t pairs[] = {1, 2, 3, 16, 63, 64, 65, 1000, 4097, UINT16_MAX};

    for (size_t p = 0; p < sizeof(pairs) / sizeof(pairs[0]); p++)
        for (size_t w = 0; w < 4; w++)
            for (size_t s = 0; s < 4; s++) {
                vpc_session_config config = {
                    .max_pairs = pairs[p], .window = sizes[w], .send_buffer = sizes[s]};
                size_t size = vpc_session_size(&config);
                size_t bound = VPC_SESSION_BOUND(pairs[p], sizes[w], sizes[s]);

                cr_expect_leq(size, bound, "%u pairs", pairs[p]);
                cr_expect_leq(bound - size, 4096 + 64u * pairs[p], "%u pairs: a loose bound",
                              pairs[p]);
            }
}
