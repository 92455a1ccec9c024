/* SPDX-License-Identifier: MIT */
#include "handover.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "print.h"

/* Room for one descriptor, aligned as the system wants it. */
union room {
    char octets[CMSG_SPACE(sizeof(int))];
    struct cmsghdr head;
};

int handover_give(int to, int fd)
{
    char octet = PRINT_HOST;
    union room room = {0};
    struct iovec part = {&octet, 1};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &room, .msg_controllen = sizeof(room)};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);

    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(fd));
    memcpy(CMSG_DATA(head), &fd, sizeof(fd));
    return sendmsg(to, &message, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

int handover_take(int from)
{
    char octet = 0;
    int fd = -1;
    union room room = {0};
    struct iovec part = {&octet, 1};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &room, .msg_controllen = sizeof(room)};
    ssize_t n = recvmsg(from, &message, MSG_CMSG_CLOEXEC);
    struct cmsghdr *head = n == 1 ? CMSG_FIRSTHDR(&message) : NULL;

    if (head != NULL && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS &&
        head->cmsg_len == CMSG_LEN(sizeof(fd)))
        memcpy(&fd, CMSG_DATA(head), sizeof(fd));
    if (fd < 0 && n >= 0)
        errno = n == 0 ? ECONNRESET : EPROTO;
    return fd;
}
