/* SPDX-License-Identifier: MIT */
/* What libFuzzer gives to, and wants of, a mutator of one's own.  Without libFuzzer the mutators are not
   linked. */
#ifndef FUZZ_MUTATE_H
#define FUZZ_MUTATE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *one, size_t one_size, const uint8_t *other,
                                 size_t other_size, uint8_t *out, size_t max_size,
                                 unsigned int seed);

static inline uint32_t mutate_pick(uint32_t *seed, uint32_t n)
{
    *seed = *seed * 1664525u + 1013904223u;
    return n > 0 ? (uint32_t)((uint64_t)(*seed >> 8) * n >> 24) : 0;
}

/* Cuts `removed` octets at `at` out and puts `put` octets in; the size then, or the old one if it would not
   fit. */
static inline size_t mutate_splice(uint8_t *data, size_t size, size_t max_size, size_t at,
                                   size_t removed, const uint8_t *octets, size_t put)
{
    if (size - removed + put > max_size)
        return size;
    memmove(data + at + put, data + at + removed, size - at - removed);
    if (put > 0)
        memcpy(data + at, octets, put);
    return size - removed + put;
}

#endif
