/* SPDX-License-Identifier: MIT */
/*
 * The bus of a run as a pcapng file (spec/TRACE.md): one packet for each frame, run of padding, and run of
 * other octets.
 *
 * The harness stands at its own end of the bus: what it sends to the subject is outbound.  Each packet is
 * written at once, so a run that is killed leaves what went before.  Of a long run the last part stays: when
 * a file has VPC_RECORD_MAX octets it is renamed to PATH.old, in place of the one before, and a new one
 * begins.
 *
 * Ownership: vpc_record_open() gives a value that vpc_record_close() frees.  A record may be NULL: then
 * nothing is written.
 */
#ifndef VPC_CONFORM_RECORD_H
#define VPC_CONFORM_RECORD_H

#include "document/table.h"

#define VPC_RECORD_MAX (16u << 20)

struct vpc_record;

/* epoch_ms is the time of the run's zero, in milliseconds since 1970.  NULL with errno when there can be no
   file. */
struct vpc_record *vpc_record_open(const char *path, const struct vpc_table *table,
                                   enum vpc_role_bit subject, const char *description,
                                   uint64_t epoch_ms);
/* Octets went over the bus, at so many milliseconds of the run. */
void vpc_record_octets(struct vpc_record *record, enum vpc_role_bit from, const void *octets,
                       size_t n, uint64_t now_ms);
/* The transport came up or ended: what is not whole stays so. */
void vpc_record_cut(struct vpc_record *record);
/* 0, or the errno of the first write that failed. */
int vpc_record_close(struct vpc_record *record);

#endif
