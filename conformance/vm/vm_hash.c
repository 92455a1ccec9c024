/* FNV-1a, in words where bytes would take too long. See vm_hash.h. */
#include "vm/vm_hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

uint64_t vpc_hash(uint64_t hash, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    uint64_t word;

    for (; size >= sizeof(word); size -= sizeof(word), at += sizeof(word)) {
        memcpy(&word, at, sizeof(word));
        hash = (hash ^ word) * 0x100000001b3u;
        hash ^= hash >> 29;
    }
    for (; size > 0; size--, at++)
        hash = (hash ^ *at) * 0x100000001b3u;
    return hash;
}

uint64_t vpc_hash_text(uint64_t hash, const char *text)
{
    return text ? vpc_hash(hash, text, strlen(text) + 1) : vpc_hash(hash, "\1", 1);
}

/* As much as there is room for, or up to the end; -1 with errno. */
static ssize_t read_full(int fd, uint8_t *part, size_t room)
{
    size_t got = 0;
    ssize_t n;

    while (got < room && (n = read(fd, part + got, room - got)) != 0) {
        if (n < 0 && errno != EINTR)
            return -1;
        got += n > 0 ? (size_t)n : 0;
    }
    return (ssize_t)got;
}

static bool same_moment(const struct stat *a, const struct stat *b)
{
    return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* As much as it is long, which some files of the system do not tell, and which changes where somebody writes. */
static int hash_whole(uint64_t *hash, int fd, const struct stat *status)
{
    static uint8_t part[1 << 20];
    uint64_t left = (uint64_t)status->st_size;
    struct stat now;
    ssize_t n;

    for (; (n = read_full(fd, part, sizeof(part))) > 0; left -= (uint64_t)n) {
        if ((uint64_t)n > left)
            return ESTALE;
        *hash = vpc_hash(*hash, part, (size_t)n);
    }
    if (n < 0 || fstat(fd, &now) != 0)
        return errno;
    return left == 0 && same_moment(status, &now) ? 0 : ESTALE;
}

/* 0, or an errno. */
static int unfit(const struct stat *status)
{
    if (S_ISDIR(status->st_mode))
        return EISDIR;
    if (!S_ISREG(status->st_mode)) /* a FIFO that nobody writes, a device without an end */
        return EINVAL;
    return status->st_size > VPC_HASH_FILE_MAX ? EFBIG : 0;
}

int vpc_hash_file(uint64_t *hash, const char *path)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC), error;
    struct stat status;

    if (fd < 0)
        return errno == ENXIO ? EINVAL : errno; /* a socket */
    error = fstat(fd, &status) == 0 ? unfit(&status) : errno;
    if (error == 0)
        error = hash_whole(hash, fd, &status);
    close(fd);
    return error;
}
