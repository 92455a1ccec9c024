/* SPDX-License-Identifier: MIT */
/*
 * Forwards: what happens to one, and what becomes of its clients.
 *
 * Goal     A client of a forward is served, is refused with an entry that says why, or waits where nothing of it is lost.
 * Events   The commands; the socket is made; a client came in; readiness or the number of pairs changed.
 * Limits   So many forwards; of each one client at most that was asked for and has not come.
 * Never    A client is let in that would have to wait here.
 */
#include "forward.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/forward_listen.h"

#define FORWARD_AT(link) VPC_LIST_ENTRY(link, struct vpc_forward, all)

/* ---- all of them ------------------------------------------------------------------------------- */

void vpc_forwards_init(vpc_endpoint *ep)
{
    vpc_list_init(&ep->forwards);
}

static void forget(vpc_endpoint *ep, struct vpc_forward *forward)
{
    vpc_asker_forget(&forward->starter);
    vpc_list_remove(&forward->all);
    ep->forward_count--;
    free(forward->listen);
    free(forward->path);
    free(forward);
}

void vpc_forwards_free(vpc_endpoint *ep)
{
    while (!vpc_list_empty(&ep->forwards))
        forget(ep, FORWARD_AT(ep->forwards.next));
}

static struct vpc_forward *find(vpc_endpoint *ep, uint32_t number)
{
    for (struct vpc_link *l = ep->forwards.next; l != &ep->forwards; l = l->next)
        if (FORWARD_AT(l)->number == number)
            return FORWARD_AT(l);
    return NULL;
}

static struct vpc_forward *find_by_next(vpc_endpoint *ep, uint32_t stream)
{
    for (struct vpc_link *l = ep->forwards.next; l != &ep->forwards; l = l->next)
        if (FORWARD_AT(l)->next == stream)
            return FORWARD_AT(l);
    return NULL;
}

bool vpc_forwards_use(vpc_endpoint *ep, uint32_t number)
{
    return ep->forward_count > 0 && (find(ep, number) != NULL || find_by_next(ep, number) != NULL);
}

static struct vpc_forward *find_by_listen(vpc_endpoint *ep, const char *listen)
{
    for (struct vpc_link *l = ep->forwards.next; l != &ep->forwards; l = l->next)
        if (strcmp(FORWARD_AT(l)->listen, listen) == 0)
            return FORWARD_AT(l);
    return NULL;
}

/* ---- entries and answers ------------------------------------------------------------------------ */

static json_t *fields_of(const struct vpc_forward *forward)
{
    return json_pack("{s:s, s:i}", "forward", forward->listen, "port", (int)forward->port);
}

static void log_refused(vpc_endpoint *ep, struct vpc_forward *forward, json_t *fields,
                        const struct vpc_start_failure *why)
{
    vpc_host_result_fields(fields, why);
    vpc_log(ep, VPC_LOG_FORWARD_REFUSED, fields);
    if (forward != NULL)
        forward->refused++;
}

void vpc_forward_failed(vpc_endpoint *ep, struct vpc_relay *relay,
                        const struct vpc_start_failure *why)
{
    log_refused(ep, find(ep, relay->forward), vpc_relay_fields(relay, NULL, 0), why);
}

void vpc_forward_released(vpc_endpoint *ep, const struct vpc_relay *relay)
{
    struct vpc_forward *forward = relay->forward != 0 ? find(ep, relay->forward) : NULL;

    if (forward != NULL && relay->pair != NULL)
        forward->pairs--;
}

/* ---- what the machine asks for ------------------------------------------------------------------ */

void vpc_forward_tell_started(vpc_endpoint *ep, struct vpc_forward *forward)
{
    json_t *fields = fields_of(forward);

    json_object_set_new(fields, "path", json_string(forward->path));
    vpc_log(ep, VPC_LOG_FORWARD_STARTED, fields);
    vpc_answer(ep, &forward->starter,
               json_pack("{s:s, s:s, s:s, s:i}", "hresult", "0x00000000", "listen", forward->listen,
                         "path", forward->path, "port", (int)forward->port));
}

void vpc_forward_tell_stopped(vpc_endpoint *ep, struct vpc_forward *forward)
{
    vpc_log(ep, VPC_LOG_FORWARD_STOPPED, fields_of(forward));
}

void vpc_forward_answer_failure(vpc_endpoint *ep, struct vpc_forward *forward,
                                const struct vpc_start_failure *why)
{
    vpc_answer_error(ep, &forward->starter, why->result, why->cause, why->error);
}

void vpc_forward_say_accept(vpc_endpoint *ep, struct vpc_forward *forward)
{
    forward->next = vpc_next_stream(ep);
    vpc_act(
        ep,
        (vpc_action){.kind = VPC_ACTION_ACCEPT, .stream = forward->next, .value = forward->number},
        NULL);
}

void vpc_forward_take_back(vpc_endpoint *ep, struct vpc_forward *forward)
{
    vpc_act(ep, (vpc_action){.kind = VPC_ACTION_UNLISTEN, .stream = forward->next}, NULL);
    forward->next = 0;
}

void vpc_forward_say_unlisten(vpc_endpoint *ep, struct vpc_forward *forward)
{
    vpc_act(ep, (vpc_action){.kind = VPC_ACTION_UNLISTEN, .stream = forward->number}, NULL);
}

/* ---- who is let in ------------------------------------------------------------------------------ */

static bool has_place(const vpc_endpoint *ep)
{
    return ep->relay_count < vpc_session_pair_limit(ep->session);
}

static bool may_let_in(const vpc_endpoint *ep, const struct vpc_forward *forward)
{
    const char *cause;

    if (vpc_host_check_readiness(ep, &cause) != VPC_S_OK)
        return !forward->waits_until_ready;
    return has_place(ep) || !forward->waits_for_place;
}

/* What it rests on, as a number. */
static unsigned situation(const vpc_endpoint *ep)
{
    const char *cause;

    return (unsigned)(vpc_host_check_readiness(ep, &cause) == VPC_S_OK) * 2 +
           (unsigned)has_place(ep);
}

void vpc_forwards_advance(vpc_endpoint *ep)
{
    unsigned now = situation(ep);

    if (!ep->forwards_changed && now == ep->forwards_situation)
        return;
    ep->forwards_changed = false;
    ep->forwards_situation = now;
    for (struct vpc_link *l = ep->forwards.next; l != &ep->forwards; l = l->next)
        vpc_forward_step(ep, FORWARD_AT(l),
                         may_let_in(ep, FORWARD_AT(l)) ? VPC_FORWARD_ON_MAY : VPC_FORWARD_ON_WAIT,
                         NULL);
}

/* ---- a client ----------------------------------------------------------------------------------- */

/* Which side takes no more (FWD-4). */
static vpc_hresult full_result(const vpc_endpoint *ep, const char **cause)
{
    bool guest = vpc_session_pair_limit(ep->session) < ep->options.max_pairs;

    *cause = guest ? "the guest endpoint takes no more channels (its max_pairs)"
                   : "every channel of the host endpoint is in use (its max_pairs)";
    return ep->running_down > 0 ? VPC_ERROR_PIPE_BUSY : VPC_ERROR_MAX_SESSIONS_REACHED;
}

static struct vpc_start_failure check_client(const vpc_endpoint *ep)
{
    struct vpc_start_failure why = {VPC_S_OK, "", 0};

    why.result = vpc_host_check_readiness(ep, &why.cause);
    if (why.result == VPC_S_OK && !has_place(ep))
        why.result = full_result(ep, &why.cause);
    return why;
}

static void refuse(vpc_endpoint *ep, struct vpc_forward *forward, uint32_t stream,
                   const struct vpc_start_failure *why)
{
    log_refused(ep, forward, fields_of(forward), why);
    vpc_act(ep, (vpc_action){.kind = VPC_ACTION_ABORT, .stream = stream}, NULL);
}

/* A relay of that number with its pair, or NULL. */
static struct vpc_relay *begin_relay(vpc_endpoint *ep, const struct vpc_forward *forward,
                                     uint32_t stream)
{
    struct vpc_relay *relay = vpc_relay_take_as(ep, stream);
    vpc_pair *pair = NULL;

    if (relay == NULL)
        return NULL;
    relay->forward = forward->number;
    relay->listen = strdup(forward->listen);
    relay->port = forward->port;
    if (relay->listen != NULL)
        pair = vpc_pair_open(ep->session, relay->port, ep->options.connect_ms);
    if (pair == NULL) {
        vpc_relay_free(ep, relay);
        return NULL;
    }
    vpc_relay_join(ep, relay, pair);
    return relay;
}

static void serve(vpc_endpoint *ep, struct vpc_forward *forward, uint32_t stream)
{
    struct vpc_start_failure why = check_client(ep);
    struct vpc_relay *relay = NULL;

    if (why.result == VPC_S_OK) {
        relay = begin_relay(ep, forward, stream);
        if (relay == NULL)
            why = (struct vpc_start_failure){VPC_ERROR_OUTOFMEMORY, "no memory", ENOMEM};
    }
    if (relay == NULL) {
        refuse(ep, forward, stream, &why);
        return;
    }
    forward->pairs++;
    vpc_relay_accepted(ep, relay);
}

void vpc_forward_client(vpc_endpoint *ep, uint32_t stream)
{
    struct vpc_forward *forward = ep->forward_count > 0 ? find_by_next(ep, stream) : NULL;

    if (forward == NULL)
        return;
    forward->next = 0;
    forward->accepted++;
    vpc_forward_step(ep, forward, VPC_FORWARD_ON_CAME, NULL);
    serve(ep, forward, stream);
    vpc_list_remove(&forward->all); /* the others have their turn before it */
    vpc_list_append(&ep->forwards, &forward->all);
    ep->forwards_changed = true;
}

/* ---- start and stop ----------------------------------------------------------------------------- */

struct wish {
    const char *listen;
    json_int_t port;
    bool waits_until_ready, waits_for_place;
};

/* False: it is no policy. */
static bool policy(const json_t *arguments, const char *name, bool *waits)
{
    const char *text = vpc_control_text(arguments, name);

    if (text == NULL)
        return true;
    *waits = strcmp(text, "wait") == 0;
    return *waits || strcmp(text, "refuse") == 0;
}

static vpc_hresult check_names(struct wish *wish, const json_t *arguments, const char **cause)
{
    unsigned port;

    *wish = (struct wish){
        .listen = vpc_control_text(arguments, "listen"),
        .port = json_integer_value(json_object_get(arguments, "port")),
        .waits_for_place = true,
    };
    *cause = "the place to listen is missing or not valid: a name, an absolute path, "
             "127.0.0.1:PORT or [::1]:PORT";
    if (wish->listen == NULL || vpc_forward_listen(wish->listen, &port) == VPC_LISTEN_WRONG)
        return VPC_E_POINTER;
    *cause = "the port is missing or not a number from 1 to 65535";
    if (wish->port < 1 || wish->port > UINT16_MAX)
        return VPC_E_POINTER;
    *cause = "a policy must be refuse or wait";
    if (!policy(arguments, "when-not-ready", &wish->waits_until_ready) ||
        !policy(arguments, "when-full", &wish->waits_for_place))
        return VPC_E_POINTER;
    return VPC_S_OK;
}

static vpc_hresult check_wish(vpc_endpoint *ep, struct wish *wish, const json_t *arguments,
                              const char **cause)
{
    vpc_hresult result = check_names(wish, arguments, cause);

    if (result != VPC_S_OK)
        return result;
    *cause = "the host endpoint is stopping";
    if (ep->stopping)
        return VPC_ERROR_NOT_READY;
    *cause = "a forward listens there";
    if (find_by_listen(ep, wish->listen) != NULL)
        return VPC_ERROR_ALREADY_EXISTS;
    *cause = "there are as many forwards as there may be";
    return ep->forward_count < VPC_FORWARDS_MAX ? VPC_S_OK : VPC_ERROR_MAX_SESSIONS_REACHED;
}

/* NULL: no memory. */
static struct vpc_forward *make(vpc_endpoint *ep, const struct wish *wish)
{
    struct vpc_forward *forward = calloc(1, sizeof(*forward));
    char *listen = strdup(wish->listen);

    if (forward == NULL || listen == NULL ||
        !vpc_reserve_actions(ep, ep->relay_count + ep->forward_count + 1)) {
        free(forward);
        free(listen);
        return NULL;
    }
    forward->number = vpc_next_stream(ep);
    forward->listen = listen;
    forward->port = (uint16_t)wish->port;
    forward->waits_until_ready = wish->waits_until_ready;
    forward->waits_for_place = wish->waits_for_place;
    vpc_forward_machine_start(forward);
    vpc_list_append(&ep->forwards, &forward->all);
    ep->forward_count++;
    return forward;
}

void vpc_forward_start(vpc_endpoint *ep, struct vpc_asker asker, const json_t *arguments)
{
    struct wish wish;
    const char *cause;
    vpc_hresult result = check_wish(ep, &wish, arguments, &cause);
    struct vpc_forward *forward = result == VPC_S_OK ? make(ep, &wish) : NULL;

    if (forward != NULL &&
        !vpc_act(ep, (vpc_action){.kind = VPC_ACTION_FORWARD, .stream = forward->number},
                 forward->listen)) {
        forget(ep, forward);
        forward = NULL;
    }
    if (forward != NULL)
        vpc_asker_keep(ep, &forward->starter, asker);
    else if (result == VPC_S_OK)
        vpc_answer_error(ep, &asker, VPC_ERROR_OUTOFMEMORY, "no memory", ENOMEM);
    else
        vpc_answer_error(ep, &asker, result, cause, 0);
}

static void end(vpc_endpoint *ep, struct vpc_forward *forward, enum vpc_forward_event event,
                const struct vpc_start_failure *why)
{
    vpc_forward_step(ep, forward, event, why);
    forget(ep, forward);
}

static void not_made(vpc_endpoint *ep, struct vpc_forward *forward, int error)
{
    json_t *fields = fields_of(forward);

    json_object_set_new(fields, "errno", json_integer(error));
    json_object_set_new(fields, "cause", json_string(strerror(error)));
    vpc_log(ep, VPC_LOG_FORWARD_FAILED, fields);
    end(ep, forward, VPC_FORWARD_ON_UNMADE,
        &(struct vpc_start_failure){vpc_host_result_of(error), strerror(error), (uint32_t)error});
}

/* Of a Unix socket its place; of a port, where it is one of the system's choice, what was chosen.  False: no memory. */
static bool note_place(struct vpc_forward *forward, const char *path)
{
    unsigned port;
    enum vpc_listen_kind kind = vpc_forward_listen(forward->listen, &port);
    bool unix_socket = kind == VPC_LISTEN_NAME || kind == VPC_LISTEN_PATH;
    char *chosen = unix_socket ? NULL : strdup(path);

    forward->path = strdup(unix_socket ? path : "");
    if (chosen != NULL) {
        free(forward->listen);
        forward->listen = chosen;
    }
    return forward->path != NULL && (unix_socket || chosen != NULL);
}

void vpc_forward_listening(vpc_endpoint *ep, uint32_t number, int error, const char *path)
{
    struct vpc_forward *forward = find(ep, number);

    if (forward == NULL || forward->state != VPC_FORWARD_MAKING)
        return;
    if (error != 0) {
        not_made(ep, forward, error);
    } else if (!note_place(forward, path)) {
        end(ep, forward, VPC_FORWARD_ON_STOP,
            &(struct vpc_start_failure){VPC_ERROR_OUTOFMEMORY, "no memory", ENOMEM});
    } else {
        vpc_forward_step(ep, forward, VPC_FORWARD_ON_MADE, NULL);
        ep->forwards_changed = true;
    }
}

void vpc_forward_stop(vpc_endpoint *ep, struct vpc_asker asker, const json_t *arguments)
{
    const char *listen = vpc_control_text(arguments, "listen");
    struct vpc_forward *forward = listen != NULL ? find_by_listen(ep, listen) : NULL;

    if (forward == NULL || forward->state == VPC_FORWARD_MAKING) {
        vpc_answer_error(ep, &asker, VPC_E_POINTER, "no forward listens there", 0);
        return;
    }
    end(ep, forward, VPC_FORWARD_ON_STOP, NULL);
    vpc_answer(ep, &asker, json_object());
}

void vpc_forwards_stop(vpc_endpoint *ep)
{
    const struct vpc_start_failure why = {VPC_ERROR_NOT_READY, "the host endpoint is stopping", 0};

    while (!vpc_list_empty(&ep->forwards))
        end(ep, FORWARD_AT(ep->forwards.next), VPC_FORWARD_ON_STOP, &why);
}

/* ---- the list ----------------------------------------------------------------------------------- */

static const char *policy_name(bool waits)
{
    return waits ? "wait" : "refuse";
}

void vpc_forward_query(vpc_endpoint *ep, struct vpc_asker asker, const json_t *arguments)
{
    json_t *list = json_array();

    (void)arguments;
    for (struct vpc_link *l = ep->forwards.next; l != &ep->forwards; l = l->next) {
        const struct vpc_forward *forward = FORWARD_AT(l);

        if (forward->state != VPC_FORWARD_MAKING)
            json_array_append_new(
                list, json_pack("{s:s, s:s, s:i, s:s, s:s, s:i, s:I, s:I}", "listen",
                                forward->listen, "path", forward->path, "port", (int)forward->port,
                                "when-not-ready", policy_name(forward->waits_until_ready),
                                "when-full", policy_name(forward->waits_for_place), "pairs",
                                (int)forward->pairs, "accepted", (json_int_t)forward->accepted,
                                "refused", (json_int_t)forward->refused));
    }
    vpc_answer(ep, &asker, json_pack("{s:o}", "forwards", list));
}
