/* SPDX-License-Identifier: MIT */
/*
 * Every event in every state of the three machines.
 *
 * What is expected comes from the grammar by another way (`ragel -x`, lifecycle_rules.h); what happens comes from the
 * compiled machines, stepped along a path to each state, with actions that are written down here instead of carried out.
 * A second, short list is written by hand from the document: it fails when the grammar itself is wrong.
 */
#include "internal.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

struct rule {
    const char *from;
    int event;
    const char *to;
    const char *actions; /* with a blank between them */
};

#include "lifecycle_rules.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MAX_STATES   8
#define MAX_PATH     8

/* ---- the actions ------------------------------------------------------------------------------------------------ */

/* The actions get the object that is stepped and nothing else: the notes lie right behind it. */
struct stepped_session {
    vpc_session session;
    char notes[128];
};

struct stepped_channel {
    struct channel channel;
    char notes[128];
};

static void note(char *notes, const char *action)
{
    if (notes[0] != '\0')
        strcat(notes, " ");
    strcat(notes, action);
}

/* A channel's setter, without the pair around it. */
void vpc_channel_enter(struct channel *channel, enum vpc_channel_state state)
{
    channel->state = state;
}

#define SESSION_ACTION(name)                                                                       \
    void vpc_action_##name(vpc_session *session)                                                   \
    {                                                                                              \
        note(((struct stepped_session *)(void *)session)->notes, #name);                           \
    }
#define CHANNEL_ACTION(name)                                                                       \
    void vpc_action_##name(struct channel *channel)                                                \
    {                                                                                              \
        note(((struct stepped_channel *)(void *)channel)->notes, #name);                           \
    }

SESSION_ACTION(start_attempt)
SESSION_ACTION(send_hello)
SESSION_ACTION(begin_session)
SESSION_ACTION(report_mismatch)
SESSION_ACTION(report_late)
SESSION_ACTION(now_ready)
SESSION_ACTION(now_not_ready)
SESSION_ACTION(announce_ready)
SESSION_ACTION(say_goodbye)
SESSION_ACTION(end_session)
CHANNEL_ACTION(abort)
CHANNEL_ACTION(answer_released)

/* ---- the three machines behind one face ---------------------------------------------------------------------------- */

struct machine {
    const char *name;
    const struct rule *rules;
    size_t rule_count;
    const char *start;
    void (*begin)(void);
    bool (*step)(int event);
    const char *(*state)(void);
    char *(*notes)(void);
};

static struct stepped_session the_session;
static struct stepped_channel the_channel;

static const char *const session_states[] = {"down",  "hunting",     "mismatched", "up",
                                             "ready", "backing_off", "stopped"};
static const char *const channel_states[] = {"idle",     "opening",  "open",    "closing",
                                             "draining", "aborting", "released"};

static void begin_session_machine(void)
{
    memset(&the_session, 0, sizeof(the_session));
    vpc_lifecycle_start_session(&the_session.session);
}

static bool step_session_machine(int event)
{
    the_session.notes[0] = '\0';
    return vpc_lifecycle_session(&the_session.session, (enum vpc_lifecycle_event)event);
}

static const char *session_machine_state(void)
{
    return session_states[the_session.session.state];
}

static char *session_machine_notes(void)
{
    return the_session.notes;
}

static void begin_channel_machine(bool sending)
{
    memset(&the_channel, 0, sizeof(the_channel));
    the_channel.channel.sending = sending;
    vpc_lifecycle_start_channel(&the_channel.channel);
}

static void begin_sending_machine(void)
{
    begin_channel_machine(true);
}

static void begin_receiving_machine(void)
{
    begin_channel_machine(false);
}

static bool step_channel_machine(int event)
{
    the_channel.notes[0] = '\0';
    return vpc_lifecycle_channel(&the_channel.channel, (enum vpc_lifecycle_event)event);
}

static const char *channel_machine_state(void)
{
    return channel_states[the_channel.channel.state];
}

static char *channel_machine_notes(void)
{
    return the_channel.notes;
}

enum { SESSION, SENDING, RECEIVING };

static const struct machine machines[] = {
    [SESSION] = {"vpc_session", vpc_session_rules, COUNT(vpc_session_rules), vpc_session_start,
                 begin_session_machine, step_session_machine, session_machine_state,
                 session_machine_notes},
    [SENDING] = {"vpc_sending_channel", vpc_sending_channel_rules, COUNT(vpc_sending_channel_rules),
                 vpc_sending_channel_start, begin_sending_machine, step_channel_machine,
                 channel_machine_state, channel_machine_notes},
    [RECEIVING] = {"vpc_receiving_channel", vpc_receiving_channel_rules,
                   COUNT(vpc_receiving_channel_rules), vpc_receiving_channel_start,
                   begin_receiving_machine, step_channel_machine, channel_machine_state,
                   channel_machine_notes},
};

static const struct rule *find_rule(const struct machine *m, const char *from, int event)
{
    for (size_t i = 0; i < m->rule_count; i++)
        if (m->rules[i].event == event && strcmp(m->rules[i].from, from) == 0)
            return &m->rules[i];
    return NULL;
}

/* ---- the paths ------------------------------------------------------------------------------------------------------- */

struct path {
    const char *state;
    int events[MAX_PATH];
    unsigned length;
};

/* A shortest path of events to every state that the rules can reach; returns how many there are. */
static unsigned find_paths(const struct machine *m, struct path *paths)
{
    unsigned count = 1;

    paths[0] = (struct path){.state = m->start};
    for (unsigned at = 0; at < count; at++)
        for (size_t i = 0; i < m->rule_count; i++) {
            const struct rule *rule = &m->rules[i];
            unsigned known = 0;

            if (strcmp(rule->from, paths[at].state) != 0)
                continue;
            while (known < count && strcmp(paths[known].state, rule->to) != 0)
                known++;
            if (known < count)
                continue;
            cr_assert(count < MAX_STATES && paths[at].length < MAX_PATH);
            paths[count] = paths[at];
            paths[count].state = rule->to;
            paths[count].events[paths[count].length++] = rule->event;
            count++;
        }
    return count;
}

static void walk(const struct machine *m, const struct path *path)
{
    m->begin();
    for (unsigned i = 0; i < path->length; i++)
        cr_assert(m->step(path->events[i]), "%s: event %d on the way to %s", m->name,
                  path->events[i], path->state);
    cr_assert_str_eq(m->state(), path->state, "%s", m->name);
}

static void check_step(const struct machine *m, const struct path *path, int event)
{
    const struct rule *rule = find_rule(m, path->state, event);
    bool legal;

    walk(m, path);
    legal = m->step(event);
    cr_expect_eq(legal, rule != NULL, "%s: event %d in %s is %s", m->name, event, path->state,
                 legal ? "legal" : "illegal");
    cr_expect_str_eq(m->state(), rule != NULL ? rule->to : path->state, "%s: event %d in %s",
                     m->name, event, path->state);
    cr_expect_str_eq(m->notes(), rule != NULL ? rule->actions : "", "%s: event %d in %s", m->name,
                     event, path->state);
}

static void check_machine(const struct machine *m, unsigned states)
{
    struct path paths[MAX_STATES];
    unsigned count = find_paths(m, paths);

    cr_assert_eq(count, states, "%s: %u states", m->name, count);
    for (unsigned i = 0; i < count; i++)
        for (int event = 0; event <= 255; event++)
            check_step(m, &paths[i], event);
}

Test(lifecycle, every_event_in_every_state_of_a_session, .timeout = 20)
{
    check_machine(&machines[SESSION], 7);
}

Test(lifecycle, every_event_in_every_state_of_a_sending_end, .timeout = 20)
{
    check_machine(&machines[SENDING], 6);
}

Test(lifecycle, every_event_in_every_state_of_a_receiving_end, .timeout = 20)
{
    check_machine(&machines[RECEIVING], 6);
}

/* An illegal event leaves the machine where it was: it goes on from there. */
Test(lifecycle, an_illegal_event_changes_nothing, .timeout = 20)
{
    for (size_t i = 0; i < COUNT(machines); i++) {
        struct path paths[MAX_STATES];
        unsigned count = find_paths(&machines[i], paths);

        for (unsigned s = 0; s < count; s++)
            for (size_t r = 0; r < machines[i].rule_count; r++) {
                const struct rule *rule = &machines[i].rules[r];

                if (strcmp(rule->from, paths[s].state) != 0 || strcmp(rule->from, "stopped") == 0)
                    continue;
                walk(&machines[i], &paths[s]);
                cr_expect(!machines[i].step(255));
                cr_expect(machines[i].step(rule->event));
                cr_expect_str_eq(machines[i].state(), rule->to);
            }
    }
}

/* ---- what the document says, by hand ------------------------------------------------------------------------------------ */

struct saying {
    const char *requirement;
    int machine;
    const char *from;
    int event;
    const char *to; /* NULL: illegal */
    const char *actions;
};

static const struct saying sayings[] = {
    {"SES-1", SESSION, "down", VPC_LC_TRANSPORT_UP, "hunting", "start_attempt"},
    {"SES-3", SESSION, "hunting", VPC_LC_RETRY, "hunting", "send_hello"},
    {"SES-3", SESSION, "hunting", VPC_LC_HELLO_STRANGER, "hunting", "send_hello"},
    {"SES-4", SESSION, "hunting", VPC_LC_HELLO_ECHO, "up", "begin_session"},
    {"SES-4", SESSION, "backing_off", VPC_LC_HELLO_ECHO, "backing_off", ""},
    {"SES-6", SESSION, "hunting", VPC_LC_HELLO_MISMATCH, "mismatched", "report_mismatch"},
    {"SES-6", SESSION, "mismatched", VPC_LC_HELLO_ECHO, "up", "begin_session"},
    {"SES-6", SESSION, "mismatched", VPC_LC_RETRY, "mismatched", "send_hello"},
    {"SES-7", SESSION, "up", VPC_LC_HELLO_ECHO, "up", ""},
    {"SES-7", SESSION, "ready", VPC_LC_HELLO_ECHO, "ready", ""},
    {"SES-7", SESSION, "ready", VPC_LC_HELLO_DEAF, "ready", "send_hello"},
    {"SES-8", SESSION, "up", VPC_LC_HELLO_STRANGER, "backing_off", "end_session"},
    {"SES-8", SESSION, "ready", VPC_LC_HELLO_STRANGER, "backing_off", "end_session"},
    {"SES-9", SESSION, "up", VPC_LC_FRAMING_LOST, "backing_off", "end_session"},
    {"SES-9", SESSION, "ready", VPC_LC_FRAMING_LOST, "backing_off", "end_session"},
    {"SES-9", SESSION, "backing_off", VPC_LC_RETRY, "hunting", "start_attempt"},
    {"SES-14", SESSION, "up", VPC_LC_VIOLATION, "backing_off", "say_goodbye end_session"},
    {"SES-14", SESSION, "ready", VPC_LC_VIOLATION, "backing_off", "say_goodbye end_session"},
    {"SES-15", SESSION, "ready", VPC_LC_HEARTBEAT_LATE, "up", "report_late now_not_ready"},
    {"SES-15", SESSION, "up", VPC_LC_HEARTBEAT_RESUMED, "ready", "now_ready"},
    {"SES-16", SESSION, "up", VPC_LC_PEER_SILENT, "backing_off", "end_session"},
    {"SES-16", SESSION, "ready", VPC_LC_PEER_SILENT, "backing_off", "end_session"},
    {"SES-17", SESSION, "up", VPC_LC_RCV_GOODBYE, "backing_off", "end_session"},
    {"SES-17", SESSION, "ready", VPC_LC_RCV_GOODBYE, "backing_off", "end_session"},
    {"SES-17", SESSION, "ready", VPC_LC_LOCAL_STOP, "stopped", "say_goodbye end_session"},
    {"SES-17", SESSION, "hunting", VPC_LC_LOCAL_STOP, "stopped", ""},
    {"SES-17", SESSION, "stopped", VPC_LC_TRANSPORT_UP, "stopped", ""},
    {"TRN-3", SESSION, "ready", VPC_LC_TRANSPORT_DOWN, "down", "end_session"},
    {"RDY-1", SESSION, "up", VPC_LC_RCV_READY, "ready", "now_ready"},
    {"RDY-1", SESSION, "ready", VPC_LC_RCV_NOT_READY, "up", "now_not_ready"},
    {"FRM-10", SESSION, "hunting", VPC_LC_RCV_CHANNEL, NULL, ""},
    {"FRM-10", SESSION, "hunting", VPC_LC_RCV_READY, NULL, ""},

    {"CHN-4", SENDING, "opening", VPC_LC_RCV_OPENED, "open", ""},
    {"CHN-4", SENDING, "opening", VPC_LC_RCV_REFUSED, "released", ""},
    {"CHN-4", SENDING, "opening", VPC_LC_SND_DATA, NULL, ""},
    {"CHN-4", RECEIVING, "opening", VPC_LC_RCV_DATA, NULL, ""},
    {"CHN-3", SENDING, "open", VPC_LC_RCV_DATA, NULL, ""},
    {"CHN-3", SENDING, "open", VPC_LC_RCV_FIN, NULL, ""},
    {"CHN-3", RECEIVING, "open", VPC_LC_RCV_CREDIT, NULL, ""},
    {"CHN-2", RECEIVING, "released", VPC_LC_RCV_DATA, NULL, ""},
    {"CHN-2", SENDING, "released", VPC_LC_RCV_CREDIT, NULL, ""},
    {"CHN-2", SENDING, "released", VPC_LC_RCV_RESET, "released", ""},
    {"CHN-2", RECEIVING, "released", VPC_LC_RCV_OPENED, "released",
     ""}, /* it is the other channel's answer */
    {"CHN-2", SENDING, "released", VPC_LC_RCV_OPENED, NULL, ""},
    {"CLS-1", SENDING, "open", VPC_LC_SND_FIN, "closing", ""},
    {"CLS-1", SENDING, "closing", VPC_LC_SND_DATA, NULL, ""},
    {"CLS-1", RECEIVING, "draining", VPC_LC_RCV_DATA, NULL, ""},
    {"CLS-1", RECEIVING, "draining", VPC_LC_RCV_FIN, NULL, ""},
    {"CLS-3", RECEIVING, "open", VPC_LC_RCV_FIN, "draining", ""},
    {"CLS-3", RECEIVING, "draining", VPC_LC_SND_RELEASED, "released", "answer_released"},
    {"CLS-3", SENDING, "closing", VPC_LC_RCV_RELEASED, "released", ""},
    {"CLS-3", SENDING, "open", VPC_LC_RCV_RELEASED, NULL, ""},
    {"CLS-4", SENDING, "open", VPC_LC_RCV_RESET, "released", "answer_released"},
    {"CLS-4", RECEIVING, "draining", VPC_LC_RCV_RESET, "released", "answer_released"},
    {"CLS-4", RECEIVING, "open", VPC_LC_SND_RESET, "aborting", "abort"},
    {"CLS-4", RECEIVING, "aborting", VPC_LC_RCV_DATA, "aborting", ""},
    {"CLS-4", RECEIVING, "aborting", VPC_LC_RCV_FIN, "aborting", ""},
    {"CLS-4", SENDING, "aborting", VPC_LC_RCV_CREDIT, "aborting", ""},
    {"CLS-4", SENDING, "aborting", VPC_LC_RCV_RELEASED, "released", ""},
    {"CLS-4", SENDING, "aborting", VPC_LC_RCV_RESET, "aborting", "answer_released"},
    {"FLW-4", RECEIVING, "open", VPC_LC_BAD_GUARD, "aborting", "abort"},
    {"FLW-4", SENDING, "open", VPC_LC_BAD_GUARD, "aborting", "abort"},
    {"SES-11", SENDING, "opening", VPC_LC_SESSION_LOST, "released", ""},
    {"SES-11", SENDING, "open", VPC_LC_SESSION_LOST, "released", ""},
    {"SES-11", SENDING, "closing", VPC_LC_SESSION_LOST, "released", ""},
    {"SES-11", SENDING, "aborting", VPC_LC_SESSION_LOST, "released", ""},
    {"SES-11", RECEIVING, "draining", VPC_LC_SESSION_LOST, "released", ""},
};

Test(lifecycle, the_rules_of_the_document, .timeout = 20)
{
    for (size_t i = 0; i < COUNT(sayings); i++) {
        const struct saying *s = &sayings[i];
        const struct machine *m = &machines[s->machine];
        struct path paths[MAX_STATES];
        unsigned count = find_paths(m, paths), at = 0;
        bool legal;

        while (at < count && strcmp(paths[at].state, s->from) != 0)
            at++;
        cr_assert(at < count, "%s: %s has no state %s", s->requirement, m->name, s->from);
        walk(m, &paths[at]);
        legal = m->step(s->event);
        cr_expect_eq(legal, s->to != NULL, "%s: event %d in %s", s->requirement, s->event, s->from);
        cr_expect_str_eq(m->state(), s->to != NULL ? s->to : s->from, "%s: event %d in %s",
                         s->requirement, s->event, s->from);
        cr_expect_str_eq(m->notes(), s->actions, "%s: event %d in %s", s->requirement, s->event,
                         s->from);
    }
}
