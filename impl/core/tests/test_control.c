/* SPDX-License-Identifier: MIT */
/* The control lines: what is no request, what can be asked, and that the connection stays usable. */
#include "lib/version.h"
#include "rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

TestSuite(control, .timeout = 20);

static struct rig rig;

static void begin(void)
{
    rig_begin(&rig, NULL, NULL);
    rig_ready(&rig);
}

static void end(void)
{
    rig_end(&rig);
}

static void expect_usable(struct side *side)
{
    json_t *value = rig_query(side, "query-vm");

    expect(value, "vm=vm1; tag=TAG-1");
    json_decref(value);
}

static void say_octets(const char *line, size_t n)
{
    char *copy = malloc(n > 0 ? n : 1); /* no NUL behind it */

    memcpy(copy, line, n);
    vpc_endpoint_abi_v1.control_line(rig.host.ep, 1, copy, n);
    rig_take(&rig.host);
    free(copy);
    expect_error(rig_answer(&rig.host, 1), "class=GenericError; hresult=0x80020009; desc=*");
    cr_assert_null(rig_answer(&rig.host, 1), "one answer for each line");
    expect_usable(&rig.host);
}

static const struct {
    const char *line;
    size_t n;
} garbage[] = {
#define LINE(text)                                                                                 \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }
    LINE(""),
    LINE("   "),
    LINE("{"),
    LINE("null"),
    LINE("5"),
    LINE("\"start\""),
    LINE("[]"),
    LINE("{}"),
    LINE("{} {}"),
    LINE("{\"execute\": 5}"),
    LINE("{\"execute\": null}"),
    LINE("{\"execute\": \"\"}"),
    LINE("{\"execute\": \"START\"}"),
    LINE("{\"execute\": \"no-such-command\"}"),
    LINE("{\"execute\": \"query-vm\", \"execute\": \"query-vm\"}"),
    LINE("{\"execute\": \"query-vm\", \"arguments\": {\"a\": 1, \"a\": 1}}"),
    LINE("{\"execute\": \"query-vm\", \"id\": {\"a\": 1, \"a\": 1}}"),
    LINE("{\"execute\": \"query-vm\", \"arguments\": 1}"),
    LINE("{\"execute\": \"query-vm\", \"arguments\": [\"a\"]}"),
    LINE("{\"execute\": \"query-vm\"\0}"),
    LINE("{\"execute\": \"query\\u0000vm\"}"),
    LINE("{\"execute\": \"query-vm\", \"id\": 99999999999999999999}"),
    LINE("{\"execute\": \"query-vm\", \"id\": 1e999}"),
    LINE("{\"execute\": \"query-vm\", \"id\": -1e999}"),
    LINE("{\"execute\": \"query-vm\", \"id\": NaN}"),
    LINE("{\"execute\": \"query-vm\", \"id\": 9223372036854775808}"),
    LINE("{\"execute\": \"\xff\xfe\"}"),
    LINE("{\"execute\": \"\xed\xa0\x80\"}"),
    LINE("{\"execute\": \"\\ud800\"}"),
    LINE("\xef\xbb\xbf{\"execute\": \"query-vm\"}"),
    LINE("\x16\x16\xb5V"),
};

Test(control, what_is_no_request, .init = begin, .fini = end)
{
    for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++)
        say_octets(garbage[i].line, garbage[i].n);
}

Test(control, huge_and_deep_lines, .init = begin, .fini = end)
{
    size_t n = VPC_CONTROL_LINE_MAX;
    char *line = malloc(n);

    memset(line, '[', n);
    say_octets(line, n);
    memset(line, ' ', n);
    say_octets(line, n);
    memset(line, '9', n);
    say_octets(line, n);
    for (size_t i = 0; i + 5 <= n; i += 5)
        memcpy(line + i, "{\"a\":", 5);
    say_octets(line, n);
    free(line);
}

Test(control, a_large_id_comes_back_whole, .init = begin, .fini = end)
{
    static char line[VPC_CONTROL_LINE_MAX + 1];
    json_t *answer;
    int head = snprintf(line, sizeof(line), "{\"execute\": \"query-stats\", \"id\": \"");

    memset(line + head, 'x', 65000);
    strcpy(line + head + 65000, "\"}");
    rig_say(&rig.host, 1, line);
    answer = rig_answer(&rig.host, 1);
    cr_assert_eq(json_string_length(json_object_get(answer, "id")), 65000);
    json_decref(answer);
}

/* Whatever JSON an id is, it comes back as it was. */
Test(control, ids_of_every_kind, .init = begin, .fini = end)
{
    static char nested[4096] = "";
    const char *const ids[] = {"0",
                               "-9223372036854775808",
                               "9223372036854775807",
                               "1.5",
                               "1e300",
                               "true",
                               "null",
                               "\"\\u00e4\\ud83d\\ude00\"",
                               "[[], {}, [null]]",
                               "{\"id\": {\"id\": 1}}",
                               nested};

    memset(nested, '[', 1000);
    memset(nested + 1000, ']', 1000);
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        char line[8192];
        json_t *answer, *id = json_loads(ids[i], JSON_DECODE_ANY, NULL);

        snprintf(line, sizeof(line), "{\"execute\": \"query-stats\", \"id\": %s}", ids[i]);
        rig_say(&rig.host, 1, line);
        answer = rig_answer(&rig.host, 1);
        cr_assert_not_null(id);
        cr_assert(json_equal(json_object_get(answer, "id"), id), "%s", ids[i]);
        json_decref(answer);
        json_decref(id);
    }
}

/* Requests whose answers wait all keep their ids, and each is answered once. */
Test(control, thousands_of_ids, .init = begin, .fini = end)
{
    char line[100];

    for (int i = 0; i < 5000; i++) {
        json_t *answer;

        snprintf(line, sizeof(line), "{\"execute\": \"%s\", \"id\": %d}",
                 i % 2 ? "query-vm" : "no-such-command", i);
        rig_say(&rig.host, 1, line);
        answer = rig_answer(&rig.host, 1);
        cr_assert_eq(json_integer_value(json_object_get(answer, "id")), i);
        cr_assert_null(rig_answer(&rig.host, 1));
        json_decref(answer);
    }
}

Test(control, the_greeting, .init = begin, .fini = end)
{
    struct side *sides[] = {&rig.host, &rig.guest};

    for (unsigned i = 0; i < 2; i++) {
        json_t *line;

        vpc_endpoint_abi_v1.control_open(sides[i]->ep, 4);
        rig_take(sides[i]);
        line = rig_answer(sides[i], 4);
        expect(json_object_get(line, "VPCBus"),
               i == 0 ? "version=1.0; role=host; vm=vm1; implementation=*"
                      : "version=1.0; role=guest; vm=vm1; implementation=*");
        json_decref(line);
    }
}

static void expect_level(const char *level, const char *peer)
{
    json_t *value = rig_query(&rig.host, "query-vm");
    char list[100];

    snprintf(list, sizeof(list), "level=%s; peer=%s", level, peer);
    expect(value, list);
    cr_assert_eq(*json_string_value(json_object_get(value, "missing")) == '\0',
                 strcmp(level, "ready") == 0, "what is missing is said unless it is ready");
    json_decref(value);
}

static void expect_missing(struct side *side, const char *part)
{
    json_t *value = rig_query(side, "query-vm");
    const char *missing = json_string_value(json_object_get(value, "missing"));

    cr_assert_not_null(strstr(missing, part), "%s", missing);
    json_decref(value);
}

Test(control, what_is_missing_is_said_as_it_is, .fini = end)
{
    rig_begin(&rig, NULL, "{\"version_min\": 512, \"version_max\": 513}");
    expect_missing(&rig.host, "the virtual machine is not running");
    expect_missing(&rig.guest, "no host endpoint is connected");
    rig.blocked = true;
    rig_bus(&rig, true);
    expect_missing(&rig.host, "no guest endpoint answers");
    expect_missing(&rig.guest, "the host endpoint has not answered");
    rig.blocked = false;
    rig_settle(&rig);
    expect_missing(&rig.host, "no common version");
    expect_missing(&rig.guest, "no common version");
}

/* API-15; the tag of the rig's host is TAG-1. */
Test(control, the_tag_is_set_only_while_the_machine_does_not_run, .fini = end)
{
    static const struct {
        const char *arguments, *list;
    } bad[] = {
        {"{}", "class=E_POINTER"},
        {"{\"tag\": null}", "class=E_POINTER"},
        {"{\"tag\": \"\"}", "class=E_INVALIDARG"},
        {"{\"tag\": \"\\u00e4\"}", "class=E_INVALIDARG"},
        {"{\"tag\": \"123456789012345678901234567890123\"}", "class=E_INVALIDARG"},
        {"{\"tag\": 1}", "class=GenericError"},
        {"{\"tag\": \"NEW\"}", "class=VM_E_VM_RUNNING_OR_SAVED; hresult=0xA004020B"},
    };
    char line[200];

    rig_begin(&rig, NULL, NULL);
    rig_say(&rig.host, 1, "{\"execute\": \"set-tag\", \"arguments\": {\"tag\": \"TAG-2\"}}");
    expect_return(rig_answer(&rig.host, 1), "tag=TAG-2");
    cr_assert_str_eq(rig.host.ready_name, "Local\\TAG-2_ChannelReady", "at once (RDY-1)");
    cr_assert_eq(rig.host.ready, 0);
    rig_ready(&rig);
    cr_assert_str_eq(rig.host.ready_name, "Local\\TAG-2_ChannelReady");
    expect(rig_log(&rig.guest, "SESSION_UP"), "tag=TAG-2"); /* the host's HELLO said it */
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(line, sizeof(line), "{\"execute\": \"set-tag\", \"arguments\": %s}",
                 bad[i].arguments);
        rig_say(&rig.host, 1, line);
        expect_error(rig_answer(&rig.host, 1), bad[i].list);
    }
    rig_say(&rig.guest, 1, "{\"execute\": \"set-tag\", \"arguments\": {\"tag\": \"X\"}}");
    expect_error(rig_answer(&rig.guest, 1), "class=GenericError");
}

Test(control, the_levels_of_readiness, .fini = end)
{
    rig_begin(&rig, NULL, NULL);
    expect_level("down", "");
    rig.blocked = true;
    rig_bus(&rig, true);
    expect_level("running", "");
    rig.blocked = false;
    rig_settle(&rig);
    expect_level("ready", "VPCBus reference " VPC_VERSION_TEXT);
    rig_pair(&rig, "a", 80);
    vpc_endpoint_abi_v1.stop(rig.guest.ep, 10000);
    rig_take(&rig.guest);
    rig_settle(&rig);
    expect_level("components", "VPCBus reference " VPC_VERSION_TEXT);
    rig_bus(&rig, false);
    expect_level("down", "");
}

Test(control, the_devices_of_both_endpoints, .init = begin, .fini = end)
{
    struct side *sides[] = {&rig.host, &rig.guest};

    rig_pair(&rig, "a", 80);
    rig_write(&rig.host, rig_pipe(&rig, "a"), 10);
    for (unsigned i = 0; i < 2; i++) {
        json_t *value = rig_query(sides[i], "query-devices");
        const json_t *devices = json_object_get(value, "devices");

        cr_assert_eq(json_array_size(devices), 2);
        expect(json_array_get(devices, 0),
               "class=VPCBus; name=Virtual PC Integration Device; instance=1; direction=h2g; "
               "state=open; port=80; bytes=10; credit=262134");
        expect(json_array_get(devices, 1),
               i == 0 ? "instance=2; direction=g2h; bytes=0; pipe=" PIPE("a")
                      : "instance=2; direction=g2h; bytes=0; pipe=-");
        json_decref(value);
    }
}

Test(control, the_counters, .init = begin, .fini = end)
{
    json_t *value;

    rig_pair(&rig, "a", 80);
    rig.guest.connect_error = ECONNREFUSED;
    json_decref(rig_start(&rig, "b", 81));
    value = rig_query(&rig.host, "query-stats");
    expect(value, "sessions=1; pairs_open=1; pairs_opened=1; pairs_failed=1");
    json_decref(value);
    value = rig_query(&rig.guest, "query-stats");
    expect(value, "sessions=1; pairs_open=1; pairs_opened=1; pairs_failed=1");
    json_decref(value);
}

/* ---- options ---- */

static const struct {
    const char *options, *complaint; /* NULL: accepted */
} options[] = {
    {"{}", NULL},
    {"{\"window\": 1, \"max_pairs\": 1}", NULL},
    {"{\"peer_limit_ms\": 0, \"backoff_max_ms\": 0}", NULL},
    {"{\"peer_limit_ms\": 49}", "peer_limit_ms"},
    {"{\"window\": 0}", "window"},
    {"{\"window\": 16777217}", "window"},
    {"{\"max_pairs\": 16385}", "max_pairs"},
    {"{\"max_pairs\": -1}", "max_pairs"},
    {"{\"max_pairs\": \"4\"}", "max_pairs"},
    {"{\"max_pairs\": 4.0}", "max_pairs"},
    {"{\"version_min\": 300}", "version_min"},
    {"{\"colour\": 1}", "colour"},
    {"{\"fault\": 9}", NULL},
    {"{\"allow_ports\": \"80\"}", "allow_ports"},
    {"[]", "JSON"},
    {"{", "JSON"},
    {"", "JSON"},
};

static void try_create(vpc_endpoint_config *config, const char *complaint)
{
    char error[200] = "";
    vpc_endpoint *ep;

    config->error = error;
    config->error_size = sizeof(error);
    errno = 0;
    ep = vpc_endpoint_abi_v1.create(config, 0);
    cr_assert_eq(ep == NULL, complaint != NULL, "%s", config->options);
    if (complaint != NULL) {
        cr_assert_eq(errno, EINVAL);
        cr_assert_not_null(strstr(error, complaint), "%s", error);
    }
    vpc_endpoint_abi_v1.destroy(ep);
}

static uint64_t draw(void *user)
{
    (void)user;
    return 1;
}

Test(control, options_outside_of_their_ranges_are_refused)
{
    vpc_endpoint_config config = {.role = VPC_ROLE_HOST, .vm = "vm", .tag = "", .random = draw};

    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        config.options = options[i].options;
        try_create(&config, options[i].complaint);
    }
    config.role = VPC_ROLE_GUEST;
    config.options = "{\"allow_ports\": \"80\"}";
    try_create(&config, NULL);
    config.options = "{\"fault\": 9}";
    try_create(&config, "fault");
    config.options = "{}";
    config.tag = "a tag that is longer than 32 octets";
    try_create(&config, "tag");
    config.tag = "\xc3\xa4";
    try_create(&config, "tag");
    config.tag = "";
    config.vm = "\xff";
    try_create(&config, "UTF-8");
    config.vm = "vm";
    config.role = 3;
    try_create(&config, "role");
    vpc_endpoint_abi_v1.destroy(NULL);
}
