/* SPDX-License-Identifier: MIT */
/* The socket backend's ops for local connections: pipe clients, TCP servers; socket_io.c has their descriptors. */
#include "backends/socket_backend.h"

static struct vpc_socket_backend *self_of(struct vpc_backend *backend)
{
    return (struct vpc_socket_backend *)backend;
}

int vpc_socket_pipe_open(struct vpc_backend *backend, int conn, const char *name, const char *path)
{
    struct vpc_socket_backend *self = self_of(backend);
    bool adapted = self->config.implementation->adapter != NULL;

    return vpc_sockets_join(&self->locals, conn,
                            adapted ? vpc_socket_adapter_pipe(self, name, path)
                                    : vpc_forward_connect(path));
}

bool vpc_socket_tcp_mode(struct vpc_backend *backend, uint16_t port, enum vpc_tcp_mode mode,
                         char **error)
{
    return vpc_sockets_mode(&self_of(backend)->locals, port, mode, error);
}

/* A host endpoint's port is only a number; a guest's is one of this machine. */
uint16_t vpc_socket_real_port(struct vpc_backend *backend, uint16_t port)
{
    struct vpc_socket_backend *self = self_of(backend);

    return self->config.implementation->role == VPC_FROM_HOST
               ? port
               : vpc_sockets_port(&self->locals, port);
}

void vpc_socket_local_send(struct vpc_backend *backend, int conn, const void *octets, size_t n)
{
    struct vpc_socket *one = vpc_sockets_find(&self_of(backend)->locals, conn);

    if (one == NULL)
        return;
    vpc_buffer_add(&one->out, octets, n);
    vpc_socket_write(&self_of(backend)->locals, one);
}

void vpc_socket_local_shutdown(struct vpc_backend *backend, int conn)
{
    struct vpc_socket *one = vpc_sockets_find(&self_of(backend)->locals, conn);

    if (one == NULL)
        return;
    one->shut = true;
    vpc_socket_write(&self_of(backend)->locals, one);
}

void vpc_socket_local_close(struct vpc_backend *backend, int conn)
{
    struct vpc_socket *one = vpc_sockets_find(&self_of(backend)->locals, conn);

    if (one == NULL)
        return;
    one->close_after = true;
    vpc_socket_write(&self_of(backend)->locals, one);
}

void vpc_socket_local_abort(struct vpc_backend *backend, int conn)
{
    struct vpc_socket *one = vpc_sockets_find(&self_of(backend)->locals, conn);

    if (one)
        vpc_socket_abort(&self_of(backend)->locals, one);
}

void vpc_socket_local_take(struct vpc_backend *backend, int conn, size_t octets)
{
    struct vpc_socket *one = vpc_sockets_find(&self_of(backend)->locals, conn);

    if (one)
        one->left = octets;
}

void vpc_socket_local_read(struct vpc_backend *backend, int conn, bool on)
{
    vpc_socket_local_take(backend, conn, on ? SIZE_MAX : 0);
}

size_t vpc_socket_local_unsent(struct vpc_backend *backend, int conn)
{
    struct vpc_socket *one = vpc_sockets_find(&self_of(backend)->locals, conn);

    return one ? vpc_buffer_size(&one->out) : 0;
}
