/* SPDX-License-Identifier: MIT */
/*
 * A host endpoint whose bus is QEMU's chardev: the harness is the guest's side of a real virtio-serial port.
 *
 * All but the bus is the socket backend's, which is used as it is: the process, its control socket, its pipes, its log.  Of
 * the bus it only gives the path; QEMU listens there.  The puppet opens the port inside the guest and relays octets.
 *
 * A host endpoint does not see the port being opened or closed: to it the transport is up while QEMU is there.  So the bus
 * going down is the end of QEMU, in whatever it was doing, and the bus coming up is a new VM at the same path.
 */
#include <stdlib.h>
#include <string.h>

#include "qemu.h"

#define SLICE_MS 5 /* the process's side is looked at so often */

struct qemu_host {
    struct vpc_qemu qemu;
    struct vpc_backend *inner; /* of the socket backend */
    char *bus_path;
    uint32_t port; /* the puppet's handle of the guest's side, 0: none */
    bool opened, failed;
    bool linked, paused; /* linked: the subject is connected with QEMU */
    struct vpc_buffer out;
};

static struct qemu_host *host_of(void *backend)
{
    return backend;
}

/* ---- the bus ----------------------------------------------------------------------------------------------------------- */

static void set_linked(struct qemu_host *self, bool linked)
{
    if (self->linked == linked)
        return;
    self->linked = linked;
    vpc_qemu_tell(&self->qemu, linked ? VPC_SEEN_BUS_UP : VPC_SEEN_BUS_DOWN, 0, 0, NULL, 0);
}

static void write_out(struct qemu_host *self)
{
    struct vpc_puppet *puppet = self->port ? vpc_qemu_puppet(&self->qemu) : NULL;

    while (puppet && vpc_buffer_size(&self->out) > 0) {
        ssize_t n = vpc_puppet_send(puppet, self->port, vpc_buffer_head(&self->out),
                                    vpc_buffer_size(&self->out));

        if (n <= 0)
            return;
        vpc_buffer_drop(&self->out, (size_t)n);
    }
}

static void on_puppet(struct vpc_qemu *qemu, const struct vpc_puppet_event *event)
{
    struct qemu_host *self = host_of(qemu);

    if (event->handle != self->port)
        return;
    if (event->type == VPC_PUPPET_OPENED)
        self->opened = true;
    else if (event->type == VPC_PUPPET_FAILED)
        self->failed = true;
    else if (event->type == VPC_PUPPET_LINK)
        set_linked(self, event->value != 0);
    else if (event->type == VPC_PUPPET_DATA)
        vpc_qemu_tell(qemu, VPC_SEEN_BUS_OCTETS, 0, 0, (const char *)event->data, event->size);
    else if (event->type == VPC_PUPPET_WINDOW_MORE)
        write_out(self);
    else if (event->type == VPC_PUPPET_CLOSED)
        vpc_qemu_break(qemu, "VM %s: the guest's side of the bus was closed", qemu->config.vm);
}

static bool open_port(struct qemu_host *self, char **error)
{
    struct vpc_puppet *puppet = vpc_qemu_puppet(&self->qemu);

    self->opened = self->failed = false;
    self->port = puppet ? vpc_puppet_open(puppet, VPC_VM_BUS_PORT) : 0;
    if (self->port && self->paused)
        vpc_puppet_pause(puppet, self->port);
    if (self->port &&
        vpc_qemu_await(&self->qemu, &self->opened, &self->failed, VPC_QEMU_ANSWER_MS))
        return true;
    *error = vpc_format("VM %s: the puppet can not open %s", self->qemu.config.vm,
                        VPC_VM_BUS_PORT);
    return false;
}

static void end_vm(struct qemu_host *self)
{
    vpc_vm_stop(self->qemu.vm);
    self->qemu.vm = NULL;
    self->port = 0;
    vpc_buffer_free(&self->out);
    set_linked(self, false);
}

static bool host_bus_listen(struct vpc_backend *backend, bool on, char **error)
{
    struct qemu_host *self = host_of(backend);

    if (on && self->qemu.vm == NULL)
        return vpc_qemu_boot(&self->qemu, self->bus_path, error) && open_port(self, error);
    if (!on && self->qemu.vm)
        end_vm(self);
    return true;
}

static void host_bus_send(struct vpc_backend *backend, const void *octets, size_t n)
{
    struct qemu_host *self = host_of(backend);

    vpc_buffer_add(&self->out, octets, n);
    write_out(self);
    if (self->qemu.vm)
        vpc_qemu_take(&self->qemu);
}

static size_t host_bus_unsent(struct vpc_backend *backend)
{
    return vpc_buffer_size(&host_of(backend)->out);
}

static void host_bus_read(struct vpc_backend *backend, bool on)
{
    struct qemu_host *self = host_of(backend);
    struct vpc_puppet *puppet = self->port ? vpc_qemu_puppet(&self->qemu) : NULL;

    self->paused = !on;
    if (puppet == NULL)
        return;
    if (on)
        vpc_puppet_resume(puppet, self->port);
    else
        vpc_puppet_pause(puppet, self->port);
    vpc_qemu_sync(&self->qemu);
}

/* ---- the subject --------------------------------------------------------------------------------------------------------- */

static void inner_sink(void *user, const struct vpc_seen *seen)
{
    struct qemu_host *self = user;

    self->qemu.saw = true;
    self->qemu.config.sink(self->qemu.config.user, seen);
}

static bool host_start(struct vpc_backend *backend, char **error)
{
    struct vpc_backend *inner = host_of(backend)->inner;

    return inner->ops->start(inner, error);
}

/* The guest's side learns of its end from the port. */
static void host_kill(struct vpc_backend *backend)
{
    struct qemu_host *self = host_of(backend);
    uint64_t end = vpc_qemu_now(backend) + VPC_QEMU_ANSWER_MS;

    self->inner->ops->kill(self->inner);
    while (self->linked && !self->qemu.broken && vpc_qemu_now(backend) < end) {
        bool never = false;

        vpc_qemu_await(&self->qemu, &never, NULL, SLICE_MS);
    }
    if (self->linked)
        vpc_qemu_break(&self->qemu, "VM %s: the port still has a host %d ms after its end",
                       self->qemu.config.vm, VPC_QEMU_ANSWER_MS);
}

static void host_stop(struct vpc_backend *backend)
{
    struct vpc_backend *inner = host_of(backend)->inner;

    inner->ops->stop(inner);
}

static bool host_refuses(struct vpc_backend *backend, const struct vpc_arg *option, bool *refused,
                         char **error)
{
    struct vpc_backend *inner = host_of(backend)->inner;

    return inner->ops->refuses(inner, option, refused, error);
}

static void host_step(struct vpc_backend *backend, uint64_t until)
{
    struct qemu_host *self = host_of(backend);
    uint64_t now = vpc_qemu_now(backend);
    bool never = false;

    self->qemu.saw = false;
    do {
        uint64_t left = until > now ? until - now : 0;
        uint64_t slice = left < SLICE_MS ? left : SLICE_MS;

        vpc_qemu_take(&self->qemu);
        self->inner->ops->step(self->inner, self->qemu.vm || self->qemu.saw ? now : now + slice);
        if (!self->qemu.saw && slice && self->qemu.vm)
            vpc_qemu_await(&self->qemu, &self->qemu.saw, &never, (int)slice);
        now = vpc_qemu_now(backend);
    } while (!self->qemu.saw && now < until && !self->qemu.broken);
}

static bool host_control_open(struct vpc_backend *backend, int client)
{
    struct vpc_backend *inner = host_of(backend)->inner;

    return inner->ops->control_open(inner, client);
}

static void host_control_line(struct vpc_backend *backend, int client, const char *line, size_t n)
{
    struct vpc_backend *inner = host_of(backend)->inner;

    inner->ops->control_line(inner, client, line, n);
}

static void host_control_close(struct vpc_backend *backend, int client)
{
    struct vpc_backend *inner = host_of(backend)->inner;

    inner->ops->control_close(inner, client);
}

static int host_pipe_open(struct vpc_backend *backend, int conn, const char *name,
                          const char *path)
{
    struct vpc_backend *inner = host_of(backend)->inner;

    return inner->ops->pipe_open(inner, conn, name, path);
}

/* A host endpoint connects to no port: whatever its scenario does with one is between the testers. */
static bool host_tcp_mode(struct vpc_backend *backend, uint16_t port, enum vpc_tcp_mode mode,
                          char **error)
{
    struct vpc_backend *inner = host_of(backend)->inner;

    return inner->ops->tcp_mode(inner, port, mode, error);
}

static uint16_t host_real_port(struct vpc_backend *backend, uint16_t port)
{
    struct vpc_backend *inner = host_of(backend)->inner;

    return inner->ops->real_port(inner, port);
}

static void host_local_send(struct vpc_backend *backend, int conn, const void *octets, size_t n)
{
    struct vpc_backend *inner = host_of(backend)->inner;

    inner->ops->local_send(inner, conn, octets, n);
}

static void host_local_shutdown(struct vpc_backend *backend, int conn)
{
    struct vpc_backend *inner = host_of(backend)->inner;

    inner->ops->local_shutdown(inner, conn);
}

static void host_local_close(struct vpc_backend *backend, int conn)
{
    struct vpc_backend *inner = host_of(backend)->inner;

    inner->ops->local_close(inner, conn);
}

static void host_local_abort(struct vpc_backend *backend, int conn)
{
    struct vpc_backend *inner = host_of(backend)->inner;

    inner->ops->local_abort(inner, conn);
}

static void host_local_read(struct vpc_backend *backend, int conn, bool on)
{
    struct vpc_backend *inner = host_of(backend)->inner;

    inner->ops->local_read(inner, conn, on);
}

static size_t host_local_unsent(struct vpc_backend *backend, int conn)
{
    struct vpc_backend *inner = host_of(backend)->inner;

    return inner->ops->local_unsent(inner, conn);
}

/* ---- beginning and end ------------------------------------------------------------------------------------------------------ */

static void host_destroy(struct vpc_backend *backend)
{
    struct qemu_host *self = host_of(backend);

    if (self->inner)
        self->inner->ops->destroy(self->inner);
    vpc_vm_stop(self->qemu.vm);
    vpc_buffer_free(&self->out);
    free(self->bus_path);
    free(self);
}

static const struct vpc_backend_ops host_ops = {
    .name = "qemu",
    .bit = VPC_QEMU,
    .real_time = true,
    .destroy = host_destroy,
    .start = host_start,
    .kill = host_kill,
    .stop = host_stop,
    .refuses = host_refuses,
    .now = vpc_qemu_now,
    .step = host_step,
    .bus_listen = host_bus_listen,
    .bus_send = host_bus_send,
    .bus_unsent = host_bus_unsent,
    .bus_read = host_bus_read,
    .control_open = host_control_open,
    .control_line = host_control_line,
    .control_close = host_control_close,
    .pipe_open = host_pipe_open,
    .tcp_mode = host_tcp_mode,
    .real_port = host_real_port,
    .local_send = host_local_send,
    .local_shutdown = host_local_shutdown,
    .local_close = host_local_close,
    .local_abort = host_local_abort,
    .local_read = host_local_read,
    .local_unsent = host_local_unsent,
};

struct vpc_backend *vpc_qemu_host_create(const struct vpc_backend_config *config, char **error)
{
    struct qemu_host *self = vpc_alloc(sizeof(*self));
    struct vpc_backend_config inner = *config;

    self->qemu.base.ops = &host_ops;
    self->qemu.config = *config;
    self->qemu.on_puppet = on_puppet;
    self->bus_path = vpc_format("%s/bus", config->dir); /* the socket backend's %{bus} */
    inner.sink = inner_sink;
    inner.user = self;
    self->inner = vpc_backend_socket.create(&inner, error);
    if (self->inner)
        return &self->qemu.base;
    host_destroy(&self->qemu.base);
    return NULL;
}
