/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the shell know of each other.
 *
 * Rules between the parts:
 *   - After each call that gives the endpoint something, vpc_carry_out() takes its actions.  The turn ends with
 *     vpc_shell_exchange(), which takes output too; who gives much (a read of the bus, a line of a client) calls it at once.
 *   - Actions only change state, queue text and close descriptors; they free nothing that a caller up the stack
 *     may hold: a closed stream and a doomed control client stay in their lists until later in the turn.
 *   - No part waits: every descriptor is non-blocking.
 */
#ifndef VPC_SHELL_INTERNAL_H
#define VPC_SHELL_INTERNAL_H

#include <stddef.h>

#include <jansson.h>
#include <sys/types.h>

#include "bus_address.h"
#include "journal.h"
#include "listener.h"
#include "log_entry.h"
#include "log_share.h"
#include "loop.h"
#include "observer.h"
#include "opener.h"
#include "qmp.h"
#include "service_manager.h"
#include "shell.h"
#include "stream_machines.h"
#include "vpc.h"

enum {
    VPC_CHUNK = 65536,           /* octets per read */
    VPC_BUDGET = 262144,         /* octets per descriptor before the others have their turn */
    VPC_ACCEPT_BACKOFF_MS = 100, /* no descriptors left: look again after this */
    VPC_REFUSED_LOG_MS = 1000    /* refused clients are told this often at most */
};

struct vpc_bus {
    struct vpc_shell *shell;
    struct vpc_bus_address address;
    bool up;
    bool connecting;     /* watch is of a connection that is not there yet */
    int last_error;      /* the reason why there is no transport that was last told to people */
    uint64_t in_line_at; /* of a connection that was not accepted yet: since when it waits */
    bool told_in_line;   /* the log knows that */
    struct vpc_watch watch;
    struct vpc_timer retry; /* while connecting: the end of this try */
    struct vpc_listener listener;
    uint64_t error_note_at;    /* no note about the transport before */
    uint64_t stranger_note_at; /* no note about a machine that was turned away before */
};

/* NULL for an empty list. */
#define VPC_FIRST(list, type, member)                                                              \
    (vpc_list_empty(list) ? NULL : VPC_LIST_ENTRY((list)->next, type, member))

/* All local streams.  Each is in one of the first two lists. */
struct vpc_streams {
    struct vpc_index by_number; /* those that are not closed */
    struct vpc_link all;
    struct vpc_link closed;   /* freed when the turn is over */
    struct vpc_link look;     /* something is to be moved, or may be */
    struct vpc_link later;    /* the same, in the next turn: their share of this one is used up */
    struct vpc_link interest; /* looked at: what they want of epoll may be another thing now */
    unsigned lingering;
    unsigned
        unread; /* those whose program can write no more, and what it wrote is still to be read */
};

struct vpc_client {
    struct vpc_shell *shell;
    uint32_t number;
    struct vpc_entry entry; /* of by_number, until it is doomed */
    struct vpc_link all;    /* of the clients, then of the doomed, then of those to be freed */
    struct vpc_link flush;  /* while it has output that was not offered, or other interests */
    struct vpc_link more;   /* while whole lines of it wait for their turn */
    bool doomed;            /* disconnected */
    bool in_eof;            /* it finished writing */
    /* goes when its output is sent and it has finished writing; its input is not looked at */
    bool leaving;
    struct vpc_timer leave;      /* armed while leaving: its end */
    struct vpc_timer unfinished; /* armed while in_line: the end of its patience */
    bool in_line;                /* a line has begun */
    bool has_asked;              /* sent a whole line */
    uint64_t asked_at;           /* when it did last; before, when it came */
    struct vpc_watch watch;
    char *in; /* VPC_CONTROL_LINE_MAX + 1 octets */
    size_t in_size;
    char *out;
    size_t out_size, out_capacity;
};

struct vpc_control_server {
    struct vpc_listener listener;
    char refusal[320];          /* what a client of another user is told */
    struct vpc_index by_number; /* those that are not doomed */
    struct vpc_link all;        /* the same */
    struct vpc_link doomed;     /* the endpoint was not told of their end yet */
    struct vpc_link told;       /* freed when the turn is over */
    struct vpc_link flush;
    struct vpc_link more;
    unsigned here;        /* of the first */
    unsigned with_output; /* how many have some */
    uint64_t sent;        /* octets, to all of them so far */
    uint32_t last_number;
    struct vpc_timer more_lines; /* armed while there are clients in `more` */
};

struct vpc_log_file {
    int fd;    /* -1: closed */
    bool torn; /* it ends in mid-line */
};

struct vpc_log {
    struct vpc_log_file files[2];   /* FILE, and FILE.guest, which is opened when it is needed */
    const struct vpc_opener *asked; /* who opens them, and turns them over */
    char path[VPC_FILE_SIZE];       /* for messages */
    uint64_t limit;                 /* of each, in octets; 0: none */
    bool shared;                    /* FILE is, as log_share.h says */
    uint64_t used[VPC_LOG_SHARES];
    bool verbose;
    bool failed, told; /* the last write did; people know */
    uint64_t lost;     /* entries since it fails */
    uint64_t note_at;  /* no note that it fails before */
};

struct vpc_trace;

struct vpc_shell {
    struct vpc_shell_config config;
    const vpc_endpoint_abi *abi;
    vpc_endpoint *ep;
    struct vpc_loop loop;
    struct vpc_bus bus;
    struct vpc_hypervisor monitor; /* without an observer */
    struct vpc_watch observer;     /* fd -1: there is none */
    struct vpc_control_server control;
    struct vpc_log log;
    struct vpc_journal journal;
    struct vpc_service_manager manager;
    struct vpc_trace *trace; /* NULL: there is none */
    char ready_name[VPC_EVENT_NAME_SIZE];
    bool ready_asked; /* the opener has it, or tried to */
    int ready_alive;  /* its lock says to all that the owner lives; -1: none */
    bool ready_wanted;
    bool ready_given;         /* its tag: not said by a guest (RDY-7) */
    int ready_error;          /* why the event is not as it is wanted, as the log knows it */
    uint64_t ready_log_since; /* the second in which the log was told so often */
    unsigned ready_logged;
    struct vpc_timer ready_retry;
    struct vpc_streams streams;
    struct vpc_link forwards;  /* forward.c */
    const char *forward_asked; /* at the start: which is being made, */
    int forward_error;         /* and why one could not be */
    struct vpc_watch signals;
    const struct vpc_opener *asked; /* who does what we must not do */
    struct vpc_opener own;          /* that, where we do it ourselves: with these */
    struct vpc_acts acts;
    char log_name[VPC_FILE_SIZE], trace_name[VPC_FILE_SIZE]; /* after a reload, for messages */
    struct vpc_watch opener;                                 /* its end; fd -1: there is none */
    bool without_opener;                                     /* it has ended, and so must we */
    unsigned signals_seen;
    uint64_t stop_at; /* not 0: told to stop, the endpoint not yet; the end of the limit */
    bool exchanging;
    bool looking; /* at one stream, for LOOK: no action is taken meanwhile */
    bool stopped;
    unsigned char chunk[VPC_CHUNK];
};

/* shell.c */
void vpc_shell_exchange(struct vpc_shell *shell);
/* Whether standard error takes a line now: a pipe that nobody reads must not hold up an endpoint. */
bool vpc_shell_is_heard(void);
/* "PROGRAM: text" on stderr, with a newline; nothing when it is not heard. */
void vpc_shell_note(const struct vpc_shell *shell, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* run.c: tells the endpoint to stop as soon as it has all that the local programs wrote, or the limit is over. */
void vpc_stop_advance(struct vpc_shell *shell);

/*
 * entry.c: an entry of the log about what only the shell sees, also to the control clients as
 * EVENT_LOGGED.  Takes over the reference to fields, which may be NULL.
 */
void vpc_shell_log(struct vpc_shell *shell, enum vpc_log_id id, json_t *fields);

/* carry_out.c: carries out what the endpoint asks for; whether there was anything. */
bool vpc_carry_out(struct vpc_shell *shell);

/* bus.c: the text is one of bus_address.h */
int vpc_bus_open(struct vpc_bus *bus, struct vpc_shell *shell, const char *text);
void vpc_bus_flush(struct vpc_bus *bus);
/* While it waits in line: whether its turn has come.  In each turn of the loop, before what others ask of the endpoint. */
void vpc_bus_look(struct vpc_bus *bus);
/* Gives the endpoint what the peer has sent so far. */
void vpc_bus_take(struct vpc_bus *bus);
void vpc_bus_close(struct vpc_bus *bus);

/* bus_vsock.c */
/* A connection to *fd: 0, EINPROGRESS (it becomes writable when it is decided), or an errno. */
int vpc_vsock_connect(const struct vpc_bus_address *address, int *fd);
/* A socket that listens to *fd: 0, or an errno. */
int vpc_vsock_listen(const struct vpc_bus_address *address, int *fd);
/* Whether the machine at the other end may be there; its CID. */
bool vpc_vsock_is_welcome(const struct vpc_bus_address *address, int fd, uint32_t *cid);

/* machine.c: without a monitor they do nothing */
int vpc_machine_open(struct vpc_shell *shell);
void vpc_machine_close(struct vpc_shell *shell);

/* stream.c */
/* With room for so many, or more in more time each.  0, or ENOMEM: to be closed all the same. */
int vpc_streams_open(struct vpc_streams *streams, unsigned room);
/* Aborts and frees them all. */
void vpc_streams_close(struct vpc_shell *shell);
/* No program can write any more; what they have written is still read. */
void vpc_streams_take_no_more(struct vpc_shell *shell);
void vpc_streams_bury(struct vpc_shell *shell); /* frees what ended */
struct vpc_stream *vpc_stream_new(struct vpc_shell *shell, uint32_t number, bool local);
struct vpc_stream *vpc_stream_find(struct vpc_shell *shell, uint32_t number);
void vpc_stream_start(struct vpc_stream *stream, int fd);   /* it is open */
void vpc_stream_fail(struct vpc_stream *stream, int error); /* it will not be */
void vpc_stream_received(struct vpc_stream *stream); /* the server's side has all of the output */
/* It has output or room, or may have. */
void vpc_stream_wake(struct vpc_stream *stream);
/* What the endpoint says. */
void vpc_stream_shutdown(struct vpc_stream *stream);
void vpc_stream_close(struct vpc_stream *stream);
void vpc_stream_abort(struct vpc_stream *stream);
void vpc_stream_hang_up(struct vpc_stream *stream);
/* Nobody else is let in, and the name is given back; its client stays. */
void vpc_stream_free_name(struct vpc_stream *stream);

/* What stream_io.c sees. */
/* Steps the machines and carries out what the endpoint wants by what it was told. */
void vpc_stream_happens(struct vpc_stream *stream, enum vpc_stream_event event);
void vpc_stream_end_is_read(struct vpc_stream *stream);
/* A TCP connection has an error. */
void vpc_stream_breaks(struct vpc_stream *stream, int error);
/* EPOLLHUP or EPOLLERR, or what read() says instead. */
void vpc_stream_ends(struct vpc_stream *stream, int error);

/* stream_io.c */
void vpc_stream_on_ready(struct vpc_watch *watch, uint32_t events);
/* Tells the endpoint at once that its client came or is gone, where that is so. */
void vpc_stream_look_now(struct vpc_stream *stream);
/* Looks at each stream in the list of those to be looked at, and at those that come there meanwhile. */
void vpc_streams_look(struct vpc_shell *shell);
/* Tells the kernel what those want that were looked at. */
void vpc_streams_want(struct vpc_shell *shell);
/* Whether there is one to be looked at, in this turn. */
bool vpc_streams_wait(const struct vpc_shell *shell);
/* A turn begins: all have their shares anew. */
void vpc_streams_next_turn(struct vpc_shell *shell);

/* pipe_input.c: as readv() of what a pipe's client has written */
void vpc_pipe_input_begin(struct vpc_stream *stream);
ssize_t vpc_pipe_take(struct vpc_stream *stream, struct iovec space[2], unsigned count);

/* pipe_server.c, tcp_client.c */
void vpc_pipe_listen(struct vpc_shell *shell, uint32_t number, const char *name);
void vpc_tcp_connect(struct vpc_shell *shell, uint32_t number, unsigned port, uint64_t limit_ms);
/* Ends our writing; whether the server's side of a connection has not all of the output yet. */
bool vpc_tcp_end(struct vpc_stream *stream);
/* Keeps such a connection until it has, or never will. */
void vpc_tcp_linger(struct vpc_stream *stream);

/* control_server.c */
void vpc_control_server_init(struct vpc_control_server *control); /* without a socket */
int vpc_control_server_open(struct vpc_control_server *control, struct vpc_shell *shell,
                            const char *path);
void vpc_control_server_close(struct vpc_control_server *control);
void vpc_control_server_reply(struct vpc_control_server *control, uint32_t client, const char *text,
                              size_t n);
void vpc_control_server_broadcast(struct vpc_control_server *control, const char *text, size_t n);
void vpc_control_server_flush(struct vpc_control_server *control);
/* Tells the endpoint of one client that left; whether there was any. */
bool vpc_control_server_reap(struct vpc_control_server *control);
void vpc_control_server_bury(struct vpc_control_server *control); /* frees who left */

/* log_file.c */
/* Without a file. */
void vpc_log_init(struct vpc_log *log);
int vpc_log_open(struct vpc_log *log, const struct vpc_shell *shell);
/* Cuts files that are larger than the limit to their newest entries; before the sandbox is entered. */
int vpc_log_shorten(struct vpc_log *log);
/* The same as the configuration says now; when that fails the log stays as it is. */
int vpc_log_reopen(struct vpc_log *log, const struct vpc_shell *shell);
void vpc_log_close(struct vpc_log *log);
void vpc_log_write(struct vpc_shell *shell, const char *text, size_t n);

/* trace.c: without a trace the last three do nothing */
/* Begins one, or goes on in another file, as the configuration says; the one before stays when that fails.
 * EEXIST: the file is something else than a trace. */
int vpc_trace_open(struct vpc_shell *shell);
void vpc_trace_close(struct vpc_shell *shell);
/* Tells the log that a trace can not be written, or not be opened again. */
void vpc_trace_failed(struct vpc_shell *shell, const char *path, int error);
/* What was received or sent on the bus. */
void vpc_trace_octets(struct vpc_shell *shell, bool outbound, const void *octets, size_t n);
/* The bus ended. */
void vpc_trace_down(struct vpc_shell *shell);
/* An entry of the event log. */
void vpc_trace_entry(struct vpc_shell *shell, const char *text, size_t n);

/* ready_event.c */
void vpc_ready_set(struct vpc_shell *shell, const char *name, bool set, bool given);
void vpc_ready_close(struct vpc_shell *shell);

#endif
