/* SPDX-License-Identifier: MIT */
/*
 * Interoperation: a host endpoint and a guest endpoint of any two implementations, with the harness in the
 * middle.
 *
 * Each is a subject of the socket backend, as in a run of scenarios, but what one sends on the bus goes to
 * the other.  The monitors judge both, and programs of the harness at either side hold conversations.
 *
 * Ownership: a pairing is the caller's and owns all that hangs on it; vpc_pairing_end() frees it and ends the
 * processes.
 * Errors: a function that gives false has said why: in `why` when an endpoint did not do what it must, in
 *         `trouble` when it was the harness or the machine.  The first stays, and each is one line.  Where
 *         the machine may be why an endpoint did not, `excused` says so: the conversation tells nothing.
 * Time:   milliseconds of the backends' clock.
 */
#ifndef VPC_CONFORM_INTEROP_H
#define VPC_CONFORM_INTEROP_H

#include <jansson.h>

#include "backends/backend.h"
#include "backends/load.h"
#include "backends/witness.h"
#include "record/record.h"
#include "run/run.h"
#include "testers/monitor.h"
#include "testers/trace.h"

enum conform_side { VPC_HOST_SIDE, VPC_GUEST_SIDE };

struct vpc_pairing;

struct conform_endpoint {
    struct vpc_pairing *pairing;
    const struct vpc_implementation *implementation;
    struct vpc_backend *backend;
    enum conform_side side;
    enum vpc_role_bit role;
    struct vpc_monitor monitor;
    struct vpc_decoder decoder; /* of what it sends */
    struct conform_load load;   /* of the machine, since the conversation began, or its process */
    char *dir;
    bool up;      /* on the bus */
    bool stopped; /* ended as it was told to */
};

/* A connection of the harness's programs: a pipe client at the host, a server's connection in the guest. */
struct vpc_talker {
    struct vpc_talker *next;
    enum conform_side side;
    int id;
    bool taken; /* by a conversation */
    bool ended; /* its end was read, or it was reset */
    bool closed;
    struct vpc_buffer in;
};

struct vpc_pairing {
    const struct vpc_table *table;
    struct conform_witness witness;
    struct conform_endpoint ends[2]; /* by enum conform_side */
    enum vpc_split split;
    unsigned short random[3]; /* of nrand48() */
    uint64_t given_ms;        /* to this conversation */
    uint64_t deadline;        /* when that is over */
    struct conform_trace *trace;
    struct vpc_record *record;
    json_t *catalogue;
    struct vpc_talker *talkers;
    json_t *answer; /* the last of the control socket, or NULL */
    int last_id;    /* of control clients, requests and pipes */
    int client;     /* the control client; 0: none */
    uint64_t old_session;
    bool saw;
    uint64_t stalled; /* the harness itself, for so long at most in this conversation, ms */
    bool excused;     /* what is wrong may be the machine's */
    char *why, *trouble;
};

struct vpc_pairing_config {
    const struct vpc_table *table;
    const struct vpc_implementation *host;
    const struct vpc_implementation *guest;
    enum vpc_split split; /* of what is relayed */
    uint64_t seed;
    uint64_t limit_ms;
    const char *dir;   /* for sockets; its path is short */
    const char *out;   /* where trace.txt and bus.pcapng are written */
    unsigned sandbox;  /* parts that this process has entered (backends/sandbox.h) */
    const char *build; /* for descriptors */
};

/* ---- pairing.c: both endpoints and the stream between them --------------------------------------------- */

bool vpc_pairing_begin(struct vpc_pairing *pairing, const struct vpc_pairing_config *config);
/* The trace and the recording, as far as they go: what can not be written is trouble. */
void vpc_pairing_write(struct vpc_pairing *pairing, const char *out);
void vpc_pairing_end(struct vpc_pairing *pairing);
bool vpc_endpoint_start(struct conform_endpoint *end);
/* Kills it without a word. */
void vpc_endpoint_kill(struct conform_endpoint *end);
/* The conversation has until so long from now. */
void vpc_pairing_give(struct vpc_pairing *pairing, uint64_t ms);
/* Goes on for a moment; whether there is time left. */
bool vpc_pairing_in_time(struct vpc_pairing *pairing);
/* Fails since the time is over, unless the machine is why: then it is excused. */
bool vpc_pairing_late(struct vpc_pairing *pairing, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Something went wrong: it is excused when the machine was short of something. */
void vpc_pairing_excuse(struct vpc_pairing *pairing);
/* After a failure: both are killed, and what was wrong is forgotten. */
void vpc_pairing_clear(struct vpc_pairing *pairing);

/* The first word stays; false. */
bool vpc_pairing_fail(struct vpc_pairing *pairing, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Goes on until it is done.  At the conversation's deadline, or when something else went wrong, it fails for
   want of `what`. */
typedef bool vpc_done_fn(struct vpc_pairing *pairing, const void *user);
bool vpc_pairing_until(struct vpc_pairing *pairing, vpc_done_fn *done, const void *user,
                       const char *what);

/* ---- relay.c: what the backends see -------------------------------------------------------------------- */

/* The sink; user is the endpoint. */
void vpc_endpoint_seen(void *user, const struct vpc_seen *seen);
/* Each is read as long as the other takes it. */
void vpc_relay_pace(struct vpc_pairing *pairing);

/* ---- programs.c: the programs at both sides ------------------------------------------------------------ */

struct conform_pair {
    struct vpc_talker *client, *server;
    char *pipe; /* its name; "": none */
};

/* Both endpoints are in one session, not that of before, and the host says that it is ready. */
bool vpc_wait_ready(struct vpc_pairing *pairing);
/* A request and its answer, in pairing->answer. */
bool vpc_request(struct vpc_pairing *pairing, const char *command, json_t *arguments);
/* Starts a channel to the port; its answer is in pairing->answer, whatever it is.  name: NULL for one of its
   own. */
bool vpc_start_channel(struct vpc_pairing *pairing, struct conform_pair *pair, uint16_t port,
                       const char *name);
/* The same to VPC_INTEROP_PORT, which must be good; both of its programs are connected then.  Free it in any
   case. */
bool vpc_open_pair(struct vpc_pairing *pairing, struct conform_pair *pair, const char *name);
void vpc_pair_free(struct conform_pair *pair);
void vpc_say_octets(struct vpc_pairing *pairing, const struct vpc_talker *talker,
                    const void *octets, size_t n);
void vpc_say_end(struct vpc_pairing *pairing, const struct vpc_talker *talker);
/* Closes it after what waits. */
void vpc_hang_up(struct vpc_pairing *pairing, struct vpc_talker *talker);
/* At once, with what it has not read or sent: a TCP connection is reset by it. */
void conform_cut(struct vpc_pairing *pairing, struct vpc_talker *talker);
/* Its programs read on, or not. */
void vpc_let_read(struct vpc_pairing *pairing, const struct vpc_talker *talker, bool on);
/* Exactly these octets come, and are taken. */
bool vpc_hear(struct vpc_pairing *pairing, struct vpc_talker *talker, const void *octets, size_t n);
/* No octet more comes, but the end. */
bool vpc_hear_end(struct vpc_pairing *pairing, struct vpc_talker *talker);
/* The end comes, after whatever else. */
bool vpc_wait_end(struct vpc_pairing *pairing, struct vpc_talker *talker);
/* Nothing of any pair is left in the host. */
bool vpc_wait_no_pairs(struct vpc_pairing *pairing);
void vpc_forget_talkers(struct vpc_pairing *pairing);

#define VPC_INTEROP_PORT    6174
#define VPC_INTEROP_REFUSED 6175

/* As many as each endpoint may have open: one that leaks them does not come far. */
#define VPC_INTEROP_DESCRIPTORS 100

/* ---- conversations.c ----------------------------------------------------------------------------------- */

/*
 * Starts both endpoints and holds all conversations; after one that failed both are started anew.  The result
 * is an object with the names "host" and "guest", the list "conversations" (name, passed, inconclusive, ms,
 * why), and "trouble", a text or null.  Inconclusive is what did not pass and tells nothing, since the
 * machine may be why.
 */
json_t *vpc_pairing_hold_all(const struct vpc_pairing_config *config);

/* ---- matrix.c ------------------------------------------------------------------------------------------ */

struct vpc_suite;

/* Each host of the suite with each guest, and with each split, as many at once as its jobs say: "hosts",
 * "guests", and "pairings" split by split and row by row, each with its "split". */
json_t *vpc_interop_run(struct vpc_suite *suite);
/* The matrix for people, of each split one, and what failed below. */
void vpc_interop_write(const json_t *matrix, FILE *out);
/* 0, VPC_EXIT_FAIL, VPC_EXIT_INCONCLUSIVE or VPC_EXIT_HARNESS. */
int vpc_interop_exit(const json_t *matrix);

#endif
