/* SPDX-License-Identifier: MIT */
/* What a receiver without a session looks for: at least 16 octets of padding, then a HELLO (FRM-10). */
#include "vpcbus.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define PADS 16u

/* The HELLO of test_frames.c: its octets are the document's, not the encoder's. */
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

static vpc_parser *new_parser(void)
{
    vpc_parser *parser = malloc(sizeof(*parser));

    cr_assert_not_null(parser);
    memset(parser, 0xA5, sizeof(*parser)); /* nothing may rest on what was there before */
    return parser;
}

/* Whether a HELLO with a right seal is found; what has a wrong one is passed over, as a session does. */
static bool hunt(vpc_parser *parser, const uint8_t *octets, size_t n)
{
    const uint8_t *end = octets + n;

    while (octets < end) {
        enum vpc_parse_result result = vpc_parse(parser, &octets, end);

        cr_assert_neq(result, VPC_PARSE_BAD);
        if (result == VPC_PARSE_MORE)
            return false;
        if (parser->frame.seal_session == 0 && parser->frame.seal_number == parser->frame.crc)
            return true;
        vpc_parser_hunt(parser);
    }
    return false;
}

/* `before`, then so many octets of padding, then a HELLO: whole, and octet by octet. */
static bool found(vpc_parser *parser, const void *before, size_t n, unsigned pads)
{
    uint8_t octets[4096];
    bool whole, single = false;

    cr_assert(n + pads + sizeof(golden_hello) <= sizeof(octets));
    if (n > 0)
        memcpy(octets, before, n);
    memset(octets + n, VPC_PAD, pads);
    memcpy(octets + n + pads, golden_hello, sizeof(golden_hello));
    n += pads + sizeof(golden_hello);
    vpc_parser_hunt(parser);
    whole = hunt(parser, octets, n);
    vpc_parser_hunt(parser);
    for (size_t i = 0; i < n && !single; i++)
        single = hunt(parser, octets + i, 1);
    cr_expect_eq(whole, single, "whole and octet by octet differ");
    return whole;
}

Test(hunt, the_hunt_wants_sixteen_pads, .timeout = 10)
{
    vpc_parser *parser = new_parser();

    for (unsigned pads = 0; pads < 64; pads++)
        cr_expect_eq(found(parser, NULL, 0, pads), pads >= PADS, "%u octets of padding", pads);
    cr_expect(
        !found(parser, "\x16\x16\x16\x16\x16\x16\x16\x16\x16\x16\x16\x16\x16\x16\x16x", 16, 1));
    cr_expect(
        !found(parser, "\x16\x16\x16\x16\x16\x16\x16\x16\x16\x16\x16\x16\x16\x16\x16x", 16, 15));
    cr_expect(
        found(parser, "\x16\x16\x16\x16\x16\x16\x16\x16\x16\x16\x16\x16\x16\x16\x16x", 16, 16));
    free(parser);
}

Test(hunt, the_hunt_passes_over_noise, .timeout = 30)
{
    vpc_parser *parser = new_parser();
    uint8_t noise[1024];
    uint32_t seed = 1;

    for (unsigned round = 0; round < 2000; round++) {
        size_t n = round % sizeof(noise);

        for (size_t i = 0; i < n; i++) {
            seed = seed * 1664525u + 1013904223u;
            /* much of what matters to the grammar among what does not */
            noise[i] =
                (uint8_t[]){VPC_PAD, 0xB5, 0x56, 0x01, 0, (uint8_t)(seed >> 16)}[(seed >> 24) % 6];
        }
        if (n > 0 && noise[n - 1] == VPC_PAD)
            noise[n - 1] = 'x';
        /* noise may leave the hunt inside a false HELLO: 156 octets of padding end it */
        cr_expect(found(parser, noise, n, PADS + 156), "round %u", round);
    }
    free(parser);
}

/* What begins like a HELLO and breaks off at each of its octets; then the true one. */
Test(hunt, false_beginnings_of_a_hello, .timeout = 30)
{
    vpc_parser *parser = new_parser();
    uint8_t octets[PADS + sizeof(golden_hello)];

    memset(octets, VPC_PAD, PADS);
    memcpy(octets + PADS, golden_hello, sizeof(golden_hello));
    for (size_t cut = 1; cut < sizeof(golden_hello); cut++)
        cr_expect(found(parser, octets, PADS + cut, PADS + 156), "cut after %zu", cut);
    /* In the magic and the header no padding can stand: the very next 16 octets count. */
    for (size_t cut = 1; cut <= VPC_HEADER_SIZE; cut++)
        cr_expect(found(parser, octets, PADS + cut, PADS), "cut after %zu", cut);
    free(parser);
}

Test(hunt, a_hello_with_a_wrong_seal_is_passed_over, .timeout = 30)
{
    vpc_parser *parser = new_parser();
    uint8_t octets[PADS + sizeof(golden_hello)];

    for (size_t octet = 0; octet < sizeof(golden_hello); octet++) {
        memset(octets, VPC_PAD, PADS);
        memcpy(octets + PADS, golden_hello, sizeof(golden_hello));
        octets[PADS + octet] ^= 0x20;
        vpc_parser_hunt(parser);
        cr_expect(!hunt(parser, octets, sizeof(octets)), "octet %zu", octet);
    }
    free(parser);
}

Test(hunt, frames_in_the_hunt_are_passed_over, .timeout = 10)
{
    static const uint8_t types[] = {VPC_READY,  VPC_HEARTBEAT, VPC_GOODBYE, VPC_OPEN,
                                    VPC_OPENED, VPC_REFUSED,   VPC_DATA,    VPC_CREDIT,
                                    VPC_FIN,    VPC_RESET,     VPC_RELEASED};
    vpc_parser *parser = new_parser();
    uint8_t octets[2048];
    size_t n = 0;

    for (size_t i = 0; i < sizeof(types); i++) {
        vpc_frame frame = {.type = types[i],
                           .channel = types[i] >= VPC_OPEN,
                           .reverse_channel = 2,
                           .payload = (const uint8_t *)"bytes",
                           .payload_len = 5,
                           .seal_number = i};

        memset(octets + n, VPC_PAD, i % 2 ? 3 : PADS);
        n += i % 2 ? 3 : PADS;
        n += vpc_encode(&frame, octets + n);
    }
    octets[n++] = 'x';
    cr_expect(found(parser, octets, n, PADS));
    cr_expect(!found(parser, octets, n, PADS - 1));
    free(parser);
}
