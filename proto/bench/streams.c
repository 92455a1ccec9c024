/* SPDX-License-Identifier: MIT */
#include "streams.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STREAM_SIZE  (256u * 1024) /* more than a first-level cache, less than a second-level one */
#define STREAM_LEAST 8u            /* frames */
#define SESSION      UINT64_C(0x1122334455667788)

void *must_allocate(size_t size)
{
    void *memory = calloc(1, size);

    if (memory == NULL) {
        fprintf(stderr, "bench-proto: no memory for %zu octets\n", size);
        exit(1);
    }
    return memory;
}

static void append(struct stream *stream, vpc_frame frame)
{
    frame.seal_session = SESSION;
    frame.seal_number = ++stream->frames;
    stream->size += vpc_encode(&frame, stream->octets + stream->size);
}

struct stream stream_make(uint32_t payload)
{
    struct stream stream = {.payload = payload};
    size_t each = VPC_HEADER_SIZE + 8 + payload + VPC_SEAL_SIZE;
    size_t frames = STREAM_SIZE / each > STREAM_LEAST ? STREAM_SIZE / each : STREAM_LEAST;
    uint8_t *content = must_allocate(VPC_PAYLOAD_MAX);

    stream.octets = must_allocate(frames * each);
    for (uint32_t i = 0; i < payload; i++)
        content[i] = (uint8_t)(i * 31 + (i >> 8));
    for (size_t i = 0; i < frames; i++) {
        if (payload > 0)
            append(&stream, (vpc_frame){.type = VPC_DATA,
                                        .channel = 1,
                                        .offset = i * payload,
                                        .payload = content,
                                        .payload_len = payload});
        else if (i % 2 == 0)
            append(&stream, (vpc_frame){.type = VPC_HEARTBEAT, .count = i});
        else
            append(&stream, (vpc_frame){.type = VPC_CREDIT, .channel = 2, .limit = i * 1000});
    }
    free(content);
    return stream;
}

struct stream stream_make_mixed(enum vpc_side sender)
{
    static const vpc_frame of_host[] = {
        {.type = VPC_OPEN, .channel = 1, .reverse_channel = 2, .port = 80, .limit = 4096},
    };
    static const vpc_frame of_guest[] = {
        {.type = VPC_READY, .ready = 1},
        {.type = VPC_OPENED, .channel = 1, .limit = 512},
        {.type = VPC_REFUSED, .channel = 3, .error = 111},
    };
    static const vpc_frame of_both[] = {
        {.type = VPC_HELLO,
         .role = 1,
         .version_min = 256,
         .version_max = 256,
         .epoch = 77,
         .echo = 5,
         .tag = "TAG",
         .name = "bench"},
        {.type = VPC_HEARTBEAT, .count = 9},
        {.type = VPC_DATA, .channel = 1, .payload = (const uint8_t *)"payload", .payload_len = 7},
        {.type = VPC_CREDIT, .channel = 2, .limit = 70000},
        {.type = VPC_FIN, .channel = 1, .offset = 7},
        {.type = VPC_RESET, .channel = 2, .error = 71},
        {.type = VPC_RELEASED, .channel = 2, .offset = 100},
        {.type = VPC_GOODBYE, .cause = 1},
    };
    bool host = sender == VPC_HOST;
    const vpc_frame *own = host ? of_host : of_guest;
    size_t owns =
        host ? sizeof(of_host) / sizeof(of_host[0]) : sizeof(of_guest) / sizeof(of_guest[0]);
    struct stream stream = {.octets = must_allocate(16 * VPC_SMALL_FRAME_MAX)};

    for (size_t i = 0; i < owns; i++)
        append(&stream, own[i]);
    memset(stream.octets + stream.size, VPC_PAD, 3);
    stream.size += 3;
    for (size_t i = 0; i < sizeof(of_both) / sizeof(of_both[0]); i++)
        append(&stream, of_both[i]);
    return stream;
}

void bench_ring_put(struct bench_ring *ring, const uint8_t *octets, size_t n)
{
    size_t first = ring->size - ring->tail;

    if (first > n)
        first = n;
    memcpy(ring->octets + ring->tail, octets, first);
    memcpy(ring->octets, octets + first, n - first);
    ring->tail += (uint32_t)n;
    if (ring->tail >= ring->size)
        ring->tail -= ring->size;
}

static void consume(struct reading *reading, const vpc_frame *frame)
{
    reading->sum += frame->seal_number;
    if (reading->ring != NULL && frame->type == VPC_DATA)
        bench_ring_put(reading->ring, frame->payload, frame->payload_len);
}

static size_t piece_at(const struct reading *reading, size_t at)
{
    size_t left = reading->stream.size - at;

    return reading->piece == WHOLE || reading->piece > left ? left : reading->piece;
}

static void must_not_be_bad(enum vpc_parse_result result)
{
    if (result == VPC_PARSE_MORE)
        return;
    fprintf(stderr, "bench-proto: a decoder refused its stream\n");
    exit(1);
}

void read_by_grammar(void *state)
{
    struct reading *reading = state;
    enum vpc_parse_result result;

    vpc_parser_follow(reading->parser, VPC_HOST);
    for (size_t at = 0, n; at < reading->stream.size; at += n) {
        const uint8_t *p = reading->stream.octets + at, *end;

        n = piece_at(reading, at);
        end = p + n;
        while ((result = vpc_parse(reading->parser, &p, end)) == VPC_PARSE_FRAME)
            consume(reading, &reading->parser->frame);
        must_not_be_bad(result);
    }
}

void read_by_hand(void *state)
{
    struct reading *reading = state;
    enum vpc_parse_result result;

    hand_follow(reading->hand, VPC_HOST);
    for (size_t at = 0, n; at < reading->stream.size; at += n) {
        const uint8_t *p = reading->stream.octets + at, *end;

        n = piece_at(reading, at);
        end = p + n;
        while ((result = hand_decode(reading->hand, &p, end)) == VPC_PARSE_FRAME)
            consume(reading, &reading->hand->frame);
        must_not_be_bad(result);
    }
}

void read_by_memcpy(void *state)
{
    struct reading *reading = state;
    size_t frame = reading->stream.size / reading->stream.frames;

    for (size_t at = 0, n; at < reading->stream.size; at += n) {
        n = piece_at(reading, at);
        if (reading->piece == WHOLE && n > frame)
            n = frame;
        bench_ring_put(reading->ring, reading->stream.octets + at, n);
    }
}
