/* SPDX-License-Identifier: MIT */
/*
 * The machines of local.rl against the grammar: each event in each state of each machine, along a path of events to that
 * state, with actions that are written down here instead of carried out; and what the document says, as lists of events.
 */
#include "relay_machines.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(local, .timeout = 20);

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MAX_STATES   8
#define MAX_PATH     8

struct rule {
    const char *from;
    int event;
    const char *to;
    const char *actions; /* with a blank between them */
};

#include "local_rules.h" /* by ragel itself, not by the code under test */

/* ---- the actions ------------------------------------------------------------------------------ */

enum { OPENING, WRITING, DELIVERY, MACHINES };

static char notes[MACHINES][128];

static void note(int machine, const char *action)
{
    if (notes[machine][0] != '\0')
        strcat(notes[machine], " ");
    strcat(notes[machine], action);
}

#define ACTION(machine, name)                                                                      \
    void vpc_do_##name(vpc_endpoint *ep, struct vpc_relay *relay)                                  \
    {                                                                                              \
        (void)ep;                                                                                  \
        (void)relay;                                                                               \
        note(machine, #name);                                                                      \
    }

ACTION(OPENING, tell_opened)
ACTION(OPENING, tell_closed)
ACTION(OPENING, answer_success)
ACTION(WRITING, finish)
ACTION(DELIVERY, tell_connected)
ACTION(DELIVERY, discard)
ACTION(DELIVERY, release_end)
ACTION(DELIVERY, stop_reading)
ACTION(DELIVERY, reset_pair)

void vpc_do_answer_failure(vpc_endpoint *ep, struct vpc_relay *relay,
                           const struct vpc_start_failure *why)
{
    (void)ep;
    (void)relay;
    (void)why;
    note(OPENING, "answer_failure");
}

void vpc_do_say(vpc_endpoint *ep, struct vpc_relay *relay, enum vpc_action_kind kind)
{
    static const char *const words[] = {
        [VPC_ACTION_HANGUP] = "say_hangup",     [VPC_ACTION_SHUTDOWN] = "say_shutdown",
        [VPC_ACTION_CLOSE] = "say_close",       [VPC_ACTION_ABORT] = "say_abort",
        [VPC_ACTION_UNLISTEN] = "say_unlisten",
    };

    (void)ep;
    (void)relay;
    note(kind == VPC_ACTION_HANGUP ? WRITING : DELIVERY, words[kind]);
}

/* ---- the three machines behind one face -------------------------------------------------------- */

static const char *const opening_states[] = {"idle", "making", "asking", "connecting",
                                             "open", "failed", "over"};
static const char *const writing_states[] = {"silent", "writing", "last", "finished", "given_up"};
static const char *const delivery_states[] = {"nobody",   "delivering", "shut",
                                              "declined", "discarding", "given_up"};

static const struct machine {
    const char *name;
    const struct rule *rules;
    size_t rule_count;
    const char *const *states;
    unsigned state_count;
    size_t at; /* in struct vpc_relay */
} machines[MACHINES] = {
    [OPENING] = {"opening", vpc_local_opening_rules, COUNT(vpc_local_opening_rules), opening_states,
                 COUNT(opening_states), offsetof(struct vpc_relay, opening)},
    [WRITING] = {"writing", vpc_local_writing_rules, COUNT(vpc_local_writing_rules), writing_states,
                 COUNT(writing_states), offsetof(struct vpc_relay, writing)},
    [DELIVERY] = {"delivery", vpc_local_delivery_rules, COUNT(vpc_local_delivery_rules),
                  delivery_states, COUNT(delivery_states), offsetof(struct vpc_relay, delivery)},
};

static struct vpc_relay relay;

static const struct vpc_machine *machine_of(int m)
{
    return (const struct vpc_machine *)(const void *)((const char *)&relay + machines[m].at);
}

static const char *state_of(int m)
{
    return machines[m].states[machine_of(m)->state];
}

static void begin(void)
{
    memset(&relay, 0, sizeof(relay));
    vpc_machines_start(&relay);
}

static void step(int event)
{
    memset(notes, 0, sizeof(notes));
    vpc_machines_step(NULL, &relay, (enum vpc_local_event)event, NULL);
}

/* ---- each event in each state ------------------------------------------------------------------- */

static const struct rule *find_rule(int m, const char *from, int event)
{
    for (size_t i = 0; i < machines[m].rule_count; i++)
        if (machines[m].rules[i].event == event && strcmp(machines[m].rules[i].from, from) == 0)
            return &machines[m].rules[i];
    return NULL;
}

struct path {
    const char *state;
    int events[MAX_PATH];
    unsigned length;
};

static bool known(const struct path *paths, unsigned count, const char *state)
{
    while (count > 0)
        if (strcmp(paths[--count].state, state) == 0)
            return true;
    return false;
}

/* A shortest path of events to every state of the machine; returns how many there are. */
static unsigned find_paths(int m, struct path *paths)
{
    unsigned count = 1;

    paths[0] = (struct path){.state = machines[m].states[0]};
    for (unsigned at = 0; at < count; at++)
        for (size_t i = 0; i < machines[m].rule_count; i++) {
            const struct rule *rule = &machines[m].rules[i];

            if (strcmp(rule->from, paths[at].state) != 0 || known(paths, count, rule->to))
                continue;
            cr_assert(count < MAX_STATES && paths[at].length < MAX_PATH);
            paths[count] = paths[at];
            paths[count].state = rule->to;
            paths[count].events[paths[count].length++] = rule->event;
            count++;
        }
    return count;
}

static void check_step(int m, const struct path *path, int event)
{
    const struct rule *rule = find_rule(m, path->state, event);

    begin();
    for (unsigned i = 0; i < path->length; i++)
        step(path->events[i]);
    cr_assert_str_eq(state_of(m), path->state, "%s", machines[m].name);
    step(event);
    cr_expect_str_eq(state_of(m), rule != NULL ? rule->to : path->state, "%s: event %d in %s",
                     machines[m].name, event, path->state);
    cr_expect_str_eq(notes[m], rule != NULL ? rule->actions : "", "%s: event %d in %s",
                     machines[m].name, event, path->state);
    if (strcmp(state_of(m), path->state) != 0)
        cr_expect_str_eq(machines[m].states[machine_of(m)->before], path->state);
}

static void check_machine(int m)
{
    struct path paths[MAX_STATES];
    unsigned count = find_paths(m, paths);

    cr_assert_eq(count, machines[m].state_count, "%s: %u states", machines[m].name, count);
    for (unsigned i = 0; i < count; i++)
        for (int event = 0; event <= 255; event++)
            check_step(m, &paths[i], event);
}

Test(local, every_event_in_every_state_of_the_opening)
{
    check_machine(OPENING);
}

Test(local, every_event_in_every_state_of_the_writing)
{
    check_machine(WRITING);
}

Test(local, every_event_in_every_state_of_the_delivery)
{
    check_machine(DELIVERY);
}

/* ---- what the document says --------------------------------------------------------------------- */

#define HOST_OPEN  VPC_LOCAL_LISTEN, VPC_LOCAL_LISTENING, VPC_LOCAL_OPENED
#define GUEST_OPEN VPC_LOCAL_REQUEST, VPC_LOCAL_CONNECTED, VPC_LOCAL_OPENED

static const struct saying {
    const char *requirement;
    int events[10];
    const char *states;  /* of the three */
    const char *actions; /* of the last event, of the three */
} sayings[] = {
    {"API-9.1", {HOST_OPEN}, "open silent nobody", "tell_opened answer_success||"},
    {"API-9.2",
     {VPC_LOCAL_LISTEN, VPC_LOCAL_LISTENING, VPC_LOCAL_REFUSED},
     "failed given_up given_up",
     "answer_failure||say_unlisten"},
    {"API-9.3",
     {VPC_LOCAL_LISTEN, VPC_LOCAL_LISTENING, VPC_LOCAL_RESET},
     "failed given_up given_up",
     "answer_failure||say_abort reset_pair"},
    {"API-10",
     {VPC_LOCAL_LISTEN, VPC_LOCAL_LISTENING, VPC_LOCAL_LOST},
     "over given_up given_up",
     "answer_failure||say_abort"},
    {"API-16", {VPC_LOCAL_LISTEN, VPC_LOCAL_UNMADE}, "over given_up given_up", "answer_failure||"},
    {"CHN-8",
     {VPC_LOCAL_LISTEN, VPC_LOCAL_LISTENING, VPC_LOCAL_LIMIT},
     "failed given_up given_up",
     "answer_failure||say_abort reset_pair"},
    {"LOG-4: answered once",
     {VPC_LOCAL_LISTEN, VPC_LOCAL_LISTENING, VPC_LOCAL_LIMIT, VPC_LOCAL_REFUSED},
     "failed given_up given_up",
     "||"},
    {"API-12", {HOST_OPEN, VPC_LOCAL_CONNECTED}, "open writing delivering", "||tell_connected"},
    {"a client before OPENED",
     {VPC_LOCAL_LISTEN, VPC_LOCAL_LISTENING, VPC_LOCAL_CONNECTED, VPC_LOCAL_OPENED},
     "open writing delivering",
     "tell_opened answer_success||"},
    {"CHN-5: no connect",
     {VPC_LOCAL_REQUEST, VPC_LOCAL_UNCONNECTED},
     "failed given_up given_up",
     "||"},
    {"CLS-1", {GUEST_OPEN, VPC_LOCAL_NO_MORE}, "open finished delivering", "|finish|"},
    {"CLS-2, CLS-3",
     {GUEST_OPEN, VPC_LOCAL_END},
     "open writing shut",
     "||say_shutdown release_end"},
    {"CLS-5.1", {GUEST_OPEN, VPC_LOCAL_BROKEN}, "open given_up given_up", "||say_abort reset_pair"},
    {"CLS-5.2: not twice",
     {GUEST_OPEN, VPC_LOCAL_RESET, VPC_LOCAL_BROKEN},
     "open given_up given_up",
     "||"},
    {"CLS-6",
     {HOST_OPEN, VPC_LOCAL_CONNECTED, VPC_LOCAL_NO_MORE, VPC_LOCAL_GONE},
     "open finished discarding",
     "||discard"},
    {"CLS-6: its rest first",
     {HOST_OPEN, VPC_LOCAL_CONNECTED, VPC_LOCAL_GONE},
     "open writing discarding",
     "||discard"},
    {"CLS-6: then a reset",
     {HOST_OPEN, VPC_LOCAL_CONNECTED, VPC_LOCAL_NO_MORE, VPC_LOCAL_GONE, VPC_LOCAL_HEARD},
     "open finished discarding",
     "||stop_reading"},
    {"CLS-9", {GUEST_OPEN, VPC_LOCAL_RELEASED}, "over given_up given_up", "tell_closed||say_close"},
    {"CLS-9: given up before",
     {GUEST_OPEN, VPC_LOCAL_RESET, VPC_LOCAL_RELEASED},
     "over given_up given_up",
     "tell_closed||"},
    {"CLS-10", {HOST_OPEN, VPC_LOCAL_LIMIT}, "open given_up given_up", "||say_abort reset_pair"},
    {"CLS-11", {HOST_OPEN, VPC_LOCAL_LOST}, "over given_up given_up", "tell_closed||say_abort"},
    {"API-14",
     {HOST_OPEN, VPC_LOCAL_CONNECTED, VPC_LOCAL_HANG_UP},
     "open last discarding",
     "|say_hangup|discard"},
    {"API-14: without a client",
     {HOST_OPEN, VPC_LOCAL_HANG_UP},
     "open finished declined",
     "|finish|discard"},
    {"API-14: who comes too late",
     {HOST_OPEN, VPC_LOCAL_HANG_UP, VPC_LOCAL_CONNECTED},
     "open finished discarding",
     "||tell_connected"},
    {"SES-17",
     {HOST_OPEN, VPC_LOCAL_STOP, VPC_LOCAL_CONNECTED, VPC_LOCAL_END},
     "open finished shut",
     "||say_shutdown release_end"},
};

Test(local, sayings)
{
    for (size_t i = 0; i < COUNT(sayings); i++) {
        const struct saying *s = &sayings[i];
        char states[100], actions[400];

        begin();
        for (size_t e = 0; e < COUNT(s->events) && s->events[e] != 0; e++)
            step(s->events[e]);
        snprintf(states, sizeof(states), "%s %s %s", state_of(OPENING), state_of(WRITING),
                 state_of(DELIVERY));
        snprintf(actions, sizeof(actions), "%s|%s|%s", notes[OPENING], notes[WRITING],
                 notes[DELIVERY]);
        cr_expect_str_eq(states, s->states, "%s", s->requirement);
        cr_expect_str_eq(actions, s->actions, "%s", s->requirement);
    }
}
