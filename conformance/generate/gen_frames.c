/* SPDX-License-Identifier: MIT */
/*
 * Frames that are none: each message with each part of its header, its seal and its fields beside what the table allows.
 *
 * In a session framing is lost, whatever the message would have meant there; without one the frame is passed over.  One
 * scenario holds all variants of one message in one state, each in a session of its own.  Limits of 64 bits have no
 * neighbour outside; fields whose whole range is legal have none either.
 */
#include <stdlib.h>
#include <string.h>

#include "generate/generate.h"
#include "memory.h"

enum stage { HUNTING, MISMATCHED, NOT_READY, READY, STAGES };

static const char *const stage_names[] = {"hunting", "mismatched", "not-ready", "ready"};
static const char *const stage_words[] = {"before a session", "after a HELLO of no common version",
                                          "in a session that is not ready", "in a session"};

struct variant {
    char *args;  /* behind the message */
    char *after; /* a further line, or "" */
    bool passed; /* passed over in a session, too (MSG-1) */
};

struct variants {
    struct variant *list;
    size_t count;
};

static void add(struct variants *variants, bool passed, const char *after, char *args)
{
    variants->list = vpc_grow_by_one(variants->list, variants->count, sizeof(*variants->list));
    variants->list[variants->count++] = (struct variant){args, vpc_copy(after), passed};
}

static void forget(struct variants *variants)
{
    for (size_t i = 0; i < variants->count; i++) {
        free(variants->list[i].args);
        free(variants->list[i].after);
    }
    free(variants->list);
}

static bool is(const struct conform_message *message, const char *name)
{
    return strcmp(message->name, name) == 0;
}

/* What a right frame of this message needs to be written. */
static const char *base_of(const struct conform_message *message)
{
    if (message->of_session)
        return "";
    return is(message, "DATA") ? "channel=21 offset=0 text=\"xy\"" : "channel=21";
}

static void add_header(struct variants *variants, const struct conform_message *message)
{
    const char *base = base_of(message);
    static const char *const always[] = {
        "header.magic=0x57b5", "header.magic=0x56b4",     "header.type=0",  "header.type=9",
        "header.type=24",      "header.type=255",         "header.flags=1", "header.flags=128",
        "header.length=0",     "header.length=0xffffffff"};

    for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
        add(variants, false, "", vpc_format("%s %s", base, always[i]));
    if (message->min_body == message->max_body) {
        add(variants, false, "", vpc_format("%s header.length=%zu", base, message->min_body - 1));
        add(variants, false, "", vpc_format("%s header.length=%zu", base, message->max_body + 1));
    } else {
        add(variants, false, "", vpc_format("%s header.length=%zu", base, message->min_body - 1));
        add(variants, false, "", vpc_format("%s header.length=%zu", base, message->max_body + 1));
        add(variants, false, "", vpc_format("%s header.length=%zu", base, message->min_body));
        add(variants, false, "bus   > pad 1\n",
            vpc_format("%s header.length=%zu", base, message->min_body + 2));
    }
    if (message->of_session)
        add(variants, false, "", vpc_copy("channel=1"));
    else
        add(variants, false, "",
            vpc_format("channel=0%s", is(message, "DATA") ? " offset=0 text=\"xy\"" : ""));
}

static void add_seal(struct variants *variants, const struct conform_message *message)
{
    const char *base = base_of(message);

    add(variants, false, "", vpc_format("%s seal.number=0", base));
    add(variants, false, "", vpc_format("%s seal.number=999999", base));
    add(variants, false, "", vpc_format("%s seal.session=%d", base, is(message, "HELLO")));
    add(variants, false, "", vpc_format("%s seal.session=0xffffffffffffffff", base));
}

static void add_fields(struct variants *variants, const struct conform_message *message)
{
    const char *base = base_of(message);

    for (size_t i = 0; i < message->field_count; i++) {
        const struct vpc_field *field = &message->fields[i];
        uint64_t whole = field->size >= 8 ? UINT64_MAX : ((uint64_t)1 << 8 * field->size) - 1;

        if (field->kind == VPC_FIELD_INT && field->min > 0)
            add(variants, false, "",
                vpc_format("%s %s=%llu", base, field->name, (unsigned long long)field->min - 1));
        if (field->kind == VPC_FIELD_INT && field->max < whole)
            add(variants, false, "",
                vpc_format("%s %s=%llu", base, field->name, (unsigned long long)field->max + 1));
        if (field->kind == VPC_FIELD_INT && field->max < whole)
            add(variants, false, "",
                vpc_format("%s %s=%llu", base, field->name, (unsigned long long)whole));
        if (field->kind == VPC_FIELD_TEXT)
            add(variants, false, "", vpc_format("%s %s=\"a\\x1fb\"", base, field->name));
        if (field->kind == VPC_FIELD_TEXT)
            add(variants, false, "", vpc_format("%s %s=\"\\x7f\"", base, field->name));
    }
}

/* What only the document knows of a HELLO (MSG-1). */
static void add_hello(struct variants *variants, bool host)
{
    add(variants, true, "", vpc_format("role=%d", host ? 1 : 2));
    add(variants, true, "", vpc_copy("version_min=257 version_max=256"));
}

static void make_variants(struct variants *variants, const struct conform_message *message,
                          bool host, bool allowed)
{
    *variants = (struct variants){0};
    if (!allowed) {
        add(variants, false, "", vpc_copy(base_of(message)));
        return;
    }
    add_header(variants, message);
    add_seal(variants, message);
    add_fields(variants, message);
    if (is(message, "DATA")) {
        add(variants, false, "", vpc_copy("channel=21 offset=0 text=\"\""));
        add(variants, false, "",
            vpc_format("channel=21 offset=0 bytes=%zu", message->max_body - 8 + 1));
    }
    if (is(message, "HELLO"))
        add_hello(variants, host);
}

/* ---- the scenarios --------------------------------------------------------------------------------------------------- */

static void write_in_session(struct vpc_generator *generator, const char *name, enum stage stage,
                             const struct variants *variants)
{
    vpc_gen(generator, "option backoff_max_ms=0\n");
    for (size_t i = 0; i < variants->count; i++) {
        const struct variant *one = &variants->list[i];

        vpc_gen(generator, "\nsession%s\nbus   > %s %s\n%s", stage == NOT_READY ? " not-ready" : "",
                name, one->args, one->after);
        if (one->passed)
            vpc_gen(generator, "bus   > hello echo=0\nbus   < hello repeated by SES-7\n"
                               "log   none 1013\nlog   none 1011\n"
                               "bus   > goodbye\nlog   < 1011 cause=goodbye\n");
        else
            vpc_gen(generator, "log   < 1013\nlog   < 1011 cause=\"framing lost\"\n"
                               "bus   none goodbye\n");
        vpc_gen(generator, "bus   < hello epoch!=$subject_epoch\n");
    }
    vpc_gen(generator, "\nsession\nlog   none 1014\n");
}

/* Whether an endpoint answers such a HELLO is its own affair. */
#define MISMATCH                                                                                   \
    "bus   > hello echo=$e version_min=512 version_max=515\nlog   < 1012\n"                        \
    "either\n  bus < hello epoch=$e\nor\n  bus none hello for 200ms\nend\n"

static void write_without(struct vpc_generator *generator, const char *name, enum stage stage,
                          const struct variants *variants)
{
    bool hello = strcmp(name, "hello") == 0;

    vpc_gen(generator, "option hello_interval_ms=60000\n\nbus   up\nbus   < hello epoch=$e\n%s",
            stage == MISMATCHED ? MISMATCH : "");
    for (size_t i = 0; i < variants->count; i++)
        vpc_gen(generator, "bus   > %s%s %s\n%s", name, hello ? " echo=$e preamble=64" : "",
                variants->list[i].args, variants->list[i].after);
    vpc_gen(generator, "bus   none hello for 100ms\nlog   none 1010\nlog   none 1013\n"
                       "log   none 1014\n\nsession\n");
}

static void write_one(struct vpc_generator *generator, const struct conform_message *message,
                      enum stage stage, bool host)
{
    bool allowed = message->from & (host ? VPC_FROM_GUEST : VPC_FROM_HOST);
    bool in_session = stage >= NOT_READY;
    struct variants variants;
    char small[16];
    char *name = vpc_format("%s-%s-%s", allowed ? "broken" : "astray",
                            vpc_gen_lower(message->name, small), stage_names[stage]);
    char *title = allowed ? vpc_format("A %s with a wrong header, seal or field %s is %s.",
                                       message->name, stage_words[stage],
                                       in_session ? "no frame: the endpoint starts again"
                                                  : "passed over without an answer")
                          : vpc_format("A %s, which only the other end may send, %s is no frame.",
                                       message->name, stage_words[stage]);

    make_variants(&variants, message, host, allowed);
    if (vpc_gen_begin(generator, host, "frames", name, title,
                      !in_session ? "FRM-10 FRM-9"
                      : allowed   ? "FRM-2 FRM-3 FRM-4 FRM-9 SES-9"
                                  : "FRM-12 FRM-9 SES-9")) {
        if (in_session)
            write_in_session(generator, small, stage, &variants);
        else
            write_without(generator, small, stage, &variants);
        vpc_gen_end(generator);
    }
    forget(&variants);
    free(name);
    free(title);
}

void vpc_gen_frames(struct vpc_generator *generator)
{
    for (int host = 1; host >= 0; host--)
        for (size_t m = 0; m < generator->table->message_count; m++)
            for (int stage = HUNTING; stage < STAGES; stage++)
                if (host || stage != NOT_READY)
                    write_one(generator, &generator->table->messages[m], (enum stage)stage, host);
}
