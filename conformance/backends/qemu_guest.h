/* SPDX-License-Identifier: MIT */
/* What qemu_guest.c and qemu_things.c share: a guest endpoint in a VM, and what lives in the puppet for
   it. */
#ifndef VPC_CONFORM_QEMU_GUEST_H
#define VPC_CONFORM_QEMU_GUEST_H

#include <stdio.h>

#include "backends/qemu.h"

#define VPC_GUEST_DIR "/run" /* the guest's: a file system in its memory */

enum vpc_thing_kind {
    VPC_THING_COMMAND,
    VPC_THING_LOG,
    VPC_THING_LISTENER,
    VPC_THING_CONTROL,
    VPC_THING_CONNECTION,
    VPC_THING_FILE, /* read once */
};

/* Something in the puppet, from the request to the end of the run. */
struct vpc_thing {
    struct vpc_thing *next;
    enum vpc_thing_kind kind;
    uint32_t handle;
    int id;        /* of a control client or a connection */
    uint16_t port; /* of a listener or a connection */
    enum vpc_tcp_mode mode;
    bool opened, gone; /* gone: it never was, or is no more */
    uint32_t pid;      /* of a command, in the guest */
    int error;         /* an errno: why it never was */
    bool exited;       /* a command: with these */
    int code, signal;
    char *last_words; /* a command's: the last line of its output */
    bool muted;       /* what comes from it is nothing to tell */
    bool end_told;
    bool shut, finish; /* asked for, when out is empty */
    bool shut_done, finish_done;
    struct vpc_buffer in, out;
};

struct vpc_qemu_guest {
    struct vpc_qemu qemu;
    struct vpc_thing *things;
    struct vpc_thing *subject;    /* the command, NULL before the first start */
    size_t thing_count;           /* that ever were */
    FILE *output, *log;           /* copies for the folder of a failure */
    size_t output_left, log_left; /* octets that they may still take */
    int log_error;                /* an errno: why the log can not be followed */
    int next_conn;
    int bus; /* the connection with QEMU, or -1 */
    struct vpc_buffer bus_out;
    bool bus_paused, bus_up;
    bool end_expected; /* the subject was killed, or told to stop */
};

static inline struct vpc_qemu_guest *vpc_qemu_guest_of(void *backend)
{
    return backend;
}

#define VPC_THINGS_MAX 4096 /* of one run, also those that are gone */
/* octets of the subject's output, and of its log, that are kept */
#define VPC_GUEST_COPY_MAX (16u << 20)

/*
 * A new thing for a request that was made; NULL, with BROKEN told, when handle is 0, or when there were more
 * than a run may have.
 */
struct vpc_thing *vpc_thing_add(struct vpc_qemu_guest *self, enum vpc_thing_kind kind,
                                uint32_t handle, int id);
struct vpc_thing *vpc_thing_of(struct vpc_qemu_guest *self, enum vpc_thing_kind kind, int id);
/* Waits until it is there: false when it never will be, and thing->error says why. */
bool vpc_thing_opens(struct vpc_qemu_guest *self, struct vpc_thing *thing);
void vpc_thing_send(struct vpc_qemu_guest *self, struct vpc_thing *thing, const void *octets,
                    size_t n);
/* Gives the puppet what it takes of what waits, and then the end that was asked for. */
void vpc_thing_flush(struct vpc_qemu_guest *self, struct vpc_thing *thing);
void vpc_things_on_puppet(struct vpc_qemu *qemu, const struct vpc_puppet_event *event);
bool vpc_things_tcp_mode(struct vpc_qemu_guest *self, uint16_t port, enum vpc_tcp_mode mode,
                         char **error);
void vpc_things_free(struct vpc_qemu_guest *self);

/* qemu_guest.c: the subject's command has ended; whether it runs. */
void vpc_qemu_guest_ended(struct vpc_qemu_guest *self);
bool vpc_qemu_guest_runs(const struct vpc_qemu_guest *self);

/* qemu_guest_local.c: what struct vpc_backend_ops says of them. */
bool vpc_qemu_guest_control_open(struct vpc_backend *backend, int client);
void vpc_qemu_guest_control_line(struct vpc_backend *backend, int client, const char *line,
                                 size_t n);
void vpc_qemu_guest_control_read(struct vpc_backend *backend, int client, bool on);
void vpc_qemu_guest_control_close(struct vpc_backend *backend, int client);
int vpc_qemu_guest_pipe_open(struct vpc_backend *backend, int conn, const char *name,
                             const char *path);
bool vpc_qemu_guest_tcp_mode(struct vpc_backend *backend, uint16_t port, enum vpc_tcp_mode mode,
                             char **error);
uint16_t vpc_qemu_guest_real_port(struct vpc_backend *backend, uint16_t port);
void vpc_qemu_guest_local_send(struct vpc_backend *backend, int conn, const void *octets, size_t n);
void vpc_qemu_guest_local_shutdown(struct vpc_backend *backend, int conn);
void vpc_qemu_guest_local_close(struct vpc_backend *backend, int conn);
void vpc_qemu_guest_local_abort(struct vpc_backend *backend, int conn);
void vpc_qemu_guest_local_read(struct vpc_backend *backend, int conn, bool on);
size_t vpc_qemu_guest_local_unsent(struct vpc_backend *backend, int conn);

#endif
