/* SPDX-License-Identifier: MIT */
/*
 * The harness's side of a shared object in another process.
 *
 * Each call of the ABI is a question (object_wire.h).  What its answer tells of the next action, the bus, the streams and
 * the deadline is kept until the next question that may change it, so that looking costs nothing.  An answer is taken into
 * memory of this process before any of it is looked at; sizes are checked against their limits and against each other.
 */
#include "backends/object.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "backends/confine.h"
#include "backends/load.h"
#include "backends/machine.h"
#include "backends/object_server.h"
#include "backends/object_wire.h"
#include "clock.h"

#define CALL_MS 20000 /* of real time, for one call: it computes, and waits for nothing */
#define LOOK_MS 100   /* of them, after which it is looked at whether its process is still there */
#define PARTS   3     /* of a question, at most: its header, and octets that stand in two places */
#define END_MS  2000  /* until a process that has closed its socket has ended, if it does */

struct vpc_endpoint {
    struct vpc_object *object;
    uint16_t number;
    struct vpc_object_answer last; /* after the last call that may have changed something */
    struct vpc_buffer actions;     /* that were not taken yet */
    struct vpc_buffer bus;         /* octets that were shown and not sent */
    struct vpc_buffer hints;
};

struct vpc_object {
    int fd;
    struct vpc_confined process;
    char *failure;
    bool by_machine; /* the failure is not the subject's */
    struct vpc_endpoint endpoints[VPC_OBJECT_ENDPOINTS];
    bool used[VPC_OBJECT_ENDPOINTS];
    struct vpc_object_answer answer;
    struct vpc_buffer said; /* the octets of the answer */
};

static const char *const names[VPC_OBJECT_CALL_COUNT] = {
#define NAME(name, function) #function,
    VPC_OBJECT_CALLS(NAME)
#undef NAME
};

bool conform_object_failed_by_machine(const struct vpc_object *object)
{
    return object->by_machine;
}

const char *vpc_object_failure(const struct vpc_object *object)
{
    return object->failure;
}

static void fail(struct vpc_object *object, char *how)
{
    if (object->failure)
        free(how);
    else
        object->failure = how;
}

/* ---- octets, with a time limit ------------------------------------------------------------------------------------ */

static void fail_by_machine(struct vpc_object *object, char *why)
{
    object->by_machine |= object->failure == NULL;
    fail(object, why);
}

static void fail_by_end(struct vpc_object *object)
{
    char *how = vpc_confined_end(&object->process, END_MS);

    fail(object, vpc_format("the subject %s", how));
    free(how);
}

/* What we could not do with its socket, with errno, is the machine's, or shows that it has ended. */
static void fail_by_errno(struct vpc_object *object, const char *what)
{
    if (vpc_machine_is_short(errno))
        fail_by_machine(object, vpc_machine_words(what, errno));
    else
        fail_by_end(object);
}

/* The subject itself: its guardian has one child. */
static bool share_of_subject(void *watched, struct vpc_share *share)
{
    const struct vpc_object *object = watched;
    char *path =
        vpc_format("/proc/%d/task/%d/children", (int)object->process.pid, (int)object->process.pid);
    uint64_t pid = vpc_machine_number(path, NULL);

    free(path);
    return pid != UINT64_MAX && vpc_process_tree_share((pid_t)pid, share);
}

static void fail_by_time(struct vpc_object *object, uint16_t call, uint64_t since)
{
    uint64_t held_up = conform_load_excuse_since(share_of_subject, object, since);

    if (held_up)
        fail_by_machine(object, vpc_format("the machine held up %s() for %llu ms: end other "
                                           "programs, or give fewer --jobs",
                                           names[call], (unsigned long long)held_up));
    else
        fail(object, vpc_format("%s() has not returned within %d s", names[call], CALL_MS / 1000));
}

/* False when the object has failed. */
static bool wait_for(struct vpc_object *object, short events, uint16_t call, uint64_t limit)
{
    struct pollfd fds[] = {{.fd = object->fd, .events = events},
                           {.fd = object->process.report, .events = POLLIN}};
    uint64_t now = vpc_real_ms();
    int n = poll(fds, 2, now < limit ? (int)(limit - now) : 0);

    if (n < 0 && errno == EINTR)
        return true;
    if (n < 0)
        fail_by_machine(object, vpc_machine_words("wait for the subject", errno));
    else if (n == 0)
        fail_by_time(object, call, limit - CALL_MS);
    else if (fds[0].revents == 0)
        fail_by_end(object);
    return object->failure == NULL;
}

/* What is left of the parts when so much of them was sent. */
static void advance(struct msghdr *parts, size_t sent)
{
    for (; parts->msg_iovlen > 0 && sent >= parts->msg_iov->iov_len; parts->msg_iovlen--)
        sent -= parts->msg_iov++->iov_len;
    if (parts->msg_iovlen > 0) {
        parts->msg_iov->iov_base = (uint8_t *)parts->msg_iov->iov_base + sent;
        parts->msg_iov->iov_len -= sent;
    }
}

static bool put(struct vpc_object *object, struct iovec *parts, uint16_t call, uint64_t limit)
{
    struct msghdr left = {.msg_iov = parts, .msg_iovlen = PARTS};

    while (left.msg_iovlen > 0) {
        ssize_t sent = sendmsg(object->fd, &left, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent >= 0)
            advance(&left, (size_t)sent);
        else if (errno != EAGAIN && errno != EINTR)
            fail_by_errno(object, "send to the subject");
        if (object->failure || (sent < 0 && !wait_for(object, POLLOUT, call, limit)))
            return false;
    }
    return true;
}

/* Until there are n octets of the answer.  Most answers are whole at once, and are waited for by the recv() itself. */
static bool get(struct vpc_object *object, size_t n, uint16_t call, uint64_t limit)
{
    while (vpc_buffer_size(&object->said) < n) {
        size_t left = n - vpc_buffer_size(&object->said);
        size_t room = left > VPC_OBJECT_AHEAD ? left : VPC_OBJECT_AHEAD;
        ssize_t got = recv(object->fd, vpc_buffer_room(&object->said, room), room, 0);

        if (got > 0)
            vpc_buffer_filled(&object->said, (size_t)got);
        else if (got == 0)
            fail_by_end(object);
        else if (errno != EAGAIN && errno != EINTR)
            fail_by_errno(object, "read from the subject");
        if (object->failure ||
            (vpc_buffer_size(&object->said) < n && !wait_for(object, POLLIN, call, limit)))
            return false;
    }
    return true;
}

/* ---- answers ------------------------------------------------------------------------------------------------------ */

static bool sound(const struct vpc_object_answer *answer, uint16_t call)
{
    return answer->call == call && answer->actions_size <= VPC_OBJECT_ACTIONS_MAX &&
           answer->octets_size <= VPC_OBJECT_OCTETS_MAX &&
           answer->hint_count <= VPC_OBJECT_HINTS_MAX &&
           answer->size == answer->actions_size + answer->octets_size +
                               answer->hint_count * sizeof(struct vpc_object_hint);
}

/* The size of the first action, with its text, or 0 if there is no whole one. */
static size_t first_action(const uint8_t *actions, size_t size, struct vpc_object_action *action)
{
    size_t whole;

    if (size < sizeof(*action))
        return 0;
    memcpy(action, actions, sizeof(*action));
    whole = sizeof(*action) + action->text_size + 1;
    return action->text_size <= VPC_OBJECT_TEXT_MAX && whole <= size && actions[whole - 1] == '\0'
               ? whole
               : 0;
}

static bool sound_actions(const uint8_t *actions, size_t size)
{
    struct vpc_object_action action;

    for (size_t whole; size > 0; size -= whole, actions += whole) {
        whole = first_action(actions, size, &action);
        if (whole == 0)
            return false;
    }
    return true;
}

static bool take_answer(struct vpc_object *object, uint16_t call)
{
    uint64_t limit = vpc_real_ms() + CALL_MS;
    struct vpc_object_answer *answer = &object->answer;

    vpc_buffer_clear(&object->said);
    if (!get(object, sizeof(*answer), call, limit))
        return false;
    memcpy(answer, vpc_buffer_head(&object->said), sizeof(*answer));
    if (sound(answer, call) && !get(object, sizeof(*answer) + answer->size, call, limit))
        return false;
    vpc_buffer_drop(&object->said, sizeof(*answer));
    if (sound(answer, call) && vpc_buffer_size(&object->said) == answer->size &&
        sound_actions(vpc_buffer_head(&object->said), answer->actions_size))
        return true;
    fail(object, vpc_format("%s() gave more than a caller can take, or its process speaks for "
                            "itself",
                            names[call]));
    return false;
}

/* Asks and waits; the question's octets are some of `first`, then the rest of `second`.  On a failure the answer is nothing
   at all. */
static bool ask_both(struct vpc_endpoint *ep, struct vpc_object_ask question, const void *first,
                     size_t some, const void *second)
{
    struct vpc_object *object = ep->object;
    struct iovec parts[PARTS] = {
        {&question, sizeof(question)},
        {(void *)(uintptr_t)first, some},
        {(void *)(uintptr_t)second, question.size - some},
    };

    question.endpoint = ep->number;
    if (object->failure == NULL && put(object, parts, question.call, vpc_real_ms() + CALL_MS) &&
        take_answer(object, question.call))
        return true;
    object->answer = (struct vpc_object_answer){.looked = true, .deadline = VPC_NEVER};
    return false;
}

static bool ask(struct vpc_endpoint *ep, struct vpc_object_ask question, const void *octets)
{
    return ask_both(ep, question, octets, question.size, NULL);
}

/* The octets of the answer, behind its actions. */
static const uint8_t *octets_of(const struct vpc_object *object)
{
    const uint8_t *said = vpc_buffer_head(&object->said);

    return said ? said + object->answer.actions_size : NULL;
}

/* The bus as the answer shows it. */
static void keep_bus(struct vpc_endpoint *ep)
{
    struct vpc_object *object = ep->object;
    const struct vpc_object_answer *answer = &object->answer;

    if (!answer->shows_bus)
        return;
    if (answer->kept > vpc_buffer_size(&ep->bus) ||
        answer->kept + answer->octets_size > VPC_OBJECT_OCTETS_MAX) {
        fail(object, vpc_copy("its process speaks for itself"));
        return;
    }
    vpc_buffer_cut(&ep->bus, answer->kept);
    vpc_buffer_add(&ep->bus, octets_of(object), answer->octets_size);
}

/* What the answer tells about the endpoint. */
static void keep(struct vpc_endpoint *ep)
{
    const struct vpc_object_answer *answer = &ep->object->answer;

    ep->last = *answer;
    keep_bus(ep);
    vpc_buffer_add(&ep->actions, vpc_buffer_head(&ep->object->said), answer->actions_size);
    vpc_buffer_clear(&ep->hints);
    if (answer->hint_count > 0)
        vpc_buffer_add(&ep->hints, octets_of(ep->object) + answer->octets_size,
                       answer->hint_count * sizeof(struct vpc_object_hint));
}

/* A call that may change something; its value. */
static uint64_t call(struct vpc_endpoint *ep, struct vpc_object_ask question, const void *octets)
{
    ask(ep, question, octets);
    keep(ep);
    return ep->object->answer.value;
}

static bool hint_of(const struct vpc_endpoint *ep, uint32_t stream, struct vpc_object_hint *hint)
{
    const uint8_t *at = vpc_buffer_head(&ep->hints);

    for (size_t i = 0; ep->last.looked && i < ep->last.hint_count; i++, at += sizeof(*hint)) {
        memcpy(hint, at, sizeof(*hint));
        if (hint->stream == stream)
            return true;
    }
    return false;
}

/* ---- the ABI ------------------------------------------------------------------------------------------------------ */

static int next_action(vpc_endpoint *ep, vpc_action *action)
{
    struct vpc_object_action told = {0};
    const uint8_t *head;

    if (vpc_buffer_size(&ep->actions) == 0 && !ep->last.looked)
        call(ep, (struct vpc_object_ask){.call = VPC_OBJECT_NEXT_ACTION}, NULL);
    head = vpc_buffer_head(&ep->actions);
    if (ep->object->failure || vpc_buffer_size(&ep->actions) == 0)
        return 0;
    vpc_buffer_drop(&ep->actions, first_action(head, vpc_buffer_size(&ep->actions), &told));
    *action = (vpc_action){.kind = told.kind,
                           .stream = told.stream,
                           .client = told.client,
                           .value = told.value,
                           .limit_ms = told.limit_ms,
                           .text = (const char *)head + sizeof(told),
                           .text_len = told.text_size};
    return 1;
}

static uint64_t deadline(const vpc_endpoint *ep)
{
    struct vpc_object_ask question = {.call = VPC_OBJECT_DEADLINE};

    if (ep->last.looked)
        return ep->last.deadline;
    return ask((vpc_endpoint *)(uintptr_t)ep, question, NULL) ? ep->object->answer.value
                                                              : VPC_NEVER;
}

static size_t bus_output(vpc_endpoint *ep, const void **octets)
{
    if (!ep->last.looked && ask(ep, (struct vpc_object_ask){.call = VPC_OBJECT_BUS_OUTPUT}, NULL))
        keep_bus(ep);
    *octets = vpc_buffer_head(&ep->bus);
    return ep->object->failure ? 0 : vpc_buffer_size(&ep->bus);
}

static size_t stream_output(vpc_endpoint *ep, uint32_t stream, const void **octets)
{
    struct vpc_object_ask question = {.call = VPC_OBJECT_STREAM_OUTPUT, .number = stream};
    struct vpc_object_hint hint;

    if ((hint_of(ep, stream, &hint) && hint.output == 0) || !ask(ep, question, NULL))
        return 0;
    *octets = octets_of(ep->object);
    return ep->object->answer.octets_size;
}

static size_t stream_room(const vpc_endpoint *ep, uint32_t stream)
{
    struct vpc_object_ask question = {.call = VPC_OBJECT_STREAM_ROOM, .number = stream};
    struct vpc_object_hint hint;

    if (hint_of(ep, stream, &hint))
        return hint.room;
    return ask((vpc_endpoint *)(uintptr_t)ep, question, NULL) ? ep->object->answer.value : 0;
}

size_t vpc_object_pieces(vpc_endpoint *ep, const void *octets, const uint32_t *sizes, size_t count)
{
    struct vpc_object_ask question = {.call = VPC_OBJECT_BUS_INPUT};
    size_t total = 0, most = 0, done;

    while (most < count && (most == 0 || total + sizes[most] <= VPC_OBJECT_OCTETS_MAX))
        total += sizes[most++];
    question.number = (uint32_t)most;
    question.size = (uint32_t)(most * sizeof(*sizes) + total);
    ask_both(ep, question, sizes, most * sizeof(*sizes), octets);
    keep(ep);
    done = ep->object->answer.value;
    return done >= 1 && done <= most ? done : most;
}

static void bus_input(vpc_endpoint *ep, const void *octets, size_t n)
{
    uint32_t size = (uint32_t)n;

    vpc_object_pieces(ep, octets, &size, 1);
}

static void bus_sent(vpc_endpoint *ep, size_t n)
{
    vpc_buffer_drop(&ep->bus, n);
    call(ep, (struct vpc_object_ask){.call = VPC_OBJECT_BUS_SENT, .value = n}, NULL);
}

static void stream_listening(vpc_endpoint *ep, uint32_t stream, int error, const char *path)
{
    call(ep,
         (struct vpc_object_ask){.call = VPC_OBJECT_STREAM_LISTENING,
                                 .number = stream,
                                 .error = error,
                                 .size = (uint32_t)strlen(path)},
         path);
}

static void control_line(vpc_endpoint *ep, uint32_t client, const char *line, size_t n)
{
    call(ep,
         (struct vpc_object_ask){
             .call = VPC_OBJECT_CONTROL_LINE, .number = client, .size = (uint32_t)n},
         line);
}

static size_t stream_input(vpc_endpoint *ep, uint32_t stream, const void *octets, size_t n)
{
    n = n < VPC_OBJECT_OCTETS_MAX ? n : VPC_OBJECT_OCTETS_MAX;
    return call(ep,
                (struct vpc_object_ask){
                    .call = VPC_OBJECT_STREAM_INPUT, .number = stream, .size = (uint32_t)n},
                octets);
}

/* Calls that give a number or two. */
#define PLAIN_CALL(function, NAME, parameters, ...)                                                \
    static void function parameters                                                                \
    {                                                                                              \
        call(ep, (struct vpc_object_ask){.call = VPC_OBJECT_##NAME, __VA_ARGS__}, NULL);           \
    }

PLAIN_CALL(tell_time, CLOCK, (vpc_endpoint * ep, uint64_t now_ms), .value = now_ms)
PLAIN_CALL(bus_up, BUS_UP, (vpc_endpoint * ep), .number = 0)
PLAIN_CALL(bus_down, BUS_DOWN, (vpc_endpoint * ep), .number = 0)
PLAIN_CALL(control_open, CONTROL_OPEN, (vpc_endpoint * ep, uint32_t client), .number = client)
PLAIN_CALL(control_close, CONTROL_CLOSE, (vpc_endpoint * ep, uint32_t client), .number = client)
PLAIN_CALL(stream_opened, STREAM_OPENED, (vpc_endpoint * ep, uint32_t stream, int error),
           .number = stream, .error = error)
PLAIN_CALL(stream_eof, STREAM_EOF, (vpc_endpoint * ep, uint32_t stream), .number = stream)
PLAIN_CALL(stream_gone, STREAM_GONE, (vpc_endpoint * ep, uint32_t stream, int error),
           .number = stream, .error = error)
PLAIN_CALL(stream_sent, STREAM_SENT, (vpc_endpoint * ep, uint32_t stream, size_t n),
           .number = stream, .value = n)
PLAIN_CALL(stop, STOP, (vpc_endpoint * ep, uint64_t limit_ms), .value = limit_ms)
PLAIN_CALL(tell_machine, MACHINE, (vpc_endpoint * ep, uint32_t machine), .number = machine)

static void forget(struct vpc_endpoint *ep)
{
    vpc_buffer_free(&ep->actions);
    vpc_buffer_free(&ep->bus);
    vpc_buffer_free(&ep->hints);
    ep->object->used[ep->number] = false;
    *ep = (struct vpc_endpoint){0};
}

static void destroy(vpc_endpoint *ep)
{
    if (ep == NULL)
        return;
    ask(ep, (struct vpc_object_ask){.call = VPC_OBJECT_DESTROY}, NULL);
    forget(ep);
}

const vpc_endpoint_abi vpc_object_abi = {
    .abi_version = VPC_ENDPOINT_ABI_VERSION,
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
    .stream_listening = stream_listening,
    .stream_opened = stream_opened,
    .stream_room = stream_room,
    .stream_input = stream_input,
    .stream_eof = stream_eof,
    .stream_gone = stream_gone,
    .stream_output = stream_output,
    .stream_sent = stream_sent,
    .next_action = next_action,
    .stop = stop,
};

void vpc_object_machine(vpc_endpoint *ep, uint32_t machine)
{
    tell_machine(ep, machine);
}

/* ---- beginning and end -------------------------------------------------------------------------------------------- */

vpc_endpoint *vpc_object_create(struct vpc_object *object, const vpc_endpoint_config *config,
                                uint64_t now_ms)
{
    uint16_t number = object->used[0] ? 1 : 0;
    struct vpc_endpoint *ep = &object->endpoints[number];
    const char *const texts[] = {config->vm, config->tag, config->options};
    struct vpc_buffer all = {0};
    uint64_t made;

    if (object->used[number])
        return NULL;
    object->used[number] = true;
    *ep = (struct vpc_endpoint){.object = object, .number = number};
    for (size_t i = 0; i < 3; i++)
        vpc_buffer_add(&all, texts[i], strlen(texts[i]) + 1);
    made = call(ep,
                (struct vpc_object_ask){.call = VPC_OBJECT_CREATE,
                                        .number = config->role,
                                        .value = now_ms,
                                        .size = (uint32_t)vpc_buffer_size(&all)},
                vpc_buffer_head(&all));
    vpc_buffer_free(&all);
    if (made)
        return ep;
    forget(ep);
    return NULL;
}

struct serving {
    const struct vpc_object_config *config;
    int fd;
};

static void serve(void *user)
{
    const struct serving *serving = user;

    vpc_object_serve(serving->config, serving->fd);
}

static bool start(struct vpc_object *object, const struct vpc_object_config *config, char **error)
{
    int ends[2];
    struct serving serving = {config, -1};
    const struct timeval look = {.tv_usec = LOOK_MS * 1000};
    bool good;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        *error = vpc_format("%s can not be loaded: %s", config->path, strerror(errno));
        return false;
    }
    object->fd = ends[0];
    serving.fd = ends[1];
    if (setsockopt(object->fd, SOL_SOCKET, SO_RCVTIMEO, &look, sizeof(look)) != 0) {
        *error = vpc_format("%s can not be loaded: its answers can not be waited for: %s",
                            config->path, strerror(errno));
        close(ends[1]);
        return false;
    }
    good = vpc_confined_start(&object->process,
                              &(struct vpc_confined_config){.run = serve,
                                                            .user = &serving,
                                                            .fd = ends[1],
                                                            .output = config->output,
                                                            .group = config->group},
                              error);
    close(ends[1]);
    return good;
}

struct vpc_object *vpc_object_begin(const struct vpc_object_config *config, char **error)
{
    struct vpc_object *object = vpc_alloc(sizeof(*object));
    object->fd = object->process.report = -1;
    if (start(object, config, error) && take_answer(object, VPC_OBJECT_LOAD) &&
        object->answer.value == 0)
        *error = vpc_copy_n((const char *)vpc_buffer_head(&object->said), object->answer.size);
    if (*error == NULL)
        return object;
    vpc_object_end(object);
    return NULL;
}

void vpc_object_end(struct vpc_object *object)
{
    for (size_t i = 0; i < VPC_OBJECT_ENDPOINTS; i++)
        if (object->used[i])
            forget(&object->endpoints[i]);
    if (object->fd >= 0)
        close(object->fd);
    free(vpc_confined_end(&object->process, 0));
    vpc_buffer_free(&object->said);
    free(object->failure);
    free(object);
}
