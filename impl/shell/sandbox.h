/* SPDX-License-Identifier: MIT */
/* What an endpoint gives up once everything is open: see sandbox.c. */
#ifndef VPC_SANDBOX_H
#define VPC_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "acts.h"

struct vpc_sandbox {
    const char *program, *vm; /* for the last message */
    uint32_t role;            /* enum vpc_role */
};

/* Whether this build can have one: what watches memory needs more of the system than an endpoint. */
bool vpc_sandbox_possible(void);

/*
 * Enters it, for good.  0, or an errno and in *what the thing that the kernel does not have.
 * *paths is set to whether the kernel confines the files too.
 */
int vpc_sandbox_enter(const struct vpc_sandbox *sandbox, const char **what, bool *paths);

/* The same for the opener (opener.h): it can do the acts of its endpoint, and nothing else. */
int vpc_sandbox_enter_opener(const struct vpc_acts_config *config, const char **what);

/* The same for the observer (observer.h): it can connect to Unix sockets, whoever's they are, and talk. */
int vpc_sandbox_enter_observer(const char **what);

#endif
