/* SPDX-License-Identifier: MIT */
#include "local_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "vpc.h"

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

static int below_folder(struct vpc_address *address, const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t size = sizeof(address->un.sun_path);
    char folder[VPC_FILE_SIZE];

    if (slash == NULL || slash - path >= (ptrdiff_t)sizeof(folder))
        return ENAMETOOLONG;
    snprintf(folder, sizeof(folder), "%.*s", slash == path ? 1 : (int)(slash - path), path);
    address->folder = open(folder, VPC_FOLDER_FLAGS);
    if (address->folder < 0)
        return errno;
    if (snprintf(address->un.sun_path, size, "/proc/self/fd/%d%s", address->folder, slash) <
        (int)size)
        return 0;
    vpc_address_close(address);
    return ENAMETOOLONG;
}

int vpc_address_open(struct vpc_address *address, const char *path)
{
    *address = (struct vpc_address){.un.sun_family = AF_UNIX, .folder = -1};
    if (strlen(path) >= sizeof(address->un.sun_path))
        return below_folder(address, path);
    memcpy(address->un.sun_path, path, strlen(path) + 1);
    return 0;
}

void vpc_address_close(struct vpc_address *address)
{
    if (address->folder >= 0)
        close(address->folder);
    address->folder = -1;
}

static int connect_to(const struct sockaddr_un *address, int64_t limit_ms, int *fd)
{
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s < 0)
        return errno;
    int error = try_to_connect(s, address, limit_ms);
    if (!error && fcntl(s, F_SETFL, 0) != 0)
        error = errno;
    if (error)
        close(s);
    else
        *fd = s;
    return error;
}

int vpc_connect(const char *path, int64_t limit_ms, int *fd)
{
    struct vpc_address address;
    int error = vpc_address_open(&address, path);

    if (!error)
        error = connect_to(&address.un, limit_ms, fd);
    vpc_address_close(&address);
    return error;
}
