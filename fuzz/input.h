/* SPDX-License-Identifier: MIT */
/* What the targets share: taking the input apart, and handing octets on so that a look behind their end is
   seen. */
#ifndef FUZZ_INPUT_H
#define FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_LARGEST 4096u /* octets of an input, or of what is handed on at once */

struct fuzz_input {
    const uint8_t *at, *end;
};

/* The next octet, 0 behind the end. */
static inline unsigned fuzz_octet(struct fuzz_input *input)
{
    return input->at < input->end ? *input->at++ : 0;
}

/* A number of 1 to 8 octets, so that small ones are as likely as large ones. */
static inline uint64_t fuzz_number(struct fuzz_input *input)
{
    unsigned octets = fuzz_octet(input) % 9;
    uint64_t value = 0;

    while (octets-- > 0)
        value = value << 8 | fuzz_octet(input);
    return value;
}

/* The next n octets, or as many as there are; returns how many. */
static inline size_t fuzz_octets(struct fuzz_input *input, size_t n, const uint8_t **octets)
{
    size_t left = (size_t)(input->end - input->at);

    *octets = input->at;
    n = n < left ? n : left;
    input->at += n;
    return n;
}

/* A copy of n octets, at most FUZZ_LARGEST, that ends where its memory ends; valid until the next call. */
static inline const uint8_t *fuzz_at_edge(const uint8_t *octets, size_t n)
{
    static uint8_t room[FUZZ_LARGEST];

    return n > 0 ? memcpy(room + sizeof(room) - n, octets, n) : room;
}

#endif
