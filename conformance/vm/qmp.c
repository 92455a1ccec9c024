/* QEMU's control protocol: see qmp.h. */
#include "vm/qmp.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define READS_AT_ONCE 64 /* without an event, until the caller goes on with something else */

struct vpc_qmp {
    int fd;
    json_int_t last_id;
    json_t *events;
    size_t have;
    char bytes[65536]; /* a line that is not whole yet */
    char error[256];
};

int64_t vpc_qmp_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct vpc_qmp *vpc_qmp_new(int fd)
{
    struct vpc_qmp *qmp = calloc(1, sizeof(*qmp));

    if (qmp)
        qmp->events = json_array();
    errno = ENOMEM;
    if (!qmp || !qmp->events || fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
        int error = errno;

        json_decref(qmp ? qmp->events : NULL);
        free(qmp);
        close(fd);
        errno = error;
        return NULL;
    }
    qmp->fd = fd;
    return qmp;
}

void vpc_qmp_free(struct vpc_qmp *qmp)
{
    if (!qmp)
        return;
    close(qmp->fd);
    json_decref(qmp->events);
    free(qmp);
}

int vpc_qmp_fd(const struct vpc_qmp *qmp)
{
    return qmp->fd;
}

const char *vpc_qmp_error(const struct vpc_qmp *qmp)
{
    return qmp->error;
}

static int fail(struct vpc_qmp *qmp, const char *what, const char *why)
{
    snprintf(qmp->error, sizeof(qmp->error), "QMP: %s: %s", what, why);
    return -1;
}

/* A whole line of those held, parsed: 1; 0 if none is whole; -1 if it is no JSON object. */
static int take_line(struct vpc_qmp *qmp, json_t **object)
{
    char *end = memchr(qmp->bytes, '\n', qmp->have);
    json_error_t error;

    if (!end) {
        if (qmp->have < sizeof(qmp->bytes))
            return 0;
        return fail(qmp, "a line", "too long");
    }
    size_t size = (size_t)(end - qmp->bytes) + 1;
    *object = json_loadb(qmp->bytes, size, 0, &error);
    qmp->have -= size;
    memmove(qmp->bytes, end + 1, qmp->have);
    if (json_is_object(*object))
        return 1;
    if (*object)
        snprintf(error.text, sizeof(error.text), "no object");
    json_decref(*object);
    return fail(qmp, "bad JSON", error.text);
}

/* 1: bytes came; 0: none now; -1: the line is lost. */
static int receive(struct vpc_qmp *qmp)
{
    ssize_t got;

    do {
        got = read(qmp->fd, qmp->bytes + qmp->have, sizeof(qmp->bytes) - qmp->have);
    } while (got < 0 && errno == EINTR);
    if (got < 0 && errno == EAGAIN)
        return 0;
    if (got <= 0)
        return fail(qmp, "the line is lost", got == 0 ? "QEMU closed it" : strerror(errno));
    qmp->have += (size_t)got;
    return 1;
}

static int wait_for(struct vpc_qmp *qmp, short events, int64_t deadline, const char *what)
{
    struct pollfd line = {.fd = qmp->fd, .events = events};
    int64_t left = deadline - vpc_qmp_now();

    int ready = left > 0 ? poll(&line, 1, (int)left) : 0;
    if (ready > 0 || (ready < 0 && errno == EINTR))
        return 0;
    return fail(qmp, what, ready == 0 ? "no answer within the time limit" : strerror(errno));
}

/* At the end of the events, of which the first goes where they are too many. */
static void keep_event(json_t *events, json_t *event)
{
    if (json_array_size(events) >= VPC_QMP_EVENTS_MAX)
        json_array_remove(events, 0);
    json_array_append_new(events, event);
}

/* For a line that is never silent, so that nobody waits for it. */
static bool is_over(struct vpc_qmp *qmp, int64_t deadline, const char *what)
{
    return vpc_qmp_now() >= deadline && fail(qmp, what, "no answer within the time limit") != 0;
}

/* Until the line has something to read: 0, or -1 at its end and at the deadline. */
static int read_more(struct vpc_qmp *qmp, int64_t deadline, const char *what)
{
    int got = receive(qmp);

    if (got > 0 && is_over(qmp, deadline, what))
        return -1;
    return got < 0 || (got == 0 && wait_for(qmp, POLLIN, deadline, what) != 0) ? -1 : 0;
}

/*
 * The answer to the last command (the greeting, if there was none); events are kept, and late
 * answers to earlier commands dropped. 0, or -1.
 */
static int next_answer(struct vpc_qmp *qmp, json_t **answer, int64_t deadline, const char *what)
{
    for (;;) {
        int got = take_line(qmp, answer);

        if (got < 0 || (got == 0 && read_more(qmp, deadline, what) != 0))
            return -1;
        if (got == 0)
            continue;
        if (json_object_get(*answer, "event"))
            keep_event(qmp->events, *answer);
        else if (json_integer_value(json_object_get(*answer, "id")) == qmp->last_id)
            return 0;
        else
            json_decref(*answer);
        if (is_over(qmp, deadline, what))
            return -1;
    }
}

int vpc_qmp_begin(struct vpc_qmp *qmp, int64_t deadline)
{
    json_t *greeting;

    if (next_answer(qmp, &greeting, deadline, "the greeting") != 0)
        return -1;
    json_decref(greeting);
    return vpc_qmp_command(qmp, "qmp_capabilities", NULL, NULL, deadline);
}

static int send_all(struct vpc_qmp *qmp, const char *text, int64_t deadline, const char *what)
{
    size_t size = strlen(text), at = 0;

    while (at < size) {
        ssize_t put = send(qmp->fd, text + at, size - at, MSG_NOSIGNAL);

        if (put >= 0)
            at += (size_t)put;
        else if (errno == EAGAIN && wait_for(qmp, POLLOUT, deadline, what) != 0)
            return -1;
        else if (errno != EAGAIN && errno != EINTR)
            return fail(qmp, what, strerror(errno));
    }
    return 0;
}

int vpc_qmp_command(struct vpc_qmp *qmp, const char *command, json_t *arguments, json_t **result,
                    int64_t deadline)
{
    json_t *request = json_pack("{s:s, s:I, s:o*}", "execute", command, "id", ++qmp->last_id,
                                "arguments", arguments);
    char *text = request ? json_dumps(request, JSON_COMPACT) : NULL;
    json_t *answer = NULL;

    json_decref(request);
    if (!text)
        return fail(qmp, command, "cannot be written as JSON");
    int sent = send_all(qmp, text, deadline, command);
    free(text);
    if (sent != 0 || next_answer(qmp, &answer, deadline, command) != 0)
        return -1;
    json_t *value = json_object_get(answer, "return");
    if (!value) {
        const char *why =
            json_string_value(json_object_get(json_object_get(answer, "error"), "desc"));

        fail(qmp, command, why ? why : "an answer that is neither return nor error");
        json_decref(answer);
        return -1;
    }
    if (result)
        *result = json_incref(value);
    json_decref(answer);
    return 0;
}

int vpc_qmp_next(struct vpc_qmp *qmp, json_t **event)
{
    int reads = 0;

    for (;;) {
        *event = json_incref(json_array_get(qmp->events, 0));
        if (*event) {
            json_array_remove(qmp->events, 0);
            return 1;
        }
        int got = take_line(qmp, event);
        if (got > 0 && json_object_get(*event, "event"))
            return 1;
        if (got > 0)
            json_decref(*event); /* an answer that came after its time limit */
        else if (got < 0 || reads++ == READS_AT_ONCE || (got = receive(qmp)) <= 0)
            return got;
    }
}

int vpc_qmp_await(struct vpc_qmp *qmp, const char *name, int64_t deadline)
{
    json_t *kept = json_array(), *event;
    bool found = false;
    int got = 0;

    if (!kept)
        return fail(qmp, name, "no memory");
    while (!found && (got = vpc_qmp_next(qmp, &event)) >= 0) {
        if (got == 0 && wait_for(qmp, POLLIN, deadline, name) != 0)
            break;
        if (got == 0)
            continue;
        const char *its = json_string_value(json_object_get(event, "event"));
        found = its && strcmp(its, name) == 0;
        if (found)
            json_decref(event);
        else
            keep_event(kept, event);
        if (!found && is_over(qmp, deadline, name))
            break;
    }
    json_array_extend(kept, qmp->events);
    json_decref(qmp->events);
    qmp->events = kept;
    return found ? 0 : -1;
}
