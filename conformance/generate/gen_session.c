/* SPDX-License-Identifier: MIT */
/*
 * The session machine: each event that a peer, the transport, the time or a stop can cause, in each state.
 *
 * A scenario walks a road to the state, causes the event, and asks for what the machine's actions look like from outside.
 * Which have no scenario is told in gen_left_out.c; sealed frames without a session are in gen_frames.c, since to the machine
 * they are no events at all.
 */
#include <stdlib.h>
#include <string.h>

#include "generate/generate.h"
#include "memory.h"

struct road {
    const char *state; /* where it leads, in lifecycle.rl */
    unsigned char path[8];
    const char *words;
    const char *lines[2]; /* host, guest; NULL: it can not be reached from outside */
    bool late;            /* the heartbeats are late there */
};

#define HUNTING "bus   up\nbus   < hello epoch=$e\n"

static const struct road roads[] = {
    {"down", {0}, "without a transport", {"", ""}, false},
    {"hunting", {VPC_TRANSPORT_UP}, "before a session", {HUNTING, HUNTING}, false},
    {"mismatched",
     {VPC_TRANSPORT_UP, VPC_HELLO_MISMATCH},
     "after a HELLO without a version in common",
     {HUNTING "bus   > hello echo=$e version_min=512 version_max=515\nlog   < 1012\n",
      HUNTING "bus   > hello echo=$e version_min=512 version_max=515\nlog   < 1012\n"},
     false},
    {"up",
     {VPC_TRANSPORT_UP, VPC_HELLO_ECHO},
     "in a session that is not ready",
     {"session not-ready\n", NULL},
     false},
    {"ready",
     {VPC_TRANSPORT_UP, VPC_HELLO_ECHO, VPC_RCV_READY},
     "when it is ready",
     {"session\n", "session\n"},
     false},
    {"up",
     {VPC_TRANSPORT_UP, VPC_HELLO_ECHO, VPC_RCV_READY, VPC_HEARTBEAT_LATE},
     "when the peer is late",
     {"auto  off heartbeat\nsession\nlog   < 1015 within heartbeat_late+1s\n",
      "auto  off heartbeat\nsession\nlog   < 1015 within heartbeat_late+1s\n"},
     true},
    {"backing_off",
     {VPC_TRANSPORT_UP, VPC_HELLO_ECHO, VPC_RCV_GOODBYE},
     "while it waits after short sessions",
     {"repeat 3\nsession\nbus   > goodbye\nlog   < 1011 cause=goodbye\nend\n",
      "repeat 3\nsession\nbus   > goodbye\nlog   < 1011 cause=goodbye\nend\n"},
     false},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum where { NOWHERE, NO_SESSION = 1, IN_SESSION = 2, LATE = 4 };

struct cause {
    enum conform_session_event event;
    /* in which kinds of states a peer, the transport, the time or a stop can cause it */
    unsigned where;
    int role; /* 0: both; else of the subject */
    const char *name;
    const char *words;
    const char *line;   /* what causes it */
    const char *reason; /* of the SESSION_LOST that may follow */
    const char *covers;
};

static const struct cause causes[] = {
    {VPC_TRANSPORT_DOWN, NO_SESSION | IN_SESSION | LATE, 0, "transport-down", "The transport ends",
     "bus   down\n", "transport down", "SES-11 TRN-3 LOG-3"},
    {VPC_HELLO_STRANGER, NO_SESSION, 0, "hello-stranger", "A HELLO without an echo",
     "bus   > hello echo=0\n", NULL, "SES-3 SES-4"},
    {VPC_HELLO_STRANGER, IN_SESSION | LATE, 0, "hello-stranger", "A HELLO of another epoch",
     "bus   > hello epoch=fresh echo=0\n", "peer restarted", "SES-8"},
    {VPC_HELLO_STRANGER, LATE, 0, "hello-late", "A HELLO of the session's epoch", "bus   > hello\n",
     "peer restarted", "SES-7 SES-8"},
    {VPC_HELLO_DEAF, IN_SESSION, 0, "hello-deaf", "A HELLO of the peer that has not heard it yet",
     "bus   > hello echo=0\n", NULL, "SES-7"},
    {VPC_HELLO_ECHO, NO_SESSION, 0, "hello-echo", "A HELLO with the right echo",
     "bus   > hello echo=$e\n", NULL, "SES-4"},
    {VPC_HELLO_ECHO, IN_SESSION, 0, "hello-echo", "A HELLO that is only repeated",
     "bus   > hello\n", NULL, "SES-7"},
    {VPC_HELLO_MISMATCH, NO_SESSION, 0, "hello-mismatch", "A HELLO without a version in common",
     "bus   > hello echo=$e version_min=512 version_max=515\n", NULL, "SES-6"},
    {VPC_HELLO_MISMATCH, IN_SESSION, 0, "hello-mismatch",
     "A HELLO of the session's epochs without a version in common",
     "bus   > hello version_min=512 version_max=515\n", "peer restarted", "SES-7 SES-8"},
    {VPC_HELLO_STRANGER, IN_SESSION, 0, "hello-new-mismatch",
     "A HELLO of another epoch without a version in common",
     "bus   > hello epoch=fresh version_min=512 version_max=515\n", "peer restarted", "SES-8"},
    {VPC_FRAMING_LOST, NO_SESSION | IN_SESSION | LATE, 0, "framing-lost",
     "Octets that are no frame", "bus   > raw 00 \"no frame\"\n", "framing lost",
     "FRM-9 FRM-10 SES-9"},
    {VPC_VIOLATION, IN_SESSION, 0, "violation", "A sealed frame that is illegal",
     "bus   > data channel=99 offset=0 text=\"x\"\n", "protocol violation", "SES-14 CHN-2"},
    {VPC_PEER_SILENT, IN_SESSION, 0, "peer-silent", "Silence", "auto  off heartbeat\n",
     "peer silent", "SES-16"},
    {VPC_RCV_READY, IN_SESSION, VPC_FROM_HOST, "ready", "A READY with 1", "bus   > ready ready=1\n",
     NULL, "SES-12 RDY-1"},
    {VPC_RCV_NOT_READY, IN_SESSION, VPC_FROM_HOST, "not-ready", "A READY with 0",
     "bus   > ready ready=0\n", NULL, "SES-12 RDY-1"},
    {VPC_RCV_HEARTBEAT, IN_SESSION, 0, "heartbeat", "A HEARTBEAT", "bus   > heartbeat\n", NULL,
     "SES-13"},
    {VPC_HEARTBEAT_RESUMED, LATE, 0, "heartbeat-resumed", "A HEARTBEAT", "bus   > heartbeat\n",
     NULL, "SES-15"},
    {VPC_RCV_EVENT, IN_SESSION, VPC_FROM_HOST, "event", "An EVENT",
     "bus   > event event=1022 level=1 errno=111\nlog   < 1022 source=guest errno=111\n", NULL,
     "LOG-7"},
    {VPC_RCV_GOODBYE, IN_SESSION, 0, "goodbye", "A GOODBYE", "bus   > goodbye\n", "goodbye",
     "SES-17"},
    {VPC_HEARTBEAT_LATE, IN_SESSION, 0, "heartbeat-late", "A late heartbeat",
     "auto  off heartbeat\n", NULL, "SES-15"},
    {VPC_LOCAL_STOP, NO_SESSION | IN_SESSION | LATE, 0, "stop", "A stop", "stop  subject\n",
     "stopped", "SES-17"},
};

static unsigned kind_of(const struct road *road)
{
    if (road->late)
        return LATE;
    return strcmp(road->state, "up") == 0 || strcmp(road->state, "ready") == 0 ? IN_SESSION
                                                                               : NO_SESSION;
}

static int walk(const struct road *road)
{
    int state = vpc_session_start();
    unsigned actions;
    const char *name;

    for (size_t i = 0; i < sizeof(road->path) && road->path[i]; i++)
        state = vpc_session_step(state, road->path[i], &actions, &name);
    return state;
}

static bool is(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

/* What each action looks like from outside, in the order in which it can be asked for. */
static void expect_actions(struct vpc_generator *generator, const struct cause *cause,
                           unsigned actions, const char *next)
{
    if (actions & VPC_DOES_SAY_GOODBYE)
        vpc_gen(generator, "bus   < goodbye cause=%d\n", cause->event == VPC_VIOLATION);
    if (actions & VPC_DOES_END_SESSION && cause->reason)
        vpc_gen(generator, "log   < 1011 cause=\"%s\" within peer_limit+1s\n", cause->reason);
    if (actions & VPC_DOES_REPORT_MISMATCH)
        vpc_gen(generator, "log   < 1012 level=error\n");
    if (actions & VPC_DOES_SEND_HELLO && cause->event == VPC_HELLO_DEAF)
        vpc_gen(generator, "bus   < hello repeated echo=$tester_epoch\n");
    else if (actions & VPC_DOES_SEND_HELLO)
        vpc_gen(generator, "bus   < hello epoch=$e echo!=0\n");
    if (actions & VPC_DOES_BEGIN_SESSION)
        vpc_gen(generator, "log   < 1010\n");
    if (actions & VPC_DOES_REPORT_LATE)
        vpc_gen(generator, "log   < 1015 within heartbeat_late+1s\n");
    if (cause->event == VPC_HEARTBEAT_RESUMED)
        vpc_gen(generator, "log   < 1016\n");
    if (actions & VPC_DOES_NOW_NOT_READY && generator->host)
        vpc_gen(generator, "log   < 1006\n");
    if (actions & VPC_DOES_NOW_READY && generator->host)
        vpc_gen(generator, "log   < 1005\n");
    if (cause->event == VPC_TRANSPORT_DOWN)
        vpc_gen(generator, "log   < 1003\n");
    if (actions & VPC_DOES_END_SESSION && is(next, "backing_off"))
        vpc_gen(generator, "bus   < hello epoch!=$subject_epoch\n");
}

static const char *level_of(const char *state)
{
    return is(state, "down") ? "down" : is(state, "up") ? "components" : "ready";
}

/* That the subject is in the state where it should be, as far as that shows. */
static void expect_state(struct vpc_generator *generator, const struct road *road,
                         const struct cause *cause, unsigned actions, const char *next)
{
    bool same = is(road->state, next) && !(actions & VPC_DOES_END_SESSION);

    if (is(next, "stopped")) {
        vpc_gen(generator, "stopped subject\nlog   < 1001\n");
        return;
    }
    if (is(next, "down") && is(road->state, "down"))
        return;
    if (same && kind_of(road) == IN_SESSION && cause->event != VPC_HELLO_DEAF &&
        cause->event != VPC_HEARTBEAT_LATE) /* it is answered: all before was read */
        vpc_gen(generator, "bus   > hello echo=0\nbus   < hello repeated by SES-7\n");
    if (same)
        vpc_gen(generator, "log   none 1011\nlog   none 1013\n");
    if (is(next, "hunting") || is(next, "mismatched") || is(next, "backing_off")) {
        vpc_gen(generator, "session\nlog   < 1010\n");
        return;
    }
    if (generator->host || is(next, "down"))
        vpc_gen(generator, "api   > query-vm\napi   < return level=%s\n", level_of(next));
    if (is(next, "down"))
        vpc_gen(generator, "session\n");
}

static const char *options_of(const struct road *road, const struct cause *cause)
{
    if (cause->event == VPC_PEER_SILENT)
        return "option heartbeat_late_ms=500 peer_limit_ms=1500\n";
    if (road->late || cause->event == VPC_HEARTBEAT_LATE)
        return "option heartbeat_late_ms=300\n";
    return "";
}

static void write_one(struct vpc_generator *generator, const struct road *road,
                      const struct cause *cause, unsigned actions, const char *next)
{
    bool host = generator->host;
    char *name = vpc_format("session-%s%s-%s", road->state, road->late ? "-late" : "", cause->name);
    char *title = vpc_format("%s %s: the endpoint is then %s.", cause->words, road->words,
                             is(next, "backing_off") ? "about to start again" : next);

    if (vpc_gen_begin(generator, host, "lifecycle", name, title, cause->covers)) {
        const char *line = cause->line;

        vpc_gen(generator, "%s\n# lifecycle.rl: vpc_session %s, %s\n%s", options_of(road, cause),
                road->state, cause->name, road->lines[!host]);
        if (is(road->state, "backing_off") && strstr(line, "$e")) {
            const char *at = strstr(line, "$e");

            vpc_gen(generator, "%.*s$subject_epoch%s", (int)(at - line), line, at + 2);
        } else {
            vpc_gen(generator, "%s", line);
        }
        expect_actions(generator, cause, actions, next);
        expect_state(generator, road, cause, actions, next);
        vpc_gen_end(generator);
    }
    free(name);
    free(title);
}

/* Whether the cause makes a scenario at the end of this road, and what the machine then does. */
static bool leads_on(const struct road *road, const struct cause *cause, bool host,
                     unsigned *actions, const char **next)
{
    if (road->lines[!host] == NULL || !(cause->where & kind_of(road)) ||
        (cause->role && (cause->role == VPC_FROM_HOST) != host) ||
        (is(road->state, "down") && cause->event != VPC_LOCAL_STOP))
        return false;
    return vpc_session_step(walk(road), (unsigned char)cause->event, actions, next) >= 0;
}

void vpc_gen_session(struct vpc_generator *generator)
{
    for (size_t r = 0; r < 2 * COUNT(roads); r++) {
        const struct road *road = &roads[r / 2];

        generator->host = r % 2 == 0;
        for (size_t c = 0; c < COUNT(causes); c++) {
            const char *next;
            unsigned actions;

            if (leads_on(road, &causes[c], generator->host, &actions, &next))
                write_one(generator, road, &causes[c], actions, next);
        }
    }
}

bool vpc_gen_session_has(bool host, const char *state, unsigned char event)
{
    bool has = false;

    for (size_t r = 0; r < COUNT(roads); r++) {
        for (size_t c = 0; c < COUNT(causes); c++) {
            const char *next;
            unsigned actions;

            has |= is(roads[r].state, state) && causes[c].event == event &&
                   leads_on(&roads[r], &causes[c], host, &actions, &next);
        }
    }
    return has;
}
