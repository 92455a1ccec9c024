/* SPDX-License-Identifier: MIT */
/* StartCommunicationChannel: every result that can be provoked, the order of its checks, and what is given back. */
#include "rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

TestSuite(start, .timeout = 20);

static struct rig rig;

static void end(void)
{
    rig_end(&rig);
}

/* A start with arguments of the test's own (JSON), by client 1. */
static json_t *start_with(const char *arguments)
{
    char line[3000];

    snprintf(line, sizeof(line), "{\"execute\": \"start\", \"arguments\": %s}", arguments);
    rig_say(&rig.host, 1, line);
    return rig_answer(&rig.host, 1);
}

static void expect_failed(json_t *answer, const char *result)
{
    char list[100];

    snprintf(list, sizeof(list), "class=%s; hresult=*; desc=*", result);
    expect_error(answer, list);
    snprintf(list, sizeof(list), "result=%s; hresult=*; cause=*", result);
    expect(rig_log(&rig.host, "START_FAILED"), list);
}

/* ---- the order of the checks (API-8) ---- */

enum wrong {
    TYPE = 1,
    PIPE_NAME = 2,
    PORT_NAME = 4,
    DOWN = 8,
    MISMATCH = 16,
    UNREADY = 32,
    NAME_USED = 64,
    FULL = 128
};

static const struct {
    unsigned wrong;
    const char *result;
} order[] = {
    {TYPE, "E_INVALIDARG"},
    {PIPE_NAME, "E_POINTER"},
    {PORT_NAME, "E_POINTER"},
    {DOWN, "VM_E_VM_NOT_RUNNING"},
    {MISMATCH, "ERROR_REVISION_MISMATCH"},
    {UNREADY, "ERROR_NOT_READY"},
    {NAME_USED, "ERROR_ALREADY_EXISTS"},
    {FULL, "ERROR_MAX_SESSIONS_REACHED"},
};

static void make_wrong(unsigned wrong)
{
    const char *guest = wrong & MISMATCH ? "{\"version_min\": 512, \"version_max\": 513}" : "{}";

    rig_begin(&rig, "{\"max_pairs\": 1}", guest);
    if (!(wrong & DOWN))
        rig_bus(&rig, true);
    if (wrong & (NAME_USED | FULL))
        rig_pair(&rig, "used", 80);
    if (!(wrong & (DOWN | MISMATCH)) && (wrong & UNREADY)) {
        vpc_endpoint_abi_v1.stop(rig.guest.ep, 100000); /* READY 0 */
        rig_take(&rig.guest);
        rig_settle(&rig);
    }
}

static void try_wrong(unsigned wrong)
{
    char arguments[300];
    const char *expected = "S_OK";
    json_t *answer;
    unsigned logged;

    make_wrong(wrong);
    logged = rig_logged(&rig.host, "START_FAILED");
    snprintf(
        arguments, sizeof(arguments),
        "{\"host-type\": %d, \"host-name\": \"%s\", \"guest-type\": 1, \"guest-name\": \"%s\"}",
        wrong & TYPE ? 1 : 0,
        wrong & PIPE_NAME   ? "used"
        : wrong & NAME_USED ? "\\\\\\\\.\\\\PIPE\\\\USED"
                            : "\\\\\\\\.\\\\pipe\\\\new",
        wrong & PORT_NAME ? "0" : "81");
    for (size_t i = sizeof(order) / sizeof(order[0]); i-- > 0;)
        if (wrong & order[i].wrong)
            expected = order[i].result;
    answer = start_with(arguments);
    if (wrong == 0) {
        expect_return(answer, "hresult=0x00000000");
    } else {
        expect_failed(answer, expected);
        cr_assert_eq(rig_logged(&rig.host, "START_FAILED"), logged + 1, "%#x", wrong);
    }
    rig_end(&rig);
}

/* Every combination that can be at once: a pair can not be open without a session. */
Test(start, the_first_failing_check_is_the_result)
{
    for (unsigned wrong = 0; wrong < 256; wrong++) {
        bool no_pair = wrong & (DOWN | MISMATCH);

        if ((no_pair && wrong & (NAME_USED | FULL)) || (wrong & DOWN && wrong & MISMATCH) ||
            (wrong & NAME_USED && !(wrong & FULL)))
            continue; /* with max_pairs 1 a used name means full too */
        try_wrong(wrong);
    }
}

Test(start, a_host_that_stops_is_not_ready, .fini = end)
{
    rig_begin(&rig, NULL, NULL);
    rig_ready(&rig);
    rig_pair(&rig, "a", 80);
    vpc_endpoint_abi_v1.stop(rig.host.ep, 1000);
    rig_take(&rig.host);
    rig_settle(&rig);
    expect_failed(rig_start(&rig, "b", 81), "ERROR_NOT_READY");
}

Test(start, a_used_name_wins_over_no_room, .fini = end)
{
    rig_begin(&rig, "{\"max_pairs\": 2}", NULL);
    rig_ready(&rig);
    rig_pair(&rig, "a", 80);
    rig_pair(&rig, "b", 81);
    expect_failed(rig_start(&rig, "B", 82), "ERROR_ALREADY_EXISTS");
    expect_failed(rig_start(&rig, "c", 82), "ERROR_MAX_SESSIONS_REACHED");
}

/* The guest hears nothing, so the pair of the first client runs down all the time (API-13). */
Test(start, a_client_that_is_found_gone_has_the_name_no_more, .fini = end)
{
    rig_begin(&rig, "{\"max_pairs\": 3}", NULL);
    rig_ready(&rig);
    rig_pair(&rig, "a", 80);
    expect_failed(rig_start(&rig, "A", 80), "ERROR_ALREADY_EXISTS");
    cr_assert_eq(rig.host.looks, 1);
    cr_assert_eq(rig.host.freed, 0);
    rig.blocked = rig.host.gone_at_look = true;
    rig_ask_start(&rig, "A", 80);
    cr_assert_null(rig_answer(&rig.host, 1), "it waits for the guest");
    cr_assert_eq(rig.host.looks, 2);
    cr_assert_eq(rig.host.freed, 1);
    expect_failed(rig_start(&rig, "a", 80), "ERROR_ALREADY_EXISTS");
    cr_assert_eq(rig.host.looks, 2, "the second has no client yet");
}

/* Its answer has nowhere to go; and one that asks nothing more leaks nothing. */
Test(start, who_asked_for_a_name_in_use_may_go_before_the_answer, .fini = end)
{
    static const char line[] = "{\"execute\": \"start\", \"id\": 7, \"arguments\": {\"host-name\": "
                               "\"\\\\\\\\.\\\\pipe\\\\a\", \"guest-name\": \"80\"}}";

    rig_begin(&rig, NULL, NULL);
    rig_ready(&rig);
    rig_pair(&rig, "a", 80);
    for (int i = 0; i < 2; i++)
        vpc_endpoint_abi_v1.control_line(rig.host.ep, 1, line, sizeof(line) - 1);
    vpc_endpoint_abi_v1.control_close(rig.host.ep, 1);
    rig_take(&rig.host);
    cr_assert_eq(rig.host.looks, 2);
    cr_assert_eq(rig_logged(&rig.host, "START_FAILED"), 2);
    vpc_endpoint_abi_v1.control_line(rig.host.ep, 1, line, sizeof(line) - 1);
}

/* ---- names ---- */

static json_t *start_named(const char *pipe, const char *port)
{
    json_t *request = json_pack("{s:s, s:s}", "host-name", pipe, "guest-name", port), *answer;
    char *text = json_dumps(request, 0);

    answer = start_with(text);
    free(text);
    json_decref(request);
    return answer;
}

/* \\.\pipe\ and n times the text. */
static const char *long_pipe(const char *text, unsigned n)
{
    static char name[PIPE_MAX];

    strcpy(name, PIPE(""));
    while (n-- > 0)
        strcat(name, text);
    return name;
}

Test(start, pipe_names_at_their_limits, .fini = end)
{
    rig_begin(&rig, NULL, NULL);
    rig_ready(&rig);
    expect_return(start_named(long_pipe("x", 247), "80"), "hresult=0x00000000");
    expect_failed(start_named(long_pipe("x", 248), "80"), "E_POINTER");
    expect_failed(start_named(long_pipe("X", 247), "80"), "ERROR_ALREADY_EXISTS");
    /* characters count, not octets */
    expect_return(start_named(long_pipe("\xe2\x82\xac", 247), "80"), "hresult=0x00000000");
    expect_failed(start_named(long_pipe("\xe2\x82\xac", 248), "80"), "E_POINTER");
    expect_return(start_named("\\\\.\\PIPE\\\xc3\x84", "80"), "hresult=0x00000000");
    /* only ASCII letters are the same in both cases */
    expect_return(start_named(PIPE("\xc3\xa4"), "80"), "hresult=0x00000000");
    expect_failed(start_named(PIPE("a\\b"), "80"), "E_POINTER");
    expect_failed(start_named(PIPE(""), "80"), "E_POINTER");
    expect_failed(start_named("", "80"), "E_POINTER");
    expect_failed(start_named(PIPE("a\tb"), "80"), "E_POINTER");
    expect_failed(start_named("\\\\host\\pipe\\a", "80"), "E_POINTER");
}

Test(start, ports_at_their_limits, .fini = end)
{
    static const char *const bad[] = {"0", "65536", "99999", "080",  "+80",  " 80",   "80 ",
                                      "",  "-1",    "1e3",   "0x50", "http", "655350"};

    rig_begin(&rig, NULL, NULL);
    rig_ready(&rig);
    expect_return(start_named(PIPE("a"), "1"), "port=1");
    expect_return(start_named(PIPE("b"), "65535"), "port=65535");
    cr_assert_eq(rig_port(&rig, 65535)->port, 65535);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        expect_failed(start_named(PIPE("c"), bad[i]), "E_POINTER");
}

Test(start, a_missing_or_null_name_is_e_pointer, .fini = end)
{
    rig_begin(&rig, NULL, NULL);
    rig_ready(&rig);
    expect_failed(start_with("{}"), "E_POINTER");
    expect_failed(start_with("{\"host-name\": null, \"guest-name\": \"80\"}"), "E_POINTER");
    expect_failed(start_with("{\"host-name\": \"\\\\\\\\.\\\\pipe\\\\a\"}"), "E_POINTER");
    expect(rig_log(&rig.host, "START_FAILED"), "pipe=" PIPE("a") "; port=-");
    expect_failed(start_with("{\"host-type\": 1}"), "E_INVALIDARG");
    expect_failed(start_with("{\"guest-type\": 0}"), "E_INVALIDARG");
    expect_failed(start_with("{\"guest-type\": -1}"), "E_INVALIDARG");
}

/* CTL-3: what is no call at all is neither answered nor logged as one. */
Test(start, arguments_of_a_wrong_json_type_are_generic_errors, .fini = end)
{
    static const char *const bad[] = {"{\"host-type\": \"0\"}", "{\"guest-type\": 1.5}",
                                      "{\"host-name\": 5}",     "{\"guest-name\": 80}",
                                      "{\"host-name\": {}}",    "[]"};

    rig_begin(&rig, NULL, NULL);
    rig_ready(&rig);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        expect_error(start_with(bad[i]), "class=GenericError; hresult=*; desc=*");
    cr_assert_eq(rig_logged(&rig.host, "START_FAILED"), 0);
    expect_return(rig_start(&rig, "a", 80), "port=80");
}

/* ---- room ---- */

Test(start, a_pair_that_runs_down_makes_it_busy, .fini = end)
{
    rig_begin(&rig, "{\"max_pairs\": 2}", NULL);
    rig_ready(&rig);
    rig_pair(&rig, "a", 80);
    rig_pair(&rig, "b", 81);
    expect_failed(rig_start(&rig, "c", 82), "ERROR_MAX_SESSIONS_REACHED");
    rig_finish(&rig.host, rig_pipe(&rig, "a"));
    expect_failed(rig_start(&rig, "c", 82), "ERROR_PIPE_BUSY");
    rig_finish(&rig.guest, rig_port(&rig, 80));
    expect_return(rig_start(&rig, "c", 82), "port=82");
}

Test(start, the_lower_limit_of_both_counts, .fini = end)
{
    rig_begin(&rig, "{\"max_pairs\": 8}", "{\"max_pairs\": 1}");
    rig_ready(&rig);
    rig_pair(&rig, "a", 80);
    expect_failed(rig_start(&rig, "b", 81), "ERROR_MAX_SESSIONS_REACHED");
    cr_assert_eq(rig.guest.last_stream, 1, "no OPEN was sent (CHN-7)");
}

/* ---- the guest's answer ---- */

static const struct {
    int error;
    const char *result;
} refusals[] = {
    {ECONNREFUSED, "ERROR_CONNECTION_REFUSED"},
    {ETIMEDOUT, "ERROR_TIMEOUT"},
    {ENETUNREACH, "DISP_E_EXCEPTION"},
    {4711, "DISP_E_EXCEPTION"},
};

Test(start, a_failed_connect_is_its_result_and_gives_all_back, .fini = end)
{
    char list[100];

    rig_begin(&rig, "{\"max_pairs\": 1, \"connect_ms\": 1234}", NULL);
    rig_ready(&rig);
    for (unsigned i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        json_t *answer;

        rig.guest.connect_error = refusals[i].error;
        answer = rig_start(&rig, "a", 80 + i);
        snprintf(list, sizeof(list), "class=%s; errno=%d", refusals[i].result, refusals[i].error);
        expect_error(answer, list);
        snprintf(list, sizeof(list), "result=%s; errno=%d; pipe=" PIPE("a") "; port=%u; cause=*",
                 refusals[i].result, refusals[i].error, 80 + i);
        expect(rig_log(&rig.host, "START_FAILED"), list);
        cr_assert_eq(rig_logged(&rig.host, "START_FAILED"), i + 1);
        snprintf(list, sizeof(list), "errno=%d; port=%u; cause=*", refusals[i].error, 80 + i);
        expect(rig_log(&rig.guest, "CONNECT_FAILED"), list);
        cr_assert_eq(rig_logged(&rig.guest, "CONNECT_FAILED"), i + 1);
        cr_assert_eq(rig_port(&rig, 80 + i)->limit_ms, 1234);
        cr_assert_eq(rig_pipe(&rig, "a")->end, VPC_ACTION_UNLISTEN);
    }
    rig.guest.connect_error = 0;
    rig_pair(&rig, "a", 90);
    cr_assert_eq(rig_logged(&rig.host, "CHANNEL_OPENED"), 1);
    cr_assert_eq(rig_logged(&rig.host, "CHANNEL_CLOSED"), 0);
}

/* API-16 */
static const struct {
    int error;
    const char *result;
} pipe_failures[] = {
    {EACCES, "DISP_E_EXCEPTION"},   {ENOSPC, "DISP_E_EXCEPTION"},    {ENOMEM, "ERROR_OUTOFMEMORY"},
    {ENOBUFS, "ERROR_OUTOFMEMORY"}, {EBADF, "ERROR_INVALID_HANDLE"},
};

static void expect_pipe_failed(unsigned i)
{
    char list[100];

    expect_failed(rig_start(&rig, "a", 80), pipe_failures[i].result);
    snprintf(list, sizeof(list), "errno=%d; pipe=" PIPE("a") "; port=80; cause=*",
             pipe_failures[i].error);
    expect(rig_log(&rig.host, "START_FAILED"), list);
    expect(rig_log(&rig.host, "PIPE_FAILED"), list);
}

Test(start, a_pipe_server_that_can_not_be_made, .fini = end)
{
    unsigned count = sizeof(pipe_failures) / sizeof(pipe_failures[0]);

    rig_begin(&rig, "{\"max_pairs\": 1}", NULL);
    rig_ready(&rig);
    rig.host.listen_error = EADDRINUSE;
    expect_failed(rig_start(&rig, "a", 80), "ERROR_ALREADY_EXISTS");
    for (unsigned i = 0; i < count; i++) {
        rig.host.listen_error = pipe_failures[i].error;
        expect_pipe_failed(i);
    }
    cr_assert_eq(rig_logged(&rig.host, "PIPE_FAILED"), count);
    cr_assert_eq(rig.guest.last_stream, 0, "no OPEN without a pipe server");
    rig.host.listen_error = 0;
    rig_pair(&rig, "a", 80);
}

Test(start, the_option_fault_fails_each_start)
{
    for (unsigned i = 0; i < sizeof(pipe_failures) / sizeof(pipe_failures[0]); i++) {
        char options[60];

        snprintf(options, sizeof(options), "{\"max_pairs\": 1, \"fault\": %d}",
                 pipe_failures[i].error);
        rig_begin(&rig, options, NULL);
        rig_ready(&rig);
        expect_pipe_failed(i);
        expect_pipe_failed(i);
        cr_assert_eq(rig.host.last_stream, 0, "no pipe server was asked for");
        cr_assert_eq(rig_logged(&rig.host, "START_FAILED"), 2);
        rig_end(&rig);
    }
}

Test(start, a_guest_that_never_answers_is_a_timeout, .fini = end)
{
    rig_begin(&rig, "{\"connect_ms\": 1000, \"heartbeat_late_ms\": 500}",
              "{\"heartbeat_ms\": 100}");
    rig_ready(&rig);
    rig.guest.manual = true;
    rig_ask_start(&rig, "a", 80);
    rig_advance(&rig, 1400);
    cr_assert_null(rig_answer(&rig.host, 1));
    rig_advance(&rig, 200);
    expect_failed(rig_answer(&rig.host, 1), "ERROR_TIMEOUT");
    expect(rig_log(&rig.host, "START_FAILED"), "errno=110; pipe=" PIPE("a") "; port=80");
    cr_assert_eq(rig_pipe(&rig, "a")->state, STREAM_ENDED);
    cr_assert_eq(rig_port(&rig, 80)->end, VPC_ACTION_ABORT);
    cr_assert_eq(rig_logged(&rig.host, "START_FAILED"), 1);
    rig.guest.manual = false;
    rig_pair(&rig, "a", 81);
}

/* ---- the session is lost while a start waits ---- */

Test(start, the_machine_ends_while_the_guest_connects, .fini = end)
{
    rig_begin(&rig, NULL, NULL);
    rig_ready(&rig);
    rig.guest.manual = true;
    rig_ask_start(&rig, "a", 80);
    rig_bus(&rig, false);
    expect_failed(rig_answer(&rig.host, 1), "VM_E_VM_NOT_RUNNING");
    cr_assert_eq(rig_logged(&rig.host, "START_FAILED"), 1);
    cr_assert_eq(rig_pipe(&rig, "a")->state, STREAM_ENDED);
    cr_assert_eq(rig_port(&rig, 80)->end, VPC_ACTION_ABORT);
    cr_assert_eq(rig_logged(&rig.host, "CHANNEL_CLOSED"), 0);
}

Test(start, the_session_ends_while_the_guest_connects, .fini = end)
{
    rig_begin(&rig, NULL, NULL);
    rig_ready(&rig);
    rig.guest.manual = true;
    rig_ask_start(&rig, "a", 80);
    vpc_endpoint_abi_v1.stop(rig.guest.ep, 0);
    rig_take(&rig.guest);
    rig_settle(&rig);
    rig_advance(&rig, 1);
    expect_failed(rig_answer(&rig.host, 1), "ERROR_NOT_READY");
    cr_assert_eq(rig_logged(&rig.host, "START_FAILED"), 1);
}

Test(start, the_session_ends_while_the_pipe_server_is_made, .fini = end)
{
    rig_begin(&rig, NULL, NULL);
    rig_ready(&rig);
    rig.host.manual = true;
    rig_ask_start(&rig, "a", 80);
    rig_bus(&rig, false);
    vpc_endpoint_abi_v1.stream_listening(rig.host.ep, rig_pipe(&rig, "a")->id, 0, "/path");
    rig_take(&rig.host);
    expect_failed(rig_answer(&rig.host, 1), "VM_E_VM_NOT_RUNNING");
    cr_assert_eq(rig_pipe(&rig, "a")->end, VPC_ACTION_UNLISTEN);
}

Test(start, the_host_stops_while_the_pipe_server_is_made, .fini = end)
{
    rig_begin(&rig, NULL, NULL);
    rig_ready(&rig);
    rig.host.manual = true;
    rig_ask_start(&rig, "a", 80);
    vpc_endpoint_abi_v1.stop(rig.host.ep, 500);
    rig_take(&rig.host);
    rig_advance(&rig, 1000);
    expect_failed(rig_answer(&rig.host, 1), "ERROR_NOT_READY");
    cr_assert_eq(rig_pipe(&rig, "a")->end, VPC_ACTION_UNLISTEN);
    cr_assert_eq(rig.host.stopped, 1);
}

/* ---- who asks ---- */

Test(start, a_client_that_vanishes_gets_no_answer, .fini = end)
{
    rig_begin(&rig, NULL, NULL);
    rig_ready(&rig);
    rig.guest.manual = true;
    rig_ask_start(&rig, "a", 80);
    vpc_endpoint_abi_v1.control_close(rig.host.ep, 1);
    rig_take(&rig.host);
    rig.guest.manual = false;
    rig_settle(&rig);
    cr_assert_eq(rig_logged(&rig.host, "CHANNEL_OPENED"), 1, "what it started goes on");
    cr_assert_null(rig_answer(&rig.host, 1), "its number may be another client's by now");
    rig.guest.connect_error = ECONNREFUSED;
    rig.guest.manual = true;
    rig_ask_start(&rig, "b", 81);
    vpc_endpoint_abi_v1.control_close(rig.host.ep, 1);
    rig_take(&rig.host);
    rig.guest.manual = false;
    rig_settle(&rig);
    cr_assert_eq(rig_logged(&rig.host, "START_FAILED"), 1);
    cr_assert_null(rig_answer(&rig.host, 1));
}

Test(start, any_value_is_kept_as_id, .fini = end)
{
    static const char *const ids[] = {"null",
                                      "true",
                                      "0",
                                      "-7",
                                      "1.5",
                                      "\"\"",
                                      "\"\\u0001\\\"\\u20ac\"",
                                      "[]",
                                      "{\"a\": [1, {\"b\": null}]}",
                                      "9223372036854775807"};

    json_t *answer;

    rig_begin(&rig, NULL, NULL);
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        json_t *id = json_loads(ids[i], JSON_DECODE_ANY, NULL);
        char line[200];

        snprintf(line, sizeof(line), "{\"execute\": \"start\", \"id\": %s}", ids[i]);
        rig_say(&rig.host, 9, line);
        answer = rig_answer(&rig.host, 9);
        cr_assert(json_equal(id, json_object_get(answer, "id")), "%s", ids[i]);
        json_decref(id);
        json_decref(answer);
    }
    rig_say(&rig.host, 9, "{\"execute\": \"query-vm\"}");
    answer = rig_answer(&rig.host, 9);
    expect(answer, "id=-; return=*");
    json_decref(answer);
}

Test(start, answers_come_in_the_order_of_their_ends, .fini = end)
{
    json_t *first, *second;

    rig_begin(&rig, NULL, NULL);
    rig_ready(&rig);
    rig.guest.manual = true;
    rig_ask_start(&rig, "a", 80);
    rig_ask_start(&rig, "b", 81);
    rig_port(&rig, 81)->state = STREAM_LIVE;
    vpc_endpoint_abi_v1.stream_opened(rig.guest.ep, rig_port(&rig, 81)->id, 0);
    rig_take(&rig.guest);
    rig_settle(&rig);
    first = rig_answer(&rig.host, 1);
    rig.guest.manual = false;
    rig_settle(&rig);
    second = rig_answer(&rig.host, 1);
    expect_return(first, "port=81");
    expect_return(second, "port=80");
}

Test(start, the_guest_endpoint_has_no_start, .fini = end)
{
    rig_begin(&rig, NULL, NULL);
    rig_say(&rig.guest, 1, "{\"execute\": \"start\", \"id\": 3}");
    expect_error(rig_answer(&rig.guest, 1), "class=GenericError");
}
