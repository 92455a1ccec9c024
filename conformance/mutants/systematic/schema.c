/* SPDX-License-Identifier: MIT */
/*
 * Which mutant is chosen, and where it is noted which were met: of the environment, before anything else runs.
 *
 * VPC_MUTANT       the number of the one that is chosen; without it none is
 * VPC_MUTANT_SEEN  a socket on which a descriptor is handed over, of a file of VPC_MUTANT_ROOM octets that the marks go to.  A
 *                  subject that is shut in can open no file to write.
 *
 * The process of a shared object is shut in before its object is loaded, and can connect to nothing any more.  So the harness
 * that will fork it has the marks mapped already: this file, built with VPC_MUTANT_PRELOADED, is loaded into it by LD_PRELOAD.
 */
#include "schema.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#ifdef VPC_MUTANT_PRELOADED
unsigned char *vpc_mutant_marks; /* or NULL */
#else
extern unsigned char *vpc_mutant_marks __attribute__((weak));

static unsigned char nowhere[VPC_MUTANT_ROOM];

int vpc_mutant_chosen = -1;
unsigned char *vpc_mutant_seen = nowhere;
#endif

/* The descriptor that comes on the socket, or -1. */
static int take_descriptor(int from)
{
    union {
        char octets[CMSG_SPACE(sizeof(int))];
        struct cmsghdr aligned;
    } control;
    char octet;
    struct iovec one = {&octet, 1};
    struct msghdr message = {.msg_iov = &one,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
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

/* Without its marks a run would tell that it met nothing. */
static unsigned char *map_marks(const char *path)
{
    int file = open_marks(path);
    void *memory = MAP_FAILED;

    if (file >= 0) {
        memory = mmap(NULL, VPC_MUTANT_ROOM, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        close(file);
    }
    if (memory == MAP_FAILED)
        abort();
    return memory;
}

#ifdef VPC_MUTANT_PRELOADED
__attribute__((constructor(101))) static void choose(void)
{
    const char *path = getenv("VPC_MUTANT_SEEN");

    if (path)
        vpc_mutant_marks = map_marks(path);
}
#else
__attribute__((constructor(101))) static void choose(void)
{
    const char *number = getenv("VPC_MUTANT"), *path = getenv("VPC_MUTANT_SEEN");

    if (number)
        vpc_mutant_chosen = atoi(number);
    if (&vpc_mutant_marks != NULL && vpc_mutant_marks != NULL)
        vpc_mutant_seen = vpc_mutant_marks;
    else if (path)
        vpc_mutant_seen = map_marks(path);
}
#endif
