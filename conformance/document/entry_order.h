/* SPDX-License-Identifier: MIT */
/*
 * The order in which an endpoint's own entries come (LOG-3), judged in every run.
 *
 * Ownership: the caller's struct holds all there is; nothing has to be freed.
 */
#ifndef VPC_CONFORM_ENTRY_ORDER_H
#define VPC_CONFORM_ENTRY_ORDER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum vpc_log_thing { VPC_LOG_TRANSPORT, VPC_LOG_SESSION, VPC_LOG_READINESS, VPC_LOG_THINGS };

/* All zero at first. */
struct vpc_log_order {
    bool started, stopped;
    bool on[VPC_LOG_THINGS];
    bool spent;          /* an id came so often that entries may be left out */
    unsigned count[100]; /* of entries, by their id from 1000 on */
};

/* The requirement that the entry breaks by where it stands, and why in text; NULL: none.  Entries come in the
   log's order. */
const char *vpc_log_order_breach(struct vpc_log_order *order, const json_t *entry, char *text,
                                 size_t size);

#endif
