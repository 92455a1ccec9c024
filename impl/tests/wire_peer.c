/* SPDX-License-Identifier: MIT */
#include "wire_peer.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "scratch.h"

void wire_begin(struct wire_peer *peer, int fd, enum vpc_side subject)
{
    *peer = (struct wire_peer){.fd = fd, .subject = subject, .answers = true, .epoch = 1000};
    vpc_parser_hunt(&peer->parser);
}

static void take_frame(struct wire_peer *peer)
{
    const vpc_frame *frame = &peer->parser.frame;

    peer->seen[frame->type % 32]++;
    if (frame->type == VPC_HELLO) {
        peer->their_epoch = frame->epoch;
        peer->heard_echo = frame->echo;
    }
    if (frame->type != VPC_OPEN)
        return;
    peer->h2g = frame->channel;
    peer->g2h = frame->reverse_channel;
    if (peer->answers)
        wire_send(peer, (vpc_frame){.type = VPC_OPENED, .channel = peer->h2g, .limit = 1 << 16});
}

static void parse(struct wire_peer *peer, const uint8_t *octets, size_t n)
{
    const uint8_t *p = octets, *const end = octets + n;

    while (p < end) {
        enum vpc_parse_result result = vpc_parse(&peer->parser, &p, end);

        if (result == VPC_PARSE_FRAME)
            take_frame(peer);
        else if (result == VPC_PARSE_BAD)
            vpc_parser_hunt(&peer->parser); /* the endpoint ended the session in our mid-frame */
    }
}

void wire_hear(struct wire_peer *peer, int wait_ms)
{
    static uint8_t octets[65536];
    struct pollfd p = {.fd = peer->fd, .events = POLLIN};
    ssize_t n;

    if (peer->deaf || peer->ended || poll(&p, 1, wait_ms) <= 0)
        return;
    while ((n = recv(peer->fd, octets, sizeof(octets), MSG_DONTWAIT)) > 0)
        parse(peer, octets, (size_t)n);
    peer->ended = n == 0 || errno != EAGAIN;
}

bool wire_put(struct wire_peer *peer, const void *octets, size_t n, int wait_ms)
{
    size_t sent = 0;
    int64_t moved_at = scratch_now_ms();

    while (sent < n && !peer->ended) {
        ssize_t w =
            send(peer->fd, (const char *)octets + sent, n - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (w > 0) {
            sent += (size_t)w;
            moved_at = scratch_now_ms();
            continue;
        }
        if (w < 0 && errno != EAGAIN && errno != EINTR)
            peer->ended = true;
        if (scratch_now_ms() - moved_at > wait_ms)
            return false;
        struct pollfd p = {.fd = peer->fd, .events = (short)(POLLOUT | (peer->deaf ? 0 : POLLIN))};
        poll(&p, 1, 10);
        wire_hear(peer, 0);
    }
    return sent == n;
}

size_t wire_seal(struct wire_peer *peer, vpc_frame frame, uint8_t *octets)
{
    frame.seal_session = peer->subject == VPC_HOST ? vpc_session_id(peer->their_epoch, peer->epoch)
                                                   : vpc_session_id(peer->epoch, peer->their_epoch);
    frame.seal_number = ++peer->number;
    return vpc_encode(&frame, octets);
}

void wire_send(struct wire_peer *peer, vpc_frame frame)
{
    uint8_t octets[VPC_FRAME_MAX];

    wire_put(peer, octets, wire_seal(peer, frame, octets), WIRE_LIMIT_MS);
}

void wire_hello(struct wire_peer *peer, uint64_t echo)
{
    static uint8_t octets[VPC_PREAMBLE + VPC_SMALL_FRAME_MAX];
    vpc_frame hello = {
        .type = VPC_HELLO,
        .role = peer->subject == VPC_HOST ? VPC_GUEST : VPC_HOST,
        .version_min = VPC_VERSION_1_0,
        .version_max = VPC_VERSION_1_0,
        .max_pairs = 1000,
        .epoch = peer->epoch,
        .echo = echo,
        .heartbeat_ms = 1000,
        .name = "a hostile peer",
        .tag = "T",
    };

    memset(octets, VPC_PAD, VPC_PREAMBLE);
    wire_put(peer, octets, VPC_PREAMBLE + vpc_encode(&hello, octets + VPC_PREAMBLE), WIRE_LIMIT_MS);
}

void wire_join(struct wire_peer *peer)
{
    int64_t end = scratch_now_ms() + WIRE_LIMIT_MS;
    bool deaf = peer->deaf;

    peer->deaf = false;
    peer->epoch++;
    peer->number = 0;
    peer->their_epoch = peer->heard_echo = 0;
    vpc_parser_hunt(&peer->parser);
    while (peer->their_epoch == 0 || peer->heard_echo != peer->epoch) {
        cr_assert_lt(scratch_now_ms(), end, "no session");
        cr_assert_not(peer->ended);
        wire_hello(peer, peer->their_epoch);
        wire_hear(peer, 100);
    }
    wire_hello(peer, peer->their_epoch);
    vpc_parser_hunt(&peer->parser);
    vpc_parser_follow(&peer->parser, peer->subject);
    if (peer->subject == VPC_HOST)
        wire_send(peer, (vpc_frame){.type = VPC_READY, .ready = 1});
    peer->deaf = deaf;
}
