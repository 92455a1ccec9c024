/* SPDX-License-Identifier: MIT */
#include "opener.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "bus_dial.h"
#include "sandbox.h"

enum {
    ANSWER_LIMIT_S = 5, /* nothing that it does waits; so it hangs */
};

/* One message with at most one descriptor. */
union control {
    struct cmsghdr align;
    char octets[CMSG_SPACE(sizeof(int))];
};

/* ---- the opener's side ------------------------------------------------------------------------------------ */

static int answer(int to, int error, int fd)
{
    struct vpc_opener_answer said = {.error = error};
    struct iovec piece = {&said, sizeof(said)};
    union control control = {0};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};

    if (fd >= 0) {
        message.msg_control = control.octets;
        message.msg_controllen = sizeof(control.octets);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        *header = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(header), &fd, sizeof(fd));
    }
    return sendmsg(to, &message, MSG_NOSIGNAL) < 0 ? errno : 0;
}

static bool is_legal(const struct vpc_opener_request *request, ssize_t n)
{
    static const unsigned char zero[sizeof(request->zero)];

    return n == (ssize_t)sizeof(*request) && request->wish == VPC_OPENER_BUS &&
           memcmp(request->zero, zero, sizeof(zero)) == 0;
}

int vpc_opener_serve(int fd, const struct vpc_opener_config *config)
{
    /* One octet more than a request has: a longer message is not cut to a legal one. */
    union {
        struct vpc_opener_request request;
        char octets[sizeof(struct vpc_opener_request) + 1];
    } got;
    ssize_t n;

    while ((n = recv(fd, &got, sizeof(got), 0)) > 0 || (n < 0 && errno == EINTR)) {
        if (n < 0)
            continue;
        if (!is_legal(&got.request, n)) {
            fprintf(stderr, "%s: VM %s: the opener was asked for what there is not: it ends\n",
                    config->program, config->vm);
            return EXIT_FAILURE;
        }
        int opened, error = vpc_bus_dial(config->bus, &opened);
        error = answer(fd, error, opened);
        if (opened >= 0)
            close(opened);
        if (error)
            break; /* the endpoint has ended */
    }
    return EXIT_SUCCESS;
}

static int confine(const struct vpc_opener_config *config)
{
    const char *what;
    int error = config->sandboxed ? vpc_sandbox_enter_opener(config->bus->kind, &what) : 0;

    if (error)
        fprintf(stderr, "%s: VM %s: no sandbox for the opener: %s: %s (see --no-sandbox)\n",
                config->program, config->vm, what, strerror(error));
    return error;
}

/* The signals that end the endpoint are held back, as in it: its end is the opener's. */
static _Noreturn void be_opener(int fd, pid_t parent, const struct vpc_opener_config *config)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "vpc-opener");
    if (getppid() != parent || confine(config) != 0)
        _exit(EXIT_FAILURE);
    _exit(vpc_opener_serve(fd, config));
}

/* ---- the endpoint's side ----------------------------------------------------------------------------------- */

int vpc_opener_start(struct vpc_opener *opener, const struct vpc_opener_config *config)
{
    const struct timeval limit = {.tv_sec = ANSWER_LIMIT_S};
    pid_t self = getpid();
    int ends[2];

    *opener = (struct vpc_opener){.fd = -1};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return errno;
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        be_opener(ends[1], self, config);
    }
    int error = pid < 0 ? errno : 0;
    close(ends[1]);
    if (!error && setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) != 0)
        error = errno;
    *opener = (struct vpc_opener){.fd = ends[0], .pid = pid};
    if (error)
        vpc_opener_end(opener);
    return error;
}

/* The descriptor in a message, or -1. */
static int descriptor_in(struct msghdr *message)
{
    const struct cmsghdr *header = CMSG_FIRSTHDR(message);
    int fd = -1;

    if (header != NULL && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
        header->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(&fd, CMSG_DATA(header), sizeof(fd));
    return fd;
}

static int hear(const struct vpc_opener *opener, int *fd)
{
    struct vpc_opener_answer said;
    struct iovec piece = {&said, sizeof(said)};
    union control control;
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = control.octets,
                             .msg_controllen = sizeof(control.octets)};
    ssize_t n;

    do
        n = recvmsg(opener->fd, &message, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return n == 0 || errno == ECONNRESET ? EPIPE : errno == EAGAIN ? ETIMEDOUT : errno;
    *fd = descriptor_in(&message);
    bool wants_one = said.error == 0 || said.error == EINPROGRESS;
    if (n == (ssize_t)sizeof(said) && wants_one == (*fd >= 0))
        return said.error;
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    return EPROTO;
}

int vpc_opener_dial(const struct vpc_opener *opener, int *fd)
{
    const struct vpc_opener_request request = {.wish = VPC_OPENER_BUS};

    *fd = -1;
    if (send(opener->fd, &request, sizeof(request), MSG_NOSIGNAL) < 0)
        return errno;
    int error = hear(opener, fd);
    /* What it says later would be taken for the next answer. */
    if (error == ETIMEDOUT || error == EPROTO)
        shutdown(opener->fd, SHUT_RDWR);
    return error;
}

void vpc_opener_end(struct vpc_opener *opener)
{
    if (opener->fd >= 0)
        close(opener->fd);
    *opener = (struct vpc_opener){.fd = -1};
}
