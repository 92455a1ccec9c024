/* SPDX-License-Identifier: MIT */
/*
 * The process that holds the shared object.
 *
 * It translates questions into calls of the ABI, and after each call looks at what its caller would look at next: the
 * actions, and only when there is none the output of the bus, the open streams and the deadline.  Nothing here is trusted by
 * the harness: a subject may overwrite all of it, and gains no more than it could have said by the ABI.
 */
#include "backends/object_server.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "backends/object_wire.h"
#include "chance.h"
#include "files.h"

/* What was there when the caller last had nothing to do. */
struct rest {
    bool known;
    uint64_t bus_output;
    size_t count;
    struct vpc_object_hint hints[VPC_OBJECT_HINTS_MAX];
};

struct held {
    vpc_endpoint *endpoint;
    struct rest rest;
    uint32_t streams[VPC_OBJECT_HINTS_MAX]; /* that are open: their output and room are looked at */
    size_t stream_count;
    struct vpc_buffer bus; /* octets that the caller was shown and has not sent */
};

struct server {
    int fd;
    const vpc_endpoint_abi *abi;
    vpc_endpoint_machine *machine; /* NULL: it can not be told of its machine */
    uint64_t random;
    struct held held[VPC_OBJECT_ENDPOINTS];
    struct vpc_object_ask ask;
    struct vpc_buffer asked; /* the octets of the question */
    struct vpc_object_answer answer;
    struct vpc_buffer actions; /* of the answer, as the next two */
    const void *octets;
    const struct vpc_object_hint *hints;
    bool asks; /* the last of the actions is a LISTEN, FORWARD or LOOK */
};

/* How much of so many octets is shown at once. */
static uint32_t shown(size_t n)
{
    return (uint32_t)(n < VPC_OBJECT_OCTETS_MAX ? n : VPC_OBJECT_OCTETS_MAX);
}

/* ---- octets ------------------------------------------------------------------------------------------------------ */

/* Until there are n octets of the question. */
static void get(struct server *server, size_t n)
{
    while (vpc_buffer_size(&server->asked) < n) {
        size_t left = n - vpc_buffer_size(&server->asked);
        size_t room = left > VPC_OBJECT_AHEAD ? left : VPC_OBJECT_AHEAD;
        ssize_t got = read(server->fd, vpc_buffer_room(&server->asked, room), room);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            _exit(0); /* the harness has gone */
        vpc_buffer_filled(&server->asked, (size_t)got);
    }
}

static void get_question(struct server *server)
{
    struct vpc_object_ask *ask = &server->ask;

    vpc_buffer_clear(&server->asked);
    get(server, sizeof(*ask));
    memcpy(ask, vpc_buffer_head(&server->asked), sizeof(*ask));
    get(server, sizeof(*ask) + ask->size);
    vpc_buffer_drop(&server->asked, sizeof(*ask));
    vpc_buffer_fill(&server->asked, 0, 1);
}

static void put(int fd, struct iovec *parts, int count)
{
    while (count > 0) {
        ssize_t put = writev(fd, parts, count);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0 && errno == EFAULT)
            raise(SIGSEGV); /* the subject's octets are not there: so ends whoever reads them */
        if (put < 0)
            _exit(0);
        for (; count > 0 && (size_t)put >= parts->iov_len; count--)
            put -= (ssize_t)parts++->iov_len;
        if (count > 0) {
            parts->iov_base = (uint8_t *)parts->iov_base + put;
            parts->iov_len -= (size_t)put;
        }
    }
}

static void send_answer(struct server *server)
{
    struct vpc_object_answer *answer = &server->answer;
    size_t hints = answer->hint_count * sizeof(*server->hints);
    struct iovec parts[] = {
        {answer, sizeof(*answer)},
        {(void *)(uintptr_t)vpc_buffer_head(&server->actions), vpc_buffer_size(&server->actions)},
        {(void *)(uintptr_t)server->octets, answer->octets_size},
        {(void *)(uintptr_t)server->hints, hints},
    };

    answer->actions_size = (uint32_t)vpc_buffer_size(&server->actions);
    answer->size = (uint32_t)(answer->actions_size + answer->octets_size + hints);
    answer->call = server->ask.call;
    put(server->fd, parts, (int)(sizeof(parts) / sizeof(parts[0])));
}

/* ---- which streams are looked at ---------------------------------------------------------------------------------- */

static void watch(struct held *held, uint32_t stream)
{
    if (held->stream_count < VPC_OBJECT_HINTS_MAX)
        held->streams[held->stream_count++] = stream;
}

static void forget(struct held *held, uint32_t stream)
{
    for (size_t i = 0; i < held->stream_count; i++)
        if (held->streams[i] == stream)
            held->streams[i--] = held->streams[--held->stream_count];
}

/* ---- what the caller looks at next -------------------------------------------------------------------------------- */

static void add_action(struct server *server, const vpc_action *action)
{
    bool fits = action->text_len <= VPC_OBJECT_TEXT_MAX;
    size_t size = action->text && fits ? action->text_len : 0;
    struct vpc_object_action told;

    memset(&told, 0, sizeof(told));
    told.kind = action->kind;
    told.stream = action->stream;
    told.client = action->client;
    told.value = action->value;
    told.limit_ms = action->limit_ms;
    told.text_size = fits ? (uint32_t)size : VPC_OBJECT_TEXT_MAX + 1;
    vpc_buffer_add(&server->actions, &told, sizeof(told));
    vpc_buffer_add(&server->actions, action->text, size);
    vpc_buffer_fill(&server->actions, 0, 1);
}

/* False when there is none. */
static bool take_action(struct server *server, struct held *held)
{
    vpc_action action = {0};
    int got = server->abi->next_action(held->endpoint, &action);

    if (got == 0)
        return false;
    if (got != 1)
        action.kind = VPC_OBJECT_NO_KIND;
    add_action(server, &action);
    server->asks = action.kind == VPC_ACTION_LISTEN || action.kind == VPC_ACTION_LOOK ||
                   action.kind == VPC_ACTION_FORWARD;
    if (action.kind == VPC_ACTION_UNLISTEN || action.kind == VPC_ACTION_CLOSE ||
        action.kind == VPC_ACTION_ABORT || action.kind == VPC_ACTION_HANGUP)
        forget(held, action.stream);
    return true;
}

/* False when there may be others. */
static bool take_actions(struct server *server, struct held *held)
{
    while (!server->asks && vpc_buffer_size(&server->actions) < VPC_OBJECT_ACTIONS)
        if (!take_action(server, held))
            return true;
    return false;
}

static void look_at_streams(struct server *server, struct held *held)
{
    struct rest *rest = &held->rest;
    const void *octets;

    for (size_t i = 0; i < held->stream_count; i++) {
        struct vpc_object_hint *hint = &rest->hints[i];

        hint->stream = held->streams[i];
        hint->output = shown(server->abi->stream_output(held->endpoint, hint->stream, &octets));
        hint->room = server->abi->stream_room(held->endpoint, hint->stream);
    }
    rest->count = held->stream_count;
}

static void look_at_rest(struct server *server, struct held *held)
{
    held->rest.bus_output = server->abi->bus_output(held->endpoint, &server->octets);
    look_at_streams(server, held);
    held->rest.known = true;
}

/* What the caller has already, from the first octet on, is not shown again. */
static void show_bus(struct server *server, struct held *held, size_t n)
{
    struct vpc_object_answer *answer = &server->answer;
    size_t most = shown(n), had = vpc_buffer_size(&held->bus), kept = had < most ? had : most;
    const uint8_t *octets = server->octets;

    if (kept > 0 && memcmp(vpc_buffer_head(&held->bus), octets, kept) != 0)
        kept = 0;
    vpc_buffer_cut(&held->bus, kept);
    if (most > kept)
        vpc_buffer_add(&held->bus, octets + kept, most - kept);
    server->octets = most > kept ? octets + kept : NULL;
    answer->octets_size = (uint32_t)(most - kept);
    answer->kept = (uint32_t)kept;
    answer->shows_bus = true;
}

/* The order is that of the ABI: all actions, then output. */
static void look(struct server *server, struct held *held)
{
    struct vpc_object_answer *answer = &server->answer;

    held->rest.known = false;
    if (held->endpoint == NULL || !take_actions(server, held))
        return;
    look_at_rest(server, held);
    answer->looked = true;
    show_bus(server, held, held->rest.bus_output);
    server->hints = held->rest.hints;
    answer->hint_count = (uint32_t)held->rest.count;
    answer->deadline = server->abi->deadline(held->endpoint);
}

/* ---- the calls ---------------------------------------------------------------------------------------------------- */

static uint64_t next_random(void *user)
{
    struct server *server = user;
    return vpc_draw(&server->random);
}

static uint64_t call_create(struct server *server, struct held *held)
{
    const char *vm = (const char *)vpc_buffer_head(&server->asked);
    const char *tag = vm + strlen(vm) + 1;
    vpc_endpoint_config config = {.role = server->ask.number,
                                  .vm = vm,
                                  .tag = tag,
                                  .options = tag + strlen(tag) + 1,
                                  .random = next_random,
                                  .user = server};

    held->stream_count = 0;
    vpc_buffer_clear(&held->bus);
    held->endpoint = server->abi->create(&config, server->ask.value);
    return held->endpoint != NULL;
}

static uint64_t call_destroy(struct server *server, struct held *held)
{
    server->abi->destroy(held->endpoint);
    held->endpoint = NULL;
    return 0;
}

static bool same_rest(const struct rest *a, const struct rest *b)
{
    return a->known && b->known && a->bus_output == b->bus_output && a->count == b->count &&
           memcmp(a->hints, b->hints, a->count * sizeof(a->hints[0])) == 0;
}

/* Until something moves.  What was there before the first piece does not count: the caller has left it. */
static uint64_t call_bus_input(struct server *server, struct held *held)
{
    const uint8_t *sizes = vpc_buffer_head(&server->asked);
    const uint8_t *octets = sizes + server->ask.number * sizeof(uint32_t);
    const struct rest before = held->rest;
    uint32_t size, done = 0;
    bool still = true;

    for (; done < server->ask.number && still; done++) {
        memcpy(&size, sizes + done * sizeof(size), sizeof(size));
        server->abi->bus_input(held->endpoint, octets, size);
        octets += size;
        still = !take_action(server, held);
        if (still)
            look_at_rest(server, held);
        still = still && same_rest(&held->rest, &before);
    }
    return done;
}

static uint64_t call_stream_output(struct server *server, struct held *held)
{
    size_t n = server->abi->stream_output(held->endpoint, server->ask.number, &server->octets);

    server->answer.octets_size = shown(n);
    return n;
}

static uint64_t call_bus_output(struct server *server, struct held *held)
{
    size_t n = server->abi->bus_output(held->endpoint, &server->octets);

    show_bus(server, held, n);
    return n;
}

static uint64_t call_bus_sent(struct server *server, struct held *held)
{
    vpc_buffer_drop(&held->bus, server->ask.value);
    server->abi->bus_sent(held->endpoint, server->ask.value);
    return 0;
}

static uint64_t call_stream_opened(struct server *server, struct held *held)
{
    if (server->ask.error == 0)
        watch(held, server->ask.number);
    server->abi->stream_opened(held->endpoint, server->ask.number, server->ask.error);
    return 0;
}

static uint64_t call_stream_gone(struct server *server, struct held *held)
{
    forget(held, server->ask.number);
    server->abi->stream_gone(held->endpoint, server->ask.number, server->ask.error);
    return 0;
}

/* Those that only hand on; text is what came with the question, with a NUL behind it. */
#define PLAIN_CALL(name, statement)                                                                \
    static uint64_t call_##name(struct server *server, struct held *held)                          \
    {                                                                                              \
        const char *text = (const char *)vpc_buffer_head(&server->asked);                          \
        const struct vpc_object_ask *ask = &server->ask;                                           \
                                                                                                   \
        (void)text;                                                                                \
        (void)ask;                                                                                 \
        statement;                                                                                 \
        return 0;                                                                                  \
    }
#define ABI server->abi
#define EP  held->endpoint

PLAIN_CALL(load, (void)server; (void)held)
PLAIN_CALL(next_action, (void)server; (void)held)
PLAIN_CALL(clock, ABI->clock(EP, ask->value))
PLAIN_CALL(deadline, return ABI->deadline(EP))
PLAIN_CALL(bus_up, ABI->bus_up(EP))
PLAIN_CALL(bus_down, ABI->bus_down(EP))
PLAIN_CALL(control_open, ABI->control_open(EP, ask->number))
PLAIN_CALL(control_line, ABI->control_line(EP, ask->number, text, ask->size))
PLAIN_CALL(control_close, ABI->control_close(EP, ask->number))
PLAIN_CALL(stream_listening, ABI->stream_listening(EP, ask->number, ask->error, text))
PLAIN_CALL(stream_room, return ABI->stream_room(EP, ask->number))
PLAIN_CALL(stream_input, return ABI->stream_input(EP, ask->number, text, ask->size))
PLAIN_CALL(stream_eof, ABI->stream_eof(EP, ask->number))
PLAIN_CALL(stream_sent, ABI->stream_sent(EP, ask->number, ask->value))
PLAIN_CALL(stop, ABI->stop(EP, ask->value))
PLAIN_CALL(machine, if (server->machine) server->machine(EP, ask->number))

static uint64_t (*const calls[VPC_OBJECT_CALL_COUNT])(struct server *, struct held *) = {
#define HANDLER(name, function) call_##function,
    VPC_OBJECT_CALLS(HANDLER)
#undef HANDLER
};

/* Those after which nothing needs to be looked at: the caller asks about something else. */
static bool only_asks(uint16_t call)
{
    return call == VPC_OBJECT_STREAM_OUTPUT || call == VPC_OBJECT_BUS_OUTPUT ||
           call == VPC_OBJECT_STREAM_ROOM || call == VPC_OBJECT_DEADLINE;
}

static void serve_one(struct server *server)
{
    struct vpc_object_ask *ask = &server->ask;
    struct held *held;
    uint64_t value;

    get_question(server);
    server->answer = (struct vpc_object_answer){0};
    server->octets = NULL;
    server->asks = false;
    vpc_buffer_clear(&server->actions);
    held = &server->held[ask->endpoint];
    value = calls[ask->call](server, held);
    if (!only_asks(ask->call))
        look(server, held);
    server->answer.value = value;
    send_answer(server);
}

/* ---- beginning ---------------------------------------------------------------------------------------------------- */

/* dlopen() would wait for whoever may write into a FIFO; what can not be looked at it tells itself. */
static bool is_strange(const char *path)
{
    struct stat found;

    return stat(path, &found) == 0 && !S_ISREG(found.st_mode);
}

static char *load(struct server *server, const char *path)
{
    bool strange = is_strange(path);
    void *object = strange ? NULL : dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const vpc_endpoint_abi *abi = object ? dlsym(object, VPC_ENDPOINT_ABI_SYMBOL) : NULL;

    server->abi = abi;
    if (strange)
        return vpc_format("the shared object can not be used: %s: %s", path,
                          vpc_file_words(EINVAL));
    if (abi == NULL)
        return vpc_format("the shared object can not be used: %s", dlerror());
    *(void **)&server->machine = dlsym(object, VPC_ENDPOINT_MACHINE_SYMBOL);
    if (abi->abi_version != VPC_ENDPOINT_ABI_VERSION)
        return vpc_format("%s has ABI version %u, the harness has %u", path, abi->abi_version,
                          VPC_ENDPOINT_ABI_VERSION);
    return NULL;
}

void vpc_object_serve(const struct vpc_object_config *config, int fd)
{
    struct server server = {.fd = fd, .random = config->seed};
    char *error = load(&server, config->path);

    server.answer.value = error == NULL;
    server.octets = error;
    server.answer.octets_size = error ? shown(strlen(error)) : 0;
    send_answer(&server);
    while (error == NULL)
        serve_one(&server);
    _exit(0);
}
