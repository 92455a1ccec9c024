/* SPDX-License-Identifier: MIT */
/* What the two endpoints' programs share: the command line, the defaults, and the run. */
#ifndef VPC_DAEMON_H
#define VPC_DAEMON_H

#include "vpc_endpoint.h"

struct vpc_shell_direct;

struct vpc_daemon {
    const char *program;                   /* "vpc-host" */
    uint32_t role;                         /* enum vpc_role */
    const char *purpose;                   /* one line for --help */
    const char *bus;                       /* the default of --bus, NULL: it must be given */
    const struct vpc_shell_direct *direct; /* of the endpoint (shell.h); NULL: it has none */
    vpc_endpoint_machine *machine;         /* NULL: it is not told of its machine */
};

/* Runs the endpoint `abi` as the command line says: the exit status (0 stopped, 1 failed, 2 wrong
 * usage). */
int vpc_daemon_main(const struct vpc_daemon *daemon, const vpc_endpoint_abi *abi, int argc,
                    char **argv);

#endif
