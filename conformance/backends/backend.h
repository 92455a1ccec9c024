/* SPDX-License-Identifier: MIT */
/*
 * Where a subject runs: the one interface of the three backends.
 *
 * A backend starts the subject and carries octets between it and the testers; it knows nothing of frames,
 * answers or scenarios.  What it sees it tells its sink, in the order in which it happened.
 *
 * Ownership: create() copies what it needs of its config; what seen() shows is valid during that call only.
 * Errors: functions that can fail give false and *error, one line that the caller frees; that is the
 *         harness's or the machine's trouble and never a verdict on the subject.  What the subject does wrong
 *         is seen, not returned.
 * Time:   milliseconds of the backend's own clock, virtual in-process.
 * Ids:    control clients and local connections (pipe clients, TCP connections) have numbers; the caller chooses those of
 *         control clients and pipes, from 1; the backend those of accepted TCP connections, from 1000.
 */
#ifndef VPC_CONFORM_BACKEND_H
#define VPC_CONFORM_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/descriptor.h"
#include "backends/process.h"
#include "script/script.h"

enum vpc_seen_kind {
    VPC_SEEN_BUS_UP,
    VPC_SEEN_BUS_DOWN,
    VPC_SEEN_BUS_OCTETS,
    VPC_SEEN_BUS_GAP,      /* of the subject's octets some are missing; to it nothing happened */
    VPC_SEEN_CONTROL_LINE, /* id: the client */
    VPC_SEEN_CONTROL_EOF,  /* text: how, when it did not end in order */
    VPC_SEEN_LOG,          /* text: one entry */
    VPC_SEEN_READY,        /* text: the event's name, value: 0 or 1 */
    VPC_SEEN_LOCAL_OPENED, /* id: the connection, value: the port as scripts write it */
    VPC_SEEN_LOCAL_OCTETS,
    VPC_SEEN_LOCAL_EOF,
    VPC_SEEN_LOCAL_RESET,
    VPC_SEEN_STOPPED, /* the subject ended as it was told to */
    VPC_SEEN_CRASHED, /* text: how */
    VPC_SEEN_BROKEN,  /* text: what of the harness or the machine; the run tells nothing */
};

struct vpc_seen {
    enum vpc_seen_kind kind;
    int id;
    uint32_t value;
    const char *text; /* octets, for the kinds that have them; a NUL follows them */
    size_t size;
};

/* How every subject's virtual machine is called. */
#define VPC_SUBJECT_VM  "conform"
#define VPC_SUBJECT_TAG "VPC-CONFORM"
/* And another one beside it. */
#define VPC_OTHER_VM "conform-other"

/* Told of each thing that is seen; seen and its text are the backend's, and gone when it returns. */
typedef void vpc_sink_fn(void *user, const struct vpc_seen *seen);

struct vpc_backend_config {
    const struct vpc_implementation *implementation;
    const char *vm;
    const char *tag;
    const struct vpc_arg *options; /* settings of section 10 */
    size_t option_count;
    int descriptors; /* as many as the subject may have open; 0: as the system says */
    bool watched;    /* a host endpoint is told of its machine (TRN-7) */
    const char *dir; /* for sockets and logs of this run, as the subject is told */
    /* another path to it, which stays right whatever a subject puts in its place; or NULL */
    const char *own;
    /* behind the names of its own files in dir, when another subject runs there; or NULL */
    const char *beside;
    const char *build;     /* the folder of vpc-conform, for descriptors */
    const char *guest_dir; /* kernel and snapshots of guests, or NULL */
    const char *launcher;  /* the program that starts virtual machines, or NULL */
    const char *initrd;    /* of this implementation's guest, or NULL */
    /* parts (sandbox.h) that this process has entered and programs are shut into */
    unsigned sandbox;
    int group; /* of the run's processes (group.h), or 0 */
    uint64_t seed;
    volatile int *in_subject; /* set while the subject's code runs in this process */
    vpc_sink_fn *sink;
    void *user;
};

/* In the order of vpc_vm_words. */
enum vpc_vm_action {
    VPC_PAUSE_VM,
    VPC_RESUME_VM,
    VPC_RESET_VM,
    VPC_KILL_VM, /* without a word; of a guest endpoint the next start begins another */
    VPC_SAVE_VM,
    VPC_RESTORE_VM, /* as it was when it was saved; of a guest endpoint the bus is down then */
    VPC_UNPLUG_VM,  /* takes the port of the bus out of a guest endpoint's machine */
    VPC_PLUG_VM,    /* puts another one of its name into it */
    /* What only its monitor says of a host endpoint's machine, which stays as it is. */
    VPC_SHUT_DOWN_VM,
    VPC_CLOSE_PORT,
    VPC_UNWATCH_VM, /* the monitor is lost, and is there again */
    VPC_WATCH_VM,
};

enum vpc_tcp_mode { VPC_TCP_CLOSED, VPC_TCP_LISTENING, VPC_TCP_DEAF };

struct vpc_backend;

struct vpc_backend_ops {
    const char *name;
    enum vpc_backend_bit bit;
    bool real_time;
    /* The tester begins to read after the bus is up: what the subject sent before may be lost (TRN-1). */
    bool late_reader;
    /* Once before all runs, if there is such: makes what those of one implementation share.  guest_image is
       the program that makes guest images; *initrd is the config's then, freed by the caller. */
    bool (*prepare)(const struct vpc_backend_config *config, const char *guest_image, char **initrd,
                    char **error);
    /* The backend's own ops may be others than these, by the subject's role. */
    struct vpc_backend *(*create)(const struct vpc_backend_config *config, char **error);
    void (*destroy)(struct vpc_backend *backend);
    /* Starts the subject, kills it without a word, tells it to stop: a process by this signal. */
    bool (*start)(struct vpc_backend *backend, char **error);
    void (*kill)(struct vpc_backend *backend);
    void (*stop)(struct vpc_backend *backend, int number);
    /* With a virtual machine, else NULL.  A reset returns when the guest is up again; what ran in it is
       gone. */
    bool (*vm)(struct vpc_backend *backend, enum vpc_vm_action action, char **error);
    /* Where nothing else would tell the subject of its machine, else NULL: tells it that (TRN-7). */
    void (*machine)(struct vpc_backend *backend, enum vpc_vm_action action);
    /* Whether a second instance with this setting refuses to start. */
    bool (*refuses)(struct vpc_backend *backend, const struct vpc_arg *option, bool *refused,
                    char **error);
    /* How much processor time the subject has used since it was started, in microseconds.  In-process, where
       there is none to measure, each time that it asked to be called counts as a millisecond. */
    bool (*busy)(struct vpc_backend *backend, uint64_t *us, char **error);
    /* Where an emulator is around the subject, else NULL: how much of it, at most, a program takes that is woken
       once, looks at what has come, and sleeps on.  Such a machine is as slow as it is, and slower when it is
       busy. */
    bool (*look_cost)(struct vpc_backend *backend, uint64_t *us, char **error);
    /* In real time, else NULL: what the subject with the programs that speak for it, or the virtual machine
       around it, has had of the processors. */
    bool (*share)(struct vpc_backend *backend, struct vpc_share *share);
    /* In-process, else NULL: whether the subject is told that time goes on; what it was told last. */
    void (*clock)(struct vpc_backend *backend, bool goes);
    uint64_t (*told)(struct vpc_backend *backend);
    /* A program of the implementation that waits for the ready event for so long at most; its exit status,
       once it has ended (before: -1).  NULL: there is none. */
    bool (*waiter_start)(struct vpc_backend *backend, int waiter, uint64_t limit_ms, char **error);
    int (*waiter_ended)(struct vpc_backend *backend, int waiter);
    uint64_t (*now)(struct vpc_backend *backend);
    /* Goes on until something was seen or the time is until. */
    void (*step)(struct vpc_backend *backend, uint64_t until);
    /* From now on the bus is there, or not; being connected is seen. */
    bool (*bus_listen)(struct vpc_backend *backend, bool on, char **error);
    /* On sockets, else NULL: somebody else is connected to the bus, until bus_listen() lets the subject in. */
    bool (*bus_serve_other)(struct vpc_backend *backend, char **error);
    void (*bus_send)(struct vpc_backend *backend, const void *octets, size_t n);
    /* After the last piece of a burst: the subject gets what bus_send() took.  NULL: it had it at once. */
    void (*bus_flush)(struct vpc_backend *backend);
    size_t (*bus_unsent)(struct vpc_backend *backend);
    void (*bus_read)(struct vpc_backend *backend, bool on);
    /* Reads so many octets more, then no more until bus_read() says so.  NULL: it can't be told. */
    void (*bus_take)(struct vpc_backend *backend, size_t octets);
    bool (*control_open)(struct vpc_backend *backend, int client);
    void (*control_line)(struct vpc_backend *backend, int client, const char *line, size_t n);
    /* Octets as they are; none (NULL): it has finished writing.  NULL: there are whole lines only. */
    void (*control_octets)(struct vpc_backend *backend, int client, const char *octets, size_t n);
    void (*control_read)(struct vpc_backend *backend, int client, bool on);
    void (*control_close)(struct vpc_backend *backend, int client);
    /* Opens a pipe as a client; path is where StartCommunicationChannel said it is.  0 or an errno. */
    int (*pipe_open)(struct vpc_backend *backend, int conn, const char *name, const char *path);
    /* In-process, else NULL: from now on no pipe server can be made, with EACCES; or none of that full name,
       which another virtual machine has. */
    void (*pipe_deny)(struct vpc_backend *backend);
    void (*pipe_taken)(struct vpc_backend *backend, const char *name);
    bool (*tcp_mode)(struct vpc_backend *backend, uint16_t port, enum vpc_tcp_mode mode,
                     char **error);
    /* The port that stands for a script's port. */
    uint16_t (*real_port)(struct vpc_backend *backend, uint16_t port);
    void (*local_send)(struct vpc_backend *backend, int conn, const void *octets, size_t n);
    void (*local_shutdown)(struct vpc_backend *backend, int conn); /* after what waits */
    void (*local_close)(struct vpc_backend *backend, int conn);    /* after what waits */
    void (*local_abort)(struct vpc_backend *backend, int conn);
    void (*local_read)(struct vpc_backend *backend, int conn, bool on);
    /* As bus_take(). */
    void (*local_take)(struct vpc_backend *backend, int conn, size_t octets);
    size_t (*local_unsent)(struct vpc_backend *backend, int conn);
};

/* The first member of every backend. */
struct vpc_backend {
    const struct vpc_backend_ops *ops;
    struct vpc_altering *altering; /* what stands before it (alter/alter.h), or NULL */
};

extern const struct vpc_backend_ops vpc_backend_inproc;
extern const struct vpc_backend_ops vpc_backend_socket;
extern const struct vpc_backend_ops vpc_backend_qemu;

/* The settings as the descriptor wants them on a command line, words (words.h); NULL: *error, both the
   caller's. */
char **conform_options(const struct vpc_implementation *implementation,
                       const struct vpc_arg *options, size_t count, char **error);

#endif
