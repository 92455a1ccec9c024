/* SPDX-License-Identifier: MIT */
/*
 * Many runs: which scenarios, on what, each in a process of its own.
 *
 * A run is a child process, so that a subject that crashes or hangs in-process takes only its own run with it.
 * Ownership: vpc_suite_free() frees what the functions here added to a suite.
 */
#ifndef VPC_CONFORM_SUITE_H
#define VPC_CONFORM_SUITE_H

#include "run/run.h"

struct vpc_suite_run {
    const struct vpc_script *script;
    const struct vpc_implementation *implementation;
    const struct vpc_backend_ops *backend;
    const char *initrd; /* for QEMU, or NULL */
    struct vpc_result result;
    char *folder; /* of a failure, or NULL */
};

struct vpc_suite {
    const struct vpc_table *table;
    const struct vpc_spec *spec;
    struct vpc_script **scripts;
    size_t script_count;
    struct vpc_implementation **implementations;
    size_t implementation_count;
    const struct vpc_backend_ops *backends[3];
    size_t backend_count;
    enum vpc_split split;
    uint64_t seed;
    const char *build;
    const char *guest_dir;   /* where guests' kernel and images are made */
    const char *guest_image; /* the program that makes them */
    char **initrds;          /* of the implementations, where they were made */
    size_t initrd_count;
    size_t jobs;     /* runs at once; 0: 1 */
    int interrupted; /* by this signal, after the run */
    const char *out; /* where failures go */
    const char *program;
    bool colour, progress;
    struct vpc_suite_run *runs;
    size_t run_count;
};

/* Adds every *.vpcs below the folder, in order of name, or the one file.  False: *error, which the caller frees. */
bool vpc_suite_add(struct vpc_suite *suite, const char *path, char **error);
/* Adds every scenario of that name below the folder, at least one.  False: *error, which the caller frees. */
bool vpc_suite_add_named(struct vpc_suite *suite, const char *folder, const char *name,
                         char **error);
/* Runs every scenario on every backend, with each implementation of its role.  False: *error, and nothing was run. */
bool vpc_suite_run(struct vpc_suite *suite, char **error);
void vpc_suite_free(struct vpc_suite *suite);
const char *vpc_split_name(enum vpc_split split);

#endif
