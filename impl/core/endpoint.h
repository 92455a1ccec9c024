/* SPDX-License-Identifier: MIT */
/*
 * The decisions of an endpoint, without input and output: what the parts of impl/core share.
 *
 *   abi.c            the exported table of spec/vpc_endpoint.h: each call hands its input on
 *   endpoint.c       create, destroy, stop, the time, and the order of work within a call
 *   events.c         the events of the session
 *   local.rl         every legal transition of a relay; machines.rl and relay_machines.h step them
 *   relay.c          one pair and its local stream: what happened to it
 *   relay_actions.c  what the machines ask for
 *   relay_limits.c   its time limits
 *   relays.c         the places of relays, and how one is found
 *   host.c           StartCommunicationChannel, stop, readiness
 *   guest.c          OPEN, connect, REFUSED
 *   machine.c        what it is told of its machine, and the time that stands still with it
 *   forward.rl       every legal transition of a forward; forward.c and forward_machine.rl are about it
 *   control.c        the control socket's JSON lines
 *   direct.c         octets of a stream without a copy
 *   action_queue.c   the actions that wait for the caller
 *   options.c        the settings of section 10
 *   eventlog.c       entries of the event log
 *   guestlog.c       the guest's entries on their way to the host's log
 *   list.h, index.h, time_limits.h   lists, hash tables, a heap of time limits, all without memory of their own for what is in them
 *
 * Within a call: what came is told to the relay that it is about, whose machines may queue actions.  A relay that something
 * happened to stands in the list `moving`.  When the call ends vpc_endpoint_finish() moves those on, and lets the session
 * draw up its frames, until the list is empty.  No call looks at relays that nothing happened to.
 */
#ifndef VPC_CORE_ENDPOINT_H
#define VPC_CORE_ENDPOINT_H

#include "index.h"
#include "lib/generic_error.h"
#include "lib/port_list.h"
#include "lib/version.h"
#include "lib/vpc.h" /* the results, the levels, and the checks of names */
#include "list.h"
#include "time_limits.h"
#include "vpc_endpoint.h"
#include "vpcbus.h"

#include <jansson.h>

#define VPC_IMPLEMENTATION "VPCBus reference " VPC_VERSION_TEXT

struct vpc_options {
    uint32_t hello_interval_ms, heartbeat_ms, heartbeat_late_ms, peer_limit_ms, backoff_max_ms;
    uint32_t connect_ms, drain_ms, pipe_open_ms, max_pairs, window, version_min, version_max;
    struct vpc_ports allow_ports;
    uint32_t fault;
};

/* Who waits for the answer of a request. */
struct vpc_asker {
    uint32_t client;            /* 0: nobody */
    json_t *id;                 /* NULL: the request had none */
    struct vpc_entry by_client; /* while the answer waits for a relay */
};

/* A start whose pipe's name seems to be in use, while the caller looks whether its client is still there (API-13). */
struct vpc_waiting_start {
    struct vpc_asker asker;
    json_t *arguments; /* NULL: there is none */
};

/* Why a start fails (API-9, API-10). */
struct vpc_start_failure {
    vpc_hresult result;
    const char *cause;
    uint32_t error; /* 0: none */
};

/* What a stream can have for the caller (VPC_ACTION_WAKE). */
enum vpc_has {
    VPC_HAS_OUTPUT = 1,
    VPC_HAS_ROOM = 2,
};

/* How far the opening of a pair has come, and whom a start still owes its answer. */
enum vpc_opening {
    VPC_OPENING_IDLE,       /* the relay was just taken */
    VPC_OPENING_MAKING,     /* host: LISTEN was said, the pipe server is not there yet */
    VPC_OPENING_ASKING,     /* host: OPEN was said, its answer is awaited */
    VPC_OPENING_CONNECTING, /* guest: CONNECT was said */
    VPC_OPENING_OPEN,       /* CHANNEL_OPENED was told, CHANNEL_CLOSED will be */
    VPC_OPENING_FAILED,     /* it never opens; the start is answered, the pair not released */
    VPC_OPENING_OVER,       /* the relay is about to be given back */
};

/* What the program at this side still writes. */
enum vpc_writing {
    VPC_WRITING_SILENT,   /* nobody is there yet */
    VPC_WRITING_WRITING,  /* what it writes is taken as there is room */
    VPC_WRITING_LAST,     /* the same of what it had written when it was hung up on */
    VPC_WRITING_FINISHED, /* FIN follows the last byte that was taken */
    VPC_WRITING_GIVEN_UP, /* nothing is taken any more */
};

/* How far delivery to the program at this side has come. */
enum vpc_delivery {
    VPC_DELIVERY_NOBODY,     /* there is no stream yet: what came is held */
    VPC_DELIVERY_DELIVERING, /* what came is its output */
    VPC_DELIVERY_SHUT,       /* it has every byte and the end behind them */
    VPC_DELIVERY_DECLINED, /* gone, or hung up on, before its stream came: what comes is dropped */
    VPC_DELIVERY_DISCARDING, /* it is gone: what comes is dropped */
    VPC_DELIVERY_GIVEN_UP,   /* there is no stream any more, or the caller was told to end it */
};

/* One machine of local.rl. */
struct vpc_machine {
    uint8_t cs;            /* Ragel's own */
    uint8_t state, before; /* of the enum above; the other one that it was in last */
};

/* One pair and its local stream.  The place is in use while `stream` is not 0. */
struct vpc_relay {
    uint32_t stream;
    struct vpc_machine opening, writing, delivery;
    vpc_pair *pair; /* NULL before OPEN */
    char *pipe;     /* host: the pipe's name; NULL in a guest */
    char *pipe_key; /* the same for all names that are the same pipe */
    char *path;
    char *listen;     /* host: of the forward whose client it is; NULL: of none */
    uint32_t forward; /* its number, which may be that of none any more */
    uint16_t port;
    uint32_t h2g, g2h;
    const char *cause;      /* why it ends abnormally; NULL: it does not */
    uint32_t error;         /* with the cause; 0: none */
    const char *good_cause; /* what CHANNEL_CLOSED says of an end in order */
    uint64_t waits_since;   /* since OPEN for its answer, since OPENED for the pipe's client */
    uint64_t progress_at;   /* when the local program last finished or went */
    struct vpc_asker starter, stopper;
    unsigned had;      /* at the last look: bits of enum vpc_has */
    unsigned untold;   /* what it has that the caller does not know of */
    bool running_down; /* as it is counted */
    bool nameless;     /* host: its pipe's name is free (API-13) */
    struct vpc_time_limit limit;
    struct vpc_entry by_stream, by_pipe;
    struct vpc_link place;  /* in the list of the free ones, or of those in use */
    struct vpc_link moving; /* while something happened to it in this call */
    struct vpc_link awake;  /* while something is untold */
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
    uint64_t now; /* what clock() said */
    /* Of the session and its pairs: stands still while the machine does (SES-20). */
    uint64_t time;
    uint64_t held;                  /* now - time, while the machine does not stand still */
    const char *stands;             /* why it stands still, for people; NULL: it does not */
    uint64_t stands_since;          /* while it stands still */
    enum vpc_machine_state machine; /* as it was told last */
    vpc_session *session;
    char peer_name[VPC_TEXT_MAX + 1];
    uint32_t version;
    bool bus;         /* the transport is up */
    bool guest_ready; /* as the session says */
    bool ready, mismatched, stopping, stopped;
    bool late; /* nothing was heard for too long, in this session (SES-15) */
    uint64_t stop_at;
    struct action_node *first, *last, *taken, *spare;
    unsigned spares;          /* places put aside in all, in use or not */
    struct vpc_relay *relays; /* options.max_pairs places, of which the first `fresh` were used */
    unsigned fresh;
    struct vpc_link free, in_use;
    struct vpc_link moving;           /* those that something happened to in this call */
    struct vpc_link awake;            /* those of whose output or room the caller does not know */
    struct vpc_index streams, pipes;  /* relays */
    struct vpc_index askers;          /* those that wait for a relay, by client */
    struct vpc_waiting_start waiting; /* host */
    struct vpc_time_limits limits;    /* of relays */
    struct vpc_link forwards;         /* host: forward.c */
    unsigned forward_count;
    unsigned forwards_situation;      /* that they rest on, as it was when they were looked at */
    bool forwards_changed;            /* one is to be looked at whatever it rests on */
    unsigned relay_count, pair_count; /* in use; those of them that have a pair */
    unsigned running_down;            /* of those in use */
    uint64_t visits;                  /* how often a relay or an asker was looked at, for tests */
    uint32_t last_stream;
    uint64_t sessions, opened, failed;
    struct vpc_flood floods[VPC_LOG_KIND_COUNT]; /* of each id (LOG-9) */
    uint64_t left_out;                           /* of all of them together */
    struct vpc_flood events;                     /* host: of EVENT (LOG-8) */
    struct vpc_outbox *outbox;                   /* guest: entries for the host's log (LOG-6) */
    unsigned heartbeat;                          /* the percentage last told (RDY-5) */
};

/* action_queue.c: text is copied; a NULL text is none.  False when there is no memory: only a LISTEN, FORWARD, LOOK,
 * LOG, REPLY or BROADCAST can fail so, the others have places put aside by vpc_reserve_actions(). */
/* Puts places aside for so many relays, and gives back what is more than that as far as it is not in use. */
bool vpc_reserve_actions(vpc_endpoint *ep, unsigned relays);
void vpc_unreserve_actions(vpc_endpoint *ep, unsigned relays);
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

/* relays.c */
bool vpc_relays_init(
    vpc_endpoint *ep); /* false: no memory; vpc_relays_free() frees what there is */
void vpc_relays_free(vpc_endpoint *ep);
/* NULL: there is no place, or no memory for its actions. */
struct vpc_relay *vpc_relay_take(vpc_endpoint *ep);
/* The same of a stream that has its number already (0: it has none). */
struct vpc_relay *vpc_relay_take_as(vpc_endpoint *ep, uint32_t stream);
/* A number that no stream has. */
uint32_t vpc_next_stream(vpc_endpoint *ep);
void vpc_relay_free(vpc_endpoint *ep, struct vpc_relay *relay);
/* Those in use, in the order in which they were taken.  The next one is asked for before the relay is given back. */
struct vpc_relay *vpc_relay_first(vpc_endpoint *ep);
struct vpc_relay *vpc_relay_next(vpc_endpoint *ep, struct vpc_relay *relay);
struct vpc_relay *vpc_relay_find(vpc_endpoint *ep, uint32_t stream);
/* The same, but NULL while it has no pair and when its stream was given up. */
struct vpc_relay *vpc_relay_live(vpc_endpoint *ep, uint32_t stream);
struct vpc_relay *vpc_relay_of_channel(const vpc_endpoint *ep, uint32_t channel);
/* Whose pipe's name it is, or NULL; the second gives, where there is none, the last of those whose it was. */
struct vpc_relay *vpc_relay_of_pipe(vpc_endpoint *ep, const char *key);
struct vpc_relay *vpc_relay_last_of_pipe(vpc_endpoint *ep, const char *key);
/* Host: the name by which it is found from now on; false: no memory. */
bool vpc_relay_name(vpc_endpoint *ep, struct vpc_relay *relay, const char *pipe, const char *key);
/* Something happened to it: vpc_relays_advance() moves it on; false: there was none. */
void vpc_relay_touch(vpc_endpoint *ep, struct vpc_relay *relay);
bool vpc_relays_advance(vpc_endpoint *ep);
/* A relay of whose output or room the caller is to be told, once, or NULL. */
struct vpc_relay *vpc_relay_next_awake(vpc_endpoint *ep);
void vpc_relays_clock(vpc_endpoint *ep);
uint64_t vpc_relays_deadline(const vpc_endpoint *ep);

/* relay.c: what happened to it, each an event of local.rl */
void vpc_relay_begin(struct vpc_relay *relay);
void vpc_relay_asked_for(vpc_endpoint *ep, struct vpc_relay *relay); /* LISTEN or CONNECT is said */
void vpc_relay_accepted(vpc_endpoint *ep, struct vpc_relay *relay); /* of a forward; OPEN is said */
void vpc_relay_join(vpc_endpoint *ep, struct vpc_relay *relay, vpc_pair *pair);
void vpc_relay_listening(vpc_endpoint *ep, struct vpc_relay *relay);
/* Before there is a pair: the start fails, the relay is given back; listens: its pipe server is taken away. */
void vpc_relay_unmade(vpc_endpoint *ep, struct vpc_relay *relay, bool listens,
                      const struct vpc_start_failure *why);
void vpc_relay_connected(vpc_endpoint *ep, struct vpc_relay *relay);
void vpc_relay_unconnected(vpc_endpoint *ep, struct vpc_relay *relay);
void vpc_relay_opened(vpc_endpoint *ep, struct vpc_relay *relay);
void vpc_relay_refused(vpc_endpoint *ep, struct vpc_relay *relay,
                       const struct vpc_start_failure *why);
void vpc_relay_no_more(vpc_endpoint *ep, struct vpc_relay *relay);
void vpc_relay_gone(vpc_endpoint *ep, struct vpc_relay *relay);
void vpc_relay_broken(vpc_endpoint *ep, struct vpc_relay *relay, uint32_t error);
void vpc_relay_violated(vpc_endpoint *ep, struct vpc_relay *relay);
void vpc_relay_give_up(vpc_endpoint *ep, struct vpc_relay *relay, const char *cause); /* a limit */
void vpc_relay_stop(vpc_endpoint *ep, struct vpc_relay *relay);
void vpc_relay_hang_up(vpc_endpoint *ep, struct vpc_relay *relay);
void vpc_relay_reset(vpc_endpoint *ep, struct vpc_relay *relay, const vpc_session_event *event);
/* It is given back. */
void vpc_relay_released(vpc_endpoint *ep, struct vpc_relay *relay, const char *lost);

/* relay.c: what holds of it */
bool vpc_relay_is(const struct vpc_relay *relay, enum vpc_opening opening);
bool vpc_relay_has_stream(const struct vpc_relay *relay); /* or may have one later */
/* The octets that its program is to have next, and how many of its own would be taken. */
size_t vpc_relay_output(const struct vpc_relay *relay, const void **octets);
size_t vpc_relay_room(const struct vpc_relay *relay);
/* After what may have given it output or room, or taken it away: the caller is told of what is new. */
void vpc_relay_look(vpc_endpoint *ep, struct vpc_relay *relay);
/* The caller asked: it knows of this (bits of enum vpc_has). */
void vpc_relay_asked(struct vpc_relay *relay, unsigned what);
/* Moves it on as far as it can go now. */
void vpc_relay_advance(vpc_endpoint *ep, struct vpc_relay *relay);

/* relay_limits.c: sets its time limit as it is now; it may have passed */
void vpc_relay_set_limit(vpc_endpoint *ep, struct vpc_relay *relay);
void vpc_relay_limit(vpc_endpoint *ep, struct vpc_relay *relay);

/* host.c */
void vpc_host_event(vpc_endpoint *ep, const vpc_session_event *event);
void vpc_host_start(vpc_endpoint *ep, struct vpc_asker asker, const json_t *arguments);
/* The caller has looked: decides the start that waits for it; false: there is none. */
bool vpc_host_start_waiting(vpc_endpoint *ep);
/* It is given up without an answer. */
void vpc_host_forget_waiting(vpc_endpoint *ep);
void vpc_host_stop_pipe(vpc_endpoint *ep, struct vpc_asker asker, const json_t *arguments);
void vpc_host_set_tag(vpc_endpoint *ep, struct vpc_asker asker, const json_t *arguments);
/* Sets or resets the ready event of the tag as it is now; the one of another name before it is given up
   (RDY-1). */
void vpc_host_set_event(vpc_endpoint *ep);
void vpc_host_listening(vpc_endpoint *ep, struct vpc_relay *relay, int error, const char *path);
/* Why a start fails when its pair ends before it is open; lost: why the session was lost, or "". */
struct vpc_start_failure vpc_host_failure_of_end(const struct vpc_relay *relay, const char *lost);
void vpc_host_answer_success(vpc_endpoint *ep, struct vpc_relay *relay);
void vpc_host_answer_failure(vpc_endpoint *ep, struct vpc_relay *relay,
                             const struct vpc_start_failure *why);
/* The endpoint stops: whoever still waits for a pipe server gets an answer. */
void vpc_host_give_up_starts(vpc_endpoint *ep);

/* The guest, the session or the machine is ready, or not: `cause`. */
void vpc_host_look_ready(vpc_endpoint *ep, const char *cause);

/* machine.c */
/* For query-vm; NULL: nobody tells. */
const char *vpc_machine_name(const vpc_endpoint *ep);

/* Whether channels can be started, with the result and what is missing (API-3 to API-5). */
vpc_hresult vpc_host_check_readiness(const vpc_endpoint *ep, const char **cause);
/* The result for an errno of a socket that can not be made (API-16). */
vpc_hresult vpc_host_result_of(int error);
/* What an entry says of a failure. */
void vpc_host_result_fields(json_t *fields, const struct vpc_start_failure *why);

/* forward.c; a guest endpoint has none */
void vpc_forwards_init(vpc_endpoint *ep);
void vpc_forwards_free(vpc_endpoint *ep);
/* The commands. */
void vpc_forward_start(vpc_endpoint *ep, struct vpc_asker asker, const json_t *arguments);
void vpc_forward_stop(vpc_endpoint *ep, struct vpc_asker asker, const json_t *arguments);
void vpc_forward_query(vpc_endpoint *ep, struct vpc_asker asker, const json_t *arguments);
/* The caller's answers: about a number that may be no forward's. */
void vpc_forward_listening(vpc_endpoint *ep, uint32_t number, int error, const char *path);
void vpc_forward_client(vpc_endpoint *ep, uint32_t stream);
/* Lets clients in, or no more, as things are now. */
void vpc_forwards_advance(vpc_endpoint *ep);
/* The endpoint stops. */
void vpc_forwards_stop(vpc_endpoint *ep);
/* The pair of a client does not open; the client's relay is given back. */
void vpc_forward_failed(vpc_endpoint *ep, struct vpc_relay *relay,
                        const struct vpc_start_failure *why);
void vpc_forward_released(vpc_endpoint *ep, const struct vpc_relay *relay);
/* Whether a forward has this number, or its next client will. */
bool vpc_forwards_use(vpc_endpoint *ep, uint32_t number);

/* guest.c */
void vpc_guest_event(vpc_endpoint *ep, const vpc_session_event *event);
void vpc_guest_connected(vpc_endpoint *ep, struct vpc_relay *relay, int error);

/* control.c */
void vpc_control_greet(vpc_endpoint *ep, uint32_t client);
/* The text of an argument, or NULL.  One with a NUL in it, which is JSON but no name of ours, is a text that
   no check lets pass. */
const char *vpc_control_text(const json_t *arguments, const char *key);
void vpc_control_request(vpc_endpoint *ep, uint32_t client, const char *line, size_t n);
/* The answer waits for a relay: it is kept in that place until it is given, or its client has gone. */
void vpc_asker_keep(vpc_endpoint *ep, struct vpc_asker *place, struct vpc_asker asker);
/* The client has gone: none of its answers waits any more. */
void vpc_control_forget(vpc_endpoint *ep, uint32_t client);
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

/* events.c */
void vpc_endpoint_on_event(void *user, const vpc_session_event *event);

/* endpoint.c */
vpc_endpoint *vpc_endpoint_create(const vpc_endpoint_config *config, uint64_t now_ms);
void vpc_endpoint_destroy(vpc_endpoint *ep);
/* After whatever was given to the endpoint, moves everything as far as it goes. */
void vpc_endpoint_finish(vpc_endpoint *ep);
void vpc_endpoint_clock(vpc_endpoint *ep, uint64_t now_ms);
uint64_t vpc_endpoint_deadline(const vpc_endpoint *ep);
void vpc_endpoint_stop(vpc_endpoint *ep, uint64_t limit_ms);
/* At most 32 characters of printable ASCII. */
bool vpc_valid_tag(const char *tag);

/* The endpoint's clock was told. */
static inline void vpc_machine_clock(vpc_endpoint *ep)
{
    if (ep->stands == NULL)
        ep->time = ep->now - ep->held;
}

/* When a time of the session or a pair is there, by clock(), or VPC_NEVER. */
static inline uint64_t vpc_machine_due(const vpc_endpoint *ep, uint64_t time)
{
    return time == VPC_NEVER || ep->stands != NULL ? VPC_NEVER : time + ep->held;
}

/* Of two times. */
static inline uint64_t vpc_earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

#endif
