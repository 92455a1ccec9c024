/* SPDX-License-Identifier: MIT */
/*
 * Reports: what is written is compared with conformance/tests/golden, octet by octet, of a suite with a fixed clock, its own
 * little specification, and names that try to break out.  VPC_GOLDEN=write writes what is compared.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clean.h"
#include "document/embedded.h"
#include "report/document.h"
#include "report/report.h"

static const char document[] =
    "## 4. Frames\n- **FRM-1** All integers are little-endian.\n- **FRM-9** Octets that fit no "
    "frame MUST end\n"
    "  the session.\n## 6. Sessions\n### Start\n- **SES-1** An endpoint MUST draw a new epoch.\n"
    "## 10. Limits\n| `heartbeat_late_ms` | 3000 | x |\n";

static struct vpc_table *table;
static struct vpc_spec *spec;
static char dir[] = "/tmp/vpc-report-XXXXXX";
static char *golden; /* the folder, absolute */

static void set_up(void)
{
    char *error = NULL;

    golden = vpc_copy(VPC_GOLDEN);
    table = vpc_table_load(vpc_embedded_messages, &error);
    spec = vpc_spec_load(document);
    cr_assert_not_null(mkdtemp(dir));
    cr_assert_eq(chdir(dir), 0);
}

static void tear_down(void)
{
    char *command = vpc_format("rm -r %s", dir);

    cr_expect_eq(system(command), 0);
    free(command);
    free(golden);
    vpc_table_free(table);
    vpc_spec_free(spec);
}

TestSuite(report, .init = set_up, .fini = tear_down, .timeout = 60);

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(name, "we");

    cr_assert_not_null(file);
    fputs(text, file);
    fclose(file);
}

static char *read_file(const char *path)
{
    struct vpc_buffer text = {0};
    FILE *file = fopen(path, "re");
    int c;

    while (file && (c = fgetc(file)) != EOF)
        vpc_buffer_fill(&text, (uint8_t)c, 1);
    if (file)
        fclose(file);
    vpc_buffer_fill(&text, 0, 1);
    return (char *)text.data;
}

/* ---- a suite that has run ----------------------------------------------------------------------------------------- */

#define EVIL "</script><b>\"evil\"</b> & 'co' \x1b[31m\xff \u202egnp"

static void add_run(struct vpc_suite *suite, size_t script, size_t implementation,
                    struct vpc_result result)
{
    struct vpc_suite_run *run;

    suite->runs = vpc_grow_by_one(suite->runs, suite->run_count, sizeof(*suite->runs));
    run = &suite->runs[suite->run_count++];
    *run = (struct vpc_suite_run){.script = suite->scripts[script],
                                  .implementation = suite->implementations[implementation],
                                  .backend = &vpc_backend_inproc,
                                  .split = suite->run_count % 2 ? VPC_SPLIT_WHOLE : VPC_SPLIT_ONE};
    run->result = result;
    run->result.ms = 7 * suite->run_count;
    run->expectation =
        vpc_expectation_of(&suite->expectations, run->script->name, run->implementation->name);
    if (run->expectation)
        run->expectation->runs++;
}

static void add_runs(struct vpc_suite *suite)
{
    add_run(suite, 0, 0, (struct vpc_result){.trace = vpc_copy("     0.000 4: bus up\n")});
    add_run(
        suite, 0, 1,
        (struct vpc_result){.verdict = VPC_FAIL,
                            .line = 5,
                            .step = vpc_copy("bus < hello"),
                            .expected = vpc_copy("bus < hello"),
                            .got = vpc_copy("line one\n" EVIL),
                            .requirement = vpc_copy("SES-1 FRM-9"),
                            .trace = vpc_copy("     0.000 4: bus up\n     0.010   > HELLO epoch=1\n"
                                              "     1.500   < DATA channel=2\n"
                                              "     1.500 log < {\"id\":\"" EVIL "\"}\n"
                                              "     2.000 5: bus < hello\n     2.000 bus down\n")});
    add_run(suite, 1, 0, (struct vpc_result){.verdict = VPC_NON_STRICT, .line = 4});
    add_run(suite, 1, 1, (struct vpc_result){.verdict = VPC_NOT_SUPPORTED, .got = vpc_copy(EVIL)});
    add_run(suite, 2, 0,
            (struct vpc_result){.verdict = VPC_INCONCLUSIVE, .line = 4, .got = vpc_copy("slow")});
    add_run(suite, 2, 1,
            (struct vpc_result){.verdict = VPC_HARNESS_ERROR, .got = vpc_copy("no memory")});
    add_run(suite, 3, 0, (struct vpc_result){.verdict = VPC_FAIL, .line = 4});
    add_run(suite, 3, 1, (struct vpc_result){.verdict = VPC_PASS});
}

/* Four that were run, two that are not for the backend, and one of a role that is not judged. */
static const struct {
    const char *name, *covers, *setting, *role;
} scenarios[] = {
    {"early", "FRM-9 SES-1", "", "guest"},
    {"half", "SES-1", "", "guest"},
    {"late", "FRM-9 SES-1", "", "guest"},
    {"odd", "SES-1", "", "guest"},
    {"far", "SES-1", "backends socket because=\"it is far & <away>\"\n", "guest"},
    {"farther", "SES-1", "backends socket qemu because=\"it is far & <away>\"\n", "guest"},
    {"other", "SES-1", "", "host"},
};

static void make_suite(struct vpc_suite *suite)
{
    char *error = NULL;

    *suite = (struct vpc_suite){.table = table,
                                .spec = spec,
                                .seed = 3,
                                .splits = {VPC_SPLIT_WHOLE, VPC_SPLIT_ONE},
                                .split_count = 2,
                                .backends = {&vpc_backend_inproc},
                                .backend_count = 1,
                                .when = 1700000000,
                                .ms = 1234};
    for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
        const char *name = scenarios[i].name;
        char *path = vpc_format("%s.vpcs", name);
        char *text = vpc_format("# The scenario <%s> & its \"title\".\ncovers %s\nsubject %s\n%s"
                                "bus up\nbus < hello\n",
                                name, scenarios[i].covers, scenarios[i].role, scenarios[i].setting);

        write_file(path, text);
        cr_assert(vpc_suite_add(suite, path, &error), "%s", error);
        free(path);
        free(text);
    }
    write_file("plain.ini", "[implementation]\nname = plain\nrole = guest\n[abi]\nobject = x.so\n");
    write_file("evil.ini",
               "[implementation]\nname = " EVIL "\nrole = guest\n[abi]\nobject = x.so\n");
    suite->implementations = vpc_alloc(2 * sizeof(struct vpc_implementation *));
    suite->implementations[0] = vpc_implementation_load("plain.ini", &error);
    suite->implementations[1] = vpc_implementation_load("evil.ini", &error);
    cr_assert(suite->implementations[0] && suite->implementations[1], "%s", error);
    suite->implementation_count = 2;
    write_file("known", "# what is known\n[plain]\nodd fail it is <odd> & known\n[" EVIL
                        "]\no* fail it is no longer\n");
    cr_assert(vpc_expectations_load(&suite->expectations, "known", &error), "%s", error);
    add_runs(suite);
}

/* ---- golden reports ----------------------------------------------------------------------------------------------- */

static void compare(const char *name, const char *text)
{
    char *path = vpc_format("%s/%s", golden, name), *wanted;
    const char *write = getenv("VPC_GOLDEN");

    if (write && strcmp(write, "write") == 0)
        write_file(path, text);
    wanted = read_file(path);
    cr_expect_str_eq(text, wanted, "%s differs; VPC_GOLDEN=write shows how by git diff", name);
    free(wanted);
    free(path);
}

static char *report(const struct vpc_suite *suite, vpc_report_fn *fn)
{
    FILE *out = fopen("report", "we");

    fn(suite, out);
    fclose(out);
    return read_file("report");
}

static void summary(const struct vpc_suite *suite, FILE *out)
{
    vpc_report_summary(suite, out, false);
}

static const struct {
    const char *name;
    vpc_report_fn *fn;
} formats[] = {
    {"summary.txt", summary},         {"report.txt", vpc_report_text},
    {"report.tap", vpc_report_tap},   {"report.xml", vpc_report_junit},
    {"report.json", vpc_report_json},
};

#define FORMAT_COUNT (sizeof(formats) / sizeof(formats[0]))

Test(report, golden)
{
    struct vpc_suite suite;

    make_suite(&suite);
    for (size_t i = 0; i < FORMAT_COUNT; i++) {
        char *text = report(&suite, formats[i].fn);

        compare(formats[i].name, text);
        free(text);
    }
    vpc_suite_free(&suite);
}

Test(report, nothing_that_a_stranger_says_reaches_a_terminal_or_a_parser)
{
    struct vpc_suite suite;

    make_suite(&suite);
    for (size_t i = 0; i < FORMAT_COUNT; i++) {
        char *text = report(&suite, formats[i].fn), *clean = vpc_clean_utf8(text);

        cr_expect_str_eq(text, clean, "%s is no UTF-8", formats[i].name);
        cr_expect_null(strchr(text, '\x1b'), "%s has an escape", formats[i].name);
        free(text);
        free(clean);
    }
    vpc_suite_free(&suite);
}

/* How often a part stands in a text. */
static size_t count(const char *text, const char *part)
{
    size_t n = 0;

    while ((text = strstr(text, part)) != NULL) {
        text += strlen(part);
        n++;
    }
    return n;
}

Test(report, the_page_holds_the_document_of_the_json_report)
{
    static const char begin[] = "id=\"data\">";
    struct vpc_suite suite;
    char *page, *data, *end;
    json_t *held, *all;

    make_suite(&suite);
    page = report(&suite, vpc_report_html);
    data = strstr(page, begin) + strlen(begin);
    end = strstr(data, "</script>");
    cr_assert(data && end);
    cr_expect_eq(count(page, "<script"), 2);
    cr_expect_eq(count(page, "</script"), 2);
    cr_expect_null(strstr(page, "@DATA@"));
    cr_expect_null(memchr(data, '<', (size_t)(end - data)));
    held = json_loadb(data, (size_t)(end - data), 0, NULL);
    all = vpc_report_document(&suite);
    cr_expect_eq(json_array_size(json_object_get(held, "runs")), 8);
    cr_expect(
        json_equal(json_object_get(held, "requirements"), json_object_get(all, "requirements")));
    json_decref(held);
    json_decref(all);
    vpc_suite_free(&suite);
    free(page);
}

Test(report, junit_is_what_its_schema_says)
{
    struct vpc_suite suite;
    char *text, *command = vpc_format("xmllint --noout --schema '%s/../junit.xsd' r.xml", golden);

    if (system("command -v xmllint >/dev/null") != 0)
        cr_skip_test("xmllint (libxml2-utils) is not installed");
    make_suite(&suite);
    text = report(&suite, vpc_report_junit);
    write_file("r.xml", text);
    cr_expect_eq(system(command), 0);
    write_file("r.xml", "<testsuites><testcase/></testsuites>");
    cr_expect_neq(system(command), 0, "the schema refuses nothing");
    vpc_suite_free(&suite);
    free(command);
    free(text);
}

Test(report, json_is_what_its_schema_says)
{
    static const char program[] =
        "python3 -c 'import json, sys, jsonschema as j; "
        "j.validate(*[json.load(open(name)) for name in sys.argv[1:]])' r.json";
    struct vpc_suite suite;
    char *text, *command = vpc_format("%s '%s/../../report/report.schema.json' 2>/dev/null",
                                      program, golden);

    if (system("python3 -c 'import jsonschema' 2>/dev/null") != 0)
        cr_skip_test("python3-jsonschema is not installed");
    make_suite(&suite);
    text = report(&suite, vpc_report_json);
    write_file("r.json", text);
    cr_expect_eq(system(command), 0);
    write_file("r.json", "{\"schema\": 1}");
    cr_expect_neq(system(command), 0, "the schema refuses nothing");
    vpc_suite_free(&suite);
    free(command);
    free(text);
}

Test(report, a_full_disk_is_said)
{
    struct vpc_suite suite;

    make_suite(&suite);
    for (size_t i = 0; i < FORMAT_COUNT; i++) {
        char *error = NULL;

        cr_expect_not(vpc_report_write(&suite, formats[i].fn, "/dev/full", &error));
        cr_expect_str_eq(error,
                         "/dev/full: the report can not be written: No space left on device");
        free(error);
        cr_expect_not(vpc_report_write(&suite, formats[i].fn, "no/such/folder/x", &error));
        cr_expect_not_null(strstr(error, "No such file"));
        free(error);
        error = NULL;
        cr_expect(vpc_report_write(&suite, formats[i].fn, "good", &error));
    }
    vpc_suite_free(&suite);
}

/* ---- verdicts of a suite ------------------------------------------------------------------------------------------ */

Test(report, the_exit_code_is_the_worst)
{
    struct vpc_suite suite;

    make_suite(&suite);
    cr_expect_eq(vpc_suite_exit(&suite, 1), VPC_EXIT_HARNESS);
    suite.runs[5].result.verdict = VPC_PASS;
    cr_expect_eq(vpc_suite_exit(&suite, 1), VPC_EXIT_FAIL);
    suite.runs[1].result.verdict = VPC_PASS;
    cr_expect_eq(vpc_suite_exit(&suite, 1), VPC_EXIT_ALARM);
    suite.runs[7].result.verdict = VPC_FAIL;
    cr_expect_eq(vpc_suite_exit(&suite, 1), VPC_EXIT_INCONCLUSIVE);
    suite.runs[4].result.verdict = VPC_PASS;
    cr_expect_eq(vpc_suite_exit(&suite, 6), VPC_EXIT_TOO_FEW);
    cr_expect_eq(vpc_suite_exit(&suite, 5), VPC_EXIT_PASS);
    suite.trouble = vpc_copy("no room");
    cr_expect_eq(vpc_suite_exit(&suite, 5), VPC_EXIT_HARNESS);
    vpc_suite_free(&suite);
}

Test(report, no_run_at_all_is_red)
{
    struct vpc_suite suite = {0};

    cr_expect_eq(vpc_suite_exit(&suite, 0), VPC_EXIT_TOO_FEW);
}

Test(report, an_expectation_that_no_run_is_for_is_an_alarm)
{
    struct vpc_suite suite = {0};
    char *error = NULL;

    write_file("stale", "gone fail since ever\n");
    cr_assert(vpc_expectations_load(&suite.expectations, "stale", &error));
    cr_expect_eq(vpc_suite_exit(&suite, 0), VPC_EXIT_ALARM);
    suite.partial = true;
    cr_expect_eq(vpc_suite_exit(&suite, 0), VPC_EXIT_TOO_FEW);
    vpc_expectations_free(&suite.expectations);
}

Test(report, bad_expectations_are_refused_with_their_line)
{
    static const struct {
        const char *text, *error;
    } bad[] = {
        {"a fail why\nb fails why\n", "bad:2: expected SCENARIO VERDICT REASON"},
        {"a\n", "bad:1: expected SCENARIO VERDICT REASON"},
        {"\n# x\na fail  \n", "bad:3: expected a reason"},
        {"[\n", "bad:1: expected [NAME]"},
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct vpc_expectations all = {0};
        char *error = NULL;

        write_file("bad", bad[i].text);
        cr_expect_not(vpc_expectations_load(&all, "bad", &error));
        cr_expect_eq(strncmp(error, bad[i].error, strlen(bad[i].error)), 0, "%s", error);
        free(error);
        vpc_expectations_free(&all);
    }
}

/* ---- texts -------------------------------------------------------------------------------------------------------- */

Test(report, texts_are_cleaned)
{
    static const struct {
        const char *text, *clean;
    } texts[] = {
        {"plain \u00e4\u20ac\U0001f600", "plain \u00e4\u20ac\U0001f600"},
        {"\x1b[2J\x7f\r", "\u241b[2J\u2421\u240d"},
        {"a\nb\tc", "a\nb\tc"},
        {"\xff\xfe", "\ufffd\ufffd"},
        {"\xc0\xaf", "\ufffd\ufffd"},           /* overlong */
        {"\xed\xa0\x80", "\ufffd\ufffd\ufffd"}, /* a surrogate */
        {"\xe2\x82", "\ufffd\ufffd"},           /* cut */
        {"\xf4\x90\x80\x80", "\ufffd\ufffd\ufffd\ufffd"},
        {"a\u202eb\u2066c\u200bd", "a\ufffdb\ufffdc\ufffdd"},
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char *clean = vpc_clean(texts[i].text);

        cr_expect_str_eq(clean, texts[i].clean, "text %zu", i);
        free(clean);
    }
}
