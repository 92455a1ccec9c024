/* SPDX-License-Identifier: MIT */
/*
 * What a host endpoint is told of its machine (TRN-7), and the clock of its session and pairs, which stands still while the
 * machine does (SES-20).  The log, and the limit of a stop, go by the time as it is told.
 */
#include "endpoint.h"

static const struct state {
    const char *name;   /* for query-vm */
    const char *stands; /* why it stands still */
} states[] = {
    [VPC_MACHINE_UNKNOWN] = {NULL, NULL},
    [VPC_MACHINE_RUNS] = {"running", NULL},
    [VPC_MACHINE_PAUSED] = {"paused", "the virtual machine is paused"},
    [VPC_MACHINE_SHUT_DOWN] = {"shut down", "the virtual machine has shut down"},
};

const char *vpc_machine_name(const vpc_endpoint *ep)
{
    return states[ep->machine].name;
}

/* How long it stood still until now, which from now on is no time of its session. */
static json_int_t go_on(vpc_endpoint *ep)
{
    uint64_t stood = ep->now - ep->stands_since;

    ep->held += stood;
    return (json_int_t)stood;
}

static void log_state(vpc_endpoint *ep, enum vpc_machine_state before, json_int_t stood)
{
    if (before == VPC_MACHINE_UNKNOWN)
        vpc_log(ep, VPC_LOG_MONITOR_UP, NULL);
    switch (ep->machine) {
    case VPC_MACHINE_PAUSED:
        vpc_log(ep, VPC_LOG_MACHINE_PAUSED, NULL);
        break;
    case VPC_MACHINE_SHUT_DOWN:
        vpc_log(ep, VPC_LOG_MACHINE_SHUT_DOWN, NULL);
        break;
    case VPC_MACHINE_UNKNOWN:
        vpc_log(ep, VPC_LOG_MONITOR_LOST, NULL);
        break;
    default:
        if (states[before].stands != NULL)
            vpc_log(ep, VPC_LOG_MACHINE_RUNS, json_pack("{s:I}", "stood_ms", stood));
        break;
    }
}

static void set_machine(vpc_endpoint *ep, enum vpc_machine_state machine)
{
    enum vpc_machine_state before = ep->machine;
    bool stood = ep->stands != NULL;
    json_int_t stood_ms = stood && states[machine].stands == NULL ? go_on(ep) : 0;

    if (machine == before)
        return;
    ep->machine = machine;
    ep->stands = states[machine].stands;
    if (!stood)
        ep->stands_since = ep->now;
    log_state(ep, before, stood_ms);
    if (machine == VPC_MACHINE_SHUT_DOWN)
        vpc_session_renew(ep->session, "machine shut down");
    vpc_host_look_ready(ep, ep->stands);
}

/* Of a port that nobody uses it is no news that it is closed. */
static void port_closed(vpc_endpoint *ep)
{
    if (vpc_endpoint_level(ep) < VPC_LEVEL_COMPONENTS)
        return;
    vpc_log(ep, VPC_LOG_PORT_CLOSED, NULL);
    vpc_session_renew(ep->session, "port closed");
}

void vpc_endpoint_machine_v1(vpc_endpoint *ep, uint32_t machine)
{
    if (ep->role != VPC_ROLE_HOST || ep->stopped)
        return;
    if (machine == VPC_MACHINE_RESET) {
        vpc_log(ep, VPC_LOG_MACHINE_RESET, NULL);
        vpc_session_renew(ep->session, "machine reset");
    } else if (machine == VPC_MACHINE_PORT_CLOSED) {
        port_closed(ep);
    } else if (machine <= VPC_MACHINE_SHUT_DOWN) {
        set_machine(ep, (enum vpc_machine_state)machine);
    }
    vpc_endpoint_finish(ep);
}
