/* SPDX-License-Identifier: MIT */
/* QEMU's control protocol with a QEMU that is none: whatever goes wrong with the line is told, at once and in words. */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vm/qmp.h"

TestSuite(qmp, .timeout = 20);

struct line {
    struct vpc_qmp *qmp;
    int qemu; /* its end */
};

static void say(const struct line *line, const char *text)
{
    cr_assert_eq(write(line->qemu, text, strlen(text)), (ssize_t)strlen(text));
}

/* It has greeted, and answered the one command of the beginning. */
static struct line begin(void)
{
    struct line line;
    int ends[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    line = (struct line){vpc_qmp_new(ends[0]), ends[1]};
    cr_assert_not_null(line.qmp);
    say(&line, "{\"QMP\": {}}\n{\"return\": {}, \"id\": 1}\n");
    cr_assert_eq(vpc_qmp_begin(line.qmp, vpc_qmp_now() + 5000), 0, "%s", vpc_qmp_error(line.qmp));
    return line;
}

static void end(struct line *line)
{
    vpc_qmp_free(line->qmp);
    close(line->qemu);
}

/* After what QEMU says a command fails, and soon, for this reason. */
static void fails(const char *said, const char *why)
{
    struct line line = begin();
    int64_t now = vpc_qmp_now();

    if (said)
        say(&line, said);
    cr_assert_eq(shutdown(line.qemu, SHUT_WR), 0);
    cr_expect_eq(vpc_qmp_command(line.qmp, "stop", NULL, NULL, now + 10000), -1);
    cr_expect_lt(vpc_qmp_now() - now, 5000, "it waited all the time");
    cr_expect_not_null(strstr(vpc_qmp_error(line.qmp), why), "%s", vpc_qmp_error(line.qmp));
    end(&line);
}

Test(qmp, what_is_wrong_with_the_line_is_said)
{
    fails(NULL, "the line is lost: QEMU closed it");
    fails("{\"return\":", "the line is lost: QEMU closed it");
    fails("nonsense\n", "bad JSON");
    fails("[1, 2]\n", "bad JSON: no object");
    fails("{\"error\": {\"desc\": \"it has no room\"}, \"id\": 2}\n", "stop: it has no room");
    fails("{\"id\": 2}\n", "neither return nor error");
}

Test(qmp, who_does_not_answer_is_waited_for_until_the_deadline)
{
    struct line line = begin();

    cr_expect_eq(vpc_qmp_command(line.qmp, "stop", NULL, NULL, vpc_qmp_now() + 100), -1);
    cr_expect_not_null(strstr(vpc_qmp_error(line.qmp), "no answer within the time limit"));
    end(&line);
}

/* The answer to a command that was given up is not taken for the next one's; events between them stay. */
Test(qmp, a_late_answer_is_nobodys)
{
    struct line line = begin();
    json_t *result = NULL, *event = NULL;

    cr_expect_eq(vpc_qmp_command(line.qmp, "stop", NULL, NULL, vpc_qmp_now() + 10), -1);
    say(&line, "{\"event\": \"STOP\"}\n{\"return\": 2, \"id\": 2}\n{\"return\": 3, \"id\": 3}\n");
    cr_assert_eq(vpc_qmp_command(line.qmp, "cont", NULL, &result, vpc_qmp_now() + 5000), 0);
    cr_expect_eq(json_integer_value(result), 3);
    cr_assert_eq(vpc_qmp_next(line.qmp, &event), 1);
    cr_expect_str_eq(json_string_value(json_object_get(event, "event")), "STOP");
    json_decref(result);
    json_decref(event);
    end(&line);
}
