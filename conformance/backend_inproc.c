/* SPDX-License-Identifier: MIT */
/*
 * The in-process backend: a shared object that exports vpc_endpoint_abi, on a virtual clock.
 *
 * It is the shell that vpc_endpoint.h asks for, with everything outside of the endpoint made up: the clock goes only where
 * step() moves it, ports and pipes are entries of a list, and what a local program writes waits here until stream_room()
 * takes it.  settle() carries octets and actions until nothing moves; then, and only then, time may pass.  So every run
 * with the same seed is the same run.  What may never happen: an endless settle(), hence the bound on its rounds.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "backend.h"
#include "memory.h"
#include "spec/vpc_endpoint.h"

#define MAX_ROUNDS 200000

enum local_state { LOCAL_LISTENING, LOCAL_CONNECTING, LOCAL_OPEN, LOCAL_GONE };

struct local {
    enum local_state state;
    uint32_t stream;
    int conn;
    char *name;        /* host: the pipe's full name */
    uint64_t deadline; /* CONNECTING: when it times out; 0: it is answered at once */
    int error;         /* CONNECTING: what the answer is */
    struct vpc_buffer out;
    bool reading, shut, closed, eof_told;
};

struct port {
    uint16_t number;
    enum vpc_tcp_mode mode;
};

struct inproc {
    struct vpc_backend base;
    struct vpc_backend_config config;
    void *object;
    const vpc_endpoint_abi *abi;
    vpc_endpoint *endpoint;
    char *options;
    uint64_t now;
    uint64_t random;
    bool listening, bus_reading, stop_asked, saw;
    struct local **locals;
    size_t local_count;
    struct port *ports;
    size_t port_count;
    int next_conn;
};

#define SUBJECT(self, call)              \
    do {                                 \
        *(self)->config.in_subject = 1;  \
        call;                            \
        *(self)->config.in_subject = 0;  \
    } while (0)

static struct inproc *self_of(struct vpc_backend *backend)
{
    return (struct inproc *)backend;
}

static void tell(struct inproc *self, enum vpc_seen_kind kind, int id, uint32_t value,
                 const char *text, size_t size)
{
    struct vpc_seen seen = {kind, id, value, text, size};

    self->saw = true;
    self->config.sink(self->config.user, &seen);
}

static uint64_t next_random(void *user)
{
    struct inproc *self = user;
    uint64_t x = self->random += 0x9e3779b97f4a7c15;

    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

static struct local *local_of_stream(struct inproc *self, uint32_t stream)
{
    for (size_t i = 0; i < self->local_count; i++)
        if (self->locals[i]->stream == stream && self->locals[i]->state != LOCAL_GONE)
            return self->locals[i];
    return NULL;
}

static struct local *local_of_conn(struct inproc *self, int conn)
{
    for (size_t i = 0; i < self->local_count; i++)
        if (self->locals[i]->conn == conn && self->locals[i]->state == LOCAL_OPEN)
            return self->locals[i];
    return NULL;
}

static struct local *add_local(struct inproc *self, uint32_t stream, enum local_state state)
{
    struct local *local = vpc_alloc(sizeof(*local));

    self->locals = vpc_grow(self->locals, self->local_count + 1, sizeof(struct local *));
    self->locals[self->local_count++] = local;
    local->stream = stream;
    local->state = state;
    local->reading = true;
    return local;
}

static enum vpc_tcp_mode mode_of(const struct inproc *self, uint16_t number)
{
    for (size_t i = 0; i < self->port_count; i++)
        if (self->ports[i].number == number)
            return self->ports[i].mode;
    return VPC_TCP_CLOSED;
}

/* ---- actions ---------------------------------------------------------------------------------------------------- */

static void on_listen(struct inproc *self, const vpc_action *action)
{
    struct local *local = add_local(self, action->stream, LOCAL_LISTENING);

    local->name = vpc_copy_n(action->text ? action->text : "", action->text_len);
    SUBJECT(self, self->abi->stream_listening(self->endpoint, action->stream, 0, ""));
}

static void on_connect(struct inproc *self, const vpc_action *action)
{
    struct local *local = add_local(self, action->stream, LOCAL_CONNECTING);
    enum vpc_tcp_mode mode = mode_of(self, (uint16_t)action->value);

    local->conn = (int)action->value;
    local->error = mode == VPC_TCP_LISTENING ? 0 : mode == VPC_TCP_DEAF ? ETIMEDOUT : ECONNREFUSED;
    local->deadline = mode == VPC_TCP_DEAF ? self->now + action->limit_ms : 0;
}

static void end_local(struct inproc *self, struct local *local, bool reset)
{
    if (local == NULL)
        return;
    if (local->state == LOCAL_OPEN && !local->closed) {
        if (reset && self->config.implementation->role == VPC_FROM_GUEST)
            tell(self, VPC_SEEN_LOCAL_RESET, local->conn, 0, NULL, 0);
        else
            tell(self, VPC_SEEN_LOCAL_EOF, local->conn, 0, NULL, 0);
    }
    local->state = LOCAL_GONE;
}

static void on_shutdown(struct inproc *self, const vpc_action *action)
{
    struct local *local = local_of_stream(self, action->stream);

    if (local && local->state == LOCAL_OPEN && !local->closed)
        tell(self, VPC_SEEN_LOCAL_EOF, local->conn, 0, NULL, 0);
}

static void on_close(struct inproc *self, const vpc_action *action)
{
    end_local(self, local_of_stream(self, action->stream), false);
}

static void on_abort(struct inproc *self, const vpc_action *action)
{
    end_local(self, local_of_stream(self, action->stream), true);
}

static void on_reply(struct inproc *self, const vpc_action *action)
{
    tell(self, VPC_SEEN_CONTROL_LINE, (int)action->client, 0, action->text, action->text_len);
}

static void on_broadcast(struct inproc *self, const vpc_action *action)
{
    tell(self, VPC_SEEN_CONTROL_LINE, 0, 0, action->text, action->text_len);
}

static void on_log(struct inproc *self, const vpc_action *action)
{
    tell(self, VPC_SEEN_LOG, 0, 0, action->text, action->text_len);
}

static void on_ready(struct inproc *self, const vpc_action *action)
{
    tell(self, VPC_SEEN_READY, 0, action->value, action->text, action->text_len);
}

static void on_stopped(struct inproc *self, const vpc_action *action)
{
    (void)action;
    tell(self, VPC_SEEN_STOPPED, 0, 0, NULL, 0);
}

static void (*const handlers[])(struct inproc *, const vpc_action *) = {
    [VPC_ACTION_LISTEN] = on_listen,     [VPC_ACTION_UNLISTEN] = on_close,
    [VPC_ACTION_CONNECT] = on_connect,   [VPC_ACTION_SHUTDOWN] = on_shutdown,
    [VPC_ACTION_CLOSE] = on_close,       [VPC_ACTION_ABORT] = on_abort,
    [VPC_ACTION_REPLY] = on_reply,       [VPC_ACTION_BROADCAST] = on_broadcast,
    [VPC_ACTION_LOG] = on_log,           [VPC_ACTION_READY] = on_ready,
    [VPC_ACTION_STOPPED] = on_stopped,
};

static bool take_actions(struct inproc *self)
{
    bool moved = false;
    vpc_action action;
    int got;

    for (;;) {
        SUBJECT(self, got = self->abi->next_action(self->endpoint, &action));
        if (!got)
            return moved;
        moved = true;
        if (action.kind < sizeof(handlers) / sizeof(handlers[0]) && handlers[action.kind])
            handlers[action.kind](self, &action);
        else
            tell(self, VPC_SEEN_CRASHED, 0, 0, "an action of an unknown kind", 28);
    }
}

/* ---- octets ----------------------------------------------------------------------------------------------------- */

static bool take_bus(struct inproc *self)
{
    const void *octets;
    size_t n;

    if (!self->listening || !self->bus_reading)
        return false;
    SUBJECT(self, n = self->abi->bus_output(self->endpoint, &octets));
    if (n == 0)
        return false;
    tell(self, VPC_SEEN_BUS_OCTETS, 0, 0, octets, n);
    SUBJECT(self, self->abi->bus_sent(self->endpoint, n));
    return true;
}

static bool take_stream(struct inproc *self, struct local *local)
{
    const void *octets;
    size_t n;

    if (local->state != LOCAL_OPEN || (!local->reading && !local->closed))
        return false;
    SUBJECT(self, n = self->abi->stream_output(self->endpoint, local->stream, &octets));
    if (n == 0)
        return false;
    if (local->closed) {
        local->state = LOCAL_GONE;
        SUBJECT(self, self->abi->stream_gone(self->endpoint, local->stream, ECONNRESET));
        return true;
    }
    tell(self, VPC_SEEN_LOCAL_OCTETS, local->conn, 0, octets, n);
    SUBJECT(self, self->abi->stream_sent(self->endpoint, local->stream, n));
    return true;
}

static bool feed_stream(struct inproc *self, struct local *local)
{
    size_t waiting = vpc_buffer_size(&local->out), room, took;
    bool host = self->config.implementation->role == VPC_FROM_HOST;

    if (local->state != LOCAL_OPEN || local->eof_told)
        return false;
    if (waiting > 0) {
        SUBJECT(self, room = self->abi->stream_room(self->endpoint, local->stream));
        if (room == 0)
            return false;
        SUBJECT(self, took = self->abi->stream_input(self->endpoint, local->stream,
                                                     vpc_buffer_head(&local->out), waiting));
        vpc_buffer_drop(&local->out, took > waiting ? waiting : took);
        return took > 0;
    }
    if (!local->shut && !local->closed)
        return false;
    local->eof_told = true;
    SUBJECT(self, self->abi->stream_eof(self->endpoint, local->stream));
    if (local->closed && host && local->state == LOCAL_OPEN) {
        local->state = LOCAL_GONE;
        SUBJECT(self, self->abi->stream_gone(self->endpoint, local->stream, 0));
    }
    return true;
}

static bool answer_connect(struct inproc *self, struct local *local)
{
    int port = local->conn;

    if (local->state != LOCAL_CONNECTING || self->now < local->deadline)
        return false;
    local->state = local->error ? LOCAL_GONE : LOCAL_OPEN;
    if (local->error == 0) {
        local->conn = self->next_conn++;
        tell(self, VPC_SEEN_LOCAL_OPENED, local->conn, (uint32_t)port, NULL, 0);
    }
    SUBJECT(self, self->abi->stream_opened(self->endpoint, local->stream, local->error));
    return true;
}

/* Each of the three is a call after which all actions are taken first. */
static bool settle_local(struct inproc *self, struct local *local)
{
    bool (*const parts[])(struct inproc *, struct local *) = {answer_connect, take_stream,
                                                              feed_stream};
    bool moved = false;

    for (size_t i = 0; i < 3; i++) {
        if (parts[i](self, local)) {
            moved = true;
            take_actions(self);
        }
    }
    return moved;
}

static void settle(struct inproc *self)
{
    bool moved = true;

    for (int round = 0; moved && self->endpoint; round++) {
        if (round > MAX_ROUNDS) {
            tell(self, VPC_SEEN_CRASHED, 0, 0, "it never comes to rest at one moment", 36);
            return;
        }
        moved = take_actions(self);
        if (take_bus(self))
            moved = true;
        for (size_t i = 0; i < self->local_count; i++)
            moved |= settle_local(self, self->locals[i]);
    }
}

/* ---- the interface ------------------------------------------------------------------------------------------------- */

static char *options_json(const struct vpc_arg *options, size_t count)
{
    struct vpc_buffer out = {0};

    vpc_buffer_add(&out, "{", 1);
    for (size_t i = 0; i < count; i++) {
        char *one = vpc_format("%s\"%s\": %s", i ? ", " : "", options[i].key, options[i].value);

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
        .random = next_random,
        .user = self,
    };
    vpc_endpoint *endpoint;

    SUBJECT(self, endpoint = self->abi->create(&config, self->now));
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
        dlclose(self->object);
    free(self->locals);
    free(self->ports);
    free(self->options);
    free(self);
}

static bool load_object(struct inproc *self, char **error)
{
    const char *pairs[] = {"build", self->config.build, NULL};
    const char *unknown = "";
    const char *object = self->config.implementation->object;
    char *path = object ? vpc_expand(object, pairs, &unknown) : NULL;

    if (path == NULL) {
        *error = vpc_format("%s: object in [abi] %s%s", self->config.implementation->path,
                            object ? "has an unknown placeholder: " : "is missing", unknown);
        return false;
    }
    self->object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    self->abi = self->object ? dlsym(self->object, VPC_ENDPOINT_ABI_SYMBOL) : NULL;
    if (self->abi == NULL)
        *error = vpc_format("the shared object can not be used: %s", dlerror());
    else if (self->abi->abi_version != VPC_ENDPOINT_ABI_VERSION)
        *error = vpc_format("%s has ABI version %u, the harness has %u", path,
                            self->abi->abi_version, VPC_ENDPOINT_ABI_VERSION);
    free(path);
    return *error == NULL;
}

static struct vpc_backend *inproc_create(const struct vpc_backend_config *config, char **error)
{
    struct inproc *self = vpc_alloc(sizeof(*self));

    self->base.ops = &vpc_backend_inproc;
    self->config = *config;
    self->now = 1000;
    self->random = config->seed;
    self->bus_reading = true;
    self->next_conn = 1000;
    self->options = options_json(config->options, config->option_count);
    if (load_object(self, error))
        return &self->base;
    inproc_destroy(&self->base);
    return NULL;
}

static bool inproc_start(struct vpc_backend *backend, char **error)
{
    struct inproc *self = self_of(backend);

    (void)error;
    self->endpoint = make_endpoint(self, self->options);
    if (self->endpoint == NULL) {
        tell(self, VPC_SEEN_CRASHED, 0, 0, "create() gave NULL", 18);
        return true;
    }
    settle(self);
    if (self->listening) {
        tell(self, VPC_SEEN_BUS_UP, 0, 0, NULL, 0);
        SUBJECT(self, self->abi->bus_up(self->endpoint));
        settle(self);
    }
    return true;
}

static void inproc_kill(struct vpc_backend *backend)
{
    struct inproc *self = self_of(backend);

    SUBJECT(self, self->abi->destroy(self->endpoint));
    self->endpoint = NULL;
    if (self->listening)
        tell(self, VPC_SEEN_BUS_DOWN, 0, 0, NULL, 0);
    tell(self, VPC_SEEN_CONTROL_EOF, 0, 0, NULL, 0);
    for (size_t i = 0; i < self->local_count; i++)
        end_local(self, self->locals[i], true);
}

static void inproc_stop(struct vpc_backend *backend)
{
    struct inproc *self = self_of(backend);

    SUBJECT(self, self->abi->stop(self->endpoint, 1000));
    settle(self);
}

static bool inproc_refuses(struct vpc_backend *backend, const struct vpc_arg *option,
                           bool *refused, char **error)
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

static uint64_t next_deadline(struct inproc *self, uint64_t until)
{
    uint64_t due;

    SUBJECT(self, due = self->abi->deadline(self->endpoint));
    for (size_t i = 0; i < self->local_count; i++)
        if (self->locals[i]->state == LOCAL_CONNECTING && self->locals[i]->deadline < due)
            due = self->locals[i]->deadline;
    return due < until ? due : until;
}

static void inproc_step(struct vpc_backend *backend, uint64_t until)
{
    struct inproc *self = self_of(backend);
    int still = 0;

    self->saw = false;
    if (self->endpoint)
        settle(self);
    while (!self->saw && self->now < until) {
        uint64_t next = self->endpoint ? next_deadline(self, until) : until;

        still = next > self->now ? 0 : still + 1;
        if (still > 1000) {
            tell(self, VPC_SEEN_CRASHED, 0, 0, "deadline() stays in the past: it spins", 38);
            return;
        }
        self->now = next > self->now ? next : self->now;
        if (self->endpoint == NULL)
            continue;
        SUBJECT(self, self->abi->clock(self->endpoint, self->now));
        settle(self);
    }
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
    tell(self, on ? VPC_SEEN_BUS_UP : VPC_SEEN_BUS_DOWN, 0, 0, NULL, 0);
    SUBJECT(self, on ? self->abi->bus_up(self->endpoint) : self->abi->bus_down(self->endpoint));
    settle(self);
    return true;
}

static void inproc_bus_send(struct vpc_backend *backend, const void *octets, size_t n)
{
    struct inproc *self = self_of(backend);

    if (self->endpoint == NULL || !self->listening)
        return;
    SUBJECT(self, self->abi->bus_input(self->endpoint, octets, n));
    settle(self);
}

static size_t inproc_bus_unsent(struct vpc_backend *backend)
{
    (void)backend;
    return 0;
}

static void inproc_bus_read(struct vpc_backend *backend, bool on)
{
    self_of(backend)->bus_reading = on;
    settle(self_of(backend));
}

static bool inproc_control_open(struct vpc_backend *backend, int client)
{
    struct inproc *self = self_of(backend);

    if (self->endpoint == NULL)
        return false;
    SUBJECT(self, self->abi->control_open(self->endpoint, (uint32_t)client));
    settle(self);
    return true;
}

static void inproc_control_line(struct vpc_backend *backend, int client, const char *line, size_t n)
{
    struct inproc *self = self_of(backend);

    if (self->endpoint == NULL)
        return;
    SUBJECT(self, self->abi->control_line(self->endpoint, (uint32_t)client, line, n));
    settle(self);
}

static void inproc_control_close(struct vpc_backend *backend, int client)
{
    struct inproc *self = self_of(backend);

    if (self->endpoint == NULL)
        return;
    SUBJECT(self, self->abi->control_close(self->endpoint, (uint32_t)client));
    settle(self);
}

static int inproc_pipe_open(struct vpc_backend *backend, int conn, const char *name,
                            const char *path)
{
    struct inproc *self = self_of(backend);

    (void)path;
    for (size_t i = 0; i < self->local_count; i++) {
        struct local *local = self->locals[i];

        if (local->state != LOCAL_LISTENING || strcasecmp(local->name, name) != 0)
            continue;
        local->state = LOCAL_OPEN;
        local->conn = conn;
        SUBJECT(self, self->abi->stream_opened(self->endpoint, local->stream, 0));
        settle(self);
        return 0;
    }
    return ECONNREFUSED;
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
    self->ports = vpc_grow(self->ports, self->port_count + 1, sizeof(*self->ports));
    self->ports[self->port_count++] = (struct port){port, mode};
    return true;
}

static uint16_t inproc_real_port(struct vpc_backend *backend, uint16_t port)
{
    (void)backend;
    return port;
}

static void inproc_local_send(struct vpc_backend *backend, int conn, const void *octets, size_t n)
{
    struct local *local = local_of_conn(self_of(backend), conn);

    if (local == NULL)
        return;
    vpc_buffer_add(&local->out, octets, n);
    settle(self_of(backend));
}

static void inproc_local_shutdown(struct vpc_backend *backend, int conn)
{
    struct local *local = local_of_conn(self_of(backend), conn);

    if (local == NULL)
        return;
    local->shut = true;
    settle(self_of(backend));
}

static void inproc_local_close(struct vpc_backend *backend, int conn)
{
    struct inproc *self = self_of(backend);
    struct local *local = local_of_conn(self, conn);

    if (local == NULL)
        return;
    local->closed = true;
    if (local->eof_told && self->config.implementation->role == VPC_FROM_HOST) {
        local->state = LOCAL_GONE;
        SUBJECT(self, self->abi->stream_gone(self->endpoint, local->stream, 0));
    }
    settle(self);
}

static void inproc_local_abort(struct vpc_backend *backend, int conn)
{
    struct inproc *self = self_of(backend);
    struct local *local = local_of_conn(self, conn);

    if (local == NULL)
        return;
    local->state = LOCAL_GONE;
    SUBJECT(self, self->abi->stream_gone(self->endpoint, local->stream, ECONNRESET));
    settle(self);
}

static void inproc_local_read(struct vpc_backend *backend, int conn, bool on)
{
    struct local *local = local_of_conn(self_of(backend), conn);

    if (local == NULL)
        return;
    local->reading = on;
    settle(self_of(backend));
}

static size_t inproc_local_unsent(struct vpc_backend *backend, int conn)
{
    struct local *local = local_of_conn(self_of(backend), conn);

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
    .refuses = inproc_refuses,
    .now = inproc_now,
    .step = inproc_step,
    .bus_listen = inproc_bus_listen,
    .bus_send = inproc_bus_send,
    .bus_unsent = inproc_bus_unsent,
    .bus_read = inproc_bus_read,
    .control_open = inproc_control_open,
    .control_line = inproc_control_line,
    .control_close = inproc_control_close,
    .pipe_open = inproc_pipe_open,
    .tcp_mode = inproc_tcp_mode,
    .real_port = inproc_real_port,
    .local_send = inproc_local_send,
    .local_shutdown = inproc_local_shutdown,
    .local_close = inproc_local_close,
    .local_abort = inproc_local_abort,
    .local_read = inproc_local_read,
    .local_unsent = inproc_local_unsent,
};
