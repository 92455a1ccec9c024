/* SPDX-License-Identifier: MIT */
/*
 * The folder of a run.
 *
 * It is made where TMPDIR says, which may be any path.  A Unix socket's path holds 107 octets, and
 * implementations put folders and names of their own behind ours; so what is handed out is always short and
 * plain: the folder itself, or a link to it in a folder of our own, mode 0700, where nobody else can put
 * something in its place.
 */
#ifndef VPC_CONFORM_FOLDER_H
#define VPC_CONFORM_FOLDER_H

#include <stdbool.h>

struct vpc_folder {
    char *path; /* at most VPC_FOLDER_MAX octets: letters, digits, and / . _ - */
    char *real; /* where it is */
    char *near; /* the folder of the link, or NULL */
    /* a path to it, wherever it is moved, for this process and its children; or NULL where there is no /proc */
    char *own;
    int fd; /* open on it wherever it is moved; not open where real is NULL */
};

#define VPC_FOLDER_MAX 23 /* "/tmp/vpc-conform-XXXXXX" */

/* False: *error, one line that names the folder and what to do, the caller's. */
bool vpc_folder_begin(struct vpc_folder *folder, char **error);
/*
 * Puts it back where it was made, in the place of what stands there, if what ran in it has moved it: nothing
 * runs in it any more.  One that is gone stays gone, and nothing stands in its place.
 */
void vpc_folder_restore(const struct vpc_folder *folder);
/* Removes it with all that is in it; a zeroed one is allowed. */
void vpc_folder_end(struct vpc_folder *folder);

#define VPC_FOLDER_OCTETS  (256ull << 20)
#define VPC_FOLDER_ENTRIES 10000ull
#define VPC_FOLDER_DEPTH   32

/* Whether more stands in it than a run may leave there. */
bool vpc_folder_is_full(const char *path);
/* Follows no link. */
void vpc_remove_tree(const char *path);

#endif
