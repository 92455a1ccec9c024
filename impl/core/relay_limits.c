/* SPDX-License-Identifier: MIT */
/*
 * A relay's time limits: for the guest's answer (CHN-8), for the pipe's client (CLS-10), for progress while the pair ends
 * (CLS-8).  The earliest of them stands in the heap; while a pair ends and moves it is later than that, which shows when
 * the time has come.
 */
#include "relay_machines.h"

/* CLS-8, CLS-13: the local program has finished, whether its bytes have credit or not, and the peer's
 * FIN came.  Without that FIN a peer that does not read may be a slow reader. */
static bool ending(const struct vpc_relay *relay)
{
    bool own_end = relay->writing.state == VPC_WRITING_FINISHED ||
                   !vpc_flows(vpc_pair_sending_state(relay->pair));

    return vpc_relay_discards(relay) ||
           (own_end && !vpc_flows(vpc_pair_receiving_state(relay->pair)));
}

static bool open(const struct vpc_relay *relay)
{
    return vpc_relay_is(relay, VPC_OPENING_OPEN) && vpc_relay_has_stream(relay);
}

static uint64_t client_due(const vpc_endpoint *ep, const struct vpc_relay *relay)
{
    return open(relay) && relay->delivery.state == VPC_DELIVERY_NOBODY
               ? relay->waits_since + ep->options.pipe_open_ms
               : VPC_NEVER;
}

/* CHN-8: the guest keeps the connect's limit itself; what it may be late by is the heartbeat's. */
static uint64_t answer_due(const vpc_endpoint *ep, const struct vpc_relay *relay)
{
    return vpc_relay_is(relay, VPC_OPENING_ASKING)
               ? relay->waits_since + ep->options.connect_ms + ep->options.heartbeat_late_ms
               : VPC_NEVER;
}

/* Whatever moves while a pair ends: bytes in either direction, credit, the states, and what the
 * local program does. */
static uint64_t progress_at(const struct vpc_relay *relay)
{
    uint64_t moved_at = vpc_pair_moved_at(relay->pair);

    return moved_at > relay->progress_at ? moved_at : relay->progress_at;
}

static uint64_t drain_due(const vpc_endpoint *ep, const struct vpc_relay *relay)
{
    return open(relay) && ending(relay) ? progress_at(relay) + ep->options.drain_ms : VPC_NEVER;
}

void vpc_relay_set_limit(vpc_endpoint *ep, struct vpc_relay *relay)
{
    uint64_t due = vpc_earlier(drain_due(ep, relay),
                               vpc_earlier(client_due(ep, relay), answer_due(ep, relay)));

    vpc_time_limit_set(&ep->limits, &relay->limit, due);
}

static void give_up_after(vpc_endpoint *ep, struct vpc_relay *relay, enum vpc_log_id id,
                          const char *cause)
{
    vpc_log(ep, id, vpc_relay_fields(relay, cause, 0));
    vpc_relay_give_up(ep, relay, cause);
}

void vpc_relay_limit(vpc_endpoint *ep, struct vpc_relay *relay)
{
    if (ep->time >= drain_due(ep, relay))
        give_up_after(ep, relay, VPC_LOG_DRAIN_TIMEOUT, "drain timeout");
    if (ep->time >= answer_due(ep, relay))
        vpc_relay_give_up(ep, relay, "the guest endpoint did not answer in time");
    if (ep->time >= client_due(ep, relay))
        give_up_after(ep, relay, VPC_LOG_PIPE_UNUSED, "pipe unused");
    vpc_relay_set_limit(ep, relay);
}
