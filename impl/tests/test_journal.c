/* SPDX-License-Identifier: MIT */
/* Entries of the log as datagrams of the journal's native protocol, to a journal of the test's own. */
#include "journal.h"

#include <criterion/criterion.h>
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "opener.h"
#include "scratch.h"

TestSuite(journal, .timeout = 20);

static int served = -1;
static char path[108];
static struct vpc_journal journal;
static struct vpc_acts acts = {.config.journal = path};
static const struct vpc_opener opener = {.fd = -1, .acts = &acts};

static void serve(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    unlink(path);
    served = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(served, (struct sockaddr *)&address, sizeof(address)), 0);
}

static void begin(void)
{
    scratch_begin();
    snprintf(path, sizeof(path), "%s/journal", scratch);
    serve();
    cr_assert_eq(vpc_journal_open(&journal, &opener, path, "vpc-host"), 0);
}

static void end(void)
{
    vpc_journal_close(&journal);
    close(served);
    scratch_end();
}

static void say(const char *text)
{
    vpc_journal_write(&journal, text, strlen(text));
}

/* The next datagram, ended by a NUL. */
static size_t hear(char *out, size_t size)
{
    ssize_t n = recv(served, out, size - 1, MSG_DONTWAIT);

    cr_assert_gt(n, 0, "no datagram came");
    out[n] = '\0';
    return (size_t)n;
}

static bool has_line(const char *datagram, const char *line)
{
    const char *at = strstr(datagram, line);

    return at != NULL && (at == datagram || at[-1] == '\n') && at[strlen(line)] == '\n';
}

#define ENTRY                                                                                      \
    "{\"time\": 1, \"id\": 1004, \"name\": \"START_FAILED\", \"level\": \"warning\", "             \
    "\"source\": \"host\", \"vm\": \"one\", \"message\": \"It failed.\", "                         \
    "\"port\": 6174, \"pipe\": \"\\\\\\\\.\\\\pipe\\\\x\"}"

Test(journal, the_fields_of_an_entry, .init = begin, .fini = end)
{
    char datagram[4096];

    say(ENTRY);
    hear(datagram, sizeof(datagram));
    cr_expect(has_line(datagram, "MESSAGE_ID=" VPC_JOURNAL_MESSAGE_ID "00001004"));
    cr_expect(has_line(datagram, "PRIORITY=4"));
    cr_expect(has_line(datagram, "SYSLOG_IDENTIFIER=vpc-host"));
    cr_expect(has_line(datagram, "VPC_EVENT=1004"));
    cr_expect(has_line(datagram, "VPC_NAME=START_FAILED"));
    cr_expect(has_line(datagram, "VPC_VM=one"));
    cr_expect(has_line(datagram, "VPC_PORT=6174"));
    cr_expect(has_line(datagram, "VPC_PIPE=\\\\.\\pipe\\x"));
    cr_expect(has_line(datagram,
                       "MESSAGE=START_FAILED: It failed. vm=one port=6174 pipe=\\\\.\\pipe\\x"));
}

Test(journal, a_value_with_a_newline_forges_no_field, .init = begin, .fini = end)
{
    char datagram[4096];
    const char *at;
    uint64_t length;
    size_t n;

    say("{\"id\": 1, \"peer\": \"a\\nPRIORITY=0\", \"b=\\nc\": \"d\"}");
    n = hear(datagram, sizeof(datagram));
    at = memmem(datagram, n, "VPC_PEER\n", 9);
    cr_assert_not_null(at);
    memcpy(&length, at + 9, sizeof(length));
    cr_expect_eq(le64toh(length), 12);
    cr_expect_eq(memcmp(at + 17, "a\nPRIORITY=0\n", 13), 0);
    cr_expect_not_null(memmem(datagram, n, "\nVPC_B__C=d\n", 12));
}

Test(journal, what_is_lost_is_told, .init = begin, .fini = end)
{
    char datagram[4096];

    close(served);
    say(ENTRY);
    say(ENTRY);
    serve(); /* the journal was restarted */
    say(ENTRY);
    hear(datagram, sizeof(datagram));
    cr_expect(has_line(datagram, "VPC_LOST=2"));
    say(ENTRY);
    hear(datagram, sizeof(datagram));
    cr_expect_null(strstr(datagram, "VPC_LOST"));
}

Test(journal, a_full_journal_holds_up_nobody, .init = begin, .fini = end)
{
    for (unsigned i = 0; i < 10000; i++)
        say(ENTRY);
    cr_expect_gt(journal.lost, 0);
}

/* The journal is everybody's: a guest has a share of it, and the host's own entries come through. */
Test(journal, what_a_guest_causes_is_bounded_by_the_hour, .init = begin, .fini = end)
{
    char datagram[4096];

    for (unsigned i = 0; i < VPC_JOURNAL_CAUSED_MAX + 5; i++) {
        vpc_journal_write_caused(&journal, ENTRY, strlen(ENTRY), 50 + i);
        if (i < VPC_JOURNAL_CAUSED_MAX)
            hear(datagram, sizeof(datagram));
    }
    cr_expect_eq(journal.lost, 5);
    vpc_journal_write_caused(&journal, ENTRY, strlen(ENTRY), 50 + 3600000 - 1);
    say(ENTRY); /* the host's own */
    hear(datagram, sizeof(datagram));
    cr_expect(has_line(datagram, "VPC_LOST=6"));
    vpc_journal_write_caused(&journal, ENTRY, strlen(ENTRY), 50 + 3600000);
    hear(datagram, sizeof(datagram));
    cr_expect_null(strstr(datagram, "VPC_LOST"));
}

Test(journal, no_journal_and_no_json, .init = begin, .fini = end)
{
    struct vpc_journal none;
    char long_path[300];

    cr_assert_eq(vpc_journal_open(&none, &opener, NULL, "x"), 0);
    vpc_journal_write(&none, ENTRY, strlen(ENTRY));
    cr_expect_eq(none.lost, 0);
    memset(long_path, '/', sizeof(long_path));
    long_path[sizeof(long_path) - 1] = '\0';
    acts.config.journal = long_path;
    cr_expect_eq(vpc_journal_open(&none, &opener, long_path, "x"), ENAMETOOLONG);
    say("no JSON");
    cr_expect_eq(journal.lost, 1);
}
