/* SPDX-License-Identifier: MIT */
#include "local_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
    TRY_AGAIN_MS = 10,
};

int64_t vpc_now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t vpc_end_of(int64_t limit_ms)
{
    return limit_ms < 0 ? INT64_MAX : vpc_now_ms() + limit_ms;
}

/* No descriptor can be polled for room in another's backlog: it is tried again and again. */
static int try_to_connect(int fd, const struct sockaddr_un *address, int64_t limit_ms)
{
    int64_t end = vpc_end_of(limit_ms);

    while (connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0) {
        if (errno != EAGAIN && errno != EINTR)
            return errno;
        if (vpc_now_ms() >= end)
            return EAGAIN;
        poll(NULL, 0, TRY_AGAIN_MS);
    }
    return 0;
}

int vpc_connect(const char *path, int64_t limit_ms, int *fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (snprintf(address.sun_path, sizeof(address.sun_path), "%s", path) >=
        (int)sizeof(address.sun_path))
        return ENAMETOOLONG;
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s < 0)
        return errno;
    int error = try_to_connect(s, &address, limit_ms);
    if (!error && fcntl(s, F_SETFL, 0) != 0)
        error = errno;
    if (error)
        close(s);
    else
        *fd = s;
    return error;
}
