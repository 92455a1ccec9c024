/* SPDX-License-Identifier: MIT */
/*
 * The mutator of the target `frame`: the stream behind the first octet is taken as frames by their length fields.  Frames
 * are taken out, doubled, moved and changed inside; then the length and a HELLO's CRC are put right.  One time in four
 * libFuzzer does what it likes, and no length or CRC is repaired.
 */
#include "mutate.h"
#include "vpcbus.h"

#define MAX_FRAMES 128u
#define MAX_BODY   1024u

struct frames {
    size_t at[MAX_FRAMES], size[MAX_FRAMES];
    uint32_t count;
};

static uint32_t length_of(const uint8_t *frame)
{
    return (uint32_t)frame[8] | (uint32_t)frame[9] << 8 | (uint32_t)frame[10] << 16 |
           (uint32_t)frame[11] << 24;
}

static void find_frames(struct frames *frames, const uint8_t *data, size_t size)
{
    size_t at = 1;

    frames->count = 0;
    while (at + VPC_HEADER_SIZE + VPC_SEAL_SIZE <= size && frames->count < MAX_FRAMES) {
        size_t room = size - at - VPC_HEADER_SIZE - VPC_SEAL_SIZE;

        if (data[at] != 0xB5 || data[at + 1] != 0x56 || length_of(data + at) > room ||
            length_of(data + at) > MAX_BODY) {
            at++;
            continue;
        }
        frames->at[frames->count] = at;
        frames->size[frames->count] = VPC_HEADER_SIZE + length_of(data + at) + VPC_SEAL_SIZE;
        at += frames->size[frames->count++];
    }
}

/* The length of the body that is there, and the CRC of a HELLO. */
static void repair(uint8_t *frame, size_t size)
{
    size_t body = size - VPC_HEADER_SIZE - VPC_SEAL_SIZE;
    uint32_t crc;

    frame[8] = (uint8_t)body;
    frame[9] = (uint8_t)(body >> 8);
    frame[10] = frame[11] = 0;
    if (frame[2] != VPC_HELLO)
        return;
    crc = vpc_crc32c(0, frame, size - VPC_SEAL_SIZE);
    memset(frame + size - VPC_SEAL_SIZE, 0, VPC_SEAL_SIZE);
    for (unsigned i = 0; i < 4; i++)
        frame[size - 8 + i] = (uint8_t)(crc >> 8 * i);
}

/* Another body in the copy of a frame: of the same length, or, of DATA, of another one. */
static size_t change(uint8_t *frame, size_t size, uint32_t *seed)
{
    uint8_t seal[VPC_SEAL_SIZE];
    uint8_t *body = frame + VPC_HEADER_SIZE;
    size_t n = size - VPC_HEADER_SIZE - VPC_SEAL_SIZE;
    bool grows = frame[2] == VPC_DATA || mutate_pick(seed, 8) == 0;

    memcpy(seal, body + n, sizeof(seal));
    if (mutate_pick(seed, 4) == 0)
        LLVMFuzzerMutate(frame + 2, 6, 6); /* type, flags, channel */
    else
        n = LLVMFuzzerMutate(body, n, grows ? MAX_BODY : n);
    memcpy(body + n, seal, sizeof(seal));
    size = VPC_HEADER_SIZE + n + VPC_SEAL_SIZE;
    repair(frame, size);
    return size;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
    uint8_t frame[VPC_HEADER_SIZE + MAX_BODY + VPC_SEAL_SIZE];
    struct frames frames;
    uint32_t deed = mutate_pick(&seed, 8), i;
    size_t n, to;

    find_frames(&frames, data, size);
    if (frames.count == 0 || deed < 2)
        return LLVMFuzzerMutate(data, size, max_size);
    i = mutate_pick(&seed, frames.count);
    n = frames.size[i];
    memcpy(frame, data + frames.at[i], n);
    to = frames.at[mutate_pick(&seed, frames.count)];
    switch (deed) {
    case 2: /* out */
        return mutate_splice(data, size, max_size, frames.at[i], n, NULL, 0);
    case 3: /* once more, before another one */
        return mutate_splice(data, size, max_size, to, 0, frame, n);
    case 4: /* padding before it */
        memset(frame, VPC_PAD, 20);
        return mutate_splice(data, size, max_size, to, 0, frame, 1 + mutate_pick(&seed, 20));
    default:
        n = change(frame, n, &seed);
        return mutate_splice(data, size, max_size, frames.at[i], frames.size[i], frame, n);
    }
}
