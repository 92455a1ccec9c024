/* SPDX-License-Identifier: MIT */
/*
 * A guest endpoint in a virtual machine: the harness is the host's side of a real virtio-serial port.
 *
 * The puppet runs the endpoint; the harness connects to QEMU's chardev.  Nobody tells the host's side when the guest opens
 * the port, so the bus counts as up while both the connection is there and the command runs: what is sent in between
 * waits in QEMU.  When the command ends, all that it wrote before is in the socket already, since the virtual processor
 * handed it over itself; it is taken first, and only then the bus is down.  What the harness had sent stays on its way, as
 * it would for any host, and meets the next instance: a scenario about stale octets lives from that.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backends/load.h"
#include "backends/process.h"
#include "backends/qemu_guest.h"
#include "backends/socket_io.h"
#include "backends/words.h"

#define LOOKS        100  /* of the puppet, to see what one costs, */
#define LOOKS_MS     1000 /* in this time at most */
#define SETTLE_MS    20   /* without an octet: what QEMU held is through */
#define DRAIN_MS     1000
#define REFUSE_MS    3000 /* until which a second instance must have refused, */
#define REFUSE_TIMES 5    /* and so often on a machine that holds it up */

static void bus_drop(struct vpc_qemu_guest *self)
{
    if (self->bus_up)
        vpc_qemu_tell(&self->qemu, VPC_SEEN_BUS_DOWN, 0, 0, NULL, 0);
    self->bus_up = false;
}

bool vpc_qemu_guest_runs(const struct vpc_qemu_guest *self)
{
    return self->subject && self->subject->opened && !self->subject->exited && !self->subject->gone;
}

static void bus_look(struct vpc_qemu_guest *self)
{
    if (self->bus_up || self->bus < 0 || !vpc_qemu_guest_runs(self))
        return;
    self->bus_up = true;
    vpc_qemu_tell(&self->qemu, VPC_SEEN_BUS_UP, 0, 0, NULL, 0);
}

/* ---- the bus ---------------------------------------------------------------------------------------------------------- */

/* How many octets came. */
static size_t bus_take(struct vpc_qemu_guest *self)
{
    char part[65536];
    ssize_t n = recv(self->bus, part, sizeof(part), 0);

    if (n > 0 && !self->bus_paused)
        vpc_qemu_tell(&self->qemu, VPC_SEEN_BUS_OCTETS, 0, 0, part, (size_t)n);
    else if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        vpc_qemu_break(&self->qemu, "VM %s: QEMU ended the connection of the bus: %s",
                       self->qemu.config.vm, n == 0 ? "end of file" : strerror(errno));
    return n > 0 ? (size_t)n : 0;
}

static void bus_write(struct vpc_qemu_guest *self)
{
    while (self->bus >= 0 && vpc_buffer_size(&self->bus_out) > 0) {
        ssize_t n = send(self->bus, vpc_buffer_head(&self->bus_out),
                         vpc_buffer_size(&self->bus_out), MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN) { /* nobody is to wait for what will never go out */
            vpc_buffer_free(&self->bus_out);
            vpc_qemu_break(&self->qemu, "VM %s: QEMU does not take octets for the bus: %s",
                           self->qemu.config.vm, strerror(errno));
        }
        if (n < 0)
            return;
        vpc_buffer_drop(&self->bus_out, (size_t)n);
    }
}

static void bus_drain(struct vpc_qemu_guest *self)
{
    uint64_t end = vpc_qemu_now(NULL) + DRAIN_MS;
    struct pollfd wait = {.fd = self->bus, .events = POLLIN};

    while (self->bus >= 0 && vpc_qemu_now(NULL) < end && poll(&wait, 1, SETTLE_MS) > 0)
        if (bus_take(self) == 0)
            break;
}

static bool has_vm(const struct vpc_qemu_guest *self, char **error)
{
    if (self->qemu.vm == NULL)
        *error = vpc_format("VM %s: it was killed: write \"restart subject\" before",
                            self->qemu.config.vm);
    return self->qemu.vm != NULL;
}

static bool guest_bus_listen(struct vpc_backend *backend, bool on, char **error)
{
    struct vpc_qemu_guest *self = vpc_qemu_guest_of(backend);

    if (on && !has_vm(self, error))
        return false;
    if (on && self->bus < 0) {
        self->bus = vpc_unix_connect(vpc_vm_bus(self->qemu.vm));
        if (self->bus < 0)
            *error = vpc_format("VM %s: %s: %s", self->qemu.config.vm, vpc_vm_bus(self->qemu.vm),
                                strerror(errno));
        bus_look(self);
    } else if (!on && self->bus >= 0) {
        close(self->bus);
        self->bus = -1;
        vpc_buffer_free(&self->bus_out);
        bus_drop(self);
    }
    return !on || self->bus >= 0;
}

/* A piece goes out by itself where the socket takes it, so that the guest may read it so. */
static void guest_bus_send(struct vpc_backend *backend, const void *octets, size_t n)
{
    struct vpc_qemu_guest *self = vpc_qemu_guest_of(backend);

    vpc_buffer_add(&self->bus_out, octets, n);
    bus_write(self);
}

static size_t guest_bus_unsent(struct vpc_backend *backend)
{
    return vpc_buffer_size(&vpc_qemu_guest_of(backend)->bus_out);
}

static void guest_bus_read(struct vpc_backend *backend, bool on)
{
    vpc_qemu_guest_of(backend)->bus_paused = !on;
}

/* ---- the subject ------------------------------------------------------------------------------------------------------ */

/* The guest's paths; a second instance has others, and no bus. */
static char **fill_command(struct vpc_qemu_guest *self, const char *name, char *const *options,
                           char **error)
{
    const struct vpc_implementation *implementation = self->qemu.config.implementation;
    bool first = strcmp(name, "subject") == 0;
    char *control = vpc_format(VPC_GUEST_DIR "/%s.control", name);
    char *log = vpc_format(VPC_GUEST_DIR "/%s.log", name);
    char *bus = first ? vpc_copy(VPC_VM_BUS_PORT) : vpc_format(VPC_GUEST_DIR "/%s.bus", name);
    const struct vpc_value values[] = {{.name = "bus", .text = bus},
                                       {.name = "control", .text = control},
                                       {.name = "log", .text = log},
                                       {.name = "dir", .text = VPC_GUEST_DIR},
                                       {.name = "vm", .text = self->qemu.config.vm},
                                       {.name = "tag", .text = self->qemu.config.tag},
                                       {.name = "options", .words = options},
                                       {.name = NULL}};
    char *why = NULL, **words = vpc_words_fill(implementation->guest_command, values, &why);

    if (why)
        *error = vpc_format("%s: command in [guest]: %s", implementation->path, why);
    free(why);
    free(control);
    free(log);
    free(bus);
    return words;
}

static char **command_of(struct vpc_qemu_guest *self, const char *name,
                         const struct vpc_arg *settings, size_t count, char **error)
{
    char **options = conform_options(self->qemu.config.implementation, settings, count, error);
    char **words = options ? fill_command(self, name, options, error) : NULL;

    vpc_words_free(options);
    return words;
}

/* Takes over the command. */
static struct vpc_thing *run_command(struct vpc_qemu_guest *self, char **command, char **error)
{
    struct vpc_puppet *puppet = command ? vpc_qemu_puppet(&self->qemu) : NULL;
    struct vpc_thing *thing = NULL;
    bool good;

    if (puppet)
        thing = vpc_thing_add(self, VPC_THING_COMMAND,
                              vpc_puppet_run(puppet, (const char *const *)command), 0);
    good = thing && vpc_thing_opens(self, thing);
    if (!good && thing && thing->error && *error == NULL)
        *error =
            vpc_format("%s: the guest can not run %s: %s; do files in [guest] lay it there?",
                       self->qemu.config.implementation->path, command[0], strerror(thing->error));
    else if (!good && *error == NULL)
        *error =
            vpc_format("VM %s: it was lost while the subject was started", self->qemu.config.vm);
    vpc_words_free(command);
    return good ? thing : NULL;
}

static bool follow_log(struct vpc_qemu_guest *self)
{
    struct vpc_puppet *puppet = vpc_qemu_puppet(&self->qemu);
    struct vpc_thing *thing = vpc_thing_of(self, VPC_THING_LOG, 0);

    if (thing || puppet == NULL)
        return puppet != NULL;
    thing = vpc_thing_add(self, VPC_THING_LOG,
                          vpc_puppet_follow(puppet, VPC_GUEST_DIR "/subject.log"), 0);
    if (thing && vpc_thing_opens(self, thing))
        return true;
    self->log_error = thing ? thing->error : 0;
    return false;
}

static bool guest_start(struct vpc_backend *backend, char **error)
{
    struct vpc_qemu_guest *self = vpc_qemu_guest_of(backend);
    const struct vpc_backend_config *config = &self->qemu.config;

    if (self->qemu.vm == NULL && !vpc_qemu_boot(&self->qemu, NULL, error)) /* it was killed */
        return false;
    self->end_expected = false;
    self->subject = NULL;
    if (!follow_log(self)) {
        *error = vpc_format("VM %s: the puppet can not follow the log%s%s", config->vm,
                            self->log_error ? ": " : "",
                            self->log_error ? strerror(self->log_error) : "");
        return false;
    }
    self->subject = run_command(
        self, command_of(self, "subject", config->options, config->option_count, error), error);
    if (self->subject && self->subject->exited) /* it was too quick to be known */
        vpc_qemu_guest_ended(self);
    bus_look(self);
    return self->subject != NULL;
}

void vpc_qemu_guest_ended(struct vpc_qemu_guest *self)
{
    const struct vpc_thing *thing = self->subject;
    const char *words = thing->last_words ? thing->last_words : "it said nothing";
    char *text;

    if (self->bus_up)
        bus_drain(self);
    bus_drop(self);
    if (self->end_expected && thing->signal == 0 && thing->code == 0) {
        vpc_qemu_tell(&self->qemu, VPC_SEEN_STOPPED, 0, 0, NULL, 0);
        return;
    }
    if (self->end_expected && thing->signal == SIGKILL)
        return;
    text = thing->signal ? vpc_format("it ended by signal %d (%s): %s", thing->signal,
                                      strsignal(thing->signal), words)
                         : vpc_format("it ended with status %d: %s", thing->code, words);
    vpc_qemu_tell(&self->qemu, VPC_SEEN_CRASHED, 0, 0, text, strlen(text));
    free(text);
}

static void signal_subject(struct vpc_qemu_guest *self, int number)
{
    struct vpc_puppet *puppet = vpc_qemu_puppet(&self->qemu);

    self->end_expected = true;
    if (puppet && vpc_qemu_guest_runs(self))
        vpc_qemu_asked(&self->qemu, vpc_puppet_kill(puppet, self->subject->handle, number),
                       "send a signal to the subject");
    vpc_qemu_take(&self->qemu);
}

static void guest_kill(struct vpc_backend *backend)
{
    struct vpc_qemu_guest *self = vpc_qemu_guest_of(backend);

    if (!vpc_qemu_guest_runs(self))
        return;
    signal_subject(self, SIGKILL);
    if (!vpc_qemu_await(&self->qemu, &self->subject->exited, NULL, VPC_QEMU_ANSWER_MS))
        vpc_qemu_break(&self->qemu, "VM %s: the subject is not dead %d ms after SIGKILL",
                       self->qemu.config.vm, VPC_QEMU_ANSWER_MS);
}

static void guest_stop(struct vpc_backend *backend, int number)
{
    signal_subject(vpc_qemu_guest_of(backend), number);
}

/* The file of a process says it all in one line.  False: *error. */
static bool busy_in(struct vpc_qemu_guest *self, const char *path, uint64_t *us, char **error)
{
    struct vpc_puppet *puppet = vpc_qemu_puppet(&self->qemu);
    struct vpc_thing *thing =
        puppet ? vpc_thing_add(self, VPC_THING_FILE, vpc_puppet_read(puppet, path), 0) : NULL;
    const char *why = "it is no text of a process";
    bool good = thing && vpc_qemu_await(&self->qemu, &thing->gone, NULL, VPC_QEMU_ANSWER_MS);

    if (!good)
        why = "the puppet does not answer";
    else if (thing->error)
        why = strerror(thing->error);
    if (good)
        vpc_buffer_add(&thing->in, "", 1);
    good = good && vpc_process_busy((const char *)vpc_buffer_head(&thing->in), us);
    if (!good)
        *error = vpc_format("VM %s: %s does not tell the processor time: %s", self->qemu.config.vm,
                            path, why);
    return good;
}

static bool guest_busy(struct vpc_backend *backend, uint64_t *us, char **error)
{
    struct vpc_qemu_guest *self = vpc_qemu_guest_of(backend);
    char *path = vpc_format("/proc/%u/stat", self->subject ? self->subject->pid : 0);
    bool good = busy_in(self, path, us, error);

    free(path);
    return good;
}

/* The puppet is such a program, and each ping wakes it.  What the kernel tells is in ticks: the last may be begun. */
static bool guest_look_cost(struct vpc_backend *backend, uint64_t *us, char **error)
{
    struct vpc_qemu_guest *self = vpc_qemu_guest_of(backend);
    uint64_t before, after, end = vpc_qemu_now(backend) + LOOKS_MS;
    uint64_t tick = 1000000u / (uint64_t)sysconf(_SC_CLK_TCK), looks = 0;

    if (!busy_in(self, "/proc/self/stat", &before, error))
        return false;
    do
        vpc_qemu_sync(&self->qemu);
    while (++looks < LOOKS && vpc_qemu_now(backend) < end && !self->qemu.broken);
    if (!busy_in(self, "/proc/self/stat", &after, error))
        return false;
    *us = (after - before + tick) / looks;
    return true;
}

static bool guest_share(struct vpc_backend *backend, struct vpc_share *share)
{
    const struct vpc_qemu_guest *self = vpc_qemu_guest_of(backend);

    return self->qemu.vm && vpc_process_share(vpc_vm_pid(self->qemu.vm), share);
}

static bool guest_refuses(struct vpc_backend *backend, const struct vpc_arg *option, bool *refused,
                          char **error)
{
    struct vpc_qemu_guest *self = vpc_qemu_guest_of(backend);
    struct vpc_thing *second =
        run_command(self, command_of(self, "second", option, 1, error), error);
    struct vpc_puppet *puppet = vpc_qemu_puppet(&self->qemu);
    struct conform_load load;
    uint64_t held_up = 0;

    if (second == NULL || puppet == NULL)
        return false;
    for (int i = 0; i < REFUSE_TIMES && (i == 0 || held_up); i++) {
        conform_load_begin(&load, backend);
        vpc_qemu_await(&self->qemu, &second->exited, NULL, REFUSE_MS);
        held_up = second->exited ? 0 : conform_load_excuse(&load);
    }
    *refused = second->exited && second->signal == 0 && second->code != 0;
    if (!second->exited)
        vpc_qemu_asked(&self->qemu, vpc_puppet_kill(puppet, second->handle, SIGKILL),
                       "kill a second instance");
    if (held_up)
        vpc_qemu_break(&self->qemu, "VM %s: the machine held it up for %llu of %d ms",
                       self->qemu.config.vm, (unsigned long long)held_up, REFUSE_MS);
    return true;
}

/* What the harness knows of the puppet is still right when nothing was on its way. */
static bool save(struct vpc_qemu_guest *self, const char *kept, char **error)
{
    vpc_qemu_sync(&self->qemu);
    vpc_qemu_take(&self->qemu);
    if (!self->qemu.broken && vpc_vm_keep(self->qemu.vm, kept, VPC_QEMU_KEEP_MS) == 0)
        return true;
    *error = vpc_copy(vpc_vm_error(self->qemu.vm));
    return false;
}

static bool restore(struct vpc_qemu_guest *self, const char *kept, char **error)
{
    if (access(kept, R_OK) != 0) {
        *error =
            vpc_format("VM %s: it was not saved: write \"vm save\" before", self->qemu.config.vm);
        return false;
    }
    if (self->bus >= 0)
        close(self->bus);
    self->bus = -1;
    vpc_buffer_free(&self->bus_out);
    bus_drop(self);
    return vpc_qemu_restore(&self->qemu, kept, error);
}

/* The subject is gone, and all that lived in the puppet for it. */
static void lose_all(struct vpc_qemu_guest *self)
{
    self->end_expected = true;
    self->subject = NULL;
    vpc_things_free(self);
    bus_drop(self);
    vpc_buffer_free(&self->bus_out);
}

static void kill_vm(struct vpc_qemu_guest *self)
{
    lose_all(self);
    vpc_vm_stop(self->qemu.vm);
    self->qemu.vm = NULL;
    if (self->bus >= 0)
        close(self->bus);
    self->bus = -1;
}

/* With a reset the harness's side of the chardev stays. */
static bool guest_vm(struct vpc_backend *backend, enum vpc_vm_action action, char **error)
{
    struct vpc_qemu_guest *self = vpc_qemu_guest_of(backend);
    char *kept;
    bool good;

    if (!has_vm(self, error))
        return false;
    if (action == VPC_KILL_VM) {
        kill_vm(self);
        return true;
    }
    if (action == VPC_SAVE_VM || action == VPC_RESTORE_VM) {
        kept = vpc_format("%s/kept", self->qemu.config.dir);
        good = action == VPC_SAVE_VM ? save(self, kept, error) : restore(self, kept, error);
        free(kept);
        return good;
    }
    if (action == VPC_RESET_VM)
        lose_all(self);
    return vpc_qemu_act(&self->qemu, action, error);
}

/* ---- time, beginning and end ---------------------------------------------------------------------------------------------- */

static void turn(struct vpc_qemu_guest *self, int timeout)
{
    bool writes = vpc_buffer_size(&self->bus_out) > 0, reads = !self->bus_paused;
    struct pollfd fds[2] = {
        {.fd = self->qemu.vm ? vpc_vm_fd(self->qemu.vm) : -1, .events = POLLIN},
        {.fd = reads || writes ? self->bus : -1,
         .events = (short)((reads ? POLLIN : 0) | (writes ? POLLOUT : 0))},
    };

    int ready;

    vpc_qemu_take(&self->qemu);
    ready = poll(fds, 2, self->qemu.saw ? 0 : timeout);
    if (ready < 0 && errno != EINTR)
        vpc_qemu_break(&self->qemu, "VM %s: the harness can not wait for it: poll: %s",
                       self->qemu.config.vm, strerror(errno));
    if (ready <= 0)
        return;
    if (fds[1].revents & (POLLOUT | POLLHUP | POLLERR))
        bus_write(self);
    if (reads && self->bus >= 0 && fds[1].revents & (POLLIN | POLLHUP | POLLERR))
        bus_take(self);
    vpc_qemu_take(&self->qemu);
}

static void guest_step(struct vpc_backend *backend, uint64_t until)
{
    struct vpc_qemu_guest *self = vpc_qemu_guest_of(backend);
    uint64_t now = vpc_qemu_now(backend);

    self->qemu.saw = false;
    do {
        turn(self, until > now ? (int)(until - now) : 0);
        now = vpc_qemu_now(backend);
    } while (!self->qemu.saw && now < until && !self->qemu.broken);
}

static void guest_destroy(struct vpc_backend *backend)
{
    struct vpc_qemu_guest *self = vpc_qemu_guest_of(backend);

    vpc_vm_stop(self->qemu.vm);
    vpc_things_free(self);
    vpc_buffer_free(&self->bus_out);
    if (self->bus >= 0)
        close(self->bus);
    if (self->output)
        fclose(self->output);
    if (self->log)
        fclose(self->log);
    free(self);
}

static FILE *copy_in(const struct vpc_backend_config *config, const char *name)
{
    char *path = vpc_format("%s/%s", config->dir, name);
    FILE *file = fopen(path, "we");

    if (file)
        setlinebuf(file);
    free(path);
    return file;
}

static const struct vpc_backend_ops guest_ops = {
    .name = "qemu",
    .bit = VPC_QEMU,
    .real_time = true,
    .destroy = guest_destroy,
    .start = guest_start,
    .kill = guest_kill,
    .stop = guest_stop,
    .vm = guest_vm,
    .refuses = guest_refuses,
    .busy = guest_busy,
    .look_cost = guest_look_cost,
    .share = guest_share,
    .now = vpc_qemu_now,
    .step = guest_step,
    .bus_listen = guest_bus_listen,
    .bus_send = guest_bus_send,
    .bus_unsent = guest_bus_unsent,
    .bus_read = guest_bus_read,
    .control_open = vpc_qemu_guest_control_open,
    .control_line = vpc_qemu_guest_control_line,
    .control_read = vpc_qemu_guest_control_read,
    .control_close = vpc_qemu_guest_control_close,
    .pipe_open = vpc_qemu_guest_pipe_open,
    .tcp_mode = vpc_qemu_guest_tcp_mode,
    .real_port = vpc_qemu_guest_real_port,
    .local_send = vpc_qemu_guest_local_send,
    .local_shutdown = vpc_qemu_guest_local_shutdown,
    .local_close = vpc_qemu_guest_local_close,
    .local_abort = vpc_qemu_guest_local_abort,
    .local_read = vpc_qemu_guest_local_read,
    .local_unsent = vpc_qemu_guest_local_unsent,
};

struct vpc_backend *vpc_qemu_guest_create(const struct vpc_backend_config *config, char **error)
{
    struct vpc_qemu_guest *self = vpc_alloc(sizeof(*self));

    self->qemu.base.ops = &guest_ops;
    self->qemu.config = *config;
    self->qemu.on_puppet = vpc_things_on_puppet;
    self->bus = -1;
    self->next_conn = 1000;
    self->output_left = self->log_left = VPC_GUEST_COPY_MAX;
    self->output = copy_in(config, "subject.out");
    self->log = copy_in(config, "subject.log");
    if (vpc_qemu_boot(&self->qemu, NULL, error))
        return &self->qemu.base;
    guest_destroy(&self->qemu.base);
    return NULL;
}
