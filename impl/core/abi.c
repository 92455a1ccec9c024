/* SPDX-License-Identifier: MIT */
/* The exported endpoint ABI: each call hands its input on, then vpc_endpoint_finish() moves everything as far as it goes. */
#include "endpoint.h"

/* ---- bus ------------------------------------------------------------------------------------- */

static void bus_up(vpc_endpoint *ep)
{
    if (ep->bus)
        return;
    ep->bus = true;
    vpc_log(ep, VPC_LOG_TRANSPORT_UP, NULL);
    vpc_session_transport(ep->session, true);
    vpc_endpoint_finish(ep);
}

static void bus_down(vpc_endpoint *ep)
{
    if (!ep->bus)
        return;
    ep->bus = ep->mismatched = false;
    vpc_log(ep, VPC_LOG_TRANSPORT_DOWN,
            json_pack("{s:s}", "cause",
                      ep->role == VPC_ROLE_HOST ? "the virtual machine closed the stream"
                                                : "no host is connected"));
    vpc_session_transport(ep->session, false);
    vpc_endpoint_finish(ep);
}

static void bus_input(vpc_endpoint *ep, const void *octets, size_t n)
{
    vpc_session_input(ep->session, octets, n);
    vpc_endpoint_finish(ep);
}

static size_t bus_output(vpc_endpoint *ep, const void **octets)
{
    return vpc_session_output(ep->session, octets);
}

static void bus_sent(vpc_endpoint *ep, size_t n)
{
    vpc_session_sent(ep->session, n);
    vpc_endpoint_finish(ep);
}

/* ---- control --------------------------------------------------------------------------------- */

static void control_line(vpc_endpoint *ep, uint32_t client, const char *line, size_t n)
{
    vpc_control_request(ep, client, line, n);
    vpc_endpoint_finish(ep);
}

/* ---- streams --------------------------------------------------------------------------------- */

static void stream_listening(vpc_endpoint *ep, uint32_t stream, int error, const char *path)
{
    struct vpc_relay *relay = vpc_relay_find(ep, stream);

    if (relay != NULL && vpc_relay_is(relay, VPC_OPENING_MAKING))
        vpc_host_listening(ep, relay, error, path);
    else
        vpc_forward_listening(ep, stream, error, path);
    vpc_endpoint_finish(ep);
}

static void stream_opened(vpc_endpoint *ep, uint32_t stream, int error)
{
    struct vpc_relay *relay = vpc_relay_live(ep, stream);

    if (relay == NULL)
        vpc_forward_client(ep, stream);
    else if (ep->role == VPC_ROLE_GUEST)
        vpc_guest_connected(ep, relay, error);
    else
        vpc_relay_connected(ep, relay);
    vpc_endpoint_finish(ep);
}

/* To ask changes nothing but what the endpoint knows of its caller. */
static size_t stream_room(const vpc_endpoint *ep, uint32_t stream)
{
    struct vpc_relay *relay = vpc_relay_live((vpc_endpoint *)ep, stream);

    if (relay == NULL)
        return 0;
    vpc_relay_asked(relay, VPC_HAS_ROOM);
    return vpc_relay_room(relay);
}

static size_t stream_input(vpc_endpoint *ep, uint32_t stream, const void *octets, size_t n)
{
    struct vpc_relay *relay = vpc_relay_live(ep, stream);
    size_t room = relay != NULL ? vpc_relay_room(relay) : 0, taken = n < room ? n : room;

    if (taken > 0) {
        vpc_pair_write(relay->pair, octets, taken);
        vpc_relay_look(ep, relay);
    }
    vpc_endpoint_finish(ep);
    return taken;
}

static void stream_eof(vpc_endpoint *ep, uint32_t stream)
{
    struct vpc_relay *relay = vpc_relay_live(ep, stream);

    if (relay != NULL)
        vpc_relay_no_more(ep, relay);
    vpc_endpoint_finish(ep);
}

static void stream_gone(vpc_endpoint *ep, uint32_t stream, int error)
{
    struct vpc_relay *relay = vpc_relay_live(ep, stream);

    if (relay == NULL)
        return;
    if (error != 0)
        vpc_relay_broken(ep, relay, (uint32_t)error);
    else
        vpc_relay_gone(ep, relay);
    vpc_endpoint_finish(ep);
}

static size_t stream_output(vpc_endpoint *ep, uint32_t stream, const void **octets)
{
    struct vpc_relay *relay = vpc_relay_live(ep, stream);

    if (relay == NULL)
        return 0;
    vpc_relay_asked(relay, VPC_HAS_OUTPUT);
    return vpc_relay_output(relay, octets);
}

static void stream_sent(vpc_endpoint *ep, uint32_t stream, size_t n)
{
    struct vpc_relay *relay = vpc_relay_live(ep, stream);

    if (relay != NULL) {
        vpc_pair_delivered(relay->pair, n);
        vpc_relay_look(ep, relay);
        vpc_relay_touch(ep, relay);
    }
    vpc_endpoint_finish(ep);
}

/* The queue first: what it has may be about the same stream. */
static int next_action(vpc_endpoint *ep, vpc_action *action)
{
    const struct vpc_relay *relay;

    if (vpc_take_action(ep, action))
        return 1;
    if (vpc_host_start_waiting(ep)) { /* all are carried out, LOOK among them */
        vpc_endpoint_finish(ep);
        return next_action(ep, action);
    }
    relay = ep->stopped ? NULL : vpc_relay_next_awake(ep);
    if (relay == NULL)
        return 0;
    *action = (vpc_action){.kind = VPC_ACTION_WAKE, .stream = relay->stream};
    return 1;
}

const vpc_endpoint_abi vpc_endpoint_abi_v1 = {
    .abi_version = VPC_ENDPOINT_ABI_VERSION,
    .create = vpc_endpoint_create,
    .destroy = vpc_endpoint_destroy,
    .clock = vpc_endpoint_clock,
    .deadline = vpc_endpoint_deadline,
    .bus_up = bus_up,
    .bus_down = bus_down,
    .bus_input = bus_input,
    .bus_output = bus_output,
    .bus_sent = bus_sent,
    .control_open = vpc_control_greet,
    .control_line = control_line,
    .control_close = vpc_control_forget,
    .stream_listening = stream_listening,
    .stream_opened = stream_opened,
    .stream_room = stream_room,
    .stream_input = stream_input,
    .stream_eof = stream_eof,
    .stream_gone = stream_gone,
    .stream_output = stream_output,
    .stream_sent = stream_sent,
    .next_action = next_action,
    .stop = vpc_endpoint_stop,
};
