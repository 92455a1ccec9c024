/* SPDX-License-Identifier: MIT */
/*
 * Any script beside any hostile subject: the runner and the testers of conformance/, in-process.
 *
 * Input   the text of a scenario, an octet 0, then what the subject does.  At each call of the harness the subject behaves
 *         well enough for a session and a pair, then reads an octet: 0 is nothing, another one a deed of `deeds`.
 *
 * What must hold: the run ends, with a verdict, and whatever the subject says is no fault of the harness's memory.  The
 * subject stands where the harness has its own shared object's process (backends/object.h).  Left out are scripts that would
 * take long.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "backends/object.h"
#include "codec/codec.h"
#include "document/embedded.h"
#include "input.h"
#include "memory.h"
#include "run/run.h"

#define STREAMS      8
#define WAITING      64
#define STEPS_MAX    300
#define SCRIPT_MS    120000
#define OCTETS_MAX   200000
#define REQUESTS_MAX 100

const struct vpc_backend_ops vpc_backend_socket = {.name =
                                                       "none"}; /* of another machine's subject */

/* ---- the subject ------------------------------------------------------------------------------------------------------- */

struct vpc_endpoint {
    struct vpc_decoder in;
    struct vpc_buffer out;
    enum vpc_role_bit role;
    uint64_t epoch, peer, session, number, now, due;
    uint32_t pair, client;
    json_t *id;
    vpc_action waiting[WAITING];
    char *texts[WAITING];
    size_t first, count;
};

static struct vpc_table *table;
static struct vpc_spec *spec;
static struct fuzz_input deeds_left;

static void act(vpc_endpoint *ep, vpc_action action, char *text)
{
    size_t at = (ep->first + ep->count) % WAITING;

    if (ep->count == WAITING) {
        free(text);
        return;
    }
    free(ep->texts[at]);
    ep->texts[at] = text;
    action.text = text;
    action.text_len = text ? strlen(text) : 0;
    ep->waiting[at] = action;
    ep->count++;
}

static void say(vpc_endpoint *ep, struct conform_frame *frame)
{
    frame->session = ep->session;
    frame->number = ++ep->number;
    vpc_frame_encode(frame, &ep->out);
    vpc_frame_clear(frame);
}

static struct conform_frame make(const char *name, uint32_t channel)
{
    struct conform_frame frame;

    vpc_frame_begin(&frame, table, vpc_table_by_name(table, name));
    frame.channel = channel;
    return frame;
}

static void greet(vpc_endpoint *ep)
{
    struct conform_frame frame = make("HELLO", 0);

    vpc_frame_set(&frame, "role", (uint64_t)ep->role);
    vpc_frame_set(&frame, "version_min", 256);
    vpc_frame_set(&frame, "version_max", 256);
    vpc_frame_set(&frame, "max_pairs", 16);
    vpc_frame_set(&frame, "epoch", ep->epoch);
    vpc_frame_set(&frame, "echo", ep->peer);
    frame.number = vpc_frame_crc(&frame);
    vpc_buffer_fill(&ep->out, table->pad, table->preamble_min);
    vpc_frame_encode(&frame, &ep->out);
    vpc_frame_clear(&frame);
}

static void reply(vpc_endpoint *ep)
{
    json_t *answer = json_pack("{s:{s:s, s:s, s:s}}", "return", "hresult", "0x00000000", "pipe",
                               "\\\\.\\pipe\\one", "path", "one");

    if (ep->id)
        json_object_set(answer, "id", ep->id);
    act(ep, (vpc_action){.kind = VPC_ACTION_REPLY, .client = ep->client},
        json_dumps(answer, JSON_COMPACT));
    json_decref(answer);
}

static void on_hello(vpc_endpoint *ep, const struct conform_frame *hello)
{
    struct conform_frame ready = make("READY", 0);
    uint64_t echo = 0;

    vpc_frame_get(hello, "epoch", &ep->peer);
    vpc_frame_get(hello, "echo", &echo);
    if (echo != ep->epoch || ep->session)
        greet(ep);
    if (echo != ep->epoch || ep->session) {
        vpc_frame_clear(&ready);
        return;
    }
    ep->session = ep->role == VPC_FROM_HOST ? conform_session_id(ep->epoch, ep->peer)
                                            : conform_session_id(ep->peer, ep->epoch);
    vpc_frame_set(&ready, "ready", 1);
    if (ep->role == VPC_FROM_GUEST)
        say(ep, &ready);
    else
        vpc_frame_clear(&ready);
}

static void on_frame(vpc_endpoint *ep, const struct conform_frame *frame)
{
    struct conform_frame opened;

    if (strcmp(frame->message->name, "HELLO") == 0)
        on_hello(ep, frame);
    else if (strcmp(frame->message->name, "OPENED") == 0)
        reply(ep);
    if (strcmp(frame->message->name, "OPEN") != 0)
        return;
    opened = make("OPENED", frame->channel);
    vpc_frame_set(&opened, "limit", 100000);
    say(ep, &opened);
    act(ep, (vpc_action){.kind = VPC_ACTION_CONNECT, .stream = 1, .value = 6174}, NULL);
}

/* ---- its deeds ---------------------------------------------------------------------------------------------------------- */

static char *some_text(void)
{
    const uint8_t *octets;
    size_t n = fuzz_octets(&deeds_left, fuzz_octet(&deeds_left), &octets);

    return vpc_copy_n((const char *)octets, strnlen((const char *)octets, n));
}

static void say_octets(vpc_endpoint *ep)
{
    const uint8_t *octets;
    size_t n = fuzz_octets(&deeds_left, fuzz_octet(&deeds_left), &octets);

    vpc_buffer_add(&ep->out, octets, n);
}

/* Any message, rightly sealed. */
static void say_frame(vpc_endpoint *ep)
{
    const struct conform_message *message =
        &table->messages[fuzz_octet(&deeds_left) % table->message_count];
    struct conform_frame frame = make(message->name, fuzz_octet(&deeds_left) % STREAMS);

    for (size_t i = 0; i < message->field_count; i++)
        if (message->fields[i].kind == VPC_FIELD_INT)
            vpc_field_set(&frame, &message->fields[i], fuzz_number(&deeds_left));
    if (strcmp(message->name, "DATA") == 0)
        vpc_frame_set_payload(&frame, "payload", 1 + fuzz_octet(&deeds_left) % 7);
    say(ep, &frame);
}

static void do_anything(vpc_endpoint *ep)
{
    vpc_action action = {.kind = fuzz_octet(&deeds_left) % 16,
                         .stream = fuzz_octet(&deeds_left) % STREAMS,
                         .client = fuzz_octet(&deeds_left) % STREAMS,
                         .value = (uint32_t)fuzz_number(&deeds_left),
                         .limit_ms = fuzz_number(&deeds_left) % SCRIPT_MS};

    act(ep, action, fuzz_octet(&deeds_left) % 4 ? some_text() : NULL);
}

/* An entry, or an event, that is nearly right. */
static void tell_something(vpc_endpoint *ep)
{
    unsigned kind = fuzz_octet(&deeds_left), id = 1000 + fuzz_octet(&deeds_left) % 45;
    char *more = some_text();
    char *text = kind % 2
                     ? vpc_format("{\"time\": %llu, \"id\": %u, \"name\": \"TRANSPORT_UP\", "
                                  "\"level\": \"info\", \"source\": \"%s\", \"vm\": \"conform\", "
                                  "\"message\": \"!\"%s}",
                                  (unsigned long long)ep->now, id,
                                  ep->role == VPC_FROM_HOST ? "host" : "guest", more)
                     : vpc_format("{\"event\": \"CHANNEL_READY\", \"data\": {\"id\": %u%s}, "
                                  "\"time\": %llu}",
                                  id, more, (unsigned long long)ep->now);

    free(more);
    act(ep, (vpc_action){.kind = kind % 2 ? VPC_ACTION_LOG : VPC_ACTION_BROADCAST}, text);
}

static void answer_again(vpc_endpoint *ep)
{
    reply(ep);
}

static void set_timer(vpc_endpoint *ep)
{
    ep->due = ep->now + fuzz_number(&deeds_left) % SCRIPT_MS;
}

static void begin_anew(vpc_endpoint *ep)
{
    ep->epoch += 0x9e3779b97f4a7c15; /* never zero in the life of an input */
    ep->session = ep->number = 0;
    greet(ep);
}

static void (*const deeds[])(vpc_endpoint *) = {NULL,        say_octets,     say_frame,
                                                do_anything, tell_something, answer_again,
                                                set_timer,   begin_anew,     say_frame};

static void react(vpc_endpoint *ep)
{
    unsigned deed = fuzz_octet(&deeds_left) % (sizeof(deeds) / sizeof(deeds[0]));

    if (deeds[deed])
        deeds[deed](ep);
}

/* ---- the ABI ------------------------------------------------------------------------------------------------------------ */

static vpc_endpoint *create(const vpc_endpoint_config *config, uint64_t now_ms)
{
    vpc_endpoint *ep = vpc_alloc(sizeof(*ep));

    ep->role = (enum vpc_role_bit)config->role;
    ep->now = now_ms;
    ep->due = VPC_NEVER;
    vpc_decoder_begin(&ep->in, table, ep->role == VPC_FROM_HOST ? VPC_FROM_GUEST : VPC_FROM_HOST);
    return ep;
}

static void destroy(vpc_endpoint *ep)
{
    for (size_t i = 0; i < WAITING; i++)
        free(ep->texts[i]);
    json_decref(ep->id);
    vpc_decoder_end(&ep->in);
    vpc_buffer_free(&ep->out);
    free(ep);
}

static void tell_time(vpc_endpoint *ep, uint64_t now_ms)
{
    ep->now = now_ms;
    if (now_ms < ep->due)
        return;
    ep->due = VPC_NEVER;
    react(ep);
}

static uint64_t deadline(const vpc_endpoint *ep)
{
    return ep->due;
}

static void bus_up(vpc_endpoint *ep)
{
    ep->peer = 0;
    begin_anew(ep);
    react(ep);
}

static void bus_down(vpc_endpoint *ep)
{
    vpc_buffer_free(&ep->out);
    vpc_decoder_end(&ep->in);
    vpc_decoder_begin(&ep->in, table, ep->role == VPC_FROM_HOST ? VPC_FROM_GUEST : VPC_FROM_HOST);
    react(ep);
}

static void bus_input(vpc_endpoint *ep, const void *octets, size_t n)
{
    struct conform_frame frame;
    struct vpc_bad_octets bad;

    vpc_decoder_add(&ep->in, octets, n);
    while (vpc_decoder_next(&ep->in, &frame, &bad) == VPC_DECODED_FRAME) {
        on_frame(ep, &frame);
        vpc_frame_clear(&frame);
        react(ep);
    }
}

static size_t bus_output(vpc_endpoint *ep, const void **octets)
{
    *octets = vpc_buffer_head(&ep->out);
    return vpc_buffer_size(&ep->out);
}

static void bus_sent(vpc_endpoint *ep, size_t n)
{
    vpc_buffer_drop(&ep->out, n);
}

static void control_open(vpc_endpoint *ep, uint32_t client)
{
    act(ep, (vpc_action){.kind = VPC_ACTION_REPLY, .client = client},
        vpc_copy("{\"VPCBus\": {\"version\": \"1.0\"}}"));
    react(ep);
}

/* A start opens a pair; anything else is answered at once. */
static void control_line(vpc_endpoint *ep, uint32_t client, const char *line, size_t n)
{
    json_t *request = json_loadb(line, n, 0, NULL);
    const char *command = json_string_value(json_object_get(request, "execute"));
    struct conform_frame open;

    json_decref(ep->id);
    ep->id = json_incref(json_object_get(request, "id"));
    ep->client = client;
    if (command && strcmp(command, "start") == 0 && ep->session) {
        open = make("OPEN", ep->pair += 2);
        vpc_frame_set(&open, "reverse_channel", ep->pair + 1);
        vpc_frame_set(&open, "port", 6174);
        vpc_frame_set(&open, "limit", 100000);
        act(ep, (vpc_action){.kind = VPC_ACTION_LISTEN, .stream = 1}, vpc_copy("\\\\.\\pipe\\one"));
        say(ep, &open);
    } else {
        reply(ep);
    }
    json_decref(request);
    react(ep);
}

static void control_close(vpc_endpoint *ep, uint32_t client)
{
    (void)client;
    react(ep);
}

static void on_stream(vpc_endpoint *ep, uint32_t stream, int error)
{
    (void)stream;
    (void)error;
    react(ep);
}

static void on_listening(vpc_endpoint *ep, uint32_t stream, int error, const char *path)
{
    (void)path;
    on_stream(ep, stream, error);
}

static size_t stream_room(const vpc_endpoint *ep, uint32_t stream)
{
    (void)ep;
    return stream == 1 ? 1000 : 0;
}

static size_t stream_input(vpc_endpoint *ep, uint32_t stream, const void *octets, size_t n)
{
    unsigned less = fuzz_octet(&deeds_left) % 8;

    (void)octets;
    on_stream(ep, stream, 0);
    return less == 7 ? n + 1 : n;
}

static void stream_eof(vpc_endpoint *ep, uint32_t stream)
{
    on_stream(ep, stream, 0);
}

static size_t stream_output(vpc_endpoint *ep, uint32_t stream, const void **octets)
{
    static const char bytes[64];

    (void)ep;
    (void)stream;
    *octets = bytes;
    return fuzz_octet(&deeds_left) % sizeof(bytes);
}

static void stream_sent(vpc_endpoint *ep, uint32_t stream, size_t n)
{
    (void)n;
    on_stream(ep, stream, 0);
}

static int next_action(vpc_endpoint *ep, vpc_action *action)
{
    if (ep->count == 0)
        return 0;
    *action = ep->waiting[ep->first];
    ep->first = (ep->first + 1) % WAITING;
    ep->count--;
    return 1;
}

static void stop(vpc_endpoint *ep, uint64_t limit_ms)
{
    (void)limit_ms;
    act(ep, (vpc_action){.kind = VPC_ACTION_STOPPED}, NULL);
    react(ep);
}

const vpc_endpoint_abi vpc_object_abi = {
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
    .stream_listening = on_listening,
    .stream_opened = on_stream,
    .stream_room = stream_room,
    .stream_input = stream_input,
    .stream_eof = stream_eof,
    .stream_gone = on_stream,
    .stream_output = stream_output,
    .stream_sent = stream_sent,
    .next_action = next_action,
    .stop = stop,
};

/* ---- in the place of backends/object.c ----------------------------------------------------------------------------------- */

struct vpc_object {
    int loaded;
};

struct vpc_object *vpc_object_begin(const struct vpc_object_config *config, char **error)
{
    (void)config;
    (void)error;
    return vpc_alloc(sizeof(struct vpc_object));
}

void vpc_object_end(struct vpc_object *object)
{
    free(object);
}

const char *vpc_object_failure(const struct vpc_object *object)
{
    (void)object;
    return NULL;
}

bool conform_object_failed_by_machine(const struct vpc_object *object)
{
    (void)object;
    return false;
}

vpc_endpoint *vpc_object_create(struct vpc_object *object, const vpc_endpoint_config *config,
                                uint64_t now_ms)
{
    (void)object;
    return create(config, now_ms);
}

/* Nobody tells it of its machine. */
void vpc_object_machine(vpc_endpoint *endpoint, uint32_t machine)
{
    (void)endpoint;
    (void)machine;
}

size_t vpc_object_pieces(vpc_endpoint *endpoint, const void *octets, const uint32_t *sizes,
                         size_t count)
{
    if (count > 0)
        bus_input(endpoint, octets, sizes[0]);
    return 1;
}

/* ---- the run ------------------------------------------------------------------------------------------------------------ */

static uint64_t timer_of(const void *user, const struct vpc_setting *timer)
{
    (void)user;
    return timer->value;
}

static uint64_t length_of(const struct vpc_span *span)
{
    return span ? vpc_span_ms(span, timer_of, NULL) : 5000;
}

/* Of numbers that stand in the script; a variable's is the subject's, and bounded by the runner. */
static bool asks_much(const struct vpc_step *step)
{
    for (size_t i = 0; i < step->arg_count; i++) {
        const struct vpc_arg *arg = &step->args[i];
        bool octets = arg->name == VPC_KEY_BYTES || arg->name == VPC_KEY_PREAMBLE ||
                      step->op == VPC_OP_BUS_PAD;
        bool requests = arg->key && strcmp(arg->key, "times") == 0;

        if (arg->kind == VPC_VALUE_NUMBER &&
            ((octets && arg->number > OCTETS_MAX) || (requests && arg->number > REQUESTS_MAX)))
            return true;
    }
    return false;
}

static bool takes_long(const struct vpc_script *script)
{
    uint64_t ms = 0;

    for (size_t i = 0; i < script->step_count; i++) {
        ms += length_of(script->steps[i].within) + length_of(script->steps[i].during);
        if (asks_much(&script->steps[i]))
            return true;
    }
    return script->option_count > 0 || script->step_count > STEPS_MAX || ms > STEPS_MAX * SCRIPT_MS;
}

static void run(const struct vpc_script *script)
{
    char features[] = "control events", object[] = "hostile.so", folder[] = "/", name[] = "hostile";
    struct vpc_implementation implementation = {
        .path = name, .folder = folder, .name = name, .object = object, .features = features};
    volatile int in_subject = 0;
    struct vpc_run_config config = {.script = script,
                                    .table = table,
                                    .spec = spec,
                                    .implementation = &implementation,
                                    .backend = &vpc_backend_inproc,
                                    .split = VPC_SPLIT_WHOLE,
                                    .seed = 1,
                                    .dir = "/no such folder",
                                    .build = "/",
                                    .in_subject = &in_subject};
    struct vpc_result result;

    implementation.role = script->role;
    vpc_run(&config, &result, NULL);
    if (result.verdict != VPC_PASS && result.got == NULL)
        abort();
    vpc_result_clear(&result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t n = strnlen((const char *)data, size);
    char *text = vpc_copy_n((const char *)data, n), *error = NULL;
    struct vpc_script *script;

    if (table == NULL) {
        table = vpc_table_load(vpc_embedded_messages, &error);
        spec = vpc_spec_load(vpc_embedded_document);
    }
    deeds_left = (struct fuzz_input){data + n + (n < size), data + size};
    script = vpc_script_parse("f.vpcs", text, table, spec, &error);
    if (script && !takes_long(script))
        run(script);
    if (script)
        vpc_script_free(script);
    free(error);
    free(text);
    return 0;
}
