/* SPDX-License-Identifier: MIT */
/*
 * Beside the ABI of spec/vpc_endpoint.h, for a caller that is linked with the core: a stream's octets where they lie, so
 * that a socket is read straight into the buffer that the bus is fed from, and written from the one that the bus filled.
 *
 * Space is filled in its order and said with vpc_endpoint_stream_filled(); no call on the endpoint stands in between.
 * What of the pieces was written is said with the ABI's stream_sent().  As there, the caller takes all actions after
 * each call that gives the endpoint something, and a stream that is not known has nothing.
 */
#ifndef VPC_CORE_DIRECT_H
#define VPC_CORE_DIRECT_H

#include "vpc_endpoint.h"

#include <sys/uio.h>

/* Where the next octets of the local program are to be put, stream_room() in all: returns how many pieces, 0 to 2. */
unsigned vpc_endpoint_stream_space(vpc_endpoint *ep, uint32_t stream, struct iovec space[2]);
/* The first n octets of that space are there; at most all of it. */
void vpc_endpoint_stream_filled(vpc_endpoint *ep, uint32_t stream, size_t n);
/* All octets for the local program; stream_output() gives the first piece.  Returns how many pieces, 0 to 2. */
unsigned vpc_endpoint_stream_pieces(vpc_endpoint *ep, uint32_t stream, struct iovec pieces[2]);

#endif
