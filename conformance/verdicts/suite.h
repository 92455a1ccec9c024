/* SPDX-License-Identifier: MIT */
/*
 * Many runs: which scenarios, on what, each in a process of its own.
 *
 * A run is a child process, so that a subject that crashes or hangs in-process takes only its own run with
 * it.
 * Ownership: vpc_suite_free() frees what the functions here added to a suite.
 */
#ifndef VPC_CONFORM_SUITE_H
#define VPC_CONFORM_SUITE_H

#include <time.h>

#include "run/run.h"
#include "verdicts/expect.h"

#define VPC_SPLITS   4
#define VPC_BACKENDS 3

struct vpc_suite_run {
    const struct vpc_script *script;
    const struct vpc_implementation *implementation;
    const struct vpc_backend_ops *backend;
    enum vpc_split split;
    const char *initrd; /* for QEMU, or NULL */
    const char *broken; /* why it can not be run, or NULL */
    struct vpc_result result;
    bool again;                          /* it told nothing, and is run once more, alone */
    struct vpc_expectation *expectation; /* or NULL */
    char *folder;                        /* of a failure, or NULL */
};

/* What the implementations share in a virtual machine, made once before the runs. */
struct vpc_prepared {
    char *initrd;
    char *error; /* why there is none */
};

struct vpc_suite;

/* Keeps what a failed run left in its folder.  False: suite->trouble says what could not be kept. */
typedef bool vpc_keep_fn(struct vpc_suite *suite, struct vpc_suite_run *run, const char *dir);

struct vpc_suite {
    const struct vpc_table *table;
    const struct vpc_spec *spec;
    struct vpc_script **scripts;
    size_t script_count;
    /* scripts are kept folded: each run is a copy of this process, and needs the steps of one */
    bool folds;
    struct vpc_implementation **implementations;
    size_t implementation_count;
    const struct vpc_backend_ops *backends[VPC_BACKENDS];
    size_t backend_count;
    enum vpc_split splits[VPC_SPLITS]; /* each scenario is run with each; none: whole */
    size_t split_count;
    size_t shard, shards; /* the shard'th part of shards, from 1; 0: all */
    struct vpc_expectations expectations;
    bool partial;       /* scenarios were selected: an expectation without a run tells nothing */
    bool first_failure; /* no run begins after one that was bad; those that did not are no runs */
    char *groups; /* where runs have control groups (backends/group.h), while they go on; or NULL */
    uint64_t seed;
    unsigned sandbox; /* parts (backends/sandbox.h) into which each run is shut; 0: none */
    const char *build;
    const char *guest_dir;         /* where guests' kernel and images are made */
    const char *guest_image;       /* the program that makes them */
    const char *launcher;          /* the program that starts virtual machines */
    struct vpc_prepared *prepared; /* one for each implementation, when a backend wants it */
    size_t jobs;                   /* runs at once; 0: 1 */
    size_t
        backend_jobs[VPC_BACKENDS]; /* of one backend, in the order of its bit; 0: as jobs says */
    int limit_ms;                   /* of one run, in real time; 0: two minutes */
    int interrupted;                /* by this signal, after the run */
    vpc_keep_fn *keep;              /* NULL: nothing is kept */
    const char *out;                /* where failures go */
    const char *program;
    bool progress;
    time_t when; /* it began; for reports */
    uint64_t ms; /* that all runs took together with their waiting, in real time */
    struct vpc_suite_run *runs;
    size_t run_count;
    char *trouble; /* what could not be kept of a failure, or NULL */
};

/* Adds every *.vpcs below the folder, in order of name, or the one file.  False: *error, which the caller
   frees. */
bool vpc_suite_add(struct vpc_suite *suite, const char *path, char **error);
/*
 * Adds those below the folder whose name, or path below it without the ending, fits the shell pattern; false
 * with *error when there is none.
 */
bool vpc_suite_add_matching(struct vpc_suite *suite, const char *folder, const char *pattern,
                            char **error);
/* Keeps the scenarios that cover a requirement that fits the shell pattern. */
void vpc_suite_keep_covering(struct vpc_suite *suite, const char *pattern);
/* Runs every scenario on every backend and split, with each implementation of its role; called again, all of
   them again. */
void vpc_suite_run(struct vpc_suite *suite);
/* One run more, of a script that is not the suite's: its result, and no folder. */
void vpc_suite_try(struct vpc_suite *suite, const struct vpc_suite_run *like,
                   const struct vpc_script *script, struct vpc_result *result);
/* How many runs of the backend there may be at once.  A run in real time waits, one in a virtual machine
   computes. */
size_t vpc_suite_jobs(const struct vpc_suite *suite, const struct vpc_backend_ops *backend);
void vpc_suite_set_jobs(struct vpc_suite *suite, const struct vpc_backend_ops *backend,
                        size_t jobs);
/* How many there may be of that of its backends which may have most. */
size_t vpc_suite_most_jobs(const struct vpc_suite *suite);
void vpc_suite_free(struct vpc_suite *suite);
const char *vpc_split_name(enum vpc_split split);

/* ---- what the runs come to ----------------------------------------------------------------------------- */

enum vpc_standing {
    VPC_STANDING_GOOD,     /* pass, non-strict, not supported */
    VPC_STANDING_EXPECTED, /* bad, and known to be */
    VPC_STANDING_ALARM,    /* good, and known to be bad: the expectation is out of date */
    VPC_STANDING_BAD,
};

/* What its verdict comes to, with what was expected of it. */
enum vpc_standing vpc_standing_of(const struct vpc_suite_run *run);
/* Runs of that verdict, whatever was expected. */
size_t vpc_suite_count(const struct vpc_suite *suite, enum vpc_verdict verdict);
size_t vpc_suite_count_standing(const struct vpc_suite *suite, enum vpc_standing standing);
/* Expectations that no run was for; 0 when the suite is partial. */
size_t vpc_suite_stale(const struct vpc_suite *suite);

enum vpc_exit {
    VPC_EXIT_PASS = 0,
    VPC_EXIT_FAIL = 1,
    VPC_EXIT_USAGE = 2,
    VPC_EXIT_INCONCLUSIVE = 3,
    VPC_EXIT_TOO_FEW = 4,
    VPC_EXIT_ALARM = 5,
};

/* The exit code of vpc-conform: the worst of all, and too few where fewer than min runs were good. */
int vpc_suite_exit(const struct vpc_suite *suite, size_t min);

#endif
