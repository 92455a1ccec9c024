/* SPDX-License-Identifier: MIT */
/*
 * The host endpoint's decisions: StartCommunicationChannel from its checks to its answer, stop, and
 * readiness.
 *
 * A start goes through: checks (API-8) -> LISTEN, the pipe server is made -> OPEN -> OPENED ->
 * S_OK.  Whatever fails on the way is answered and logged once, and gives everything back (API-11,
 * CHN-6).
 */
#include "endpoint.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- results --------------------------------------------------------------------------------- */

void vpc_host_result_fields(json_t *fields, const struct vpc_start_failure *why)
{
    char hresult[16];

    snprintf(hresult, sizeof(hresult), "0x%08X", (unsigned)why->result);
    json_object_set_new(fields, "result", json_string(vpc_hresult_name(why->result)));
    json_object_set_new(fields, "hresult", json_string(hresult));
    json_object_set_new(fields, "cause", json_string(why->cause));
    if (why->error != 0)
        json_object_set_new(fields, "errno", json_integer(why->error));
}

static void fail_start(vpc_endpoint *ep, struct vpc_asker *asker, vpc_hresult result,
                       json_t *fields, const char *cause, uint32_t error)
{
    vpc_host_result_fields(fields, &(struct vpc_start_failure){result, cause, error});
    vpc_log(ep, VPC_LOG_START_FAILED, fields);
    ep->failed++;
    vpc_answer_error(ep, asker, result, cause, error);
}

static vpc_hresult refused_result(uint32_t error)
{
    switch (error) {
    case ECONNREFUSED:
        return VPC_ERROR_CONNECTION_REFUSED;
    case ETIMEDOUT:
        return VPC_ERROR_TIMEOUT;
    default:
        return VPC_DISP_E_EXCEPTION;
    }
}

void vpc_host_answer_failure(vpc_endpoint *ep, struct vpc_relay *relay,
                             const struct vpc_start_failure *why)
{
    fail_start(ep, &relay->starter, why->result, vpc_relay_fields(relay, NULL, 0), why->cause,
               why->error);
}

struct vpc_start_failure vpc_host_failure_of_end(const struct vpc_relay *relay, const char *lost)
{
    if (strcmp(lost, "transport down") == 0)
        return (struct vpc_start_failure){VPC_VM_E_VM_NOT_RUNNING, "the virtual machine stopped",
                                          0};
    if (strcmp(lost, "machine shut down") == 0)
        return (struct vpc_start_failure){VPC_VM_E_VM_NOT_RUNNING,
                                          "the virtual machine has shut down", 0};
    if (*lost != '\0')
        return (struct vpc_start_failure){VPC_ERROR_NOT_READY, lost, 0};
    return (struct vpc_start_failure){
        VPC_DISP_E_EXCEPTION, relay->cause != NULL ? relay->cause : "reset by guest", relay->error};
}

/* ---- the checks of a start ------------------------------------------------------------------- */

struct start {
    json_int_t host_type, guest_type;
    const char *pipe, *port_text;
    char key[VPC_FILE_SIZE];
    unsigned port;
};

static const char *not_ready_cause(const vpc_endpoint *ep)
{
    if (ep->stopping)
        return "the host endpoint is stopping";
    if (vpc_endpoint_level(ep) < VPC_LEVEL_COMPONENTS)
        return "the guest endpoint has not answered";
    return ep->late ? "the guest endpoint is silent: its heartbeats are late"
                    : "the guest endpoint is not ready";
}

vpc_hresult vpc_host_check_readiness(const vpc_endpoint *ep, const char **cause)
{
    if (vpc_session_state(ep->session) == VPC_SESSION_DOWN) {
        *cause = "the virtual machine is not running";
        return VPC_VM_E_VM_NOT_RUNNING;
    }
    *cause = ep->stands;
    if (*cause != NULL)
        return VPC_VM_E_VM_NOT_RUNNING;
    if (ep->mismatched) {
        *cause = "host and guest speak no common version";
        return VPC_ERROR_REVISION_MISMATCH;
    }
    if (!ep->ready || ep->stopping) {
        *cause = not_ready_cause(ep);
        return VPC_ERROR_NOT_READY;
    }
    return VPC_S_OK;
}

static vpc_hresult check_start(vpc_endpoint *ep, struct start *start, const char **cause)
{
    vpc_hresult result;

    *cause = "an endpoint type is wrong: host-type must be 0 (named pipe), guest-type 1 (TCP/IP)";
    if (start->host_type != VPC_ENDPOINT_NAMED_PIPE || start->guest_type != VPC_ENDPOINT_TCPIP)
        return VPC_E_INVALIDARG;
    *cause = "the pipe name is missing or not valid";
    if (start->pipe == NULL || vpc_pipe_file(start->pipe, start->key, sizeof(start->key)) != 0)
        return VPC_E_POINTER;
    *cause = "the port is missing or not a number from 1 to 65535";
    if (start->port == 0)
        return VPC_E_POINTER;
    result = vpc_host_check_readiness(ep, cause);
    if (result != VPC_S_OK)
        return result;
    *cause = "the pipe name is in use";
    if (vpc_relay_of_pipe(ep, start->key) != NULL)
        return VPC_ERROR_ALREADY_EXISTS;
    if (ep->relay_count < vpc_session_pair_limit(ep->session))
        return VPC_S_OK;
    *cause = ep->running_down > 0 ? "every channel is in use, and one or more are running down"
                                  : "every channel is in use";
    return ep->running_down > 0 ? VPC_ERROR_PIPE_BUSY : VPC_ERROR_MAX_SESSIONS_REACHED;
}

/* Before there is a pair: answers, takes the pipe server away again if there is one. */
static void give_up(vpc_endpoint *ep, struct vpc_relay *relay, bool listens, vpc_hresult result,
                    const char *cause, uint32_t error)
{
    vpc_relay_unmade(ep, relay, listens, &(struct vpc_start_failure){result, cause, error});
}

static json_int_t type_argument(const json_t *arguments, const char *name, json_int_t fallback)
{
    const json_t *value = json_object_get(arguments, name);

    return json_is_integer(value) ? json_integer_value(value) : fallback;
}

/* What the log says of a start that failed its checks: the names as they were given. */
static json_t *start_fields(const struct start *start)
{
    json_t *fields = json_pack("{s:s*}", "pipe", start->pipe);

    if (start->port != 0)
        json_object_set_new(fields, "port", json_integer(start->port));
    else if (start->port_text != NULL)
        json_object_set_new(fields, "port", json_string(start->port_text));
    return fields;
}

vpc_hresult vpc_host_result_of(int error)
{
    switch (error) {
    case EADDRINUSE:
        return VPC_ERROR_ALREADY_EXISTS;
    case ENOMEM:
    case ENOBUFS:
        return VPC_ERROR_OUTOFMEMORY;
    case EBADF:
        return VPC_ERROR_INVALID_HANDLE;
    default:
        return VPC_DISP_E_EXCEPTION;
    }
}

/* There is no pipe server (API-16); another virtual machine's name is nobody's failure (API-6). */
static void pipe_failed(vpc_endpoint *ep, struct vpc_relay *relay, int error)
{
    const char *cause = error == EADDRINUSE ? "the pipe name is in use" : strerror(error);

    if (error != EADDRINUSE)
        vpc_log(ep, VPC_LOG_PIPE_FAILED, vpc_relay_fields(relay, cause, (uint32_t)error));
    give_up(ep, relay, false, vpc_host_result_of(error), cause, (uint32_t)error);
}

/* The checks are passed: asks for the pipe server. */
static void make_pipe(vpc_endpoint *ep, struct vpc_asker asker, const struct start *start)
{
    struct vpc_relay *relay = vpc_relay_take(ep);

    if (relay == NULL) {
        fail_start(ep, &asker, VPC_ERROR_OUTOFMEMORY, start_fields(start), "no memory", ENOMEM);
        return;
    }
    vpc_asker_keep(ep, &relay->starter, asker);
    relay->port = (uint16_t)start->port;
    vpc_relay_asked_for(ep, relay);
    if (!vpc_relay_name(ep, relay, start->pipe, start->key))
        give_up(ep, relay, false, VPC_ERROR_OUTOFMEMORY, "no memory", ENOMEM);
    else if (ep->options.fault != 0)
        pipe_failed(ep, relay, (int)ep->options.fault);
    else if (!vpc_act(ep, (vpc_action){.kind = VPC_ACTION_LISTEN, .stream = relay->stream},
                      relay->pipe))
        give_up(ep, relay, false, VPC_ERROR_OUTOFMEMORY, "no memory", ENOMEM);
}

void vpc_host_give_up_starts(vpc_endpoint *ep)
{
    struct vpc_relay *relay, *next;

    for (relay = vpc_relay_first(ep); relay != NULL; relay = next) {
        next = vpc_relay_next(ep, relay);
        if (vpc_relay_is(relay, VPC_OPENING_MAKING))
            give_up(ep, relay, true, VPC_ERROR_NOT_READY, "the host endpoint is stopping", 0);
    }
}

/* The client may have closed its pipe, and the caller not told it yet: it is to look first. */
static bool look_first(vpc_endpoint *ep, struct vpc_asker asker, const json_t *arguments,
                       const char *key)
{
    const struct vpc_relay *relay = vpc_relay_of_pipe(ep, key);

    if (relay == NULL || !vpc_relay_is(relay, VPC_OPENING_OPEN))
        return false;
    vpc_host_start_waiting(
        ep); /* one can wait; who asks again has not looked, or has nothing to say */
    if (!vpc_act(ep, (vpc_action){.kind = VPC_ACTION_LOOK, .stream = relay->stream}, NULL))
        return false;
    ep->waiting.arguments = arguments != NULL ? json_deep_copy(arguments) : NULL;
    if (ep->waiting.arguments == NULL)
        return false;
    vpc_asker_keep(ep, &ep->waiting.asker, asker);
    return true;
}

static void start_now(vpc_endpoint *ep, struct vpc_asker asker, const json_t *arguments,
                      bool looked)
{
    struct start start = {
        .host_type = type_argument(arguments, "host-type", VPC_ENDPOINT_NAMED_PIPE),
        .guest_type = type_argument(arguments, "guest-type", VPC_ENDPOINT_TCPIP),
        .pipe = vpc_control_text(arguments, "host-name"),
        .port_text = vpc_control_text(arguments, "guest-name"),
    };
    const char *cause;
    vpc_hresult result;

    start.port = start.port_text != NULL ? vpc_port(start.port_text) : 0;
    result = check_start(ep, &start, &cause);
    if (result == VPC_S_OK)
        make_pipe(ep, asker, &start);
    else if (looked || result != VPC_ERROR_ALREADY_EXISTS ||
             !look_first(ep, asker, arguments, start.key))
        fail_start(ep, &asker, result, start_fields(&start), cause, 0);
}

void vpc_host_start(vpc_endpoint *ep, struct vpc_asker asker, const json_t *arguments)
{
    start_now(ep, asker, arguments, false);
}

void vpc_host_forget_waiting(vpc_endpoint *ep)
{
    vpc_asker_forget(&ep->waiting.asker);
    json_decref(ep->waiting.arguments);
    ep->waiting.arguments = NULL;
}

bool vpc_host_start_waiting(vpc_endpoint *ep)
{
    struct vpc_waiting_start waiting = ep->waiting;
    struct vpc_asker asker = {.client = waiting.asker.client, .id = json_incref(waiting.asker.id)};

    if (waiting.arguments == NULL)
        return false;
    json_incref(waiting.arguments);
    vpc_host_forget_waiting(ep);
    start_now(ep, asker, waiting.arguments, true);
    json_decref(waiting.arguments);
    return true;
}

/* ---- after the pipe server is made ----------------------------------------------------------- */

void vpc_host_listening(vpc_endpoint *ep, struct vpc_relay *relay, int error, const char *path)
{
    const char *cause;
    vpc_hresult result;
    vpc_pair *pair = NULL;

    if (error != 0) {
        pipe_failed(ep, relay, error);
        return;
    }
    relay->path = strdup(path);
    if (relay->path == NULL) {
        give_up(ep, relay, true, VPC_ERROR_OUTOFMEMORY, "no memory", ENOMEM);
        return;
    }
    result = vpc_host_check_readiness(ep, &cause);
    if (result == VPC_S_OK) {
        pair = vpc_pair_open(ep->session, relay->port, ep->options.connect_ms);
        cause = "every channel of this session is in use";
        result = VPC_ERROR_MAX_SESSIONS_REACHED;
    }
    if (pair == NULL) {
        give_up(ep, relay, true, result, cause, 0);
        return;
    }
    vpc_relay_join(ep, relay, pair);
    vpc_relay_listening(ep, relay);
}

void vpc_host_answer_success(vpc_endpoint *ep, struct vpc_relay *relay)
{
    vpc_answer(ep, &relay->starter,
               json_pack("{s:s, s:s, s:s, s:i, s:I, s:I}", "hresult", "0x00000000", "pipe",
                         relay->pipe, "path", relay->path, "port", relay->port, "h2g",
                         (json_int_t)relay->h2g, "g2h", (json_int_t)relay->g2h));
}

static void on_refused(vpc_endpoint *ep, struct vpc_relay *relay, uint32_t error)
{
    const char *cause = error == ECONNREFUSED ? "nothing listens at that port in the guest"
                        : error == ETIMEDOUT  ? "the server in the guest did not accept in time"
                        : error == EACCES     ? "the guest endpoint does not allow this port"
                        : error == ENOBUFS    ? "the guest endpoint takes no more channels"
                                              : "the guest endpoint refused";

    vpc_relay_refused(ep, relay, &(struct vpc_start_failure){refused_result(error), cause, error});
}

void vpc_host_stop_pipe(vpc_endpoint *ep, struct vpc_asker asker, const json_t *arguments)
{
    const char *pipe = vpc_control_text(arguments, "pipe");
    char key[VPC_FILE_SIZE];
    struct vpc_relay *relay = pipe != NULL && vpc_pipe_file(pipe, key, sizeof(key)) == 0
                                  ? vpc_relay_last_of_pipe(ep, key)
                                  : NULL;

    if (relay == NULL || relay->stopper.client != 0 || !vpc_relay_is(relay, VPC_OPENING_OPEN)) {
        vpc_answer_error(ep, &asker, VPC_E_POINTER,
                         "no channel that could be stopped has this pipe", 0);
        return;
    }
    vpc_asker_keep(ep, &relay->stopper, asker);
    vpc_relay_hang_up(ep, relay);
}

/* ---- the chassis asset tag -------------------------------------------------------------------- */

void vpc_host_set_tag(vpc_endpoint *ep, struct vpc_asker asker, const json_t *arguments)
{
    const char *tag = vpc_control_text(arguments, "tag");

    if (tag == NULL) {
        vpc_answer_error(ep, &asker, VPC_E_POINTER, "the tag is missing", 0);
    } else if (*tag == '\0' || !vpc_valid_tag(tag)) {
        vpc_answer_error(ep, &asker, VPC_E_INVALIDARG,
                         "the tag must be 1 to 32 printable ASCII characters", 0);
    } else if (vpc_session_state(ep->session) != VPC_SESSION_DOWN) {
        vpc_answer_error(ep, &asker, VPC_VM_E_VM_RUNNING_OR_SAVED, "the virtual machine is running",
                         0);
    } else {
        bool other = ep->tag_learnt || strcmp(ep->tag, tag) != 0;

        snprintf(ep->tag, sizeof(ep->tag), "%s", tag);
        ep->tag_learnt = false;
        vpc_session_set_tag(ep->session, tag);
        if (other)
            vpc_host_set_event(ep);
        vpc_answer(ep, &asker, json_pack("{s:s}", "tag", tag));
    }
}

/* ---- readiness ------------------------------------------------------------------------------- */

void vpc_host_set_event(vpc_endpoint *ep)
{
    char name[VPC_TEXT_MAX + 32];

    snprintf(name, sizeof(name), "Local\\%s_ChannelReady", ep->tag);
    vpc_act(ep,
            (vpc_action){.kind = VPC_ACTION_READY,
                         .value = ep->ready,
                         .client = !ep->tag_learnt && ep->tag[0] != '\0'},
            name);
}

static void set_ready(vpc_endpoint *ep, bool ready, const char *cause)
{
    ep->ready = ready;
    vpc_host_set_event(ep);
    vpc_log(ep, ready ? VPC_LOG_CHANNEL_READY : VPC_LOG_CHANNEL_NOT_READY,
            json_pack("{s:s, s:s*}", "tag", ep->tag, "cause", cause));
    vpc_broadcast(ep, ready ? "CHANNEL_READY" : "CHANNEL_NOT_READY",
                  json_pack("{s:s, s:s*}", "tag", ep->tag, "cause", cause));
}

void vpc_host_look_ready(vpc_endpoint *ep, const char *cause)
{
    bool ready = ep->guest_ready && ep->stands == NULL;

    if (ready != ep->ready)
        set_ready(ep, ready, ready ? NULL : cause);
}

void vpc_host_event(vpc_endpoint *ep, const vpc_session_event *event)
{
    struct vpc_relay *relay = event->pair != NULL ? vpc_pair_user(event->pair) : NULL;

    switch (event->kind) {
    case VPC_EV_READY:
    case VPC_EV_NOT_READY:
        ep->guest_ready = event->kind == VPC_EV_READY;
        vpc_host_look_ready(ep, event->text);
        break;
    case VPC_EV_PAIR_OPENED:
        vpc_relay_opened(ep, relay);
        break;
    case VPC_EV_PAIR_REFUSED:
        on_refused(ep, relay, (uint32_t)event->value);
        break;
    default:
        break;
    }
}
