/* SPDX-License-Identifier: MIT */
/*
 * The transport, in three kinds:
 *   connect  to a Unix socket (QEMU's chardev), again and again (TRN-2)
 *   listen   at a Unix socket, one peer at a time: QEMU's side of the above, for a loopback without QEMU
 *   port     a virtio-serial character device.  While no host is connected poll() says POLLHUP, at once and for
 *            ever, so the port leaves epoll and is looked at ten times a second (TRN-4)
 *
 * There is one transport at a time.  It ends with end of file, a hang-up or an error.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "shell_internal.h"

enum {
    CONNECT_RETRY_MS = 200,
    PORT_RETRY_MS = 100,
    READS_PER_EVENT = 16, /* a port gives 4 KiB per read */
};

static void retry_later(struct vpc_bus *bus)
{
    struct vpc_loop *loop = &bus->shell->loop;

    vpc_timer_set(loop, &bus->retry,
                  loop->now + (bus->kind == VPC_BUS_PORT ? PORT_RETRY_MS : CONNECT_RETRY_MS));
}

/* Why there is no transport yet, told when it changes. */
static void note_error(struct vpc_bus *bus, int error)
{
    if (error && error != bus->last_error)
        vpc_shell_note(bus->shell, "waiting for the bus %s: %s", bus->path, strerror(error));
    bus->last_error = error;
}

static void go_up(struct vpc_bus *bus)
{
    note_error(bus, 0);
    bus->up = true;
    bus->shell->abi->bus_up(bus->shell->ep);
    vpc_watch_set(&bus->shell->loop, &bus->watch, EPOLLIN);
    vpc_shell_settle(bus->shell);
}

static void go_down(struct vpc_bus *bus)
{
    if (!bus->up)
        return;
    bus->up = false;
    if (bus->kind == VPC_BUS_PORT)
        vpc_watch_remove(&bus->shell->loop, &bus->watch);
    else
        vpc_watch_close(&bus->shell->loop, &bus->watch);
    if (bus->kind == VPC_BUS_LISTEN)
        vpc_listener_pause(&bus->listener, false);
    else
        retry_later(bus);
    vpc_trace_down(bus->shell);
    bus->shell->abi->bus_down(bus->shell->ep);
    vpc_shell_settle(bus->shell);
}

/* Reads once and gives it to the endpoint; whether there may be more. */
static bool read_some(struct vpc_bus *bus)
{
    struct vpc_shell *shell = bus->shell;
    ssize_t n = read(bus->watch.fd, shell->chunk, sizeof(shell->chunk));

    if (n > 0) {
        vpc_trace_octets(shell, false, shell->chunk, (size_t)n);
        shell->abi->bus_input(shell->ep, shell->chunk, (size_t)n);
        vpc_shell_settle(shell);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        go_down(bus);
    }
    return n > 0 && bus->up;
}

static void on_ready(struct vpc_watch *watch, uint32_t events)
{
    struct vpc_bus *bus = watch->owner;

    if (events & EPOLLIN) {
        for (int i = 0; i < READS_PER_EVENT && read_some(bus); i++)
            ;
    } else if (events & (EPOLLHUP | EPOLLERR)) {
        go_down(bus);
        return;
    }
    if (bus->up && (events & EPOLLOUT))
        vpc_shell_settle(bus->shell);
}

void vpc_bus_flush(struct vpc_bus *bus)
{
    struct vpc_shell *shell = bus->shell;
    const void *octets;
    size_t sent = 0, n;
    bool blocked = false;

    if (!bus->up)
        return;
    while (!blocked && sent < VPC_BUDGET && (n = shell->abi->bus_output(shell->ep, &octets)) > 0) {
        ssize_t w = write(bus->watch.fd, octets, n);

        if (w > 0) {
            vpc_trace_octets(shell, true, octets, (size_t)w);
            shell->abi->bus_sent(shell->ep, (size_t)w);
            vpc_actions_take(shell);
            sent += (size_t)w;
        } else if (w == 0 || errno == EAGAIN) {
            blocked = true;
        } else if (errno != EINTR) {
            go_down(bus);
            return;
        }
    }
    bool waits = shell->abi->bus_output(shell->ep, &octets) > 0;
    vpc_watch_set(&shell->loop, &bus->watch, EPOLLIN | (waits ? EPOLLOUT : 0));
}

static int try_connect(struct vpc_bus *bus)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", bus->path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return errno;
    if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) != 0) {
        int error = errno;

        close(fd);
        return error;
    }
    bus->watch.fd = fd;
    return 0;
}

/* ENOTCONN while the port is there and no host is. */
static int try_port(struct vpc_bus *bus)
{
    if (bus->watch.fd < 0)
        bus->watch.fd = open(bus->path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (bus->watch.fd < 0)
        return errno;
    struct pollfd look = {.fd = bus->watch.fd};
    if (poll(&look, 1, 0) < 0)
        return errno;
    return look.revents & (POLLHUP | POLLERR | POLLNVAL) ? ENOTCONN : 0;
}

static void on_retry(struct vpc_timer *timer)
{
    struct vpc_bus *bus = timer->owner;
    int error = bus->kind == VPC_BUS_PORT ? try_port(bus) : try_connect(bus);

    if (!error) {
        go_up(bus);
        return;
    }
    if (error != ENOTCONN)
        note_error(bus, error);
    retry_later(bus);
}

static void on_peer(struct vpc_listener *listener, int fd)
{
    struct vpc_bus *bus = listener->owner;

    vpc_listener_pause(listener, true);
    bus->watch.fd = fd;
    go_up(bus);
}

static enum vpc_bus_kind kind_of(const char *spec, const char **path)
{
    struct stat st;

    *path = spec;
    if (strncmp(spec, "unix:", 5) == 0)
        *path = spec + 5;
    else if (strncmp(spec, "listen:", 7) == 0)
        *path = spec + 7;
    if (*path != spec)
        return spec[0] == 'u' ? VPC_BUS_CONNECT : VPC_BUS_LISTEN;
    if (strncmp(spec, "/dev/", 5) == 0 || (stat(spec, &st) == 0 && S_ISCHR(st.st_mode)))
        return VPC_BUS_PORT;
    return VPC_BUS_CONNECT;
}

int vpc_bus_open(struct vpc_bus *bus, struct vpc_shell *shell, const char *spec)
{
    *bus = (struct vpc_bus){
        .shell = shell,
        .watch = {.fd = -1, .on_ready = on_ready, .owner = bus},
        .retry = {.on_due = on_retry, .owner = bus},
    };
    bus->kind = kind_of(spec, &bus->path);
    vpc_listener_init(&bus->listener, shell, on_peer, bus);
    if (bus->kind != VPC_BUS_PORT && strlen(bus->path) >= VPC_PATH_SIZE)
        return ENAMETOOLONG;
    if (bus->kind == VPC_BUS_LISTEN)
        return vpc_listener_open(&bus->listener, bus->path, 1);
    vpc_timer_set(&shell->loop, &bus->retry, shell->loop.now);
    return 0;
}

void vpc_bus_close(struct vpc_bus *bus)
{
    if (bus->shell == NULL)
        return;
    vpc_timer_clear(&bus->shell->loop, &bus->retry);
    vpc_watch_close(&bus->shell->loop, &bus->watch);
    vpc_listener_close(&bus->listener);
}
