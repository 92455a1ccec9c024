/* SPDX-License-Identifier: MIT */
/*
 * The frames and streams of spec/vectors against the parser and the encoder, at every split point.
 *
 * The vectors were written from the document by an encoder of their own: where the two disagree, one of them misread it.
 * The transcripts are the matter of test_transcripts.c.
 */
#include "vpcbus.h"

#include "spec/vectors/vectors.h"

#include <criterion/criterion.h>

#define LIMIT .timeout = 60

static json_t *file;
static vpc_parser *parser;

static void set_up(void)
{
    parser = malloc(sizeof(*parser));
    cr_assert_not_null(parser);
    memset(parser, 0xA5, sizeof(*parser));
}

static void tear_down(void)
{
    json_decref(file);
    file = NULL;
    free(parser);
}

static json_t *vectors(const char *name)
{
    file = vec_open(VPC_VECTORS, name);
    return json_object_get(file, "vectors");
}

static const enum vpc_side sides[] = {VPC_HOST, VPC_GUEST};

static const char *side_name(enum vpc_side side)
{
    return side == VPC_HOST ? "host" : "guest";
}

/* ---- fields ------------------------------------------------------------------------------------------------------ */

static uint64_t field_of(const vpc_frame *frame, const char *name)
{
    const struct {
        const char *name;
        uint64_t value;
    } known[] = {{"role", frame->role},
                 {"version_min", frame->version_min},
                 {"version_max", frame->version_max},
                 {"max_pairs", frame->max_pairs},
                 {"epoch", frame->epoch},
                 {"echo", frame->echo},
                 {"features", frame->features},
                 {"heartbeat_ms", frame->heartbeat_ms},
                 {"ready", frame->ready},
                 {"count", frame->count},
                 {"cause", frame->cause},
                 {"event", frame->event},
                 {"lost", frame->lost},
                 {"time", frame->time},
                 {"h2g", frame->h2g},
                 {"g2h", frame->g2h},
                 {"level", frame->level},
                 {"sent", frame->sent},
                 {"received", frame->received},
                 {"value", frame->value},
                 {"reverse_channel", frame->reverse_channel},
                 {"port", frame->port},
                 {"connect_ms", frame->connect_ms},
                 {"limit", frame->limit},
                 {"errno", frame->error},
                 {"offset", frame->offset}};

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(known[i].name, name) == 0)
            return known[i].value;
    cr_assert_fail("no field %s", name);
    return 0;
}

/* NULL: the field is none of the texts.  EVENT's cause is a text, GOODBYE's a number. */
static const char *text_of(const vpc_frame *frame, const char *name)
{
    return strcmp(name, "tag") == 0                                 ? frame->tag
           : strcmp(name, "name") == 0                              ? frame->name
           : strcmp(name, "detail") == 0                            ? frame->detail
           : strcmp(name, "cause") == 0 && frame->type == VPC_EVENT ? frame->cause_text
                                                                    : NULL;
}

static void expect_fields(const json_t *vector, const vpc_frame *frame, const char *id)
{
    json_t *fields = json_object_get(vector, "fields");
    const char *name;
    json_t *value;

    cr_assert_str_eq(vpc_message_name(frame->type), vec_text(vector, "message"), "%s", id);
    cr_assert_eq(frame->channel, vec_number(vector, "channel"), "%s", id);
    json_object_foreach(fields, name, value)
    {
        if (strcmp(name, "payload") == 0) {
            struct vec_octets payload = vec_octets(value, 1);

            cr_assert_eq(frame->payload_len, payload.n, "%s", id);
            cr_assert_arr_eq(frame->payload, payload.octets, payload.n, "%s", id);
            vec_octets_free(&payload);
        } else if (text_of(frame, name) != NULL) {
            cr_assert_str_eq(text_of(frame, name), json_string_value(value), "%s: %s", id, name);
        } else {
            cr_assert_eq(field_of(frame, name), vec_number(fields, name), "%s: %s", id, name);
        }
    }
}

static void expect_seal(const json_t *vector, const vpc_frame *frame, const char *id)
{
    const json_t *seal = json_object_get(vector, "seal");

    cr_assert_eq(frame->seal_session, vec_number(seal, "session"), "%s", id);
    cr_assert_eq(frame->seal_number, vec_number(seal, "number"), "%s", id);
    if (frame->type == VPC_HELLO)
        cr_assert_eq(frame->crc, vec_number(seal, "number"), "%s: CRC", id);
}

/* ---- parsing in two pieces ------------------------------------------------------------------------------------------ */

/* Parses octets from `at` on, cut at `split`, until something comes; tells where it came. */
static enum vpc_parse_result parse_on(const struct vec_octets *stream, size_t split, size_t *at)
{
    enum vpc_parse_result result = VPC_PARSE_MORE;

    while (result == VPC_PARSE_MORE && *at < stream->n) {
        size_t end = *at < split ? split : stream->n;
        const uint8_t *octets = stream->octets + *at;

        result = vpc_parse(parser, &octets, stream->octets + end);
        *at = (size_t)(octets - stream->octets);
        if (result == VPC_PARSE_MORE)
            cr_assert_eq(*at, end, "octets are left");
    }
    return result;
}

static void parse_valid(const json_t *vector, const struct vec_octets *octets, size_t split,
                        enum vpc_side sender)
{
    const char *id = vec_text(vector, "id");
    size_t at = 0;

    vpc_parser_follow(parser, sender);
    cr_assert_eq(parse_on(octets, split, &at), VPC_PARSE_FRAME, "%s split at %zu", id, split);
    cr_assert_eq(at, octets->n, "%s", id);
    expect_fields(vector, &parser->frame, id);
    expect_seal(vector, &parser->frame, id);
}

static void encode_again(const struct vec_octets *octets, const char *id)
{
    vpc_frame frame = parser->frame;
    uint8_t *out = malloc(VPC_FRAME_MAX);

    cr_assert_not_null(out);
    cr_assert_eq(vpc_encode(&frame, out), octets->n, "%s", id);
    cr_assert_arr_eq(out, octets->octets, octets->n, "%s", id);
    free(out);
}

static void run_whole_frames(const char *name)
{
    const json_t *vector;
    const json_t *list = vectors(name);
    size_t i;

    json_array_foreach(list, i, vector)
    {
        struct vec_octets octets = vec_octets(json_object_get(vector, "octets"), i);

        for (size_t s = 0; s < 2; s++) {
            if (!vec_has(json_object_get(vector, "senders"), side_name(sides[s])))
                continue;
            for (size_t k = 0; k < octets.split_count; k++)
                parse_valid(vector, &octets, octets.splits[k], sides[s]);
            if (json_is_true(json_object_get(vector, "send")))
                encode_again(&octets, vec_text(vector, "id"));
        }
        vec_octets_free(&octets);
    }
}

Test(vectors, valid_frames, LIMIT, .init = set_up, .fini = tear_down)
{
    run_whole_frames("frames-valid");
}

Test(vectors, frames_passed_over, LIMIT, .init = set_up, .fini = tear_down)
{
    run_whole_frames("frames-passed-over");
}

/* A fault of the seal is the session's to see (test_transcripts.c); every other is the grammar's, at that very octet. */
static void parse_invalid(const json_t *vector, const struct vec_octets *octets, size_t split,
                          enum vpc_side sender)
{
    const char *id = vec_text(vector, "id");
    size_t fault = vec_number(vector, "at"), at = 0;

    vpc_parser_follow(parser, sender);
    if (parse_on(octets, split, &at) == VPC_PARSE_FRAME) {
        cr_assert_eq(at, octets->n, "%s", id);
        cr_assert_str_eq(vec_text(vector, "fault"), "seal", "%s is taken for a frame", id);
    } else {
        cr_assert_str_eq(vec_text(vector, "fault"), "octets", "%s", id);
        cr_assert_eq(at, fault + 1, "%s split at %zu: bad at %zu, not at %zu", id, split, at,
                     fault);
    }
}

Test(vectors, invalid_frames, LIMIT, .init = set_up, .fini = tear_down)
{
    const json_t *vector;
    const json_t *list = vectors("frames-invalid");
    size_t i;

    json_array_foreach(list, i, vector)
    {
        struct vec_octets octets = vec_octets(json_object_get(vector, "octets"), i);

        for (size_t s = 0; s < 2; s++)
            if (vec_has(json_object_get(vector, "senders"), side_name(sides[s])))
                for (size_t k = 0; k < octets.split_count; k++)
                    parse_invalid(vector, &octets, octets.splits[k], sides[s]);
        vec_octets_free(&octets);
    }
}

/* ---- the hunt ---------------------------------------------------------------------------------------------------------- */

/* The parser finds what begins and ends like a HELLO; whether its seal is right is for its user to see. */
static bool next_hello(const struct vec_octets *octets, size_t split, size_t *at)
{
    enum vpc_parse_result result;

    while ((result = parse_on(octets, split, at)) == VPC_PARSE_FRAME) {
        bool right =
            parser->frame.seal_session == 0 && parser->frame.seal_number == parser->frame.crc;

        vpc_parser_hunt(parser);
        if (right)
            return true;
    }
    cr_assert_eq(result, VPC_PARSE_MORE, "a hunt never ends");
    return false;
}

static void hunt(const json_t *vector, const struct vec_octets *octets, size_t split)
{
    const char *id = vec_text(vector, "id");
    const json_t *found;
    size_t at = 0, i;

    vpc_parser_hunt(parser);
    json_array_foreach(json_object_get(vector, "found"), i, found)
    {
        cr_assert(next_hello(octets, split, &at), "%s split at %zu: HELLO %zu is not found", id,
                  split, i);
        cr_assert_eq(at, vec_number(found, "end"), "%s split at %zu: HELLO ends at %zu", id, split,
                     at);
        expect_fields(found, &parser->frame, id);
        expect_seal(found, &parser->frame, id);
    }
    cr_assert_not(next_hello(octets, split, &at),
                  "%s split at %zu: one found too many, ends at %zu", id, split, at);
}

Test(vectors, hunt, LIMIT, .init = set_up, .fini = tear_down)
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

/* ---- known answers ------------------------------------------------------------------------------------------------------ */

static void check_crc(const json_t *vector)
{
    struct vec_octets octets = vec_octets(json_object_get(vector, "octets"), 1);

    for (size_t split = 0; split <= octets.n; split++)
        cr_assert_eq(vpc_crc32c(vpc_crc32c(0, octets.octets, split), octets.octets + split,
                                octets.n - split),
                     vec_number(vector, "crc32c"), "%s split at %zu", vec_text(vector, "id"),
                     split);
    vec_octets_free(&octets);
}

Test(vectors, answers, LIMIT, .init = set_up, .fini = tear_down)
{
    const json_t *vector;
    const json_t *list = vectors("answers");
    size_t i;

    json_array_foreach(list, i, vector)
    {
        if (strcmp(vec_text(vector, "kind"), "crc32c") == 0)
            check_crc(vector);
        else
            cr_assert_eq(
                vpc_session_id(vec_number(vector, "host_epoch"), vec_number(vector, "guest_epoch")),
                vec_number(vector, "session"), "%s", vec_text(vector, "id"));
    }
}

/* ---- frames that a session does not take ----------------------------------------------------------------------------- */

/* A session that expects the frame 1 of the files' session id; its memory as it was is kept beside it. */
struct rig {
    vpc_session_config config;
    uint64_t epoch;
    vpc_session *session;
    void *memory, *kept;
    size_t size;
    unsigned up, lost, others;
};

static uint64_t rig_epoch(void *user)
{
    struct rig *rig = user;

    return rig->epoch++;
}

static void rig_event(void *user, const vpc_session_event *event)
{
    struct rig *rig = user;

    if (event->kind == VPC_EV_SESSION_UP)
        rig->up++;
    else if (event->kind == VPC_EV_FRAMING_LOST)
        rig->lost++;
    else
        rig->others++;
}

static void drain(struct rig *rig)
{
    const void *octets;
    size_t n;

    while ((n = vpc_session_output(rig->session, &octets)) > 0)
        vpc_session_sent(rig->session, n);
}

/* The peer's HELLO is a vector too: it echoes the epoch of the file. */
static void greet(struct rig *rig, enum vpc_side sender)
{
    const char *want = sender == VPC_HOST ? "hello-from-host" : "hello-from-guest";
    json_t *valid = vec_open(VPC_VECTORS, "frames-valid");
    const json_t *vector;
    uint8_t pads[16];
    size_t i;

    memset(pads, VPC_PAD, sizeof(pads));
    json_array_foreach(json_object_get(valid, "vectors"), i,
                       vector) if (strcmp(vec_text(vector, "id"), want) == 0)
    {
        struct vec_octets hello = vec_octets(json_object_get(vector, "octets"), 1);

        vpc_session_input(rig->session, pads, sizeof(pads));
        vpc_session_input(rig->session, hello.octets, hello.n);
        vec_octets_free(&hello);
    }
    json_decref(valid);
    cr_assert_eq(rig->up, 1);
    drain(rig);
}

static void rig_begin(struct rig *rig, enum vpc_side sender)
{
    const json_t *receiver = json_object_get(file, "receiver");

    *rig = (struct rig){
        .config = {.role = sender == VPC_HOST ? VPC_GUEST : VPC_HOST,
                   .version_min = VPC_VERSION_1_0,
                   .version_max = VPC_VERSION_1_0,
                   .max_pairs = 4,
                   .window = 64,
                   .send_buffer = 64,
                   .hello_interval_ms = 1000,
                   .heartbeat_ms = 1000,
                   .heartbeat_late_ms = 3000,
                   .backoff_max_ms = 5000,
                   .random = rig_epoch,
                   .on_event = rig_event,
                   .user = rig},
        .epoch = vec_number(receiver, sender == VPC_HOST ? "guest_epoch" : "host_epoch")};
    rig->size = vpc_session_size(&rig->config);
    rig->memory = malloc(rig->size);
    rig->kept = malloc(rig->size);
    cr_assert(rig->memory != NULL && rig->kept != NULL);
    rig->session = vpc_session_init(rig->memory, &rig->config, 0);
    vpc_session_transport(rig->session, true);
    drain(rig);
    greet(rig, sender);
    memcpy(rig->kept, rig->memory, rig->size);
}

static void rig_end(struct rig *rig)
{
    free(rig->memory);
    free(rig->kept);
}

static void give(struct rig *rig, const struct vec_octets *octets, size_t split)
{
    memcpy(rig->memory, rig->kept, rig->size);
    rig->lost = rig->others = 0;
    vpc_session_input(rig->session, octets->octets, split);
    vpc_session_input(rig->session, octets->octets + split, octets->n - split);
}

static void run_not_taken(const char *name, bool lost)
{
    const json_t *vector, *list = vectors(name);
    size_t i;

    for (size_t s = 0; s < 2; s++) {
        struct rig rig;

        rig_begin(&rig, sides[s]);
        json_array_foreach(list, i, vector)
        {
            struct vec_octets octets = vec_octets(json_object_get(vector, "octets"), i);

            if (vec_has(json_object_get(vector, "senders"), side_name(sides[s])))
                for (size_t k = 0; k < octets.split_count; k++) {
                    give(&rig, &octets, octets.splits[k]);
                    cr_assert_eq(rig.lost, lost, "%s split at %zu", vec_text(vector, "id"),
                                 octets.splits[k]);
                    /* Of a session that is lost SESSION_DOWN tells, and nothing else of anything. */
                    cr_assert_eq(rig.others, lost, "%s split at %zu", vec_text(vector, "id"),
                                 octets.splits[k]);
                }
            vec_octets_free(&octets);
        }
        rig_end(&rig);
    }
}

Test(vectors, invalid_frames_in_a_session, LIMIT, .init = set_up, .fini = tear_down)
{
    run_not_taken("frames-invalid", true);
}

Test(vectors, passed_over_in_a_session, LIMIT, .init = set_up, .fini = tear_down)
{
    run_not_taken("frames-passed-over", false);
}
