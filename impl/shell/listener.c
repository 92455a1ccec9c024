/* SPDX-License-Identifier: MIT */
/*
 * A Unix socket that listens under a name.
 *
 * The name's owner holds a lock on the file PATH.lock, so two processes never fight for a name, and
 * the socket that a killed owner left can be removed by whoever gets the lock.  The lock file is
 * removed by its owner while it is still locked; a newcomer that opened it before looks whether
 * what it locked is still what the path names.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "group.h"
#include "local_socket.h"
#include "shell_internal.h"

static bool same_file(int fd, const char *path)
{
    struct stat have, want;

    return fstat(fd, &have) == 0 && stat(path, &want) == 0 && have.st_ino == want.st_ino &&
           have.st_dev == want.st_dev;
}

static int take_name(struct vpc_listener *listener)
{
    const char *path = listener->lock_path;

    for (;;) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

        if (fd < 0)
            return errno;
        if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
            int error = errno == EWOULDBLOCK ? EADDRINUSE : errno;

            close(fd);
            return error;
        }
        if (same_file(fd, path)) {
            listener->lock = fd;
            return 0;
        }
        close(fd);
    }
}

/* Removes the socket, or the link, of an owner that was killed.  Anything else is somebody's: EEXIST. */
static int clear_path(const char *path)
{
    struct stat st;

    if (lstat(path, &st) != 0)
        return errno == ENOENT ? 0 : errno;
    if (!S_ISSOCK(st.st_mode) && !S_ISLNK(st.st_mode))
        return EEXIST;
    return unlink(path) == 0 || errno == ENOENT ? 0 : errno;
}

static void give_name(struct vpc_listener *listener)
{
    if (listener->lock < 0)
        return;
    clear_path(listener->path);
    unlink(listener->lock_path);
    close(listener->lock);
    listener->lock = -1;
}

/* Who may connect to a socket: its owner, and the members of a group. */
static int share_socket(const char *path, const gid_t *group)
{
    if (group != NULL && chown(path, (uid_t)-1, *group) != 0)
        return -1;
    return chmod(path, group != NULL ? 0660 : 0600);
}

/* Nobody can connect between bind() and listen(): the mode is right before anybody comes in. */
static int listen_at(struct vpc_listener *listener, const struct sockaddr_un *address, int backlog)
{
    int error = clear_path(listener->path);
    if (error)
        return error;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return errno;
    if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) != 0 ||
        share_socket(listener->path, listener->group) != 0 || listen(fd, backlog) != 0) {
        error = errno;
        close(fd);
        return error;
    }
    listener->watch.fd = fd;
    return vpc_watch_set(&listener->shell->loop, &listener->watch, EPOLLIN);
}

static int open_address(struct vpc_listener *listener, int backlog)
{
    struct vpc_address address;
    int error = vpc_address_open(&address, listener->path);

    if (!error)
        error = listen_at(listener, &address.un, backlog);
    vpc_address_close(&address);
    return error;
}

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
        .lock = -1,
        .welcomes = is_welcome,
        .shell = shell,
        .on_client = on_client,
        .owner = owner,
    };
}

int vpc_listener_open(struct vpc_listener *listener, const char *path, int backlog)
{
    return vpc_listener_open_as(listener, path, path, backlog);
}

static bool name_it(struct vpc_listener *listener, const char *name, const char *path)
{
    size_t size = strlen(name) + sizeof(".lock");

    listener->path = strdup(path);
    listener->lock_path = malloc(size);
    if (listener->lock_path != NULL)
        snprintf(listener->lock_path, size, "%s.lock", name);
    return listener->path != NULL && listener->lock_path != NULL;
}

int vpc_listener_open_as(struct vpc_listener *listener, const char *name, const char *path,
                         int backlog)
{
    int error = 0;

    if (!name_it(listener, name, path))
        error = ENOMEM;
    if (!error)
        error = take_name(listener);
    if (!error)
        error = open_address(listener, backlog);
    if (error)
        vpc_listener_close(listener);
    return error;
}

int vpc_listener_adopt(struct vpc_listener *listener, int fd, const char *path)
{
    listener->path = strdup(path);
    if (listener->path == NULL)
        return ENOMEM;
    listener->watch.fd = fd;
    return vpc_watch_set(&listener->shell->loop, &listener->watch, EPOLLIN);
}

void vpc_listener_pause(struct vpc_listener *listener, bool pause)
{
    if (listener->watch.fd >= 0 && !pause)
        vpc_watch_set(&listener->shell->loop, &listener->watch, EPOLLIN);
    else if (listener->watch.fd >= 0)
        vpc_watch_remove(&listener->shell->loop, &listener->watch);
}

void vpc_listener_mute(struct vpc_listener *listener)
{
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
    give_name(listener);
    free(listener->path);
    free(listener->lock_path);
    listener->path = listener->lock_path = NULL;
}
