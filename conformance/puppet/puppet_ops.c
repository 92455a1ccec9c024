/* What each request of the harness does. */
#include "puppet/puppet_agent.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* Each returns false if the frame breaks the protocol. */
typedef bool op(struct puppet *puppet, const struct vpc_puppet_frame *frame);

static uint32_t number(const struct vpc_puppet_frame *frame, size_t index)
{
    return vpc_puppet_get32(frame->payload + 4 * index);
}

/* The answer to a request that makes a thing; thing is NULL if errno says why not. */
static void answer(struct puppet *puppet, const struct vpc_puppet_frame *frame,
                   const struct thing *thing, uint32_t value, const char *what)
{
    if (thing)
        puppet_say_number(puppet, VPC_PUPPET_OPENED, frame->handle, value);
    else
        puppet_say_failed(puppet, frame->handle, errno, what);
}

static bool op_ping(struct puppet *puppet, const struct vpc_puppet_frame *frame)
{
    puppet_say_number(puppet, VPC_PUPPET_PONG, frame->handle, VPC_PUPPET_VERSION);
    return true;
}

static bool op_entropy(struct puppet *puppet, const struct vpc_puppet_frame *frame)
{
    union {
        struct rand_pool_info info;
        uint8_t room[sizeof(struct rand_pool_info) + 512];
    } pool;
    int fd = open("/dev/urandom", O_RDWR | O_CLOEXEC);

    pool.info.entropy_count = (int)frame->size * 8;
    pool.info.buf_size = (int)frame->size;
    memcpy(pool.room + offsetof(struct rand_pool_info, buf), frame->payload, frame->size);
    if (fd < 0 || ioctl(fd, RNDADDENTROPY, &pool.info) != 0 || ioctl(fd, RNDRESEEDCRNG) != 0)
        puppet_say_failed(puppet, frame->handle, errno, "add entropy to /dev/urandom");
    else
        puppet_say(puppet, VPC_PUPPET_DONE, frame->handle, NULL, 0);
    if (fd >= 0)
        close(fd);
    return true;
}

static bool op_clock(struct puppet *puppet, const struct vpc_puppet_frame *frame)
{
    struct timespec now = {.tv_sec = number(frame, 0), .tv_nsec = number(frame, 1)};

    if (clock_settime(CLOCK_REALTIME, &now) != 0)
        puppet_say_failed(puppet, frame->handle, errno, "set the clock");
    else
        puppet_say(puppet, VPC_PUPPET_DONE, frame->handle, NULL, 0);
    return true;
}

static bool op_reset_all(struct puppet *puppet, const struct vpc_puppet_frame *frame)
{
    puppet_reset(puppet);
    puppet_say(puppet, VPC_PUPPET_DONE, frame->handle, NULL, 0);
    return true;
}

static _Noreturn void become(char **argv, int output, int trouble)
{
    sigset_t none;
    int null = open("/dev/null", O_RDWR);

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (null >= 0 && signal(SIGPIPE, SIG_DFL) != SIG_ERR && signal(SIGINT, SIG_DFL) != SIG_ERR &&
        setsid() >= 0 && dup2(null, 0) >= 0 && dup2(output, 1) >= 0 && dup2(output, 2) >= 0) {
        if (null > 2)
            close(null);
        execvp(argv[0], argv);
    }
    int error = errno;
    (void)!write(trouble, &error, sizeof(error));
    _exit(127);
}

/* Starts argv with its output into `output`; its pid, or -1 with errno. */
static pid_t spawn(char **argv, int output)
{
    int trouble[2], error = 0;

    if (pipe2(trouble, O_CLOEXEC) != 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0)
        become(argv, output, trouble[1]);
    close(trouble[1]);
    /* Until exec closes its end: a moment. The child that failed is reaped as one of nobody's. */
    if (pid > 0 && read(trouble[0], &error, sizeof(error)) == (ssize_t)sizeof(error)) {
        pid = -1;
        errno = error;
    }
    error = errno;
    close(trouble[0]);
    errno = error;
    return pid;
}

static bool op_run(struct puppet *puppet, const struct vpc_puppet_frame *frame)
{
    char *argv[256];
    size_t count = 0, at = 0;
    const char *word;
    int output[2];
    struct thing *thing = NULL;

    while (count < 255 && (word = vpc_puppet_string(frame, &at)))
        argv[count++] = (char *)word;
    argv[count] = NULL;
    if (count == 0 || at != frame->size)
        return false;
    if (pipe2(output, O_CLOEXEC) != 0) {
        answer(puppet, frame, NULL, 0, argv[0]);
        return true;
    }
    /* A pipe that we have just made takes the flag. */
    (void)fcntl(output[0], F_SETFL, O_NONBLOCK);
    thing = thing_new(puppet, THING_COMMAND, frame->handle, output[0]);
    if (thing && (thing->pid = spawn(argv, output[1])) < 0) {
        int error = errno;

        thing_release(thing);
        thing = NULL;
        errno = error;
    }
    answer(puppet, frame, thing, thing ? (uint32_t)thing->pid : 0, argv[0]);
    close(output[1]);
    return true;
}

static bool op_kill(struct puppet *puppet, const struct vpc_puppet_frame *frame)
{
    struct thing *thing = thing_find(puppet, frame->handle);

    if (thing && thing->kind == THING_COMMAND && thing->pid > 0)
        kill(-thing->pid, (int)number(frame, 0));
    return true;
}

static int connect_path(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;

    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(address.sun_path, path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        int error = errno;

        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

/* Tells at once whether a port's host client is there; a socket or a plain file has none. */
static void tell_link(struct puppet *puppet, struct thing *thing)
{
    struct pollfd port = {.fd = thing->fd, .events = POLLIN};
    struct stat status;

    if (fstat(thing->fd, &status) != 0 || !S_ISCHR(status.st_mode))
        return;
    thing->linked = poll(&port, 1, 0) >= 0 && !(port.revents & POLLHUP);
    puppet_say_number(puppet, VPC_PUPPET_LINK, thing->handle, thing->linked);
}

static bool op_open(struct puppet *puppet, const struct vpc_puppet_frame *frame)
{
    size_t at = 0;
    const char *path = vpc_puppet_string(frame, &at);
    struct stat status;
    struct thing *thing = NULL;

    if (!path)
        return false;
    bool is_socket = stat(path, &status) == 0 && S_ISSOCK(status.st_mode);
    int fd =
        is_socket ? connect_path(path) : open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd >= 0)
        thing = thing_new(puppet, is_socket ? THING_STREAM : THING_PORT, frame->handle, fd);
    answer(puppet, frame, thing, 0, path);
    if (thing)
        tell_link(puppet, thing);
    return true;
}

/* Takes the one place in its queue: from then on the system answers no connect. */
static bool fill_queue(const struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool filled = fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0;
    int error = errno;

    if (fd >= 0)
        close(fd);
    errno = error;
    return filled;
}

static int listen_on(uint16_t port, uint32_t buffer, bool deaf, uint32_t *bound)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int on = 1, size = (int)buffer;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
        (!size || setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) == 0) &&
        bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
        listen(fd, deaf ? 0 : 16) == 0 &&
        getsockname(fd, (struct sockaddr *)&address, &length) == 0 &&
        (!deaf || fill_queue(&address))) {
        *bound = ntohs(address.sin_port);
        return fd;
    }
    int error = errno;
    if (fd >= 0)
        close(fd);
    errno = error;
    return -1;
}

static bool op_listen(struct puppet *puppet, const struct vpc_puppet_frame *frame)
{
    uint32_t port = number(frame, 0), flags = number(frame, 2), bound = 0;
    struct thing *thing = NULL;

    if (port > UINT16_MAX || number(frame, 1) > INT32_MAX || flags > VPC_PUPPET_LISTEN_DEAF)
        return false;
    int fd = listen_on((uint16_t)port, number(frame, 1), flags == VPC_PUPPET_LISTEN_DEAF, &bound);
    if (fd >= 0)
        thing = thing_new(puppet, THING_LISTENER, frame->handle, fd);
    if (thing) {
        thing->begins_paused = flags == VPC_PUPPET_LISTEN_PAUSED;
        thing->paused = flags == VPC_PUPPET_LISTEN_DEAF;
    }
    answer(puppet, frame, thing, bound, "listen on 127.0.0.1");
    return true;
}

static bool op_read(struct puppet *puppet, const struct vpc_puppet_frame *frame)
{
    size_t at = 0;
    const char *path = vpc_puppet_string(frame, &at);
    struct thing *thing = NULL;

    if (!path)
        return false;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd >= 0)
        thing = thing_new(puppet, THING_READER, frame->handle, fd);
    answer(puppet, frame, thing, 0, path);
    return true;
}

/* Its directory is watched, so that the file may come later. */
static int watch_directory(struct puppet *puppet, const char *path)
{
    char *directory = strdup(path), *slash = directory ? strrchr(directory, '/') : NULL;
    int result = -1;

    if (directory && !slash)
        errno = EINVAL;
    if (slash) {
        slash[slash == directory] = 0;
        result = puppet_notify_begin(puppet);
    }
    if (result == 0)
        result = inotify_add_watch(puppet->notify, directory,
                                   IN_CREATE | IN_MODIFY | IN_MOVED_TO | IN_ONLYDIR);
    free(directory);
    return result;
}

static bool op_follow(struct puppet *puppet, const struct vpc_puppet_frame *frame)
{
    size_t at = 0;
    const char *path = vpc_puppet_string(frame, &at);
    struct thing *thing = NULL;

    if (!path)
        return false;
    if (watch_directory(puppet, path) >= 0) {
        int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

        if (fd >= 0 || !puppet_is_short(errno)) /* it may come later */
            thing = thing_new(puppet, THING_FOLLOWER, frame->handle, fd);
    }
    if (thing && !(thing->path = strdup(path))) {
        thing_release(thing);
        thing = NULL;
    }
    answer(puppet, frame, thing, 0, path);
    return true;
}

static bool op_write(struct puppet *puppet, const struct vpc_puppet_frame *frame)
{
    size_t at = 4;
    const char *path = vpc_puppet_string(frame, &at);
    struct thing *thing = NULL;

    if (!path || number(frame, 0) > 07777)
        return false;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0600);
    if (fd >= 0 && fchmod(fd, number(frame, 0)) != 0) {
        close(fd);
        fd = -1;
    }
    if (fd >= 0)
        thing = thing_new(puppet, THING_WRITER, frame->handle, fd);
    answer(puppet, frame, thing, 0, path);
    return true;
}

static bool op_pause(struct puppet *puppet, const struct vpc_puppet_frame *frame)
{
    struct thing *thing = thing_find(puppet, frame->handle);

    if (thing)
        thing->paused = frame->type == VPC_PUPPET_PAUSE;
    return true;
}

static bool op_data(struct puppet *puppet, const struct vpc_puppet_frame *frame)
{
    struct thing *thing = thing_find(puppet, frame->handle);

    return !thing || thing_take(thing, frame->payload, frame->size);
}

static bool op_window(struct puppet *puppet, const struct vpc_puppet_frame *frame)
{
    struct thing *thing = thing_find(puppet, frame->handle);

    if (!thing)
        return true;
    if (number(frame, 0) > VPC_PUPPET_WINDOW - thing->credit)
        return false;
    thing->credit += number(frame, 0);
    return true;
}

static bool op_fin(struct puppet *puppet, const struct vpc_puppet_frame *frame)
{
    struct thing *thing = thing_find(puppet, frame->handle);

    if (thing)
        thing->out_fin = true;
    return true;
}

static bool op_finish(struct puppet *puppet, const struct vpc_puppet_frame *frame)
{
    struct thing *thing = thing_find(puppet, frame->handle);

    if (thing)
        thing->finishes = true;
    return true;
}

static bool op_reset(struct puppet *puppet, const struct vpc_puppet_frame *frame)
{
    struct thing *thing = thing_find(puppet, frame->handle);
    struct linger abort = {.l_onoff = 1, .l_linger = 0};

    if (!thing)
        return true;
    if (thing->kind == THING_STREAM &&
        setsockopt(thing->fd, SOL_SOCKET, SO_LINGER, &abort, sizeof(abort)) != 0)
        thing_fail(puppet, thing, errno, "reset a connection");
    else
        thing_close(puppet, thing);
    return true;
}

static bool op_close(struct puppet *puppet, const struct vpc_puppet_frame *frame)
{
    struct thing *thing = thing_find(puppet, frame->handle);

    if (!thing)
        return true;
    if (thing->kind == THING_COMMAND && thing->pid > 0) {
        /* CLOSED comes when it has been reaped; a grandchild may keep its output for ever. */
        kill(-thing->pid, SIGKILL);
        if (thing->fd >= 0)
            close(thing->fd);
        thing->fd = -1;
        thing->in_ended = true;
        return true;
    }
    thing_close(puppet, thing);
    return true;
}

bool puppet_obey(struct puppet *puppet, const struct vpc_puppet_frame *frame)
{
    static op *const ops[VPC_PUPPET_TYPES] = {
        [VPC_PUPPET_PING] = op_ping,
        [VPC_PUPPET_ENTROPY] = op_entropy,
        [VPC_PUPPET_CLOCK] = op_clock,
        [VPC_PUPPET_RESET_ALL] = op_reset_all,
        [VPC_PUPPET_RUN] = op_run,
        [VPC_PUPPET_KILL] = op_kill,
        [VPC_PUPPET_OPEN] = op_open,
        [VPC_PUPPET_LISTEN] = op_listen,
        [VPC_PUPPET_READ] = op_read,
        [VPC_PUPPET_FOLLOW] = op_follow,
        [VPC_PUPPET_WRITE] = op_write,
        [VPC_PUPPET_PAUSE] = op_pause,
        [VPC_PUPPET_RESUME] = op_pause,
        [VPC_PUPPET_DATA] = op_data,
        [VPC_PUPPET_WINDOW_MORE] = op_window,
        [VPC_PUPPET_FIN] = op_fin,
        [VPC_PUPPET_RESET] = op_reset,
        [VPC_PUPPET_CLOSE] = op_close,
        [VPC_PUPPET_FINISH] = op_finish,
    };
    bool makes = frame->type >= VPC_PUPPET_RUN && frame->type <= VPC_PUPPET_WRITE &&
                 frame->type != VPC_PUPPET_KILL;

    if (makes && (frame->handle == 0 || frame->handle >= VPC_PUPPET_ACCEPTED ||
                  thing_find(puppet, frame->handle)))
        return false;
    return ops[frame->type](puppet, frame);
}
