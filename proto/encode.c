/* SPDX-License-Identifier: MIT */
/* Frames to octets, the CRC of a HELLO, and the session id. */
#include "vpcbus.h"

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

static uint8_t *put(uint8_t *out, uint64_t value, unsigned octets)
{
    for (unsigned i = 0; i < octets; i++)
        out[i] = (uint8_t)(value >> 8 * i);
    return out + octets;
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
    out = put(out, f->role, 2); /* with the reserved octet behind it */
    out = put(out, f->version_min, 2);
    out = put(out, f->version_max, 2);
    out = put(out, f->max_pairs, 2);
    out = put(out, f->epoch, 8);
    out = put(out, f->echo, 8);
    out = put(out, f->features, 4);
    out = put(out, f->heartbeat_ms, 4);
    out = put_text(out, f->tag);
    out = put_text(out, f->name);
    return put_text(out, "");
}

static uint8_t *put_open(uint8_t *out, const vpc_frame *f)
{
    out = put(out, f->reverse_channel, 4);
    out = put(out, f->port, 4); /* with the two reserved octets behind it */
    out = put(out, f->connect_ms, 4);
    return put(out, f->limit, 8);
}

static uint8_t *put_data(uint8_t *out, const vpc_frame *f)
{
    out = put(out, f->offset, 8);
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
        return put(out, f->ready, 4);
    case VPC_HEARTBEAT:
        return put(out, f->count, 8);
    case VPC_GOODBYE:
        return put(out, f->cause, 4);
    case VPC_OPEN:
        return put_open(out, f);
    case VPC_DATA:
        return put_data(out, f);
    case VPC_REFUSED:
    case VPC_RESET:
        return put(out, f->error, 4);
    case VPC_OPENED:
    case VPC_CREDIT:
        return put(out, f->limit, 8);
    case VPC_FIN:
    case VPC_RELEASED:
        return put(out, f->offset, 8);
    }
    return NULL;
}

size_t vpc_encode(const vpc_frame *frame, uint8_t *out)
{
    uint8_t *end = put_body(out + VPC_HEADER_SIZE, frame);
    uint64_t session = frame->seal_session, number = frame->seal_number;

    if (end == NULL)
        return 0;
    put(out, 0x56B5, 2);
    put(out + 2, frame->type, 2); /* with the flags, which are zero */
    put(out + 4, frame->channel, 4);
    put(out + 8, (uint64_t)(end - out) - VPC_HEADER_SIZE, 4);
    if (frame->type == VPC_HELLO) {
        session = 0;
        number = vpc_crc32c(0, out, (size_t)(end - out));
    }
    end = put(end, session, 8);
    end = put(end, number, 8);
    return (size_t)(end - out);
}
