/* The things that live in the puppet: bytes between their descriptors and the harness. */
#include "puppet/puppet_agent.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Credit is given back in pieces of this size, not byte by byte. */
#define GRANT (VPC_PUPPET_WINDOW / 4)

struct thing *thing_find(struct puppet *puppet, uint32_t handle)
{
    for (int i = 0; i < VPC_PUPPET_THINGS_MAX; i++) {
        struct thing *thing = &puppet->things[i];

        if (thing->kind != THING_FREE && thing->handle == handle)
            return thing;
    }
    return NULL;
}

static struct thing *free_place(struct puppet *puppet)
{
    for (int i = 0; i < VPC_PUPPET_THINGS_MAX; i++) {
        if (puppet->things[i].kind == THING_FREE)
            return &puppet->things[i];
    }
    errno = ENFILE;
    return NULL;
}

static int watch(struct puppet *puppet, struct thing *thing)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data.u32 = (uint32_t)(thing - puppet->things)};

    if (epoll_ctl(puppet->epoll, EPOLL_CTL_ADD, thing->fd, &event) == 0)
        return 0;
    if (errno != EPERM)
        return -1;
    thing->can_read = thing->can_write = true; /* a plain file is always ready */
    return 0;
}

struct thing *thing_new(struct puppet *puppet, enum thing_kind kind, uint32_t handle, int fd)
{
    struct thing *thing = free_place(puppet);
    bool writes = kind == THING_PORT || kind == THING_STREAM || kind == THING_WRITER;

    if (!thing)
        goto fail;
    *thing = (struct thing){.kind = kind, .handle = handle, .fd = fd};
    thing->credit = VPC_PUPPET_WINDOW;
    thing->granted = writes ? VPC_PUPPET_WINDOW : 0;
    thing->in_ended = kind == THING_WRITER;
    thing->out_ended = !writes;
    thing->linked = true;
    if (writes && !(thing->out = malloc(VPC_PUPPET_WINDOW)))
        goto fail;
    if (fd >= 0 && watch(puppet, thing) != 0)
        goto fail;
    return thing;

fail:;
    int error = errno;
    if (thing) {
        thing_release(thing);
    } else if (fd >= 0) {
        close(fd);
    }
    errno = error;
    return NULL;
}

void thing_release(struct thing *thing)
{
    if (thing->fd >= 0)
        close(thing->fd);
    free(thing->out);
    free(thing->path);
    *thing = (struct thing){.fd = -1};
}

void thing_close(struct puppet *puppet, struct thing *thing)
{
    puppet_say(puppet, VPC_PUPPET_CLOSED, thing->handle, NULL, 0);
    thing_release(thing);
}

void thing_fail(struct puppet *puppet, struct thing *thing, int error, const char *what)
{
    puppet_say_failed(puppet, thing->handle, error, what);
    if (thing->kind == THING_COMMAND && thing->pid > 0)
        kill(-thing->pid, SIGKILL); /* it is reaped as one of nobody's */
    thing_release(thing);
}

void thing_wake(struct puppet *puppet, struct thing *thing, uint32_t events)
{
    if (thing->kind == THING_FREE)
        return;
    thing->can_read |= (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    thing->can_write |= (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0;
    if (thing->kind == THING_STREAM && thing->in_ended && !thing->out_ended && events & EPOLLERR) {
        thing->out_ended = true; /* it was reset after its end, which no read tells */
        puppet_say(puppet, VPC_PUPPET_RESET, thing->handle, NULL, 0);
    }
    if (thing->kind == THING_PORT && !thing->linked && !(events & EPOLLHUP)) {
        thing->linked = true;
        puppet_say_number(puppet, VPC_PUPPET_LINK, thing->handle, 1);
    }
}

/* What a read of 0 or an error means depends on what was read. */
static void in_ended(struct puppet *puppet, struct thing *thing, int error)
{
    thing->can_read = false;
    if (thing->kind == THING_FOLLOWER)
        return;
    if (thing->kind == THING_PORT) {
        struct stat status;
        bool virtio = fstat(thing->fd, &status) == 0 && S_ISCHR(status.st_mode);

        if (virtio) { /* no host client now; an edge tells of the next one */
            if (thing->linked)
                puppet_say_number(puppet, VPC_PUPPET_LINK, thing->handle, 0);
            thing->linked = false;
            return;
        }
    }
    thing->in_ended = true;
    puppet_say(puppet, error ? VPC_PUPPET_RESET : VPC_PUPPET_FIN, thing->handle, NULL, 0);
    if (error)
        thing->out_ended = true;
    if (thing->kind == THING_COMMAND) {
        close(thing->fd);
        thing->fd = -1;
    }
}

/* A file that was cut short is read from its beginning again. */
static void follow_again(struct thing *thing)
{
    struct stat status;

    if (thing->fd < 0 || fstat(thing->fd, &status) != 0)
        return;
    if (status.st_size < lseek(thing->fd, 0, SEEK_CUR))
        lseek(thing->fd, 0, SEEK_SET);
}

static bool pump_in(struct puppet *puppet, struct thing *thing)
{
    uint8_t bytes[VPC_PUPPET_PAYLOAD_MAX];
    size_t want = thing->credit < sizeof(bytes) ? thing->credit : sizeof(bytes);

    if (thing->fd < 0 || !thing->can_read || thing->paused || thing->in_ended || want == 0)
        return false;
    if (thing->kind == THING_FOLLOWER)
        follow_again(thing);
    ssize_t got = read(thing->fd, bytes, want);
    if (got < 0 && errno == EINTR)
        return true;
    if (got < 0 && errno == EAGAIN) {
        thing->can_read = false;
        return false;
    }
    if (got < 0 && puppet_is_short(errno)) {
        thing_fail(puppet, thing, errno, "read what has come");
        return true;
    }
    if (got <= 0) {
        in_ended(puppet, thing,
                 got < 0 || (thing->kind == THING_STREAM && thing->out_ended && !thing->out_fin));
        return true;
    }
    thing->credit -= (uint32_t)got;
    puppet_say(puppet, VPC_PUPPET_DATA, thing->handle, bytes, (size_t)got);
    return true;
}

static bool pump_accept(struct puppet *puppet, struct thing *listener)
{
    struct sockaddr_in peer;
    socklen_t length = sizeof(peer);
    uint8_t payload[8];

    if (!listener->can_read || listener->paused || !free_place(puppet))
        return false;
    int fd = accept4(listener->fd, (struct sockaddr *)&peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && puppet_is_short(errno)) { /* the peer is connected, and would wait for ever */
        thing_fail(puppet, listener, errno, "accept a connection");
        return true;
    }
    if (fd < 0) {
        listener->can_read = errno == EINTR || errno == ECONNABORTED;
        return listener->can_read;
    }
    uint32_t handle = VPC_PUPPET_ACCEPTED | puppet->next_accepted++;
    struct thing *stream = thing_new(puppet, THING_STREAM, handle, fd);
    if (!stream) { /* the peer sees it closed */
        thing_fail(puppet, listener, errno, "have a connection that it accepted");
        return true;
    }
    stream->paused = listener->begins_paused;
    vpc_puppet_put32(payload, handle);
    vpc_puppet_put32(payload + 4, ntohs(peer.sin_port));
    puppet_say(puppet, VPC_PUPPET_ACCEPTANCE, listener->handle, payload, sizeof(payload));
    return true;
}

bool thing_take(struct thing *thing, const uint8_t *bytes, size_t size)
{
    if (size > thing->granted)
        return false;
    thing->granted -= (uint32_t)size;
    if (thing->out_ended) /* nobody is left to get them */
        return true;
    size_t end = (thing->out_at + thing->out_len) % VPC_PUPPET_WINDOW;
    size_t first = VPC_PUPPET_WINDOW - end < size ? VPC_PUPPET_WINDOW - end : size;
    memcpy(thing->out + end, bytes, first);
    memcpy(thing->out, bytes + first, size - first);
    thing->out_len += size;
    return true;
}

static void wrote(struct puppet *puppet, struct thing *thing, size_t size)
{
    thing->out_at = (thing->out_at + size) % VPC_PUPPET_WINDOW;
    thing->out_len -= size;
    thing->consumed += (uint32_t)size;
    if (thing->consumed >= GRANT) {
        puppet_say_number(puppet, VPC_PUPPET_WINDOW_MORE, thing->handle, thing->consumed);
        thing->granted += thing->consumed;
        thing->consumed = 0;
    }
}

static void out_done(struct puppet *puppet, struct thing *thing)
{
    thing->out_ended = true;
    thing->out_len = 0;
    if (thing->kind == THING_STREAM && shutdown(thing->fd, SHUT_WR) != 0 && errno != ENOTCONN)
        thing_fail(puppet, thing, errno, "finish writing to a connection");
}

static void out_failed(struct puppet *puppet, struct thing *thing)
{
    thing->out_ended = true;
    thing->out_len = 0;
    thing->out_fin = false;
    /* If there is still something to read, that comes first, and the reset after it. */
    if (thing->in_ended)
        puppet_say(puppet, VPC_PUPPET_RESET, thing->handle, NULL, 0);
}

static bool pump_out(struct puppet *puppet, struct thing *thing)
{
    if (thing->out_ended || (thing->out_len == 0 && !thing->out_fin))
        return false;
    if (thing->out_len == 0) {
        out_done(puppet, thing);
        return true;
    }
    if (!thing->can_write)
        return false;
    size_t size = VPC_PUPPET_WINDOW - thing->out_at;
    if (size > thing->out_len)
        size = thing->out_len;
    if (size > VPC_PUPPET_PAYLOAD_MAX) /* a virtio port takes no more */
        size = VPC_PUPPET_PAYLOAD_MAX;
    ssize_t put = write(thing->fd, thing->out + thing->out_at, size);
    if (put >= 0) {
        wrote(puppet, thing, (size_t)put);
    } else if (errno == EAGAIN) {
        thing->can_write = false;
        return false;
    } else if (thing->kind != THING_WRITER && puppet_is_short(errno)) {
        thing_fail(puppet, thing, errno, "write to a connection or a port");
    } else if (errno != EINTR) {
        out_failed(puppet, thing);
    }
    return true;
}

bool thing_pump(struct puppet *puppet, struct thing *thing)
{
    if (thing->kind == THING_FREE || !puppet_has_room(puppet))
        return false;
    if (thing->kind == THING_LISTENER)
        return pump_accept(puppet, thing);

    bool moved = pump_out(puppet, thing);
    if (thing->kind != THING_FREE && puppet_has_room(puppet))
        moved |= pump_in(puppet, thing);
    if (thing->kind == THING_FREE) /* it has failed */
        return true;
    if (thing->finishes && (thing->out_len == 0 || thing->out_ended) && puppet_has_room(puppet)) {
        thing_close(puppet, thing);
        return true;
    }
    bool lives = thing->kind == THING_FOLLOWER || thing->pid > 0;
    if (!lives && thing->in_ended && thing->out_ended && puppet_has_room(puppet)) {
        thing_close(puppet, thing);
        return true;
    }
    return moved;
}

static struct thing *find_pid(struct puppet *puppet, pid_t pid)
{
    for (int i = 0; i < VPC_PUPPET_THINGS_MAX; i++) {
        if (puppet->things[i].kind == THING_COMMAND && puppet->things[i].pid == pid)
            return &puppet->things[i];
    }
    return NULL;
}

void things_reap(struct puppet *puppet)
{
    int status;
    pid_t pid;
    uint8_t payload[8];

    while (puppet_has_room(puppet) && (pid = waitpid(-1, &status, WNOHANG)) > 0) {
        struct thing *thing = find_pid(puppet, pid);

        if (!thing)
            continue; /* a grandchild whose parent is gone */
        thing->pid = 0;
        vpc_puppet_put32(payload, WIFEXITED(status) ? (uint32_t)WEXITSTATUS(status) : 0);
        vpc_puppet_put32(payload + 4, WIFSIGNALED(status) ? (uint32_t)WTERMSIG(status) : 0);
        puppet_say(puppet, VPC_PUPPET_EXITED, thing->handle, payload, sizeof(payload));
    }
}
