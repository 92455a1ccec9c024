/* SPDX-License-Identifier: MIT */
/*
 * What the machine says to a verdict against a subject: was it short of something that the subject needed?
 *
 * A subject's own words count for nothing alone: whoever says "No space left on device" is believed when
 * there is none.
 *
 * Ownership: a witness is a value; its folder is the caller's and outlives it.  Texts are one line, the
 * caller's to free.
 */
#ifndef VPC_CONFORM_WITNESS_H
#define VPC_CONFORM_WITNESS_H

#include <stdint.h>

struct conform_witness {
    /* of the run, of vpc_folder; output and logs of its subjects are in it, or in folders there */
    const char *folder;
    /* by the kernel for want of memory, before the run; UINT64_MAX: it does not tell */
    uint64_t kills;
};

void conform_witness_begin(struct conform_witness *witness, const char *folder);
/* Why a verdict tells nothing, when `got` is what went wrong; NULL: the machine has nothing to say for the
   subject. */
char *conform_witness_excuse(const struct conform_witness *witness, const char *got);

/* How many processes the kernel has killed for want of memory, as a text of /proc/vmstat tells; UINT64_MAX:
   it does not. */
uint64_t conform_kills_in(const char *path);

#endif
