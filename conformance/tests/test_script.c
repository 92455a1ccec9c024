/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "document/embedded.h"
#include "script/script.h"

static struct vpc_table *table;
static struct vpc_spec *spec;

static void set_up(void)
{
    char *error = NULL;

    table = vpc_table_load(vpc_embedded_messages, &error);
    spec = vpc_spec_load(vpc_embedded_document);
}

static void tear_down(void)
{
    vpc_table_free(table);
    vpc_spec_free(spec);
}

TestSuite(script, .init = set_up, .fini = tear_down, .timeout = 10);

#define HEAD "# A test of the loader.\ncovers FRM-3\nsubject host\n"

Test(script, a_good_one)
{
    char *error = NULL;
    struct vpc_script *script = vpc_script_parse(
        "dir/good.vpcs",
        HEAD "option heartbeat_late_ms=300\n"
             "bus > data channel=7 text=\"a\\x00\\\"b\" seal.number=7 ignoring credit  # why\n"
             "bus < fin channel!=2 within heartbeat_late+500ms by CLS-1\n"
             "\n"
             "pipe:b > \"x\"\r\n",
        table, spec, &error);

    cr_assert_not_null(script, "%s", error);
    cr_assert_str_eq(script->name, "good");
    cr_assert_eq(script->step_count, 3);
    cr_assert_eq(script->steps[0].ignoring_credit, true);
    cr_assert_eq(vpc_step_arg(&script->steps[0], "text")->size, 4);
    cr_assert_eq(script->steps[1].line, 6);
    cr_assert(vpc_step_arg(&script->steps[1], "channel")->differs);
    cr_assert_str_eq(script->steps[1].by, "CLS-1");
    cr_assert_str_eq(script->steps[2].label, "b");
    vpc_script_free(script);
}

Test(script, a_folded_one_unfolds_to_the_same)
{
    char *error = NULL;
    struct vpc_script *script = vpc_script_parse(
        "dir/it.vpcs", HEAD "repeat 3 counter=i\nbus > fin channel={i}\nend\nbus up\n", table, spec,
        &error);
    struct vpc_script *whole;

    cr_assert_not_null(script, "%s", error);
    vpc_script_fold(script);
    vpc_script_fold(script);
    cr_assert(script->step_count == 0 && script->steps == NULL);
    whole = vpc_script_unfold(script, table, spec);
    vpc_script_free(script);
    cr_assert_eq(whole->step_count, 4);
    cr_expect_str_eq(whole->path, "dir/it.vpcs");
    cr_expect_str_eq(vpc_step_arg(&whole->steps[2], "channel")->value, "3");
    cr_expect_eq(whole->steps[3].line, 7);
    vpc_script_free(whole);
}

static const struct {
    const char *text;
    const char *place;
    const char *expected;
} bad[] = {
    {"covers FRM-3\n", "1:1", "plain English"},
    {"# Too few lines here.\ncovers FRM-3\n", ":1", "at least one step"},
    {"# No requirement at all.\nsubject host\nbus up\n", ":1", "covers"},
    {"# Unknown requirement.\ncovers FRM-999\n", "2:8", "a requirement id"},
    {"# A step too early.\ncovers FRM-3\nbus up\n", "3:1", "subject host"},
    {HEAD "  ?bus up\n", "4:3", "a step: subject, session, auto"},
    {HEAD "buss up\n", "4:1",
     "refuses, clock, vm, waiter, bus, api, event, log, ready, pipe, tcp, a block"},
    {HEAD "buss up\n", "4:1", "repeat, either, or, unordered, end, or a setting: covers, subject,"},
    {HEAD "bus > fin channel=two\n", "4:11", "a number, or a $variable"},
    {HEAD "bus > fin channel=2 offset=\"2\"\n", "4:21", "a number, or a $variable"},
    {HEAD "bus > hello tag=$x\n", "4:13", "a \"text\""},
    {HEAD "bus > data channel=2\n", "4:21", "\"text\", or bytes="},
    {HEAD "bus > data channel=2 payload=5\n", "4:22", "one of: text, bytes"},
    {HEAD "bus > data channel=2 bytes=$n\n", "4:22", "a step before this one that sets $n"},
    {HEAD "bus < fin channel=$n+1\n", "4:11", "a step before this one that sets $n"},
    {HEAD "bus none fin channel=$n\n", "4:14", "a step before this one that sets $n"},
    {HEAD "api > start pipe=$name\n", "4:13", "a step before this one that sets $name"},
    {HEAD "bus > hello epoch=$tester_epoch\n", "4:13", "that sets $tester_epoch"},
    {HEAD "bus > fin offset=$session_id+99999999999999999999\n", "4:11", "a number of 64 bits"},
    {HEAD "bus > raw 1g\n", "4:11", "octets in hexadecimal"},
    {HEAD "bus > raw 016\n", "4:11", "octets in hexadecimal"},
    {HEAD "bus > pad many\n", "4:11", "a number from 1 to"},
    {HEAD "auto maybe credit\n", "4:6", "on or off"},
    {HEAD "auto off credits\n", "4:10", "heartbeat, credit or released"},
    {HEAD "session ready\n", "4:9", "nothing, or not-ready"},
    {HEAD "session max_pairs=few\n", "4:9", "a number"},
    {HEAD "pipe > hello\n", "4:13", "\"text\", or bytes="},
    {HEAD "subject idle for 2s share=few\n", "4:21", "a number"},
    {HEAD "wait 2s for 3s\n", "4:6", "one length of time"},
    {HEAD "session tags=1\n", "4:9", "one of: version_min, version_max, max_pairs, tag"},
    {HEAD "session ta=1\n", "4:9", "one of: version_min"},
    {HEAD "bus sideways\n", "4:5", "one of: up, down"},
    {HEAD "bus > halo\n", "4:7", "a message"},
    {HEAD "bus > fin chanel=1\n", "4:11", "field of FIN"},
    {HEAD "bus > fin channel=\n", "4:19", "a value"},
    {HEAD "bus > data text=\"ab\n", "4:20", "closing quote"},
    {HEAD "bus > data text=\"a\\qb\"\n", "4:20", "escape"},
    {HEAD "bus > fin channel!2\n", "4:19", "= or !="},
    {HEAD "bus < fin within 5 days\n", "4:18", "a duration"},
    {HEAD "bus < fin within lunch+5ms\n", "4:18", "a duration"},
    {HEAD "bus < fin by CLS-99\n", "4:14", "a requirement id"},
    {HEAD "bus < fin within\n", "4:18", "a word behind"},
    {HEAD "wait\n", "4:5", "a duration"},
    {HEAD "tcp listen 6174\n", "4:1", "no tcp step"},
    {HEAD "option lunch_ms=3\n", "4:8", "a setting of section 10"},
    {HEAD "pipe: > \"x\"\n", "4:6", "a label"},
    {HEAD "descriptors few\n", "4:13", "from 16 to 1000"},
    {HEAD "descriptors 4\n", "4:13", "from 16 to 1000"},
    {HEAD "api > part\n", "4:11", "a part of a line"},
    {HEAD "pipe < eof dirty\n", "4:12", "clean"},
    {HEAD "api < ERROR_OF_MINE\n", "4:7", "a result of section 8"},
    {HEAD "log < 999\n", "4:7", "an event of the catalogue"},
    {HEAD "log none ENDPOINT_START\n", "4:10", "an event of the catalogue"},
    {HEAD "log none 1011x\n", "4:10", "an event of the catalogue"},
    {HEAD "log < 1021 causes=*\n", "4:12", "the catalogue has for this event"},
    {HEAD "log < 1021 silent_ms=1\n", "4:12", "the catalogue has for this event"},
    {HEAD "log none 1021 silent=1\n", "4:15", "the catalogue has at all"},
    {HEAD "log < 1021 colour=absent\n", "4:12", "the catalogue has at all"},
    {HEAD "log < 1021 level=bad\n", "4:12", "a value of level"},
    {HEAD "event < CHANNEL_CLOSE\n", "4:9", "an event of section 8"},
    {HEAD "event none HEARTBEATS\n", "4:12", "an event of section 8"},
    {HEAD "event < CHANNEL_CLOSED silent_ms=1\n", "4:24", "a field that control.schema.json has"},
    {HEAD "event < CHANNEL_CLOSED colour=absent\n", "4:24", "a field that control.schema.json has"},
    {HEAD "event none HEARTBEAT heartbeats=1\n", "4:22", "a field that control.schema.json has"},
    {HEAD "event < EVENT_LOGGED id=1021 silent_ms=1\n", "4:30", "catalogue has for this event"},
    {HEAD "event < EVENT_LOGGED ids=1021\n", "4:22", "a field that the catalogue has"},
    {HEAD "api > starts pipe=x\n", "4:7", "a command of section 8"},
    {HEAD "api > start pipes=x\n", "4:13", "an argument of start"},
    {HEAD "api > stop port=1\n", "4:12", "an argument of stop"},
    {HEAD "api < return levels=down\n", "4:14", "a field that control.schema.json has"},
    {HEAD "api < return level=dawn\n", "4:14", "a value of level"},
    {HEAD "api < S_OK errno=1\n", "4:12", "a field that control.schema.json has"},
    {HEAD "api < error klass=E_POINTER\n", "4:13", "a field that control.schema.json has"},
    {HEAD "api < greeting roles=host\n", "4:16", "a field that control.schema.json has"},
    {HEAD "api < device states=open\n", "4:14", "a field that control.schema.json has"},
    {HEAD "api < no-device state=opened\n", "4:17", "a value of state"},
    {HEAD "restart subjects\n", "4:9", "subject"},
    {HEAD "bus up now\n", "4:8", "nothing more"},
    {HEAD "backends inproc\n", "4:16", "a reason"},
    {"# A late start.\ncovers FRM-3\nsubject host later\nbus up\n", "3:14", "not-started"},
    {HEAD "start subject\n", "4:1", "not-started"},
    {HEAD "subject idle\n", "4:13", "for T"},
    {HEAD "subject idle for 2s part=3\n", "4:21", "share"},
    {HEAD "clock back\n", "4:7", "one of: stop, go"},
    {HEAD "waiter wait lunch\n", "4:13", "a duration"},
    {HEAD "waiter < done\n", "4:10", "one of: ready, timeout"},
    {HEAD "waiter none eof\n", "4:13", "ready"},
    {HEAD "api pause bytes=1\n", "4:11", "one of: "},
    {HEAD "pipe taken \\other\n", "4:12", "a pipe name"},
    {HEAD "bus > pad 99999999999\n", "4:11", "from 1 to"},
    {HEAD "bus > hello preamble=99999999999\n", "4:13", "at most"},
    {HEAD "bus > data bytes=99999999999\n", "4:12", "at most"},
    {HEAD "bus > data bytes=1 frame=0\n", "4:20", "1 at least"},
    {HEAD "api > query-vm times=99999999999\n", "4:16", "from 1 to"},
    {HEAD "api > query-vm times=often\n", "4:16", "from 1 to"},
    {HEAD "api pause now\n", "4:11", "nothing more"},
    {HEAD "bus > open behind=1\n", "4:12", "field of OPEN"},
    {HEAD "pipe deny one\n", "4:11", "nothing more"},
    {HEAD "vm stop\n", "4:4", "pause, resume, reset, kill, save, restore, unplug or plug"},
    {HEAD "stop subject SIGHUP\n", "4:14", "subject, then SIGINT or nothing"},
    {HEAD "stop SIGINT\n", "4:6", "subject, then SIGINT or nothing"},
    {HEAD "stop subject SIGINT now\n", "4:21", "subject, then SIGINT or nothing"},
    {HEAD "bus < fin offset=$n+\n", "4:21", "a number"},
    {HEAD "repeat\nbus up\nend\n", "4:7", "how often"},
    {HEAD "repeat 0\nbus up\nend\n", "4:8", "a number from 1 to 1000"},
    {HEAD "repeat 2 counter=i till=3\nbus up\nend\n", "4:20", "counter=NAME"},
    {HEAD "repeat 2\nbus up\n", "4:1", "\"end\" of this repeat"},
    {HEAD "repeat 2\nbus sideways\nend\n", "5:5", "one of: up, down"},
    {HEAD "repeat 2\nrepeat 2\nrepeat 2\nbus up\nend\nend\nend\n", "6:1", "at most 2 repeats"},
    {HEAD "repeat 1000\nrepeat 1000\nbus up\nend\nend\n", "6:1", "at most 20000 steps"},
    {HEAD "repeat 1000\nrepeat 1000\n\nend\nend\n", "6:1", "at most 40000 lines"},
    {HEAD "repeat 2\noption window=5\nbus up\nend\n", "5:1", "no setting in a block"},
    {HEAD "either\nbus < fin\nend\n", "6:1", "\"or\" in the block"},
    {HEAD "bus up\nend\n", "5:1", "a block before it"},
    {HEAD "or\n", "4:1", "\"either\" before it"},
    {HEAD "either\nbus < fin\nor\nend\n", "7:1", "a step in the block"},
    {HEAD "either\nor\nbus < fin\nend\n", "5:1", "a step in the alternative"},
    {HEAD "either\nbus up\nor\nbus < fin\nend\n", "5:1", "an alternative to begin with"},
    {HEAD "either\nbus < data text=\"x\"\nor\nbus < fin\nend\n", "5:1", "to begin with"},
    {HEAD "either\nbus < fin\nor lenient\nbus < reset\nend\n", "6:4", "non-strict"},
    {HEAD "either\nbus < fin\neither\nbus < fin\nend\n", "6:1", "of the block in line 4"},
    {HEAD "either\nbus < fin\nor\nbus < reset\n", "4:1", "\"end\" of this block"},
    {HEAD "unordered\nbus > credit\nend\n", "5:1", "only steps that ask"},
    {HEAD "unordered\nend\n", "5:1", "a step in the block"},
    {HEAD "either:a\nbus < fin\nor\nbus < reset\nend\n", "4:7", "no label"},
};

Test(script, bad_ones_fail_at_the_stated_place)
{
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char *error = NULL;
        struct vpc_script *script = vpc_script_parse("bad.vpcs", bad[i].text, table, spec, &error);

        cr_assert_null(script, "accepted: %s", bad[i].text);
        cr_expect_not_null(strstr(error, bad[i].place), "%s: %s", bad[i].text, error);
        cr_expect_not_null(strstr(error, bad[i].expected), "%s: %s", bad[i].text, error);
        cr_expect_eq(strncmp(error, "bad.vpcs:", 9), 0);
        free(error);
    }
}

Test(script, names_of_the_document_are_taken)
{
    char *error = NULL;
    struct vpc_script *script = vpc_script_parse(
        "names.vpcs",
        HEAD "api > start pipe=x port=y id=3 times=2 host-type=null\napi > raw \"{}\"\n"
             "api < S_OK port=$port h2g=* pipe=x\napi < error class=E_POINTER errno=absent\n"
             "api < return level=down tag=absent\napi < device state=open bytes=$port\n"
             "log < 1021 guest_time=* errno=absent silent_ms=absent sent!=text pipe=x\n"
             "log < 1004 port=\"x\"\nlog < 1004 port=6174\n"
             "log none ENDPOINT_STARTED detail=x\nevent none HEARTBEAT heartbeat=absent\n"
             "event < CHANNEL_READY cause=absent\nevent < EVENT_LOGGED silent_ms=3 id=*\n",
        table, spec, &error);

    cr_assert_not_null(script, "%s", error);
    vpc_script_free(script);
}

Test(script, a_subject_that_is_started_by_a_step)
{
    char *error = NULL;
    struct vpc_script *script =
        vpc_script_parse("late.vpcs",
                         "# A late start.\ncovers RDY-2\nsubject host not-started\n"
                         "waiter:a wait heartbeat_late+1s\nstart subject\n"
                         "subject idle for 2s share=5\nwaiter:a < ready within 1s\n",
                         table, spec, &error);

    cr_assert_not_null(script, "%s", error);
    cr_expect(script->not_started);
    cr_assert_eq(script->step_count, 4);
    cr_expect_eq(script->steps[0].op, VPC_OP_WAITER_WAIT);
    cr_expect_str_eq(script->steps[0].label, "a");
    cr_expect_eq(script->steps[1].op, VPC_OP_START);
    cr_expect_eq(script->steps[2].during->ms, 2000);
    cr_expect_eq(script->steps[3].op, VPC_OP_WAITER_READY);
    vpc_script_free(script);
}

static struct vpc_script *good(const char *text)
{
    char *error = NULL;
    struct vpc_script *script = vpc_script_parse("good.vpcs", text, table, spec, &error);

    cr_assert_not_null(script, "%s", error);
    return script;
}

Test(script, a_repeat_is_read_so_often)
{
    struct vpc_script *script = good(HEAD "repeat 3 counter=i from=5 step=2\n"
                                          "pipe:c{i} > \"{i}{j}\\0{i}\" within {i}s\n"
                                          "repeat 2 counter=j\nbus > fin channel={i}{j}\nend\n"
                                          "end\nbus up\n");

    cr_assert_eq(script->step_count, 10);
    cr_expect_str_eq(script->steps[3].label, "c7");
    cr_expect_eq(script->steps[3].args[0].size, 6);
    cr_expect_eq(memcmp(script->steps[3].args[0].value, "7{j}\0007", 6), 0);
    cr_expect_eq(script->steps[3].within->ms, 7000);
    cr_expect_str_eq(vpc_step_arg(&script->steps[8], "channel")->value, "92");
    cr_expect_str_eq(script->steps[8].text, "bus > fin channel={i}{j}  # j=2  # i=9");
    cr_expect_eq(script->steps[8].line, 7);
    cr_expect_eq(script->steps[9].op, VPC_OP_BUS_UP);
    vpc_script_free(script);
}

Test(script, an_alternative_may_begin_with_each_silence)
{
    struct vpc_script *script =
        good(HEAD "either\nwaiter none ready for 1s\nor\nbus silent for 1s\n"
                  "or\npipe silent for 1s\nor\napi none for 1s\nend\n");

    cr_expect_eq(script->step_count, 9);
    vpc_script_free(script);
}

Test(script, blocks_say_where_their_parts_stand)
{
    struct vpc_script *script = good(HEAD "either\nbus < goodbye\nwait 1ms\nor non-strict\n"
                                          "log none 1014 for 1s\nor\nbus < fin\nend\n"
                                          "unordered\nbus < fin\nbus < data text=\"x\"\nend\n");
    const struct vpc_step *steps = script->steps;

    cr_assert_eq(script->step_count, 12);
    cr_expect_eq(steps[0].op, VPC_OP_EITHER);
    cr_expect_eq(steps[0].next, 3);
    cr_expect_eq(steps[3].op, VPC_OP_OR);
    cr_expect(steps[3].non_strict && !steps[0].non_strict && !steps[5].non_strict);
    cr_expect_eq(steps[3].next, 5);
    cr_expect_eq(steps[5].next, 7);
    cr_expect(steps[0].end == 7 && steps[3].end == 7 && steps[5].end == 7);
    cr_expect_eq(steps[7].op, VPC_OP_END);
    cr_expect_eq(steps[8].op, VPC_OP_UNORDERED);
    cr_expect_eq(steps[8].end, 11);
    vpc_script_free(script);
}

static uint64_t thrice(const void *user, const struct vpc_setting *timer)
{
    cr_expect_null(user);
    return timer->value * 3;
}

Test(script, durations)
{
    static const char *const bad_ones[] = {"1ms-2ms",
                                           "5",
                                           "",
                                           "99999999999s",
                                           "lunch",
                                           "1s+",
                                           "heartbeat_late-4s",
                                           "silent+silent+silent+silent+silent"};
    struct vpc_span span;

    cr_assert(vpc_span_parse("500ms", spec, &span));
    cr_expect_eq(vpc_span_ms(&span, thrice, NULL), 500);
    cr_assert(vpc_span_parse("heartbeat_late+2s-1ms", spec, &span));
    cr_expect_eq(span.ms, 1999);
    cr_expect_eq(vpc_span_ms(&span, thrice, NULL), 3 * 3000 + 1999);
    cr_assert(vpc_span_parse("3s-heartbeat_late", spec, &span));
    cr_expect_eq(vpc_span_ms(&span, thrice, NULL), 0, "less than nothing is nothing");
    for (size_t i = 0; i < sizeof(bad_ones) / sizeof(bad_ones[0]); i++)
        cr_expect_not(vpc_span_parse(bad_ones[i], spec, &span), "%s", bad_ones[i]);
}

Test(script, values_are_known_when_the_file_is_read)
{
    struct vpc_script *script =
        good(HEAD "session tag=\"T\" max_pairs=7\n"
                  "bus < open channel=$h2g reverse_channel!=$h2g+1\n"
                  "bus > fin channel=0x10 offset=$h2g-2 seal.number=5\n"
                  "bus > raw 0f \"x\"\n"
                  "api > start pipe=one port=absent host-type=7 host-name=\"7\" guest-type=null\n"
                  "wait 2s\n");
    const struct vpc_step *steps = script->steps;

    cr_expect_eq(steps[0].args[1].number, 7);
    cr_expect_str_eq(steps[0].args[0].field->name, "tag");
    cr_expect_eq(steps[1].args[1].name, VPC_KEY_CHANNEL);
    cr_expect(!steps[1].args[1].sum && steps[1].args[2].sum && steps[1].args[2].number == 1);
    cr_expect_str_eq(script->variables[steps[1].args[2].variable].name, "h2g");
    cr_expect_eq(steps[2].args[1].kind, VPC_VALUE_NUMBER);
    cr_expect_eq(steps[2].args[1].number, 16);
    cr_expect_str_eq(steps[2].args[2].field->name, "offset");
    cr_expect_eq(steps[2].args[2].number, (uint64_t)-2);
    cr_expect_eq(steps[2].args[3].name, VPC_KEY_NUMBER);
    cr_expect_eq(steps[3].args[0].number, 15);
    cr_expect_eq(steps[4].args[2].kind, VPC_VALUE_ABSENT);
    cr_expect(json_is_integer(steps[4].args[3].json) && json_is_string(steps[4].args[4].json) &&
              json_is_null(steps[4].args[5].json));
    cr_expect_eq(steps[5].during->ms, 2000);
    vpc_script_free(script);
}

Test(script, a_missing_file_is_said)
{
    char *error = NULL;

    cr_assert_null(vpc_script_load("no/such.vpcs", table, spec, &error));
    cr_assert_not_null(strstr(error, "no/such.vpcs"));
    free(error);
}

Test(script, the_document_is_read)
{
    cr_assert_geq(spec->requirement_count, 90);
    cr_assert(vpc_spec_requirement(spec, "FRM-3")->must);
    cr_assert_not_null(strstr(vpc_spec_requirement(spec, "FRM-8")->text, "out of it before"));
    cr_assert_eq(vpc_spec_setting(spec, "heartbeat_late_ms")->value, 3000);
    cr_assert_eq(vpc_spec_setting(spec, "version_max")->value, 256);
}
