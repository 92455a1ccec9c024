/* SPDX-License-Identifier: MIT */
/*
 * A decoder of the same frames, written by hand: what the grammar's parser is measured against, and nothing
 * else uses it.
 *
 * It checks what the grammar checks and fills in the same vpc_frame.  The one difference: a bad octet is
 * reported when its header or frame is complete, not at the octet itself.  It follows a session; it does not
 * hunt.
 */
#ifndef HAND_DECODER_H
#define HAND_DECODER_H

#include "vpcbus.h"

typedef struct hand_decoder {
    enum vpc_side sender;
    uint32_t held;    /* octets of a frame that began in an earlier input */
    uint32_t missing; /* of what it holds the beginning of: the header, then the frame */
    vpc_frame frame;
    uint8_t buffer[VPC_FRAME_MAX];
} hand_decoder;

void hand_follow(hand_decoder *decoder, enum vpc_side sender);

/* As vpc_parse(). */
enum vpc_parse_result hand_decode(hand_decoder *decoder, const uint8_t **octets,
                                  const uint8_t *end);

#endif
