/* SPDX-License-Identifier: MIT */
/* The name of a Unix socket that listens: its owner's alone, over all processes.  Results are 0 or an errno. */
#ifndef VPC_NAMED_SOCKET_H
#define VPC_NAMED_SOCKET_H

#include <sys/types.h>

/* One that has no name has lock -1: {.lock = -1}. */
struct vpc_named_socket {
    int lock;
    char *path, *lock_path; /* of any length */
    dev_t device;           /* of the socket that was made; nothing else is removed */
    ino_t number;
};

struct vpc_named_socket_options {
    const char *name;   /* who listens at any path of it has the lock on it; NULL: the path */
    const char *path;   /* where the socket is */
    const char *owner;  /* of what it leaves when it is killed: the name of its virtual machine */
    const gid_t *group; /* whose members may connect; NULL: its owner alone */
    int backlog;
};

/*
 * Takes the name; *fd is a socket that listens there, and does not block.  EADDRINUSE: another process, or another part of
 * this one, has the name; EEXIST: what stands there is no socket, and stays.
 */
int vpc_named_socket_open(struct vpc_named_socket *named,
                          const struct vpc_named_socket_options *options, int *fd);

/* Removes the socket, and gives back the name. */
void vpc_named_socket_close(struct vpc_named_socket *named);

/* Removes the pipes' sockets that a killed owner left below the runtime folder `root`, and nobody else's. */
void vpc_named_sockets_clear(const char *root, const char *owner);

#endif
