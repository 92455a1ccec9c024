/* SPDX-License-Identifier: MIT */
/*
 * An implementation that has no control socket and no Unix sockets for its pipes is spoken to by a program of its own, the
 * adapter (conformance/adapter/README.md).  One process of it is one connection: its standard input and output are one
 * socket, and the harness holds the other end as if it were the connection itself.
 */
#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/adapter.h"
#include "backends/load.h"
#include "backends/machine.h"
#include "backends/socket_backend.h"
#include "backends/words.h"
#include "clock.h"

enum {
    ANSWER_MS = 10000, /* for the first line of an adapter, */
    ANSWER_TIMES = 3,  /* and so often on a machine that holds it up */
    SLICE_MS = 100,    /* of the wait: it is looked at in between */
    LINE_MAX_OCTETS = 4096,
};

/* ---- its first line -------------------------------------------------------------------------------------------------- */

/* The wait for an answer that is due. */
struct answer {
    int fd;
    const struct vpc_process *process;
    struct conform_load load;
    int64_t end;      /* of the wait, ms */
    int times;        /* that it was given */
    uint64_t held_up; /* for so long in the last of them, ms */
    int error;        /* an errno: why the harness can not wait */
};

static void give_time(struct answer *answer)
{
    answer->times++;
    answer->end = (int64_t)vpc_real_ms() + ANSWER_MS;
    conform_load_begin_process(&answer->load, answer->process);
}

static struct answer await(int fd, const struct vpc_process *process)
{
    struct answer answer = {.fd = fd, .process = process};

    give_time(&answer);
    return answer;
}

/* Waits until there is something to read, or the end; false: the time is over, which a machine that holds it up makes longer. */
static bool readable(struct answer *answer)
{
    struct pollfd look = {.fd = answer->fd, .events = POLLIN};

    for (;;) {
        int64_t left = answer->end - (int64_t)vpc_real_ms();
        int ready = poll(&look, 1, left <= 0 ? 0 : left < SLICE_MS ? (int)left : SLICE_MS);

        if (ready > 0)
            return true;
        if (ready < 0 && errno != EINTR) {
            answer->error = errno;
            return false;
        }
        conform_load_look(&answer->load);
        if (ready < 0 || (int64_t)vpc_real_ms() < answer->end)
            continue;
        answer->held_up = conform_load_excuse(&answer->load);
        if (answer->held_up == 0 || answer->times >= ANSWER_TIMES)
            return false;
        give_time(answer);
    }
}

/* Reads one line and not an octet more: what follows it is the connection's.  False with errno EPROTO. */
static bool first_line(struct answer *answer, char *line, size_t size)
{
    size_t n = 0;

    while (n + 1 < size && readable(answer) && recv(answer->fd, line + n, 1, 0) == 1) {
        if (line[n] == '\n') {
            line[n] = '\0';
            return true;
        }
        n++;
    }
    errno = EPROTO;
    return false;
}

/* What held up its first line, the caller's; NULL: nothing but itself. */
static char *held_up(const struct answer *answer)
{
    if (answer->error)
        return vpc_machine_words("wait for the adapter", answer->error);
    if (answer->held_up == 0)
        return NULL;
    return vpc_format("the machine held up the adapter, of the last %d ms for %llu ms: end other "
                      "programs, or give fewer --jobs",
                      ANSWER_MS, (unsigned long long)answer->held_up);
}

/* ---- connections ------------------------------------------------------------------------------------------------------ */

static int join(struct vpc_socket_backend *self, const char *const *more)
{
    const struct vpc_implementation *implementation = self->config.implementation;
    char *error = NULL, **words = vpc_socket_backend_command(
                            self, "adapter", implementation->adapter, "", NULL, "", &error);
    struct vpc_process process = vpc_socket_backend_process(self);
    int fd = -1;

    if (words)
        words = vpc_words_join(words, more);
    if (words && vpc_process_join(&process, words, self->output_path, &fd, &error)) {
        self->adapters =
            vpc_grow_by_one(self->adapters, self->adapter_count, sizeof(*self->adapters));
        self->adapters[self->adapter_count++] = process;
    }
    if (error) /* it was there when it was probed */
        vpc_socket_backend_tell(self, VPC_SEEN_BROKEN, 0, error, strlen(error));
    vpc_words_free(words);
    free(error);
    errno = fd < 0 ? EPROTO : 0;
    return fd;
}

static void tell_held_up(struct vpc_socket_backend *self, const struct answer *answer)
{
    char *why = held_up(answer);

    if (why)
        vpc_socket_backend_tell(self, VPC_SEEN_BROKEN, 0, why, strlen(why));
    free(why);
}

int vpc_socket_adapter_control(struct vpc_socket_backend *self)
{
    int fd = join(self, (const char *const[]){"control", NULL});
    struct answer answer;
    char octet;

    if (fd < 0)
        return fd;
    answer = await(fd, &self->adapters[self->adapter_count - 1]);
    /* Without the greeting the client is not there yet, and would miss the events of the session that begins. */
    if (readable(&answer) && recv(fd, &octet, 1, MSG_PEEK) == 1)
        return fd;
    tell_held_up(self, &answer);
    close(fd);
    errno = ECONNREFUSED;
    return -1;
}

int vpc_socket_adapter_pipe(struct vpc_socket_backend *self, const char *name, const char *path)
{
    int fd = join(self, (const char *const[]){"pipe", name, path, NULL}), failed = 0;
    char line[LINE_MAX_OCTETS];
    struct answer answer;

    if (fd < 0)
        return -1;
    answer = await(fd, &self->adapters[self->adapter_count - 1]);
    if (!first_line(&answer, line, sizeof(line)))
        failed = EPROTO;
    else if (strcmp(line, "open") != 0)
        failed = strcmp(line, "refused") == 0 ? ECONNREFUSED : EPROTO;
    if (failed == 0)
        return fd;
    tell_held_up(self, &answer);
    close(fd);
    errno = failed;
    return -1;
}

void vpc_socket_adapters_end(struct vpc_socket_backend *self)
{
    for (size_t i = 0; i < self->adapter_count; i++)
        vpc_process_end(&self->adapters[i]);
    free(self->adapters);
    self->adapters = NULL;
    self->adapter_count = 0;
}

/* ---- the probe --------------------------------------------------------------------------------------------------------- */

/* Before any run there is no bus, no folder and no machine: the adapter gets a hyphen for each. */
static char **probe_of(const struct vpc_implementation *implementation, const char *build,
                       char **error)
{
    static char *const none[] = {NULL};
    const struct vpc_value values[] = {
        {.name = "build", .text = build}, {.name = "bus", .text = "-"},
        {.name = "dir", .text = "-"},     {.name = "log", .text = "-"},
        {.name = "control", .text = "-"}, {.name = "vm", .text = "-"},
        {.name = "tag", .text = "-"},     {.name = "options", .words = none},
        {.name = "seconds", .text = "0"}, {.name = NULL}};
    char *why = NULL, **words = vpc_words_fill(implementation->adapter, values, &why);

    if (why)
        *error = vpc_format("%s: adapter in [process]: %s", implementation->path, why);
    free(why);
    return words ? vpc_words_join(words, (const char *const[]){"probe", NULL}) : NULL;
}

static bool take_answer(struct vpc_implementation *implementation, const char *line, char **error)
{
    json_t *answer = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
    const char *features = json_string_value(json_object_get(answer, "features"));
    char *wrong = features ? vpc_features_wrong(features) : NULL;
    bool good = json_integer_value(json_object_get(answer, "adapter")) == 1 && features && !wrong;

    if (wrong) {
        *error = vpc_format("%s: adapter: %s", implementation->path, wrong);
    } else if (good) {
        free(implementation->features);
        implementation->features = vpc_copy(features);
    } else {
        *error = vpc_format("%s: adapter: answers the probe with \"%.200s\", not with "
                            "{\"adapter\": 1, \"features\": \"...\"}",
                            implementation->path, line);
    }
    free(wrong);
    json_decref(answer);
    return good;
}

bool vpc_adapter_probe(struct vpc_implementation *implementation, const char *build,
                       unsigned sandbox, char **error)
{
    /* It is started by the harness itself, which is in no namespace. */
    struct vpc_process process = {.folder = implementation->folder,
                                  .sandbox.parts =
                                      sandbox & (VPC_SANDBOX_FILES | VPC_SANDBOX_CALLS)};
    char line[LINE_MAX_OCTETS], **words;
    bool good = false;
    int fd;

    if (implementation->adapter == NULL)
        return true;
    words = probe_of(implementation, build, error);
    if (words && vpc_process_join(&process, words, NULL, &fd, error)) {
        struct answer answer = await(fd, &process);

        if (first_line(&answer, line, sizeof(line)))
            good = take_answer(implementation, line, error);
        else if ((*error = held_up(&answer)) == NULL)
            *error = vpc_format("%s: adapter: \"%s probe\" answers no line within %d s",
                                implementation->path, words[0], ANSWER_MS / 1000);
        close(fd);
    }
    vpc_process_end(&process);
    vpc_words_free(words);
    return good;
}
