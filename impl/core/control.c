/* SPDX-License-Identifier: MIT */
/* The control socket's lines: greeting, requests, answers (CTL-1 to CTL-6). */
#include "endpoint.h"

#include <string.h>

/* ---- answers --------------------------------------------------------------------------------- */

void vpc_asker_forget(struct vpc_asker *asker)
{
    json_decref(asker->id);
    vpc_entry_remove(&asker->by_client);
    *asker = (struct vpc_asker){0};
}

void vpc_asker_keep(vpc_endpoint *ep, struct vpc_asker *place, struct vpc_asker asker)
{
    *place = asker;
    vpc_index_add(&ep->askers, asker.client, &place->by_client);
}

/* Its answers have nowhere to go; what it started goes on. */
void vpc_control_forget(vpc_endpoint *ep, uint32_t client)
{
    struct vpc_entry *entry, *next;

    for (entry = vpc_index_first(&ep->askers, client); entry != NULL; entry = next) {
        struct vpc_asker *asker = VPC_LIST_ENTRY(entry, struct vpc_asker, by_client);

        next = entry->next;
        ep->visits++;
        if (asker->client == client)
            vpc_asker_forget(asker);
    }
}

static void answer(vpc_endpoint *ep, struct vpc_asker *asker, json_t *object)
{
    if (asker->id != NULL)
        json_object_set(object, "id", asker->id);
    if (asker->client != 0)
        vpc_act_json(ep, VPC_ACTION_REPLY, asker->client, object);
    else
        json_decref(object);
    vpc_asker_forget(asker);
}

void vpc_answer(vpc_endpoint *ep, struct vpc_asker *asker, json_t *value)
{
    answer(ep, asker, json_pack("{s:o}", "return", value));
}

static json_t *error_object(const char *class, const char *text)
{
    return json_pack("{s:{s:s, s:s}}", "error", "class", class, "desc", text);
}

void vpc_answer_error(vpc_endpoint *ep, struct vpc_asker *asker, vpc_hresult result,
                      const char *text, uint32_t error)
{
    json_t *object = error_object(vpc_hresult_name(result), text),
           *body = json_object_get(object, "error");
    char hresult[16];

    snprintf(hresult, sizeof(hresult), "0x%08X", (unsigned)result);
    json_object_set_new(body, "hresult", json_string(hresult));
    if (error != 0)
        json_object_set_new(body, "errno", json_integer(error));
    answer(ep, asker, object);
}

static void answer_generic(vpc_endpoint *ep, struct vpc_asker *asker, const char *text)
{
    json_t *object = error_object("GenericError", text);

    json_object_set_new(json_object_get(object, "error"), "hresult",
                        json_string(VPC_GENERIC_HRESULT));
    answer(ep, asker, object);
}

void vpc_control_greet(vpc_endpoint *ep, uint32_t client)
{
    vpc_act_json(ep, VPC_ACTION_REPLY, client,
                 json_pack("{s:{s:s, s:s, s:s, s:s}}", "VPCBus", "version", "1.0", "role",
                           ep->role == VPC_ROLE_HOST ? "host" : "guest", "vm", ep->vm,
                           "implementation", VPC_IMPLEMENTATION));
}

/* ---- queries --------------------------------------------------------------------------------- */

enum vpc_level vpc_endpoint_level(const vpc_endpoint *ep)
{
    switch (vpc_session_state(ep->session)) {
    case VPC_SESSION_DOWN:
        return VPC_LEVEL_DOWN;
    case VPC_SESSION_UP:
        return VPC_LEVEL_COMPONENTS;
    case VPC_SESSION_READY:
        return ep->stands == NULL ? VPC_LEVEL_READY : VPC_LEVEL_COMPONENTS;
    default:
        return VPC_LEVEL_RUNNING;
    }
}

/* What keeps the endpoint from being ready, for people. */
static const char *missing(const vpc_endpoint *ep)
{
    static const char *const of_guest[] = {
        [VPC_LEVEL_DOWN] = "no host endpoint is connected (start vpc-host)",
        [VPC_LEVEL_RUNNING] = "the host endpoint has not answered",
        [VPC_LEVEL_COMPONENTS] = "the guest endpoint takes no channels now",
        [VPC_LEVEL_READY] = "",
    };
    enum vpc_level level = vpc_endpoint_level(ep);

    if (ep->stands != NULL && level != VPC_LEVEL_DOWN)
        return ep->stands;
    if (ep->mismatched && level == VPC_LEVEL_RUNNING)
        return "host and guest speak no common version (see REVISION_MISMATCH in the event log)";
    if (ep->late && level == VPC_LEVEL_COMPONENTS)
        return "the other endpoint is silent (see HEARTBEAT_LATE in the event log)";
    return ep->role == VPC_ROLE_HOST ? vpc_level_missing(level) : of_guest[level];
}

static void query_vm(vpc_endpoint *ep, struct vpc_asker asker, const json_t *arguments)
{
    bool in_session = vpc_endpoint_level(ep) >= VPC_LEVEL_COMPONENTS;
    char version[16] = "";

    (void)arguments;
    if (in_session)
        snprintf(version, sizeof(version), "%u.%u", ep->version >> 8, ep->version & 255);
    vpc_answer(ep, &asker,
               json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:s*}", "vm", ep->vm, "tag", ep->tag,
                         "level", vpc_level_name(vpc_endpoint_level(ep)), "missing", missing(ep),
                         "peer", in_session ? ep->peer_name : "", "version", version, "heartbeat",
                         (int)vpc_session_heartbeat(ep->session), "machine", vpc_machine_name(ep)));
}

/* A hostile peer's credit may be more than JSON's integers hold. */
json_t *vpc_json_count(uint64_t n)
{
    return json_integer(n < INT64_MAX ? (json_int_t)n : INT64_MAX);
}

static json_t *device(const struct vpc_relay *relay, const vpc_channel_status *channel)
{
    return json_pack("{s:s, s:s, s:I, s:s, s:s, s:s*, s:s*, s:i, s:o, s:o}", "class", "VPCBus",
                     "name", "Virtual PC Integration Device", "instance", (json_int_t)channel->id,
                     "direction", channel->host_to_guest ? "h2g" : "g2h", "state",
                     vpc_channel_state_name(channel->state), "pipe", relay->pipe, "forward",
                     relay->listen, "port", relay->port, "bytes", vpc_json_count(channel->bytes),
                     "credit", vpc_json_count(channel->credit));
}

static void query_devices(vpc_endpoint *ep, struct vpc_asker asker, const json_t *arguments)
{
    json_t *devices = json_array();
    struct vpc_relay *relay;

    (void)arguments;
    for (relay = vpc_relay_first(ep); relay != NULL; relay = vpc_relay_next(ep, relay)) {
        vpc_channel_status sending, receiving;

        if (relay->pair == NULL)
            continue;
        vpc_pair_channels(relay->pair, &sending, &receiving);
        json_array_append_new(devices,
                              device(relay, sending.host_to_guest ? &sending : &receiving));
        json_array_append_new(devices,
                              device(relay, sending.host_to_guest ? &receiving : &sending));
    }
    vpc_answer(ep, &asker, json_pack("{s:o}", "devices", devices));
}

static void query_stats(vpc_endpoint *ep, struct vpc_asker asker, const json_t *arguments)
{
    (void)arguments;
    vpc_answer(ep, &asker,
               json_pack("{s:I, s:I, s:I, s:I}", "sessions", (json_int_t)ep->sessions, "pairs_open",
                         (json_int_t)ep->pair_count, "pairs_opened", (json_int_t)ep->opened,
                         "pairs_failed", (json_int_t)ep->failed));
}

/* ---- requests -------------------------------------------------------------------------------- */

struct parameter {
    const char *name;
    json_type type;
    const char *complaint; /* about a value of another type */
};

static const struct parameter parameters[] = {
    {"host-type", JSON_INTEGER, "'host-type' is not an integer"},
    {"host-name", JSON_STRING, "'host-name' is not a string"},
    {"guest-type", JSON_INTEGER, "'guest-type' is not an integer"},
    {"guest-name", JSON_STRING, "'guest-name' is not a string"},
    {"pipe", JSON_STRING, "'pipe' is not a string"},
    {"tag", JSON_STRING, "'tag' is not a string"},
    {"listen", JSON_STRING, "'listen' is not a string"},
    {"port", JSON_INTEGER, "'port' is not an integer"},
    {"when-not-ready", JSON_STRING, "'when-not-ready' is not a string"},
    {"when-full", JSON_STRING, "'when-full' is not a string"},
};

/* Why the arguments are of wrong types (CTL-3), or NULL.  A null is as good as a missing one. */
static const char *wrong_arguments(const json_t *arguments)
{
    if (arguments != NULL && !json_is_null(arguments) && !json_is_object(arguments))
        return "'arguments' is not a JSON object";
    for (size_t i = 0; i < sizeof(parameters) / sizeof(parameters[0]); i++) {
        const json_t *value = json_object_get(arguments, parameters[i].name);

        if (value != NULL && !json_is_null(value) && json_typeof(value) != parameters[i].type)
            return parameters[i].complaint;
    }
    return NULL;
}

static const struct command {
    const char *name;
    bool host_only;
    void (*run)(vpc_endpoint *ep, struct vpc_asker asker,
                const json_t *arguments); /* takes over asker.id */
} commands[] = {
    {"start", true, vpc_host_start},
    {"stop", true, vpc_host_stop_pipe},
    {"set-tag", true, vpc_host_set_tag},
    {"start-forward", true, vpc_forward_start},
    {"stop-forward", true, vpc_forward_stop},
    {"query-forwards", true, vpc_forward_query},
    {"query-vm", false, query_vm},
    {"query-devices", false, query_devices},
    {"query-stats", false, query_stats},
};

static const struct command *find_command(const vpc_endpoint *ep, const char *name)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(commands[i].name, name) == 0 &&
            (ep->role == VPC_ROLE_HOST || !commands[i].host_only))
            return &commands[i];
    return NULL;
}

const char *vpc_control_text(const json_t *arguments, const char *key)
{
    const json_t *value = json_object_get(arguments, key);
    const char *text = json_string_value(value);

    return text != NULL && strlen(text) != json_string_length(value) ? "\x01" : text;
}

void vpc_control_request(vpc_endpoint *ep, uint32_t client, const char *line, size_t n)
{
    json_t *request = json_loadb(line, n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    struct vpc_asker asker = {.client = client, .id = json_incref(json_object_get(request, "id"))};
    const char *name = vpc_control_text(request, "execute");
    const json_t *arguments = json_object_get(request, "arguments");
    const struct command *command = name != NULL ? find_command(ep, name) : NULL;

    if (!json_is_object(request))
        answer_generic(ep, &asker, "the line is not a JSON object");
    else if (command == NULL)
        answer_generic(ep, &asker,
                       name != NULL ? "there is no such command" : "the request has no 'execute'");
    else if (wrong_arguments(arguments) != NULL)
        answer_generic(ep, &asker, wrong_arguments(arguments));
    else
        command->run(ep, asker, arguments);
    json_decref(request);
}
