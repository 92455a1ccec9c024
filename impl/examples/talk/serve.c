/* SPDX-License-Identifier: MIT */
#include "serve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "talk.h"

enum {
    BACKLOG = 8,
    INHERITED = 3, /* systemd's SD_LISTEN_FDS_START */
    ESTABLISHED = 1,
};

/* ---- the listening socket -------------------------------------------------------------------------------- */

static bool inherited(void)
{
    const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");

    return pid != NULL && fds != NULL && strtol(pid, NULL, 10) == getpid() && strcmp(fds, "1") == 0;
}

static int listen_on(unsigned port)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0 &&
        bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static int take_inherited(const char *program)
{
    int listens = 0;
    socklen_t size = sizeof(listens);

    if (getsockopt(INHERITED, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens &&
        fcntl(INHERITED, F_SETFD, FD_CLOEXEC) == 0)
        return INHERITED;
    fprintf(stderr, "%s: LISTEN_FDS is set, but descriptor 3 is no socket that listens\n", program);
    return -1;
}

int serve_listen(const char *program, const char *port)
{
    char *end;
    unsigned long number = strtoul(port, &end, 10);

    if (inherited())
        return take_inherited(program);
    if (*port < '0' || *port > '9' || *end != '\0' || number == 0 || number > UINT16_MAX) {
        fprintf(stderr, "%s: %s is no port\n", program, port);
        return -1;
    }
    int fd = listen_on((unsigned)number);
    if (fd < 0)
        fprintf(stderr, "%s: port %s of 127.0.0.1 can not be listened on: %s%s\n", program, port,
                strerror(errno), errno == EACCES ? " (ports below 1024 are root's)" : "");
    return fd;
}

/* ---- who is there -------------------------------------------------------------------------------- */

struct row {
    unsigned from, to, from_port, to_port, state, uid;
    unsigned long inode;
};

/* A row of /proc/net/tcp; the head has none of these numbers. */
static bool row_of(const char *line, struct row *row)
{
    return sscanf(line, " %*u: %8x:%4x %8x:%4x %2x %*8x:%*8x %*2x:%*8x %*8x %u %*u %lu", &row->from,
                  &row->from_port, &row->to, &row->to_port, &row->state, &row->uid,
                  &row->inode) == 7;
}

/* The owner of the socket that goes from one address to the other, if a program holds it. */
static int owner(const struct sockaddr_in *from, const struct sockaddr_in *to, uid_t *uid)
{
    char line[512];
    struct row row;
    int found = -1;
    FILE *table = fopen("/proc/net/tcp", "re");

    while (table != NULL && found != 0 && fgets(line, sizeof(line), table) != NULL)
        if (row_of(line, &row) && row.from == from->sin_addr.s_addr &&
            row.to == to->sin_addr.s_addr && row.from_port == ntohs(from->sin_port) &&
            row.to_port == ntohs(to->sin_port)) {
            found = row.state == ESTABLISHED && row.inode != 0 ? 0 : -1;
            *uid = row.uid;
            break;
        }
    if (table != NULL)
        fclose(table);
    return found;
}

int serve_peer(int fd, uid_t *uid)
{
    struct sockaddr_in here, there;
    socklen_t here_size = sizeof(here), there_size = sizeof(there);
    uid_t again;

    if (getsockname(fd, (struct sockaddr *)&here, &here_size) != 0 ||
        getpeername(fd, (struct sockaddr *)&there, &there_size) != 0 || here.sin_family != AF_INET)
        return -1;
    return owner(&there, &here, uid) == 0 && owner(&there, &here, &again) == 0 && again == *uid
               ? 0
               : -1;
}

/* ---- connections -------------------------------------------------------------------------------- */

static int signals_fd(sigset_t *before)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, before);
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* What a stranger can provoke is said once a second at most. */
static void complain(const struct server *server, const char *what, unsigned number)
{
    static int64_t next;

    if (talk_now_ms() < next)
        return;
    next = talk_now_ms() + 1000;
    fprintf(stderr, "%s: a connection was refused: ", server->program);
    fprintf(stderr, what, number);
    fputc('\n', stderr);
}

static bool welcome(const struct server *server, int fd)
{
    uid_t uid;

    if (server->peer == SERVE_ANYBODY)
        return true;
    if (serve_peer(fd, &uid) != 0)
        complain(server, "its owner is not known, only user %u may", (unsigned)server->peer);
    else if (uid == server->peer)
        return true;
    else
        complain(server, "it is of user %u", (unsigned)uid);
    return false;
}

/* In the new process; the server's end ends it. */
static void talk_and_exit(const struct server *server, int fd, const sigset_t *before, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    sigprocmask(SIG_SETMASK, before, NULL);
    if (getppid() != parent)
        _exit(1);
    close(server->fd);
    exit(server->talk(fd, server->user));
}

static void take_one(const struct server *server, unsigned *running, const sigset_t *before)
{
    int fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC);
    pid_t parent = getpid(), pid = -1;

    if (fd < 0 && errno != EAGAIN && errno != ECONNABORTED)
        poll(NULL, 0, 100); /* no descriptor, no memory: not at once again */
    if (fd < 0)
        return;
    if (!welcome(server, fd))
        return (void)close(fd);
    if (*running >= server->most)
        complain(server, "%u are served already", *running);
    else if ((pid = fork()) < 0)
        complain(server, "no process for it, errno %u", (unsigned)errno);
    if (pid == 0)
        talk_and_exit(server, fd, before, parent);
    *running += pid > 0;
    close(fd);
}

/* False when the server is to end. */
static bool take_signals(int signals, unsigned *running)
{
    struct signalfd_siginfo info;
    bool go_on = true;

    while (read(signals, &info, sizeof(info)) == sizeof(info))
        if (info.ssi_signo != SIGCHLD)
            go_on = false;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        --*running;
    return go_on;
}

int serve_run(const struct server *server)
{
    sigset_t before;
    unsigned running = 0;
    int signals = signals_fd(&before);
    struct pollfd p[] = {{.fd = signals, .events = POLLIN}, {.fd = server->fd, .events = POLLIN}};

    if (signals < 0) {
        fprintf(stderr, "%s: %s\n", server->program, strerror(errno));
        return 1;
    }
    fcntl(server->fd, F_SETFL, O_NONBLOCK);
    for (;;) {
        if (poll(p, 2, -1) < 0 && errno != EINTR)
            return 1;
        if (p[0].revents && !take_signals(signals, &running))
            return 0;
        if (p[1].revents)
            take_one(server, &running, &before);
    }
}
