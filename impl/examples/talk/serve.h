/* SPDX-License-Identifier: MIT */
/* A TCP server on the guest's 127.0.0.1, a process for each connection. */
#ifndef SERVE_H
#define SERVE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SERVE_ANYBODY ((uid_t)-1)

struct server {
    const char *program;
    int fd;        /* listens */
    unsigned most; /* connections at once; those beyond are closed at once */
    uid_t peer;    /* whose connections are taken, or SERVE_ANYBODY */
    int (*talk)(int fd, const void *user); /* in a process of its own; answers its exit status */
    const void *user;
};

/*
 * Listens on a port of 127.0.0.1; or, as systemd has it, takes descriptor 3 when LISTEN_PID and LISTEN_FDS say so.
 * Answers the descriptor, or -1 after it said on standard error what is wrong.
 */
int serve_listen(const char *program, const char *port);
/* Serves until SIGTERM or SIGINT: exit status 0; or 1 after an error. */
int serve_run(const struct server *server);

/*
 * Whose socket is at the other end of a connection on this machine: 0, or -1 when that can't be said.  The
 * kernel's table of TCP tells the owner of a socket only while its program holds it: of one that was closed it
 * says root.  So it is asked twice, and the second time the socket must still be held.
 */
int serve_peer(int fd, uid_t *uid);

#endif
