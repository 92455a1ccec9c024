/* SPDX-License-Identifier: MIT */
/*
 * Frames: octets to messages and back.
 *
 * Goal    What vpc_encode writes is what vpc_parse reads, wherever the input is split, and both are what the document
 *         says: the golden octets below were written from its tables, not by the encoder.
 * Never   A changed octet passes for another valid frame.
 */
#include "vpcbus.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static vpc_parser *new_parser(void)
{
    vpc_parser *parser = malloc(sizeof(*parser));

    cr_assert_not_null(parser);
    memset(parser, 0xA5, sizeof(*parser)); /* nothing may rest on what was there before */
    return parser;
}

/* ---- one of each message ---------------------------------------------------------------------------------------- */

static const uint8_t some_payload[] = "bytes of the channel \xB5\x56\x13 and the like";

static const vpc_frame samples[] = {
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

static size_t encode_sample(size_t i, uint8_t *out)
{
    vpc_frame frame = samples[i];

    frame.seal_session = UINT64_C(0xC0FFEE0000000000) + i;
    frame.seal_number = UINT64_C(0x0A00000000000000) + i;
    return vpc_encode(&frame, out);
}

static bool from(uint8_t type, enum vpc_side side)
{
    return side == VPC_HOST
               ? type != VPC_READY && type != VPC_EVENT && type != VPC_OPENED && type != VPC_REFUSED
               : type != VPC_OPEN;
}

static bool same_payload(const vpc_frame *a, const vpc_frame *b)
{
    return a->type != VPC_DATA || (a->payload_len == b->payload_len &&
                                   memcmp(a->payload, b->payload, a->payload_len) == 0);
}

#define SAME(field, types)                                                                         \
    cr_expect(!((UINT32_C(1) << want->type) & (types)) || got->field == want->field,               \
              "type %u: " #field, want->type)
#define BIT(type) (UINT32_C(1) << (type))

static void expect_frame(const vpc_frame *got, const vpc_frame *want)
{
    cr_assert_eq(got->type, want->type);
    cr_expect_eq(got->channel, want->channel);
    SAME(role, BIT(VPC_HELLO));
    SAME(version_min, BIT(VPC_HELLO));
    SAME(version_max, BIT(VPC_HELLO));
    SAME(max_pairs, BIT(VPC_HELLO));
    SAME(epoch, BIT(VPC_HELLO));
    SAME(echo, BIT(VPC_HELLO));
    SAME(features, BIT(VPC_HELLO));
    SAME(heartbeat_ms, BIT(VPC_HELLO));
    SAME(ready, BIT(VPC_READY));
    SAME(count, BIT(VPC_HEARTBEAT));
    SAME(cause, BIT(VPC_GOODBYE));
    SAME(event, BIT(VPC_EVENT));
    SAME(lost, BIT(VPC_EVENT));
    SAME(time, BIT(VPC_EVENT));
    SAME(h2g, BIT(VPC_EVENT));
    SAME(g2h, BIT(VPC_EVENT));
    SAME(level, BIT(VPC_EVENT));
    SAME(sent, BIT(VPC_EVENT));
    SAME(received, BIT(VPC_EVENT));
    SAME(value, BIT(VPC_EVENT));
    SAME(reverse_channel, BIT(VPC_OPEN));
    SAME(port, BIT(VPC_OPEN) | BIT(VPC_EVENT));
    SAME(connect_ms, BIT(VPC_OPEN));
    SAME(limit, BIT(VPC_OPEN) | BIT(VPC_OPENED) | BIT(VPC_CREDIT));
    SAME(error, BIT(VPC_REFUSED) | BIT(VPC_RESET) | BIT(VPC_EVENT));
    SAME(offset, BIT(VPC_DATA) | BIT(VPC_FIN) | BIT(VPC_RELEASED));
    cr_expect(same_payload(got, want));
    if (want->type == VPC_HELLO) {
        cr_expect_str_eq(got->tag, want->tag);
        cr_expect_str_eq(got->name, want->name);
    }
    if (want->type == VPC_EVENT) {
        cr_expect_str_eq(got->cause_text, want->cause_text);
        cr_expect_str_eq(got->detail, want->detail);
    }
}

static void expect_sample(const vpc_frame *got, size_t i)
{
    expect_frame(got, &samples[i]);
    if (samples[i].type == VPC_HELLO) {
        cr_expect_eq(got->seal_session, 0);
        cr_expect_eq(got->seal_number, got->crc);
    } else {
        cr_expect_eq(got->seal_session, UINT64_C(0xC0FFEE0000000000) + i);
        cr_expect_eq(got->seal_number, UINT64_C(0x0A00000000000000) + i);
    }
}

/* Feeds octets in pieces; the last piece must complete the frame and the pieces before must not. */
static void expect_in_pieces(vpc_parser *parser, const uint8_t *octets, size_t n, size_t piece,
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

Test(frames, every_message_at_every_split_point, .timeout = 30)
{
    vpc_parser *parser = new_parser();
    uint8_t octets[VPC_SMALL_FRAME_MAX];

    for (size_t i = 0; i < COUNT(samples); i++) {
        size_t n = encode_sample(i, octets);

        for (enum vpc_side side = VPC_HOST; side <= VPC_GUEST; side++)
            for (size_t split = 1; split <= n && from(samples[i].type, side); split++) {
                vpc_parser_follow(parser, side);
                expect_in_pieces(parser, octets, n, split, n);
                expect_sample(&parser->frame, i);
                expect_in_pieces(parser, octets, n, 1,
                                 split); /* the same parser goes on, in pieces of this length */
                expect_sample(&parser->frame, i);
            }
    }
    free(parser);
}

Test(frames, many_frames_and_padding_in_one_input, .timeout = 30)
{
    vpc_parser *parser = new_parser();
    uint8_t octets[COUNT(samples) * (VPC_SMALL_FRAME_MAX + 3)];
    const uint8_t *p = octets, *end;
    size_t n = 0;

    for (size_t i = 0; i < COUNT(samples); i++) {
        if (!from(samples[i].type, VPC_GUEST))
            continue;
        memset(octets + n, VPC_PAD, i % 4);
        n += i % 4;
        n += encode_sample(i, octets + n);
    }
    end = octets + n;
    vpc_parser_follow(parser, VPC_GUEST);
    for (size_t i = 0; i < COUNT(samples); i++) {
        if (!from(samples[i].type, VPC_GUEST))
            continue;
        cr_assert_eq(vpc_parse(parser, &p, end), VPC_PARSE_FRAME);
        expect_sample(&parser->frame, i);
    }
    cr_assert_eq(p, end);
    cr_assert_eq(vpc_parse(parser, &p, end), VPC_PARSE_MORE);
    free(parser);
}

/* ---- the golden octets ----------------------------------------------------------------------------------------------- */

static const uint8_t golden_hello[] = {
    0xb5, 0x56, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80, 0x00, 0x00, 0x00, /* header: HELLO, 128 */
    0x01, 0x00, 0x00, 0x01, 0x02, 0x01, 0x10, 0x00, /* host, 1.0 to 1.2, 16 pairs */
    0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, /* epoch */
    0x01, 0xff, 0xee, 0xdd, 0xcc, 0xbb, 0xaa, 0x99, /* echo */
    0x00, 0x00, 0x00, 0x00, 0xe8, 0x03, 0x00, 0x00, /* no feature, 1000 ms */
    'T',  'A',  'G',  '-',  '7',  0,    0,    0,    0,    0,    0,    0,    0, 0, 0, 0, /* tag */
    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0, 0, 0, 0, 'g',
    'o',  'l',  'd',  ' ',  '1',  '.',  '0',  0,    0,    0,    0,    0,    0, 0, 0, /* name */
    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0, 0, 0, 0, 0,
    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0, 0, 0, /* reserved */
    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0, 0, 0, 0, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,       /* session 0 */
    0xa8, 0x7b, 0x99, 0xdd, 0x00, 0x00, 0x00, 0x00, /* CRC-32C dd997ba8 */
};

static const uint8_t golden_open[] = {
    0xb5, 0x56, 0x10, 0x00, 0x01, 0x00, 0x00, 0x00,
    0x14, 0x00, 0x00, 0x00,                         /* OPEN on channel 1, 20 */
    0x02, 0x00, 0x00, 0x00, 0x1e, 0x18, 0x00, 0x00, /* channel 2, port 6174 */
    0x10, 0x27, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00,
    0x00, 0x00, 0x00, 0x00,                         /* 10000 ms, limit 262144 */
    0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01, /* session */
    0x09, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* number 9 */
};

static const uint8_t golden_data[] = {
    0xb5, 0x56, 0x13, 0x00, 0x01, 0x00, 0x00, 0x00,
    0x0d, 0x00, 0x00, 0x00,                         /* DATA on channel 1, 13 */
    0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* offset 256 */
    'H',  'e',  'l',  'l',  'o',                    /* payload */
    0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01, /* session */
    0x0a, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* number 10 */
};

static const struct {
    const uint8_t *octets;
    size_t size;
    vpc_frame frame;
} golden[] = {
    {golden_hello,
     sizeof(golden_hello),
     {.type = VPC_HELLO,
      .role = 1,
      .version_min = 0x0100,
      .version_max = 0x0102,
      .max_pairs = 16,
      .epoch = UINT64_C(0x1122334455667788),
      .echo = UINT64_C(0x99AABBCCDDEEFF01),
      .heartbeat_ms = 1000,
      .tag = "TAG-7",
      .name = "gold 1.0"}},
    {golden_open,
     sizeof(golden_open),
     {.type = VPC_OPEN,
      .channel = 1,
      .seal_session = UINT64_C(0x0102030405060708),
      .seal_number = 9,
      .reverse_channel = 2,
      .port = 6174,
      .connect_ms = 10000,
      .limit = 262144}},
    {golden_data,
     sizeof(golden_data),
     {.type = VPC_DATA,
      .channel = 1,
      .seal_session = UINT64_C(0x0102030405060708),
      .seal_number = 10,
      .offset = 256,
      .payload = (const uint8_t *)"Hello",
      .payload_len = 5}},
};

Test(frames, golden_octets, .timeout = 10)
{
    vpc_parser *parser = new_parser();
    uint8_t octets[VPC_SMALL_FRAME_MAX];

    for (size_t i = 0; i < COUNT(golden); i++) {
        const uint8_t *p = golden[i].octets;

        cr_assert_eq(vpc_encode(&golden[i].frame, octets), golden[i].size);
        cr_expect_arr_eq(octets, golden[i].octets, golden[i].size, "frame %zu", i);
        vpc_parser_follow(parser, VPC_HOST);
        cr_assert_eq(vpc_parse(parser, &p, p + golden[i].size), VPC_PARSE_FRAME);
        expect_frame(&parser->frame, &golden[i].frame);
        cr_expect_eq(parser->frame.seal_session, golden[i].frame.seal_session);
        cr_expect_eq(parser->frame.seal_number, golden[i].frame.type == VPC_HELLO
                                                    ? UINT64_C(0xdd997ba8)
                                                    : golden[i].frame.seal_number);
    }
    free(parser);
}

Test(frames, known_answers, .timeout = 10)
{
    cr_expect_eq(vpc_crc32c(0, "123456789", 9), 0xE3069283u);
    cr_expect_eq(vpc_crc32c(vpc_crc32c(0, "1234", 4), "56789", 5), 0xE3069283u);
    cr_expect_eq(vpc_crc32c(0, "", 0), 0);
    /* worked out from SES-5 with another program */
    cr_expect_eq(vpc_session_id(1, 2), UINT64_C(0xef30b01c2974aeeb));
    cr_expect_eq(vpc_session_id(UINT64_C(0x1122334455667788), UINT64_C(0x99AABBCCDDEEFF01)),
                 UINT64_C(0xa0f1dd4bfdbe282b));
    cr_expect_neq(vpc_session_id(2, 1), vpc_session_id(1, 2));
    cr_expect_eq(vpc_encode(&(vpc_frame){.type = 6}, (uint8_t[VPC_SMALL_FRAME_MAX]){0}), 0);
}

/* ---- the boundaries ----------------------------------------------------------------------------------------------------- */

/* What becomes of the first frame: its result, and on which octet (from 0) it is decided. */
static enum vpc_parse_result parse_first(vpc_parser *parser, enum vpc_side side,
                                         const uint8_t *octets, size_t n, size_t *at)
{
    const uint8_t *p = octets;
    enum vpc_parse_result result;

    vpc_parser_follow(parser, side);
    result = vpc_parse(parser, &p, octets + n);
    *at = (size_t)(p - octets);
    return result;
}

static size_t put_data(uint8_t *out, uint32_t payload_len, uint8_t fill)
{
    vpc_frame frame = {.type = VPC_DATA,
                       .channel = 1,
                       .payload_len = payload_len,
                       .payload = out + VPC_HEADER_SIZE + 8};

    memset(out + VPC_HEADER_SIZE + 8, fill, payload_len);
    return vpc_encode(&frame, out);
}

Test(frames, sizes_of_data, .timeout = 30)
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

Test(frames, a_length_that_is_not_the_message_s, .timeout = 30)
{
    vpc_parser *parser = new_parser();
    uint8_t octets[VPC_SMALL_FRAME_MAX];
    size_t at;

    for (size_t i = 0; i < COUNT(samples); i++)
        for (unsigned length = 0; length < 256 && samples[i].type != VPC_DATA; length++) {
            size_t n = encode_sample(i, octets);
            bool right = octets[8] == length;

            octets[8] = (uint8_t)length;
            cr_expect_eq(parse_first(parser, from(samples[i].type, VPC_HOST) ? VPC_HOST : VPC_GUEST,
                                     octets, n, &at),
                         right ? VPC_PARSE_FRAME : VPC_PARSE_BAD, "type %u, length %u",
                         samples[i].type, length);
            cr_expect_eq(at, right ? n : 9);
        }
    free(parser);
}

Test(frames, types_flags_and_channels, .timeout = 30)
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
                         known && from((uint8_t)type, side) ? VPC_PARSE_MORE : VPC_PARSE_BAD,
                         "type %u", type);
        }
    for (size_t i = 0; i < COUNT(samples); i++) {
        enum vpc_side side = from(samples[i].type, VPC_HOST) ? VPC_HOST : VPC_GUEST;

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

Test(frames, messages_of_the_other_direction, .timeout = 10)
{
    vpc_parser *parser = new_parser();
    uint8_t octets[VPC_SMALL_FRAME_MAX];
    size_t at;

    for (size_t i = 0; i < COUNT(samples); i++)
        for (enum vpc_side side = VPC_HOST; side <= VPC_GUEST; side++) {
            size_t n = encode_sample(i, octets);

            cr_expect_eq(parse_first(parser, side, octets, n, &at),
                         from(samples[i].type, side) ? VPC_PARSE_FRAME : VPC_PARSE_BAD,
                         "type %u from %d", samples[i].type, side);
        }
    free(parser);
}

/* Fields whose values the grammar limits. */
Test(frames, values_that_no_message_has, .timeout = 10)
{
    static const struct {
        size_t sample, at, octets;
        uint8_t value;
        bool right;
    } cases[] = {
        {0, 12, 1, 0, false}, /* HELLO: role 0, 3 */
        {0, 12, 1, 3, false},     {0, 12, 1, 2, true},
        {0, 13, 1, 0xFF, true},                        /* reserved: not looked at (FRM-11) */
        {0, 20, 8, 0, false},                          /* epoch 0 */
        {0, 20, 7, 0, true},      {0, 28, 8, 0, true}, /* echo 0 */
        {0, 44, 1, 0x1F, false}, /* tag: a control character, DEL, 8 bit; a character behind a zero */
        {0, 44, 1, 0x7F, false},  {0, 44, 1, 0x80, false},
        {0, 75, 1, 'x', false},   {0, 107, 1, 0, true}, /* name: 31 characters are right too */
        {0, 108, 32, 0xFF, true}, {2, 12, 1, 2, false}, /* READY: 2 */
        {2, 13, 3, 0xFF, true},   {6, 12, 4, 0, false}, /* OPEN: reverse channel 0 */
        {6, 16, 2, 0, true}, /* port 0 is a frame; what it asks for is refused */
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
Test(frames, a_changed_header_is_never_another_valid_frame, .timeout = 60)
{
    vpc_parser *parser = new_parser();
    uint8_t octets[VPC_SMALL_FRAME_MAX + 65536];
    size_t at;

    for (size_t i = 0; i < COUNT(samples); i++)
        for (unsigned octet = 0; octet < VPC_HEADER_SIZE; octet++)
            for (unsigned value = 0; value < 256; value++) {
                size_t n = encode_sample(i, octets);
                enum vpc_side side = from(samples[i].type, VPC_HOST) ? VPC_HOST : VPC_GUEST;

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
                    cr_expect(parser->frame.seal_session != UINT64_C(0xC0FFEE0000000000) + i ||
                              parser->frame.seal_number != UINT64_C(0x0A00000000000000) + i);
                else
                    cr_expect(octet == 2 ||
                              (octet >= 4 && parser->frame.channel != samples[i].channel));
                cr_expect_eq(parser->frame.type, octets[2]);
            }
    free(parser);
}

Test(frames, every_changed_octet_of_a_hello_breaks_its_seal, .timeout = 60)
{
    vpc_parser *parser = new_parser();
    uint8_t octets[sizeof(golden_hello)];
    size_t at;

    for (size_t octet = 0; octet < sizeof(octets); octet++)
        for (unsigned value = 0; value < 256; value++) {
            memcpy(octets, golden_hello, sizeof(octets));
            if (octets[octet] == value)
                continue;
            octets[octet] = (uint8_t)value;
            if (parse_first(parser, VPC_HOST, octets, sizeof(octets), &at) == VPC_PARSE_FRAME)
                cr_expect(parser->frame.seal_session != 0 ||
                              parser->frame.seal_number != parser->frame.crc,
                          "octet %zu, value %u", octet, value);
        }
    free(parser);
}

/* A payload that was handed on where it lay is the caller's again: padding that follows does not look at it any more. */
Test(frames, nothing_is_kept_of_a_payload_that_was_handed_on, .timeout = 10)
{
    vpc_parser *parser = new_parser();
    uint8_t *octets = malloc(VPC_SMALL_FRAME_MAX);
    const uint8_t *p = octets;
    size_t n = put_data(octets, 5, 'x');

    vpc_parser_follow(parser, VPC_HOST);
    cr_assert_eq(vpc_parse(parser, &p, p + n), VPC_PARSE_FRAME);
    free(octets);
    p = (const uint8_t *)"\x16\x16";
    cr_assert_eq(vpc_parse(parser, &p, p + 2), VPC_PARSE_MORE);
    cr_expect_eq(parser->buffered, 0);
    cr_expect_null(parser->direct);
    free(parser);
}

/* Padding for a payload: what was to come would swallow it, and the frame behind it too. */
Test(frames, a_new_start_forgets_the_payload_under_way, .timeout = 10)
{
    vpc_parser *parser = new_parser();
    uint8_t octets[1024];
    size_t n = put_data(octets, 500, VPC_PAD);
    const uint8_t *p = octets;

    vpc_parser_follow(parser, VPC_HOST);
    cr_assert_eq(vpc_parse(parser, &p, octets + 300), VPC_PARSE_MORE);
    vpc_parser_follow(parser, VPC_HOST);
    p = octets;
    for (size_t at = 0; at < n; at++)
        cr_expect_eq(vpc_parse(parser, &p, octets + at + 1),
                     at + 1 < n ? VPC_PARSE_MORE : VPC_PARSE_FRAME, "octet %zu", at);
    cr_expect_eq(parser->frame.payload_len, 500);
    free(parser);
}
