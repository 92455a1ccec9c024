/* SPDX-License-Identifier: MIT */
/*
 * Octets in, frames out.
 *
 * Goal: judge each octet as early as frames.rl does, from the message table alone.  fit() walks over what there is of a
 * frame and tells the first octet that can not stand where it stands; next_in_session() and next_in_hunt() differ only in
 * what they do with that.  What may never happen: a frame is reported before its seal was checked (FRM-5), or octets of
 * an application are taken for a frame because the decoder looked for a start of frame where none may be.
 */
#include <stdio.h>
#include <string.h>

#include "codec/codec.h"

#define HUNT_PADS 16

static uint64_t get(const uint8_t *in, size_t size)
{
    uint64_t value = 0;

    for (size_t i = 0; i < size; i++)
        value |= (uint64_t)in[i] << 8 * i;
    return value;
}

void vpc_decoder_begin(struct vpc_decoder *decoder, const struct vpc_table *table,
                       enum vpc_role_bit from)
{
    *decoder = (struct vpc_decoder){.table = table, .from = from, .hunting = true};
}

void vpc_decoder_end(struct vpc_decoder *decoder)
{
    vpc_buffer_free(&decoder->pending);
}

void vpc_decoder_add(struct vpc_decoder *decoder, const void *octets, size_t n)
{
    decoder->pads += vpc_buffer_add_behind_run(&decoder->pending, octets, n, decoder->table->pad);
}

struct fit {
    size_t good; /* octets from the start that can stand there */
    const char *requirement;
    const char *why;
};

static struct fit misfit(size_t at, const char *requirement, const char *why)
{
    return (struct fit){at, requirement, why};
}

/* n of the four octets of a length are there: whether any length that the message may have begins with them. */
static bool length_possible(const struct conform_message *message, const uint8_t *in, size_t n)
{
    uint64_t known = get(in, n), step = UINT64_C(1) << 8 * n;
    uint64_t least = known;

    if (least < message->min_body)
        least += (message->min_body - least + step - 1) / step * step;
    return least <= message->max_body;
}

/* Octets 4 to 11, as far as they are there: channel and length. */
static struct fit fit_numbers(const struct conform_message *message, const uint8_t *in, size_t n)
{
    for (size_t at = 4; at < n && at < 8; at++)
        if (message->of_session && in[at] != 0)
            return misfit(at, "FRM-3", "a message of the session with a channel");
    if (n >= 8 && !message->of_session && get(in + 4, 4) == 0)
        return misfit(7, "FRM-3", "a message of a channel with channel 0");
    for (size_t at = 8; at < n && at < CONFORM_HEADER_SIZE; at++)
        if (!length_possible(message, in + 8, at - 7))
            return misfit(at, "FRM-2", "length is not what the message's table states");
    return misfit(n, NULL, NULL);
}

static struct fit fit_header(const struct vpc_table *table, enum vpc_role_bit from,
                             const uint8_t *in, size_t n)
{
    const struct conform_message *message;

    if (in[0] != table->magic[0])
        return misfit(0, "FRM-9", "an octet that is neither padding nor the start of a frame");
    if (n > 1 && in[1] != table->magic[1])
        return misfit(1, "FRM-9", "the second octet of the magic is wrong");
    if (n < 3)
        return misfit(n, NULL, NULL);
    message = vpc_table_by_type(table, in[2]);
    if (message == NULL)
        return misfit(2, "FRM-9", "the type is no message's");
    if (!(message->from & from))
        return misfit(2, "FRM-12", "a message that the other direction only may carry");
    if (n > 3 && in[3] != table->flags)
        return misfit(3, "FRM-3", "flags are not zero");
    return fit_numbers(message, in, n);
}

static size_t bad_text(const uint8_t *in, size_t n)
{
    bool ended = false;

    for (size_t i = 0; i < n; i++) {
        if (in[i] != 0 && (ended || in[i] < 0x20 || in[i] > 0x7e))
            return i;
        ended = ended || in[i] == 0;
    }
    return n;
}

/* n octets of the body are there. */
static struct fit fit_body(const struct conform_message *message, const uint8_t *in, size_t n)
{
    for (size_t i = 0; i < message->field_count; i++) {
        const struct vpc_field *field = &message->fields[i];
        size_t there = n > field->offset ? n - field->offset : 0;

        there = field->size && there > field->size ? field->size : there;
        if (field->kind == VPC_FIELD_TEXT) {
            size_t good = bad_text(in + field->offset, there);

            if (good < there)
                return misfit(field->offset + good, "FRM-9",
                              "a text with an octet that is not printable");
        } else if (field->kind == VPC_FIELD_INT && there == field->size) {
            uint64_t value = get(in + field->offset, field->size);

            if (value < field->min || value > field->max)
                return misfit(field->offset + field->size - 1, "FRM-9",
                              "a field's value is outside of its range");
        }
    }
    return misfit(n, NULL, NULL);
}

static struct fit fit(const struct vpc_table *table, enum vpc_role_bit from, const uint8_t *in,
                      size_t n)
{
    struct fit result = fit_header(table, from, in, n);
    size_t length, there;

    if (result.why || n <= CONFORM_HEADER_SIZE)
        return result;
    length = get(in + 8, 4);
    there = n - CONFORM_HEADER_SIZE > length ? length : n - CONFORM_HEADER_SIZE;
    result = fit_body(vpc_table_by_type(table, in[2]), in + CONFORM_HEADER_SIZE, there);
    result.good += CONFORM_HEADER_SIZE;
    if (!result.why)
        result.good = n;
    return result;
}

size_t vpc_octets_fit(const struct vpc_table *table, enum vpc_role_bit from, const uint8_t *in,
                      size_t n)
{
    return fit(table, from, in, n).good;
}

static bool whole(const uint8_t *in, size_t n)
{
    return n >= CONFORM_HEADER_SIZE &&
           n >= CONFORM_HEADER_SIZE + get(in + 8, 4) + CONFORM_SEAL_SIZE;
}

static void take_frame(struct vpc_decoder *decoder, struct conform_frame *frame)
{
    const uint8_t *in = vpc_buffer_head(&decoder->pending);
    size_t length = get(in + 8, 4);

    vpc_frame_begin(frame, decoder->table, vpc_table_by_type(decoder->table, in[2]));
    frame->channel = (uint32_t)get(in + 4, 4);
    frame->length = (uint32_t)length;
    frame->body = vpc_grow(frame->body, length + 1, 1);
    memcpy(frame->body, in + CONFORM_HEADER_SIZE, length);
    frame->body_size = length;
    frame->session = get(in + CONFORM_HEADER_SIZE + length, 8);
    frame->number = get(in + CONFORM_HEADER_SIZE + length + 8, 8);
    frame->pads = decoder->pads;
    decoder->pads = 0;
    vpc_buffer_drop(&decoder->pending, CONFORM_HEADER_SIZE + length + CONFORM_SEAL_SIZE);
}

static bool is_hello(const struct conform_frame *frame)
{
    return strcmp(frame->message->name, "HELLO") == 0;
}

static bool hello_sealed(const struct conform_frame *frame)
{
    return frame->session == 0 && frame->number == vpc_frame_crc(frame);
}

/* A HELLO passed: it tells in which session the sender's next sealed frames are. */
static void learn_session(struct vpc_decoder *decoder, const struct conform_frame *hello)
{
    uint64_t epoch = 0, echo = 0, session = 0;

    vpc_frame_get(hello, "epoch", &epoch);
    vpc_frame_get(hello, "echo", &echo);
    if (echo != 0)
        session = decoder->from == VPC_FROM_HOST ? conform_session_id(epoch, echo)
                                                 : conform_session_id(echo, epoch);
    if (session != decoder->session)
        decoder->next_number = 1;
    decoder->session = session;
    decoder->hunting = false;
}

static enum vpc_decoded lost(struct vpc_decoder *decoder, struct vpc_bad_octets *bad,
                             const char *requirement, const char *why, uint8_t last)
{
    bad->requirement = requirement;
    if (why != bad->why)
        snprintf(bad->why, sizeof(bad->why), "%s", why);
    bad->may_be_cut = last == decoder->table->pad;
    decoder->hunting = true;
    decoder->pads = 0;
    return VPC_DECODED_BAD;
}

static enum vpc_decoded check_seal(struct vpc_decoder *decoder, struct conform_frame *frame,
                                   struct vpc_bad_octets *bad, uint8_t last)
{
    const char *requirement = "FRM-4";

    if (is_hello(frame)) {
        requirement = "FRM-6";
        snprintf(bad->why, sizeof(bad->why), "the seal of a HELLO does not fit");
        if (hello_sealed(frame)) {
            learn_session(decoder, frame);
            return VPC_DECODED_FRAME;
        }
    } else if (decoder->session == 0) {
        snprintf(bad->why, sizeof(bad->why), "%s before a HELLO that echoes", frame->message->name);
        requirement = "SES-4";
    } else if (frame->session != decoder->session) {
        snprintf(bad->why, sizeof(bad->why), "%s with another session id", frame->message->name);
    } else if (frame->number != decoder->next_number) {
        snprintf(bad->why, sizeof(bad->why), "%s with number %llu where %llu is next",
                 frame->message->name, (unsigned long long)frame->number,
                 (unsigned long long)decoder->next_number);
    } else {
        decoder->next_number++;
        return VPC_DECODED_FRAME;
    }
    vpc_frame_clear(frame);
    return lost(decoder, bad, requirement, bad->why, last);
}

static enum vpc_decoded next_in_session(struct vpc_decoder *decoder, struct conform_frame *frame,
                                        struct vpc_bad_octets *bad)
{
    const uint8_t *in = vpc_buffer_head(&decoder->pending);
    size_t n = vpc_buffer_size(&decoder->pending);
    struct fit result = fit(decoder->table, decoder->from, in, n);
    uint8_t last;

    if (result.why) {
        last = in[result.good];
        vpc_buffer_drop(&decoder->pending, result.good);
        return lost(decoder, bad, result.requirement, result.why, last);
    }
    if (!whole(in, n))
        return VPC_DECODED_NONE;
    last = in[CONFORM_HEADER_SIZE + get(in + 8, 4) + CONFORM_SEAL_SIZE - 1];
    take_frame(decoder, frame);
    return check_seal(decoder, frame, bad, last);
}

/* Returns NONE with *again set when octets were passed over and the hunt goes on. */
static enum vpc_decoded next_in_hunt(struct vpc_decoder *decoder, struct conform_frame *frame,
                                     bool *again)
{
    const uint8_t *in = vpc_buffer_head(&decoder->pending);
    size_t n = vpc_buffer_size(&decoder->pending);
    struct fit result = fit(decoder->table, decoder->from, in, n);
    bool other_type = n > 2 && vpc_table_by_type(decoder->table, in[2]) !=
                                   vpc_table_by_name(decoder->table, "HELLO");

    *again = true;
    if (decoder->pads < HUNT_PADS || result.why || other_type) {
        size_t good = decoder->pads < HUNT_PADS ? 1 : result.good;

        if (other_type && good > 2)
            good = 2; /* another message's type does not fit here, and may be padding */
        vpc_buffer_drop(&decoder->pending, good ? good : 1);
        decoder->pads = 0;
        return VPC_DECODED_NONE;
    }
    *again = whole(in, n);
    if (!*again)
        return VPC_DECODED_NONE;
    take_frame(decoder, frame);
    if (!hello_sealed(frame)) {
        vpc_frame_clear(frame);
        return VPC_DECODED_NONE;
    }
    learn_session(decoder, frame);
    return VPC_DECODED_FRAME;
}

enum vpc_decoded vpc_decoder_next(struct vpc_decoder *decoder, struct conform_frame *frame,
                                  struct vpc_bad_octets *bad)
{
    enum vpc_decoded got = VPC_DECODED_NONE;
    bool again = true;

    while (again && got == VPC_DECODED_NONE) {
        decoder->pads += vpc_buffer_drop_run(&decoder->pending, decoder->table->pad);
        if (vpc_buffer_size(&decoder->pending) == 0)
            return VPC_DECODED_NONE;
        if (!decoder->hunting)
            return next_in_session(decoder, frame, bad);
        got = next_in_hunt(decoder, frame, &again);
    }
    return got;
}
