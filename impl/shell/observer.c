/* SPDX-License-Identifier: MIT */
#include "observer.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "qmp.h"
#include "sandbox.h"

/* All of the process. */
struct observing {
    struct vpc_loop loop;
    struct vpc_hypervisor monitor;
    struct vpc_watch endpoint;
    bool ended; /* the endpoint has */
};

/* ---- the observer's side ----------------------------------------------------------------------------------- */

/* It waits for an endpoint that is slow to hear. */
static void tell(void *user, enum vpc_machine_state machine)
{
    struct observing *self = user;
    const uint32_t said = machine;
    ssize_t n;

    do
        n = send(self->endpoint.fd, &said, sizeof(said), MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    self->ended |= n < 0;
}

static void on_endpoint_end(struct vpc_watch *watch, uint32_t events)
{
    struct observing *self = watch->owner;

    (void)events;
    self->ended = true;
}

static int confine(const struct vpc_observer_config *config)
{
    const char *what;
    int error = config->sandboxed ? vpc_sandbox_enter_observer(&what) : 0;

    if (error)
        fprintf(stderr,
                "%s: VM %s: no sandbox for the observer of --qmp: %s: %s (see --no-sandbox)\n",
                config->program, config->vm, what, strerror(error));
    return error;
}

static int begin(struct observing *self, int fd, const struct vpc_observer_config *config)
{
    const struct vpc_hypervisor_config monitor = {
        .program = config->program,
        .vm = config->vm,
        .path = config->path,
        .tell = tell,
        .user = self,
    };
    int error = vpc_loop_open(&self->loop);

    if (error)
        return error;
    self->endpoint = (struct vpc_watch){.fd = fd, .on_ready = on_endpoint_end, .owner = self};
    error = vpc_watch_set(&self->loop, &self->endpoint, EPOLLRDHUP);
    json_object_seed(0); /* reads a file */
    if (!error)
        error = confine(config);
    if (!error)
        vpc_hypervisor_open(&self->monitor, &monitor, &self->loop);
    return error;
}

static void nothing(void *owner)
{
    (void)owner;
}

/* The signals that end the endpoint are held back, as in it: its end is the observer's. */
static _Noreturn void be_observer(int fd, const struct vpc_observer_config *config)
{
    struct observing *self = calloc(1, sizeof(*self));

    prctl(PR_SET_NAME, "vpc-observer");
    if (config->not_its_own >= 0)
        close(config->not_its_own);
    int error = self != NULL ? begin(self, fd, config) : ENOMEM;
    while (!error && !self->ended)
        error = vpc_loop_turn(&self->loop, UINT64_MAX, nothing, NULL);
    if (error)
        fprintf(stderr, "%s: VM %s: the observer of --qmp ends: %s\n", config->program, config->vm,
                strerror(error));
    _exit(error ? EXIT_FAILURE : EXIT_SUCCESS);
}

/* ---- the endpoint's side ----------------------------------------------------------------------------------- */

int vpc_observer_start(struct vpc_observer *observer, const struct vpc_observer_config *config)
{
    int ends[2];

    observer->fd = -1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return errno;
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        be_observer(ends[1], config);
    }
    int error = pid < 0 ? errno : 0;
    close(ends[1]);
    if (error)
        close(ends[0]);
    else
        *observer = (struct vpc_observer){.fd = ends[0], .pid = pid};
    return error;
}

/* One octet more than a message has: a longer one is not cut to a legal one. */
int vpc_observer_hear(const struct vpc_observer *observer, uint32_t *machine)
{
    char said[sizeof(*machine) + 1];
    ssize_t n = recv(observer->fd, said, sizeof(said), MSG_DONTWAIT);

    if (n < 0)
        return errno == EINTR ? EAGAIN : errno == ECONNRESET ? EPIPE : errno;
    if (n == 0)
        return EPIPE;
    if (n != (ssize_t)sizeof(*machine))
        return EPROTO;
    memcpy(machine, said, sizeof(*machine));
    return *machine <= VPC_MACHINE_PORT_CLOSED ? 0 : EPROTO;
}

void vpc_observer_end(struct vpc_observer *observer)
{
    if (observer->fd >= 0)
        close(observer->fd);
    observer->fd = -1;
}
