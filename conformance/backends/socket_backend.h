/* SPDX-License-Identifier: MIT */
/* The socket backend's state, which the QEMU backend of a host endpoint builds on. */
#ifndef VPC_CONFORM_SOCKET_BACKEND_H
#define VPC_CONFORM_SOCKET_BACKEND_H

#include <poll.h>

#include "backends/backend.h"
#include "backends/process.h"
#include "backends/socket_io.h"
#include "memory.h"

struct conform_control {
    int client;
    int fd;
    bool paused; /* the harness does not read it */
    bool shut;   /* it finishes writing after what waits */
    struct vpc_buffer in, out;
};

/* A program that waits for the ready event. */
struct vpc_waiting {
    int id;
    struct vpc_process process;
    int status; /* -1: it still waits */
};

/* What tells a host endpoint of its machine (socket_monitor.c). */
struct vpc_socket_monitor {
    char *path;
    const char *status; /* of the machine, as QEMU calls it */
    int listener, fd;   /* -1: nobody listens; it has no client */
    bool ready;         /* its client has asked for the commands */
    struct vpc_buffer in;
};

struct vpc_socket_backend {
    struct vpc_backend base;
    struct vpc_backend_config config;
    struct vpc_process process;
    struct vpc_sockets locals;
    struct conform_control *controls;
    size_t control_count;
    struct vpc_process *adapters;
    size_t adapter_count;
    struct vpc_waiting *waiters;
    size_t waiter_count;
    const char *own; /* the folder of the run, for what this process opens in it */
    char *bus_path, *own_bus, *log_path, *output_path, *control_path, **command;
    int listener, bus, log;
    int other[2]; /* both ends of another program's connection to the bus; -1: there is none */
    struct vpc_buffer bus_out, log_in;
    struct vpc_socket_monitor monitor;
    int extra_fd; /* of a bus that is no socket, polled too; -1: none */
    void (*serve_extra)(struct vpc_socket_backend *self);
    size_t bus_left; /* octets that are still read off the bus; SIZE_MAX: all */
    bool saw, expected_end;
    uint64_t folder_due; /* when the folder is looked at */
};

/* Fills a zeroed value, its base.ops apart; destroy it in any case. */
bool vpc_socket_backend_begin(struct vpc_socket_backend *self,
                              const struct vpc_backend_config *config, char **error);
/*
 * A command of the descriptor, filled in; suffix parts the files of a second instance from those of the
 * first.  key is its name there, for the error; options (NULL: none) and seconds are what %{options} and
 * %{seconds} stand for.  NULL: *error.
 */
char **vpc_socket_backend_command(struct vpc_socket_backend *self, const char *key,
                                  const char *text, const char *suffix, char *const *options,
                                  const char *seconds, char **error);
/* The command of an instance with its settings; as vpc_socket_backend_command(). */
char **vpc_socket_backend_instance(struct vpc_socket_backend *self, const char *suffix,
                                   const struct vpc_arg *settings, size_t count, char **error);
/* Where the first instance's control socket is; NULL: *error. */
char *vpc_socket_backend_control_path(struct vpc_socket_backend *self, char **error);
/* Tells the sink. */
void vpc_socket_backend_tell(struct vpc_socket_backend *self, enum vpc_seen_kind kind, int id,
                             const char *text, size_t size);

/* Tells that the harness can not do something, and why, when that is the machine's fault; else nothing. */
void vpc_socket_backend_short(struct vpc_socket_backend *self, const char *what, int error);

/* A program of the implementation, before it is started: where, and how it is shut in. */
struct vpc_process vpc_socket_backend_process(const struct vpc_socket_backend *self);

/* socket_bus.c: the bus; the first five are ops. */
bool vpc_socket_bus_listen(struct vpc_backend *backend, bool on, char **error);
bool vpc_socket_bus_serve_other(struct vpc_backend *backend, char **error);
void vpc_socket_bus_send(struct vpc_backend *backend, const void *octets, size_t n);
size_t vpc_socket_bus_unsent(struct vpc_backend *backend);
void vpc_socket_bus_read(struct vpc_backend *backend, bool on);
void vpc_socket_bus_take(struct vpc_backend *backend, size_t octets);
/* For whoever polled: the listener or the bus is ready. */
void vpc_socket_bus_accept(struct vpc_socket_backend *self);
void vpc_socket_bus_write(struct vpc_socket_backend *self);
void vpc_socket_bus_take_octets(struct vpc_socket_backend *self);
/* Nobody else has it any more. */
void vpc_socket_bus_drop_other(struct vpc_socket_backend *self);
/* Closes the connection, if there is one, and tells it. */
void vpc_socket_bus_drop(struct vpc_socket_backend *self);

/* socket_monitor.c: the machine's monitor; an op. */
void vpc_socket_machine(struct vpc_backend *backend, enum vpc_vm_action action);
/* It listens from the beginning where the subject is told of its machine. */
bool vpc_socket_monitor_begin(struct vpc_socket_backend *self, char **error);
void vpc_socket_monitor_end(struct vpc_socket_backend *self);
/* For whoever polls: how many, always two. */
size_t vpc_socket_monitor_poll(const struct vpc_socket_backend *self, struct pollfd fds[2]);
void vpc_socket_monitor_serve(struct vpc_socket_backend *self, const struct pollfd fds[2]);

/* socket_locals.c: ops for local connections. */
int vpc_socket_pipe_open(struct vpc_backend *backend, int conn, const char *name, const char *path);
bool vpc_socket_tcp_mode(struct vpc_backend *backend, uint16_t port, enum vpc_tcp_mode mode,
                         char **error);
uint16_t vpc_socket_real_port(struct vpc_backend *backend, uint16_t port);
void vpc_socket_local_send(struct vpc_backend *backend, int conn, const void *octets, size_t n);
void vpc_socket_local_shutdown(struct vpc_backend *backend, int conn);
void vpc_socket_local_close(struct vpc_backend *backend, int conn);
void vpc_socket_local_abort(struct vpc_backend *backend, int conn);
void vpc_socket_local_read(struct vpc_backend *backend, int conn, bool on);
void vpc_socket_local_take(struct vpc_backend *backend, int conn, size_t octets);
size_t vpc_socket_local_unsent(struct vpc_backend *backend, int conn);

/* socket_control.c: control clients; the first five are ops. */
bool vpc_socket_control_open(struct vpc_backend *backend, int client);
void vpc_socket_control_line(struct vpc_backend *backend, int client, const char *line, size_t n);
void vpc_socket_control_octets(struct vpc_backend *backend, int client, const char *octets,
                               size_t n);
void vpc_socket_control_read(struct vpc_backend *backend, int client, bool on);
void vpc_socket_control_close(struct vpc_backend *backend, int client);
void vpc_socket_control_write(struct vpc_socket_backend *self, struct conform_control *one);
/* Forgets those that are closed. */
void vpc_socket_controls_tidy(struct vpc_socket_backend *self);
/* Closes all, and tells it; frees what they took, and tells nothing. */
void vpc_socket_controls_drop(struct vpc_socket_backend *self);
void vpc_socket_controls_end(struct vpc_socket_backend *self);
void vpc_socket_control_take(struct vpc_socket_backend *self, struct conform_control *one);
/* For poll(); -1 when there is nothing to wait for. */
int vpc_socket_control_fd(const struct conform_control *one);
/* Tells each whole line of the buffer. */
void vpc_socket_take_lines(struct vpc_socket_backend *self, struct vpc_buffer *in,
                           enum vpc_seen_kind kind, int id);

/* socket_watch.c: ops of the backend about what is no octet. */
bool vpc_socket_share(struct vpc_backend *backend, struct vpc_share *share);
bool vpc_socket_busy(struct vpc_backend *backend, uint64_t *us, char **error);
bool vpc_socket_waiter_start(struct vpc_backend *backend, int waiter, uint64_t limit_ms,
                             char **error);
int vpc_socket_waiter_ended(struct vpc_backend *backend, int waiter);
void vpc_socket_waiters_end(struct vpc_socket_backend *self);

/* socket_adapter.c: the implementation's adapter in place of its control socket and its pipes. */
/* The harness's end of a control connection, or of the open pipe; -1 with errno: ECONNREFUSED when the pipe
 * is refused, EPROTO when the adapter answers something else or nothing. */
int vpc_socket_adapter_control(struct vpc_socket_backend *self);
int vpc_socket_adapter_pipe(struct vpc_socket_backend *self, const char *name, const char *path);
void vpc_socket_adapters_end(struct vpc_socket_backend *self);

#endif
