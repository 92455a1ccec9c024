/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "local_socket.h"
#include "vpc.h"

static const char *environment(const char *name)
{
    const char *value = secure_getenv(name);

    return value != NULL && *value ? value : NULL;
}

int vpc_runtime_dir(const char *given, char *buf, size_t size)
{
    int n;

    if (given == NULL)
        given = environment("VPC_RUNTIME_DIR");
    const char *xdg = environment("XDG_RUNTIME_DIR");
    if (given != NULL)
        n = snprintf(buf, size, "%s", given);
    else if (xdg != NULL)
        n = snprintf(buf, size, "%s/vpcbus", xdg);
    else if (geteuid() == 0)
        n = snprintf(buf, size, "/run/vpcbus");
    else
        n = snprintf(buf, size, "/tmp/vpcbus-%u", (unsigned)geteuid());
    return n < (int)size ? 0 : ENAMETOOLONG;
}

/* Makes one folder; whoever could write to it could put sockets of their own in the place of ours.
 * One that others may enter is not made private: it may be a folder that they need. */
static int make_private(const char *path)
{
    struct stat st;

    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return errno;
    if (lstat(path, &st) != 0)
        return errno;
    if (!S_ISDIR(st.st_mode))
        return ENOTDIR;
    if (st.st_uid != geteuid() || (st.st_mode & 077))
        return EPERM;
    return 0;
}

int vpc_runtime_dir_make(const char *dir)
{
    static const char *const folders[] = {"vms", "pipes", "events", "log"};
    char root[VPC_FILE_SIZE], path[VPC_FILE_SIZE + 16];
    int error = vpc_runtime_dir(dir, root, sizeof(root));

    if (!error)
        error = make_private(root);
    for (size_t i = 0; !error && i < sizeof(folders) / sizeof(folders[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", root, folders[i]);
        error = make_private(path);
    }
    return error;
}

int vpc_pipe_path(const char *dir, const char *pipe, char *buf, size_t size)
{
    char root[VPC_FILE_SIZE], file[VPC_FILE_SIZE];
    int error = vpc_pipe_file(pipe, file, sizeof(file));

    if (!error)
        error = vpc_runtime_dir(dir, root, sizeof(root));
    if (error)
        return error;
    int n = snprintf(buf, size, "%s/pipes/%s", root, file);
    return n < (int)size && n < (int)VPC_PATH_SIZE ? 0 : ENAMETOOLONG;
}

int vpc_pipe_connect(const char *dir, const char *pipe, int *fd)
{
    char path[VPC_PATH_SIZE];
    int error = vpc_pipe_path(dir, pipe, path, sizeof(path));

    if (!error)
        error = vpc_connect(path, 0, fd);
    return error == EAGAIN ? EBUSY : error;
}
