/* SPDX-License-Identifier: MIT */
/*
 * A guest's log on its way to the host (LOG-6): each EVENT is the next entry of the guest's own log, judged
 * in every run.
 *
 * Ownership: the struct owns its lists, freed by vpc_log_relay_end().
 */
#ifndef VPC_CONFORM_ENTRY_RELAY_H
#define VPC_CONFORM_ENTRY_RELAY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VPC_RELAYED_TEXT 33 /* 32 characters and a NUL */

/* An EVENT, or an entry as its EVENT must be. */
struct vpc_relayed {
    uint64_t session; /* of an EVENT: the session id of its seal */
    uint64_t earlier; /* of an EVENT: the sessions of the bus before, as the tester knows */
    uint64_t event, lost, time, level, h2g, g2h, port, errno_, sent, received, value;
    char cause[VPC_RELAYED_TEXT], detail[VPC_RELAYED_TEXT];
};

/* All zero at first. */
struct vpc_log_relay {
    struct vpc_relayed *entries; /* of this life of the endpoint */
    size_t entry_count, sessions;
    bool *next; /* which entries may be the next to be sent; one more than there are entries */
    struct vpc_relayed *events; /* that are not judged yet */
    size_t event_count;
    uint64_t session; /* of the last EVENT that was judged */
    size_t met;       /* sessions of this life of which one was judged */
};

/* An entry of the guest's log, in the log's order; an EVENT, in the order of the bus. */
void vpc_log_relay_entry(struct vpc_log_relay *relay, const json_t *entry);
void vpc_log_relay_event(struct vpc_log_relay *relay, const struct vpc_relayed *event);
/* Judges the EVENTs of which all entries up to their time are there, and that of their session's begin.  In
   step: log and bus come in the order in which the guest wrote them, so all are.  The requirement that one
   breaks, and why in text; NULL: none. */
const char *vpc_log_relay_breach(struct vpc_log_relay *relay, bool in_step, char *text,
                                 size_t size);
void vpc_log_relay_end(struct vpc_log_relay *relay);

#endif
