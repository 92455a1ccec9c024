/* SPDX-License-Identifier: MIT */
/*
 * Which mutant is chosen, and where it is noted which were met: of the environment, before anything else runs.
 *
 * VPC_MUTANT       the number of the one that is chosen; without it none is
 * VPC_MUTANT_SEEN  a socket on which a descriptor is handed over, of a file of VPC_MUTANT_ROOM octets that the marks go to.  A
 *                  subject that is shut in can open no file to write.
 */
#include "schema.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static unsigned char nowhere[VPC_MUTANT_ROOM];

int vpc_mutant_chosen = -1;
unsigned char *vpc_mutant_seen = nowhere;

/* The descriptor that comes on the socket, or -1. */
static int take_descriptor(int from)
{
    union {
        char octets[CMSG_SPACE(sizeof(int))];
        struct cmsghdr aligned;
    } control;
    char octet;
    struct iovec one = {&octet, 1};
    struct msghdr message = {
        .msg_iov = &one, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    int file = -1;

    if (recvmsg(from, &message, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&message) != NULL)
        memcpy(&file, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(file));
    return file;
}

static int open_marks(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int from = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), file = -1;

    strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
    if (from >= 0 && connect(from, (struct sockaddr *)&address, sizeof(address)) == 0)
        file = take_descriptor(from);
    if (from >= 0)
        close(from);
    return file;
}

__attribute__((constructor(101))) static void choose(void)
{
    const char *number = getenv("VPC_MUTANT"), *path = getenv("VPC_MUTANT_SEEN");
    int file = path ? open_marks(path) : -1;
    void *memory = MAP_FAILED;

    if (number)
        vpc_mutant_chosen = atoi(number);
    if (path && file < 0)
        abort(); /* without its marks the run would tell that it met nothing */
    if (file >= 0) {
        memory = mmap(NULL, VPC_MUTANT_ROOM, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        close(file);
    }
    if (memory != MAP_FAILED)
        vpc_mutant_seen = memory;
}
