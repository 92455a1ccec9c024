/* SPDX-License-Identifier: MIT */
/*
 * An entry's share is found in its text, as it stands in the file: a log that is continued is counted the same way.  No text
 * of a stranger can pass for a member, since its quotation marks are escaped.
 */
#include "log_share.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "event_catalogue.h"

/* What a guest can bring about as often as it likes, without a program of the host. */
static const enum vpc_log_id caused[] = {
    VPC_LOG_TRANSPORT_UP,       VPC_LOG_TRANSPORT_DOWN,    VPC_LOG_CHANNEL_READY,
    VPC_LOG_CHANNEL_NOT_READY,  VPC_LOG_SESSION_UP,        VPC_LOG_SESSION_LOST,
    VPC_LOG_REVISION_MISMATCH,  VPC_LOG_FRAMING_LOST,      VPC_LOG_PROTOCOL_VIOLATION,
    VPC_LOG_HEARTBEAT_LATE,     VPC_LOG_HEARTBEAT_RESUMED, VPC_LOG_EVENTS_LOST,
    VPC_LOG_READY_EVENT_FAILED, VPC_LOG_MACHINE_PAUSED,    VPC_LOG_MACHINE_RUNS,
    VPC_LOG_MACHINE_RESET,      VPC_LOG_PORT_CLOSED};

static bool is_caused(long id)
{
    for (size_t i = 0; i < sizeof(caused) / sizeof(caused[0]); i++)
        if (id == (long)caused[i])
            return true;
    return false;
}

/* What stands behind the member's colon, up to the entry's end; NULL without such a member. */
static const char *value_of(const char *text, size_t n, const char *member, size_t *left)
{
    const char *end = text + n, *at = memmem(text, n, member, strlen(member));

    if (at == NULL)
        return NULL;
    at += strlen(member);
    while (at < end && *at == ' ')
        at++;
    *left = (size_t)(end - at);
    return at;
}

static long number_of(const char *text, size_t n, const char *member)
{
    size_t left;
    const char *at = value_of(text, n, member, &left);
    long number = 0;

    for (; at != NULL && left > 0 && *at >= '0' && *at <= '9' && number < 100000; at++, left--)
        number = number * 10 + (*at - '0');
    return number;
}

enum vpc_log_share vpc_log_share_of(const char *text, size_t n)
{
    static const char guest[] = "\"guest\"";
    size_t left;
    const char *source = value_of(text, n, "\"source\":", &left);
    long id = number_of(text, n, "\"id\":");

    if (source != NULL && left >= sizeof(guest) - 1 &&
        memcmp(source, guest, sizeof(guest) - 1) == 0)
        return VPC_LOG_SAID;
    if (id == VPC_LOG_EVENTS_SUPPRESSED)
        id = number_of(text, n, "\"event_id\":");
    return is_caused(id) ? VPC_LOG_CAUSED : VPC_LOG_OWN;
}

uint64_t vpc_log_share_limit(enum vpc_log_share share, uint64_t limit)
{
    return share == VPC_LOG_OWN ? limit : share == VPC_LOG_SAID ? limit / 2 : limit / 4;
}
