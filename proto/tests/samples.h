/* SPDX-License-Identifier: MIT */
/* One of each message (and of some two), and ways to hand octets to a parser. */
#ifndef SAMPLES_H
#define SAMPLES_H

#include "vpcbus.h"

#define SAMPLES      16
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

extern const vpc_frame samples[SAMPLES];

/* Sealed with SAMPLE_SESSION + i and SAMPLE_NUMBER + i; `out` has room for VPC_SMALL_FRAME_MAX octets. */
#define SAMPLE_SESSION UINT64_C(0xC0FFEE0000000000)
#define SAMPLE_NUMBER  UINT64_C(0x0A00000000000000)
size_t encode_sample(size_t i, uint8_t *out);
/* Whether this side may send the type. */
bool sample_from(uint8_t type, enum vpc_side side);
/* A DATA with a payload of one octet again and again; `out` has room for it. */
size_t put_data(uint8_t *out, uint32_t payload_len, uint8_t fill);

/* For free(). */
vpc_parser *new_parser(void);
/* Feeds octets in pieces; the last piece must complete the frame and the pieces before must not. */
void expect_in_pieces(vpc_parser *parser, const uint8_t *octets, size_t n, size_t piece,
                      size_t rest);
/* What becomes of the first frame: its result, and on which octet (from 0) it is decided. */
enum vpc_parse_result parse_first(vpc_parser *parser, enum vpc_side side, const uint8_t *octets,
                                  size_t n, size_t *at);

#endif
