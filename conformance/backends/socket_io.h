/* SPDX-License-Identifier: MIT */
/*
 * The local connections of the socket backend: pipe clients, TCP servers and what they accepted.
 *
 * Ownership: one value of the backend owns all descriptors.  Nothing blocks.  What the machine does not let
 * the harness do is told as BROKEN, and is nobody else's fault.  Ports are those of scripts; each stands for
 * a free port of this machine, which is held from its first use on, so that a port nobody listens at refuses.
 */
#ifndef VPC_CONFORM_SOCKET_IO_H
#define VPC_CONFORM_SOCKET_IO_H

#include <poll.h>

#include "backends/backend.h"
#include "memory.h"

struct vpc_socket {
    int id;
    int fd;      /* -1: closed */
    size_t left; /* octets that are still read; SIZE_MAX: all */
    bool unix_domain, eof;
    bool over;              /* neither an end nor a reset can still come */
    bool shut, close_after; /* when out is empty */
    struct vpc_buffer out;
};

struct vpc_server {
    uint16_t port; /* the script's */
    uint16_t real;
    int fd;
    enum vpc_tcp_mode mode;
    int fillers[4]; /* of a deaf one: connections that fill its queue */
};

struct vpc_sockets {
    struct vpc_socket *sockets;
    size_t socket_count;
    struct vpc_server *servers;
    size_t server_count;
    int next_id;
    vpc_sink_fn *sink;
    void *user;
    bool *saw;
};

/* Takes over a connected socket; 0, or errno when fd is -1, and BROKEN is told when that is the machine's. */
int vpc_sockets_join(struct vpc_sockets *all, int id, int fd);
struct vpc_socket *vpc_sockets_find(struct vpc_sockets *all, int id);
bool vpc_sockets_mode(struct vpc_sockets *all, uint16_t port, enum vpc_tcp_mode mode, char **error);
/* 0, with BROKEN told, when there is none. */
uint16_t vpc_sockets_port(struct vpc_sockets *all, uint16_t port);
/* How many may be to be polled; those that are closed are forgotten: poll() counts them too. */
size_t vpc_sockets_room(struct vpc_sockets *all);
/* Adds what is to be polled; returns how many.  room is at least vpc_sockets_room(). */
size_t vpc_sockets_poll(const struct vpc_sockets *all, struct pollfd *fds);
/* Does what the polled descriptors allow. */
void vpc_sockets_serve(struct vpc_sockets *all, const struct pollfd *fds, size_t count);
void vpc_socket_write(struct vpc_sockets *all, struct vpc_socket *one);
void vpc_socket_abort(struct vpc_sockets *all, struct vpc_socket *one);
void vpc_sockets_free(struct vpc_sockets *all);

/* How many octets to read of what still is to be read (SIZE_MAX: all), and that n of them came. */
size_t vpc_read_size(size_t room, size_t left);
void vpc_read_note(size_t n, size_t *left);

/* A Unix stream socket, non-blocking: listening at, or connected to the path.  -1 with errno. */
int vpc_unix_listen(const char *path);
int vpc_unix_connect(const char *path);
/* The same where a forward listens: a path, "127.0.0.1:PORT" or "[::1]:PORT". */
int vpc_forward_connect(const char *where);

#endif
