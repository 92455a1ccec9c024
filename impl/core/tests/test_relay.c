/* SPDX-License-Identifier: MIT */
/* Pairs and their local programs: bytes, half-closes, ends, limits, and the endpoint's own stop. */
#include "core/direct.h"
#include "rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

TestSuite(relay, .timeout = 60);

static struct rig rig;

static void begin(void)
{
    rig_begin(&rig, NULL, NULL);
    rig_ready(&rig);
    rig_pair(&rig, "a", 80);
}

static void end(void)
{
    rig_end(&rig);
}

static struct stream *client(void)
{
    return rig_pipe(&rig, "a");
}

static struct stream *server(void)
{
    return rig_port(&rig, 80);
}

static void expect_devices(unsigned n)
{
    struct side *sides[] = {&rig.host, &rig.guest};

    for (unsigned i = 0; i < 2; i++) {
        json_t *value = rig_query(sides[i], "query-devices");

        cr_assert_eq(json_array_size(json_object_get(value, "devices")), n);
        json_decref(value);
    }
}

static void expect_closed(const struct side *side, const char *list)
{
    cr_assert_eq(rig_logged(side, "CHANNEL_CLOSED"), 1);
    cr_assert_eq(rig_events(side, "CHANNEL_CLOSED"), 1);
    expect(rig_log(side, "CHANNEL_CLOSED"), list);
}

/* ---- what the caller is told of (VPC_ACTION_WAKE) ---- */

/* It was told once of what is new, and is told no more of what it knows. */
static void expect_wake(struct side *side, unsigned wakes)
{
    unsigned before = side->wakes;

    rig_take(side);
    cr_assert_eq(side->wakes - before, wakes);
    rig_take(side);
    cr_assert_eq(side->wakes - before, wakes);
}

/* What the guest endpoint has for the bus, without a look at the streams. */
static void carry_to_host(void)
{
    const void *octets;
    size_t n = vpc_endpoint_abi_v1.bus_output(rig.guest.ep, &octets);

    cr_assert_gt(n, 0);
    vpc_endpoint_abi_v1.bus_input(rig.host.ep, octets, n);
    vpc_endpoint_abi_v1.bus_sent(rig.guest.ep, n);
}

Test(relay, octets_wake_the_stream_once_until_they_are_taken, .init = begin, .fini = end)
{
    client()->may_read = 0;
    rig.guest.wakes = rig.host.wakes = 0;
    rig_write(&rig.guest, server(), 10);
    rig_write(&rig.guest, server(), 10);
    cr_assert_eq(rig.host.wakes, 1);
    cr_assert_eq(rig.guest.wakes, 0);
    client()->may_read = 20;
    rig_settle(&rig);
    rig_write(&rig.guest, server(), 10);
    cr_assert_eq(rig.host.wakes, 2);
}

Test(relay, who_asks_before_it_is_told_is_not_told, .init = begin, .fini = end)
{
    struct stream *stream = client();
    const void *octets;

    vpc_endpoint_abi_v1.stream_input(rig.guest.ep, server()->id, "x", 1);
    expect_wake(&rig.guest, 0);
    carry_to_host();
    cr_assert_eq(vpc_endpoint_abi_v1.stream_output(rig.host.ep, stream->id, &octets), 1);
    expect_wake(&rig.host, 0);
    vpc_endpoint_abi_v1.stream_sent(rig.host.ep, stream->id, 1);
}

Test(relay, room_wakes_the_stream_when_it_was_full, .init = begin, .fini = end)
{
    rig.blocked = true;
    rig.host.wakes = 0;
    rig_write(&rig.host, client(), 10000000);
    cr_assert(client()->no_room);
    cr_assert_eq(rig.host.wakes, 1); /* the first frames are drawn up before the bus takes any */
    rig.blocked = false;
    rig_settle(&rig);
    cr_assert_eq(server()->read, 10000000);
}

Test(relay, a_pair_that_opens_wakes_the_stream, .fini = end)
{
    rig_begin(&rig, NULL, NULL);
    rig_ready(&rig);
    rig_ask_start(&rig, "a", 80);
    rig_client(&rig, "a");
    cr_assert_eq(rig.host.wakes, 1);
    cr_assert_eq(rig.guest.wakes, 1);
}

Test(relay, what_is_lost_again_wakes_nobody, .init = begin, .fini = end)
{
    client()->may_read = 0;
    rig.blocked = true;
    rig_write(&rig.guest, server(), 10);
    carry_to_host();
    vpc_endpoint_abi_v1.stream_gone(rig.host.ep, client()->id, ECONNRESET);
    expect_wake(&rig.host, 0);
}

/* ---- octets without a copy (direct.h) ---- */

/* A program that writes 10 MB straight into the ring, and one that takes whole pieces. */
Test(relay, octets_go_where_they_lie, .init = begin, .fini = end)
{
    struct iovec piece[2];
    const size_t all = 10000000;
    size_t written = 0, read = 0;
    uint8_t next_out = 0, next_in = 0;

    client()->may_read = server()->may_read = 0;
    while (read < all) {
        unsigned n = vpc_endpoint_stream_space(rig.host.ep, client()->id, piece);
        size_t filled = 0;

        for (unsigned i = 0; i < n; i++)
            for (size_t j = 0; j < piece[i].iov_len && written + filled < all; j++, filled++)
                ((uint8_t *)piece[i].iov_base)[j] = next_out++;
        vpc_endpoint_stream_filled(rig.host.ep, client()->id, filled);
        written += filled;
        rig_take(&rig.host);
        rig_settle(&rig);
        n = vpc_endpoint_stream_pieces(rig.guest.ep, server()->id, piece);
        cr_assert(n > 0 || filled > 0, "nothing moves");
        for (unsigned i = 0; i < n; i++) {
            for (size_t j = 0; j < piece[i].iov_len; j++)
                cr_assert_eq(((uint8_t *)piece[i].iov_base)[j], next_in++);
            read += piece[i].iov_len;
        }
        if (n > 0)
            vpc_endpoint_abi_v1.stream_sent(rig.guest.ep, server()->id,
                                            piece[0].iov_len + (n > 1 ? piece[1].iov_len : 0));
        rig_take(&rig.guest);
        rig_settle(&rig);
    }
    cr_assert_eq(written, all);
}

Test(relay, a_stream_that_is_not_there_has_no_pieces, .init = begin, .fini = end)
{
    struct iovec piece[2];

    cr_assert_eq(vpc_endpoint_stream_space(rig.host.ep, 99, piece), 0);
    cr_assert_eq(vpc_endpoint_stream_pieces(rig.host.ep, 99, piece), 0);
    vpc_endpoint_stream_filled(rig.host.ep, 99, 10);
    vpc_endpoint_abi_v1.stream_eof(rig.host.ep, client()->id);
    cr_assert_eq(vpc_endpoint_stream_space(rig.host.ep, client()->id, piece), 0);
    vpc_endpoint_stream_filled(rig.host.ep, client()->id, 10);
    rig_settle(&rig);
    cr_assert_eq(server()->read, 0);
}

/* ---- the good ends ---- */

Test(relay, hello_both_ways_then_closed, .init = begin, .fini = end)
{
    rig_write(&rig.host, client(), 12);
    rig_write(&rig.guest, server(), 34);
    cr_assert_eq(server()->read, 12);
    cr_assert_eq(client()->read, 34);
    expect_devices(2);
    rig_finish(&rig.host, client());
    cr_assert(server()->shut);
    rig_finish(&rig.guest, server());
    cr_assert_eq(client()->end, VPC_ACTION_CLOSE);
    cr_assert_eq(server()->end, VPC_ACTION_CLOSE);
    expect_closed(&rig.host, "cause=closed; errno=-; level=info; pipe=" PIPE(
                                 "a") "; port=80; "
                                      "sent=12; received=34; h2g=1; g2h=2");
    expect_closed(&rig.guest,
                  "cause=closed; errno=-; level=info; pipe=-; port=80; sent=34; received=12");
    expect_devices(0);
}

Test(relay, half_close_by_the_host_program, .init = begin, .fini = end)
{
    rig_finish(&rig.host, client());
    cr_assert(server()->shut);
    rig_write(&rig.guest, server(), 100000);
    rig_advance(&rig, 60000);
    rig_write(&rig.guest, server(), 1);
    cr_assert_eq(client()->read, 100001, "the reply comes whole, however late");
    rig_finish(&rig.guest, server());
    expect_closed(&rig.host, "cause=closed; sent=0; received=100001");
}

Test(relay, half_close_by_the_guest_program, .init = begin, .fini = end)
{
    rig_finish(&rig.guest, server());
    cr_assert(client()->shut);
    rig_write(&rig.host, client(), 100000);
    rig_advance(&rig, 60000);
    rig_write(&rig.host, client(), 1);
    cr_assert_eq(server()->read, 100001);
    rig_finish(&rig.host, client());
    expect_closed(&rig.guest, "cause=closed; sent=0; received=100001");
}

Test(relay, the_last_bytes_come_before_the_end, .init = begin, .fini = end)
{
    server()->may_read = 10;
    rig_write(&rig.host, client(), 1000000);
    rig_finish(&rig.host, client());
    rig_finish(&rig.guest, server());
    cr_assert_not(server()->shut);
    rig_advance(&rig, 9000);
    server()->may_read = UINT64_MAX;
    rig_settle(&rig);
    cr_assert_eq(server()->read, 1000000);
    cr_assert(server()->shut);
    expect_closed(&rig.host, "cause=closed; sent=1000000");
}

Test(relay, bytes_that_came_before_the_pipe_was_opened, .fini = end)
{
    rig_begin(&rig, NULL, NULL);
    rig_ready(&rig);
    rig_ask_start(&rig, "a", 80);
    rig_write(&rig.guest, server(), 500);
    rig_finish(&rig.guest, server());
    cr_assert_eq(client()->state, STREAM_LISTENING);
    rig_client(&rig, "a");
    cr_assert_eq(client()->read, 500);
    cr_assert(client()->shut);
    cr_assert_eq(rig_logged(&rig.host, "PIPE_CONNECTED"), 1);
    expect(rig_log(&rig.host, "PIPE_CONNECTED"), "pipe=" PIPE("a") "; port=80");
}

/* ---- the client is wholly gone (CLS-6) ---- */

Test(relay, a_client_gone_with_bytes_in_flight_both_ways, .init = begin, .fini = end)
{
    server()->may_read = 0;
    client()->may_read = 0;
    rig_write(&rig.host, client(), 100000);
    rig_write(&rig.guest, server(), 10000000);
    rig_gone(&rig.host, client(), 0);
    cr_assert_eq(server()->state, STREAM_LIVE);
    server()->may_read = UINT64_MAX;
    rig_settle(&rig);
    cr_assert_eq(server()->read, 100000, "what it wrote is delivered");
    cr_assert_eq(server()->state, STREAM_ENDED,
                 "and the pair is over, though the server writes on");
    expect_closed(&rig.host, "cause=closed; sent=100000");
    expect_devices(0);
}

Test(relay, a_client_gone_while_the_server_says_no_more, .init = begin, .fini = end)
{
    rig_gone(&rig.host, client(), 0);
    cr_assert_eq(client()->end, VPC_ACTION_CLOSE);
    cr_assert_neq(server()->end, 0);
    expect_closed(&rig.host, "cause=closed");
    expect_devices(0);
    rig_pair(&rig, "a", 81);
}

Test(relay, a_client_that_dies_is_a_reset_in_the_guest, .init = begin, .fini = end)
{
    rig_gone(&rig.host, client(), ECONNRESET);
    cr_assert_eq(client()->end, VPC_ACTION_ABORT);
    cr_assert_eq(server()->end, VPC_ACTION_ABORT);
    expect_closed(&rig.host, "cause=local program; errno=104; level=warning");
    expect_closed(&rig.guest, "cause=reset by host; errno=104; level=warning");
}

Test(relay, a_guest_program_that_dies_ends_the_pipe, .init = begin, .fini = end)
{
    client()->may_read = 0;
    rig_write(&rig.guest, server(), 1000);
    rig_gone(&rig.guest, server(), ECONNRESET);
    cr_assert_eq(client()->end, VPC_ACTION_ABORT);
    expect_closed(&rig.guest, "cause=local program; errno=104; sent=1000");
    expect_closed(&rig.host, "cause=reset by guest; errno=104; received=1000");
    expect_devices(0);
}

/* The OPENED still waits for the bus when the program dies: the pair fails, not the session. */
Test(relay, a_guest_program_that_dies_at_once, .fini = end)
{
    rig_begin(&rig, NULL, NULL);
    rig_ready(&rig);
    rig_pair(&rig, "other", 79);
    rig.guest.manual = true;
    rig_ask_start(&rig, "a", 80);
    rig.blocked = true;
    rig_write(&rig.guest, rig_port(&rig, 79), 300000); /* so that the bus is busy */
    server()->state = STREAM_LIVE;
    vpc_endpoint_abi_v1.stream_opened(rig.guest.ep, server()->id, 0);
    rig_take(&rig.guest);
    rig_gone(&rig.guest, server(), ECONNRESET);
    rig.blocked = false;
    rig_settle(&rig);
    /* It did accept: the channel was open, and was reset. */
    expect_return(rig_answer(&rig.host, 1), "port=80");
    cr_assert_eq(rig_logged(&rig.host, "SESSION_LOST"), 0);
    cr_assert_eq(rig_pipe(&rig, "other")->read, 300000);
    cr_assert_eq(rig_logged(&rig.host, "CHANNEL_CLOSED"), 1);
    expect_devices(2);
}

/* ---- limits ---- */

Test(relay, a_pipe_that_nobody_opens, .fini = end)
{
    rig_begin(&rig, "{\"pipe_open_ms\": 700}", NULL);
    rig_ready(&rig);
    rig_ask_start(&rig, "a", 80);
    rig_advance(&rig, 699);
    cr_assert_eq(client()->state, STREAM_LISTENING);
    rig_advance(&rig, 1);
    cr_assert_eq(client()->state, STREAM_ENDED);
    cr_assert_eq(rig_logged(&rig.host, "PIPE_UNUSED"), 1);
    expect(rig_log(&rig.host, "PIPE_UNUSED"), "pipe=" PIPE("a") "; port=80; cause=*");
    expect_closed(&rig.host, "cause=pipe unused; errno=110; level=warning");
    expect_closed(&rig.guest, "cause=reset by host; errno=110");
    rig_pair(&rig, "a", 81);
}

/* ---- stop of a pair (API-14) ---- */

static void say_stop(const char *name, int id)
{
    char line[200];

    snprintf(line, sizeof(line),
             "{\"execute\": \"stop\", \"id\": %d, \"arguments\": {\"pipe\": "
             "\"\\\\\\\\.\\\\pipe\\\\%s\"}}",
             id, name);
    rig_say(&rig.host, 5, line);
}

Test(relay, stop_ends_it_as_if_the_client_had_gone, .init = begin, .fini = end)
{
    server()->may_read = 0;
    rig_write(&rig.host, client(), 1000);
    say_stop("A", 1);
    cr_assert_null(rig_answer(&rig.host, 5), "the answer comes with the release");
    server()->may_read = UINT64_MAX;
    rig_settle(&rig);
    cr_assert_eq(server()->read, 1000);
    expect_return(rig_answer(&rig.host, 5), "");
    cr_assert_eq(client()->end, VPC_ACTION_CLOSE);
    expect_closed(&rig.host, "cause=stopped; errno=-; level=info");
}

Test(relay, stop_sends_what_the_client_wrote_before, .init = begin, .fini = end)
{
    server()->may_read = 0;
    rig_write(&rig.host, client(), 1000000); /* more than there is room for */
    say_stop("a", 1);
    cr_assert_lt(client()->written, 1000000);
    server()->may_read = UINT64_MAX;
    rig_settle(&rig);
    cr_assert_eq(server()->read, 1000000);
    expect_return(rig_answer(&rig.host, 5), "");
    expect_closed(&rig.host, "cause=stopped; sent=1000000; level=info");
}

Test(relay, stop_waits_for_a_guest_that_reads_nothing_until_the_limit, .init = begin, .fini = end)
{
    server()->may_read = 0;
    rig_write(&rig.host, client(), 1000000);
    say_stop("a", 1);
    rig_advance(&rig, 10001);
    expect_return(rig_answer(&rig.host, 5), "");
    expect_closed(&rig.host, "cause=drain timeout; errno=110; level=warning");
}

Test(relay, stop_of_what_can_not_be_stopped, .init = begin, .fini = end)
{
    say_stop("nobody", 1);
    expect_error(rig_answer(&rig.host, 5), "class=E_POINTER");
    server()->may_read = 0;
    rig_write(&rig.host, client(), 1);
    say_stop("a", 2);
    say_stop("a", 3);
    expect_error(rig_answer(&rig.host, 5), "class=E_POINTER");
    rig.guest.manual = true;
    rig_ask_start(&rig, "b", 81);
    say_stop("b", 4);
    expect_error(rig_answer(&rig.host, 5), "class=E_POINTER");
    rig_say(&rig.host, 5, "{\"execute\": \"stop\"}");
    expect_error(rig_answer(&rig.host, 5), "class=E_POINTER");
    rig_say(&rig.host, 5, "{\"execute\": \"stop\", \"arguments\": {\"pipe\": 7}}");
    expect_error(rig_answer(&rig.host, 5), "class=GenericError");
    server()->may_read = 1;
    rig_settle(&rig);
    expect_return(rig_answer(&rig.host, 5), "");
    cr_assert_null(rig_answer(&rig.host, 5));
}

Test(relay, stop_of_a_pipe_that_nobody_opened, .fini = end)
{
    rig_begin(&rig, "{\"pipe_open_ms\": 500}", NULL);
    rig_ready(&rig);
    rig_ask_start(&rig, "a", 80);
    rig_write(&rig.guest, server(), 10);
    server()->may_read = 0;
    say_stop("a", 1);
    rig_advance(&rig, 1000);
    cr_assert_eq(rig_logged(&rig.host, "PIPE_UNUSED"), 0);
    expect_return(rig_answer(&rig.host, 5), "");
    expect_closed(&rig.host, "cause=stopped");
}

Test(relay, a_stop_that_does_not_drain_is_no_good_end, .init = begin, .fini = end)
{
    server()->may_read = 0;
    rig_write(&rig.host, client(), 1000);
    say_stop("a", 1);
    rig_advance(&rig, 10001);
    expect_return(rig_answer(&rig.host, 5), "");
    expect_closed(&rig.host, "cause=drain timeout; errno=110; level=warning");
}

Test(relay, a_stop_whose_asker_vanished, .init = begin, .fini = end)
{
    server()->may_read = 0;
    rig_write(&rig.host, client(), 1000);
    say_stop("a", 1);
    vpc_endpoint_abi_v1.control_close(rig.host.ep, 5);
    rig_take(&rig.host);
    server()->may_read = UINT64_MAX;
    rig_settle(&rig);
    cr_assert_null(rig_answer(&rig.host, 5));
    expect_closed(&rig.host, "cause=stopped");
}

/* ---- stop of an endpoint ---- */

static void stop(struct side *side, uint64_t limit_ms)
{
    vpc_endpoint_abi_v1.stop(side->ep, limit_ms);
    rig_take(side);
    rig_settle(&rig);
}

Test(relay, an_endpoint_that_stops_drains_first, .init = begin, .fini = end)
{
    server()->may_read = 0;
    rig_write(&rig.host, client(), 1000);
    stop(&rig.host, 5000);
    cr_assert_eq(rig.host.stopped, 0);
    server()->may_read = UINT64_MAX;
    rig_settle(&rig);
    cr_assert_eq(server()->read, 1000);
    rig_finish(&rig.guest, server());
    cr_assert_eq(rig.host.stopped, 1);
    expect_closed(&rig.host, "cause=closed");
    cr_assert_eq(rig_logged(&rig.host, "ENDPOINT_STOPPED"), 1);
    cr_assert_eq(rig.host.ready, 0);
    expect(rig_log(&rig.guest, "SESSION_LOST"), "cause=goodbye; pairs=0");
}

Test(relay, an_endpoint_that_stops_waits_no_longer_than_its_limit, .init = begin, .fini = end)
{
    stop(&rig.host, 5000);
    rig_advance(&rig, 4999);
    cr_assert_eq(rig.host.stopped, 0);
    rig_advance(&rig, 1);
    cr_assert_eq(rig.host.stopped, 1);
    expect_closed(&rig.host, "cause=stopped; level=info");
    expect_closed(&rig.guest, "cause=session lost; level=warning");
    cr_assert_eq(server()->end, VPC_ACTION_ABORT);
}

Test(relay, a_second_stop_makes_the_limit_shorter, .init = begin, .fini = end)
{
    stop(&rig.host, 5000);
    stop(&rig.host, 60000);
    rig_advance(&rig, 4000);
    cr_assert_eq(rig.host.stopped, 0);
    stop(&rig.host, 0);
    cr_assert_eq(rig.host.stopped, 1);
    expect_closed(&rig.host, "cause=stopped; level=info");
    expect(rig_log(&rig.guest, "SESSION_LOST"), "cause=goodbye");
    cr_assert_eq(server()->end, VPC_ACTION_ABORT);
}

Test(relay, a_stop_without_limit_never_overflows, .init = begin, .fini = end)
{
    stop(&rig.host, UINT64_MAX);
    rig_advance(&rig, 20000);
    cr_assert_eq(rig.host.stopped, 0);
}

Test(relay, the_guest_endpoint_stops, .init = begin, .fini = end)
{
    rig.guest.manual = true;
    rig_ask_start(&rig, "b", 81);
    stop(&rig.guest, 5000);
    cr_assert_eq(rig.host.ready, 0);
    expect(rig_log(&rig.host, "CHANNEL_NOT_READY"), "cause=the guest endpoint is not ready");
    rig.guest.manual = false;
    rig_settle(&rig); /* the connect under way succeeds: it ends in the same way */
    rig_finish(&rig.host, client());
    rig_gone(&rig.host, rig_pipe(&rig, "b"), 0);
    rig_client(&rig, "b");
    rig_gone(&rig.host, rig_pipe(&rig, "b"), 0);
    cr_assert_eq(rig.guest.stopped, 1);
    expect(rig_log(&rig.host, "SESSION_LOST"), "cause=goodbye; pairs=0");
}

Test(relay, an_endpoint_stops_though_its_bus_is_stuck, .init = begin, .fini = end)
{
    rig.blocked = true;
    rig_write(&rig.host, client(), 100000);
    stop(&rig.host, 300);
    rig_advance(&rig, 3000);
    cr_assert_eq(rig.host.stopped, 1);
    rig_bus(&rig, false); /* nothing comes after STOPPED: the rig watches */
    rig_say(&rig.host, 1, "{\"execute\": \"query-vm\"}");
}

Test(relay, an_endpoint_stops_without_a_bus, .fini = end)
{
    rig_begin(&rig, NULL, NULL);
    stop(&rig.host, 1000);
    cr_assert_eq(rig.host.stopped, 1);
    stop(&rig.guest, 1000);
    cr_assert_eq(rig.guest.stopped, 1, "no host has a use for its entries");
    rig_bus(&rig, true);
    rig_bus(&rig, false);
    cr_assert_eq(rig_logged(&rig.host, "TRANSPORT_UP") + rig_logged(&rig.host, "TRANSPORT_DOWN"),
                 0);
}

/* ---- flow ---- */

static void transfer(const char *options, uint64_t seed, uint64_t n)
{
    rig_begin(&rig, options, options);
    rig_ready(&rig);
    rig_pair(&rig, "a", 80);
    rig.seed = seed;
    rig_write(&rig.host, client(), n);
    rig_write(&rig.guest, server(), n / 2);
    rig_finish(&rig.host, client());
    rig_finish(&rig.guest, server());
    cr_assert_eq(server()->read, n, "seed %llu", (unsigned long long)seed);
    cr_assert_eq(client()->read, n / 2, "seed %llu", (unsigned long long)seed);
    cr_assert_eq(client()->end, VPC_ACTION_CLOSE);
    expect_closed(&rig.host, "cause=closed");
    rig_end(&rig);
}

Test(relay, windows_of_one_byte)
{
    transfer("{\"window\": 1}", 0, 2000);
    transfer("{\"window\": 2}", 7, 2000);
    transfer("{\"window\": 3}", 7, 2000);
}

Test(relay, transfers_far_beyond_the_windows_in_random_pieces)
{
    for (uint64_t seed = 1; seed <= 10; seed++)
        transfer("{\"window\": 5000}", seed, 300000);
    transfer("{}", 99, 5000000);
}

Test(relay, a_slow_reader_holds_up_nobody_else, .init = begin, .fini = end)
{
    rig_pair(&rig, "b", 81);
    server()->may_read = 1;
    rig_write(&rig.host, client(), 3000000);
    rig_write(&rig.host, rig_pipe(&rig, "b"), 3000000);
    cr_assert_eq(rig_port(&rig, 81)->read, 3000000);
    cr_assert_lt(client()->written, 3000000, "and its own writer is held back");
    server()->may_read = UINT64_MAX;
    rig_settle(&rig);
    cr_assert_eq(server()->read, 3000000);
}

/* ---- the session ends ---- */

static size_t place_of(const json_t *logs, const char *name)
{
    for (size_t i = json_array_size(logs); i-- > 0;)
        if (strcmp(json_string_value(json_object_get(json_array_get(logs, i), "name")), name) == 0)
            return i;
    cr_assert_fail("there is no %s", name);
    return 0;
}

Test(relay, a_cause_is_logged_before_what_it_causes, .init = begin, .fini = end)
{
    static const char *const order[] = {"TRANSPORT_DOWN", "CHANNEL_CLOSED", "SESSION_LOST",
                                        "CHANNEL_NOT_READY"};

    rig_bus(&rig, false);
    for (size_t i = 1; i < sizeof(order) / sizeof(order[0]); i++)
        cr_expect_lt(place_of(rig.host.logs, order[i - 1]), place_of(rig.host.logs, order[i]),
                     "%s before %s", order[i - 1], order[i]);
}

Test(relay, the_machine_stops_in_mid_transfer, .init = begin, .fini = end)
{
    server()->may_read = 0;
    client()->may_read = 0;
    rig_write(&rig.host, client(), 100);
    rig_write(&rig.guest, server(), 200);
    rig_bus(&rig, false);
    cr_assert_eq(client()->end, VPC_ACTION_ABORT);
    cr_assert_eq(server()->end, VPC_ACTION_ABORT);
    expect_closed(&rig.host, "cause=session lost; sent=100; received=200; level=warning");
    expect_closed(&rig.guest, "cause=session lost; sent=200; received=100; level=warning");
    cr_assert_eq(rig_logged(&rig.host, "SESSION_LOST"), 1);
    expect(rig_log(&rig.host, "SESSION_LOST"), "cause=transport down; pairs=1");
    rig_bus(&rig, true);
    rig_pair(&rig, "a", 81);
    rig_write(&rig.host, client(), 5);
    cr_assert_eq(rig_port(&rig, 81)->read, 5, "no stale byte");
}

Test(relay, a_silent_peer_ends_it, .init = begin, .fini = end)
{
    rig.blocked = true;
    rig_advance(&rig, 30001);
    expect_closed(&rig.host, "cause=session lost");
    expect(rig_log(&rig.host, "SESSION_LOST"), "cause=peer silent; pairs=1");
    cr_assert_eq(rig_logged(&rig.host, "HEARTBEAT_LATE"), 1);
    expect(rig_log(&rig.host, "HEARTBEAT_LATE"), "silent_ms=3000");
    cr_assert_eq(rig.host.ready, 0);
    rig.blocked = false;
    rig_advance(&rig, 2000);
    cr_assert_eq(rig.host.ready, 1);
    rig_pair(&rig, "a", 81);
}

static void expect_missing(const char *text)
{
    json_t *answer = rig_query(&rig.host, "query-vm");

    cr_assert_str_eq(json_string_value(json_object_get(answer, "missing")), text);
    json_decref(answer);
}

Test(relay, a_late_peer_is_not_ready_until_it_is_heard, .init = begin, .fini = end)
{
    rig.blocked = true;
    rig_advance(&rig, 5000);
    cr_assert_eq(rig.host.ready, 0);
    expect(rig_log(&rig.host, "CHANNEL_NOT_READY"), "cause=heartbeat late; tag=TAG-1");
    rig_ask_start(&rig, "b", 81);
    expect(rig_log(&rig.host, "START_FAILED"),
           "result=ERROR_NOT_READY; hresult=*; pipe=" PIPE(
               "b") "; port=81; cause=the guest endpoint is silent: its "
                    "heartbeats are late");
    expect_missing("the other endpoint is silent (see HEARTBEAT_LATE in the event log)");
    rig.blocked = false;
    rig_settle(&rig);
    cr_assert_eq(rig.host.ready, 1);
    cr_assert_eq(rig_logged(&rig.host, "HEARTBEAT_RESUMED"), 1);
    expect_missing("");
    cr_assert_eq(client()->state, STREAM_LIVE);
    cr_assert_str_eq(rig.host.ready_name, "Local\\TAG-1_ChannelReady");
}
