/* SPDX-License-Identifier: MIT */
/*
 * Whether others took the processors from those who had to be done in time: whoever waits for a subject until
 * a limit looks here before blaming it.
 *
 * Ownership: a load is a value; what it watches is the caller's and outlives it.  Times are milliseconds.
 */
#ifndef VPC_CONFORM_LOAD_H
#define VPC_CONFORM_LOAD_H

#include "backends/backend.h"
#include "backends/process.h"

/* What the watched one has had of the processors until now; false: there is no telling. */
typedef bool conform_share_fn(void *watched, struct vpc_share *share);

struct conform_load {
    conform_share_fn *share; /* NULL: nobody is watched */
    void *watched;
    uint64_t since;              /* when it began */
    struct vpc_share first, own; /* what the watched one had then, and the harness */
    struct vpc_share last;       /* the watched one, when it was looked at last */
    uint64_t looked, seen;       /* when that was; how long it was seen to wait, in microseconds */
};

/* What was had until now is nothing to go by.  A backend that is not in real time, and one without a subject,
 * is never held up by others; so is a process that is not there. */
void conform_load_begin(struct conform_load *load, struct vpc_backend *backend);
void conform_load_begin_process(struct conform_load *load, const struct vpc_process *process);
/*
 * Whoever waits in turns calls this in each: what ends takes with it how long it has waited, so a chain of
 * short processes can only be seen waiting.  Looks ten times in a second, however often it is called.
 */
void conform_load_look(struct conform_load *load);
/*
 * How long the watched one, or the harness, was ready and had to wait for a processor, when that is a quarter
 * of the time or more, and what was left was not enough for anything; else 0.
 */
uint64_t conform_load_excuse(const struct conform_load *load);
/* Whether the watched one has been ready to run nearly all the time, as one is that spins. */
bool conform_load_spins(const struct conform_load *load);
/* The same of a time that nobody watched, of CLOCK_MONOTONIC, for whoever has hardly run before, and of him
   alone. */
uint64_t conform_load_excuse_since(conform_share_fn *share, void *watched, uint64_t since);

#endif
