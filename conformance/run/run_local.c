/* SPDX-License-Identifier: MIT */
/* The steps of the upper testers: pipe clients at a host, TCP servers at a guest. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "run/run.h"

static struct vpc_conn *conn_of(struct vpc_run *run, const char *label)
{
    for (struct vpc_conn *conn = run->conns; conn; conn = conn->next)
        if (conn->label && strcmp(conn->label, label) == 0)
            return conn;
    return NULL;
}

static struct vpc_conn *conn_or_say(struct vpc_run *run, const struct vpc_step *step)
{
    struct vpc_conn *conn = conn_of(run, step->label);

    if (conn == NULL)
        vpc_say(run, VPC_BROKEN, "there is no %s%s%s: open it, or wait until it was accepted",
                step->who, *step->label ? ":" : "", step->label);
    return conn;
}

/* A label is free again when a new connection takes it. */
static void take_label(struct vpc_run *run, struct vpc_conn *conn, const char *label)
{
    struct vpc_conn *old = conn_of(run, label);

    if (old) {
        free(old->label);
        old->label = vpc_copy("(an earlier one)");
    }
    free(conn->label);
    conn->label = vpc_copy(label);
}

/* ---- pipes ----------------------------------------------------------------------------------------------------------- */

typedef int open_fn(struct vpc_run *run, const struct vpc_step *step, int id);

static int open_pipe(struct vpc_run *run, const struct vpc_step *step, int id)
{
    char *name = vpc_text_of(run, &step->args[0]), *full = name ? vpc_pipe_name(name) : NULL;
    int error = EINVAL;

    if (full)
        error = run->ops->pipe_open(run->backend, id, full, conform_pipe_path(run, full));
    vpc_trace_add(run->trace, "pipe open %s: %s", full ? full : step->args[0].value,
                  error ? strerror(error) : "connected");
    free(full);
    free(name);
    return error;
}

static int join_forward(struct vpc_run *run, const struct vpc_step *step, int id)
{
    char *listen = vpc_text_of(run, &step->args[0]);
    int error = EINVAL;

    if (listen)
        error = run->ops->pipe_open(run->backend, id, listen, conform_pipe_path(run, listen));
    vpc_trace_add(run->trace, "pipe join %s: %s", listen ? listen : step->args[0].value,
                  error ? strerror(error) : "connected");
    free(listen);
    return error;
}

static struct vpc_conn *new_conn(struct vpc_run *run)
{
    struct vpc_conn *conn = vpc_alloc(sizeof(*conn));

    conn->id = ++run->next_id;
    conn->next = run->conns;
    run->conns = conn;
    return conn;
}

static enum vpc_outcome must_open(struct vpc_run *run, const struct vpc_step *step, open_fn *open)
{
    struct vpc_conn *conn = new_conn(run);
    int error;

    take_label(run, conn, step->label);
    error = open(run, step, conn->id);
    if (error == 0)
        return VPC_DONE;
    free(conn->label);
    conn->label = NULL;
    return vpc_say(run, VPC_WRONG, "it can not be opened: %s", strerror(error));
}

enum vpc_outcome vpc_step_pipe_open(struct vpc_run *run, const struct vpc_step *step)
{
    return must_open(run, step, open_pipe);
}

enum vpc_outcome vpc_step_pipe_join(struct vpc_run *run, const struct vpc_step *step)
{
    return must_open(run, step, join_forward);
}

/* Refused is a connect that fails, or one that is closed at once without a byte. */
static enum vpc_outcome must_not_open(struct vpc_run *run, const struct vpc_step *step,
                                      open_fn *open)
{
    struct vpc_conn *conn;

    if (run->progress->first) {
        conn = new_conn(run);
        run->progress->phase = conn->id;
        if (open(run, step, conn->id) != 0)
            return VPC_DONE;
    }
    for (conn = run->conns; conn && conn->id != run->progress->phase; conn = conn->next)
        ;
    if (conn && (conn->eof || conn->reset) && vpc_buffer_size(&conn->in) == 0)
        return VPC_DONE;
    return vpc_say(run, VPC_PENDING, "it was opened");
}

enum vpc_outcome vpc_step_pipe_refused(struct vpc_run *run, const struct vpc_step *step)
{
    return must_not_open(run, step, open_pipe);
}

enum vpc_outcome vpc_step_pipe_unjoined(struct vpc_run *run, const struct vpc_step *step)
{
    return must_not_open(run, step, join_forward);
}

enum vpc_outcome vpc_step_pipe_deny(struct vpc_run *run, const struct vpc_step *step)
{
    (void)step;
    if (run->ops->pipe_deny == NULL)
        return vpc_say(run, VPC_BROKEN, "this backend can not deny a pipe: backends inproc");
    run->ops->pipe_deny(run->backend);
    return VPC_DONE;
}

/* ---- TCP servers -------------------------------------------------------------------------------------------------------- */

static enum vpc_outcome set_mode(struct vpc_run *run, const struct vpc_step *step,
                                 enum vpc_tcp_mode mode)
{
    char *error = NULL;
    enum vpc_outcome outcome = VPC_DONE;
    uint64_t port;

    if (!vpc_number_of(run, &step->args[0], &port))
        return VPC_BROKEN;
    if (!run->ops->tcp_mode(run->backend, (uint16_t)port, mode, &error))
        outcome = vpc_say(run, VPC_BROKEN, "%s", error);
    free(error);
    return outcome;
}

enum vpc_outcome vpc_step_tcp_listen(struct vpc_run *run, const struct vpc_step *step)
{
    return set_mode(run, step, VPC_TCP_LISTENING);
}

enum vpc_outcome vpc_step_tcp_unlisten(struct vpc_run *run, const struct vpc_step *step)
{
    return set_mode(run, step, VPC_TCP_CLOSED);
}

enum vpc_outcome vpc_step_tcp_deaf(struct vpc_run *run, const struct vpc_step *step)
{
    return set_mode(run, step, VPC_TCP_DEAF);
}

static struct vpc_conn *unnamed(struct vpc_run *run, uint64_t port)
{
    struct vpc_conn *oldest = NULL;

    for (struct vpc_conn *conn = run->conns; conn; conn = conn->next)
        if (conn->label == NULL && (port == 0 || conn->port == port))
            oldest = conn;
    return oldest;
}

enum vpc_outcome vpc_step_tcp_accepted(struct vpc_run *run, const struct vpc_step *step)
{
    struct vpc_conn *conn;
    uint64_t port = 0;

    if (step->arg_count && !vpc_number_of(run, &step->args[0], &port))
        return VPC_BROKEN;
    conn = unnamed(run, port);
    if (conn == NULL)
        return vpc_say(run, VPC_PENDING, "no connection");
    take_label(run, conn, step->label);
    return VPC_DONE;
}

enum vpc_outcome vpc_step_tcp_none(struct vpc_run *run, const struct vpc_step *step)
{
    (void)step;
    return unnamed(run, 0) ? vpc_say(run, VPC_WRONG, "a connection was accepted") : VPC_PENDING;
}

/* ---- both ---------------------------------------------------------------------------------------------------------------- */

enum vpc_outcome vpc_step_local_send(struct vpc_run *run, const struct vpc_step *step)
{
    struct vpc_conn *conn = conn_or_say(run, step);
    struct vpc_buffer bytes = {0};

    if (conn == NULL || !vpc_bytes_of(run, &bytes)) {
        vpc_buffer_free(&bytes);
        return VPC_BROKEN;
    }
    vpc_trace_add(run->trace, "%s > %zu bytes", step->who, bytes.end);
    run->ops->local_send(run->backend, conn->id, bytes.data, bytes.end);
    vpc_buffer_free(&bytes);
    return VPC_DONE;
}

/* n octets came, and that at `at` is wrong. */
static enum vpc_outcome wrong_byte(struct vpc_run *run, const uint8_t *in, size_t at, size_t n)
{
    char *shown = vpc_show(in + at, n - at);

    vpc_say(run, VPC_WRONG, "byte %zu is %02x and not %02x; from there: %s", at, in[at],
            run->progress->want.data[at], shown);
    free(shown);
    return VPC_WRONG;
}

static enum vpc_outcome compare(struct vpc_run *run, struct vpc_conn *conn)
{
    const struct vpc_buffer *want = &run->progress->want;
    size_t have = vpc_buffer_size(&conn->in), n = have < want->end ? have : want->end, other;
    const uint8_t *in = vpc_buffer_head(&conn->in);

    other = run->progress->compared;
    if (n > other)
        other += vpc_first_other(in + other, want->data + other, n - other);
    if (other < n)
        return wrong_byte(run, in, other, n);
    run->progress->compared = n;
    if (have >= want->end) {
        vpc_buffer_drop(&conn->in, want->end);
        return VPC_DONE;
    }
    if (conn->eof || conn->reset)
        return vpc_say(run, VPC_WRONG, "%zu of %zu bytes, then %s", have, want->end,
                       conn->reset ? "a reset" : "the end");
    return vpc_say(run, VPC_PENDING, "%zu of %zu bytes", have, want->end);
}

enum vpc_outcome vpc_step_local_expect(struct vpc_run *run, const struct vpc_step *step)
{
    struct vpc_conn *conn = conn_or_say(run, step);

    return conn && vpc_want(run) ? compare(run, conn) : VPC_BROKEN;
}

static enum vpc_outcome left_over(struct vpc_run *run, const struct vpc_conn *conn)
{
    char *shown = vpc_show(vpc_buffer_head(&conn->in), vpc_buffer_size(&conn->in));

    vpc_say(run, VPC_WRONG, "%zu more bytes: %s", vpc_buffer_size(&conn->in), shown);
    free(shown);
    return VPC_WRONG;
}

/* On a host a Unix socket may show an abort in either way, unless the step says `clean`; the guest's TCP must not. */
enum vpc_outcome vpc_step_local_eof(struct vpc_run *run, const struct vpc_step *step)
{
    struct vpc_conn *conn = conn_or_say(run, step);
    bool host = run->tester.role == VPC_FROM_GUEST, clean = step->arg_count > 0;

    if (conn == NULL)
        return VPC_BROKEN;
    if (vpc_buffer_size(&conn->in) > 0)
        return left_over(run, conn);
    if (conn->reset && (clean || !host))
        return vpc_say(run, VPC_WRONG, "a reset");
    conn->eof_asked = conn->eof || conn->reset;
    return conn->eof_asked ? VPC_DONE : vpc_say(run, VPC_PENDING, "it is still open");
}

/* A reset may still follow an end that a step has asked for. */
enum vpc_outcome vpc_step_local_reset(struct vpc_run *run, const struct vpc_step *step)
{
    struct vpc_conn *conn = conn_or_say(run, step);

    if (conn == NULL)
        return VPC_BROKEN;
    if (conn->reset)
        return VPC_DONE;
    return conn->eof && !conn->eof_asked ? vpc_say(run, VPC_WRONG, "an orderly end")
                                         : vpc_say(run, VPC_PENDING, "it is still open");
}

enum vpc_outcome vpc_step_local_silent(struct vpc_run *run, const struct vpc_step *step)
{
    struct vpc_conn *conn = conn_or_say(run, step);

    if (conn == NULL)
        return VPC_BROKEN;
    if (vpc_buffer_size(&conn->in) > 0)
        return left_over(run, conn);
    return conn->eof || conn->reset ? vpc_say(run, VPC_WRONG, "it ended") : VPC_PENDING;
}

typedef void conn_fn(struct vpc_backend *backend, int conn);

static enum vpc_outcome call(struct vpc_run *run, const struct vpc_step *step, conn_fn *fn,
                             const char *what)
{
    struct vpc_conn *conn = conn_or_say(run, step);

    if (conn == NULL)
        return VPC_BROKEN;
    vpc_trace_add(run->trace, "%s %s", step->who, what);
    fn(run->backend, conn->id);
    return VPC_DONE;
}

enum vpc_outcome vpc_step_local_shutdown(struct vpc_run *run, const struct vpc_step *step)
{
    return call(run, step, run->ops->local_shutdown, "shutdown");
}

enum vpc_outcome vpc_step_local_close(struct vpc_run *run, const struct vpc_step *step)
{
    return call(run, step, run->ops->local_close, "close");
}

enum vpc_outcome vpc_step_local_abort(struct vpc_run *run, const struct vpc_step *step)
{
    return call(run, step, run->ops->local_abort, "abort");
}

enum vpc_outcome vpc_step_local_pause(struct vpc_run *run, const struct vpc_step *step)
{
    struct vpc_conn *conn = conn_or_say(run, step);
    size_t octets;

    if (conn == NULL || !vpc_octets_left(run, step, run->ops->local_take != NULL, &octets))
        return VPC_BROKEN;
    if (octets)
        run->ops->local_take(run->backend, conn->id, octets);
    else
        run->ops->local_read(run->backend, conn->id, false);
    return VPC_DONE;
}

enum vpc_outcome vpc_step_local_resume(struct vpc_run *run, const struct vpc_step *step)
{
    struct vpc_conn *conn = conn_or_say(run, step);

    if (conn)
        run->ops->local_read(run->backend, conn->id, true);
    return conn ? VPC_DONE : VPC_BROKEN;
}
