/*
 * %NAME%: your endpoint behind the ABI of spec/vpc_endpoint.h, for vpc-conform's backend inproc.
 *
 *     cc -std=c17 -Wall -I PATH/TO/spec -fPIC -shared -o %NAME%.so %NAME%-adapter.c
 *
 * As it stands it is an endpoint that never says anything: every scenario fails, and none hangs. Each function says what to give
 * to yours; the header has the whole contract.
 */
#include <stdlib.h>

#include "vpc_endpoint.h"

struct vpc_endpoint {
    uint64_t now;
    /* your endpoint */
};

static vpc_endpoint *create(const vpc_endpoint_config *config, uint64_t now_ms)
{
    vpc_endpoint *ep = calloc(1, sizeof(*ep));

    /* role, vm, tag, options as JSON, and where epochs come from: config->random(config->user) */
    (void)config;
    if (ep)
        ep->now = now_ms;
    return ep;
}

static void destroy(vpc_endpoint *ep)
{
    free(ep);
}

static void tell_time(vpc_endpoint *ep, uint64_t now_ms)
{
    ep->now = now_ms; /* run the timers that are due */
}

static uint64_t deadline(const vpc_endpoint *ep)
{
    (void)ep;
    return VPC_NEVER; /* when your next timer is due */
}

static void bus_up(vpc_endpoint *ep)
{
    (void)ep; /* draw an epoch, greet */
}

static void bus_down(vpc_endpoint *ep)
{
    (void)ep; /* the session is lost */
}

static void bus_input(vpc_endpoint *ep, const void *octets, size_t n)
{
    (void)ep; /* parse */
    (void)octets;
    (void)n;
}

static size_t bus_output(vpc_endpoint *ep, const void **octets)
{
    (void)ep;
    *octets = NULL;
    return 0; /* what waits to be sent */
}

static void bus_sent(vpc_endpoint *ep, size_t n)
{
    (void)ep; /* so much of it is gone */
    (void)n;
}

static void control_open(vpc_endpoint *ep, uint32_t client)
{
    (void)ep; /* greet this client by VPC_ACTION_REPLY */
    (void)client;
}

static void control_line(vpc_endpoint *ep, uint32_t client, const char *line, size_t n)
{
    (void)ep; /* a request; answer by VPC_ACTION_REPLY */
    (void)client;
    (void)line;
    (void)n;
}

static void control_close(vpc_endpoint *ep, uint32_t client)
{
    (void)ep;
    (void)client;
}

static void stream_listening(vpc_endpoint *ep, uint32_t stream, int error, const char *path)
{
    (void)ep; /* host: the pipe server that VPC_ACTION_LISTEN asked for is there, or not */
    (void)stream;
    (void)error;
    (void)path;
}

static void stream_opened(vpc_endpoint *ep, uint32_t stream, int error)
{
    (void)ep; /* host: a client opened the pipe; guest: the end of VPC_ACTION_CONNECT */
    (void)stream;
    (void)error;
}

static size_t stream_room(const vpc_endpoint *ep, uint32_t stream)
{
    (void)ep;
    (void)stream;
    return 0; /* how much of the local program's bytes you would take */
}

static size_t stream_input(vpc_endpoint *ep, uint32_t stream, const void *octets, size_t n)
{
    (void)ep;
    (void)stream;
    (void)octets;
    (void)n;
    return 0; /* how many you took */
}

static void stream_eof(vpc_endpoint *ep, uint32_t stream)
{
    (void)ep; /* it has finished writing */
    (void)stream;
}

static void stream_gone(vpc_endpoint *ep, uint32_t stream, int error)
{
    (void)ep; /* it is wholly gone */
    (void)stream;
    (void)error;
}

static size_t stream_output(vpc_endpoint *ep, uint32_t stream, const void **octets)
{
    (void)ep;
    (void)stream;
    *octets = NULL;
    return 0; /* what waits for the local program */
}

static void stream_sent(vpc_endpoint *ep, uint32_t stream, size_t n)
{
    (void)ep;
    (void)stream;
    (void)n;
}

static int next_action(vpc_endpoint *ep, vpc_action *action)
{
    (void)ep;
    (void)action;
    return 0; /* 1 and what the caller shall do: connect, listen, log, reply ... */
}

static void stop(vpc_endpoint *ep, uint64_t limit_ms)
{
    (void)ep; /* drain, say GOODBYE, then VPC_ACTION_STOPPED */
    (void)limit_ms;
}

const vpc_endpoint_abi vpc_endpoint_abi_v1 = {
    .abi_version = VPC_ENDPOINT_ABI_VERSION,
    .create = create,
    .destroy = destroy,
    .clock = tell_time,
    .deadline = deadline,
    .bus_up = bus_up,
    .bus_down = bus_down,
    .bus_input = bus_input,
    .bus_output = bus_output,
    .bus_sent = bus_sent,
    .control_open = control_open,
    .control_line = control_line,
    .control_close = control_close,
    .stream_listening = stream_listening,
    .stream_opened = stream_opened,
    .stream_room = stream_room,
    .stream_input = stream_input,
    .stream_eof = stream_eof,
    .stream_gone = stream_gone,
    .stream_output = stream_output,
    .stream_sent = stream_sent,
    .next_action = next_action,
    .stop = stop,
};
