/* SPDX-License-Identifier: MIT */
/*
 * libvpc: what a program on the host needs to talk to a program in a virtual machine over VPCBus.
 *
 * The usual way, step by step: vpc_find_virtual_machine(), vpc_wait_channel_ready(),
 * vpc_start_communication_channel(), vpc_pipe_connect(), then read and write the descriptor;
 * closing it ends the communication channel.  The names are those of Windows Virtual PC's API.
 *
 * Ownership: arguments are the caller's and are read during the call only.  What a function hands
 * out through a pointer to a pointer is the caller's, and is given back with the function that its
 * comment names.  The text of vpc_last_error() stays the library's, valid until the next call on
 * the same virtual machine.
 *
 * NULL: no argument may be NULL unless it is said.  Names of StartCommunicationChannel may be: the
 * endpoint answers E_POINTER then.
 *
 * Directory: `dir` is the runtime directory; NULL means the default (vpc_runtime_dir()).
 *
 * Threads: one object is used by one thread at a time; different objects share nothing.
 *
 * Errors: calls of the API answer an HRESULT, the others 0 or an error number of errno.h.
 *
 * Time: milliseconds.  Time limits: VPC_FOREVER waits without one, 0 does not wait.
 *
 * Descriptors: all that the library opens are closed on exec.  No call raises SIGPIPE.
 */
#ifndef VPC_H
#define VPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VPC_FOREVER      (-1)
#define VPC_PATH_SIZE    108u  /* the longest path of a Unix socket, with its NUL */
#define VPC_FILE_SIZE    4096u /* the longest path of a file, with its NUL */
#define VPC_TAG_SIZE     33u   /* the longest chassis asset tag, with its NUL */
#define VPC_PIPE_SIZE    1024u /* the longest pipe name in octets, with its NUL */
#define VPC_MISSING_SIZE 160u
#define VPC_CAUSE_SIZE   160u

/* The results of StartCommunicationChannel (VPCBUS.md, section 8). */
typedef uint32_t vpc_hresult;
#define VPC_S_OK                       0x00000000u
#define VPC_E_INVALIDARG               0x80070057u
#define VPC_E_POINTER                  0x80004003u
#define VPC_DISP_E_EXCEPTION           0x80020009u
#define VPC_ERROR_INVALID_HANDLE       0x80070006u
#define VPC_ERROR_OUTOFMEMORY          0x8007000Eu
#define VPC_ERROR_NOT_READY            0x80070015u
#define VPC_ERROR_ALREADY_EXISTS       0x800700B7u
#define VPC_ERROR_PIPE_BUSY            0x800700E7u
#define VPC_ERROR_MAX_SESSIONS_REACHED 0x80070161u
#define VPC_ERROR_REVISION_MISMATCH    0x8007051Au
#define VPC_VM_E_VM_NOT_RUNNING        0xA0040206u
#define VPC_ERROR_CONNECTION_REFUSED   0x800704C9u
#define VPC_ERROR_TIMEOUT              0x800705B4u
/* Of vpc_set_chassis_asset_tag() too. */
#define VPC_VM_E_VM_RUNNING_OR_SAVED 0xA004020Bu
/* The library's own: no host endpoint runs for a virtual machine of that name. */
#define VPC_ERROR_FILE_NOT_FOUND 0x80070002u

/* The name as in WVPC's documentation ("ERROR_NOT_READY"), or "HRESULT" for an unknown value. */
const char *vpc_hresult_name(vpc_hresult result);

enum vpc_endpoint_type {
    VPC_ENDPOINT_NAMED_PIPE = 0,
    VPC_ENDPOINT_TCPIP = 1,
};

/* Readiness (RDY-4), from nothing to all. */
enum vpc_level {
    VPC_LEVEL_ABSENT,     /* no host endpoint runs */
    VPC_LEVEL_DOWN,       /* the virtual machine is not running */
    VPC_LEVEL_RUNNING,    /* it runs; no guest endpoint has answered */
    VPC_LEVEL_COMPONENTS, /* the guest endpoint answers; it takes no channels yet */
    VPC_LEVEL_READY,
};

/* The level's name in the control protocol ("components"). */
const char *vpc_level_name(enum vpc_level level);
/* What is missing at this level, as text for people; "" for VPC_LEVEL_READY. */
const char *vpc_level_missing(enum vpc_level level);

/* How far a virtual machine has come, and what keeps it from being ready: for people, "" if none. */
typedef struct vpc_progress {
    enum vpc_level level;
    char missing[VPC_MISSING_SIZE];
} vpc_progress;

/* ---- the runtime directory ------------------------------------------------------------------- */

/*
 * Writes the runtime directory's path to buf (size octets): `given` unless NULL, else
 * VPC_RUNTIME_DIR, else XDG_RUNTIME_DIR/vpcbus, else /run/vpcbus for root and /tmp/vpcbus-UID for
 * others. ENAMETOOLONG when it does not fit.
 */
int vpc_runtime_dir(const char *given, char *buf, size_t size);
/*
 * Makes the directory with its folders vms, pipes, events and log, mode 0700, where they are
 * missing. EPERM when another user owns one of them, or its mode lets others in or a group write to
 * it, ENOTDIR when it is no directory.
 */
int vpc_runtime_dir_make(const char *dir);

/* ---- pipes ----------------------------------------------------------------------------------- */

/*
 * The Unix socket of the pipe `pipe` (\\.\pipe\NAME) to buf, of VPC_PATH_SIZE octets (API-1).
 * EINVAL: no valid pipe name; ENAMETOOLONG: the runtime directory's path is too long for a socket that
 * other programs could connect to.  vpc_pipe_connect() can.
 */
int vpc_pipe_path(const char *dir, const char *pipe, char *buf, size_t size);
/* The file name of the pipe alone, without its folder ("mynamedpipe.sock"); errors as above. */
int vpc_pipe_file(const char *pipe, char *buf, size_t size);
/* Whether text is a port that StartCommunicationChannel takes: its number, or 0 (API-1). */
unsigned vpc_port(const char *text);
/*
 * Opens the pipe as its one client (API-12): a connected blocking socket to *fd, the caller's to
 * close.  ENOENT: no channel has it; ECONNREFUSED: it has its client; EBUSY: others wait to be that;
 * EPERM: a stranger's program may serve there; EACCES: its owner lets others in only.
 */
int vpc_pipe_connect(const char *dir, const char *pipe, int *fd);

/* ---- the ready event ------------------------------------------------------------------------- */

/*
 * A named manual-reset event between processes (RDY-1 to RDY-3).  Anybody may open it, before or
 * after its owner does.  It counts as set only while its owner lives.
 */
typedef struct vpc_event vpc_event;

/* The name of the ready event of a tag, Local\<tag>_ChannelReady, to buf; ENAMETOOLONG. */
int vpc_event_name(const char *tag, char *buf, size_t size);
/* Opens the event, made when it is missing; vpc_event_close() gives it back. */
int vpc_event_open(const char *dir, const char *name, vpc_event **event);
/* NULL is ignored.  An owner's event is reset by this. */
void vpc_event_close(vpc_event *event);
/* Becomes the owner, the event reset; EBUSY when another process is. */
int vpc_event_own(vpc_event *event);
/* The owner sets or resets it and wakes all who wait; EPERM for others. */
int vpc_event_set(vpc_event *event, bool set);
bool vpc_event_is_set(const vpc_event *event);
/* Waits until it is set: 0, or ETIMEDOUT. */
int vpc_event_wait(const vpc_event *event, int64_t limit_ms);

/* ---- virtual machines ------------------------------------------------------------------------ */

typedef struct vpc_virtual_machine vpc_virtual_machine;

/* What a started communication channel is. */
typedef struct vpc_channel_info {
    char path[VPC_PATH_SIZE]; /* the pipe's Unix socket; "" if it is longer: vpc_pipe_connect() */
    unsigned port;            /* in the guest */
    uint32_t h2g, g2h;        /* ids of the two channels */
    int error;                /* the guest's errno for a refused or timed-out connect, else 0 */
} vpc_channel_info;

/*
 * Calls seen(name, user) for the name of each virtual machine of which a host endpoint runs, in
 * alphabetical order.  Answers 0 or an error number; a missing directory lists nothing.  EPERM: the
 * directory is not to be trusted, EACCES: it keeps us out (vpc_distrust()).
 */
int vpc_list_virtual_machines(const char *dir, void (*seen)(const char *name, void *user),
                              void *user);

/*
 * Connects to the host endpoint of the virtual machine `name`; vpc_release_virtual_machine() gives
 * *vm back.  ERROR_FILE_NOT_FOUND: none runs; E_POINTER: no name of a virtual machine, or its path
 * is too long; ERROR_TIMEOUT: the endpoint takes no more clients; DISP_E_EXCEPTION: another error.
 * errno tells more; EPERM: it may be a stranger's, EACCES: it keeps us out (vpc_distrust()).
 */
vpc_hresult vpc_find_virtual_machine(const char *dir, const char *name, vpc_virtual_machine **vm);
/* The same through the path of a control socket; it may be a guest endpoint's. */
vpc_hresult vpc_open_control_socket(const char *path, vpc_virtual_machine **vm);
/*
 * Why this user's programs do not trust the runtime directory, or who serves the virtual machine `name`
 * there (NULL: the directory alone), or are kept out: who owns what, as text to buf; "" when nothing
 * speaks against them.  vpcctl(1) has the rules; nothing is sent before they are kept.
 */
void vpc_distrust(const char *dir, const char *name, char *text, size_t size);
/* NULL is ignored. */
void vpc_release_virtual_machine(vpc_virtual_machine *vm);
/*
 * How long each later call on vm may take; 60000 until this is called.  When it passes the result is
 * ERROR_TIMEOUT, and what was asked for may still happen: a channel that is started then ends when
 * nobody opens its pipe.
 */
void vpc_set_time_limit(vpc_virtual_machine *vm, int64_t limit_ms);
/* Why the last call on vm failed, as text; "" after success. */
const char *vpc_last_error(const vpc_virtual_machine *vm);

/*
 * These calls answer ERROR_INVALID_HANDLE when the endpoint has gone, ERROR_TIMEOUT when it did not
 * answer in time, and what is said below.
 */

/* The chassis asset tag; "" before the virtual machine's first start, unless it was set (API-15). */
vpc_hresult vpc_chassis_asset_tag(vpc_virtual_machine *vm, char tag[VPC_TAG_SIZE]);
/*
 * Sets the tag, 1 to 32 printable ASCII characters: E_POINTER when it is NULL, E_INVALIDARG when it
 * is none, VM_E_VM_RUNNING_OR_SAVED while the virtual machine runs (API-15).
 */
vpc_hresult vpc_set_chassis_asset_tag(vpc_virtual_machine *vm, const char *tag);
/* How far the virtual machine has come (RDY-4). */
vpc_hresult vpc_readiness(vpc_virtual_machine *vm, vpc_progress *progress);
/*
 * Waits until channels can be started in the virtual machine `name`, the start of its host endpoint
 * included: S_OK, ERROR_TIMEOUT, or E_POINTER for no name of a virtual machine.  *progress (may be
 * NULL) is what was seen last: it tells what was missing.  changed (may be NULL) is called with what
 * is seen first, and whenever it changes.  An endpoint that is there and does not answer may make
 * the call a second longer than its limit.
 */
vpc_hresult vpc_wait_channel_ready(const char *dir, const char *name, int64_t limit_ms,
                                   vpc_progress *progress,
                                   void (*changed)(const vpc_progress *progress, void *user),
                                   void *user);

/*
 * StartCommunicationChannel (API-1 to API-12): host_type must be VPC_ENDPOINT_NAMED_PIPE with a name
 * \\.\pipe\NAME, guest_type VPC_ENDPOINT_TCPIP with a port in decimal.  Answers when the guest has
 * connected; *info (may be NULL) is filled on S_OK, and its `error` always.
 */
vpc_hresult vpc_start_communication_channel(vpc_virtual_machine *vm, int host_type,
                                            const char *host_name, int guest_type,
                                            const char *guest_name, vpc_channel_info *info);
/*
 * The channel of a pipe that another program may have started: *info with its ids and port.  E_POINTER:
 * no channel has it.
 */
vpc_hresult vpc_find_communication_channel(vpc_virtual_machine *vm, const char *host_name,
                                           vpc_channel_info *info);

/* How a communication channel ended. */
typedef struct vpc_channel_ending {
    bool in_order;     /* both programs had finished, or the pipe's client had closed it */
    int error;         /* the error number of a channel that was broken off, 0 if there is none */
    uint64_t sent;     /* octets from the pipe that went to the guest, */
    uint64_t received; /* and from the guest to the pipe */
    char cause[VPC_CAUSE_SIZE]; /* "closed", or why it was broken off, for people */
} vpc_channel_ending;

/*
 * Waits until the channel has ended, and tells how.  Who reads a pipe sees the end of the file, or an
 * error where the system can show one, whether the guest's program has finished or the session was
 * lost: this tells them apart.  vm must have been connected before the pipe was opened, and *info is of
 * vpc_start_communication_channel() or vpc_find_communication_channel().  E_POINTER: the channel had
 * ended when vm was connected; ERROR_TIMEOUT: it goes on; ERROR_INVALID_HANDLE: the endpoint is gone,
 * and so is all that was not read.
 */
vpc_hresult vpc_wait_channel_end(vpc_virtual_machine *vm, const vpc_channel_info *info,
                                 int64_t limit_ms, vpc_channel_ending *ending);
/*
 * Ends the communication channel of the pipe as if its client had gone, and answers when it has
 * ended (API-14).  E_POINTER: no open channel has this pipe, or another stop of it waits.
 */
vpc_hresult vpc_stop_communication_channel(vpc_virtual_machine *vm, const char *host_name);

/* ---- forwards -------------------------------------------------------------------------------- */

/* What a forward is: a socket that goes on listening, each client of which gets a channel (FWD-1 to FWD-8). */
typedef struct vpc_forward_info {
    char listen[VPC_PATH_SIZE]; /* a name, a path, "127.0.0.1:PORT" or "[::1]:PORT" */
    char path[VPC_PATH_SIZE];   /* of a Unix socket where it is, "" if that is longer; else "" */
    unsigned port;              /* in the guest */
    unsigned flags;             /* of enum vpc_forward_flag */
    unsigned pairs;             /* of its clients, now */
    uint64_t accepted, refused; /* clients, since it was started */
    int error;                  /* of vpc_start_forward(): the errno of what failed, else 0 */
} vpc_forward_info;

enum vpc_forward_flag {
    VPC_FORWARD_WAIT_UNTIL_READY = 1, /* clients that come too early wait, and are not refused */
    VPC_FORWARD_REFUSE_WHEN_FULL = 2, /* clients for whom no channel is free do not wait */
};

/*
 * Starts a forward to the port of the guest.  E_POINTER: listen or the port is none; ERROR_ALREADY_EXISTS:
 * something listens there; ERROR_MAX_SESSIONS_REACHED: there are as many as there may be.  *info (may be NULL)
 * is filled on S_OK, and its `error` always.
 */
vpc_hresult vpc_start_forward(vpc_virtual_machine *vm, const char *listen, unsigned port,
                              unsigned flags, vpc_forward_info *info);
/* Ends it; the channels of its clients go on.  E_POINTER: there is none. */
vpc_hresult vpc_stop_forward(vpc_virtual_machine *vm, const char *listen);
/* Calls seen(forward, user) for each. */
vpc_hresult vpc_list_forwards(vpc_virtual_machine *vm,
                              void (*seen)(const vpc_forward_info *forward, void *user),
                              void *user);

#ifdef __cplusplus
}
#endif
#endif
