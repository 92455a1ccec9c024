/* SPDX-License-Identifier: MIT */
#include "qmp.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus_dial.h"

#define BUS_PORT "org.vpcbus.0" /* TRN-2 */

enum {
    RETRY_MS = 200,     /* as of the bus */
    PATIENCE_MS = 3000, /* until which a monitor answers that serves us */
};

static void retry_later(struct vpc_hypervisor *qmp)
{
    vpc_timer_set(qmp->loop, &qmp->retry, qmp->loop->now + RETRY_MS);
}

static void note(const struct vpc_hypervisor *qmp, const char *format, ...)
{
    va_list words;

    va_start(words, format);
    fprintf(stderr, "%s: VM %s: ", qmp->config.program, qmp->config.vm);
    vfprintf(stderr, format, words);
    putc('\n', stderr);
    va_end(words);
}

static void tell(struct vpc_hypervisor *qmp, enum vpc_machine_state machine)
{
    qmp->told = machine != VPC_MACHINE_UNKNOWN;
    qmp->config.tell(qmp->config.user, machine);
}

static void lose(struct vpc_hypervisor *qmp)
{
    struct vpc_loop *loop = qmp->loop;

    vpc_watch_close(loop, &qmp->watch);
    vpc_timer_clear(loop, &qmp->patience);
    qmp->size = 0;
    qmp->skipping = qmp->shut_down = false;
    qmp->port[0] = '\0';
    retry_later(qmp);
    if (qmp->told)
        tell(qmp, VPC_MACHINE_UNKNOWN);
}

/* ---- what is asked -------------------------------------------------------------------------------------------- */

/* Takes over the reference.  A monitor that does not take so few octets is lost. */
static void ask(struct vpc_hypervisor *qmp, json_t *question)
{
    char *text = json_dumps(question, JSON_COMPACT);
    size_t n = text != NULL ? strlen(text) : 0;

    json_decref(question);
    if (n == 0)
        return;
    text[n] = '\n'; /* in place of its NUL */
    if (send(qmp->watch.fd, text, n + 1, MSG_NOSIGNAL) != (ssize_t)n + 1)
        lose(qmp);
    free(text);
}

/* Which port the device of that id is: the answer has the same id. */
static void ask_port(struct vpc_hypervisor *qmp, const char *device, bool closed)
{
    char path[VPC_HYPERVISOR_ID_MAX + 32];

    snprintf(path, sizeof(path), "/machine/peripheral/%s", device);
    ask(qmp, json_pack("{s:s, s:{s:s, s:s}, s:{s:s, s:b}}", "execute", "qom-get", "arguments",
                       "path", path, "property", "name", "id", "port", device, "closed", closed));
}

/* ---- what it says --------------------------------------------------------------------------------------------- */

static void on_stop(struct vpc_hypervisor *qmp)
{
    if (!qmp->shut_down)
        tell(qmp, VPC_MACHINE_PAUSED);
}

static void on_resume(struct vpc_hypervisor *qmp)
{
    qmp->shut_down = false;
    tell(qmp, VPC_MACHINE_RUNS);
}

static void on_reset(struct vpc_hypervisor *qmp)
{
    tell(qmp, VPC_MACHINE_RESET);
}

static void on_shutdown(struct vpc_hypervisor *qmp)
{
    qmp->shut_down = true;
    tell(qmp, VPC_MACHINE_SHUT_DOWN);
}

static void on_port(struct vpc_hypervisor *qmp, const json_t *data)
{
    const char *device = json_string_value(json_object_get(data, "id"));
    bool closed = json_is_false(json_object_get(data, "open"));

    if (device == NULL || strlen(device) >= VPC_HYPERVISOR_ID_MAX)
        return;
    if (qmp->port[0] == '\0')
        ask_port(qmp, device, closed);
    else if (closed && strcmp(device, qmp->port) == 0)
        tell(qmp, VPC_MACHINE_PORT_CLOSED);
}

static void on_event(struct vpc_hypervisor *qmp, const char *name, const json_t *data)
{
    static const struct {
        const char *name;
        void (*take)(struct vpc_hypervisor *qmp);
    } events[] = {
        {"STOP", on_stop},     {"RESUME", on_resume}, {"SUSPEND", on_stop},
        {"WAKEUP", on_resume}, {"RESET", on_reset},   {"SHUTDOWN", on_shutdown},
    };

    if (strcmp(name, "VSERPORT_CHANGE") == 0)
        on_port(qmp, data);
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
        if (strcmp(name, events[i].name) == 0)
            events[i].take(qmp);
}

static void on_status(struct vpc_hypervisor *qmp, const json_t *status)
{
    const char *name = json_string_value(json_object_get(status, "status"));

    vpc_timer_clear(qmp->loop, &qmp->patience);
    if (json_is_true(json_object_get(status, "running")))
        on_resume(qmp);
    else if (name != NULL && strcmp(name, "shutdown") == 0)
        on_shutdown(qmp);
    else
        on_stop(qmp);
}

/* The id of an answer is that of its question. */
static void on_answer(struct vpc_hypervisor *qmp, const json_t *id, const json_t *value)
{
    const char *question = json_string_value(id), *name = json_string_value(value);
    const char *device = json_string_value(json_object_get(id, "port"));

    if (question != NULL && strcmp(question, "capabilities") == 0)
        ask(qmp, json_pack("{s:s, s:s}", "execute", "query-status", "id", "status"));
    else if (question != NULL && strcmp(question, "status") == 0)
        on_status(qmp, value);
    if (device == NULL || name == NULL || strcmp(name, BUS_PORT) != 0)
        return;
    snprintf(qmp->port, sizeof(qmp->port), "%s", device);
    if (json_is_true(json_object_get(id, "closed")))
        tell(qmp, VPC_MACHINE_PORT_CLOSED);
}

static void on_greeting(struct vpc_hypervisor *qmp)
{
    ask(qmp, json_pack("{s:s, s:s}", "execute", "qmp_capabilities", "id", "capabilities"));
}

/* Once: what serves at this socket is no QMP. */
static void note_strange(struct vpc_hypervisor *qmp)
{
    if (!qmp->strange)
        note(qmp, "the monitor %s says what is no QMP: it is passed over (--qmp)",
             qmp->config.path);
    qmp->strange = true;
}

static void take_line(struct vpc_hypervisor *qmp, const char *line, size_t n)
{
    json_t *said = json_loadb(line, n, 0, NULL);
    const char *event = json_string_value(json_object_get(said, "event"));
    const json_t *value = json_object_get(said, "return");

    if (event != NULL)
        on_event(qmp, event, json_object_get(said, "data"));
    else if (value != NULL)
        on_answer(qmp, json_object_get(said, "id"), value);
    else if (json_object_get(said, "QMP") != NULL)
        on_greeting(qmp);
    else if (json_object_get(said, "error") == NULL)
        note_strange(qmp);
    json_decref(said);
}

/* ---- octets --------------------------------------------------------------------------------------------------- */

static void take_lines(struct vpc_hypervisor *qmp)
{
    char *end;

    while (qmp->watch.fd >= 0 && (end = memchr(qmp->line, '\n', qmp->size)) != NULL) {
        size_t n = (size_t)(end - qmp->line) + 1;

        if (!qmp->skipping)
            take_line(qmp, qmp->line, n - 1);
        qmp->skipping = false;
        if (qmp->watch.fd < 0)
            return;
        qmp->size -= n;
        memmove(qmp->line, end + 1, qmp->size);
    }
    if (qmp->size == sizeof(qmp->line)) {
        qmp->skipping = true;
        qmp->size = 0;
    }
}

static void on_ready(struct vpc_watch *watch, uint32_t events)
{
    struct vpc_hypervisor *qmp = watch->owner;
    ssize_t n = read(watch->fd, qmp->line + qmp->size, sizeof(qmp->line) - qmp->size);

    (void)events;
    if (n > 0) {
        qmp->size += (size_t)n;
        take_lines(qmp);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        lose(qmp);
    }
}

/* It listens, and serves somebody else: it is our turn when that one goes. */
static void on_patience(struct vpc_timer *timer)
{
    struct vpc_hypervisor *qmp = timer->owner;

    note(qmp,
         "the monitor %s does not answer: QEMU serves one client at a time; give this "
         "endpoint a QMP socket of its own (--qmp)",
         qmp->config.path);
}

static void on_retry(struct vpc_timer *timer)
{
    struct vpc_hypervisor *qmp = timer->owner;
    struct vpc_loop *loop = qmp->loop;
    const struct vpc_bus_address monitor = {.kind = VPC_BUS_CONNECT, .path = qmp->config.path};
    int error = vpc_bus_dial(&monitor, &qmp->watch.fd);

    if (error && error != qmp->last_error)
        note(qmp, "waiting for the monitor %s: %s", qmp->config.path, strerror(error));
    qmp->last_error = error;
    if (error) {
        retry_later(qmp);
        return;
    }
    vpc_timer_set(loop, &qmp->patience, loop->now + PATIENCE_MS);
    vpc_watch_set(loop, &qmp->watch, EPOLLIN);
}

void vpc_hypervisor_open(struct vpc_hypervisor *qmp, const struct vpc_hypervisor_config *config,
                         struct vpc_loop *loop)
{
    qmp->loop = loop;
    qmp->config = *config;
    qmp->watch = (struct vpc_watch){.fd = -1, .on_ready = on_ready, .owner = qmp};
    qmp->retry = (struct vpc_timer){.on_due = on_retry, .owner = qmp};
    qmp->patience = (struct vpc_timer){.on_due = on_patience, .owner = qmp};
    vpc_timer_set(loop, &qmp->retry, loop->now);
}

void vpc_hypervisor_close(struct vpc_hypervisor *qmp)
{
    if (qmp->loop == NULL)
        return;
    vpc_timer_clear(qmp->loop, &qmp->retry);
    vpc_timer_clear(qmp->loop, &qmp->patience);
    vpc_watch_close(qmp->loop, &qmp->watch);
}
