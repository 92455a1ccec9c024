/* SPDX-License-Identifier: MIT */
/*
 * A relay: one pair and its local stream (a pipe's client at the host, a TCP connection in the
 * guest).
 *
 * Goal     Every byte that one program wrote reaches the other before the end does; each direction
 *          ends by itself; an end by error never looks like a good one.
 * Events   The stream's: connected, input, no more, gone.  The pair's: readable, reset, released.
 *          Time.  Each is told to the machines of local.rl; what they ask for is in relay_actions.c.
 * Limits   Bytes lie in the pair's two rings and nowhere else; every wait has its limit: for the
 *          guest's answer, for the pipe's client, for progress while the pair ends.
 * Never    A transition is decided here.  A stream's output is shut down before its last byte was
 *          taken; an action names a stream that was given up.
 */
#include "relay_machines.h"

#include <errno.h>
#include <string.h>

/* ---- what holds of it ------------------------------------------------------------------------ */

bool vpc_relay_is(const struct vpc_relay *relay, enum vpc_opening opening)
{
    return relay->opening.state == opening;
}

bool vpc_relay_has_stream(const struct vpc_relay *relay)
{
    return relay->delivery.state != VPC_DELIVERY_GIVEN_UP;
}

static bool writes(const struct vpc_relay *relay)
{
    return relay->writing.state == VPC_WRITING_WRITING || relay->writing.state == VPC_WRITING_LAST;
}

static bool running_down(const struct vpc_relay *relay)
{
    return relay->writing.state == VPC_WRITING_FINISHED || vpc_relay_discards(relay) ||
           !vpc_relay_has_stream(relay) ||
           (relay->pair != NULL && (!vpc_flows(vpc_pair_sending_state(relay->pair)) ||
                                    !vpc_flows(vpc_pair_receiving_state(relay->pair))));
}

/* ---- events ---------------------------------------------------------------------------------- */

/* Whatever it leads to beyond the machines is done when the call ends. */
static void step(vpc_endpoint *ep, struct vpc_relay *relay, enum vpc_local_event event,
                 const struct vpc_start_failure *why)
{
    ep->visits++;
    vpc_machines_step(ep, relay, event, why);
    vpc_relay_touch(ep, relay);
}

/* The first cause of an end by error stays. */
static void note_cause(struct vpc_relay *relay, const char *cause, uint32_t error)
{
    if (relay->cause != NULL)
        return;
    relay->cause = cause;
    relay->error = error;
}

void vpc_relay_begin(struct vpc_relay *relay)
{
    vpc_machines_start(relay);
}

void vpc_relay_asked_for(vpc_endpoint *ep, struct vpc_relay *relay)
{
    step(ep, relay, ep->role == VPC_ROLE_HOST ? VPC_LOCAL_LISTEN : VPC_LOCAL_REQUEST, NULL);
}

void vpc_relay_join(vpc_endpoint *ep, struct vpc_relay *relay, vpc_pair *pair)
{
    vpc_channel_status sending, receiving;

    relay->pair = pair;
    relay->waits_since = ep->time;
    ep->pair_count++;
    vpc_pair_set_user(pair, relay);
    vpc_pair_channels(pair, &sending, &receiving);
    relay->h2g = sending.host_to_guest ? sending.id : receiving.id;
    relay->g2h = sending.host_to_guest ? receiving.id : sending.id;
}

void vpc_relay_listening(vpc_endpoint *ep, struct vpc_relay *relay)
{
    step(ep, relay, VPC_LOCAL_LISTENING, NULL);
}

void vpc_relay_accepted(vpc_endpoint *ep, struct vpc_relay *relay)
{
    step(ep, relay, VPC_LOCAL_ACCEPTED, NULL);
}

void vpc_relay_unmade(vpc_endpoint *ep, struct vpc_relay *relay, bool listens,
                      const struct vpc_start_failure *why)
{
    step(ep, relay, listens ? VPC_LOCAL_UNASKED : VPC_LOCAL_UNMADE, why);
    vpc_relay_free(ep, relay);
}

void vpc_relay_connected(vpc_endpoint *ep, struct vpc_relay *relay)
{
    step(ep, relay, VPC_LOCAL_CONNECTED, NULL);
}

void vpc_relay_unconnected(vpc_endpoint *ep, struct vpc_relay *relay)
{
    step(ep, relay, VPC_LOCAL_UNCONNECTED, NULL);
}

void vpc_relay_opened(vpc_endpoint *ep, struct vpc_relay *relay)
{
    step(ep, relay, VPC_LOCAL_OPENED, NULL);
}

void vpc_relay_refused(vpc_endpoint *ep, struct vpc_relay *relay,
                       const struct vpc_start_failure *why)
{
    step(ep, relay, relay->forward != 0 ? VPC_LOCAL_DENIED : VPC_LOCAL_REFUSED, why);
}

void vpc_relay_no_more(vpc_endpoint *ep, struct vpc_relay *relay)
{
    step(ep, relay, VPC_LOCAL_NO_MORE, NULL);
}

void vpc_relay_gone(vpc_endpoint *ep, struct vpc_relay *relay)
{
    step(ep, relay, VPC_LOCAL_GONE, NULL);
}

void vpc_relay_broken(vpc_endpoint *ep, struct vpc_relay *relay, uint32_t error)
{
    note_cause(relay, "local program", error);
    step(ep, relay, VPC_LOCAL_BROKEN, NULL);
}

void vpc_relay_violated(vpc_endpoint *ep, struct vpc_relay *relay)
{
    note_cause(relay, "protocol violation", VPC_EPROTO);
    step(ep, relay, VPC_LOCAL_VIOLATION, NULL);
}

void vpc_relay_give_up(vpc_endpoint *ep, struct vpc_relay *relay, const char *cause)
{
    struct vpc_start_failure why = {VPC_ERROR_TIMEOUT, cause, VPC_ETIMEDOUT};

    note_cause(relay, cause, VPC_ETIMEDOUT);
    step(ep, relay, VPC_LOCAL_LIMIT, &why);
}

void vpc_relay_stop(vpc_endpoint *ep, struct vpc_relay *relay)
{
    step(ep, relay, VPC_LOCAL_STOP, NULL);
}

void vpc_relay_hang_up(vpc_endpoint *ep, struct vpc_relay *relay)
{
    relay->good_cause = "stopped";
    step(ep, relay, VPC_LOCAL_HANG_UP, NULL);
}

/* A RESET from the peer.  With 0 from the receiving end nobody there reads any more; our own
 * reading may go on. */
void vpc_relay_reset(vpc_endpoint *ep, struct vpc_relay *relay, const vpc_session_event *event)
{
    const char *cause = ep->role == VPC_ROLE_HOST ? "reset by guest" : "reset by host";
    vpc_channel_status sending, receiving;
    struct vpc_start_failure why;

    vpc_pair_channels(relay->pair, &sending, &receiving);
    if (event->value == 0 && event->channel == sending.id)
        return;
    note_cause(relay, cause, event->value != 0 ? (uint32_t)event->value : ECONNRESET);
    why = vpc_host_failure_of_end(relay, ""); /* it is the answer, if none came before (API-9) */
    step(ep, relay, VPC_LOCAL_RESET, &why);
}

void vpc_relay_released(vpc_endpoint *ep, struct vpc_relay *relay, const char *lost)
{
    struct vpc_start_failure why;

    if (*lost != '\0' && relay->cause == NULL)
        relay->cause = strcmp(lost, "stopped") == 0 ? "stopped" : "session lost";
    why = vpc_host_failure_of_end(relay, lost);
    step(ep, relay, *lost == '\0' ? VPC_LOCAL_RELEASED : VPC_LOCAL_LOST, &why);
    vpc_relay_free(ep, relay);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

size_t vpc_relay_output(const struct vpc_relay *relay, const void **octets)
{
    return relay->delivery.state == VPC_DELIVERY_DELIVERING ? vpc_pair_read(relay->pair, octets)
                                                            : 0;
}

size_t vpc_relay_room(const struct vpc_relay *relay)
{
    return vpc_relay_is(relay, VPC_OPENING_OPEN) && writes(relay) ? vpc_pair_write_room(relay->pair)
                                                                  : 0;
}

void vpc_relay_look(vpc_endpoint *ep, struct vpc_relay *relay)
{
    const void *octets;
    unsigned has = 0;

    if (vpc_relay_output(relay, &octets) > 0)
        has |= VPC_HAS_OUTPUT;
    if (vpc_relay_room(relay) > 0)
        has |= VPC_HAS_ROOM;
    relay->untold = (relay->untold | ~relay->had) & has;
    relay->had = has;
    if (relay->untold != 0)
        vpc_list_append(&ep->awake, &relay->awake);
    else
        vpc_list_remove(&relay->awake);
}

void vpc_relay_asked(struct vpc_relay *relay, unsigned what)
{
    relay->untold &= ~what;
    if (relay->untold == 0)
        vpc_list_remove(&relay->awake);
}

/* What the pair has come to by now; the machines know whether it matters. */
static void tell_pair(vpc_endpoint *ep, struct vpc_relay *relay)
{
    if (!vpc_relay_is(relay, VPC_OPENING_OPEN))
        return;
    if (vpc_pair_at_end(relay->pair))
        vpc_machines_step(ep, relay, VPC_LOCAL_END, NULL);
    else if (vpc_pair_sending_state(relay->pair) == VPC_CHANNEL_RELEASED)
        vpc_machines_step(ep, relay, VPC_LOCAL_HEARD, NULL);
}

/* The client is gone, or has finished and has its own end: no byte can flow any more (API-13). */
static bool client_is_done(const struct vpc_relay *relay)
{
    return relay->delivery.state == VPC_DELIVERY_DISCARDING ||
           relay->delivery.state == VPC_DELIVERY_GIVEN_UP ||
           (relay->delivery.state == VPC_DELIVERY_SHUT && !writes(relay));
}

/* A stream that was given up has taken its pipe server with it. */
static void free_name(vpc_endpoint *ep, struct vpc_relay *relay)
{
    if (relay->pipe == NULL || relay->nameless || !client_is_done(relay))
        return;
    relay->nameless = true;
    if (vpc_relay_has_stream(relay))
        vpc_act(ep, (vpc_action){.kind = VPC_ACTION_FREE_NAME, .stream = relay->stream}, NULL);
}

void vpc_relay_advance(vpc_endpoint *ep, struct vpc_relay *relay)
{
    bool down;

    tell_pair(ep, relay);
    free_name(ep, relay);
    down = running_down(relay);
    ep->running_down += down - relay->running_down;
    relay->running_down = down;
    vpc_relay_look(ep, relay);
    vpc_relay_set_limit(ep, relay);
}
