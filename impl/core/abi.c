/* SPDX-License-Identifier: MIT */
/*
 * The exported endpoint ABI: each call hands its input on, then vpc_endpoint_finish() moves everything as far as
 * it goes.
 *
 * The session's events are handled where they arise; they only mark, log and queue.  What moves
 * bytes or ends channels is done in vpc_endpoint_finish(), outside of the session's callbacks, until nothing
 * changes any more.
 */
#include "endpoint.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define STOP_FLUSH_MS 1000u /* for octets that wait for the bus when the endpoint stops */

/* ---- events of the session ------------------------------------------------------------------- */

static void format_versions(char *out, size_t size, unsigned min, unsigned max)
{
    snprintf(out, size, "%u.%u-%u.%u", min >> 8, min & 255, max >> 8, max & 255);
}

static void on_session_up(vpc_endpoint *ep, const vpc_session_event *event)
{
    char version[16];

    ep->sessions++;
    ep->version = (uint32_t)event->value;
    ep->mismatched = ep->late = false;
    snprintf(ep->peer_name, sizeof(ep->peer_name), "%s", event->text);
    if (ep->role == VPC_ROLE_HOST && (ep->tag_learnt || ep->tag[0] == '\0')) {
        bool other = strcmp(ep->tag, event->tag) != 0;

        ep->tag_learnt = true;
        snprintf(ep->tag, sizeof(ep->tag), "%s", event->tag);
        if (other)
            vpc_host_set_event(ep);
    }
    snprintf(version, sizeof(version), "%u.%u", ep->version >> 8, ep->version & 255);
    vpc_log(
        ep, VPC_LOG_SESSION_UP,
        json_pack("{s:s, s:s, s:s}", "version", version, "peer", event->text, "tag", event->tag));
}

static void on_mismatch(vpc_endpoint *ep, const vpc_session_event *event)
{
    char local[32], peer[32];

    ep->mismatched = true;
    format_versions(local, sizeof(local), ep->options.version_min, ep->options.version_max);
    format_versions(peer, sizeof(peer), (unsigned)(event->value >> 16),
                    (unsigned)event->value & 0xffff);
    vpc_log(ep, VPC_LOG_REVISION_MISMATCH,
            json_pack("{s:s, s:s, s:s}", "local_versions", local, "peer_versions", peer, "peer",
                      event->text));
}

static void on_violation(vpc_endpoint *ep, const vpc_session_event *event)
{
    struct vpc_relay *relay = vpc_relay_of_channel(ep, event->channel);
    json_t *fields = relay != NULL ? vpc_relay_fields(relay, event->text, 0)
                                   : json_pack("{s:s}", "cause", event->text);

    json_object_set_new(fields, "frame", json_string(vpc_message_name((uint8_t)event->value)));
    json_object_set_new(fields, "channel", json_integer(event->channel));
    vpc_log(ep, VPC_LOG_PROTOCOL_VIOLATION, fields);
    if (relay != NULL && event->pair != NULL)
        vpc_relay_abort(ep, relay, "protocol violation", VPC_EPROTO);
}

static void on_session_down(vpc_endpoint *ep, const vpc_session_event *event)
{
    vpc_guest_log_clock(ep, true);
    vpc_log_at(ep, VPC_LOG_SESSION_LOST, strcmp(event->text, "stopped") == 0 ? "info" : NULL,
               json_pack("{s:s, s:I}", "cause", event->text, "pairs", (json_int_t)event->value));
}

static void on_late(vpc_endpoint *ep, const vpc_session_event *event)
{
    ep->late = true;
    vpc_log(ep, VPC_LOG_HEARTBEAT_LATE, json_pack("{s:I}", "silent_ms", (json_int_t)event->value));
}

static void on_event(void *user, const vpc_session_event *event)
{
    vpc_endpoint *ep = user;
    struct vpc_relay *relay = event->pair != NULL ? vpc_pair_user(event->pair) : NULL;

    switch (event->kind) {
    case VPC_EV_SESSION_UP:
        on_session_up(ep, event);
        break;
    case VPC_EV_SESSION_DOWN:
        on_session_down(ep, event);
        break;
    case VPC_EV_MISMATCH:
        on_mismatch(ep, event);
        break;
    case VPC_EV_FRAMING_LOST:
        vpc_log(ep, VPC_LOG_FRAMING_LOST, json_pack("{s:s}", "cause", event->text));
        break;
    case VPC_EV_VIOLATION:
        on_violation(ep, event);
        break;
    case VPC_EV_LATE:
        on_late(ep, event);
        break;
    case VPC_EV_RESUMED:
        ep->late = false;
        vpc_log(ep, VPC_LOG_HEARTBEAT_RESUMED, NULL);
        break;
    case VPC_EV_GUEST_EVENT:
        vpc_guest_log_received(ep, event->frame);
        break;
    case VPC_EV_PAIR_RESET:
        if (relay != NULL)
            vpc_relay_reset(ep, relay, event);
        break;
    case VPC_EV_PAIR_RELEASED:
        if (relay != NULL)
            vpc_relay_released(ep, relay, event->text);
        break;
    case VPC_EV_READY:
    case VPC_EV_NOT_READY:
    case VPC_EV_PAIR_REQUEST:
    case VPC_EV_PAIR_OPENED:
    case VPC_EV_PAIR_REFUSED:
        (ep->role == VPC_ROLE_HOST ? vpc_host_event : vpc_guest_event)(ep, event);
        break;
    case VPC_EV_PAIR_READABLE:
    case VPC_EV_PAIR_WRITABLE:
    case VPC_EV_PAIR_ANSWERED:
        if (relay != NULL)
            vpc_relay_look(ep, relay); /* vpc_endpoint_finish() moves all relays on */
        break;
    }
}

/* ---- stopping -------------------------------------------------------------------------------- */

/* When a GOODBYE that the bus does not take is given up. */
static uint64_t flush_by(const vpc_endpoint *ep)
{
    return ep->stop_at < VPC_NEVER - STOP_FLUSH_MS ? ep->stop_at + STOP_FLUSH_MS : VPC_NEVER;
}

/* Nothing is left to do before GOODBYE: no pair drains, and the host has the entries that may go now (LOG-6). */
static bool drained(const vpc_endpoint *ep)
{
    bool in_session = vpc_endpoint_level(ep) >= VPC_LEVEL_COMPONENTS;

    return vpc_relay_count(ep) == 0 && !(in_session && vpc_outbox_due(ep));
}

/* Pairs drain until the limit; then GOODBYE, and when it was sent, or there is no one who takes it,
 * STOPPED. */
static void advance_stop(vpc_endpoint *ep)
{
    const void *octets;

    if (!ep->stopping || ep->stopped)
        return;
    if (drained(ep) || ep->now >= ep->stop_at)
        vpc_session_stop(ep->session);
    if (vpc_session_state(ep->session) != VPC_SESSION_STOPPED ||
        (vpc_session_output(ep->session, &octets) > 0 && ep->now < flush_by(ep)))
        return;
    vpc_host_give_up_starts(ep);
    vpc_log_clock(ep, true);
    vpc_log(ep, VPC_LOG_ENDPOINT_STOPPED, json_pack("{s:s}", "cause", "told to stop"));
    vpc_act(ep, (vpc_action){.kind = VPC_ACTION_STOPPED}, NULL);
    ep->stopped = true; /* from here on vpc_act() does nothing */
}

/* The event HEARTBEAT, when the percentage is another than before (RDY-5). */
static void tell_heartbeat(vpc_endpoint *ep)
{
    unsigned heartbeat = vpc_session_heartbeat(ep->session);

    if (ep->role != VPC_ROLE_HOST || heartbeat == ep->heartbeat)
        return;
    ep->heartbeat = heartbeat;
    vpc_broadcast(ep, "HEARTBEAT", json_pack("{s:i}", "heartbeat", (int)heartbeat));
}

void vpc_endpoint_finish(vpc_endpoint *ep)
{
    const void *octets;

    tell_heartbeat(ep);
    vpc_relays_advance(ep);
    vpc_session_output(ep->session, &octets); /* draws up frames, which may release pairs */
    advance_stop(ep);
}

static void begin_stop(vpc_endpoint *ep)
{
    ep->stopping = true;
    ep->stop_at = VPC_NEVER;
    vpc_session_set_ready(ep->session, false);
    for (unsigned i = 0; i < ep->options.max_pairs; i++)
        if (ep->relays[i].stream != 0 && ep->relays[i].open)
            ep->relays[i].eof = true;
}

/* A second call can make the limit shorter, never longer. */
static void stop(vpc_endpoint *ep, uint64_t limit_ms)
{
    uint64_t at = limit_ms < VPC_NEVER - ep->now ? ep->now + limit_ms : VPC_NEVER;

    if (!ep->stopping)
        begin_stop(ep);
    if (at < ep->stop_at)
        ep->stop_at = at;
    vpc_endpoint_finish(ep);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void destroy(vpc_endpoint *ep)
{
    if (ep == NULL)
        return;
    for (unsigned i = 0; ep->relays != NULL && i < ep->options.max_pairs; i++) {
        vpc_asker_forget(&ep->relays[i].stopper);
        vpc_relay_free(ep, &ep->relays[i]);
    }
    vpc_drop_actions(ep);
    free(ep->relays);
    free(ep->outbox);
    free(ep->session);
    free(ep->vm);
    free(ep);
}

static bool next_log(void *user, vpc_frame *entry)
{
    return vpc_outbox_take(user, entry);
}

static void session_config(vpc_endpoint *ep, vpc_session_config *config)
{
    const struct vpc_options *o = &ep->options;

    *config = (vpc_session_config){
        .role = ep->role == VPC_ROLE_HOST ? VPC_HOST : VPC_GUEST,
        .version_min = (uint16_t)o->version_min,
        .version_max = (uint16_t)o->version_max,
        .max_pairs = (uint16_t)o->max_pairs,
        .window = o->window,
        .send_buffer = o->window < 65536 ? o->window : 65536,
        .hello_interval_ms = o->hello_interval_ms,
        .heartbeat_ms = o->heartbeat_ms,
        .heartbeat_late_ms = o->heartbeat_late_ms,
        .peer_limit_ms = o->peer_limit_ms,
        .backoff_max_ms = o->backoff_max_ms,
        .name = VPC_IMPLEMENTATION,
        .random = ep->random,
        .on_event = on_event,
        .next_log = ep->role == VPC_ROLE_GUEST ? next_log : NULL,
        .user = ep,
    };
    memcpy(config->tag, ep->tag, sizeof(config->tag));
}

/* random() of the configuration gets the caller's own pointer, the events get ours. */
static uint64_t draw(void *user)
{
    vpc_endpoint *ep = user;

    return ep->random(ep->random_user);
}

/* The log is JSON: what is no UTF-8 could not be shown in it. */
static bool valid_name(const char *vm)
{
    json_t *text = json_string(vm);

    json_decref(text);
    return text != NULL;
}

bool vpc_valid_tag(const char *tag)
{
    for (const char *c = tag; *c != '\0'; c++)
        if (*c < 0x20 || *c > 0x7e || c - tag >= (int)VPC_TEXT_MAX)
            return false;
    return true;
}

static vpc_endpoint *refuse(vpc_endpoint *ep, const vpc_endpoint_config *config, const char *error,
                            int number)
{
    if (config->error != NULL)
        snprintf(config->error, config->error_size, "%s", error);
    destroy(ep);
    errno = number;
    return NULL;
}

static vpc_endpoint *create(const vpc_endpoint_config *config, uint64_t now_ms)
{
    vpc_endpoint *ep = calloc(1, sizeof(*ep));
    vpc_session_config session;
    char error[128] = "no memory";
    void *memory;

    if (ep == NULL)
        return refuse(ep, config, error, ENOMEM);
    if (!vpc_options_parse(&ep->options, config->role, config->options, error, sizeof(error)))
        return refuse(ep, config, error, EINVAL);
    if (!vpc_valid_tag(config->tag) ||
        (config->role != VPC_ROLE_HOST && config->role != VPC_ROLE_GUEST))
        return refuse(ep, config,
                      "the tag must be at most 32 printable characters, the role host or guest",
                      EINVAL);
    if (!valid_name(config->vm))
        return refuse(ep, config, "the virtual machine's name must be UTF-8", EINVAL);
    ep->role = config->role;
    ep->now = now_ms;
    ep->random = config->random;
    ep->random_user = config->user;
    vpc_list_init(&ep->awake);
    snprintf(ep->tag, sizeof(ep->tag), "%s", config->tag);
    session_config(ep, &session);
    session.random = draw;
    memory = malloc(vpc_session_size(&session));
    ep->vm = strdup(config->vm);
    ep->relays = calloc(ep->options.max_pairs, sizeof(*ep->relays));
    ep->outbox = vpc_outbox_create();
    if (memory == NULL || ep->vm == NULL || ep->relays == NULL || ep->outbox == NULL ||
        !vpc_reserve_actions(ep)) {
        free(memory);
        return refuse(ep, config, error, ENOMEM);
    }
    ep->session = vpc_session_init(memory, &session, now_ms);
    vpc_log(ep, VPC_LOG_ENDPOINT_STARTED,
            json_pack("{s:s, s:s}", "implementation", VPC_IMPLEMENTATION, "version", "1.0"));
    vpc_session_set_ready(ep->session, ep->role == VPC_ROLE_GUEST);
    return ep;
}

/* ---- time and bus ---------------------------------------------------------------------------- */

static void tell_time(vpc_endpoint *ep, uint64_t now_ms)
{
    if (now_ms > ep->now)
        ep->now = now_ms;
    vpc_session_clock(ep->session, ep->now);
    vpc_relays_clock(ep);
    vpc_log_clock(ep, false);
    vpc_guest_log_clock(ep, false);
    vpc_endpoint_finish(ep);
}

static uint64_t deadline(const vpc_endpoint *ep)
{
    uint64_t session = vpc_session_deadline(ep->session), relays = vpc_relays_deadline(ep);
    uint64_t at = vpc_earlier(session, relays), stop = VPC_NEVER;

    if (ep->stopped)
        return VPC_NEVER;
    if (ep->stopping)
        stop = vpc_session_state(ep->session) != VPC_SESSION_STOPPED ? ep->stop_at : flush_by(ep);
    return vpc_earlier(vpc_earlier(at, stop),
                       vpc_earlier(vpc_log_deadline(ep), vpc_guest_log_deadline(ep)));
}

static void bus_up(vpc_endpoint *ep)
{
    if (ep->bus)
        return;
    ep->bus = true;
    vpc_log(ep, VPC_LOG_TRANSPORT_UP, NULL);
    vpc_session_transport(ep->session, true);
    vpc_endpoint_finish(ep);
}

static void bus_down(vpc_endpoint *ep)
{
    if (!ep->bus)
        return;
    ep->bus = ep->mismatched = false;
    vpc_log(ep, VPC_LOG_TRANSPORT_DOWN,
            json_pack("{s:s}", "cause",
                      ep->role == VPC_ROLE_HOST ? "the virtual machine closed the stream"
                                                : "no host is connected"));
    vpc_session_transport(ep->session, false);
    vpc_endpoint_finish(ep);
}

static void bus_input(vpc_endpoint *ep, const void *octets, size_t n)
{
    vpc_session_input(ep->session, octets, n);
    vpc_endpoint_finish(ep);
}

static size_t bus_output(vpc_endpoint *ep, const void **octets)
{
    return vpc_session_output(ep->session, octets);
}

static void bus_sent(vpc_endpoint *ep, size_t n)
{
    vpc_session_sent(ep->session, n);
    vpc_endpoint_finish(ep);
}

/* ---- control --------------------------------------------------------------------------------- */

static void control_line(vpc_endpoint *ep, uint32_t client, const char *line, size_t n)
{
    vpc_control_request(ep, client, line, n);
    vpc_endpoint_finish(ep);
}

/* Its answers have nowhere to go; what it started goes on. */
static void control_close(vpc_endpoint *ep, uint32_t client)
{
    for (unsigned i = 0; i < ep->options.max_pairs; i++) {
        struct vpc_relay *relay = &ep->relays[i];

        if (relay->starter.client == client)
            vpc_asker_forget(&relay->starter);
        if (relay->stopper.client == client)
            vpc_asker_forget(&relay->stopper);
    }
}

/* ---- streams --------------------------------------------------------------------------------- */

static void stream_listening(vpc_endpoint *ep, uint32_t stream, int error, const char *path)
{
    struct vpc_relay *relay = vpc_relay_find(ep, stream);

    if (relay != NULL && relay->pair == NULL && ep->role == VPC_ROLE_HOST)
        vpc_host_listening(ep, relay, error, path);
    vpc_endpoint_finish(ep);
}

static void stream_opened(vpc_endpoint *ep, uint32_t stream, int error)
{
    struct vpc_relay *relay = vpc_relay_live(ep, stream);

    if (relay == NULL)
        return;
    if (ep->role == VPC_ROLE_GUEST) {
        vpc_guest_connected(ep, relay, error);
    } else if (!relay->connected) {
        relay->connected = true;
        vpc_log(ep, VPC_LOG_PIPE_CONNECTED, vpc_relay_fields(relay, NULL, 0));
        vpc_relay_look(ep, relay);
    }
    vpc_endpoint_finish(ep);
}

static size_t stream_room(const vpc_endpoint *ep, uint32_t stream)
{
    struct vpc_relay *relay = vpc_relay_live(ep, stream);

    if (relay == NULL)
        return 0;
    vpc_relay_asked(relay, VPC_HAS_ROOM);
    return vpc_relay_room(relay);
}

static size_t stream_input(vpc_endpoint *ep, uint32_t stream, const void *octets, size_t n)
{
    struct vpc_relay *relay = vpc_relay_live(ep, stream);
    size_t room = relay != NULL ? vpc_relay_room(relay) : 0, taken = n < room ? n : room;

    if (taken > 0) {
        vpc_pair_write(relay->pair, octets, taken);
        vpc_relay_look(ep, relay);
    }
    vpc_endpoint_finish(ep);
    return taken;
}

static void stream_eof(vpc_endpoint *ep, uint32_t stream)
{
    struct vpc_relay *relay = vpc_relay_live(ep, stream);

    if (relay != NULL)
        relay->eof = true;
    vpc_endpoint_finish(ep);
}

static void stream_gone(vpc_endpoint *ep, uint32_t stream, int error)
{
    struct vpc_relay *relay = vpc_relay_live(ep, stream);

    if (relay == NULL)
        return;
    if (error != 0)
        vpc_relay_abort(ep, relay, "local program", (uint32_t)error);
    else
        relay->gone = true;
    vpc_endpoint_finish(ep);
}

static size_t stream_output(vpc_endpoint *ep, uint32_t stream, const void **octets)
{
    struct vpc_relay *relay = vpc_relay_live(ep, stream);

    if (relay == NULL)
        return 0;
    vpc_relay_asked(relay, VPC_HAS_OUTPUT);
    return vpc_relay_output(relay, octets);
}

static void stream_sent(vpc_endpoint *ep, uint32_t stream, size_t n)
{
    struct vpc_relay *relay = vpc_relay_live(ep, stream);

    if (relay != NULL) {
        relay->delivered += n;
        vpc_pair_delivered(relay->pair, n);
        vpc_relay_look(ep, relay);
    }
    vpc_endpoint_finish(ep);
}

/* The queue first: what it has may be about the same stream. */
static int next_action(vpc_endpoint *ep, vpc_action *action)
{
    const struct vpc_relay *relay;

    if (vpc_take_action(ep, action))
        return 1;
    relay = ep->stopped ? NULL : vpc_relay_next_awake(ep);
    if (relay == NULL)
        return 0;
    *action = (vpc_action){.kind = VPC_ACTION_WAKE, .stream = relay->stream};
    return 1;
}

const vpc_endpoint_abi vpc_endpoint_abi_v1 = {
    .abi_version = VPC_ENDPOINT_ABI_VERSION,
    .create = create,
    .destroy = destroy,
    .clock = tell_time,
    .deadline = deadline,
    .bus_up = bus_up,
    .bus_down = bus_down,
    .bus_input = bus_input,
    .bus_output = bus_output,
    .bus_sent = bus_sent,
    .control_open = vpc_control_greet,
    .control_line = control_line,
    .control_close = control_close,
    .stream_listening = stream_listening,
    .stream_opened = stream_opened,
    .stream_room = stream_room,
    .stream_input = stream_input,
    .stream_eof = stream_eof,
    .stream_gone = stream_gone,
    .stream_output = stream_output,
    .stream_sent = stream_sent,
    .next_action = next_action,
    .stop = stop,
};
