/* SPDX-License-Identifier: MIT */
/* A guest's EVENTs against its log, judged in every run (LOG-6). */
#include <criterion/criterion.h>
#include <string.h>

#include "document/entry_relay.h"

TestSuite(log_relay, .timeout = 20);

static void log_entry(struct vpc_log_relay *relay, int id, int time, const char *cause)
{
    json_t *entry =
        json_pack("{s:i, s:i, s:s, s:s}", "id", id, "time", time, "level", "info", "cause", cause);

    vpc_log_relay_entry(relay, entry);
    json_decref(entry);
}

static void come(struct vpc_log_relay *relay, uint64_t session, uint64_t id, uint64_t time,
                 uint64_t lost)
{
    struct vpc_relayed event = {
        .session = session, .event = id, .time = time, .lost = lost, .cause = "x"};

    vpc_log_relay_event(relay, &event);
}

/* A log of ids 1000, 1002, 1010, 1020, 1021, one a millisecond, with 1041, which need not be sent, before the last. */
static void write_log(struct vpc_log_relay *relay)
{
    const int ids[] = {1000, 1002, 1010, 1020, 1041, 1021};

    for (int i = 0; i < 6; i++)
        log_entry(relay, ids[i], i, "x");
}

/* Whether EVENTs of these ids, each at its entry's time, lost told with the last, are what LOG-6 asks for. */
static bool right(const int *ids, size_t n, uint64_t lost)
{
    struct vpc_log_relay relay = {0};
    char text[200] = "";
    const char *breach;

    write_log(&relay);
    for (size_t i = 0; i < n; i++)
        for (int at = 0; at < 6; at++)
            if (relay.entries[at].event == (uint64_t)ids[i])
                come(&relay, 1, relay.entries[at].event, relay.entries[at].time,
                     i + 1 == n ? lost : 0);
    breach = vpc_log_relay_breach(&relay, true, text, sizeof(text));
    vpc_log_relay_end(&relay);
    cr_expect(breach == NULL || (strcmp(breach, "LOG-6") == 0 && *text != '\0'));
    return breach == NULL;
}

#define RIGHT(lost, ...)                                                                           \
    right((const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int), lost)

Test(log_relay, each_is_the_next_entry)
{
    cr_expect(RIGHT(0, 1000, 1002, 1010, 1020, 1021), "1041 need not be sent");
    cr_expect(RIGHT(0, 1000, 1002, 1010, 1020, 1041, 1021), "but may");
    cr_expect(RIGHT(1, 1000, 1002, 1010, 1021), "one is lost");
    cr_expect(RIGHT(2, 1000, 1002, 1010, 1021), "one or two: 1041 may count");
    cr_expect(RIGHT(3, 1020));
    cr_expect_not(RIGHT(0, 1000, 1010), "one is missing");
    cr_expect_not(RIGHT(0, 1002), "the first is missing");
    cr_expect_not(RIGHT(2, 1000, 1010), "one is missing, two are told");
    cr_expect_not(RIGHT(0, 1000, 1002, 1002), "one comes twice");
    cr_expect_not(RIGHT(0, 1002, 1000), "another order");
    cr_expect_not(RIGHT(3, 1000, 1002, 1010, 1021), "more are told than there are");
}

Test(log_relay, fields_are_those_of_the_entry)
{
    struct vpc_log_relay relay = {0};
    char text[200] = "";

    log_entry(&relay, 1000, 5, "x");
    come(&relay, 1, 1000, 6, 0);
    cr_expect_str_eq(vpc_log_relay_breach(&relay, true, text, sizeof(text)), "LOG-6");
    vpc_log_relay_end(&relay);
    log_entry(&relay, 1000, 5, "123456789 123456789 123456789 123");
    struct vpc_relayed event = {
        .event = 1000, .time = 5, .cause = "123456789 123456789 123456789 12"};
    vpc_log_relay_event(&relay, &event);
    log_entry(&relay, 1013, 6, "na\xc3\xafve\n");
    event = (struct vpc_relayed){.event = 1013, .time = 6, .cause = "na?ve?"};
    vpc_log_relay_event(&relay, &event);
    cr_expect_null(vpc_log_relay_breach(&relay, true, text, sizeof(text)), "%s", text);
    event = (struct vpc_relayed){.event = 1013, .time = 7, .cause = "na_ve"};
    log_entry(&relay, 1013, 7, "na\xc3\xafve");
    vpc_log_relay_event(&relay, &event);
    cr_expect_str_eq(vpc_log_relay_breach(&relay, true, text, sizeof(text)), "LOG-6");
    cr_expect(strstr(text, "another cause"), "%s", text);
    vpc_log_relay_end(&relay);
}

Test(log_relay, between_sessions_any_may_be_missing)
{
    struct vpc_log_relay relay = {0};
    char text[200] = "";

    write_log(&relay);
    log_entry(&relay, 1010, 6, "x");
    log_entry(&relay, 1020, 7, "x");
    come(&relay, 1, 1000, 0, 0);
    come(&relay, 2, 1021, 5, 0);
    come(&relay, 2, 1010, 6, 0);
    cr_expect_null(vpc_log_relay_breach(&relay, true, text, sizeof(text)), "%s", text);
    come(&relay, 2, 1010, 6, 0);
    cr_expect_str_eq(vpc_log_relay_breach(&relay, true, text, sizeof(text)), "LOG-6");
    vpc_log_relay_end(&relay);
}

Test(log_relay, a_log_that_is_behind_the_bus_is_waited_for)
{
    struct vpc_log_relay relay = {0};
    char text[200] = "";

    come(&relay, 1, 1000, 5, 0);
    come(&relay, 1, 1002, 6, 0);
    log_entry(&relay, 1000, 5, "x");
    cr_expect_null(vpc_log_relay_breach(&relay, false, text, sizeof(text)));
    cr_expect_eq(relay.event_count, 2);
    log_entry(&relay, 1002, 6, "x");
    log_entry(&relay, 1010, 6, "x");
    cr_expect_null(vpc_log_relay_breach(&relay, false, text, sizeof(text)));
    cr_expect_eq(relay.event_count, 1);
    log_entry(&relay, 1000, 9, "x"); /* killed and started again: what it had not sent is gone */
    come(&relay, 2, 1000, 9, 0);
    cr_expect_null(vpc_log_relay_breach(&relay, true, text, sizeof(text)), "%s", text);
    cr_expect_eq(relay.event_count, 0);
    vpc_log_relay_end(&relay);
}

/* Else what the session before did not bring is missed, though it may never come. */
Test(log_relay, events_of_a_session_wait_for_the_entry_of_its_begin)
{
    struct vpc_log_relay relay = {0};
    char text[200] = "";

    write_log(&relay);
    log_entry(&relay, 1003, 6, "x");
    log_entry(&relay, 1002, 7, "x");
    come(&relay, 1, 1000, 0, 0);
    come(&relay, 2, 1003, 6, 0);
    cr_expect_null(vpc_log_relay_breach(&relay, false, text, sizeof(text)), "%s", text);
    cr_expect_eq(relay.event_count, 1);
    log_entry(&relay, 1010, 8, "x");
    cr_expect_null(vpc_log_relay_breach(&relay, false, text, sizeof(text)), "%s", text);
    cr_expect_eq(relay.event_count, 0);
    vpc_log_relay_end(&relay);
}

/* A session without any EVENT, and the log not yet read to the begin of the next: nothing is known to be missing. */
Test(log_relay, a_session_that_brought_nothing_before_the_log_is_read)
{
    struct vpc_relayed event = {.session = 2, .earlier = 1, .event = 1021, .time = 5, .cause = "x"};
    struct vpc_log_relay relay = {0};
    char text[200] = "";

    write_log(&relay);
    log_entry(&relay, 1020, 9, "x");
    vpc_log_relay_event(&relay, &event);
    cr_expect_null(vpc_log_relay_breach(&relay, false, text, sizeof(text)), "%s", text);
    cr_expect_eq(relay.event_count, 0, "it was judged");
    event.session = 3;
    event.time = 4;
    vpc_log_relay_event(&relay, &event);
    cr_expect_str_eq(vpc_log_relay_breach(&relay, true, text, sizeof(text)), "LOG-6");
    vpc_log_relay_end(&relay);
}
