/* SPDX-License-Identifier: MIT */
/*
 * The harness's own codec of VPCBus frames (VPCBUS.md, section 4), driven by the message table.
 *
 * Ownership: a frame owns its body; vpc_frame_clear() frees it.  A decoder owns what waits in it.  Nothing
 * may be NULL unless it is said.  Sizes are in octets.  No part of it has state outside of its arguments.
 */
#ifndef VPC_CONFORM_CODEC_H
#define VPC_CONFORM_CODEC_H

#include "document/table.h"
#include "memory.h"

struct conform_frame {
    const struct conform_message *message;
    uint8_t magic[2];
    uint8_t type;
    uint8_t flags;
    uint32_t channel;
    uint32_t length; /* as the header says; an encoder may lie */
    uint64_t session;
    uint64_t number;
    uint8_t *body;
    size_t body_size;
    size_t pads; /* octets of padding directly before the frame */
};

/* FRM-6: the CRC-32C of n octets. */
uint32_t conform_crc32c(const void *octets, size_t n);
/* SES-5: the session id of two epochs. */
uint64_t conform_session_id(uint64_t host_epoch, uint64_t guest_epoch);

/* Begins a frame of the message with all of its fields zero; a DATA begins without payload. */
void vpc_frame_begin(struct conform_frame *frame, const struct vpc_table *table,
                     const struct conform_message *message);
void vpc_frame_clear(struct conform_frame *frame);
/* Field access; false when the message has no such field of that kind.  A reserved field can be set, to a
   lie. */
bool vpc_frame_set(struct conform_frame *frame, const char *field, uint64_t value);
bool vpc_frame_set_text(struct conform_frame *frame, const char *field, const char *text);
bool vpc_frame_get(const struct conform_frame *frame, const char *field, uint64_t *value);
/* The field as a text of at most 32 octets and a NUL; out has room for 33. */
bool vpc_frame_get_text(const struct conform_frame *frame, const char *field, char *out);
/* The same, of a field of the frame's message. */
bool vpc_field_set(struct conform_frame *frame, const struct vpc_field *field, uint64_t value);
bool vpc_field_set_text(struct conform_frame *frame, const struct vpc_field *field,
                        const char *text);
bool vpc_field_get(const struct conform_frame *frame, const struct vpc_field *field,
                   uint64_t *value);
bool vpc_field_get_text(const struct conform_frame *frame, const struct vpc_field *field,
                        char *out);
/* The payload of a DATA. */
void vpc_frame_set_payload(struct conform_frame *frame, const void *octets, size_t n);
const uint8_t *vpc_frame_payload(const struct conform_frame *frame, size_t *n);
/* FRM-11: whether every reserved field is zero. */
bool vpc_frame_reserved_zero(const struct conform_frame *frame);
/* The number of a HELLO's seal, of header and body as they would be sent. */
uint64_t vpc_frame_crc(const struct conform_frame *frame);
/* Header, body and seal as they stand in the frame, right or wrong. */
void vpc_frame_encode(const struct conform_frame *frame, struct vpc_buffer *out);
/* One line for people: the message, its channel and its fields. */
char *vpc_frame_text(const struct conform_frame *frame);

/* How many of n > 0 octets, from the first, can stand at the begin of a frame of that sender; n: all of
   them. */
size_t vpc_octets_fit(const struct vpc_table *table, enum vpc_role_bit from, const uint8_t *in,
                      size_t n);

/*
 * A decoder of one endpoint's octets.  It hunts (FRM-10) until the first HELLO of a connection, then takes
 * frames until octets come that can not be one (FRM-9), and hunts again.  It learns the session from the
 * HELLOs that pass: the sender's epoch and the one it echoes (SES-4), so it needs no word from the receiver.
 */
enum vpc_decoded { VPC_DECODED_NONE, VPC_DECODED_FRAME, VPC_DECODED_BAD };

struct vpc_decoder {
    const struct vpc_table *table;
    enum vpc_role_bit from; /* who sends */
    bool hunting;
    size_t pads;      /* of the run that ends here */
    uint64_t session; /* 0: no HELLO has echoed an epoch yet */
    uint64_t next_number;
    struct vpc_buffer pending;
};

struct vpc_bad_octets {
    const char *requirement;
    char why[160];
    bool may_be_cut; /* ends in padding: the sender may have begun anew in the middle of a frame */
};

/* Of what comes from there, before its first octet; the end frees what was added and not taken. */
void vpc_decoder_begin(struct vpc_decoder *decoder, const struct vpc_table *table,
                       enum vpc_role_bit from);
void vpc_decoder_end(struct vpc_decoder *decoder);
void vpc_decoder_add(struct vpc_decoder *decoder, const void *octets, size_t n);
/* The next thing in what was added: a frame (the caller clears it), or bad octets, or nothing as yet. */
enum vpc_decoded vpc_decoder_next(struct vpc_decoder *decoder, struct conform_frame *frame,
                                  struct vpc_bad_octets *bad);

#endif
