/* SPDX-License-Identifier: MIT */
/* What a guest's jobs and the host say to each other: print.rl has the order. */
#ifndef PRINT_H
#define PRINT_H

#include "../talk/talk.h"

#define PRINT_PORT   "1013"
#define PRINT_SOCKET "/run/vpc-printd.sock"

enum {
    PRINT_VERSION = 1,
    PRINT_TEXT_MAX = 255,
    PRINT_LIMIT_MS = 60000, /* for the host to keep a job, or to take a part of it */
};

/* What says that all of a job came, and whether it is the one that came last: FNV-1a.  63 bits of it are said. */
#define PRINT_DIGEST_START 0xcbf29ce484222325u
#define PRINT_DIGEST_MASK  (UINT64_MAX >> 1)
uint64_t print_digest(uint64_t digest, const void *octets, size_t n);

extern const struct talk_grammar print_jobs, print_answer;

/* What vpc-printd says to a backend, with the host's connection; the backend to it when that is between two jobs. */
#define PRINT_HOST  'h'
#define PRINT_READY 'r'

#endif
