/* SPDX-License-Identifier: MIT */
/*
 * Entries of the event log to the systemd journal, by its native protocol, so that the guest's static binary
 * can do it too.  Conventions are those of shell.h.
 */
#ifndef VPC_SHELL_JOURNAL_H
#define VPC_SHELL_JOURNAL_H

#include <stddef.h>
#include <stdint.h>

#define VPC_JOURNAL_SOCKET "/run/systemd/journal/socket"

/* What the first 24 digits of an entry's MESSAGE_ID are; the last 8 are the entry's id, in decimal.
 * build/vpcbus.catalog has a text for each. */
#define VPC_JOURNAL_MESSAGE_ID "b55656a1f3c94d0e9a6b7c21"

struct vpc_opener;

enum {
    VPC_JOURNAL_CAUSED_MAX = 1000, /* in an hour */
};

struct vpc_journal {
    int fd;                         /* -1: it is not connected */
    const struct vpc_opener *asked; /* who connects it; NULL: there is none */
    const char *program;
    uint64_t lost; /* entries that the journal did not take, or was not given */
    uint64_t hour; /* when the one began in which it was given */
    unsigned caused;
};

/* path NULL: none.  Nothing is sent yet, and it may come later; ENAMETOOLONG, EAFNOSUPPORT: it can't. */
int vpc_journal_open(struct vpc_journal *journal, const struct vpc_opener *asked, const char *path,
                     const char *program);
void vpc_journal_close(struct vpc_journal *journal);

/* Sends one entry (a JSON object, n octets).  Never waits: what the journal does not take now is counted, and
 * the next entry that it takes tells the number (VPC_LOST). */
void vpc_journal_write(struct vpc_journal *journal, const char *text, size_t n);
/* The same for an entry that a guest causes.  The journal is the whole machine's, and turned over by its size: so it gets no
 * more than VPC_JOURNAL_CAUSED_MAX of them within an hour, which begins with the first; the rest counts as lost. */
void vpc_journal_write_caused(struct vpc_journal *journal, const char *text, size_t n,
                              uint64_t now_ms);

#endif
