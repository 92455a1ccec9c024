/* SPDX-License-Identifier: MIT */
/* What the two files of the QEMU backend of a guest endpoint share. */
#ifndef VPC_CONFORM_QEMU_H
#define VPC_CONFORM_QEMU_H

#include "machine.h"
#include "memory.h"

#define GUEST_FOLDER "/tmp/conform" /* begins the names of the subject's files in the guest */

enum thing_kind { THING_SUBJECT, THING_SECOND, THING_LOG, THING_CONTROL, THING_SERVER, THING_TCP };

struct thing {
    enum thing_kind kind;
    uint32_t handle; /* 0: it is no more */
    int id;
    uint16_t port;
    bool opened, ended, closing;
    int status; /* of a command */
    bool shut;  /* when out is empty */
    struct vpc_buffer in, out;
};

struct qemu {
    struct vpc_backend base;
    struct vpc_backend_config config;
    struct vpc_machine machine;
    struct thing **things;
    size_t thing_count;
    char *command;
    int bus;
    struct vpc_buffer bus_out;
    bool listening, bus_paused, saw, stopping, dying;
    int next_conn;
};

struct vpc_puppet *vpc_qemu_puppet(struct qemu *self);
struct thing *vpc_qemu_add(struct qemu *self, enum thing_kind kind, uint32_t handle, int id);
struct thing *vpc_qemu_find(struct qemu *self, enum thing_kind kind, int id);
/* Sends what waits, as far as the puppet takes it. */
void vpc_qemu_push(struct qemu *self, struct thing *thing);
/* Serves everything until the thing was opened, or (end) has ended; false if it was not in time. */
bool vpc_qemu_await(struct qemu *self, struct thing *thing, bool end);

/* The backend's functions about control clients and TCP, of qemu_local.c. */
bool vpc_qemu_control_open(struct vpc_backend *backend, int client);
void vpc_qemu_control_line(struct vpc_backend *backend, int client, const char *line, size_t n);
void vpc_qemu_control_close(struct vpc_backend *backend, int client);
int vpc_qemu_pipe_open(struct vpc_backend *backend, int conn, const char *name, const char *path);
bool vpc_qemu_tcp_mode(struct vpc_backend *backend, uint16_t port, enum vpc_tcp_mode mode,
                       char **error);
uint16_t vpc_qemu_real_port(struct vpc_backend *backend, uint16_t port);
void vpc_qemu_local_send(struct vpc_backend *backend, int conn, const void *octets, size_t n);
void vpc_qemu_local_shutdown(struct vpc_backend *backend, int conn);
void vpc_qemu_local_close(struct vpc_backend *backend, int conn);
void vpc_qemu_local_abort(struct vpc_backend *backend, int conn);
void vpc_qemu_local_read(struct vpc_backend *backend, int conn, bool on);
size_t vpc_qemu_local_unsent(struct vpc_backend *backend, int conn);

#endif
