/* SPDX-License-Identifier: MIT */
#include "crowd.h"

#include <stdio.h>
#include <stdlib.h>

#define ABI vpc_endpoint_abi_v1

static uint64_t draw(void *user)
{
    static uint64_t bits = 1;

    (void)user;
    return bits++;
}

static void make(struct crowd_side *side, bool guest, unsigned max_pairs, const char *more)
{
    char options[300], error[200] = "";
    vpc_endpoint_config config = {
        .role = guest ? VPC_ROLE_GUEST : VPC_ROLE_HOST,
        .vm = "vm",
        .tag = guest ? "T" : "",
        .options = options,
        .random = draw,
        .error = error,
        .error_size = sizeof(error),
    };

    snprintf(options, sizeof(options), "{\"max_pairs\": %u, \"window\": 64%s}", max_pairs, more);
    *side = (struct crowd_side){.guest = guest, .ep = ABI.create(&config, 0)};
    if (side->ep == NULL) {
        fprintf(stderr, "crowd: %s\n", error);
        abort();
    }
}

static bool take(struct crowd_side *side)
{
    vpc_action action;
    bool any = false;

    while (ABI.next_action(side->ep, &action)) {
        any = true;
        if (action.kind == VPC_ACTION_LISTEN)
            ABI.stream_listening(side->ep, side->stream = action.stream, 0, "/path");
        else if (action.kind == VPC_ACTION_CONNECT)
            ABI.stream_opened(side->ep, side->stream = action.stream, 0);
        else if (action.kind == VPC_ACTION_CLOSE)
            side->closed++;
        else if (action.kind == VPC_ACTION_ABORT)
            side->aborted++;
    }
    return any;
}

static bool carry(struct crowd_side *from, struct crowd_side *to)
{
    const void *octets;
    size_t n = ABI.bus_output(from->ep, &octets);

    if (n == 0)
        return false;
    ABI.bus_input(to->ep, octets, n);
    ABI.bus_sent(from->ep, n);
    return true;
}

void crowd_settle(struct crowd *crowd)
{
    bool moved;

    do {
        moved = take(&crowd->host);
        moved |= take(&crowd->guest);
        moved |= carry(&crowd->host, &crowd->guest);
        moved |= carry(&crowd->guest, &crowd->host);
    } while (moved);
}

void crowd_clock(struct crowd *crowd, uint64_t ms)
{
    crowd->now += ms;
    ABI.clock(crowd->host.ep, crowd->now);
    ABI.clock(crowd->guest.ep, crowd->now);
    crowd_settle(crowd);
}

void crowd_begin(struct crowd *crowd, unsigned max_pairs, const char *options)
{
    crowd->now = 0;
    make(&crowd->host, false, max_pairs, options);
    make(&crowd->guest, true, max_pairs, options);
    ABI.bus_up(crowd->host.ep);
    ABI.bus_up(crowd->guest.ep);
    crowd_settle(crowd);
}

void crowd_end(struct crowd *crowd)
{
    ABI.destroy(crowd->host.ep);
    ABI.destroy(crowd->guest.ep);
}

void crowd_start(struct crowd *crowd, uint32_t client, unsigned number)
{
    char line[200];
    int n = snprintf(line, sizeof(line),
                     "{\"execute\": \"start\", \"arguments\": {\"host-name\": "
                     "\"\\\\\\\\.\\\\pipe\\\\p%u\", \"guest-name\": \"80\"}}",
                     number);

    ABI.control_line(crowd->host.ep, client, line, (size_t)n);
    crowd_settle(crowd);
}

void crowd_open(struct crowd *crowd)
{
    ABI.stream_opened(crowd->host.ep, crowd->host.stream, 0);
    crowd_settle(crowd);
}

void crowd_say(struct crowd *crowd, struct crowd_side *from, struct crowd_side *to)
{
    const void *octets;
    size_t n;

    ABI.stream_input(from->ep, from->stream, "word", 4);
    crowd_settle(crowd);
    n = ABI.stream_output(to->ep, to->stream, &octets);
    if (n != 4)
        abort();
    ABI.stream_sent(to->ep, to->stream, n);
    crowd_settle(crowd);
}

void crowd_finish(struct crowd *crowd)
{
    ABI.stream_eof(crowd->host.ep, crowd->host.stream);
    crowd_settle(crowd);
    ABI.stream_eof(crowd->guest.ep, crowd->guest.stream);
    crowd_settle(crowd);
}
