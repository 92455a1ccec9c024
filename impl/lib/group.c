/* SPDX-License-Identifier: MIT */
#include "group.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The entry of /etc/group with this name (NULL: any) or this number; the next call changes it. */
static const struct group *entry_of(FILE *file, const char *name, gid_t number)
{
    const struct group *entry = NULL;

    while (file != NULL && (entry = fgetgrent(file)) != NULL)
        if (name != NULL ? strcmp(entry->gr_name, name) == 0 : entry->gr_gid == number)
            return entry;
    return NULL;
}

static bool is_number(const char *text, gid_t *number)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);

    *number = (gid_t)value;
    return *text >= '0' && *text <= '9' && !*end && value < UINT_MAX;
}

bool vpc_group_find(const char *text, gid_t *group)
{
    FILE *file = fopen("/etc/group", "re");
    const struct group *entry = entry_of(file, text, 0);
    bool found = entry != NULL;

    if (found)
        *group = entry->gr_gid;
    if (file != NULL)
        fclose(file);
    return found || is_number(text, group);
}

void vpc_group_text(gid_t group, char text[VPC_GROUP_TEXT_SIZE])
{
    FILE *file = fopen("/etc/group", "re");
    const struct group *entry = entry_of(file, NULL, group);

    if (entry != NULL)
        snprintf(text, VPC_GROUP_TEXT_SIZE, "%.32s (%u)", entry->gr_name, (unsigned)group);
    else
        snprintf(text, VPC_GROUP_TEXT_SIZE, "%u", (unsigned)group);
    if (file != NULL)
        fclose(file);
}

static bool holds(const gid_t *groups, size_t count, gid_t group)
{
    for (size_t i = 0; i < count; i++)
        if (groups[i] == group)
            return true;
    return false;
}

int vpc_group_join(gid_t group)
{
    int count = getgroups(0, NULL), error = 0;
    gid_t *groups = count < 0 ? NULL : malloc(((size_t)count + 1) * sizeof(*groups));

    if (groups == NULL)
        return ENOMEM;
    count = getgroups(count, groups);
    if (count < 0) {
        error = errno;
    } else if (getegid() != group && !holds(groups, (size_t)count, group)) {
        groups[count] = group;
        error = setgroups((size_t)count + 1, groups) == 0 ? 0 : errno;
    }
    free(groups);
    return error;
}

/* The kernel says how much room they need when there is too little. */
static bool is_in_groups_of_peer(gid_t group, int fd)
{
    gid_t few[64], *groups = few, *more = NULL;
    socklen_t size = sizeof(few);
    int error = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) == 0 ? 0 : errno;

    if (error == ERANGE && (groups = more = malloc(size)) != NULL)
        error = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) == 0 ? 0 : errno;
    bool found = !error && holds(groups, size / sizeof(*groups), group);
    free(more);
    return found;
}

bool vpc_group_has_peer(gid_t group, int fd)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
        return false;
    return peer.gid == group || is_in_groups_of_peer(group, fd);
}
