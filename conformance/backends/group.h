/* SPDX-License-Identifier: MIT */
/*
 * Control groups (version 2): what all processes of one run may use together.
 *
 * Limits of a process (confine.h) hold for each by itself, so that many are many times as much.  Where this user may make
 * groups with bounds of memory and processes, each run has one, and each subject enters it before it is the subject.  The run's
 * own process stays outside.  Where there are none, it goes without.
 *
 * Ownership: what is begun is ended, by the process that began it; an end kills what is left in the group.
 */
#ifndef VPC_CONFORM_GROUP_H
#define VPC_CONFORM_GROUP_H

#include <stdbool.h>
#include <stdint.h>

#define VPC_GROUP_MEMORY    (4ull << 30) /* octets, with what is swapped out */
#define VPC_GROUP_PROCESSES 512          /* and threads */

struct conform_group {
    char *path; /* NULL: there is none */
    int procs;  /* who writes "0" there enters it; 0: nobody can */
};

/* The folder in which runs of this process have their groups; NULL: none can be made.  Freed by conform_groups_end(). */
char *conform_groups_begin(void);
void conform_groups_end(char *groups);

/* A group of its own in that folder, unless that is NULL; where it can not be made there is none. */
void conform_group_begin(struct conform_group *group, const char *groups);
void conform_group_end(struct conform_group *group);
/* This process and all that it starts; 0 or an errno.  It may have become another user since. */
int conform_group_enter(int procs);
/* Whether something in it was killed because its memory was used up. */
bool conform_group_was_full(const struct conform_group *group);

#endif
