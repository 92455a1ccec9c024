/* SPDX-License-Identifier: MIT */
#include "rig.h"

#include <criterion/criterion.h>
#include <string.h>

/* ---- octets of the programs ---- */

static uint8_t octet_at(const struct stream *stream, bool from_host, uint64_t at)
{
    uint64_t x = at * UINT64_C(0x9E3779B97F4A7C15) + stream->port * 2u + from_host;

    return (uint8_t)(x ^ x >> 29 ^ x >> 47);
}

uint64_t rig_random(struct rig *rig)
{
    rig->seed ^= rig->seed << 13;
    rig->seed ^= rig->seed >> 7;
    rig->seed ^= rig->seed << 17;
    return rig->seed;
}

/* How many of n octets move at once. */
static size_t chunk(struct rig *rig, size_t limit, size_t n)
{
    size_t most = limit != 0 && limit < n ? limit : n;

    return rig->seed != 0 && most > 1 ? 1 + rig_random(rig) % most : most;
}

/* ---- streams ---- */

static struct stream *find_stream(struct side *side, uint32_t id)
{
    for (unsigned i = 0; i < STREAMS; i++)
        if (side->streams[i].id == id && side->streams[i].state != STREAM_FREE)
            return &side->streams[i];
    return NULL;
}

static void make_stream(struct side *side, const vpc_action *action)
{
    struct stream *stream = NULL;

    cr_assert_gt(action->stream, side->last_stream, "stream %u used again", action->stream);
    side->last_stream = action->stream;
    for (unsigned i = 0; i < STREAMS; i++) {
        struct stream *other = &side->streams[i];

        if ((other->state == STREAM_FREE || other->state == STREAM_ENDED) &&
            (stream == NULL || other->id < stream->id))
            stream = other;
    }
    cr_assert_not_null(stream, "more streams than the test has room for");
    *stream = (struct stream){.state = STREAM_ASKED,
                              .id = action->stream,
                              .port = (uint16_t)action->value,
                              .limit_ms = action->limit_ms,
                              .may_read = UINT64_MAX};
    if (action->text != NULL)
        snprintf(stream->pipe, sizeof(stream->pipe), "%s", action->text);
}

static struct stream *live_stream(struct side *side, const vpc_action *action)
{
    struct stream *stream = find_stream(side, action->stream);

    cr_assert_not_null(stream, "action %u names stream %u that never was", action->kind,
                       action->stream);
    cr_assert_neq(stream->state, STREAM_ENDED, "action %u names stream %u that has ended",
                  action->kind, action->stream);
    return stream;
}

static void end_stream(struct side *side, const vpc_action *action)
{
    struct stream *stream = live_stream(side, action);

    stream->state = STREAM_ENDED;
    stream->end = action->kind;
}

/* ---- log entries and events ---- */

static const json_t *catalogue_of(const char *member)
{
    static json_t *catalogue;

    if (catalogue == NULL)
        catalogue = json_load_file(EVENTS_JSON, 0, NULL);
    return json_object_get(catalogue, member);
}

static const json_t *catalogue_entry(int id)
{
    size_t i;
    json_t *entry;

    json_array_foreach(catalogue_of("events"), i, entry) if (json_integer_value(json_object_get(
                                                                 entry, "id")) == id) return entry;
    return NULL;
}

static bool names(const json_t *array, const char *name)
{
    size_t i;
    json_t *text;

    json_array_foreach(array, i, text) if (strcmp(json_string_value(text), name) == 0) return true;
    return false;
}

static bool common_field(const char *name)
{
    static const char *const common[] = {"time", "id", "name", "level", "source", "vm", "message"};

    for (size_t i = 0; i < sizeof(common) / sizeof(common[0]); i++)
        if (strcmp(common[i], name) == 0)
            return true;
    return false;
}

static void check_session(struct side *side, const char *name)
{
    bool up = strcmp(name, "SESSION_UP") == 0, lost = strcmp(name, "SESSION_LOST") == 0;

    if (up || lost) {
        cr_assert_neq(side->in_session, up, "%s twice", name);
        side->in_session = up;
    }
    cr_assert(!side->rig->faultless ||
                  (strcmp(name, "PROTOCOL_VIOLATION") != 0 && strcmp(name, "FRAMING_LOST") != 0),
              "%s between two endpoints without a fault", name);
}

/* What came by EVENT (LOG-7) is the guest's own entry, checked there, once more. */
static bool relayed(const struct side *side, const json_t *entry)
{
    return side->role == VPC_ROLE_HOST && json_object_get(entry, "guest_time") != NULL;
}

static bool fits_source(const struct side *side, const json_t *entry, const json_t *kind)
{
    const char *source = side->role == VPC_ROLE_GUEST || relayed(side, entry) ? "guest" : "host";

    return names(json_object_get(kind, "source"), source) &&
           strcmp(json_string_value(json_object_get(entry, "source")), source) == 0;
}

static void check_entry(struct side *side, json_t *entry)
{
    const json_t *kind = catalogue_entry((int)json_integer_value(json_object_get(entry, "id")));
    const char *name = json_string_value(json_object_get(entry, "name")), *field;
    json_t *value;

    cr_assert_not_null(kind, "an entry outside of the catalogue");
    cr_assert_str_eq(name, json_string_value(json_object_get(kind, "name")));
    cr_assert(fits_source(side, entry, kind), "%s is not an entry of this endpoint", name);
    json_object_foreach(entry, field, value)
        cr_assert(common_field(field) || names(json_object_get(kind, "fields"), field) ||
                      (relayed(side, entry) && names(catalogue_of("relayed_fields"), field)),
                  "%s has the field %s that is not in the catalogue", name, field);
    if (relayed(side, entry))
        return;
    check_session(side, name);
    if (strcmp(name, "CHANNEL_OPENED") == 0)
        side->opened++;
    if (strcmp(name, "CHANNEL_CLOSED") == 0)
        side->closed++;
    cr_assert_leq(side->closed, side->opened, "more channels closed than opened");
}

static json_t *parsed(const vpc_action *action)
{
    json_t *line;

    cr_assert_not_null(action->text);
    cr_assert_eq(strlen(action->text), action->text_len);
    cr_assert_null(strchr(action->text, '\n'));
    line = json_loads(action->text, JSON_ALLOW_NUL, NULL);
    cr_assert(json_is_object(line), "not a JSON object: %s", action->text);
    return line;
}

static void take_log(struct side *side, const vpc_action *action)
{
    json_t *entry = parsed(action);

    cr_assert_null(side->owed, "a log entry without EVENT_LOGGED");
    check_entry(side, entry);
    if (!side->rig->forgetful)
        json_array_append(relayed(side, entry) ? side->guest_logs : side->logs, entry);
    side->owed = entry;
}

static void take_event(struct side *side, const vpc_action *action)
{
    json_t *event = parsed(action);
    const char *name = json_string_value(json_object_get(event, "event"));

    if (strcmp(name, "EVENT_LOGGED") == 0) {
        cr_assert(json_equal(json_object_get(event, "data"), side->owed),
                  "EVENT_LOGGED is not the entry before it");
        json_decref(side->owed);
        side->owed = NULL;
    }
    if (!side->rig->forgetful)
        json_array_append(side->events, event);
    json_decref(event);
}

static void take_reply(struct side *side, const vpc_action *action)
{
    json_t *line = parsed(action);

    cr_assert_neq(action->client, 0);
    json_array_append_new(side->replies, json_pack("[i, o]", (int)action->client, line));
}

static void take_ready(struct side *side, const vpc_action *action)
{
    cr_assert_neq(side->ready, (int)action->value, "READY %u twice", action->value);
    cr_assert_not_null(action->text);
    side->ready = (int)action->value;
    snprintf(side->ready_name, sizeof(side->ready_name), "%s", action->text);
}

static void take_shutdown(struct side *side, const vpc_action *action)
{
    struct stream *stream = live_stream(side, action);
    const void *octets;

    cr_assert_not(stream->shut, "SHUTDOWN twice");
    stream->shut = true;
    cr_assert_eq(vpc_endpoint_abi_v1.stream_output(side->ep, stream->id, &octets), 0,
                 "output behind SHUTDOWN");
}

/* The client is taken for gone: what it wants to write counts as written. */
static void take_hangup(struct side *side, const vpc_action *action)
{
    struct stream *stream = live_stream(side, action);

    stream->finish = true;
    stream->may_read = stream->read;
}

/* Until then the programs look no more at what was 0 (run_streams()). */
static void take_wake(struct side *side, const vpc_action *action)
{
    struct stream *stream = live_stream(side, action);

    stream->no_room = stream->no_output = false;
    side->wakes++;
}

void rig_take(struct side *side)
{
    vpc_action action;

    while (vpc_endpoint_abi_v1.next_action(side->ep, &action)) {
        cr_assert_eq(side->stopped, 0, "action %u after STOPPED", action.kind);
        switch ((enum vpc_action_kind)action.kind) {
        case VPC_ACTION_LISTEN:
        case VPC_ACTION_CONNECT:
            make_stream(side, &action);
            break;
        case VPC_ACTION_SHUTDOWN:
            take_shutdown(side, &action);
            break;
        case VPC_ACTION_UNLISTEN:
        case VPC_ACTION_CLOSE:
        case VPC_ACTION_ABORT:
            end_stream(side, &action);
            break;
        case VPC_ACTION_REPLY:
            take_reply(side, &action);
            break;
        case VPC_ACTION_BROADCAST:
            take_event(side, &action);
            break;
        case VPC_ACTION_LOG:
            take_log(side, &action);
            break;
        case VPC_ACTION_READY:
            take_ready(side, &action);
            break;
        case VPC_ACTION_HANGUP:
            take_hangup(side, &action);
            break;
        case VPC_ACTION_STOPPED:
            side->stopped++;
            break;
        case VPC_ACTION_WAKE:
            take_wake(side, &action);
            break;
        case VPC_ACTION_LOOK:
            side->looks++;
            if (side->gone_at_look)
                vpc_endpoint_abi_v1.stream_gone(side->ep, action.stream, 0);
            break;
        case VPC_ACTION_FREE_NAME:
            side->freed++;
            break;
        case VPC_ACTION_FORWARD:
        case VPC_ACTION_ACCEPT:
            cr_assert_fail("no test here has a forward");
        case VPC_ACTION_NONE:
            cr_assert_fail("an action without a kind");
        }
    }
    cr_assert_null(side->owed, "a log entry without EVENT_LOGGED");
}

/* ---- the local programs ---- */

static bool answer_asked(struct side *side, struct stream *stream)
{
    bool host = side->role == VPC_ROLE_HOST;
    int error = host ? side->listen_error : side->connect_error;

    if (side->manual)
        return false;
    stream->state = error != 0 ? STREAM_ENDED : host ? STREAM_LISTENING : STREAM_LIVE;
    if (host)
        vpc_endpoint_abi_v1.stream_listening(side->ep, stream->id, error,
                                             error == 0 ? "/path" : "");
    else
        vpc_endpoint_abi_v1.stream_opened(side->ep, stream->id, error);
    rig_take(side);
    return true;
}

static bool write_stream(struct side *side, struct stream *stream)
{
    uint64_t left = stream->to_write - stream->written;
    size_t room = stream->no_room ? 0 : vpc_endpoint_abi_v1.stream_room(side->ep, stream->id), n;
    uint8_t *octets;

    stream->no_room = room == 0;
    if (left == 0 && stream->finish && !stream->finish_told) {
        stream->finish_told = true;
        vpc_endpoint_abi_v1.stream_eof(side->ep, stream->id);
        rig_take(side);
        return true;
    }
    n = left < room ? (size_t)left : room;
    if (n == 0)
        return false;
    n = chunk(side->rig, side->rig->program_chunk, n);
    octets = malloc(n);
    for (size_t i = 0; i < n; i++)
        octets[i] = octet_at(stream, side->role == VPC_ROLE_HOST, stream->written + i);
    cr_assert_eq(vpc_endpoint_abi_v1.stream_input(side->ep, stream->id, octets, n), n);
    free(octets);
    stream->written += n;
    rig_take(side);
    return true;
}

static bool read_stream(struct side *side, struct stream *stream)
{
    const void *octets = NULL;
    size_t n =
        stream->no_output ? 0 : vpc_endpoint_abi_v1.stream_output(side->ep, stream->id, &octets);

    stream->no_output = n == 0;
    if (n > stream->may_read - stream->read)
        n = (size_t)(stream->may_read - stream->read);
    if (n == 0)
        return false;
    cr_assert_not(stream->shut, "octets behind SHUTDOWN");
    n = chunk(side->rig, side->rig->program_chunk, n);
    for (size_t i = 0; i < n && !side->rig->unchecked; i++)
        cr_assert_eq(((const uint8_t *)octets)[i],
                     octet_at(stream, side->role == VPC_ROLE_GUEST, stream->read + i),
                     "port %u: octet %zu is not what was written", stream->port,
                     (size_t)stream->read + i);
    stream->read += n;
    vpc_endpoint_abi_v1.stream_sent(side->ep, stream->id, n);
    rig_take(side);
    return true;
}

static bool run_streams(struct side *side)
{
    bool moved = false;

    for (unsigned i = 0; i < STREAMS; i++) {
        struct stream *stream = &side->streams[i];

        if (stream->state == STREAM_ASKED)
            moved |= answer_asked(side, stream);
        if (stream->state == STREAM_LIVE)
            moved |= write_stream(side, stream);
        if (stream->state == STREAM_LIVE)
            moved |= read_stream(side, stream);
    }
    return moved;
}

/* ---- the bus ---- */

static bool move_octets(struct side *from, struct side *to)
{
    struct rig *rig = from->rig;
    const void *octets;
    uint8_t *copy;
    size_t n;

    if (!rig->bus || rig->blocked || from->mute)
        return false;
    n = vpc_endpoint_abi_v1.bus_output(from->ep, &octets);
    if (n == 0)
        return false;
    n = chunk(rig, rig->bus_chunk, n);
    if (rig->budget > 0) {
        n = n < rig->budget ? n : rig->budget;
        rig->budget -= n;
        rig->blocked = rig->budget == 0;
    }
    copy = malloc(n); /* a block of its own, so that nothing may look beyond it or at it later */
    memcpy(copy, octets, n);
    vpc_endpoint_abi_v1.bus_sent(from->ep, n);
    rig_take(from);
    vpc_endpoint_abi_v1.bus_input(to->ep, copy, n);
    free(copy);
    rig_take(to);
    return true;
}

void rig_settle(struct rig *rig)
{
    bool moved = true;

    for (unsigned turns = 0; moved; turns++) {
        cr_assert_lt(turns, 50000000, "it never comes to rest");
        moved = false;
        if (rig->host.ep != NULL)
            moved |= run_streams(&rig->host);
        if (rig->guest.ep != NULL)
            moved |= run_streams(&rig->guest);
        if (rig->host.ep == NULL || rig->guest.ep == NULL)
            continue;
        moved |= move_octets(&rig->host, &rig->guest);
        moved |= move_octets(&rig->guest, &rig->host);
    }
}

/* ---- time ---- */

static void tell_time(struct side *side)
{
    if (side->ep == NULL)
        return;
    vpc_endpoint_abi_v1.clock(side->ep, side->rig->now);
    rig_take(side);
    cr_assert_gt(vpc_endpoint_abi_v1.deadline(side->ep), side->rig->now,
                 "a deadline in the past: it spins");
}

static uint64_t next_deadline(const struct rig *rig)
{
    uint64_t host = rig->host.ep != NULL ? vpc_endpoint_abi_v1.deadline(rig->host.ep) : VPC_NEVER;
    uint64_t guest =
        rig->guest.ep != NULL ? vpc_endpoint_abi_v1.deadline(rig->guest.ep) : VPC_NEVER;

    return host < guest ? host : guest;
}

void rig_advance(struct rig *rig, uint64_t ms)
{
    uint64_t until = rig->now + ms;

    rig_settle(rig);
    while (rig->now < until) {
        uint64_t at = next_deadline(rig);

        rig->now = at > until ? until : at > rig->now ? at : rig->now + 1;
        tell_time(&rig->host);
        tell_time(&rig->guest);
        rig_settle(rig);
    }
}

void rig_bus(struct rig *rig, bool up)
{
    struct side *sides[] = {&rig->host, &rig->guest};

    rig->bus = up;
    for (unsigned i = 0; i < 2; i++) {
        if (sides[i]->ep == NULL)
            continue;
        (up ? vpc_endpoint_abi_v1.bus_up : vpc_endpoint_abi_v1.bus_down)(sides[i]->ep);
        rig_take(sides[i]);
    }
    rig_settle(rig);
}

void rig_ready(struct rig *rig)
{
    rig_bus(rig, true);
    cr_assert_eq(rig->host.ready, 1, "the host endpoint did not become ready");
}

/* ---- life ---- */

static uint64_t draw_epoch(void *user)
{
    struct side *side = user;

    return ((uint64_t)side->role << 32) + ++side->epoch;
}

static void begin_side(struct rig *rig, struct side *side, uint32_t role, const char *options)
{
    char error[200] = "";
    vpc_endpoint_config config = {
        .role = role,
        .vm = "vm1",
        .tag = role == VPC_ROLE_GUEST ? "TAG-1" : "",
        .options = options != NULL ? options : "{}",
        .random = draw_epoch,
        .user = side,
        .error = error,
        .error_size = sizeof(error),
    };

    *side = (struct side){.rig = rig, .role = role, .ready = -1};
    side->logs = json_array();
    side->guest_logs = json_array();
    side->events = json_array();
    side->replies = json_array();
    side->ep = vpc_endpoint_abi_v1.create(&config, rig->now);
    cr_assert_not_null(side->ep, "%s", error);
    rig_take(side);
}

void rig_begin(struct rig *rig, const char *host_options, const char *guest_options)
{
    *rig = (struct rig){.now = 1000};
    begin_side(rig, &rig->host, VPC_ROLE_HOST, host_options);
    begin_side(rig, &rig->guest, VPC_ROLE_GUEST, guest_options);
}

void rig_one(struct rig *rig, uint32_t role, const char *options)
{
    *rig = (struct rig){.now = 1000};
    begin_side(rig, role == VPC_ROLE_HOST ? &rig->host : &rig->guest, role, options);
}

static void end_side(struct side *side)
{
    vpc_endpoint_abi_v1.destroy(side->ep);
    json_decref(side->logs);
    json_decref(side->guest_logs);
    json_decref(side->events);
    json_decref(side->replies);
    json_decref(side->owed);
    *side = (struct side){0};
}

void rig_end(struct rig *rig)
{
    end_side(&rig->host);
    end_side(&rig->guest);
}
