/* The codec of the puppet protocol: every cut of the stream gives the same frames. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "puppet/puppet.h"

struct sample {
    enum vpc_puppet_type type;
    uint32_t handle;
    const char *payload;
    size_t size;
};

static const struct sample samples[] = {
    {VPC_PUPPET_PING, 7, "", 0},
    {VPC_PUPPET_RUN, 1, "sh\0-c\0exit 3", 13},
    {VPC_PUPPET_KILL, 1, "\x09\0\0\0", 4},
    {VPC_PUPPET_LISTEN, 0x7fffffff, "\x1e\x18\0\0\0\0\0\0\0\0\0\0", 12},
    {VPC_PUPPET_DATA, VPC_PUPPET_ACCEPTED, "x", 1},
    {VPC_PUPPET_WINDOW_MORE, 0xffffffff, "\0\x40\0\0", 4},
    {VPC_PUPPET_FIN, 2, "", 0},
    {VPC_PUPPET_CLOSE, 2, "", 0},
    {VPC_PUPPET_FINISH, 3, "", 0},
};

#define SAMPLES (sizeof(samples) / sizeof(*samples))

static size_t encode(uint8_t *out)
{
    size_t size = 0;

    for (size_t i = 0; i < SAMPLES; i++) {
        vpc_puppet_put_header(out + size, samples[i].type, samples[i].handle, samples[i].size);
        size += VPC_PUPPET_HEADER;
        memcpy(out + size, samples[i].payload, samples[i].size);
        size += samples[i].size;
    }
    return size;
}

/* Feeds one piece, checks each frame against the samples from *next on. */
static void feed_piece(struct vpc_puppet_decoder *decoder, const uint8_t *bytes, size_t size,
                       size_t *next)
{
    struct vpc_puppet_frame frame;
    size_t used;

    while (size > 0) {
        enum vpc_puppet_fed fed = vpc_puppet_feed(decoder, bytes, size, &used, &frame);

        cr_assert_neq(fed, VPC_PUPPET_BAD);
        cr_assert_gt(used, 0);
        bytes += used;
        size -= used;
        if (fed == VPC_PUPPET_MORE) {
            cr_assert_eq(size, 0);
            continue;
        }
        cr_assert_lt(*next, SAMPLES);
        const struct sample *expected = &samples[(*next)++];
        cr_assert_eq(frame.type, expected->type);
        cr_assert_eq(frame.handle, expected->handle);
        cr_assert_eq(frame.size, expected->size);
        cr_assert_arr_eq(frame.payload, expected->payload, expected->size);
    }
}

static struct vpc_puppet_decoder *new_decoder(enum vpc_puppet_side from)
{
    struct vpc_puppet_decoder *decoder = malloc(sizeof(*decoder));

    cr_assert_not_null(decoder);
    vpc_puppet_decoder_reset(decoder, from);
    return decoder;
}

Test(puppet_wire, every_cut_in_two, .timeout = 10)
{
    uint8_t bytes[512];
    size_t size = encode(bytes);
    struct vpc_puppet_decoder *decoder = new_decoder(VPC_PUPPET_FROM_HARNESS);

    for (size_t cut = 0; cut <= size; cut++) {
        size_t next = 0;

        feed_piece(decoder, bytes, cut, &next);
        feed_piece(decoder, bytes + cut, size - cut, &next);
        cr_assert_eq(next, SAMPLES, "cut at %zu: %zu frames", cut, next);
    }
    free(decoder);
}

Test(puppet_wire, every_piece_size, .timeout = 10)
{
    uint8_t bytes[512];
    size_t size = encode(bytes);
    struct vpc_puppet_decoder *decoder = new_decoder(VPC_PUPPET_FROM_HARNESS);

    for (size_t piece = 1; piece <= size; piece++) {
        size_t next = 0;

        for (size_t at = 0; at < size; at += piece)
            feed_piece(decoder, bytes + at, size - at < piece ? size - at : piece, &next);
        cr_assert_eq(next, SAMPLES, "pieces of %zu: %zu frames", piece, next);
    }
    free(decoder);
}

Test(puppet_wire, largest_frame, .timeout = 10)
{
    uint8_t *bytes = calloc(1, VPC_PUPPET_FRAME_MAX);
    struct vpc_puppet_decoder *decoder = new_decoder(VPC_PUPPET_FROM_PUPPET);
    struct vpc_puppet_frame frame;
    size_t used;

    cr_assert_not_null(bytes);
    vpc_puppet_put_header(bytes, VPC_PUPPET_DATA, 5, VPC_PUPPET_PAYLOAD_MAX);
    bytes[VPC_PUPPET_FRAME_MAX - 1] = 0xa5;
    cr_assert_eq(vpc_puppet_feed(decoder, bytes, VPC_PUPPET_FRAME_MAX, &used, &frame),
                 VPC_PUPPET_FRAME);
    cr_assert_eq(used, VPC_PUPPET_FRAME_MAX);
    cr_assert_eq(frame.size, VPC_PUPPET_PAYLOAD_MAX);
    cr_assert_eq(frame.payload[frame.size - 1], 0xa5);
    free(decoder);
    free(bytes);
}

static enum vpc_puppet_fed feed_header(enum vpc_puppet_side from, uint32_t size, uint32_t type)
{
    struct vpc_puppet_decoder *decoder = new_decoder(from);
    struct vpc_puppet_frame frame;
    uint8_t bytes[VPC_PUPPET_HEADER] = {0};
    size_t used;

    vpc_puppet_put32(bytes, size);
    vpc_puppet_put32(bytes + 4, type);
    enum vpc_puppet_fed fed = vpc_puppet_feed(decoder, bytes, sizeof(bytes), &used, &frame);
    free(decoder);
    return fed;
}

Test(puppet_wire, bad_headers, .timeout = 10)
{
    const enum vpc_puppet_side harness = VPC_PUPPET_FROM_HARNESS, puppet = VPC_PUPPET_FROM_PUPPET;

    cr_assert_eq(feed_header(harness, 0, VPC_PUPPET_PING), VPC_PUPPET_FRAME);
    cr_assert_eq(feed_header(harness, 0, 0), VPC_PUPPET_BAD, "no type 0");
    cr_assert_eq(feed_header(harness, 0, VPC_PUPPET_TYPES), VPC_PUPPET_BAD, "no such type");
    cr_assert_eq(feed_header(harness, 0, VPC_PUPPET_PING | 0x10000), VPC_PUPPET_BAD, "zero is 0");
    cr_assert_eq(feed_header(harness, 1, VPC_PUPPET_PING), VPC_PUPPET_BAD, "too long");
    cr_assert_eq(feed_header(harness, 3, VPC_PUPPET_KILL), VPC_PUPPET_BAD, "too short");
    cr_assert_eq(feed_header(harness, VPC_PUPPET_PAYLOAD_MAX + 1, VPC_PUPPET_DATA), VPC_PUPPET_BAD);
    cr_assert_eq(feed_header(harness, 4, VPC_PUPPET_PONG), VPC_PUPPET_BAD, "not the harness's");
    cr_assert_eq(feed_header(puppet, 0, VPC_PUPPET_PING), VPC_PUPPET_BAD, "not the puppet's");
    cr_assert_eq(feed_header(puppet, 4, VPC_PUPPET_PONG), VPC_PUPPET_MORE);
}

Test(puppet_wire, strings_end, .timeout = 10)
{
    struct vpc_puppet_frame frame = {.payload = (const uint8_t *)"ab\0\0cd", .size = 6};
    size_t at = 0;

    cr_assert_str_eq(vpc_puppet_string(&frame, &at), "ab");
    cr_assert_str_eq(vpc_puppet_string(&frame, &at), "");
    cr_assert_null(vpc_puppet_string(&frame, &at), "cd has no end in the frame");
    cr_assert_eq(at, 4);
    frame.size = 7; /* with the literal's own NUL */
    cr_assert_str_eq(vpc_puppet_string(&frame, &at), "cd");
    cr_assert_null(vpc_puppet_string(&frame, &at));
}

Test(puppet_wire, every_type_has_a_name, .timeout = 10)
{
    for (unsigned type = VPC_PUPPET_PING; type < VPC_PUPPET_TYPES; type++)
        cr_assert_str_neq(vpc_puppet_type_name(type), "?", "type %u", type);
    cr_assert_str_eq(vpc_puppet_type_name(0), "?");
    cr_assert_str_eq(vpc_puppet_type_name(VPC_PUPPET_TYPES), "?");
}
