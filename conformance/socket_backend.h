/* SPDX-License-Identifier: MIT */
/* The socket backend's state, which the QEMU backend of a host endpoint builds on. */
#ifndef VPC_CONFORM_SOCKET_BACKEND_H
#define VPC_CONFORM_SOCKET_BACKEND_H

#include "backend.h"
#include "memory.h"
#include "process.h"
#include "socket_io.h"

struct vpc_control {
    int client;
    int fd;
    struct vpc_buffer in, out;
};

struct vpc_socket_backend {
    struct vpc_backend base;
    struct vpc_backend_config config;
    struct vpc_process process;
    struct vpc_sockets locals;
    struct vpc_control *controls;
    size_t control_count;
    char *bus_path, *log_path, *output_path, *control_path, *command;
    int listener, bus, log;
    struct vpc_buffer bus_out, log_in;
    int extra_fd; /* of a bus that is no socket, polled too; -1: none */
    void (*serve_extra)(struct vpc_socket_backend *self);
    bool bus_paused, saw, expected_end;
};

/* Fills a zeroed value, its base.ops apart; destroy it in any case. */
bool vpc_socket_backend_begin(struct vpc_socket_backend *self,
                              const struct vpc_backend_config *config, char **error);
/* Tells the sink. */
void vpc_socket_backend_tell(struct vpc_socket_backend *self, enum vpc_seen_kind kind, int id,
                             const char *text, size_t size);

#endif
