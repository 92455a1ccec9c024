/* SPDX-License-Identifier: MIT */
/* The steps about events of the control socket, the event log and the ready event. */
#include <string.h>

#include "run/run.h"

/* Of the two an event alone has `data`; an entry may have a field `event` (READY_EVENT_FAILED). */
static bool is_event(const json_t *json)
{
    return json_object_get(json, "data") != NULL;
}

static bool is_entry(const json_t *json, const char *what)
{
    const json_t *event = json_object_get(json, "event");
    uint64_t id;

    if (is_event(json))
        return json_is_string(event) && strcmp(json_string_value(event), what) == 0;
    if (vpc_number(what, &id))
        return json_integer_value(json_object_get(json, "id")) == (json_int_t)id;
    return json_is_string(json_object_get(json, "name")) &&
           strcmp(json_string_value(json_object_get(json, "name")), what) == 0;
}

static const json_t *fields_of(const json_t *json)
{
    return is_event(json) ? json_object_get(json, "data") : json;
}

/* Of the client that an event step names; without a label each event counts once, however many clients it came to. */
static bool is_asked(const struct vpc_item *item, const struct conform_client *client)
{
    return !item->used && (client ? item->client == client->id : item->first);
}

static enum vpc_outcome expect_entry(struct vpc_run *run, struct vpc_item *list,
                                     const struct conform_client *client, const char *what)
{
    const json_t *near = NULL;

    for (; list; list = list->next) {
        if (!is_asked(list, client) || !is_entry(list->json, what))
            continue;
        if (vpc_json_matches(run, fields_of(list->json), 1)) {
            list->used = true;
            return VPC_DONE;
        }
        near = list->json;
    }
    return near ? vpc_say_json(run, VPC_PENDING, near) : vpc_say(run, VPC_PENDING, "no such entry");
}

static enum vpc_outcome no_entry(struct vpc_run *run, struct vpc_item *list,
                                 const struct conform_client *client, const char *what)
{
    for (; list; list = list->next)
        if (is_asked(list, client) && is_entry(list->json, what) &&
            vpc_json_matches(run, fields_of(list->json), 1))
            return vpc_say_json(run, VPC_WRONG, list->json);
    return VPC_PENDING;
}

/* The client of an event step's label, if it has one; false: it can not be connected. */
static bool find_client(struct vpc_run *run, const struct vpc_step *step,
                        struct conform_client **client)
{
    if (!*step->label)
        return true;
    *client = vpc_client_of(run, step->label, false);
    if (*client == NULL)
        vpc_say(run, VPC_PENDING, "the control socket can not be connected");
    return *client != NULL;
}

enum vpc_outcome vpc_step_event_expect(struct vpc_run *run, const struct vpc_step *step)
{
    struct conform_client *client = NULL;

    if (!find_client(run, step, &client))
        return VPC_PENDING;
    return expect_entry(run, run->events.first, client, step->args[0].value);
}

enum vpc_outcome vpc_step_event_none(struct vpc_run *run, const struct vpc_step *step)
{
    struct conform_client *client = NULL;

    if (!find_client(run, step, &client))
        return VPC_PENDING;
    return no_entry(run, run->events.first, client, step->args[0].value);
}

enum vpc_outcome vpc_step_log_expect(struct vpc_run *run, const struct vpc_step *step)
{
    return expect_entry(run, run->logs.first, NULL, step->args[0].value);
}

enum vpc_outcome vpc_step_log_none(struct vpc_run *run, const struct vpc_step *step)
{
    return no_entry(run, run->logs.first, NULL, step->args[0].value);
}

static enum vpc_outcome expect_ready(struct vpc_run *run, const struct vpc_step *step, int value)
{
    const struct vpc_arg *name = vpc_step_arg(step, "name");

    if (run->ready != value)
        return vpc_say(run, VPC_PENDING, "the ready event is %s",
                       run->ready < 0 ? "unknown"
                       : run->ready   ? "set"
                                      : "reset");
    if (name && strcmp(name->value, run->ready_name) != 0)
        return vpc_say(run, VPC_WRONG, "the ready event's name is %s", run->ready_name);
    return VPC_DONE;
}

enum vpc_outcome vpc_step_ready_set(struct vpc_run *run, const struct vpc_step *step)
{
    return expect_ready(run, step, 1);
}

enum vpc_outcome vpc_step_ready_reset(struct vpc_run *run, const struct vpc_step *step)
{
    return run->ready < 0 ? VPC_DONE : expect_ready(run, step, 0);
}
