/*
 * vpc-puppet: the harness's remote hand inside the guest. See puppet.h for what it does, and
 * puppet_agent.h for how it is built.
 *
 * It may be the guest's first program, and is its subreaper in any case, so that RESET_ALL gets
 * at every process that a command has left behind.
 */
#include "puppet/puppet_agent.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* So many rounds without a look at epoll, when things go on moving. */
#define ROUNDS 64

bool puppet_has_room(const struct puppet *puppet)
{
    return sizeof(puppet->out) - puppet->out_len >= 2 * VPC_PUPPET_FRAME_MAX;
}

static void put_out(struct puppet *puppet, const void *bytes, size_t size)
{
    memcpy(puppet->out + puppet->out_at + puppet->out_len, bytes, size);
    puppet->out_len += size;
}

void puppet_say(struct puppet *puppet, enum vpc_puppet_type type, uint32_t handle,
                const void *payload, size_t size)
{
    uint8_t header[VPC_PUPPET_HEADER];

    if (puppet->out_at > 0) {
        memmove(puppet->out, puppet->out + puppet->out_at, puppet->out_len);
        puppet->out_at = 0;
    }
    if (sizeof(puppet->out) - puppet->out_len < sizeof(header) + size) {
        puppet->lost = true; /* never: callers leave room */
        return;
    }
    vpc_puppet_put_header(header, type, handle, size);
    put_out(puppet, header, sizeof(header));
    if (size)
        put_out(puppet, payload, size);
}

void puppet_say_number(struct puppet *puppet, enum vpc_puppet_type type, uint32_t handle,
                       uint32_t number)
{
    uint8_t payload[4];

    vpc_puppet_put32(payload, number);
    puppet_say(puppet, type, handle, payload, sizeof(payload));
}

void puppet_say_failed(struct puppet *puppet, uint32_t handle, int error, const char *what)
{
    uint8_t payload[260];
    size_t length = strnlen(what, sizeof(payload) - 5);

    vpc_puppet_put32(payload, (uint32_t)error);
    memcpy(payload + 4, what, length);
    payload[4 + length] = 0;
    puppet_say(puppet, VPC_PUPPET_FAILED, handle, payload, length + 5);
}

bool puppet_is_short(int error)
{
    static const int short_of[] = {EMFILE, ENFILE, ENOMEM, ENOBUFS, ENOSPC, EIO};

    for (size_t i = 0; i < sizeof(short_of) / sizeof(short_of[0]); i++)
        if (short_of[i] == error)
            return true;
    return false;
}

/* Kills our children; theirs become ours. */
static void kill_children(void)
{
    FILE *list = fopen("/proc/thread-self/children", "re");
    int pid;

    if (!list)
        return;
    while (fscanf(list, "%d", &pid) == 1)
        kill(pid, SIGKILL);
    fclose(list);
}

int puppet_notify_begin(struct puppet *puppet)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u32 = WAKE_NOTIFY};
    int error;

    if (puppet->notify >= 0)
        return 0;
    puppet->notify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (puppet->notify < 0)
        return -1;
    if (epoll_ctl(puppet->epoll, EPOLL_CTL_ADD, puppet->notify, &event) == 0)
        return 0;
    error = errno;
    close(puppet->notify);
    puppet->notify = -1;
    errno = error;
    return -1;
}

void puppet_reset(struct puppet *puppet)
{
    for (int i = 0; i < VPC_PUPPET_THINGS_MAX; i++) {
        if (puppet->things[i].kind != THING_FREE)
            thing_release(&puppet->things[i]);
    }
    do {
        kill_children();
    } while (waitpid(-1, NULL, 0) > 0 || errno == EINTR);

    if (puppet->notify >= 0)
        close(puppet->notify);
    puppet->notify = -1;
    (void)puppet_notify_begin(puppet); /* FOLLOW tries again, and tells */
}

static bool flush_line(struct puppet *puppet)
{
    if (!puppet->can_write || puppet->out_len == 0)
        return false;
    size_t size =
        puppet->out_len < VPC_PUPPET_PAYLOAD_MAX ? puppet->out_len : VPC_PUPPET_PAYLOAD_MAX;
    ssize_t put = write(puppet->line, puppet->out + puppet->out_at, size);
    if (put > 0) {
        puppet->out_at += (size_t)put;
        puppet->out_len -= (size_t)put;
        return true;
    }
    puppet->can_write = false;
    puppet->lost |= put < 0 && errno != EAGAIN && errno != EINTR;
    return put < 0 && errno == EINTR && (puppet->can_write = true);
}

/* Does what the frames that are here ask, as long as there is room for the answers. */
static bool obey(struct puppet *puppet)
{
    bool moved = false;

    while (puppet->in_len > 0 && !puppet->lost && puppet_has_room(puppet)) {
        struct vpc_puppet_frame frame;
        size_t used;
        enum vpc_puppet_fed fed = vpc_puppet_feed(&puppet->decoder, puppet->in + puppet->in_at,
                                                  puppet->in_len, &used, &frame);

        puppet->in_at += used;
        puppet->in_len -= used;
        moved = true;
        if (fed == VPC_PUPPET_BAD || (fed == VPC_PUPPET_FRAME && !puppet_obey(puppet, &frame))) {
            fprintf(stderr, "vpc-puppet: %s: the harness broke the puppet protocol at %s\n",
                    puppet->path,
                    fed == VPC_PUPPET_FRAME ? vpc_puppet_type_name(frame.type) : "a header");
            puppet->lost = true;
        }
    }
    return moved;
}

static bool read_line(struct puppet *puppet)
{
    if (obey(puppet))
        return true;
    if (!puppet->can_read || puppet->in_len > 0)
        return false;
    ssize_t got = read(puppet->line, puppet->in, sizeof(puppet->in));
    if (got > 0) {
        puppet->in_at = 0;
        puppet->in_len = (size_t)got;
        return true;
    }
    puppet->can_read = got < 0 && errno == EINTR;
    puppet->lost |= got == 0 || (errno != EAGAIN && errno != EINTR);
    return puppet->can_read;
}

static void follow(struct puppet *puppet)
{
    char events[4096];

    while (read(puppet->notify, events, sizeof(events)) > 0)
        ; /* which file it was does not matter: all are looked at */
    for (int i = 0; i < VPC_PUPPET_THINGS_MAX; i++) {
        struct thing *thing = &puppet->things[i];

        if (thing->kind != THING_FOLLOWER)
            continue;
        if (thing->fd < 0)
            thing->fd = open(thing->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        if (thing->fd < 0 && puppet_is_short(errno))
            thing_fail(puppet, thing, errno, "open a file that it follows");
        else
            thing->can_read = true;
    }
}

static void wake(struct puppet *puppet, const struct epoll_event *event)
{
    struct signalfd_siginfo info;

    if (event->data.u32 < VPC_PUPPET_THINGS_MAX) {
        thing_wake(puppet, &puppet->things[event->data.u32], event->events);
    } else if (event->data.u32 == WAKE_LINE) {
        puppet->can_read |= (event->events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0;
        puppet->can_write |= (event->events & EPOLLOUT) != 0;
    } else if (event->data.u32 == WAKE_SIGNALS) {
        while (read(puppet->signals, &info, sizeof(info)) > 0)
            ;
    } else if (event->data.u32 == WAKE_NOTIFY) {
        follow(puppet);
    }
}

/* True if work is left that no edge will announce. */
static bool work(struct puppet *puppet)
{
    bool moved = true;

    for (int round = 0; moved && round < ROUNDS && !puppet->lost; round++) {
        moved = read_line(puppet);
        things_reap(puppet);
        for (int i = 0; i < VPC_PUPPET_THINGS_MAX; i++)
            moved |= thing_pump(puppet, &puppet->things[i]);
        moved |= flush_line(puppet);
    }
    return moved;
}

/* The line is back at its beginning: no thing, no half frame, no answer of before. */
static void begin_again(struct puppet *puppet)
{
    puppet_reset(puppet);
    vpc_puppet_decoder_reset(&puppet->decoder, VPC_PUPPET_FROM_HARNESS);
    puppet->in_len = puppet->out_at = puppet->out_len = 0;
    puppet->lost = false;
}

static int run(struct puppet *puppet)
{
    struct epoll_event events[64];
    bool busy = false;

    puppet_say_number(puppet, VPC_PUPPET_PONG, 0, VPC_PUPPET_VERSION);
    for (;;) {
        int count = epoll_wait(puppet->epoll, events, 64, busy ? 0 : -1);

        if (count < 0 && errno != EINTR) {
            perror("vpc-puppet: epoll_wait");
            return 1;
        }
        for (int i = 0; i < count; i++)
            wake(puppet, &events[i]);
        busy = work(puppet);
        if (!puppet->lost)
            continue;
        begin_again(puppet);
        if (!puppet->line_is_port)
            return 0;
    }
}

static int open_line(const char *path, bool is_port)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (is_port)
        return open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
                    fcntl(fd, F_SETFL, O_NONBLOCK) != 0)) {
        close(fd);
        return -1;
    }
    return fd;
}

static bool watch(const struct puppet *puppet, int fd, uint32_t what)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.u32 = what};

    return epoll_ctl(puppet->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

static bool set_up(struct puppet *puppet)
{
    sigset_t child;

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    puppet->notify = -1;
    puppet->line = open_line(puppet->path, puppet->line_is_port);
    if (puppet->line < 0) {
        fprintf(stderr, "vpc-puppet: cannot open %s: %s\n", puppet->path, strerror(errno));
        return false;
    }
    puppet->epoll = epoll_create1(EPOLL_CLOEXEC);
    puppet->signals = signalfd(-1, &child, SFD_NONBLOCK | SFD_CLOEXEC);
    if (puppet->epoll < 0 || puppet->signals < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) != 0 ||
        !watch(puppet, puppet->line, WAKE_LINE) || !watch(puppet, puppet->signals, WAKE_SIGNALS)) {
        perror("vpc-puppet: cannot set up");
        return false;
    }
    begin_again(puppet);
    return true;
}

int main(int argc, char **argv)
{
    struct puppet *puppet = calloc(1, sizeof(*puppet));

    if (!puppet) {
        perror("vpc-puppet");
        return 1;
    }
    puppet->line_is_port = true;
    puppet->path = "/dev/virtio-ports/" VPC_PUPPET_PORT_NAME;
    if (argc == 3 && strcmp(argv[1], "--socket") == 0) {
        puppet->line_is_port = false;
        puppet->path = argv[2];
    } else if (argc == 2 && argv[1][0] != '-') {
        puppet->path = argv[1];
    } else if (argc != 1) {
        fprintf(stderr,
                "usage: vpc-puppet [PORT | --socket PATH]\n"
                "  PORT           the virtio port of the harness (default: %s)\n"
                "  --socket PATH  a Unix socket of the harness instead\n",
                puppet->path);
        return 2;
    }
    return set_up(puppet) ? run(puppet) : 1;
}
