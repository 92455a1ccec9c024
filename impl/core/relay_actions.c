/* SPDX-License-Identifier: MIT */
/* What the machines of a relay ask for (local.rl). */
#include "relay_machines.h"

#include <string.h>

void vpc_do_say(vpc_endpoint *ep, struct vpc_relay *relay, enum vpc_action_kind kind)
{
    vpc_act(ep, (vpc_action){.kind = kind, .stream = relay->stream}, NULL);
}

/* ---- the opening ----------------------------------------------------------------------------- */

void vpc_do_tell_opened(vpc_endpoint *ep, struct vpc_relay *relay)
{
    relay->waits_since = ep->time;
    ep->opened++;
    vpc_log(ep, VPC_LOG_CHANNEL_OPENED, vpc_relay_fields(relay, NULL, 0));
    vpc_broadcast(ep, "CHANNEL_OPENED", vpc_relay_fields(relay, NULL, 0));
}

void vpc_do_answer_success(vpc_endpoint *ep, struct vpc_relay *relay)
{
    if (relay->forward == 0)
        vpc_host_answer_success(ep, relay);
}

void vpc_do_answer_failure(vpc_endpoint *ep, struct vpc_relay *relay,
                           const struct vpc_start_failure *why)
{
    if (relay->forward != 0)
        vpc_forward_failed(ep, relay, why);
    else
        vpc_host_answer_failure(ep, relay, why);
}

static json_t *closed_fields(const struct vpc_relay *relay)
{
    const char *cause = relay->cause != NULL ? relay->cause : relay->good_cause;
    json_t *fields = vpc_relay_fields(relay, cause, relay->error);
    vpc_channel_status sending, receiving;

    vpc_pair_channels(relay->pair, &sending, &receiving);
    json_object_set_new(fields, "sent", json_integer((json_int_t)sending.bytes));
    json_object_set_new(fields, "received", json_integer((json_int_t)receiving.bytes));
    return fields;
}

void vpc_do_tell_closed(vpc_endpoint *ep, struct vpc_relay *relay)
{
    bool good = relay->cause == NULL || strcmp(relay->cause, "stopped") == 0;

    vpc_log_at(ep, VPC_LOG_CHANNEL_CLOSED, good ? NULL : "warning", closed_fields(relay));
    vpc_broadcast(ep, "CHANNEL_CLOSED", closed_fields(relay));
}

/* ---- what the program writes ------------------------------------------------------------------ */

/* What it wrote goes out first, FIN behind it; before the pair is open, as soon as it is. */
void vpc_do_finish(vpc_endpoint *ep, struct vpc_relay *relay)
{
    relay->progress_at = ep->time;
    vpc_pair_finish(relay->pair);
}

/* ---- what is delivered to it ------------------------------------------------------------------ */

/* In the guest CONNECT was our own affair, and CHANNEL_OPENED follows. */
void vpc_do_tell_connected(vpc_endpoint *ep, struct vpc_relay *relay)
{
    if (ep->role == VPC_ROLE_HOST)
        vpc_log(ep, VPC_LOG_PIPE_CONNECTED, vpc_relay_fields(relay, NULL, 0));
}

void vpc_do_discard(vpc_endpoint *ep, struct vpc_relay *relay)
{
    relay->progress_at = ep->time;
    vpc_pair_discard(relay->pair);
}

void vpc_do_release_end(vpc_endpoint *ep, struct vpc_relay *relay)
{
    (void)ep;
    vpc_pair_end_delivered(relay->pair);
}

/* CLS-6: a reset only when all that the client wrote is delivered. */
void vpc_do_stop_reading(vpc_endpoint *ep, struct vpc_relay *relay)
{
    (void)ep;
    vpc_pair_stop_reading(relay->pair);
}

void vpc_do_reset_pair(vpc_endpoint *ep, struct vpc_relay *relay)
{
    (void)ep;
    vpc_pair_reset(relay->pair, relay->error);
}
