/* SPDX-License-Identifier: MIT */
/*
 * Scenarios that nobody writes by hand: what follows from the lifecycle grammar, from the message table, and
 * from chance.
 *
 * Everything is made of spec/ alone: the machines of lifecycle.rl say what is legal in a state and what it
 * does, the table says how long a message is and what its fields may hold.  What only a reader of VPCBUS.md
 * knows (how a state is reached from outside, what an action looks like there) stands here.  The same seed
 * gives the same files.
 *
 * Errors: the first one that stops a file from being written is kept; vpc_generate() returns false and the
 * text, which the caller frees.
 */
#ifndef VPC_CONFORM_GENERATE_H
#define VPC_CONFORM_GENERATE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "document/table.h"

/* Tells which legal events of a session have no generated scenario and why, a line for each reason; of how
   many transitions, the last state apart, how many.  False when one has no reason. */
bool vpc_gen_session_left_out(FILE *out, size_t *legal, size_t *left_out);

/* Writes host/... and guest/... below the folder, which is made; *count tells how many files. */
bool vpc_generate(const struct vpc_table *table, const char *dir, uint64_t seed, size_t *count,
                  char **error);

/* ---- what the files of the generator share ------------------------------------------------------------- */

struct vpc_generator {
    const struct vpc_table *table;
    const char *dir;
    uint64_t seed;
    uint64_t random;
    size_t count;
    bool host; /* the subject of the file that is being written */
    FILE *file;
    char *error;
};

/* Begins ROLE/TOPIC/NAME-ROLE.vpcs with its title and what it covers; false when there is no file to write
   to. */
bool vpc_gen_begin(struct vpc_generator *generator, bool host, const char *topic, const char *name,
                   const char *title, const char *covers);
/* Lines as they shall stand in the file, each with its newline. */
void vpc_gen(struct vpc_generator *generator, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void vpc_gen_end(struct vpc_generator *generator);
/* 0 to below - 1. */
uint64_t vpc_gen_random(struct vpc_generator *generator, uint64_t below);
/* The name in small letters, in a buffer of 16 octets. */
const char *vpc_gen_lower(const char *name, char small[16]);

/* Each writes its files. */
void vpc_gen_session(struct vpc_generator *generator);
/* Whether such an event in such a state is among them. */
bool vpc_gen_session_has(bool host, const char *state, unsigned char event);
void vpc_gen_channels(struct vpc_generator *generator);
void vpc_gen_frames(struct vpc_generator *generator);
void vpc_gen_talks(struct vpc_generator *generator);

/* ---- of session.rl ------------------------------------------------------------------------------------- */

enum conform_session_event {
    VPC_TRANSPORT_UP = 1,
    VPC_TRANSPORT_DOWN,
    VPC_RETRY,
    VPC_HELLO_STRANGER,
    VPC_HELLO_DEAF,
    VPC_HELLO_ECHO,
    VPC_HELLO_MISMATCH,
    VPC_FRAMING_LOST,
    VPC_VIOLATION,
    VPC_PEER_SILENT,
    VPC_RCV_READY,
    VPC_RCV_NOT_READY,
    VPC_RCV_HEARTBEAT,
    VPC_RCV_GOODBYE,
    VPC_RCV_CHANNEL,
    VPC_LOCAL_READY,
    VPC_LOCAL_NOT_READY,
    VPC_HEARTBEAT_LATE,
    VPC_LOCAL_STOP,
    VPC_HEARTBEAT_RESUMED,
    VPC_RCV_EVENT,
    VPC_SESSION_EVENTS, /* one more than the last */
};

enum vpc_session_action {
    VPC_DOES_START_ATTEMPT = 1,
    VPC_DOES_SEND_HELLO = 2,
    VPC_DOES_BEGIN_SESSION = 4,
    VPC_DOES_REPORT_MISMATCH = 8,
    VPC_DOES_END_SESSION = 16,
    VPC_DOES_SAY_GOODBYE = 32,
    VPC_DOES_NOW_READY = 64,
    VPC_DOES_NOW_NOT_READY = 128,
    VPC_DOES_ANNOUNCE_READY = 256,
    VPC_DOES_REPORT_LATE = 512,
};

/* The state of a session before its first event. */
int vpc_session_start(void);
/* As vpc_channel_step() of testers/monitor.h. */
int vpc_session_step(int state, unsigned char event, unsigned *actions, const char **name);

#endif
