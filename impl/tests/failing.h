/* SPDX-License-Identifier: MIT */
/*
 * System calls that fail on demand, as when descriptors or kernel memory run out.  A program that links
 * failing.o wraps the calls of the list in failing.c in the objects that it links; impl/core/tests/heap.o
 * does the same for memory.
 */
#ifndef VPC_TEST_FAILING_H
#define VPC_TEST_FAILING_H

#include <stdbool.h>

/* Only what is called between failing_arm(true) and failing_arm(false) counts, of memory too. */
void failing_arm(bool armed);
/* The n-th call from now on fails, and with `for_good` all after it; 0: none fails. */
void failing_at(unsigned n, bool for_good);
/* How many calls there were since failing_at(). */
unsigned failing_calls(void);
/* What failed first ("accept4"), or "nothing". */
const char *failing_name(void);

#endif
