/* SPDX-License-Identifier: MIT */
/*
 * The vectors of spec/vectors against the harness's codec, at every split point.
 *
 * The codec is a judge: it was written from the same document as the vectors, by other hands and in another way.  So
 * what they disagree about is a fault of one of them, or of the document.
 */
#include <criterion/criterion.h>

#include "codec/codec.h"
#include "document/embedded.h"
#include "spec/vectors/vectors.h"

static struct vpc_table *table;
static json_t *file;

static void set_up(void)
{
    char *error = NULL;

    table = vpc_table_load(vpc_embedded_messages, &error);
    cr_assert_not_null(table, "%s", error);
}

static void tear_down(void)
{
    vpc_table_free(table);
    json_decref(file);
}

TestSuite(vectors, .init = set_up, .fini = tear_down, .timeout = 120);

static json_t *vectors(const char *name)
{
    file = vec_open(VPC_VECTORS, name);
    return json_object_get(file, "vectors");
}

static const struct {
    enum vpc_role_bit bit;
    const char *name;
} sides[] = {{VPC_FROM_HOST, "host"}, {VPC_FROM_GUEST, "guest"}};

/* ---- fields ------------------------------------------------------------------------------------------------------ */

static void expect_payload(const json_t *items, const struct conform_frame *frame, const char *id)
{
    struct vec_octets want = vec_octets(items, 1);
    size_t n;
    const uint8_t *payload = vpc_frame_payload(frame, &n);

    cr_assert_eq(n, want.n, "%s", id);
    cr_assert_arr_eq(payload, want.octets, n, "%s", id);
    vec_octets_free(&want);
}

static void expect_field(const json_t *fields, const char *name, const struct conform_frame *frame,
                         const char *id)
{
    const json_t *value = json_object_get(fields, name);
    char text[33];
    uint64_t number;

    if (json_is_array(value)) {
        expect_payload(value, frame, id);
    } else if (json_is_string(value) && vpc_frame_get_text(frame, name, text)) {
        cr_assert(strcmp(text, json_string_value(value)) == 0, "%s: %s is \"%s\"", id, name, text);
    } else {
        cr_assert(vpc_frame_get(frame, name, &number), "%s has no %s", id, name);
        cr_assert_eq(number, vec_number(fields, name), "%s: %s", id, name);
    }
}

static void expect_frame(const json_t *vector, const struct conform_frame *frame, const char *id)
{
    json_t *fields = json_object_get(vector, "fields"), *value;
    const json_t *seal = json_object_get(vector, "seal");
    const char *name;

    cr_assert(strcmp(frame->message->name, vec_text(vector, "message")) == 0, "%s is a %s", id,
              frame->message->name);
    cr_assert_eq(frame->channel, vec_number(vector, "channel"), "%s", id);
    cr_assert_eq(frame->session, vec_number(seal, "session"), "%s", id);
    cr_assert_eq(frame->number, vec_number(seal, "number"), "%s", id);
    json_object_foreach(fields, name, value) expect_field(fields, name, frame, id);
}

static void set_field(struct conform_frame *frame, const json_t *fields, const char *name)
{
    const json_t *value = json_object_get(fields, name);

    if (json_is_array(value)) {
        struct vec_octets payload = vec_octets(value, 1);

        vpc_frame_set_payload(frame, payload.octets, payload.n);
        vec_octets_free(&payload);
    } else if (!json_is_string(value) ||
               !vpc_frame_set_text(frame, name, json_string_value(value))) {
        cr_assert(vpc_frame_set(frame, name, vec_number(fields, name)), "no field %s", name);
    }
}

/* From the fields to the octets: what a sender sends. */
static void encode(const json_t *vector, const struct vec_octets *octets, const char *id)
{
    json_t *fields = json_object_get(vector, "fields"), *value;
    const json_t *seal = json_object_get(vector, "seal");
    struct vpc_buffer out = {0};
    struct conform_frame frame;
    const char *name;

    vpc_frame_begin(&frame, table, vpc_table_by_name(table, vec_text(vector, "message")));
    frame.channel = (uint32_t)vec_number(vector, "channel");
    json_object_foreach(fields, name, value) set_field(&frame, fields, name);
    frame.session = vec_number(seal, "session");
    frame.number = frame.message->type == 1 ? vpc_frame_crc(&frame) : vec_number(seal, "number");
    vpc_frame_encode(&frame, &out);
    cr_assert_eq(vpc_buffer_size(&out), octets->n, "%s", id);
    cr_assert_arr_eq(vpc_buffer_head(&out), octets->octets, octets->n, "%s", id);
    vpc_buffer_free(&out);
    vpc_frame_clear(&frame);
}

/* ---- decoding in two pieces ------------------------------------------------------------------------------------------ */

/* A decoder that is in the session that the file names, or that the seal of the vector names. */
static void begin_in_session(struct vpc_decoder *decoder, enum vpc_role_bit from, uint64_t session,
                             uint64_t number)
{
    vpc_decoder_begin(decoder, table, from);
    decoder->hunting = false;
    decoder->session = session;
    decoder->next_number = number;
}

/* Gives a piece; returns what comes of it first, and leaves the rest where it is. */
static enum vpc_decoded give(struct vpc_decoder *decoder, const uint8_t *octets, size_t n,
                             struct conform_frame *frame)
{
    struct vpc_bad_octets bad;

    vpc_decoder_add(decoder, octets, n);
    return vpc_decoder_next(decoder, frame, &bad);
}

static enum vpc_decoded decode(struct vpc_decoder *decoder, const struct vec_octets *octets,
                               size_t split, struct conform_frame *frame)
{
    enum vpc_decoded got = give(decoder, octets->octets, split, frame);

    if (got == VPC_DECODED_NONE)
        got = give(decoder, octets->octets + split, octets->n - split, frame);
    return got;
}

/* In the session and at the number of the vector's own receiver, or of the file's. */
static void begin_as_told(struct vpc_decoder *decoder, enum vpc_role_bit from, const json_t *vector)
{
    const json_t *receiver = json_object_get(vector, "receiver");

    if (receiver == NULL)
        receiver = json_object_get(file, "receiver");
    begin_in_session(decoder, from, vec_number(receiver, "session"),
                     vec_number(receiver, "number"));
}

static void decode_valid(const json_t *vector, const struct vec_octets *octets, size_t split,
                         enum vpc_role_bit from)
{
    const char *id = vec_text(vector, "id");
    struct vpc_decoder decoder;
    struct conform_frame frame;

    begin_as_told(&decoder, from, vector);
    cr_assert_eq(decode(&decoder, octets, split, &frame), VPC_DECODED_FRAME, "%s split at %zu", id,
                 split);
    expect_frame(vector, &frame, id);
    cr_assert_eq(vpc_buffer_size(&decoder.pending), 0, "%s: octets are left", id);
    vpc_frame_clear(&frame);
    vpc_decoder_end(&decoder);
}

static void run_valid(const char *name)
{
    const json_t *vector;
    const json_t *list = vectors(name);
    size_t i;

    json_array_foreach(list, i, vector)
    {
        struct vec_octets octets = vec_octets(json_object_get(vector, "octets"), i);

        for (size_t s = 0; s < 2; s++)
            if (vec_has(json_object_get(vector, "senders"), sides[s].name))
                for (size_t k = 0; k < octets.split_count; k++)
                    decode_valid(vector, &octets, octets.splits[k], sides[s].bit);
        if (json_is_true(json_object_get(vector, "send")))
            encode(vector, &octets, vec_text(vector, "id"));
        vec_octets_free(&octets);
    }
}

Test(vectors, valid_frames)
{
    run_valid("frames-valid");
}

/* That they are passed over is for their receiver to decide; frames they are. */
Test(vectors, frames_passed_over)
{
    run_valid("frames-passed-over");
}

static void decode_invalid(const json_t *vector, const struct vec_octets *octets, size_t split,
                           enum vpc_role_bit from)
{
    const char *id = vec_text(vector, "id");
    size_t at = vec_number(vector, "at");
    struct vpc_decoder decoder;
    struct conform_frame frame;
    enum vpc_decoded got;

    begin_as_told(&decoder, from, vector);
    got = give(&decoder, octets->octets, split, &frame);
    cr_assert(got == VPC_DECODED_NONE || (got == VPC_DECODED_BAD && split > at),
              "%s split at %zu: known before octet %zu came", id, split, at);
    if (got == VPC_DECODED_NONE)
        got = give(&decoder, octets->octets + split, octets->n - split, &frame);
    cr_assert_eq(got, VPC_DECODED_BAD, "%s split at %zu is not seen", id, split);
    vpc_decoder_end(&decoder);
}

Test(vectors, invalid_frames)
{
    const json_t *vector;
    const json_t *list = vectors("frames-invalid");
    size_t i;

    json_array_foreach(list, i, vector)
    {
        struct vec_octets octets = vec_octets(json_object_get(vector, "octets"), i);

        for (size_t s = 0; s < 2; s++)
            if (vec_has(json_object_get(vector, "senders"), sides[s].name))
                for (size_t k = 0; k < octets.split_count; k++)
                    decode_invalid(vector, &octets, octets.splits[k], sides[s].bit);
        vec_octets_free(&octets);
    }
}

/* ---- the hunt ---------------------------------------------------------------------------------------------------------- */

/* Takes every HELLO that there is by now; each puts the decoder to the hunt again, as a receiver without a session is. */
static void take_found(struct vpc_decoder *decoder, const json_t *vector, size_t *count,
                       size_t given, size_t split)
{
    const json_t *found = json_object_get(vector, "found");
    const char *id = vec_text(vector, "id");
    struct vpc_bad_octets bad;
    struct conform_frame frame;

    while (vpc_decoder_next(decoder, &frame, &bad) == VPC_DECODED_FRAME) {
        const json_t *want = json_array_get(found, *count);

        cr_assert_not_null(want, "%s split at %zu: one HELLO too many is found", id, split);
        expect_frame(want, &frame, id);
        cr_assert_eq(given - vpc_buffer_size(&decoder->pending), vec_number(want, "end"),
                     "%s split at %zu: the HELLO ends elsewhere", id, split);
        vpc_frame_clear(&frame);
        decoder->hunting = true;
        ++*count;
    }
}

static void hunt(const json_t *vector, const struct vec_octets *octets, size_t split)
{
    struct vpc_decoder decoder;
    size_t count = 0;

    vpc_decoder_begin(&decoder, table, VPC_FROM_GUEST);
    vpc_decoder_add(&decoder, octets->octets, split);
    take_found(&decoder, vector, &count, split, split);
    vpc_decoder_add(&decoder, octets->octets + split, octets->n - split);
    take_found(&decoder, vector, &count, octets->n, split);
    cr_assert_eq(count, json_array_size(json_object_get(vector, "found")),
                 "%s split at %zu: %zu HELLOs are found", vec_text(vector, "id"), split, count);
    vpc_decoder_end(&decoder);
}

Test(vectors, hunt)
{
    const json_t *vector;
    const json_t *list = vectors("hunt");
    size_t i;

    json_array_foreach(list, i, vector)
    {
        struct vec_octets octets = vec_octets(json_object_get(vector, "octets"), i);

        hunt(vector, &octets, 0);
        for (size_t k = 0; k < octets.split_count; k++)
            hunt(vector, &octets, octets.splits[k]);
        vec_octets_free(&octets);
    }
}

/* ---- transcripts -------------------------------------------------------------------------------------------------------- */

/* The octets of a step as they may come: a preamble of unknown length gets the least. */
static json_t *with_preambles(const json_t *items)
{
    json_t *out = json_array(), *item;
    size_t i;

    json_array_foreach(items, i, item)
    {
        json_t *least = json_object_get(item, "pad_at_least");

        json_array_append_new(out, least == NULL
                                       ? json_incref(item)
                                       : json_pack("{s:s,s:O}", "octet", "16", "times", least));
    }
    return out;
}

/* Both directions of a transcript; what was sent in a step must be the step's frames. */
static void follow(struct vpc_decoder *decoder, const json_t *transcript, const json_t *step,
                   const json_t *items)
{
    json_t *list = with_preambles(items);
    struct vec_octets octets = vec_octets(list, 1);
    const json_t *want;
    struct conform_frame frame;
    size_t i;

    vpc_decoder_add(decoder, octets.octets, octets.n);
    json_array_foreach(json_object_get(step, "frames"), i, want)
    {
        struct vpc_bad_octets bad = {0};

        cr_assert_eq(vpc_decoder_next(decoder, &frame, &bad), VPC_DECODED_FRAME, "%s: a %s: %s",
                     vec_text(transcript, "id"), vec_text(want, "message"), bad.why);
        expect_frame(want, &frame, vec_text(transcript, "id"));
        vpc_frame_clear(&frame);
    }
    vec_octets_free(&octets);
    json_decref(list);
}

/* What is sent is always whole frames; what is received may be no frame on purpose, and ends the direction's judgement. */
static void follow_transcript(const json_t *transcript)
{
    bool host = strcmp(vec_text(transcript, "role"), "host") == 0;
    struct vpc_decoder sent, received;
    const json_t *step;
    bool broken = false;
    size_t i;

    vpc_decoder_begin(&sent, table, host ? VPC_FROM_HOST : VPC_FROM_GUEST);
    vpc_decoder_begin(&received, table, host ? VPC_FROM_GUEST : VPC_FROM_HOST);
    json_array_foreach(json_object_get(transcript, "steps"), i, step)
    {
        const json_t *log = json_array_get(json_object_get(step, "log"), 0);

        broken = broken || strcmp(vec_text(log, "name"), "FRAMING_LOST") == 0;
        if (json_object_get(step, "send") != NULL)
            follow(&sent, transcript, step, json_object_get(step, "send"));
        else if (json_object_get(step, "receive") != NULL && !broken)
            follow(&received, transcript, step, json_object_get(step, "receive"));
    }
    vpc_decoder_end(&sent);
    vpc_decoder_end(&received);
}

Test(vectors, transcripts)
{
    const json_t *transcript;
    const json_t *list = vectors("transcripts");
    size_t i;

    json_array_foreach(list, i, transcript) follow_transcript(transcript);
}

/* ---- known answers ------------------------------------------------------------------------------------------------------ */

Test(vectors, answers)
{
    const json_t *vector;
    const json_t *list = vectors("answers");
    size_t i;

    json_array_foreach(list, i, vector)
    {
        const char *id = vec_text(vector, "id");

        if (strcmp(vec_text(vector, "kind"), "crc32c") == 0) {
            struct vec_octets octets = vec_octets(json_object_get(vector, "octets"), 1);

            cr_assert_eq(conform_crc32c(octets.octets, octets.n), vec_number(vector, "crc32c"),
                         "%s", id);
            vec_octets_free(&octets);
        } else {
            cr_assert_eq(conform_session_id(vec_number(vector, "host_epoch"),
                                            vec_number(vector, "guest_epoch")),
                         vec_number(vector, "session"), "%s", id);
        }
    }
}
