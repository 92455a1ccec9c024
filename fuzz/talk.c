/* SPDX-License-Identifier: MIT */
/*
 * What the example applications say to each other, as a stranger may say it; and the rules and devices that they read.
 *
 * Input   which side's grammar, how long the pieces are in which it comes, then its octets.
 * Goal    Messages are the same in pieces of any size; each has one form only, so that what was taken is, formed anew,
 *         what came; nothing behind a wrong octet is taken.  Of texts: they are read without harm.
 */
#include "input.h"

#include <stdlib.h>

#include "examples/print/print.h"
#include "examples/print/uri.h"
#include "examples/run/rules.h"
#include "examples/run/run.h"
#include "examples/watch/watch.h"

static const struct talk_grammar *const grammars[] = {
    &watch_question, &watch_answer, &run_request, &run_answer, &print_jobs, &print_answer,
};

enum {
    GRAMMARS = sizeof(grammars) / sizeof(grammars[0]),
};

static struct talk talk;

static void require(int condition)
{
    if (!condition)
        abort();
}

/* Takes all in pieces; out is what was taken, formed anew, and its size is answered. */
static size_t take_all(const struct talk_grammar *grammar, const uint8_t *octets, size_t size,
                       size_t piece, uint8_t *out)
{
    enum talk_taken taken = TALK_MORE;
    size_t formed = 0, used;

    talk_begin(&talk, -1, grammar);
    while (size > 0 && taken != TALK_WRONG) {
        size_t n = piece < size ? piece : size;

        taken = talk_take(&talk, fuzz_at_edge(octets, n), n, &used);
        require(used <= n && (taken != TALK_MORE || used == n));
        octets += used;
        size -= used;
        if (taken == TALK_WHOLE)
            formed += talk_form(grammar, talk.message.kind, talk.message.numbers, talk.message.data,
                                talk.message.size, out + formed);
    }
    require(taken != TALK_WRONG || talk_take(&talk, octets, size, &used) == TALK_WRONG);
    return formed;
}

static void take_messages(const struct talk_grammar *grammar, const uint8_t *octets, size_t size,
                          size_t piece)
{
    static uint8_t whole[FUZZ_LARGEST + TALK_MESSAGE_MAX], parts[FUZZ_LARGEST + TALK_MESSAGE_MAX];
    size_t n = take_all(grammar, octets, size, size, whole);

    require(n <= size && memcmp(whole, octets, n) == 0);
    require(take_all(grammar, octets, size, piece, parts) == n && memcmp(whole, parts, n) == 0);
}

static void read_text(const uint8_t *octets, size_t size)
{
    static struct rules rules;
    struct uri uri = {.wait_s = 0};
    char text[FUZZ_LARGEST + 1];

    if (rules_read(&rules, (const char *)octets, size) == 0)
        for (unsigned i = 0; i < rules.count; i++) {
            const struct rule *rule = &rules.rules[i];
            char *const *words = (char *const *)(uintptr_t)(rule->words + 1);

            require(rule->count >= 2 && *rule->words[1] == '/');
            require(rules_find(&rules, rule->words[0], words, rule->count - 1) != NULL);
        }
    memcpy(text, octets, size);
    text[size] = '\0';
    uri_read(&uri, text);
    require(strlen(uri.path) < URI_PATH_SIZE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, data + size};
    unsigned which = fuzz_octet(&input) % (GRAMMARS + 1), piece = 1 + fuzz_octet(&input) % 16;
    const uint8_t *octets;
    size_t n = fuzz_octets(&input, FUZZ_LARGEST, &octets);

    if (which < GRAMMARS)
        take_messages(grammars[which], octets, n, piece);
    else
        read_text(octets, n);
    return 0;
}
