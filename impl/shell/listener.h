/* SPDX-License-Identifier: MIT */
/* Sockets that listen. */
#ifndef VPC_LISTENER_H
#define VPC_LISTENER_H

#include <sys/types.h>

#include "loop.h"

struct vpc_shell;

struct vpc_listener {
    struct vpc_watch watch;   /* .fd -1 when it does not listen (any more) */
    struct vpc_timer backoff; /* armed while accept() has no descriptors */
    bool (*welcomes)(struct vpc_listener *listener, int fd); /* whether this client may come in */
    char *path;    /* of any length; NULL: it is not open */
    uint32_t pipe; /* what the opener knows it by; it is a pipe's */
    bool is_pipe;
    const gid_t *group;      /* whose members may come in; NULL: nobody but root and our own user */
    const char *refusal;     /* what a client of another user is told; NULL: nothing */
    uint64_t refused;        /* such clients since the last entry in the log */
    uint64_t refused_log_at; /* no entry before */
    bool is_short;           /* the log knows that there are no descriptors */
    struct vpc_shell *shell;
    void (*on_client)(struct vpc_listener *listener, int fd);
    void *owner;
};

void vpc_listener_init(struct vpc_listener *listener, struct vpc_shell *shell,
                       void (*on_client)(struct vpc_listener *listener, int fd), void *owner);
/* Takes over a socket that listens; path is what the log calls it.  0, or an errno: to be closed all the same. */
int vpc_listener_adopt(struct vpc_listener *listener, int fd, const char *path);
/* Stops listening and keeps the name. */
void vpc_listener_mute(struct vpc_listener *listener);
void vpc_listener_pause(struct vpc_listener *listener, bool pause);
/* Stops listening and gives back the name. */
void vpc_listener_close(struct vpc_listener *listener);
/* Closes a client's socket after a last text (NULL: none), which it can read whatever it has written. */
void vpc_listener_turn_away(int fd, const char *text);
/*
 * Before a Unix socket is closed: one that is closed with unread octets gives its peer ECONNRESET, where it
 * shall read the end of the file.  After the shutdown no more can come, so this ends.
 */
void vpc_socket_read_off(int fd);

#endif
