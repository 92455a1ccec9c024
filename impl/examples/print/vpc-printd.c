/* SPDX-License-Identifier: MIT */
/*
 * In the guest: where the host's vpc-print and the backends of CUPS meet.  The host connects to a port of 127.0.0.1 and
 * stays; backends line up at a Unix socket.  To the first of them the host's connection is lent; when it has said that
 * its job is through, or has ended, it is the next one's turn.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "../talk/account.h"
#include "../talk/serve.h"
#include "handover.h"
#include "print.h"

enum {
    ROW_MAX = 32,
    BACKLOG = 16,
    HELLO_LIMIT_MS = 1000,
};

struct meeting {
    int hosts, backends; /* listen */
    uid_t peer, user;    /* who may be there: of the host's connections, of the backends */
    int host, next;      /* or -1; the next one waits until the host has gone */
    bool lent;           /* to the first of the row */
    unsigned count;
    int row[ROW_MAX];
};

/* ---- the host ------------------------------------------------------------------------------------------ */

static void welcome(struct meeting *m, int fd)
{
    uint64_t version = PRINT_VERSION;

    if (talk_say(fd, &print_jobs, 'h', &version, NULL, 0, HELLO_LIMIT_MS) != 0)
        return (void)close(fd);
    m->host = fd;
    fputs("vpc-printd: the host is there\n", stderr);
}

static void let_host_go(struct meeting *m, const char *why)
{
    int next = m->next;

    fprintf(stderr, "vpc-printd: the host has gone: %s\n", why);
    shutdown(m->host, SHUT_RDWR); /* the backend to which it was lent has it, too */
    close(m->host);
    m->host = m->next = -1;
    m->lent = false;
    if (next >= 0)
        welcome(m, next);
}

static bool known(const struct meeting *m, int fd)
{
    uid_t uid;

    return m->peer == SERVE_ANYBODY || (serve_peer(fd, &uid) == 0 && uid == m->peer);
}

/* One host at a time: that the last one has gone may be seen a moment after the next one is there. */
static void take_host(struct meeting *m)
{
    int fd = accept4(m->hosts, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0)
        return;
    if (!known(m, fd) || (m->host >= 0 && m->next >= 0))
        close(fd);
    else if (m->host >= 0)
        m->next = fd;
    else
        welcome(m, fd);
}

/* ---- the backends -------------------------------------------------------------------------------------- */

static void take_backend(struct meeting *m)
{
    struct ucred who;
    socklen_t size = sizeof(who);
    int fd = accept4(m->backends, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0)
        return;
    if (m->count == ROW_MAX || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0 ||
        (who.uid != 0 && who.uid != m->user))
        close(fd);
    else
        m->row[m->count++] = fd;
}

static void leave(struct meeting *m, unsigned place)
{
    close(m->row[place]);
    m->count--;
    memmove(m->row + place, m->row + place + 1, (m->count - place) * sizeof(m->row[0]));
}

/* A backend has said something, or ended; one that ends within a job takes the host's connection with it. */
static void hear_backend(struct meeting *m, unsigned place)
{
    char octet;
    bool ready = recv(m->row[place], &octet, 1, MSG_DONTWAIT) == 1 && octet == PRINT_READY;

    if (place == 0 && m->lent) {
        m->lent = false;
        if (!ready)
            let_host_go(m, "a job was cut off");
    }
    leave(m, place);
}

static void lend(struct meeting *m)
{
    if (m->host < 0 || m->lent || m->count == 0)
        return;
    if (handover_give(m->row[0], m->host) == 0)
        m->lent = true;
    else
        leave(m, 0);
}

/* ---- what happens -------------------------------------------------------------------------------------- */

enum place {
    AT_HOSTS,
    AT_BACKENDS,
    AT_HOST,
    AT_ROW,
};

static void step(struct meeting *m)
{
    struct pollfd p[AT_ROW + ROW_MAX] = {
        [AT_HOSTS] = {.fd = m->hosts, .events = POLLIN},
        [AT_BACKENDS] = {.fd = m->backends, .events = POLLIN},
        /* Between jobs the host has nothing to say. */
        [AT_HOST] = {.fd = m->lent ? -1 : m->host, .events = POLLIN},
    };
    unsigned count = m->count;

    for (unsigned i = 0; i < count; i++)
        p[AT_ROW + i] = (struct pollfd){.fd = m->row[i], .events = POLLIN};
    if (poll(p, AT_ROW + count, -1) <= 0)
        return;
    for (unsigned i = count; i-- > 0;)
        if (p[AT_ROW + i].revents)
            hear_backend(m, i);
    if (p[AT_HOST].revents && m->host >= 0)
        let_host_go(m, "it has ended the channel");
    if (p[AT_HOSTS].revents)
        take_host(m);
    if (p[AT_BACKENDS].revents)
        take_backend(m);
    lend(m);
}

/* Everybody may connect; who it is tells the kernel. */
static int listen_at(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (strlen(path) >= sizeof(at.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(at.sun_path, path);
    unlink(path);
    umask(0);
    return fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(fd, BACKLOG) == 0
               ? fd
               : -1;
}

/* ---- the command line ---------------------------------------------------------------------------------- */

struct arguments {
    const char *port, *socket, *peer, *user;
};

static bool find(const char *name, struct account *account)
{
    bool found = account_find(name, account);

    if (!found)
        fprintf(stderr, "vpc-printd: the user %s: %s\n", name, strerror(errno));
    return found;
}

static int listen_and_meet(struct meeting *m, const struct arguments *given,
                           const struct account *own)
{
    m->hosts = serve_listen("vpc-printd", given->port);
    m->backends = m->hosts >= 0 ? listen_at(given->socket) : -1;
    if (m->hosts >= 0 && m->backends < 0)
        fprintf(stderr, "vpc-printd: %s: %s\n", given->socket, strerror(errno));
    if (m->backends < 0)
        return 1;
    if (geteuid() == 0 && !account_become(own)) {
        fprintf(stderr, "vpc-printd: the rights of root can not be given up: %s\n",
                strerror(errno));
        return 1;
    }
    for (;;)
        step(m);
}

static int serve(const struct arguments *given)
{
    struct account own, peer = {.uid = SERVE_ANYBODY};

    if (!find(given->user, &own) || (strcmp(given->peer, "any") != 0 && !find(given->peer, &peer)))
        return 2;
    struct meeting m = {.host = -1, .next = -1, .peer = peer.uid, .user = own.uid};

    return listen_and_meet(&m, given, &own);
}

static int usage(int status)
{
    fputs("usage: vpc-printd [--port PORT] [--socket PATH] [--peer USER|any] [--user USER]\n"
          "Brings the jobs of the CUPS backend vpcbus to vpc-print of the host.\n"
          "  --port PORT    of 127.0.0.1 (" PRINT_PORT ")\n"
          "  --socket PATH  where backends line up (" PRINT_SOCKET ")\n"
          "  --peer USER    whose programs may be the host: the user of vpc-guest (root)\n"
          "  --user USER    whose rights it keeps, and whose programs may print, beside root's: "
          "the user of\n"
          "                 CUPS' backends (lp)\n",
          status == 0 ? stdout : stderr);
    return status;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'}, {"socket", required_argument, NULL, 's'},
        {"peer", required_argument, NULL, 'e'}, {"user", required_argument, NULL, 'u'},
        {"help", no_argument, NULL, 'h'},       {0}};
    struct arguments given = {PRINT_PORT, PRINT_SOCKET, "root", "lp"};
    int option;

    if (talk_version("vpc-printd", argc, argv))
        return 0;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        if (option == 'p')
            given.port = optarg;
        else if (option == 's')
            given.socket = optarg;
        else if (option == 'e')
            given.peer = optarg;
        else if (option == 'u')
            given.user = optarg;
        else
            return usage(option == 'h' ? 0 : 2);
    return optind == argc ? serve(&given) : usage(2);
}
