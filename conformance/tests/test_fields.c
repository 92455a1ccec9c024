/* SPDX-License-Identifier: MIT */
/* Fields that are wrong: which scenario notices, what is a gap, and what the list of reasons takes back. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alter/field.h"
#include "document/embedded.h"
#include "verdicts/field_coverage.h"

static struct vpc_suite suite;
static char dir[] = "/tmp/vpc-fields-XXXXXX";
static char *text;

static char *write_file(const char *name, const char *content)
{
    char *path = vpc_format("%s/%s", dir, name);
    FILE *file = fopen(path, "we");

    cr_assert_not_null(file);
    fputs(content, file);
    fclose(file);
    return path;
}

static void set_up(void)
{
    char *error = NULL, *ini;

    cr_assert_not_null(mkdtemp(dir));
    ini = write_file("fake.ini", "[implementation]\nname = fake\nrole = guest\n[abi]\nobject = "
                                 "%{build}/fake.so\n");
    suite = (struct vpc_suite){.table = vpc_table_load(vpc_embedded_messages, &error),
                               .spec = vpc_spec_load(vpc_embedded_document),
                               .seed = 3,
                               .jobs = 2,
                               .build = VPC_TEST_DIR,
                               .implementation_count = 1};
    suite.implementations = vpc_alloc(sizeof(struct vpc_implementation *));
    suite.implementations[0] = vpc_implementation_load(ini, &error);
    cr_assert_not_null(suite.implementations[0], "%s", error);
    free(ini);
}

static void tear_down(void)
{
    char *command = vpc_format("rm -r %s", dir);

    cr_expect_eq(system(command), 0);
    free(command);
    vpc_table_free((struct vpc_table *)suite.table);
    vpc_spec_free((struct vpc_spec *)suite.spec);
    vpc_suite_free(&suite);
    free(text);
}

TestSuite(fields, .init = set_up, .fini = tear_down, .timeout = 120);

/* The gaps of a scenario with these steps behind the opening of a pair. */
static size_t measure(const char *steps, const char *reasons)
{
    char *script = vpc_format("# A scenario of the tests.\ncovers CLS-2\nsubject guest\nsession\n"
                              "bus > open channel=1 limit=8\n%s",
                              steps);
    char *path = write_file("test.vpcs", script), *list = write_file("reasons.txt", reasons);
    char *error = NULL;
    size_t gaps, size;
    FILE *out;

    free(text);
    out = open_memstream(&text, &size);
    cr_assert_not_null(out);
    cr_assert(vpc_suite_add(&suite, path, &error), "%s", error);
    gaps = vpc_field_coverage(&suite, list, out, &error);
    cr_assert_null(error, "%s", error);
    fclose(out);
    free(script);
    free(path);
    free(list);
    return gaps;
}

/* The row that begins so, as far as its end. */
static char *row_of(const char *begin)
{
    char *line = strstr(text, begin);

    cr_assert_not_null(line, "no row %s in:\n%s", begin, text);
    return vpc_copy_n(line, strcspn(line, "\n"));
}

static void expect_row(const char *begin, const char *words)
{
    char *row = row_of(begin);

    cr_expect_not_null(strstr(row, words), "not \"%s\": %s", words, row);
    free(row);
}

#define LIMIT_MORE "guest sent     OPENED.limit                         +1"
#define LIMIT_LESS "guest sent     OPENED.limit                         -1"
#define CHANNEL    "guest sent     OPENED.channel                       +1"

Test(fields, what_no_step_asks_for_is_a_gap)
{
    cr_expect_gt(measure("bus < opened channel=1\n", ""), 0);
    expect_row(LIMIT_MORE, "GAP: no scenario notices it");
    expect_row(CHANNEL, "test ");
}

Test(fields, what_a_step_asks_for_is_noticed)
{
    measure("bus < opened channel=1 limit!=0\n", "");
    expect_row(LIMIT_MORE, "GAP");
    vpc_script_free(suite.scripts[--suite.script_count]);
    measure("bus < opened channel=1 limit=1000\n", "");
    expect_row(LIMIT_MORE, "test ");
}

Test(fields, a_reason_closes_a_gap_and_a_stale_one_opens_one)
{
    size_t without = measure("bus < opened channel=1\n", "");
    size_t with;

    vpc_script_free(suite.scripts[--suite.script_count]);
    with = measure("bus < opened channel=1\n",
                   "# a comment\nsent OPENED.limit +1 nobody looks\nsent OPENED.limit -1 nor here\n"
                   "sent OPENED.channel +1 this is noticed\n");
    cr_expect_eq(with, without - 1, "%zu gaps became %zu", without, with);
    expect_row(LIMIT_MORE, "- (nobody looks)");
    expect_row(LIMIT_LESS, "- (nor here)");
    expect_row(CHANNEL, "GAP: listed as unnoticed, and noticed: test");
}

Test(fields, what_never_occurs_is_a_gap)
{
    measure("bus < opened channel=1\n", "answered query-vm.level never not here\n");
    expect_row("sent GOODBYE.cause", "GAP: it occurs in no scenario");
    cr_expect_null(strstr(text, "query-vm.level"));
}

Test(fields, the_list_is_that_of_the_specification)
{
    struct vpc_fields *fields = vpc_fields_load(suite.table, suite.spec);

#define HAS(place, role, of, name)                                                                 \
    cr_expect_lt(vpc_fields_find(fields, place, role, of, name), fields->count, "%s.%s", of, name)
    HAS(VPC_SAID_FRAME, VPC_FROM_HOST, "OPEN", "port");
    HAS(VPC_HEARD_FRAME, VPC_FROM_GUEST, "OPEN", "port");
    HAS(VPC_SAID_FRAME, VPC_FROM_GUEST, "EVENT", "reserved0");
    HAS(VPC_SAID_ENTRY, VPC_FROM_HOST, "1021", "sent");
    HAS(VPC_SAID_ENTRY, VPC_FROM_HOST, "1031", "guest_time");
    HAS(VPC_SAID_EVENT, VPC_FROM_HOST, "CHANNEL_NOT_READY", "cause");
    HAS(VPC_SAID_ANSWER, VPC_FROM_GUEST, "query-vm", "heartbeat");
    HAS(VPC_SAID_ANSWER, VPC_FROM_HOST, "device", "credit");
    HAS(VPC_HEARD_REQUEST, VPC_FROM_HOST, "start", "guest-type");
    HAS(VPC_HEARD_SETTING, VPC_FROM_GUEST, "setting", "window");
#undef HAS
    cr_expect_eq(vpc_fields_find(fields, VPC_SAID_FRAME, VPC_FROM_GUEST, "OPEN", "port"),
                 fields->count);
    vpc_fields_free(fields);
}
