/* SPDX-License-Identifier: MIT */
/*
 * Frames with one field wrong, in a stream of octets.
 *
 * A decoder of the same direction finds the frames. What it has not made up its mind about waits here
 * with it; what it has is passed on as it came, but for the last frame of it when that is one of the
 * altered message. So noise, padding and half frames go through untouched, whatever they are.
 */
#include "alter/alter_internal.h"

#include <string.h>

/* A number stays within its field's octets and range: what no subject could say, no subject could say wrong. */
static bool shifted(const struct conform_frame *frame, const struct vpc_field *field,
                    enum vpc_change change, uint64_t *other)
{
    uint64_t value = 0;

    vpc_frame_get(frame, field->name, &value);
    *other = change == VPC_LESS ? value - 1 : value + 1;
    return (change == VPC_LESS ? value > field->min : value < field->max);
}

static unsigned shifts_of(const struct conform_frame *frame, const struct vpc_field *field)
{
    uint64_t other;

    return (shifted(frame, field, VPC_MORE, &other) ? 1u << VPC_MORE : 0) |
           (shifted(frame, field, VPC_LESS, &other) ? 1u << VPC_LESS : 0);
}

/* What can be changed of the field's value at hand, as bits of enum vpc_change. */
static unsigned changes_of(const struct conform_frame *frame, const struct vpc_field_at *at)
{
    const struct vpc_field *field = vpc_message_field(frame->message, at->name);
    char text[33];

    if (field == NULL) /* the channel of the header */
        return 1u << VPC_MORE | 1u << VPC_LESS;
    switch (field->kind) {
    case VPC_FIELD_TEXT:
        vpc_frame_get_text(frame, at->name, text);
        return 1u << VPC_OTHER | (*text ? 1u << VPC_EMPTY : 0);
    case VPC_FIELD_OCTETS:
        return 1u << VPC_OTHER;
    case VPC_FIELD_ZERO:
        return 1u << VPC_MORE;
    default:
        return shifts_of(frame, field);
    }
}

static void change_text(struct conform_frame *frame, const char *name, enum vpc_change change)
{
    char text[34] = "";

    vpc_frame_get_text(frame, name, text);
    if (change == VPC_EMPTY)
        *text = '\0';
    else
        text[0] = text[0] == 'x' ? 'y' : 'x';
    vpc_frame_set_text(frame, name, text);
}

/* False when this frame's value can not be changed so. */
static bool change(struct conform_frame *frame, const char *name, enum vpc_change how)
{
    const struct vpc_field *field = vpc_message_field(frame->message, name);
    uint64_t other;

    if (field == NULL) {
        frame->channel += how == VPC_LESS ? UINT32_MAX : 1;
        return frame->channel != 0;
    }
    switch (field->kind) {
    case VPC_FIELD_TEXT:
        change_text(frame, name, how);
        return true;
    case VPC_FIELD_OCTETS:
        frame->body[field->offset] ^= 1;
        return true;
    case VPC_FIELD_ZERO:
        return vpc_frame_set(frame, name, 1);
    default:
        return shifted(frame, field, how, &other) && vpc_frame_set(frame, name, other);
    }
}

static void note(struct vpc_altering *altering, enum vpc_place place,
                 const struct conform_frame *frame)
{
    const struct vpc_fields *fields = altering->fields;

    for (size_t i = 0; altering->seen && i < fields->count; i++) {
        const struct vpc_field_at *at = &fields->list[i];

        if (at->place == place && at->role == altering->role &&
            strcmp(at->of, frame->message->name) == 0)
            altering->seen[i] |= (unsigned char)changes_of(frame, at);
    }
}

/* The frame is the last of the n octets: passes them on, the frame altered where it should be. */
static void pass_frame(struct vpc_altering *altering, enum vpc_place place,
                       struct conform_frame *frame, const uint8_t *octets, size_t n,
                       struct vpc_buffer *out)
{
    const struct vpc_field_at *at = vpc_altered_field(altering, place);
    size_t size = CONFORM_HEADER_SIZE + frame->body_size + CONFORM_SEAL_SIZE;

    note(altering, place, frame);
    if (at == NULL || strcmp(at->of, frame->message->name) != 0 ||
        !change(frame, at->name, altering->change)) {
        vpc_buffer_add(out, octets, n);
        return;
    }
    if (strcmp(frame->message->name, "HELLO") == 0)
        frame->number = vpc_frame_crc(frame);
    vpc_buffer_add(out, octets, n - size);
    vpc_frame_encode(frame, out);
}

void vpc_alter_octets(struct vpc_altering *altering, enum vpc_place place, const void *octets,
                      size_t n, struct vpc_buffer *out)
{
    bool said = place == VPC_SAID_FRAME;
    struct vpc_decoder *decoder = said ? &altering->said : &altering->heard;
    struct vpc_buffer *held = said ? &altering->said_octets : &altering->heard_octets;
    enum vpc_decoded got;

    vpc_decoder_add(decoder, octets, n);
    vpc_buffer_add(held, octets, n);
    do {
        struct vpc_bad_octets bad;
        struct conform_frame frame = {0};
        size_t decided;

        got = vpc_decoder_next(decoder, &frame, &bad);
        decided = vpc_buffer_size(held) - vpc_buffer_size(&decoder->pending);
        if (got == VPC_DECODED_FRAME)
            pass_frame(altering, place, &frame, vpc_buffer_head(held), decided, out);
        else if (decided > 0)
            vpc_buffer_add(out, vpc_buffer_head(held), decided);
        vpc_buffer_drop(held, decided);
        vpc_frame_clear(&frame);
    } while (got != VPC_DECODED_NONE);
}

void vpc_alter_begin_bus(struct vpc_altering *altering)
{
    enum vpc_role_bit peer = altering->role == VPC_FROM_HOST ? VPC_FROM_GUEST : VPC_FROM_HOST;

    vpc_alter_end_bus(altering);
    vpc_decoder_begin(&altering->said, altering->table, altering->role);
    vpc_decoder_begin(&altering->heard, altering->table, peer);
}

void vpc_alter_end_bus(struct vpc_altering *altering)
{
    vpc_decoder_end(&altering->said);
    vpc_decoder_end(&altering->heard);
    vpc_buffer_free(&altering->said_octets);
    vpc_buffer_free(&altering->heard_octets);
}
