/* SPDX-License-Identifier: MIT */
/* What the backend sees, sorted into what steps ask for; and the values of steps. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "document/entry.h"
#include "run/run.h"

enum vpc_outcome vpc_say(struct vpc_run *run, enum vpc_outcome outcome, const char *format, ...)
{
    va_list args;

    free(run->got);
    va_start(args, format);
    if (vasprintf(&run->got, format, args) < 0)
        run->got = NULL;
    va_end(args);
    return outcome;
}

uint64_t vpc_now(struct vpc_run *run)
{
    return run->ops->now(run->backend);
}

/* ---- values --------------------------------------------------------------------------------------------------------- */

bool vpc_number(const char *text, uint64_t *value)
{
    char *end;

    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    *value = strtoull(text, &end, 0);
    return *end == '\0' && errno == 0;
}

static const struct vpc_variable *variable_of(const struct vpc_run *run, const char *name, size_t n)
{
    struct vpc_variable *at = run->variables;

    while (at && (strncmp(at->name, name, n) != 0 || at->name[n]))
        at = at->next;
    return at;
}

/* `$NAME+N`: the sum is kept as a variable of that name. */
static const char *sum_of(struct vpc_run *run, const char *text, size_t name_size)
{
    const struct vpc_variable *base = variable_of(run, text, name_size);
    uint64_t number, other;
    char sum[24];

    if (base == NULL || !vpc_number(base->value, &number) ||
        !vpc_number(text + name_size + 1, &other))
        return NULL;
    number = text[name_size] == '+' ? number + other : number - other;
    snprintf(sum, sizeof(sum), "%llu", (unsigned long long)number);
    vpc_set_variable(run, text, sum);
    return variable_of(run, text, strlen(text))->value;
}

const char *vpc_value(struct vpc_run *run, const struct vpc_arg *arg)
{
    const char *name = arg->value + 1;
    const struct vpc_variable *variable;
    size_t n;

    if (arg->quoted || arg->value[0] != '$')
        return arg->value;
    n = strcspn(name, "+-");
    if (name[n])
        return sum_of(run, name, n);
    variable = variable_of(run, name, n);
    return variable ? variable->value : NULL;
}

void vpc_set_variable(struct vpc_run *run, const char *name, const char *value)
{
    struct vpc_variable *at = run->variables;

    while (at && strcmp(at->name, name) != 0)
        at = at->next;
    if (at == NULL) {
        at = vpc_alloc(sizeof(*at));
        at->name = vpc_copy(name);
        at->next = run->variables;
        run->variables = at;
    }
    free(at->value);
    at->value = vpc_copy(value);
}

bool vpc_number_of(struct vpc_run *run, const struct vpc_arg *arg, uint64_t *value)
{
    const char *text = vpc_value(run, arg);

    if (text && vpc_number(text, value))
        return true;
    vpc_say(run, VPC_BROKEN, "%s is %s, a number is needed", arg->key ? arg->key : "the word",
            text ? text : "a variable without a value");
    return false;
}

static uint8_t pattern_octet(uint64_t pattern, uint64_t at)
{
    uint64_t x = (at / 4 + 1) * 0x9e3779b97f4a7c15 + pattern * 0xbf58476d1ce4e5b9;

    x ^= x >> 29;
    x *= 0x94d049bb133111eb;
    return (uint8_t)(x >> (32 + at % 4 * 8));
}

static bool add_pattern(struct vpc_run *run, struct vpc_buffer *bytes)
{
    const struct vpc_arg *size = vpc_step_arg(run->step, "bytes");
    const struct vpc_arg *pattern = vpc_step_arg(run->step, "pattern");
    const struct vpc_arg *from = vpc_step_arg(run->step, "from");
    uint64_t n, seed = 0, start = 0;

    if (!vpc_number_of(run, size, &n) || (pattern && !vpc_number_of(run, pattern, &seed)) ||
        (from && !vpc_number_of(run, from, &start)))
        return false;
    if (n > 64u << 20) {
        vpc_say(run, VPC_BROKEN, "bytes is more than 64 MiB");
        return false;
    }
    vpc_buffer_fill(bytes, 0, n);
    for (uint64_t i = 0; i < n; i++)
        bytes->data[i] = pattern_octet(seed, start + i);
    return true;
}

bool vpc_bytes_of(struct vpc_run *run, struct vpc_buffer *bytes)
{
    const struct vpc_arg *text = vpc_step_arg(run->step, "text");

    for (size_t i = 0; i < run->step->arg_count; i++) {
        if (run->step->args[i].key == NULL && run->step->args[i].quoted)
            text = &run->step->args[i];
    }
    if (text == NULL && vpc_step_arg(run->step, "bytes"))
        return add_pattern(run, bytes);
    if (text == NULL) {
        vpc_say(run, VPC_BROKEN, "the step has neither text nor bytes=");
        return false;
    }
    vpc_buffer_add(bytes, text->value, text->size);
    return true;
}

bool vpc_want(struct vpc_run *run)
{
    if (!run->first)
        return true;
    vpc_buffer_free(&run->want);
    run->compared = 0;
    return vpc_bytes_of(run, &run->want);
}

char *vpc_show(const void *octets, size_t n)
{
    const unsigned char *at = octets;
    struct vpc_buffer out = {0};

    vpc_buffer_add(&out, "\"", 1);
    for (size_t i = 0; i < n && i < 40; i++) {
        char *one =
            at[i] >= 0x20 && at[i] < 0x7f ? vpc_format("%c", at[i]) : vpc_format("\\x%02x", at[i]);

        vpc_buffer_add(&out, one, strlen(one));
        free(one);
    }
    vpc_buffer_add(&out, n > 40 ? "\"..." : "\"", n > 40 ? 5 : 2);
    return (char *)out.data;
}

/* ---- control clients --------------------------------------------------------------------------------------------------- */

struct vpc_client *vpc_client_of(struct vpc_run *run, const char *label)
{
    struct vpc_client *client = run->clients;

    while (client && (strcmp(client->label, label) != 0 || (client->eof && run->first)))
        client = client->next;
    if (client)
        return client;
    if (!run->ops->control_open(run->backend, run->next_id + 1))
        return NULL;
    client = vpc_alloc(sizeof(*client));
    client->label = vpc_copy(label);
    client->id = ++run->next_id;
    client->next = run->clients;
    run->clients = client;
    if (run->event_client == 0)
        run->event_client = client->id;
    return client;
}

/* ---- what was seen ------------------------------------------------------------------------------------------------------- */

static void append(struct vpc_item **list, int client, bool first, json_t *json)
{
    struct vpc_item *item = vpc_alloc(sizeof(*item));

    while (*list)
        list = &(*list)->next;
    item->client = client;
    item->first = first;
    item->json = json;
    *list = item;
}

static json_t *parse(struct vpc_run *run, const struct vpc_seen *seen, const char *what)
{
    json_error_t error;
    json_t *json = json_loadb(seen->text, seen->size, 0, &error);

    if (json_is_object(json))
        return json;
    json_decref(json);
    if (!run->crash)
        run->crash = vpc_format("%s is no JSON object: %.*s", what,
                                (int)(seen->size > 100 ? 100 : seen->size), seen->text);
    return NULL;
}

/* In-process an event comes once for all clients (0). */
static void append_event(struct vpc_run *run, int client, json_t *json)
{
    append(&run->events, client, client == 0 || client == run->event_client, json);
    for (struct vpc_client *one = client ? NULL : run->clients; one; one = one->next)
        if (!one->eof)
            append(&run->events, one->id, false, json_incref(json));
}

static void on_control(struct vpc_run *run, const struct vpc_seen *seen)
{
    json_t *json = parse(run, seen, "a line of the control socket");

    vpc_trace_add(run->trace, "api < %.*s", (int)seen->size, seen->text);
    if (json == NULL)
        return;
    if (json_object_get(json, "event"))
        append_event(run, seen->id, json);
    else
        append(&run->answers, seen->id, false, json);
}

static void on_log(struct vpc_run *run, const struct vpc_seen *seen)
{
    json_t *json = parse(run, seen, "an entry of the event log");

    vpc_trace_add(run->trace, "log < %.*s", (int)seen->size, seen->text);
    if (json == NULL)
        return;
    append(&run->logs, 0, true, json);
    if (run->monitor.breach.requirement == NULL)
        run->monitor.breach.requirement =
            vpc_entry_breach(run->catalogue, json, run->monitor.subject, VPC_SUBJECT_VM,
                             run->monitor.breach.text, sizeof(run->monitor.breach.text));
}

static struct vpc_conn *conn_by_id(struct vpc_run *run, int id)
{
    struct vpc_conn *conn = run->conns;

    while (conn && conn->id != id)
        conn = conn->next;
    return conn;
}

static void on_opened(struct vpc_run *run, const struct vpc_seen *seen)
{
    struct vpc_conn *conn = vpc_alloc(sizeof(*conn));

    vpc_trace_add(run->trace, "tcp < accepted at port %u", seen->value);
    conn->id = seen->id;
    conn->port = (uint16_t)seen->value;
    conn->next = run->conns;
    run->conns = conn;
}

static void on_local(struct vpc_run *run, const struct vpc_seen *seen)
{
    struct vpc_conn *conn = conn_by_id(run, seen->id);

    if (seen->kind == VPC_SEEN_LOCAL_OPENED)
        on_opened(run, seen);
    if (conn == NULL)
        return;
    if (seen->kind == VPC_SEEN_LOCAL_OCTETS)
        vpc_buffer_add(&conn->in, seen->text, seen->size);
    else
        vpc_trace_add(run->trace, "local < %s", seen->kind == VPC_SEEN_LOCAL_EOF ? "eof" : "reset");
    conn->eof |= seen->kind == VPC_SEEN_LOCAL_EOF;
    conn->reset |= seen->kind == VPC_SEEN_LOCAL_RESET;
}

static void on_bus(struct vpc_run *run, bool up)
{
    vpc_trace_add(run->trace, "bus %s", up ? "up" : "down");
    run->bus_up = up;
    vpc_record_cut(run->record);
    vpc_tester_connected(&run->tester);
    vpc_monitor_bus(&run->monitor, up);
    run->monitor.late_reader = up && run->ops->late_reader;
}

static void on_end(struct vpc_run *run, const struct vpc_seen *seen)
{
    if (seen->kind == VPC_SEEN_STOPPED) {
        vpc_trace_add(run->trace, "the subject stopped");
        run->stopped = true;
    } else if (!run->crash) {
        vpc_trace_add(run->trace, "the subject crashed: %s", seen->text);
        run->crash = vpc_copy(seen->text);
    }
}

static void on_broken(struct vpc_run *run, const struct vpc_seen *seen)
{
    vpc_trace_add(run->trace, "broken: %s", seen->text);
    if (!run->broken)
        run->broken = vpc_copy(seen->text);
}

static void on_ready(struct vpc_run *run, const struct vpc_seen *seen)
{
    vpc_trace_add(run->trace, "ready < %s %s", seen->value ? "set" : "reset", seen->text);
    run->ready = (int)seen->value;
    free(run->ready_name);
    run->ready_name = vpc_copy_n(seen->text ? seen->text : "", seen->size);
}

static void on_control_eof(struct vpc_run *run, const struct vpc_seen *seen)
{
    for (struct vpc_client *client = run->clients; client; client = client->next)
        if (seen->id == 0 || client->id == seen->id) {
            client->eof = true;
            client->reset = seen->size > 0;
        }
    if (seen->id == 0 || seen->id == run->event_client)
        run->event_client = 0;
}

void vpc_on_seen(void *user, const struct vpc_seen *seen)
{
    struct vpc_run *run = user;

    run->trace->now = run->backend ? vpc_now(run) : 0;
    switch (seen->kind) {
    case VPC_SEEN_BUS_UP:
    case VPC_SEEN_BUS_DOWN:
        on_bus(run, seen->kind == VPC_SEEN_BUS_UP);
        break;
    case VPC_SEEN_BUS_OCTETS:
        vpc_record_octets(run->record, run->monitor.subject, seen->text, seen->size,
                          run->trace->now - run->trace->start);
        vpc_tester_input(&run->tester, seen->text, seen->size);
        break;
    case VPC_SEEN_BUS_GAP:
        vpc_trace_add(run->trace, "bus: octets of the subject may be missing here");
        vpc_tester_connected(&run->tester);
        run->monitor.late_reader = true;
        break;
    case VPC_SEEN_CONTROL_LINE:
        on_control(run, seen);
        break;
    case VPC_SEEN_CONTROL_EOF:
        on_control_eof(run, seen);
        break;
    case VPC_SEEN_LOG:
        on_log(run, seen);
        break;
    case VPC_SEEN_READY:
        on_ready(run, seen);
        break;
    case VPC_SEEN_STOPPED:
    case VPC_SEEN_CRASHED:
        on_end(run, seen);
        break;
    case VPC_SEEN_BROKEN:
        on_broken(run, seen);
        break;
    default:
        on_local(run, seen);
        break;
    }
}

/* ---- the end --------------------------------------------------------------------------------------------------------------- */

static void forget_items(struct vpc_item *item)
{
    while (item) {
        struct vpc_item *next = item->next;

        json_decref(item->json);
        free(item);
        item = next;
    }
}

void vpc_run_forget(struct vpc_run *run)
{
    forget_items(run->answers);
    forget_items(run->events);
    forget_items(run->logs);
    while (run->conns) {
        struct vpc_conn *next = run->conns->next;

        vpc_buffer_free(&run->conns->in);
        free(run->conns->label);
        free(run->conns);
        run->conns = next;
    }
    while (run->clients) {
        struct vpc_client *next = run->clients->next;

        free(run->clients->label);
        free(run->clients);
        run->clients = next;
    }
    while (run->variables) {
        struct vpc_variable *next = run->variables->next;

        free(run->variables->name);
        free(run->variables->value);
        free(run->variables);
        run->variables = next;
    }
    vpc_tester_kept_free(run->kept);
    json_decref(run->catalogue);
    vpc_buffer_free(&run->want);
    free(run->got);
    free(run->crash);
    free(run->broken);
    free(run->ready_name);
}
