/* SPDX-License-Identifier: MIT */
#include "log_link.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The path from the root on, without links in its folders; NULL: a folder is missing, or it is too long. */
static const char *full_path(const char *path, char full[PATH_MAX])
{
    const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
    char folder[PATH_MAX];
    int n = slash != NULL ? (int)(slash - path) + 1 : 0;

    if (snprintf(folder, sizeof(folder), "%.*s", n, path) >= (int)sizeof(folder) ||
        realpath(n ? folder : ".", full) == NULL)
        return NULL;
    size_t have = strlen(full);
    if (have + 1 + strlen(name) >= PATH_MAX)
        return NULL;
    snprintf(full + have, PATH_MAX - have, "%s%s", full[1] != '\0' ? "/" : "", name);
    return full;
}

static bool is_strange(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && !S_ISREG(st.st_mode);
}

int vpc_log_link(const char *place, const char *log)
{
    char here[PATH_MAX], target[PATH_MAX];

    vpc_log_unlink(place);
    if (full_path(place, here) == NULL || full_path(log, target) == NULL ||
        strcmp(here, target) == 0 || is_strange(target))
        return 0;
    return symlink(target, place) == 0 ? 0 : errno;
}

void vpc_log_unlink(const char *place)
{
    struct stat st;

    if (lstat(place, &st) == 0 && S_ISLNK(st.st_mode))
        unlink(place);
}
