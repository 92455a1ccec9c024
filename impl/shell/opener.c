/* SPDX-License-Identifier: MIT */
#include "opener.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

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

static int tell(int to, struct vpc_answer *answer, int fd)
{
    struct iovec piece = {answer, sizeof(*answer)};
    union control control = {0};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};

    if (fd >= 0) {
        message.msg_control = control.octets;
        message.msg_controllen = sizeof(control.octets);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        *header = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(header), &fd, sizeof(fd));
    }
    return sendmsg(to, &message, MSG_NOSIGNAL) < 0 ? errno : 0;
}

static int confine(const struct vpc_acts_config *config)
{
    const char *what;
    int error = vpc_sandbox_enter_opener(config, &what);

    if (error)
        fprintf(stderr, "%s: VM %s: no sandbox for the opener: %s: %s (see --no-sandbox)\n",
                config->program, config->vm, what, strerror(error));
    return error;
}

static bool serve_one(int fd, struct vpc_acts *acts, const struct vpc_errand *errand)
{
    struct vpc_answer answer;
    int given;

    vpc_acts_do(acts, errand, &answer, &given);
    if (errand->wish == VPC_WISH_CONFINE)
        answer.error = confine(&acts->config);
    int error = tell(fd, &answer, given);
    if (given >= 0)
        close(given);
    return error == 0; /* else the endpoint has ended */
}

static int serve(int fd, struct vpc_acts *acts)
{
    /* One octet more than an errand has: a longer message is not cut to a legal one. */
    union {
        struct vpc_errand errand;
        char octets[sizeof(struct vpc_errand) + 1];
    } got;
    ssize_t n;

    while ((n = recv(fd, &got, sizeof(got), 0)) > 0 || (n < 0 && errno == EINTR)) {
        if (n < 0)
            continue;
        if (!vpc_errand_is_legal(&got.errand, (size_t)n, acts->config.role)) {
            fprintf(stderr, "%s: VM %s: the opener was asked for what there is not: it ends\n",
                    acts->config.program, acts->config.vm);
            return EXIT_FAILURE;
        }
        if (!serve_one(fd, acts, &got.errand))
            break;
    }
    return EXIT_SUCCESS;
}

int vpc_opener_serve(int fd, const struct vpc_acts_config *config)
{
    struct vpc_acts acts;
    int status = vpc_acts_open(&acts, config) == 0 ? serve(fd, &acts) : EXIT_FAILURE;

    vpc_acts_close(&acts);
    return status;
}

/* Of each pipe it holds the lock. */
static void raise_file_limit(rlim_t wanted)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* The signals that end the endpoint are held back, as in it: its end is the opener's, which then removes what it made. */
static _Noreturn void be_opener(int fd, const struct vpc_acts_config *config)
{
    prctl(PR_SET_NAME, "vpc-opener");
    raise_file_limit(config->descriptors);
    _exit(vpc_opener_serve(fd, config));
}

/* ---- the endpoint's side ----------------------------------------------------------------------------------- */

int vpc_opener_start(struct vpc_opener *opener, const struct vpc_acts_config *config)
{
    const struct timeval limit = {.tv_sec = ANSWER_LIMIT_S};
    int ends[2];

    *opener = (struct vpc_opener){.fd = -1};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return errno;
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        be_opener(ends[1], config);
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

/* Whether the descriptor, or its lack, goes with the answer. */
static bool fits(const struct vpc_errand *errand, const struct vpc_answer *answer, int fd)
{
    bool good = answer->error == 0 || answer->error == EINPROGRESS;
    enum vpc_gift gift = good ? vpc_errand_gives(errand) : VPC_GIFT_NONE;

    return gift == VPC_GIFT_PERHAPS || (gift == VPC_GIFT_ONE) == (fd >= 0);
}

static int hear(const struct vpc_opener *opener, const struct vpc_errand *errand,
                struct vpc_answer *answer, int *fd)
{
    struct iovec piece = {answer, sizeof(*answer)};
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
    answer->text[sizeof(answer->text) - 1] = '\0';
    /* It was given one, and has no room for it. */
    if (n == (ssize_t)sizeof(*answer) && *fd < 0 && (message.msg_flags & MSG_CTRUNC))
        return EMFILE;
    if (n == (ssize_t)sizeof(*answer) && fits(errand, answer, *fd))
        return answer->error;
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    return EPROTO;
}

static int ask_process(const struct vpc_opener *opener, const struct vpc_errand *errand,
                       struct vpc_answer *answer, int *fd)
{
    *fd = -1;
    if (send(opener->fd, errand, sizeof(*errand), MSG_NOSIGNAL) < 0)
        return errno;
    int error = hear(opener, errand, answer, fd);
    /* What it says later would be taken for the next answer. */
    if (error == ETIMEDOUT || error == EPROTO)
        shutdown(opener->fd, SHUT_RDWR);
    return error;
}

int vpc_opener_ask(const struct vpc_opener *opener, const struct vpc_errand *errand,
                   struct vpc_answer *answer, int *fd)
{
    if (opener->acts == NULL)
        return ask_process(opener, errand, answer, fd);
    vpc_acts_do(opener->acts, errand, answer, fd);
    return answer->error;
}

int vpc_opener_wish(const struct vpc_opener *opener, enum vpc_wish wish, int *fd)
{
    const struct vpc_errand errand = {.wish = wish};
    struct vpc_answer answer;

    return vpc_opener_ask(opener, &errand, &answer, fd);
}

int vpc_opener_dial(const struct vpc_opener *opener, int *fd)
{
    return vpc_opener_wish(opener, VPC_WISH_BUS, fd);
}

static int ask_with_text(const struct vpc_opener *opener, enum vpc_wish wish, uint32_t number,
                         const char *text, struct vpc_answer *answer, int *fd)
{
    struct vpc_errand errand = {.wish = wish, .number = number};
    size_t n = strlen(text);

    *fd = -1;
    if (n >= sizeof(errand.text))
        return ENAMETOOLONG;
    memcpy(errand.text, text, n);
    return vpc_opener_ask(opener, &errand, answer, fd);
}

int vpc_opener_pipe(const struct vpc_opener *opener, uint32_t number, const char *name, int *fd)
{
    struct vpc_answer answer;

    return ask_with_text(opener, VPC_WISH_PIPE, number, name, &answer, fd);
}

int vpc_opener_forward(const struct vpc_opener *opener, uint32_t number, const char *listen,
                       int *fd)
{
    struct vpc_answer answer;

    return ask_with_text(opener, VPC_WISH_FORWARD, number, listen, &answer, fd);
}

int vpc_opener_event(const struct vpc_opener *opener, const char *name, uint32_t bits,
                     struct vpc_answer *answer, int *fd)
{
    return ask_with_text(opener, VPC_WISH_EVENT, bits, name, answer, fd);
}

int vpc_opener_file(const struct vpc_opener *opener, enum vpc_wish wish, enum vpc_kept which,
                    int *fd)
{
    const struct vpc_errand errand = {.wish = wish, .number = which};
    struct vpc_answer answer;

    return vpc_opener_ask(opener, &errand, &answer, fd);
}

int vpc_opener_connect(const struct vpc_opener *opener, unsigned port, int *fd)
{
    const struct vpc_errand errand = {.wish = VPC_WISH_CONNECT, .number = port};
    struct vpc_answer answer;

    return vpc_opener_ask(opener, &errand, &answer, fd);
}

void vpc_opener_end_pipe(const struct vpc_opener *opener, uint32_t number)
{
    const struct vpc_errand errand = {.wish = VPC_WISH_END_PIPE, .number = number};
    struct vpc_answer answer;
    int fd;

    vpc_opener_ask(opener, &errand, &answer, &fd);
}

void vpc_opener_end(struct vpc_opener *opener)
{
    char octet;

    if (opener->fd >= 0) {
        shutdown(opener->fd, SHUT_WR);
        while (recv(opener->fd, &octet, sizeof(octet), 0) > 0)
            ;
        close(opener->fd);
    }
    *opener = (struct vpc_opener){.fd = -1};
}
