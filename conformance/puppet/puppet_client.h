/*
 * The harness's end of the puppet protocol: requests out, events in, never blocking.
 *
 * Conventions. A client owns its descriptor. Requests are queued and go out as the line takes
 * them; each returns its handle, or 0 with errno (ENOBUFS: VPC_PUPPET_QUEUE_MAX bytes wait
 * unsent; EMSGSIZE: the words are too long). What becomes of a request comes as events that bear
 * its handle: see puppet.h for which. Memory is bounded by the windows: an application that does
 * not ask for events is sent no more than those hold. Strings are copied; no pointer may be NULL.
 */
#ifndef VPC_CONFORMANCE_PUPPET_CLIENT_H
#define VPC_CONFORMANCE_PUPPET_CLIENT_H

#include <sys/types.h>

#include "puppet/puppet.h"

#define VPC_PUPPET_QUEUE_MAX (1024 * 1024)

struct vpc_puppet;

struct vpc_puppet_event {
    enum vpc_puppet_type type; /* one that comes from the puppet */
    uint32_t handle;
    const uint8_t *data; /* DATA: valid until the next call of vpc_puppet_next */
    size_t size;
    /*
     * OPENED: pid of a command, port of a listener. FAILED: errno. EXITED: exit code, signal.
     * ACCEPTANCE: handle of the connection, port of its peer. LINK: 1 or 0. PONG: version.
     * WINDOW_MORE: bytes that vpc_puppet_send would take now.
     */
    uint32_t value, value2;
    const char *text; /* FAILED: what was tried; valid as data is */
};

/* Takes over fd, a connected stream; NULL with errno if there is no memory (fd is closed). */
struct vpc_puppet *vpc_puppet_new(int fd);
/* Closes the line; NULL is allowed. The puppet then kills and closes all that it has. */
void vpc_puppet_free(struct vpc_puppet *puppet);

/* The puppet is kept with its VM, now: handles and windows are for vpc_puppet_move. Nothing may be on its
   way. */
void vpc_puppet_keep(struct vpc_puppet *puppet);
/*
 * The line of a puppet that was kept with its VM and goes on in a copy of it: takes over fd, closes the old
 * one and forgets what was on its way, and what came to be since. 0, or -1 with errno.
 */
int vpc_puppet_move(struct vpc_puppet *puppet, int fd);

/* For poll: the descriptor, and whether bytes wait to go out. */
int vpc_puppet_fd(const struct vpc_puppet *puppet);
bool vpc_puppet_wants_write(const struct vpc_puppet *puppet);

/*
 * Sends what waits and gives one event: 1; 0 if there is none now; -1 with errno if the line is
 * lost (EPIPE: it was closed; EPROTO: the puppet broke the protocol). A guest that says endlessly
 * what is no event does not hold the caller: 0 is given with more to read.
 */
int vpc_puppet_next(struct vpc_puppet *puppet, struct vpc_puppet_event *event);

uint32_t vpc_puppet_ping(struct vpc_puppet *puppet);
/* Up to 512 random bytes for the guest's generator. */
uint32_t vpc_puppet_entropy(struct vpc_puppet *puppet, const void *bytes, size_t size);
/* Sets the guest's wall clock: seconds since 1970, and nanoseconds. */
uint32_t vpc_puppet_clock(struct vpc_puppet *puppet, uint32_t seconds, uint32_t nanoseconds);
/* Everything ends; handles of before are void at once, their late events are dropped. */
uint32_t vpc_puppet_reset_all(struct vpc_puppet *puppet);
/* Runs argv (ends with NULL) in its own process group; its output comes as DATA. */
uint32_t vpc_puppet_run(struct vpc_puppet *puppet, const char *const argv[]);
/* Opens a port (the bus: /dev/virtio-ports/org.vpcbus.0) or a socket for raw bytes. */
uint32_t vpc_puppet_open(struct vpc_puppet *puppet, const char *path);
/*
 * Listens on 127.0.0.1:port (0: any). rcvbuf is a receive buffer in bytes (0: the system's); flags
 * is 0 or one of VPC_PUPPET_LISTEN_*.
 */
uint32_t vpc_puppet_listen(struct vpc_puppet *puppet, uint16_t port, uint32_t rcvbuf,
                           uint32_t flags);
uint32_t vpc_puppet_read(struct vpc_puppet *puppet, const char *path);
/* The file's bytes, and those that are added later; the path is absolute. */
uint32_t vpc_puppet_follow(struct vpc_puppet *puppet, const char *path);
/* Makes or replaces a file: then vpc_puppet_send and vpc_puppet_fin, until CLOSED. */
uint32_t vpc_puppet_write(struct vpc_puppet *puppet, const char *path, unsigned mode);

/*
 * Queues bytes; returns how many were taken (0 if the window or the queue is full: WINDOW_MORE
 * comes when there is room again), -1 with errno EBADF if the handle is no more.
 */
ssize_t vpc_puppet_send(struct vpc_puppet *puppet, uint32_t handle, const void *bytes, size_t size);

/* These return 0, or -1 with errno (EBADF, ENOBUFS). */
int vpc_puppet_fin(struct vpc_puppet *puppet, uint32_t handle);
int vpc_puppet_reset(struct vpc_puppet *puppet, uint32_t handle);
int vpc_puppet_close(struct vpc_puppet *puppet, uint32_t handle);
/* The same, when what was sent to it is written. */
int vpc_puppet_finish(struct vpc_puppet *puppet, uint32_t handle);
int vpc_puppet_pause(struct vpc_puppet *puppet, uint32_t handle);
int vpc_puppet_resume(struct vpc_puppet *puppet, uint32_t handle);
int vpc_puppet_kill(struct vpc_puppet *puppet, uint32_t handle, int signal);

#endif
