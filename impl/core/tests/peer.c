/* SPDX-License-Identifier: MIT */
#include "peer.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

void peer_begin(struct peer *peer, struct side *side)
{
    memset(peer, 0, sizeof(*peer));
    peer->side = side;
    peer->epoch = 0x1000;
    peer->version_min = peer->version_max = VPC_VERSION_1_0;
    peer->max_pairs = PEER_PAIRS;
    vpc_parser_hunt(&peer->parser);
}

void peer_octets(struct peer *peer, const void *octets, size_t n)
{
    uint8_t *copy = malloc(n > 0 ? n : 1);

    memcpy(copy, octets, n);
    vpc_endpoint_abi_v1.bus_input(peer->side->ep, copy, n);
    free(copy);
    rig_take(peer->side);
}

static enum vpc_side subject(const struct peer *peer)
{
    return peer->side->role == VPC_ROLE_HOST ? VPC_HOST : VPC_GUEST;
}

void peer_knows(struct peer *peer, uint32_t h2g, uint32_t g2h)
{
    peer->pairs[peer->pair_count++ % PEER_PAIRS] = (struct peer_pair){.h2g = h2g, .g2h = g2h};
}

static void take_frame(struct peer *peer)
{
    const vpc_frame *frame = &peer->parser.frame;

    peer->seen[frame->type]++;
    peer->last = *frame;
    if (frame->type == VPC_HELLO)
        peer->their_epoch = frame->epoch;
    if (frame->type == VPC_OPEN)
        peer_knows(peer, frame->channel, frame->reverse_channel);
}

void peer_hear(struct peer *peer)
{
    const void *octets;
    size_t n;

    while ((n = vpc_endpoint_abi_v1.bus_output(peer->side->ep, &octets)) > 0) {
        uint8_t *copy = malloc(n);
        const uint8_t *p = copy, *const end = copy + n;

        memcpy(copy, octets, n);
        vpc_endpoint_abi_v1.bus_sent(peer->side->ep, n);
        rig_take(peer->side);
        while (p < end) {
            enum vpc_parse_result result = vpc_parse(&peer->parser, &p, end);

            cr_assert_neq(result, VPC_PARSE_BAD, "the endpoint sent octets that are no frame");
            if (result == VPC_PARSE_FRAME)
                take_frame(peer);
        }
        free(copy);
    }
}

void peer_hello(struct peer *peer, uint64_t echo)
{
    uint8_t *octets = malloc(VPC_PREAMBLE + VPC_SMALL_FRAME_MAX);
    vpc_frame hello = {
        .type = VPC_HELLO,
        .role = subject(peer) == VPC_HOST ? VPC_GUEST : VPC_HOST,
        .version_min = peer->version_min,
        .version_max = peer->version_max,
        .max_pairs = peer->max_pairs,
        .epoch = peer->epoch,
        .echo = echo,
        .heartbeat_ms = 1000,
        .name = "a peer",
        .tag = "TAG-2",
    };

    memset(octets, VPC_PAD, VPC_PREAMBLE);
    peer_octets(peer, octets, VPC_PREAMBLE + vpc_encode(&hello, octets + VPC_PREAMBLE));
    free(octets);
}

void peer_join(struct peer *peer, bool ready)
{
    struct rig *rig = peer->side->rig;

    if (!rig->bus)
        rig_bus(rig, true);
    vpc_parser_hunt(&peer->parser);
    peer->epoch++;
    peer->number = 0;
    peer->pair_count = 0;
    for (unsigned i = 0; i < 100 && !peer->side->in_session; i++) {
        rig_advance(rig, 1000); /* a HELLO is due by then, backed off or not */
        peer_hear(peer);
        peer_hello(peer, peer->their_epoch);
        if (peer->version_min > VPC_VERSION_1_0)
            return;
    }
    cr_assert(peer->side->in_session, "no session");
    vpc_parser_hunt(&peer->parser);
    vpc_parser_follow(&peer->parser, subject(peer));
    peer_hear(peer);
    if (ready)
        peer_send(peer, (vpc_frame){.type = VPC_READY, .ready = 1});
}

void peer_send(struct peer *peer, vpc_frame frame)
{
    uint8_t *octets = malloc(VPC_FRAME_MAX);
    bool host = subject(peer) == VPC_HOST;

    frame.seal_session = host ? vpc_session_id(peer->their_epoch, peer->epoch)
                              : vpc_session_id(peer->epoch, peer->their_epoch);
    frame.seal_number = ++peer->number;
    peer_octets(peer, octets, vpc_encode(&frame, octets));
    free(octets);
    peer_hear(peer);
}
