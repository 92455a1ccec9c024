/* SPDX-License-Identifier: MIT */
/*
 * The parser against any octets: however the input is split, the same frames come out of it at the same places.
 *
 * Input   one octet: bits 0 and 1 choose the language (hunt, from_host, from_guest), the rest the split; then the stream.
 */
#include "input.h"
#include "vpcbus.h"

#include <stdlib.h>

/* What one pass saw. */
struct account {
    uint64_t digest;
    size_t frames;
    enum vpc_parse_result last;
};

static uint64_t fold(uint64_t digest, const void *octets, size_t n)
{
    const uint8_t *p = octets;

    while (n-- > 0)
        digest = (digest ^ *p++) * UINT64_C(0x100000001B3);
    return digest;
}

static void note_frame(struct account *account, const vpc_frame *frame, size_t at)
{
    /* The encoder writes every field of the frame's type, and nothing else. */
    static uint8_t octets[VPC_FRAME_MAX];
    size_t n = vpc_encode(frame, octets);

    if (n == 0)
        abort();
    account->digest = fold(account->digest, octets, n);
    account->digest = fold(account->digest, &at, sizeof(at));
    account->frames++;
}

static void start(vpc_parser *parser, unsigned language)
{
    if (language == 0)
        vpc_parser_hunt(parser);
    else
        vpc_parser_follow(parser, language == 1 ? VPC_HOST : VPC_GUEST);
}

/* Parses in pieces of `piece` octets, each at the end of its memory. */
static struct account parse(unsigned language, const uint8_t *data, size_t size, size_t piece)
{
    static vpc_parser parser;
    struct account account = {.last = VPC_PARSE_MORE};

    start(&parser, language);
    for (size_t at = 0; at < size && account.last != VPC_PARSE_BAD; at += piece) {
        size_t n = piece < size - at ? piece : size - at;
        const uint8_t *copy = fuzz_at_edge(data + at, n), *p = copy;

        do {
            account.last = vpc_parse(&parser, &p, copy + n);
            if (account.last == VPC_PARSE_FRAME)
                note_frame(&account, &parser.frame, at + (size_t)(p - copy));
            if (account.last == VPC_PARSE_FRAME && language == 0)
                vpc_parser_hunt(&parser);
        } while (account.last == VPC_PARSE_FRAME && p < copy + n);
        if (account.last == VPC_PARSE_MORE && p != copy + n)
            abort();
    }
    return account;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct account whole, split;
    unsigned language;

    if (size < 2 || size > FUZZ_LARGEST)
        return 0;
    language = (data[0] & 3) % 3;
    whole = parse(language, data + 1, size - 1, size);
    split = parse(language, data + 1, size - 1, 1 + (data[0] >> 2));
    if (whole.digest != split.digest || whole.frames != split.frames ||
        (whole.last == VPC_PARSE_BAD) != (split.last == VPC_PARSE_BAD))
        abort();
    return 0;
}
