/* SPDX-License-Identifier: MIT */
/*
 * bench-relay: joins two streams, and nothing more: what there is to compare VPCBus with, a way without frames.
 *
 *     bench-relay LEFT RIGHT
 *
 * Each is listen:PATH (a Unix socket, one client), unix:PATH, tcp:PORT (on 127.0.0.1) or a device's path.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    BUFFER = 65536,
    PAGE = 4096,
    TRIES = 200, /* for what is not there yet */
    TRY_US = 50000,
    AWAY_US = 20000, /* a device without a host is looked at again after this */
};

struct way {
    int from, to;
    size_t at, end;
    char octets[BUFFER];
};

static void fail(const char *what)
{
    fprintf(stderr, "bench-relay: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int accept_one(const struct sockaddr_un *address)
{
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    unlink(address->sun_path);
    if (listener < 0 || bind(listener, (const struct sockaddr *)address, sizeof(*address)) != 0 ||
        listen(listener, 1) != 0)
        fail(address->sun_path);
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

    close(listener);
    return fd;
}

static int connect_tcp(const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)atoi(port)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &yes, sizeof(yes));
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    close(fd);
    return -1;
}

static int connect_unix(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
        return fd;
    close(fd);
    return -1;
}

static int try_open(const char *end)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *colon = strchr(end, ':');

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", colon != NULL ? colon + 1 : "");
    if (strncmp(end, "listen:", 7) == 0)
        return accept_one(&address);
    if (strncmp(end, "unix:", 5) == 0)
        return connect_unix(&address);
    if (strncmp(end, "tcp:", 4) == 0)
        return connect_tcp(colon + 1);
    return open(end, O_RDWR | O_CLOEXEC);
}

static int open_end(const char *end)
{
    int fd;

    for (int i = 0; (fd = try_open(end)) < 0 && i < TRIES; i++)
        usleep(TRY_US);
    if (fd < 0)
        fail(end);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    return fd;
}

static void drain(struct way *way)
{
    ssize_t n = write(way->to, way->octets + way->at, way->end - way->at);

    if (n < 0 && errno != EAGAIN && errno != EINTR)
        fail("write");
    if (n > 0)
        way->at += (size_t)n;
    if (way->at == way->end)
        way->at = way->end = 0;
}

/* As much as is there and fits: a read of less than a page, which is what a port gives at most, was the last for now. */
static void move_on(struct way *way, bool is_device)
{
    ssize_t n;

    do {
        n = read(way->from, way->octets + way->end, sizeof(way->octets) - way->end);
        way->end += n > 0 ? (size_t)n : 0;
    } while (n >= PAGE && way->end < sizeof(way->octets));
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        fail("read");
    if (n == 0 && !is_device)
        exit(0);
    if (n == 0)
        usleep(AWAY_US);
    if (way->end > 0)
        drain(way);
}

static bool is_device(const char *end)
{
    return end[0] == '/';
}

int main(int argc, char **argv)
{
    static struct way there, back;

    if (argc != 3) {
        fputs("usage: bench-relay LEFT RIGHT\n", stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    there.from = back.to = open_end(argv[1]);
    there.to = back.from = open_end(argv[2]);
    for (;;) {
        struct pollfd polled[2] = {
            {.fd = there.from,
             .events = (short)((there.end ? 0 : POLLIN) | (back.end ? POLLOUT : 0))},
            {.fd = there.to,
             .events = (short)((back.end ? 0 : POLLIN) | (there.end ? POLLOUT : 0))},
        };

        if (poll(polled, 2, -1) < 0 && errno != EINTR)
            fail("poll");
        if (there.end && polled[1].revents & (POLLOUT | POLLERR))
            drain(&there);
        else if (!there.end && polled[0].revents & (POLLIN | POLLHUP | POLLERR))
            move_on(&there, is_device(argv[1]));
        if (back.end && polled[0].revents & (POLLOUT | POLLERR))
            drain(&back);
        else if (!back.end && polled[1].revents & (POLLIN | POLLHUP | POLLERR))
            move_on(&back, is_device(argv[2]));
    }
}
