/* SPDX-License-Identifier: MIT */
/*
 * The guest's log entries on their way to the host's log (LOG-6 to LOG-8).
 *
 * Guest: an entry waits in the outbox, a ring of the last ones, until the session draws up output and takes it, at most
 * so many a second.  What the ring can't hold is counted, and the next EVENT tells the number.
 * Host: an EVENT becomes an entry whose id, name and message are our own catalogue's; of the peer it has numbers and
 * printable ASCII only.  What is too much for one second is counted and told when the second is over.
 *
 * What may never happen: that a peer makes either side hold more than its ring, or write more than its share.
 */
#include "endpoint.h"

#include <stdlib.h>
#include <string.h>

#define OUTBOX_ROOM    64u
#define SENT_A_SECOND  32u
#define TAKEN_A_SECOND 64u
#define SECOND_MS      1000u

struct vpc_outbox {
    vpc_frame entries[OUTBOX_ROOM];
    unsigned first, count;
    uint32_t lost;
    uint64_t sent_at[SENT_A_SECOND]; /* the times of the last ones, the oldest at `oldest` */
    unsigned oldest;
    uint64_t sent;
};

struct vpc_outbox *vpc_outbox_create(void)
{
    return calloc(1, sizeof(struct vpc_outbox));
}

static const char *const levels[] = {"info", "warning", "error"};

/* ---- the fields of an EVENT, and where an entry has them -------------------------------------------- */

enum slot {
    SLOT_PORT,
    SLOT_H2G,
    SLOT_G2H,
    SLOT_ERRNO,
    SLOT_SENT,
    SLOT_RECEIVED,
    SLOT_VALUE,
    SLOT_CAUSE,
    SLOT_DETAIL
};

static const struct field {
    const char *name;
    enum slot slot;
    bool counts; /* zero is worth telling */
} places[] = {
    {"port", SLOT_PORT, false},
    {"h2g", SLOT_H2G, false},
    {"g2h", SLOT_G2H, false},
    {"errno", SLOT_ERRNO, false},
    {"sent", SLOT_SENT, true},
    {"received", SLOT_RECEIVED, true},
    {"silent_ms", SLOT_VALUE, true},
    {"pairs", SLOT_VALUE, true},
    {"count", SLOT_VALUE, true},
    {"cause", SLOT_CAUSE, false},
    {"implementation", SLOT_DETAIL, false},
    {"peer_versions", SLOT_DETAIL, false},
    {"frame", SLOT_DETAIL, false},
    {"event_id", SLOT_DETAIL, false},
    {"detail", SLOT_DETAIL, false},
};

#define PLACE_COUNT (sizeof(places) / sizeof(places[0]))

static void put_number(vpc_frame *frame, enum slot slot, uint64_t n)
{
    switch (slot) {
    case SLOT_PORT:
        frame->port = (uint16_t)n;
        break;
    case SLOT_H2G:
        frame->h2g = (uint32_t)n;
        break;
    case SLOT_G2H:
        frame->g2h = (uint32_t)n;
        break;
    case SLOT_ERRNO:
        frame->error = (uint32_t)n;
        break;
    case SLOT_SENT:
        frame->sent = n;
        break;
    case SLOT_RECEIVED:
        frame->received = n;
        break;
    case SLOT_VALUE:
        frame->value = n;
        break;
    case SLOT_CAUSE:
        break; /* never a number */
    case SLOT_DETAIL:
        snprintf(frame->detail, sizeof(frame->detail), "%llu", (unsigned long long)n);
        break;
    }
}

static uint64_t number_in(const vpc_frame *frame, enum slot slot)
{
    const uint64_t numbers[] = {
        [SLOT_PORT] = frame->port,   [SLOT_H2G] = frame->h2g,   [SLOT_G2H] = frame->g2h,
        [SLOT_ERRNO] = frame->error, [SLOT_SENT] = frame->sent, [SLOT_RECEIVED] = frame->received,
        [SLOT_VALUE] = frame->value,
    };

    return numbers[slot];
}

static void put_text(char *out, const char *text)
{
    size_t n = 0;

    for (; n < VPC_TEXT_MAX && *text != '\0'; text++)
        if ((*text & 0xc0) != 0x80) /* a character of UTF-8 begins */
            out[n++] = *text >= 0x20 && *text <= 0x7e ? *text : '?';
    out[n] = '\0';
}

/* ---- guest: the outbox (LOG-6) ------------------------------------------------------------------------- */

static void fill_entry(vpc_frame *frame, const json_t *fields)
{
    for (size_t i = 0; i < PLACE_COUNT; i++) {
        const json_t *value = json_object_get(fields, places[i].name);

        if (json_is_integer(value))
            put_number(frame, places[i].slot, (uint64_t)json_integer_value(value));
        else if (json_is_string(value) && places[i].slot >= SLOT_CAUSE)
            put_text(places[i].slot == SLOT_CAUSE ? frame->cause_text : frame->detail,
                     json_string_value(value));
    }
}

void vpc_outbox_add(vpc_endpoint *ep, const struct vpc_log_kind *kind, const char *level,
                    const json_t *fields)
{
    struct vpc_outbox *outbox = ep->outbox;
    vpc_frame *entry;

    if (outbox->count == OUTBOX_ROOM) {
        outbox->first = (outbox->first + 1) % OUTBOX_ROOM;
        outbox->count--;
        outbox->lost++;
    }
    entry = &outbox->entries[(outbox->first + outbox->count++) % OUTBOX_ROOM];
    *entry = (vpc_frame){.type = VPC_EVENT, .event = (uint32_t)kind->id, .time = ep->now};
    while (strcmp(levels[entry->level], level) != 0)
        entry->level++;
    fill_entry(entry, fields);
}

static bool may_send(const vpc_endpoint *ep)
{
    const struct vpc_outbox *outbox = ep->outbox;

    return outbox->sent < SENT_A_SECOND || ep->now - outbox->sent_at[outbox->oldest] >= SECOND_MS;
}

bool vpc_outbox_due(const vpc_endpoint *ep)
{
    return ep->outbox->count > 0 && may_send(ep);
}

bool vpc_outbox_take(vpc_endpoint *ep, vpc_frame *entry)
{
    struct vpc_outbox *outbox = ep->outbox;

    if (!vpc_outbox_due(ep))
        return false;
    *entry = outbox->entries[outbox->first];
    entry->lost = outbox->lost;
    outbox->lost = 0;
    outbox->first = (outbox->first + 1) % OUTBOX_ROOM;
    outbox->count--;
    outbox->sent_at[outbox->oldest] = ep->now;
    outbox->oldest = (outbox->oldest + 1) % SENT_A_SECOND;
    outbox->sent++;
    return true;
}

/* When entries that wait for their second may go; what waits for the bus goes when the bus takes something. */
static uint64_t outbox_deadline(const vpc_endpoint *ep)
{
    bool waits = ep->outbox->count > 0 && vpc_endpoint_level(ep) >= VPC_LEVEL_COMPONENTS;

    return waits && !may_send(ep) ? ep->outbox->sent_at[ep->outbox->oldest] + SECOND_MS : VPC_NEVER;
}

/* ---- host: what came (LOG-7, LOG-8) --------------------------------------------------------------------- */

static void log_lost(vpc_endpoint *ep, uint64_t count, const char *cause)
{
    vpc_log(ep, VPC_LOG_EVENTS_LOST,
            json_pack("{s:o, s:s}", "count", vpc_json_count(count), "cause", cause));
}

static bool has_field(const struct vpc_log_kind *kind, const char *name)
{
    const char *at = strstr(kind->fields, name);

    return at != NULL && at[-1] == ' ' && at[strlen(name)] == ' ';
}

static void add_field(json_t *fields, const struct field *place, const vpc_frame *frame)
{
    const char *text = place->slot == SLOT_CAUSE ? frame->cause_text : frame->detail;

    if (place->slot < SLOT_CAUSE) {
        uint64_t n = number_in(frame, place->slot);

        if (n != 0 || place->counts)
            json_object_set_new(fields, place->name, vpc_json_count(n));
    } else if (*text != '\0') {
        json_object_set_new(fields, place->name,
                            strcmp(place->name, "event_id") == 0
                                ? vpc_json_count(strtoull(text, NULL, 10))
                                : json_string(text));
    }
}

/* The pair whose host-to-guest channel has this id, or NULL. */
static const struct vpc_relay *pair_of(const vpc_endpoint *ep, uint32_t h2g)
{
    const struct vpc_relay *relay = vpc_relay_of_channel(ep, h2g);

    return relay != NULL && relay->h2g == h2g ? relay : NULL;
}

static void write_entry(vpc_endpoint *ep, const vpc_frame *frame)
{
    const struct vpc_log_kind *kind = vpc_log_kind_of(frame->event);
    const struct vpc_relay *relay = frame->h2g != 0 ? pair_of(ep, frame->h2g) : NULL;
    json_t *fields = json_pack("{s:o, s:s*}", "guest_time", vpc_json_count(frame->time), "pipe",
                               relay != NULL ? relay->pipe : NULL);

    if (kind == NULL || !kind->by_guest)
        kind = vpc_log_kind_of(VPC_LOG_GUEST_EVENT);
    for (size_t i = 0; i < PLACE_COUNT; i++)
        if (has_field(kind, places[i].name))
            add_field(fields, &places[i], frame);
    if (kind->id == VPC_LOG_GUEST_EVENT)
        json_object_set_new(fields, "event_id", json_integer(frame->event));
    vpc_log_entry(ep, kind, levels[frame->level], "guest", fields);
}

static void tell_left_out(vpc_endpoint *ep)
{
    uint64_t left_out = ep->events.left_out;

    ep->events.left_out = 0;
    if (left_out > 0)
        log_lost(ep, left_out, "too many at once");
}

static void end_second(vpc_endpoint *ep)
{
    tell_left_out(ep);
    ep->events = (struct vpc_flood){0};
}

void vpc_guest_log_received(vpc_endpoint *ep, const vpc_frame *frame)
{
    struct vpc_flood *events = &ep->events;

    if (events->written > 0 && ep->now - events->since >= SECOND_MS)
        end_second(ep);
    if (events->written == 0)
        events->since = ep->now;
    if (events->written >= TAKEN_A_SECOND) {
        events->left_out += (uint64_t)frame->lost + 1;
        return;
    }
    events->written++;
    if (frame->lost > 0)
        log_lost(ep, frame->lost, "not sent");
    write_entry(ep, frame);
}

/* ---- both ------------------------------------------------------------------------------------------------- */

void vpc_guest_log_clock(vpc_endpoint *ep, bool at_once)
{
    if (ep->events.left_out > 0 && ep->now - ep->events.since >= SECOND_MS)
        end_second(ep);
    else if (at_once) /* the session has ended, its second has not */
        tell_left_out(ep);
}

uint64_t vpc_guest_log_deadline(const vpc_endpoint *ep)
{
    if (ep->role == VPC_ROLE_GUEST)
        return outbox_deadline(ep);
    return ep->events.left_out > 0 ? ep->events.since + SECOND_MS : VPC_NEVER;
}
