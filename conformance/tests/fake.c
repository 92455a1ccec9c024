/* SPDX-License-Identifier: MIT */
/*
 * A guest endpoint that is small and, when told to, a liar: the harness must see each lie.
 *
 * It greets, says that it is ready, answers OPEN with OPENED, and sends one DATA and a FIN on the reverse channel.  The lie
 * is named by the environment variable VPC_FAKE_LIE; without one it is honest.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "codec/codec.h"
#include "document/embedded.h"
#include "spec/vpc_endpoint.h"
#include "tests/deeds.h"

struct vpc_endpoint {
    struct vpc_table *table;
    struct vpc_decoder in;
    struct vpc_buffer out;
    uint64_t epoch, peer, session, number;
    uint64_t (*random)(void *user);
    void *user;
    uint64_t now;
    struct vpc_buffer entries; /* of the log, not taken yet: each ends with a NUL */
    struct vpc_buffer taken;
    uint64_t due; /* when it logs the next; 0: never */
    struct vpc_buffer reply;
    char *event; /* for all, told once; or NULL */
    bool event_waits;
    uint32_t client; /* to whom the reply goes; 0: there is none */
};

static bool lies(const char *lie)
{
    const char *told = getenv("VPC_FAKE_LIE");

    return told && strcmp(told, lie) == 0;
}

/* ---- the log --------------------------------------------------------------------------------------------------------- */

#define ORIGIN "\"level\": \"info\", \"source\": \"guest\", \"vm\": \"conform\""

static void note(vpc_endpoint *ep, int id, const char *name, const char *more)
{
    uint64_t time = lies("seconds") ? ep->now / 1000 : ep->now + lies("ahead");
    char *entry =
        vpc_format("{\"time\": %llu, \"id\": %d, \"name\": \"%s\", \"message\": \"!\", %s}",
                   (unsigned long long)time, id, name, more);

    vpc_buffer_add(&ep->entries, entry, strlen(entry) + 1);
    free(entry);
}

static void note_transport(vpc_endpoint *ep)
{
    if (lies("log-common"))
        note(ep, 1002, "TRANSPORT_UP", "\"level\": \"info\"");
    else if (lies("log-name"))
        note(ep, 1002, "TRANSPORT_DOWN", ORIGIN);
    else if (lies("log-stranger"))
        note(ep, 1002, "TRANSPORT_UP", ORIGIN ", \"weather\": 1");
    else if (lies("log-port"))
        note(ep, 1020, "CHANNEL_OPENED", ORIGIN);
    else
        note(ep, 1002, "TRANSPORT_UP", ORIGIN);
}

/* ---- the bus --------------------------------------------------------------------------------------------------------- */

/* VPC_FAKE_DEED is PLACE:NAME, a deed (deeds.h) that is done when the endpoint first comes there. */
static void deed(const char *place)
{
    const char *told = getenv("VPC_FAKE_DEED");
    size_t n = strlen(place);

    if (told == NULL || strncmp(told, place, n) != 0 || told[n] != ':')
        return;
    told = vpc_copy(told + n + 1);
    unsetenv("VPC_FAKE_DEED");
    vpc_deed(told);
}

__attribute__((constructor)) static void loaded(void)
{
    deed("load");
}

static struct conform_frame make(vpc_endpoint *ep, const char *name, uint32_t channel)
{
    struct conform_frame frame;

    vpc_frame_begin(&frame, ep->table, vpc_table_by_name(ep->table, name));
    frame.channel = channel;
    return frame;
}

static void say(vpc_endpoint *ep, struct conform_frame *frame)
{
    frame->session = ep->session;
    ep->number++;
    frame->number = ep->number + (lies("number") && ep->number == 2);
    vpc_frame_encode(frame, &ep->out);
    vpc_frame_clear(frame);
}

static void greet(vpc_endpoint *ep)
{
    struct conform_frame frame = make(ep, "HELLO", 0);

    vpc_frame_set(&frame, "role", VPC_ROLE_GUEST);
    vpc_frame_set(&frame, "version_min", 256);
    vpc_frame_set(&frame, "version_max", 256);
    vpc_frame_set(&frame, "max_pairs", 4);
    vpc_frame_set(&frame, "epoch", ep->epoch);
    vpc_frame_set(&frame, "echo", lies("echo") ? 77 : ep->peer);
    vpc_frame_set(&frame, "features", lies("features"));
    vpc_frame_set(&frame, "reserved0", lies("reserved"));
    frame.number = vpc_frame_crc(&frame) + lies("crc");
    vpc_buffer_fill(&ep->out, ep->table->pad, ep->table->preamble_min - lies("preamble"));
    vpc_frame_encode(&frame, &ep->out);
    vpc_frame_clear(&frame);
}

static void on_hello(vpc_endpoint *ep, const struct conform_frame *hello)
{
    struct conform_frame frame;
    uint64_t echo = 0;

    vpc_frame_get(hello, "epoch", &ep->peer);
    vpc_frame_get(hello, "echo", &echo);
    if (echo != ep->epoch || ep->session) {
        greet(ep);
        return;
    }
    ep->session = conform_session_id(ep->peer, ep->epoch);
    frame = make(ep, "READY", 0);
    vpc_frame_set(&frame, "ready", 1);
    say(ep, &frame);
}

static void send_bytes(vpc_endpoint *ep, uint32_t channel, uint64_t limit)
{
    struct conform_frame frame = make(ep, "DATA", channel);
    uint8_t bytes[64] = {0};
    size_t n = limit < 8 ? (size_t)limit : 8;

    vpc_frame_set_payload(&frame, bytes, n + (lies("credit") ? 56 : 0));
    vpc_frame_set(&frame, "offset", lies("offset"));
    say(ep, &frame);
    frame = make(ep, "FIN", channel);
    vpc_frame_set(&frame, "offset", n - lies("fin"));
    say(ep, &frame);
    if (!lies("after-fin"))
        return;
    frame = make(ep, "DATA", channel);
    vpc_frame_set_payload(&frame, bytes, 1);
    vpc_frame_set(&frame, "offset", n);
    say(ep, &frame);
}

static void on_open(vpc_endpoint *ep, const struct conform_frame *open)
{
    struct conform_frame frame = make(ep, lies("unasked") ? "RELEASED" : "OPENED", open->channel);
    uint64_t reverse = 0, limit = 0;

    if (lies("crash"))
        raise(SIGKILL);
    vpc_frame_get(open, "reverse_channel", &reverse);
    vpc_frame_get(open, "limit", &limit);
    vpc_frame_set(&frame, "limit", 1000);
    say(ep, &frame);
    if (lies("stranger")) {
        frame = make(ep, "CREDIT", 4711);
        say(ep, &frame);
    }
    send_bytes(ep, (uint32_t)reverse, limit);
    if (lies("lower")) {
        frame = make(ep, "CREDIT", open->channel);
        vpc_frame_set(&frame, "limit", 10);
        say(ep, &frame);
    }
    if (lies("noise"))
        vpc_buffer_add(&ep->out, "noise", 5);
}

/* A pair of which the OPEN is unanswered yet: channel is its guest-to-host one, the other the id before it. */
static void on_reset(vpc_endpoint *ep, uint32_t channel)
{
    struct conform_frame refused = make(ep, "REFUSED", channel - 1), released;

    vpc_frame_set(&refused, "errno", 104);
    if (lies("refused-first"))
        say(ep, &refused);
    released = make(ep, "RELEASED", channel);
    say(ep, &released);
    if (!lies("refused-first"))
        say(ep, &refused);
}

static vpc_endpoint *create(const vpc_endpoint_config *config, uint64_t now_ms)
{
    vpc_endpoint *ep = vpc_alloc(sizeof(*ep));
    char *error = NULL;

    deed("create");
    ep->now = now_ms;
    ep->table = vpc_table_load(vpc_embedded_messages, &error);
    vpc_decoder_begin(&ep->in, ep->table, VPC_FROM_HOST);
    ep->random = config->random;
    ep->user = config->user;
    note(ep, 1000, "ENDPOINT_STARTED", ORIGIN);
    return ep;
}

static void destroy(vpc_endpoint *ep)
{
    deed("destroy");
    vpc_decoder_end(&ep->in);
    vpc_buffer_free(&ep->out);
    vpc_buffer_free(&ep->reply);
    vpc_buffer_free(&ep->entries);
    vpc_buffer_free(&ep->taken);
    free(ep->event);
    vpc_table_free(ep->table);
    free(ep);
}

static void tell_time(vpc_endpoint *ep, uint64_t now_ms)
{
    ep->now = now_ms;
    if (ep->due && now_ms >= ep->due) {
        ep->due = 0;
        note(ep, 1016, "HEARTBEAT_RESUMED", ORIGIN);
    }
}

static uint64_t deadline(const vpc_endpoint *ep)
{
    if (lies("restless"))
        return ep->now + 2;
    if (lies("timer") && ep->due)
        return ep->due;
    return lies("spin") ? 0 : VPC_NEVER;
}

static void bus_up(vpc_endpoint *ep)
{
    if (!lies("epoch") || ep->epoch == 0)
        ep->epoch = ep->random(ep->user) | 1;
    if (lies("short-epoch"))
        ep->epoch &= UINT32_MAX;
    ep->peer = ep->session = ep->number = 0;
    greet(ep);
    note_transport(ep);
    ep->due = lies("timer") || lies("forgotten-timer") ? ep->now + 300 : 0;
}

static void bus_down(vpc_endpoint *ep)
{
    vpc_buffer_free(&ep->out);
    vpc_decoder_end(&ep->in);
    vpc_decoder_begin(&ep->in, ep->table, VPC_FROM_HOST);
    note(ep, 1003, "TRANSPORT_DOWN", ORIGIN);
}

static void start_anew(vpc_endpoint *ep)
{
    ep->epoch = ep->random(ep->user) | 1;
    ep->session = ep->number = 0;
    greet(ep);
}

static void bus_input(vpc_endpoint *ep, const void *octets, size_t n)
{
    struct conform_frame frame;
    struct vpc_bad_octets bad;

    deed("input");
    while (lies("hang"))
        ;
    vpc_decoder_add(&ep->in, octets, n);
    while (vpc_decoder_next(&ep->in, &frame, &bad) == VPC_DECODED_FRAME) {
        if (strcmp(frame.message->name, "HELLO") == 0)
            on_hello(ep, &frame);
        else if (strcmp(frame.message->name, "OPEN") == 0 && !lies("refused-first") &&
                 !lies("refused-last"))
            on_open(ep, &frame);
        else if (strcmp(frame.message->name, "RESET") == 0)
            on_reset(ep, frame.channel);
        else if (strcmp(frame.message->name, "HEARTBEAT") == 0 && lies("third-beat") &&
                 frame.number == 3)
            vpc_buffer_add(&ep->out, "noise", 5);
        else if (strcmp(frame.message->name, "HEARTBEAT") == 0 && lies("leaves"))
            start_anew(ep);
        else if (strcmp(frame.message->name, "HEARTBEAT") == 0 && lies("repeats"))
            greet(ep);
        vpc_frame_clear(&frame);
    }
}

static size_t bus_output(vpc_endpoint *ep, const void **octets)
{
    if (lies("flood"))
        vpc_buffer_add(&ep->out, "noise", 5);
    *octets = vpc_buffer_head(&ep->out);
    if (lies("endless-output"))
        return SIZE_MAX;
    return vpc_buffer_size(&ep->out);
}

static void bus_sent(vpc_endpoint *ep, size_t n)
{
    vpc_buffer_drop(&ep->out, n);
}

/* ---- the control socket ---------------------------------------------------------------------------------------------- */

static void reply(vpc_endpoint *ep, uint32_t client, json_t *json)
{
    char *line = json_dumps(json, JSON_COMPACT);

    vpc_buffer_free(&ep->reply);
    vpc_buffer_add(&ep->reply, line, strlen(line) + 1);
    ep->client = client;
    free(line);
    json_decref(json);
}

static void control_open(vpc_endpoint *ep, uint32_t client)
{
    reply(ep, client,
          json_pack("{s:{s:s, s:s, s:s, s:s}}", "VPCBus", "version", "1.0", "role", "guest", "vm",
                    "conform", "implementation", lies("nameless") ? "" : "fake"));
}

static void control_close(vpc_endpoint *ep, uint32_t client)
{
    ep->client = ep->client == client ? 0 : ep->client;
}

/* An event comes before the answer. */
static void broadcast(vpc_endpoint *ep)
{
    free(ep->event);
    ep->event = vpc_format("{\"event\": \"HEARTBEAT\", \"data\": {\"heartbeat\": %d, "
                           "\"vm\": \"conform\"}, \"time\": %llu}",
                           lies("beyond-percent") ? 101 : 100,
                           (unsigned long long)(lies("event-seconds") ? ep->now / 1000 : ep->now));
    ep->event_waits = true;
}

/* NULL: it does not know the command.  What `odd` returns is of types that no command of section 8 returns. */
static json_t *answer_to(const char *command)
{
    if (strcmp(command, "query-vm") == 0)
        return json_pack("{s:{s:i, s:s, s:s, s:s, s:s, s:s, s:s}}", "return", "heartbeat", 100,
                         "vm", "conform", "tag", "", "level", "down", "missing", "", "peer", "",
                         "version", "");
    if (strcmp(command, "odd") == 0)
        return json_pack("{s:{s:o, s:s, s:n}}", "return", "heartbeat",
                         lies("text-for-number") ? json_string("100") : json_integer(100), "pipe",
                         lies("pipe-without-prefix") ? "one" : "\\\\.\\pipe\\One", "peer");
    return NULL;
}

/* Every other command, set-tag too, it refuses. */
static void control_line(vpc_endpoint *ep, uint32_t client, const char *line, size_t n)
{
    json_t *request = json_loadb(line, n, 0, NULL), *id = json_object_get(request, "id"), *answer;
    const char *command = json_string_value(json_object_get(request, "execute"));

    answer = command ? answer_to(command) : NULL;
    if (answer == NULL)
        answer = json_pack("{s:{s:s, s:s, s:s}}", "error", "class",
                           lies("class") ? "GenericError" : "VM_E_VM_RUNNING_OR_SAVED", "hresult",
                           "0xA004020B", "desc", lies("speechless") ? "" : "no");
    if (id && !(lies("number-ids") && !json_is_integer(id)))
        json_object_set(answer, "id", id);
    reply(ep, client, answer);
    json_decref(request);
    broadcast(ep);
}

static int next_action(vpc_endpoint *ep, vpc_action *action)
{
    size_t n;

    if (lies("log-flood"))
        note(ep, 1016, "HEARTBEAT_RESUMED", ORIGIN);
    if (lies("wakes")) {
        *action = (vpc_action){.kind = VPC_ACTION_WAKE, .stream = 1};
        return 1;
    }
    if (ep->event_waits) {
        *action = (vpc_action){
            .kind = VPC_ACTION_BROADCAST, .text = ep->event, .text_len = strlen(ep->event)};
        ep->event_waits = false;
        return 1;
    }
    if (ep->client) {
        *action = (vpc_action){.kind = VPC_ACTION_REPLY,
                               .client = ep->client,
                               .text = (const char *)vpc_buffer_head(&ep->reply),
                               .text_len = vpc_buffer_size(&ep->reply) - 1};
        ep->client = 0;
        return 1;
    }
    if (vpc_buffer_size(&ep->entries) == 0)
        return 0;
    n = strlen((const char *)vpc_buffer_head(&ep->entries)) + 1;
    if (lies("endless-text"))
        *action = (vpc_action){.kind = VPC_ACTION_LOG, .text = "{", .text_len = SIZE_MAX};
    if (lies("endless-text"))
        return 1;
    vpc_buffer_free(&ep->taken);
    vpc_buffer_add(&ep->taken, vpc_buffer_head(&ep->entries), n);
    vpc_buffer_drop(&ep->entries, n);
    *action = (vpc_action){.kind = VPC_ACTION_LOG,
                           .text = (const char *)vpc_buffer_head(&ep->taken),
                           .text_len = n - 1};
    return lies("two-actions") ? 2 : 1;
}

extern const vpc_endpoint_abi vpc_endpoint_abi_v1;

/* No scenario of the tests uses what is left out. */
const vpc_endpoint_abi vpc_endpoint_abi_v1 = {
    .abi_version = VPC_ENDPOINT_ABI_VERSION,
    .create = create,
    .destroy = destroy,
    .clock = tell_time,
    .deadline = deadline,
    .bus_up = bus_up,
    .bus_down = bus_down,
    .bus_input = bus_input,
    .bus_output = bus_output,
    .bus_sent = bus_sent,
    .control_open = control_open,
    .control_line = control_line,
    .control_close = control_close,
    .next_action = next_action,
};
