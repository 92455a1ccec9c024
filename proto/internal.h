/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the library share: session.c (the session and what arrives), pair.c (pairs, their memory
 * and ids), pair_receive.c and pair_local.c (the peer's and the local side of a pair), output.c (what is
 * sent, and in which order), machines.rl (the actions of the lifecycle grammar), parser.rl (those of the byte
 * grammar), encode.c.
 */
#ifndef VPC_INTERNAL_H
#define VPC_INTERNAL_H

#include "list.h"
#include "vpcbus.h"

#define VPC_LINE         64u /* octets of a line of the processor's cache */
#define VPC_STAGING_SIZE (2 * VPC_FRAME_MAX)
#define VPC_READIES_MAX  16u /* READY within a second; one more is a violation (SES-18) */
#define VPC_REFUSALS_MIN                                                                           \
    64u /* refused OPENs that hold no pair and whose REFUSED waits (CHN-5): this or max_pairs */

/* What waits to be sent for a channel; the bits stand in the order in which they are sent. */
enum pending {
    PENDING_OPEN = 1,
    PENDING_OPENED = 2,
    PENDING_REFUSED = 4,
    PENDING_CREDIT = 8,
    PENDING_RESET = 16,
    PENDING_RELEASED = 32,
};

/* A ring of octets in the session's memory block. */
struct ring {
    uint8_t *octets;
    uint32_t size, head, used;
};

/* What moves bytes fills one line; `error` stands behind it. */
struct channel {
    uint8_t cs;    /* of the lifecycle machine */
    uint8_t state; /* enum vpc_channel_state */
    bool sending;
    bool finishing; /* sending: the local program is done, FIN follows the ring's last byte */
    uint32_t id;
    uint64_t offset;    /* bytes sent, or received */
    uint64_t limit;     /* credit received, or granted */
    uint64_t delivered; /* receiving: bytes taken by the local program or discarded */
    struct ring ring;
    struct channel *next_in_bucket;
    uint32_t error; /* of the RESET or REFUSED that waits */
};

/* With many pairs a frame costs what its lines cost to fetch.  A direction of bytes wants two: its channel's,
 * and the one that lies between the two channels. */
struct vpc_pair {
    _Alignas(VPC_LINE) struct channel receiving;
    vpc_session *session;
    void *user;
    struct vpc_link control; /* waits to send something pending */
    struct vpc_link data;    /* has bytes to send and credit for them */
    uint8_t pending[2];      /* of the receiving, the sending channel */
    bool used;
    bool writable_wanted; /* the last write found no room */
    bool discarding;      /* nobody reads any more: what arrives is given credit and dropped */
    bool running_down;    /* counted in the session's running_down */
    _Alignas(VPC_LINE) struct channel sending;
    uint16_t port;
    uint32_t connect_ms;
    uint64_t moved_at;     /* when a byte or a message last moved it on (CLS-8) */
    struct vpc_link place; /* in the list of the free ones, or of those in use */
};

struct refusal {
    uint32_t channel, error;
};

struct vpc_session {
    vpc_session_config config;
    int cs; /* of the lifecycle machine */
    enum vpc_session_state state;
    uint64_t now;

    /* the two greetings */
    uint64_t epoch, peer_epoch, echoed; /* echoed: the peer epoch in the last HELLO that was sent */
    uint64_t session_peer;              /* the peer epoch of the current session */
    vpc_frame peer;                     /* the last valid HELLO */
    bool peer_ready;                    /* its last READY */
    uint64_t readies;                   /* READY received in this session (SES-18) */
    /* when the last of them came, the n-th at n modulo VPC_READIES_MAX */
    uint64_t ready_at[VPC_READIES_MAX];
    uint64_t slot; /* of the last frame received, counted from the session's begin (RDY-5) */
    uint32_t slots_heard;
    bool local_ready;
    bool ready_due; /* local_ready is to be announced, after the step under way */
    bool stepping;  /* the machine runs */
    bool ending;    /* the session is over for the pairs, though its state is not left yet */
    bool late;

    /* the seals */
    uint64_t id, sent_number, received_number;

    /* timers */
    uint64_t retry_at, last_sent, last_received, began, backoff;
    const char *end_cause; /* why the session is about to end */
    const char *not_ready_cause;

    /* output */
    uint32_t padding;    /* of the preamble, still to be sent */
    bool hello_waits;    /* HELLO follows the padding */
    bool preamble_begun; /* for the HELLO that waits; its content is drawn up when it is sent */
    bool ready_waits, heartbeat_waits;
    uint64_t heartbeats;
    uint32_t staged, staged_sent;
    const vpc_pair *lent; /* for the octets of this one there is a place in the staging memory */
    struct refusal *refusals;
    unsigned refusal_count, refusal_room;

    /* pairs */
    uint32_t highest_id;
    unsigned pair_count, running_down;
    const char *losing;    /* while the session ends: why; else NULL */
    unsigned bucket_count; /* a power of two */
    struct channel **buckets;
    vpc_pair *pairs;
    struct vpc_link free, in_use, control, data; /* heads */

    vpc_parser parser;
    uint8_t staging[VPC_STAGING_SIZE];
};

/* lifecycle.rl: events by the names of the grammar; false when the event is illegal in the state. */
#include "lifecycle_events.h"
void vpc_lifecycle_start_session(vpc_session *session);
bool vpc_lifecycle_session(vpc_session *session, enum vpc_lifecycle_event event);
void vpc_lifecycle_start_channel(struct channel *channel);
bool vpc_lifecycle_channel(struct channel *channel, enum vpc_lifecycle_event event);

/* session.c: the actions of the session's grammar */
void vpc_action_start_attempt(vpc_session *session);
void vpc_action_send_hello(vpc_session *session);
void vpc_action_begin_session(vpc_session *session);
void vpc_action_report_mismatch(vpc_session *session);
void vpc_action_report_late(vpc_session *session);
void vpc_action_now_ready(vpc_session *session);
void vpc_action_now_not_ready(vpc_session *session);
void vpc_action_announce_ready(vpc_session *session);
void vpc_action_say_goodbye(vpc_session *session);
void vpc_action_end_session(vpc_session *session);
void vpc_emit(vpc_session *session, const vpc_session_event *event);
bool vpc_in_session(const vpc_session *session);

/* pair.c and pair_receive.c: the actions of the channels' grammar, and what the session needs */
void vpc_channel_enter(struct channel *channel, enum vpc_channel_state state);
void vpc_action_abort(struct channel *channel);
void vpc_action_answer_released(struct channel *channel);
void vpc_pairs_init(vpc_session *session, uint8_t *memory);
size_t vpc_pairs_size(const vpc_session_config *config);
void vpc_pairs_lose_session(vpc_session *session, const char *cause);
/* One sealed message of a channel; NULL, or the rule that it breaks. */
const char *vpc_pairs_receive(vpc_session *session, const vpc_frame *frame);
void vpc_channel_schedule(struct channel *channel);
void vpc_pair_schedule(vpc_pair *pair);
void vpc_pair_release_when_over(vpc_pair *pair);
/* A byte or a message moved the pair on; and after what may have made it run down. */
void vpc_pair_moved(vpc_pair *pair);
void vpc_pair_count_down(vpc_pair *pair);
struct channel *vpc_pairs_find(vpc_session *session, uint32_t id);
/* A pair with these ids, both channels idle; there must be one on the free list. */
vpc_pair *vpc_pairs_take(vpc_session *session, uint32_t h2g, uint32_t g2h);
void vpc_pair_step(vpc_pair *pair, enum vpc_lifecycle_event event);
void vpc_pair_emit(vpc_pair *pair, enum vpc_event_kind kind, uint64_t value, uint32_t channel);
void vpc_channel_pend(struct channel *channel, enum pending what);
/* The pieces of what is free, and of what is held: how many there are. */
unsigned vpc_ring_free(const struct ring *ring, vpc_piece pieces[2]);
unsigned vpc_ring_held(const struct ring *ring, vpc_piece pieces[2]);
uint32_t vpc_ring_write(struct ring *ring, const uint8_t *octets, size_t n);
uint32_t vpc_ring_read(struct ring *ring, uint8_t *out, uint32_t n);
void vpc_ring_drop(struct ring *ring, uint32_t n);

/* heartbeat.c: a sealed frame came */
void vpc_heartbeat_heard(vpc_session *session);

/* output.c */
void vpc_output_goodbye(vpc_session *session, uint32_t cause);
/* Where octets for the channel, as many as `room` at most, are to stand so that they need no copy: 1 or 2 pieces; 0 where
 * something else goes before them, or there is no credit. */
unsigned vpc_output_lend(struct channel *channel, size_t room, vpc_piece pieces[2]);
/* n octets stand there, and are one DATA now or two; false: nothing was lent to the channel. */
bool vpc_output_take(struct channel *channel, uint32_t n);

static inline vpc_pair *vpc_pair_of(struct channel *channel)
{
    return channel->sending ? VPC_LIST_ENTRY(channel, vpc_pair, sending)
                            : VPC_LIST_ENTRY(channel, vpc_pair, receiving);
}

/* What waits to be sent for the channel: bits of enum pending. */
static inline uint8_t *vpc_pending(struct channel *channel)
{
    return &vpc_pair_of(channel)->pending[channel->sending];
}

#endif
