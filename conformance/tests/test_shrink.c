/* SPDX-License-Identifier: MIT */
/* Shrinking: what stays is what the failure needs, and it fails as before. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "document/embedded.h"
#include "report/failure.h"
#include "verdicts/shrink.h"

static struct vpc_suite suite;
static char dir[] = "/tmp/vpc-shrink-XXXXXX";

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(name, "we");

    cr_assert_not_null(file);
    fputs(text, file);
    fclose(file);
}

static void set_up(void)
{
    char *error = NULL;

    cr_assert_not_null(mkdtemp(dir));
    cr_assert_eq(chdir(dir), 0);
    write_file("fake.ini", "[implementation]\nname = fake\nrole = guest\n[abi]\nobject = "
                           "%{build}/fake.so\n[pics]\nfeatures = none\n");
    suite = (struct vpc_suite){.table = vpc_table_load(vpc_embedded_messages, &error),
                               .spec = vpc_spec_load(vpc_embedded_document),
                               .seed = 3,
                               .build = VPC_TEST_DIR,
                               .out = "out",
                               .keep = vpc_failure_keep,
                               .program = "vpc-conform",
                               .splits = {VPC_SPLIT_RANDOM},
                               .split_count = 1,
                               .backends = {&vpc_backend_inproc},
                               .backend_count = 1};
    suite.implementations = vpc_alloc(sizeof(struct vpc_implementation *));
    suite.implementations[0] = vpc_implementation_load("fake.ini", &error);
    suite.implementation_count = 1;
}

static void tear_down(void)
{
    char *command = vpc_format("rm -r %s", dir);

    vpc_spec_free((struct vpc_spec *)suite.spec);
    vpc_table_free((struct vpc_table *)suite.table);
    suite.table = NULL;
    vpc_suite_free(&suite);
    cr_expect_eq(system(command), 0);
    free(command);
}

TestSuite(shrink, .init = set_up, .fini = tear_down, .timeout = 60);

#define HEAD "# Much ado.\ncovers CLS-2 FLW-1\nsubject guest\n"

static const char *const long_script =
    HEAD "option window=65536\n\nsession\nwait 5ms\nauto off heartbeat\nbus > heartbeat count=1\n"
         "bus > open channel=1 limit=8\nwait 1ms\nbus < opened channel=1 by CHN-4\n"
         "repeat 2\nwait 1ms\nend\nbus < data channel=2 bytes=0\nwait 10ms\nbus > goodbye\n";

/* Runs the script under the lie and makes the small one, which the caller frees. */
static char *shrink(const char *lie, const char *text, struct vpc_shrink *shrink)
{
    char *error = NULL;

    setenv("VPC_FAKE_LIE", lie, 1);
    write_file("long.vpcs", text);
    cr_assert(vpc_suite_add(&suite, "long.vpcs", &error), "%s", error);
    vpc_suite_run(&suite);
    cr_assert_eq(suite.run_count, 1);
    cr_assert_eq(suite.runs[0].result.verdict, VPC_FAIL);
    *shrink = (struct vpc_shrink){.suite = &suite,
                                  .run = suite.runs[0],
                                  .path = "long.vpcs",
                                  .wanted = &suite.runs[0].result};
    cr_assert(vpc_shrink_fails(shrink, text));
    return vpc_shrink_text(shrink, text);
}

Test(shrink, a_breach_keeps_what_provokes_it)
{
    struct vpc_shrink with;
    char *text = shrink("credit", long_script, &with);

    cr_expect(vpc_shrink_fails(&with, text));
    cr_expect_not_null(strstr(text, "session\n"));
    cr_expect_not_null(strstr(text, "bus > open channel=1"));
    cr_expect_null(strstr(text, "option"));
    cr_expect_null(strstr(text, "heartbeat"));
    cr_expect_null(strstr(text, "repeat"));
    cr_expect_null(strstr(text, "goodbye"));
    cr_expect_leq(with.tries, 60);
    free(text);
}

Test(shrink, a_good_implementation_keeps_a_script_honest)
{
    struct vpc_shrink with;
    char *text, *asked;

    text = shrink("", HEAD "session\nwait 1ms\nbus > open channel=1\nbus < refused channel=1\n",
                  &with);
    cr_expect_str_eq(text, HEAD "session\nbus > open channel=1\nbus < refused channel=1\n");
    with.good = suite.implementations[0]; /* it fails as well: nothing may be kept */
    cr_expect_not(vpc_shrink_fails(&with, text));
    asked = vpc_shrink_text(&with, text);
    cr_expect_str_eq(asked, text);
    free(asked);
    free(text);
}

/* It takes 1000 octets and no more: 1001 are the fewest that can not be sent. */
Test(shrink, numbers_go_down_to_the_smallest_that_fails)
{
    struct vpc_shrink with;
    char *text = shrink("",
                        HEAD "session\nbus > open channel=1 limit=8\n"
                             "bus > data channel=1 bytes=100000 within 1s\n",
                        &with);

    cr_expect_not_null(strstr(text, "\nbus > data channel=1 bytes=1001 within 1s\n"), "%s", text);
    cr_expect_leq(with.tries, 60);
    free(text);
}

/* It sends 8 octets and no more. */
Test(shrink, repeats_and_waits_go_down_and_comments_stay)
{
    struct vpc_shrink with;
    char *text = shrink("",
                        HEAD "session\nbus > open channel=1 limit=8\nrepeat 400 # times=7\n"
                             "bus < data channel=2 text=\"\\0\" within 1s\nend\n",
                        &with);

    cr_expect_not_null(strstr(text, "\nrepeat 9 # times=7\nbus < data"), "%s", text);
    free(text);
}

/* It talks nonsense at the third heartbeat of the tester, which sends one each second. */
Test(shrink, a_wait_goes_down_in_milliseconds)
{
    struct vpc_shrink with;
    char *text = shrink("third-beat", HEAD "session\nwait 20s\n", &with);

    cr_expect_not_null(strstr(text, "\nwait 3000ms\n"), "%s", text);
    free(text);
}

Test(shrink, a_failure_s_folder_is_read_again)
{
    struct vpc_shrink with;
    struct vpc_failure failure;
    char *error = NULL, *text = shrink("credit", long_script, &with);

    cr_assert(vpc_failure_load(suite.runs[0].folder, &failure, &error), "%s", error);
    cr_expect_str_eq(failure.split, "random");
    cr_expect_str_eq(failure.backend, "inproc");
    cr_expect_str_eq(failure.requirement, "FLW-1");
    cr_expect_eq(failure.seed, 3);
    cr_expect_eq(failure.verdict, VPC_FAIL);
    cr_expect_eq(access(failure.script, R_OK), 0);
    vpc_failure_clear(&failure);
    cr_expect_not(vpc_failure_load("no/such", &failure, &error));
    cr_expect_not_null(strstr(error, "no/such/run.json"));
    free(error);
    free(text);
}
