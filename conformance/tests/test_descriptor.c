/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/descriptor.h"
#include "backends/process.h"
#include "backends/words.h"
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
        load(GOOD "[pics]\nfeatures = control wait-ready\n[pixit]\nslack_ms = 7\n", &error);

    cr_assert_not_null(one, "%s", error);
    cr_assert_str_eq(one->name, "x");
    cr_assert(vpc_implementation_has(one, "wait-ready"));
    cr_assert_not(vpc_implementation_has(one, "wait"));
    cr_assert_str_eq(one->folder, "/tmp");
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
    {GOOD "[pixit]\nslack_ms = 99999999999999999999\n", ":7:", "write a number"},
    {GOOD "[pixit]\nslak_ms = 7\n", ":7:", "known are start_ms, slack_ms, hello_interval_ms"},
    {GOOD "[pixit]\ncredit = 7\n", ":7:", "not known"},
    {GOOD "[pixit]\nslack_ms = 7\nslack_ms = 8\n", ":8:", "twice"},
    {GOOD "[pics]\nfeatures = control\nfeatures = evnts\n", ":8:", "\"evnts\" is not known"},
    {GOOD "[process]\ncommand = x 'y z\n", ":7:", "a quote has no end"},
    {GOOD "[process]\ncommand =\n", ":7:", "names no program"},
    {GOOD "[guest]\nfiles = a:/a\nfiles = \"b:/b\n", ":8:", "a quote has no end"},
    {GOOD "[abi\n", ":6:", "ends with ]"},
    {"[implementation]\nname = x\nrole = host\nrole = guest\n", ":4:", "twice"},
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

/* As where a script began vpc-conform with &. */
Test(descriptor, a_process_hears_sigint_even_if_the_harness_does_not)
{
    char program[] = "sleep", seconds[] = "9";
    char *words[] = {program, seconds, NULL}, *error = NULL;
    struct vpc_process process = {0};
    int status = 0;

    signal(SIGINT, SIG_IGN);
    cr_assert(vpc_process_start(&process, words, NULL, &error), "%s", error);
    vpc_process_signal(&process, SIGINT);
    cr_assert(vpc_process_wait(&process, &status, 5000));
    cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
}

/* Whether the words are these, parted by |. */
static bool are(char **words, const char *expected)
{
    struct vpc_buffer all = {0};
    bool same;

    for (size_t i = 0; words && words[i]; i++) {
        vpc_buffer_add(&all, words[i], strlen(words[i]));
        vpc_buffer_fill(&all, '|', 1);
    }
    vpc_buffer_fill(&all, 0, 1);
    same = words && strcmp((const char *)all.data, expected) == 0;
    vpc_buffer_free(&all);
    vpc_words_free(words);
    return same;
}

Test(descriptor, words_are_split_as_a_shell_does)
{
    static const char *const texts[][2] = {
        {"", ""},
        {"  a   b\tc ", "a|b|c|"},
        {"'a b' \"c d\" e\\ f", "a b|c d|e f|"},
        {"--x='a b'c \"\" ''", "--x=a bc|||"},
        {"'\\\"' \"\\\"'\"", "\\\"|\"'|"},
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char *error = NULL;

        cr_expect(are(vpc_words_split(texts[i][0], &error), texts[i][1]), "%s", texts[i][0]);
        cr_expect_null(error);
    }
}

Test(descriptor, a_value_with_a_space_or_a_quote_stays_one_word)
{
    char set[] = "--option", one[] = "a b=1", none[] = "";
    char *const settings[] = {set, one, none, NULL};
    const struct vpc_value values[] = {{.name = "dir", .text = "/my proj/it's"},
                                       {.name = "tag", .text = ""},
                                       {.name = "options", .words = settings},
                                       {.name = NULL}};
    char *error = NULL;

    cr_expect(are(vpc_words_fill("x %{dir} --t=%{tag} '%{dir}/%{tag}' %{options} %{tag} 100%",
                                 values, &error),
                  "x|/my proj/it's|--t=|/my proj/it's/|--option|a b=1|||100%|"));
    cr_expect_null(vpc_words_fill("x %{nothing} %{dir}", values, &error));
    cr_expect_str_eq(error, "an unknown placeholder: %{nothing}; known are dir, tag, options");
    free(error);
    error = NULL;
    cr_expect_null(vpc_words_fill("x --all=%{options}", values, &error));
    cr_expect_str_eq(error, "%{options} is several words: write it as a word of its own");
    free(error);
}

Test(descriptor, lines_may_be_long_and_go_on)
{
    char *word = vpc_alloc(5001), *text, *error = NULL;
    struct vpc_implementation *one;

    memset(word, 'x', 5000);
    text = vpc_format("\xef\xbb\xbf" GOOD "[guest]\nfiles = a:/a ; a word on it\r\n"
                      "  b:/b\n\n\t'c d:/c'\nfiles = e:/%s\n# a word\ncommand = /a %s;%s\n",
                      word, word, word);
    one = load(text, &error);
    cr_assert_not_null(one, "%s", error);
    free(text);
    text = vpc_format("a:/a b:/b 'c d:/c' e:/%s", word);
    cr_expect_str_eq(one->guest_files, text);
    free(text);
    cr_expect_eq(strlen(one->guest_command), 10004);
    free(word);
    vpc_implementation_free(one);
}

Test(descriptor, paths_begin_in_its_folder)
{
    char *error = NULL, *path;
    struct vpc_implementation *one = load(GOOD, &error);

    path = vpc_implementation_path(one, "x/y");
    cr_expect_str_eq(path, "/tmp/x/y");
    free(path);
    path = vpc_implementation_path(one, "/x/y");
    cr_expect_str_eq(path, "/x/y");
    free(path);
    path = vpc_implementation_object(one, "/build", &error);
    cr_expect_str_eq(path, "/tmp/y.so");
    free(path);
    vpc_implementation_free(one);
}
