/* SPDX-License-Identifier: MIT */
/*
 * The QEMU backend with a host endpoint as the subject: a process as in the socket backend, whose bus is QEMU's chardev.
 *
 * The harness is the guest: the puppet holds the virtio-serial port open and relays raw octets.  The transport comes up by
 * starting the virtual machine and ends with it; a link at the path that the subject was given points to the chardev of
 * the machine that runs now.
 */
#include "qemu_host.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "machine.h"
#include "socket_backend.h"

struct qemu_host {
    struct vpc_socket_backend socket; /* first: the socket backend's functions get it as theirs */
    struct vpc_backend_ops ops;
    struct vpc_machine machine;
    uint32_t port; /* the puppet's handle of the bus port; 0: none */
    bool link;
    struct vpc_buffer out;
};

static struct qemu_host *self_of(struct vpc_backend *backend)
{
    return (struct qemu_host *)backend;
}

static void set_link(struct qemu_host *self, bool link)
{
    if (self->link == link)
        return;
    self->link = link;
    if (!link)
        vpc_buffer_free(&self->out);
    vpc_socket_backend_tell(&self->socket, link ? VPC_SEEN_BUS_UP : VPC_SEEN_BUS_DOWN, 0, NULL, 0);
}

static void push(struct qemu_host *self)
{
    struct vpc_puppet *puppet = self->machine.vm ? vpc_vm_puppet(self->machine.vm) : NULL;
    ssize_t n = 1;

    while (puppet && self->port && vpc_buffer_size(&self->out) > 0 && n > 0) {
        n = vpc_puppet_send(puppet, self->port, vpc_buffer_head(&self->out),
                            vpc_buffer_size(&self->out));
        if (n > 0)
            vpc_buffer_drop(&self->out, (size_t)n);
    }
}

static void end_machine(struct qemu_host *self)
{
    self->socket.extra_fd = -1;
    self->port = 0;
    vpc_machine_end(&self->machine);
    unlink(self->socket.bus_path);
    set_link(self, false);
}

static void on_event(struct qemu_host *self, const struct vpc_puppet_event *event)
{
    if (event->handle != self->port || self->port == 0)
        return;
    if (event->type == VPC_PUPPET_LINK)
        set_link(self, event->value != 0);
    else if (event->type == VPC_PUPPET_WINDOW_MORE)
        push(self);
    if (event->type != VPC_PUPPET_DATA)
        return;
    set_link(self, true); /* octets may come before the word that a host is there */
    vpc_socket_backend_tell(&self->socket, VPC_SEEN_BUS_OCTETS, 0, (const char *)event->data,
                            event->size);
}

static void serve(struct vpc_socket_backend *socket)
{
    struct qemu_host *self = (struct qemu_host *)socket;
    struct vpc_puppet_event event;
    int got;

    while ((got = vpc_machine_next(&self->machine, 0, &event)) == 1)
        on_event(self, &event);
    if (got < 0)
        end_machine(self);
}

static bool host_bus_listen(struct vpc_backend *backend, bool on, char **error)
{
    struct qemu_host *self = self_of(backend);

    if (on && self->machine.vm == NULL) {
        if (!vpc_machine_start(&self->machine, &self->socket.config, error))
            return false;
        self->port = vpc_puppet_open(vpc_vm_puppet(self->machine.vm), VPC_VM_BUS_PORT);
        self->socket.extra_fd = vpc_vm_fd(self->machine.vm);
        if (symlink(vpc_vm_bus(self->machine.vm), self->socket.bus_path) != 0)
            *error = vpc_format("%s can not be made", self->socket.bus_path);
        serve(&self->socket);
        return *error == NULL;
    }
    if (!on && self->machine.vm)
        end_machine(self);
    return true;
}

static void host_bus_send(struct vpc_backend *backend, const void *octets, size_t n)
{
    struct qemu_host *self = self_of(backend);

    vpc_buffer_add(&self->out, octets, n);
    push(self);
    serve(&self->socket);
}

static size_t host_bus_unsent(struct vpc_backend *backend)
{
    return vpc_buffer_size(&self_of(backend)->out);
}

static void host_bus_read(struct vpc_backend *backend, bool on)
{
    struct qemu_host *self = self_of(backend);

    if (self->port == 0)
        return;
    if (on)
        vpc_puppet_resume(vpc_vm_puppet(self->machine.vm), self->port);
    else
        vpc_puppet_pause(vpc_vm_puppet(self->machine.vm), self->port);
}

static void host_destroy(struct vpc_backend *backend)
{
    struct qemu_host *self = self_of(backend);

    vpc_machine_end(&self->machine);
    vpc_buffer_free(&self->out);
    vpc_backend_socket.destroy(backend);
}

struct vpc_backend *vpc_qemu_host_create(const struct vpc_backend_config *config, char **error)
{
    struct qemu_host *self = vpc_alloc(sizeof(*self));

    self->ops = vpc_backend_socket;
    self->ops.name = "qemu";
    self->ops.bit = VPC_QEMU;
    self->ops.destroy = host_destroy;
    self->ops.bus_listen = host_bus_listen;
    self->ops.bus_send = host_bus_send;
    self->ops.bus_unsent = host_bus_unsent;
    self->ops.bus_read = host_bus_read;
    self->socket.base.ops = &self->ops;
    self->socket.serve_extra = serve;
    if (vpc_socket_backend_begin(&self->socket, config, error))
        return &self->socket.base;
    host_destroy(&self->socket.base);
    return NULL;
}
