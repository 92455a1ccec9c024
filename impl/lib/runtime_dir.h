/* SPDX-License-Identifier: MIT */
/* Where the socket of a pipe is; the conventions are those of vpc.h. */
#ifndef VPC_RUNTIME_DIR_H
#define VPC_RUNTIME_DIR_H

#include <sys/types.h>

#include "vpc.h"

/*
 * A pipe's socket has a name that people can read.  Where that makes its path longer than an address holds, it has
 * a brief one, so that any program can connect to it; and where that is too long as well, the plain one, for those
 * that come through its folder (vpc_address_open()).  Who owns the pipe is said by a lock on the plain name.
 */
struct vpc_pipe_paths {
    char plain[VPC_FILE_SIZE], brief[VPC_FILE_SIZE];
    bool is_brief; /* which of them it has */
};

/* Errors are those of vpc_pipe_path(), but the paths may be longer than an address. */
int vpc_pipe_paths(const char *dir, const char *pipe, struct vpc_pipe_paths *paths);
/* Those of the forward of a name. */
int vpc_forward_paths(const char *dir, const char *name, struct vpc_pipe_paths *paths);
/* Of the pipe whose plain file name is known. */
int vpc_pipe_paths_of(const char *root, const char *file, struct vpc_pipe_paths *paths);

/*
 * vpc_runtime_dir_make() for a group (NULL: none): its members can go through the directory and the folders of sockets
 * and events, and list the virtual machines.  EPERM also when another group can.
 */
int vpc_runtime_dir_make_for(const char *dir, const gid_t *group);

#endif
