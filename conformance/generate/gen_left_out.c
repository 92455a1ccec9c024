/* SPDX-License-Identifier: MIT */
/*
 * What is legal for a session and has no generated scenario, and why: said, so that a gap is not taken for coverage.
 *
 * A reason names the scenario that is written by hand, or what an implementation would have to offer.  The first reason that
 * fits an event counts; where none does vpc_gen_session_left_out() says so, which a test does not allow.
 */
#include <string.h>

#include "generate/generate.h"

static const char *const names[VPC_SESSION_EVENTS] = {
    [VPC_TRANSPORT_UP] = "transport_up",
    [VPC_TRANSPORT_DOWN] = "transport_down",
    [VPC_RETRY] = "retry",
    [VPC_HELLO_STRANGER] = "hello_stranger",
    [VPC_HELLO_DEAF] = "hello_deaf",
    [VPC_HELLO_ECHO] = "hello_echo",
    [VPC_HELLO_MISMATCH] = "hello_mismatch",
    [VPC_FRAMING_LOST] = "framing_lost",
    [VPC_VIOLATION] = "violation",
    [VPC_PEER_SILENT] = "peer_silent",
    [VPC_RCV_READY] = "rcv_ready",
    [VPC_RCV_NOT_READY] = "rcv_not_ready",
    [VPC_RCV_HEARTBEAT] = "rcv_heartbeat",
    [VPC_RCV_GOODBYE] = "rcv_goodbye",
    [VPC_RCV_CHANNEL] = "rcv_channel",
    [VPC_LOCAL_READY] = "local_ready",
    [VPC_LOCAL_NOT_READY] = "local_not_ready",
    [VPC_HEARTBEAT_LATE] = "heartbeat_late",
    [VPC_LOCAL_STOP] = "local_stop",
    [VPC_HEARTBEAT_RESUMED] = "heartbeat_resumed",
    [VPC_RCV_EVENT] = "rcv_event",
};

static const struct {
    enum conform_session_event event;
    const char *role, *state; /* NULL: any */
    const char *why;
} reasons[] = {
    {VPC_TRANSPORT_UP, NULL, NULL, "every scenario but those without a transport begins so"},
    {VPC_TRANSPORT_DOWN, NULL, "down", "a transport that is down can not end"},
    {VPC_RETRY, "host", "backing_off", "by hand: backoff"},
    {VPC_RETRY, "guest", "backing_off", "by hand: backoff-guest"},
    {VPC_RETRY, "host", NULL, "by hand: hello-repeated"},
    {VPC_RETRY, "guest", NULL, "by hand: hello-repeated-guest"},
    {VPC_LOCAL_READY, "host", NULL, "only a guest endpoint has a side of its own that is ready"},
    {VPC_LOCAL_NOT_READY, "host", NULL,
     "only a guest endpoint has a side of its own that is ready"},
    {VPC_LOCAL_READY, "guest", "up",
     "each \"session\" waits for the READY that follows; to be ready once more an endpoint would "
     "have to be told so, for which section 8 has no command"},
    {VPC_LOCAL_READY, "guest", NULL,
     "an endpoint is ready from its start on, and can not be told so again: section 8 has no "
     "command"},
    {VPC_LOCAL_NOT_READY, "guest", "up", "its one cause is a stop: by hand: stop-while-late-guest"},
    {VPC_LOCAL_NOT_READY, "guest", "ready",
     "its one cause is a stop: by hand: stop-says-not-ready"},
    {VPC_LOCAL_NOT_READY, "guest", NULL,
     "its one cause is a stop, which without a session is the end at once: local_stop"},
    {VPC_HELLO_MISMATCH, "guest", "up",
     "a guest is only \"up\" while its peer is late: hello_stranger"},
    {VPC_RCV_CHANNEL, NULL, NULL, "each message of a channel in each state: the channel machines"},
    {VPC_HEARTBEAT_RESUMED, NULL, "ready", "who is ready is not late"},
    {VPC_RCV_READY, "guest", NULL, "no host sends it: as a frame in the wrong direction"},
    {VPC_RCV_NOT_READY, "guest", NULL, "no host sends it: as a frame in the wrong direction"},
    {VPC_RCV_EVENT, "guest", NULL, "no host sends it: as a frame in the wrong direction"},
    {VPC_HELLO_DEAF, "guest", "up",
     "a guest is only \"up\" while its peer is late: hello_stranger"},
    {VPC_HELLO_ECHO, "guest", "up",
     "a guest is only \"up\" while its peer is late: hello_stranger"},
    {VPC_VIOLATION, "guest", "up", "a frame ends the lateness, in which alone a guest is \"up\""},
    {VPC_RCV_HEARTBEAT, "guest", "up", "as heartbeat_resumed"},
    {VPC_RCV_GOODBYE, "guest", "up", "a frame ends the lateness, in which alone a guest is \"up\""},
    {VPC_PEER_SILENT, "guest", "up", "as in \"ready\", from which silence leads through \"up\""},
    {VPC_HEARTBEAT_LATE, "guest", "up", "who is late is not late once more"},
};

static const char *reason_of(const char *role, const char *state, unsigned char event)
{
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (reasons[i].event == event &&
            (reasons[i].role == NULL || strcmp(reasons[i].role, role) == 0) &&
            (reasons[i].state == NULL || strcmp(reasons[i].state, state) == 0))
            return reasons[i].why;
    return NULL;
}

/* One event, each reason with the states that it is for. */
static void tell(const char *role, unsigned char event, const char *const *states,
                 const char *const *why, size_t count, FILE *out)
{
    for (size_t i = 0; i < count; i++) {
        bool told = false;

        for (size_t k = 0; k < i; k++)
            told |= why[k] == why[i];
        if (told || why[i] == NULL)
            continue;
        fprintf(out, "%-5s %-17s ", role, names[event]);
        for (size_t k = i; k < count; k++)
            if (why[k] == why[i])
                fprintf(out, "%s%s", k == i ? "" : ", ", states[k]);
        fprintf(out, ": %s\n", why[i]);
    }
}

/* A road through every state but the last, where all is legal and nothing shows. */
static const struct {
    const char *name;
    unsigned char event;
} road[] = {{"down", 0},
            {"hunting", VPC_TRANSPORT_UP},
            {"mismatched", VPC_HELLO_MISMATCH},
            {"up", VPC_HELLO_ECHO},
            {"ready", VPC_RCV_READY},
            {"backing_off", VPC_RCV_GOODBYE}};

#define STATES (sizeof(road) / sizeof(road[0]))

struct tally {
    size_t legal, left_out;
    bool whole; /* what is left out has a reason */
};

static void look(const char *role, unsigned char event, struct tally *tally, FILE *out)
{
    const char *why[STATES] = {NULL}, *states[STATES], *name;
    int state = vpc_session_start();
    unsigned actions;

    for (size_t s = 0; s < STATES; s++) {
        states[s] = road[s].name;
        if (s > 0)
            state = vpc_session_step(state, road[s].event, &actions, &name);
        if (vpc_session_step(state, event, &actions, &name) < 0)
            continue;
        tally->legal++;
        if (vpc_gen_session_has(strcmp(role, "host") == 0, states[s], event))
            continue;
        tally->left_out++;
        why[s] = reason_of(role, states[s], event);
        tally->whole &= why[s] != NULL;
    }
    tell(role, event, states, why, STATES, out);
}

bool vpc_gen_session_left_out(FILE *out, size_t *legal, size_t *left_out)
{
    struct tally tally = {.whole = true};

    for (unsigned char event = 1; event < VPC_SESSION_EVENTS; event++) {
        look("host", event, &tally, out);
        look("guest", event, &tally, out);
    }
    *legal = tally.legal;
    *left_out = tally.left_out;
    return tally.whole;
}
