/* SPDX-License-Identifier: MIT */
/*
 * The QEMU backend with a guest endpoint as the subject: it runs in a fresh virtual machine, started by the puppet; the
 * harness is the host on QEMU's chardev socket.
 *
 * Events: octets of the chardev, and the puppet's, by handle: the subject's output and end, its log file, TCP servers and
 * connections, its control socket.  Requests to the puppet are answered later; the few calls that must know the answer
 * wait for it (vpc_qemu_await()), and what else comes meanwhile is served as always.  A host endpoint as the subject is the socket
 * backend with another bus: qemu_host.c.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "qemu.h"
#include "qemu_host.h"
#include "socket_io.h"

#define SLICE_MS  10
#define ANSWER_MS 5000

static struct qemu *self_of(struct vpc_backend *backend)
{
    return (struct qemu *)backend;
}

static void tell(struct qemu *self, enum vpc_seen_kind kind, int id, uint32_t value,
                 const void *text, size_t size)
{
    struct vpc_seen seen = {kind, id, value, text, size};

    self->saw = true;
    self->config.sink(self->config.user, &seen);
}

static uint64_t qemu_now(struct vpc_backend *backend)
{
    struct timespec now;

    (void)backend;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

struct vpc_puppet *vpc_qemu_puppet(struct qemu *self)
{
    return self->machine.vm ? vpc_vm_puppet(self->machine.vm) : NULL;
}

struct thing *vpc_qemu_add(struct qemu *self, enum thing_kind kind, uint32_t handle, int id)
{
    struct thing *thing = vpc_alloc(sizeof(*thing));

    self->things = vpc_grow(self->things, self->thing_count + 1, sizeof(struct thing *));
    self->things[self->thing_count++] = thing;
    thing->kind = kind;
    thing->handle = handle;
    thing->id = id;
    return thing;
}

static struct thing *by_handle(struct qemu *self, uint32_t handle)
{
    for (size_t i = 0; i < self->thing_count; i++)
        if (self->things[i]->handle == handle)
            return self->things[i];
    return NULL;
}

struct thing *vpc_qemu_find(struct qemu *self, enum thing_kind kind, int id)
{
    for (size_t i = self->thing_count; i-- > 0;)
        if (self->things[i]->kind == kind && self->things[i]->id == id && self->things[i]->handle)
            return self->things[i];
    return NULL;
}

/* ---- the puppet's events --------------------------------------------------------------------------------------------- */

void vpc_qemu_push(struct qemu *self, struct thing *thing)
{
    struct vpc_puppet *puppet = vpc_qemu_puppet(self);
    ssize_t n = 1;

    while (puppet && thing->handle && vpc_buffer_size(&thing->out) > 0 && n > 0) {
        n = vpc_puppet_send(puppet, thing->handle, vpc_buffer_head(&thing->out),
                            vpc_buffer_size(&thing->out));
        if (n > 0)
            vpc_buffer_drop(&thing->out, (size_t)n);
    }
    if (puppet && thing->handle && thing->shut && vpc_buffer_size(&thing->out) == 0) {
        thing->shut = false;
        vpc_puppet_fin(puppet, thing->handle);
    }
}

static void take_lines(struct qemu *self, struct thing *thing)
{
    const char *end;

    while (vpc_buffer_size(&thing->in) > 0 &&
           (end = memchr(vpc_buffer_head(&thing->in), '\n', vpc_buffer_size(&thing->in)))) {
        size_t n = (size_t)(end - (const char *)vpc_buffer_head(&thing->in));
        char *line = vpc_copy_n((const char *)vpc_buffer_head(&thing->in), n);

        vpc_buffer_drop(&thing->in, n + 1);
        tell(self, thing->kind == THING_LOG ? VPC_SEEN_LOG : VPC_SEEN_CONTROL_LINE, thing->id, 0,
             line, n);
        free(line);
    }
}

static void keep_output(struct qemu *self, const void *octets, size_t n)
{
    char *path = vpc_format("%s/subject.out", self->config.dir);
    FILE *file = fopen(path, "ae");

    if (file) {
        fwrite(octets, 1, n, file);
        fclose(file);
    }
    free(path);
}

static void on_data(struct qemu *self, struct thing *thing, const struct vpc_puppet_event *event)
{
    if (thing->kind == THING_TCP) {
        if (!thing->closing)
            tell(self, VPC_SEEN_LOCAL_OCTETS, thing->id, 0, event->data, event->size);
    } else if (thing->kind == THING_LOG || thing->kind == THING_CONTROL) {
        vpc_buffer_add(&thing->in, event->data, event->size);
        take_lines(self, thing);
    } else {
        keep_output(self, event->data, event->size);
    }
}

static void on_end(struct qemu *self, struct thing *thing, enum vpc_puppet_type type)
{
    if (thing->ended || (thing->kind != THING_TCP && thing->kind != THING_CONTROL))
        return;
    thing->ended = true;
    if (thing->kind == THING_CONTROL)
        tell(self, VPC_SEEN_CONTROL_EOF, thing->id, 0, NULL, 0);
    else if (!thing->closing)
        tell(self, type == VPC_PUPPET_RESET ? VPC_SEEN_LOCAL_RESET : VPC_SEEN_LOCAL_EOF, thing->id,
             0, NULL, 0);
}

static void on_exit_of(struct qemu *self, struct thing *thing, const struct vpc_puppet_event *event)
{
    char *text = event->value2 ? vpc_format("it was ended by signal %u (%s)", event->value2,
                                            strsignal((int)event->value2))
                               : vpc_format("it ended with status %u", event->value);

    thing->status = event->value2 ? 1 : (int)event->value;
    thing->ended = true;
    if (thing->kind == THING_SUBJECT && !self->dying)
        tell(self, self->stopping && thing->status == 0 ? VPC_SEEN_STOPPED : VPC_SEEN_CRASHED, 0, 0,
             text, strlen(text));
    free(text);
}

static void on_accepted(struct qemu *self, const struct thing *server,
                        const struct vpc_puppet_event *event)
{
    struct thing *thing = vpc_qemu_add(self, THING_TCP, event->value, self->next_conn++);

    thing->opened = true;
    tell(self, VPC_SEEN_LOCAL_OPENED, thing->id, server->port, NULL, 0);
}

static void on_event(struct qemu *self, const struct vpc_puppet_event *event)
{
    struct thing *thing = by_handle(self, event->handle);

    if (thing == NULL || event->handle == 0)
        return;
    switch (event->type) {
    case VPC_PUPPET_OPENED:
        thing->opened = true;
        break;
    case VPC_PUPPET_DATA:
        on_data(self, thing, event);
        break;
    case VPC_PUPPET_WINDOW_MORE:
        vpc_qemu_push(self, thing);
        break;
    case VPC_PUPPET_EXITED:
        on_exit_of(self, thing, event);
        break;
    case VPC_PUPPET_ACCEPTANCE:
        on_accepted(self, thing, event);
        break;
    case VPC_PUPPET_FIN:
    case VPC_PUPPET_RESET:
        on_end(self, thing, event->type);
        break;
    case VPC_PUPPET_FAILED:
        thing->status = (int)event->value;
        thing->ended = true;
        thing->handle = 0;
        break;
    case VPC_PUPPET_CLOSED:
        on_end(self, thing, event->type);
        thing->ended = true;
        thing->handle = 0;
        break;
    default:
        break;
    }
}

/* ---- going on ------------------------------------------------------------------------------------------------------------ */

static void drop_bus(struct qemu *self)
{
    if (self->bus < 0)
        return;
    close(self->bus);
    self->bus = -1;
    vpc_buffer_free(&self->bus_out);
    tell(self, VPC_SEEN_BUS_DOWN, 0, 0, NULL, 0);
}

static void read_bus(struct qemu *self)
{
    char part[65536];
    ssize_t n = recv(self->bus, part, sizeof(part), 0);

    if (n > 0)
        tell(self, VPC_SEEN_BUS_OCTETS, 0, 0, part, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        drop_bus(self);
}

static void write_bus(struct qemu *self)
{
    while (self->bus >= 0 && vpc_buffer_size(&self->bus_out) > 0) {
        ssize_t n = send(self->bus, vpc_buffer_head(&self->bus_out),
                         vpc_buffer_size(&self->bus_out), MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return;
        vpc_buffer_drop(&self->bus_out, (size_t)n);
    }
}

static void serve_puppet(struct qemu *self)
{
    struct vpc_puppet_event event;
    int got;

    while ((got = vpc_machine_next(&self->machine, 0, &event)) == 1)
        on_event(self, &event);
    if (got < 0) {
        tell(self, VPC_SEEN_CRASHED, 0, 0, "the virtual machine ended", 25);
        vpc_machine_end(&self->machine);
    }
}

static void turn(struct qemu *self, int timeout)
{
    struct pollfd fds[2] = {
        {.fd = self->machine.vm ? vpc_vm_fd(self->machine.vm) : -1, .events = POLLIN},
        {.fd = self->bus,
         .events = (short)((self->bus_paused ? 0 : POLLIN) |
                           (vpc_buffer_size(&self->bus_out) ? POLLOUT : 0))},
    };

    serve_puppet(self);
    if (poll(fds, 2, self->saw ? 0 : timeout) > 0) {
        if (fds[1].revents & POLLOUT)
            write_bus(self);
        if (fds[1].revents & (POLLIN | POLLHUP | POLLERR) && !self->bus_paused)
            read_bus(self);
    }
    serve_puppet(self);
}

static void qemu_step(struct vpc_backend *backend, uint64_t until)
{
    struct qemu *self = self_of(backend);
    uint64_t now = qemu_now(backend);

    self->saw = false;
    do {
        turn(self, until > now + SLICE_MS ? SLICE_MS : until > now ? (int)(until - now) : 0);
        now = qemu_now(backend);
    } while (!self->saw && now < until);
}

/* Until the thing was opened, or ended. */
bool vpc_qemu_await(struct qemu *self, struct thing *thing, bool end)
{
    uint64_t limit = qemu_now(&self->base) + ANSWER_MS;

    while (!thing->ended && (end || !thing->opened) && qemu_now(&self->base) < limit) {
        self->saw = false;
        turn(self, SLICE_MS);
    }
    return end ? thing->ended : thing->opened && !thing->ended;
}

/* ---- the subject ------------------------------------------------------------------------------------------------------------ */

static char *command_of(struct qemu *self, const struct vpc_arg *options, size_t count,
                        const char *suffix, char **error)
{
    char *all = vpc_options(self->config.implementation, options, count);
    char *log = vpc_format(GUEST_FOLDER "%s.log", suffix);
    char *control = vpc_format(GUEST_FOLDER "%s.sock", suffix);
    const char *pairs[] = {
        "bus", VPC_VM_BUS_PORT,  "log",     log, "control", control, "vm", self->config.vm,
        "tag", self->config.tag, "options", all, NULL};
    const char *unknown = "";
    char *command = vpc_expand(self->config.implementation->guest_command, pairs, &unknown);

    if (command == NULL)
        *error = vpc_format("%s: command in [guest]: an unknown placeholder: %s",
                            self->config.implementation->path, unknown);
    free(all);
    free(log);
    free(control);
    return command;
}

static struct thing *run_command(struct qemu *self, enum thing_kind kind, const char *command)
{
    char *text = vpc_copy(command), *rest = NULL;
    const char *words[64] = {0};
    size_t count = 0;
    struct thing *thing = NULL;

    for (char *word = strtok_r(text, " ", &rest); word && count < 63;
         word = strtok_r(NULL, " ", &rest))
        words[count++] = word;
    if (vpc_qemu_puppet(self) && count > 0)
        thing = vpc_qemu_add(self, kind, vpc_puppet_run(vpc_qemu_puppet(self), words), 0);
    free(text);
    return thing;
}

static bool qemu_start(struct vpc_backend *backend, char **error)
{
    struct qemu *self = self_of(backend);
    struct thing *thing;

    self->stopping = self->dying = false;
    thing = run_command(self, THING_SUBJECT, self->command);
    if (thing && vpc_qemu_await(self, thing, false))
        return true;
    *error = vpc_format("\"%s\" can not be started in the guest%s%s", self->command,
                        thing && thing->status ? ": " : "",
                        thing && thing->status ? strerror(thing->status) : "");
    return false;
}

static void signal_subject(struct qemu *self, int number)
{
    struct thing *thing = vpc_qemu_find(self, THING_SUBJECT, 0);

    if (thing && vpc_qemu_puppet(self))
        vpc_puppet_kill(vpc_qemu_puppet(self), thing->handle, number);
}

static void qemu_kill(struct vpc_backend *backend)
{
    struct qemu *self = self_of(backend);
    struct thing *thing = vpc_qemu_find(self, THING_SUBJECT, 0);

    self->dying = true;
    signal_subject(self, SIGKILL);
    if (thing)
        vpc_qemu_await(self, thing, true);
}

static void qemu_stop(struct vpc_backend *backend)
{
    self_of(backend)->stopping = true;
    signal_subject(self_of(backend), SIGTERM);
}

static bool qemu_refuses(struct vpc_backend *backend, const struct vpc_arg *option, bool *refused,
                         char **error)
{
    struct qemu *self = self_of(backend);
    char *command = command_of(self, option, 1, "-2", error);
    struct thing *thing = command ? run_command(self, THING_SECOND, command) : NULL;

    free(command);
    if (thing == NULL)
        return false;
    *refused = vpc_qemu_await(self, thing, true) && thing->status != 0;
    if (!thing->ended && vpc_qemu_puppet(self))
        vpc_puppet_close(vpc_qemu_puppet(self), thing->handle);
    return true;
}

/* ---- the bus ------------------------------------------------------------------------------------------------------------------- */

static bool qemu_bus_listen(struct vpc_backend *backend, bool on, char **error)
{
    struct qemu *self = self_of(backend);

    if (!on) {
        drop_bus(self);
        return true;
    }
    if (self->bus >= 0)
        return true;
    self->bus = self->machine.vm ? vpc_unix_connect(vpc_vm_bus(self->machine.vm)) : -1;
    if (self->bus < 0) {
        *error = vpc_format("QEMU's chardev: %s", strerror(errno));
        return false;
    }
    tell(self, VPC_SEEN_BUS_UP, 0, 0, NULL, 0);
    return true;
}

static void qemu_bus_send(struct vpc_backend *backend, const void *octets, size_t n)
{
    struct qemu *self = self_of(backend);

    vpc_buffer_add(&self->bus_out, octets, n);
    write_bus(self);
}

static size_t qemu_bus_unsent(struct vpc_backend *backend)
{
    return vpc_buffer_size(&self_of(backend)->bus_out);
}

static void qemu_bus_read(struct vpc_backend *backend, bool on)
{
    self_of(backend)->bus_paused = !on;
}

/* ---- beginning and end ------------------------------------------------------------------------------------------------------------- */

static void qemu_destroy(struct vpc_backend *backend)
{
    struct qemu *self = self_of(backend);

    vpc_machine_end(&self->machine);
    if (self->bus >= 0)
        close(self->bus);
    for (size_t i = 0; i < self->thing_count; i++) {
        vpc_buffer_free(&self->things[i]->in);
        vpc_buffer_free(&self->things[i]->out);
        free(self->things[i]);
    }
    vpc_buffer_free(&self->bus_out);
    free(self->things);
    free(self->command);
    free(self);
}

static struct vpc_backend *qemu_create(const struct vpc_backend_config *config, char **error)
{
    struct qemu *self;

    if (config->implementation->role == VPC_FROM_HOST)
        return vpc_qemu_host_create(config, error);
    self = vpc_alloc(sizeof(*self));
    self->base.ops = &vpc_backend_qemu;
    self->config = *config;
    self->bus = -1;
    self->next_conn = 1000;
    self->command = command_of(self, config->options, config->option_count, "", error);
    if (self->command && vpc_machine_start(&self->machine, config, error)) {
        vpc_qemu_add(self, THING_LOG, vpc_puppet_follow(vpc_qemu_puppet(self), GUEST_FOLDER ".log"),
                     0);
        return &self->base;
    }
    qemu_destroy(&self->base);
    return NULL;
}

const struct vpc_backend_ops vpc_backend_qemu = {
    .name = "qemu",
    .bit = VPC_QEMU,
    .real_time = true,
    .create = qemu_create,
    .destroy = qemu_destroy,
    .start = qemu_start,
    .kill = qemu_kill,
    .stop = qemu_stop,
    .refuses = qemu_refuses,
    .now = qemu_now,
    .step = qemu_step,
    .bus_listen = qemu_bus_listen,
    .bus_send = qemu_bus_send,
    .bus_unsent = qemu_bus_unsent,
    .bus_read = qemu_bus_read,
    .control_open = vpc_qemu_control_open,
    .control_line = vpc_qemu_control_line,
    .control_close = vpc_qemu_control_close,
    .pipe_open = vpc_qemu_pipe_open,
    .tcp_mode = vpc_qemu_tcp_mode,
    .real_port = vpc_qemu_real_port,
    .local_send = vpc_qemu_local_send,
    .local_shutdown = vpc_qemu_local_shutdown,
    .local_close = vpc_qemu_local_close,
    .local_abort = vpc_qemu_local_abort,
    .local_read = vpc_qemu_local_read,
    .local_unsent = vpc_qemu_local_unsent,
};
