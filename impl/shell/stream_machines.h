/* SPDX-License-Identifier: MIT */
/*
 * A local stream, and the machines of stream.rl that say what becomes of it.
 *
 * Whoever links the machines has the actions: stream.c, or a test that notes them down.
 */
#ifndef VPC_STREAM_MACHINES_H
#define VPC_STREAM_MACHINES_H

#include "core/index.h"
#include "list.h"
#include "listener.h"
#include "loop.h"
#include "stream_events.h" /* generated: enum vpc_stream_event */

enum vpc_stream_part {
    VPC_LIFE,
    VPC_INPUT,  /* what the local program writes */
    VPC_OUTPUT, /* what it reads */
    VPC_STREAM_PARTS,
};

/* What each means stands in stream.rl. */
enum vpc_stream_state {
    VPC_LIFE_WAITING,
    VPC_LIFE_OPEN,
    VPC_LIFE_LINGERING,
    VPC_LIFE_CLOSED,
    VPC_INPUT_NONE,
    VPC_INPUT_READING,
    VPC_INPUT_ENDING,
    VPC_INPUT_LEFT,
    VPC_INPUT_ENDED,
    VPC_INPUT_KNOWN_GONE,
    VPC_INPUT_BROKEN,
    VPC_INPUT_FINISHED,
    VPC_INPUT_PARTING,
    VPC_INPUT_OVER,
    VPC_OUTPUT_NONE,
    VPC_OUTPUT_WRITING,
    VPC_OUTPUT_DISCARDING,
    VPC_OUTPUT_HALTED,
    VPC_OUTPUT_FINISHED,
};

struct vpc_stream {
    struct vpc_shell *shell;
    bool local; /* a client at a Unix socket, not a TCP connection */
    int cs[VPC_STREAM_PARTS];
    enum vpc_stream_state state[VPC_STREAM_PARTS];
    uint32_t number;
    struct vpc_entry entry;   /* of by_number, until it is closed */
    struct vpc_link all;      /* of the open ones, or of the closed ones */
    struct vpc_link look;     /* while there is something to look at */
    struct vpc_link interest; /* while its interest may change */
    int error;                /* why it failed or broke; the first of several */
    bool blocked;             /* the socket takes no more output; epoll tells when it does */
    uint64_t turn;            /* the last in which it moved octets */
    size_t read, written;     /* octets of that turn */
    struct vpc_watch watch;
    void (*on_open_ready)(struct vpc_watch *watch,
                          uint32_t events); /* its handler once it is connected */
    struct vpc_timer limit;                 /* of a connect, or of the next look while it lingers */
    int lingers_for;                        /* octets that were left at the last look */
    uint64_t lingers_until;                 /* unless there is progress */
    unsigned look_ms;                       /* until the next look */
    struct vpc_listener listener;           /* of a pipe */
    bool may_keep, keeps; /* the last octet that a pipe's client wrote (pipe_input.c) */
    uint64_t taken_at;    /* when some were taken last */
};

static inline bool vpc_stream_is_open(const struct vpc_stream *stream)
{
    return stream->state[VPC_LIFE] == VPC_LIFE_OPEN;
}

/* The program can write no more, and what it wrote is still to be read. */
static inline bool vpc_input_is_unread(enum vpc_stream_state state)
{
    return state == VPC_INPUT_ENDING || state == VPC_INPUT_LEFT || state == VPC_INPUT_ENDED ||
           state == VPC_INPUT_KNOWN_GONE || state == VPC_INPUT_BROKEN;
}

/* It is in epoll, which says when there is something. */
static inline bool vpc_stream_is_watched(const struct vpc_stream *stream)
{
    enum vpc_stream_state input = stream->state[VPC_INPUT];

    return input == VPC_INPUT_READING || input == VPC_INPUT_ENDING || input == VPC_INPUT_FINISHED;
}

/* In the first states; to be called once. */
void vpc_stream_begin(struct vpc_stream *stream);
/* Steps the machines; false when the event concerns none of them in its state. */
bool vpc_stream_step(struct vpc_stream *stream, enum vpc_stream_event event);
/* "known_gone"; as in stream.rl. */
const char *vpc_stream_state_name(enum vpc_stream_state state);

/* ---- what the machines call ---- */

/* A part has another state than `old` now. */
void vpc_stream_changed(struct vpc_stream *stream, enum vpc_stream_part part,
                        enum vpc_stream_state old);
/* The endpoint is told something: one call of it, whose actions wait until the step is done. */
void vpc_stream_tell_opened(struct vpc_stream *stream);
void vpc_stream_tell_failed(struct vpc_stream *stream);
void vpc_stream_tell_eof(struct vpc_stream *stream);
void vpc_stream_tell_gone(struct vpc_stream *stream);
/* The kernel is told something. */
void vpc_stream_release(struct vpc_stream *stream);   /* closes the descriptors, in order */
void vpc_stream_break_off(struct vpc_stream *stream); /* the same; TCP resets */
void vpc_stream_linger(struct vpc_stream *stream);
void vpc_stream_leave(struct vpc_stream *stream); /* epoll */
void vpc_stream_stop_reading(struct vpc_stream *stream);
void vpc_stream_finish_writing(struct vpc_stream *stream);

#endif
