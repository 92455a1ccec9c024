/* SPDX-License-Identifier: MIT */
/*
 * The local connections of pairs: pipe clients (Unix sockets) on a host, TCP connections in a guest.
 *
 * What becomes of one is decided by the machines of stream.rl.  Here is what they need: the streams, what
 * happens as an event, and the actions.  stream_io.c moves the octets.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "shell_internal.h"

/* ---- all of them ------------------------------------------------------------------------------- */

int vpc_streams_open(struct vpc_streams *streams, unsigned room)
{
    vpc_list_init(&streams->all);
    vpc_list_init(&streams->closed);
    vpc_list_init(&streams->look);
    vpc_list_init(&streams->later);
    vpc_list_init(&streams->interest);
    return vpc_index_init(&streams->by_number, room) ? 0 : ENOMEM;
}

struct vpc_stream *vpc_stream_new(struct vpc_shell *shell, uint32_t number, bool local)
{
    struct vpc_stream *stream = calloc(1, sizeof(*stream));

    if (stream == NULL)
        return NULL;
    stream->shell = shell;
    stream->local = local;
    stream->watch = (struct vpc_watch){.fd = -1, .on_ready = vpc_stream_on_ready, .owner = stream};
    vpc_listener_init(&stream->listener, shell, NULL, stream);
    vpc_stream_begin(stream);
    stream->number = number;
    vpc_index_add(&shell->streams.by_number, number, &stream->entry);
    vpc_list_append(&shell->streams.all, &stream->all);
    return stream;
}

struct vpc_stream *vpc_stream_find(struct vpc_shell *shell, uint32_t number)
{
    struct vpc_entry *entry = vpc_index_first(&shell->streams.by_number, number);

    while (entry != NULL && VPC_LIST_ENTRY(entry, struct vpc_stream, entry)->number != number)
        entry = entry->next;
    return entry != NULL ? VPC_LIST_ENTRY(entry, struct vpc_stream, entry) : NULL;
}

void vpc_streams_close(struct vpc_shell *shell)
{
    struct vpc_stream *stream;

    while ((stream = VPC_FIRST(&shell->streams.all, struct vpc_stream, all)) != NULL)
        vpc_stream_abort(stream);
    vpc_streams_bury(shell);
    free(shell->streams.by_number.buckets);
}

void vpc_streams_bury(struct vpc_shell *shell)
{
    struct vpc_stream *stream;

    while ((stream = VPC_FIRST(&shell->streams.closed, struct vpc_stream, all)) != NULL) {
        vpc_list_remove(&stream->all);
        free(stream);
    }
}

/* ---- events ------------------------------------------------------------------------------------ */

void vpc_stream_changed(struct vpc_stream *stream, enum vpc_stream_part part,
                        enum vpc_stream_state old)
{
    struct vpc_shell *shell = stream->shell;
    struct vpc_streams *streams = &shell->streams;
    enum vpc_stream_state now = stream->state[part];

    if (part == VPC_INPUT)
        streams->unread += (unsigned)vpc_input_is_unread(now) - (unsigned)vpc_input_is_unread(old);
    streams->lingering += (unsigned)(now == VPC_LIFE_LINGERING) - (old == VPC_LIFE_LINGERING);
    if (now == VPC_LIFE_CLOSED) {
        vpc_entry_remove(&stream->entry);
        vpc_list_remove(&stream->look);
        vpc_list_remove(&stream->interest);
        vpc_list_remove(&stream->all);
        vpc_list_append(&streams->closed, &stream->all);
    }
    if (shell->config.on_stream_state != NULL)
        shell->config.on_stream_state(stream->number, vpc_stream_state_name(old),
                                      vpc_stream_state_name(now));
}

void vpc_stream_wake(struct vpc_stream *stream)
{
    if (vpc_stream_is_open(stream))
        vpc_list_append(&stream->shell->streams.look, &stream->look);
}

void vpc_stream_happens(struct vpc_stream *stream, enum vpc_stream_event event)
{
    bool changes = vpc_stream_step(stream, event);

    vpc_carry_out(stream->shell);
    if (changes)
        vpc_stream_wake(stream);
}

void vpc_stream_end_is_read(struct vpc_stream *stream)
{
    vpc_stream_happens(stream, VPC_ON_END_READ);
    if (stream->state[VPC_INPUT] == VPC_INPUT_PARTING)
        vpc_stream_happens(stream, VPC_ON_NOTED);
}

void vpc_stream_breaks(struct vpc_stream *stream, int error)
{
    if (!stream->error)
        stream->error = error;
    vpc_stream_happens(stream, VPC_ON_BROKE);
}

void vpc_stream_ends(struct vpc_stream *stream, int error)
{
    if (!stream->local && error)
        vpc_stream_breaks(stream, error);
    else if (!stream->local || stream->state[VPC_OUTPUT] == VPC_OUTPUT_FINISHED)
        vpc_stream_happens(stream, VPC_ON_BOTH_ENDED);
    else
        vpc_stream_happens(stream, VPC_ON_HUNG_UP);
}

void vpc_stream_start(struct vpc_stream *stream, int fd)
{
    stream->watch.fd = fd;
    if (stream->local)
        vpc_pipe_input_begin(stream);
    vpc_stream_happens(stream, VPC_ON_OPENED);
}

void vpc_stream_fail(struct vpc_stream *stream, int error)
{
    stream->error = error;
    vpc_stream_step(stream, VPC_ON_FAILED);
}

void vpc_stream_shutdown(struct vpc_stream *stream)
{
    vpc_stream_step(stream, VPC_ON_SHUT);
}

void vpc_stream_close(struct vpc_stream *stream)
{
    bool early = vpc_stream_is_open(stream) && !stream->local && vpc_tcp_end(stream);

    vpc_stream_step(stream, early ? VPC_ON_CLOSE_EARLY : VPC_ON_CLOSE);
}

void vpc_stream_abort(struct vpc_stream *stream)
{
    vpc_stream_step(stream, VPC_ON_ABORT);
}

void vpc_stream_hang_up(struct vpc_stream *stream)
{
    vpc_stream_step(stream, VPC_ON_HANG_UP);
    vpc_stream_wake(stream);
}

void vpc_stream_free_name(struct vpc_stream *stream)
{
    vpc_listener_close(&stream->listener);
}

void vpc_stream_received(struct vpc_stream *stream)
{
    vpc_stream_step(stream, VPC_ON_RECEIVED);
}

void vpc_streams_take_no_more(struct vpc_shell *shell)
{
    for (struct vpc_link *l = shell->streams.all.next; l != &shell->streams.all; l = l->next)
        vpc_stream_step(VPC_LIST_ENTRY(l, struct vpc_stream, all), VPC_ON_TAKE_NO_MORE);
}

/* ---- the machines' actions --------------------------------------------------------------------- */

void vpc_stream_tell_opened(struct vpc_stream *stream)
{
    stream->shell->abi->stream_opened(stream->shell->ep, stream->number, 0);
}

void vpc_stream_tell_failed(struct vpc_stream *stream)
{
    const vpc_endpoint_abi *abi = stream->shell->abi;

    if (stream->local)
        abi->stream_listening(stream->shell->ep, stream->number, stream->error, "");
    else
        abi->stream_opened(stream->shell->ep, stream->number, stream->error);
}

void vpc_stream_tell_eof(struct vpc_stream *stream)
{
    stream->shell->abi->stream_eof(stream->shell->ep, stream->number);
}

void vpc_stream_tell_gone(struct vpc_stream *stream)
{
    stream->shell->abi->stream_gone(stream->shell->ep, stream->number, stream->error);
}

static void close_descriptors(struct vpc_stream *stream)
{
    struct vpc_loop *loop = &stream->shell->loop;

    vpc_timer_clear(loop, &stream->limit);
    vpc_watch_close(loop, &stream->watch);
    vpc_listener_close(&stream->listener);
}

/* Of a pipe's client: what nobody took of it must not make an error of an end in order (CLS-14). */
void vpc_stream_release(struct vpc_stream *stream)
{
    if (stream->watch.fd >= 0 && stream->local)
        vpc_socket_read_off(stream->watch.fd);
    close_descriptors(stream);
}

/* TCP resets; so does a Unix socket, if its client has written what nobody took (CLS-14). */
void vpc_stream_break_off(struct vpc_stream *stream)
{
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};

    if (stream->watch.fd >= 0 && !stream->local)
        setsockopt(stream->watch.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close_descriptors(stream);
}

void vpc_stream_linger(struct vpc_stream *stream)
{
    vpc_tcp_linger(stream);
}

void vpc_stream_leave(struct vpc_stream *stream)
{
    vpc_watch_remove(&stream->shell->loop, &stream->watch);
}

void vpc_stream_stop_reading(struct vpc_stream *stream)
{
    shutdown(stream->watch.fd, SHUT_RD);
}

void vpc_stream_finish_writing(struct vpc_stream *stream)
{
    shutdown(stream->watch.fd, SHUT_WR);
}
