/* SPDX-License-Identifier: MIT */
/* Between vpc-printd and a CUPS backend of the same guest: the host's connection as a descriptor. */
#ifndef HANDOVER_H
#define HANDOVER_H

/* Gives a descriptor away over a Unix socket: 0, or -1 with errno. */
int handover_give(int to, int fd);
/* Takes one, closed on exec: the descriptor, or -1 with errno; ECONNRESET when the other side has ended. */
int handover_take(int from);

#endif
