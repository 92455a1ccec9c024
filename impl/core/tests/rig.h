/* SPDX-License-Identifier: MIT */
/*
 * The rig: one or two endpoints behind the ABI of spec/vpc_endpoint.h, a virtual clock, a virtual bus, and
 * virtual local programs.  A test says what happens and looks at logs, answers and streams; the rig itself
 * watches what must hold in every test, and fails it:
 *
 *   - an action names a stream that is not there or has ended, or a number is used twice;
 *   - a log entry has other fields than the catalogue names, no EVENT_LOGGED, or a CHANNEL_CLOSED without its
 *     CHANNEL_OPENED;
 *   - SESSION_UP and SESSION_LOST do not take turns;
 *   - READY sets what is set, or resets what is not;
 *   - octets that arrive are not those that were written, in their order, for their pair;
 *   - a deadline lies in the past after clock() (a shell would spin);
 *   - anything comes after STOPPED.
 *
 * Programs write what `rig_write` allows as soon as there is room, and read at once up to `may_read`.  What had no room or
 * no output is asked again only after WAKE, so whatever moves shows that it came (VPC_ACTION_WAKE).  Octets
 * are a function of port, direction and position, so that every byte is checked where it arrives.
 */
#ifndef VPC_CORE_TESTS_RIG_H
#define VPC_CORE_TESTS_RIG_H

#include "vpc_endpoint.h"
#include "vpcbus.h"

#include <jansson.h>
#include <stdbool.h>

#define STREAMS    64
#define PIPE_MAX   1100
#define PIPE(name) "\\\\.\\pipe\\" name

enum stream_state {
    STREAM_FREE,
    STREAM_ASKED, /* LISTEN or CONNECT came and is not answered */
    STREAM_LISTENING,
    STREAM_LIVE,
    STREAM_ENDED,
};

struct stream {
    enum stream_state state;
    uint32_t id;
    char pipe[PIPE_MAX];
    uint16_t port;
    uint64_t limit_ms;
    uint32_t end; /* how it ended: CLOSE, ABORT, UNLISTEN, or 0: LISTEN or CONNECT failed */
    bool shut;    /* SHUTDOWN came */
    bool finish, finish_told;
    uint64_t to_write, written;
    uint64_t may_read, read;
    bool no_room, no_output; /* it had none when it was last asked, and no WAKE came since */
};

struct rig;

struct side {
    struct rig *rig;
    uint32_t role;
    vpc_endpoint *ep;
    struct stream streams[STREAMS];
    uint32_t last_stream;
    json_t *guest_logs;              /* an array: entries of a host's log that came by EVENT */
    json_t *logs, *events, *replies; /* arrays; a reply is [client, line] */
    json_t *owed;                    /* a log entry whose EVENT_LOGGED must come next */
    int ready;                       /* -1: never set or reset */
    char ready_name[128];
    unsigned wakes;                   /* WAKE so far */
    unsigned opened, closed, stopped; /* CHANNEL_OPENED, CHANNEL_CLOSED, STOPPED so far */
    bool in_session;                  /* by SESSION_UP and SESSION_LOST */
    unsigned epoch;
    unsigned looks;    /* LOOK so far */
    bool gone_at_look; /* it is answered by stream_gone() */
    unsigned freed;    /* FREE_NAME so far */
    bool mute;         /* the bus takes none of its octets */
    bool manual;       /* LISTEN and CONNECT are answered by the test */
    int listen_error, connect_error;
};

struct rig {
    uint64_t now;
    struct side host, guest;
    bool bus;         /* it is up */
    bool blocked;     /* it takes no octets */
    size_t budget;    /* not 0: it takes so many, then it is blocked */
    size_t bus_chunk; /* octets moved at a time, 0: all */
    size_t program_chunk;
    uint64_t seed;  /* of random chunk sizes; 0: the chunks are always as large as may be */
    bool forgetful; /* keeps no logs and events, for long runs */
    bool unchecked; /* the octets that arrive are anyone's */
    bool faultless; /* a PROTOCOL_VIOLATION or FRAMING_LOST fails the test */
};

/* Both endpoints (options: JSON, NULL: defaults), bus down; rig_one makes one only. */
void rig_begin(struct rig *rig, const char *host_options, const char *guest_options);
void rig_one(struct rig *rig, uint32_t role, const char *options);
void rig_end(struct rig *rig);

/* Carries out all actions and moves all octets until nothing happens any more. */
void rig_settle(struct rig *rig);
void rig_advance(struct rig *rig, uint64_t ms);
void rig_bus(struct rig *rig, bool up);
/* Bus up, session, READY. */
void rig_ready(struct rig *rig);
uint64_t rig_random(struct rig *rig);

/* Takes the actions that wait; to be called after a call on the endpoint that the test makes itself. */
void rig_take(struct side *side);

/* A control request, and the next answer to that client (NULL: none yet; the caller owns it). */
void rig_say(struct side *side, uint32_t client, const char *line);
json_t *rig_answer(struct side *side, uint32_t client);
/* `start` of \\.\pipe\NAME and the port by client 1, id `1`; then its answer. */
void rig_ask_start(struct rig *rig, const char *name, unsigned port);
json_t *rig_start(struct rig *rig, const char *name, unsigned port);

/* The newest stream of the pipe \\.\pipe\NAME, or of the port; fails when there is none. */
struct stream *rig_pipe(struct rig *rig, const char *name);
struct stream *rig_port(struct rig *rig, unsigned port);

/* Opens the pipe; a whole pair: start, S_OK, the pipe opened. */
void rig_client(struct rig *rig, const char *name);
void rig_pair(struct rig *rig, const char *name, unsigned port);

/* What the local program does; each settles. */
void rig_write(struct side *side, struct stream *stream, uint64_t n);
void rig_finish(struct side *side, struct stream *stream);
void rig_gone(struct side *side, struct stream *stream, int error);

unsigned rig_logged(const struct side *side, const char *name);
/* The last entry of that name; fails when there is none. */
const json_t *rig_log(const struct side *side, const char *name);
unsigned rig_events(const struct side *side, const char *name);

/* Fails unless the members are as listed: "cause=closed; errno=-" (`-`: absent; `*`: there). */
void expect(const json_t *object, const char *list);
/* Takes over the answer: `expect` on its "return" or "error". */
void expect_return(json_t *answer, const char *list);
void expect_error(json_t *answer, const char *list);
/* query-vm, query-stats: the member as a text or number. */
json_t *rig_query(struct side *side, const char *command);

#endif
