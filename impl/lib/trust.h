/* SPDX-License-Identifier: MIT */
/*
 * Whom a client trusts; the conventions are those of vpc.h.
 *
 * Where anybody may make folders, a stranger may have made that of the endpoint first, and wait for what we have
 * to say.  So the way there and who listens at its end are looked at before an octet is sent.  A server may be
 *
 *   - of our own user, or root's;
 *   - of the owner of the folder, when none but root, and he in his own, could make the folders on the way there, and
 *     no link leads there: /run/vpcbus of a service's user, /run/user/1000/vpcbus for root.
 *
 * To share a group with somebody is no reason to trust him: who could lay the way counts, for members as for others.
 */
#ifndef VPC_TRUST_H
#define VPC_TRUST_H

#include <sys/types.h>

#include "vpc.h"

#define VPC_NOBODY_ELSE ((uid_t)-1)
#define VPC_WHY_SIZE    320u

struct vpc_trust {
    uid_t also;             /* whom besides us and root */
    char why[VPC_WHY_SIZE]; /* after EPERM and EACCES: who owns what */
};

/* Looks at the runtime directory and its folder `sub` (NULL: at the directory alone).  EPERM: not to be trusted;
   another errno: they can not be looked at. */
int vpc_trust_folder(struct vpc_trust *trust, const char *dir, const char *sub);
/* The folder of a socket that somebody named by its path: it may be anybody's, its server may not. */
void vpc_trust_path(struct vpc_trust *trust, const char *path);
/* After EACCES: what on the way to path keeps us out, and what to do about it, to why. */
void vpc_trust_closed(struct vpc_trust *trust, const char *path);
/* Looks at who listens at the other end of a connected socket; EPERM. */
int vpc_trust_peer(struct vpc_trust *trust, int fd);

/* vpc_find_virtual_machine() and vpc_open_control_socket(): after DISP_E_EXCEPTION with errno EPERM or EACCES, why. */
vpc_hresult vpc_find_trusted(const char *dir, const char *name, vpc_virtual_machine **vm,
                             struct vpc_trust *trust);
vpc_hresult vpc_open_trusted(const char *path, vpc_virtual_machine **vm, struct vpc_trust *trust);
/* vpc_pipe_connect() */
int vpc_pipe_trusted(const char *dir, const char *pipe, int *fd, struct vpc_trust *trust);

#endif
