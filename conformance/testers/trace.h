/* SPDX-License-Identifier: MIT */
/*
 * What happened in a run, as lines of text with their time.
 *
 * Ownership: vpc_trace_begin() gives a value that vpc_trace_end() frees.  Bounded: of a long run the middle
 * is left out.
 */
#ifndef VPC_CONFORM_TRACE_H
#define VPC_CONFORM_TRACE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define VPC_TRACE_HEAD 2000 /* lines kept from the start */
#define VPC_TRACE_TAIL 1000 /* lines kept from the end */

struct conform_trace {
    char *head[VPC_TRACE_HEAD];
    char *tail[VPC_TRACE_TAIL];
    size_t count; /* of all lines ever */
    uint64_t now;
    uint64_t start;
};

struct conform_trace *vpc_trace_begin(void);
void vpc_trace_end(struct conform_trace *trace);
/* One line at the time `now`, of at most 300 octets; what is longer is cut. */
void vpc_trace_add(struct conform_trace *trace, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Writes the last n lines, or all that is kept (SIZE_MAX). */
void vpc_trace_write(const struct conform_trace *trace, FILE *out, size_t n);

#endif
