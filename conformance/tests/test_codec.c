/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "codec/codec.h"
#include "document/embedded.h"

static struct vpc_table *table;

static void set_up(void)
{
    char *error = NULL;

    table = vpc_table_load(vpc_embedded_messages, &error);
    cr_assert_not_null(table, "%s", error);
}

static void tear_down(void)
{
    vpc_table_free(table);
}

TestSuite(codec, .init = set_up, .fini = tear_down, .timeout = 20);

#define HOST  0x1122334455667788u
#define GUEST 0x99aabbccddeeff01u

static void add_hello(struct vpc_buffer *out, uint64_t epoch, uint64_t echo, size_t pads)
{
    struct conform_frame frame;

    vpc_frame_begin(&frame, table, vpc_table_by_name(table, "hello"));
    vpc_frame_set(&frame, "role", 1);
    vpc_frame_set(&frame, "version_min", 256);
    vpc_frame_set(&frame, "version_max", 256);
    vpc_frame_set(&frame, "epoch", epoch);
    vpc_frame_set(&frame, "echo", echo);
    vpc_frame_set_text(&frame, "name", "codec test");
    frame.number = vpc_frame_crc(&frame);
    vpc_buffer_fill(out, table->pad, pads);
    vpc_frame_encode(&frame, out);
    vpc_frame_clear(&frame);
}

static void add_sealed(struct vpc_buffer *out, const char *name, uint32_t channel, uint64_t number)
{
    struct conform_frame frame;

    vpc_frame_begin(&frame, table, vpc_table_by_name(table, name));
    frame.channel = channel;
    vpc_frame_set(&frame, "reverse_channel", channel + 1);
    vpc_frame_set_payload(&frame, "Hello", 5);
    frame.session = conform_session_id(HOST, GUEST);
    frame.number = number;
    vpc_frame_encode(&frame, out);
    vpc_frame_clear(&frame);
}

/* Decodes all of the octets, given in two parts, and tells what came as one letter each; '!' is bad octets. */
static char *decode(const struct vpc_buffer *octets, size_t split)
{
    struct vpc_decoder decoder;
    char *seen = vpc_alloc(64);
    size_t n = 0;

    vpc_decoder_begin(&decoder, table, VPC_FROM_HOST);
    for (int part = 0; part < 2; part++) {
        struct conform_frame frame;
        struct vpc_bad_octets bad;
        enum vpc_decoded got;

        vpc_decoder_add(&decoder, octets->data + (part ? split : 0),
                        part ? octets->end - split : split);
        while ((got = vpc_decoder_next(&decoder, &frame, &bad)) != VPC_DECODED_NONE && n < 63) {
            seen[n++] = got == VPC_DECODED_FRAME ? frame.message->name[0] : '!';
            if (got == VPC_DECODED_FRAME)
                vpc_frame_clear(&frame);
        }
    }
    vpc_decoder_end(&decoder);
    return seen;
}

static void expect(const struct vpc_buffer *octets, const char *want)
{
    for (size_t split = 0; split <= octets->end; split++) {
        char *seen = decode(octets, split);

        cr_assert_str_eq(seen, want, "split at %zu", split);
        free(seen);
    }
}

Test(codec, crc_and_mix)
{
    cr_assert_eq(conform_crc32c("123456789", 9), 0xe3069283);
    cr_assert_eq(conform_session_id(0, 0), 0);
    cr_assert_neq(conform_session_id(1, 2), conform_session_id(2, 1));
}

Test(codec, table_has_the_sizes_of_the_document)
{
    cr_assert_eq(vpc_table_by_name(table, "HELLO")->max_body, 128);
    cr_assert_eq(vpc_table_by_name(table, "data")->min_body, 9);
    cr_assert_eq(vpc_table_by_name(table, "data")->max_body, 65536);
    cr_assert_eq(vpc_table_by_type(table, 0x10)->max_body, 20);
    cr_assert_null(vpc_table_by_name(table, "HALLO"));
}

Test(codec, table_that_is_wrong_is_refused)
{
    char *error = NULL;

    cr_assert_null(vpc_table_load("{\"frame\": 3}", &error));
    cr_assert_not_null(strstr(error, "pad"));
    free(error);
    cr_assert_null(vpc_table_load("{", &error));
    cr_assert_not_null(strstr(error, "line 1"));
    free(error);
}

Test(codec, every_split)
{
    struct vpc_buffer octets = {0};

    add_hello(&octets, HOST, GUEST, 40);
    add_sealed(&octets, "open", 1, 1);
    vpc_buffer_fill(&octets, table->pad, 3);
    add_sealed(&octets, "data", 1, 2);
    add_sealed(&octets, "goodbye", 0, 3);
    expect(&octets, "HODG");
    vpc_buffer_free(&octets);
}

Test(codec, hunt_passes_over_all_but_a_hello_after_padding)
{
    struct vpc_buffer octets = {0};

    vpc_buffer_add(&octets, "\xb5\x56\x01 noise", 9);
    add_sealed(&octets, "open", 1, 1);
    add_hello(&octets, HOST, 0, 15);
    add_hello(&octets, HOST, GUEST, 16);
    add_sealed(&octets, "open", 1, 1);
    expect(&octets, "HO");
    vpc_buffer_free(&octets);
}

Test(codec, false_hello_in_the_hunt_is_passed_over)
{
    struct vpc_buffer octets = {0};

    add_hello(&octets, HOST, GUEST, 30);
    octets.data[octets.end - 1] ^= 1;
    add_hello(&octets, HOST, GUEST, 30);
    octets.data[octets.end - 20] ^= 1;
    add_hello(&octets, HOST, GUEST, 30);
    expect(&octets, "H");
    vpc_buffer_free(&octets);
}

/* One wrong octet or number in the second frame: framing is lost there, and only a new preamble ends that. */
static void expect_lost(size_t octet, uint8_t value, uint64_t number)
{
    struct vpc_buffer octets = {0};
    size_t second;

    add_hello(&octets, HOST, GUEST, 20);
    second = octets.end;
    add_sealed(&octets, "credit", 1, number);
    if (octet)
        octets.data[second + octet] = value;
    add_sealed(&octets, "open", 1, 2);
    add_hello(&octets, HOST + 1, GUEST, 20);
    expect(&octets, "H!H");
    vpc_buffer_free(&octets);
}

Test(codec, framing_lost)
{
    expect_lost(1, 0x57, 1);  /* magic */
    expect_lost(2, 0x77, 1);  /* unknown type */
    expect_lost(2, 0x11, 1);  /* a guest's message */
    expect_lost(3, 1, 1);     /* flags */
    expect_lost(4, 0, 1);     /* channel 0 */
    expect_lost(8, 9, 1);     /* length */
    expect_lost(20, 0x55, 1); /* session of the seal */
    expect_lost(0, 0, 2);     /* number */
}

Test(codec, a_lie_is_encoded_as_it_stands)
{
    struct vpc_buffer octets = {0};
    struct conform_frame frame;

    vpc_frame_begin(&frame, table, vpc_table_by_name(table, "fin"));
    frame.magic[0] = 0;
    frame.length = 1000;
    vpc_frame_encode(&frame, &octets);
    cr_assert_eq(octets.end, 12 + 8 + 16);
    cr_assert_eq(octets.data[0], 0);
    cr_assert_eq(octets.data[8] | octets.data[9] << 8, 1000);
    cr_assert_not(vpc_frame_set(&frame, "limit", 1));
    vpc_frame_clear(&frame);
    vpc_buffer_free(&octets);
}

Test(codec, cut_frame_is_told_from_a_wrong_one)
{
    struct vpc_buffer octets = {0};
    struct vpc_decoder decoder;
    struct conform_frame frame;
    struct vpc_bad_octets bad;

    add_hello(&octets, HOST, GUEST, 20);
    add_sealed(&octets, "data", 1, 1);
    octets.end -= 20;
    vpc_buffer_fill(&octets, table->pad, 100);
    vpc_decoder_begin(&decoder, table, VPC_FROM_HOST);
    vpc_decoder_add(&decoder, octets.data, octets.end);
    cr_assert_eq(vpc_decoder_next(&decoder, &frame, &bad), VPC_DECODED_FRAME);
    cr_assert_eq(frame.pads, 20);
    vpc_frame_clear(&frame);
    cr_assert_eq(vpc_decoder_next(&decoder, &frame, &bad), VPC_DECODED_BAD);
    cr_assert(bad.may_be_cut);
    vpc_decoder_end(&decoder);
    vpc_buffer_free(&octets);
}

/* Padding is counted and not kept, in whatever pieces it comes. */
Test(codec, a_run_that_is_passed_over_is_not_kept)
{
    struct vpc_buffer buffer = {0};

    cr_expect_eq(vpc_buffer_add_behind_run(&buffer, "aaab", 4, 'a'), 3);
    cr_expect_eq(vpc_buffer_size(&buffer), 1);
    cr_expect_eq(vpc_buffer_add_behind_run(&buffer, "aac", 3, 'a'), 0,
                 "it stands behind another octet");
    cr_expect_eq(vpc_buffer_size(&buffer), 4);
    cr_expect_eq(memcmp(vpc_buffer_head(&buffer), "baac", 4), 0);
    vpc_buffer_drop(&buffer, 4);
    cr_expect_eq(vpc_buffer_add_behind_run(&buffer, "aaa", 3, 'a'), 3);
    cr_expect_eq(vpc_buffer_size(&buffer), 0);
    vpc_buffer_free(&buffer);
}
