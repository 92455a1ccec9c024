/* SPDX-License-Identifier: MIT */
/* The socket backend's bus: the harness listens, the subject comes; what goes out and comes in. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backends/machine.h"
#include "backends/socket_backend.h"

static struct vpc_socket_backend *self_of(struct vpc_backend *backend)
{
    return (struct vpc_socket_backend *)backend;
}

void vpc_socket_bus_drop(struct vpc_socket_backend *self)
{
    if (self->bus < 0)
        return;
    close(self->bus);
    self->bus = -1;
    vpc_buffer_free(&self->bus_out);
    vpc_socket_backend_tell(self, VPC_SEEN_BUS_DOWN, 0, NULL, 0);
}

void vpc_socket_bus_drop_other(struct vpc_socket_backend *self)
{
    for (int i = 0; i < 2; i++) {
        if (self->other[i] >= 0)
            close(self->other[i]);
        self->other[i] = -1;
    }
}

bool vpc_socket_bus_serve_other(struct vpc_backend *backend, char **error)
{
    struct vpc_socket_backend *self = self_of(backend);

    if (!vpc_socket_bus_listen(backend, true, error))
        return false;
    self->other[0] = vpc_unix_connect(self->own_bus);
    self->other[1] = self->other[0] < 0 ? -1 : accept4(self->listener, NULL, NULL, SOCK_CLOEXEC);
    if (self->other[1] < 0)
        *error = vpc_format("%s: %s", self->bus_path, strerror(errno));
    return self->other[1] >= 0;
}

bool vpc_socket_bus_listen(struct vpc_backend *backend, bool on, char **error)
{
    struct vpc_socket_backend *self = self_of(backend);

    vpc_socket_bus_drop_other(self);
    if (on && self->listener < 0) {
        self->listener = vpc_unix_listen(self->own_bus);
        if (self->listener < 0)
            *error = vpc_format("%s: %s", self->bus_path, strerror(errno));
        return self->listener >= 0;
    }
    if (!on && self->listener >= 0) {
        close(self->listener);
        self->listener = -1;
        unlink(self->own_bus);
        vpc_socket_bus_drop(self);
    }
    return true;
}

void vpc_socket_bus_accept(struct vpc_socket_backend *self)
{
    int fd = accept4(self->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0) {
        vpc_socket_backend_short(self, "accept the bus", errno);
        return;
    }
    vpc_socket_bus_drop(self);
    self->bus = fd;
    vpc_socket_backend_tell(self, VPC_SEEN_BUS_UP, 0, NULL, 0);
}

void vpc_socket_bus_write(struct vpc_socket_backend *self)
{
    while (self->bus >= 0 && vpc_buffer_size(&self->bus_out) > 0) {
        ssize_t n = send(self->bus, vpc_buffer_head(&self->bus_out),
                         vpc_buffer_size(&self->bus_out), MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            int error = errno;

            vpc_socket_backend_short(self, "send on the bus", error);
            if (error != EAGAIN) /* it never goes out: nobody is to wait for it */
                vpc_buffer_free(&self->bus_out);
            return;
        }
        vpc_buffer_drop(&self->bus_out, (size_t)n);
    }
}

/* A piece goes out by itself where the socket takes it within a moment, so that the subject may read it so. */
void vpc_socket_bus_send(struct vpc_backend *backend, const void *octets, size_t n)
{
    struct vpc_socket_backend *self = self_of(backend);
    struct pollfd wait = {.fd = self->bus, .events = POLLOUT};
    bool waited = vpc_buffer_size(&self->bus_out) > 0;

    vpc_buffer_add(&self->bus_out, octets, n);
    if (waited)
        return;
    vpc_socket_bus_write(self);
    if (vpc_buffer_size(&self->bus_out) > 0 && poll(&wait, 1, 50) > 0)
        vpc_socket_bus_write(self);
}

size_t vpc_socket_bus_unsent(struct vpc_backend *backend)
{
    return vpc_buffer_size(&self_of(backend)->bus_out);
}

void vpc_socket_bus_take_octets(struct vpc_socket_backend *self)
{
    char part[65536];
    ssize_t n = recv(self->bus, part, vpc_read_size(sizeof(part), self->bus_left), 0);

    if (n > 0) {
        vpc_read_note((size_t)n, &self->bus_left);
        vpc_socket_backend_tell(self, VPC_SEEN_BUS_OCTETS, 0, part, (size_t)n);
    } else if (n < 0 && vpc_machine_is_short(errno)) {
        vpc_socket_backend_short(self, "read the bus", errno);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        vpc_socket_bus_drop(self);
    }
}

void vpc_socket_bus_take(struct vpc_backend *backend, size_t octets)
{
    self_of(backend)->bus_left = octets;
}

void vpc_socket_bus_read(struct vpc_backend *backend, bool on)
{
    vpc_socket_bus_take(backend, on ? SIZE_MAX : 0);
}
