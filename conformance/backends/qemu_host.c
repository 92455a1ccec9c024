/* SPDX-License-Identifier: MIT */
/*
 * A host endpoint whose bus is QEMU's chardev: the harness is the guest's side of a real virtio-serial port.
 *
 * All but the bus is the socket backend's: the process, its control socket, its pipes, its log.  The puppet opens the port
 * inside the guest and relays octets.
 *
 * A host endpoint does not see the port being opened or closed: to it the transport is up while QEMU is there.  So the bus
 * going down is the end of QEMU, in whatever it was doing, and the bus coming up is a new VM at the same path.
 */
#include <stdlib.h>
#include <string.h>

#include "backends/qemu.h"
#include "backends/socket_backend.h"

#define SLICE_MS 10

struct qemu_host {
    struct vpc_socket_backend socket; /* first: the socket backend's functions get it as theirs */
    struct vpc_backend_ops ops;
    struct vpc_qemu qemu;
    uint32_t port; /* the puppet's handle of the guest's side, 0: none */
    bool opened, failed;
    int error;           /* an errno: why it failed */
    bool linked, paused; /* linked: the subject is connected with QEMU */
    struct vpc_buffer out;
};

static struct qemu_host *self_of(struct vpc_backend *backend)
{
    return (struct qemu_host *)backend;
}

static struct qemu_host *self_of_qemu(struct vpc_qemu *qemu)
{
    return (struct qemu_host *)((char *)qemu - offsetof(struct qemu_host, qemu));
}

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

        vpc_qemu_asked(&self->qemu, n < 0, "write to the bus");
        if (n <= 0)
            return;
        vpc_buffer_drop(&self->out, (size_t)n);
    }
}

/* Before it was open that is for whoever opens it. */
static void port_failed(struct qemu_host *self, const struct vpc_puppet_event *event)
{
    self->failed = true;
    self->error = (int)event->value;
    if (self->opened)
        vpc_qemu_break(&self->qemu, "VM %s: the puppet can not %s: %s", self->qemu.config.vm,
                       event->text, strerror(self->error));
}

static void on_puppet(struct vpc_qemu *qemu, const struct vpc_puppet_event *event)
{
    struct qemu_host *self = self_of_qemu(qemu);

    if (event->handle != self->port)
        return;
    if (event->type == VPC_PUPPET_OPENED)
        self->opened = true;
    else if (event->type == VPC_PUPPET_FAILED)
        port_failed(self, event);
    else if (event->type == VPC_PUPPET_LINK)
        set_linked(self, event->value != 0);
    else if (event->type == VPC_PUPPET_DATA)
        vpc_qemu_tell(qemu, VPC_SEEN_BUS_OCTETS, 0, 0, (const char *)event->data, event->size);
    else if (event->type == VPC_PUPPET_WINDOW_MORE)
        write_out(self);
    else if (event->type == VPC_PUPPET_CLOSED)
        vpc_qemu_break(qemu, "VM %s: the guest's side of the bus was closed", qemu->config.vm);
}

/* The socket backend calls it in each turn. */
static void serve(struct vpc_socket_backend *socket)
{
    struct qemu_host *self = (struct qemu_host *)socket;

    self->qemu.saw = false;
    vpc_qemu_take(&self->qemu);
    socket->saw |= self->qemu.saw || self->qemu.broken;
}

static bool open_port(struct qemu_host *self, char **error)
{
    struct vpc_puppet *puppet = vpc_qemu_puppet(&self->qemu);

    self->opened = self->failed = false;
    self->port = puppet ? vpc_puppet_open(puppet, VPC_VM_BUS_PORT) : 0;
    if (self->port && self->paused)
        vpc_qemu_asked(&self->qemu, vpc_puppet_pause(puppet, self->port), "stop reading the bus");
    if (self->port && vpc_qemu_await(&self->qemu, &self->opened, &self->failed, VPC_QEMU_ANSWER_MS))
        return true;
    *error = vpc_format("VM %s: the puppet can not open %s: %s", self->qemu.config.vm,
                        VPC_VM_BUS_PORT, self->failed ? strerror(self->error) : "no answer");
    return false;
}

static bool start_vm(struct qemu_host *self, char **error)
{
    if (!vpc_qemu_boot(&self->qemu, self->socket.bus_path, error))
        return false;
    self->socket.extra_fd = vpc_vm_fd(self->qemu.vm);
    return open_port(self, error);
}

static void end_vm(struct qemu_host *self)
{
    self->socket.extra_fd = -1;
    vpc_vm_stop(self->qemu.vm);
    self->qemu.vm = NULL;
    self->port = 0;
    vpc_buffer_free(&self->out);
    set_linked(self, false);
}

static bool host_bus_listen(struct vpc_backend *backend, bool on, char **error)
{
    struct qemu_host *self = self_of(backend);

    if (on && self->qemu.vm == NULL)
        return start_vm(self, error);
    if (!on && self->qemu.vm)
        end_vm(self);
    return true;
}

static void host_bus_send(struct vpc_backend *backend, const void *octets, size_t n)
{
    struct qemu_host *self = self_of(backend);

    vpc_buffer_add(&self->out, octets, n);
    write_out(self);
    serve(&self->socket);
}

static size_t host_bus_unsent(struct vpc_backend *backend)
{
    return vpc_buffer_size(&self_of(backend)->out);
}

static void host_bus_read(struct vpc_backend *backend, bool on)
{
    struct qemu_host *self = self_of(backend);
    struct vpc_puppet *puppet = self->port ? vpc_qemu_puppet(&self->qemu) : NULL;

    self->paused = !on;
    if (puppet == NULL)
        return;
    vpc_qemu_asked(&self->qemu,
                   on ? vpc_puppet_resume(puppet, self->port)
                      : vpc_puppet_pause(puppet, self->port),
                   on ? "read the bus on" : "stop reading the bus");
    vpc_qemu_sync(&self->qemu);
}

/* What the subject has sent and the guest has not taken is lost with a reset and a restore; to the subject nothing happened. */
static bool open_anew(struct qemu_host *self, char **error)
{
    vpc_buffer_free(&self->out);
    vpc_qemu_tell(&self->qemu, VPC_SEEN_BUS_GAP, 0, 0, NULL, 0);
    return open_port(self, error);
}

/* Nothing is on its way from the puppet while the machine is kept or goes back: it does not read the port. */
static bool quieten(struct qemu_host *self)
{
    struct vpc_puppet *puppet = vpc_qemu_puppet(&self->qemu);

    if (puppet && self->port)
        vpc_qemu_asked(&self->qemu, vpc_puppet_pause(puppet, self->port), "stop reading the bus");
    vpc_qemu_sync(&self->qemu);
    return puppet && !self->qemu.broken;
}

static bool save(struct qemu_host *self, char **error)
{
    if (quieten(self) && vpc_vm_mark(self->qemu.vm, VPC_QEMU_KEEP_MS) != 0)
        *error = vpc_copy(vpc_vm_error(self->qemu.vm));
    if (!self->paused && !self->qemu.broken)
        vpc_qemu_asked(&self->qemu, vpc_puppet_resume(vpc_qemu_puppet(&self->qemu), self->port),
                       "read the bus on");
    return *error == NULL;
}

/* The puppet's windows have gone back too: it begins anew, with a new handle. */
static bool restore(struct qemu_host *self, char **error)
{
    if (quieten(self) && vpc_vm_go_back(self->qemu.vm, VPC_QEMU_KEEP_MS) != 0) {
        *error = vpc_copy(vpc_vm_error(self->qemu.vm));
        return false;
    }
    if (self->qemu.broken)
        return true; /* which was told */
    vpc_qemu_asked(&self->qemu, vpc_puppet_reset_all(vpc_qemu_puppet(&self->qemu)) == 0,
                   "begin anew");
    self->port = 0;
    return open_anew(self, error);
}

/* The subject notices nothing of it all: its side of the chardev stays. */
static bool host_vm(struct vpc_backend *backend, enum vpc_vm_action action, char **error)
{
    struct qemu_host *self = self_of(backend);

    if (self->qemu.vm == NULL) {
        *error = vpc_format("VM %s: there is none: write \"bus up\" or \"session\" first",
                            self->qemu.config.vm);
        return false;
    }
    if (action == VPC_SAVE_VM)
        return save(self, error);
    if (action == VPC_RESTORE_VM)
        return restore(self, error);
    if (action == VPC_RESET_VM)
        self->port = 0;
    if (!vpc_qemu_act(&self->qemu, action, error))
        return false;
    return action != VPC_RESET_VM || open_anew(self, error);
}

/* The guest's side learns of the subject's end from the port, after all that it wrote. */
static void host_kill(struct vpc_backend *backend)
{
    struct qemu_host *self = self_of(backend);
    uint64_t end = vpc_qemu_now(backend) + VPC_QEMU_ANSWER_MS;
    bool never = false;

    vpc_backend_socket.kill(backend);
    while (self->linked && !self->paused && !self->qemu.broken && vpc_qemu_now(backend) < end)
        vpc_qemu_await(&self->qemu, &never, NULL, SLICE_MS);
    if (self->linked && !self->paused)
        vpc_qemu_break(&self->qemu, "VM %s: the port still has a host %d ms after its end",
                       self->qemu.config.vm, VPC_QEMU_ANSWER_MS);
    set_linked(self, false);
}

static void host_destroy(struct vpc_backend *backend)
{
    struct qemu_host *self = self_of(backend);

    vpc_vm_stop(self->qemu.vm);
    vpc_buffer_free(&self->out);
    vpc_backend_socket.destroy(backend);
}

struct vpc_backend *vpc_qemu_host_create(const struct vpc_backend_config *config, char **error)
{
    struct qemu_host *self = vpc_alloc(sizeof(*self));

    self->ops = vpc_backend_socket;
    self->ops.name = vpc_backend_qemu.name;
    self->ops.bit = vpc_backend_qemu.bit;
    self->ops.late_reader = true;
    self->ops.destroy = host_destroy;
    self->ops.kill = host_kill;
    self->ops.vm = host_vm;
    self->ops.machine = NULL; /* QEMU tells it itself */
    self->ops.bus_listen = host_bus_listen;
    self->ops.bus_serve_other = NULL;
    self->ops.bus_send = host_bus_send;
    self->ops.bus_unsent = host_bus_unsent;
    self->ops.bus_read = host_bus_read;
    self->ops.bus_take = NULL; /* the puppet in the guest reads, or not */
    self->qemu.config = *config;
    self->qemu.on_puppet = on_puppet;
    self->socket.base.ops = &self->ops;
    self->socket.serve_extra = serve;
    if (vpc_socket_backend_begin(&self->socket, config, error))
        return &self->socket.base;
    host_destroy(&self->socket.base);
    return NULL;
}
