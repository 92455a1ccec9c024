/* SPDX-License-Identifier: MIT */
/*
 * libvpcbus: the VPCBus 1.0 protocol of one endpoint, either role, without input and output.
 *
 * Octets, calls and the time go in; octets and events come out.  The library has no descriptor, no clock, no
 * allocation and no global state: it wants memcpy, memmove, memset and memcmp of its surroundings and nothing
 * else.
 *
 * Conventions
 *   Memory      The caller gives one block of vpc_session_size() octets; nothing else is ever held, whatever the peer
 *               sends (FLW-5).  It is at most VPC_SESSION_BOUND: a fixed part, of which 192 KiB are two
 *               frames to send and one to receive, and for each pair a fixed part, its window and its send
 *               buffer.
 *   Ownership   Pointers given are read during the call only.  Pointers handed out stay valid until the next call on
 *               the same session.  A vpc_pair is valid from the call or event that made it until
 *               VPC_EV_PAIR_RELEASED.
 *   NULL        No pointer may be NULL unless it is said.
 *   Threads     One session is used by one thread at a time; sessions share nothing.
 *   Time        Milliseconds of a monotonic clock, told by vpc_session_clock() only.
 *   Reentry     The event callback is called from within calls on the session, and may call every vpc_pair_ function,
 *               vpc_session_set_ready() and every getter; not input, output, sent, clock, transport or stop.
 *   Errors      Functions that can fail return an error of enum vpc_error; "not enough octets yet" is never an error.
 */
#ifndef VPCBUS_H
#define VPCBUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VPC_PAD             0x16u
#define VPC_HEADER_SIZE     12u
#define VPC_SEAL_SIZE       16u
#define VPC_BODY_MAX        65536u
#define VPC_PAYLOAD_MAX     (VPC_BODY_MAX - 8u)
#define VPC_FRAME_MAX       (VPC_HEADER_SIZE + VPC_BODY_MAX + VPC_SEAL_SIZE)
#define VPC_DATA_MAX        (65536u - VPC_HEADER_SIZE - 8u - VPC_SEAL_SIZE) /* sent: see output.c */
#define VPC_SMALL_FRAME_MAX 160u    /* the longest frame but DATA: HELLO's 156 octets */
#define VPC_PREAMBLE        131136u /* octets of padding before a HELLO; at least 131129 (FRM-8) */
#define VPC_TEXT_MAX        32u
#define VPC_VERSION_1_0     0x0100u
#define VPC_TIME_NEVER      UINT64_MAX

/* Octets that a session needs at most, on a 64-bit machine; for instance of a block that is not allocated. */
#define VPC_SESSION_FIXED 198656u
#define VPC_PAIR_FIXED    304u
#define VPC_SESSION_BOUND(max_pairs, window, send_buffer)                                          \
    (VPC_SESSION_FIXED +                                                                           \
     (size_t)(max_pairs) * (VPC_PAIR_FIXED + (size_t)(window) + (size_t)(send_buffer)))

/* Error numbers on the wire (section 9), whatever the system's own are. */
enum vpc_wire_errno {
    VPC_EAGAIN = 11,
    VPC_EACCES = 13,
    VPC_EINVAL = 22,
    VPC_EPROTO = 71,
    VPC_ENOBUFS = 105,
    VPC_ETIMEDOUT = 110,
};

enum vpc_message {
    VPC_HELLO = 1,
    VPC_READY = 2,
    VPC_HEARTBEAT = 3,
    VPC_GOODBYE = 4,
    VPC_EVENT = 5,
    VPC_OPEN = 16,
    VPC_OPENED = 17,
    VPC_REFUSED = 18,
    VPC_DATA = 19,
    VPC_CREDIT = 20,
    VPC_FIN = 21,
    VPC_RESET = 22,
    VPC_RELEASED = 23,
};

enum vpc_side {
    VPC_HOST = 1,
    VPC_GUEST = 2,
};

/* ---- frames (section 4 and 5) -------------------------------------------------------------------------- */

/* One frame; of the fields after `length` those of its type are meaningful. */
typedef struct vpc_frame {
    uint8_t type; /* enum vpc_message */
    uint32_t channel;
    uint64_t seal_session;
    uint64_t seal_number;
    uint32_t crc; /* HELLO received: of its header and body */
    uint8_t role;
    uint8_t ready;
    uint16_t version_min, version_max, max_pairs, port;
    uint32_t features, heartbeat_ms, reverse_channel, connect_ms, error, cause;
    uint64_t epoch, echo, count, limit, offset;
    char tag[VPC_TEXT_MAX + 1], name[VPC_TEXT_MAX + 1];
    uint32_t event, lost, h2g, g2h; /* EVENT; its port and errno stand in `port` and `error` */
    uint8_t level;
    uint64_t time, sent, received, value;
    char cause_text[VPC_TEXT_MAX + 1], detail[VPC_TEXT_MAX + 1];
    const uint8_t *payload; /* DATA */
    uint32_t payload_len;
} vpc_frame;

enum vpc_parse_result {
    VPC_PARSE_MORE,  /* all input was taken, no frame is complete */
    VPC_PARSE_FRAME, /* one frame is complete; input may be left */
    /* an octet that can not stand here; the parser is spent until the next vpc_parser_ start */
    VPC_PARSE_BAD,
};

typedef struct vpc_parser {
    int cs;
    bool hunting;      /* entered at `hunt` */
    uint64_t value;    /* of the integer under way */
    uint32_t missing;  /* payload octets still to come */
    uint32_t buffered; /* payload octets in `buffer` */
    uint8_t text_at;
    const uint8_t *direct; /* payload octets inside the input of this call */
    vpc_frame frame;
    uint8_t buffer[VPC_PAYLOAD_MAX];
} vpc_parser;

/* Starts to hunt for a HELLO (FRM-10), or to read what `sender` sends in a session. */
void vpc_parser_hunt(vpc_parser *parser);
void vpc_parser_follow(vpc_parser *parser, enum vpc_side sender);

/* Takes octets from *octets up to `end`, at most one frame's, and moves *octets on.  With VPC_PARSE_FRAME the
 * frame is parser->frame; its payload lies in the input or in the parser and is valid until the next call. */
enum vpc_parse_result vpc_parse(vpc_parser *parser, const uint8_t **octets, const uint8_t *end);

/* Encodes header, body and seal (FRM-1 to FRM-4, FRM-6; a HELLO's seal is worked out here).  `out` has room
 * for VPC_SMALL_FRAME_MAX octets, for DATA 36 + payload_len.  Returns the octets written, 0 for an unknown
 * type. */
size_t vpc_encode(const vpc_frame *frame, uint8_t *out);

/* CRC-32C: `crc` is 0 for the first block, or the value of the blocks before. */
uint32_t vpc_crc32c(uint32_t crc, const void *octets, size_t n);

/* The session id of two epochs (SES-5). */
uint64_t vpc_session_id(uint64_t host_epoch, uint64_t guest_epoch);

/* ---- session (section 6) ------------------------------------------------------------------------------- */

typedef struct vpc_session vpc_session;
typedef struct vpc_pair vpc_pair;

enum vpc_session_state {
    VPC_SESSION_DOWN,       /* there is no byte stream to the peer */
    VPC_SESSION_HUNTING,    /* HELLO is said and repeated; the octets are searched for the peer's */
    VPC_SESSION_MISMATCHED, /* the same, and the peer's last HELLO had no version in common */
    VPC_SESSION_UP,         /* in a session; the guest takes no channels, or the peer is late */
    VPC_SESSION_READY,      /* in a session; the guest takes channels */
    VPC_SESSION_BACKING_OFF, /* a session has ended; the next attempt waits for its time */
    VPC_SESSION_STOPPED,     /* final: this end was told to stop */
};

/* Of one end of a channel. */
enum vpc_channel_state {
    VPC_CHANNEL_IDLE,     /* its pair is being made */
    VPC_CHANNEL_OPENING,  /* OPEN was sent or came, its answer was not */
    VPC_CHANNEL_OPEN,     /* bytes flow as far as the credit goes */
    VPC_CHANNEL_CLOSING,  /* sending: FIN was sent, RELEASED is awaited */
    VPC_CHANNEL_DRAINING, /* receiving: FIN came, not every byte before it is delivered */
    VPC_CHANNEL_ABORTING, /* RESET was sent or waits to be, RELEASED is awaited */
    VPC_CHANNEL_RELEASED, /* over: the id is spent */
};

enum vpc_event_kind {
    VPC_EV_SESSION_UP, /* text: the peer's name; tag; value: the version */
    /* text: the cause; value: pairs that it aborted; each of them had its PAIR_RELEASED before */
    VPC_EV_SESSION_DOWN,
    VPC_EV_MISMATCH,     /* text: the peer's name; value: its version_min * 65536 + version_max */
    VPC_EV_FRAMING_LOST, /* text: what was wrong */
    /* text: the rule; value: message type; channel; pair: the one reset for it, or NULL */
    VPC_EV_VIOLATION,
    VPC_EV_READY,     /* host: the guest takes channels */
    VPC_EV_NOT_READY, /* text: the cause */
    VPC_EV_LATE,      /* value: milliseconds of silence */
    VPC_EV_RESUMED,
    VPC_EV_GUEST_EVENT,  /* host: an entry of the guest's log came (LOG-7); frame */
    VPC_EV_PAIR_REQUEST, /* guest: OPEN came; answer with vpc_pair_opened() or vpc_pair_refused() */
    VPC_EV_PAIR_OPENED,  /* host: the guest has connected */
    VPC_EV_PAIR_REFUSED, /* host: it has not; value: the error number; PAIR_RELEASED follows */
    VPC_EV_PAIR_READABLE, /* bytes or the end came for the local program */
    VPC_EV_PAIR_WRITABLE, /* there is room in the send buffer again */
    VPC_EV_PAIR_ANSWERED, /* RELEASED came for the channel on which this end sends: it is released */
    VPC_EV_PAIR_RESET,    /* the peer reset a channel; value: the error number; channel */
    VPC_EV_PAIR_RELEASED, /* both channels are released; the pair is gone after the callback; text: "", or why the
                             session was lost with it */
};

typedef struct vpc_session_event {
    enum vpc_event_kind kind;
    const char *text;
    const char *tag;
    uint64_t value;
    uint32_t channel;
    vpc_pair *pair;
    const vpc_frame *frame; /* of GUEST_EVENT, else NULL */
} vpc_session_event;

typedef struct vpc_session_config {
    enum vpc_side role;
    uint16_t version_min, version_max;
    uint16_t max_pairs;   /* 1 or more */
    uint32_t window;      /* receive window of each channel, octets, 1 or more */
    uint32_t send_buffer; /* of each channel, octets, 1 or more */
    uint32_t hello_interval_ms, heartbeat_ms, heartbeat_late_ms, peer_limit_ms, backoff_max_ms;
    char tag[VPC_TEXT_MAX + 1], name[VPC_TEXT_MAX + 1];
    uint64_t (*random)(void *user); /* 64 unpredictable bits for an epoch */
    void (*on_event)(void *user, const vpc_session_event *event);
    /* Guest: takes the next entry of its log that is to be sent (LOG-6) into the fields of an EVENT; false:
     * none now.  Called while output is drawn up; it may call nothing of the session.  NULL: there never is
     * one. */
    bool (*next_log)(void *user, vpc_frame *entry);
    void *user;
} vpc_session_config;

/* Octets that a session of this configuration needs. */
size_t vpc_session_size(const vpc_session_config *config);

/* Makes a session in `memory` (aligned as malloc's) at time now_ms, transport down.  Never fails. */
vpc_session *vpc_session_init(void *memory, const vpc_session_config *config, uint64_t now_ms);

/* As if the transport ended and came up again at once, with that cause (a text that stays) for the session that ends. */
void vpc_session_renew(vpc_session *session, const char *cause);

/* The time is now_ms; timers that are due run.  deadline: when to call at the latest, or VPC_TIME_NEVER. */
void vpc_session_clock(vpc_session *session, uint64_t now_ms);
uint64_t vpc_session_deadline(const vpc_session *session);

/* The byte stream to the peer came up, or ended (TRN-3). */
void vpc_session_transport(vpc_session *session, bool up);

/* n octets came from the peer; all are taken. */
void vpc_session_input(vpc_session *session, const void *octets, size_t n);

/* The octets to send next (0: none), and how many of them were sent. */
size_t vpc_session_output(vpc_session *session, const void **octets);
void vpc_session_sent(vpc_session *session, size_t n);

/* Guest: whether it takes channels (SES-12). */
void vpc_session_set_ready(vpc_session *session, bool ready);

/* The chassis asset tag that every HELLO from now on says; at most VPC_TEXT_MAX octets. */
void vpc_session_set_tag(vpc_session *session, const char *tag);

/* Ends everything with a GOODBYE; final (SES-17). */
void vpc_session_stop(vpc_session *session);

enum vpc_session_state vpc_session_state(const vpc_session *session);
/* How steadily the peer is heard, in percent (RDY-5); 0 without a session. */
unsigned vpc_session_heartbeat(const vpc_session *session);
/* Pairs that exist, and how many of them are running down; the most there may be at once (CHN-7). */
unsigned vpc_session_pairs(const vpc_session *session, unsigned *running_down);
unsigned vpc_session_pair_limit(const vpc_session *session);
/* The pair to which this channel belongs, or NULL when no pair that exists has it. */
vpc_pair *vpc_session_pair(vpc_session *session, uint32_t channel);

/* ---- pairs and their channels (section 7) -------------------------------------------------------------- */

typedef struct vpc_channel_status {
    uint32_t id;
    bool host_to_guest;
    enum vpc_channel_state state;
    uint64_t bytes;  /* sent or received so far */
    uint64_t credit; /* octets that may still be sent under the last limit */
} vpc_channel_status;

/* Host: sends OPEN (CHN-1).  NULL when not in a session or the pair limit is reached. */
vpc_pair *vpc_pair_open(vpc_session *session, uint16_t port, uint32_t connect_ms);

/* Guest, answers to PAIR_REQUEST (CHN-4). */
uint16_t vpc_pair_port(const vpc_pair *pair);
uint32_t vpc_pair_connect_ms(const vpc_pair *pair);
void vpc_pair_opened(vpc_pair *pair);
void vpc_pair_refused(vpc_pair *pair, uint32_t error);

/* A part of a buffer of the session's. */
typedef struct vpc_piece {
    void *octets;
    size_t size;
} vpc_piece;

/* Bytes from the local program: how many can be taken now; takes up to that many and returns how many. */
size_t vpc_pair_write_room(const vpc_pair *pair);
size_t vpc_pair_write(vpc_pair *pair, const void *octets, size_t n);
/* The same without a copy: what is free, as 0, 1 or 2 pieces that the caller fills in their order; then n octets, at
   most what was free, stand in them.  Nothing of the session is called in between. */
unsigned vpc_pair_write_space(vpc_pair *pair, vpc_piece space[2]);
void vpc_pair_written(vpc_pair *pair, size_t n);
/* The local program finished writing: FIN follows its last byte (CLS-1). */
void vpc_pair_finish(vpc_pair *pair);

/* Bytes for the local program: the next ones (0: none now); n of them were delivered. */
size_t vpc_pair_read(const vpc_pair *pair, const void **octets);
void vpc_pair_delivered(vpc_pair *pair, size_t n);
/* All bytes for the local program, as 0, 1 or 2 pieces; vpc_pair_read() gives the first of them. */
unsigned vpc_pair_read_pieces(const vpc_pair *pair, vpc_piece pieces[2]);
/* True when FIN came and every byte was delivered; the end was delivered too: releases the channel
   (CLS-3). */
bool vpc_pair_at_end(const vpc_pair *pair);
void vpc_pair_end_delivered(vpc_pair *pair);

/* Nobody reads any more: what is held and what still comes is dropped, and its credit given (CLS-6). */
void vpc_pair_discard(vpc_pair *pair);
/* Aborts both channels (CLS-5), or only the receiving one, with error 0 (CLS-6); while the pair is opening,
   both. */
void vpc_pair_reset(vpc_pair *pair, uint32_t error);
void vpc_pair_stop_reading(vpc_pair *pair);

enum vpc_channel_state vpc_pair_sending_state(const vpc_pair *pair);
enum vpc_channel_state vpc_pair_receiving_state(const vpc_pair *pair);
void vpc_pair_channels(const vpc_pair *pair, vpc_channel_status *sending,
                       vpc_channel_status *receiving);
/* When the pair was last moved on (CLS-8): bytes of it were sent, received or delivered, its credit rose, or a channel came to
   another state. */
uint64_t vpc_pair_moved_at(const vpc_pair *pair);
/* The caller's own pointer of this pair, NULL at first. */
void vpc_pair_set_user(vpc_pair *pair, void *user);
void *vpc_pair_user(const vpc_pair *pair);

const char *vpc_session_state_name(enum vpc_session_state state);
const char *vpc_channel_state_name(enum vpc_channel_state state);
const char *vpc_message_name(uint8_t type);

#endif
