/* SPDX-License-Identifier: MIT */
#include "trust.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "group.h"

enum {
    FOLDER_FLAGS = O_PATH | O_DIRECTORY | O_CLOEXEC,
    OTHERS_WRITE = 022,
    DEPTH_MAX = 256,
};

static bool is_ours(uid_t uid)
{
    return uid == geteuid() || uid == 0;
}

/* Without a link on the way: one of a stranger leads into his own house. */
static int open_without_links(const char *path)
{
    struct open_how how = {.flags = FOLDER_FLAGS, .resolve = RESOLVE_NO_SYMLINKS};

    return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
}

/* One step from a folder to the root: *own says whether all until here were the owner's.  False: somebody else could have
 * laid the way. */
static bool is_laid_well(int fd, uid_t owner, bool *own)
{
    struct stat st;

    if (fstat(fd, &st) != 0 || (st.st_mode & OTHERS_WRITE))
        return false;
    *own = *own && st.st_uid == owner;
    return *own || st.st_uid == 0;
}

static bool is_root_folder(int fd, int parent)
{
    struct stat at, up;

    return fstat(fd, &at) == 0 && fstat(parent, &up) == 0 && at.st_ino == up.st_ino &&
           at.st_dev == up.st_dev;
}

/* Whether none but root, and the owner in his own folders, could lay the way there. */
static bool is_of_system(const char *path, uid_t owner)
{
    int fd = open_without_links(path);
    bool own = true, good = fd >= 0, end = false;

    for (int depth = 0; good && !end; depth++) {
        int parent = openat(fd, "..", FOLDER_FLAGS);

        good = depth < DEPTH_MAX && parent >= 0 && is_laid_well(fd, owner, &own);
        end = good && is_root_folder(fd, parent);
        close(fd);
        fd = parent;
    }
    if (fd >= 0)
        close(fd);
    return good && !own;
}

static int refuse_owner(struct vpc_trust *trust, const char *what, uid_t uid)
{
    snprintf(trust->why, sizeof(trust->why),
             "%.80s belongs to user %u, not to you (%u) or root: it may be a stranger's trap", what,
             (unsigned)uid, (unsigned)geteuid());
    return EPERM;
}

static int look_at_folder(struct vpc_trust *trust, int fd, const char *what)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return errno;
    if (!is_ours(st.st_uid) && st.st_uid != trust->also)
        return refuse_owner(trust, what, st.st_uid);
    if ((st.st_mode & OTHERS_WRITE) == 0)
        return 0;
    snprintf(trust->why, sizeof(trust->why),
             "%.80s is of user %u, but others may write to it (mode %04o)", what,
             (unsigned)st.st_uid, (unsigned)st.st_mode & 07777);
    return EPERM;
}

/* The last part of the way to path that we can see, and what it is. */
static bool last_seen(const char *path, char seen[VPC_FILE_SIZE], struct stat *st)
{
    char part[VPC_FILE_SIZE];
    struct stat now;
    bool any = false;

    for (size_t n = 1; n <= strlen(path); n++) {
        if (path[n] != '/' && path[n])
            continue;
        snprintf(part, sizeof(part), "%.*s", (int)n, path);
        if (stat(part, &now) != 0)
            break;
        any = true;
        *st = now;
        memcpy(seen, part, sizeof(part));
    }
    return any;
}

void vpc_trust_closed(struct vpc_trust *trust, const char *path)
{
    char seen[VPC_FILE_SIZE], group[VPC_GROUP_TEXT_SIZE];
    struct stat st;

    if (!last_seen(path, seen, &st))
        return;
    bool shared = st.st_mode & (S_ISDIR(st.st_mode) ? S_IXGRP : S_IWGRP);
    vpc_group_text(st.st_gid, group);
    snprintf(trust->why, sizeof(trust->why),
             "%.80s belongs to user %u and group %s, and its mode %04o keeps you (%u) out: %s",
             seen, (unsigned)st.st_uid, group, (unsigned)st.st_mode & 07777, (unsigned)geteuid(),
             shared ? "become a member of that group (usermod -aG), and log in anew"
                    : "its owner can let a group in (--group of the endpoint)");
}

/* Who owns it is trusted too, if it is of the system. */
static void trust_owner(struct vpc_trust *trust, int fd, const char *path)
{
    struct stat st;

    trust->also = VPC_NOBODY_ELSE;
    if (fstat(fd, &st) == 0 && !is_ours(st.st_uid) && is_of_system(path, st.st_uid))
        trust->also = st.st_uid;
}

/* Opens a folder without a right to it; EACCES: why not. */
static int open_folder(struct vpc_trust *trust, int at, const char *name, const char *path, int *fd)
{
    *fd = openat(at, name, FOLDER_FLAGS | (at != AT_FDCWD ? O_NOFOLLOW : 0));
    if (*fd >= 0)
        return 0;
    int error = errno;
    if (error == EACCES)
        vpc_trust_closed(trust, path);
    return error;
}

static int look_below(struct vpc_trust *trust, int fd, const char *dir, const char *sub)
{
    char path[VPC_FILE_SIZE + 16];
    int below, error;

    snprintf(path, sizeof(path), "%s/%s", dir, sub);
    error = open_folder(trust, fd, sub, path, &below);
    if (error == EACCES)
        return error;
    int above = look_at_folder(trust, fd, dir);
    if (!above && !error)
        error = look_at_folder(trust, below, path);
    if (below >= 0)
        close(below);
    return above ? above : error;
}

/* What keeps us out is told before whose it is: nothing can be sent there anyway. */
int vpc_trust_folder(struct vpc_trust *trust, const char *dir, const char *sub)
{
    int fd;

    *trust = (struct vpc_trust){.also = VPC_NOBODY_ELSE};
    int error = open_folder(trust, AT_FDCWD, dir, dir, &fd);
    if (error)
        return error;
    trust_owner(trust, fd, dir);
    error = sub != NULL ? look_below(trust, fd, dir, sub) : look_at_folder(trust, fd, dir);
    close(fd);
    return error;
}

void vpc_trust_path(struct vpc_trust *trust, const char *path)
{
    const char *slash = strrchr(path, '/');
    char folder[VPC_FILE_SIZE] = ".";
    int fd;

    *trust = (struct vpc_trust){.also = VPC_NOBODY_ELSE};
    if (slash != NULL)
        snprintf(folder, sizeof(folder), "%.*s", slash == path ? 1 : (int)(slash - path), path);
    fd = open(folder, FOLDER_FLAGS);
    if (fd < 0)
        return; /* who can not look trusts nobody else */
    trust_owner(trust, fd, folder);
    close(fd);
}

int vpc_trust_peer(struct vpc_trust *trust, int fd)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
        return errno;
    if (is_ours(peer.uid) || (trust->also != VPC_NOBODY_ELSE && peer.uid == trust->also))
        return 0;
    return refuse_owner(trust, "the program that listens there", peer.uid);
}
