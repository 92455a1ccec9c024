/* SPDX-License-Identifier: MIT */
/*
 * What the machine must have for a verdict to be one of the subject.
 *
 * Before any run vpc_machine_missing() makes sure of it; when a run went wrong vpc_machine_excuse() looks
 * whether the machine has run short meanwhile.  Texts are one line without an end, the caller's to free.
 */
#ifndef VPC_CONFORM_MACHINE_H
#define VPC_CONFORM_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vpc_machine_need {
    size_t jobs;    /* runs at once, at least 1 */
    bool processes; /* the subject is one, in real time; else a shared object */
    bool machines;  /* each run has a virtual machine */
};

/* NULL when all is there, else what is missing, how much of it there is, and what to do.  Raises the limit of
 * open descriptors as far as it must and may. */
char *vpc_machine_missing(const struct vpc_machine_need *need);
/*
 * What the machine lacks now and a run in that folder (of vpc_folder) may have missed; NULL: nothing.  What
 * fills the disk is the run itself when its folder holds more than VPC_MACHINE_OWN octets: that is no excuse.
 */
char *vpc_machine_excuse(const char *folder);

#define VPC_MACHINE_OWN (64u << 20)

/* What a subject may say that it could not get. */
enum conform_need { CONFORM_ROOM, CONFORM_FILES, CONFORM_MEMORY, CONFORM_PROCESSES };
/*
 * Why a subject in a run in that folder may have been right to say so: the machine has less of it now than a
 * run needs.  Room is looked for in each folder where programs write.  NULL: there is enough.
 */
char *vpc_machine_lacks(enum conform_need need, const char *folder);
/* The number behind a name that begins a line of a file of the kernel's (NULL: the first); UINT64_MAX: there
   is none. */
uint64_t vpc_machine_number(const char *path, const char *name);

/* Whether an errno is the machine's and not that of whoever is at the other end: no memory, room or
   descriptor left. */
bool vpc_machine_is_short(int error);
/* What the harness could not do, why, and what to do. */
char *vpc_machine_words(const char *what, int error);

#endif
