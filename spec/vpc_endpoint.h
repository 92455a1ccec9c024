/* SPDX-License-Identifier: MIT */
/*
 * The sans-IO endpoint ABI of VPCBus 1.0 (VPCBUS.md, section 11).
 *
 * An endpoint that is a library without input and output of its own: the caller feeds it octets, events and the time, and
 * takes from it octets to send and actions to carry out.  The conformance harness runs every shared object that exports
 * the symbol `vpc_endpoint_abi_v1` in-process on a virtual clock; the reference's daemons are shells around the same ABI.
 *
 * Conventions
 *   Ownership   What a pointer argument points to is the caller's and is read during the call only.  What the endpoint
 *               hands out (an action's text, output octets) is the endpoint's and stays valid until the next call on
 *               the same endpoint, next_action() and output() of any kind included.
 *   NULL        No argument may be NULL unless it is said below.
 *   Threads     One endpoint is used by one thread at a time; different endpoints share nothing.
 *   Time        Milliseconds of a monotonic clock that never runs backwards; the endpoint knows only what clock() told it.
 *   Reentry     The endpoint calls nothing but config.random.
 *   Order       After each call that gives the endpoint something (bus_sent() and stream_sent() are such calls too), the
 *               caller takes all actions, then output.
 *   Streams     The local connections: pipe clients at a host endpoint, TCP connections at a guest endpoint.  The endpoint
 *               numbers them from 1 and never uses a number twice.
 *   Limits      A control line has at most VPC_CONTROL_LINE_MAX octets without its newline; actions that have not been
 *               taken are bounded by the number of pairs and of control clients, save LOG and REPLY, of which each call
 *               makes a bounded number.
 *   Additions   A caller passes over actions of a kind that it does not know; those added after version 1 are told as such.
 */
#ifndef VPC_ENDPOINT_H
#define VPC_ENDPOINT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VPC_ENDPOINT_ABI_VERSION 1u
#define VPC_ENDPOINT_ABI_SYMBOL  "vpc_endpoint_abi_v1"
#define VPC_CONTROL_LINE_MAX     65536u
#define VPC_NEVER                UINT64_MAX

typedef struct vpc_endpoint vpc_endpoint;

enum vpc_role {
    VPC_ROLE_HOST = 1,
    VPC_ROLE_GUEST = 2,
};

typedef struct vpc_endpoint_config {
    uint32_t role;  /* enum vpc_role */
    const char *vm; /* the virtual machine's name, for the log */
    /* the chassis asset tag: a guest's own; for a host the one expected, or "" to learn it */
    const char *tag;
    /* a JSON object of the settings in section 10 of VPCBUS.md ("{}": all defaults) */
    const char *options;
    uint64_t (*random)(void *user); /* 64 unpredictable bits; called once for each epoch */
    void *user;                     /* handed to random(); may be NULL */
    char *error;       /* where create() writes why it failed, as a text; may be NULL */
    size_t error_size; /* octets there */
} vpc_endpoint_config;

enum vpc_action_kind {
    VPC_ACTION_NONE = 0,
    /* host: make the pipe server `text` (the full pipe name) for `stream`; answer with stream_listening(), unless UNLISTEN comes
     * before it is made */
    VPC_ACTION_LISTEN,
    /* host: no client came or the pair is over: remove the pipe server of `stream`; no more calls about it follow */
    VPC_ACTION_UNLISTEN,
    /* guest: connect to 127.0.0.1:`value`, give up after `limit_ms`; answer with stream_opened() */
    VPC_ACTION_CONNECT,
    /* all output of `stream` was taken before this action: finish writing (FIN), keep reading */
    VPC_ACTION_SHUTDOWN,
    /* close `stream` in an orderly way and forget it; on a host this removes its pipe server too */
    VPC_ACTION_CLOSE,
    /* abort `stream` (in a guest a TCP reset, never a FIN) and forget it; on a host remove its pipe server too */
    VPC_ACTION_ABORT,
    /* send the line `text` (no newline in it) to the control client `client` */
    VPC_ACTION_REPLY,
    /* send the event line `text` (no newline in it) to every control client */
    VPC_ACTION_BROADCAST,
    /* append the JSON object `text` (no newline in it) to the event log; it is also broadcast as EVENT_LOGGED by the
     * endpoint itself, as an action of its own */
    VPC_ACTION_LOG,
    /* host: set (`value` 1) or reset (0) the named ready event `text`; reset and give up the one of another name before it;
     * an addition: `client` 1 says that the tag was given to the endpoint (RDY-7), 0 that a guest said it */
    VPC_ACTION_READY,
    /* the endpoint has stopped for good: nothing more will come from it, and what bus_output() still has need not be sent */
    VPC_ACTION_STOPPED,
    /* host: the client of `stream` counts as gone (API-14): take what it has written by now, as there is room, then say
     * stream_eof(); take nothing that it writes later, and give it no output any more */
    VPC_ACTION_HANGUP,
    /* An addition: `stream` has output, or room, that it did not have when the caller last asked.  A caller need not be
     * told: one that asks every stream after each call may ignore it, and an endpoint need not say it. */
    VPC_ACTION_WAKE,
    /* host, an addition: a start names the pipe of `stream`, and is decided when this action is carried out (API-13).  A
     * client that waits in its pipe server: stream_opened().  One that has closed: stream_gone(), whether or not it is all
     * read.  Neither is so: no call. */
    VPC_ACTION_LOOK,
    /* host, an addition: the pipe server of `stream` stops and its name is free (API-13); the stream goes on until it is
     * closed or aborted */
    VPC_ACTION_FREE_NAME,
    /* host, an addition: listen for the forward `stream` where `text` says (FWD-1); answer with stream_listening(), where the
     * path is the Unix socket's, or ADDRESS:PORT with the port that it is.  UNLISTEN ends it */
    VPC_ACTION_FORWARD,
    /* host, an addition: let one client of the forward `value` in as `stream`, the first that waits or the next that comes, and
     * say stream_opened(), not before all actions were carried out.  UNLISTEN of that stream takes it back; so does that of
     * the forward */
    VPC_ACTION_ACCEPT,
};

typedef struct vpc_action {
    uint32_t kind;     /* enum vpc_action_kind */
    uint32_t stream;   /* 0: none */
    uint32_t client;   /* 0: none */
    uint32_t value;    /* port, or 0 and 1 */
    uint64_t limit_ms; /* CONNECT: time limit */
    const char *text;  /* NULL: none; UTF-8, ends with a NUL */
    size_t text_len;   /* octets of text without the NUL */
} vpc_action;

typedef struct vpc_endpoint_abi {
    uint32_t abi_version; /* VPC_ENDPOINT_ABI_VERSION */

    /* Makes an endpoint at time now_ms; its transport is down.  NULL with errno EINVAL (a bad option or role) or ENOMEM. */
    vpc_endpoint *(*create)(const vpc_endpoint_config *config, uint64_t now_ms);
    /* Frees it; NULL is ignored.  Takes no action: stop first where the peer shall be told. */
    void (*destroy)(vpc_endpoint *ep);

    /* The time is now_ms: runs the timers that are due. */
    void (*clock)(vpc_endpoint *ep, uint64_t now_ms);
    /* When clock() must be called at the latest, or VPC_NEVER. */
    uint64_t (*deadline)(const vpc_endpoint *ep);

    /* The byte stream to the peer is there; it ended. */
    void (*bus_up)(vpc_endpoint *ep);
    void (*bus_down)(vpc_endpoint *ep);
    /* n octets came from the peer; all are taken. */
    void (*bus_input)(vpc_endpoint *ep, const void *octets, size_t n);
    /* The octets to send next: returns how many, sets *octets; 0 when there are none. */
    size_t (*bus_output)(vpc_endpoint *ep, const void **octets);
    /* n of them were sent, at most what the last bus_output() returned. */
    void (*bus_sent)(vpc_endpoint *ep, size_t n);

    /* A control client (a number of the caller's, not 0) came, said the line (without newline), went. */
    void (*control_open)(vpc_endpoint *ep, uint32_t client);
    void (*control_line)(vpc_endpoint *ep, uint32_t client, const char *line, size_t n);
    void (*control_close)(vpc_endpoint *ep, uint32_t client);

    /* Host, answers LISTEN and FORWARD: error 0 and where the pipe server is (a path; "" if it has none), or an errno and "". */
    void (*stream_listening)(vpc_endpoint *ep, uint32_t stream, int error, const char *path);
    /* Host: a client opened the pipe, or was let in (error 0).  Guest: the connect succeeded (0) or failed (an errno). */
    void (*stream_opened)(vpc_endpoint *ep, uint32_t stream, int error);
    /* How many octets stream_input() would take now.  0 before the pair is open and while the window is full. */
    size_t (*stream_room)(const vpc_endpoint *ep, uint32_t stream);
    /* n octets came from the local program; returns how many were taken, min(n, stream_room()). */
    size_t (*stream_input)(vpc_endpoint *ep, uint32_t stream, const void *octets, size_t n);
    /* The local program finished writing, and every octet of it was taken; it may still read. */
    void (*stream_eof)(vpc_endpoint *ep, uint32_t stream);
    /* The local program is wholly gone; error 0 when it closed, or an errno such as ECONNRESET.  With 0 it comes after
     * stream_eof(), or, while there is no room for what the program has written or because of LOOK, before it: the rest
     * and stream_eof() follow, or the endpoint gives the stream up (CLS-8). */
    void (*stream_gone)(vpc_endpoint *ep, uint32_t stream, int error);
    /* The octets to write to the local program next, and how many of them were written.  As for the bus. */
    size_t (*stream_output)(vpc_endpoint *ep, uint32_t stream, const void **octets);
    void (*stream_sent)(vpc_endpoint *ep, uint32_t stream, size_t n);

    /* Takes the next action: 1 and *action, or 0 when there is none. */
    int (*next_action)(vpc_endpoint *ep, vpc_action *action);

    /* Ends the session in an orderly way: drains open pairs for at most limit_ms, says GOODBYE, then STOPPED comes.  Called
     * again it can make the limit shorter: 0 ends at once. */
    void (*stop)(vpc_endpoint *ep, uint64_t limit_ms);
} vpc_endpoint_abi;

/* What an implementation exports. */
extern const vpc_endpoint_abi vpc_endpoint_abi_v1;

/* Addition: what a host endpoint can be told of its machine (TRN-7).  The first four stay until the next is told. */
enum vpc_machine_state {
    VPC_MACHINE_UNKNOWN = 0, /* nobody tells, as at first: it is taken for one that runs */
    VPC_MACHINE_RUNS,
    VPC_MACHINE_PAUSED,
    VPC_MACHINE_SHUT_DOWN,
    VPC_MACHINE_RESET,       /* it has just begun anew */
    VPC_MACHINE_PORT_CLOSED, /* in the guest nobody has the port of the bus open any more */
};

/* Addition: an implementation that can be told of its machine exports this too; one that can not leaves it out.  What the
 * guest wrote before it is given first, with bus_input(). */
#define VPC_ENDPOINT_MACHINE_SYMBOL "vpc_endpoint_machine_v1"
typedef void vpc_endpoint_machine(vpc_endpoint *ep, uint32_t machine); /* enum vpc_machine_state */
extern vpc_endpoint_machine vpc_endpoint_machine_v1;

#ifdef __cplusplus
}
#endif
#endif
