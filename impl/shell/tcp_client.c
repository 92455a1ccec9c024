/* SPDX-License-Identifier: MIT */
/* The guest's connection to the server program on its own loopback address (CHN-4). */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shell_internal.h"

static void fail(vpc_stream *stream, int error)
{
    vpc_shell *shell = stream->shell;
    uint32_t number = stream->number;
    vpc_stream_end(stream, true);
    shell->abi->stream_opened(shell->ep, number, error);
    vpc_shell_settle(shell);
}

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

static void on_connected(vpc_watch *watch, uint32_t events)
{
    vpc_stream *stream = watch->owner;
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
    vpc_watch_remove(&stream->shell->loop, watch);
    watch->on_ready = stream->on_open_ready;
    vpc_stream_start(stream, fd);
}

static void on_limit(vpc_timer *timer)
{
    fail(timer->owner, ETIMEDOUT);
}

static int begin(vpc_stream *stream, unsigned port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    const int on = 1;
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    stream->watch.fd = fd;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) != 0 && errno != EINPROGRESS)
        return errno;
    return vpc_watch_set(&stream->shell->loop, &stream->watch, EPOLLOUT);
}

void vpc_tcp_connect(vpc_shell *shell, uint32_t number, unsigned port, uint64_t limit_ms)
{
    vpc_stream *stream = vpc_stream_new(shell, number, false);
    if (!stream) {
        shell->abi->stream_opened(shell->ep, number, ENOMEM);
        return;
    }
    stream->phase = VPC_STREAM_CONNECTING;
    stream->on_open_ready = stream->watch.on_ready;
    stream->watch.on_ready = on_connected;
    stream->limit = (vpc_timer){.on_due = on_limit, .owner = stream};
    int error = begin(stream, port);
    if (error)
        fail(stream, error);
    else
        vpc_timer_set(&shell->loop, &stream->limit, shell->loop.now + limit_ms);
}
