/* SPDX-License-Identifier: MIT */
/* Frames to octets, the CRC of a HELLO, and the session id. */
#include "vpcbus.h"

#include <endian.h>
#include <string.h>

uint32_t vpc_crc32c(uint32_t crc, const void *octets, size_t n)
{
    const uint8_t *p = octets;

    /* Bit by bit: only HELLO has a CRC, and a HELLO is rare. */
    crc = ~crc;
    while (n-- > 0) {
        crc ^= *p++;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0x82F63B78u & -(crc & 1));
    }
    return ~crc;
}

static uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= UINT64_C(0xBF58476D1CE4E5B9);
    x ^= x >> 27;
    x *= UINT64_C(0x94D049BB133111EB);
    return x ^ x >> 31;
}

uint64_t vpc_session_id(uint64_t host_epoch, uint64_t guest_epoch)
{
    return mix(mix(host_epoch) + guest_epoch);
}

/* One store each: from shifted octets gcc 12 makes one of each octet here. */
static uint8_t *put16(uint8_t *out, uint16_t value)
{
    value = htole16(value);
    memcpy(out, &value, sizeof(value));
    return out + sizeof(value);
}

static uint8_t *put32(uint8_t *out, uint32_t value)
{
    value = htole32(value);
    memcpy(out, &value, sizeof(value));
    return out + sizeof(value);
}

static uint8_t *put64(uint8_t *out, uint64_t value)
{
    value = htole64(value);
    memcpy(out, &value, sizeof(value));
    return out + sizeof(value);
}

/* A text field: what is behind the text's end is zero. */
static uint8_t *put_text(uint8_t *out, const char *text)
{
    size_t n = 0;

    while (n < VPC_TEXT_MAX && text[n] != '\0')
        n++;
    memcpy(out, text, n);
    memset(out + n, 0, VPC_TEXT_MAX - n);
    return out + VPC_TEXT_MAX;
}

static uint8_t *put_hello(uint8_t *out, const vpc_frame *f)
{
    out = put16(out, f->role); /* with the reserved octet behind it */
    out = put16(out, f->version_min);
    out = put16(out, f->version_max);
    out = put16(out, f->max_pairs);
    out = put64(out, f->epoch);
    out = put64(out, f->echo);
    out = put32(out, f->features);
    out = put32(out, f->heartbeat_ms);
    out = put_text(out, f->tag);
    out = put_text(out, f->name);
    return put_text(out, "");
}

static uint8_t *put_event(uint8_t *out, const vpc_frame *f)
{
    out = put32(out, f->event);
    out = put32(out, f->lost);
    out = put64(out, f->time);
    out = put32(out, f->h2g);
    out = put32(out, f->g2h);
    out = put16(out, f->port);
    out = put16(out, f->level); /* with the reserved octet behind it */
    out = put32(out, f->error);
    out = put64(out, f->sent);
    out = put64(out, f->received);
    out = put64(out, f->value);
    out = put_text(out, f->cause_text);
    return put_text(out, f->detail);
}

static uint8_t *put_open(uint8_t *out, const vpc_frame *f)
{
    out = put32(out, f->reverse_channel);
    out = put32(out, f->port); /* with the two reserved octets behind it */
    out = put32(out, f->connect_ms);
    return put64(out, f->limit);
}

static uint8_t *put_data(uint8_t *out, const vpc_frame *f)
{
    out = put64(out, f->offset);
    if (f->payload != out) /* it may lie where it belongs already */
        memcpy(out, f->payload, f->payload_len);
    return out + f->payload_len;
}

static uint8_t *put_body(uint8_t *out, const vpc_frame *f)
{
    switch ((enum vpc_message)f->type) {
    case VPC_HELLO:
        return put_hello(out, f);
    case VPC_READY:
        return put32(out, f->ready);
    case VPC_HEARTBEAT:
        return put64(out, f->count);
    case VPC_GOODBYE:
        return put32(out, f->cause);
    case VPC_EVENT:
        return put_event(out, f);
    case VPC_OPEN:
        return put_open(out, f);
    case VPC_DATA:
        return put_data(out, f);
    case VPC_REFUSED:
    case VPC_RESET:
        return put32(out, f->error);
    case VPC_OPENED:
    case VPC_CREDIT:
        return put64(out, f->limit);
    case VPC_FIN:
    case VPC_RELEASED:
        return put64(out, f->offset);
    }
    return NULL;
}

size_t vpc_encode(const vpc_frame *frame, uint8_t *out)
{
    uint8_t *end = put_body(out + VPC_HEADER_SIZE, frame);
    uint64_t session = frame->seal_session, number = frame->seal_number;

    if (end == NULL)
        return 0;
    put16(out, 0x56B5);
    put16(out + 2, frame->type); /* with the flags, which are zero */
    put32(out + 4, frame->channel);
    put32(out + 8, (uint32_t)(end - out) - VPC_HEADER_SIZE);
    if (frame->type == VPC_HELLO) {
        session = 0;
        number = vpc_crc32c(0, out, (size_t)(end - out));
    }
    end = put64(end, session);
    end = put64(end, number);
    return (size_t)(end - out);
}
