/* SPDX-License-Identifier: MIT */
/*
 * connect: joins standard input and output with a pipe, like a terminal line to the guest's
 * program; with PORT it starts the channel first, with :PORT under a name that nobody else has.
 *
 * Each direction ends by itself: the end of standard input is told to the guest's program, which
 * may still answer.  The command ends when both have ended.  A reader of a Unix socket sees the
 * same end of file whether the guest's program finished or the session was lost, so only
 * CHANNEL_CLOSED on the control socket tells how it went; it may come before the end of file or
 * after it.  The order is therefore:
 *
 *   1. connect to the control socket: from here on no event can be missed
 *   2. learn the ids of the pipe's channels: an event with other ids is about another pair of that name
 *   3. open the pipe and copy, watching for the event all the time
 *   4. when both directions ended, close the pipe and wait for the event
 *
 * Whoever types does not know that the guest's program has finished, so nothing may be waited for that will not
 * come: when standard input gives nothing for a while then (--linger), the command ends as if it had ended.
 *
 * A pair that broke ends the command at once, even while standard input is still open; what the
 * guest sent before is written first.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ctl.h"
#include "local_socket.h"
#include "trust.h"

enum {
    CHUNK = 65536,
    /* for CHANNEL_CLOSED after both directions ended: the endpoints' drain limit, and more */
    CLOSED_LIMIT_MS = 15000,
    /* for the rest of the octets after CHANNEL_CLOSED or the control socket's end */
    GONE_LIMIT_MS = 2000,
};

/* One direction of the copy. */
struct flow {
    int from, to;
    bool ended;  /* no octet will be read any more */
    bool closed; /* and `to` was told */
    int error;   /* why it ended, if that was no end of file */
    size_t at, size;
    char data[CHUNK];
};

struct bridge {
    const struct ctl *c;
    vpc_virtual_machine *vm;
    int pipe;
    uint32_t h2g;
    json_t *closed;      /* the data of CHANNEL_CLOSED */
    bool lost;           /* the control socket ended */
    int64_t linger_end;  /* of the wait for more input; 0: it is not waited for */
    struct flow out, in; /* to the guest, from the guest */
};

/* The port to start the channel with; NULL: it is there. */
static const char *port_of(const struct ctl *c)
{
    return c->port != NULL ? c->port : c->count > 0 ? c->args[0] : NULL;
}

static bool is_pipe(const json_t *object, const char *pipe)
{
    const char *text = json_string_value(json_object_get(object, "pipe"));

    return text != NULL && strcasecmp(text, pipe) == 0;
}

static bool over(const struct flow *f)
{
    return f->ended && f->size == 0;
}

/* Whoever reads standard output sees its end; the descriptor stays taken. */
static void end_output(int fd)
{
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

    if (null < 0 || dup2(null, fd) < 0)
        close(fd);
    if (null >= 0)
        close(null);
}

/* What reads `to` sees the end. */
static void tell_end(struct bridge *b, struct flow *f)
{
    if (f->closed || !over(f))
        return;
    f->closed = true;
    if (f->to == b->pipe)
        shutdown(b->pipe, SHUT_WR);
    else
        end_output(f->to);
}

static void pull(struct flow *f)
{
    ssize_t n = read(f->from, f->data, CHUNK);

    if (n > 0) {
        f->at = 0;
        f->size = (size_t)n;
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        f->error = n == 0 ? 0 : errno;
        f->ended = true;
    }
}

/*
 * Standard output may block, and must not: a program that writes a lot before it reads what comes
 * back would wait for ever.  A socket can be told so call by call; anything else that is ready takes
 * PIPE_BUF octets at once.
 */
static ssize_t put(const struct flow *f)
{
    ssize_t n = send(f->to, f->data + f->at, f->size, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (n < 0 && errno == ENOTSOCK)
        n = write(f->to, f->data + f->at, f->size < PIPE_BUF ? f->size : PIPE_BUF);
    return n;
}

static void push(struct flow *f)
{
    ssize_t n = put(f);

    if (n > 0) {
        f->at += (size_t)n;
        f->size -= (size_t)n;
    } else if (n < 0 && errno != EAGAIN && errno != EINTR) {
        f->error = errno; /* nobody reads: the rest is lost */
        f->ended = true;
        f->size = 0;
    }
}

static short wants(const struct flow *f, bool reading)
{
    if (reading)
        return f->size == 0 && !f->ended ? POLLIN : 0;
    return f->size > 0 ? POLLOUT : 0;
}

static void take_events(struct bridge *b)
{
    json_t *event;
    vpc_hresult result;

    while ((result = vpc_next_event(b->vm, 0, &event)) == VPC_S_OK) {
        const char *name = json_string_value(json_object_get(event, "event"));
        json_t *data = json_object_get(event, "data");

        if (b->closed == NULL && name != NULL && strcmp(name, "CHANNEL_CLOSED") == 0 &&
            is_pipe(data, b->c->pipe) &&
            (uint32_t)json_integer_value(json_object_get(data, "h2g")) == b->h2g)
            b->closed = json_incref(data);
        json_decref(event);
    }
    b->lost = b->lost || result == VPC_ERROR_INVALID_HANDLE;
}

/* One turn of the copy; false when nothing came for limit_ms. */
static bool turn(struct bridge *b, int limit_ms)
{
    /* A descriptor without interest is left out: its hang-up would end each poll at once. */
    struct pollfd p[5] = {
        {.fd = b->out.from, .events = wants(&b->out, true)},
        {.fd = b->pipe, .events = wants(&b->out, false)},
        {.fd = b->pipe, .events = wants(&b->in, true)},
        {.fd = b->in.to, .events = wants(&b->in, false)},
        {.fd = b->lost || b->closed != NULL ? -1 : vpc_control_fd(b->vm), .events = POLLIN},
    };

    for (int i = 0; i < 4; i++)
        if (!p[i].events)
            p[i].fd = -1;
    int n = poll(p, 5, limit_ms);
    if (p[0].revents)
        pull(&b->out);
    if (p[1].revents)
        push(&b->out);
    if (p[2].revents)
        pull(&b->in);
    if (p[3].revents)
        push(&b->in);
    if (p[4].revents)
        take_events(b);
    tell_end(b, &b->out);
    tell_end(b, &b->in);
    return n != 0;
}

static bool ended_well(const struct bridge *b)
{
    const char *cause = json_string_value(json_object_get(b->closed, "cause"));

    return cause != NULL && strcmp(cause, "closed") == 0;
}

/* How long the next octet may take; -1: as long as it takes.  An event on the control socket is none. */
static int patience(struct bridge *b, bool dead)
{
    if (dead)
        return GONE_LIMIT_MS;
    if (!over(&b->in) || b->out.size > 0 || b->c->linger_ms == VPC_FOREVER) {
        b->linger_end = 0;
        return -1;
    }
    if (b->linger_end == 0)
        b->linger_end = vpc_end_of(b->c->linger_ms);
    int64_t left = b->linger_end - vpc_now_ms();
    return left < 0 ? 0 : left < INT_MAX ? (int)left : INT_MAX;
}

/* Copies until both directions ended, or the pair did and nothing more comes from it, or nobody takes
 * what comes. */
static void copy(struct bridge *b)
{
    take_events(b); /* those that came while the ids were asked for */
    while ((!over(&b->in) || !over(&b->out)) && !b->in.error) {
        bool dead = b->lost || (b->closed != NULL && !ended_well(b));

        if (dead && over(&b->in))
            break;
        if (!turn(b, patience(b, dead)))
            break;
    }
    close(b->pipe);
    b->pipe = -1;
}

static void await_closed(struct bridge *b)
{
    while (b->closed == NULL && !b->lost) {
        struct pollfd p = {.fd = vpc_control_fd(b->vm), .events = POLLIN};

        if (poll(&p, 1, CLOSED_LIMIT_MS) == 0)
            return;
        take_events(b);
    }
}

static int failed(const struct bridge *b, const char *what, int error)
{
    ctl_complain(b->c, "%s: %s: %s%s%s", b->c->vm, b->c->pipe, what, error ? ": " : "",
                 error ? strerror(error) : "");
    return CTL_FAILED;
}

static int verdict(const struct bridge *b)
{
    const char *cause = json_string_value(json_object_get(b->closed, "cause"));
    int error = (int)json_integer_value(json_object_get(b->closed, "errno"));
    char text[128];

    if (b->closed != NULL && !ended_well(b)) {
        snprintf(text, sizeof(text), "the channel was ended: %s",
                 cause != NULL ? cause : "unknown cause");
        return failed(b, text, error);
    }
    if (b->in.error)
        return failed(b, "octets from the guest are lost", b->in.error);
    if (b->out.error)
        return failed(b, "standard input was not sent to its end", b->out.error);
    if (b->closed != NULL)
        return CTL_OK;
    return failed(b,
                  b->lost ? "the host endpoint is gone"
                          : "the endpoint did not say that the channel is closed",
                  0);
}

/* Starts the channel if there is a port; learns its id. */
static int find_or_start(struct bridge *b)
{
    const struct ctl *c = b->c;
    json_t *answer = NULL;
    int status = CTL_OK;
    const char *port = port_of(c);
    vpc_channel_info info = {.h2g = 0};
    vpc_hresult result = port != NULL ? ctl_start_channel(c, b->vm, port, &answer)
                                      : vpc_find_communication_channel(b->vm, c->pipe, &info);

    b->h2g = port != NULL ? (uint32_t)json_integer_value(json_object_get(answer, "h2g")) : info.h2g;
    if (port == NULL && result == VPC_E_POINTER)
        status = failed(b, "no communication channel has that pipe (see vpcctl start)", 0);
    else if (result != VPC_S_OK)
        status = ctl_failed(c, b->vm, result, answer);
    json_decref(answer);
    return status;
}

static int open_pipe(struct bridge *b)
{
    int status = find_or_start(b);

    if (status)
        return status;
    struct vpc_trust trust = {0};
    int error = vpc_pipe_trusted(b->c->runtime_dir, b->c->pipe, &b->pipe, &trust);
    if (error) {
        if (port_of(b->c) != NULL)
            vpc_stop_communication_channel(b->vm, b->c->pipe);
        if (*trust.why)
            return failed(b, trust.why, 0);
        return failed(b,
                      error == ECONNREFUSED ? "the pipe has its one client already"
                                            : "the pipe can not be opened",
                      error);
    }
    /* Only the pipe: standard input and output are shared with others, whom that would surprise. */
    fcntl(b->pipe, F_SETFL, O_NONBLOCK);
    return CTL_OK;
}

int ctl_connect(const struct ctl *c)
{
    struct bridge *b = calloc(1, sizeof(*b));

    if (b == NULL)
        return CTL_FAILED;
    b->c = c;
    b->pipe = -1;
    signal(SIGPIPE, SIG_IGN);
    int status = ctl_open(c, &b->vm);
    if (!status)
        status = open_pipe(b);
    if (!status) {
        b->out.from = STDIN_FILENO, b->out.to = b->pipe;
        b->in.from = b->pipe, b->in.to = STDOUT_FILENO;
        copy(b);
        await_closed(b);
        status = verdict(b);
    }
    json_decref(b->closed);
    vpc_release_virtual_machine(b->vm);
    free(b);
    return status;
}
