/* SPDX-License-Identifier: MIT */
/*
 * A client of the control socket: one request at a time, its answer, and the events that come in
 * between.
 *
 * The endpoint is trusted (it runs as the same user), but its lines are bounded all the same, and
 * so are the events that wait for a program that does not fetch them: the oldest are dropped then.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "trust.h"
#include "virtual_machine.h"

enum {
    LINE_MAX_OCTETS = 4 << 20, /* the devices of 1024 pairs fit */
    EVENTS_MAX = 4096,
    TIME_LIMIT_MS = 60000,
    CONNECT_LIMIT_MS = 1000, /* while the endpoint has as many clients as may wait for it */
};

vpc_hresult vpc_fail(vpc_virtual_machine *vm, vpc_hresult result, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(vm->error, sizeof(vm->error), format, args);
    va_end(args);
    return result;
}

const char *vpc_last_error(const vpc_virtual_machine *vm)
{
    return vm->error;
}

void vpc_set_time_limit(vpc_virtual_machine *vm, int64_t limit_ms)
{
    vm->limit_ms = limit_ms;
}

int vpc_control_fd(const vpc_virtual_machine *vm)
{
    return vm->fd;
}

static vpc_hresult gone(vpc_virtual_machine *vm, const char *why)
{
    shutdown(vm->fd, SHUT_RDWR);
    return vpc_fail(vm, VPC_ERROR_INVALID_HANDLE, "the endpoint's control socket is gone: %s", why);
}

/* Waits for the socket: S_OK, or ERROR_TIMEOUT. */
static vpc_hresult wait_for(vpc_virtual_machine *vm, short events, int64_t end)
{
    struct pollfd p = {.fd = vm->fd, .events = events};

    for (;;) {
        int64_t left = end == INT64_MAX ? -1 : end - vpc_now_ms();

        if (end != INT64_MAX && left < 0)
            left = 0;
        int n = poll(&p, 1, left > 60000 ? 60000 : (int)left);
        if (n > 0)
            return VPC_S_OK;
        if (n == 0 && left >= 0 && left <= 60000)
            return vpc_fail(vm, VPC_ERROR_TIMEOUT, "the endpoint did not answer in time");
        if (n < 0 && errno != EINTR)
            return gone(vm, strerror(errno));
    }
}

static bool grow(vpc_virtual_machine *vm)
{
    if (vm->in_size < vm->in_capacity)
        return true;
    size_t capacity = vm->in_capacity ? vm->in_capacity * 2 : 4096;
    char *in = capacity <= LINE_MAX_OCTETS ? realloc(vm->in, capacity) : NULL;
    if (in == NULL)
        return false;
    vm->in = in;
    vm->in_capacity = capacity;
    return true;
}

/* The line at the front of the buffer as JSON, which is taken out of it; NULL when there is no
 * whole one. */
static json_t *take_line(vpc_virtual_machine *vm, bool *bad)
{
    char *end = vm->in_size ? memchr(vm->in, '\n', vm->in_size) : NULL;

    *bad = false;
    if (end == NULL)
        return NULL;
    size_t n = (size_t)(end - vm->in);
    json_t *message = json_loadb(vm->in, n, 0, NULL);
    *bad = !json_is_object(message);
    vm->in_size -= n + 1;
    memmove(vm->in, end + 1, vm->in_size);
    return message;
}

/* The next message of any kind. */
static vpc_hresult next_message(vpc_virtual_machine *vm, int64_t end, json_t **message)
{
    for (;;) {
        bool bad;

        *message = take_line(vm, &bad);
        if (bad) {
            json_decref(*message);
            return gone(vm, "it sent what is no JSON object");
        }
        if (*message != NULL)
            return VPC_S_OK;
        if (!grow(vm))
            return gone(vm, "it sent a line that is too long");
        ssize_t n = recv(vm->fd, vm->in + vm->in_size, vm->in_capacity - vm->in_size, MSG_DONTWAIT);
        if (n > 0) {
            vm->in_size += (size_t)n;
        } else if (n == 0) {
            return gone(vm, "it was closed");
        } else if (errno == EAGAIN) {
            vpc_hresult result = wait_for(vm, POLLIN, end);

            if (result != VPC_S_OK)
                return result;
        } else if (errno != EINTR) {
            return gone(vm, strerror(errno));
        }
    }
}

/* A line that was sent in part can not be taken back: the connection is of no use then. */
static vpc_hresult send_text(vpc_virtual_machine *vm, const char *text, size_t n, int64_t end)
{
    const char *start = text;

    while (n > 0) {
        ssize_t w = send(vm->fd, text, n, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (w > 0) {
            text += w;
            n -= (size_t)w;
        } else if (errno == EAGAIN) {
            vpc_hresult result = wait_for(vm, POLLOUT, end);

            if (result == VPC_ERROR_TIMEOUT && text > start)
                gone(vm, "it did not read a request in time");
            if (result != VPC_S_OK)
                return result;
        } else if (errno != EINTR) {
            return gone(vm, strerror(errno));
        }
    }
    return VPC_S_OK;
}

static void keep_event(vpc_virtual_machine *vm, json_t *event)
{
    if (json_array_size(vm->events) >= EVENTS_MAX)
        json_array_remove(vm->events, 0);
    json_array_append_new(vm->events, event);
}

/* Waits for the answer to the request `id`; a greeting is passed over. */
static vpc_hresult await_answer(vpc_virtual_machine *vm, json_int_t id, int64_t end,
                                json_t **answer)
{
    for (;;) {
        vpc_hresult result = next_message(vm, end, answer);

        if (result != VPC_S_OK)
            return result;
        json_t *got = json_object_get(*answer, "id");
        bool answers =
            json_object_get(*answer, "return") != NULL || json_object_get(*answer, "error") != NULL;
        /* An error without an id is about a line that the endpoint could not read. */
        if (answers && (got == NULL || json_integer_value(got) == id))
            return VPC_S_OK;
        if (json_object_get(*answer, "event") != NULL)
            keep_event(vm, *answer);
        else
            json_decref(*answer);
    }
}

static vpc_hresult hresult_of(vpc_virtual_machine *vm, const json_t *error)
{
    const char *text = json_string_value(json_object_get(error, "hresult"));
    const char *desc = json_string_value(json_object_get(error, "desc"));
    vpc_hresult result = text != NULL ? (vpc_hresult)strtoul(text, NULL, 16) : 0;

    return vpc_fail(vm, result ? result : VPC_DISP_E_EXCEPTION, "%s",
                    desc != NULL ? desc : "no description");
}

/* Who ended the connection may have said why, before it could hear the request. */
static vpc_hresult last_words(vpc_virtual_machine *vm, json_int_t id, int64_t end, json_t **answer)
{
    char why[sizeof(vm->error)];

    memcpy(why, vm->error, sizeof(why));
    vpc_hresult result = await_answer(vm, id, end, answer);
    if (result == VPC_S_OK)
        return result;
    return vpc_fail(vm, VPC_ERROR_INVALID_HANDLE, "%s", why);
}

static vpc_hresult exchange(vpc_virtual_machine *vm, json_t *request, json_t **answer)
{
    int64_t end = vpc_end_of(vm->limit_ms);
    json_int_t id = json_integer_value(json_object_get(request, "id"));
    char *text = json_dumps(request, JSON_COMPACT);

    if (text == NULL)
        return vpc_fail(vm, VPC_ERROR_OUTOFMEMORY, "no memory for the request");
    size_t n = strlen(text);
    text[n] = '\n'; /* in the place of its NUL */
    vpc_hresult result = send_text(vm, text, n + 1, end);
    free(text);
    if (result == VPC_ERROR_INVALID_HANDLE)
        return last_words(vm, id, end, answer);
    return result == VPC_S_OK ? await_answer(vm, id, end, answer) : result;
}

vpc_hresult vpc_control(vpc_virtual_machine *vm, const char *command, json_t *arguments,
                        json_t **result)
{
    json_t *answer = NULL;
    json_t *request =
        json_pack("{s:s, s:o, s:I}", "execute", command, "arguments",
                  arguments != NULL ? arguments : json_object(), "id", (json_int_t)++vm->last_id);

    vm->error[0] = '\0';
    if (result != NULL)
        *result = NULL;
    if (request == NULL)
        return vpc_fail(vm, VPC_E_INVALIDARG, "the command is not UTF-8");
    vpc_hresult status = exchange(vm, request, &answer);
    json_decref(request);
    if (status != VPC_S_OK)
        return status;
    json_t *error = json_object_get(answer, "error");
    if (result != NULL)
        *result = json_incref(error != NULL ? error : json_object_get(answer, "return"));
    status = error != NULL ? hresult_of(vm, error) : VPC_S_OK;
    json_decref(answer);
    return status;
}

/* The place of the first wanted one among those that were kept, or their number. */
static size_t place_of(const vpc_virtual_machine *vm, vpc_wanted *wanted, const void *user)
{
    size_t i = 0;

    while (i < json_array_size(vm->events) && !wanted(json_array_get(vm->events, i), user))
        i++;
    return i;
}

bool vpc_has_event(const vpc_virtual_machine *vm, vpc_wanted *wanted, const void *user)
{
    return place_of(vm, wanted, user) < json_array_size(vm->events);
}

vpc_hresult vpc_await_event(vpc_virtual_machine *vm, vpc_wanted *wanted, const void *user,
                            int64_t end, json_t **event)
{
    size_t i = place_of(vm, wanted, user);

    vm->error[0] = '\0';
    if (i < json_array_size(vm->events)) {
        *event = json_incref(json_array_get(vm->events, i));
        json_array_remove(vm->events, i);
        return VPC_S_OK;
    }
    for (;;) {
        vpc_hresult result = next_message(vm, end, event);

        if (result != VPC_S_OK)
            return result;
        bool is_event = json_object_get(*event, "event") != NULL;
        if (is_event && wanted(*event, user))
            return VPC_S_OK;
        if (is_event)
            keep_event(vm, *event);
        else
            json_decref(*event);
    }
}

static bool is_any(const json_t *event, const void *user)
{
    (void)event, (void)user;
    return true;
}

vpc_hresult vpc_next_event(vpc_virtual_machine *vm, int64_t limit_ms, json_t **event)
{
    return vpc_await_event(vm, is_any, NULL, vpc_end_of(limit_ms), event);
}

static vpc_hresult result_of_connect(int error)
{
    errno = error;
    switch (error) {
    case ENOENT:
    case ECONNREFUSED:
        return VPC_ERROR_FILE_NOT_FOUND;
    case ENAMETOOLONG:
        return VPC_E_POINTER;
    case EAGAIN:
        return VPC_ERROR_TIMEOUT;
    default:
        return VPC_DISP_E_EXCEPTION;
    }
}

vpc_hresult vpc_connect_control(const char *path, vpc_virtual_machine **vm, struct vpc_trust *trust)
{
    int fd = -1;
    int error = vpc_connect(path, CONNECT_LIMIT_MS, &fd);

    if (error == EACCES)
        vpc_trust_closed(trust, path);
    if (!error && (error = vpc_trust_peer(trust, fd)) != 0)
        close(fd);
    if (error)
        return result_of_connect(error);
    vpc_virtual_machine *made = calloc(1, sizeof(*made));
    if (made == NULL || (made->events = json_array()) == NULL) {
        free(made);
        close(fd);
        errno = ENOMEM;
        return VPC_ERROR_OUTOFMEMORY;
    }
    made->fd = fd;
    made->limit_ms = TIME_LIMIT_MS;
    *vm = made;
    return VPC_S_OK;
}

vpc_hresult vpc_open_trusted(const char *path, vpc_virtual_machine **vm, struct vpc_trust *trust)
{
    vpc_trust_path(trust, path);
    return vpc_connect_control(path, vm, trust);
}

vpc_hresult vpc_open_control_socket(const char *path, vpc_virtual_machine **vm)
{
    struct vpc_trust trust;

    return vpc_open_trusted(path, vm, &trust);
}

vpc_hresult vpc_find_trusted(const char *dir, const char *name, vpc_virtual_machine **vm,
                             struct vpc_trust *trust)
{
    char root[VPC_FILE_SIZE], path[VPC_CONTROL_PATH_SIZE];
    vpc_hresult result = vpc_control_path(dir, name, path);

    if (result != VPC_S_OK)
        return result;
    int error = vpc_runtime_dir(dir, root, sizeof(root));
    if (!error)
        error = vpc_trust_folder(trust, root, "vms");
    return error ? result_of_connect(error) : vpc_connect_control(path, vm, trust);
}

vpc_hresult vpc_find_virtual_machine(const char *dir, const char *name, vpc_virtual_machine **vm)
{
    struct vpc_trust trust;

    return vpc_find_trusted(dir, name, vm, &trust);
}

void vpc_distrust(const char *dir, const char *name, char *text, size_t size)
{
    char root[VPC_FILE_SIZE];
    struct vpc_trust trust = {0};
    vpc_virtual_machine *vm;

    if (name == NULL && vpc_runtime_dir(dir, root, sizeof(root)) == 0)
        vpc_trust_folder(&trust, root, "vms");
    else if (name != NULL && vpc_find_trusted(dir, name, &vm, &trust) == VPC_S_OK)
        vpc_release_virtual_machine(vm);
    snprintf(text, size, "%s", trust.why);
}

void vpc_release_virtual_machine(vpc_virtual_machine *vm)
{
    if (vm == NULL)
        return;
    close(vm->fd);
    json_decref(vm->events);
    free(vm->in);
    free(vm);
}
