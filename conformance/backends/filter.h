/* SPDX-License-Identifier: MIT */
/*
 * The system calls of a process that holds a shared object (seccomp).
 *
 * Such a process computes: it needs memory, threads where its language has them, clocks, files to read, and what it was given
 * open.  All else fails with EPERM: it starts no process and no program, opens nothing to write, makes no socket, and sends no
 * signal but to itself.  It is a second fence, behind namespaces and Landlock (confine.h): where the kernel has no such thing,
 * it goes without.
 */
#ifndef VPC_CONFORM_FILTER_H
#define VPC_CONFORM_FILTER_H

/* This process, which has one thread, and all that it starts, for ever; 0 or an errno. */
int conform_filter_object(void);
/* 0, or an errno: why it can not be had here.  It tries in a child. */
int conform_filter_missing(void);

#endif
