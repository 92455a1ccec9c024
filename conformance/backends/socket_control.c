/* SPDX-License-Identifier: MIT */
/* Control clients of the socket backend. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backends/machine.h"
#include "backends/socket_backend.h"

#define LINE_MAX_SEEN (4u << 20) /* octets of what is still no line */

void vpc_socket_take_lines(struct vpc_socket_backend *self, struct vpc_buffer *in,
                           enum vpc_seen_kind kind, int id)
{
    static const char endless[] = "a line of its log or control socket does not end";
    char *line;

    while ((line = vpc_buffer_line(in)) != NULL) {
        vpc_socket_backend_tell(self, kind, id, line, strlen(line));
        free(line);
    }
    if (vpc_buffer_size(in) > LINE_MAX_SEEN) {
        vpc_buffer_free(in);
        vpc_socket_backend_tell(self, VPC_SEEN_CRASHED, 0, endless, sizeof(endless) - 1);
    }
}

bool vpc_socket_control_open(struct vpc_backend *backend, int client)
{
    struct vpc_socket_backend *self = (struct vpc_socket_backend *)backend;
    int fd = self->config.implementation->adapter ? vpc_socket_adapter_control(self)
                                                  : vpc_unix_connect(self->control_path);

    if (fd < 0) {
        vpc_socket_backend_short(self, "connect to the control socket", errno);
        return false;
    }
    self->controls = vpc_grow_by_one(self->controls, self->control_count, sizeof(*self->controls));
    self->controls[self->control_count++] = (struct conform_control){.client = client, .fd = fd};
    return true;
}

static struct conform_control *control_of(struct vpc_socket_backend *self, int client)
{
    for (size_t i = 0; i < self->control_count; i++)
        if (self->controls[i].client == client && self->controls[i].fd >= 0)
            return &self->controls[i];
    return NULL;
}

void vpc_socket_controls_tidy(struct vpc_socket_backend *self)
{
    size_t kept = 0;

    for (size_t i = 0; i < self->control_count; i++) {
        struct conform_control *one = &self->controls[i];

        if (one->fd >= 0) {
            self->controls[kept++] = *one;
            continue;
        }
        vpc_buffer_free(&one->in);
        vpc_buffer_free(&one->out);
    }
    self->control_count = kept;
}

void vpc_socket_control_write(struct vpc_socket_backend *self, struct conform_control *one)
{
    while (vpc_buffer_size(&one->out) > 0) {
        ssize_t n =
            send(one->fd, vpc_buffer_head(&one->out), vpc_buffer_size(&one->out), MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            int error = errno;

            vpc_socket_backend_short(self, "send to the control socket", error);
            if (error != EAGAIN) /* it never goes out: nobody is to wait for it */
                vpc_buffer_free(&one->out);
            return;
        }
        vpc_buffer_drop(&one->out, (size_t)n);
    }
    if (one->shut && shutdown(one->fd, SHUT_WR) != 0)
        vpc_socket_backend_short(self, "end a control client", errno);
    one->shut = false;
}

void vpc_socket_control_octets(struct vpc_backend *backend, int client, const char *octets,
                               size_t n)
{
    struct vpc_socket_backend *self = (struct vpc_socket_backend *)backend;
    struct conform_control *one = control_of(self, client);

    if (one == NULL)
        return;
    if (octets)
        vpc_buffer_add(&one->out, octets, n);
    one->shut |= octets == NULL;
    vpc_socket_control_write(self, one);
}

void vpc_socket_control_line(struct vpc_backend *backend, int client, const char *line, size_t n)
{
    struct vpc_socket_backend *self = (struct vpc_socket_backend *)backend;
    struct conform_control *one = control_of(self, client);

    if (one == NULL)
        return;
    vpc_buffer_add(&one->out, line, n);
    vpc_buffer_add(&one->out, "\n", 1);
    vpc_socket_control_write(self, one);
}

void vpc_socket_control_close(struct vpc_backend *backend, int client)
{
    struct conform_control *one = control_of((struct vpc_socket_backend *)backend, client);

    if (one == NULL)
        return;
    close(one->fd);
    one->fd = -1;
}

void vpc_socket_control_read(struct vpc_backend *backend, int client, bool on)
{
    struct conform_control *one = control_of((struct vpc_socket_backend *)backend, client);

    if (one)
        one->paused = !on;
}

void vpc_socket_control_take(struct vpc_socket_backend *self, struct conform_control *one)
{
    char part[65536];
    ssize_t n = recv(one->fd, part, sizeof(part), 0);

    if (n > 0) {
        vpc_buffer_add(&one->in, part, (size_t)n);
        vpc_socket_take_lines(self, &one->in, VPC_SEEN_CONTROL_LINE, one->client);
    } else if (n < 0 && vpc_machine_is_short(errno)) {
        vpc_socket_backend_short(self, "read from the control socket", errno);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        const char *how = n == 0 ? "" : strerror(errno);

        close(one->fd);
        one->fd = -1;
        vpc_socket_backend_tell(self, VPC_SEEN_CONTROL_EOF, one->client, how, strlen(how));
    }
}

/* A paused one whose other end is gone would wake poll() for ever. */
int vpc_socket_control_fd(const struct conform_control *one)
{
    return one->paused && vpc_buffer_size(&one->out) == 0 ? -1 : one->fd;
}

void vpc_socket_controls_drop(struct vpc_socket_backend *self)
{
    for (size_t i = 0; i < self->control_count; i++) {
        struct conform_control *one = &self->controls[i];

        if (one->fd < 0)
            continue;
        close(one->fd);
        one->fd = -1;
        vpc_socket_backend_tell(self, VPC_SEEN_CONTROL_EOF, one->client, NULL, 0);
    }
}

void vpc_socket_controls_end(struct vpc_socket_backend *self)
{
    for (size_t i = 0; i < self->control_count; i++) {
        if (self->controls[i].fd >= 0)
            close(self->controls[i].fd);
        vpc_buffer_free(&self->controls[i].in);
        vpc_buffer_free(&self->controls[i].out);
    }
    free(self->controls);
}
