/* SPDX-License-Identifier: MIT */
/* The octets that the example applications say to each other, and their order: from friends and from strangers. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../print/print.h"
#include "../print/uri.h"
#include "../run/rules.h"
#include "../run/run.h"
#include "../talk/talk.h"
#include "../watch/watch.h"

TestSuite(talk, .timeout = 20);

/* Any order of any of these. */
static bool any_order(int *state, char letter)
{
    return *state = letter, true;
}

static const struct talk_kind kinds[] = {
    {'p', "plain", 0, TALK_PLAIN, 0}, {'n', "numbers", 2, TALK_PLAIN, 0},
    {'t', "text", 0, TALK_TEXT, 5},   {'d', "data", 1, TALK_DATA, TALK_DATA_MAX},
    {0, NULL, 0, TALK_PLAIN, 0},
};
static const struct talk_grammar grammar = {kinds, any_order};
static struct talk talk;

/* All messages of octets, in pieces of `piece`; what they were, as letters, and whether the last octets were wrong. */
static bool hear(const struct talk_grammar *g, const void *octets, size_t n, size_t piece,
                 char *letters)
{
    const unsigned char *at = octets, *end = at + n;
    enum talk_taken taken = TALK_MORE;
    size_t used;

    talk_begin(&talk, -1, g);
    while (at < end && taken != TALK_WRONG) {
        size_t some = (size_t)(end - at) < piece ? (size_t)(end - at) : piece;

        taken = talk_take(&talk, at, some, &used);
        at += used;
        if (taken == TALK_WHOLE)
            *letters++ = talk.message.kind;
    }
    *letters = '\0';
    return taken != TALK_WRONG;
}

Test(talk, messages_in_pieces_of_any_size)
{
    static const char text[] = "plain\nnumbers 0 9999999999999999999\ntext :5\nhello"
                               "data 7 :3\n\n\0\xff"
                               "text :0\nplain\n";
    char letters[16];

    for (size_t piece = 1; piece < sizeof(text); piece++) {
        cr_assert(hear(&grammar, text, sizeof(text) - 1, piece, letters), "pieces of %zu", piece);
        cr_assert_str_eq(letters, "pntdtp", "pieces of %zu", piece);
    }
}

Test(talk, numbers_and_bodies_are_what_was_said)
{
    unsigned char out[TALK_MESSAGE_MAX];
    static unsigned char data[TALK_DATA_MAX];
    char letters[16];

    memset(data, '\n', sizeof(data));
    size_t n = talk_form(&grammar, 'd', (uint64_t[]){42}, data, sizeof(data), out);
    cr_assert_leq(n, sizeof(out));
    cr_assert(hear(&grammar, out, n, 7, letters));
    cr_assert_str_eq(letters, "d");
    cr_assert_eq(talk.message.numbers[0], 42);
    cr_assert_eq(talk.message.size, sizeof(data));
    cr_assert_arr_eq(talk.message.data, data, sizeof(data));
    n = talk_form(&grammar, 'n', (uint64_t[]){0, 9999999999999999999u}, NULL, 0, out);
    cr_assert(hear(&grammar, out, n, n, letters));
    cr_assert_eq(talk.message.numbers[1], 9999999999999999999u);
}

/* Each is wrong at its last octet, whatever the pieces, and right up to it. */
static const char *const wrong_messages[] = {
    "unknown\n",
    "plain 1\n",
    "plain :0\n",
    "numbers 1\n",
    "numbers 1 2 3\n",
    "numbers 1  ",
    "numbers 01",
    "numbers 10000000000000000000",
    "numbers -",
    "text\n",
    "text :6\n",
    "text :2\na\n",
    "text :2\n\x7f",
    "text :05",
    "text :100000",
    "data 1 :16385\n",
    "data :1\n",
    "abcdefghijklmnop",
    "P",
    "\n",
    " ",
    "plain\r",
    "plain\n\n",
    "numbers 1 2 3 4 5",
};

Test(talk, strangers_are_stopped_at_the_first_wrong_octet)
{
    char letters[16];

    for (size_t i = 0; i < sizeof(wrong_messages) / sizeof(wrong_messages[0]); i++)
        for (size_t piece = 1, n = strlen(wrong_messages[i]); piece <= n; piece++) {
            cr_assert_not(hear(&grammar, wrong_messages[i], n, piece, letters), "%s",
                          wrong_messages[i]);
            cr_assert(hear(&grammar, wrong_messages[i], n - 1, piece, letters), "%s",
                      wrong_messages[i]);
        }
}

Test(talk, what_was_wrong_stays_wrong)
{
    size_t used;

    talk_begin(&talk, -1, &grammar);
    cr_assert_eq(talk_take(&talk, (const unsigned char *)"X", 1, &used), TALK_WRONG);
    cr_assert_eq(talk_take(&talk, (const unsigned char *)"plain\n", 6, &used), TALK_WRONG);
    cr_assert_eq(used, 0);
}

/* ---- over a socket -------------------------------------------------------------------------------- */

static int ends[2];

static void say(const char *text)
{
    cr_assert_eq(write(ends[0], text, strlen(text)), (ssize_t)strlen(text));
}

Test(talk, an_end_between_messages_is_one_and_within_is_none)
{
    static const char *const texts[] = {"", "plain\n", "pla", "text :3\nab", "text :3\n"};
    static const bool good[] = {true, true, false, false, false};

    for (int i = 0; i < 5; i++) {
        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
        talk_begin(&talk, ends[1], &grammar);
        say(texts[i]);
        close(ends[0]);
        int heard = talk_next(&talk, 1000);
        if (i == 1) {
            cr_assert_eq(heard, 1);
            heard = talk_next(&talk, 1000);
        }
        cr_assert_eq(heard, good[i] ? 0 : -1, "%s", texts[i]);
        cr_assert(good[i] || errno == EPROTO);
        close(ends[1]);
    }
}

Test(talk, silence_has_a_limit_and_so_has_one_who_does_not_read)
{
    static char data[TALK_DATA_MAX];
    int result = 0;

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    talk_begin(&talk, ends[1], &grammar);
    cr_assert_eq(talk_next(&talk, 20), -1);
    cr_assert_eq(errno, ETIMEDOUT);
    for (int i = 0; i < 1000 && result == 0; i++)
        result = talk_say(ends[0], &grammar, 'd', (uint64_t[]){1}, data, sizeof(data), 20);
    cr_assert_eq(result, -1);
    cr_assert_eq(errno, ETIMEDOUT);
    close(ends[1]);
    cr_assert_eq(talk_say(ends[0], &grammar, 'p', NULL, NULL, 0, 20), -1);
    cr_assert_eq(errno, EPIPE);
    close(ends[0]);
}

/* ---- the order -------------------------------------------------------------------------------- */

static bool in_order(const struct talk_grammar *g, const char *letters)
{
    int state = 0;
    bool good = g->step(&state, 0);

    for (; *letters && good; letters++)
        good = g->step(&state, *letters);
    return good;
}

Test(talk, the_order_of_a_watch)
{
    char many[40] = "e";

    cr_assert(in_order(&watch_question, "edfdg"));
    cr_assert(in_order(&watch_question, "eg"));
    cr_assert_not(in_order(&watch_question, "d"));
    cr_assert_not(in_order(&watch_question, "ee"));
    cr_assert_not(in_order(&watch_question, "egd"));
    memset(many + 1, 'd', WATCH_ITEMS_MAX);
    cr_assert(in_order(&watch_question, many));
    many[1 + WATCH_ITEMS_MAX] = 'f';
    cr_assert_not(in_order(&watch_question, many), "more than there is room for");
    cr_assert(in_order(&watch_answer, "hldfxelele"));
    cr_assert_not(in_order(&watch_answer, "l"));
    cr_assert_not(in_order(&watch_answer, "he"));
    cr_assert_not(in_order(&watch_answer, "hll"));
    cr_assert_not(in_order(&watch_answer, "hh"));
}

Test(talk, the_order_of_a_run)
{
    char many[80] = "u";

    cr_assert(in_order(&run_request, "uwwgisizs"));
    cr_assert(in_order(&run_request, "uwgzss"));
    cr_assert_not(in_order(&run_request, "ug"), "no command");
    cr_assert_not(in_order(&run_request, "uwi"), "input before its start");
    cr_assert_not(in_order(&run_request, "uwgzi"), "input behind its end");
    cr_assert_not(in_order(&run_request, "uwgw"));
    memset(many + 1, 'w', RUN_WORDS_MAX);
    cr_assert(in_order(&run_request, many));
    many[1 + RUN_WORDS_MAX] = 'w';
    cr_assert_not(in_order(&run_request, many));
    cr_assert(in_order(&run_answer, "hsmoemcoex"));
    cr_assert(in_order(&run_answer, "hr"));
    cr_assert(in_order(&run_answer, "hf"));
    cr_assert_not(in_order(&run_answer, "ho"), "output before its start");
    cr_assert_not(in_order(&run_answer, "hsxo"), "output behind its end");
    cr_assert_not(in_order(&run_answer, "hsxk"));
}

Test(talk, the_order_of_printing)
{
    cr_assert(in_order(&print_jobs, "hjqutejqutddde"));
    cr_assert_not(in_order(&print_jobs, "jqut"));
    cr_assert_not(in_order(&print_jobs, "hjqutj"), "a job within another");
    cr_assert_not(in_order(&print_jobs, "hjqude"), "no title");
    cr_assert_not(in_order(&print_jobs, "hd"));
    cr_assert_not(in_order(&print_jobs, "hh"));
    cr_assert(in_order(&print_answer, "kknk"));
}

Test(talk, the_device_of_a_printer)
{
    static const char *const wrong[] = {"",
                                        "vpcbus",
                                        "vpcbus:",
                                        "vpcbus:run",
                                        "ipp:/",
                                        "vpcbus:/?wait=",
                                        "vpcbus:/?wait=1 ",
                                        "vpcbus:/?wait=123456",
                                        "vpcbus:/a b",
                                        "vpcbus:/%41",
                                        "vpcbus:/?other=1"};
    char longest[] = "vpcbus:/";
    char text[sizeof(longest) + URI_PATH_SIZE];
    struct uri uri = {.wait_s = 7};

    cr_assert(uri_read(&uri, "vpcbus:/"));
    cr_assert_str_eq(uri.path, "/");
    cr_assert_eq(uri.wait_s, 7);
    cr_assert(uri_read(&uri, "vpcbus:/run/x.sock?wait=60"));
    cr_assert_str_eq(uri.path, "/run/x.sock");
    cr_assert_eq(uri.wait_s, 60);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        cr_assert_not(uri_read(&uri, wrong[i]), "%s", wrong[i]);
    strcpy(text, longest);
    memset(text + 8, 'a', URI_PATH_SIZE - 2);
    text[8 + URI_PATH_SIZE - 2] = '\0';
    cr_assert(uri_read(&uri, text));
    strcat(text, "a");
    cr_assert_not(uri_read(&uri, text), "longer than the path of a socket may be");
}

/* ---- the settings of vpc-rund ----------------------------------------------------------------------------------- */

static struct rules rules;

static unsigned read_rules(const char *text)
{
    return rules_read(&rules, text, strlen(text));
}

static const struct rule *find(const char *user, unsigned count, ...)
{
    char *words[RUN_WORDS_MAX];
    va_list list;

    va_start(list, count);
    for (unsigned i = 0; i < count; i++)
        words[i] = va_arg(list, char *);
    va_end(list);
    return rules_find(&rules, user, words, count);
}

Test(rules, only_what_is_written_is_allowed)
{
    cr_assert_eq(
        read_rules(
            "# one\n\n  allow  nobody\t/bin/df \nallow app /bin/app a *\nallow x /bin/df -h\n"),
        0);
    cr_assert_eq(rules.count, 3);
    cr_assert_str_eq(find("", 1, "/bin/df")->words[0], "nobody");
    cr_assert_str_eq(find("", 2, "/bin/df", "-h")->words[0], "x");
    cr_assert_null(find("x", 1, "/bin/df"));
    cr_assert_null(find("", 2, "/bin/df", "-i"));
    cr_assert_null(find("", 3, "/bin/df", "-h", "-h"));
    cr_assert_null(find("", 1, "/bin/d"));
    cr_assert_null(find("", 1, "/bin/dff"));
    cr_assert_null(find("", 1, "/bin/app"));
    cr_assert_not_null(find("app", 2, "/bin/app", "a"));
    cr_assert_not_null(find("app", 4, "/bin/app", "a", "*", ""));
    cr_assert_null(find("nobody", 2, "/bin/app", "a"));
}

Test(rules, a_wrong_line_is_told_by_its_number)
{
    static const char *const wrong[] = {"allow\n",          "allow nobody\n",   "allow nobody df\n",
                                        "deny x /bin/df\n", "allow x /bin/df",  "allowx /bin/df\n",
                                        "allow x /\x01\n",  "allow x /b\x7f\n", "x\n"};
    char text[64];

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        cr_assert_eq(read_rules(wrong[i]), 1, "%s", wrong[i]);
        snprintf(text, sizeof(text), "# a comment\n%s", wrong[i]);
        cr_assert_eq(read_rules(text), 2, "%s", wrong[i]);
    }
    cr_assert_eq(read_rules(""), 0);
}

Test(rules, each_limit_is_one)
{
    static char text[RULES_MAX * 32 + 4 * RULE_SIZE];
    size_t n = 0;

    for (int i = 0; i < RULES_MAX; i++)
        n += (size_t)sprintf(text + n, "allow x /bin/%d\n", i);
    cr_assert_eq(read_rules(text), 0);
    strcpy(text + n, "allow x /bin/more\n");
    cr_assert_eq(read_rules(text), RULES_MAX + 1);

    n = (size_t)sprintf(text, "allow x /");
    memset(text + n, 'a',
           RULE_SIZE - 4); /* with its slash, "x" and two NULs it is as long as may be */
    strcpy(text + n + RULE_SIZE - 4, "\n");
    cr_assert_eq(read_rules(text), 0);
    strcpy(text + n + RULE_SIZE - 4, "a\n");
    cr_assert_eq(read_rules(text), 1);

    n = (size_t)sprintf(text, "allow x /a");
    for (int i = 2; i < RULE_WORDS_MAX; i++)
        n += (size_t)sprintf(text + n, " %d", i);
    strcpy(text + n, "\n");
    cr_assert_eq(read_rules(text), 0);
    strcpy(text + n, " 33\n");
    cr_assert_eq(read_rules(text), 1);
}
