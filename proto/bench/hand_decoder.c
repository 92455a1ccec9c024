/* SPDX-License-Identifier: MIT */
/*
 * Reads a frame where it lies when the input holds all of it, with one check of the length and loads of whole integers;
 * else gathers it in the buffer and reads it there.
 */
#include "hand_decoder.h"

#include <string.h>

#define HELLO_BODY 128u

enum { FROM_HOST = 1, FROM_GUEST = 2, EITHER = 3 };

/* By type; a length of 0 with senders: DATA.  No senders: no such type. */
static const struct {
    uint8_t length, senders;
    bool of_channel;
} rules[] = {
    [VPC_HELLO] = {HELLO_BODY, EITHER, false}, [VPC_READY] = {4, FROM_GUEST, false},
    [VPC_HEARTBEAT] = {8, EITHER, false},      [VPC_GOODBYE] = {4, EITHER, false},
    [VPC_OPEN] = {20, FROM_HOST, true},        [VPC_OPENED] = {8, FROM_GUEST, true},
    [VPC_REFUSED] = {4, FROM_GUEST, true},     [VPC_DATA] = {0, EITHER, true},
    [VPC_CREDIT] = {8, EITHER, true},          [VPC_FIN] = {8, EITHER, true},
    [VPC_RESET] = {4, EITHER, true},           [VPC_RELEASED] = {8, EITHER, true},
    [VPC_EVENT] = {120, FROM_GUEST, false},
};

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t get64(const uint8_t *p)
{
    return (uint64_t)get32(p + 4) << 32 | get32(p);
}

/* The octets of the frame that begins with this header, 0 for a bad one. */
static uint32_t check_header(const hand_decoder *decoder, const uint8_t *p)
{
    uint32_t length = get32(p + 8);
    uint8_t type = p[2];

    if (get16(p) != 0x56B5 || type >= sizeof(rules) / sizeof(rules[0]) || p[3] != 0)
        return 0;
    if (!(rules[type].senders & (unsigned)decoder->sender) ||
        (get32(p + 4) != 0) != rules[type].of_channel)
        return 0;
    if (type == VPC_DATA ? length < 9 || length > VPC_BODY_MAX : length != rules[type].length)
        return 0;
    return VPC_HEADER_SIZE + length + VPC_SEAL_SIZE;
}

static bool get_text(char *text, const uint8_t *p)
{
    uint32_t n = 0;

    while (n < VPC_TEXT_MAX && p[n] >= 0x20 && p[n] <= 0x7e)
        n++;
    for (uint32_t i = n; i < VPC_TEXT_MAX; i++)
        if (p[i] != 0)
            return false;
    memcpy(text, p, VPC_TEXT_MAX);
    text[VPC_TEXT_MAX] = '\0';
    return true;
}

static bool get_hello(vpc_frame *f, const uint8_t *p)
{
    f->crc = vpc_crc32c(0, p - VPC_HEADER_SIZE, VPC_HEADER_SIZE + HELLO_BODY);
    f->role = p[0];
    f->version_min = get16(p + 2);
    f->version_max = get16(p + 4);
    f->max_pairs = get16(p + 6);
    f->epoch = get64(p + 8);
    f->echo = get64(p + 16);
    f->features = get32(p + 24);
    f->heartbeat_ms = get32(p + 28);
    return (f->role == 1 || f->role == 2) && f->epoch != 0 && get_text(f->tag, p + 32) &&
           get_text(f->name, p + 64);
}

static bool get_open(vpc_frame *f, const uint8_t *p)
{
    f->reverse_channel = get32(p);
    f->port = get16(p + 4);
    f->connect_ms = get32(p + 8);
    f->limit = get64(p + 12);
    return f->reverse_channel != 0;
}

static bool get_event(vpc_frame *f, const uint8_t *p)
{
    f->event = get32(p);
    f->lost = get32(p + 4);
    f->time = get64(p + 8);
    f->h2g = get32(p + 16);
    f->g2h = get32(p + 20);
    f->port = get16(p + 24);
    f->level = p[26];
    f->error = get32(p + 28);
    f->sent = get64(p + 32);
    f->received = get64(p + 40);
    f->value = get64(p + 48);
    return f->event != 0 && f->level <= 2 && get_text(f->cause_text, p + 56) &&
           get_text(f->detail, p + 88);
}

static bool get_body(vpc_frame *f, const uint8_t *p, uint32_t length)
{
    switch ((enum vpc_message)f->type) {
    case VPC_HELLO:
        return get_hello(f, p);
    case VPC_OPEN:
        return get_open(f, p);
    case VPC_EVENT:
        return get_event(f, p);
    case VPC_READY:
        f->ready = p[0];
        return f->ready <= 1;
    case VPC_HEARTBEAT:
        f->count = get64(p);
        return true;
    case VPC_GOODBYE:
        f->cause = get32(p);
        return true;
    case VPC_DATA:
        f->offset = get64(p);
        f->payload = p + 8;
        f->payload_len = length - 8;
        return true;
    case VPC_REFUSED:
    case VPC_RESET:
        f->error = get32(p);
        return true;
    case VPC_OPENED:
    case VPC_CREDIT:
        f->limit = get64(p);
        return true;
    case VPC_FIN:
    case VPC_RELEASED:
        f->offset = get64(p);
        return true;
    }
    return false;
}

static enum vpc_parse_result read_frame(hand_decoder *decoder, const uint8_t *p, uint32_t size)
{
    vpc_frame *frame = &decoder->frame;

    frame->type = p[2];
    frame->channel = get32(p + 4);
    frame->payload_len = 0;
    frame->seal_session = get64(p + size - 16);
    frame->seal_number = get64(p + size - 8);
    return get_body(frame, p + VPC_HEADER_SIZE, size - VPC_HEADER_SIZE - VPC_SEAL_SIZE)
               ? VPC_PARSE_FRAME
               : VPC_PARSE_BAD;
}

/* True when nothing is missing any more. */
static bool gather(hand_decoder *decoder, const uint8_t **octets, const uint8_t *end)
{
    size_t n = (size_t)(end - *octets);

    if (n > decoder->missing)
        n = decoder->missing;
    memcpy(decoder->buffer + decoder->held, *octets, n);
    decoder->held += (uint32_t)n;
    decoder->missing -= (uint32_t)n;
    *octets += n;
    return decoder->missing == 0;
}

static enum vpc_parse_result decode_gathered(hand_decoder *decoder, const uint8_t **octets,
                                             const uint8_t *end)
{
    uint32_t size = VPC_HEADER_SIZE;

    if (decoder->held < VPC_HEADER_SIZE) {
        decoder->missing = VPC_HEADER_SIZE - decoder->held;
        if (!gather(decoder, octets, end))
            return VPC_PARSE_MORE;
        size = check_header(decoder, decoder->buffer);
        if (size == 0)
            return VPC_PARSE_BAD;
        decoder->missing = size - VPC_HEADER_SIZE;
    }
    if (!gather(decoder, octets, end))
        return VPC_PARSE_MORE;
    size = decoder->held;
    decoder->held = 0;
    return read_frame(decoder, decoder->buffer, size);
}

void hand_follow(hand_decoder *decoder, enum vpc_side sender)
{
    decoder->sender = sender;
    decoder->held = 0;
}

enum vpc_parse_result hand_decode(hand_decoder *decoder, const uint8_t **octets, const uint8_t *end)
{
    const uint8_t *p = *octets;
    uint32_t size;

    if (decoder->held == 0) {
        while (p < end && *p == VPC_PAD)
            p++;
        *octets = p;
        if (p == end)
            return VPC_PARSE_MORE;
        if ((size_t)(end - p) >= VPC_HEADER_SIZE) {
            size = check_header(decoder, p);
            if (size == 0)
                return VPC_PARSE_BAD;
            if ((size_t)(end - p) >= size) {
                *octets = p + size;
                return read_frame(decoder, p, size);
            }
        }
    }
    return decode_gathered(decoder, octets, end);
}
