/* SPDX-License-Identifier: MIT */
/* Lines of the control socket against their schema: each word of it, right and wrong. */
#include <criterion/criterion.h>
#include <string.h>

#include "document/schema.h"

TestSuite(schema, .timeout = 10);

/* NULL: it fits. */
static const char *fault_of(const char *place, const char *line)
{
    static char text[160];
    struct vpc_schema *schema = vpc_schema_load();
    json_t *value = json_loads(line, 0, NULL);
    bool good;

    cr_assert_not_null(schema);
    cr_assert_not_null(value, "%s", line);
    good = vpc_schema_fits(schema, place, value, text, sizeof(text));
    json_decref(value);
    vpc_schema_free(schema);
    return good ? NULL : text;
}

#define EXPECT(place, line, words)                                                                 \
    do {                                                                                           \
        const char *got = fault_of(place, line);                                                   \
        cr_expect(got &&strcmp(got, words) == 0, "%s: %s", line, got ? got : "it fits");           \
    } while (0)

#define GOOD(place, line)                                                                          \
    cr_expect_null(fault_of(place, line), "%s: %s", line, fault_of(place, line))

#define START                                                                                      \
    "\"pipe\": \"\\\\\\\\.\\\\PIPE\\\\one\", \"path\": \"/p\", \"port\": 65535, \"h2g\": 1, "      \
    "\"g2h\": 2"

Test(schema, a_start)
{
    GOOD("returns/start", "{\"hresult\": \"0x00000000\", " START "}");
    GOOD("returns/start", "{\"hresult\": \"0x00000000\", \"later\": {}, " START "}");
    EXPECT("returns/start", "{" START "}", "hresult is missing");
    EXPECT("returns/start", "{\"hresult\": \"0x00000001\", " START "}",
           "hresult has another value");
    EXPECT("returns/start", "{\"hresult\": 0, " START "}", "hresult has another value");
}

/* An event without `data`, as a subject may send it. */
Test(schema, nothing_at_all)
{
    struct vpc_schema *schema = vpc_schema_load();
    char text[160];

    cr_assert_not_null(schema);
    cr_expect(!vpc_schema_fits(schema, "events/CHANNEL_READY", NULL, text, sizeof(text)));
    cr_expect_str_eq(text, "it is missing");
    cr_expect(vpc_schema_fits(schema, "events/OF_LATER", NULL, text, sizeof(text)));
    vpc_schema_free(schema);
}

Test(schema, numbers)
{
    const char *line = "{\"heartbeat\": %s, \"vm\": \"v\"}";
    char text[80];
    static const struct {
        const char *value, *fault;
    } cases[] = {
        {"0", NULL},
        {"100", NULL},
        {"-1", "heartbeat is too low"},
        {"101", "heartbeat is too high"},
        {"\"100\"", "heartbeat has a wrong type"},
        {"99.0", "heartbeat has a wrong type"},
        {"null", "heartbeat has a wrong type"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(text, sizeof(text), line, cases[i].value);
        if (cases[i].fault)
            EXPECT("events/HEARTBEAT", text, cases[i].fault);
        else
            GOOD("events/HEARTBEAT", text);
    }
}

Test(schema, texts)
{
    const char *tag32 = "{\"tag\": \"12345678901234567890123456789012\"}";
    const char *tag33 = "{\"tag\": \"123456789012345678901234567890123\"}";

    GOOD("returns/set-tag", "{\"tag\": \"\"}");
    GOOD("returns/set-tag", tag32);
    EXPECT("returns/set-tag", tag33, "tag is too long");
    EXPECT("returns/set-tag", "{\"tag\": \"\\u00e9\"}", "tag is not written as it must be");
    EXPECT("greeting",
           "{\"VPCBus\": {\"version\": \"1.0\", \"role\": \"host\", \"vm\": \"v\", "
           "\"implementation\": \"\"}}",
           "implementation is empty");
    EXPECT("greeting",
           "{\"VPCBus\": {\"version\": \"1.0\", \"role\": \"both\", \"vm\": \"v\", "
           "\"implementation\": \"i\"}}",
           "role has a value that is none of those that it may have");
}

Test(schema, lists_and_alternatives)
{
    GOOD("returns/query-devices", "{\"devices\": []}");
    EXPECT("returns/query-devices", "{\"devices\": [{}]}", "bytes is missing");
    EXPECT("returns/query-devices", "{\"devices\": {}}", "devices has a wrong type");
    GOOD("log_entry",
         "{\"time\": 1, \"id\": 1004, \"name\": \"A\", \"level\": \"info\", \"source\": \"host\", "
         "\"vm\": \"\", \"message\": \"m\", \"port\": \"x\"}");
    EXPECT(
        "log_entry",
        "{\"time\": 1, \"id\": 1004, \"name\": \"A\", \"level\": \"info\", \"source\": \"host\", "
        "\"vm\": \"\", \"message\": \"m\", \"port\": 0}",
        "port has a wrong type");
}

Test(schema, what_it_does_not_know_is_right)
{
    GOOD("returns/no-such-command", "{\"a\": 1}");
    GOOD("events/LATER", "{}");
}
