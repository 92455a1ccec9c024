/* SPDX-License-Identifier: MIT */
/* Unix sockets and time; the conventions are those of vpc.h. */
#ifndef VPC_LOCAL_SOCKET_H
#define VPC_LOCAL_SOCKET_H

#include <stdint.h>

/* Of the monotonic clock. */
int64_t vpc_now_ms(void);
/* When a time limit that begins now is over; INT64_MAX for VPC_FOREVER. */
int64_t vpc_end_of(int64_t limit_ms);

/*
 * Connects to a listening socket.  When its backlog is full, as that of a stopped program may be,
 * connect() would wait for ever: this waits until limit_ms has passed, then answers EAGAIN.  *fd
 * is a blocking socket, the caller's to close.
 */
int vpc_connect(const char *path, int64_t limit_ms, int *fd);

#endif
