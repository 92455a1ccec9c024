/* SPDX-License-Identifier: MIT */
/*
 * A third process of a host endpoint that was given --qmp: it talks to the machine's monitor (qmp.h).
 *
 * Who may speak to QEMU's monitor may do with the machine, and as QEMU's user, what he likes: `migrate` starts programs.
 * So the process that reads what strangers send must not have that socket.  The observer has it, reads what QEMU says and
 * nothing of a guest, and tells the endpoint in messages of one size how the machine is.  The endpoint says nothing to it.
 * The observer ends with the endpoint; where it ends first, nobody tells of the machine any more.
 */
#ifndef VPC_SHELL_OBSERVER_H
#define VPC_SHELL_OBSERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct vpc_observer {
    int fd;    /* from which the messages come; -1: it is not there */
    pid_t pid; /* it is no longer than we are */
};

/* The strings must live as long as it. */
struct vpc_observer_config {
    const char *program, *vm; /* for its messages */
    const char *path;         /* of the monitor's Unix socket */
    bool sandboxed;           /* it has a sandbox of its own */
    int not_its_own;          /* a descriptor that it must not have; -1: none */
};

/* Forks.  0, or an errno, and *observer is not there. */
int vpc_observer_start(struct vpc_observer *observer, const struct vpc_observer_config *config);
/*
 * The next message to *machine (enum vpc_machine_state).  0, or an errno: EAGAIN: none yet; EPIPE: it has ended; EPROTO:
 * it is no message.
 */
int vpc_observer_hear(const struct vpc_observer *observer, uint32_t *machine);
void vpc_observer_end(struct vpc_observer *observer);

#endif
