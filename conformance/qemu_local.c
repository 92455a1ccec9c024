/* SPDX-License-Identifier: MIT */
/* Control clients and TCP servers inside of the guest, played by the puppet. */
#include <errno.h>
#include <string.h>

#include "qemu.h"

static struct qemu *self_of(struct vpc_backend *backend)
{
    return (struct qemu *)backend;
}

bool vpc_qemu_control_open(struct vpc_backend *backend, int client)
{
    struct qemu *self = self_of(backend);
    struct thing *thing;

    if (vpc_qemu_puppet(self) == NULL)
        return false;
    thing = vpc_qemu_add(self, THING_CONTROL,
                         vpc_puppet_open(vpc_qemu_puppet(self), GUEST_FOLDER ".sock"), client);
    return vpc_qemu_await(self, thing, false);
}

void vpc_qemu_control_line(struct vpc_backend *backend, int client, const char *line, size_t n)
{
    struct qemu *self = self_of(backend);
    struct thing *thing = vpc_qemu_find(self, THING_CONTROL, client);

    if (thing == NULL)
        return;
    vpc_buffer_add(&thing->out, line, n);
    vpc_buffer_add(&thing->out, "\n", 1);
    vpc_qemu_push(self, thing);
}

void vpc_qemu_control_close(struct vpc_backend *backend, int client)
{
    struct qemu *self = self_of(backend);
    struct thing *thing = vpc_qemu_find(self, THING_CONTROL, client);

    if (thing && vpc_qemu_puppet(self))
        vpc_puppet_close(vpc_qemu_puppet(self), thing->handle);
}

int vpc_qemu_pipe_open(struct vpc_backend *backend, int conn, const char *name, const char *path)
{
    (void)backend;
    (void)conn;
    (void)name;
    (void)path;
    return ENOTSUP; /* a guest has no pipes */
}

bool vpc_qemu_tcp_mode(struct vpc_backend *backend, uint16_t port, enum vpc_tcp_mode mode,
                       char **error)
{
    struct qemu *self = self_of(backend);
    struct thing *server = vpc_qemu_find(self, THING_SERVER, port);

    if (mode == VPC_TCP_DEAF || vpc_qemu_puppet(self) == NULL) {
        *error = vpc_copy("the puppet has no deaf server: keep the scenario off qemu");
        return false;
    }
    if (server)
        vpc_puppet_close(vpc_qemu_puppet(self), server->handle);
    if (server && !vpc_qemu_await(self, server, true))
        *error = vpc_format("port %u can not be closed in the guest", port);
    if (mode == VPC_TCP_CLOSED || *error)
        return *error == NULL;
    server = vpc_qemu_add(self, THING_SERVER,
                          vpc_puppet_listen(vpc_qemu_puppet(self), port, 0, false), port);
    server->port = port;
    if (!vpc_qemu_await(self, server, false))
        *error = vpc_format("port %u of the guest: %s", port, strerror(server->status));
    return *error == NULL;
}

uint16_t vpc_qemu_real_port(struct vpc_backend *backend, uint16_t port)
{
    (void)backend;
    return port;
}

void vpc_qemu_local_send(struct vpc_backend *backend, int conn, const void *octets, size_t n)
{
    struct thing *thing = vpc_qemu_find(self_of(backend), THING_TCP, conn);

    if (thing == NULL)
        return;
    vpc_buffer_add(&thing->out, octets, n);
    vpc_qemu_push(self_of(backend), thing);
}

void vpc_qemu_local_shutdown(struct vpc_backend *backend, int conn)
{
    struct thing *thing = vpc_qemu_find(self_of(backend), THING_TCP, conn);

    if (thing == NULL)
        return;
    thing->shut = true;
    vpc_qemu_push(self_of(backend), thing);
}

/* What the puppet still holds must go out first, so a close is a FIN, and what comes after it is dropped here. */
void vpc_qemu_local_close(struct vpc_backend *backend, int conn)
{
    struct thing *thing = vpc_qemu_find(self_of(backend), THING_TCP, conn);

    if (thing)
        thing->closing = true;
    vpc_qemu_local_shutdown(backend, conn);
}

void vpc_qemu_local_abort(struct vpc_backend *backend, int conn)
{
    struct qemu *self = self_of(backend);
    struct thing *thing = vpc_qemu_find(self, THING_TCP, conn);

    if (thing && vpc_qemu_puppet(self))
        vpc_puppet_reset(vpc_qemu_puppet(self), thing->handle);
}

void vpc_qemu_local_read(struct vpc_backend *backend, int conn, bool on)
{
    struct qemu *self = self_of(backend);
    struct thing *thing = vpc_qemu_find(self, THING_TCP, conn);

    if (thing && vpc_qemu_puppet(self) && on)
        vpc_puppet_resume(vpc_qemu_puppet(self), thing->handle);
    else if (thing && vpc_qemu_puppet(self))
        vpc_puppet_pause(vpc_qemu_puppet(self), thing->handle);
}

size_t vpc_qemu_local_unsent(struct vpc_backend *backend, int conn)
{
    struct thing *thing = vpc_qemu_find(self_of(backend), THING_TCP, conn);

    return thing ? vpc_buffer_size(&thing->out) : 0;
}
