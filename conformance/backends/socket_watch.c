/* SPDX-License-Identifier: MIT */
/* What the socket backend sees of the subject beside octets: its processor time, and programs that wait for its ready event. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "backends/socket_backend.h"
#include "backends/words.h"

bool vpc_socket_busy(struct vpc_backend *backend, uint64_t *us, char **error)
{
    struct vpc_socket_backend *self = (struct vpc_socket_backend *)backend;
    char *path = vpc_format("/proc/%d/stat", (int)self->process.pid);
    char text[1024];
    FILE *file = fopen(path, "re");
    size_t n = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
    bool good;

    text[n] = '\0';
    good = vpc_process_busy(text, us);
    if (!good)
        *error = vpc_format("%s does not tell the subject's processor time: %s", path,
                            file ? text : strerror(errno));
    if (file)
        fclose(file);
    free(path);
    return good;
}

/* They wait for each other: what each waited is added.  False: it is not there. */
static bool add_share(const struct vpc_process *process, struct vpc_share *sum)
{
    struct vpc_share one;

    if (!vpc_process_tree_share(process->pid, &one))
        return false;
    sum->used += one.used;
    sum->waited += one.waited;
    sum->waits |= one.waits;
    return true;
}

bool vpc_socket_share(struct vpc_backend *backend, struct vpc_share *share)
{
    const struct vpc_socket_backend *self = (struct vpc_socket_backend *)backend;
    bool any;

    *share = (struct vpc_share){0};
    any = add_share(&self->process, share);
    for (size_t i = 0; i < self->adapter_count; i++)
        any |= add_share(&self->adapters[i], share);
    for (size_t i = 0; i < self->waiter_count; i++)
        any |= add_share(&self->waiters[i].process, share);
    return any;
}

/* ---- waiters -------------------------------------------------------------------------------------------------------- */

bool vpc_socket_waiter_start(struct vpc_backend *backend, int waiter, uint64_t limit_ms,
                             char **error)
{
    struct vpc_socket_backend *self = (struct vpc_socket_backend *)backend;
    const struct vpc_implementation *implementation = self->config.implementation;
    struct vpc_waiting one = {
        .id = waiter, .status = -1, .process = vpc_socket_backend_process(self)};
    char seconds[32], **command;

    if (implementation->wait_ready == NULL) {
        *error = vpc_format("%s: wait_ready in [process] is missing", implementation->path);
        return false;
    }
    snprintf(seconds, sizeof(seconds), "%.3f", (double)limit_ms / 1000);
    command = vpc_socket_backend_command(self, "wait_ready", implementation->wait_ready, "", NULL,
                                         seconds, error);
    if (command && vpc_process_start(&one.process, command, self->output_path, error)) {
        self->waiters = vpc_grow_by_one(self->waiters, self->waiter_count, sizeof(*self->waiters));
        self->waiters[self->waiter_count++] = one;
    }
    vpc_words_free(command);
    return *error == NULL;
}

static void look(struct vpc_waiting *one)
{
    int status;

    if (one->status == -1 && vpc_process_ended(&one->process, &status))
        one->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int vpc_socket_waiter_ended(struct vpc_backend *backend, int waiter)
{
    struct vpc_socket_backend *self = (struct vpc_socket_backend *)backend;

    for (size_t i = 0; i < self->waiter_count; i++) {
        if (self->waiters[i].id != waiter)
            continue;
        look(&self->waiters[i]);
        return self->waiters[i].status;
    }
    return -1;
}

void vpc_socket_waiters_end(struct vpc_socket_backend *self)
{
    for (size_t i = 0; i < self->waiter_count; i++)
        vpc_process_end(&self->waiters[i].process);
    free(self->waiters);
}
