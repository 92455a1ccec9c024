/* SPDX-License-Identifier: MIT */
/* Groups of users, as /etc/group has them: no other source is asked, since a program without libraries could not.  The
 * conventions are those of vpc.h. */
#ifndef VPC_GROUP_H
#define VPC_GROUP_H

#include <stdbool.h>
#include <sys/types.h>

#define VPC_GROUP_TEXT_SIZE 48u

/* The group of a name or a number to *group; false: there is none. */
bool vpc_group_find(const char *text, gid_t *group);
/* "NAME (NUMBER)", or the number alone, for people. */
void vpc_group_text(gid_t group, char text[VPC_GROUP_TEXT_SIZE]);
/*
 * Makes this process a member, if it is none: then it may give files of its own to the group, whatever it gives up
 * later.  EPERM: only root can become one.
 */
int vpc_group_join(gid_t group);
/* Whether the program at the other end of a Unix socket was a member when it connected. */
bool vpc_group_has_peer(gid_t group, int fd);

#endif
