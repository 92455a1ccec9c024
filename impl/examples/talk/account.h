/* SPDX-License-Identifier: MIT */
/* A user of the guest, of /etc/passwd and /etc/group: without the name service, since these are static programs. */
#ifndef ACCOUNT_H
#define ACCOUNT_H

#include <stdbool.h>
#include <sys/types.h>

enum {
    ACCOUNT_GROUPS_MAX = 64,
};

struct account {
    char name[64], home[256];
    uid_t uid;
    gid_t gid;
    size_t groups_count;
    gid_t groups[ACCOUNT_GROUPS_MAX];
};

/* False, and errno ENOENT when there is no such user, E2BIG when it has too many groups or too long a name. */
bool account_find(const char *name, struct account *account);
/*
 * Gives up all rights but the user's, for good: groups, group and user, in this order, each looked at afterwards.  A
 * program that does not run as root can only stay who it is.  False: the program must end.
 */
bool account_become(const struct account *account);

#endif
