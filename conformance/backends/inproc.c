/* SPDX-License-Identifier: MIT */
/*
 * The in-process backend: a shared object that exports vpc_endpoint_abi, on a virtual clock.
 *
 * It is the shell that vpc_endpoint.h asks for, with everything outside of the endpoint made up: the clock goes only where
 * step() moves it, ports and pipes are entries of a list, and what a local program writes waits here until stream_room()
 * takes it.  settle() carries octets and actions until nothing moves; then, and only then, time may pass.  So every run
 * with the same seed is the same run.  What may never happen: an endless settle(), hence the bound on its rounds.
 *
 * It is no kinder than a kernel may be.  The endpoint is told the time when its own deadline() is due or something comes
 * from outside, and at no other moment: a timer that deadline() forgets is late.  By chance a part of what is offered is
 * taken, and a part of what a program wrote is given; bus and streams have their turns in any order.
 */
#include "backends/inproc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "chance.h"

#define MAX_ROUNDS 200000
#define TAKE_MAX   65536 /* of a stream at once, as a socket would */
#define FEW        64
#define MAX_ACTIONS                                                                                \
    100000 /* in a row: some for each pair and client, and what one call logs and answers */

/* How many of n octets go at once: half of the time all, else some, or few. */
static size_t part_of(struct inproc *self, size_t n)
{
    uint64_t chance = vpc_draw(&self->chance);

    switch (n > 0 ? chance % 4 : 0) {
    case 2:
        return 1 + (size_t)(chance / 4) % n;
    case 3:
        return 1 + (size_t)(chance / 4) % (n < FEW ? n : FEW);
    default:
        return n;
    }
}

void vpc_inproc_tell(struct inproc *self, enum vpc_seen_kind kind, int id, uint32_t value,
                     const char *text, size_t size)
{
    struct vpc_seen seen = {kind, id, value, text, size};

    self->saw = true;
    self->config.sink(self->config.user, &seen);
}

static struct local *local_of_stream(struct inproc *self, uint32_t stream)
{
    for (size_t i = 0; i < self->local_count; i++)
        if (self->locals[i]->stream == stream && self->locals[i]->state != LOCAL_GONE)
            return self->locals[i];
    return NULL;
}

struct local *vpc_inproc_conn(struct inproc *self, int conn)
{
    for (size_t i = 0; i < self->local_count; i++)
        if (self->locals[i]->conn == conn &&
            (self->locals[i]->state == LOCAL_OPEN || self->locals[i]->state == LOCAL_QUEUED))
            return self->locals[i];
    return NULL;
}

static struct local *add_local(struct inproc *self, uint32_t stream, enum local_state state)
{
    struct local *local = vpc_alloc(sizeof(*local));

    self->locals = vpc_grow_by_one(self->locals, self->local_count, sizeof(struct local *));
    self->locals[self->local_count++] = local;
    local->stream = stream;
    local->state = state;
    local->left = SIZE_MAX;
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

void vpc_inproc_pipe_path(uint32_t stream, char *path, size_t size)
{
    snprintf(path, size, "/in-process/%u", stream);
}

static void on_listen(struct inproc *self, const vpc_action *action)
{
    char path[VPC_INPROC_PATH];
    char *name = vpc_copy_n(action->text ? action->text : "", action->text_len);
    bool taken = self->taken && strcasecmp(self->taken, name) == 0;

    if (*name == '\0')
        vpc_inproc_tell(self, VPC_SEEN_CRASHED, 0, 0, "a LISTEN without a name", 23);
    if (self->pipes_denied || taken) {
        SUBJECT(self, self->abi->stream_listening(self->endpoint, action->stream,
                                                  taken ? EADDRINUSE : EACCES, ""));
        free(name);
        return;
    }
    add_local(self, action->stream, LOCAL_LISTENING)->name = name;
    vpc_inproc_pipe_path(action->stream, path, sizeof(path));
    SUBJECT(self, self->abi->stream_listening(self->endpoint, action->stream, 0, path));
}

/* As a kernel does: the server has the connection at once, before the subject hears of it and whatever it does then. */
static void on_connect(struct inproc *self, const vpc_action *action)
{
    struct local *local = add_local(self, action->stream, LOCAL_CONNECTING);
    enum vpc_tcp_mode mode = mode_of(self, (uint16_t)action->value);

    local->accepted = mode == VPC_TCP_LISTENING;
    if (local->accepted) {
        local->conn = self->next_conn++;
        vpc_inproc_tell(self, VPC_SEEN_LOCAL_OPENED, local->conn, action->value & 0xffff, NULL, 0);
    }
    local->error = mode == VPC_TCP_LISTENING ? 0 : mode == VPC_TCP_DEAF ? ETIMEDOUT : ECONNREFUSED;
    local->deadline = mode == VPC_TCP_DEAF ? self->now + action->limit_ms : 0;
}

/* Where the system chooses a port, each forward gets another. */
void vpc_inproc_forward_path(uint32_t stream, const char *listen, char path[VPC_INPROC_LISTEN])
{
    const char *colon = *listen == '/' ? NULL : strrchr(listen, ':');

    if (colon && strcmp(colon, ":0") == 0)
        snprintf(path, VPC_INPROC_LISTEN, "%.*s:%u", (int)(colon - listen), listen,
                 40000 + stream % 20000);
    else if (colon || *listen == '/')
        snprintf(path, VPC_INPROC_LISTEN, "%s", listen);
    else
        vpc_inproc_pipe_path(stream, path, VPC_INPROC_LISTEN);
}

static void on_forward(struct inproc *self, const vpc_action *action)
{
    char *listen = vpc_copy_n(action->text ? action->text : "", action->text_len);
    char path[VPC_INPROC_LISTEN];
    struct local *forward;

    if (self->pipes_denied) {
        SUBJECT(self, self->abi->stream_listening(self->endpoint, action->stream, EACCES, ""));
        free(listen);
        return;
    }
    forward = add_local(self, action->stream, LOCAL_LISTENING);
    forward->name = listen;
    forward->forward = true;
    vpc_inproc_forward_path(action->stream, listen, path);
    SUBJECT(self, self->abi->stream_listening(self->endpoint, action->stream, 0, path));
}

static void on_accept(struct inproc *self, const vpc_action *action)
{
    static const char wrong[] = "an ACCEPT without a forward, or behind another";
    struct local *forward = local_of_stream(self, action->value);

    if (forward == NULL || !forward->forward || forward->next != 0 || action->stream == 0)
        vpc_inproc_tell(self, VPC_SEEN_CRASHED, 0, 0, wrong, sizeof(wrong) - 1);
    else
        forward->next = action->stream;
}

void vpc_inproc_queue(struct inproc *self, const struct local *forward, int conn)
{
    struct local *client = add_local(self, 0, LOCAL_QUEUED);

    client->forward = true;
    client->queue = forward->stream;
    client->conn = conn;
}

static bool is_first(const struct inproc *self, const struct local *client)
{
    size_t i = 0;

    while (self->locals[i]->state != LOCAL_QUEUED || self->locals[i]->queue != client->queue)
        i++;
    return self->locals[i] == client;
}

static bool let_in(struct inproc *self, struct local *client)
{
    struct local *forward;

    if (client->state != LOCAL_QUEUED || !is_first(self, client))
        return false;
    forward = local_of_stream(self, client->queue);
    if (forward == NULL || forward->next == 0)
        return false;
    client->stream = forward->next;
    client->state = LOCAL_OPEN;
    forward->next = 0;
    SUBJECT(self, self->abi->stream_opened(self->endpoint, client->stream, 0));
    return true;
}

void vpc_inproc_end_local(struct inproc *self, struct local *local, bool reset)
{
    bool there;

    if (local == NULL)
        return;
    there = local->state == LOCAL_OPEN || local->state == LOCAL_QUEUED || local->accepted;
    if (there && !local->closed) {
        if (reset && (self->config.implementation->role == VPC_FROM_GUEST || local->forward))
            vpc_inproc_tell(self, VPC_SEEN_LOCAL_RESET, local->conn, 0, NULL, 0);
        else
            vpc_inproc_tell(self, VPC_SEEN_LOCAL_EOF, local->conn, 0, NULL, 0);
    }
    local->state = LOCAL_GONE;
}

static void on_shutdown(struct inproc *self, const vpc_action *action)
{
    struct local *local = local_of_stream(self, action->stream);

    if (local && local->state == LOCAL_OPEN && !local->closed)
        vpc_inproc_tell(self, VPC_SEEN_LOCAL_EOF, local->conn, 0, NULL, 0);
}

static void on_close(struct inproc *self, const vpc_action *action)
{
    vpc_inproc_end_local(self, local_of_stream(self, action->stream), false);
}

/* Of a pipe server, of a forward, or of what ACCEPT said. */
static void on_unlisten(struct inproc *self, const vpc_action *action)
{
    for (size_t i = 0; i < self->local_count; i++) {
        struct local *local = self->locals[i];

        if (local->next == action->stream)
            local->next = 0;
        if (local->state == LOCAL_QUEUED && local->queue == action->stream)
            vpc_inproc_end_local(self, local, false);
    }
    vpc_inproc_end_local(self, local_of_stream(self, action->stream), false);
}

static void on_abort(struct inproc *self, const vpc_action *action)
{
    vpc_inproc_end_local(self, local_of_stream(self, action->stream), true);
}

static void on_reply(struct inproc *self, const vpc_action *action)
{
    vpc_inproc_tell(self, VPC_SEEN_CONTROL_LINE, (int)action->client, 0, action->text,
                    action->text_len);
}

static void on_broadcast(struct inproc *self, const vpc_action *action)
{
    vpc_inproc_tell(self, VPC_SEEN_CONTROL_LINE, 0, 0, action->text, action->text_len);
}

static void on_log(struct inproc *self, const vpc_action *action)
{
    vpc_inproc_tell(self, VPC_SEEN_LOG, 0, 0, action->text, action->text_len);
}

static void on_ready(struct inproc *self, const vpc_action *action)
{
    vpc_inproc_tell(self, VPC_SEEN_READY, 0, action->value, action->text, action->text_len);
}

static void on_hangup(struct inproc *self, const vpc_action *action)
{
    struct local *local = local_of_stream(self, action->stream);

    if (local)
        local->hung_up = true;
}

static void on_stopped(struct inproc *self, const vpc_action *action)
{
    (void)action;
    self->stopped = true;
    vpc_inproc_tell(self, VPC_SEEN_STOPPED, 0, 0, NULL, 0);
}

/* Every stream is looked at whenever anything moved. */
static void on_wake(struct inproc *self, const vpc_action *action)
{
    (void)self;
    (void)action;
}

/* Of a pipe's client that has closed, once; a TCP connection shows no more than the end of its writing. */
static bool tell_gone(struct inproc *self, struct local *local)
{
    if (!local->closed || local->gone_told || self->config.implementation->role != VPC_FROM_HOST)
        return false;
    local->gone_told = true;
    SUBJECT(self, self->abi->stream_gone(self->endpoint, local->stream, 0));
    return true;
}

/* It knows of an end that was not told yet. */
static void on_look(struct inproc *self, const vpc_action *action)
{
    struct local *local = local_of_stream(self, action->stream);

    if (local && local->state == LOCAL_OPEN)
        tell_gone(self, local);
}

/* Its one client was let in before, so there is nothing to be closed. */
static void on_free_name(struct inproc *self, const vpc_action *action)
{
    (void)self;
    (void)action;
}

static void (*const handlers[])(struct inproc *, const vpc_action *) = {
    [VPC_ACTION_LISTEN] = on_listen,
    [VPC_ACTION_UNLISTEN] = on_unlisten,
    [VPC_ACTION_CONNECT] = on_connect,
    [VPC_ACTION_SHUTDOWN] = on_shutdown,
    [VPC_ACTION_CLOSE] = on_close,
    [VPC_ACTION_ABORT] = on_abort,
    [VPC_ACTION_REPLY] = on_reply,
    [VPC_ACTION_BROADCAST] = on_broadcast,
    [VPC_ACTION_LOG] = on_log,
    [VPC_ACTION_READY] = on_ready,
    [VPC_ACTION_STOPPED] = on_stopped,
    [VPC_ACTION_HANGUP] = on_hangup,
    [VPC_ACTION_WAKE] = on_wake,
    [VPC_ACTION_LOOK] = on_look,
    [VPC_ACTION_FREE_NAME] = on_free_name,
    [VPC_ACTION_FORWARD] = on_forward,
    [VPC_ACTION_ACCEPT] = on_accept,
};

static void give_up(struct inproc *self, enum vpc_seen_kind kind, const char *how)
{
    self->restless = true;
    vpc_inproc_tell(self, kind, 0, 0, how, strlen(how));
}

static void never_rests(struct inproc *self, const char *how)
{
    give_up(self, VPC_SEEN_CRASHED, how);
}

void vpc_inproc_look_at_object(struct inproc *self)
{
    const char *failure = self->object ? vpc_object_failure(self->object) : NULL;

    if (failure && !self->restless)
        give_up(self,
                conform_object_failed_by_machine(self->object) ? VPC_SEEN_BROKEN : VPC_SEEN_CRASHED,
                failure);
}

static bool take_actions(struct inproc *self)
{
    const char *no_action = "an action of an unknown kind, or next_action() gave neither 1 nor 0";
    bool moved = false;
    vpc_action action;
    int got;

    for (int taken = 0; taken < MAX_ACTIONS; taken++) {
        SUBJECT(self, got = self->abi->next_action(self->endpoint, &action));
        if (!got)
            return moved;
        moved = true;
        if (action.kind < sizeof(handlers) / sizeof(handlers[0]) && handlers[action.kind])
            handlers[action.kind](self, &action);
        else
            vpc_inproc_tell(self, VPC_SEEN_CRASHED, 0, 0, no_action, strlen(no_action));
    }
    never_rests(self, "its actions never end");
    return false;
}

/* ---- octets ----------------------------------------------------------------------------------------------------- */

/* How many of n octets are read, and what is left to read then. */
static size_t take_of(size_t n, size_t *left)
{
    if (*left == SIZE_MAX)
        return n;
    n = n < *left ? n : *left;
    *left -= n;
    return n;
}

static bool take_bus(struct inproc *self)
{
    const void *octets;
    size_t n;

    if (!self->listening || self->bus_left == 0 || self->stopped)
        return false;
    SUBJECT(self, n = self->abi->bus_output(self->endpoint, &octets));
    n = take_of(part_of(self, n), &self->bus_left);
    if (n == 0)
        return false;
    vpc_inproc_tell(self, VPC_SEEN_BUS_OCTETS, 0, 0, octets, n);
    SUBJECT(self, self->abi->bus_sent(self->endpoint, n));
    return true;
}

static bool take_stream(struct inproc *self, struct local *local)
{
    const void *octets;
    size_t n;

    if (local->state != LOCAL_OPEN || (local->left == 0 && !local->closed) || local->hung_up)
        return false;
    SUBJECT(self, n = self->abi->stream_output(self->endpoint, local->stream, &octets));
    if (n == 0)
        return false;
    if (local->closed) {
        local->state = LOCAL_GONE;
        SUBJECT(self, self->abi->stream_gone(self->endpoint, local->stream, ECONNRESET));
        return true;
    }
    n = take_of(part_of(self, n < TAKE_MAX ? n : TAKE_MAX), &local->left);
    vpc_inproc_tell(self, VPC_SEEN_LOCAL_OCTETS, local->conn, 0, octets, n);
    SUBJECT(self, self->abi->stream_sent(self->endpoint, local->stream, n));
    return true;
}

static bool feed_stream(struct inproc *self, struct local *local)
{
    size_t waiting = vpc_buffer_size(&local->out), room, part, took;

    if (local->state != LOCAL_OPEN || local->eof_told)
        return false;
    if (waiting > 0) {
        SUBJECT(self, room = self->abi->stream_room(self->endpoint, local->stream));
        if (room == 0)
            return tell_gone(self, local);
        part = part_of(self, waiting);
        SUBJECT(self, took = self->abi->stream_input(self->endpoint, local->stream,
                                                     vpc_buffer_head(&local->out), part));
        vpc_buffer_drop(&local->out, took > part ? part : took);
        return took > 0;
    }
    if (!local->shut && !local->closed && !local->hung_up)
        return false;
    local->eof_told = true;
    SUBJECT(self, self->abi->stream_eof(self->endpoint, local->stream));
    tell_gone(self, local);
    if (local->gone_told)
        local->state = LOCAL_GONE;
    return true;
}

static bool answer_connect(struct inproc *self, struct local *local)
{
    if (local->state != LOCAL_CONNECTING || self->now < local->deadline)
        return false;
    local->state = local->error ? LOCAL_GONE : LOCAL_OPEN;
    local->accepted = false;
    SUBJECT(self, self->abi->stream_opened(self->endpoint, local->stream, local->error));
    return true;
}

/* Each of the four is a call after which all actions are taken first. */
static bool settle_local(struct inproc *self, struct local *local)
{
    bool (*const parts[])(struct inproc *, struct local *) = {answer_connect, take_stream,
                                                              feed_stream};
    size_t first = (size_t)vpc_draw(&self->chance) % 3;
    bool moved = let_in(self, local);

    if (moved)
        take_actions(self);
    for (size_t i = 0; i < 3; i++) {
        if (parts[(first + i) % 3](self, local)) {
            moved = true;
            take_actions(self);
        }
    }
    return moved;
}

/* The bus and each stream once, from any of them on. */
static bool settle_each(struct inproc *self)
{
    size_t first = (size_t)(vpc_draw(&self->chance) % (self->local_count + 1));
    size_t count = self->local_count + 1;
    bool moved = take_actions(self);

    for (size_t i = 0; i < count; i++) {
        size_t turn = (first + i) % count;

        if (turn < count - 1)
            moved |= settle_local(self, self->locals[turn]);
        else if (take_bus(self))
            moved = true;
    }
    return moved;
}

void vpc_inproc_clock(struct inproc *self)
{
    if (self->clock_stopped || self->endpoint == NULL)
        return;
    self->told = self->now;
    SUBJECT(self, self->abi->clock(self->endpoint, self->now));
}

void vpc_inproc_wake(struct inproc *self)
{
    if (self->endpoint == NULL || self->told == self->now)
        return;
    vpc_inproc_clock(self);
    vpc_inproc_settle(self);
}

void vpc_inproc_settle(struct inproc *self)
{
    bool moved = true;

    for (int round = 0; moved && self->endpoint && !self->restless; round++) {
        if (round > MAX_ROUNDS) {
            never_rests(self, "it never comes to rest at one moment");
            return;
        }
        moved = settle_each(self);
    }
}
