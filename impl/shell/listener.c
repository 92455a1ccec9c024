/* SPDX-License-Identifier: MIT */
/* Sockets that listen; the opener made those that have a name (named_socket.h). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "group.h"
#include "shell_internal.h"

static bool out_of_resources(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* Of a hundred in a second one entry tells: nobody can fill the log so. */
static void log_refused(struct vpc_listener *listener, uid_t uid)
{
    struct vpc_shell *shell = listener->shell;

    listener->refused++;
    if (shell->loop.now < listener->refused_log_at)
        return;
    vpc_shell_log(shell, VPC_LOG_CLIENT_REFUSED,
                  json_pack("{s:s, s:I, s:I, s:s}", "socket", listener->path, "uid",
                            (json_int_t)uid, "count", (json_int_t)listener->refused, "cause",
                            "another user's program"));
    listener->refused = 0;
    listener->refused_log_at = shell->loop.now + VPC_REFUSED_LOG_MS;
}

/* Only root, our own user and our group come in, whatever the modes of folders say. */
static bool is_welcome(struct vpc_listener *listener, int fd)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
        return false;
    if (peer.uid == geteuid() || peer.uid == 0)
        return true;
    if (listener->group != NULL && vpc_group_has_peer(*listener->group, fd))
        return true;
    log_refused(listener, peer.uid);
    return false;
}

void vpc_socket_read_off(int fd)
{
    char octets[4096];

    shutdown(fd, SHUT_RDWR);
    while (read(fd, octets, sizeof(octets)) > 0)
        ;
}

void vpc_listener_turn_away(int fd, const char *text)
{
    if (text != NULL)
        send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
    vpc_socket_read_off(fd);
    close(fd);
}

/* The next client, -1 with an errno when there is none, or -1 with EACCES for one that was refused. */
static int accept_client(struct vpc_listener *listener)
{
    int fd = accept4(listener->watch.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0 || listener->welcomes(listener, fd))
        return fd;
    vpc_listener_turn_away(fd, listener->refusal);
    errno = EACCES;
    return -1;
}

/* Told once for each time that it begins. */
static void log_short(struct vpc_listener *listener, int error)
{
    if (!listener->is_short)
        vpc_shell_log(listener->shell, VPC_LOG_RESOURCES_SHORT,
                      json_pack("{s:s, s:i, s:s}", "socket", listener->path, "errno", error,
                                "cause", strerror(error)));
    listener->is_short = true;
}

/* One client per event; without descriptors the client waits in the backlog, and we do not look at
 * it all the time. */
static void on_acceptable(struct vpc_watch *watch, uint32_t events)
{
    struct vpc_listener *listener = watch->owner;
    struct vpc_shell *shell = listener->shell;

    (void)events;
    int fd = accept_client(listener);
    if (fd >= 0) {
        listener->is_short = false;
        listener->on_client(listener, fd);
    } else if (out_of_resources(errno)) {
        log_short(listener, errno);
        vpc_listener_pause(listener, true);
        vpc_timer_set(&shell->loop, &listener->backoff, shell->loop.now + VPC_ACCEPT_BACKOFF_MS);
    }
}

static void on_backoff_over(struct vpc_timer *timer)
{
    vpc_listener_pause(timer->owner, false);
}

void vpc_listener_init(struct vpc_listener *listener, struct vpc_shell *shell,
                       void (*on_client)(struct vpc_listener *listener, int fd), void *owner)
{
    *listener = (struct vpc_listener){
        .watch = {.fd = -1, .on_ready = on_acceptable, .owner = listener},
        .backoff = {.on_due = on_backoff_over, .owner = listener},
        .welcomes = is_welcome,
        .shell = shell,
        .on_client = on_client,
        .owner = owner,
    };
}

int vpc_listener_adopt(struct vpc_listener *listener, int fd, const char *path)
{
    listener->watch.fd = fd;
    listener->path = strdup(path);
    if (listener->path == NULL)
        return ENOMEM;
    return vpc_watch_set(&listener->shell->loop, &listener->watch, EPOLLIN);
}

void vpc_listener_pause(struct vpc_listener *listener, bool pause)
{
    if (listener->watch.fd >= 0 && !pause)
        vpc_watch_set(&listener->shell->loop, &listener->watch, EPOLLIN);
    else if (listener->watch.fd >= 0)
        vpc_watch_remove(&listener->shell->loop, &listener->watch);
}

/* The shutdown refuses the next client at once: the opener, which handed the socket over, may have it for a moment longer. */
void vpc_listener_mute(struct vpc_listener *listener)
{
    if (listener->watch.fd >= 0)
        shutdown(listener->watch.fd, SHUT_RDWR);
    vpc_timer_clear(&listener->shell->loop, &listener->backoff);
    vpc_watch_close(&listener->shell->loop, &listener->watch);
}

/* At a listener's end so many are turned away, not more: clients that come on and on can not hold us. */
#define VPC_TURNED_AWAY_MAX 64

/* A client that waits in the backlog sees the end of a pipe, as one that was accepted does: closing
 * the listener under it would be ECONNRESET. */
static void turn_away_waiting(struct vpc_listener *listener)
{
    for (int i = 0; listener->watch.fd >= 0 && i < VPC_TURNED_AWAY_MAX; i++) {
        int fd = accept_client(listener);

        if (fd >= 0)
            vpc_listener_turn_away(fd, NULL);
        else if (errno != EACCES)
            return;
    }
}

void vpc_listener_close(struct vpc_listener *listener)
{
    if (listener->shell == NULL)
        return;
    turn_away_waiting(listener);
    vpc_listener_mute(listener);
    if (listener->is_pipe)
        vpc_opener_end_pipe(listener->shell->asked, listener->pipe);
    listener->is_pipe = false;
    free(listener->path);
    listener->path = NULL;
}
