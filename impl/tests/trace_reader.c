/* SPDX-License-Identifier: MIT */
#include "trace_reader.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t u32(const uint8_t *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof(value));
    return value;
}

static uint16_t u16(const uint8_t *at)
{
    uint16_t value;

    memcpy(&value, at, sizeof(value));
    return value;
}

/* The option `code` of a block: its length, and *octets; -1 when it is not there. */
static int option(const uint8_t *at, const uint8_t *end, uint16_t code, const uint8_t **octets)
{
    while (end - at >= 4) {
        uint16_t length = u16(at + 2);

        cr_assert_leq(4 + ((length + 3) & ~3), end - at, "an option is longer than its block");
        if (u16(at) == 0)
            return -1;
        *octets = at + 4;
        if (u16(at) == code)
            return length;
        at += 4 + ((length + 3) & ~3);
    }
    cr_assert_fail("options without an end");
    return -1;
}

static void text(const uint8_t *at, const uint8_t *end, uint16_t code, char *out, size_t size)
{
    const uint8_t *octets;
    int n = option(at, end, code, &octets);

    snprintf(out, size, "%.*s", n < 0 ? 0 : n, n < 0 ? "" : (const char *)octets);
}

static void take_interface(struct traced *t, const uint8_t *body, const uint8_t *end)
{
    const uint8_t *resolution;

    cr_assert_eq(u16(body), 147u);
    cr_assert_eq(u32(body + 4), 0u);
    text(body + 8, end, 2, t->interface, sizeof(t->interface));
    text(body + 8, end, 3, t->description, sizeof(t->description));
    cr_assert_eq(option(body + 8, end, 9, &resolution), 1);
    cr_assert_eq(*resolution, 9);
}

static void take_packet(struct traced *t, const uint8_t *body, const uint8_t *end)
{
    const uint8_t *flags;

    cr_assert_lt(t->count, sizeof(t->packet) / sizeof(t->packet[0]));
    struct traced_packet *p = &t->packet[t->count++];
    cr_assert_eq(u32(body), 0u);
    p->time_ns = (uint64_t)u32(body + 4) << 32 | u32(body + 8);
    p->kept = u32(body + 12);
    p->whole = u32(body + 16);
    p->octets = body + 20;
    cr_assert_leq(p->kept, p->whole);
    cr_assert_leq(p->kept, (size_t)(end - p->octets));
    const uint8_t *options = p->octets + ((p->kept + 3) & ~3u);
    cr_assert_eq(option(options, end, 2, &flags), 4);
    p->direction = u32(flags);
    cr_assert_leq(p->direction, 2u);
    text(options, end, 1, p->comment, sizeof(p->comment));
}

/* One block: its length. */
static uint32_t take_block(struct traced *t, const uint8_t *at, size_t left)
{
    cr_assert_geq(left, 12u, "a piece of a block");
    uint32_t type = u32(at), length = u32(at + 4);
    cr_assert_eq(length % 4, 0u);
    cr_assert_leq(length, left, "a block is cut");
    cr_assert_eq(u32(at + length - 4), length);
    const uint8_t *body = at + 8, *end = at + length - 4;
    if (type == 0x0A0D0D0A) {
        cr_assert_eq(u32(body), 0x1A2B3C4Du);
        cr_assert_eq(u16(body + 4), 1u);
        t->sections++;
    } else if (type == 1) {
        take_interface(t, body, end);
    } else {
        cr_assert_eq(type, 6u, "a block of type %u", type);
        take_packet(t, body, end);
    }
    return length;
}

struct traced *traced_read(const char *path)
{
    struct traced *t = calloc(1, sizeof(*t));
    FILE *file = fopen(path, "re");

    cr_assert_not_null(t);
    cr_assert_not_null(file, "there is no %s", path);
    fseek(file, 0, SEEK_END);
    size_t size = (size_t)ftell(file), at = 0;
    rewind(file);
    t->file = malloc(size + 1);
    cr_assert_eq(fread(t->file, 1, size, file), size);
    fclose(file);
    while (at < size)
        at += take_block(t, t->file + at, size - at);
    cr_assert_gt(t->sections, 0u);
    return t;
}

void traced_free(struct traced *t)
{
    free(t->file);
    free(t);
}

enum traced_kind traced_kind(const struct traced_packet *packet)
{
    if (packet->direction == 0)
        return TRACED_ENTRY;
    if (packet->octets[0] == 0x16)
        return TRACED_PADDING;
    return strncmp(packet->comment, "no frame", 8) == 0 ? TRACED_OTHER : TRACED_FRAME;
}
