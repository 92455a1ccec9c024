/* SPDX-License-Identifier: MIT */
/*
 * The local connections of pairs: pipe clients (Unix sockets) on a host, TCP connections in a guest.
 *
 * What becomes of one is decided by the machines of stream.rl.  Here is what they need: octets that are moved, what the
 * kernel shows as an event, and the actions.
 *
 * Nothing looks at all streams.  One is looked at when the endpoint says that it has output or room (WAKE), when epoll
 * says so, when its own state changed, and in the next turn when its share of this one, VPC_BUDGET each way, is used up.
 * In epoll it asks for EPOLLIN only while there is room and the end was not read, and for EPOLLOUT only while the socket
 * takes no more, so nothing that can't be acted upon wakes the loop.
 *
 * A read that gave less than it asked for took all that there was: the next is made when epoll says that there is more, or
 * the end.  A stream that has left epoll is read until the end.
 *
 * Copies: none here, where the endpoint has a table of its buffers (vpc_shell_config.direct): sockets are read straight
 * into the buffer that the bus is fed from, and written from the one that the bus filled.  Without the table octets go by
 * way of shell->chunk, since the ABI hands no space out.  The bus is read into the chunk, as nobody knows whose octets
 * come before their frame is read, and the endpoint stages its frames, since a frame is octets of many places in a row
 * that a virtio port must get at once.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "shell_internal.h"

static void on_ready(struct vpc_watch *watch, uint32_t events);

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
    stream->watch = (struct vpc_watch){.fd = -1, .on_ready = on_ready, .owner = stream};
    vpc_listener_init(&stream->listener, shell, NULL, stream);
    vpc_stream_begin(stream);
    stream->number = number;
    vpc_index_add(&shell->streams.by_number, number, &stream->entry);
    vpc_link_append(&shell->streams.all, &stream->all);
    return stream;
}

struct vpc_stream *vpc_stream_find(struct vpc_shell *shell, uint32_t number)
{
    struct vpc_entry *entry = vpc_index_first(&shell->streams.by_number, number);

    while (entry != NULL && VPC_LINKED(entry, struct vpc_stream, entry)->number != number)
        entry = entry->next;
    return entry != NULL ? VPC_LINKED(entry, struct vpc_stream, entry) : NULL;
}

static struct vpc_stream *first_of(struct vpc_link *list, size_t link)
{
    return vpc_list_empty(list) ? NULL : (void *)((char *)list->next - link);
}

void vpc_streams_close(struct vpc_shell *shell)
{
    struct vpc_stream *stream;

    while ((stream = first_of(&shell->streams.all, offsetof(struct vpc_stream, all))) != NULL)
        vpc_stream_abort(stream);
    vpc_streams_bury(shell);
    free(shell->streams.by_number.buckets);
}

void vpc_streams_bury(struct vpc_shell *shell)
{
    struct vpc_stream *stream;

    while ((stream = first_of(&shell->streams.closed, offsetof(struct vpc_stream, all))) != NULL) {
        vpc_link_remove(&stream->all);
        free(stream);
    }
}

/* ---- events ------------------------------------------------------------------------------------ */

static bool is_open(const struct vpc_stream *stream)
{
    return stream->state[VPC_LIFE] == VPC_LIFE_OPEN;
}

/* The program can write no more, and what it wrote is still to be read. */
static bool is_unread(enum vpc_stream_state state)
{
    return state == VPC_INPUT_ENDING || state == VPC_INPUT_LEFT || state == VPC_INPUT_ENDED ||
           state == VPC_INPUT_KNOWN_GONE || state == VPC_INPUT_BROKEN;
}

/* It is in epoll, which says when there is something. */
static bool is_watched(const struct vpc_stream *stream)
{
    enum vpc_stream_state input = stream->state[VPC_INPUT];

    return input == VPC_INPUT_READING || input == VPC_INPUT_ENDING || input == VPC_INPUT_FINISHED;
}

void vpc_stream_changed(struct vpc_stream *stream, enum vpc_stream_part part,
                        enum vpc_stream_state old)
{
    struct vpc_shell *shell = stream->shell;
    struct vpc_streams *streams = &shell->streams;
    enum vpc_stream_state now = stream->state[part];

    if (part == VPC_INPUT)
        streams->unread += (unsigned)is_unread(now) - (unsigned)is_unread(old);
    streams->lingering += (unsigned)(now == VPC_LIFE_LINGERING) - (old == VPC_LIFE_LINGERING);
    if (now == VPC_LIFE_CLOSED) {
        vpc_entry_remove(&stream->entry);
        vpc_link_remove(&stream->look);
        vpc_link_remove(&stream->interest);
        vpc_link_remove(&stream->all);
        vpc_link_append(&streams->closed, &stream->all);
    }
    if (shell->config.on_stream_state != NULL)
        shell->config.on_stream_state(stream->number, vpc_stream_state_name(old),
                                      vpc_stream_state_name(now));
}

void vpc_stream_wake(struct vpc_stream *stream)
{
    if (is_open(stream))
        vpc_link_append(&stream->shell->streams.look, &stream->look);
}

/* Steps the machines and carries out what the endpoint wants by what it was told. */
static void happens(struct vpc_stream *stream, enum vpc_stream_event event)
{
    bool changes = vpc_stream_step(stream, event);

    vpc_carry_out(stream->shell);
    if (changes)
        vpc_stream_wake(stream);
}

static void end_is_read(struct vpc_stream *stream)
{
    happens(stream, VPC_ON_END_READ);
    if (stream->state[VPC_INPUT] == VPC_INPUT_PARTING)
        happens(stream, VPC_ON_NOTED);
}

static int pending_error(const struct vpc_stream *stream)
{
    int error = 0;
    socklen_t size = sizeof(error);

    getsockopt(stream->watch.fd, SOL_SOCKET, SO_ERROR, &error, &size);
    return error;
}

static void breaks(struct vpc_stream *stream, int error)
{
    if (!stream->error)
        stream->error = error;
    happens(stream, VPC_ON_BROKE);
}

/* EPOLLHUP or EPOLLERR, or what read() says instead. */
static void ends(struct vpc_stream *stream, int error)
{
    if (!stream->local && error)
        breaks(stream, error);
    else if (!stream->local || stream->state[VPC_OUTPUT] == VPC_OUTPUT_FINISHED)
        happens(stream, VPC_ON_BOTH_ENDED);
    else
        happens(stream, VPC_ON_HUNG_UP);
}

void vpc_stream_start(struct vpc_stream *stream, int fd)
{
    stream->watch.fd = fd;
    happens(stream, VPC_ON_OPENED);
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
    bool early = is_open(stream) && !stream->local && vpc_tcp_end(stream);

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

void vpc_stream_received(struct vpc_stream *stream)
{
    vpc_stream_step(stream, VPC_ON_RECEIVED);
}

void vpc_streams_take_no_more(struct vpc_shell *shell)
{
    for (struct vpc_link *l = shell->streams.all.next; l != &shell->streams.all; l = l->next)
        vpc_stream_step(VPC_LINKED(l, struct vpc_stream, all), VPC_ON_TAKE_NO_MORE);
}

/* ---- octets ------------------------------------------------------------------------------------ */

/* What it may still move of VPC_BUDGET in this turn; moved is of the stream's read or written. */
static size_t share(struct vpc_stream *stream, const size_t *moved)
{
    uint64_t turn = stream->shell->loop.turns;

    if (stream->turn != turn) {
        stream->turn = turn;
        stream->read = stream->written = 0;
    }
    return *moved < VPC_BUDGET ? VPC_BUDGET - *moved : 0;
}

/* Makes pieces have limit octets at most; how many they have. */
static size_t cut(struct iovec pieces[2], unsigned *count, size_t limit)
{
    size_t total = 0;

    for (unsigned i = 0; i < *count; i++) {
        if (pieces[i].iov_len > limit - total)
            pieces[i].iov_len = limit - total;
        total += pieces[i].iov_len;
    }
    if (total == 0)
        *count = 0;
    return total;
}

/* Where octets of the program can go, and that n of them are there. */
static unsigned space_for(const struct vpc_stream *stream, struct iovec space[2])
{
    struct vpc_shell *shell = stream->shell;
    uint32_t number = stream->number;

    if (shell->config.direct != NULL)
        return shell->config.direct->space(shell->ep, number, space);
    size_t room = shell->abi->stream_room(shell->ep, number);
    space[0] =
        (struct iovec){.iov_base = shell->chunk, .iov_len = room < VPC_CHUNK ? room : VPC_CHUNK};
    return room > 0;
}

static void filled(const struct vpc_stream *stream, size_t n)
{
    struct vpc_shell *shell = stream->shell;
    uint32_t number = stream->number;

    if (shell->config.direct != NULL)
        shell->config.direct->filled(shell->ep, number, n);
    else
        shell->abi->stream_input(shell->ep, number, shell->chunk, n);
}

/* The octets for the program. */
static unsigned output_of(const struct vpc_stream *stream, struct iovec pieces[2])
{
    struct vpc_shell *shell = stream->shell;
    const void *octets;

    if (shell->config.direct != NULL)
        return shell->config.direct->pieces(shell->ep, stream->number, pieces);
    pieces[0].iov_len = shell->abi->stream_output(shell->ep, stream->number, &octets);
    pieces[0].iov_base = (void *)(uintptr_t)octets;
    return pieces[0].iov_len > 0;
}

/* read() failed: what that means stands in stream.rl. */
static void read_failed(struct vpc_stream *stream, int error)
{
    if (error == EAGAIN || error == EINTR)
        return;
    ends(stream, error);
    end_is_read(stream);
}

static bool reads(const struct vpc_stream *stream)
{
    return stream->state[VPC_INPUT] == VPC_INPUT_READING || is_unread(stream->state[VPC_INPUT]);
}

/* Reads once, limit octets at most; whether there may be more to read now. */
static bool read_some(struct vpc_stream *stream, size_t limit)
{
    struct iovec space[2];
    unsigned count = space_for(stream, space);
    size_t wanted = cut(space, &count, limit);

    if (wanted == 0) {
        happens(stream, VPC_ON_FULL);
        return false;
    }
    ssize_t n = readv(stream->watch.fd, space, (int)count);
    if (n < 0)
        read_failed(stream, errno);
    if (n == 0)
        end_is_read(stream);
    if (n <= 0)
        return false;
    stream->read += (size_t)n;
    filled(stream, (size_t)n);
    vpc_carry_out(stream->shell);
    return !is_watched(stream) || (size_t)n == wanted;
}

/* Reads as long as there is something, and room, and its share. */
static void read_input(struct vpc_stream *stream)
{
    size_t limit = 0;
    bool more = true;

    while (more && reads(stream) && (limit = share(stream, &stream->read)) > 0)
        more = read_some(stream, limit);
    if (more && limit == 0 && reads(stream) && !is_watched(stream))
        vpc_link_append(&stream->shell->streams.later, &stream->look);
}

static void write_failed(struct vpc_stream *stream, int error)
{
    if (stream->local)
        happens(stream, VPC_ON_NO_READER);
    else
        breaks(stream, error);
}

/* How much of the pieces, n octets, went; 0: none now. */
static size_t put(struct vpc_stream *stream, struct iovec pieces[2], unsigned count, size_t n)
{
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = count};
    ssize_t w;

    do
        w = sendmsg(stream->watch.fd, &message, MSG_NOSIGNAL);
    while (w < 0 && errno == EINTR);
    stream->blocked = w < 0 ? errno == EAGAIN : (size_t)w < n;
    if (w < 0 && errno != EAGAIN)
        write_failed(stream, errno);
    return w > 0 ? (size_t)w : 0;
}

static bool discards(const struct vpc_stream *stream)
{
    return stream->state[VPC_OUTPUT] == VPC_OUTPUT_DISCARDING;
}

/* Writes once, limit octets at most; how many. */
static size_t write_some(struct vpc_stream *stream, size_t limit)
{
    struct vpc_shell *shell = stream->shell;
    struct iovec pieces[2];
    unsigned count = output_of(stream, pieces);
    size_t n = cut(pieces, &count, limit), w = n;

    if (n > 0 && !discards(stream))
        w = put(stream, pieces, count, n);
    if (w == 0)
        return 0;
    stream->written += w;
    shell->abi->stream_sent(shell->ep, stream->number, w);
    vpc_carry_out(shell);
    return w;
}

static bool writes(const struct vpc_stream *stream)
{
    return discards(stream) ||
           (stream->state[VPC_OUTPUT] == VPC_OUTPUT_WRITING && !stream->blocked);
}

/* Writes as long as there is something, and the socket takes it, and its share. */
static void write_output(struct vpc_stream *stream)
{
    size_t limit = 1;

    while (writes(stream) && (limit = share(stream, &stream->written)) > 0)
        if (write_some(stream, limit) == 0)
            return;
    if (limit == 0)
        vpc_link_append(&stream->shell->streams.later, &stream->look);
}

static void on_ready(struct vpc_watch *watch, uint32_t events)
{
    struct vpc_stream *stream = watch->owner;

    if (events & EPOLLOUT)
        stream->blocked = false;
    if (events & (EPOLLHUP | EPOLLERR))
        ends(stream, stream->local ? 0 : pending_error(stream));
    else if (events & EPOLLIN)
        read_input(stream);
    vpc_stream_wake(stream);
}

/* ---- looks ------------------------------------------------------------------------------------- */

static void look(struct vpc_stream *stream)
{
    write_output(stream);
    if (is_open(stream) && !is_watched(stream))
        read_input(stream);
    if (is_open(stream))
        vpc_link_append(&stream->shell->streams.interest, &stream->interest);
}

void vpc_streams_look(struct vpc_shell *shell)
{
    struct vpc_stream *stream;

    while ((stream = first_of(&shell->streams.look, offsetof(struct vpc_stream, look))) != NULL) {
        vpc_link_remove(&stream->look);
        look(stream);
    }
}

static void want(struct vpc_stream *stream)
{
    struct vpc_shell *shell = stream->shell;
    uint32_t interest = 0;

    if (!is_watched(stream))
        return;
    if (reads(stream) && shell->abi->stream_room(shell->ep, stream->number) > 0)
        interest |= EPOLLIN;
    if (stream->blocked && stream->state[VPC_OUTPUT] == VPC_OUTPUT_WRITING)
        interest |= EPOLLOUT;
    vpc_watch_set(&shell->loop, &stream->watch, interest);
}

void vpc_streams_want(struct vpc_shell *shell)
{
    struct vpc_streams *streams = &shell->streams;
    struct vpc_stream *stream;

    while ((stream = first_of(&streams->interest, offsetof(struct vpc_stream, interest))) != NULL) {
        vpc_link_remove(&stream->interest);
        want(stream);
    }
}

bool vpc_streams_wait(const struct vpc_shell *shell)
{
    return !vpc_list_empty(&shell->streams.look);
}

void vpc_streams_next_turn(struct vpc_shell *shell)
{
    struct vpc_stream *stream;

    while ((stream = first_of(&shell->streams.later, offsetof(struct vpc_stream, look))) != NULL) {
        vpc_link_remove(&stream->look);
        vpc_link_append(&shell->streams.look, &stream->look);
    }
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

    if (stream->watch.fd >= 0 && stream->local)
        vpc_socket_read_off(stream->watch.fd); /* CLS-11 */
    vpc_timer_clear(loop, &stream->limit);
    vpc_watch_close(loop, &stream->watch);
    vpc_listener_close(&stream->listener);
}

void vpc_stream_release(struct vpc_stream *stream)
{
    close_descriptors(stream);
}

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
