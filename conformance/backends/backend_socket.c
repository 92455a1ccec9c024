/* SPDX-License-Identifier: MIT */
/*
 * The socket backend: a process on a real Unix socket as its bus, in real time.
 *
 * Events: the bus (the harness listens, the subject comes), control clients, local connections (socket_io.c), lines of the
 * log file, the end of the process.  step() polls all of them until one was seen.  Nothing blocks but poll; what may
 * never happen: a subject that outlives its run, hence process.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
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
#define SLICE_MS     10   /* the log file and the process are looked at so often */

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

/* The files of an instance, as placeholders have them. */
struct names {
    char *bus, *dir, *log, *control;
};

static struct names names_of(const struct vpc_socket_backend *self, const char *suffix)
{
    const char *dir = self->config.dir, *beside = self->config.beside ? self->config.beside : "";

    return (struct names){vpc_format("%s/bus%s%s", dir, beside, suffix),
                          vpc_format("%s/run%s", dir, suffix),
                          vpc_format("%s/subject%s%s.log", dir, beside, suffix),
                          vpc_format("%s/control%s%s", dir, beside, suffix)};
}

static void names_free(struct names *names)
{
    free(names->bus);
    free(names->dir);
    free(names->log);
    free(names->control);
}

/* Takes over the error without a place. */
static void *misfit(const struct vpc_socket_backend *self, const char *key, char *why, char **error)
{
    *error = vpc_format("%s: %s in [process]: %s", self->config.implementation->path, key, why);
    free(why);
    return NULL;
}

char **vpc_socket_backend_command(struct vpc_socket_backend *self, const char *key,
                                  const char *text, const char *suffix, char *const *options,
                                  const char *seconds, char **error)
{
    static char *const none[] = {NULL};
    struct names names = names_of(self, suffix);
    const struct vpc_value values[] = {{.name = "build", .text = self->config.build},
                                       {.name = "bus", .text = names.bus},
                                       {.name = "dir", .text = names.dir},
                                       {.name = "log", .text = names.log},
                                       {.name = "control", .text = names.control},
                                       {.name = "vm", .text = self->config.vm},
                                       {.name = "tag", .text = self->config.tag},
                                       {.name = "options", .words = options ? options : none},
                                       {.name = "seconds", .text = seconds},
                                       {.name = NULL}};
    char *why = NULL, **words = vpc_words_fill(text, values, &why);

    names_free(&names);
    return why ? misfit(self, key, why, error) : words;
}

static char *control_path(struct vpc_socket_backend *self, char **error)
{
    struct names names = names_of(self, "");
    const struct vpc_value values[] = {{.name = "build", .text = self->config.build},
                                       {.name = "bus", .text = names.bus},
                                       {.name = "dir", .text = names.dir},
                                       {.name = "control", .text = names.control},
                                       {.name = "vm", .text = self->config.vm},
                                       {.name = "tag", .text = self->config.tag},
                                       {.name = NULL}};
    char *why = NULL, *path = vpc_fill(self->config.implementation->control, values, &why);

    names_free(&names);
    return why ? misfit(self, "control", why, error) : path;
}

/* The command of an instance with its settings; NULL: *error. */
static char **instance(struct vpc_socket_backend *self, const char *suffix,
                       const struct vpc_arg *settings, size_t count, char **error)
{
    const struct vpc_implementation *implementation = self->config.implementation;
    char **options = conform_options(implementation, settings, count, error);
    char **words = options ? vpc_socket_backend_command(self, "command", implementation->command,
                                                        suffix, options, "", error)
                           : NULL;

    vpc_words_free(options);
    return words;
}

struct vpc_process vpc_socket_backend_process(const struct vpc_socket_backend *self)
{
    return (struct vpc_process){.folder = self->config.implementation->folder,
                                .sandbox = {self->config.sandbox, self->config.dir}};
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

static void drop_controls(struct vpc_socket_backend *self)
{
    for (size_t i = 0; i < self->control_count; i++) {
        struct conform_control *one = &self->controls[i];

        if (one->fd < 0)
            continue;
        close(one->fd);
        one->fd = -1;
        vpc_socket_backend_tell(self, VPC_SEEN_CONTROL_EOF, one->client, NULL, 0);
    }
}

static void drop_bus(struct vpc_socket_backend *self)
{
    if (self->bus < 0)
        return;
    close(self->bus);
    self->bus = -1;
    vpc_buffer_free(&self->bus_out);
    vpc_socket_backend_tell(self, VPC_SEEN_BUS_DOWN, 0, NULL, 0);
}

static void socket_kill(struct vpc_backend *backend)
{
    struct vpc_socket_backend *self = self_of(backend);

    vpc_process_end(&self->process);
    drop_bus(self);
    drop_controls(self);
}

static void socket_stop(struct vpc_backend *backend)
{
    struct vpc_socket_backend *self = self_of(backend);

    self->expected_end = true;
    vpc_process_signal(&self->process, SIGTERM);
}

/* Waits for its end; false: nobody knows what it would have done with a processor, *error. */
static bool refuses_in_time(struct vpc_process *second, int *status, char **error)
{
    uint64_t held_up = 0;

    for (int i = 0; i < REFUSE_TIMES && (i == 0 || held_up); i++) {
        struct conform_load load;

        conform_load_begin_process(&load, second);
        if (vpc_process_wait(second, status, REFUSE_MS))
            return true;
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
    char **command = instance(self, "-2", option, 1, error);
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

/* ---- the bus ----------------------------------------------------------------------------------------------------------- */

static bool socket_bus_listen(struct vpc_backend *backend, bool on, char **error)
{
    struct vpc_socket_backend *self = self_of(backend);

    if (on && self->listener < 0) {
        self->listener = vpc_unix_listen(self->own_bus);
        if (self->listener < 0)
            *error = vpc_format("%s: %s", self->bus_path, strerror(errno));
        return self->listener >= 0;
    }
    if (!on && self->listener >= 0) {
        close(self->listener);
        self->listener = -1;
        unlink(self->own_bus);
        drop_bus(self);
    }
    return true;
}

static void accept_bus(struct vpc_socket_backend *self)
{
    int fd = accept4(self->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0) {
        vpc_socket_backend_short(self, "accept the bus", errno);
        return;
    }
    drop_bus(self);
    self->bus = fd;
    vpc_socket_backend_tell(self, VPC_SEEN_BUS_UP, 0, NULL, 0);
}

static void write_bus(struct vpc_socket_backend *self)
{
    while (self->bus >= 0 && vpc_buffer_size(&self->bus_out) > 0) {
        ssize_t n = send(self->bus, vpc_buffer_head(&self->bus_out),
                         vpc_buffer_size(&self->bus_out), MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            int error = errno;

            vpc_socket_backend_short(self, "send on the bus", error);
            if (error != EAGAIN) /* it never goes out: nobody is to wait for it */
                vpc_buffer_free(&self->bus_out);
            return;
        }
        vpc_buffer_drop(&self->bus_out, (size_t)n);
    }
}

/* A piece goes out by itself where the socket takes it within a moment, so that the subject may read it so. */
static void socket_bus_send(struct vpc_backend *backend, const void *octets, size_t n)
{
    struct vpc_socket_backend *self = self_of(backend);
    struct pollfd wait = {.fd = self->bus, .events = POLLOUT};
    bool waited = vpc_buffer_size(&self->bus_out) > 0;

    vpc_buffer_add(&self->bus_out, octets, n);
    if (waited)
        return;
    write_bus(self);
    if (vpc_buffer_size(&self->bus_out) > 0 && poll(&wait, 1, 50) > 0)
        write_bus(self);
}

static size_t socket_bus_unsent(struct vpc_backend *backend)
{
    return vpc_buffer_size(&self_of(backend)->bus_out);
}

static void read_bus(struct vpc_socket_backend *self)
{
    char part[65536];
    ssize_t n = recv(self->bus, part, vpc_read_size(sizeof(part), self->bus_left), 0);

    if (n > 0) {
        vpc_read_note((size_t)n, &self->bus_left);
        vpc_socket_backend_tell(self, VPC_SEEN_BUS_OCTETS, 0, part, (size_t)n);
    } else if (n < 0 && vpc_machine_is_short(errno)) {
        vpc_socket_backend_short(self, "read the bus", errno);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        drop_bus(self);
    }
}

static void socket_bus_take(struct vpc_backend *backend, size_t octets)
{
    self_of(backend)->bus_left = octets;
}

static void socket_bus_read(struct vpc_backend *backend, bool on)
{
    socket_bus_take(backend, on ? SIZE_MAX : 0);
}

/* ---- step ------------------------------------------------------------------------------------------------------------------ */

static void serve(struct vpc_socket_backend *self, const struct pollfd *fds, size_t controls,
                  size_t locals)
{
    if (fds[0].revents)
        accept_bus(self);
    else if (fds[1].revents & POLLOUT)
        write_bus(self);
    if (self->bus >= 0 && fds[1].fd == self->bus && fds[1].revents & (POLLIN | POLLHUP | POLLERR))
        read_bus(self);
    for (size_t i = 0; i < controls; i++) {
        if (fds[2 + i].revents & POLLOUT)
            vpc_socket_control_write(self, &self->controls[i]);
        if (self->controls[i].fd >= 0 && !self->controls[i].paused &&
            fds[2 + i].revents & (POLLIN | POLLHUP | POLLERR))
            vpc_socket_control_take(self, &self->controls[i]);
    }
    vpc_sockets_serve(&self->locals, fds + 2 + controls, locals);
}

/* Fills in what is to be polled: listener, bus, control clients, local connections, and one more; how many are local. */
static size_t to_poll(const struct vpc_socket_backend *self, struct pollfd *fds)
{
    size_t controls = self->control_count, locals;
    bool writes = vpc_buffer_size(&self->bus_out) > 0;

    fds[0] = (struct pollfd){.fd = self->listener, .events = POLLIN};
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
    return locals;
}

static void turn(struct vpc_socket_backend *self, int timeout)
{
    struct pollfd *fds;
    size_t controls, locals;
    int ready;

    vpc_socket_controls_tidy(self);
    controls = self->control_count;
    fds = vpc_alloc((3 + controls + vpc_sockets_room(&self->locals)) * sizeof(struct pollfd));
    locals = to_poll(self, fds);
    ready = poll(fds, 3 + controls + locals, timeout);
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

/* ---- local connections -------------------------------------------------------------------------------------------------------- */

static int socket_pipe_open(struct vpc_backend *backend, int conn, const char *name,
                            const char *path)
{
    struct vpc_socket_backend *self = self_of(backend);
    bool adapted = self->config.implementation->adapter != NULL;

    return vpc_sockets_join(&self->locals, conn,
                            adapted ? vpc_socket_adapter_pipe(self, name, path)
                                    : vpc_unix_connect(path));
}

static bool socket_tcp_mode(struct vpc_backend *backend, uint16_t port, enum vpc_tcp_mode mode,
                            char **error)
{
    return vpc_sockets_mode(&self_of(backend)->locals, port, mode, error);
}

/* A host endpoint's port is only a number; a guest's is one of this machine. */
static uint16_t socket_real_port(struct vpc_backend *backend, uint16_t port)
{
    struct vpc_socket_backend *self = self_of(backend);

    return self->config.implementation->role == VPC_FROM_HOST
               ? port
               : vpc_sockets_port(&self->locals, port);
}

static void socket_local_send(struct vpc_backend *backend, int conn, const void *octets, size_t n)
{
    struct vpc_socket *one = vpc_sockets_find(&self_of(backend)->locals, conn);

    if (one == NULL)
        return;
    vpc_buffer_add(&one->out, octets, n);
    vpc_socket_write(&self_of(backend)->locals, one);
}

static void socket_local_shutdown(struct vpc_backend *backend, int conn)
{
    struct vpc_socket *one = vpc_sockets_find(&self_of(backend)->locals, conn);

    if (one == NULL)
        return;
    one->shut = true;
    vpc_socket_write(&self_of(backend)->locals, one);
}

static void socket_local_close(struct vpc_backend *backend, int conn)
{
    struct vpc_socket *one = vpc_sockets_find(&self_of(backend)->locals, conn);

    if (one == NULL)
        return;
    one->close_after = true;
    vpc_socket_write(&self_of(backend)->locals, one);
}

static void socket_local_abort(struct vpc_backend *backend, int conn)
{
    struct vpc_socket *one = vpc_sockets_find(&self_of(backend)->locals, conn);

    if (one)
        vpc_socket_abort(&self_of(backend)->locals, one);
}

static void socket_local_take(struct vpc_backend *backend, int conn, size_t octets)
{
    struct vpc_socket *one = vpc_sockets_find(&self_of(backend)->locals, conn);

    if (one)
        one->left = octets;
}

static void socket_local_read(struct vpc_backend *backend, int conn, bool on)
{
    socket_local_take(backend, conn, on ? SIZE_MAX : 0);
}

static size_t socket_local_unsent(struct vpc_backend *backend, int conn)
{
    struct vpc_socket *one = vpc_sockets_find(&self_of(backend)->locals, conn);

    return one ? vpc_buffer_size(&one->out) : 0;
}

/* ---- beginning and end ------------------------------------------------------------------------------------------------------------ */

static void socket_destroy(struct vpc_backend *backend)
{
    struct vpc_socket_backend *self = self_of(backend);

    vpc_process_end(&self->process);
    if (self->output_path)
        vpc_process_bound_output(self->output_path);
    vpc_socket_waiters_end(self);
    vpc_socket_adapters_end(self);
    for (size_t i = 0; i < self->control_count; i++) {
        if (self->controls[i].fd >= 0)
            close(self->controls[i].fd);
        vpc_buffer_free(&self->controls[i].in);
        vpc_buffer_free(&self->controls[i].out);
    }
    vpc_sockets_free(&self->locals);
    if (self->listener >= 0)
        close(self->listener);
    if (self->bus >= 0)
        close(self->bus);
    if (self->log >= 0)
        close(self->log);
    vpc_buffer_free(&self->bus_out);
    vpc_buffer_free(&self->log_in);
    free(self->controls);
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
    self->command = instance(self, "", self->config.options, self->config.option_count, error);
    if (self->command)
        self->control_path = control_path(self, error);
    return self->control_path && make_dir(self, "", error);
}

bool vpc_socket_backend_begin(struct vpc_socket_backend *self,
                              const struct vpc_backend_config *config, char **error)
{
    self->config = *config;
    self->process = vpc_socket_backend_process(self);
    self->process.descriptors = config->descriptors;
    self->listener = self->bus = self->log = self->extra_fd = -1;
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
    .refuses = socket_refuses,
    .busy = vpc_socket_busy,
    .share = vpc_socket_share,
    .waiter_start = vpc_socket_waiter_start,
    .waiter_ended = vpc_socket_waiter_ended,
    .now = socket_now,
    .step = socket_step,
    .bus_listen = socket_bus_listen,
    .bus_send = socket_bus_send,
    .bus_unsent = socket_bus_unsent,
    .bus_read = socket_bus_read,
    .bus_take = socket_bus_take,
    .control_open = vpc_socket_control_open,
    .control_line = vpc_socket_control_line,
    .control_octets = vpc_socket_control_octets,
    .control_read = vpc_socket_control_read,
    .control_close = vpc_socket_control_close,
    .pipe_open = socket_pipe_open,
    .tcp_mode = socket_tcp_mode,
    .real_port = socket_real_port,
    .local_send = socket_local_send,
    .local_shutdown = socket_local_shutdown,
    .local_close = socket_local_close,
    .local_abort = socket_local_abort,
    .local_read = socket_local_read,
    .local_take = socket_local_take,
    .local_unsent = socket_local_unsent,
};
