/* SPDX-License-Identifier: MIT */
/*
 * The mutator of inputs that are one octet and then steps: steps are taken out, doubled, moved, and changed inside, but
 * stay whole, so that what follows a change keeps its meaning.  One time in four libFuzzer does what it likes.
 */
#include "mutate.h"
#include "steps.h"

#define MAX_STEPS 512u
#define MAX_STEP  300u

struct steps {
    size_t at[MAX_STEPS + 1]; /* where each begins; behind the last one the end */
    uint32_t count;
};

static void find_steps(struct steps *steps, const uint8_t *data, size_t size)
{
    size_t at = 1;

    steps->count = 0;
    while (at < size && steps->count < MAX_STEPS) {
        steps->at[steps->count++] = at;
        at += fuzz_step_size(data + at, size - at);
    }
    steps->at[steps->count] = at;
}

static size_t copy_step(const struct steps *steps, uint32_t i, const uint8_t *data, uint8_t *out)
{
    size_t n = steps->at[i + 1] - steps->at[i];

    if (n > MAX_STEP)
        n = MAX_STEP;
    memcpy(out, data + steps->at[i], n);
    return n;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
    struct steps steps;
    uint8_t step[2 * MAX_STEP] = {0};
    uint32_t i, deed = mutate_pick(&seed, 8);
    size_t n, to;

    find_steps(&steps, data, size);
    if (steps.count == 0 || deed < 2)
        return LLVMFuzzerMutate(data, size, max_size);
    i = mutate_pick(&seed, steps.count);
    n = copy_step(&steps, i, data, step);
    to = steps.at[mutate_pick(&seed, steps.count + 1)];
    switch (deed) {
    case 2: /* out */
        return mutate_splice(data, size, max_size, steps.at[i], n, NULL, 0);
    case 3: /* once more, here or elsewhere */
        return mutate_splice(data, size, max_size, to, 0, step, n);
    case 4: /* to another place */
        size = mutate_splice(data, size, max_size, steps.at[i], n, NULL, 0);
        return mutate_splice(data, size, max_size, to > steps.at[i] ? to - n : to, 0, step, n);
    case 5: /* a new one */
        for (size_t k = 0; k < sizeof(step); k++)
            step[k] = (uint8_t)mutate_pick(&seed, 256);
        n = fuzz_step_size(step, MAX_STEP);
        return mutate_splice(data, size, max_size, to, 0, step, n);
    default: /* other operands */
        LLVMFuzzerMutate(step + 1, n - 1, n - 1);
        if (fuzz_step_size(step, sizeof(step)) < n)
            n = fuzz_step_size(step, sizeof(step));
        return mutate_splice(data, size, max_size, steps.at[i], steps.at[i + 1] - steps.at[i], step,
                             n);
    }
}

/* The first steps of one, the last ones of the other. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *one, size_t one_size, const uint8_t *other,
                                 size_t other_size, uint8_t *out, size_t max_size,
                                 unsigned int seed)
{
    struct steps first, second;
    size_t n, from, rest;

    find_steps(&first, one, one_size);
    find_steps(&second, other, other_size);
    if (first.count == 0 || second.count == 0)
        return 0;
    n = first.at[mutate_pick(&seed, first.count + 1)];
    from = second.at[mutate_pick(&seed, second.count)];
    rest = other_size - from;
    n = n < max_size ? n : max_size;
    rest = rest < max_size - n ? rest : max_size - n;
    memcpy(out, one, n);
    memcpy(out + n, other + from, rest);
    return n + rest;
}
