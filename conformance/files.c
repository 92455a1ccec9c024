/* SPDX-License-Identifier: MIT */
/* See files.h. */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory.h"

const char *vpc_file_words(int error)
{
    switch (error) {
    case EINVAL:
        return "it is no regular file";
    case EFBIG:
        return "it is larger than 16 MiB";
    case ENXIO:
        return "nobody reads this FIFO";
    default:
        return strerror(error);
    }
}
_Static_assert(VPC_FILE_MAX == 16u << 20, "vpc_file_words() says so");

/* 0, or an errno. */
static int unfit_to_read(int fd)
{
    struct stat stat;

    if (fstat(fd, &stat) != 0)
        return errno;
    if (S_ISDIR(stat.st_mode))
        return EISDIR;
    if (!S_ISREG(stat.st_mode))
        return EINVAL;
    return stat.st_size > (off_t)VPC_FILE_MAX ? EFBIG : 0;
}

/* The stream of a descriptor, which is closed where there is none. */
static FILE *stream_of(int fd, const char *mode, int error)
{
    FILE *file = error ? NULL : fdopen(fd, mode);

    if (file)
        return file;
    error = error ? error : errno;
    if (fd >= 0)
        close(fd);
    errno = error;
    return NULL;
}

FILE *vpc_file_open(const char *path)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

    if (fd >= 0)
        return stream_of(fd, "r", unfit_to_read(fd));
    return stream_of(fd, "r", errno == ENXIO ? EINVAL : errno); /* a socket */
}

/* Not to wait for a reader, and then to wait for it as any program does. */
FILE *vpc_file_create(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0666);
    int error = fd < 0 || fcntl(fd, F_SETFL, 0) != 0 ? errno : 0;

    return stream_of(fd, "w", error);
}

char *vpc_file_read(const char *path)
{
    FILE *file = vpc_file_open(path);
    char *text = NULL;
    size_t room = 0;
    int error;

    if (file == NULL)
        return NULL;
    errno = 0;
    if (getdelim(&text, &room, '\0', file) < 0) {
        error = errno;
        free(text);
        text = ferror(file) ? NULL : vpc_copy("");
        errno = error;
    }
    error = errno;
    fclose(file);
    errno = error;
    return text;
}

/* False when a part of what was written is not there.  The stream stays open. */
static bool is_written(FILE *out)
{
    errno = 0;
    if (fflush(out) == 0 && !ferror(out))
        return true;
    errno = errno ? errno : EIO;
    return false;
}

bool vpc_file_close(FILE *out)
{
    bool good = is_written(out);
    int error = errno;

    if (fclose(out) != 0 && good)
        return false;
    errno = error;
    return good;
}

bool vpc_file_write(const char *path, vpc_write_fn *write, const void *user)
{
    bool standard = strcmp(path, "-") == 0;
    FILE *out = standard ? stdout : vpc_file_create(path);

    if (out == NULL)
        return false;
    write(out, user);
    return standard ? is_written(out) : vpc_file_close(out);
}

static void write_text(FILE *out, const void *text)
{
    fputs(text, out);
}

bool vpc_file_write_text(const char *path, const char *text)
{
    return vpc_file_write(path, write_text, text);
}

/* ---- strangers' files ------------------------------------------------------------------------------------------------------------- */

/* A link, a FIFO that nobody reads and a folder have errors of their own. */
static int open_regular(const char *path, int flags)
{
    int fd = open(path, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0666);
    struct stat stat;

    if (fd >= 0 && fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode))
        return fd;
    if (fd >= 0)
        close(fd);
    if (fd >= 0 || errno == ELOOP || errno == ENXIO || errno == EISDIR)
        errno = EINVAL;
    return -1;
}

int vpc_file_open_stranger(const char *path)
{
    return open_regular(path, O_RDONLY);
}

/* What a subject can leave where a file was.  A device, or a folder, is the machine's. */
static bool is_in_the_way(const char *path)
{
    struct stat stat;

    return lstat(path, &stat) == 0 &&
           (S_ISLNK(stat.st_mode) || S_ISFIFO(stat.st_mode) || S_ISSOCK(stat.st_mode));
}

int vpc_file_append_stranger(const char *path)
{
    int fd = open_regular(path, O_WRONLY | O_CREAT | O_APPEND);

    if (fd >= 0 || errno != EINVAL)
        return fd;
    if (!is_in_the_way(path) || unlink(path) != 0) {
        errno = EINVAL;
        return -1;
    }
    return open_regular(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND);
}

struct copy {
    int fd;
    uint64_t max;
    int error; /* of reading */
};

static void write_copy(FILE *out, const void *user)
{
    struct copy *copy = *(struct copy *const *)user;
    char part[65536];
    ssize_t n = 1;

    for (uint64_t left = copy->max; left > 0 && n > 0; left -= (uint64_t)n) {
        n = read(copy->fd, part, left < sizeof(part) ? left : sizeof(part));
        if (n < 0)
            break;
        fwrite(part, 1, (size_t)n, out);
    }
    copy->error = n < 0 ? errno : 0;
}

bool vpc_file_copy(const char *from, const char *to, uint64_t max)
{
    struct copy copy = {vpc_file_open_stranger(from), max, 0}, *const user = &copy;
    bool good;
    int error;

    if (copy.fd < 0)
        return true;
    good = vpc_file_write(to, write_copy, &user);
    error = copy.error ? copy.error : errno;
    close(copy.fd);
    errno = error;
    return good && !copy.error;
}
