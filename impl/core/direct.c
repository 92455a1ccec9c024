/* SPDX-License-Identifier: MIT */
/* A stream's octets where they lie (direct.h). */
#include "direct.h"
#include "endpoint.h"

static unsigned to_iovecs(unsigned n, const vpc_piece pieces[2], struct iovec out[2])
{
    for (unsigned i = 0; i < n; i++)
        out[i] = (struct iovec){.iov_base = pieces[i].octets, .iov_len = pieces[i].size};
    return n;
}

unsigned vpc_endpoint_stream_space(vpc_endpoint *ep, uint32_t stream, struct iovec space[2])
{
    struct vpc_relay *relay = vpc_relay_live(ep, stream);
    vpc_piece pieces[2];

    if (relay == NULL)
        return 0;
    vpc_relay_asked(relay, VPC_HAS_ROOM);
    if (vpc_relay_room(relay) == 0)
        return 0;
    return to_iovecs(vpc_pair_write_space(relay->pair, pieces), pieces, space);
}

void vpc_endpoint_stream_filled(vpc_endpoint *ep, uint32_t stream, size_t n)
{
    struct vpc_relay *relay = vpc_relay_live(ep, stream);
    size_t room = relay != NULL ? vpc_relay_room(relay) : 0;

    if (room > 0) {
        vpc_pair_written(relay->pair, n < room ? n : room);
        vpc_relay_look(ep, relay);
    }
    vpc_endpoint_finish(ep);
}

unsigned vpc_endpoint_stream_pieces(vpc_endpoint *ep, uint32_t stream, struct iovec pieces[2])
{
    struct vpc_relay *relay = vpc_relay_live(ep, stream);
    vpc_piece held[2];
    const void *octets;

    if (relay == NULL)
        return 0;
    vpc_relay_asked(relay, VPC_HAS_OUTPUT);
    if (vpc_relay_output(relay, &octets) == 0)
        return 0;
    return to_iovecs(vpc_pair_read_pieces(relay->pair, held), held, pieces);
}
