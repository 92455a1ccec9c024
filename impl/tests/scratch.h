/* SPDX-License-Identifier: MIT */
/* What every test of impl/ needs: a private runtime directory, and the check that no descriptor
 * leaks. */
#ifndef VPC_TEST_SCRATCH_H
#define VPC_TEST_SCRATCH_H

#include <stdint.h>

extern char scratch[64];      /* the test's runtime directory; it has every folder */
void scratch_begin(void);     /* .init of a test: makes it, and counts the open descriptors */
void scratch_end(void);       /* .fini: fails when descriptors leaked, removes the directory */
unsigned descriptors(void);   /* open descriptors of this process */
int64_t scratch_now_ms(void); /* of the monotonic clock */
void scratch_sleep_ms(int ms);

#endif
