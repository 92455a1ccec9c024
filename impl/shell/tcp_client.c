/* SPDX-License-Identifier: MIT */
/*
 * The guest's connection to the server program on its own loopback address (CHN-4).
 *
 * Its end is harder than it looks: close() with input that nobody read is a reset, and a reset throws away what the kernel
 * has not yet handed over, so a server that is slow to read would lose the last words of a client that left (CLS-6).  A
 * connection that is to end in order therefore lingers: its input is read and dropped until the server's side has
 * acknowledged all of the output.
 */
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shell_internal.h"

enum {
    LINGER_LOOK_MS = 20, /* and twice as long for each look without progress */
    LINGER_LOOK_MAX_MS = 320,
    LINGER_LIMIT_MS = 10000, /* without progress */
    LINGER_MAX = 64,         /* connections at once: a host must not take all descriptors so */
};

/*
 * A connect to a port of the ephemeral range where nobody listens may by chance take that very port
 * as its own, and then TCP joins the socket with itself.  That is no server.
 */
static bool joined_with_itself(int fd)
{
    struct sockaddr_in own = {0}, peer = {0};
    socklen_t own_size = sizeof(own), peer_size = sizeof(peer);

    return getsockname(fd, (struct sockaddr *)&own, &own_size) == 0 &&
           getpeername(fd, (struct sockaddr *)&peer, &peer_size) == 0 &&
           own.sin_port == peer.sin_port && own.sin_addr.s_addr == peer.sin_addr.s_addr;
}

static void fail(struct vpc_stream *stream, int error)
{
    vpc_stream_fail(stream, error);
    vpc_carry_out(stream->shell);
}

static void on_connected(struct vpc_watch *watch, uint32_t events)
{
    struct vpc_stream *stream = watch->owner;
    int error = 0, fd = watch->fd;
    socklen_t size = sizeof(error);

    (void)events;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (!error && joined_with_itself(fd))
        error = ECONNREFUSED;
    if (error) {
        fail(stream, error);
        return;
    }
    vpc_timer_clear(&stream->shell->loop, &stream->limit);
    watch->on_ready = stream->on_open_ready;
    vpc_stream_start(stream, fd);
}

static void on_limit(struct vpc_timer *timer)
{
    fail(timer->owner, ETIMEDOUT);
}

static int begin(struct vpc_stream *stream, unsigned port)
{
    int error = vpc_opener_connect(stream->shell->asked, port, &stream->watch.fd);

    if (error && error != EINPROGRESS)
        return error;
    return vpc_watch_set(&stream->shell->loop, &stream->watch, EPOLLOUT);
}

void vpc_tcp_connect(struct vpc_shell *shell, uint32_t number, unsigned port, uint64_t limit_ms)
{
    struct vpc_stream *stream = vpc_stream_new(shell, number, false);

    if (stream == NULL) {
        shell->abi->stream_opened(shell->ep, number, ENOMEM);
        return;
    }
    stream->on_open_ready = stream->watch.on_ready;
    stream->watch.on_ready = on_connected;
    stream->limit = (struct vpc_timer){.on_due = on_limit, .owner = stream};
    int error = begin(stream, port);
    if (error)
        vpc_stream_fail(stream, error);
    else
        vpc_timer_set(&shell->loop, &stream->limit, shell->loop.now + limit_ms);
}

/* ---- the end of a connection ------------------------------------------------------------------ */

/* Octets, and the FIN, that the server's side has not acknowledged, and still may.  A reset does not show otherwise when the
 * server had finished writing: read() gives 0 then, and the octets stay in the count. */
static int unacknowledged(int fd)
{
    struct tcp_info info;
    socklen_t size = sizeof(info);
    int n = 0;

    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 || info.tcpi_state == TCP_CLOSE)
        return 0;
    return ioctl(fd, SIOCOUTQ, &n) == 0 ? n : 0;
}

/* What the server still writes is for nobody; whether it broke off. */
static bool discard(const struct vpc_stream *stream)
{
    ssize_t n;
    size_t total = 0;

    do {
        n = read(stream->watch.fd, stream->shell->chunk, VPC_CHUNK);
        total += n > 0 ? (size_t)n : 0;
    } while (n > 0 && total < VPC_BUDGET);
    return n < 0 && errno != EAGAIN && errno != EINTR;
}

static void on_linger(struct vpc_timer *timer)
{
    struct vpc_stream *stream = timer->owner;
    struct vpc_loop *loop = &stream->shell->loop;
    bool broke = discard(stream);
    int left = unacknowledged(stream->watch.fd);

    if (left < stream->lingers_for) {
        stream->lingers_for = left;
        stream->lingers_until = loop->now + LINGER_LIMIT_MS;
        stream->look_ms = LINGER_LOOK_MS;
    } else if (stream->look_ms < LINGER_LOOK_MAX_MS) {
        stream->look_ms *= 2;
    }
    if (left == 0)
        vpc_stream_received(stream);
    else if (broke || loop->now >= stream->lingers_until)
        vpc_stream_abort(stream);
    else
        vpc_timer_set(loop, timer, loop->now + stream->look_ms);
}

bool vpc_tcp_end(struct vpc_stream *stream)
{
    shutdown(stream->watch.fd, SHUT_WR);
    bool broke = discard(stream);
    stream->lingers_for = unacknowledged(stream->watch.fd);
    return !broke && stream->lingers_for > 0 && stream->shell->streams.lingering < LINGER_MAX;
}

void vpc_tcp_linger(struct vpc_stream *stream)
{
    struct vpc_loop *loop = &stream->shell->loop;

    vpc_watch_remove(loop, &stream->watch);
    stream->lingers_until = loop->now + LINGER_LIMIT_MS;
    stream->look_ms = LINGER_LOOK_MS;
    stream->limit = (struct vpc_timer){.on_due = on_linger, .owner = stream};
    vpc_timer_set(loop, &stream->limit, loop->now + LINGER_LOOK_MS);
}
