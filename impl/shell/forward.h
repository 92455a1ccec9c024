/* SPDX-License-Identifier: MIT */
/* The sockets of forwards: see forward.c. */
#ifndef VPC_SHELL_FORWARD_H
#define VPC_SHELL_FORWARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vpc_shell;

/* FORWARD and ACCEPT.  UNLISTEN: false when the number is of a stream. */
void vpc_forward_open(struct vpc_shell *shell, uint32_t number, const char *listen);
void vpc_forward_accept(struct vpc_shell *shell, uint32_t number, uint32_t stream);
bool vpc_forward_close(struct vpc_shell *shell, uint32_t number);
void vpc_forwards_close(struct vpc_shell *shell);

/*
 * Those of a JSON object (NULL: none) of `listen` and a port, or the arguments of start-forward.  0, or an errno when one
 * can not be made: that is said on stderr.
 */
int vpc_forwards_start(struct vpc_shell *shell, const char *forwards);
/* Whether a reply is to what the shell itself has asked. */
bool vpc_forward_answered(struct vpc_shell *shell, uint32_t client, const char *text, size_t n);

#endif
