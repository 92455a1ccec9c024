/* SPDX-License-Identifier: MIT */
/* The verdicts: an honest endpoint passes, each lie of the fake fails with its requirement. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "document/embedded.h"
#include "report/failure.h"
#include "report/report.h"
#include "run/run.h"
#include "verdicts/coverage.h"
#include "verdicts/suite.h"

static struct vpc_table *table;
static struct vpc_spec *spec;
static char dir[] = "/tmp/vpc-verdict-XXXXXX";

static void set_up(void)
{
    char *error = NULL;

    table = vpc_table_load(vpc_embedded_messages, &error);
    spec = vpc_spec_load(vpc_embedded_document);
    cr_assert_not_null(mkdtemp(dir));
}

static void tear_down(void)
{
    char *command = vpc_format("rm -r %s", dir);

    cr_expect_eq(system(command), 0);
    free(command);
    vpc_table_free(table);
    vpc_spec_free(spec);
}

TestSuite(verdict, .init = set_up, .fini = tear_down, .timeout = 60);

static char *write_file(const char *name, const char *text)
{
    char *path = vpc_format("%s/%s", dir, name);
    FILE *file = fopen(path, "we");

    cr_assert_not_null(file);
    fputs(text, file);
    fclose(file);
    return path;
}

#define HEAD "# A scenario of the tests.\ncovers CLS-2\nsubject guest\n"
#define MAIN_PART                                                                                  \
    "session\n"                                                                                    \
    "bus > open channel=1 limit=8\n"                                                               \
    "bus < opened channel=1 by CHN-4\n"                                                            \
    "bus < data channel=2 bytes=0\n"                                                               \
    "wait 10ms\n"

static void run(struct vpc_suite *suite, const char *script, const char *features)
{
    char *text = vpc_format("[implementation]\nname = fake\nrole = guest\n[abi]\nobject = "
                            "%%{build}/fake.so\n[pics]\nfeatures = %s\n",
                            features);
    char *ini = write_file("fake.ini", text), *scenario = write_file("test.vpcs", script);
    char *error = NULL;

    *suite = (struct vpc_suite){.table = table,
                                .spec = spec,
                                .seed = 3,
                                .build = VPC_TEST_DIR,
                                .out = dir,
                                .keep = vpc_failure_keep,
                                .program = "vpc-conform",
                                .backends = {&vpc_backend_inproc},
                                .backend_count = 1};
    suite->implementations = vpc_alloc(sizeof(struct vpc_implementation *));
    suite->implementations[0] = vpc_implementation_load(ini, &error);
    cr_assert_not_null(suite->implementations[0], "%s", error);
    suite->implementation_count = 1;
    cr_assert(vpc_suite_add(suite, scenario, &error), "%s", error);
    vpc_suite_run(suite);
    cr_assert_eq(suite->run_count, 1);
    free(ini);
    free(scenario);
    free(text);
}

static void expect_of(const char *lie, const char *script, const char *features,
                      enum vpc_verdict verdict, const char *requirement)
{
    struct vpc_suite suite;
    const struct vpc_result *result;

    setenv("VPC_FAKE_LIE", lie, 1);
    run(&suite, script, features);
    result = &suite.runs[0].result;
    cr_expect_eq(result->verdict, verdict, "%s: %s: %s (%s)", lie,
                 vpc_verdict_name(result->verdict), result->got, result->requirement);
    if (requirement)
        cr_expect_not_null(strstr(result->requirement, requirement), "%s: %s instead of %s: %s",
                           lie, result->requirement, requirement, result->got);
    vpc_suite_free(&suite);
}

static void expect(const char *lie, const char *script, enum vpc_verdict verdict,
                   const char *requirement)
{
    expect_of(lie, script, "", verdict, requirement);
}

Test(verdict, the_honest_one_passes)
{
    expect("", HEAD MAIN_PART, VPC_PASS, NULL);
}

static const struct {
    const char *lie;
    const char *requirement;
} table_of_lies[] = {
    {"preamble", "FRM-8"},     {"echo", "SES-2"},       {"features", "MSG-2"},
    {"reserved", "FRM-11"},    {"number", "FRM-4"},     {"credit", "FLW-1"},
    {"offset", "FLW-2"},       {"fin", "FLW-4"},        {"after-fin", "CLS-1"},
    {"stranger", "CHN-2"},     {"lower", "FLW-3"},      {"noise", "FRM-9"},
    {"unasked", "CHN-3"},      {"log-common", "LOG-1"}, {"log-name", "LOG-1"},
    {"log-stranger", "LOG-1"}, {"log-port", "LOG-2"},
};

Test(verdict, each_lie_fails_with_its_requirement)
{
    for (size_t i = 0; i < sizeof(table_of_lies) / sizeof(table_of_lies[0]); i++)
        expect(table_of_lies[i].lie, HEAD MAIN_PART, VPC_FAIL, table_of_lies[i].requirement);
}

Test(verdict, a_refused_releases_both_channels)
{
    const char *script = HEAD "session\nbus > open channel=1\nbus > reset channel=2 errno=104\n"
                              "bus < refused channel=1\nwait 10ms\n";

    expect("refused-last", script, VPC_PASS, NULL);
    expect("refused-first", script, VPC_FAIL, "CHN-3");
}

Test(verdict, an_epoch_that_comes_again)
{
    expect("epoch", HEAD "session\nbus down\nsession\n", VPC_FAIL, "SES-1");
    expect("short-epoch", HEAD "session\n", VPC_FAIL, "SES-1");
}

Test(verdict, a_wrong_crc_is_never_heard)
{
    expect("crc", HEAD "session\n", VPC_FAIL, "CLS-2");
}

Test(verdict, a_crash_is_a_fail)
{
    expect("crash", HEAD MAIN_PART, VPC_FAIL, NULL);
}

Test(verdict, an_action_is_told_of_by_1_alone)
{
    expect("two-actions", HEAD MAIN_PART, VPC_FAIL, NULL);
}

Test(verdict, a_busy_loop_is_a_fail)
{
    expect("spin", HEAD MAIN_PART, VPC_FAIL, NULL);
}

Test(verdict, processor_time_and_a_clock_that_stands_still)
{
    expect("", HEAD "bus up\nsubject idle for 2s by TRN-4\n", VPC_PASS, NULL);
    expect("restless", HEAD "bus up\nsubject idle for 2s by TRN-4\n", VPC_FAIL, "TRN-4");
    expect("restless", HEAD "bus up\nsubject idle for 2s share=50 by TRN-4\n", VPC_PASS, NULL);
    expect("restless", HEAD "bus up\nclock stop\nsubject idle for 2s by TRN-4\n", VPC_PASS, NULL);
}

Test(verdict, a_signal_to_what_is_no_process_is_the_scripts_fault)
{
    expect("", HEAD "session\nstop subject SIGINT\n", VPC_HARNESS_ERROR, NULL);
}

Test(verdict, a_timer_of_which_deadline_does_not_tell_is_late)
{
    const char *script = HEAD "bus up\nlog < 1002\nwait 200ms\nlog < 1016 within 200ms\n";

    expect("timer", script, VPC_PASS, NULL);
    expect("forgotten-timer", script, VPC_FAIL, NULL);
}

#define OPENED "session\nbus > open channel=1 limit=8\n"

Test(verdict, alternatives)
{
    const char *rest = "or non-strict\nbus < opened channel=1\nwait 5ms\nend\nwait 1ms\n";
    char *strict = vpc_format("%seither\nbus < opened channel=1\nwait 5ms\n%s", HEAD OPENED, rest);
    char *lenient = vpc_format("%seither\nbus < refused channel=1\n%s", HEAD OPENED, rest);
    char *silence =
        vpc_format("%seither\nlog < 1014\nor non-strict\nlog none 1014 for 1s\nend\n", HEAD OPENED);

    expect("", strict, VPC_PASS, NULL);
    expect("", lenient, VPC_NON_STRICT, "CLS-2");
    expect("", silence, VPC_NON_STRICT, NULL);
    expect("crash", lenient, VPC_FAIL, NULL);
    expect("", HEAD OPENED "either\nbus < refused\nor\nbus < reset by CLS-4\nend\n", VPC_FAIL,
           NULL);
    expect("",
           HEAD OPENED "either\nbus < opened\nbus < fin within 1s by CLS-1\nor\nbus < fin\nend\n",
           VPC_FAIL, "CLS-1");
    free(strict);
    free(lenient);
    free(silence);
}

Test(verdict, steps_in_any_order)
{
    expect("",
           HEAD OPENED "unordered\nbus < refused\nbus < fin channel=3 within 1ms\n"
                       "bus < opened channel=1\nend\n",
           VPC_FAIL, NULL);
    expect("",
           HEAD OPENED
           "unordered\nbus < fin\nbus < data channel=2 text=\"\\0\\0\\0\\0\\0\\0\\0\\0\"\n"
           "bus < opened channel=1\nend\nwait 1ms\n",
           VPC_PASS, NULL);
    expect("", HEAD OPENED "unordered\nbus < refused channel=1\nbus < opened channel=1\nend\n",
           VPC_FAIL, NULL);
    expect("", HEAD OPENED "unordered\nbus < opened channel=1\nlog < 1014 within 1s\nend\n",
           VPC_FAIL, NULL);
}

Test(verdict, sums_of_variables)
{
    expect("",
           HEAD OPENED "bus < opened channel=$a\nbus > open channel=$a+10 reverse_channel=$a+11\n"
                       "bus < opened channel=11\n",
           VPC_PASS, NULL);
    expect("",
           HEAD OPENED "bus < opened channel=$a\nbus > open channel=$a+10 reverse_channel=$a+11\n"
                       "bus < opened channel=$a+1\n",
           VPC_FAIL, NULL);
}

Test(verdict, a_subject_that_a_step_starts)
{
    const char *late = "# A late start.\ncovers CLS-2\nsubject guest not-started\n";
    char *good = vpc_format("%swait 1s\nstart subject\n%s", late, MAIN_PART);
    char *twice = vpc_format("%sstart subject\nstart subject\n", late);

    expect("", good, VPC_PASS, NULL);
    expect("", twice, VPC_HARNESS_ERROR, NULL);
    expect_of("", HEAD "waiter wait 1s\n", "wait-ready", VPC_HARNESS_ERROR, NULL);
    free(good);
    free(twice);
}

Test(verdict, an_entry_of_the_peer_is_no_scenario_of_its_event)
{
    char *text = NULL;
    struct vpc_suite suite;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    setenv("VPC_FAKE_LIE", "", 1);
    run(&suite, HEAD "bus up\nlog < 1002 source=host\nlog < 1003 source=guest\n", "");
    vpc_coverage_events(&suite, "/no/such/file", out);
    fclose(out);
    cr_expect_not_null(strstr(text, "event 1002 TRANSPORT_UP has no scenario"));
    cr_expect_null(strstr(text, "event 1003 "));
    vpc_suite_free(&suite);
    free(text);
}

Test(verdict, an_event_without_scenario_needs_a_reason)
{
    struct vpc_suite suite;
    char *list = write_file("list.txt", "# comment\n1002 it is logged before anyone looks\n1003\n");
    char *text = NULL;
    size_t size = 0, without, with;
    FILE *out = open_memstream(&text, &size);

    setenv("VPC_FAKE_LIE", "", 1);
    run(&suite, HEAD "bus up\nlog < 1002\n", "");
    without = vpc_coverage_events(&suite, "/no/such/file", out);
    with = vpc_coverage_events(&suite, list, out);
    fclose(out);
    cr_expect_eq(with, without + 1, "1002 has a scenario and is listed; 1003 has no reason");
    cr_expect_not_null(strstr(text, "event 1002 TRANSPORT_UP has a scenario"));
    cr_expect_not_null(strstr(text, "event 1003 TRANSPORT_DOWN has no scenario"));
    vpc_suite_free(&suite);
    free(text);
    free(list);
}

#define QUERY_WITH(id) "api > query-vm " id "\napi < return\n"
#define RAW_QUERY                                                                                  \
    "api > raw \"{\\\"execute\\\": \\\"query-vm\\\", \\\"id\\\": {\\\"a\\\": [1]}}\"\n"            \
    "api < return heartbeat=100\n"
#define ASK_ODD "api > raw \"{\\\"execute\\\": \\\"odd\\\", \\\"id\\\": 1}\"\n"
#define QUERY   HEAD ASK_ODD

static const struct {
    const char *fields;
    enum vpc_verdict verdict;
} typed[] = {
    {"heartbeat=100 peer=null", VPC_PASS},
    {"heartbeat=\"100\"", VPC_FAIL},
    {"heartbeat!=\"100\"", VPC_PASS},
    {"heartbeat=true", VPC_FAIL},
    {"peer=\"null\"", VPC_FAIL},
    {"peer=absent", VPC_FAIL},
    {"peer=*", VPC_PASS},
    {"pipe=One", VPC_PASS},
    {"pipe=one", VPC_FAIL},
    {"pipe=\"\\\\\\\\.\\\\PIPE\\\\One\"", VPC_FAIL},
    {"heartbeat=$h peer=$p\n" ASK_ODD "api < return peer=$p heartbeat=$h", VPC_PASS},
    {"pipe=$p\n" ASK_ODD "api < return heartbeat=$p", VPC_FAIL},
};

Test(verdict, a_field_has_its_type)
{
    for (size_t i = 0; i < sizeof(typed) / sizeof(typed[0]); i++) {
        char *script = vpc_format("%sapi < return %s\n", QUERY, typed[i].fields);

        expect_of("", script, "control", typed[i].verdict, NULL);
        free(script);
    }
    expect_of("text-for-number", QUERY "api < return heartbeat=100\n", "control", VPC_FAIL, NULL);
    expect_of("text-for-number", QUERY "api < return heartbeat=\"100\"\n", "control", VPC_PASS,
              NULL);
    expect_of("pipe-without-prefix", QUERY "api < return pipe=one\n", "control", VPC_FAIL, NULL);
}

static bool connects(struct vpc_backend *backend, int client)
{
    (void)backend;
    (void)client;
    return true;
}

Test(verdict, an_end_that_came_before_its_step)
{
    struct vpc_backend_ops ops = {.control_open = connects};
    char label[] = "b";
    struct vpc_step step = {.label = label};
    struct conform_progress progress = {.step = &step, .first = true};
    struct vpc_run one = {.ops = &ops, .progress = &progress};
    struct conform_client *ended = vpc_client_of(&one, "b", true);

    ended->eof = true;
    cr_expect_eq(vpc_client_of(&one, "b", false), ended, "what it said can not be asked for");
    cr_expect_eq(vpc_step_api_eof(&one, &step), VPC_DONE);
    cr_expect_neq(vpc_client_of(&one, "b", false), ended, "its end is told, and nothing follows");
    one.clients->eof = true;
    cr_expect_neq(vpc_client_of(&one, "b", true), one.clients->next, "a step writes to nobody");
    for (struct conform_client *next; (ended = one.clients) != NULL; one.clients = next) {
        next = ended->next;
        free(ended->label);
        free(ended);
    }
}

#define STUCK(n) "session\nbus pause bytes=" n "\nbus > open channel=1 limit=8\n"

Test(verdict, a_bus_that_takes_so_many_octets)
{
    expect("", HEAD STUCK("35") "bus none opened for 1s\nbus resume\nbus < opened channel=1\n",
           VPC_PASS, NULL);
    expect("", HEAD STUCK("36") "bus < opened channel=1\nbus none data for 1s\n", VPC_PASS, NULL);
    expect("",
           HEAD STUCK("37") "bus < opened channel=1\nbus < data channel=2 bytes=0 within 1s\n"
                            "bus < fin within 1s by CLS-1\n",
           VPC_FAIL, "CLS-1");
}

Test(verdict, an_answer_has_its_request_s_id)
{
    expect_of("", HEAD "repeat 9\napi > query-vm\napi < return\nend\n", "control", VPC_PASS, NULL);
    expect_of("number-ids", HEAD "repeat 9\napi > query-vm\napi < return\nend\n", "control",
              VPC_FAIL, "CTL-2");
    expect_of("", HEAD QUERY_WITH("id=null") QUERY_WITH("id=\"7\"") QUERY_WITH("id=absent"),
              "control", VPC_PASS, NULL);
    expect_of("number-ids", HEAD QUERY_WITH("id=7"), "control", VPC_PASS, NULL);
    expect_of("number-ids", HEAD QUERY_WITH("id=\"7\""), "control", VPC_FAIL, "CTL-2");
    expect_of("number-ids", HEAD QUERY_WITH("id=null"), "control", VPC_FAIL, "CTL-2");
    expect_of("", HEAD RAW_QUERY, "control", VPC_PASS, NULL);
    expect_of("number-ids", HEAD RAW_QUERY, "control", VPC_FAIL, "CTL-2");
}

Test(verdict, an_offset_is_that_of_the_first_byte)
{
    const char *four =
        HEAD OPENED "bus < opened\nbus < data channel=2 offset=0 text=\"\\0\\0\\0\\0\"\n";
    char *good = vpc_format("%sbus < data channel=2 offset=4 text=\"\\0\\0\\0\\0\"\n", four);
    char *bad = vpc_format("%sbus < data channel=2 offset=0 text=\"\\0\\0\\0\\0\"\n", four);

    expect("", good, VPC_PASS, NULL);
    expect("", bad, VPC_FAIL, NULL);
    free(good);
    free(bad);
}

Test(verdict, bytes_that_wait_when_the_subject_leaves_the_session)
{
    const char *script = HEAD OPENED "bus < opened\nbus > data channel=1 bytes=2000\n";

    expect("leaves", script, VPC_FAIL, NULL);
    expect("", script, VPC_FAIL, NULL);
}

Test(verdict, a_hello_that_came_before_is_no_answer)
{
    expect("repeats", HEAD "session\nwait 1500ms\nbus none hello\n", VPC_FAIL, NULL);
    expect("repeats", HEAD "session\nwait 1500ms\nbus > open channel=1\nbus none hello for 100ms\n",
           VPC_PASS, NULL);
    expect("", HEAD "session\nbus > hello echo=0\nbus none hello for 100ms\n", VPC_FAIL, NULL);
}

Test(verdict, times_are_those_of_the_clock)
{
    const char *script = HEAD "bus up\nwait 2s\nbus down\n";
    const char *event = HEAD "api > query-vm\napi < return\n";

    expect("", script, VPC_PASS, NULL);
    expect("seconds", script, VPC_FAIL, "LOG-1");
    expect("ahead", script, VPC_FAIL, "LOG-1");
    expect_of("", event, "control", VPC_PASS, NULL);
    expect_of("event-seconds", event, "control", VPC_FAIL, "CTL-4");
}

Test(verdict, each_line_of_the_control_socket_is_as_the_schema_says)
{
    const char *refused = HEAD "api > set-tag tag=B\napi < error\n";

    expect_of("nameless", QUERY "api < return\n", "control", VPC_FAIL, "CTL-1");
    expect_of("beyond-percent", QUERY "api < return\n", "control", VPC_FAIL, "CTL-4");
    expect_of("", refused, "control", VPC_PASS, NULL);
    expect_of("speechless", refused, "control", VPC_FAIL, "CTL-2");
}

Test(verdict, an_error_has_the_class_of_its_result)
{
    const char *script = HEAD "api > set-tag tag=B\napi < VM_E_VM_RUNNING_OR_SAVED\n";

    expect_of("", script, "control", VPC_PASS, NULL);
    expect_of("class", script, "control", VPC_FAIL, NULL);
}

Test(verdict, a_step_names_its_own_requirement)
{
    expect("", HEAD "session\nbus > open channel=1\nbus < refused channel=1 by CHN-4\n", VPC_FAIL,
           "CHN-4");
}

Test(verdict, a_step_without_sense_is_the_harness_s_fault)
{
    expect("", HEAD "tcp > \"nobody\"\n", VPC_HARNESS_ERROR, NULL);
}

Test(verdict, what_is_not_claimed_is_not_supported)
{
    expect("", HEAD "needs antigravity\n" MAIN_PART, VPC_NOT_SUPPORTED, NULL);
    expect("", HEAD "api > query-vm\n", VPC_NOT_SUPPORTED, NULL);
    expect_of("", HEAD "event none HEARTBEAT\n", "control", VPC_NOT_SUPPORTED, NULL);
    expect_of("", HEAD "event none HEARTBEAT\n", "control events", VPC_PASS, NULL);
    expect_of("", HEAD "waiter wait 1s\n", "control", VPC_NOT_SUPPORTED, NULL);
}

Test(verdict, silence_that_is_broken_and_a_limit_that_passes)
{
    expect("", HEAD "bus up\nbus silent for 2s\n", VPC_PASS, NULL);
    expect("", HEAD "session\nbus < goodbye within 100ms\n", VPC_FAIL, NULL);
}

Test(verdict, patterns_and_shards)
{
    struct vpc_suite suite;
    char *error = NULL;
    size_t runs = 0, names;

    setenv("VPC_FAKE_LIE", "", 1);
    free(write_file("other.vpcs", HEAD "bus up\n"));
    for (size_t shard = 0; shard <= 2; shard++) {
        run(&suite, HEAD MAIN_PART, "");
        cr_expect(vpc_suite_add_matching(&suite, dir, "o?her", &error), "%s", error);
        cr_expect_eq(suite.script_count, 2);
        cr_expect_not(vpc_suite_add_matching(&suite, dir, "ther*", &error));
        free(error);
        error = NULL;
        names = suite.run_count;
        suite.shard = shard;
        suite.shards = shard ? 2 : 0;
        vpc_suite_run(&suite);
        runs += shard ? suite.run_count - names : 0;
        if (shard == 0)
            cr_expect_eq(suite.run_count - names, 2);
        vpc_suite_keep_covering(&suite, "FRM-*");
        cr_expect_eq(suite.script_count, 0);
        vpc_suite_free(&suite);
    }
    cr_expect_eq(runs, 2);
}

Test(verdict, a_folder_that_can_not_be_made_is_said)
{
    struct vpc_suite suite;

    setenv("VPC_FAKE_LIE", "credit", 1);
    run(&suite, HEAD MAIN_PART, "");
    cr_assert_null(suite.trouble, "%s", suite.trouble);
    suite.out = "/dev/null";
    vpc_suite_run(&suite);
    cr_assert_not_null(suite.trouble);
    cr_expect_not_null(strstr(suite.trouble, "Not a directory"));
    cr_expect_eq(vpc_suite_exit(&suite, 0), VPC_EXIT_HARNESS);
    vpc_suite_free(&suite);
}

Test(verdict, the_same_seed_gives_the_same_trace_and_a_failure_its_folder)
{
    struct vpc_suite first, second;
    char *path;

    setenv("VPC_FAKE_LIE", "credit", 1);
    run(&first, HEAD MAIN_PART, "");
    run(&second, HEAD MAIN_PART, "");
    cr_expect_str_eq(first.runs[0].result.trace, second.runs[0].result.trace);
    path = vpc_format("%s/repeat.sh", first.runs[0].folder);
    cr_expect_eq(access(path, R_OK), 0);
    free(path);
    vpc_suite_free(&first);
    vpc_suite_free(&second);
}

Test(verdict, each_backend_has_its_number_of_jobs)
{
    struct vpc_suite suite = {.backends = {&vpc_backend_inproc, &vpc_backend_socket},
                              .backend_count = 2};

    cr_expect_eq(vpc_suite_jobs(&suite, &vpc_backend_socket), 1);
    suite.jobs = 2;
    vpc_suite_set_jobs(&suite, &vpc_backend_socket, 8);
    cr_expect_eq(vpc_suite_jobs(&suite, &vpc_backend_inproc), 2);
    cr_expect_eq(vpc_suite_jobs(&suite, &vpc_backend_socket), 8);
    cr_expect_eq(vpc_suite_jobs(&suite, &vpc_backend_qemu), 2);
    cr_expect_eq(vpc_suite_most_jobs(&suite), 8);
    suite.backend_count = 1;
    cr_expect_eq(vpc_suite_most_jobs(&suite), 2, "sockets are not of this suite");
}
