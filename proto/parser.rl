/* SPDX-License-Identifier: MIT */
/*
 * The parser: actions for the grammar of spec/frames.rl.  It can be left and entered again at any octet.  A payload that
 * lies in the input whole, together with its seal, is handed on where it lies; otherwise it is gathered in parser->buffer.
 */
#include "vpcbus.h"

#include <string.h>

%%{
machine vpc_parser;
access parser->;

# Octets enter an integer at its top: when it is whole, its n octets stand there.  Only a processor that works ahead
# needs it cleared: no integer has to wait for the one before.
action begin           { value = 0; }
action octet           { value = value >> 8 | (uint64_t)*p << 56; }
action frame_begin     { parser->missing = parser->buffered = 0; parser->direct = NULL; frame->payload_len = 0; }
action set_channel     { frame->channel = (uint32_t)(value >> 32); }
action set_data_length { parser->missing = (uint32_t)(value >> 32) - 8; }
action sum_begin       { frame->crc = vpc_crc32c(0, "\xB5V", 2); frame->channel = 0; }
action sum_octet       { frame->crc = vpc_crc32c(frame->crc, p, 1); }

action set_role            { frame->role = (uint8_t)(value >> 56); }
action set_version_min     { frame->version_min = (uint16_t)(value >> 48); }
action set_version_max     { frame->version_max = (uint16_t)(value >> 48); }
action set_max_pairs       { frame->max_pairs = (uint16_t)(value >> 48); }
action set_epoch           { frame->epoch = value; }
action set_echo            { frame->echo = value; }
action set_features        { frame->features = (uint32_t)(value >> 32); }
action set_heartbeat_ms    { frame->heartbeat_ms = (uint32_t)(value >> 32); }
action tag_begin           { parser->text_at = 0; frame->tag[VPC_TEXT_MAX] = '\0'; }
action tag_octet           { frame->tag[parser->text_at++] = (char)*p; }
action name_begin          { parser->text_at = 0; frame->name[VPC_TEXT_MAX] = '\0'; }
action name_octet          { frame->name[parser->text_at++] = (char)*p; }
action set_ready           { frame->ready = (uint8_t)(value >> 56); }
action set_count           { frame->count = value; }
action set_cause           { frame->cause = (uint32_t)(value >> 32); }
action set_event           { frame->event = (uint32_t)(value >> 32); }
action set_lost            { frame->lost = (uint32_t)(value >> 32); }
action set_time            { frame->time = value; }
action set_h2g             { frame->h2g = (uint32_t)(value >> 32); }
action set_g2h             { frame->g2h = (uint32_t)(value >> 32); }
action set_level           { frame->level = (uint8_t)(value >> 56); }
action set_sent            { frame->sent = value; }
action set_received        { frame->received = value; }
action set_value           { frame->value = value; }
action cause_begin         { parser->text_at = 0; frame->cause_text[VPC_TEXT_MAX] = '\0'; }
action cause_octet         { frame->cause_text[parser->text_at++] = (char)*p; }
action detail_begin        { parser->text_at = 0; frame->detail[VPC_TEXT_MAX] = '\0'; }
action detail_octet        { frame->detail[parser->text_at++] = (char)*p; }
action set_reverse_channel { frame->reverse_channel = (uint32_t)(value >> 32); }
action set_port            { frame->port = (uint16_t)(value >> 48); }
action set_connect_ms      { frame->connect_ms = (uint32_t)(value >> 32); }
action set_limit           { frame->limit = value; }
action set_errno           { frame->error = (uint32_t)(value >> 32); }
action set_offset          { frame->offset = value; }

action more  { parser->missing > 0 }
action chunk { p += take_payload(parser, p, pe) - 1; }

action seal_begin       { ; }
action set_seal_session { frame->seal_session = value; }
action set_seal_number  { frame->seal_number = value; }

action on_hello     { frame->type = VPC_HELLO;     result = VPC_PARSE_FRAME; fbreak; }
action on_ready     { frame->type = VPC_READY;     frame->channel = 0; result = VPC_PARSE_FRAME; fbreak; }
action on_heartbeat { frame->type = VPC_HEARTBEAT; frame->channel = 0; result = VPC_PARSE_FRAME; fbreak; }
action on_goodbye   { frame->type = VPC_GOODBYE;   frame->channel = 0; result = VPC_PARSE_FRAME; fbreak; }
action on_event     { frame->type = VPC_EVENT;     frame->channel = 0; result = VPC_PARSE_FRAME; fbreak; }
action on_open      { frame->type = VPC_OPEN;      result = VPC_PARSE_FRAME; fbreak; }
action on_opened    { frame->type = VPC_OPENED;    result = VPC_PARSE_FRAME; fbreak; }
action on_refused   { frame->type = VPC_REFUSED;   result = VPC_PARSE_FRAME; fbreak; }
action on_data      { frame->type = VPC_DATA;      result = VPC_PARSE_FRAME; fbreak; }
action on_credit    { frame->type = VPC_CREDIT;    result = VPC_PARSE_FRAME; fbreak; }
action on_fin       { frame->type = VPC_FIN;       result = VPC_PARSE_FRAME; fbreak; }
action on_reset     { frame->type = VPC_RESET;     result = VPC_PARSE_FRAME; fbreak; }
action on_released  { frame->type = VPC_RELEASED;  result = VPC_PARSE_FRAME; fbreak; }

# The start of `hunt` takes every octet, so looking at this one again ends.
action bad_frame {
    if (parser->hunting) {
        fhold;
        fgoto hunt;
    }
    result = VPC_PARSE_BAD;
    fbreak;
}

include vpc_frames "frames.rl";
write data noerror nofinal;
}%%

/* Nothing is left of a frame that was under way. */
static void start(vpc_parser *parser)
{
    parser->direct = NULL;
    parser->missing = parser->buffered = 0;
}

void vpc_parser_hunt(vpc_parser *parser)
{
    parser->hunting = true;
    start(parser);
    parser->cs = vpc_parser_en_hunt;
}

void vpc_parser_follow(vpc_parser *parser, enum vpc_side sender)
{
    parser->hunting = false;
    start(parser);
    parser->cs = sender == VPC_HOST ? vpc_parser_en_from_host : vpc_parser_en_from_guest;
}

/* Takes what the input holds of the payload; returns how many octets, at least 1. */
static size_t take_payload(vpc_parser *parser, const uint8_t *p, const uint8_t *pe)
{
    size_t n = (size_t)(pe - p);

    if (n > parser->missing)
        n = parser->missing;
    if (parser->buffered == 0) {
        parser->direct = p;
    } else {
        memcpy(parser->buffer + parser->buffered, p, n);
        parser->buffered += (uint32_t)n;
    }
    parser->missing -= (uint32_t)n;
    parser->frame.payload_len += (uint32_t)n;
    return n;
}

/* The machine is in the loop of `chunk`, and all of the input is one more chunk: it would only come round again. */
static bool only_payload(const vpc_parser *parser, const uint8_t *p, const uint8_t *pe)
{
    return parser->buffered > 0 && p < pe && (size_t)(pe - p) <= parser->missing;
}

/* The input ends inside a frame: what it lent of the payload must be kept. */
static void keep_payload(vpc_parser *parser)
{
    if (parser->direct == NULL)
        return;
    memcpy(parser->buffer, parser->direct, parser->frame.payload_len);
    parser->buffered = parser->frame.payload_len;
    parser->direct = NULL;
}

enum vpc_parse_result vpc_parse(vpc_parser *parser, const uint8_t **octets, const uint8_t *end)
{
    const uint8_t *p = *octets, *pe = end;
    const uint8_t *const eof = NULL; /* a stream of frames has no end that the grammar could see */
    vpc_frame *frame = &parser->frame;
    enum vpc_parse_result result = VPC_PARSE_MORE;
    uint64_t value = parser->value; /* a register: every octet of an integer changes it */

    if (only_payload(parser, p, pe)) {
        *octets = p + take_payload(parser, p, pe);
        return VPC_PARSE_MORE;
    }
    %% write exec;

    *octets = p;
    parser->value = value;
    if (result == VPC_PARSE_FRAME) {
        frame->payload = parser->direct != NULL ? parser->direct : parser->buffer;
        parser->direct = NULL; /* it is lent for this call only */
    } else {
        keep_payload(parser);
    }
    return result;
}
