/* SPDX-License-Identifier: MIT */
/*
 * What a pipe's client writes, taken so that the end of a pair that breaks off can be an error to it (CLS-14).
 *
 * A Unix socket gives its peer ECONNRESET when it is closed with octets that nobody has read, and in no other way.  So of a
 * client's short message, after which it may be waiting for an answer, the last octet is read by MSG_PEEK alone: it goes to
 * the guest with the others, and stays where it is until the client writes more.  An end in order reads it off.
 *
 * It costs a second system call.  Who writes much, or often, is not asked for it: only a message is treated so that comes
 * after a while of silence.  While an octet is kept the socket is always readable; so epoll tells of changes only, EPOLLET,
 * and an octet is kept only when all others were taken.
 */
#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "shell_internal.h"

enum {
    SHORT = 4096,   /* a message has fewer octets */
    QUIET_MS = 100, /* before it */
};

void vpc_pipe_input_begin(struct vpc_stream *stream)
{
    const int none = 0;

    stream->may_keep =
        setsockopt(stream->watch.fd, SOL_SOCKET, SO_PEEK_OFF, &none, sizeof(none)) == 0;
}

/* Reads n octets off that are there, and were peeked at. */
static void drop(struct vpc_stream *stream, size_t n)
{
    char octets[SHORT + 1];

    while (n > 0) {
        ssize_t r = read(stream->watch.fd, octets, n);

        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return;
        n -= (size_t)r;
    }
}

/* Takes what is new, at most SHORT octets; of a short message the last octet stays, if it shall. */
static ssize_t take_short(struct vpc_stream *stream, void *space, bool shall_keep)
{
    struct iovec piece = {.iov_base = space, .iov_len = SHORT};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    ssize_t n = recvmsg(stream->watch.fd, &message, MSG_PEEK);

    if (n <= 0)
        return n;
    bool keep = shall_keep && n < SHORT;
    drop(stream, (size_t)n + stream->keeps - keep);
    stream->keeps = keep;
    return n;
}

static ssize_t take_all(struct vpc_stream *stream, struct iovec space[2], unsigned count)
{
    char kept;
    struct iovec pieces[3] = {{&kept, 1}, space[0], count > 1 ? space[1] : space[0]};

    if (stream->keeps) {
        ssize_t n = readv(stream->watch.fd, pieces, (int)count + 1);

        if (n <= 0)
            return n;
        stream->keeps = false;
        if (n > 1)
            return n - 1;
    }
    return readv(stream->watch.fd, space, (int)count);
}

/* Behind SHORT octets, which are no short message: so that who was quiet is given as much as others. */
static ssize_t take_rest(struct vpc_stream *stream, const struct iovec space[2], unsigned count)
{
    struct iovec rest[2] = {
        {(char *)space[0].iov_base + SHORT, space[0].iov_len - SHORT},
        count > 1 ? space[1] : space[0],
    };
    ssize_t n = take_all(stream, rest, count);

    return SHORT + (n > 0 ? n : 0);
}

ssize_t vpc_pipe_take(struct vpc_stream *stream, struct iovec space[2], unsigned count)
{
    uint64_t now = stream->shell->loop.now;
    bool quiet = now >= stream->taken_at + QUIET_MS;
    bool can_keep = stream->may_keep && vpc_stream_is_watched(stream) && space[0].iov_len > SHORT;
    bool peeks = can_keep && (quiet || stream->keeps);
    ssize_t n =
        peeks ? take_short(stream, space[0].iov_base, quiet) : take_all(stream, space, count);

    if (peeks && n == SHORT)
        n = take_rest(stream, space, count);
    if (n > 0)
        stream->taken_at = now;
    return n;
}
