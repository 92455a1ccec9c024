/* SPDX-License-Identifier: MIT */
/*
 * A shared object that exports vpc_endpoint_abi, in a process of its own.
 *
 * Whoever decides must not share a process with the accused: a shared object in the harness's own process
 * holds the pipe into which verdicts are written, and the memory in which they are made.  So the object is
 * loaded by a child, which has one socket and nothing else of the harness, and vpc_object_abi is the same ABI
 * with a question for each call.  What comes back is bounded and checked; what is not understood is the
 * subject's fault.
 *
 * The child is the first process but one of a process namespace where the kernel grants one: nothing that it
 * starts can outlive it, and it sees no process of the harness.
 *
 * Ownership: an object is freed by vpc_object_end(), which ends its processes.  An endpoint belongs to its
 * object.
 * Errors:   a call of an object that has failed gives 0 and does nothing; vpc_object_failure() says why.
 */
#ifndef VPC_CONFORM_OBJECT_H
#define VPC_CONFORM_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memory.h"
#include "spec/vpc_endpoint.h"

struct vpc_object;

struct vpc_object_config {
    const char *path;
    const char *output; /* a file to which its standard output and error go */
    uint64_t seed;      /* of config.random */
    int group;          /* which it enters (group.h), or 0 */
};

/* Loads it.  NULL: *error, the caller's; a crash meanwhile is no error but a failure. */
struct vpc_object *vpc_object_begin(const struct vpc_object_config *config, char **error);
void vpc_object_end(struct vpc_object *object);
/* How the object broke the contract or ended, for people; NULL: it did not. */
const char *vpc_object_failure(const struct vpc_object *object);
/* Whether it is the machine's, and not the subject's. */
bool conform_object_failed_by_machine(const struct vpc_object *object);

/* An endpoint of the object, as abi->create() would make it; the config's random and error are not looked
   at. */
vpc_endpoint *vpc_object_create(struct vpc_object *object, const vpc_endpoint_config *config,
                                uint64_t now_ms);
/* The other calls. */
extern const vpc_endpoint_abi vpc_object_abi;
/* The call beside the table (vpc_endpoint_machine_v1); nothing where the object has none. */
void vpc_object_machine(vpc_endpoint *endpoint, uint32_t machine);

/*
 * Gives it the first of the pieces, of sizes[i] octets each, one call for each piece; stops behind the first
 * after which there is something to do: an action, or output or room that was not there.  Returns how many it
 * gave, at least one.
 */
size_t vpc_object_pieces(vpc_endpoint *endpoint, const void *octets, const uint32_t *sizes,
                         size_t count);

#endif
