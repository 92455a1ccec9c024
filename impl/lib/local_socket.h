/* SPDX-License-Identifier: MIT */
/* Unix sockets and time; the conventions are those of vpc.h. */
#ifndef VPC_LOCAL_SOCKET_H
#define VPC_LOCAL_SOCKET_H

#include <stdint.h>
#include <sys/un.h>

/* Of the monotonic clock. */
int64_t vpc_now_ms(void);
/* When a time limit that begins now is over; INT64_MAX for VPC_FOREVER. */
int64_t vpc_end_of(int64_t limit_ms);

/* Of how many octets the path of a Unix socket may be, its folder is opened with: an address has another name for it. */
#define VPC_FOLDER_FLAGS (O_PATH | O_DIRECTORY | O_CLOEXEC)

/* The address of a path of any length; a longer one than an address holds is that below an open folder. */
struct vpc_address {
    struct sockaddr_un un;
    int folder; /* -1: none is needed */
};

/* 0, or an errno: ENAMETOOLONG when the file's own name is too long. */
int vpc_address_open(struct vpc_address *address, const char *path);
void vpc_address_close(struct vpc_address *address);

/*
 * Connects to a listening socket.  When its backlog is full, as that of a stopped program may be,
 * connect() would wait for ever: this waits until limit_ms has passed, then answers EAGAIN.  *fd
 * is a blocking socket, the caller's to close.
 */
int vpc_connect(const char *path, int64_t limit_ms, int *fd);

#endif
