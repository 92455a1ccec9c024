/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/descriptor.h"
#include "backends/process.h"
#include "memory.h"

TestSuite(descriptor, .timeout = 10);

#define GOOD "[implementation]\nname = x\nrole = host\n[abi]\nobject = y.so\n"

static struct vpc_implementation *load(const char *text, char **error)
{
    char path[] = "/tmp/vpc-descriptor-XXXXXX";
    int fd = mkstemp(path);
    struct vpc_implementation *result;

    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    result = vpc_implementation_load(path, error);
    unlink(path);
    return result;
}

Test(descriptor, a_good_one)
{
    char *error = NULL;
    struct vpc_implementation *one =
        load(GOOD "[pics]\nfeatures = a bc\n[pixit]\nslack_ms = 7\n", &error);

    cr_assert_not_null(one, "%s", error);
    cr_assert_str_eq(one->name, "x");
    cr_assert(vpc_implementation_has(one, "bc"));
    cr_assert_not(vpc_implementation_has(one, "b"));
    cr_assert_eq(vpc_implementation_pixit(one, "slack_ms", 1), 7);
    cr_assert_eq(vpc_implementation_pixit(one, "other", 1), 1);
    vpc_implementation_free(one);
}

static const struct {
    const char *text;
    const char *place;
    const char *why;
} bad[] = {
    {"[implementation]\nname = x\nrole = judge\n", ":3:", "write host or guest"},
    {GOOD "[abi]\nobjekt = z\n", ":7:", "not known"},
    {GOOD "object = again\n", ":6:", "twice"},
    {GOOD "[pixit]\nslack_ms = soon\n", ":7:", "write a number"},
    {GOOD "what is this\n", ":6:", "neither"},
    {"[implementation]\nname = x\nrole = host\n", ":1:", "nothing says how to run it"},
    {"[implementation]\nrole = host\n", ":1:", "name"},
};

Test(descriptor, bad_ones_name_file_line_and_fault)
{
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char *error = NULL;

        cr_assert_null(load(bad[i].text, &error), "accepted: %s", bad[i].text);
        cr_expect_not_null(strstr(error, bad[i].place), "%s", error);
        cr_expect_not_null(strstr(error, bad[i].why), "%s", error);
        free(error);
    }
}

Test(descriptor, a_missing_file)
{
    char *error = NULL;

    cr_assert_null(vpc_implementation_load("no/such.ini", &error));
    cr_assert_not_null(strstr(error, "no/such.ini"));
    free(error);
}

Test(descriptor, processor_time_is_read_behind_any_name)
{
    uint64_t us = 0;
    uint64_t tick = 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);

    cr_assert(vpc_process_busy("7 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 30 12 0 0", &us));
    cr_expect_eq(us, 42 * tick);
    cr_expect_not(vpc_process_busy("7 (a) S 1 2 3", &us));
    cr_expect_not(vpc_process_busy("", &us));
}

Test(descriptor, placeholders)
{
    const char *pairs[] = {"a", "1", "b", "", NULL};
    const char *unknown = NULL;
    char *text = vpc_expand("%{a}-%{b}-%{a}%", pairs, &unknown);

    cr_assert_str_eq(text, "1--1%");
    free(text);
    cr_assert_null(vpc_expand("%{a} %{c}", pairs, &unknown));
    cr_assert_str_eq(unknown, "%{c}");
}
