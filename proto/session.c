/* SPDX-License-Identifier: MIT */
/*
 * The session: what arrives is framed, its seal checked, classified as an event of the lifecycle grammar and stepped.
 *
 * Goal     Both ends agree on two epochs, whatever octets are lost, cut or left over from before; then sealed frames flow.
 * Events   octets, the transport going up and down, the time, and the caller's ready and stop.
 * Limits   No allocation; one HELLO, one READY, one HEARTBEAT wait at most; the parser holds one payload.
 * Never    A frame acts before its seal is checked; an octet of one session reaches a pair of another; the machine is
 *          stepped from inside its own action (what must follow is done by after_step(), after the step).
 */
#include "internal.h"

#include <string.h>

#define STABLE_MS        1000u /* a session that lasted this long resets the backoff (SES-10) */
#define FIRST_BACKOFF_MS 100u
#define READIES_MS       1000u /* in which VPC_READIES_MAX may come */

static void step(vpc_session *session, enum vpc_lifecycle_event event);

/* ---- small helpers ---------------------------------------------------------------------------------------------- */

void vpc_emit(vpc_session *session, const vpc_session_event *event)
{
    session->config.on_event(session->config.user, event);
}

static void emit_text(vpc_session *session, enum vpc_event_kind kind, const char *text,
                      uint64_t value)
{
    vpc_emit(session, &(vpc_session_event){.kind = kind, .text = text, .tag = "", .value = value});
}

bool vpc_in_session(const vpc_session *session)
{
    return session->state == VPC_SESSION_UP || session->state == VPC_SESSION_READY;
}

static bool greeting(const vpc_session *session)
{
    return session->state == VPC_SESSION_HUNTING || session->state == VPC_SESSION_MISMATCHED;
}

static uint16_t common_version(const vpc_session *session, const vpc_frame *hello)
{
    uint16_t low = hello->version_min, high = hello->version_max;

    if (low < session->config.version_min)
        low = session->config.version_min;
    if (high > session->config.version_max)
        high = session->config.version_max;
    return low <= high ? high : 0;
}

/* ---- the actions of the grammar ---------------------------------------------------------------------------------- */

void vpc_action_start_attempt(vpc_session *session)
{
    uint64_t before = session->epoch;

    do
        session->epoch = session->config.random(session->config.user);
    while (session->epoch == 0 || session->epoch == before);
    session->echoed = 0;
    vpc_parser_hunt(&session->parser);
    vpc_action_send_hello(session);
}

void vpc_action_send_hello(vpc_session *session)
{
    session->hello_waits = true;
    session->retry_at = session->now + session->config.hello_interval_ms;
}

void vpc_action_begin_session(vpc_session *session)
{
    bool host = session->config.role == VPC_HOST;

    session->id = host ? vpc_session_id(session->epoch, session->peer_epoch)
                       : vpc_session_id(session->peer_epoch, session->epoch);
    session->session_peer = session->peer_epoch;
    session->sent_number = session->received_number = 0;
    session->heartbeats = 0;
    session->peer_ready = session->late = session->ready_waits = session->heartbeat_waits = false;
    session->ready_due = session->local_ready;
    session->ending = false;
    session->readies = 0;
    session->slot = session->slots_heard = 0;
    session->highest_id = 0;
    session->refusal_count = 0;
    session->began = session->last_sent = session->last_received = session->now;
    if (session->echoed != session->peer_epoch)
        session->hello_waits = true;
    vpc_parser_follow(&session->parser, host ? VPC_GUEST : VPC_HOST);
    vpc_emit(session, &(vpc_session_event){.kind = VPC_EV_SESSION_UP,
                                           .text = session->peer.name,
                                           .tag = session->peer.tag,
                                           .value = common_version(session, &session->peer)});
}

void vpc_action_report_mismatch(vpc_session *session)
{
    if (session->echoed != session->peer_epoch)
        session->hello_waits = true; /* so that the peer learns of it too (SES-6) */
    emit_text(session, VPC_EV_MISMATCH, session->peer.name,
              (uint64_t)session->peer.version_min << 16 | session->peer.version_max);
}

void vpc_action_report_late(vpc_session *session)
{
    session->late = true;
    session->not_ready_cause = "heartbeat late";
    emit_text(session, VPC_EV_LATE, "", session->now - session->last_received);
}

void vpc_action_now_ready(vpc_session *session)
{
    if (session->config.role == VPC_HOST)
        emit_text(session, VPC_EV_READY, "", 0);
}

void vpc_action_now_not_ready(vpc_session *session)
{
    if (session->config.role == VPC_HOST)
        emit_text(session, VPC_EV_NOT_READY, session->not_ready_cause, 0);
}

void vpc_action_announce_ready(vpc_session *session)
{
    session->ready_waits = true;
}

void vpc_action_say_goodbye(vpc_session *session)
{
    vpc_output_goodbye(session, session->end_cause == NULL ? 0 : 1);
}

void vpc_action_end_session(vpc_session *session)
{
    const char *cause = session->end_cause != NULL ? session->end_cause : "stopped";
    unsigned pairs = session->pair_count;

    session->ending = true;
    session->hello_waits = session->ready_waits = session->heartbeat_waits = false;
    session->refusal_count = 0;
    session->late = false;
    vpc_pairs_lose_session(session, cause);
    emit_text(session, VPC_EV_SESSION_DOWN, cause, pairs);
    if (session->state == VPC_SESSION_READY) {
        session->not_ready_cause = cause;
        vpc_action_now_not_ready(session);
    }
    if (session->now - session->began >= STABLE_MS)
        session->backoff = 0;
    session->retry_at = session->now + session->backoff;
    session->backoff = session->backoff == 0 ? FIRST_BACKOFF_MS : session->backoff * 2;
    if (session->backoff > session->config.backoff_max_ms)
        session->backoff = session->config.backoff_max_ms;
    vpc_parser_hunt(&session->parser);
}

/* ---- stepping ------------------------------------------------------------------------------------------------------ */

/* What follows from the state reached and needs a step of its own. */
static void after_step(vpc_session *session)
{
    if (session->state == VPC_SESSION_BACKING_OFF && session->retry_at <= session->now)
        step(session, VPC_LC_RETRY);
    if (session->ready_due) {
        session->ready_due = false;
        step(session, session->local_ready ? VPC_LC_LOCAL_READY : VPC_LC_LOCAL_NOT_READY);
    }
}

static bool run_machine(vpc_session *session, enum vpc_lifecycle_event event)
{
    bool legal;

    session->stepping = true;
    legal = vpc_lifecycle_session(session, event);
    session->stepping = false;
    return legal;
}

/* Ends the session with this cause if the event ends it. */
static void step_with_cause(vpc_session *session, enum vpc_lifecycle_event event, const char *cause)
{
    session->end_cause = cause;
    step(session, event);
}

static void violate(vpc_session *session, const vpc_frame *frame, const char *rule)
{
    vpc_emit(session, &(vpc_session_event){.kind = VPC_EV_VIOLATION,
                                           .text = rule,
                                           .tag = "",
                                           .value = frame->type,
                                           .channel = frame->channel});
    step_with_cause(session, VPC_LC_VIOLATION, "protocol violation");
}

static void step(vpc_session *session, enum vpc_lifecycle_event event)
{
    /* Every event that this file raises has a transition in every state in which it raises it; what a peer's frame can
     * make illegal is stepped by receive_sealed(), which looks at the answer. */
    if (run_machine(session, event))
        after_step(session);
}

static void lose_framing(vpc_session *session, const char *what)
{
    if (!vpc_in_session(session))
        return;
    emit_text(session, VPC_EV_FRAMING_LOST, what, 0);
    step_with_cause(session, VPC_LC_FRAMING_LOST, "framing lost");
}

/* ---- what arrives --------------------------------------------------------------------------------------------------- */

static enum vpc_lifecycle_event classify_hello(const vpc_session *session, const vpc_frame *hello)
{
    /* A peer in the session sends frames; one that greets instead is in it no more, or never was (SES-7). */
    if (vpc_in_session(session) && (hello->epoch != session->session_peer || session->late))
        return VPC_LC_HELLO_STRANGER;
    if (hello->echo != session->epoch)
        return vpc_in_session(session) ? VPC_LC_HELLO_DEAF : VPC_LC_HELLO_STRANGER;
    return common_version(session, hello) != 0 ? VPC_LC_HELLO_ECHO : VPC_LC_HELLO_MISMATCH;
}

/* A HELLO with which the session goes on changes nothing in it (SES-7). */
static bool goes_on(const vpc_session *session, enum vpc_lifecycle_event event)
{
    return vpc_in_session(session) && (event == VPC_LC_HELLO_ECHO || event == VPC_LC_HELLO_DEAF);
}

static void receive_hello(vpc_session *session, const vpc_frame *hello)
{
    if (hello->seal_session != 0 || hello->seal_number != hello->crc) {
        lose_framing(session, "the CRC of a HELLO");
        return;
    }
    if (hello->role == session->config.role || hello->version_min > hello->version_max)
        return; /* MSG-1 */
    enum vpc_lifecycle_event event = classify_hello(session, hello);
    if (!goes_on(session, event)) {
        session->peer = *hello;
        session->peer_epoch = hello->epoch;
    }
    step_with_cause(session, event, "peer restarted");
}

static enum vpc_lifecycle_event classify_sealed(const vpc_frame *frame)
{
    switch (frame->type) {
    case VPC_READY:
        return frame->ready ? VPC_LC_RCV_READY : VPC_LC_RCV_NOT_READY;
    case VPC_HEARTBEAT:
        return VPC_LC_RCV_HEARTBEAT;
    case VPC_GOODBYE:
        return VPC_LC_RCV_GOODBYE;
    case VPC_EVENT:
        return VPC_LC_RCV_EVENT;
    default:
        return VPC_LC_RCV_CHANNEL;
    }
}

/* A frame shows that the peer is alive. */
static void hear(vpc_session *session)
{
    session->last_received = session->now;
    vpc_heartbeat_heard(session);
    if (!session->late)
        return;
    session->late = false;
    emit_text(session, VPC_EV_RESUMED, "", 0);
    if (session->config.role == VPC_HOST ? session->peer_ready : session->local_ready)
        step(session, VPC_LC_HEARTBEAT_RESUMED);
}

/* Whether this READY and the VPC_READIES_MAX before it came within READIES_MS. */
static bool too_many_readies(vpc_session *session)
{
    uint64_t *oldest = &session->ready_at[session->readies % VPC_READIES_MAX];
    bool many = session->readies >= VPC_READIES_MAX && session->now - *oldest < READIES_MS;

    *oldest = session->now;
    session->readies++;
    return many;
}

static void receive_sealed(vpc_session *session, const vpc_frame *frame)
{
    enum vpc_lifecycle_event event = classify_sealed(frame);
    const char *broken = NULL;

    if (frame->seal_session != session->id || frame->seal_number != session->received_number + 1) {
        lose_framing(session, frame->seal_session != session->id ? "a seal of another session"
                                                                 : "a seal with another number");
        return;
    }
    session->received_number++;
    if (frame->type == VPC_READY)
        session->peer_ready = frame->ready; /* before hear(), which goes by the last word */
    hear(session);
    session->not_ready_cause = "the guest endpoint is not ready";
    session->end_cause =
        frame->type == VPC_GOODBYE && frame->cause == 1 ? "peer saw a violation" : "goodbye";
    if (frame->type == VPC_READY && too_many_readies(session))
        broken = "SES-18: too many READY";
    else if (!run_machine(session, event))
        broken = "a message that is illegal in this state";
    else if (event == VPC_LC_RCV_CHANNEL)
        broken = vpc_pairs_receive(session, frame);
    else if (event == VPC_LC_RCV_EVENT)
        vpc_emit(session, &(vpc_session_event){
                              .kind = VPC_EV_GUEST_EVENT, .text = "", .tag = "", .frame = frame});
    if (broken != NULL)
        violate(session, frame, broken);
    else
        after_step(session);
}

void vpc_session_input(vpc_session *session, const void *octets, size_t n)
{
    const uint8_t *p = octets, *end = p + n;

    if (session->state == VPC_SESSION_DOWN || session->state == VPC_SESSION_STOPPED)
        return;
    while (p < end) {
        switch (vpc_parse(&session->parser, &p, end)) {
        case VPC_PARSE_MORE:
            return;
        case VPC_PARSE_BAD:
            lose_framing(session, "octets that are no frame");
            break;
        case VPC_PARSE_FRAME:
            if (session->parser.frame.type == VPC_HELLO)
                receive_hello(session, &session->parser.frame);
            else
                receive_sealed(session, &session->parser.frame);
            break;
        }
        if (session->parser.hunting && !vpc_in_session(session))
            vpc_parser_hunt(&session->parser);
    }
}

/* What was on its way to the peer does not reach it. */
static void forget_output(vpc_session *session)
{
    session->staged = session->staged_sent = 0;
    session->hello_waits = session->preamble_begun = false;
    session->backoff = 0;
}

void vpc_session_transport(vpc_session *session, bool up)
{
    if (up == (session->state != VPC_SESSION_DOWN))
        return;
    forget_output(session);
    session->peer_epoch = 0;
    step_with_cause(session, up ? VPC_LC_TRANSPORT_UP : VPC_LC_TRANSPORT_DOWN, "transport down");
}

void vpc_session_renew(vpc_session *session, const char *cause)
{
    if (session->state == VPC_SESSION_DOWN || session->state == VPC_SESSION_STOPPED)
        return;
    forget_output(session);
    step_with_cause(session, VPC_LC_TRANSPORT_DOWN, cause);
    step_with_cause(session, VPC_LC_TRANSPORT_UP, cause);
}

/* ---- time ------------------------------------------------------------------------------------------------------------ */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* What waits for the bus shows that this end is alive as soon as it goes, and no HEARTBEAT would go before it. */
static bool output_waits(const vpc_session *session)
{
    return session->heartbeat_waits || session->staged_sent != session->staged;
}

uint64_t vpc_session_deadline(const vpc_session *session)
{
    uint64_t at = VPC_TIME_NEVER;

    if (greeting(session) || session->state == VPC_SESSION_BACKING_OFF)
        return session->retry_at;
    if (!vpc_in_session(session))
        return VPC_TIME_NEVER;
    if (!output_waits(session))
        at = session->last_sent + session->config.heartbeat_ms;
    if (!session->late)
        at = earlier(at, session->last_received + session->config.heartbeat_late_ms);
    if (session->config.peer_limit_ms != 0)
        at = earlier(at, session->last_received + session->config.peer_limit_ms);
    return at;
}

static void run_session_timers(vpc_session *session)
{
    uint64_t silent = session->now - session->last_received;

    if (!output_waits(session) && session->now >= session->last_sent + session->config.heartbeat_ms)
        session->heartbeat_waits = true;
    if (!session->late && silent >= session->config.heartbeat_late_ms)
        step(session, VPC_LC_HEARTBEAT_LATE);
    if (session->config.peer_limit_ms != 0 && silent >= session->config.peer_limit_ms)
        step_with_cause(session, VPC_LC_PEER_SILENT, "peer silent");
}

void vpc_session_clock(vpc_session *session, uint64_t now_ms)
{
    if (now_ms > session->now)
        session->now = now_ms;
    if (vpc_in_session(session))
        run_session_timers(session);
    else if (session->retry_at <= session->now &&
             (greeting(session) || session->state == VPC_SESSION_BACKING_OFF))
        step(session, VPC_LC_RETRY);
}

/* ---- the caller's side ------------------------------------------------------------------------------------------------ */

void vpc_session_set_ready(vpc_session *session, bool ready)
{
    if (session->config.role != VPC_GUEST || session->local_ready == ready)
        return;
    session->local_ready = ready;
    session->ready_due = true;
    if (!session->stepping) /* else it follows the step under way */
        after_step(session);
}

void vpc_session_set_tag(vpc_session *session, const char *tag)
{
    size_t n = 0;

    while (n < VPC_TEXT_MAX && tag[n] != '\0')
        n++;
    memset(session->config.tag, 0, sizeof(session->config.tag));
    memcpy(session->config.tag, tag, n);
}

void vpc_session_stop(vpc_session *session)
{
    step_with_cause(session, VPC_LC_LOCAL_STOP, NULL);
}

enum vpc_session_state vpc_session_state(const vpc_session *session)
{
    return session->state;
}

static size_t aligned(size_t n)
{
    return (n + 15) & ~(size_t)15;
}

size_t vpc_session_size(const vpc_session_config *config)
{
    return aligned(sizeof(vpc_session)) + vpc_pairs_size(config);
}

vpc_session *vpc_session_init(void *memory, const vpc_session_config *config, uint64_t now_ms)
{
    vpc_session *session = memory;

    /* All but the two large buffers at its end, which are written before they are read. */
    memset(session, 0, offsetof(vpc_session, parser) + offsetof(vpc_parser, buffer));
    session->config = *config;
    session->now = now_ms;
    vpc_pairs_init(session, (uint8_t *)memory + aligned(sizeof(*session)));
    vpc_parser_hunt(&session->parser);
    vpc_lifecycle_start_session(session);
    return session;
}

const char *vpc_session_state_name(enum vpc_session_state state)
{
    static const char *const names[] = {"down",  "hunting",     "mismatched", "up",
                                        "ready", "backing_off", "stopped"};

    return names[state];
}

const char *vpc_message_name(uint8_t type)
{
    static const char *const names[] = {
        [VPC_HELLO] = "HELLO",       [VPC_READY] = "READY",     [VPC_HEARTBEAT] = "HEARTBEAT",
        [VPC_GOODBYE] = "GOODBYE",   [VPC_EVENT] = "EVENT",     [VPC_OPEN] = "OPEN",
        [VPC_OPENED] = "OPENED",     [VPC_REFUSED] = "REFUSED", [VPC_DATA] = "DATA",
        [VPC_CREDIT] = "CREDIT",     [VPC_FIN] = "FIN",         [VPC_RESET] = "RESET",
        [VPC_RELEASED] = "RELEASED",
    };

    return type < sizeof(names) / sizeof(names[0]) && names[type] != NULL ? names[type] : "unknown";
}
