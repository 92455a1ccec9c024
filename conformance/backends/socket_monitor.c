/* SPDX-License-Identifier: MIT */
/*
 * The monitor of a machine that there is not: what QEMU's QMP says of one, for a host endpoint that is told of it (TRN-7).
 *
 * As QEMU it serves one client at a time, and says nothing of what happens before its client has asked for the commands.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backends/machine.h"
#include "backends/socket_backend.h"

#define LINE_MAX_TAKEN 65536u
#define DEVICE         "bus-port" /* the id of the device with the bus */

static const char greeting[] =
    "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 0, \"minor\": 2, \"major\": 7}, "
    "\"package\": \"\"}, \"capabilities\": []}}\n";

static void drop(struct vpc_socket_monitor *monitor)
{
    if (monitor->fd >= 0)
        close(monitor->fd);
    monitor->fd = -1;
    monitor->ready = false;
    vpc_buffer_free(&monitor->in);
}

/* So few octets a socket takes at once; a client that reads none is its own fault. */
static void say(struct vpc_socket_monitor *monitor, const char *line, size_t n)
{
    if (monitor->fd >= 0 && send(monitor->fd, line, n, MSG_NOSIGNAL) != (ssize_t)n)
        drop(monitor);
}

/* Takes over the reference. */
static void say_json(struct vpc_socket_monitor *monitor, json_t *object)
{
    char *text = json_dumps(object, 0), *line = vpc_format("%s\n", text);

    say(monitor, line, strlen(line));
    json_decref(object);
    free(text);
    free(line);
}

static json_t *status_of(const struct vpc_socket_monitor *monitor)
{
    bool runs = strcmp(monitor->status, "running") == 0;

    return json_pack("{s:s, s:b, s:b}", "status", monitor->status, "singlestep", 0, "running",
                     runs);
}

static json_t *value_of(struct vpc_socket_monitor *monitor, const char *command)
{
    if (strcmp(command, "qmp_capabilities") == 0)
        monitor->ready = true;
    else if (strcmp(command, "query-status") == 0)
        return status_of(monitor);
    else if (strcmp(command, "qom-get") == 0)
        return json_string("org.vpcbus.0");
    else
        return NULL;
    return json_object();
}

static void answer(struct vpc_socket_monitor *monitor, const char *line)
{
    json_t *request = json_loads(line, 0, NULL), *id = json_object_get(request, "id");
    const char *command = json_string_value(json_object_get(request, "execute"));
    json_t *value = command ? value_of(monitor, command) : NULL;
    json_t *said = value ? json_pack("{s:o}", "return", value)
                         : json_pack("{s:{s:s, s:s}}", "error", "class", "GenericError", "desc",
                                     "it is not understood");

    if (id)
        json_object_set(said, "id", id);
    json_decref(request);
    say_json(monitor, said);
}

static void take(struct vpc_socket_monitor *monitor)
{
    char part[4096], *line;
    ssize_t n = recv(monitor->fd, part, sizeof(part), 0);

    if (n > 0)
        vpc_buffer_add(&monitor->in, part, (size_t)n);
    while (monitor->fd >= 0 && (line = vpc_buffer_line(&monitor->in)) != NULL) {
        answer(monitor, line);
        free(line);
    }
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) ||
        vpc_buffer_size(&monitor->in) > LINE_MAX_TAKEN)
        drop(monitor);
}

size_t vpc_socket_monitor_poll(const struct vpc_socket_backend *self, struct pollfd fds[2])
{
    const struct vpc_socket_monitor *monitor = &self->monitor;

    fds[0] = (struct pollfd){.fd = monitor->fd < 0 ? monitor->listener : -1, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = monitor->fd, .events = POLLIN};
    return 2;
}

void vpc_socket_monitor_serve(struct vpc_socket_backend *self, const struct pollfd fds[2])
{
    struct vpc_socket_monitor *monitor = &self->monitor;

    if (fds[1].revents && monitor->fd == fds[1].fd)
        take(monitor);
    if (!fds[0].revents || monitor->fd >= 0)
        return;
    monitor->fd = accept4(monitor->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (monitor->fd < 0)
        vpc_socket_backend_short(self, "accept at the monitor", errno);
    say(monitor, greeting, sizeof(greeting) - 1);
}

static bool watch(struct vpc_socket_backend *self, char **error)
{
    struct vpc_socket_monitor *monitor = &self->monitor;

    if (monitor->listener >= 0)
        return true;
    monitor->listener = vpc_unix_listen(monitor->path);
    if (monitor->listener < 0)
        *error = vpc_format("%s: %s", monitor->path, strerror(errno));
    return monitor->listener >= 0;
}

static void unwatch(struct vpc_socket_monitor *monitor)
{
    if (monitor->listener < 0)
        return;
    close(monitor->listener);
    monitor->listener = -1;
    unlink(monitor->path);
    drop(monitor);
}

bool vpc_socket_monitor_begin(struct vpc_socket_backend *self, char **error)
{
    self->monitor.path = vpc_format("%s/monitor", self->own);
    self->monitor.status = "running";
    return !self->config.watched || self->base.ops->machine == NULL || watch(self, error);
}

void vpc_socket_monitor_end(struct vpc_socket_backend *self)
{
    if (self->monitor.path)
        unwatch(&self->monitor);
    free(self->monitor.path);
}

static void tell(struct vpc_socket_monitor *monitor, const char *event, const char *status)
{
    if (status)
        monitor->status = status;
    if (monitor->ready)
        say_json(monitor, json_pack("{s:{s:I, s:i}, s:s}", "timestamp", "seconds", (json_int_t)1,
                                    "microseconds", 0, "event", event));
}

static void tell_closed(struct vpc_socket_monitor *monitor)
{
    if (monitor->ready)
        say_json(monitor, json_pack("{s:s, s:{s:s, s:b}}", "event", "VSERPORT_CHANGE", "data", "id",
                                    DEVICE, "open", 0));
}

void vpc_socket_machine(struct vpc_backend *backend, enum vpc_vm_action action)
{
    struct vpc_socket_backend *self = (struct vpc_socket_backend *)backend;
    char *error = NULL;

    if (action == VPC_PAUSE_VM)
        tell(&self->monitor, "STOP", "paused");
    else if (action == VPC_RESUME_VM)
        tell(&self->monitor, "RESUME", "running");
    else if (action == VPC_RESET_VM)
        tell(&self->monitor, "RESET", NULL);
    else if (action == VPC_SHUT_DOWN_VM)
        tell(&self->monitor, "SHUTDOWN", "shutdown");
    else if (action == VPC_CLOSE_PORT)
        tell_closed(&self->monitor);
    else if (action == VPC_UNWATCH_VM)
        unwatch(&self->monitor);
    else if (action == VPC_WATCH_VM && !watch(self, &error))
        vpc_socket_backend_tell(self, VPC_SEEN_BROKEN, 0, error, strlen(error));
    free(error);
}
