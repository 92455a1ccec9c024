/* FNV-1a, in words where bytes would take too long. See vm_hash.h. */
#include "vm/vm_hash.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
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

int vpc_hash_file(uint64_t *hash, const char *path)
{
    struct stat status;
    void *bytes = MAP_FAILED;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC), error = 0;

    if (fd < 0 || fstat(fd, &status) != 0) {
        error = errno;
    } else if (!S_ISREG(status.st_mode)) { /* a FIFO that nobody writes, a device without an end */
        error = S_ISDIR(status.st_mode) ? EISDIR : EINVAL;
    } else if (status.st_size > 0) {
        bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        error = bytes == MAP_FAILED ? errno : 0;
    }
    if (fd >= 0)
        close(fd);
    if (bytes == MAP_FAILED)
        return error;
    *hash = vpc_hash(*hash, bytes, (size_t)status.st_size);
    munmap(bytes, (size_t)status.st_size);
    return 0;
}
