/* SPDX-License-Identifier: MIT */
/*
 * The transport, in kinds:
 *   connect       to a Unix socket (QEMU's chardev), again and again (TRN-2).  It serves one at a time: who was not
 *                 accepted has no transport yet (TRN-8)
 *   listen        at a Unix socket, one peer at a time: QEMU's side of the above, for a loopback without QEMU
 *   port          a virtio-serial character device.  While no host is connected poll() says POLLHUP, at once and for
 *                 ever, so the port leaves epoll and is looked at ten times a second (TRN-4)
 *   vsock         as connect over AF_VSOCK (TRN-5), where it takes a while until a connection is there or is refused
 *   vsock-listen  as listen over AF_VSOCK
 *
 * There is one transport at a time.  It ends with end of file, a hang-up or an error.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus_dial.h"
#include "shell_internal.h"

enum {
    CONNECT_RETRY_MS = 200,
    /* Of one try that gets no answer: with the time between two, a second (TRN-2). */
    CONNECT_LIMIT_MS = 800,
    TURN_FIRST_MS =
        2, /* of one that waits in line: until the first look; then after as long as it has waited, */
    TURN_LOOK_MS = 200,   /* up to this */
    TURN_SURE_MS = 100,   /* one that still waits then waits for who is served, if anybody is; */
    TURN_LIMIT_MS = 1000, /* if nobody is, it hangs: that is told then (TRN-8) */
    PORT_RETRY_MS = 100,
    NOTE_AGAIN_MS = 10000, /* a cause is told this often at most */
    READS_PER_EVENT = VPC_BUDGET / VPC_CHUNK,
    PORT_READ = 4096,   /* what a virtio port gives per read at most: one buffer of its driver */
    PORT_WRITE = 32768, /* and takes per write */
};

/* What the kinds differ in. */
struct kind {
    int family;                         /* of its sockets; AF_UNSPEC: it is a port */
    int (*listen)(struct vpc_bus *bus); /* once; NULL: it is tried, again and again */
    /* 0, EINPROGRESS (there is more to come), ENOTCONN (nobody is told), or an errno. */
    int (*try_once)(struct vpc_bus *bus);
    unsigned retry_ms;
};

static const struct kind *kind_of(const struct vpc_bus *bus);

static bool is_port(const struct vpc_bus *bus)
{
    return kind_of(bus)->family == AF_UNSPEC;
}

static void retry_later(struct vpc_bus *bus)
{
    struct vpc_loop *loop = &bus->shell->loop;

    vpc_timer_set(loop, &bus->retry, loop->now + kind_of(bus)->retry_ms);
}

/* Why there is no transport yet, told when it changes; a peer that comes and goes can't make us tell it all the time. */
static void note_error(struct vpc_bus *bus, int error)
{
    const uint64_t now = bus->shell->loop.now;

    if (error && (error == bus->last_error || now < bus->error_note_at))
        return;
    bus->last_error = error;
    if (!error)
        return;
    vpc_shell_note(bus->shell, "waiting for the bus %s: %s", bus->address.path, strerror(error));
    bus->error_note_at = now + NOTE_AGAIN_MS;
}

static void go_up(struct vpc_bus *bus)
{
    note_error(bus, 0);
    bus->up = true;
    bus->shell->abi->bus_up(bus->shell->ep);
    vpc_watch_set(&bus->shell->loop, &bus->watch, EPOLLIN);
    vpc_shell_exchange(bus->shell);
}

static void go_down(struct vpc_bus *bus)
{
    if (!bus->up)
        return;
    bus->up = false;
    if (is_port(bus))
        vpc_watch_remove(&bus->shell->loop, &bus->watch);
    else
        vpc_watch_close(&bus->shell->loop, &bus->watch);
    if (kind_of(bus)->listen != NULL)
        vpc_listener_pause(&bus->listener, false);
    else
        retry_later(bus);
    vpc_trace_down(bus->shell);
    bus->shell->abi->bus_down(bus->shell->ep);
    vpc_shell_exchange(bus->shell);
}

/*
 * Reads to the size of the chunk, -1 or 0 as read() says.  A port gives one buffer of its driver at a time; what follows a whole
 * one goes with it, so that 64 KiB are one turn of the endpoint's work and not sixteen.  An error or the end behind octets is
 * met again by the next read.
 */
static ssize_t gather(struct vpc_bus *bus)
{
    unsigned char *chunk = bus->shell->chunk;
    ssize_t n = read(bus->watch.fd, chunk, VPC_CHUNK), total = n;

    while (is_port(bus) && n == PORT_READ && total < VPC_CHUNK) {
        n = read(bus->watch.fd, chunk + total, (size_t)(VPC_CHUNK - total));
        total += n > 0 ? n : 0;
    }
    return total;
}

/* Gives once to the endpoint what there is; whether there may be more.  A short read took all that there was: to read
 * again would only say EAGAIN, and if there is more by now, or the end, epoll says so. */
static bool read_some(struct vpc_bus *bus)
{
    struct vpc_shell *shell = bus->shell;
    ssize_t n = gather(bus);

    if (n > 0) {
        vpc_trace_octets(shell, false, shell->chunk, (size_t)n);
        shell->abi->bus_input(shell->ep, shell->chunk, (size_t)n);
        vpc_shell_exchange(shell);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        go_down(bus);
    }
    return bus->up && n == VPC_CHUNK;
}

void vpc_bus_take(struct vpc_bus *bus)
{
    if (bus->up)
        for (int i = 0; i < READS_PER_EVENT && read_some(bus); i++)
            ;
}

/* A connection over AF_VSOCK is there, or is none. */
static void on_connected(struct vpc_bus *bus)
{
    int error = 0;
    socklen_t size = sizeof(error);

    vpc_timer_clear(&bus->shell->loop, &bus->retry);
    bus->connecting = false;
    if (getsockopt(bus->watch.fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
        error = errno;
    if (!error) {
        go_up(bus);
        return;
    }
    vpc_watch_close(&bus->shell->loop, &bus->watch);
    note_error(bus, error);
    retry_later(bus);
}

/* ---- in line (TRN-8) ------------------------------------------------------------------------------------------ */

static void look_later(struct vpc_bus *bus)
{
    struct vpc_loop *loop = &bus->shell->loop;
    uint64_t waited = loop->now - bus->in_line_at;

    vpc_timer_set(loop, &bus->retry,
                  loop->now + (waited < TURN_FIRST_MS  ? TURN_FIRST_MS
                               : waited < TURN_LOOK_MS ? waited
                                                       : TURN_LOOK_MS));
}

/* 0: its turn has come, or nobody knows; EAGAIN: not yet; with `who` EBUSY: another is served, and the answer's text is its name. */
static int ask_turn(const struct vpc_bus *bus, bool who, struct vpc_answer *answer)
{
    const struct vpc_errand errand = {.wish = VPC_WISH_TURN, .number = who};
    int fd, error = vpc_opener_ask(bus->shell->asked, &errand, answer, &fd);

    return error == EAGAIN || error == EBUSY ? error : 0;
}

static bool waits(const struct vpc_bus *bus)
{
    struct vpc_answer answer;

    return ask_turn(bus, false, &answer) != 0;
}

/* Once: at once where somebody is known to be served, else when it takes too long. */
static void tell_in_line(struct vpc_bus *bus)
{
    struct vpc_shell *shell = bus->shell;
    uint64_t waited = shell->loop.now - bus->in_line_at;
    struct vpc_answer answer;

    if (bus->told_in_line || waited < TURN_SURE_MS)
        return;
    int turn = ask_turn(bus, true, &answer);
    if (turn == 0 || (turn == EAGAIN && waited < TURN_LIMIT_MS))
        return;
    const char *holder = answer.text;
    bus->told_in_line = true;
    vpc_shell_note(shell, "waiting for the bus %s: %s has it", bus->address.path,
                   *holder ? holder : "another program");
    if (shell->config.role == VPC_ROLE_HOST)
        vpc_shell_log(
            shell, VPC_LOG_BUS_TAKEN,
            json_pack("{s:s, s:s*}", "bus", bus->address.path, "holder", *holder ? holder : NULL));
}

/* Nobody listens any more, and who stood in line is sent away. */
static void leave_line(struct vpc_bus *bus)
{
    bus->connecting = false;
    vpc_watch_close(&bus->shell->loop, &bus->watch);
    retry_later(bus);
}

static bool is_in_line(const struct vpc_bus *bus)
{
    return bus->connecting && kind_of(bus)->family == AF_UNIX;
}

void vpc_bus_look(struct vpc_bus *bus)
{
    if (!is_in_line(bus) || waits(bus))
        return;
    bus->connecting = bus->told_in_line = false;
    vpc_timer_clear(&bus->shell->loop, &bus->retry);
    go_up(bus);
}

/* vpc_bus_look() was called in this turn. */
static void stay_in_line(struct vpc_bus *bus)
{
    tell_in_line(bus);
    look_later(bus);
}

static void on_ready(struct vpc_watch *watch, uint32_t events)
{
    struct vpc_bus *bus = watch->owner;

    if (bus->connecting) {
        if (is_in_line(bus))
            leave_line(bus);
        else
            on_connected(bus);
        return;
    }
    if (events & EPOLLIN) {
        for (int i = 0; i < READS_PER_EVENT && read_some(bus); i++)
            ;
    } else if (events & (EPOLLHUP | EPOLLERR)) {
        go_down(bus);
        return;
    }
    if (bus->up && (events & EPOLLOUT))
        vpc_shell_exchange(bus->shell);
}

/* A write of w of n octets: whether the transport took less than it takes at once. */
static bool is_short(const struct vpc_bus *bus, size_t w, size_t n)
{
    return w < n && (!is_port(bus) || w < PORT_WRITE);
}

void vpc_bus_flush(struct vpc_bus *bus)
{
    struct vpc_shell *shell = bus->shell;
    const void *octets;
    size_t sent = 0, n;
    bool blocked = false;

    if (!bus->up)
        return;
    while (!blocked && sent < VPC_BUDGET && (n = shell->abi->bus_output(shell->ep, &octets)) > 0) {
        ssize_t w = write(bus->watch.fd, octets, n);

        if (w > 0) {
            vpc_trace_octets(shell, true, octets, (size_t)w);
            shell->abi->bus_sent(shell->ep, (size_t)w);
            vpc_carry_out(shell);
            sent += (size_t)w;
            blocked = is_short(bus, (size_t)w, n);
        } else if (w == 0 || errno == EAGAIN) {
            blocked = true;
        } else if (errno != EINTR) {
            go_down(bus);
            return;
        }
    }
    bool waits = shell->abi->bus_output(shell->ep, &octets) > 0;
    vpc_watch_set(&shell->loop, &bus->watch, EPOLLIN | (waits ? EPOLLOUT : 0));
}

static int dial(struct vpc_bus *bus)
{
    return vpc_opener_dial(bus->shell->asked, &bus->watch.fd);
}

/* ENOTCONN while the port is there and no host is.  One that was taken out of the machine is looked for anew (TRN-6). */
static int try_port(struct vpc_bus *bus)
{
    if (bus->watch.fd >= 0 && vpc_port_is_gone(bus->watch.fd))
        vpc_watch_close(&bus->shell->loop, &bus->watch);
    int error = bus->watch.fd < 0 ? dial(bus) : 0;
    if (error)
        return error;
    struct pollfd look = {.fd = bus->watch.fd};
    if (poll(&look, 1, 0) < 0)
        return errno;
    return look.revents & (POLLHUP | POLLERR | POLLNVAL) ? ENOTCONN : 0;
}

/* Who is connected may still wait in line. */
static int try_unix(struct vpc_bus *bus)
{
    struct vpc_loop *loop = &bus->shell->loop;
    int error = dial(bus);

    if (error || !waits(bus))
        return error;
    bus->connecting = true;
    bus->in_line_at = loop->now;
    vpc_watch_set(loop, &bus->watch, 0);
    look_later(bus);
    return EINPROGRESS;
}

static int try_vsock(struct vpc_bus *bus)
{
    int error = dial(bus);

    if (error != EINPROGRESS)
        return error;
    bus->connecting = true;
    vpc_watch_set(&bus->shell->loop, &bus->watch, EPOLLOUT);
    vpc_timer_set(&bus->shell->loop, &bus->retry, bus->shell->loop.now + CONNECT_LIMIT_MS);
    return error;
}

static void on_retry(struct vpc_timer *timer)
{
    struct vpc_bus *bus = timer->owner;
    int error = ETIMEDOUT;

    if (is_in_line(bus)) {
        stay_in_line(bus);
        return;
    }
    if (bus->connecting) {
        bus->connecting = false;
        vpc_watch_close(&bus->shell->loop, &bus->watch);
    } else {
        error = kind_of(bus)->try_once(bus);
    }
    if (!error) {
        go_up(bus);
        return;
    }
    if (error == EINPROGRESS)
        return;
    if (error != ENOTCONN)
        note_error(bus, error);
    retry_later(bus);
}

static void on_peer(struct vpc_listener *listener, int fd)
{
    struct vpc_bus *bus = listener->owner;

    vpc_listener_pause(listener, true);
    bus->watch.fd = fd;
    go_up(bus);
}

/* Who may connect over AF_VSOCK; that somebody else tried is told now and then. */
static bool welcomes_machine(struct vpc_listener *listener, int fd)
{
    struct vpc_bus *bus = listener->owner;
    struct vpc_shell *shell = bus->shell;
    uint32_t cid;

    if (vpc_vsock_is_welcome(&bus->address, fd, &cid))
        return true;
    if (shell->loop.now >= bus->stranger_note_at) {
        vpc_shell_note(shell, "the bus %s: the machine with the CID %u was turned away",
                       bus->address.path, (unsigned)cid);
        bus->stranger_note_at = shell->loop.now + NOTE_AGAIN_MS;
    }
    return false;
}

static int listen_vsock(struct vpc_bus *bus)
{
    int fd, error = vpc_vsock_listen(&bus->address, &fd);

    if (error)
        return error;
    bus->listener.welcomes = welcomes_machine;
    return vpc_listener_adopt(&bus->listener, fd, bus->address.path);
}

static int listen_unix(struct vpc_bus *bus)
{
    int fd, error = vpc_opener_dial(bus->shell->asked, &fd);

    return error ? error : vpc_listener_adopt(&bus->listener, fd, bus->address.path);
}

static const struct kind kinds[] = {
    [VPC_BUS_CONNECT] = {AF_UNIX, NULL, try_unix, CONNECT_RETRY_MS},
    [VPC_BUS_LISTEN] = {AF_UNIX, listen_unix, NULL, 0},
    [VPC_BUS_PORT] = {AF_UNSPEC, NULL, try_port, PORT_RETRY_MS},
    [VPC_BUS_VSOCK] = {AF_VSOCK, NULL, try_vsock, CONNECT_RETRY_MS},
    [VPC_BUS_VSOCK_LISTEN] = {AF_VSOCK, listen_vsock, NULL, 0},
};

static const struct kind *kind_of(const struct vpc_bus *bus)
{
    return &kinds[bus->address.kind];
}

int vpc_bus_open(struct vpc_bus *bus, struct vpc_shell *shell, const char *text)
{
    *bus = (struct vpc_bus){
        .shell = shell,
        .watch = {.fd = -1, .on_ready = on_ready, .owner = bus},
        .retry = {.on_due = on_retry, .owner = bus},
    };
    vpc_listener_init(&bus->listener, shell, on_peer, bus);
    if (vpc_bus_address_parse(text, &bus->address) != NULL)
        return EINVAL;
    if (!is_port(bus) && strlen(bus->address.path) >= VPC_PATH_SIZE)
        return ENAMETOOLONG;
    if (kind_of(bus)->listen != NULL)
        return kind_of(bus)->listen(bus);
    vpc_timer_set(&shell->loop, &bus->retry, shell->loop.now);
    return 0;
}

void vpc_bus_close(struct vpc_bus *bus)
{
    if (bus->shell == NULL)
        return;
    vpc_timer_clear(&bus->shell->loop, &bus->retry);
    vpc_watch_close(&bus->shell->loop, &bus->watch);
    vpc_listener_close(&bus->listener);
}
