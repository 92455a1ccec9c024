/* SPDX-License-Identifier: MIT */
#include "samples.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t some_payload[] = "bytes of the channel \xB5\x56\x13 and the like";

const vpc_frame samples[SAMPLES] = {
    {.type = VPC_HELLO,
     .role = 1,
     .version_min = 0x0100,
     .version_max = 0x0203,
     .max_pairs = 16,
     .epoch = UINT64_C(0x1122334455667788),
     .echo = UINT64_C(0x99AABBCCDDEEFF01),
     .features = 0x80000001u,
     .heartbeat_ms = 1000,
     .tag = "TAG-7",
     .name = "name of exactly 32 characters..."},
    {.type = VPC_HELLO,
     .role = 2,
     .version_min = 1,
     .version_max = 1,
     .max_pairs = 0xFFFF,
     .epoch = 1},
    {.type = VPC_READY, .ready = 1},
    {.type = VPC_READY, .ready = 0},
    {.type = VPC_HEARTBEAT, .count = UINT64_C(0xFEDCBA9876543210)},
    {.type = VPC_GOODBYE, .cause = 1},
    {.type = VPC_OPEN,
     .channel = 7,
     .reverse_channel = 0x01020304,
     .port = 6174,
     .connect_ms = 10000,
     .limit = UINT64_C(0x1000000000000001)},
    {.type = VPC_OPENED, .channel = 0xFFFFFFFFu, .limit = 262144},
    {.type = VPC_REFUSED, .channel = 256, .error = 111},
    {.type = VPC_EVENT,
     .event = 1022,
     .lost = 3,
     .time = UINT64_C(0x1122334455667788),
     .h2g = 1,
     .g2h = 0xFFFFFFFF,
     .port = 6174,
     .level = 2,
     .error = 111,
     .sent = UINT64_C(0x0102030405060708),
     .received = UINT64_MAX,
     .value = 9,
     .cause_text = "Connection refused",
     .detail = "abcdefghijklmnopqrstuvwxyz-01234"},
    {.type = VPC_DATA,
     .channel = 0x00010000,
     .offset = UINT64_C(0x8877665544332211),
     .payload = some_payload,
     .payload_len = sizeof(some_payload)},
    {.type = VPC_DATA, .channel = 1, .offset = 0, .payload = some_payload, .payload_len = 1},
    {.type = VPC_CREDIT, .channel = 0x01000000, .limit = UINT64_MAX},
    {.type = VPC_FIN, .channel = 2, .offset = 3},
    {.type = VPC_RESET, .channel = 3, .error = 104},
    {.type = VPC_RELEASED, .channel = 4, .offset = UINT64_C(0x0102030405060708)},
};

size_t encode_sample(size_t i, uint8_t *out)
{
    vpc_frame frame = samples[i];

    frame.seal_session = SAMPLE_SESSION + i;
    frame.seal_number = SAMPLE_NUMBER + i;
    return vpc_encode(&frame, out);
}

bool sample_from(uint8_t type, enum vpc_side side)
{
    return side == VPC_HOST
               ? type != VPC_READY && type != VPC_EVENT && type != VPC_OPENED && type != VPC_REFUSED
               : type != VPC_OPEN;
}

vpc_parser *new_parser(void)
{
    vpc_parser *parser = malloc(sizeof(*parser));

    cr_assert_not_null(parser);
    memset(parser, 0xA5, sizeof(*parser)); /* nothing may rest on what was there before */
    return parser;
}

void expect_in_pieces(vpc_parser *parser, const uint8_t *octets, size_t n, size_t piece,
                      size_t rest)
{
    size_t at = 0;

    while (at < n) {
        size_t take = at == 0 && piece < n ? piece : rest < n - at ? rest : n - at;
        /* A copy of its own for each piece: nothing may be looked at behind it, or later. */
        uint8_t *copy = malloc(take);
        const uint8_t *p = copy;
        enum vpc_parse_result result;

        memcpy(copy, octets + at, take);
        at += take;
        result = vpc_parse(parser, &p, copy + take);
        cr_assert_eq(result, at == n ? VPC_PARSE_FRAME : VPC_PARSE_MORE, "octet %zu of %zu", at, n);
        cr_assert_eq(p, copy + take);
        if (result == VPC_PARSE_FRAME && parser->frame.type == VPC_DATA) {
            /* keep what the caller may look at until the next call */
            static uint8_t kept[VPC_PAYLOAD_MAX];

            memcpy(kept, parser->frame.payload, parser->frame.payload_len);
            parser->frame.payload = kept;
        }
        free(copy);
    }
}

enum vpc_parse_result parse_first(vpc_parser *parser, enum vpc_side side, const uint8_t *octets,
                                  size_t n, size_t *at)
{
    const uint8_t *p = octets;
    enum vpc_parse_result result;

    vpc_parser_follow(parser, side);
    result = vpc_parse(parser, &p, octets + n);
    *at = (size_t)(p - octets);
    return result;
}

size_t put_data(uint8_t *out, uint32_t payload_len, uint8_t fill)
{
    vpc_frame frame = {.type = VPC_DATA,
                       .channel = 1,
                       .payload_len = payload_len,
                       .payload = out + VPC_HEADER_SIZE + 8};

    memset(out + VPC_HEADER_SIZE + 8, fill, payload_len);
    return vpc_encode(&frame, out);
}
