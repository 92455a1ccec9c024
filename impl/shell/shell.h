/* SPDX-License-Identifier: MIT */
/*
 * The shell: everything that an endpoint needs from the operating system, around any
 * vpc_endpoint_abi.
 *
 * The endpoint decides, the shell carries out: it moves octets between descriptors and the
 * endpoint, tells the time, and does what the endpoint's actions say.  Conventions are those of
 * spec/vpc_endpoint.h.  The functions answer 0 or an errno unless it is said otherwise.
 */
#ifndef VPC_SHELL_H
#define VPC_SHELL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "vpc_endpoint.h"

struct vpc_shell;

/* A stream's octets where they lie, beside the ABI; impl/core/direct.h says what each is. */
struct vpc_shell_direct {
    unsigned (*space)(vpc_endpoint *ep, uint32_t stream, struct iovec space[2]);
    void (*filled)(vpc_endpoint *ep, uint32_t stream, size_t n);
    unsigned (*pieces)(vpc_endpoint *ep, uint32_t stream, struct iovec pieces[2]);
};

struct vpc_shell_config {
    const vpc_endpoint_abi *abi;
    const struct vpc_opener *opener; /* who opens the bus (opener.h); NULL: the shell itself */
    const struct vpc_shell_direct *direct; /* NULL: octets are copied */
    const char *program;                   /* for messages on stderr */
    uint32_t role;                         /* enum vpc_role */
    const char *vm;                        /* the virtual machine's name */
    const char *tag;                       /* the chassis asset tag, or "" */
    const char *options;                   /* a JSON object of settings */
    unsigned descriptors; /* how many it may need at once; 0: the limit of open files stays */
    unsigned clients;     /* of the control socket at once; 0: 64 */
    const char *bus;      /* as bus_address.h says */
    const char *monitor;  /* the socket of the machine's monitor (qmp.h), NULL: none */
    const struct vpc_observer *observer; /* who talks to it; NULL: this process */
    vpc_endpoint_machine *machine;       /* who is told what it says; with a monitor alone */
    const char *runtime_dir;             /* with its folders made */
    const gid_t *group;       /* whose members may be clients, beside our own user; NULL: nobody */
    const char *control_path; /* of the control socket */
    const char *forwards;     /* that it has from the start (forward.h), NULL: none */
    const char *const *forward_folders; /* in which others may be (acts.h), NULL: none */
    const char *log_path;               /* of the event log, NULL: none */
    uint64_t log_limit;                 /* octets after which its file is turned over; 0: never */
    const char *journal;                /* the socket of the systemd journal, NULL: none */
    const char *manager;    /* the socket of the service manager (service_manager.h), NULL: none */
    bool verbose;           /* show log entries on stderr */
    const char *no_sandbox; /* why there is none, NULL: vpc_shell_run() enters it */
    const char *trace_path; /* of the trace (spec/TRACE.md), NULL or "": none */
    uint64_t trace_limit;   /* octets after which its file is turned over; 0: never */
    /* A part of a stream changed its state (stream.rl has the names): for tests, and who debugs.  NULL: nobody asks. */
    void (*on_stream_state)(uint32_t stream, const char *from, const char *to);
};

/*
 * Opens everything and makes the endpoint.  What fails is said on stderr; VPC_SHELL_BAD_SETTING means that
 * the endpoint refuses its role, tag or options.
 */
#define VPC_SHELL_BAD_SETTING (-1)
int vpc_shell_open(const struct vpc_shell_config *config, struct vpc_shell **shell);
/* NULL is ignored. */
void vpc_shell_close(struct vpc_shell *shell);

/* One turn of the loop, that waits at most wait_ms (-1: as long as nothing is due). */
int vpc_shell_turn(struct vpc_shell *shell, int wait_ms);
/* How many turns there were: a shell without work makes none. */
uint64_t vpc_shell_turns(const struct vpc_shell *shell);
/* Takes all that local programs have written, and no more, then tells the endpoint to stop; STOPPED comes
 * within limit_ms.  A second call can make that shorter. */
void vpc_shell_stop(struct vpc_shell *shell, uint64_t limit_ms);
bool vpc_shell_stopped(const struct vpc_shell *shell);
/* Opens log and trace anew, as after a rotation, with what the opener reads in the settings.  What can not be opened is
 * said on stderr; the file before stays in use then. */
void vpc_shell_reload(struct vpc_shell *shell);
/* Whether octets still wait for the bus, for control clients, or in connections that linger. */
bool vpc_shell_has_output(const struct vpc_shell *shell);

/* Keeps SIGHUP until vpc_shell_run() takes it: to be called first of all, since it may come at once. */
void vpc_shell_hold_hangup(void);
/* Keeps all signals that it takes: to be called when nothing before may wait any more, as a file of settings can. */
void vpc_shell_hold_signals(void);
/* Enters the sandbox, and runs until SIGTERM or SIGINT stopped the endpoint: the exit status.  SIGHUP
   reloads. */
int vpc_shell_run(struct vpc_shell *shell);

#endif
