/* SPDX-License-Identifier: MIT */
/*
 * Which mutant is chosen, and where it is noted which were met: of the environment, before anything else runs.
 *
 * VPC_MUTANT       the number of the one that is chosen; without it none is
 * VPC_MUTANT_SEEN  a file of VPC_MUTANT_ROOM octets that the marks go to, shared by all processes that are told of it
 */
#include "schema.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static unsigned char nowhere[VPC_MUTANT_ROOM];

int vpc_mutant_chosen = -1;
unsigned char *vpc_mutant_seen = nowhere;

__attribute__((constructor(101))) static void choose(void)
{
    const char *number = getenv("VPC_MUTANT"), *path = getenv("VPC_MUTANT_SEEN");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *memory = MAP_FAILED;

    if (number)
        vpc_mutant_chosen = atoi(number);
    if (file >= 0) {
        memory = mmap(NULL, VPC_MUTANT_ROOM, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        close(file);
    }
    if (memory != MAP_FAILED)
        vpc_mutant_seen = memory;
}
