/* SPDX-License-Identifier: MIT */
/* The guest's log entries on their way to the host's log (LOG-6 to LOG-9): order, rates, what is lost is counted. */
#include "peer.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(guestlog, .timeout = 20);

static struct rig rig;
static struct peer peer;

static void end(void)
{
    rig_end(&rig);
}

static void both(void)
{
    rig_begin(&rig, NULL, NULL);
    rig_ready(&rig);
}

static void host_alone(void)
{
    rig_one(&rig, VPC_ROLE_HOST, NULL);
    peer_begin(&peer, &rig.host);
    peer_join(&peer, true);
}

static void guest_alone(void)
{
    rig_one(&rig, VPC_ROLE_GUEST, NULL);
    peer_begin(&peer, &rig.guest);
}

/* Each entry of the guest stands in the host's log, in the same order, with the same id. */
static void expect_same_entries(void)
{
    size_t n = json_array_size(rig.guest.logs);

    cr_assert_eq(json_array_size(rig.host.guest_logs), n);
    for (size_t i = 0; i < n; i++) {
        const json_t *ours = json_array_get(rig.guest.logs, i);
        const json_t *theirs = json_array_get(rig.host.guest_logs, i);

        cr_expect(json_equal(json_object_get(ours, "id"), json_object_get(theirs, "id")), "%zu", i);
        cr_expect(json_equal(json_object_get(ours, "time"), json_object_get(theirs, "guest_time")));
        cr_expect(json_equal(json_object_get(ours, "level"), json_object_get(theirs, "level")));
        cr_expect_eq(json_integer_value(json_object_get(ours, "errno")),
                     json_integer_value(json_object_get(theirs, "errno")));
    }
}

Test(guestlog, the_host_has_what_the_guest_has, .init = both, .fini = end)
{
    rig_pair(&rig, "one", 6174);
    rig_finish(&rig.host, rig_pipe(&rig, "one"));
    rig_finish(&rig.guest, rig_port(&rig, 6174));
    rig_gone(&rig.host, rig_pipe(&rig, "one"), 0);
    rig.guest.connect_error = 111;
    json_decref(rig_start(&rig, "two", 6175));
    rig_advance(&rig, 2000);
    expect_same_entries();
    cr_expect_eq(rig_logged(&rig.host, "EVENTS_LOST"), 0);
}

/* ---- the outbox ---- */

/* Entries without a session: the transport comes and goes. */
static void toggle_bus(unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        rig_bus(&rig, true);
        rig_bus(&rig, false);
        rig_advance(&rig, 11000); /* so that LOG-9 leaves none out */
    }
}

Test(guestlog, the_last_64_wait_and_the_others_are_counted, .init = guest_alone, .fini = end)
{
    size_t logged;

    toggle_bus(50);
    logged = json_array_size(rig.guest.logs);
    peer_join(&peer, false);
    cr_assert_eq(peer.seen[VPC_EVENT], 32, "so many within one second");
    rig_advance(&rig, 999);
    peer_hear(&peer);
    cr_assert_eq(peer.seen[VPC_EVENT], 32);
    rig_advance(&rig, 1);
    peer_hear(&peer);
    cr_assert_eq(peer.seen[VPC_EVENT], 64);
    /* 2 more since: TRANSPORT_UP and SESSION_UP; the first EVENT told what was given up */
    cr_expect_eq(json_array_size(rig.guest.logs), logged + 2);
}

Test(guestlog, a_bus_that_takes_nothing_wakes_nobody, .init = guest_alone, .fini = end)
{
    toggle_bus(50);
    peer_join(&peer, false);
    rig.guest.mute = true;
    rig_advance(&rig, 1500);
    /* what waits for the bus waits for no time: only heartbeats and silence are due */
    cr_expect_geq(vpc_endpoint_abi_v1.deadline(rig.guest.ep), rig.now);
}

/* ---- the host ---- */

static void send_events(unsigned n, uint32_t lost)
{
    for (unsigned i = 0; i < n; i++)
        peer_send(&peer, (vpc_frame){.type = VPC_EVENT, .event = 1016, .time = i, .lost = lost});
}

Test(guestlog, of_a_flood_the_host_writes_64_a_second, .init = host_alone, .fini = end)
{
    send_events(1000, 0);
    cr_assert_eq(json_array_size(rig.host.guest_logs), 64);
    cr_assert_eq(rig_logged(&rig.host, "EVENTS_LOST"), 0);
    rig_advance(&rig, 1000);
    cr_assert_eq(rig_logged(&rig.host, "EVENTS_LOST"), 1);
    expect(rig_log(&rig.host, "EVENTS_LOST"), "count=936; cause=too many at once; level=warning");
    send_events(1, 0);
    cr_assert_eq(json_array_size(rig.host.guest_logs), 65);
}

Test(guestlog, what_a_session_left_out_is_told_at_its_end, .init = host_alone, .fini = end)
{
    send_events(70, 0);
    rig_bus(&rig, false);
    expect(rig_log(&rig.host, "EVENTS_LOST"), "count=6; cause=too many at once");
}

Test(guestlog, counts_of_a_liar_do_not_run_over, .init = host_alone, .fini = end)
{
    send_events(64, 0);
    send_events(3, UINT32_MAX);
    rig_advance(&rig, 1000);
    expect(rig_log(&rig.host, "EVENTS_LOST"), "count=12884901888");
}

Test(guestlog, every_id_and_the_texts_of_a_stranger, .init = host_alone, .fini = end)
{
    for (uint32_t id = 990; id < 1050; id++) {
        peer_send(&peer, (vpc_frame){.type = VPC_EVENT,
                                     .event = id,
                                     .level = (uint8_t)(id % 3),
                                     .h2g = id,
                                     .sent = UINT64_MAX,
                                     .time = UINT64_MAX,
                                     .cause_text = "</cause> \"\\",
                                     .detail = "99999999999999999999999999999999"});
        rig_advance(&rig, 100);
    }
    cr_expect_eq(json_array_size(rig.host.guest_logs), 60);
    cr_expect_eq(rig_logged(&rig.host, "PROTOCOL_VIOLATION"), 0);
}

/* ---- too many of one id (LOG-9) ---- */

Test(guestlog, the_hundred_and_first_of_an_id_is_counted, .init = guest_alone, .fini = end)
{
    for (unsigned i = 0; i < 150; i++) {
        rig_bus(&rig, true);
        rig_bus(&rig, false);
    }
    cr_assert_eq(rig_logged(&rig.guest, "TRANSPORT_UP"), 100);
    cr_assert_eq(rig_logged(&rig.guest, "EVENTS_SUPPRESSED"), 0);
    rig_advance(&rig, 9999);
    cr_assert_eq(rig_logged(&rig.guest, "EVENTS_SUPPRESSED"), 0);
    rig_advance(&rig, 1);
    cr_assert_eq(rig_logged(&rig.guest, "EVENTS_SUPPRESSED"), 2, "of TRANSPORT_UP, TRANSPORT_DOWN");
    expect(rig_log(&rig.guest, "EVENTS_SUPPRESSED"), "count=50; event_id=1003");
    rig_bus(&rig, true);
    cr_expect_eq(rig_logged(&rig.guest, "TRANSPORT_UP"), 101);
}
