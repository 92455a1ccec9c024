/* SPDX-License-Identifier: MIT */
/* Decoding and encoding: the codec alone, without a session. */
#include "streams.h"
#include "suites.h"

#include <stdlib.h>
#include <string.h>

#define RING_SIZE (256u * 1024)

static const uint32_t payloads[] = {EMPTY, 1, 64, 512, 4096, 16384, VPC_PAYLOAD_MAX};
static const size_t pieces[] = {WHOLE, 64, 1400, 4096, 65536};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static json_t *row_of(const struct stream *stream, const struct contest *contest)
{
    return json_pack("{s:i, s:f, s:o}", "payload", (int)stream->payload, "octets_of_frame",
                     (double)stream->size / stream->frames, "contest", report_contest(contest));
}

static json_t *decode_row(const struct stream *stream, size_t piece, double ms)
{
    struct bench_ring ring = {must_allocate(RING_SIZE), RING_SIZE, 0};
    struct reading bare = {.stream = *stream,
                           .piece = piece,
                           .parser = must_allocate(sizeof(vpc_parser)),
                           .hand = must_allocate(sizeof(hand_decoder))};
    struct reading into_ring = bare;
    struct contest contest = {.units = stream->frames, .ms = ms};
    json_t *row;

    into_ring.ring = &ring;
    contest_add(&contest, "hand", read_by_hand, &bare);
    contest_add(&contest, "grammar", read_by_grammar, &bare);
    contest_add(&contest, "memcpy", read_by_memcpy, &into_ring);
    contest_add(&contest, "hand_and_ring", read_by_hand, &into_ring);
    contest_add(&contest, "grammar_and_ring", read_by_grammar, &into_ring);
    contest_run(&contest);
    row = row_of(stream, &contest);
    json_object_set_new(row, "piece", json_integer((json_int_t)piece));
    free(bare.parser);
    free(bare.hand);
    free(ring.octets);
    return row;
}

json_t *suite_decode(double ms)
{
    json_t *rows = json_array();

    for (size_t i = 0; i < COUNT(payloads); i++) {
        struct stream stream = stream_make(payloads[i]);

        for (size_t j = 0; j < COUNT(pieces); j++)
            json_array_append_new(rows, decode_row(&stream, pieces[j], ms));
        free(stream.octets);
    }
    return rows;
}

/* Frames to encode, one behind the other as a session stages them. */
struct writing {
    vpc_frame frames[2];
    unsigned count;
    uint8_t *out;
    const uint8_t *octets; /* the frames, encoded */
    size_t size;
};

static void write_frames(void *state)
{
    struct writing *writing = state;
    uint8_t *out = writing->out;

    for (unsigned i = 0; i < writing->count; i++) {
        writing->frames[i & 1].seal_number++;
        out += vpc_encode(&writing->frames[i & 1], out);
    }
}

static void copy_frames(void *state)
{
    struct writing *writing = state;
    size_t each = writing->size / writing->count;

    for (unsigned i = 0; i < writing->count; i++)
        memcpy(writing->out + i * each, writing->octets + i * each, each);
    __asm__ volatile("" : : "r"(writing->out) : "memory");
}

static void first_frames(struct writing *writing, const struct stream *stream, vpc_parser *parser)
{
    const uint8_t *p = stream->octets, *const end = p + stream->size;

    vpc_parser_follow(parser, VPC_HOST);
    for (unsigned i = 0; i < 2; i++) {
        vpc_parse(parser, &p, end);
        writing->frames[i] = parser->frame;
    }
}

json_t *suite_encode(double ms)
{
    json_t *rows = json_array();
    vpc_parser *parser = must_allocate(sizeof(*parser));

    for (size_t i = 0; i < COUNT(payloads); i++) {
        struct stream stream = stream_make(payloads[i]);
        struct writing writing = {.count = stream.frames,
                                  .out = must_allocate(stream.size),
                                  .octets = stream.octets,
                                  .size = stream.size};
        struct contest contest = {.units = stream.frames, .ms = ms};

        first_frames(&writing, &stream, parser);
        contest_add(&contest, "memcpy", copy_frames, &writing);
        contest_add(&contest, "encode", write_frames, &writing);
        contest_run(&contest);
        json_array_append_new(rows, row_of(&stream, &contest));
        free(writing.out);
        free(stream.octets);
    }
    free(parser);
    return rows;
}
