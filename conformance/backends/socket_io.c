/* SPDX-License-Identifier: MIT */
#include "backends/socket_io.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "backends/machine.h"

#define FLAGS (SOCK_NONBLOCK | SOCK_CLOEXEC)

static bool unix_address(const char *path, struct sockaddr_un *address)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    errno = ENAMETOOLONG;
    if (strlen(path) >= sizeof(address->sun_path))
        return false;
    memcpy(address->sun_path, path, strlen(path));
    return true;
}

static int unix_socket(const char *path, bool listening)
{
    struct sockaddr_un address;
    int fd, failed;

    if (!unix_address(path, &address))
        return -1;
    fd = socket(AF_UNIX, SOCK_STREAM | FLAGS, 0);
    if (fd < 0)
        return -1;
    if (listening && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
        listen(fd, 4) == 0)
        return fd;
    if (!listening && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    failed = errno;
    close(fd);
    errno = failed;
    return -1;
}

int vpc_unix_listen(const char *path)
{
    unlink(path);
    return unix_socket(path, true);
}

int vpc_unix_connect(const char *path)
{
    errno = ENOENT;
    if (*path == '\0')
        return -1;
    return unix_socket(path, false);
}

/* Of this machine, so it is there at once or not at all. */
static int port_connect(const char *where, const char *colon)
{
    const struct sockaddr_in6 v6 = {.sin6_family = AF_INET6,
                                    .sin6_port = htons((uint16_t)atoi(colon + 1)),
                                    .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    const struct sockaddr_in v4 = {
        .sin_family = AF_INET, .sin_port = v6.sin6_port, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    bool new = *where == '[';
    int fd = socket(new ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), failed;

    if (fd < 0)
        return -1;
    if (connect(fd, new ? (const void *)&v6 : (const void *)&v4, new ? sizeof(v6) : sizeof(v4)) ==
            0 &&
        fcntl(fd, F_SETFL, O_NONBLOCK) == 0)
        return fd;
    failed = errno;
    close(fd);
    errno = failed;
    return -1;
}

int vpc_forward_connect(const char *where)
{
    const char *colon = *where == '/' ? NULL : strrchr(where, ':');

    return colon ? port_connect(where, colon) : vpc_unix_connect(where);
}

size_t vpc_read_size(size_t room, size_t left)
{
    return room < left ? room : left;
}

void vpc_read_note(size_t n, size_t *left)
{
    if (*left != SIZE_MAX)
        *left -= n;
}

/* ---- connections ------------------------------------------------------------------------------------------------------- */

static void tell(struct vpc_sockets *all, enum vpc_seen_kind kind, int id, uint32_t value,
                 const char *text, size_t size)
{
    struct vpc_seen seen = {kind, id, value, text, size};

    *all->saw = true;
    all->sink(all->user, &seen);
}

static void tell_broken(struct vpc_sockets *all, const char *what, int error)
{
    char *text = vpc_machine_words(what, error);

    tell(all, VPC_SEEN_BROKEN, 0, 0, text, strlen(text));
    free(text);
}

static void add_socket(struct vpc_sockets *all, int id, int fd, bool unix_domain)
{
    all->sockets = vpc_grow_by_one(all->sockets, all->socket_count, sizeof(*all->sockets));
    all->sockets[all->socket_count++] =
        (struct vpc_socket){.id = id, .fd = fd, .left = SIZE_MAX, .unix_domain = unix_domain};
}

int vpc_sockets_join(struct vpc_sockets *all, int id, int fd)
{
    int failed = fd < 0 ? errno : 0;

    if (failed == 0)
        add_socket(all, id, fd, true);
    else if (vpc_machine_is_short(failed))
        tell_broken(all, "open a pipe", failed);
    return failed;
}

struct vpc_socket *vpc_sockets_find(struct vpc_sockets *all, int id)
{
    for (size_t i = 0; i < all->socket_count; i++)
        if (all->sockets[i].id == id && all->sockets[i].fd >= 0)
            return &all->sockets[i];
    return NULL;
}

static void close_socket(struct vpc_socket *one)
{
    close(one->fd);
    one->fd = -1;
    vpc_buffer_free(&one->out);
}

void vpc_socket_abort(struct vpc_sockets *all, struct vpc_socket *one)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};

    if (setsockopt(one->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)) != 0)
        tell_broken(all, "reset a connection", errno);
    close_socket(one);
}

/* What can't go out any more, since the other side is gone, is given up; its end is read. */
void vpc_socket_write(struct vpc_sockets *all, struct vpc_socket *one)
{
    while (vpc_buffer_size(&one->out) > 0) {
        ssize_t n =
            send(one->fd, vpc_buffer_head(&one->out), vpc_buffer_size(&one->out), MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0 && vpc_machine_is_short(errno))
            tell_broken(all, "send to a connection", errno);
        vpc_buffer_drop(&one->out, n < 0 ? vpc_buffer_size(&one->out) : (size_t)n);
    }
    if (one->close_after) {
        close_socket(one);
    } else if (one->shut) {
        if (shutdown(one->fd, SHUT_WR) != 0 && errno != ENOTCONN)
            tell_broken(all, "end a connection", errno);
        one->shut = false;
    }
}

static void read_socket(struct vpc_sockets *all, struct vpc_socket *one)
{
    char part[65537];
    ssize_t n = recv(one->fd, part, vpc_read_size(sizeof(part) - 1, one->left), 0);

    if (n > 0) {
        vpc_read_note((size_t)n, &one->left);
        part[n] = '\0';
        tell(all, VPC_SEEN_LOCAL_OCTETS, one->id, 0, part, (size_t)n);
    } else if (n == 0) {
        one->eof = true;
        one->over = one->unix_domain;
        tell(all, VPC_SEEN_LOCAL_EOF, one->id, 0, NULL, 0);
    } else if (vpc_machine_is_short(errno)) {
        tell_broken(all, "read from a connection", errno);
    } else if (errno != EAGAIN && errno != EINTR) {
        one->eof = one->over = true;
        tell(all, VPC_SEEN_LOCAL_RESET, one->id, 0, NULL, 0);
    }
}

/* A TCP connection whose end was read can still be reset: that shows as an error, and no read tells it. */
static void look_after_end(struct vpc_sockets *all, struct vpc_socket *one, short events)
{
    int error = 0;
    socklen_t size = sizeof(error);

    if (getsockopt(one->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
        tell_broken(all, "look at a connection", errno);
    one->over = (events & (POLLHUP | POLLERR)) != 0;
    if (error)
        tell(all, VPC_SEEN_LOCAL_RESET, one->id, 0, NULL, 0);
}

/* ---- servers ------------------------------------------------------------------------------------------------------------- */

static int bound(uint16_t *port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(*port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | FLAGS, 0), yes = 1, failed;

    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) != 0 ||
        bind(fd, (struct sockaddr *)&address, size) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
        failed = errno;
        close(fd);
        errno = failed;
        return -1;
    }
    *port = ntohs(address.sin_port);
    return fd;
}

static struct vpc_server *server_of(struct vpc_sockets *all, uint16_t port)
{
    struct vpc_server *server;

    for (size_t i = 0; i < all->server_count; i++)
        if (all->servers[i].port == port)
            return &all->servers[i];
    all->servers = vpc_grow_by_one(all->servers, all->server_count, sizeof(*all->servers));
    server = &all->servers[all->server_count++];
    *server = (struct vpc_server){.port = port, .fillers = {-1, -1, -1, -1}};
    server->fd = bound(&server->real);
    if (server->fd < 0)
        tell_broken(all, "have a port of its own", errno);
    return server;
}

uint16_t vpc_sockets_port(struct vpc_sockets *all, uint16_t port)
{
    return port ? server_of(all, port)->real : 0;
}

static void empty(struct vpc_server *server)
{
    for (size_t i = 0; i < 4; i++) {
        if (server->fillers[i] >= 0)
            close(server->fillers[i]);
        server->fillers[i] = -1;
    }
}

/* A queue of none is full after one connection or two; from then on the kernel drops every SYN. */
static bool fill(struct vpc_server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(server->real),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    for (size_t i = 0; i < 4; i++) {
        server->fillers[i] = socket(AF_INET, SOCK_STREAM | FLAGS, 0);
        if (server->fillers[i] < 0)
            return false;
        if (connect(server->fillers[i], (struct sockaddr *)&address, sizeof(address)) != 0 &&
            errno != EINPROGRESS)
            return true;
    }
    return true;
}

bool vpc_sockets_mode(struct vpc_sockets *all, uint16_t port, enum vpc_tcp_mode mode, char **error)
{
    struct vpc_server *server = server_of(all, port);

    empty(server);
    if (server->mode != VPC_TCP_CLOSED || server->fd < 0) {
        if (server->fd >= 0)
            close(server->fd);
        server->fd = bound(&server->real);
    }
    server->mode = mode;
    if (server->fd >= 0 &&
        (mode == VPC_TCP_CLOSED || listen(server->fd, mode == VPC_TCP_DEAF ? 0 : 64) == 0) &&
        (mode != VPC_TCP_DEAF || fill(server)))
        return true;
    *error = vpc_format("port %u (%u here): %s", port, server->real, strerror(errno));
    return false;
}

static void accept_one(struct vpc_sockets *all, const struct vpc_server *server)
{
    int fd = accept4(server->fd, NULL, NULL, FLAGS);

    if (fd < 0 && vpc_machine_is_short(errno))
        tell_broken(all, "accept a connection", errno);
    if (fd < 0)
        return;
    add_socket(all, all->next_id, fd, false);
    tell(all, VPC_SEEN_LOCAL_OPENED, all->next_id++, server->port, NULL, 0);
}

/* ---- all --------------------------------------------------------------------------------------------------------------------- */

size_t vpc_sockets_room(struct vpc_sockets *all)
{
    size_t kept = 0;

    for (size_t i = 0; i < all->socket_count; i++)
        if (all->sockets[i].fd >= 0)
            all->sockets[kept++] = all->sockets[i];
    all->socket_count = kept;
    return all->socket_count + all->server_count;
}

size_t vpc_sockets_poll(const struct vpc_sockets *all, struct pollfd *fds)
{
    size_t count = 0;

    for (size_t i = 0; i < all->server_count; i++)
        fds[count++] = (struct pollfd){
            .fd = all->servers[i].mode == VPC_TCP_LISTENING ? all->servers[i].fd : -1,
            .events = POLLIN};
    for (size_t i = 0; i < all->socket_count; i++) {
        const struct vpc_socket *one = &all->sockets[i];
        bool reads = one->left > 0 && !one->eof, writes = vpc_buffer_size(&one->out) > 0;

        fds[count++] =
            (struct pollfd){.fd = reads || writes || (one->eof && !one->over) ? one->fd : -1,
                            .events = (short)((reads ? POLLIN : 0) | (writes ? POLLOUT : 0))};
    }
    return count;
}

void vpc_sockets_serve(struct vpc_sockets *all, const struct pollfd *fds, size_t count)
{
    size_t servers = all->server_count;

    for (size_t i = 0; i < count; i++) {
        struct vpc_socket *one = i >= servers ? &all->sockets[i - servers] : NULL;

        if (fds[i].revents == 0)
            continue;
        if (one == NULL) {
            accept_one(all, &all->servers[i]);
            continue;
        }
        if (one->fd >= 0 && fds[i].revents & POLLOUT)
            vpc_socket_write(all, one);
        if (one->fd >= 0 && one->eof && !one->over)
            look_after_end(all, one, fds[i].revents);
        if (one->fd >= 0 && one->left > 0 && !one->eof &&
            fds[i].revents & (POLLIN | POLLHUP | POLLERR))
            read_socket(all, one);
    }
}

void vpc_sockets_free(struct vpc_sockets *all)
{
    for (size_t i = 0; i < all->socket_count; i++)
        if (all->sockets[i].fd >= 0)
            close_socket(&all->sockets[i]);
    for (size_t i = 0; i < all->server_count; i++) {
        empty(&all->servers[i]);
        if (all->servers[i].fd >= 0)
            close(all->servers[i].fd);
    }
    free(all->sockets);
    free(all->servers);
}
