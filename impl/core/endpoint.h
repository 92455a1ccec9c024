/* SPDX-License-Identifier: MIT */
/*
 * The decisions of an endpoint, without input and output: what the parts of impl/core share.
 *
 *   abi.c       the exported table of spec/vpc_endpoint.h and the order of work within a call
 *   actions.c   the queue of actions that wait for the caller
 *   options.c   the settings of section 10
 *   eventlog.c  entries of the event log
 *   guestlog.c  the guest's entries on their way to the host's log
 *   relay.c     one pair and its local stream: bytes, half-closes, ends, time limits
 *   host.c      StartCommunicationChannel, stop, readiness
 *   guest.c     OPEN, connect, REFUSED
 *   control.c   the control socket's JSON lines
 *   direct.c    octets of a stream without a copy
 *   list.h      lists whose links lie in what they list
 */
#ifndef VPC_CORE_ENDPOINT_H
#define VPC_CORE_ENDPOINT_H

#include "lib/generic_error.h"
#include "lib/port_list.h"
#include "lib/vpc.h" /* the results, the levels, and the checks of names */
#include "list.h"
#include "vpc_endpoint.h"
#include "vpcbus.h"

#include <jansson.h>

#define VPC_IMPLEMENTATION "VPCBus reference 0.1"

struct vpc_options {
    uint32_t hello_interval_ms, heartbeat_ms, heartbeat_late_ms, peer_limit_ms, backoff_max_ms;
    uint32_t connect_ms, drain_ms, pipe_open_ms, max_pairs, window, version_min, version_max;
    struct vpc_ports allow_ports;
    uint32_t fault;
};

/* Who waits for the answer of a request. */
struct vpc_asker {
    uint32_t client; /* 0: nobody */
    json_t *id;      /* NULL: the request had none */
};

/* What a stream can have for the caller (VPC_ACTION_WAKE). */
enum vpc_has {
    VPC_HAS_OUTPUT = 1,
    VPC_HAS_ROOM = 2,
};

/* One pair and its local stream.  The place is in use while `stream` is not 0. */
struct vpc_relay {
    uint32_t stream;
    vpc_pair *pair; /* NULL before OPEN */
    char *pipe;     /* host: the pipe's name; NULL in a guest */
    char *pipe_key; /* the same for all names that are the same pipe */
    char *path;
    uint16_t port;
    uint32_t h2g, g2h;
    bool open;      /* OPENED was sent or received */
    bool connected; /* the local stream is there */
    bool aborted;   /* the local stream was given up with ABORT */
    bool answered;  /* host: StartCommunicationChannel was */
    bool eof, gone, shut;
    bool told_to_stop;    /* host: by the command `stop` */
    const char *cause;    /* why it ends abnormally; NULL: it does not */
    uint32_t error;       /* with the cause; 0: none */
    uint64_t delivered;   /* octets that the local program took */
    uint64_t waits_since; /* since OPEN for its answer, since OPENED for the pipe's client */
    uint64_t progress_at, progress;
    struct vpc_asker starter, stopper;
    unsigned had;          /* at the last look: bits of enum vpc_has */
    unsigned untold;       /* what it has that the caller does not know of */
    struct vpc_link awake; /* while something is untold */
};

/* How many of one kind came since the first of them. */
struct vpc_flood {
    uint64_t since;
    uint64_t left_out; /* with what EVENTs say that was lost: each may say 2^32 - 1 */
    uint32_t written;
};

struct action_node;
struct vpc_outbox;

/* eventlog.c: the ids by the catalogue's names */
#include "log_entry.h"

struct vpc_endpoint {
    uint32_t role;
    char *vm;
    char tag[VPC_TEXT_MAX + 1]; /* the machine's, as configured or learnt from the guest's HELLO */
    bool tag_learnt;
    struct vpc_options options;
    uint64_t (*random)(void *user);
    void *random_user;
    uint64_t now;
    vpc_session *session;
    char peer_name[VPC_TEXT_MAX + 1];
    uint32_t version;
    bool bus; /* the transport is up */
    bool ready, mismatched, stopping, stopped;
    bool late; /* nothing was heard for too long, in this session (SES-15) */
    uint64_t stop_at;
    struct action_node *first, *last, *taken, *spare;
    struct vpc_relay *relays; /* options.max_pairs places */
    struct vpc_link awake;    /* relays of whose output or room the caller does not know */
    uint32_t last_stream;
    uint64_t sessions, opened, failed;
    struct vpc_flood floods[VPC_LOG_KIND_COUNT]; /* of each id (LOG-9) */
    struct vpc_flood events;                     /* host: of EVENT (LOG-8) */
    struct vpc_outbox *outbox;                   /* guest: entries for the host's log (LOG-6) */
    unsigned heartbeat;                          /* the percentage last told (RDY-5) */
};

/* actions.c: text is copied; a NULL text is none.  False when there is no memory: only a LISTEN, LOG, REPLY
 * or BROADCAST can fail so, the others have places put aside by vpc_reserve_actions(). */
bool vpc_reserve_actions(vpc_endpoint *ep);
bool vpc_act(vpc_endpoint *ep, vpc_action action, const char *text);
int vpc_take_action(vpc_endpoint *ep, vpc_action *action);
/* Frees all actions, the places put aside too. */
void vpc_drop_actions(vpc_endpoint *ep);
/* Sends the object as a line, of kind REPLY, BROADCAST or LOG; takes over the reference. */
void vpc_act_json(vpc_endpoint *ep, uint32_t kind, uint32_t client, json_t *object);

/* options.c: false, and why in error, when one is unknown, out of range or of the other role (LIM-1) */
bool vpc_options_parse(struct vpc_options *options, uint32_t role, const char *json, char *error,
                       size_t size);

/* eventlog.c */
/* Writes one entry; takes over the reference to fields (an object, or NULL), whose NULL members are left
   out. */
void vpc_log(vpc_endpoint *ep, enum vpc_log_id id, json_t *fields);
void vpc_log_at(vpc_endpoint *ep, enum vpc_log_id id, const char *level, json_t *fields);
/* The same for an entry of whatever source, never left out (LOG-9). */
void vpc_log_entry(vpc_endpoint *ep, const struct vpc_log_kind *kind, const char *level,
                   const char *source, json_t *fields);
/* Tells what was left out and is due (LOG-9); at_once: whatever there is. */
void vpc_log_clock(vpc_endpoint *ep, bool at_once);
uint64_t vpc_log_deadline(const vpc_endpoint *ep);
/* The members that an entry about a relay has, and `cause` and `errno` if there are any. */
json_t *vpc_relay_fields(const struct vpc_relay *relay, const char *cause, uint32_t error);
/* The event line to all control clients; takes over the reference. */
void vpc_broadcast(vpc_endpoint *ep, const char *event, json_t *data);

/* guestlog.c */
/* NULL: no memory; free() frees it. */
struct vpc_outbox *vpc_outbox_create(void);
/* Guest: one more entry for the host. */
void vpc_outbox_add(vpc_endpoint *ep, const struct vpc_log_kind *kind, const char *level,
                    const json_t *fields);
/* Guest: the next entry that may be sent now; false: there is none. */
bool vpc_outbox_take(vpc_endpoint *ep, vpc_frame *entry);
/* Whether there is one. */
bool vpc_outbox_due(const vpc_endpoint *ep);
/* Host: an EVENT came. */
void vpc_guest_log_received(vpc_endpoint *ep, const vpc_frame *frame);
/* Host: tells what was left out and is due (LOG-8); at_once: whatever there is. */
void vpc_guest_log_clock(vpc_endpoint *ep, bool at_once);
uint64_t vpc_guest_log_deadline(const vpc_endpoint *ep);

/* relay.c */
struct vpc_relay *vpc_relay_take(vpc_endpoint *ep);
struct vpc_relay *vpc_relay_find(const vpc_endpoint *ep, uint32_t stream);
/* The same, but NULL while it has no pair and when its stream was given up. */
struct vpc_relay *vpc_relay_live(const vpc_endpoint *ep, uint32_t stream);
struct vpc_relay *vpc_relay_of_channel(const vpc_endpoint *ep, uint32_t channel);
void vpc_relay_free(vpc_endpoint *ep, struct vpc_relay *relay);
unsigned vpc_relay_count(const vpc_endpoint *ep);
bool vpc_relay_running_down(const struct vpc_relay *relay);
void vpc_relay_join(vpc_endpoint *ep, struct vpc_relay *relay, vpc_pair *pair);
void vpc_relay_opened(vpc_endpoint *ep, struct vpc_relay *relay);
/* Ends it abnormally: the first cause stays; the local stream is aborted, both channels are reset with
   `error`. */
void vpc_relay_abort(vpc_endpoint *ep, struct vpc_relay *relay, const char *cause, uint32_t error);
void vpc_relay_reset(vpc_endpoint *ep, struct vpc_relay *relay, const vpc_session_event *event);
void vpc_relay_released(vpc_endpoint *ep, struct vpc_relay *relay, const char *lost);
/* The octets that its program is to have next, and how many of its own would be taken. */
size_t vpc_relay_output(const struct vpc_relay *relay, const void **octets);
size_t vpc_relay_room(const struct vpc_relay *relay);
/* After what may have given it output or room, or taken it away: the caller is told of what is new. */
void vpc_relay_look(vpc_endpoint *ep, struct vpc_relay *relay);
/* The caller asked: it knows of this. */
void vpc_relay_asked(struct vpc_relay *relay, enum vpc_has what);
/* A relay of which the caller is to be told, once, or NULL. */
struct vpc_relay *vpc_relay_next_awake(vpc_endpoint *ep);
/* Moves all relays on as far as they can go now. */
void vpc_relays_advance(vpc_endpoint *ep);
void vpc_relays_clock(vpc_endpoint *ep);
uint64_t vpc_relays_deadline(const vpc_endpoint *ep);

/* host.c */
void vpc_host_event(vpc_endpoint *ep, const vpc_session_event *event);
void vpc_host_start(vpc_endpoint *ep, struct vpc_asker asker, const json_t *arguments);
void vpc_host_stop_pipe(vpc_endpoint *ep, struct vpc_asker asker, const json_t *arguments);
void vpc_host_set_tag(vpc_endpoint *ep, struct vpc_asker asker, const json_t *arguments);
/* Sets or resets the ready event of the tag as it is now; the one of another name before it is given up
   (RDY-1). */
void vpc_host_set_event(vpc_endpoint *ep);
void vpc_host_listening(vpc_endpoint *ep, struct vpc_relay *relay, int error, const char *path);
/* The relay ended before StartCommunicationChannel was answered; lost: why the session was lost, or "". */
void vpc_host_start_lost(vpc_endpoint *ep, struct vpc_relay *relay, const char *lost);

/* The endpoint stops: whoever still waits for a pipe server gets an answer. */
void vpc_host_give_up_starts(vpc_endpoint *ep);
/* The guest's answer is overdue (CHN-8). */
void vpc_host_start_unanswered(vpc_endpoint *ep, struct vpc_relay *relay);

/* guest.c */
void vpc_guest_event(vpc_endpoint *ep, const vpc_session_event *event);
void vpc_guest_connected(vpc_endpoint *ep, struct vpc_relay *relay, int error);

/* control.c */
void vpc_control_greet(vpc_endpoint *ep, uint32_t client);
/* The text of an argument, or NULL.  One with a NUL in it, which is JSON but no name of ours, is a text that
   no check lets pass. */
const char *vpc_control_text(const json_t *arguments, const char *key);
void vpc_control_request(vpc_endpoint *ep, uint32_t client, const char *line, size_t n);
/* Nobody waits any more. */
void vpc_asker_forget(struct vpc_asker *asker);
/* Answers and forgets the asker, if there is one; take over the reference to value. */
void vpc_answer(vpc_endpoint *ep, struct vpc_asker *asker, json_t *value);
/* A number as JSON, which holds none above INT64_MAX: a hostile peer's may be. */
json_t *vpc_json_count(uint64_t n);
void vpc_answer_error(vpc_endpoint *ep, struct vpc_asker *asker, vpc_hresult result,
                      const char *text, uint32_t error);
/* How ready the endpoint is (RDY-4). */
enum vpc_level vpc_endpoint_level(const vpc_endpoint *ep);

/* abi.c: after whatever was given to the endpoint, moves everything as far as it goes. */
void vpc_endpoint_finish(vpc_endpoint *ep);
/* at most 32 characters of printable ASCII */
bool vpc_valid_tag(const char *tag);

/* Of two times. */
static inline uint64_t vpc_earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

#endif
