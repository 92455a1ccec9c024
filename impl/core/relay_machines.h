/* SPDX-License-Identifier: MIT */
/*
 * The machines of a relay (local.rl): how they are stepped, and the actions that they ask for.
 *
 * machines.rl steps them, relay.c says what happened, relay_actions.c has the actions.  An action changes no state and
 * steps no machine; it says something to the caller of the ABI, or does something to the pair.
 */
#ifndef VPC_CORE_RELAY_MACHINES_H
#define VPC_CORE_RELAY_MACHINES_H

#include "endpoint.h"
#include "local_events.h" /* enum vpc_local_event: by the names of the grammar */

/* The channel runs, or will. */
static inline bool vpc_flows(enum vpc_channel_state state)
{
    return state == VPC_CHANNEL_OPENING || state == VPC_CHANNEL_OPEN;
}

/* The local program is gone, or counts as gone. */
static inline bool vpc_relay_discards(const struct vpc_relay *relay)
{
    return relay->delivery.state == VPC_DELIVERY_DECLINED ||
           relay->delivery.state == VPC_DELIVERY_DISCARDING;
}

void vpc_machines_start(struct vpc_relay *relay);
/* Steps all three with one event; why: what an answer says that the event leads to, else NULL. */
void vpc_machines_step(vpc_endpoint *ep, struct vpc_relay *relay, enum vpc_local_event event,
                       const struct vpc_start_failure *why);

/* of the opening */
void vpc_do_tell_opened(vpc_endpoint *ep, struct vpc_relay *relay);
void vpc_do_tell_closed(vpc_endpoint *ep, struct vpc_relay *relay);
void vpc_do_answer_success(vpc_endpoint *ep, struct vpc_relay *relay);
void vpc_do_answer_failure(vpc_endpoint *ep, struct vpc_relay *relay,
                           const struct vpc_start_failure *why);
/* of both directions: an action that names the stream and nothing else */
void vpc_do_say(vpc_endpoint *ep, struct vpc_relay *relay, enum vpc_action_kind kind);
/* of what the program writes */
void vpc_do_finish(vpc_endpoint *ep, struct vpc_relay *relay);
/* of the delivery */
void vpc_do_tell_connected(vpc_endpoint *ep, struct vpc_relay *relay);
void vpc_do_discard(vpc_endpoint *ep, struct vpc_relay *relay);
void vpc_do_release_end(vpc_endpoint *ep, struct vpc_relay *relay);
void vpc_do_stop_reading(vpc_endpoint *ep, struct vpc_relay *relay);
void vpc_do_reset_pair(vpc_endpoint *ep, struct vpc_relay *relay);

#endif
