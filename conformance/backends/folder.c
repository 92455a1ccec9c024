/* SPDX-License-Identifier: MIT */
#include "backends/folder.h"

#include <ctype.h>
#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "memory.h"

void vpc_remove_tree(const char *path)
{
    char *const paths[] = {(char *)(uintptr_t)path, NULL};
    FTS *tree = fts_open(paths, FTS_NOCHDIR | FTS_PHYSICAL, NULL);
    FTSENT *entry;

    while (tree && (entry = fts_read(tree)) != NULL)
        if (entry->fts_info != FTS_D)
            remove(entry->fts_path); /* what stays keeps its folder, and that its own */
    if (tree)
        fts_close(tree);
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

bool vpc_folder_begin(struct vpc_folder *folder, char **error)
{
    const char *base = getenv("TMPDIR");
    char *absolute = realpath(base && *base ? base : "/tmp", NULL);
    int failed = errno;

    *folder = (struct vpc_folder){0};
    if (absolute) {
        folder->real = make_in(strcmp(absolute, "/") == 0 ? "" : absolute, "vpc-conform");
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

void vpc_folder_end(struct vpc_folder *folder)
{
    if (folder->real)
        vpc_remove_tree(folder->real);
    if (folder->near)
        vpc_remove_tree(folder->near);
    free(folder->path);
    free(folder->real);
    free(folder->near);
    *folder = (struct vpc_folder){0};
}
