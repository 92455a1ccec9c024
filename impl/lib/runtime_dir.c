/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file_name.h"
#include "local_socket.h"
#include "runtime_dir.h"
#include "trust.h"
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

/* Gives the folder to a group, unless it is already; which of two groups should have it nobody could say. */
static int share(const char *path, const struct stat *st, const gid_t *group, mode_t mode)
{
    if (group == NULL || !(mode & 070))
        return 0;
    if ((st->st_mode & 070) && st->st_gid != *group)
        return EPERM;
    if (st->st_gid != *group && chown(path, (uid_t)-1, *group) != 0)
        return errno;
    return (st->st_mode & 0777) == mode || chmod(path, mode) == 0 ? 0 : errno;
}

enum {
    OTHERS_MAY = 027, /* a group to which it was given may look and go through */
};

/* Makes one folder; whoever could write to it could put sockets of their own in the place of ours.
 * One that others may enter is not made private: it may be a folder that they need. */
static int make_folder(const char *path, const gid_t *group, mode_t mode)
{
    struct stat st;

    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return errno;
    if (lstat(path, &st) != 0)
        return errno;
    if (!S_ISDIR(st.st_mode))
        return ENOTDIR;
    if (st.st_uid != geteuid() || (st.st_mode & OTHERS_MAY))
        return EPERM;
    return share(path, &st, group, mode);
}

int vpc_runtime_dir_make_for(const char *dir, const gid_t *group)
{
    static const struct {
        const char *name;
        mode_t mode; /* for a group */
    } folders[] = {{"", 0710}, {"/vms", 0750}, {"/pipes", 0710}, {"/events", 0710}, {"/log", 0700}};
    char root[VPC_FILE_SIZE], path[VPC_FILE_SIZE + 16];
    int error = vpc_runtime_dir(dir, root, sizeof(root));

    for (size_t i = 0; !error && i < sizeof(folders) / sizeof(folders[0]); i++) {
        snprintf(path, sizeof(path), "%s%s", root, folders[i].name);
        error = make_folder(path, group, folders[i].mode);
    }
    return error;
}

int vpc_runtime_dir_make(const char *dir)
{
    return vpc_runtime_dir_make_for(dir, NULL);
}

/* A path that an address holds, or that can be longer. */
static int put_path(char *buf, size_t size, const char *root, const char *file, const char *end)
{
    return snprintf(buf, size, "%s/pipes/%s%s", root, file, end) < (int)size ? 0 : ENAMETOOLONG;
}

int vpc_pipe_paths_of(const char *root, const char *file, struct vpc_pipe_paths *paths)
{
    char brief[VPC_FILE_NAME_SIZE];

    vpc_brief_file_name(file, brief);
    int error = put_path(paths->plain, sizeof(paths->plain), root, file, "");
    if (!error)
        error = put_path(paths->brief, sizeof(paths->brief), root, brief, ".sock");
    paths->is_brief = strlen(paths->plain) >= VPC_PATH_SIZE && strlen(paths->brief) < VPC_PATH_SIZE;
    return error;
}

int vpc_pipe_paths(const char *dir, const char *pipe, struct vpc_pipe_paths *paths)
{
    char root[VPC_FILE_SIZE], file[VPC_FILE_SIZE];
    int error = vpc_pipe_file(pipe, file, sizeof(file));

    if (!error)
        error = vpc_runtime_dir(dir, root, sizeof(root));
    return error ? error : vpc_pipe_paths_of(root, file, paths);
}

/* No pipe has such a file: theirs end with ".sock". */
int vpc_forward_paths(const char *dir, const char *name, struct vpc_pipe_paths *paths)
{
    char root[VPC_FILE_SIZE], file[VPC_PATH_SIZE + 16];
    int error = vpc_runtime_dir(dir, root, sizeof(root));

    snprintf(file, sizeof(file), "%s.forward", name);
    return error ? error : vpc_pipe_paths_of(root, file, paths);
}

int vpc_pipe_path(const char *dir, const char *pipe, char *buf, size_t size)
{
    struct vpc_pipe_paths paths;
    int error = vpc_pipe_paths(dir, pipe, &paths);

    if (error)
        return error;
    int n = snprintf(buf, size, "%s", paths.is_brief ? paths.brief : paths.plain);
    return n < (int)size && n < (int)VPC_PATH_SIZE ? 0 : ENAMETOOLONG;
}

int vpc_pipe_trusted(const char *dir, const char *pipe, int *fd, struct vpc_trust *trust)
{
    char root[VPC_FILE_SIZE];
    struct vpc_pipe_paths paths;
    int error = vpc_pipe_paths(dir, pipe, &paths);

    if (!error)
        error = vpc_runtime_dir(dir, root, sizeof(root));
    if (!error)
        error = vpc_trust_folder(trust, root, "pipes");
    if (!error) /* the endpoint may know the folder by a longer name, or a shorter one */
        error = vpc_connect(paths.is_brief ? paths.brief : paths.plain, 0, fd);
    if (error == ENOENT)
        error = vpc_connect(paths.is_brief ? paths.plain : paths.brief, 0, fd);
    if (error == EACCES && !*trust->why)
        vpc_trust_closed(trust, paths.is_brief ? paths.brief : paths.plain);
    if (error)
        return error == EAGAIN ? EBUSY : error;
    error = vpc_trust_peer(trust, *fd);
    if (error)
        close(*fd);
    return error;
}

int vpc_pipe_connect(const char *dir, const char *pipe, int *fd)
{
    struct vpc_trust trust;

    return vpc_pipe_trusted(dir, pipe, fd, &trust);
}
