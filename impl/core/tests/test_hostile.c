/* SPDX-License-Identifier: MIT */
/* One endpoint against well-sealed frames of a peer that keeps no rule: what is logged, what is given back. */
#include "peer.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

TestSuite(hostile, .timeout = 60);

static struct rig rig;
static struct peer peer;

static void begin_host(void)
{
    rig_one(&rig, VPC_ROLE_HOST, "{\"max_pairs\": 4}");
    peer_begin(&peer, &rig.host);
    peer_join(&peer, true);
}

static void begin_guest(void)
{
    rig_one(&rig, VPC_ROLE_GUEST, "{\"max_pairs\": 4}");
    peer_begin(&peer, &rig.guest);
    peer_join(&peer, false);
}

static void end(void)
{
    rig_end(&rig);
}

/* A start that the peer, as a guest, may answer; its pair is the newest that the peer knows. */
static struct peer_pair *ask(const char *name)
{
    rig_ask_start(&rig, name, 80);
    peer_hear(&peer);
    return &peer.pairs[(peer.pair_count - 1) % PEER_PAIRS];
}

static struct peer_pair *open_pair(const char *name)
{
    struct peer_pair *pair = ask(name);

    peer_send(&peer, (vpc_frame){.type = VPC_OPENED, .channel = pair->h2g, .limit = 1000});
    json_decref(rig_answer(&rig.host, 1));
    rig_client(&rig, name);
    return pair;
}

/* ---- the log ---- */

/* LOG-2: a violation on a channel names its pair, though it ends the whole session. */
Test(hostile, a_violation_names_its_pair, .init = begin_host, .fini = end)
{
    struct peer_pair *pair = open_pair("a");

    peer_send(&peer, (vpc_frame){.type = VPC_OPENED, .channel = pair->h2g});
    expect(rig_log(&rig.host, "PROTOCOL_VIOLATION"),
           "frame=OPENED; channel=1; pipe=" PIPE("a") "; port=80; cause=*");
    expect(rig_log(&rig.host, "CHANNEL_CLOSED"), "cause=session lost");
    expect(rig_log(&rig.host, "SESSION_LOST"), "cause=protocol violation; pairs=1");
    expect(rig_log(&rig.host, "CHANNEL_NOT_READY"), "cause=protocol violation");
    cr_assert_eq(rig_logged(&rig.host, "PROTOCOL_VIOLATION"), 1);
    cr_assert_eq(rig_logged(&rig.host, "CHANNEL_CLOSED"), 1);
    cr_assert_eq(peer.seen[VPC_GOODBYE], 1);
}

Test(hostile, broken_credit_costs_the_pair_only, .init = begin_host, .fini = end)
{
    struct peer_pair *pair = open_pair("a"), *other = open_pair("b");

    peer_send(&peer, (vpc_frame){.type = VPC_CREDIT, .channel = pair->h2g, .limit = 999});
    expect(rig_log(&rig.host, "PROTOCOL_VIOLATION"), "frame=CREDIT; pipe=" PIPE("a") "; port=80");
    cr_assert_eq(rig_pipe(&rig, "a")->end, VPC_ACTION_ABORT);
    cr_assert_eq(peer.seen[VPC_RESET], 2);
    cr_assert_eq(peer.last.error, VPC_EPROTO);
    peer_send(&peer, (vpc_frame){.type = VPC_RELEASED, .channel = pair->h2g});
    peer_send(&peer, (vpc_frame){.type = VPC_RELEASED, .channel = pair->g2h});
    expect(rig_log(&rig.host, "CHANNEL_CLOSED"), "cause=protocol violation; errno=71");
    peer_send(&peer, (vpc_frame){.type = VPC_FIN, .channel = other->g2h});
    rig_settle(&rig);
    cr_assert(rig_pipe(&rig, "b")->shut);
    cr_assert(rig.host.in_session);
}

Test(hostile, error_numbers_are_shown_as_they_are, .init = begin_host, .fini = end)
{
    json_t *answer, *number;
    struct peer_pair *pair = ask("a");

    peer_send(&peer, (vpc_frame){.type = VPC_REFUSED, .channel = pair->h2g, .error = UINT32_MAX});
    answer = rig_answer(&rig.host, 1);
    number = json_object_get(json_object_get(answer, "error"), "errno");
    cr_assert_eq(json_integer_value(number), UINT32_MAX);
    json_decref(answer);
    expect(rig_log(&rig.host, "START_FAILED"), "errno=4294967295");
    pair = open_pair("b");
    peer_send(&peer, (vpc_frame){.type = VPC_RESET, .channel = pair->g2h, .error = 3000000000u});
    peer_send(&peer, (vpc_frame){.type = VPC_RELEASED, .channel = pair->h2g});
    expect(rig_log(&rig.host, "CHANNEL_CLOSED"), "cause=reset by guest; errno=3000000000");
}

Test(hostile, credit_without_bound_is_shown_as_a_number, .init = begin_host, .fini = end)
{
    struct peer_pair *pair = open_pair("a");
    json_t *value;

    peer_send(&peer, (vpc_frame){.type = VPC_CREDIT, .channel = pair->h2g, .limit = UINT64_MAX});
    value = rig_query(&rig.host, "query-devices");
    expect(json_array_get(json_object_get(value, "devices"), 0),
           "direction=h2g; credit=9223372036854775807; state=open; instance=1; class=VPCBus");
    json_decref(value);
}

Test(hostile, readiness_to_and_fro_fills_no_log, .init = begin_host, .fini = end)
{
    size_t before = json_array_size(rig.host.logs);

    for (unsigned i = 0; i < 1000 && rig.host.in_session; i++)
        peer_send(&peer, (vpc_frame){.type = VPC_READY, .ready = i & 1});
    cr_assert_not(rig.host.in_session);
    expect(rig_log(&rig.host, "PROTOCOL_VIOLATION"), "frame=READY; cause=SES-18: too many READY");
    cr_assert_lt(json_array_size(rig.host.logs) - before, 24);
}

Test(hostile, slow_readiness_is_no_violation, .init = begin_host, .fini = end)
{
    for (unsigned i = 0; i < 100; i++) {
        peer_send(&peer, (vpc_frame){.type = VPC_READY, .ready = i & 1});
        rig_advance(&rig, 100);
    }
    cr_assert(rig.host.in_session);
    cr_assert_eq(rig_logged(&rig.host, "CHANNEL_READY"), 51);
    cr_assert_eq(rig_logged(&rig.host, "CHANNEL_NOT_READY"), 50);
}

/* SES-10: sessions that a hostile peer ends at once come ever more seldom. */
Test(hostile, sessions_that_end_at_once_are_held_back, .init = begin_host, .fini = end)
{
    uint64_t end_at = rig.now + 60000;
    unsigned sessions = 0;

    while (rig.now < end_at) {
        peer_send(&peer, (vpc_frame){.type = VPC_FIN, .channel = 9});
        cr_assert_not(rig.host.in_session);
        vpc_parser_hunt(&peer.parser);
        peer.epoch++;
        peer.number = 0;
        for (unsigned i = 0; !rig.host.in_session; i++) {
            peer_hear(&peer);
            peer_hello(&peer, peer.their_epoch);
            if (!rig.host.in_session)
                rig_advance(&rig, 10);
        }
        vpc_parser_follow(&peer.parser, VPC_HOST);
        peer_hear(&peer);
        sessions++;
    }
    cr_assert_lt(sessions, 25, "%u sessions in a minute", sessions);
}

Test(hostile, a_mismatch_is_logged_once_with_both_ranges, .fini = end)
{
    rig_one(&rig, VPC_ROLE_HOST, NULL);
    peer_begin(&peer, &rig.host);
    peer.version_min = 512;
    peer.version_max = 770;
    for (unsigned i = 0; i < 50; i++)
        peer_join(&peer, false);
    cr_assert_eq(rig_logged(&rig.host, "REVISION_MISMATCH"), 1);
    expect(rig_log(&rig.host, "REVISION_MISMATCH"),
           "local_versions=1.0-1.0; peer_versions=2.0-3.2; peer=a peer; level=error");
    expect_error(rig_start(&rig, "a", 80), "class=ERROR_REVISION_MISMATCH");
}

/* ---- pairs ---- */

Test(hostile, a_guest_that_resets_before_it_answers, .init = begin_host, .fini = end)
{
    struct peer_pair *pair = ask("a");

    peer_send(&peer, (vpc_frame){.type = VPC_RESET, .channel = pair->g2h, .error = ECONNRESET});
    peer_send(&peer, (vpc_frame){.type = VPC_RELEASED, .channel = pair->h2g});
    expect_error(rig_answer(&rig.host, 1), "class=DISP_E_EXCEPTION; errno=104");
    cr_assert_eq(rig_logged(&rig.host, "START_FAILED"), 1);
    cr_assert_eq(rig_pipe(&rig, "a")->state, STREAM_ENDED);
    open_pair("a");
}

/* A RESET with 0 on the channel that nobody writes yet: the start must not wait for ever. */
Test(hostile, a_guest_that_resets_half_of_a_pair_and_falls_silent, .init = begin_host, .fini = end)
{
    struct peer_pair *pair = ask("a");

    peer_send(&peer, (vpc_frame){.type = VPC_RESET, .channel = pair->h2g, .error = 0});
    for (unsigned i = 0; i < 14; i++) {
        peer_send(&peer, (vpc_frame){.type = VPC_HEARTBEAT});
        rig_advance(&rig, 1000);
    }
    expect_error(rig_answer(&rig.host, 1), "class=ERROR_TIMEOUT; errno=110");
    cr_assert_eq(rig_logged(&rig.host, "START_FAILED"), 1);
}

Test(hostile, an_answer_that_comes_too_late, .init = begin_host, .fini = end)
{
    struct peer_pair *pair = ask("a");

    for (unsigned i = 0; i < 14; i++) {
        peer_send(&peer, (vpc_frame){.type = VPC_HEARTBEAT});
        rig_advance(&rig, 1000);
    }
    expect_error(rig_answer(&rig.host, 1), "class=ERROR_TIMEOUT");
    peer_hear(&peer);
    peer_send(&peer, (vpc_frame){.type = VPC_REFUSED, .channel = pair->h2g, .error = ETIMEDOUT});
    cr_assert(rig.host.in_session, "the RESET and the REFUSED have crossed");
    cr_assert_null(rig_answer(&rig.host, 1));
    cr_assert_eq(rig_logged(&rig.host, "START_FAILED"), 1);
    open_pair("a");
}

Test(hostile, a_host_that_opens_more_than_there_is_room_for, .init = begin_guest, .fini = end)
{
    for (uint32_t i = 0; i < 8; i++)
        peer_send(&peer, (vpc_frame){.type = VPC_OPEN,
                                     .channel = 2 * i + 1,
                                     .reverse_channel = 2 * i + 2,
                                     .port = 80,
                                     .connect_ms = 10});
    rig_settle(&rig);
    peer_hear(&peer);
    cr_assert_eq(peer.seen[VPC_OPENED], 4);
    cr_assert_eq(peer.seen[VPC_REFUSED], 4);
    cr_assert_eq(rig.guest.last_stream, 4);
    peer_send(&peer, (vpc_frame){.type = VPC_OPEN, .channel = 17, .reverse_channel = 18});
    cr_assert_eq(peer.last.error, VPC_ENOBUFS);
}

Test(hostile, port_0_is_refused, .init = begin_guest, .fini = end)
{
    peer_send(&peer, (vpc_frame){.type = VPC_OPEN, .channel = 1, .reverse_channel = 2});
    cr_assert_eq(peer.last.type, VPC_REFUSED);
    cr_assert_eq(peer.last.error, VPC_EINVAL);
    cr_assert_eq(rig.guest.last_stream, 0);
}

Test(hostile, a_reset_while_the_guest_connects, .init = begin_guest, .fini = end)
{
    json_t *stats;

    rig.guest.manual = true;
    peer_send(&peer, (vpc_frame){.type = VPC_OPEN, .channel = 1, .reverse_channel = 2, .port = 80});
    peer_send(&peer, (vpc_frame){.type = VPC_RESET, .channel = 1, .error = ETIMEDOUT});
    cr_assert_eq(rig_port(&rig, 80)->end, VPC_ACTION_ABORT);
    vpc_endpoint_abi_v1.stream_opened(rig.guest.ep, 1, 0); /* too late: nobody asks any more */
    rig_take(&rig.guest);
    peer_hear(&peer);
    cr_assert_eq(peer.seen[VPC_OPENED], 0);
    peer_send(&peer, (vpc_frame){.type = VPC_RELEASED, .channel = 2});
    cr_assert_eq(
        rig_logged(&rig.guest, "CHANNEL_OPENED") + rig_logged(&rig.guest, "CONNECT_FAILED"), 0);
    stats = rig_query(&rig.guest, "query-stats");
    expect(stats, "pairs_open=0");
    json_decref(stats);
}

/* ---- the octets ---- */

/* What a frame lent of one input is not looked at in the next. */
Test(hostile, padding_alone_behind_a_whole_frame, .init = begin_host, .fini = end)
{
    struct peer_pair *pair = open_pair("a");
    static uint8_t payload[40000];

    rig_pipe(&rig, "a")->may_read = 0;
    peer_send(&peer, (vpc_frame){.type = VPC_DATA,
                                 .channel = pair->g2h,
                                 .payload = payload,
                                 .payload_len = sizeof(payload)});
    for (unsigned i = 0; i < 3; i++)
        peer_octets(&peer, "\x16", 1);
    cr_assert(rig.host.in_session);
}
