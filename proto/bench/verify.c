/* SPDX-License-Identifier: MIT */
/*
 * A contest is worth nothing when one contender does less: both decoders must see the same in good and in bad octets.
 */
#include "streams.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TAIL                                                                                       \
    65u /* copies of a good frame behind the changed octet: enough for the longest frame to end */

struct log {
    uint8_t *octets; /* every frame, encoded again */
    size_t size;
    enum vpc_parse_result end;
};

static void note(struct log *log, const vpc_frame *frame)
{
    log->size += vpc_encode(frame, log->octets + log->size);
}

static void log_grammar(struct log *log, const struct reading *reading, enum vpc_side sender)
{
    size_t piece = reading->piece != WHOLE ? reading->piece : reading->stream.size;
    const uint8_t *p = reading->stream.octets, *const end = p + reading->stream.size;

    log->size = 0;
    vpc_parser_follow(reading->parser, sender);
    do {
        const uint8_t *pe = (size_t)(end - p) < piece ? end : p + piece;

        while ((log->end = vpc_parse(reading->parser, &p, pe)) == VPC_PARSE_FRAME)
            note(log, &reading->parser->frame);
    } while (p < end && log->end == VPC_PARSE_MORE);
}

static void log_hand(struct log *log, const struct reading *reading, enum vpc_side sender)
{
    size_t piece = reading->piece != WHOLE ? reading->piece : reading->stream.size;
    const uint8_t *p = reading->stream.octets, *const end = p + reading->stream.size;

    log->size = 0;
    hand_follow(reading->hand, sender);
    do {
        const uint8_t *pe = (size_t)(end - p) < piece ? end : p + piece;

        while ((log->end = hand_decode(reading->hand, &p, pe)) == VPC_PARSE_FRAME)
            note(log, &reading->hand->frame);
    } while (p < end && log->end == VPC_PARSE_MORE);
}

static void compare(struct log logs[2], const struct reading *reading, enum vpc_side sender)
{
    log_grammar(&logs[0], reading, sender);
    log_hand(&logs[1], reading, sender);
    if (logs[0].end == logs[1].end && logs[0].size == logs[1].size &&
        memcmp(logs[0].octets, logs[1].octets, logs[0].size) == 0)
        return;
    fprintf(stderr,
            "bench-proto: the decoders disagree: %zu octets of frames and result %d, %zu and %d\n",
            logs[0].size, (int)logs[0].end, logs[1].size, (int)logs[1].end);
    exit(1);
}

/* Each octet of the stream, changed to some other values. */
static void compare_changed(struct log logs[2], struct reading *reading, enum vpc_side sender,
                            size_t changeable)
{
    static const uint8_t changes[] = {0x01, 0x02, 0x10, 0x80, 0xff, 0x1f};

    for (size_t at = 0; at < changeable; at++) {
        for (size_t i = 0; i < sizeof(changes); i++) {
            reading->stream.octets[at] ^= changes[i];
            compare(logs, reading, sender);
            reading->stream.octets[at] ^= changes[i];
        }
    }
}

static void verify_side(struct log logs[2], struct reading *reading, enum vpc_side sender)
{
    struct stream mixed = stream_make_mixed(sender), tail = stream_make(1024);
    struct stream both = {.octets = must_allocate(mixed.size + TAIL * 1060)};

    memcpy(both.octets, mixed.octets, mixed.size);
    memcpy(both.octets + mixed.size, tail.octets, TAIL * 1060);
    both.size = mixed.size + TAIL * 1060;
    reading->stream = both;
    for (reading->piece = 1; reading->piece < 64; reading->piece++)
        compare(logs, reading, sender);
    reading->piece = WHOLE;
    compare(logs, reading, sender);
    compare_changed(logs, reading, sender, mixed.size);
    free(both.octets);
    free(mixed.octets);
    free(tail.octets);
}

void streams_verify(void)
{
    struct reading reading = {.parser = must_allocate(sizeof(vpc_parser)),
                              .hand = must_allocate(sizeof(hand_decoder))};
    struct log logs[2] = {{.octets = must_allocate(1 << 20)}, {.octets = must_allocate(1 << 20)}};

    verify_side(logs, &reading, VPC_HOST);
    verify_side(logs, &reading, VPC_GUEST);
    free(logs[0].octets);
    free(logs[1].octets);
    free(reading.parser);
    free(reading.hand);
}
