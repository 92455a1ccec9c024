/* SPDX-License-Identifier: MIT */
/*
 * What a service manager wants to know of a service of Type=notify: one datagram for each state, to the socket that
 * NOTIFY_SOCKET names (sd_notify(3)), so that the guest's static binary can do it too.  Conventions are those of shell.h.
 */
#ifndef VPC_SHELL_SERVICE_MANAGER_H
#define VPC_SHELL_SERVICE_MANAGER_H

struct vpc_opener;

struct vpc_service_manager {
    int fd;                         /* -1: it is not connected */
    const struct vpc_opener *asked; /* who connects it; NULL: nobody wants to know */
};

/*
 * `path` as NOTIFY_SOCKET has it: absolute, or `@` and an abstract name; NULL or "": nobody asks.  Nothing is sent yet.
 * EAFNOSUPPORT: it is of another kind; ENAMETOOLONG.
 */
int vpc_service_manager_open(struct vpc_service_manager *manager, const struct vpc_opener *asked,
                             const char *path);
void vpc_service_manager_close(struct vpc_service_manager *manager);

/* Sends "READY=1", "STOPPING=1" and the like.  Never waits; an errno when the manager does not take it. */
int vpc_service_manager_tell(struct vpc_service_manager *manager, const char *state);

#endif
