/* SPDX-License-Identifier: MIT */
#include "kept_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file_flags.h"
#include "pcapng.h"

enum {
    LONGEST_END = sizeof(".guest.1"),
};

/* A pipe that nobody reads, or not fast enough, is no reason to wait: what it does not take is lost, as on a full disk. */
static int open_log(const char *path, int *fd)
{
    *fd = open(path, VPC_LOG_FLAGS | O_NONBLOCK, 0600);
    return *fd < 0 ? errno : 0;
}

/* A slip of the pen must not spoil anything else. */
static int open_trace(const char *path, int *fd)
{
    *fd = open(path, VPC_TRACE_FLAGS, 0600);
    if (*fd < 0)
        return errno == EISDIR || errno == ENXIO ? EEXIST : errno;
    return vpc_pcapng_look(*fd);
}

static int open_file(struct vpc_kept_file *file, enum vpc_kept which, int *fd)
{
    struct stat st;
    int error = which == VPC_KEPT_TRACE ? open_trace(file->path, fd) : open_log(file->path, fd);

    if (!error && fstat(*fd, &st) != 0)
        error = errno;
    if (error && *fd >= 0) {
        close(*fd);
        *fd = -1;
    } else if (!error) {
        file->device = st.st_dev;
        file->number = st.st_ino;
    }
    return error;
}

int vpc_kept_open(struct vpc_kept_file files[VPC_KEPT_FILES], const struct vpc_changing *changing,
                  enum vpc_kept which, int *fd)
{
    const char *path = which == VPC_KEPT_TRACE       ? changing->trace_path
                       : which == VPC_KEPT_GUEST_LOG ? files[VPC_KEPT_LOG].path
                                                     : changing->log_path;
    const char *end = which == VPC_KEPT_GUEST_LOG ? ".guest" : "";
    struct vpc_kept_file next;

    *fd = -1;
    if (path == NULL || !*path)
        return ENOENT;
    if (strlen(path) + LONGEST_END > sizeof(next.path))
        return ENAMETOOLONG;
    snprintf(next.path, sizeof(next.path), "%s%s", path, end);
    int error = open_file(&next, which, fd);
    if (!error)
        files[which] = next;
    return error;
}

/* What is no file may have no end. */
int vpc_kept_read(const struct vpc_kept_file *file, int *fd)
{
    struct stat st;

    *fd = *file->path ? open(file->path, VPC_LOG_READ_FLAGS) : -1;
    if (*fd < 0)
        return *file->path ? errno : ENOENT;
    if (fstat(*fd, &st) == 0 && S_ISREG(st.st_mode))
        return 0;
    close(*fd);
    *fd = -1;
    return EINVAL;
}

int vpc_kept_turn_over(struct vpc_kept_file *file, enum vpc_kept which, int *fd)
{
    char old[sizeof(file->path) + 2];
    struct stat named;

    *fd = -1;
    if (!*file->path)
        return ENOENT;
    snprintf(old, sizeof(old), "%s.1", file->path);
    if (stat(file->path, &named) == 0 && S_ISREG(named.st_mode) && named.st_ino == file->number &&
        named.st_dev == file->device && rename(file->path, old) != 0)
        return errno;
    return open_file(file, which, fd);
}
