/* SPDX-License-Identifier: MIT */
/* Frames out: field values to octets, right or deliberately wrong.  The way in is decoder.c. */
#include "codec/codec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint32_t conform_crc32c(const void *octets, size_t n)
{
    const uint8_t *at = octets;
    uint32_t crc = 0xffffffff;

    while (n-- > 0) {
        crc ^= *at++;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
    }
    return ~crc;
}

static uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9;
    x ^= x >> 27;
    x *= 0x94d049bb133111eb;
    return x ^ x >> 31;
}

uint64_t conform_session_id(uint64_t host_epoch, uint64_t guest_epoch)
{
    return mix(mix(host_epoch) + guest_epoch);
}

static void put(uint8_t *out, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        out[i] = (uint8_t)(value >> 8 * i);
}

static uint64_t get(const uint8_t *in, size_t size)
{
    uint64_t value = 0;

    for (size_t i = 0; i < size; i++)
        value |= (uint64_t)in[i] << 8 * i;
    return value;
}

void vpc_frame_begin(struct conform_frame *frame, const struct vpc_table *table,
                     const struct conform_message *message)
{
    size_t fixed = 0;

    for (size_t i = 0; i < message->field_count; i++)
        fixed += message->fields[i].size;
    *frame = (struct conform_frame){
        .message = message,
        .magic = {table->magic[0], table->magic[1]},
        .type = message->type,
        .flags = table->flags,
        .length = (uint32_t)fixed,
        .body = vpc_alloc(fixed + 1),
        .body_size = fixed,
    };
}

void vpc_frame_clear(struct conform_frame *frame)
{
    free(frame->body);
    frame->body = NULL;
    frame->body_size = 0;
}

static const struct vpc_field *field_of(const struct conform_frame *frame, const char *name)
{
    return frame->message ? vpc_message_field(frame->message, name) : NULL;
}

/* Whether there is such a field, and the body is not too short for it. */
static bool has(const struct conform_frame *frame, const struct vpc_field *field,
                enum vpc_field_kind kind)
{
    return field && field->kind == kind && field->offset + field->size <= frame->body_size;
}

bool vpc_field_set(struct conform_frame *frame, const struct vpc_field *field, uint64_t value)
{
    if (!has(frame, field, VPC_FIELD_INT) && !has(frame, field, VPC_FIELD_ZERO))
        return false;
    put(frame->body + field->offset, value, field->size < 8 ? field->size : 8);
    return true;
}

bool vpc_frame_set(struct conform_frame *frame, const char *name, uint64_t value)
{
    return vpc_field_set(frame, field_of(frame, name), value);
}

bool vpc_field_set_text(struct conform_frame *frame, const struct vpc_field *field,
                        const char *text)
{
    if (!has(frame, field, VPC_FIELD_TEXT))
        return false;
    memset(frame->body + field->offset, 0, field->size);
    memcpy(frame->body + field->offset, text, strnlen(text, field->size));
    return true;
}

bool vpc_frame_set_text(struct conform_frame *frame, const char *name, const char *text)
{
    return vpc_field_set_text(frame, field_of(frame, name), text);
}

bool vpc_field_get(const struct conform_frame *frame, const struct vpc_field *field,
                   uint64_t *value)
{
    if (!has(frame, field, VPC_FIELD_INT))
        return false;
    *value = get(frame->body + field->offset, field->size);
    return true;
}

bool vpc_frame_get(const struct conform_frame *frame, const char *name, uint64_t *value)
{
    return vpc_field_get(frame, field_of(frame, name), value);
}

bool vpc_field_get_text(const struct conform_frame *frame, const struct vpc_field *field, char *out)
{
    if (!has(frame, field, VPC_FIELD_TEXT) || field->size > 32)
        return false;
    memcpy(out, frame->body + field->offset, field->size);
    out[field->size] = '\0';
    return true;
}

bool vpc_frame_get_text(const struct conform_frame *frame, const char *name, char *out)
{
    return vpc_field_get_text(frame, field_of(frame, name), out);
}

static const struct vpc_field *octets_of(const struct conform_frame *frame)
{
    for (size_t i = 0; frame->message && i < frame->message->field_count; i++)
        if (frame->message->fields[i].kind == VPC_FIELD_OCTETS)
            return &frame->message->fields[i];
    return NULL;
}

void vpc_frame_set_payload(struct conform_frame *frame, const void *octets, size_t n)
{
    const struct vpc_field *field = octets_of(frame);

    if (field == NULL)
        return;
    frame->body = vpc_grow(frame->body, field->offset + n + 1, 1);
    if (n > 0)
        memcpy(frame->body + field->offset, octets, n);
    frame->body_size = field->offset + n;
    frame->length = (uint32_t)frame->body_size;
}

const uint8_t *vpc_frame_payload(const struct conform_frame *frame, size_t *n)
{
    const struct vpc_field *field = octets_of(frame);

    *n = field ? frame->body_size - field->offset : 0;
    return field ? frame->body + field->offset : NULL;
}

bool vpc_frame_reserved_zero(const struct conform_frame *frame)
{
    for (size_t i = 0; i < frame->message->field_count; i++) {
        const struct vpc_field *field = &frame->message->fields[i];

        for (size_t k = 0; field->kind == VPC_FIELD_ZERO && k < field->size; k++)
            if (frame->body[field->offset + k] != 0)
                return false;
    }
    return true;
}

static void put_header(const struct conform_frame *frame, uint8_t *header)
{
    header[0] = frame->magic[0];
    header[1] = frame->magic[1];
    header[2] = frame->type;
    header[3] = frame->flags;
    put(header + 4, frame->channel, 4);
    put(header + 8, frame->length, 4);
}

uint64_t vpc_frame_crc(const struct conform_frame *frame)
{
    size_t size = CONFORM_HEADER_SIZE + frame->body_size;
    uint8_t *octets = vpc_alloc(size);
    uint32_t crc;

    put_header(frame, octets);
    memcpy(octets + CONFORM_HEADER_SIZE, frame->body, frame->body_size);
    crc = conform_crc32c(octets, size);
    free(octets);
    return crc;
}

void vpc_frame_encode(const struct conform_frame *frame, struct vpc_buffer *out)
{
    uint8_t header[CONFORM_HEADER_SIZE];
    uint8_t seal[CONFORM_SEAL_SIZE];

    put_header(frame, header);
    put(seal, frame->session, 8);
    put(seal + 8, frame->number, 8);
    vpc_buffer_add(out, header, sizeof(header));
    vpc_buffer_add(out, frame->body, frame->body_size);
    vpc_buffer_add(out, seal, sizeof(seal));
}

static void text_of_field(FILE *out, const struct conform_frame *frame,
                          const struct vpc_field *field)
{
    char text[33];
    uint64_t value;

    if (field->kind == VPC_FIELD_TEXT && vpc_frame_get_text(frame, field->name, text))
        fprintf(out, " %s=\"%s\"", field->name, text);
    else if (field->kind == VPC_FIELD_OCTETS)
        fprintf(out, " bytes=%zu", frame->body_size - field->offset);
    else if (vpc_frame_get(frame, field->name, &value))
        fprintf(out, field->size == 8 && value >> 32 ? " %s=%016llx" : " %s=%llu", field->name,
                (unsigned long long)value);
}

static void text_of_payload(FILE *out, const struct conform_frame *frame)
{
    size_t n;
    const uint8_t *payload = vpc_frame_payload(frame, &n);

    fputs(" \"", out);
    for (size_t i = 0; i < n && i < 32; i++) {
        if (payload[i] >= 0x20 && payload[i] < 0x7f && payload[i] != '"' && payload[i] != '\\')
            fputc(payload[i], out);
        else
            fprintf(out, "\\x%02x", payload[i]);
    }
    fputs(n > 32 ? "\"..." : "\"", out);
}

char *vpc_frame_text(const struct conform_frame *frame)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    if (out == NULL)
        return vpc_copy("?");
    fputs(frame->message ? frame->message->name : "?", out);
    if (frame->channel)
        fprintf(out, " channel=%u", frame->channel);
    for (size_t i = 0; frame->message && i < frame->message->field_count; i++)
        if (frame->message->fields[i].kind != VPC_FIELD_ZERO)
            text_of_field(out, frame, &frame->message->fields[i]);
    if (octets_of(frame))
        text_of_payload(out, frame);
    fprintf(out, " #%llu", (unsigned long long)frame->number);
    fclose(out);
    return text;
}
