/* SPDX-License-Identifier: MIT */
/* What the two files of the in-process backend share. */
#ifndef VPC_CONFORM_INPROC_H
#define VPC_CONFORM_INPROC_H

#include "backends/backend.h"
#include "backends/object.h"
#include "memory.h"
#include "spec/vpc_endpoint.h"

enum local_state {
    LOCAL_LISTENING, /* a pipe server, or a forward */
    LOCAL_QUEUED,    /* a forward's client that was not let in */
    LOCAL_CONNECTING,
    LOCAL_OPEN,
    LOCAL_GONE,
};

struct local {
    enum local_state state;
    uint32_t stream;
    int conn;
    char *name;     /* host, LISTENING: the pipe's full name, or where the forward listens */
    bool forward;   /* LISTENING: a forward; else the client of one */
    uint32_t next;  /* of a forward: the stream that its next client will be; 0: none may come in */
    uint32_t queue; /* QUEUED: the stream of the forward */
    uint64_t deadline; /* CONNECTING: when it times out; 0: it is answered at once */
    int error;         /* CONNECTING: what the answer is */
    struct vpc_buffer out;
    size_t left; /* octets that the program still reads; SIZE_MAX: all */
    bool shut, closed, eof_told, gone_told;
    bool accepted; /* CONNECTING: the server has the connection already */
    bool hung_up;  /* by the subject: what was written is taken, nothing later */
};

struct port {
    uint16_t number;
    enum vpc_tcp_mode mode;
};

struct inproc {
    struct vpc_backend base;
    struct vpc_backend_config config;
    struct vpc_object *object;
    const vpc_endpoint_abi *abi;
    vpc_endpoint *endpoint;
    char *options;
    uint64_t now;
    uint64_t told;   /* the time that the endpoint knows */
    uint64_t chance; /* what comes first, and how much of it */
    uint64_t wakes;  /* how often it asked to be called */
    bool clock_stopped, pipes_denied;
    char *taken;     /* the full name of a pipe that another virtual machine has, or NULL */
    size_t bus_left; /* octets that are still read off the bus; SIZE_MAX: all */
    bool listening, stop_asked, saw;
    bool stopped; /* it said so: nothing more comes from it, whatever bus_output() has */
    struct local **locals;
    size_t local_count;
    struct port *ports;
    size_t port_count;
    int next_conn;
    bool restless;            /* it never came to rest, or failed: it is not called any more */
    struct vpc_buffer bus_in; /* octets for the bus that it was not given yet, */
    uint32_t *pieces;         /* and how they are cut */
    size_t piece_count;
};

#define SUBJECT(self, call)                                                                        \
    do {                                                                                           \
        *(self)->config.in_subject = 1;                                                            \
        call;                                                                                      \
        *(self)->config.in_subject = 0;                                                            \
        vpc_inproc_look_at_object(self);                                                           \
    } while (0)

/* Tells it once when the shared object has failed. */
void vpc_inproc_look_at_object(struct inproc *self);
void vpc_inproc_tell(struct inproc *self, enum vpc_seen_kind kind, int id, uint32_t value,
                     const char *text, size_t size);
/* The local connection that is open under that number, or NULL. */
struct local *vpc_inproc_conn(struct inproc *self, int conn);
/* The subject ends the connection; the local program sees a reset or an orderly end. */
void vpc_inproc_end_local(struct inproc *self, struct local *local, bool reset);
/* Tells the endpoint the time, unless the script has stopped its clock; then vpc_inproc_settle() is due. */
void vpc_inproc_clock(struct inproc *self);
/* Something is about to be given to the endpoint: as a program that wakes, it looks at the time first. */
void vpc_inproc_wake(struct inproc *self);
/* Where the pipe server of the stream is, as far as anybody can tell. */
#define VPC_INPROC_PATH   32
#define VPC_INPROC_LISTEN 128
void vpc_inproc_pipe_path(uint32_t stream, char *path, size_t size);
/* The same of a forward that listens where `listen` says: as it answers it. */
void vpc_inproc_forward_path(uint32_t stream, const char *listen, char path[VPC_INPROC_LISTEN]);
/* A client comes to the forward. */
void vpc_inproc_queue(struct inproc *self, const struct local *forward, int conn);
/* Carries octets and actions until nothing moves. */
void vpc_inproc_settle(struct inproc *self);

#endif
