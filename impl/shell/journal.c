/* SPDX-License-Identifier: MIT */
/*
 * A datagram of the journal is a list of fields: NAME=VALUE and a newline, or, for a value with a newline in it, NAME, a
 * newline, the value's length as 64 bits little-endian, the value, a newline.
 */
#include "journal.h"

#include <ctype.h>
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log_line.h"
#include "opener.h"

enum {
    MESSAGE_MAX = 4096,
    NAME_MAX_OCTETS = 64, /* the journal's own limit of a field's name */
    HOUR_MS = 3600000,
};

int vpc_journal_open(struct vpc_journal *journal, const struct vpc_opener *asked, const char *path,
                     const char *program)
{
    *journal = (struct vpc_journal){.fd = -1, .program = program};
    if (path == NULL)
        return 0;
    journal->asked = asked;
    int error = vpc_opener_wish(asked, VPC_WISH_JOURNAL, &journal->fd);
    return error == ENAMETOOLONG || error == EAFNOSUPPORT ? error : 0;
}

void vpc_journal_close(struct vpc_journal *journal)
{
    if (journal->fd >= 0)
        close(journal->fd);
    journal->fd = -1;
}

static void put_field(FILE *out, const char *name, const char *value)
{
    uint64_t n = strlen(value), length = htole64(n);

    if (strchr(value, '\n') == NULL) {
        fprintf(out, "%s=%s\n", name, value);
        return;
    }
    fprintf(out, "%s\n", name);
    fwrite(&length, sizeof(length), 1, out);
    fwrite(value, 1, n, out);
    fputc('\n', out);
}

static void put_member(void *out, const char *key, const char *text)
{
    char name[NAME_MAX_OCTETS] = "VPC_";
    size_t n = 4;

    for (; *key && n < sizeof(name) - 1; key++)
        name[n++] = isalnum((unsigned char)*key) ? (char)toupper((unsigned char)*key) : '_';
    name[n] = '\0';
    put_field(out, name, text);
}

static const char *priority_of(const char *level)
{
    return strcmp(level, "error") == 0 ? "3" : strcmp(level, "warning") == 0 ? "4" : "6";
}

static void put_entry(FILE *out, const struct vpc_journal *journal, json_t *entry)
{
    int id = (int)json_integer_value(json_object_get(entry, "id"));
    char text[MESSAGE_MAX];

    vpc_log_line_text(entry, text, sizeof(text));
    put_field(out, "MESSAGE", text);
    fprintf(out, "MESSAGE_ID=" VPC_JOURNAL_MESSAGE_ID "%08d\n", id % 100000000);
    put_field(out, "PRIORITY", priority_of(vpc_log_line_member(entry, "level")));
    put_field(out, "SYSLOG_IDENTIFIER", journal->program);
    fprintf(out, "VPC_EVENT=%d\n", id);
    put_field(out, "VPC_NAME", vpc_log_line_member(entry, "name"));
    put_field(out, "VPC_SOURCE", vpc_log_line_member(entry, "source"));
    vpc_log_line_fields(entry, put_member, out);
    if (journal->lost > 0)
        fprintf(out, "VPC_LOST=%" PRIu64 "\n", journal->lost);
}

static bool is_sent(const struct vpc_journal *journal, const char *datagram, size_t n)
{
    return journal->fd >= 0 && send(journal->fd, datagram, n, MSG_NOSIGNAL) == (ssize_t)n;
}

/* One that was restarted is another; one that is full stays. */
static bool is_taken(struct vpc_journal *journal, const char *datagram, size_t n)
{
    if (is_sent(journal, datagram, n))
        return true;
    if (journal->fd >= 0 && errno != ECONNREFUSED && errno != ENOTCONN && errno != ECONNRESET)
        return false;
    vpc_journal_close(journal);
    vpc_opener_wish(journal->asked, VPC_WISH_JOURNAL, &journal->fd);
    return is_sent(journal, datagram, n);
}

void vpc_journal_write(struct vpc_journal *journal, const char *text, size_t n)
{
    json_t *entry = journal->asked != NULL ? json_loadb(text, n, 0, NULL) : NULL;
    char *datagram = NULL;
    size_t size = 0;
    FILE *out = json_is_object(entry) ? open_memstream(&datagram, &size) : NULL;

    if (out != NULL) {
        put_entry(out, journal, entry);
        fclose(out);
    }
    if (journal->asked != NULL)
        journal->lost =
            datagram != NULL && is_taken(journal, datagram, size) ? 0 : journal->lost + 1;
    free(datagram);
    json_decref(entry);
}

void vpc_journal_write_caused(struct vpc_journal *journal, const char *text, size_t n,
                              uint64_t now_ms)
{
    if (journal->caused == 0 || now_ms - journal->hour >= HOUR_MS) {
        journal->hour = now_ms;
        journal->caused = 0;
    }
    if (journal->asked == NULL)
        return;
    if (journal->caused++ < VPC_JOURNAL_CAUSED_MAX)
        vpc_journal_write(journal, text, n);
    else
        journal->lost++;
}
