/* SPDX-License-Identifier: MIT */
/*
 * The local connections of pairs: pipe clients (Unix sockets) on a host, TCP connections in a
 * guest.
 *
 * Goal: every octet that the local program wrote reaches the endpoint before the end of its writing
 * does, and that before its being gone.  What the kernel shows, and what it means:
 *
 *   read gives 0                 the program finished writing               stream_eof()
 *   EPOLLHUP, Unix socket        it closed the socket                       stream_gone(0), after stream_eof()
 *   ECONNRESET, EPIPE on read,   it closed without reading everything       the same: a pipe client can't break
 *     Unix socket                                                             off otherwise
 *   EPIPE on write, Unix socket  it does not read any more                  output is discarded, as if it had
 *                                                                             been read
 *   an error, TCP                the connection broke                       stream_gone(errno), after what there
 *                                                                             is room for
 *   EPOLLHUP, TCP                both directions ended in order             nothing: stream_eof() was or will be
 *                                                                             said
 *
 * EPOLLHUP comes at once and for ever, whatever one is interested in, and there may be no room for
 * what is still to be read.  So a stream leaves epoll with its first EPOLLHUP or error; from then
 * on each exchange reads it as far as there is room.  While it waits, the output of a pipe client
 * that hung up is discarded: its program may be waiting for that. Without room its being gone is
 * said before the rest of what it wrote.
 *
 * In epoll a stream asks for EPOLLIN only while there is room and the end was not read, and for
 * EPOLLOUT only while there is output, so nothing that can't be acted upon wakes the loop.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shell_internal.h"

static void on_ready(struct vpc_watch *watch, uint32_t events);

struct vpc_stream *vpc_stream_new(struct vpc_shell *shell, uint32_t number, bool local)
{
    struct vpc_stream *stream = calloc(1, sizeof(*stream));

    if (stream == NULL)
        return NULL;
    stream->shell = shell;
    stream->number = number;
    stream->local = local;
    stream->watch = (struct vpc_watch){.fd = -1, .on_ready = on_ready, .owner = stream};
    vpc_listener_init(&stream->listener, shell, NULL, stream);
    stream->next = shell->streams;
    shell->streams = stream;
    return stream;
}

struct vpc_stream *vpc_stream_find(struct vpc_shell *shell, uint32_t number)
{
    struct vpc_stream *s = shell->streams;

    while (s != NULL && s->number != number)
        s = s->next;
    return s;
}

void vpc_stream_start(struct vpc_stream *stream, int fd)
{
    struct vpc_shell *shell = stream->shell;

    stream->watch.fd = fd;
    stream->phase = VPC_STREAM_OPEN;
    shell->abi->stream_opened(shell->ep, stream->number, 0);
    vpc_shell_exchange(shell);
}

static void say_eof(struct vpc_stream *stream)
{
    stream->eof = true;
    stream->shell->abi->stream_eof(stream->shell->ep, stream->number);
}

static void say_gone(struct vpc_stream *stream, int error)
{
    stream->gone = true;
    stream->no_reader = true;
    vpc_watch_remove(&stream->shell->loop, &stream->watch);
    stream->shell->abi->stream_gone(stream->shell->ep, stream->number, error);
}

/* read() failed: what that means stands above. */
static bool read_failed(struct vpc_stream *stream, int error)
{
    if (error == EAGAIN || error == EINTR)
        return false;
    if (stream->local) {
        stream->hup = stream->no_reader = true;
        say_eof(stream);
    } else {
        say_gone(stream, stream->broken ? stream->broken : error);
    }
    return true;
}

/* What it wrote has to wait, perhaps for ever, but not its being gone: that sets the limit (CLS-8). */
static bool say_gone_without_room(struct vpc_stream *stream)
{
    bool gone = !stream->gone && (stream->local ? stream->hup : stream->broken);

    if (gone)
        say_gone(stream, stream->broken);
    return gone;
}

/*
 * Says the next thing that there is to say about the stream: some octets, the end of writing, or
 * that it is gone. False when there is nothing to say now.
 */
static bool step(struct vpc_stream *stream)
{
    struct vpc_shell *shell = stream->shell;

    if (stream->phase != VPC_STREAM_OPEN || (stream->gone && (stream->eof || !stream->local)))
        return false;
    if (stream->eof) {
        /* After our own end of writing EPOLLHUP says only that both ended, which the endpoint
         * knows. */
        bool gone = stream->local ? stream->hup && !stream->shut : stream->broken;

        if (gone)
            say_gone(stream, stream->broken);
        return gone;
    }
    size_t room = shell->abi->stream_room(shell->ep, stream->number);
    if (room == 0)
        return say_gone_without_room(stream);
    ssize_t n = read(stream->watch.fd, shell->chunk, room < VPC_CHUNK ? room : VPC_CHUNK);
    if (n < 0)
        return read_failed(stream, errno);
    if (n > 0)
        shell->abi->stream_input(shell->ep, stream->number, shell->chunk, (size_t)n);
    else if (stream->broken)
        say_gone(stream, stream->broken); /* an error that was read off by a write ends as 0 here */
    else
        say_eof(stream);
    return true;
}

bool vpc_stream_resume(struct vpc_stream *stream)
{
    return (stream->hup || stream->broken) && step(stream);
}

static int pending_error(const struct vpc_stream *stream)
{
    int error = 0;
    socklen_t size = sizeof(error);

    getsockopt(stream->watch.fd, SOL_SOCKET, SO_ERROR, &error, &size);
    return error;
}

static void on_ready(struct vpc_watch *watch, uint32_t events)
{
    struct vpc_stream *stream = watch->owner;
    struct vpc_shell *shell = stream->shell;

    if (events & (EPOLLHUP | EPOLLERR)) {
        stream->hup = true;
        vpc_watch_remove(&shell->loop, watch);
        if (stream->local)
            stream->no_reader = true;
        else if (!stream->broken)
            stream->broken = pending_error(stream);
    } else if (events & EPOLLIN) {
        for (int i = 0; i < VPC_BUDGET / VPC_CHUNK && step(stream); i++)
            vpc_shell_exchange(shell);
    }
    vpc_shell_exchange(shell);
}

static void write_failed(struct vpc_stream *stream, int error)
{
    if (stream->local) {
        stream->no_reader = true;
    } else {
        stream->broken = error;
        vpc_watch_remove(&stream->shell->loop, &stream->watch);
    }
}

/* How much of the n octets went; 0: none now. */
static size_t put(struct vpc_stream *stream, const void *octets, size_t n)
{
    if (stream->no_reader)
        return n;
    ssize_t w;
    do
        w = send(stream->watch.fd, octets, n, MSG_NOSIGNAL);
    while (w < 0 && errno == EINTR);
    if (w < 0 && errno != EAGAIN)
        write_failed(stream, errno);
    if (w > 0)
        return (size_t)w;
    return stream->no_reader ? n : 0;
}

void vpc_stream_flush(struct vpc_stream *stream)
{
    const vpc_endpoint_abi *abi = stream->shell->abi;
    const void *octets;
    size_t sent = 0, n, w;

    while (stream->phase == VPC_STREAM_OPEN && (sent < VPC_BUDGET || stream->no_reader) &&
           !stream->broken &&
           (n = abi->stream_output(stream->shell->ep, stream->number, &octets)) > 0) {
        w = put(stream, octets, n);
        if (w == 0)
            break;
        abi->stream_sent(stream->shell->ep, stream->number, w);
        vpc_carry_out(stream->shell);
        sent += w;
    }
}

void vpc_stream_want(struct vpc_stream *stream)
{
    const vpc_endpoint_abi *abi = stream->shell->abi;
    vpc_endpoint *ep = stream->shell->ep;
    const void *octets;

    if (stream->phase != VPC_STREAM_OPEN || stream->hup || stream->broken || stream->gone)
        return;
    uint32_t interest = 0;
    if (!stream->eof && abi->stream_room(ep, stream->number) > 0)
        interest |= EPOLLIN;
    if (abi->stream_output(ep, stream->number, &octets) > 0)
        interest |= EPOLLOUT;
    vpc_watch_set(&stream->shell->loop, &stream->watch, interest);
}

void vpc_stream_shutdown(struct vpc_stream *stream)
{
    if (stream->phase != VPC_STREAM_OPEN)
        return;
    stream->shut = true;
    shutdown(stream->watch.fd, SHUT_WR);
}

void vpc_stream_end(struct vpc_stream *stream, bool abort)
{
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};
    struct vpc_loop *loop = &stream->shell->loop;

    if (stream->phase == VPC_STREAM_CLOSED)
        return;
    if (stream->phase == VPC_STREAM_OPEN && !stream->local && !abort && vpc_tcp_linger(stream))
        return;
    if (stream->watch.fd >= 0 && stream->local)
        vpc_socket_read_off(stream->watch.fd); /* CLS-11 */
    else if (stream->watch.fd >= 0 && abort)
        setsockopt(stream->watch.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    stream->phase = VPC_STREAM_CLOSED;
    vpc_timer_clear(loop, &stream->limit);
    vpc_watch_close(loop, &stream->watch);
    vpc_listener_close(&stream->listener);
}

void vpc_stream_hang_up(struct vpc_stream *stream)
{
    if (stream->phase != VPC_STREAM_OPEN || stream->eof || stream->gone)
        return;
    shutdown(stream->watch.fd, SHUT_RD);
    vpc_watch_remove(&stream->shell->loop, &stream->watch);
    stream->hup = stream->no_reader = stream->gone = true;
}

void vpc_streams_take_no_more(struct vpc_shell *shell)
{
    for (struct vpc_stream *s = shell->streams; s != NULL; s = s->next)
        if (s->phase == VPC_STREAM_OPEN && !s->eof) {
            s->last = true;
            shutdown(s->watch.fd, SHUT_RD);
        }
}

bool vpc_streams_unread(const struct vpc_shell *shell)
{
    const struct vpc_stream *s = shell->streams;

    while (s != NULL &&
           (s->phase != VPC_STREAM_OPEN || !s->last || s->eof || (s->gone && !s->local)))
        s = s->next;
    return s != NULL;
}

void vpc_streams_bury(struct vpc_shell *shell)
{
    struct vpc_stream **at = &shell->streams;

    while (*at != NULL) {
        struct vpc_stream *stream = *at;

        if (stream->phase == VPC_STREAM_CLOSED) {
            *at = stream->next;
            free(stream);
        } else {
            at = &stream->next;
        }
    }
}
