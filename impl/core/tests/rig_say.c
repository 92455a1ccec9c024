/* SPDX-License-Identifier: MIT */
/* What tests say to the rig, and what they ask of it. */
#include "rig.h"

#include <criterion/criterion.h>
#include <string.h>

/* ---- control ---- */

void rig_say(struct side *side, uint32_t client, const char *line)
{
    vpc_endpoint_abi_v1.control_line(side->ep, client, line, strlen(line));
    rig_take(side);
    rig_settle(side->rig);
}

json_t *rig_answer(struct side *side, uint32_t client)
{
    for (size_t i = 0; i < json_array_size(side->replies); i++) {
        json_t *reply = json_array_get(side->replies, i), *line;

        if (json_integer_value(json_array_get(reply, 0)) != client)
            continue;
        line = json_incref(json_array_get(reply, 1));
        json_array_remove(side->replies, i);
        return line;
    }
    return NULL;
}

void rig_ask_start(struct rig *rig, const char *name, unsigned port)
{
    uint32_t before = rig->host.last_stream;
    char line[400];

    snprintf(line, sizeof(line),
             "{\"execute\": \"start\", \"id\": 1, \"arguments\": {\"host-type\": 0, \"host-name\": "
             "\"\\\\\\\\.\\\\pipe\\\\%s\", \"guest-type\": 1, \"guest-name\": \"%u\"}}",
             name, port);
    rig_say(&rig->host, 1, line);
    if (rig->host.last_stream != before)
        rig_pipe(rig, name)->port = (uint16_t)port; /* its octets are the port's */
}

json_t *rig_start(struct rig *rig, const char *name, unsigned port)
{
    json_t *answer;

    rig_ask_start(rig, name, port);
    answer = rig_answer(&rig->host, 1);
    cr_assert_not_null(answer, "start was not answered");
    return answer;
}

json_t *rig_query(struct side *side, const char *command)
{
    char line[100];
    json_t *answer, *value;

    snprintf(line, sizeof(line), "{\"execute\": \"%s\"}", command);
    rig_say(side, 77, line);
    answer = rig_answer(side, 77);
    value = json_incref(json_object_get(answer, "return"));
    cr_assert_not_null(value, "%s failed", command);
    json_decref(answer);
    return value;
}

/* ---- streams ---- */

static struct stream *newest(struct side *side, const char *pipe, unsigned port)
{
    struct stream *found = NULL;

    for (unsigned i = 0; i < STREAMS; i++) {
        struct stream *stream = &side->streams[i];

        if (stream->state != STREAM_FREE &&
            (pipe != NULL ? strcmp(stream->pipe, pipe) == 0 : stream->port == port) &&
            (found == NULL || stream->id > found->id))
            found = stream;
    }
    return found;
}

struct stream *rig_pipe(struct rig *rig, const char *name)
{
    char pipe[PIPE_MAX];
    struct stream *stream;

    snprintf(pipe, sizeof(pipe), PIPE("%s"), name);
    stream = newest(&rig->host, pipe, 0);
    cr_assert_not_null(stream, "no pipe %s", name);
    return stream;
}

struct stream *rig_port(struct rig *rig, unsigned port)
{
    struct stream *stream = newest(&rig->guest, NULL, port);

    cr_assert_not_null(stream, "no connection to port %u", port);
    return stream;
}

void rig_client(struct rig *rig, const char *name)
{
    struct stream *stream = rig_pipe(rig, name);

    stream->state = STREAM_LIVE;
    vpc_endpoint_abi_v1.stream_opened(rig->host.ep, stream->id, 0);
    rig_take(&rig->host);
    rig_settle(rig);
}

void rig_pair(struct rig *rig, const char *name, unsigned port)
{
    rig_ask_start(rig, name, port);
    expect_return(rig_answer(&rig->host, 1), "hresult=0x00000000; path=/path");
    rig_client(rig, name);
}

void rig_write(struct side *side, struct stream *stream, uint64_t n)
{
    stream->to_write += n;
    rig_settle(side->rig);
}

void rig_finish(struct side *side, struct stream *stream)
{
    stream->finish = true;
    rig_settle(side->rig);
}

void rig_gone(struct side *side, struct stream *stream, int error)
{
    if (error == 0 && !stream->finish_told) {
        stream->finish = stream->finish_told = true;
        vpc_endpoint_abi_v1.stream_eof(side->ep, stream->id);
        rig_take(side);
    }
    if (stream->state == STREAM_ENDED)
        return;
    stream->to_write = stream->written;
    stream->may_read = stream->read; /* it reads no more either */
    vpc_endpoint_abi_v1.stream_gone(side->ep, stream->id, error);
    rig_take(side);
    rig_settle(side->rig);
}

/* ---- what was logged and broadcast ---- */

static unsigned count(const json_t *array, const char *key, const char *name)
{
    unsigned n = 0;
    size_t i;
    json_t *entry;

    json_array_foreach(array, i, entry) n +=
        strcmp(json_string_value(json_object_get(entry, key)), name) == 0;
    return n;
}

unsigned rig_logged(const struct side *side, const char *name)
{
    return count(side->logs, "name", name);
}

unsigned rig_events(const struct side *side, const char *name)
{
    return count(side->events, "event", name);
}

const json_t *rig_log(const struct side *side, const char *name)
{
    for (size_t i = json_array_size(side->logs); i-- > 0;) {
        const json_t *entry = json_array_get(side->logs, i);

        if (strcmp(json_string_value(json_object_get(entry, "name")), name) == 0)
            return entry;
    }
    cr_assert_fail("no %s was logged", name);
    return NULL;
}

/* ---- expectations ---- */

static void expect_member(const json_t *object, const char *key, const char *wanted)
{
    const json_t *value = json_object_get(object, key);
    char number[32];
    const char *found = value == NULL ? "-" : json_string_value(value);

    if (json_is_integer(value)) {
        snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(value));
        found = number;
    }
    if (strcmp(wanted, "*") == 0)
        cr_assert_not_null(value, "%s is missing", key);
    else
        cr_assert(found != NULL && strcmp(found, wanted) == 0, "%s is %s, not %s", key,
                  found != NULL ? found : "of another type", wanted);
}

void expect(const json_t *object, const char *list)
{
    char *copy = strdup(list), *rest = copy, *item;

    cr_assert_not_null(object, "nothing is there that could have %s", list);
    while ((item = strtok_r(NULL, ";", &rest)) != NULL) {
        char *equals = strchr(item, '=');

        item += strspn(item, " ");
        *equals = '\0';
        expect_member(object, item, equals + 1);
    }
    free(copy);
}

static void expect_part(json_t *answer, const char *part, const char *list)
{
    const json_t *body = json_object_get(answer, part);

    if (body == NULL) {
        char *text = json_dumps(answer, 0);

        cr_assert_fail("the answer has no %s: %s", part, text != NULL ? text : "(none)");
    }
    expect(body, list);
    json_decref(answer);
}

void expect_return(json_t *answer, const char *list)
{
    expect_part(answer, "return", list);
}

void expect_error(json_t *answer, const char *list)
{
    expect_part(answer, "error", list);
}
