/* SPDX-License-Identifier: MIT */
/* Of a guest endpoint in a virtual machine: its control clients, and the programs that it connects to, all in the puppet. */
#include <errno.h>
#include <string.h>

#include "backends/machine.h"
#include "backends/qemu_guest.h"

bool vpc_qemu_guest_control_open(struct vpc_backend *backend, int client)
{
    struct vpc_qemu_guest *self = vpc_qemu_guest_of(backend);
    struct vpc_puppet *puppet = vpc_qemu_guest_runs(self) ? vpc_qemu_puppet(&self->qemu) : NULL;
    struct vpc_thing *thing;

    if (puppet == NULL)
        return false;
    thing = vpc_thing_add(self, VPC_THING_CONTROL,
                          vpc_puppet_open(puppet, VPC_GUEST_DIR "/subject.control"), client);
    if (thing && vpc_thing_opens(self, thing))
        return true;
    if (thing && vpc_machine_is_short(thing->error))
        vpc_qemu_break(&self->qemu, "VM %s: the puppet can not connect to the control socket: %s",
                       self->qemu.config.vm, strerror(thing->error));
    return false;
}

void vpc_qemu_guest_control_line(struct vpc_backend *backend, int client, const char *line,
                                 size_t n)
{
    struct vpc_qemu_guest *self = vpc_qemu_guest_of(backend);
    struct vpc_thing *thing = vpc_thing_of(self, VPC_THING_CONTROL, client);

    if (thing == NULL)
        return;
    vpc_buffer_add(&thing->out, line, n);
    vpc_thing_send(self, thing, "\n", 1);
}

static void pause_thing(struct vpc_qemu_guest *self, struct vpc_thing *thing, bool paused)
{
    struct vpc_puppet *puppet = vpc_qemu_puppet(&self->qemu);

    if (thing == NULL || puppet == NULL)
        return;
    vpc_qemu_asked(&self->qemu,
                   paused ? vpc_puppet_pause(puppet, thing->handle)
                          : vpc_puppet_resume(puppet, thing->handle),
                   paused ? "stop reading" : "read on");
    vpc_qemu_sync(&self->qemu);
}

void vpc_qemu_guest_control_read(struct vpc_backend *backend, int client, bool on)
{
    struct vpc_qemu_guest *self = vpc_qemu_guest_of(backend);

    pause_thing(self, vpc_thing_of(self, VPC_THING_CONTROL, client), !on);
}

void vpc_qemu_guest_control_close(struct vpc_backend *backend, int client)
{
    struct vpc_qemu_guest *self = vpc_qemu_guest_of(backend);
    struct vpc_thing *thing = vpc_thing_of(self, VPC_THING_CONTROL, client);

    if (thing == NULL)
        return;
    thing->finish = thing->muted = true;
    vpc_thing_flush(self, thing);
}

int vpc_qemu_guest_pipe_open(struct vpc_backend *backend, int conn, const char *name,
                             const char *path)
{
    (void)backend;
    (void)conn;
    (void)name;
    (void)path;
    return EOPNOTSUPP; /* pipes are a host endpoint's */
}

bool vpc_qemu_guest_tcp_mode(struct vpc_backend *backend, uint16_t port, enum vpc_tcp_mode mode,
                             char **error)
{
    return vpc_things_tcp_mode(vpc_qemu_guest_of(backend), port, mode, error);
}

/* The guest's ports are nobody else's. */
uint16_t vpc_qemu_guest_real_port(struct vpc_backend *backend, uint16_t port)
{
    (void)backend;
    return port;
}

static struct vpc_thing *conn_of(struct vpc_backend *backend, int conn)
{
    return vpc_thing_of(vpc_qemu_guest_of(backend), VPC_THING_CONNECTION, conn);
}

void vpc_qemu_guest_local_send(struct vpc_backend *backend, int conn, const void *octets, size_t n)
{
    struct vpc_thing *thing = conn_of(backend, conn);

    if (thing)
        vpc_thing_send(vpc_qemu_guest_of(backend), thing, octets, n);
}

void vpc_qemu_guest_local_shutdown(struct vpc_backend *backend, int conn)
{
    struct vpc_thing *thing = conn_of(backend, conn);

    if (thing == NULL)
        return;
    thing->shut = true;
    vpc_thing_flush(vpc_qemu_guest_of(backend), thing);
}

void vpc_qemu_guest_local_close(struct vpc_backend *backend, int conn)
{
    struct vpc_thing *thing = conn_of(backend, conn);

    if (thing == NULL)
        return;
    thing->finish = thing->muted = true;
    vpc_thing_flush(vpc_qemu_guest_of(backend), thing);
}

void vpc_qemu_guest_local_abort(struct vpc_backend *backend, int conn)
{
    struct vpc_thing *thing = conn_of(backend, conn);
    struct vpc_puppet *puppet = vpc_qemu_puppet(&vpc_qemu_guest_of(backend)->qemu);

    if (thing == NULL || puppet == NULL)
        return;
    thing->muted = true;
    vpc_qemu_asked(&vpc_qemu_guest_of(backend)->qemu, vpc_puppet_reset(puppet, thing->handle),
                   "reset a connection");
}

void vpc_qemu_guest_local_read(struct vpc_backend *backend, int conn, bool on)
{
    pause_thing(vpc_qemu_guest_of(backend), conn_of(backend, conn), !on);
}

size_t vpc_qemu_guest_local_unsent(struct vpc_backend *backend, int conn)
{
    struct vpc_thing *thing = conn_of(backend, conn);

    return thing ? vpc_buffer_size(&thing->out) : 0;
}
