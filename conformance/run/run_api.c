/* SPDX-License-Identifier: MIT */
/* The steps about the control socket: requests and answers. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "run/run.h"

/* ---- requests ------------------------------------------------------------------------------------------------------- */

/* `pipe` and `port` of start are short for host-name and guest-name. */
static const char *argument_name(const char *key, bool start)
{
    if (start && strcmp(key, "pipe") == 0)
        return "host-name";
    return start && strcmp(key, "port") == 0 ? "guest-name" : key;
}

/* A pipe's name is one in full, and a port of start a text.  NULL: run->got says why not. */
static json_t *argument_of(struct vpc_run *run, const struct vpc_arg *arg, bool start)
{
    bool pipe = strcmp(arg->key, "pipe") == 0;
    char *text, *name;
    json_t *json;

    if (!pipe && !(start && strcmp(arg->key, "port") == 0)) {
        json = vpc_json_of(run, arg);
        if (json == NULL)
            vpc_say(run, VPC_BROKEN, "%s is a variable without a value", arg->key);
        return json;
    }
    text = vpc_text_of(run, arg);
    name = text && pipe ? vpc_pipe_name(text) : vpc_copy(text);
    json = name ? json_string(name) : NULL;
    free(name);
    free(text);
    return json;
}

static bool is_argument(const struct vpc_arg *arg)
{
    return strcmp(arg->key, "times") != 0 && strcmp(arg->key, "id") != 0;
}

/* NULL: run->got says why not.  What is `absent` is left out, a default too. */
static json_t *arguments_of(struct vpc_run *run, const struct vpc_step *step, bool start)
{
    json_t *arguments = json_object();

    if (start) {
        json_object_set_new(arguments, "host-type", json_integer(0));
        json_object_set_new(arguments, "guest-type", json_integer(1));
        json_object_set_new(arguments, "guest-name", json_string("6174"));
    }
    for (size_t i = 1; i < step->arg_count; i++) {
        const struct vpc_arg *arg = &step->args[i];
        json_t *json;

        if (arg->kind == VPC_VALUE_ABSENT) {
            json_object_del(arguments, argument_name(arg->key, start));
        } else if (is_argument(arg)) {
            json = argument_of(run, arg, start);
            if (json == NULL) {
                json_decref(arguments);
                return NULL;
            }
            json_object_set_new(arguments, argument_name(arg->key, start), json);
        }
    }
    return arguments;
}

static struct conform_client *client_of(struct vpc_run *run, const struct vpc_step *step,
                                        bool gives)
{
    struct conform_client *client = vpc_client_of(run, step->label, gives);

    if (client == NULL)
        vpc_say(run, VPC_PENDING, "the control socket can not be connected");
    return client;
}

static struct conform_client *connected(struct vpc_run *run, const struct vpc_step *step)
{
    return client_of(run, step, true);
}

/* What it said before its end is still asked for. */
static struct conform_client *asked(struct vpc_run *run, const struct vpc_step *step)
{
    return client_of(run, step, false);
}

static json_t *text_id(int number)
{
    char *text = vpc_format("\"\\\xc3\xa9\xe2\x82\xac %d", number);
    json_t *id = json_string(text);

    free(text);
    return id;
}

/* CTL-2: an id may be anything, or be left out (NULL).  Each kind has its turn; what is no name of its own waits alone. */
static json_t *id_of_turn(const struct conform_client *client, int number)
{
    switch ((number + client->id) % 8) {
    case 0:
        return json_pack("{s:i, s:[b, n]}", "number", number, "of", 1);
    case 1:
        return text_id(number);
    case 2:
        return json_integer(INT64_MAX - number);
    case 3:
        return json_pack("[i, {}]", number);
    case 4:
        return json_real(number + 0.5);
    case 5:
        return client->waiting ? json_integer(-number) : json_null();
    case 6:
        return client->waiting ? json_integer(number) : NULL;
    default:
        return json_integer(number);
    }
}

/* `id=absent`: the request has none. */
static json_t *id_of(struct vpc_run *run, const struct vpc_step *step,
                     const struct conform_client *client)
{
    const struct vpc_arg *arg = vpc_step_arg(step, "id");

    if (arg == NULL)
        return id_of_turn(client, client->requests + 1);
    return arg->kind == VPC_VALUE_ABSENT ? NULL : vpc_json_of(run, arg);
}

static bool send_request(struct vpc_run *run, const struct vpc_step *step,
                         struct conform_client *client)
{
    const char *command = step->args[0].value;
    json_t *arguments = arguments_of(run, step, strcmp(command, "start") == 0), *id, *request;
    char *line;

    if (arguments == NULL)
        return false;
    id = id_of(run, step, client);
    request = json_pack("{s:s, s:o}", "execute", command, "arguments", arguments);
    if (id)
        json_object_set_new(request, "id", id);
    vpc_client_asks(client, request);
    run->answer = NULL;
    line = json_dumps(request, JSON_COMPACT);
    vpc_trace_add(run->trace, "api > %s", line);
    run->ops->control_line(run->backend, client->id, line, strlen(line));
    free(line);
    json_decref(request);
    return true;
}

enum vpc_outcome vpc_step_api_send(struct vpc_run *run, const struct vpc_step *step)
{
    struct conform_client *client = connected(run, step);
    const struct vpc_arg *arg = vpc_step_arg(step, "times");
    uint64_t times = 1;

    if (client == NULL)
        return VPC_PENDING;
    if (arg && !vpc_amount_of(run, arg, VPC_REQUESTS_MAX, &times))
        return VPC_BROKEN;
    while (times-- > 0)
        if (!send_request(run, step, client))
            return VPC_BROKEN;
    return VPC_DONE;
}

/* What the answer to a line of the script's own must say as its id. */
static void note_line(struct conform_client *client, const char *line, size_t n)
{
    json_t *json = json_loadb(line ? line : "", n, JSON_ALLOW_NUL, NULL);

    vpc_client_asks(client, json);
    json_decref(json);
}

static void note_octets(struct conform_client *client, const char *octets, size_t n)
{
    char *line;

    vpc_buffer_add(&client->part, octets, n);
    while ((line = vpc_buffer_line(&client->part)) != NULL) {
        note_line(client, line, strlen(line));
        free(line);
    }
}

enum vpc_outcome vpc_step_api_raw(struct vpc_run *run, const struct vpc_step *step)
{
    struct conform_client *client = connected(run, step);
    const struct vpc_arg *bytes = step->keyed[VPC_KEY_BYTES];
    struct vpc_buffer line = {0};
    uint64_t n;

    if (client == NULL)
        return VPC_PENDING;
    if (bytes) {
        if (!vpc_amount_of(run, bytes, VPC_OCTETS_MAX, &n))
            return VPC_BROKEN;
        vpc_buffer_fill(&line, 'x', n);
    } else if (step->arg_count) {
        vpc_buffer_add(&line, step->args[0].value, step->args[0].size);
    }
    note_line(client, (const char *)line.data, line.end);
    run->answer = NULL;
    vpc_trace_add(run->trace, "api > raw line, %zu octets", line.end);
    run->ops->control_line(run->backend, client->id, line.end ? (const char *)line.data : "",
                           line.end);
    vpc_buffer_free(&line);
    return VPC_DONE;
}

/* What only a stream of octets has: a line in parts, and an end of writing. */
static enum vpc_outcome send_octets(struct vpc_run *run, const struct vpc_step *step,
                                    const struct vpc_arg *part)
{
    struct conform_client *client = connected(run, step);

    if (client == NULL)
        return VPC_PENDING;
    if (run->ops->control_octets == NULL)
        return vpc_say(run, VPC_BROKEN, "control clients are no sockets here: backends socket");
    if (part)
        note_octets(client, part->value, part->size);
    run->ops->control_octets(run->backend, client->id, part ? part->value : NULL,
                             part ? part->size : 0);
    return VPC_DONE;
}

enum vpc_outcome vpc_step_api_part(struct vpc_run *run, const struct vpc_step *step)
{
    vpc_trace_add(run->trace, "api > part of a line, %zu octets", step->args[0].size);
    return send_octets(run, step, &step->args[0]);
}

enum vpc_outcome vpc_step_api_shutdown(struct vpc_run *run, const struct vpc_step *step)
{
    vpc_trace_add(run->trace, "api shutdown");
    return send_octets(run, step, NULL);
}

enum vpc_outcome vpc_step_api_close(struct vpc_run *run, const struct vpc_step *step)
{
    struct conform_client *client = connected(run, step);

    if (client == NULL)
        return VPC_PENDING;
    run->ops->control_close(run->backend, client->id);
    client->eof = client->over = true;
    return VPC_DONE;
}

static enum vpc_outcome set_reading(struct vpc_run *run, const struct vpc_step *step, bool on)
{
    struct conform_client *client = connected(run, step);

    if (client == NULL)
        return VPC_PENDING;
    run->ops->control_read(run->backend, client->id, on);
    return VPC_DONE;
}

enum vpc_outcome vpc_step_api_pause(struct vpc_run *run, const struct vpc_step *step)
{
    return set_reading(run, step, false);
}

enum vpc_outcome vpc_step_api_resume(struct vpc_run *run, const struct vpc_step *step)
{
    return set_reading(run, step, true);
}

/* ---- fields of JSON objects -------------------------------------------------------------------------------------------- */

/* A port that a script writes is a symbol; in a variable stands what an endpoint said. */
static json_t *wanted_json(struct vpc_run *run, const struct vpc_arg *arg)
{
    if (arg->kind == VPC_VALUE_NUMBER && strcmp(arg->key, "port") == 0)
        return json_integer(run->ops->real_port(run->backend, (uint16_t)arg->number));
    if (arg->kind != VPC_VALUE_VARIABLE && strcmp(arg->key, "pipe") == 0 &&
        json_is_string(arg->json)) {
        char *name = vpc_pipe_name(arg->value);
        json_t *json = json_string(name);

        free(name);
        return json;
    }
    return vpc_json_of(run, arg);
}

/* `key=*` asks for any value, `key=absent` for none.  What a variable will be set by matches. */
static bool field_matches(struct vpc_run *run, const json_t *object, const struct vpc_arg *arg)
{
    const json_t *value = json_object_get(object, arg->key);
    json_t *wanted;
    bool same;

    if (arg->kind == VPC_VALUE_ABSENT)
        return (value == NULL) != arg->differs;
    if (value == NULL)
        return false;
    if (arg->kind == VPC_VALUE_ANY)
        return true;
    if (!vpc_known(run, arg))
        return !arg->sum;
    wanted = wanted_json(run, arg);
    same = json_equal(wanted, value);
    json_decref(wanted);
    return same != arg->differs;
}

/* Only what has all that is asked for sets variables: what nearly matched must not. */
bool vpc_json_matches(struct vpc_run *run, const json_t *object, size_t first)
{
    const struct vpc_step *step = run->progress->step;

    for (size_t i = first; i < step->arg_count; i++)
        if (!field_matches(run, object, &step->args[i]))
            return false;
    for (size_t i = first; i < step->arg_count; i++)
        if (!vpc_known(run, &step->args[i]))
            vpc_set_json_variable(run, step->args[i].variable,
                                  json_object_get(object, step->args[i].key));
    return true;
}

enum vpc_outcome vpc_say_json(struct vpc_run *run, enum vpc_outcome outcome, const json_t *json)
{
    char *dump = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);

    vpc_say(run, outcome, "%s", dump ? dump : "?");
    free(dump);
    return outcome;
}

/* ---- answers --------------------------------------------------------------------------------------------------------------- */

/* The answer to what the client wrote last. */
static struct vpc_item *answer_of(struct vpc_run *run, const struct conform_client *client)
{
    for (struct vpc_item *item = run->answers.first; item; item = item->next)
        if (!item->used && item->client == client->id && item->request > 0 &&
            item->request == client->requests)
            return item;
    return NULL;
}

static json_t *take_answer(struct vpc_run *run, const struct vpc_step *step)
{
    struct conform_client *client = asked(run, step);
    struct vpc_item *item = client ? answer_of(run, client) : NULL;

    if (item == NULL) {
        vpc_say(run, VPC_PENDING,
                client && client->eof ? "the control socket was closed" : "no answer");
        return NULL;
    }
    item->used = true;
    run->answer = item->json;
    return item->json;
}

static void remember_path(struct vpc_run *run, const json_t *answer)
{
    const char *pipe = json_string_value(json_object_get(answer, "pipe"));
    const char *path = json_string_value(json_object_get(answer, "path"));
    const char *listen = json_string_value(json_object_get(answer, "listen"));

    if (pipe && path)
        vpc_set_pipe_path(run, pipe, path);
    if (listen && path)
        vpc_set_pipe_path(run, listen, *path ? path : listen);
}

/* CTL-2: an error tells its result twice, as its class and as a number; a return tells S_OK, if it tells any. */
static bool result_matches(const json_t *body, const char *name, uint32_t value)
{
    const json_t *hresult = json_object_get(body, "hresult"),
                 *class = json_object_get(body, "class");
    char wanted[16];

    snprintf(wanted, sizeof(wanted), "0x%08X", value);
    if (value == 0 && hresult == NULL)
        return body != NULL;
    return json_is_string(hresult) && strcmp(json_string_value(hresult), wanted) == 0 &&
           (value == 0 || (json_is_string(class) && strcmp(json_string_value(class), name) == 0));
}

enum vpc_outcome vpc_step_api_expect(struct vpc_run *run, const struct vpc_step *step)
{
    const char *name = step->args[0].value;
    json_t *answer = take_answer(run, step);
    const json_t *body;
    uint32_t value;

    if (answer == NULL)
        return VPC_PENDING;
    if (!vpc_result_value(name, &value))
        return vpc_say(run, VPC_BROKEN, "%s is no result of section 8", name);
    body = json_object_get(answer, value ? "error" : "return");
    if (!result_matches(body, name, value) || !vpc_json_matches(run, body, 1))
        return vpc_say_json(run, VPC_WRONG, answer);
    remember_path(run, body);
    return VPC_DONE;
}

static enum vpc_outcome expect_part(struct vpc_run *run, const struct vpc_step *step,
                                    const char *part)
{
    json_t *answer = take_answer(run, step);

    if (answer == NULL)
        return VPC_PENDING;
    if (!json_object_get(answer, part) || !vpc_json_matches(run, json_object_get(answer, part), 0))
        return vpc_say_json(run, VPC_WRONG, answer);
    return VPC_DONE;
}

enum vpc_outcome vpc_step_api_return(struct vpc_run *run, const struct vpc_step *step)
{
    return expect_part(run, step, "return");
}

enum vpc_outcome vpc_step_api_error(struct vpc_run *run, const struct vpc_step *step)
{
    return expect_part(run, step, "error");
}

enum vpc_outcome vpc_step_api_none(struct vpc_run *run, const struct vpc_step *step)
{
    struct conform_client *client = asked(run, step);
    struct vpc_item *item = client ? answer_of(run, client) : NULL;

    return item ? vpc_say_json(run, VPC_WRONG, item->json) : VPC_PENDING;
}

enum vpc_outcome vpc_step_api_greeting(struct vpc_run *run, const struct vpc_step *step)
{
    struct conform_client *client = asked(run, step);

    for (struct vpc_item *item = client ? run->answers.first : NULL; item; item = item->next) {
        const json_t *greeting = json_object_get(item->json, "VPCBus");

        if (item->client != client->id)
            continue;
        if (greeting == NULL || !vpc_json_matches(run, greeting, 0))
            return vpc_say_json(run, VPC_WRONG, item->json);
        return VPC_DONE;
    }
    return vpc_say(run, VPC_PENDING, "nothing came");
}

enum vpc_outcome vpc_step_api_eof(struct vpc_run *run, const struct vpc_step *step)
{
    struct conform_client *client = asked(run, step);

    if (client == NULL)
        return VPC_PENDING;
    if (client->reset)
        return vpc_say(run, VPC_WRONG, "the connection was reset");
    client->over = client->eof;
    return client->eof ? VPC_DONE : vpc_say(run, VPC_PENDING, "the connection is still there");
}

/* ---- devices and forwards ----------------------------------------------------------------------------------------------------- */

static json_t *list_of(struct vpc_run *run, const struct vpc_step *step, const char *name)
{
    struct conform_client *client = asked(run, step);
    struct vpc_item *item = client ? answer_of(run, client) : NULL;

    if (item)
        take_answer(run, step);
    return json_object_get(json_object_get(run->answer, "return"), name);
}

static bool has_one(struct vpc_run *run, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (vpc_json_matches(run, json_array_get(list, i), 0))
            return true;
    return false;
}

/* The answer to query-NAME must have one that is as the step says, or none. */
static enum vpc_outcome look_at_list(struct vpc_run *run, const struct vpc_step *step,
                                     const char *name, bool wanted)
{
    json_t *list = list_of(run, step, name);

    if (list == NULL)
        return vpc_say(run, VPC_PENDING, "no answer to query-%s", name);
    return has_one(run, list) == wanted ? VPC_DONE : vpc_say_json(run, VPC_WRONG, list);
}

enum vpc_outcome vpc_step_api_device(struct vpc_run *run, const struct vpc_step *step)
{
    return look_at_list(run, step, "devices", true);
}

enum vpc_outcome vpc_step_api_no_device(struct vpc_run *run, const struct vpc_step *step)
{
    return look_at_list(run, step, "devices", false);
}

enum vpc_outcome vpc_step_api_forward(struct vpc_run *run, const struct vpc_step *step)
{
    return look_at_list(run, step, "forwards", true);
}

enum vpc_outcome vpc_step_api_no_forward(struct vpc_run *run, const struct vpc_step *step)
{
    return look_at_list(run, step, "forwards", false);
}
