/* SPDX-License-Identifier: MIT */
/*
 * The octets of local streams, and which stream is looked at when.
 *
 * Nothing looks at all streams.  One is looked at when the endpoint says that it has output or room (WAKE), when epoll
 * says so, when its own state changed, and in the next turn when its share of this one, VPC_BUDGET each way, is used up.
 * In epoll it asks for EPOLLIN only while there is room and the end was not read, and for EPOLLOUT only while the socket
 * takes no more, so nothing that can't be acted upon wakes the loop.
 *
 * A read that gave less than it asked for took all that there was: the next is made when epoll says that there is more, or
 * the end.  A stream that has left epoll is read until the end.
 *
 * Copies: none here, where the endpoint has a table of its buffers (vpc_shell_config.direct): sockets are read straight
 * into the buffer that the bus is fed from, and written from the one that the bus filled.  Without the table octets go by
 * way of shell->chunk, since the ABI hands no space out.  The bus is read into the chunk, as nobody knows whose octets
 * come before their frame is read, and the endpoint stages its frames, since a frame is octets of many places in a row
 * that a virtio port must get at once.
 */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "shell_internal.h"

/* ---- octets ------------------------------------------------------------------------------------ */

/* What it may still move of VPC_BUDGET in this turn; moved is of the stream's read or written. */
static size_t share(struct vpc_stream *stream, const size_t *moved)
{
    uint64_t turn = stream->shell->loop.turns;

    if (stream->turn != turn) {
        stream->turn = turn;
        stream->read = stream->written = 0;
    }
    return *moved < VPC_BUDGET ? VPC_BUDGET - *moved : 0;
}

/* Makes pieces have limit octets at most; how many they have. */
static size_t cut(struct iovec pieces[2], unsigned *count, size_t limit)
{
    size_t total = 0;

    for (unsigned i = 0; i < *count; i++) {
        if (pieces[i].iov_len > limit - total)
            pieces[i].iov_len = limit - total;
        total += pieces[i].iov_len;
    }
    if (total == 0)
        *count = 0;
    return total;
}

/* Where octets of the program can go, and that n of them are there. */
static unsigned space_for(const struct vpc_stream *stream, struct iovec space[2])
{
    struct vpc_shell *shell = stream->shell;
    uint32_t number = stream->number;

    if (shell->config.direct != NULL)
        return shell->config.direct->space(shell->ep, number, space);
    size_t room = shell->abi->stream_room(shell->ep, number);
    space[0] =
        (struct iovec){.iov_base = shell->chunk, .iov_len = room < VPC_CHUNK ? room : VPC_CHUNK};
    return room > 0;
}

static void filled(const struct vpc_stream *stream, size_t n)
{
    struct vpc_shell *shell = stream->shell;
    uint32_t number = stream->number;

    if (shell->config.direct != NULL)
        shell->config.direct->filled(shell->ep, number, n);
    else
        shell->abi->stream_input(shell->ep, number, shell->chunk, n);
}

/* The octets for the program. */
static unsigned output_of(const struct vpc_stream *stream, struct iovec pieces[2])
{
    struct vpc_shell *shell = stream->shell;
    const void *octets;

    if (shell->config.direct != NULL)
        return shell->config.direct->pieces(shell->ep, stream->number, pieces);
    pieces[0].iov_len = shell->abi->stream_output(shell->ep, stream->number, &octets);
    pieces[0].iov_base = (void *)(uintptr_t)octets;
    return pieces[0].iov_len > 0;
}

/* read() failed: what that means stands in stream.rl. */
static void read_failed(struct vpc_stream *stream, int error)
{
    if (error == EAGAIN || error == EINTR)
        return;
    vpc_stream_ends(stream, error);
    vpc_stream_end_is_read(stream);
}

static bool reads(const struct vpc_stream *stream)
{
    return stream->state[VPC_INPUT] == VPC_INPUT_READING ||
           vpc_input_is_unread(stream->state[VPC_INPUT]);
}

/* Reads once, limit octets at most; whether there may be more to read now. */
static bool read_some(struct vpc_stream *stream, size_t limit)
{
    struct iovec space[2];
    unsigned count = space_for(stream, space);
    size_t wanted = cut(space, &count, limit);

    if (wanted == 0) {
        vpc_stream_happens(stream, VPC_ON_FULL);
        return false;
    }
    ssize_t n = stream->local ? vpc_pipe_take(stream, space, count)
                              : readv(stream->watch.fd, space, (int)count);
    if (n < 0)
        read_failed(stream, errno);
    if (n == 0)
        vpc_stream_end_is_read(stream);
    if (n <= 0)
        return false;
    stream->read += (size_t)n;
    filled(stream, (size_t)n);
    vpc_carry_out(stream->shell);
    return !vpc_stream_is_watched(stream);
}

/* Reads as long as there is something, and room, and its share. */
static void read_input(struct vpc_stream *stream)
{
    size_t limit = 0;
    bool more = true;

    while (more && reads(stream) && (limit = share(stream, &stream->read)) > 0)
        more = read_some(stream, limit);
    if (more && limit == 0 && reads(stream) && !vpc_stream_is_watched(stream))
        vpc_list_append(&stream->shell->streams.later, &stream->look);
}

static void write_failed(struct vpc_stream *stream, int error)
{
    if (stream->local)
        vpc_stream_happens(stream, VPC_ON_NO_READER);
    else
        vpc_stream_breaks(stream, error);
}

/* How much of the pieces, n octets, went; 0: none now. */
static size_t put(struct vpc_stream *stream, struct iovec pieces[2], unsigned count, size_t n)
{
    ssize_t w;

    do
        w = writev(stream->watch.fd, pieces, (int)count); /* SIGPIPE is ignored */
    while (w < 0 && errno == EINTR);
    stream->blocked = w < 0 ? errno == EAGAIN : (size_t)w < n;
    if (w < 0 && errno != EAGAIN)
        write_failed(stream, errno);
    return w > 0 ? (size_t)w : 0;
}

static bool discards(const struct vpc_stream *stream)
{
    return stream->state[VPC_OUTPUT] == VPC_OUTPUT_DISCARDING;
}

/* Writes once, limit octets at most; how many. */
static size_t write_some(struct vpc_stream *stream, size_t limit)
{
    struct vpc_shell *shell = stream->shell;
    struct iovec pieces[2];
    unsigned count = output_of(stream, pieces);
    size_t n = cut(pieces, &count, limit), w = n;

    if (n > 0 && !discards(stream))
        w = put(stream, pieces, count, n);
    if (w == 0)
        return 0;
    stream->written += w;
    shell->abi->stream_sent(shell->ep, stream->number, w);
    vpc_carry_out(shell);
    return w;
}

static bool writes(const struct vpc_stream *stream)
{
    return discards(stream) ||
           (stream->state[VPC_OUTPUT] == VPC_OUTPUT_WRITING && !stream->blocked);
}

/* Writes as long as there is something, and the socket takes it, and its share. */
static void write_output(struct vpc_stream *stream)
{
    size_t limit = 1;

    while (writes(stream) && (limit = share(stream, &stream->written)) > 0)
        if (write_some(stream, limit) == 0)
            return;
    if (limit == 0)
        vpc_list_append(&stream->shell->streams.later, &stream->look);
}

static int pending_error(const struct vpc_stream *stream)
{
    int error = 0;
    socklen_t size = sizeof(error);

    getsockopt(stream->watch.fd, SOL_SOCKET, SO_ERROR, &error, &size);
    return error;
}

void vpc_stream_on_ready(struct vpc_watch *watch, uint32_t events)
{
    struct vpc_stream *stream = watch->owner;

    if (events & EPOLLOUT)
        stream->blocked = false;
    if (events & (EPOLLHUP | EPOLLERR))
        vpc_stream_ends(stream, stream->local ? 0 : pending_error(stream));
    else if (events & EPOLLIN)
        read_input(stream);
    vpc_stream_wake(stream);
}

static bool has_hung_up(const struct vpc_stream *stream)
{
    struct pollfd socket = {.fd = stream->watch.fd};

    return poll(&socket, 1, 0) > 0 && (socket.revents & (POLLHUP | POLLERR)) != 0;
}

void vpc_stream_look_now(struct vpc_stream *stream)
{
    if (stream->listener.watch.fd >= 0)
        stream->listener.watch.on_ready(&stream->listener.watch, EPOLLIN);
    if (vpc_stream_is_open(stream) && vpc_stream_is_watched(stream) && has_hung_up(stream))
        vpc_stream_ends(stream, 0);
    vpc_stream_happens(stream, VPC_ON_LOOKED);
}

/* ---- looks ------------------------------------------------------------------------------------- */

static void look(struct vpc_stream *stream)
{
    write_output(stream);
    if (vpc_stream_is_open(stream) && !vpc_stream_is_watched(stream))
        read_input(stream);
    if (vpc_stream_is_open(stream))
        vpc_list_append(&stream->shell->streams.interest, &stream->interest);
}

void vpc_streams_look(struct vpc_shell *shell)
{
    struct vpc_stream *stream;

    while ((stream = VPC_FIRST(&shell->streams.look, struct vpc_stream, look)) != NULL) {
        vpc_list_remove(&stream->look);
        look(stream);
    }
}

static void want(struct vpc_stream *stream)
{
    struct vpc_shell *shell = stream->shell;
    uint32_t interest = 0;

    if (!vpc_stream_is_watched(stream))
        return;
    if (reads(stream) && shell->abi->stream_room(shell->ep, stream->number) > 0)
        interest |= stream->keeps ? EPOLLIN | EPOLLET : EPOLLIN;
    if (stream->blocked && stream->state[VPC_OUTPUT] == VPC_OUTPUT_WRITING)
        interest |= EPOLLOUT;
    vpc_watch_set(&shell->loop, &stream->watch, interest);
}

void vpc_streams_want(struct vpc_shell *shell)
{
    struct vpc_streams *streams = &shell->streams;
    struct vpc_stream *stream;

    while ((stream = VPC_FIRST(&streams->interest, struct vpc_stream, interest)) != NULL) {
        vpc_list_remove(&stream->interest);
        want(stream);
    }
}

bool vpc_streams_wait(const struct vpc_shell *shell)
{
    return !vpc_list_empty(&shell->streams.look);
}

void vpc_streams_next_turn(struct vpc_shell *shell)
{
    struct vpc_stream *stream;

    while ((stream = VPC_FIRST(&shell->streams.later, struct vpc_stream, look)) != NULL) {
        vpc_list_remove(&stream->look);
        vpc_list_append(&shell->streams.look, &stream->look);
    }
}
