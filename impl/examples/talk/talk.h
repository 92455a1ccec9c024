/* SPDX-License-Identifier: MIT */
/*
 * What the example applications say to each other over a channel: messages.  The octets of a message are those of
 * talk.rl; which messages a program takes is a table of kinds, and in which order is a grammar beside that program.
 *
 * Nothing here trusts the other side: each message has a limit, and the first octet out of place ends the talk.
 *
 * Results: 0 or more is success; -1 is failure, with errno.  Time: milliseconds, TALK_FOREVER without a limit.  No
 * call raises SIGPIPE.
 */
#ifndef TALK_H
#define TALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum {
    TALK_NAME_MAX = 15,
    TALK_NUMBERS_MAX = 4,
    TALK_DATA_MAX = 16384,
    TALK_MESSAGE_MAX = TALK_DATA_MAX + 160, /* the most octets of a message, its head included */
    TALK_FOREVER = -1,
};

/* What may follow the head of a message. */
enum talk_body {
    TALK_PLAIN, /* nothing */
    TALK_TEXT,  /* octets without controls */
    TALK_DATA,  /* any octets */
};

/* One kind of message; a table of them ends with a name that is NULL. */
struct talk_kind {
    char letter; /* what stands for it in the grammar of their order */
    const char *name;
    unsigned numbers; /* how many it has */
    enum talk_body body;
    size_t size_max; /* of the body */
};

/* What one side may say: kinds of messages, and their order. */
struct talk_grammar {
    const struct talk_kind *kinds;
    bool (*step)(int *state, char letter); /* letter 0 begins; false: it may not come now */
};

struct talk_message {
    char kind; /* its letter */
    uint64_t numbers[TALK_NUMBERS_MAX];
    size_t size;
    unsigned char data[TALK_DATA_MAX + 1]; /* `size` octets and a NUL */
};

/* The side of a talk that hears. */
struct talk {
    int fd;
    const struct talk_grammar *grammar;
    struct talk_message message; /* the last one that was whole */

    /* The rest is talk.rl's and talk_io.c's. */
    int cs, order;
    bool body, whole, wrong;
    const struct talk_kind *kind;
    char name[TALK_NAME_MAX + 1];
    size_t name_size, left;
    unsigned count;
    uint64_t number;
    unsigned char octets[4096];
    size_t at, end;
};

enum talk_taken {
    TALK_MORE,  /* all octets were taken, and a message is not whole */
    TALK_WHOLE, /* talk->message is */
    TALK_WRONG, /* no message that may come now begins like this; so it stays */
};

void talk_begin(struct talk *talk, int fd, const struct talk_grammar *grammar);
/* Takes octets up to the end of the next message; *used tells how many. */
enum talk_taken talk_take(struct talk *talk, const unsigned char *octets, size_t n, size_t *used);

/* Waits for the next message: 1, or 0 at the end between two.  ETIMEDOUT; EPROTO: what came is no message, or cut. */
int talk_next(struct talk *talk, int64_t limit_ms);
/* The next message of what was read already: 1, or 0 when more is needed; EPROTO. */
int talk_have(struct talk *talk);
/* Reads once what is there, without waiting: 1, 0 at the end; EAGAIN. */
int talk_read(struct talk *talk);

/* A message as octets to out, of TALK_MESSAGE_MAX: how many. */
size_t talk_form(const struct talk_grammar *grammar, char letter, const uint64_t *numbers,
                 const void *data, size_t size, unsigned char *out);
/* Says one whole message; numbers may be NULL if the kind has none. */
int talk_say(int fd, const struct talk_grammar *grammar, char letter, const uint64_t *numbers,
             const void *data, size_t size, int64_t limit_ms);

int64_t talk_now_ms(void);
/* Whether the first argument is --version; then it is said, and the program ends. */
bool talk_version(const char *program, int argc, char **argv);
/* Octets of strangers, fit for a terminal: what is not printable ASCII as \xXX. */
void talk_print(FILE *out, const void *octets, size_t n);

#endif
