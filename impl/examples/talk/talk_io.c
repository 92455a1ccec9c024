/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "talk.h"
#include "version.h"

int64_t talk_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t end_of(int64_t limit_ms)
{
    return limit_ms == TALK_FOREVER ? INT64_MAX : talk_now_ms() + limit_ms;
}

/* Until fd may be read or written: 0, or -1 with ETIMEDOUT. */
static int wait_for(int fd, short events, int64_t end)
{
    struct pollfd p = {.fd = fd, .events = events};

    for (;;) {
        int64_t left = end == INT64_MAX ? TALK_FOREVER : end - talk_now_ms();

        if (end != INT64_MAX && left < 0)
            left = 0;
        int n = poll(&p, 1, left > 60000 ? 60000 : (int)left);
        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return -1;
        if (n == 0 && end != INT64_MAX && talk_now_ms() >= end) {
            errno = ETIMEDOUT;
            return -1;
        }
    }
}

int talk_have(struct talk *talk)
{
    size_t used;

    enum talk_taken taken = talk_take(talk, talk->octets + talk->at, talk->end - talk->at, &used);
    talk->at += used;
    if (taken == TALK_WRONG)
        errno = EPROTO;
    return taken == TALK_WRONG ? -1 : taken == TALK_WHOLE;
}

/* Whether nothing came since the last message. */
static bool between_messages(const struct talk *talk)
{
    return talk->whole || talk->name_size == 0;
}

int talk_read(struct talk *talk)
{
    ssize_t n;

    do
        n = recv(talk->fd, talk->octets, sizeof(talk->octets), MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -1;
    talk->at = 0;
    talk->end = (size_t)n;
    if (n == 0 && !between_messages(talk)) {
        errno = EPROTO;
        return -1;
    }
    return n > 0;
}

int talk_next(struct talk *talk, int64_t limit_ms)
{
    int64_t end = end_of(limit_ms);

    for (;;) {
        int found = talk_have(talk);

        if (found != 0)
            return found;
        if (wait_for(talk->fd, POLLIN, end) != 0)
            return -1;
        found = talk_read(talk);
        if (found == 0 || (found < 0 && errno != EAGAIN))
            return found;
    }
}

static const struct talk_kind *kind_of(const struct talk_grammar *grammar, char letter)
{
    const struct talk_kind *kind = grammar->kinds;

    while (kind->letter != letter)
        kind++;
    return kind;
}

size_t talk_form(const struct talk_grammar *grammar, char letter, const uint64_t *numbers,
                 const void *data, size_t size, unsigned char *out)
{
    const struct talk_kind *kind = kind_of(grammar, letter);
    char *head = (char *)out;
    int n = snprintf(head, TALK_MESSAGE_MAX, "%s", kind->name);

    for (unsigned i = 0; i < kind->numbers; i++)
        n += snprintf(head + n, TALK_MESSAGE_MAX - (size_t)n, " %llu",
                      (unsigned long long)numbers[i]);
    if (kind->body == TALK_PLAIN)
        size = 0;
    else
        n += snprintf(head + n, TALK_MESSAGE_MAX - (size_t)n, " :%zu", size);
    head[n++] = '\n';
    if (size > 0)
        memcpy(out + n, data, size);
    return (size_t)n + size;
}

int talk_say(int fd, const struct talk_grammar *grammar, char letter, const uint64_t *numbers,
             const void *data, size_t size, int64_t limit_ms)
{
    unsigned char octets[TALK_MESSAGE_MAX];
    size_t all = talk_form(grammar, letter, numbers, data, size, octets);
    int64_t end = end_of(limit_ms);

    for (size_t said = 0; said < all;) {
        ssize_t n = send(fd, octets + said, all - said, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n >= 0)
            said += (size_t)n;
        else if (errno != EINTR && (errno != EAGAIN || wait_for(fd, POLLOUT, end) != 0))
            return -1;
    }
    return 0;
}

bool talk_version(const char *program, int argc, char **argv)
{
    bool asked = argc == 2 && strcmp(argv[1], "--version") == 0;

    if (asked)
        printf("%s " VPC_VERSION_TEXT ", VPCBus 1.0\n", program);
    return asked;
}

void talk_print(FILE *out, const void *octets, size_t n)
{
    const unsigned char *at = octets;

    for (size_t i = 0; i < n; i++)
        if (at[i] >= 0x20 && at[i] < 0x7f && at[i] != '\\')
            putc(at[i], out);
        else
            fprintf(out, "\\x%02x", at[i]);
}
