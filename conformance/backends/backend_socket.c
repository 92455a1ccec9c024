/* SPDX-License-Identifier: MIT */
/*
 * The socket backend: a process on a real Unix socket as its bus, in real time.
 *
 * Events: the bus (socket_bus.c), control clients (socket_control.c), local connections (socket_locals.c, socket_io.c), lines
 * of the log file, the end of the process.  step() polls all of them until one was seen.  Nothing blocks but poll; what may
 * never happen: a subject that outlives its run, hence process.c.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/folder.h"
#include "backends/load.h"
#include "backends/machine.h"
#include "backends/socket_backend.h"
#include "backends/words.h"
#include "clock.h"
#include "files.h"

#define LOG_PARTS    128  /* that are read at once */
#define FOLDER_MS    250  /* the folder is looked at so often */
#define REFUSE_MS    2000 /* until which a second instance must have refused, */
#define REFUSE_TIMES 5    /* and so often on a machine that holds it up */

#define REFUSE_SLICE_MS 100 /* it is looked at in between */
#define SLICE_MS        10  /* the log file and the process are looked at so often */

static struct vpc_socket_backend *self_of(struct vpc_backend *backend)
{
    return (struct vpc_socket_backend *)backend;
}

void vpc_socket_backend_tell(struct vpc_socket_backend *self, enum vpc_seen_kind kind, int id,
                             const char *text, size_t size)
{
    struct vpc_seen seen = {kind, id, 0, text, size};

    self->saw = true;
    self->config.sink(self->config.user, &seen);
}

void vpc_socket_backend_short(struct vpc_socket_backend *self, const char *what, int error)
{
    char *text;

    if (!vpc_machine_is_short(error))
        return;
    text = vpc_machine_words(what, error);
    vpc_socket_backend_tell(self, VPC_SEEN_BROKEN, 0, text, strlen(text));
    free(text);
}

static uint64_t socket_now(struct vpc_backend *backend)
{
    (void)backend;
    return vpc_real_ms();
}

/* ---- the process ---------------------------------------------------------------------------------------------------- */

struct vpc_process vpc_socket_backend_process(const struct vpc_socket_backend *self)
{
    return (struct vpc_process){
        .folder = self->config.implementation->folder,
        .sandbox = {self->config.sandbox, self->config.dir, self->config.group}};
}

static bool make_dir(struct vpc_socket_backend *self, const char *suffix, char **error)
{
    char *dir = vpc_format("%s/run%s", self->own, suffix);
    bool good = mkdir(dir, 0700) == 0 || errno == EEXIST;

    if (!good)
        *error = vpc_format("%s: can not be made: %s", dir, strerror(errno));
    free(dir);
    return good;
}

static bool socket_start(struct vpc_backend *backend, char **error)
{
    struct vpc_socket_backend *self = self_of(backend);

    self->expected_end = false;
    return vpc_process_start(&self->process, self->command, self->output_path, error);
}

static void socket_kill(struct vpc_backend *backend)
{
    struct vpc_socket_backend *self = self_of(backend);

    vpc_process_end(&self->process);
    vpc_socket_bus_drop(self);
    vpc_socket_controls_drop(self);
}

static void socket_stop(struct vpc_backend *backend, int number)
{
    struct vpc_socket_backend *self = self_of(backend);

    self->expected_end = true;
    vpc_process_signal(&self->process, number);
}

/* Waits for its end; false: nobody knows what it would have done with a processor, *error. */
static bool refuses_in_time(struct vpc_process *second, int *status, char **error)
{
    uint64_t held_up = 0;

    for (int i = 0; i < REFUSE_TIMES && (i == 0 || held_up); i++) {
        struct conform_load load;

        conform_load_begin_process(&load, second);
        for (int waited = 0; waited < REFUSE_MS; waited += REFUSE_SLICE_MS) {
            if (vpc_process_wait(second, status, REFUSE_SLICE_MS))
                return true;
            conform_load_look(&load);
        }
        held_up = conform_load_excuse(&load);
    }
    if (held_up)
        *error =
            vpc_format("the machine held up a second instance, of %d ms for %llu ms: end other "
                       "programs, or give fewer --jobs",
                       REFUSE_MS, (unsigned long long)held_up);
    return held_up == 0;
}

static bool socket_refuses(struct vpc_backend *backend, const struct vpc_arg *option, bool *refused,
                           char **error)
{
    struct vpc_socket_backend *self = self_of(backend);
    struct vpc_process second = vpc_socket_backend_process(self);
    char **command = vpc_socket_backend_instance(self, "-2", option, 1, error);
    int status = 0;
    bool good = command && make_dir(self, "-2", error) &&
                vpc_process_start(&second, command, self->output_path, error);

    good = good && refuses_in_time(&second, &status, error);
    *refused = good && second.pid == 0 && status != 0;
    vpc_process_end(&second);
    vpc_words_free(command);
    return good;
}

static void look_at_folder(struct vpc_socket_backend *self)
{
    static const char full[] = "its run's folder holds more than a run may leave there";
    uint64_t now = socket_now(&self->base);

    if (now < self->folder_due)
        return;
    if (vpc_folder_is_full(self->own))
        vpc_socket_backend_tell(self, VPC_SEEN_CRASHED, 0, full, sizeof(full) - 1);
    self->folder_due = now + FOLDER_MS;
}

static void look_at_process(struct vpc_socket_backend *self)
{
    int status;
    char *how, *words, *text;

    vpc_process_bound_output(self->output_path);
    if (!vpc_process_ended(&self->process, &status))
        return;
    how = vpc_process_status(status);
    words = vpc_process_last_words(self->output_path);
    text = vpc_format("%s%s%s", how, words ? ": " : "", words ? words : "");
    free(how);
    free(words);
    vpc_socket_backend_tell(self,
                            self->expected_end && status == 0 ? VPC_SEEN_STOPPED : VPC_SEEN_CRASHED,
                            0, text, strlen(text));
    free(text);
}

/* ---- lines ------------------------------------------------------------------------------------------------------------ */

static void no_log(struct vpc_socket_backend *self, int error)
{
    static const char strange[] = "its event log is no regular file";

    if (error == EINVAL)
        vpc_socket_backend_tell(self, VPC_SEEN_CRASHED, 0, strange, sizeof(strange) - 1);
    else
        vpc_socket_backend_short(self, "open the log", error);
}

/* A part at a time: a log may grow faster than it is read. */
static void look_at_log(struct vpc_socket_backend *self)
{
    char part[8192];
    ssize_t n;

    if (self->log < 0 && (self->log = vpc_file_open_stranger(self->log_path)) < 0)
        no_log(self, errno);
    for (int parts = 0; self->log >= 0 && parts < LOG_PARTS; parts++) {
        n = read(self->log, part, sizeof(part));
        if (n == 0)
            break;
        if (n < 0) {
            vpc_socket_backend_short(self, "read the log", errno);
            break;
        }
        vpc_buffer_add(&self->log_in, part, (size_t)n);
    }
    vpc_socket_take_lines(self, &self->log_in, VPC_SEEN_LOG, 0);
}

/* ---- step ------------------------------------------------------------------------------------------------------------------ */

static void serve(struct vpc_socket_backend *self, const struct pollfd *fds, size_t controls,
                  size_t locals)
{
    if (fds[0].revents)
        vpc_socket_bus_accept(self);
    else if (fds[1].revents & POLLOUT)
        vpc_socket_bus_write(self);
    if (self->bus >= 0 && fds[1].fd == self->bus && fds[1].revents & (POLLIN | POLLHUP | POLLERR))
        vpc_socket_bus_take_octets(self);
    for (size_t i = 0; i < controls; i++) {
        if (fds[2 + i].revents & POLLOUT)
            vpc_socket_control_write(self, &self->controls[i]);
        if (self->controls[i].fd >= 0 && !self->controls[i].paused &&
            fds[2 + i].revents & (POLLIN | POLLHUP | POLLERR))
            vpc_socket_control_take(self, &self->controls[i]);
    }
    vpc_sockets_serve(&self->locals, fds + 2 + controls, locals);
    vpc_socket_monitor_serve(self, fds + 3 + controls + locals);
}

/* Fills in what is to be polled: listener, bus, control clients, local connections, one more, the monitor; how many are local. */
static size_t to_poll(const struct vpc_socket_backend *self, struct pollfd *fds)
{
    size_t controls = self->control_count, locals;
    bool writes = vpc_buffer_size(&self->bus_out) > 0;

    fds[0] = (struct pollfd){.fd = self->other[0] < 0 ? self->listener : -1, .events = POLLIN};
    fds[1] = (struct pollfd){
        .fd = self->bus_left == 0 && !writes ? -1 : self->bus,
        .events = (short)((self->bus_left == 0 ? 0 : POLLIN) | (writes ? POLLOUT : 0))};
    for (size_t i = 0; i < controls; i++)
        fds[2 + i] = (struct pollfd){
            .fd = vpc_socket_control_fd(&self->controls[i]),
            .events = (short)((self->controls[i].paused ? 0 : POLLIN) |
                              (vpc_buffer_size(&self->controls[i].out) ? POLLOUT : 0))};
    locals = vpc_sockets_poll(&self->locals, fds + 2 + controls);
    fds[2 + controls + locals] = (struct pollfd){.fd = self->extra_fd, .events = POLLIN};
    vpc_socket_monitor_poll(self, fds + 3 + controls + locals);
    return locals;
}

static void turn(struct vpc_socket_backend *self, int timeout)
{
    struct pollfd *fds;
    size_t controls, locals;
    int ready;

    vpc_socket_controls_tidy(self);
    controls = self->control_count;
    fds = vpc_alloc((5 + controls + vpc_sockets_room(&self->locals)) * sizeof(struct pollfd));
    locals = to_poll(self, fds);
    ready = poll(fds, 5 + controls + locals, timeout);
    if (ready > 0)
        serve(self, fds, controls, locals);
    else if (ready < 0 && errno != EINTR) /* EINVAL: more than RLIMIT_NOFILE */
        vpc_socket_backend_short(self, "wait", errno == EINVAL ? EMFILE : errno);
    if (self->serve_extra)
        self->serve_extra(self);
    free(fds);
    look_at_log(self);
    look_at_folder(self);
    look_at_process(self);
}

static void socket_step(struct vpc_backend *backend, uint64_t until)
{
    struct vpc_socket_backend *self = self_of(backend);
    uint64_t now = socket_now(backend);

    self->saw = false;
    do {
        uint64_t left = until > now ? until - now : 0;

        turn(self, left < SLICE_MS ? (int)left : SLICE_MS);
        now = socket_now(backend);
    } while (!self->saw && now < until);
}

/* ---- beginning and end ------------------------------------------------------------------------------------------------------------ */

static void socket_destroy(struct vpc_backend *backend)
{
    struct vpc_socket_backend *self = self_of(backend);
    const int fds[] = {self->listener, self->bus, self->log};

    vpc_process_end(&self->process);
    if (self->output_path)
        vpc_process_bound_output(self->output_path);
    vpc_socket_bus_drop_other(self);
    vpc_socket_monitor_end(self);
    vpc_socket_waiters_end(self);
    vpc_socket_adapters_end(self);
    vpc_socket_controls_end(self);
    vpc_sockets_free(&self->locals);
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    vpc_buffer_free(&self->bus_out);
    vpc_buffer_free(&self->log_in);
    free(self->bus_path);
    free(self->own_bus);
    free(self->log_path);
    free(self->output_path);
    free(self->control_path);
    vpc_words_free(self->command);
    free(self);
}

static bool prepare(struct vpc_socket_backend *self, char **error)
{
    const char *beside = self->config.beside ? self->config.beside : "";

    self->own = self->config.own ? self->config.own : self->config.dir;
    self->bus_path = vpc_format("%s/bus%s", self->config.dir, beside);
    self->own_bus = vpc_format("%s/bus%s", self->own, beside);
    self->log_path = vpc_format("%s/subject%s.log", self->own, beside);
    self->output_path = vpc_format("%s/subject%s.out", self->own, beside);
    self->command = vpc_socket_backend_instance(self, "", self->config.options,
                                                self->config.option_count, error);
    if (self->command)
        self->control_path = vpc_socket_backend_control_path(self, error);
    return self->control_path && make_dir(self, "", error) && vpc_socket_monitor_begin(self, error);
}

bool vpc_socket_backend_begin(struct vpc_socket_backend *self,
                              const struct vpc_backend_config *config, char **error)
{
    self->config = *config;
    self->process = vpc_socket_backend_process(self);
    self->process.descriptors = config->descriptors;
    self->listener = self->bus = self->log = self->extra_fd = -1;
    self->monitor.listener = self->monitor.fd = self->other[0] = self->other[1] = -1;
    self->bus_left = SIZE_MAX;
    self->locals.next_id = 1000;
    self->locals.sink = config->sink;
    self->locals.user = config->user;
    self->locals.saw = &self->saw;
    return prepare(self, error);
}

static struct vpc_backend *socket_create(const struct vpc_backend_config *config, char **error)
{
    struct vpc_socket_backend *self = vpc_alloc(sizeof(*self));

    self->base.ops = &vpc_backend_socket;
    if (vpc_socket_backend_begin(self, config, error))
        return &self->base;
    socket_destroy(&self->base);
    return NULL;
}

const struct vpc_backend_ops vpc_backend_socket = {
    .name = "socket",
    .bit = VPC_SOCKET,
    .real_time = true,
    .create = socket_create,
    .destroy = socket_destroy,
    .start = socket_start,
    .kill = socket_kill,
    .stop = socket_stop,
    .machine = vpc_socket_machine,
    .refuses = socket_refuses,
    .busy = vpc_socket_busy,
    .share = vpc_socket_share,
    .waiter_start = vpc_socket_waiter_start,
    .waiter_ended = vpc_socket_waiter_ended,
    .now = socket_now,
    .step = socket_step,
    .bus_listen = vpc_socket_bus_listen,
    .bus_serve_other = vpc_socket_bus_serve_other,
    .bus_send = vpc_socket_bus_send,
    .bus_unsent = vpc_socket_bus_unsent,
    .bus_read = vpc_socket_bus_read,
    .bus_take = vpc_socket_bus_take,
    .control_open = vpc_socket_control_open,
    .control_line = vpc_socket_control_line,
    .control_octets = vpc_socket_control_octets,
    .control_read = vpc_socket_control_read,
    .control_close = vpc_socket_control_close,
    .pipe_open = vpc_socket_pipe_open,
    .tcp_mode = vpc_socket_tcp_mode,
    .real_port = vpc_socket_real_port,
    .local_send = vpc_socket_local_send,
    .local_shutdown = vpc_socket_local_shutdown,
    .local_close = vpc_socket_local_close,
    .local_abort = vpc_socket_local_abort,
    .local_read = vpc_socket_local_read,
    .local_take = vpc_socket_local_take,
    .local_unsent = vpc_socket_local_unsent,
};
