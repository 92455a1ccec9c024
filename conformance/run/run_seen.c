/* SPDX-License-Identifier: MIT */
/* What the backend sees, sorted into what steps ask for. */
#include <stdlib.h>
#include <string.h>

#include "document/entry.h"
#include "document/schema.h"
#include "run/run.h"

/* ---- control clients --------------------------------------------------------------------------------------------------- */

/* The step before had its end told, or the one that begins would write to nobody. */
static bool is_spent(const struct conform_client *client, bool gives)
{
    return client->over || (client->eof && gives);
}

struct conform_client *vpc_client_of(struct vpc_run *run, const char *label, bool gives)
{
    struct conform_client *client = run->clients;

    while (client &&
           (strcmp(client->label, label) != 0 || (run->progress->first && is_spent(client, gives))))
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

void vpc_client_asks(struct conform_client *client, const json_t *line)
{
    struct vpc_request *request = vpc_alloc(sizeof(*request)), **last = &client->waiting;

    while (*last)
        last = &(*last)->next;
    request->number = ++client->requests;
    request->id = json_incref(json_object_get(line, "id"));
    request->command = vpc_copy(json_string_value(json_object_get(line, "execute")));
    request->object = json_is_object(line);
    *last = request;
}

static void forget_request(struct vpc_request **at)
{
    struct vpc_request *request = *at;

    *at = request->next;
    json_decref(request->id);
    free(request->command);
    free(request);
}

/* An endpoint that could not read the line may say that it knows no id. */
static bool answers(const struct vpc_request *request, const json_t *id)
{
    if (request->id == NULL)
        return id == NULL || (!request->object && json_is_null(id));
    return json_equal(request->id, id);
}

/* The request that an answer with this id is to, or where one would be. */
static struct vpc_request **answered(struct conform_client *client, const json_t *id)
{
    struct vpc_request **at = &client->waiting;

    while (*at && !answers(*at, id))
        at = &(*at)->next;
    return at;
}

/* ---- what was seen ------------------------------------------------------------------------------------------------------- */

static struct vpc_item *append(struct vpc_items *list, int client, bool first, json_t *json)
{
    struct vpc_item *item = vpc_alloc(sizeof(*item));

    *item = (struct vpc_item){.client = client, .first = first, .json = json};
    if (list->last)
        list->last->next = item;
    else
        list->first = item;
    return list->last = item;
}

static json_t *parse(struct vpc_run *run, const struct vpc_seen *seen, const char *what)
{
    json_error_t error;
    json_t *json = json_loadb(seen->text, seen->size, JSON_ALLOW_NUL, &error);

    if (json_is_object(json))
        return json;
    json_decref(json);
    if (!run->crash)
        run->crash = vpc_format("%s is no JSON object: %.*s", what,
                                (int)(seen->size > 100 ? 100 : seen->size), seen->text);
    return NULL;
}

void vpc_run_breach(struct vpc_run *run, const char *requirement, const char *format, ...)
{
    struct vpc_breach *breach = &run->monitor.breach;
    va_list args;

    if (breach->requirement)
        return;
    va_start(args, format);
    vsnprintf(breach->text, sizeof(breach->text), format, args);
    va_end(args);
    breach->requirement = requirement;
}

static struct conform_client *client_by_id(const struct vpc_run *run, int id)
{
    struct conform_client *client = run->clients;

    while (client && client->id != id)
        client = client->next;
    return client;
}

/* Each line of the control socket is as the schema says, in every run. */
static void judge_line(struct vpc_run *run, const char *requirement, const char *place,
                       const json_t *line)
{
    char text[160];

    if (!vpc_schema_fits(run->config->spec->control, place, line, text, sizeof(text)))
        vpc_run_breach(run, requirement, "%s: %s", place, text);
}

static void judge_answer(struct vpc_run *run, const struct vpc_request *request, const json_t *json)
{
    const json_t *result = json_object_get(json, "return");
    char *place = vpc_format("returns/%s", request->command ? request->command : "");

    if (result)
        judge_line(run, "CTL-2", place, result);
    else
        judge_line(run, "CTL-2", "failure", json);
    free(place);
}

/* The error that comes before the end of a connection which must go (CTL-9). */
static bool is_farewell(const json_t *json)
{
    const char *class = json_string_value(json_object_get(json_object_get(json, "error"), "class"));

    return json_object_get(json, "id") == NULL && class && strcmp(class, "GenericError") == 0;
}

static void on_answer(struct vpc_run *run, int id, json_t *json)
{
    struct vpc_item *item = append(&run->answers, id, false, json);
    struct conform_client *client = client_by_id(run, id);
    struct vpc_request **request;

    if (json_object_get(json, "VPCBus")) {
        judge_line(run, "CTL-1", "greeting", json);
        return;
    }
    if (client && client->told_to_go)
        vpc_run_breach(run, "CTL-9", "a line after the error that ends the connection");
    request = client ? answered(client, json_object_get(json, "id")) : NULL;
    if (request && *request) {
        item->request = (*request)->number;
        judge_answer(run, *request, json);
        forget_request(request);
    } else if (client && client->waiting == NULL && is_farewell(json)) {
        judge_line(run, "CTL-9", "failure", json);
        client->told_to_go = true;
    } else if (client) {
        vpc_run_breach(run, "CTL-2", "an answer with an id that no request waits with");
    }
}

/* EVENT_LOGGED tells the entries of the log, in their order.  In real time they come on another way than the log. */
static void judge_told_entry(struct vpc_run *run, const json_t *entry)
{
    const struct vpc_item *item = run->told ? run->told->next : run->logs.first;

    while (item && !json_equal(item->json, entry))
        item = item->next;
    if (item)
        run->told = item;
    else
        vpc_run_breach(run, "CTL-4", "an event EVENT_LOGGED that tells no entry of the log");
}

static void judge_event(struct vpc_run *run, const json_t *event)
{
    const char *name = json_string_value(json_object_get(event, "event"));
    char *place = vpc_format("events/%s", name ? name : "");

    vpc_judge_time(run, "CTL-4", "an event", json_object_get(event, "time"), &run->event_time);
    judge_line(run, "CTL-4", "event", event);
    judge_line(run, "CTL-4", place, json_object_get(event, "data"));
    if (!run->ops->real_time && name && strcmp(name, "EVENT_LOGGED") == 0)
        judge_told_entry(run, json_object_get(event, "data"));
    free(place);
}

/* In-process an event comes once for all clients (0). */
static void append_event(struct vpc_run *run, int client, json_t *json)
{
    if (client == 0 || client == run->event_client)
        judge_event(run, json);
    append(&run->events, client, client == 0 || client == run->event_client, json);
    for (struct conform_client *one = client ? NULL : run->clients; one; one = one->next)
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
        on_answer(run, seen->id, json);
}

static void judge_entry(struct vpc_run *run, const json_t *entry)
{
    struct vpc_breach *breach = &run->monitor.breach;

    if (breach->requirement == NULL)
        breach->requirement =
            vpc_entry_breach(run->config->spec->catalogue, entry, run->monitor.subject,
                             vpc_vm_of(run->config), breach->text, sizeof(breach->text));
    if (breach->requirement == NULL)
        judge_line(run, "LOG-1", "log_entry", entry);
    if (breach->requirement == NULL)
        breach->requirement =
            vpc_log_order_breach(&run->log_order, entry, breach->text, sizeof(breach->text));
}

/* LOG-6.  In a virtual machine octets of the bus may be lost, and the log goes back with it. */
static void judge_relay(struct vpc_run *run)
{
    struct vpc_breach *breach = &run->monitor.breach;

    if (breach->requirement == NULL)
        breach->requirement = vpc_log_relay_breach(&run->log_relay, !run->ops->real_time,
                                                   breach->text, sizeof(breach->text));
}

static bool relays(const struct vpc_run *run)
{
    return run->monitor.subject == VPC_FROM_GUEST && !run->ops->late_reader;
}

static struct vpc_relayed relayed(const struct conform_frame *frame, uint64_t sessions)
{
    struct vpc_relayed event = {.session = frame->session,
                                .earlier = sessions > 0 ? sessions - 1 : 0};
    const struct {
        const char *name;
        uint64_t *value;
    } fields[] = {
        {"event", &event.event},       {"lost", &event.lost},    {"time", &event.time},
        {"level", &event.level},       {"h2g", &event.h2g},      {"g2h", &event.g2h},
        {"port", &event.port},         {"errno", &event.errno_}, {"sent", &event.sent},
        {"received", &event.received}, {"value", &event.value},
    };

    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        vpc_frame_get(frame, fields[i].name, fields[i].value);
    vpc_frame_get_text(frame, "cause", event.cause);
    vpc_frame_get_text(frame, "detail", event.detail);
    return event;
}

static void on_octets(struct vpc_run *run, const struct vpc_seen *seen)
{
    struct vpc_received **since = run->tester.last;

    run->comes_by = 0;
    vpc_record_octets(run->record, run->monitor.subject, seen->text, seen->size,
                      run->trace->now - run->trace->start);
    vpc_tester_input(&run->tester, seen->text, seen->size);
    for (struct vpc_received *at = relays(run) ? *since : NULL; at; at = at->next) {
        if (strcmp(at->frame.message->name, "EVENT") == 0) {
            struct vpc_relayed event = relayed(&at->frame, run->tester.peer.sessions);

            vpc_log_relay_event(&run->log_relay, &event);
        }
    }
    judge_relay(run);
}

static void on_log(struct vpc_run *run, const struct vpc_seen *seen)
{
    json_t *json = parse(run, seen, "an entry of the event log");

    vpc_trace_add(run->trace, "log < %.*s", (int)seen->size, seen->text);
    if (json == NULL)
        return;
    append(&run->logs, 0, true, json);
    judge_entry(run, json);
    if (relays(run))
        vpc_log_relay_entry(&run->log_relay, json);
    judge_relay(run);
    vpc_judge_time(run, "LOG-1", "an entry of the event log", json_object_get(json, "time"),
                   &run->entry_time);
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

static void on_bus(struct vpc_run *run, const struct vpc_seen *seen)
{
    bool up = seen->kind == VPC_SEEN_BUS_UP;

    vpc_trace_add(run->trace, "bus %s", up ? "up" : "down");
    run->bus_up = up;
    vpc_record_cut(run->record);
    vpc_tester_connected(&run->tester);
    vpc_monitor_bus(&run->monitor, up);
    run->monitor.late_reader = up && run->ops->late_reader;
}

static void on_gap(struct vpc_run *run, const struct vpc_seen *seen)
{
    (void)seen;
    vpc_trace_add(run->trace, "bus: octets of the subject may be missing here");
    vpc_tester_connected(&run->tester);
    run->monitor.late_reader = true;
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
    for (struct conform_client *client = run->clients; client; client = client->next)
        if (seen->id == 0 || client->id == seen->id) {
            client->eof = true;
            client->reset = seen->size > 0;
        }
    if (seen->id == 0 || seen->id == run->event_client)
        run->event_client = 0;
}

/* ---- all of it -------------------------------------------------------------------------------------------------------------- */

#define KEPT_MAX    (128ull << 20) /* octets, of each: entries and answers, a connection, frames */
#define ITEM_OCTETS 2048           /* that an entry counts at least: each takes time to be judged */

/* Whether the subject tells more than is kept until a step takes it, or the run is over. */
static const char *what_is_too_much(struct vpc_run *run, const struct vpc_seen *seen)
{
    const struct vpc_conn *conn =
        seen->kind == VPC_SEEN_LOCAL_OCTETS ? conn_by_id(run, seen->id) : NULL;

    if (seen->kind == VPC_SEEN_LOG || seen->kind == VPC_SEEN_CONTROL_LINE)
        run->told_octets += seen->size + ITEM_OCTETS;
    if (run->told_octets > KEPT_MAX)
        return "on its log and control socket";
    if (run->tester.held > KEPT_MAX)
        return "on the bus";
    return conn && vpc_buffer_size(&conn->in) + seen->size > KEPT_MAX ? "on a connection" : NULL;
}

/* It is told once, and nothing more is taken. */
static bool is_full(struct vpc_run *run, const struct vpc_seen *seen)
{
    const char *where = what_is_too_much(run, seen);

    if (where && !run->crash)
        run->crash = vpc_format("it said more %s than is kept of a run", where);
    return where != NULL;
}

static void (*const handlers[])(struct vpc_run *run, const struct vpc_seen *seen) = {
    [VPC_SEEN_BUS_UP] = on_bus,
    [VPC_SEEN_BUS_DOWN] = on_bus,
    [VPC_SEEN_BUS_OCTETS] = on_octets,
    [VPC_SEEN_BUS_GAP] = on_gap,
    [VPC_SEEN_CONTROL_LINE] = on_control,
    [VPC_SEEN_CONTROL_EOF] = on_control_eof,
    [VPC_SEEN_LOCAL_OPENED] = on_local,
    [VPC_SEEN_LOCAL_OCTETS] = on_local,
    [VPC_SEEN_LOCAL_EOF] = on_local,
    [VPC_SEEN_LOCAL_RESET] = on_local,
    [VPC_SEEN_LOG] = on_log,
    [VPC_SEEN_READY] = on_ready,
    [VPC_SEEN_STOPPED] = on_end,
    [VPC_SEEN_CRASHED] = on_end,
    [VPC_SEEN_BROKEN] = on_broken,
};

void vpc_on_seen(void *user, const struct vpc_seen *seen)
{
    struct vpc_run *run = user;

    run->trace->now = run->backend ? vpc_now(run) : 0;
    if (!is_full(run, seen))
        handlers[seen->kind](run, seen);
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

static void forget_conns(struct vpc_conn *conn)
{
    while (conn) {
        struct vpc_conn *next = conn->next;

        vpc_buffer_free(&conn->in);
        free(conn->label);
        free(conn);
        conn = next;
    }
}

static void forget_clients(struct conform_client *client)
{
    while (client) {
        struct conform_client *next = client->next;

        while (client->waiting)
            forget_request(&client->waiting);
        vpc_buffer_free(&client->part);
        free(client->label);
        free(client);
        client = next;
    }
}

static void forget_paths(struct conform_pipe_path *path)
{
    while (path) {
        struct conform_pipe_path *next = path->next;

        free(path->name);
        free(path->path);
        free(path);
        path = next;
    }
}

void vpc_run_forget(struct vpc_run *run)
{
    forget_items(run->answers.first);
    forget_items(run->events.first);
    forget_items(run->logs.first);
    forget_conns(run->conns);
    forget_clients(run->clients);
    forget_paths(run->paths);
    for (size_t i = 0; i < run->config->script->variable_count; i++)
        json_decref(run->variables[i].json);
    free(run->variables);
    vpc_tester_kept_free(run->kept);
    vpc_log_relay_end(&run->log_relay);
    vpc_progress_clear(&run->own);
    free(run->got);
    free(run->crash);
    free(run->broken);
    free(run->ready_name);
}
