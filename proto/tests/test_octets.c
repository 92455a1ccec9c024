/* SPDX-License-Identifier: MIT */
/*
 * Every octet at every place of every message, in each direction: the parser takes it exactly if the message table
 * (spec/messages.json) says that it may stand there.
 *
 * Goal    Each state of the byte grammar's machine meets each of the 256 octets, entered in mid-input and anew.
 * How     The grammar is not asked: what may stand at a place is worked out from the table's types and limits.
 */
#include "vpcbus.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define ROOM     256u
#define VARIANTS 3
#define PAYLOAD  3u

/* One octet of a message, and what may stand there. */
struct place {
    enum { ONE_OF, VALUE, LAST_OF_NONZERO, TEXT, TYPE, LENGTH } rule;
    uint8_t low, high;    /* VALUE */
    uint8_t first;        /* LAST_OF_NONZERO, TEXT, LENGTH: the place where the field begins */
    uint32_t least, most; /* LENGTH */
};

struct sample {
    uint8_t octets[ROOM];
    struct place places[ROOM];
    size_t n;
};

static json_t *table;
static vpc_parser *parser;

static void set_up(void)
{
    json_error_t error;

    table = json_load_file(VPC_SPEC "/messages.json", 0, &error);
    cr_assert_not_null(table, "%s", error.text);
    parser = malloc(sizeof(*parser));
    cr_assert_not_null(parser);
}

static void tear_down(void)
{
    free(parser);
    json_decref(table);
}

TestSuite(octets, .init = set_up, .fini = tear_down, .timeout = 120);

static const char *text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static uint32_t number(const json_t *object, const char *key, uint32_t otherwise)
{
    const json_t *value = json_object_get(object, key);

    return json_is_integer(value) ? (uint32_t)json_integer_value(value) : otherwise;
}

static bool sends(const json_t *message, enum vpc_side sender)
{
    const json_t *from = json_object_get(message, "from"), *one;
    size_t i;

    json_array_foreach(from, i,
                       one) if (strcmp(json_string_value(one),
                                       sender == VPC_HOST ? "host" : "guest") == 0) return true;
    return false;
}

/* ---- a message, place by place ---------------------------------------------------------------------------------- */

static void add(struct sample *sample, uint8_t octet, struct place place)
{
    cr_assert(sample->n < ROOM);
    sample->places[sample->n] = place;
    sample->octets[sample->n++] = octet;
}

static void add_value(struct sample *sample, uint8_t low, uint8_t high, uint8_t octet)
{
    add(sample, octet, (struct place){.rule = VALUE, .low = low, .high = high});
}

/* An integer; `nonzero`: not all of its octets may be zero.  The last variant makes it as small as it may be, with its
 * one at the top. */
static void add_integer(struct sample *sample, size_t size, bool nonzero, int variant)
{
    uint8_t first = (uint8_t)sample->n;

    for (size_t i = 0; i + 1 < size; i++)
        add_value(sample, 0, 255, variant == 2 ? 0 : (uint8_t)(0x11 * (i + 1)));
    if (nonzero)
        add(sample, 1, (struct place){.rule = LAST_OF_NONZERO, .first = first});
    else
        add_value(sample, 0, 255, variant == 2 ? 0 : 0x7F);
}

/* A text: full, short, empty. */
static void add_text(struct sample *sample, int variant)
{
    static const uint8_t lengths[VARIANTS] = {VPC_TEXT_MAX, 2, 0};
    uint8_t first = (uint8_t)sample->n;

    for (size_t i = 0; i < VPC_TEXT_MAX; i++)
        add(sample, i < lengths[variant] ? (uint8_t)('A' + i) : 0,
            (struct place){.rule = TEXT, .first = first});
}

static void add_field(struct sample *sample, const json_t *field, int variant)
{
    const char *type = text(field, "type");
    size_t size =
        (size_t)number(json_object_get(json_object_get(table, "types"), type), "size", PAYLOAD);
    uint32_t least = number(field, "min", 0);

    if (strcmp(type, "text32") == 0)
        add_text(sample, variant);
    else if (size == 1 && type[0] == 'u')
        add_value(sample, (uint8_t)least, (uint8_t)number(field, "max", 255), (uint8_t)least);
    else if (type[0] == 'u')
        add_integer(sample, size, least > 0, variant);
    else
        for (size_t i = 0; i < size; i++) /* octets, and those that nobody looks at */
            add_value(sample, 0, 255, 0);
}

static bool is_data(const json_t *message)
{
    return strcmp(text(message, "name"), "DATA") == 0;
}

static void add_header(struct sample *sample, const json_t *message, uint32_t length, int variant)
{
    bool data = is_data(message);
    uint8_t first;

    add(sample, 0xB5, (struct place){.rule = ONE_OF, .low = 0xB5, .high = VPC_PAD});
    add_value(sample, 0x56, 0x56, 0x56);
    add(sample, (uint8_t)number(message, "type", 0), (struct place){.rule = TYPE});
    add_value(sample, 0, 0, 0);
    if (strcmp(text(message, "scope"), "session") == 0)
        for (int i = 0; i < 4; i++)
            add_value(sample, 0, 0, 0);
    else
        add_integer(sample, 4, true, variant);
    first = (uint8_t)sample->n;
    for (int i = 0; i < 4; i++)
        add(sample, (uint8_t)(length >> 8 * i),
            (struct place){.rule = LENGTH,
                           .first = first,
                           .least = data ? 9 : length,
                           .most = data ? VPC_BODY_MAX : length});
}

static void make_sample(struct sample *sample, const json_t *message, int variant)
{
    const json_t *fields = json_object_get(message, "fields"), *field;
    struct sample body = {.n = 0};
    size_t i;

    json_array_foreach(fields, i, field) add_field(&body, field, variant);
    sample->n = 0;
    add_header(sample, message, (uint32_t)body.n, variant);
    for (i = 0; i < body.n; i++) {
        body.places[i].first = (uint8_t)(body.places[i].first + VPC_HEADER_SIZE);
        add(sample, body.octets[i], body.places[i]);
    }
    for (i = 0; i < VPC_SEAL_SIZE; i++)
        add_value(sample, 0, 255, (uint8_t)i);
}

/* ---- what may stand at a place ------------------------------------------------------------------------------------ */

static bool all_zero(const uint8_t *octets, size_t n)
{
    while (n > 0 && octets[n - 1] == 0)
        n--;
    return n == 0;
}

static bool text_octet(const uint8_t *before, size_t n, uint8_t octet)
{
    bool printable = octet >= 0x20 && octet <= 0x7E;

    return octet == 0 || (printable && (n == 0 || before[n - 1] != 0));
}

/* Whether a length within the limits begins with these octets. */
static bool length_octet(const struct place *place, const uint8_t *before, size_t n, uint8_t octet)
{
    uint64_t value = (uint64_t)octet << 8 * n, step = UINT64_C(1) << 8 * (n + 1);

    for (size_t i = 0; i < n; i++)
        value |= (uint64_t)before[i] << 8 * i;
    while (value < place->least)
        value += step;
    return value <= place->most;
}

static bool known_type(uint8_t octet, enum vpc_side sender)
{
    const json_t *message;
    size_t i;

    json_array_foreach(json_object_get(table, "messages"), i,
                       message) if (number(message, "type", 0) == octet &&
                                    sends(message, sender)) return true;
    return false;
}

static bool may_stand(const struct sample *sample, size_t at, uint8_t octet, enum vpc_side sender)
{
    const struct place *place = &sample->places[at];
    const uint8_t *before = sample->octets + place->first;

    switch (place->rule) {
    case ONE_OF:
        return octet == place->low || octet == place->high;
    case VALUE:
        return octet >= place->low && octet <= place->high;
    case LAST_OF_NONZERO:
        return octet != 0 || !all_zero(before, at - place->first);
    case TEXT:
        return text_octet(before, at - place->first, octet);
    case LENGTH:
        return length_octet(place, before, at - place->first, octet);
    case TYPE:
        return known_type(octet, sender);
    }
    return false;
}

/* ---- the tests ------------------------------------------------------------------------------------------------------ */

/* Parses n octets of which the last comes with the others, or behind an input of none, by itself. */
static enum vpc_parse_result parse(const uint8_t *octets, size_t n, bool apart)
{
    const uint8_t *p = octets;

    if (apart) {
        cr_assert_eq(vpc_parse(parser, &p, octets + n - 1), VPC_PARSE_MORE, "type %u, %zu octets",
                     octets[2], n - 1);
        cr_assert_eq(vpc_parse(parser, &p, p), VPC_PARSE_MORE);
    }
    return vpc_parse(parser, &p, octets + n);
}

static void try_octet(struct sample *sample, size_t at, uint8_t octet, enum vpc_side sender,
                      const char *name)
{
    uint8_t kept = sample->octets[at];
    enum vpc_parse_result want = !may_stand(sample, at, octet, sender) ? VPC_PARSE_BAD
                                 : at + 1 == sample->n                 ? VPC_PARSE_FRAME
                                                                       : VPC_PARSE_MORE;

    sample->octets[at] = octet;
    for (int apart = 0; apart < 2; apart++) {
        vpc_parser_follow(parser, sender);
        cr_assert_eq(parse(sample->octets, at + 1, apart), want, "%s: octet %02x at %zu", name,
                     octet, at);
    }
    sample->octets[at] = kept;
}

Test(octets, every_octet_at_every_place)
{
    const json_t *message;
    size_t i;

    json_array_foreach(json_object_get(table, "messages"), i,
                       message) for (int side = VPC_HOST; side <= VPC_GUEST;
                                     side++) for (int variant = 0; variant < VARIANTS; variant++)
    {
        struct sample sample;

        make_sample(&sample, message, variant);
        for (size_t at = 0; at < sample.n && sends(message, (enum vpc_side)side); at++)
            for (unsigned octet = 0; octet < 256; octet++)
                try_octet(&sample, at, (uint8_t)octet, (enum vpc_side)side, text(message, "name"));
    }
}

/* ---- the hunt --------------------------------------------------------------------------------------------------------- */

#define PADS 16u

/* Behind any octet anywhere in a greeting the hunt takes the next greeting; and none if that octet may not stand. */
static void hunt_octet(const struct sample *hello, size_t at, uint8_t octet)
{
    uint8_t octets[3 * ROOM];
    const uint8_t *p = octets;
    size_t n = PADS + at + 1;
    bool fits = at + 1 == hello->n && may_stand(hello, at, octet, VPC_HOST);

    memset(octets, VPC_PAD, PADS);
    memcpy(octets + PADS, hello->octets, at);
    octets[n - 1] = octet;
    for (int apart = 0; apart < 2; apart++) {
        vpc_parser_hunt(parser);
        cr_assert_eq(parse(octets, n, apart), fits ? VPC_PARSE_FRAME : VPC_PARSE_MORE,
                     "%02x at %zu of a hunt", octet, at);
    }
    if (fits || may_stand(hello, at, octet, VPC_HOST))
        return;
    memset(octets + n, VPC_PAD, PADS);
    memcpy(octets + n + PADS, hello->octets, hello->n);
    p = octets + n;
    cr_assert_eq(vpc_parse(parser, &p, p + PADS + hello->n), VPC_PARSE_FRAME,
                 "the greeting behind %02x at %zu", octet, at);
}

Test(octets, every_octet_of_a_hunt)
{
    const json_t *hello = json_array_get(json_object_get(table, "messages"), 0);

    cr_assert_str_eq(text(hello, "name"), "HELLO");
    for (int variant = 0; variant < VARIANTS; variant++) {
        struct sample sample;

        make_sample(&sample, hello, variant);
        for (size_t at = 0; at < sample.n; at++)
            for (unsigned octet = 0; octet < 256; octet++)
                hunt_octet(&sample, at, (uint8_t)octet);
    }
}
