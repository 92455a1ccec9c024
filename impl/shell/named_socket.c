/* SPDX-License-Identifier: MIT */
/*
 * The name's owner holds a lock on the file PATH.lock, so two processes never fight for a name, and
 * the socket that a killed owner left can be removed by whoever gets the lock.  The lock file is
 * removed by its owner while it is still locked; a newcomer that opened it before looks whether
 * what it locked is still what the path names.
 *
 * In the lock file stands the owner's virtual machine, whose next endpoint clears away what this one left.
 */
#include "named_socket.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "local_socket.h"
#include "runtime_dir.h"
#include "vpc.h"

enum {
    OWNER_SIZE = 64,
};

static const char lock_end[] = ".lock";

static bool same_file(int fd, const char *path)
{
    struct stat have, want;

    return fstat(fd, &have) == 0 && stat(path, &want) == 0 && have.st_ino == want.st_ino &&
           have.st_dev == want.st_dev;
}

/*
 * A full disk is no reason to have no pipe.  Always as many octets, so that what is there need not be cut off before: ext4
 * takes that for the replacement of a file, and waits for the disk as it is closed.
 */
static void write_owner(int fd, const char *owner)
{
    char text[OWNER_SIZE] = "";

    snprintf(text, sizeof(text), "%s", owner);
    if (pwrite(fd, text, sizeof(text), 0) < 0)
        return;
}

/* Locks the file; *lock -1 without an error: it was removed meanwhile. */
static int lock_file(const char *path, int flags, int *lock)
{
    int fd = open(path, flags | O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600), error = 0;

    *lock = -1;
    if (fd < 0)
        return errno;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        error = errno == EWOULDBLOCK ? EADDRINUSE : errno;
    else if (same_file(fd, path))
        *lock = fd;
    if (*lock < 0)
        close(fd);
    return error;
}

/* Whether the file is new, or one that write_owner() wrote: other programs have files of such names too. */
static bool is_lock(int fd)
{
    char text[OWNER_SIZE + 1];
    ssize_t n = pread(fd, text, sizeof(text), 0);
    const char *end = n > 0 ? memchr(text, '\0', (size_t)n) : NULL;

    if (n != OWNER_SIZE || end == NULL)
        return n == 0;
    while (end < text + OWNER_SIZE && *end == '\0')
        end++;
    return end == text + OWNER_SIZE;
}

static int take_name(struct vpc_named_socket *named, const char *owner)
{
    int error;

    do
        error = lock_file(named->lock_path, O_CREAT, &named->lock);
    while (!error && named->lock < 0);
    if (!error && !is_lock(named->lock)) {
        close(named->lock);
        named->lock = -1;
        error = EEXIST;
    }
    if (!error)
        write_owner(named->lock, owner);
    return error;
}

/* Whether somebody listens there, or it can't be told. */
static bool is_served(const char *path)
{
    int fd, error = vpc_connect(path, 0, &fd);

    if (!error)
        close(fd);
    return error != ECONNREFUSED;
}

/* Removes the socket, or the link, of an owner that was killed.  Anything else is somebody's: EEXIST, or EADDRINUSE. */
static int clear_path(const char *path)
{
    struct stat st;

    if (lstat(path, &st) != 0)
        return errno == ENOENT ? 0 : errno;
    if (!S_ISSOCK(st.st_mode) && !S_ISLNK(st.st_mode))
        return EEXIST;
    if (S_ISSOCK(st.st_mode) && is_served(path))
        return EADDRINUSE;
    return unlink(path) == 0 || errno == ENOENT ? 0 : errno;
}

/* Removes what is ours: another program may have made the path anew. */
static void remove_own(const struct vpc_named_socket *named)
{
    struct stat st;

    if (lstat(named->path, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_ino == named->number &&
        st.st_dev == named->device)
        unlink(named->path);
}

/* Who may connect to a socket: its owner, and the members of a group. */
static int share_socket(const char *path, const gid_t *group)
{
    if (group != NULL && chown(path, (uid_t)-1, *group) != 0)
        return -1;
    return chmod(path, group != NULL ? 0660 : 0600);
}

/* Nobody can connect between bind() and listen(): the mode is right before anybody comes in. */
static int listen_at(const struct sockaddr_un *address,
                     const struct vpc_named_socket_options *options, int *fd)
{
    const char *path = options->path;
    int error = clear_path(path);
    if (error)
        return error;
    int made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (made < 0)
        return errno;
    bool bound = bind(made, (const struct sockaddr *)address, sizeof(*address)) == 0;
    if (!bound || share_socket(path, options->group) != 0 || listen(made, options->backlog) != 0) {
        error = errno;
        close(made);
        if (bound)
            unlink(path);
        return error;
    }
    *fd = made;
    return 0;
}

static int open_address(const struct vpc_named_socket_options *options, int *fd)
{
    struct vpc_address address;
    int error = vpc_address_open(&address, options->path);

    if (!error)
        error = listen_at(&address.un, options, fd);
    vpc_address_close(&address);
    return error;
}

static bool name_it(struct vpc_named_socket *named, const char *name, const char *path)
{
    size_t size = strlen(name) + sizeof(lock_end);

    *named = (struct vpc_named_socket){.lock = -1, .path = strdup(path), .lock_path = malloc(size)};
    if (named->lock_path != NULL)
        snprintf(named->lock_path, size, "%s%s", name, lock_end);
    return named->path != NULL && named->lock_path != NULL;
}

/* Which file is ours, that is there now. */
static void know(struct vpc_named_socket *named)
{
    struct stat st;

    if (lstat(named->path, &st) != 0)
        return;
    named->device = st.st_dev;
    named->number = st.st_ino;
}

int vpc_named_socket_open(struct vpc_named_socket *named,
                          const struct vpc_named_socket_options *options, int *fd)
{
    const char *name = options->name != NULL ? options->name : options->path;
    int error = name_it(named, name, options->path) ? 0 : ENOMEM;

    if (!error)
        error = take_name(named, options->owner);
    if (!error)
        error = open_address(options, fd);
    if (!error)
        know(named);
    if (error)
        vpc_named_socket_close(named);
    return error;
}

void vpc_named_socket_close(struct vpc_named_socket *named)
{
    if (named->lock >= 0) {
        remove_own(named);
        unlink(named->lock_path);
        close(named->lock);
    }
    free(named->path);
    free(named->lock_path);
    *named = (struct vpc_named_socket){.lock = -1};
}

/* ---- what a killed owner left ----------------------------------------------------------------------------- */

static bool is_of(const char *lock_path, const char *owner)
{
    int fd = open(lock_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    char text[OWNER_SIZE] = "";
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;

    if (fd >= 0)
        close(fd);
    return n > 0 && strcmp(text, owner) == 0;
}

/* Of the pipe whose lock has this file name, if nobody holds it.  No other's lock is held even for a moment. */
static void clear_pipe(const char *root, const char *lock_name, const char *owner)
{
    char file[NAME_MAX + 1];
    struct vpc_pipe_paths paths;
    struct vpc_named_socket named;
    size_t n = strlen(lock_name) - strlen(lock_end);

    snprintf(file, sizeof(file), "%.*s", (int)n, lock_name);
    if (vpc_pipe_paths_of(root, file, &paths) != 0)
        return;
    bool good = name_it(&named, paths.plain, paths.is_brief ? paths.brief : paths.plain) &&
                is_of(named.lock_path, owner) && lock_file(named.lock_path, 0, &named.lock) == 0 &&
                named.lock >= 0;
    if (good && !is_of(named.lock_path, owner)) {
        close(named.lock);
        named.lock = -1;
    }
    if (named.lock >= 0)
        know(&named);
    vpc_named_socket_close(&named);
}

void vpc_named_sockets_clear(const char *root, const char *owner)
{
    char folder[VPC_FILE_SIZE + sizeof("/pipes")];

    snprintf(folder, sizeof(folder), "%s/pipes", root);
    DIR *pipes = opendir(folder);
    for (struct dirent *entry; pipes != NULL && (entry = readdir(pipes)) != NULL;) {
        size_t n = strlen(entry->d_name), end = strlen(lock_end);

        if (n > end && strcmp(entry->d_name + n - end, lock_end) == 0)
            clear_pipe(root, entry->d_name, owner);
    }
    if (pipes != NULL)
        closedir(pipes);
}
