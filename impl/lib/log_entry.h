/* SPDX-License-Identifier: MIT */
/* Entries of the event log as both the endpoints' decisions and the shell around them make them (LOG-1); the
 * conventions are those of vpc.h. */
#ifndef VPC_LOG_ENTRY_H
#define VPC_LOG_ENTRY_H

#include <jansson.h>
#include <stdint.h>

#include "event_catalogue.h"

/* A kind of entry by its id, and its place in the catalogue, from 0 to VPC_LOG_KIND_COUNT - 1.  NULL when
   there is no such id. */
const struct vpc_log_kind *vpc_log_kind_of(uint32_t id);
size_t vpc_log_kind_index(const struct vpc_log_kind *kind);
/* The kind at a place of the catalogue. */
const struct vpc_log_kind *vpc_log_kind_at(size_t index);

/* An entry at now_ms with the common fields and these (an object, or NULL; the reference is taken over).
   NULL: no memory. */
json_t *vpc_log_entry_make(const struct vpc_log_kind *kind, const char *level, const char *source,
                           const char *vm, uint64_t now_ms, json_t *fields);

#endif
