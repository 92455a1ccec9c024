/* SPDX-License-Identifier: MIT */
/* The in-process backend's side towards the run; what moves is in inproc.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "backends/inproc.h"

static struct inproc *self_of(struct vpc_backend *backend)
{
    return (struct inproc *)backend;
}

/* ---- the interface ------------------------------------------------------------------------------------------------- */

static char *options_json(const struct vpc_arg *options, size_t count)
{
    struct vpc_buffer out = {0};

    vpc_buffer_add(&out, "{", 1);
    for (size_t i = 0; i < count; i++) {
        const char *value = options[i].value;
        const char *quote =
            !*value || value[strspn(value, "-0123456789")] || strchr(value + 1, '-') ? "\"" : "";
        char *one =
            vpc_format("%s\"%s\": %s%s%s", i ? ", " : "", options[i].key, quote, value, quote);

        vpc_buffer_add(&out, one, strlen(one));
        free(one);
    }
    vpc_buffer_add(&out, "}", 2);
    return (char *)out.data;
}

static vpc_endpoint *make_endpoint(struct inproc *self, const char *options)
{
    vpc_endpoint_config config = {
        .role = (uint32_t)self->config.implementation->role,
        .vm = self->config.vm,
        .tag = self->config.implementation->role == VPC_FROM_GUEST ? self->config.tag : "",
        .options = options,
    };
    vpc_endpoint *endpoint;

    SUBJECT(self, endpoint = vpc_object_create(self->object, &config, self->now));
    return endpoint;
}

static void inproc_destroy(struct vpc_backend *backend)
{
    struct inproc *self = self_of(backend);

    if (self->endpoint)
        SUBJECT(self, self->abi->destroy(self->endpoint));
    for (size_t i = 0; i < self->local_count; i++) {
        vpc_buffer_free(&self->locals[i]->out);
        free(self->locals[i]->name);
        free(self->locals[i]);
    }
    if (self->object)
        vpc_object_end(self->object);
    vpc_buffer_free(&self->bus_in);
    free(self->pieces);
    free(self->locals);
    free(self->ports);
    free(self->options);
    free(self->taken);
    free(self);
}

static struct vpc_object *begin_object(struct inproc *self, const char *path, char **error)
{
    char *output = vpc_format("%s/subject.out", self->config.dir);
    struct vpc_object_config config = {path, output, self->config.seed, self->config.group};
    struct vpc_object *object = vpc_object_begin(&config, error);

    free(output);
    return object;
}

static bool load_object(struct inproc *self, char **error)
{
    char *path = vpc_implementation_object(self->config.implementation, self->config.build, error);

    if (path == NULL)
        return false;
    SUBJECT(self, self->object = begin_object(self, path, error));
    free(path);
    return *error == NULL;
}

static struct vpc_backend *inproc_create(const struct vpc_backend_config *config, char **error)
{
    struct inproc *self = vpc_alloc(sizeof(*self));

    self->base.ops = &vpc_backend_inproc;
    self->abi = &vpc_object_abi;
    self->config = *config;
    self->now = 1000;
    self->chance = ~config->seed;
    self->bus_left = SIZE_MAX;
    self->next_conn = 1000;
    self->options = options_json(config->options, config->option_count);
    if (load_object(self, error))
        return &self->base;
    inproc_destroy(&self->base);
    return NULL;
}

/* What a monitor says; -1: nothing. */
static int told_of(enum vpc_vm_action action)
{
    switch (action) {
    case VPC_PAUSE_VM:
        return VPC_MACHINE_PAUSED;
    case VPC_RESUME_VM:
    case VPC_WATCH_VM:
        return VPC_MACHINE_RUNS;
    case VPC_RESET_VM:
        return VPC_MACHINE_RESET;
    case VPC_SHUT_DOWN_VM:
        return VPC_MACHINE_SHUT_DOWN;
    case VPC_CLOSE_PORT:
        return VPC_MACHINE_PORT_CLOSED;
    case VPC_UNWATCH_VM:
        return VPC_MACHINE_UNKNOWN;
    default:
        return -1;
    }
}

static void inproc_machine(struct vpc_backend *backend, enum vpc_vm_action action)
{
    struct inproc *self = self_of(backend);
    int machine = told_of(action);

    if (machine < 0 || self->endpoint == NULL)
        return;
    vpc_inproc_wake(self);
    SUBJECT(self, vpc_object_machine(self->endpoint, (uint32_t)machine));
    vpc_inproc_settle(self);
}

static bool inproc_start(struct vpc_backend *backend, char **error)
{
    struct inproc *self = self_of(backend);

    (void)error;
    if (self->restless)
        return true;
    self->endpoint = make_endpoint(self, self->options);
    self->told = self->now;
    self->stopped = false;
    if (self->endpoint == NULL && !self->restless)
        vpc_inproc_tell(self, VPC_SEEN_CRASHED, 0, 0, "create() gave NULL", 18);
    if (self->endpoint == NULL)
        return true;
    vpc_inproc_settle(self);
    if (self->config.watched)
        inproc_machine(backend, VPC_WATCH_VM);
    if (self->listening) {
        vpc_inproc_tell(self, VPC_SEEN_BUS_UP, 0, 0, NULL, 0);
        SUBJECT(self, self->abi->bus_up(self->endpoint));
        vpc_inproc_settle(self);
    }
    return true;
}

static void inproc_kill(struct vpc_backend *backend)
{
    struct inproc *self = self_of(backend);

    SUBJECT(self, self->abi->destroy(self->endpoint));
    self->endpoint = NULL;
    if (self->listening)
        vpc_inproc_tell(self, VPC_SEEN_BUS_DOWN, 0, 0, NULL, 0);
    vpc_inproc_tell(self, VPC_SEEN_CONTROL_EOF, 0, 0, NULL, 0);
    for (size_t i = 0; i < self->local_count; i++)
        vpc_inproc_end_local(self, self->locals[i], true);
}

static void inproc_stop(struct vpc_backend *backend, int number)
{
    struct inproc *self = self_of(backend);

    (void)number;
    vpc_inproc_wake(self);
    SUBJECT(self, self->abi->stop(self->endpoint, 1000));
    vpc_inproc_settle(self);
}

static bool inproc_refuses(struct vpc_backend *backend, const struct vpc_arg *option, bool *refused,
                           char **error)
{
    struct inproc *self = self_of(backend);
    char *options = options_json(option, 1);
    vpc_endpoint *second = make_endpoint(self, options);

    (void)error;
    *refused = second == NULL;
    if (second)
        SUBJECT(self, self->abi->destroy(second));
    free(options);
    return true;
}

static uint64_t inproc_now(struct vpc_backend *backend)
{
    return self_of(backend)->now;
}

/* When something is due by itself: a timer of the endpoint, the answer to a connect. */
static uint64_t next_deadline(struct inproc *self)
{
    uint64_t due;

    if (self->endpoint == NULL || self->clock_stopped)
        return VPC_NEVER;
    SUBJECT(self, due = self->abi->deadline(self->endpoint));
    for (size_t i = 0; i < self->local_count; i++)
        if (self->locals[i]->state == LOCAL_CONNECTING && self->locals[i]->deadline < due)
            due = self->locals[i]->deadline;
    return due;
}

/* The clock is called when it is due, and not because time was looked at. */
static void inproc_step(struct vpc_backend *backend, uint64_t until)
{
    struct inproc *self = self_of(backend);
    int still = 0;

    if (self->endpoint)
        vpc_inproc_settle(self);
    while (!self->saw && self->now < until) {
        uint64_t due = next_deadline(self);

        if (due > until) {
            self->now = until;
            break;
        }
        still = due > self->now ? 0 : still + 1;
        if (still > 1000) {
            vpc_inproc_tell(self, VPC_SEEN_CRASHED, 0, 0, "deadline() stays in the past: it spins",
                            38);
            return;
        }
        self->now = due > self->now ? due : self->now;
        self->wakes += due < until;
        vpc_inproc_clock(self);
        vpc_inproc_settle(self);
    }
    self->saw = false;
}

static bool inproc_busy(struct vpc_backend *backend, uint64_t *us, char **error)
{
    (void)error;
    *us = self_of(backend)->wakes * 1000;
    return true;
}

static void inproc_clock(struct vpc_backend *backend, bool goes)
{
    struct inproc *self = self_of(backend);

    self->clock_stopped = !goes;
    vpc_inproc_clock(self);
    vpc_inproc_settle(self);
}

static uint64_t inproc_told(struct vpc_backend *backend)
{
    return self_of(backend)->told;
}

static bool inproc_bus_listen(struct vpc_backend *backend, bool on, char **error)
{
    struct inproc *self = self_of(backend);

    (void)error;
    if (self->listening == on)
        return true;
    self->listening = on;
    if (self->endpoint == NULL)
        return true;
    vpc_inproc_wake(self);
    vpc_inproc_tell(self, on ? VPC_SEEN_BUS_UP : VPC_SEEN_BUS_DOWN, 0, 0, NULL, 0);
    SUBJECT(self, on ? self->abi->bus_up(self->endpoint) : self->abi->bus_down(self->endpoint));
    vpc_inproc_settle(self);
    return true;
}

static void inproc_bus_send(struct vpc_backend *backend, const void *octets, size_t n)
{
    struct inproc *self = self_of(backend);

    if (self->endpoint == NULL || !self->listening || n == 0)
        return;
    self->pieces = vpc_grow_by_one(self->pieces, self->piece_count, sizeof(*self->pieces));
    self->pieces[self->piece_count++] = (uint32_t)n;
    vpc_buffer_add(&self->bus_in, octets, n);
}

/* The pieces of a burst may be an octet each: those after which nothing moves are one question to the subject's process. */
static void inproc_bus_flush(struct vpc_backend *backend)
{
    struct inproc *self = self_of(backend);
    size_t given = 0, done;

    if (self->piece_count > 0)
        vpc_inproc_wake(self);
    while (given < self->piece_count && self->endpoint && !self->restless) {
        SUBJECT(self, done = vpc_object_pieces(self->endpoint, vpc_buffer_head(&self->bus_in),
                                               self->pieces + given, self->piece_count - given));
        for (; done > 0; done--)
            vpc_buffer_drop(&self->bus_in, self->pieces[given++]);
        vpc_inproc_settle(self);
    }
    self->piece_count = 0;
    vpc_buffer_drop(&self->bus_in, vpc_buffer_size(&self->bus_in));
}

static size_t inproc_bus_unsent(struct vpc_backend *backend)
{
    (void)backend;
    return 0;
}

static void inproc_bus_take(struct vpc_backend *backend, size_t octets)
{
    vpc_inproc_wake(self_of(backend));
    self_of(backend)->bus_left = octets;
    vpc_inproc_settle(self_of(backend));
}

static void inproc_bus_read(struct vpc_backend *backend, bool on)
{
    inproc_bus_take(backend, on ? SIZE_MAX : 0);
}

static bool inproc_control_open(struct vpc_backend *backend, int client)
{
    struct inproc *self = self_of(backend);

    if (self->endpoint == NULL)
        return false;
    vpc_inproc_wake(self);
    SUBJECT(self, self->abi->control_open(self->endpoint, (uint32_t)client));
    vpc_inproc_settle(self);
    return true;
}

static void inproc_control_line(struct vpc_backend *backend, int client, const char *line, size_t n)
{
    struct inproc *self = self_of(backend);

    if (self->endpoint == NULL)
        return;
    vpc_inproc_wake(self);
    SUBJECT(self, self->abi->control_line(self->endpoint, (uint32_t)client, line, n));
    vpc_inproc_settle(self);
}

/* What waits for a client is the caller's of the ABI to keep: there is nothing to judge here. */
static void inproc_control_read(struct vpc_backend *backend, int client, bool on)
{
    (void)backend;
    (void)client;
    (void)on;
}

static void inproc_control_close(struct vpc_backend *backend, int client)
{
    struct inproc *self = self_of(backend);

    if (self->endpoint == NULL)
        return;
    vpc_inproc_wake(self);
    SUBJECT(self, self->abi->control_close(self->endpoint, (uint32_t)client));
    vpc_inproc_settle(self);
}

static int inproc_pipe_open(struct vpc_backend *backend, int conn, const char *name,
                            const char *path)
{
    struct inproc *self = self_of(backend);

    vpc_inproc_wake(self);
    for (size_t i = 0; i < self->local_count; i++) {
        struct local *local = self->locals[i];
        char real[VPC_INPROC_LISTEN];

        if (local->state != LOCAL_LISTENING)
            continue;
        if (local->forward)
            vpc_inproc_forward_path(local->stream, local->name, real);
        else
            vpc_inproc_pipe_path(local->stream, real, sizeof(real));
        if (strcasecmp(local->name, name) != 0 && !(local->forward && strcmp(real, name) == 0))
            continue;
        if (path && strcmp(path, real) != 0)
            return ENOENT;
        if (local->forward) {
            vpc_inproc_queue(self, local, conn);
            vpc_inproc_settle(self);
            return 0;
        }
        local->state = LOCAL_OPEN;
        local->conn = conn;
        SUBJECT(self, self->abi->stream_opened(self->endpoint, local->stream, 0));
        vpc_inproc_settle(self);
        return 0;
    }
    return ECONNREFUSED;
}

static void inproc_pipe_deny(struct vpc_backend *backend)
{
    self_of(backend)->pipes_denied = true;
}

static void inproc_pipe_taken(struct vpc_backend *backend, const char *name)
{
    struct inproc *self = self_of(backend);

    free(self->taken);
    self->taken = vpc_copy(name);
}

static bool inproc_tcp_mode(struct vpc_backend *backend, uint16_t port, enum vpc_tcp_mode mode,
                            char **error)
{
    struct inproc *self = self_of(backend);

    (void)error;
    for (size_t i = 0; i < self->port_count; i++) {
        if (self->ports[i].number == port) {
            self->ports[i].mode = mode;
            return true;
        }
    }
    self->ports = vpc_grow_by_one(self->ports, self->port_count, sizeof(*self->ports));
    self->ports[self->port_count++] = (struct port){port, mode};
    return true;
}

static uint16_t inproc_real_port(struct vpc_backend *backend, uint16_t port)
{
    (void)backend;
    return port;
}

/* A connection of which the endpoint is about to hear, or NULL. */
static struct local *woken(struct inproc *self, int conn)
{
    vpc_inproc_wake(self);
    return vpc_inproc_conn(self, conn);
}

static void inproc_local_send(struct vpc_backend *backend, int conn, const void *octets, size_t n)
{
    struct local *local = woken(self_of(backend), conn);

    if (local == NULL || local->hung_up)
        return;
    vpc_buffer_add(&local->out, octets, n);
    vpc_inproc_settle(self_of(backend));
}

static void inproc_local_shutdown(struct vpc_backend *backend, int conn)
{
    struct local *local = woken(self_of(backend), conn);

    if (local == NULL)
        return;
    local->shut = true;
    vpc_inproc_settle(self_of(backend));
}

static void inproc_local_close(struct vpc_backend *backend, int conn)
{
    struct inproc *self = self_of(backend);
    struct local *local = woken(self, conn);

    if (local == NULL)
        return;
    local->closed = true;
    if (local->eof_told && self->config.implementation->role == VPC_FROM_HOST) {
        local->state = LOCAL_GONE;
        SUBJECT(self, self->abi->stream_gone(self->endpoint, local->stream, 0));
    }
    vpc_inproc_settle(self);
}

static void inproc_local_abort(struct vpc_backend *backend, int conn)
{
    struct inproc *self = self_of(backend);
    struct local *local = woken(self, conn);

    if (local == NULL)
        return;
    if (local->state == LOCAL_OPEN)
        SUBJECT(self, self->abi->stream_gone(self->endpoint, local->stream, ECONNRESET));
    local->state = LOCAL_GONE;
    vpc_inproc_settle(self);
}

static void inproc_local_take(struct vpc_backend *backend, int conn, size_t octets)
{
    struct local *local = woken(self_of(backend), conn);

    if (local == NULL)
        return;
    local->left = octets;
    vpc_inproc_settle(self_of(backend));
}

static void inproc_local_read(struct vpc_backend *backend, int conn, bool on)
{
    inproc_local_take(backend, conn, on ? SIZE_MAX : 0);
}

static size_t inproc_local_unsent(struct vpc_backend *backend, int conn)
{
    struct local *local = vpc_inproc_conn(self_of(backend), conn);

    return local ? vpc_buffer_size(&local->out) : 0;
}

const struct vpc_backend_ops vpc_backend_inproc = {
    .name = "inproc",
    .bit = VPC_INPROC,
    .real_time = false,
    .create = inproc_create,
    .destroy = inproc_destroy,
    .start = inproc_start,
    .kill = inproc_kill,
    .stop = inproc_stop,
    .machine = inproc_machine,
    .refuses = inproc_refuses,
    .busy = inproc_busy,
    .clock = inproc_clock,
    .told = inproc_told,
    .now = inproc_now,
    .step = inproc_step,
    .bus_listen = inproc_bus_listen,
    .bus_send = inproc_bus_send,
    .bus_flush = inproc_bus_flush,
    .bus_unsent = inproc_bus_unsent,
    .bus_read = inproc_bus_read,
    .bus_take = inproc_bus_take,
    .control_open = inproc_control_open,
    .control_line = inproc_control_line,
    .control_read = inproc_control_read,
    .control_close = inproc_control_close,
    .pipe_open = inproc_pipe_open,
    .pipe_deny = inproc_pipe_deny,
    .pipe_taken = inproc_pipe_taken,
    .tcp_mode = inproc_tcp_mode,
    .real_port = inproc_real_port,
    .local_send = inproc_local_send,
    .local_shutdown = inproc_local_shutdown,
    .local_close = inproc_local_close,
    .local_abort = inproc_local_abort,
    .local_read = inproc_local_read,
    .local_take = inproc_local_take,
    .local_unsent = inproc_local_unsent,
};
