/* SPDX-License-Identifier: MIT */
/* The guest endpoint's decisions: OPEN leads to a connect, its result to OPENED or REFUSED (CHN-4,
 * CHN-5). */
#include "endpoint.h"

#include <errno.h>
#include <string.h>

/* CHN-10: the log tells the guest's owner what the host tried. */
static void refuse_port(vpc_endpoint *ep, vpc_pair *pair)
{
    vpc_channel_status sending, receiving;

    vpc_pair_channels(pair, &sending, &receiving);
    vpc_log(ep, VPC_LOG_CONNECT_FAILED,
            json_pack("{s:i, s:I, s:I, s:s, s:i}", "port", (int)vpc_pair_port(pair), "h2g",
                      (json_int_t)receiving.id, "g2h", (json_int_t)sending.id, "cause",
                      "allow_ports does not have this port", "errno", VPC_EACCES));
    ep->failed++;
    vpc_pair_refused(pair, VPC_EACCES);
}

static void on_request(vpc_endpoint *ep, vpc_pair *pair)
{
    struct vpc_relay *relay;

    if (!vpc_ports_have(&ep->options.allow_ports, vpc_pair_port(pair))) {
        refuse_port(ep, pair);
        return;
    }
    relay = ep->stopping ? NULL : vpc_relay_take(ep);
    if (relay == NULL) {
        vpc_pair_refused(pair, ep->stopping ? VPC_EAGAIN : VPC_ENOBUFS);
        return;
    }
    vpc_relay_join(ep, relay, pair);
    relay->port = vpc_pair_port(pair);
    vpc_relay_asked_for(ep, relay);
    vpc_act(ep,
            (vpc_action){.kind = VPC_ACTION_CONNECT,
                         .stream = relay->stream,
                         .value = relay->port,
                         .limit_ms = vpc_pair_connect_ms(pair)},
            NULL);
}

void vpc_guest_connected(vpc_endpoint *ep, struct vpc_relay *relay, int error)
{
    if (!vpc_relay_is(relay, VPC_OPENING_CONNECTING))
        return;
    if (error == 0) {
        vpc_relay_connected(ep, relay);
        vpc_pair_opened(relay->pair);
        vpc_relay_opened(ep, relay);
        return;
    }
    vpc_log(ep, VPC_LOG_CONNECT_FAILED, vpc_relay_fields(relay, strerror(error), (uint32_t)error));
    ep->failed++;
    vpc_relay_unconnected(ep, relay);
    vpc_pair_refused(relay->pair, (uint32_t)error);
}

void vpc_guest_event(vpc_endpoint *ep, const vpc_session_event *event)
{
    if (event->kind == VPC_EV_PAIR_REQUEST)
        on_request(ep, event->pair);
}
