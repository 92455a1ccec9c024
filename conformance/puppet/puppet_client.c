/* The harness's end of the puppet protocol: see puppet_client.h. */
#include "puppet/puppet_client.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Things that live, and requests of things whose answer is on its way. */
#define KNOWN_MAX (2 * VPC_PUPPET_THINGS_MAX)
/* Credit is given back in pieces of this size, not byte by byte. */
#define GRANT (VPC_PUPPET_WINDOW / 4)
/* So often in a row the line is read without an event; what is left is for the next call. */
#define READS_AT_ONCE 16
/* Of the queue, what DATA leaves free for requests and credit. */
#define RESERVE (2 * VPC_PUPPET_FRAME_MAX)

struct known {
    uint32_t handle; /* 0: a free place */
    uint32_t credit; /* bytes that the puppet still takes */
    uint32_t consumed;
    bool wants; /* a send was cut short */
};

struct vpc_puppet {
    int fd;
    uint32_t last_handle;
    uint32_t reset_handle; /* of a RESET_ALL: what comes before its DONE is dropped */
    size_t in_at, in_len, out_at, out_len;
    uint8_t *out;
    struct known known[KNOWN_MAX], kept[KNOWN_MAX];
    struct vpc_puppet_decoder decoder;
    uint8_t in[65536];
};

struct vpc_puppet *vpc_puppet_new(int fd)
{
    struct vpc_puppet *puppet = calloc(1, sizeof(*puppet));

    if (puppet)
        puppet->out = malloc(VPC_PUPPET_QUEUE_MAX);
    if (!puppet || !puppet->out || fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
        free(puppet ? puppet->out : NULL);
        free(puppet);
        close(fd);
        return NULL;
    }
    puppet->fd = fd;
    vpc_puppet_decoder_reset(&puppet->decoder, VPC_PUPPET_FROM_PUPPET);
    return puppet;
}

void vpc_puppet_free(struct vpc_puppet *puppet)
{
    if (!puppet)
        return;
    close(puppet->fd);
    free(puppet->out);
    free(puppet);
}

void vpc_puppet_keep(struct vpc_puppet *puppet)
{
    memcpy(puppet->kept, puppet->known, sizeof(puppet->kept));
}

int vpc_puppet_move(struct vpc_puppet *puppet, int fd)
{
    if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
        close(fd);
        return -1;
    }
    close(puppet->fd);
    puppet->fd = fd;
    memcpy(puppet->known, puppet->kept, sizeof(puppet->known));
    puppet->in_at = puppet->in_len = puppet->out_at = puppet->out_len = 0;
    vpc_puppet_decoder_reset(&puppet->decoder, VPC_PUPPET_FROM_PUPPET);
    return 0;
}

int vpc_puppet_fd(const struct vpc_puppet *puppet)
{
    return puppet->fd;
}

bool vpc_puppet_wants_write(const struct vpc_puppet *puppet)
{
    return puppet->out_len > 0;
}

static struct known *known_find(struct vpc_puppet *puppet, uint32_t handle)
{
    for (int i = 0; handle && i < KNOWN_MAX; i++) {
        if (puppet->known[i].handle == handle)
            return &puppet->known[i];
    }
    return NULL;
}

static bool known_add(struct vpc_puppet *puppet, uint32_t handle)
{
    for (int i = 0; i < KNOWN_MAX; i++) {
        if (puppet->known[i].handle == 0) {
            puppet->known[i] = (struct known){.handle = handle, .credit = VPC_PUPPET_WINDOW};
            return true;
        }
    }
    errno = ENFILE;
    return false;
}

static size_t room(const struct vpc_puppet *puppet)
{
    return VPC_PUPPET_QUEUE_MAX - puppet->out_len;
}

static int say(struct vpc_puppet *puppet, enum vpc_puppet_type type, uint32_t handle,
               const void *payload, size_t size)
{
    if (room(puppet) < VPC_PUPPET_HEADER + size) {
        errno = ENOBUFS;
        return -1;
    }
    if (puppet->out_at > 0) {
        memmove(puppet->out, puppet->out + puppet->out_at, puppet->out_len);
        puppet->out_at = 0;
    }
    vpc_puppet_put_header(puppet->out + puppet->out_len, type, handle, size);
    puppet->out_len += VPC_PUPPET_HEADER;
    if (size)
        memcpy(puppet->out + puppet->out_len, payload, size);
    puppet->out_len += size;
    return 0;
}

static uint32_t new_handle(struct vpc_puppet *puppet)
{
    puppet->last_handle = puppet->last_handle % (VPC_PUPPET_ACCEPTED - 1) + 1;
    return puppet->last_handle;
}

/* A request that is answered once. */
static uint32_t ask(struct vpc_puppet *puppet, enum vpc_puppet_type type, const void *payload,
                    size_t size)
{
    uint32_t handle = new_handle(puppet);

    return say(puppet, type, handle, payload, size) == 0 ? handle : 0;
}

/* A request that makes a thing. */
static uint32_t ask_thing(struct vpc_puppet *puppet, enum vpc_puppet_type type, const void *payload,
                          size_t size)
{
    uint32_t handle = new_handle(puppet);

    if (!known_add(puppet, handle))
        return 0;
    if (say(puppet, type, handle, payload, size) == 0)
        return handle;
    known_find(puppet, handle)->handle = 0;
    return 0;
}

uint32_t vpc_puppet_ping(struct vpc_puppet *puppet)
{
    return ask(puppet, VPC_PUPPET_PING, NULL, 0);
}

uint32_t vpc_puppet_entropy(struct vpc_puppet *puppet, const void *bytes, size_t size)
{
    if (size == 0 || size > 512) {
        errno = EMSGSIZE;
        return 0;
    }
    return ask(puppet, VPC_PUPPET_ENTROPY, bytes, size);
}

uint32_t vpc_puppet_clock(struct vpc_puppet *puppet, uint32_t seconds, uint32_t nanoseconds)
{
    uint8_t payload[8];

    vpc_puppet_put32(payload, seconds);
    vpc_puppet_put32(payload + 4, nanoseconds);
    return ask(puppet, VPC_PUPPET_CLOCK, payload, sizeof(payload));
}

uint32_t vpc_puppet_reset_all(struct vpc_puppet *puppet)
{
    uint32_t handle = ask(puppet, VPC_PUPPET_RESET_ALL, NULL, 0);

    if (handle) {
        memset(puppet->known, 0, sizeof(puppet->known));
        puppet->reset_handle = handle;
    }
    return handle;
}

uint32_t vpc_puppet_run(struct vpc_puppet *puppet, const char *const argv[])
{
    char payload[VPC_PUPPET_PAYLOAD_MAX];
    size_t at = 0;

    for (int i = 0; argv[i]; i++) {
        size_t size = strlen(argv[i]) + 1;

        if (size > sizeof(payload) - at || i >= 255) {
            errno = EMSGSIZE;
            return 0;
        }
        memcpy(payload + at, argv[i], size);
        at += size;
    }
    return ask_thing(puppet, VPC_PUPPET_RUN, payload, at);
}

static uint32_t ask_path(struct vpc_puppet *puppet, enum vpc_puppet_type type, const char *path)
{
    size_t size = strlen(path) + 1;

    if (size < 2 || size > PATH_MAX - 4) {
        errno = EMSGSIZE;
        return 0;
    }
    return ask_thing(puppet, type, path, size);
}

uint32_t vpc_puppet_open(struct vpc_puppet *puppet, const char *path)
{
    return ask_path(puppet, VPC_PUPPET_OPEN, path);
}

uint32_t vpc_puppet_listen(struct vpc_puppet *puppet, uint16_t port, uint32_t rcvbuf,
                           uint32_t flags)
{
    uint8_t payload[12];

    vpc_puppet_put32(payload, port);
    vpc_puppet_put32(payload + 4, rcvbuf);
    vpc_puppet_put32(payload + 8, flags);
    return ask_thing(puppet, VPC_PUPPET_LISTEN, payload, sizeof(payload));
}

uint32_t vpc_puppet_read(struct vpc_puppet *puppet, const char *path)
{
    return ask_path(puppet, VPC_PUPPET_READ, path);
}

uint32_t vpc_puppet_follow(struct vpc_puppet *puppet, const char *path)
{
    return ask_path(puppet, VPC_PUPPET_FOLLOW, path);
}

uint32_t vpc_puppet_write(struct vpc_puppet *puppet, const char *path, unsigned mode)
{
    uint8_t payload[PATH_MAX];
    size_t size = strlen(path) + 1;

    if (size < 2 || size > sizeof(payload) - 4) {
        errno = EMSGSIZE;
        return 0;
    }
    vpc_puppet_put32(payload, mode);
    memcpy(payload + 4, path, size);
    return ask_thing(puppet, VPC_PUPPET_WRITE, payload, size + 4);
}

ssize_t vpc_puppet_send(struct vpc_puppet *puppet, uint32_t handle, const void *bytes, size_t size)
{
    struct known *known = known_find(puppet, handle);
    size_t taken = 0;

    if (!known) {
        errno = EBADF;
        return -1;
    }
    while (taken < size && known->credit > 0) {
        size_t piece = size - taken;

        if (piece > known->credit)
            piece = known->credit;
        if (piece > VPC_PUPPET_PAYLOAD_MAX)
            piece = VPC_PUPPET_PAYLOAD_MAX;
        if (room(puppet) < RESERVE + piece ||
            say(puppet, VPC_PUPPET_DATA, handle, (const uint8_t *)bytes + taken, piece) != 0)
            break;
        known->credit -= (uint32_t)piece;
        taken += piece;
    }
    known->wants = taken < size;
    return (ssize_t)taken;
}

static int tell(struct vpc_puppet *puppet, enum vpc_puppet_type type, uint32_t handle)
{
    if (!known_find(puppet, handle)) {
        errno = EBADF;
        return -1;
    }
    return say(puppet, type, handle, NULL, 0);
}

int vpc_puppet_fin(struct vpc_puppet *puppet, uint32_t handle)
{
    return tell(puppet, VPC_PUPPET_FIN, handle);
}

int vpc_puppet_reset(struct vpc_puppet *puppet, uint32_t handle)
{
    return tell(puppet, VPC_PUPPET_RESET, handle);
}

int vpc_puppet_close(struct vpc_puppet *puppet, uint32_t handle)
{
    return tell(puppet, VPC_PUPPET_CLOSE, handle);
}

int vpc_puppet_finish(struct vpc_puppet *puppet, uint32_t handle)
{
    return tell(puppet, VPC_PUPPET_FINISH, handle);
}

int vpc_puppet_pause(struct vpc_puppet *puppet, uint32_t handle)
{
    return tell(puppet, VPC_PUPPET_PAUSE, handle);
}

int vpc_puppet_resume(struct vpc_puppet *puppet, uint32_t handle)
{
    return tell(puppet, VPC_PUPPET_RESUME, handle);
}

int vpc_puppet_kill(struct vpc_puppet *puppet, uint32_t handle, int signal)
{
    uint8_t payload[4];

    if (!known_find(puppet, handle)) {
        errno = EBADF;
        return -1;
    }
    vpc_puppet_put32(payload, (uint32_t)signal);
    return say(puppet, VPC_PUPPET_KILL, handle, payload, sizeof(payload));
}

/* 0, or -1 if the line is lost. */
static int flush(struct vpc_puppet *puppet)
{
    while (puppet->out_len > 0) {
        ssize_t put = send(puppet->fd, puppet->out + puppet->out_at, puppet->out_len, MSG_NOSIGNAL);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return errno == EAGAIN ? 0 : -1;
        puppet->out_at += (size_t)put;
        puppet->out_len -= (size_t)put;
    }
    return 0;
}

/* 1: bytes came; 0: none now; -1: the line is lost. */
static int receive(struct vpc_puppet *puppet)
{
    ssize_t got;

    do {
        got = read(puppet->fd, puppet->in, sizeof(puppet->in));
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno == EAGAIN ? 0 : -1;
    if (got == 0) {
        errno = EPIPE;
        return -1;
    }
    puppet->in_at = 0;
    puppet->in_len = (size_t)got;
    return 1;
}

/* A connection's handle is of the puppet's choice, but not of those that are in use or the harness's. */
static bool accept_handle(struct vpc_puppet *puppet, uint32_t handle)
{
    return (handle & VPC_PUPPET_ACCEPTED) && !known_find(puppet, handle) &&
           known_add(puppet, handle);
}

/* Whether the puppet may say this: else whoever has taken its place in the guest says it. */
static bool is_allowed(struct vpc_puppet *puppet, const struct vpc_puppet_frame *frame)
{
    const struct known *known = known_find(puppet, frame->handle);

    if (puppet->reset_handle || !known) /* nothing is done with it */
        return true;
    if (frame->type == VPC_PUPPET_DATA)
        return known->consumed + frame->size <= VPC_PUPPET_WINDOW;
    if (frame->type == VPC_PUPPET_WINDOW_MORE)
        return known->credit + (uint64_t)vpc_puppet_get32(frame->payload) <= VPC_PUPPET_WINDOW;
    return frame->type != VPC_PUPPET_ACCEPTANCE ||
           accept_handle(puppet, vpc_puppet_get32(frame->payload));
}

static void read_numbers(const struct vpc_puppet_frame *frame, struct vpc_puppet_event *event)
{
    size_t at = 4;

    *event = (struct vpc_puppet_event){.type = frame->type, .handle = frame->handle};
    if (frame->type == VPC_PUPPET_DATA)
        return;
    if (frame->size >= 4)
        event->value = vpc_puppet_get32(frame->payload);
    if (frame->size >= 8)
        event->value2 = vpc_puppet_get32(frame->payload + 4);
    if (frame->type == VPC_PUPPET_FAILED)
        event->text = vpc_puppet_string(frame, &at);
    if (frame->type == VPC_PUPPET_FAILED && !event->text)
        event->text = "";
}

/* Fills the event; false if it is none for the application. */
static bool interpret(struct vpc_puppet *puppet, const struct vpc_puppet_frame *frame,
                      struct vpc_puppet_event *event)
{
    struct known *known = known_find(puppet, frame->handle);
    bool ends = frame->type == VPC_PUPPET_CLOSED || frame->type == VPC_PUPPET_FAILED;
    uint8_t payload[4];

    read_numbers(frame, event);
    if (puppet->reset_handle) { /* of before RESET_ALL, until its DONE */
        bool done = frame->handle == puppet->reset_handle;

        puppet->reset_handle = done ? 0 : puppet->reset_handle;
        return done;
    }
    if (frame->type == VPC_PUPPET_ACCEPTANCE)
        return known != NULL;
    if (known && ends)
        known->handle = 0;
    if (known && frame->type == VPC_PUPPET_WINDOW_MORE) {
        known->credit += event->value;
        event->value = known->credit;
        return known->wants && !(known->wants = false);
    }
    if (known && frame->type == VPC_PUPPET_DATA) {
        event->data = frame->payload;
        event->size = frame->size;
        known->consumed += (uint32_t)frame->size;
        vpc_puppet_put32(payload, known->consumed);
        if (known->consumed >= GRANT &&
            say(puppet, VPC_PUPPET_WINDOW_MORE, known->handle, payload, 4) == 0)
            known->consumed = 0;
        return true;
    }
    return frame->type != VPC_PUPPET_WINDOW_MORE && frame->type != VPC_PUPPET_DATA;
}

int vpc_puppet_next(struct vpc_puppet *puppet, struct vpc_puppet_event *event)
{
    struct vpc_puppet_frame frame;
    size_t used;
    int reads = 0;

    if (flush(puppet) != 0)
        return -1;
    for (;;) {
        int received = 1;

        if (puppet->in_len == 0)
            received = reads++ < READS_AT_ONCE ? receive(puppet) : 0;
        if (received <= 0) /* what was queued meanwhile (credit) goes out before the sleep */
            return received < 0 || flush(puppet) != 0 ? -1 : 0;
        enum vpc_puppet_fed fed = vpc_puppet_feed(&puppet->decoder, puppet->in + puppet->in_at,
                                                  puppet->in_len, &used, &frame);
        puppet->in_at += used;
        puppet->in_len -= used;
        if (fed == VPC_PUPPET_BAD || (fed == VPC_PUPPET_FRAME && !is_allowed(puppet, &frame))) {
            errno = EPROTO;
            return -1;
        }
        if (fed == VPC_PUPPET_FRAME && interpret(puppet, &frame, event))
            return 1;
    }
}
