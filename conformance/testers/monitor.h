/* SPDX-License-Identifier: MIT */
/*
 * The trace monitor: judges everything that a subject sends, whatever a scenario asks for.
 *
 * It sees the octets of both directions.  For the subject's frames it keeps the rules of numbers (offsets,
 * limits, ids, epochs) and runs the channel machines of spec/lifecycle.rl.  The first breach stays; a breach
 * is a fail.
 *
 * Ownership: a monitor owns what it learns; vpc_monitor_end() frees it.  Nothing may be NULL.
 */
#ifndef VPC_CONFORM_MONITOR_H
#define VPC_CONFORM_MONITOR_H

#include "codec/codec.h"

struct vpc_breach {
    const char *requirement; /* NULL: none */
    char text[300];
};

struct vpc_monitor_channel;

/* Of channels, by their ids: a scenario may open thousands. */
#define VPC_CHANNEL_LISTS 1024u

struct vpc_monitor {
    const struct vpc_table *table;
    enum vpc_role_bit subject;
    struct vpc_breach breach;
    struct vpc_decoder tester; /* of what the tester sends */
    uint64_t *epochs;          /* that the subject has used */
    size_t epoch_count;
    uint64_t *tester_epochs; /* that the subject may echo: heard since its attempt began */
    size_t tester_epoch_count;
    uint64_t epoch;         /* the subject's, now */
    uint64_t tester_epoch;  /* the tester's last */
    uint64_t session;       /* that the subject's sealed frames are in */
    uint64_t tester_echoed; /* the subject's epoch that the tester echoed last */
    bool echoed;            /* a HELLO of the tester echoed this epoch */
    bool fresh;       /* the subject must draw an epoch: the transport came up or it restarted */
    bool cut;         /* octets were bad as if cut: only a HELLO may follow */
    bool goodbye;     /* of this session was said */
    bool late_reader; /* of the first HELLO's preamble a part may be lost before the tester reads */
    int ready;        /* the last READY, -1: none */
    uint64_t max_pairs[2]; /* subject's, tester's */
    uint32_t highest_id;
    struct vpc_monitor_channel *channels[VPC_CHANNEL_LISTS];
};

/* Nothing was seen yet of the subject, in that role; the table is the caller's.  The end frees what it
   holds. */
void vpc_monitor_begin(struct vpc_monitor *monitor, const struct vpc_table *table,
                       enum vpc_role_bit subject);
void vpc_monitor_end(struct vpc_monitor *monitor);
/* The transport came up (for the subject: a new attempt), or ended. */
void vpc_monitor_bus(struct vpc_monitor *monitor, bool up);
/* The tester sent octets; the subject may act on them from now on, or later. */
void vpc_monitor_sent(struct vpc_monitor *monitor, const void *octets, size_t n);
/* The subject sent a frame, or octets that are none. */
void vpc_monitor_frame(struct vpc_monitor *monitor, const struct conform_frame *frame);
void vpc_monitor_bad(struct vpc_monitor *monitor, const struct vpc_bad_octets *bad);
/* The run is over: what is still owed? */
void vpc_monitor_close(struct vpc_monitor *monitor);

/* ---- of monitor.rl ------------------------------------------------------------------------------------- */

/* Events of vpc_lifecycle_events: a message of a channel is its snd_ event; the rcv_ event is 16 higher. */
enum vpc_channel_event { VPC_SND_OPEN = 32, VPC_RCV_OFFSET = 16 };

enum vpc_step_action { VPC_STEP_ABORT = 1, VPC_STEP_RELEASED = 2 };

/*
 * One event on a channel machine: the next state, or -1 if the grammar has no transition; *actions are what
 * it does and *name is the next state's name in lifecycle.rl.
 */
int vpc_channel_step(bool sending, int state, unsigned char event, unsigned *actions,
                     const char **name);
int vpc_channel_start(bool sending);

#endif
