/* SPDX-License-Identifier: MIT */
/* The limit of CLS-8 while a pair ends: what it counts from, what is progress, and what it never ends (CLS-13). */
#include "rig.h"

#include <criterion/criterion.h>

TestSuite(drain, .timeout = 60);

static struct rig rig;

static void begin_with(const char *host, const char *guest)
{
    rig_begin(&rig, host, guest);
    rig_ready(&rig);
    rig_pair(&rig, "a", 80);
}

static void begin(void)
{
    begin_with(NULL, NULL);
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

static void expect_closed(const struct side *side, const char *list)
{
    cr_assert_eq(rig_logged(side, "CHANNEL_CLOSED"), 1);
    expect(rig_log(side, "CHANNEL_CLOSED"), list);
}

static void expect_no_timeout(void)
{
    cr_assert_eq(rig_logged(&rig.host, "DRAIN_TIMEOUT"), 0);
    cr_assert_eq(rig_logged(&rig.guest, "DRAIN_TIMEOUT"), 0);
}

Test(drain, timeout_at_the_host, .init = begin, .fini = end)
{
    server()->may_read = 0;
    rig_write(&rig.host, client(), 1000);
    rig_gone(&rig.host, client(), 0);
    rig_advance(&rig, 9999);
    cr_assert_eq(rig_logged(&rig.host, "DRAIN_TIMEOUT"), 0);
    rig_advance(&rig, 2);
    cr_assert_eq(rig_logged(&rig.host, "DRAIN_TIMEOUT"), 1);
    expect(rig_log(&rig.host, "DRAIN_TIMEOUT"),
           "pipe=" PIPE("a") "; port=80; h2g=1; g2h=2; cause=*");
    expect_closed(&rig.host, "cause=drain timeout; errno=110; level=warning");
    expect_closed(&rig.guest, "cause=reset by host; errno=110");
    cr_assert_eq(server()->end, VPC_ACTION_ABORT);
}

Test(drain, timeout_at_the_guest, .fini = end)
{
    begin_with("{\"drain_ms\": 600000}", "{\"drain_ms\": 500}");
    server()->may_read = 0;
    rig_write(&rig.host, client(), 1000);
    rig_finish(&rig.host, client());
    rig_advance(&rig, 5000);
    cr_assert_eq(rig_logged(&rig.guest, "DRAIN_TIMEOUT"), 0, "one end only has begun to close");
    rig_finish(&rig.guest, server());
    rig_advance(&rig, 501);
    cr_assert_eq(rig_logged(&rig.guest, "DRAIN_TIMEOUT"), 1);
    cr_assert_eq(rig_logged(&rig.host, "DRAIN_TIMEOUT"), 0);
    expect_closed(&rig.guest, "cause=drain timeout; errno=110");
    expect_closed(&rig.host, "cause=reset by guest; errno=110");
}

/* CLS-8: each byte that a program takes is progress. */
Test(drain, a_slow_reader_is_progress_where_it_reads, .init = begin, .fini = end)
{
    server()->may_read = 0;
    rig_write(&rig.host, client(), 10);
    rig_gone(&rig.host, client(), 0);
    for (unsigned i = 1; i <= 10; i++) {
        rig_advance(&rig, 9000);
        server()->may_read = i;
        rig_settle(&rig);
    }
    cr_assert_eq(server()->read, 10);
    expect_closed(&rig.host, "cause=closed");
}

Test(drain, a_slow_client_is_progress, .init = begin, .fini = end)
{
    client()->may_read = 0;
    rig_write(&rig.guest, server(), 10);
    rig_finish(&rig.guest, server());
    rig_finish(&rig.host, client());
    for (unsigned i = 1; i <= 10; i++) {
        rig_advance(&rig, 9000);
        client()->may_read = i;
        rig_settle(&rig);
    }
    cr_assert_eq(client()->read, 10);
    expect_closed(&rig.guest, "cause=closed");
}

/* CLS-13: until the host's FIN comes, a host program that does not read may be slow; then the guest's limit runs. */
Test(drain, bytes_without_credit_at_the_guest, .fini = end)
{
    begin_with("{\"window\": 100, \"drain_ms\": 600000}", "{\"drain_ms\": 500}");
    client()->may_read = 0;
    rig_write(&rig.guest, server(), 1000);
    rig_finish(&rig.guest, server());
    rig_advance(&rig, 60000);
    expect_no_timeout();
    rig_finish(&rig.host, client());
    rig_advance(&rig, 499);
    expect_no_timeout();
    rig_advance(&rig, 2);
    expect_closed(&rig.guest, "cause=drain timeout; errno=110");
    expect_closed(&rig.host, "cause=reset by guest; errno=110");
}

/* And the other way round: the guest's FIN was there long before. */
Test(drain, bytes_without_credit_at_the_host, .fini = end)
{
    begin_with("{\"drain_ms\": 500}", "{\"window\": 100, \"drain_ms\": 600000}");
    server()->may_read = 0;
    rig_finish(&rig.guest, server());
    rig_write(&rig.host, client(), 1000);
    rig_advance(&rig, 60000);
    expect_no_timeout();
    rig_finish(&rig.host, client());
    rig_advance(&rig, 499);
    expect_no_timeout();
    rig_advance(&rig, 2);
    expect_closed(&rig.host, "cause=drain timeout; errno=110");
    expect_closed(&rig.guest, "cause=reset by host; errno=110");
}

static void nobody_reads(void)
{
    begin_with("{\"window\": 100}", "{\"window\": 100}");
    client()->may_read = server()->may_read = 0;
    rig_write(&rig.host, client(), 1000);
    rig_write(&rig.guest, server(), 1000);
    rig_finish(&rig.host, client());
    rig_finish(&rig.guest, server());
    rig_advance(&rig, 3600000);
    expect_no_timeout();
    cr_assert_eq(rig_logged(&rig.host, "CHANNEL_CLOSED"), 0);
}

Test(drain, programs_that_do_not_read_are_ended_by_stop, .fini = end)
{
    nobody_reads();
    rig_say(&rig.host, 5,
            "{\"execute\": \"stop\", \"arguments\": {\"pipe\": \"\\\\\\\\.\\\\pipe\\\\a\"}}");
    rig_advance(&rig, 10001);
    expect_return(rig_answer(&rig.host, 5), "");
    expect_closed(&rig.host, "cause=drain timeout; errno=110");
    expect_closed(&rig.guest, "cause=reset by host; errno=110");
}

Test(drain, one_of_them_reads_after_all, .fini = end)
{
    nobody_reads();
    server()->may_read = UINT64_MAX;
    rig_settle(&rig);
    rig_advance(&rig, 9999);
    expect_no_timeout();
    client()->may_read = UINT64_MAX;
    rig_settle(&rig);
    cr_assert_eq(client()->read, 1000);
    cr_assert_eq(server()->read, 1000);
    expect_closed(&rig.host, "cause=closed");
    expect_closed(&rig.guest, "cause=closed");
}
