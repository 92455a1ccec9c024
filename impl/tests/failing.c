/* SPDX-License-Identifier: MIT */
#include "failing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/tests/heap.h"

static struct {
    unsigned calls, fail_at;
    bool for_good, armed;
    const char *name;
} failing;

void failing_arm(bool armed)
{
    failing.armed = armed;
    heap_pause(!armed);
}

void failing_at(unsigned n, bool for_good)
{
    failing.calls = 0;
    failing.fail_at = n;
    failing.for_good = for_good;
    failing.name = NULL;
}

unsigned failing_calls(void)
{
    return failing.calls;
}

const char *failing_name(void)
{
    return failing.name != NULL ? failing.name : "nothing";
}

static bool fails(const char *name, int error)
{
    if (!failing.armed)
        return false;
    failing.calls++;
    bool now = failing.fail_at && (failing.calls == failing.fail_at ||
                                   (failing.for_good && failing.calls > failing.fail_at));
    if (now) {
        errno = error;
        if (failing.name == NULL)
            failing.name = name;
    }
    return now;
}

/* Each with the errno of a system that has no more to give. */
#define WRAP(result, failure, name, error, parameters, arguments)                                  \
    result __real_##name parameters;                                                               \
    result __wrap_##name parameters;                                                               \
    result __wrap_##name parameters                                                                \
    {                                                                                              \
        return fails(#name, error) ? failure : __real_##name arguments;                            \
    }

WRAP(int, -1, accept4, EMFILE, (int fd, struct sockaddr *addr, socklen_t *size, int flags),
     (fd, addr, size, flags))
WRAP(int, -1, socket, EMFILE, (int domain, int type, int protocol), (domain, type, protocol))
WRAP(int, -1, bind, ENOMEM, (int fd, const struct sockaddr *addr, socklen_t size), (fd, addr, size))
WRAP(int, -1, listen, ENOBUFS, (int fd, int backlog), (fd, backlog))
WRAP(int, -1, connect, ENOBUFS, (int fd, const struct sockaddr *addr, socklen_t size),
     (fd, addr, size))
WRAP(int, -1, flock, ENOLCK, (int fd, int operation), (fd, operation))
WRAP(int, -1, epoll_create1, EMFILE, (int flags), (flags))
WRAP(int, -1, ftruncate, ENOSPC, (int fd, off_t size), (fd, size))
WRAP(void *, MAP_FAILED, mmap, ENOMEM,
     (void *at, size_t size, int prot, int flags, int fd, off_t offset),
     (at, size, prot, flags, fd, offset))

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    va_list args;

    va_start(args, flags);
    int mode = flags & O_CREAT ? va_arg(args, int) : 0;
    va_end(args);
    return fails("open", EMFILE) ? -1 : __real_open(path, flags, mode);
}

/* Only what is new needs the kernel's memory. */
int __real_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
    return op == EPOLL_CTL_ADD && fails("epoll_ctl", ENOMEM)
               ? -1
               : __real_epoll_ctl(epoll, op, fd, event);
}
