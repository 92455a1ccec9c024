/* SPDX-License-Identifier: MIT */
/*
 * Frames at their limits: lengths, types, flags, channels, directions and values, the right ones beside the wrong ones.
 *
 * Never   A changed octet of a header passes for another valid frame.
 */
#include "samples.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

Test(frame_limits, sizes_of_data, .timeout = 30)
{
    static const uint32_t right[] = {1, 2, 247, 248, 249, 255, 256, 4096, 65527, VPC_PAYLOAD_MAX};
    static const uint32_t wrong[] = {0, VPC_PAYLOAD_MAX + 1, VPC_PAYLOAD_MAX + 2, 65536 + 1};
    vpc_parser *parser = new_parser();
    uint8_t *octets = malloc(VPC_FRAME_MAX + 4096);
    size_t n, at;

    for (size_t i = 0; i < COUNT(right); i++) {
        n = put_data(octets, right[i], 0xB5);
        cr_assert_eq(n, 36 + right[i]);
        cr_assert_eq(parse_first(parser, VPC_HOST, octets, n, &at), VPC_PARSE_FRAME);
        cr_expect_eq(at, n);
        cr_expect_eq(parser->frame.payload_len, right[i]);
        cr_expect_eq(parser->frame.payload[right[i] - 1], 0xB5);
        vpc_parser_follow(parser, VPC_HOST);
        expect_in_pieces(parser, octets, n, 25, 4096); /* gathered in the parser */
        cr_expect_eq(parser->frame.payload_len, right[i]);
        cr_expect_eq(parser->frame.payload[right[i] - 1], 0xB5);
    }
    for (size_t i = 0; i < COUNT(wrong); i++) {
        n = put_data(octets, wrong[i], 0);
        cr_expect_eq(parse_first(parser, VPC_HOST, octets, n, &at), VPC_PARSE_BAD, "payload of %u",
                     wrong[i]);
    }
    free(octets);
    free(parser);
}

Test(frame_limits, a_length_that_is_not_the_message_s, .timeout = 30)
{
    vpc_parser *parser = new_parser();
    uint8_t octets[VPC_SMALL_FRAME_MAX];
    size_t at;

    for (size_t i = 0; i < SAMPLES; i++)
        for (unsigned length = 0; length < 256 && samples[i].type != VPC_DATA; length++) {
            size_t n = encode_sample(i, octets);
            bool right = octets[8] == length;

            octets[8] = (uint8_t)length;
            cr_expect_eq(parse_first(parser,
                                     sample_from(samples[i].type, VPC_HOST) ? VPC_HOST : VPC_GUEST,
                                     octets, n, &at),
                         right ? VPC_PARSE_FRAME : VPC_PARSE_BAD, "type %u, length %u",
                         samples[i].type, length);
            cr_expect_eq(at, right ? n : 9);
        }
    free(parser);
}

Test(frame_limits, types_flags_and_channels, .timeout = 30)
{
    vpc_parser *parser = new_parser();
    uint8_t octets[VPC_SMALL_FRAME_MAX];
    size_t n, at;

    for (unsigned type = 0; type < 256; type++)
        for (enum vpc_side side = VPC_HOST; side <= VPC_GUEST; side++) {
            bool known = (type >= 1 && type <= 5) || (type >= 16 && type <= 23);

            memset(octets, 0, sizeof(octets));
            memcpy(octets, "\xB5\x56", 2);
            octets[2] = (uint8_t)type;
            /* through the flags, no further: what the header must hold depends on the type */
            cr_expect_eq(parse_first(parser, side, octets, 4, &at),
                         known && sample_from((uint8_t)type, side) ? VPC_PARSE_MORE : VPC_PARSE_BAD,
                         "type %u", type);
        }
    for (size_t i = 0; i < SAMPLES; i++) {
        enum vpc_side side = sample_from(samples[i].type, VPC_HOST) ? VPC_HOST : VPC_GUEST;

        for (unsigned flags = 1; flags < 256; flags++) {
            n = encode_sample(i, octets);
            octets[3] = (uint8_t)flags;
            cr_expect_eq(parse_first(parser, side, octets, n, &at), VPC_PARSE_BAD);
        }
        for (unsigned octet = 4; octet < 8; octet++) {
            n = encode_sample(i, octets);
            if (samples[i].type < 16) {
                octets[octet] = 1;
                cr_expect_eq(parse_first(parser, side, octets, n, &at), VPC_PARSE_BAD,
                             "a channel in type %u", samples[i].type);
            } else {
                memset(octets + 4, 0, 4);
                cr_expect_eq(parse_first(parser, side, octets, n, &at), VPC_PARSE_BAD,
                             "channel 0 in type %u", samples[i].type);
                octets[octet] = 1;
                cr_expect_eq(parse_first(parser, side, octets, n, &at), VPC_PARSE_FRAME);
            }
        }
    }
    free(parser);
}

Test(frame_limits, messages_of_the_other_direction, .timeout = 10)
{
    vpc_parser *parser = new_parser();
    uint8_t octets[VPC_SMALL_FRAME_MAX];
    size_t at;

    for (size_t i = 0; i < SAMPLES; i++)
        for (enum vpc_side side = VPC_HOST; side <= VPC_GUEST; side++) {
            size_t n = encode_sample(i, octets);

            cr_expect_eq(parse_first(parser, side, octets, n, &at),
                         sample_from(samples[i].type, side) ? VPC_PARSE_FRAME : VPC_PARSE_BAD,
                         "type %u from %d", samples[i].type, side);
        }
    free(parser);
}

/* Fields whose values the grammar limits. */
Test(frame_limits, values_that_no_message_has, .timeout = 10)
{
    static const struct {
        size_t sample, at, octets;
        uint8_t value;
        bool right;
    } cases[] = {
        {0, 12, 1, 0, false}, /* HELLO: role 0, 3 */
        {0, 12, 1, 3, false},
        {0, 12, 1, 2, true},
        {0, 13, 1, 0xFF, true}, /* reserved: not looked at (FRM-11) */
        {0, 20, 8, 0, false},   /* epoch 0 */
        {0, 20, 7, 0, true},
        {0, 28, 8, 0, true}, /* echo 0 */
        /* tag: a control character, DEL, 8 bit; a character behind a zero */
        {0, 44, 1, 0x1F, false},
        {0, 44, 1, 0x7F, false},
        {0, 44, 1, 0x80, false},
        {0, 75, 1, 'x', false},
        {0, 107, 1, 0, true}, /* name: 31 characters are right too */
        {0, 108, 32, 0xFF, true},
        {2, 12, 1, 2, false}, /* READY: 2 */
        {2, 13, 3, 0xFF, true},
        {6, 12, 4, 0, false}, /* OPEN: reverse channel 0 */
        {6, 16, 2, 0, true},  /* port 0 is a frame; what it asks for is refused */
        {6, 18, 2, 0xFF, true},
    };
    vpc_parser *parser = new_parser();
    uint8_t octets[VPC_SMALL_FRAME_MAX];
    size_t at;

    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t n = encode_sample(cases[i].sample, octets);

        memset(octets + cases[i].at, cases[i].value, cases[i].octets);
        cr_expect_eq(
            parse_first(parser, cases[i].sample == 2 ? VPC_GUEST : VPC_HOST, octets, n, &at),
            cases[i].right ? VPC_PARSE_FRAME : VPC_PARSE_BAD, "case %zu", i);
    }
    free(parser);
}

/* Every value of every octet of each header: the frame is bad, or incomplete, or it says what its octets say. */
Test(frame_limits, a_changed_header_is_never_another_valid_frame, .timeout = 60)
{
    vpc_parser *parser = new_parser();
    uint8_t octets[VPC_SMALL_FRAME_MAX + 65536];
    size_t at;

    for (size_t i = 0; i < SAMPLES; i++)
        for (unsigned octet = 0; octet < VPC_HEADER_SIZE; octet++)
            for (unsigned value = 0; value < 256; value++) {
                size_t n = encode_sample(i, octets);
                enum vpc_side side = sample_from(samples[i].type, VPC_HOST) ? VPC_HOST : VPC_GUEST;

                if (octets[octet] == value || (octet == 0 && value == VPC_PAD))
                    continue;
                octets[octet] = (uint8_t)value;
                memset(octets + n, 0xB5, sizeof(octets) - n);
                if (parse_first(parser, side, octets, sizeof(octets), &at) != VPC_PARSE_FRAME)
                    continue;
                if (samples[i].type == VPC_HELLO) {
                    cr_expect_neq(parser->frame.seal_number, parser->frame.crc);
                    continue;
                }
                /* A type of the same shape, or another channel: the session knows its own.  Never another length with
                 * the right seal. */
                if (octet >= 8)
                    cr_expect(parser->frame.seal_session != SAMPLE_SESSION + i ||
                              parser->frame.seal_number != SAMPLE_NUMBER + i);
                else
                    cr_expect(octet == 2 ||
                              (octet >= 4 && parser->frame.channel != samples[i].channel));
                cr_expect_eq(parser->frame.type, octets[2]);
            }
    free(parser);
}
