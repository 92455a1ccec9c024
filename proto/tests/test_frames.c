/* SPDX-License-Identifier: MIT */
/*
 * Frames: octets to messages and back.
 *
 * Goal    What vpc_encode writes is what vpc_parse reads, wherever the input is split, and both are what the document
 *         says: the golden octets below were written from its tables, not by the encoder.
 * Never   A changed octet of a HELLO passes for another valid one.
 */
#include "samples.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

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
        cr_expect_eq(got->seal_session, SAMPLE_SESSION + i);
        cr_expect_eq(got->seal_number, SAMPLE_NUMBER + i);
    }
}

Test(frames, every_message_at_every_split_point, .timeout = 30)
{
    vpc_parser *parser = new_parser();
    uint8_t octets[VPC_SMALL_FRAME_MAX];

    for (size_t i = 0; i < SAMPLES; i++) {
        size_t n = encode_sample(i, octets);

        for (enum vpc_side side = VPC_HOST; side <= VPC_GUEST; side++)
            for (size_t split = 1; split <= n && sample_from(samples[i].type, side); split++) {
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
    uint8_t octets[SAMPLES * (VPC_SMALL_FRAME_MAX + 3)];
    const uint8_t *p = octets, *end;
    size_t n = 0;

    for (size_t i = 0; i < SAMPLES; i++) {
        if (!sample_from(samples[i].type, VPC_GUEST))
            continue;
        memset(octets + n, VPC_PAD, i % 4);
        n += i % 4;
        n += encode_sample(i, octets + n);
    }
    end = octets + n;
    vpc_parser_follow(parser, VPC_GUEST);
    for (size_t i = 0; i < SAMPLES; i++) {
        if (!sample_from(samples[i].type, VPC_GUEST))
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
