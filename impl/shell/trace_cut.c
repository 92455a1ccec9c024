/* SPDX-License-Identifier: MIT */
/*
 * The parser of proto/ knows what a frame is; here its octets are put aside until it has one.  `held` has room for what is no
 * frame (it is said as soon as that is as long as a frame) and one whole frame after it.
 */
#include "trace_cut.h"

#include <string.h>

void vpc_cut_begin(struct vpc_cut *cut, enum vpc_side sender)
{
    cut->sender = sender;
    cut->padding = 0;
    cut->other = cut->size = 0;
    vpc_parser_follow(&cut->parser, sender);
}

static void say_padding(struct vpc_cut *cut)
{
    static const uint8_t pad[VPC_CUT_PADDING_KEPT] = {
        VPC_PAD, VPC_PAD, VPC_PAD, VPC_PAD, VPC_PAD, VPC_PAD, VPC_PAD, VPC_PAD,
        VPC_PAD, VPC_PAD, VPC_PAD, VPC_PAD, VPC_PAD, VPC_PAD, VPC_PAD, VPC_PAD,
    };
    uint64_t n = cut->padding;

    cut->padding = 0;
    if (n > 0)
        cut->on_piece(cut->user, VPC_CUT_PADDING, pad, n);
}

/* Says the octets that are no frame; what follows them moves to the front. */
static void say_other(struct vpc_cut *cut)
{
    size_t n = cut->other;

    if (n == 0)
        return;
    cut->on_piece(cut->user, VPC_CUT_OTHER, cut->held, n);
    memmove(cut->held, cut->held + n, cut->size - n);
    cut->size -= n;
    cut->other = 0;
}

/* Takes a run of padding where a frame could begin; how many octets. */
static size_t take_padding(struct vpc_cut *cut, const uint8_t *octets, size_t n)
{
    size_t run = 0;

    if (cut->size > cut->other)
        return 0;
    while (run < n && octets[run] == VPC_PAD)
        run++;
    if (run > 0)
        say_other(cut);
    cut->padding += run;
    return run;
}

/* The octet that did not fit is looked at again, unless it is the first. */
static size_t give_up(struct vpc_cut *cut)
{
    size_t back = cut->size - cut->other > 1;

    cut->size -= back;
    cut->other = cut->size;
    vpc_parser_follow(&cut->parser, cut->sender);
    if (cut->other >= VPC_FRAME_MAX)
        say_other(cut);
    return back;
}

static size_t take_frame(struct vpc_cut *cut, const uint8_t *octets, size_t n)
{
    const uint8_t *at = octets;
    enum vpc_parse_result result = vpc_parse(&cut->parser, &at, octets + n);
    size_t took = (size_t)(at - octets);

    memcpy(cut->held + cut->size, octets, took);
    cut->size += took;
    if (result == VPC_PARSE_BAD)
        return took - give_up(cut);
    if (result == VPC_PARSE_FRAME) {
        say_other(cut);
        cut->on_piece(cut->user, VPC_CUT_FRAME, cut->held, cut->size);
        cut->size = 0;
    }
    return took;
}

void vpc_cut_octets(struct vpc_cut *cut, const uint8_t *octets, size_t n)
{
    while (n > 0) {
        size_t took = take_padding(cut, octets, n);

        if (took == 0) {
            say_padding(cut);
            took = take_frame(cut, octets, n);
        }
        octets += took;
        n -= took;
    }
}

void vpc_cut_flush(struct vpc_cut *cut)
{
    say_padding(cut);
    say_other(cut);
}

void vpc_cut_end(struct vpc_cut *cut)
{
    cut->other = cut->size;
    vpc_cut_flush(cut);
    vpc_cut_begin(cut, cut->sender);
}
