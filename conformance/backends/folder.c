/* SPDX-License-Identifier: MIT */
#include "backends/folder.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory.h"

void vpc_remove_tree(const char *path)
{
    char *const paths[] = {(char *)(uintptr_t)path, NULL};
    FTS *tree = fts_open(paths, FTS_PHYSICAL, NULL); /* changes its folder: paths may be long */
    FTSENT *entry;

    while (tree && (entry = fts_read(tree)) != NULL) {
        if (entry->fts_info != FTS_D)
            remove(entry->fts_accpath); /* what stays keeps its folder, and that its own */
        else if ((entry->fts_statp->st_mode & S_IRWXU) != S_IRWXU)
            chmod(entry->fts_accpath, S_IRWXU); /* whoever wanted to keep us out */
    }
    if (tree)
        fts_close(tree);
}

struct use {
    uint64_t octets, entries;
    int depth;
    bool full;
};

static void count_folder(int parent, const char *name, struct use *use);

static void count_entry(DIR *folder, const char *name, struct use *use)
{
    struct stat stat;

    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
        fstatat(dirfd(folder), name, &stat, AT_SYMLINK_NOFOLLOW) != 0)
        return;
    use->entries++;
    use->octets += (uint64_t)stat.st_blocks * 512;
    use->full |= use->octets > VPC_FOLDER_OCTETS || use->entries > VPC_FOLDER_ENTRIES;
    if (S_ISDIR(stat.st_mode))
        count_folder(dirfd(folder), name, use);
}

/* Only as far as it takes to know: the subject may go on meanwhile. */
static void count_folder(int parent, const char *name, struct use *use)
{
    int fd =
        openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (use->depth ? O_NOFOLLOW : 0));
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;

    use->full |= ++use->depth > VPC_FOLDER_DEPTH;
    while (folder && !use->full && (entry = readdir(folder)) != NULL)
        count_entry(folder, entry->d_name, use);
    use->depth--;
    if (folder)
        closedir(folder);
    else if (fd >= 0)
        close(fd);
}

bool vpc_folder_is_full(const char *path)
{
    struct use use = {0};

    count_folder(AT_FDCWD, path, &use);
    return use.full;
}

static bool is_short_and_plain(const char *path)
{
    for (const char *at = path; *at; at++)
        if (!isalnum((unsigned char)*at) && !strchr("/._-", *at))
            return false;
    return strlen(path) <= VPC_FOLDER_MAX;
}

/* A folder of its own in base, or NULL with errno. */
static char *make_in(const char *base, const char *name)
{
    char *path = vpc_format("%s/%s-XXXXXX", base, name);

    if (mkdtemp(path))
        return path;
    free(path);
    return NULL;
}

static bool link_in(struct vpc_folder *folder, const char *base)
{
    folder->near = make_in(base, "vpc");
    if (folder->near == NULL)
        return false;
    folder->path = vpc_format("%s/d", folder->near);
    if (is_short_and_plain(folder->path) && symlink(folder->real, folder->path) == 0)
        return true;
    rmdir(folder->near);
    free(folder->near);
    free(folder->path);
    folder->near = folder->path = NULL;
    return false;
}

static bool link_near(struct vpc_folder *folder, char **error)
{
    const char *const bases[] = {"/tmp", "/dev/shm", "/var/tmp", "/run", getenv("XDG_RUNTIME_DIR")};

    for (size_t i = 0; i < sizeof(bases) / sizeof(bases[0]); i++)
        if (bases[i] && link_in(folder, bases[i]))
            return true;
    *error = vpc_format("%s is too long for sockets, and no link to it can be made in /tmp, "
                        "/dev/shm, /var/tmp, /run or XDG_RUNTIME_DIR: set TMPDIR to a shorter path",
                        folder->real);
    return false;
}

static void name_own(struct vpc_folder *folder)
{
    folder->own = vpc_format("/proc/self/fd/%d", folder->fd);
    if (access(folder->own, F_OK) == 0)
        return;
    free(folder->own);
    folder->own = NULL;
}

/* Without it: errno. */
static void make_and_hold(struct vpc_folder *folder, const char *base)
{
    int failed;

    folder->real = make_in(base, "vpc-conform");
    if (folder->real == NULL)
        return;
    folder->fd = open(folder->real, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder->fd >= 0) {
        name_own(folder);
        return;
    }
    failed = errno;
    rmdir(folder->real);
    free(folder->real);
    folder->real = NULL;
    errno = failed;
}

bool vpc_folder_begin(struct vpc_folder *folder, char **error)
{
    const char *base = getenv("TMPDIR");
    char *absolute = realpath(base && *base ? base : "/tmp", NULL);
    int failed = errno;

    *folder = (struct vpc_folder){0};
    if (absolute) {
        make_and_hold(folder, strcmp(absolute, "/") == 0 ? "" : absolute);
        failed = errno;
    }
    free(absolute);
    if (folder->real == NULL) {
        *error = vpc_format("no folder can be made in %s: %s; set TMPDIR to where one can",
                            base && *base ? base : "/tmp", strerror(failed));
        return false;
    }
    if (is_short_and_plain(folder->real)) {
        folder->path = vpc_copy(folder->real);
        return true;
    }
    if (link_near(folder, error))
        return true;
    vpc_folder_end(folder);
    return false;
}

void vpc_folder_restore(const struct vpc_folder *folder)
{
    char *link = vpc_format("/proc/self/fd/%d", folder->fd), now[PATH_MAX + 1];
    ssize_t n = readlink(link, now, sizeof(now) - 1);

    free(link);
    if (n < 0)
        return;
    now[n] = '\0';
    if (strcmp(now, folder->real) == 0)
        return;
    vpc_remove_tree(folder->real);
    if (rename(now, folder->real) != 0)
        vpc_remove_tree(now); /* it can not be brought back: its evidence is lost */
}

void vpc_folder_end(struct vpc_folder *folder)
{
    if (folder->real) {
        vpc_folder_restore(folder);
        close(folder->fd);
        vpc_remove_tree(folder->real);
    }
    if (folder->near)
        vpc_remove_tree(folder->near);
    free(folder->path);
    free(folder->real);
    free(folder->near);
    free(folder->own);
    *folder = (struct vpc_folder){0};
}
