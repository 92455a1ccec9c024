/*
 * The insides of the puppet: what its three files share.
 *
 *   puppet.c        the loop, the harness's line, start and end
 *   puppet_ops.c    what each request does
 *   puppet_thing.c  the things that live: bytes between their descriptors and the harness
 *
 * One thread. Every descriptor is non-blocking and in epoll edge-triggered: a virtio port without
 * a host client says HUP for ever, and only an edge lets one sleep on it. So what epoll says is
 * remembered in can_read and can_write until the system says EAGAIN, and the loop goes on as long
 * as anything moves. Whatever stops a thing (no credit, no room, PAUSE) ends by an edge or by a
 * frame from the harness.
 */
#ifndef VPC_CONFORMANCE_PUPPET_AGENT_H
#define VPC_CONFORMANCE_PUPPET_AGENT_H

#include <sys/types.h>

#include "puppet/puppet.h"

enum thing_kind {
    THING_FREE,
    THING_COMMAND,
    THING_PORT,
    THING_LISTENER,
    THING_STREAM,
    THING_READER,
    THING_FOLLOWER,
    THING_WRITER
};

struct thing {
    enum thing_kind kind;
    uint32_t handle;
    int fd; /* -1: a command's output that has ended, a file to follow that is not there yet */
    pid_t pid;
    bool can_read, can_write, paused;
    bool begins_paused; /* a listener's connections do */
    bool in_ended;      /* FIN or RESET of this way has been told */
    bool finishes;      /* the harness said FINISH */
    bool out_fin;       /* the harness said FIN */
    bool out_ended;     /* and it has been done, or nothing can be written any more */
    bool linked;        /* a port's host client was there when last looked */
    uint32_t credit;    /* bytes that the harness still takes */
    uint32_t granted;   /* bytes that the harness may still send */
    uint32_t consumed;  /* bytes written, not granted again yet */
    uint8_t *out;       /* a ring of VPC_PUPPET_WINDOW, for what is not written yet */
    size_t out_at, out_len;
    char *path; /* of a follower */
};

struct puppet {
    int epoll, line, signals, notify;
    bool line_is_port; /* EOF means that no harness is there now, not that it is all over */
    bool can_read, can_write;
    bool lost; /* the harness is gone, or not understood */
    const char *path;
    uint32_t next_accepted;
    struct vpc_puppet_decoder decoder;
    size_t in_at, in_len, out_at, out_len;
    uint8_t in[16384];
    uint8_t out[4 * VPC_PUPPET_FRAME_MAX];
    struct thing things[VPC_PUPPET_THINGS_MAX];
};

/* What epoll gives back for the descriptors that are no things; things give their index. */
enum { WAKE_LINE = VPC_PUPPET_THINGS_MAX, WAKE_SIGNALS, WAKE_NOTIFY };

/* Room in the line for a largest frame, and then for the small ones that may follow it. */
bool puppet_has_room(const struct puppet *puppet);
/* Queues a frame; the caller has seen that there is room. */
void puppet_say(struct puppet *puppet, enum vpc_puppet_type type, uint32_t handle,
                const void *payload, size_t size);
void puppet_say_number(struct puppet *puppet, enum vpc_puppet_type type, uint32_t handle,
                       uint32_t number);
/* Queues FAILED with errno's value and the words, cut to what a frame takes. */
void puppet_say_failed(struct puppet *puppet, uint32_t handle, int error, const char *what);
/* Whether an errno is this machine's: no memory, descriptor or room left. */
bool puppet_is_short(int error);
/* Whether there is an inotify; -1 with errno if there can be none. */
int puppet_notify_begin(struct puppet *puppet);
/* Kills and reaps every child and closes every thing, saying nothing. */
void puppet_reset(struct puppet *puppet);

/* Does what one frame of the harness asks. False: it broke the protocol. */
bool puppet_obey(struct puppet *puppet, const struct vpc_puppet_frame *frame);

/* A new thing around fd (owned from now on, also on failure); NULL with errno if there is no
 * place or memory for one. */
struct thing *thing_new(struct puppet *puppet, enum thing_kind kind, uint32_t handle, int fd);
struct thing *thing_find(struct puppet *puppet, uint32_t handle);
/* Takes what epoll says of it. */
void thing_wake(struct puppet *puppet, struct thing *thing, uint32_t events);
/* Moves what can be moved, once; true if anything was. */
bool thing_pump(struct puppet *puppet, struct thing *thing);
/* Takes DATA; false if the credit does not cover it. */
bool thing_take(struct thing *thing, const uint8_t *bytes, size_t size);
/* Releases it, and says CLOSED. */
void thing_close(struct puppet *puppet, struct thing *thing);
/* Releases it, a command with its processes, and says FAILED. */
void thing_fail(struct puppet *puppet, struct thing *thing, int error, const char *what);
/* Releases it without a word. */
void thing_release(struct thing *thing);
/* Tells the end of every child that has one. */
void things_reap(struct puppet *puppet);

#endif
