/* SPDX-License-Identifier: MIT */
/* What lives in the puppet for a guest endpoint: its command, its log, control clients, TCP servers and connections. */
#include <stdlib.h>
#include <string.h>

#include "backends/qemu_guest.h"

#define LINE_MAX_OCTETS                                                                            \
    (1 << 20) /* of control socket and log: a subject that never ends its line is told so */

struct vpc_thing *vpc_thing_add(struct vpc_qemu_guest *self, enum vpc_thing_kind kind,
                                uint32_t handle, int id)
{
    struct vpc_thing *thing;

    if (handle == 0)
        vpc_qemu_break(&self->qemu, "VM %s: the puppet's line takes no more requests",
                       self->qemu.config.vm);
    else if (self->thing_count == VPC_THINGS_MAX)
        vpc_qemu_break(&self->qemu, "VM %s: more than %d connections and requests in one run",
                       self->qemu.config.vm, VPC_THINGS_MAX);
    if (handle == 0 || self->thing_count == VPC_THINGS_MAX)
        return NULL;
    self->thing_count++;
    thing = vpc_alloc(sizeof(*thing));
    thing->kind = kind;
    thing->handle = handle;
    thing->id = id;
    thing->next = self->things;
    self->things = thing;
    return thing;
}

static struct vpc_thing *by_handle(struct vpc_qemu_guest *self, uint32_t handle)
{
    struct vpc_thing *thing = self->things;

    while (thing && (thing->handle != handle || thing->gone))
        thing = thing->next;
    return thing;
}

struct vpc_thing *vpc_thing_of(struct vpc_qemu_guest *self, enum vpc_thing_kind kind, int id)
{
    struct vpc_thing *thing = self->things;

    while (thing && (thing->kind != kind || thing->id != id || thing->gone || thing->muted))
        thing = thing->next;
    return thing;
}

bool vpc_thing_opens(struct vpc_qemu_guest *self, struct vpc_thing *thing)
{
    if (vpc_qemu_await(&self->qemu, &thing->opened, &thing->gone, VPC_QEMU_ANSWER_MS))
        return true;
    if (!thing->gone)
        vpc_qemu_break(&self->qemu, "VM %s: the puppet has not answered for %d ms",
                       self->qemu.config.vm, VPC_QEMU_ANSWER_MS);
    return false;
}

void vpc_things_free(struct vpc_qemu_guest *self)
{
    while (self->things) {
        struct vpc_thing *next = self->things->next;

        vpc_buffer_free(&self->things->in);
        vpc_buffer_free(&self->things->out);
        free(self->things->last_words);
        free(self->things);
        self->things = next;
    }
}

/* ---- to the puppet ------------------------------------------------------------------------------------------------------ */

void vpc_thing_flush(struct vpc_qemu_guest *self, struct vpc_thing *thing)
{
    struct vpc_puppet *puppet = vpc_qemu_puppet(&self->qemu);
    ssize_t n;

    if (puppet == NULL || thing->gone)
        return;
    while (vpc_buffer_size(&thing->out) > 0) {
        n = vpc_puppet_send(puppet, thing->handle, vpc_buffer_head(&thing->out),
                            vpc_buffer_size(&thing->out));
        vpc_qemu_asked(&self->qemu, n < 0, "take octets");
        if (n <= 0)
            break;
        vpc_buffer_drop(&thing->out, (size_t)n);
    }
    if (vpc_buffer_size(&thing->out) == 0 && thing->shut && !thing->shut_done) {
        vpc_qemu_asked(&self->qemu, vpc_puppet_fin(puppet, thing->handle), "finish writing");
        thing->shut_done = true;
    }
    if (vpc_buffer_size(&thing->out) == 0 && thing->finish && !thing->finish_done) {
        vpc_qemu_asked(&self->qemu, vpc_puppet_finish(puppet, thing->handle), "close");
        thing->finish_done = true;
    }
}

void vpc_thing_send(struct vpc_qemu_guest *self, struct vpc_thing *thing, const void *octets,
                    size_t n)
{
    vpc_buffer_add(&thing->out, octets, n);
    vpc_thing_flush(self, thing);
}

/* ---- from the puppet ---------------------------------------------------------------------------------------------------- */

/* A guest that never ends its output fills no disk of its host.  False: there is no room. */
static bool keep_copy(FILE *copy, size_t *left, const char *line)
{
    size_t size = strlen(line) + 1;
    bool fits = size <= *left;

    if (copy && *left > 0)
        fprintf(copy, "%s\n", fits ? line : "(what follows is left out)");
    *left = fits ? *left - size : 0;
    return fits;
}

static void take_output(struct vpc_qemu_guest *self, struct vpc_thing *thing)
{
    char *line;

    while ((line = vpc_buffer_line(&thing->in)) != NULL) {
        keep_copy(self->output, &self->output_left, line);
        free(thing->last_words);
        thing->last_words = line;
    }
}

static void take_lines(struct vpc_qemu_guest *self, struct vpc_thing *thing)
{
    static const char much[] = "its event log holds more than a run may leave there";
    enum vpc_seen_kind kind = thing->kind == VPC_THING_LOG ? VPC_SEEN_LOG : VPC_SEEN_CONTROL_LINE;
    char *line;

    while ((line = vpc_buffer_line(&thing->in)) != NULL) {
        bool told = self->log_left == 0; /* that there is no room */

        if (thing->kind != VPC_THING_LOG || keep_copy(self->log, &self->log_left, line))
            vpc_qemu_tell(&self->qemu, kind, thing->id, 0, line, strlen(line));
        else if (!told)
            vpc_qemu_tell(&self->qemu, VPC_SEEN_CRASHED, 0, 0, much, strlen(much));
        free(line);
    }
}

static void on_data(struct vpc_qemu_guest *self, struct vpc_thing *thing,
                    const struct vpc_puppet_event *event)
{
    static const char endless[] = "a line of more than 1 MiB without an end";

    if (thing->kind == VPC_THING_CONNECTION) {
        if (!thing->muted)
            vpc_qemu_tell(&self->qemu, VPC_SEEN_LOCAL_OCTETS, thing->id, 0,
                          (const char *)event->data, event->size);
        return;
    }
    vpc_buffer_add(&thing->in, event->data, event->size);
    if (thing->kind == VPC_THING_COMMAND)
        take_output(self, thing);
    else if (thing->kind != VPC_THING_FILE)
        take_lines(self, thing);
    if (vpc_buffer_size(&thing->in) <= LINE_MAX_OCTETS)
        return;
    vpc_buffer_drop(&thing->in, vpc_buffer_size(&thing->in));
    if (thing->kind != VPC_THING_COMMAND)
        vpc_qemu_tell(&self->qemu, VPC_SEEN_CRASHED, 0, 0, endless, strlen(endless));
}

static void on_end(struct vpc_qemu_guest *self, struct vpc_thing *thing,
                   const struct vpc_puppet_event *event)
{
    bool reset = event->type == VPC_PUPPET_RESET;

    if ((thing->end_told && !reset) || thing->muted)
        return;
    thing->end_told = true;
    if (thing->kind == VPC_THING_CONNECTION)
        vpc_qemu_tell(&self->qemu, reset ? VPC_SEEN_LOCAL_RESET : VPC_SEEN_LOCAL_EOF, thing->id, 0,
                      NULL, 0);
    if (thing->kind == VPC_THING_CONTROL)
        vpc_qemu_tell(&self->qemu, VPC_SEEN_CONTROL_EOF, thing->id, 0, NULL, 0);
}

static void on_gone(struct vpc_qemu_guest *self, struct vpc_thing *thing,
                    const struct vpc_puppet_event *event)
{
    if (event->type == VPC_PUPPET_FAILED)
        thing->error = (int)event->value;
    else
        on_end(self, thing, event);
    if (event->type == VPC_PUPPET_FAILED && thing->opened)
        vpc_qemu_break(&self->qemu, "VM %s: the puppet can not %s: %s", self->qemu.config.vm,
                       event->text, strerror(thing->error));
    thing->gone = true;
}

static void on_opened(struct vpc_qemu_guest *self, struct vpc_thing *thing,
                      const struct vpc_puppet_event *event)
{
    (void)self;
    thing->pid = event->value;
    thing->opened = true;
}

static void on_exited(struct vpc_qemu_guest *self, struct vpc_thing *thing,
                      const struct vpc_puppet_event *event)
{
    if (thing->kind != VPC_THING_COMMAND || thing->exited)
        return;
    thing->exited = true;
    thing->code = (int)event->value;
    thing->signal = (int)event->value2;
    if (thing == self->subject)
        vpc_qemu_guest_ended(self);
}

static void on_accepted(struct vpc_qemu_guest *self, struct vpc_thing *listener,
                        const struct vpc_puppet_event *event)
{
    struct vpc_thing *thing =
        listener->kind == VPC_THING_LISTENER
            ? vpc_thing_add(self, VPC_THING_CONNECTION, event->value, self->next_conn++)
            : NULL;

    if (thing == NULL)
        return;
    thing->port = listener->port;
    thing->opened = true;
    vpc_qemu_tell(&self->qemu, VPC_SEEN_LOCAL_OPENED, thing->id, listener->port, NULL, 0);
}

static void on_window(struct vpc_qemu_guest *self, struct vpc_thing *thing,
                      const struct vpc_puppet_event *event)
{
    (void)event;
    vpc_thing_flush(self, thing);
}

void vpc_things_on_puppet(struct vpc_qemu *qemu, const struct vpc_puppet_event *event)
{
    static void (*const handlers[VPC_PUPPET_TYPES])(struct vpc_qemu_guest *, struct vpc_thing *,
                                                    const struct vpc_puppet_event *) = {
        [VPC_PUPPET_OPENED] = on_opened,
        [VPC_PUPPET_FAILED] = on_gone,
        [VPC_PUPPET_CLOSED] = on_gone,
        [VPC_PUPPET_DATA] = on_data,
        [VPC_PUPPET_FIN] = on_end,
        [VPC_PUPPET_RESET] = on_end,
        [VPC_PUPPET_EXITED] = on_exited,
        [VPC_PUPPET_ACCEPTANCE] = on_accepted,
        [VPC_PUPPET_WINDOW_MORE] = on_window,
    };
    struct vpc_qemu_guest *self = vpc_qemu_guest_of(qemu);
    struct vpc_thing *thing = by_handle(self, event->handle);

    if (thing && handlers[event->type])
        handlers[event->type](self, thing, event);
}

/* ---- TCP servers -------------------------------------------------------------------------------------------------------- */

static struct vpc_thing *listener_of(struct vpc_qemu_guest *self, uint16_t port)
{
    struct vpc_thing *thing = self->things;

    while (thing && (thing->kind != VPC_THING_LISTENER || thing->port != port || thing->gone))
        thing = thing->next;
    return thing;
}

static bool end_listener(struct vpc_qemu_guest *self, struct vpc_thing *listener)
{
    struct vpc_puppet *puppet = vpc_qemu_puppet(&self->qemu);

    return puppet && vpc_puppet_close(puppet, listener->handle) == 0 &&
           vpc_qemu_await(&self->qemu, &listener->gone, NULL, VPC_QEMU_ANSWER_MS);
}

bool vpc_things_tcp_mode(struct vpc_qemu_guest *self, uint16_t port, enum vpc_tcp_mode mode,
                         char **error)
{
    struct vpc_thing *listener = listener_of(self, port);
    struct vpc_puppet *puppet = vpc_qemu_puppet(&self->qemu);

    if (puppet == NULL || (listener && listener->mode != mode && !end_listener(self, listener))) {
        *error = vpc_copy("the puppet does not answer");
        return false;
    }
    if (mode == VPC_TCP_CLOSED || (listener && listener->mode == mode))
        return true;
    listener = vpc_thing_add(
        self, VPC_THING_LISTENER,
        vpc_puppet_listen(puppet, port, 0, mode == VPC_TCP_DEAF ? VPC_PUPPET_LISTEN_DEAF : 0), 0);
    if (listener) {
        listener->port = port;
        listener->mode = mode;
    }
    if (listener && vpc_thing_opens(self, listener))
        return true;
    *error = vpc_format("the puppet can not listen at port %u of the guest: %s", port,
                        strerror(listener ? listener->error : 0));
    return false;
}
