/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the shell know of each other.
 *
 * Rules between the parts:
 *   - After each call that gives the endpoint something, vpc_shell_exchange() takes its actions and its output.
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
#include "log_entry.h"
#include "loop.h"
#include "shell.h"
#include "vpc.h"

enum {
    VPC_CHUNK = 65536,           /* octets per read */
    VPC_BUDGET = 262144,         /* octets per descriptor before the others have their turn */
    VPC_ACCEPT_BACKOFF_MS = 100, /* no descriptors left: look again after this */
    VPC_REFUSED_LOG_MS = 1000    /* refused clients are told this often at most */
};

/* A socket that listens; a Unix socket under a name that is locked over all processes. */
struct vpc_listener {
    struct vpc_watch watch;   /* .fd -1 when it does not listen (any more) */
    struct vpc_timer backoff; /* armed while accept() has no descriptors */
    int lock;                 /* -1: nothing is held */
    bool (*welcomes)(struct vpc_listener *listener, int fd); /* whether this client may come in */
    char path[VPC_PATH_SIZE];
    const char *refusal;     /* what a client of another user is told; NULL: nothing */
    uint64_t refused;        /* such clients since the last entry in the log */
    uint64_t refused_log_at; /* no entry before */
    bool is_short;           /* the log knows that there are no descriptors */
    struct vpc_shell *shell;
    void (*on_client)(struct vpc_listener *listener, int fd);
    void *owner;
};

struct vpc_bus {
    struct vpc_shell *shell;
    struct vpc_bus_address address;
    bool up;
    bool connecting; /* watch is of a connection that is not there yet */
    int last_error;  /* the reason why there is no transport that was last told to people */
    struct vpc_watch watch;
    struct vpc_timer retry; /* while connecting: the end of this try */
    struct vpc_listener listener;
    uint64_t stranger_note_at; /* no note about a machine that was turned away before */
};

enum vpc_stream_phase {
    VPC_STREAM_LISTENING,
    VPC_STREAM_CONNECTING,
    VPC_STREAM_OPEN,
    VPC_STREAM_LINGERING, /* the endpoint has forgotten it */
    VPC_STREAM_CLOSED,
};

struct vpc_stream {
    struct vpc_shell *shell;
    uint32_t number;
    enum vpc_stream_phase phase;
    bool local;     /* a pipe client, not a TCP connection */
    bool hup;       /* both directions are over; not in epoll any more */
    bool eof;       /* stream_eof() was said */
    bool gone;      /* stream_gone() was said */
    bool shut;      /* we finished writing */
    bool last;      /* its program can write no more; what it wrote is still to be read */
    bool no_reader; /* a pipe client does not read any more: output is discarded */
    int broken;     /* a TCP connection's error, still to be told */
    struct vpc_watch watch;
    void (*on_open_ready)(struct vpc_watch *watch,
                          uint32_t events); /* what watch calls once it is connected */
    struct vpc_timer limit;                 /* of a connect, or of the next look while it lingers */
    int lingers_for;                        /* octets that were left at the last look */
    uint64_t lingers_until;                 /* unless there is progress */
    unsigned look_ms;                       /* until the next look */
    struct vpc_listener listener;           /* of a pipe */
    struct vpc_stream *next;
};

struct vpc_client {
    struct vpc_shell *shell;
    uint32_t number;
    bool doomed; /* disconnected; to be removed at the end of the turn */
    bool told;   /* control_close() was said */
    bool in_eof; /* it finished writing */
    /* removed when its output is sent and it has finished writing; its input is not looked at */
    bool leaving;
    struct vpc_timer leave; /* armed while leaving: its end */
    struct vpc_watch watch;
    char *in; /* VPC_CONTROL_LINE_MAX + 1 octets */
    size_t in_size;
    char *out;
    size_t out_size, out_capacity;
    struct vpc_client *next;
};

struct vpc_control_server {
    struct vpc_listener listener;
    struct vpc_client *clients;
    unsigned count;
    uint32_t last_number;
    struct vpc_timer more; /* armed while clients have whole lines that wait for their turn */
};

struct vpc_log {
    int fd; /* -1: none */
    bool verbose;
    bool failed; /* the last write did; told once */
    bool torn;   /* the file ends in mid-line */
};

struct vpc_trace;

struct vpc_shell {
    struct vpc_shell_config config;
    const vpc_endpoint_abi *abi;
    vpc_endpoint *ep;
    struct vpc_loop loop;
    struct vpc_bus bus;
    struct vpc_control_server control;
    struct vpc_log log;
    struct vpc_journal journal;
    struct vpc_trace *trace; /* NULL: there is none */
    vpc_event *ready;
    char ready_name[96];
    bool ready_wanted;
    int ready_error; /* why the event is not as it is wanted, as the log knows it */
    struct vpc_timer ready_retry;
    struct vpc_stream *streams; /* closed ones stay until the turn is over */
    struct vpc_watch signals;
    unsigned signals_seen;
    uint64_t stop_at; /* not 0: told to stop, the endpoint not yet; the end of the limit */
    bool exchanging;
    bool stopped;
    unsigned char chunk[VPC_CHUNK];
};

/* shell.c */
void vpc_shell_exchange(struct vpc_shell *shell);
/* "PROGRAM: text" on stderr, with a newline. */
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

/* listener.c */
void vpc_listener_init(struct vpc_listener *listener, struct vpc_shell *shell,
                       void (*on_client)(struct vpc_listener *listener, int fd), void *owner);
/*
 * 0, or the errno: EADDRINUSE when another process, or another part of this one, listens at path; EEXIST when
 * what stands there is no socket, which stays.
 */
int vpc_listener_open(struct vpc_listener *listener, const char *path, int backlog);
/* The same with a socket that listens already, which it takes over; path is what the log calls it. */
int vpc_listener_adopt(struct vpc_listener *listener, int fd, const char *path);
/* Stops listening and keeps the name. */
void vpc_listener_mute(struct vpc_listener *listener);
void vpc_listener_pause(struct vpc_listener *listener, bool pause);
/* Stops listening and gives back the name. */
void vpc_listener_close(struct vpc_listener *listener);
/* Closes a client's socket after a last text (NULL: none), which it can read whatever it has written. */
void vpc_listener_turn_away(int fd, const char *text);
/*
 * Before a Unix socket is closed: one that is closed with unread octets gives its peer ECONNRESET, where it
 * shall read the end of the file.  After the shutdown no more can come, so this ends.
 */
void vpc_socket_read_off(int fd);

/* bus.c: the text is one of bus_address.h */
int vpc_bus_open(struct vpc_bus *bus, struct vpc_shell *shell, const char *text);
void vpc_bus_flush(struct vpc_bus *bus);
void vpc_bus_close(struct vpc_bus *bus);

/* bus_vsock.c */
/* A connection to *fd: 0, EINPROGRESS (it becomes writable when it is decided), or an errno. */
int vpc_vsock_connect(const struct vpc_bus_address *address, int *fd);
/* A socket that listens to *fd: 0, or an errno. */
int vpc_vsock_listen(const struct vpc_bus_address *address, int *fd);
/* Whether the machine at the other end may be there; its CID. */
bool vpc_vsock_is_welcome(const struct vpc_bus_address *address, int fd, uint32_t *cid);

/* stream.c */
struct vpc_stream *vpc_stream_new(struct vpc_shell *shell, uint32_t number, bool local);
struct vpc_stream *vpc_stream_find(struct vpc_shell *shell, uint32_t number);
void vpc_stream_start(struct vpc_stream *stream, int fd); /* it is open: tells the endpoint */
void vpc_stream_flush(struct vpc_stream *stream);
/* Reads from a stream that has left epoll, as far as there is room; whether anything was given. */
bool vpc_stream_resume(struct vpc_stream *stream);
void vpc_stream_want(struct vpc_stream *stream); /* sets its interest */
void vpc_stream_shutdown(struct vpc_stream *stream);
void vpc_stream_end(struct vpc_stream *stream, bool abort);
/* A pipe client is taken for gone; what it has written is still read. */
void vpc_stream_hang_up(struct vpc_stream *stream);
/* No program can write any more; what they have written is still read. */
void vpc_streams_take_no_more(struct vpc_shell *shell);
/* Whether there is something of that left. */
bool vpc_streams_unread(const struct vpc_shell *shell);
void vpc_streams_bury(struct vpc_shell *shell); /* frees what ended */

/* pipe_server.c, tcp_client.c */
void vpc_pipe_listen(struct vpc_shell *shell, uint32_t number, const char *name);
void vpc_tcp_connect(struct vpc_shell *shell, uint32_t number, unsigned port, uint64_t limit_ms);
/* Keeps a connection that shall end in order until the server has all of it; false: it has. */
bool vpc_tcp_linger(struct vpc_stream *stream);

/* control_server.c */
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
int vpc_log_open(struct vpc_log *log, const char *path, bool verbose);
/* The same under a name that may be another one; when that fails the log stays as it is. */
int vpc_log_reopen(struct vpc_log *log, const char *path, bool verbose);
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
void vpc_ready_set(struct vpc_shell *shell, const char *name, bool set);
void vpc_ready_close(struct vpc_shell *shell);

#endif
