/* SPDX-License-Identifier: MIT */
/*
 * A transcript that is played to a session: the state of the player, and what happens on the endpoint's own
 * side.
 *
 * Ownership: a player owns its memory and what it keeps of it; texts and steps are parts of the file that is
 * open.
 */
#ifndef PLAY_H
#define PLAY_H

#include "vpcbus.h"

#include "spec/vectors/vectors.h"

#define KINDS     (VPC_EV_PAIR_RELEASED + 1)
#define STEPS_MAX 64u
#define CHANNELS  16u

/* What the transcript says of one channel, and the pair that has it. */
struct channel {
    uint32_t id;
    const char *state;
    bool sending;
    vpc_pair *pair;
};

/* What changes while a transcript is played; the session's own memory is beside it. */
struct play {
    vpc_session *session;
    size_t next_epoch;
    unsigned count[KINDS]; /* events of the step under way */
    char down_text[64];
    uint64_t version;
    uint16_t port;
    vpc_pair *requested, *opened;
    const char *state; /* of the session, as the transcript says */
    unsigned channel_count;
    struct channel channels[CHANNELS];
};

struct player {
    const char *id;
    const char *role;
    json_t *steps;
    struct vec_octets
        octets[STEPS_MAX]; /* what the step receives, or its local program writes and reads */
    uint64_t epochs[8];
    size_t epoch_count;
    vpc_session_config config;
    void *memory;
    size_t size;
    struct play play;
    struct {
        void *memory;
        struct play play;
    } kept[STEPS_MAX];
};

/* The channel of this id; fails the test when the transcript has opened none. */
struct channel *play_channel(struct player *player, uint64_t id);

/* Does what a step says that the local side does; `octets` are what it writes, or must be able to read. */
void play_local(struct player *player, const json_t *step, const struct vec_octets *octets);

#endif
