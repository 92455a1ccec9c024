/* SPDX-License-Identifier: MIT */
/*
 * The guest's log against its EVENTs (LOG-6).
 *
 * In a session each EVENT is the entry behind the one before it, `lost` entries further on.  Between two sessions an EVENT may
 * have been sent that never came, so there any number may be missing.  As equal entries make it unsure which of them came, all
 * places at which the guest may be are kept, and a breach is what fits none.
 *
 * Log and bus are two streams: an EVENT is looked at when the log has an entry of a later time.
 */
#include "document/entry_relay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

enum { ENDPOINT_STARTED = 1000, SESSION_UP = 1010, NEED_NOT_BE_SENT = 1040 };

/* ---- an entry as its EVENT must be -------------------------------------------------------------------------------- */

static const struct number_place {
    const char *key;
    size_t at;
} numbers[] = {
    {"id", offsetof(struct vpc_relayed, event)},
    {"time", offsetof(struct vpc_relayed, time)},
    {"h2g", offsetof(struct vpc_relayed, h2g)},
    {"g2h", offsetof(struct vpc_relayed, g2h)},
    {"port", offsetof(struct vpc_relayed, port)},
    {"errno", offsetof(struct vpc_relayed, errno_)},
    {"sent", offsetof(struct vpc_relayed, sent)},
    {"received", offsetof(struct vpc_relayed, received)},
    {"silent_ms", offsetof(struct vpc_relayed, value)},
    {"pairs", offsetof(struct vpc_relayed, value)},
    {"count", offsetof(struct vpc_relayed, value)},
};

static const struct text_place {
    const char *key;
    size_t at;
} texts[] = {
    {"cause", offsetof(struct vpc_relayed, cause)},
    {"implementation", offsetof(struct vpc_relayed, detail)},
    {"peer_versions", offsetof(struct vpc_relayed, detail)},
    {"frame", offsetof(struct vpc_relayed, detail)},
};

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static bool continues(char octet)
{
    return ((unsigned char)octet & 0xc0) == 0x80; /* a character of UTF-8 */
}

static void put_text(char *out, const char *text)
{
    size_t n = 0;

    for (; *text && n < VPC_RELAYED_TEXT - 1; text++)
        if (!continues(*text))
            out[n++] = *text >= 0x20 && *text <= 0x7e ? *text : '?';
    out[n] = '\0';
}

static uint64_t level_of(const json_t *entry)
{
    static const char *const levels[] = {"info", "warning"};
    const char *level = json_string_value(json_object_get(entry, "level"));

    for (uint64_t i = 0; level && i < COUNT(levels); i++)
        if (strcmp(level, levels[i]) == 0)
            return i;
    return COUNT(levels);
}

static struct vpc_relayed as_event(const json_t *entry)
{
    struct vpc_relayed event = {.level = level_of(entry)};
    const json_t *about = json_object_get(entry, "event_id");

    for (size_t i = 0; i < COUNT(numbers); i++) {
        const json_t *value = json_object_get(entry, numbers[i].key);
        uint64_t number = (uint64_t)json_integer_value(value);

        if (json_is_integer(value))
            memcpy((char *)&event + numbers[i].at, &number, sizeof(number));
    }
    for (size_t i = 0; i < COUNT(texts); i++) {
        const char *value = json_string_value(json_object_get(entry, texts[i].key));

        if (value)
            put_text((char *)&event + texts[i].at, value);
    }
    if (about)
        snprintf(event.detail, sizeof(event.detail), "%lld", (long long)json_integer_value(about));
    return event;
}

/* ---- what came ------------------------------------------------------------------------------------------------------ */

static void forget_before(struct vpc_log_relay *relay, uint64_t time)
{
    size_t kept = 0;

    for (size_t i = 0; i < relay->event_count; i++)
        if (relay->events[i].time >= time)
            relay->events[kept++] = relay->events[i];
    relay->event_count = kept;
}

/* The endpoint's life begins: what an earlier one has not sent is gone with it. */
static void begin_life(struct vpc_log_relay *relay, uint64_t time)
{
    forget_before(relay, time);
    free(relay->entries);
    free(relay->next);
    relay->entries = NULL;
    relay->entry_count = relay->sessions = relay->met = 0;
    relay->next = vpc_alloc(sizeof(*relay->next));
    relay->next[0] = true;
}

void vpc_log_relay_entry(struct vpc_log_relay *relay, const json_t *entry)
{
    struct vpc_relayed event = as_event(entry);

    if (event.event == ENDPOINT_STARTED)
        begin_life(relay, event.time);
    if (relay->next == NULL)
        return;
    relay->sessions += event.event == SESSION_UP;
    relay->entries = vpc_grow_by_one(relay->entries, relay->entry_count, sizeof(*relay->entries));
    relay->entries[relay->entry_count++] = event;
    relay->next = vpc_grow(relay->next, relay->entry_count + 1, sizeof(*relay->next));
    relay->next[relay->entry_count] = false;
}

void vpc_log_relay_event(struct vpc_log_relay *relay, const struct vpc_relayed *event)
{
    relay->events = vpc_grow_by_one(relay->events, relay->event_count, sizeof(*relay->events));
    relay->events[relay->event_count++] = *event;
}

/* ---- judging ---------------------------------------------------------------------------------------------------------- */

static bool same(const struct vpc_relayed *event, const struct vpc_relayed *entry)
{
    struct vpc_relayed wanted = *entry;

    wanted.session = event->session;
    wanted.earlier = event->earlier;
    wanted.lost = event->lost;
    if (strcmp(event->cause, wanted.cause) != 0 || strcmp(event->detail, wanted.detail) != 0)
        return false;
    return memcmp(event, &wanted, offsetof(struct vpc_relayed, cause)) == 0;
}

/* A gap: EVENTs between this one and the one before may have been sent and never come. */
static bool fits(const struct vpc_relayed *event, size_t due, size_t skipped, bool gap)
{
    return event->lost <= skipped && (gap || due <= event->lost);
}

/* Moves the places on behind the event; false: it fits none. */
static bool move_on(struct vpc_log_relay *relay, const struct vpc_relayed *event, bool gap)
{
    bool *next = vpc_alloc((relay->entry_count + 1) * sizeof(*next)), any = false;

    for (size_t from = 0; from < relay->entry_count; from++) {
        size_t due = 0;

        for (size_t at = from; relay->next[from] && at < relay->entry_count; at++) {
            bool here = fits(event, due, at - from, gap) && same(event, &relay->entries[at]);

            any |= here;
            next[at + 1] |= here;
            due += relay->entries[at].event < NEED_NOT_BE_SENT;
        }
    }
    free(relay->next);
    relay->next = next;
    return any;
}

static const struct vpc_relayed *entry_of(const struct vpc_log_relay *relay,
                                          const struct vpc_relayed *event)
{
    for (size_t i = 0; i < relay->entry_count; i++)
        if (relay->entries[i].event == event->event && relay->entries[i].time == event->time)
            return &relay->entries[i];
    return NULL;
}

static void explain(const struct vpc_relayed *event, const struct vpc_relayed *entry, char *text,
                    size_t size)
{
    const char *key = NULL;

    for (size_t i = 0; entry && i < COUNT(numbers); i++)
        if (memcmp((const char *)event + numbers[i].at, (const char *)entry + numbers[i].at,
                   sizeof(uint64_t)) != 0)
            key = numbers[i].key;
    for (size_t i = 0; entry && i < COUNT(texts); i++)
        if (strcmp((const char *)event + texts[i].at, (const char *)entry + texts[i].at) != 0)
            key = texts[i].key;
    if (entry && event->level != entry->level)
        key = "level";
    if (key)
        snprintf(text, size, "an EVENT %llu with another %s than its entry",
                 (unsigned long long)event->event, key);
    else
        snprintf(text, size, "an EVENT %llu, lost %llu, that is not the next entry of the log",
                 (unsigned long long)event->event, (unsigned long long)event->lost);
}

/* A session may have brought nothing, and its successor's EVENT may come before the log is read that far. */
static bool may_miss(const struct vpc_log_relay *relay, const struct vpc_relayed *event,
                     bool in_step)
{
    return relay->sessions > 1 || (!in_step && event->earlier > 0);
}

static bool is_known(const struct vpc_log_relay *relay, const struct vpc_relayed *event)
{
    return relay->entry_count > 0 && relay->entries[relay->entry_count - 1].time > event->time;
}

const char *vpc_log_relay_breach(struct vpc_log_relay *relay, bool in_step, char *text, size_t size)
{
    const char *breach = NULL;
    size_t judged = 0;

    for (; judged < relay->event_count && !breach; judged++) {
        const struct vpc_relayed *event = &relay->events[judged];
        bool fresh = event->session != relay->session,
             gap = fresh && may_miss(relay, event, in_step);

        if (relay->next == NULL || (!in_step && !is_known(relay, event)))
            break;
        if (!in_step && fresh && relay->sessions <= relay->met) /* its SESSION_UP is not read yet */
            break;
        if (!move_on(relay, event, gap)) {
            breach = "LOG-6";
            explain(event, entry_of(relay, event), text, size);
        }
        relay->session = event->session;
        relay->met += fresh;
    }
    if (judged > 0)
        memmove(relay->events, relay->events + judged,
                (relay->event_count - judged) * sizeof(*relay->events));
    relay->event_count -= judged;
    return breach;
}

void vpc_log_relay_end(struct vpc_log_relay *relay)
{
    free(relay->entries);
    free(relay->next);
    free(relay->events);
    *relay = (struct vpc_log_relay){0};
}
