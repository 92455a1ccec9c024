/* SPDX-License-Identifier: MIT */
/*
 * The machines of a local stream: every event in every state that they can be in together.
 *
 * What is expected comes from the grammar by another way (`ragel -x`, stream_rules.h); what happens comes from the compiled
 * machines, with actions that are written down here instead of carried out.  A second list is written by hand from what the
 * kernel and the ABI say: it fails when the grammar itself is wrong.
 */
#include "stream_machines.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

struct rule {
    const char *from;
    int event;
    const char *to;
    const char *actions; /* with a blank between them */
};

#include "stream_rules.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

TestSuite(stream_machines, .timeout = 20);

/* ---- the actions ------------------------------------------------------------------------------- */

static char notes[256];
static unsigned changes;

static void note(const char *action)
{
    if (notes[0] != '\0')
        strcat(notes, " ");
    strcat(notes, action);
}

#define ACTION(name)                                                                               \
    void vpc_stream_##name(struct vpc_stream *stream)                                              \
    {                                                                                              \
        (void)stream;                                                                              \
        note(#name);                                                                               \
    }

ACTION(tell_opened)
ACTION(tell_failed)
ACTION(tell_eof)
ACTION(tell_gone)
ACTION(release)
ACTION(break_off)
ACTION(linger)
ACTION(leave)
ACTION(stop_reading)
ACTION(finish_writing)

void vpc_stream_changed(struct vpc_stream *stream, enum vpc_stream_part part,
                        enum vpc_stream_state old)
{
    cr_assert_neq(stream->state[part], old, "told of a change that is none");
    changes++;
}

/* ---- each event in each state ------------------------------------------------------------------ */

static const int events[] = {
    VPC_ON_OPENED,      VPC_ON_FAILED, VPC_ON_END_READ,  VPC_ON_HUNG_UP,
    VPC_ON_BOTH_ENDED,  VPC_ON_BROKE,  VPC_ON_NO_READER, VPC_ON_FULL,
    VPC_ON_RECEIVED,    VPC_ON_SHUT,   VPC_ON_HANG_UP,   VPC_ON_CLOSE,
    VPC_ON_CLOSE_EARLY, VPC_ON_ABORT,  VPC_ON_NOTED,     VPC_ON_TAKE_NO_MORE,
};

enum { MAX_PATH = 12, MAX_PLACES = 256 };

/* A state of all three, and how to come there. */
struct place {
    const char *state[VPC_STREAM_PARTS];
    int path[MAX_PATH];
    unsigned length;
};

static const struct rule *find_rule(const struct rule *rules, size_t count, const char *from,
                                    int event)
{
    for (size_t i = 0; i < count; i++)
        if (rules[i].event == event && strcmp(rules[i].from, from) == 0)
            return &rules[i];
    return NULL;
}

static const struct rule *rule_of(bool local, enum vpc_stream_part part, const char *from,
                                  int event)
{
    if (part == VPC_LIFE)
        return find_rule(vpc_stream_life_rules, COUNT(vpc_stream_life_rules), from, event);
    if (part == VPC_OUTPUT)
        return find_rule(vpc_stream_output_rules, COUNT(vpc_stream_output_rules), from, event);
    return local ? find_rule(vpc_pipe_input_rules, COUNT(vpc_pipe_input_rules), from, event)
                 : find_rule(vpc_tcp_input_rules, COUNT(vpc_tcp_input_rules), from, event);
}

static struct vpc_stream at_place(bool local, const struct place *place)
{
    struct vpc_stream stream = {.local = local};

    vpc_stream_begin(&stream);
    for (unsigned i = 0; i < place->length; i++)
        vpc_stream_step(&stream, (enum vpc_stream_event)place->path[i]);
    return stream;
}

static bool same_states(const struct place *a, const struct place *b)
{
    for (int part = 0; part < VPC_STREAM_PARTS; part++)
        if (strcmp(a->state[part], b->state[part]) != 0)
            return false;
    return true;
}

/* Steps there, compares with the rules, and says where that led. */
static struct place check_step(bool local, const struct place *place, int event)
{
    struct vpc_stream stream = at_place(local, place);
    struct place next = *place;
    char expected[256] = "";
    unsigned moved = 0;

    next.path[next.length++] = event;
    for (int part = 0; part < VPC_STREAM_PARTS; part++) {
        const struct rule *rule =
            rule_of(local, (enum vpc_stream_part)part, place->state[part], event);

        if (rule == NULL)
            continue;
        next.state[part] = rule->to;
        moved += strcmp(rule->to, rule->from) != 0;
        if (*rule->actions && *expected)
            strcat(expected, " ");
        strcat(expected, rule->actions);
    }
    notes[0] = '\0';
    changes = 0;
    vpc_stream_step(&stream, (enum vpc_stream_event)event);
    cr_expect_str_eq(notes, expected, "%s, %s, %s: event %d does \"%s\", not \"%s\"",
                     place->state[0], place->state[1], place->state[2], event, notes, expected);
    cr_expect_eq(changes, moved, "each change is told once");
    for (int part = 0; part < VPC_STREAM_PARTS; part++)
        cr_expect_str_eq(vpc_stream_state_name(stream.state[part]), next.state[part],
                         "%s: event %d", place->state[part], event);
    return next;
}

static unsigned walk_all(bool local)
{
    static struct place places[MAX_PLACES];
    unsigned count = 1;

    places[0] = (struct place){.state = {vpc_stream_life_start,
                                         local ? vpc_pipe_input_start : vpc_tcp_input_start,
                                         vpc_stream_output_start}};
    for (unsigned at = 0; at < count; at++)
        for (size_t i = 0; i < COUNT(events); i++) {
            struct place next = check_step(local, &places[at], events[i]);
            unsigned known = 0;

            while (known < count && !same_states(&places[known], &next))
                known++;
            if (known < count)
                continue;
            cr_assert(count < MAX_PLACES && next.length < MAX_PATH);
            places[count++] = next;
        }
    return count;
}

Test(stream_machines, each_event_in_each_state_of_a_pipe)
{
    cr_assert_gt(walk_all(true), 20u);
}

Test(stream_machines, each_event_in_each_state_of_a_connection)
{
    cr_assert_gt(walk_all(false), 15u);
}

/* ---- what the kernel and the ABI say ----------------------------------------------------------- */

static const struct story {
    bool local;
    int events[8]; /* 0: no more */
    const char *actions;
} stories[] = {
    /* A client writes and closes: the end of its writing is told before its being gone, with the actions between. */
    {true, {VPC_ON_OPENED, VPC_ON_HUNG_UP, VPC_ON_END_READ}, "tell_opened leave tell_eof"},
    {true,
     {VPC_ON_OPENED, VPC_ON_HUNG_UP, VPC_ON_END_READ, VPC_ON_NOTED},
     "tell_opened leave tell_eof tell_gone"},
    {true,
     {VPC_ON_OPENED, VPC_ON_HUNG_UP, VPC_ON_END_READ, VPC_ON_CLOSE, VPC_ON_NOTED},
     "tell_opened leave tell_eof release"},
    {true,
     {VPC_ON_OPENED, VPC_ON_END_READ, VPC_ON_HUNG_UP},
     "tell_opened tell_eof leave tell_gone"},
    /* Without room its being gone is told first, and once. */
    {true,
     {VPC_ON_OPENED, VPC_ON_HUNG_UP, VPC_ON_FULL, VPC_ON_FULL, VPC_ON_END_READ, VPC_ON_NOTED},
     "tell_opened leave tell_gone tell_eof"},
    /* Both directions ended in order: nothing more is told. */
    {true,
     {VPC_ON_OPENED, VPC_ON_END_READ, VPC_ON_SHUT, VPC_ON_BOTH_ENDED},
     "tell_opened tell_eof finish_writing leave"},
    {true,
     {VPC_ON_OPENED, VPC_ON_SHUT, VPC_ON_BOTH_ENDED, VPC_ON_END_READ, VPC_ON_NOTED},
     "tell_opened finish_writing leave tell_eof"},
    /* The endpoint counts it as gone: what it wrote is read, its being gone is not told. */
    {true,
     {VPC_ON_OPENED, VPC_ON_HANG_UP, VPC_ON_FULL, VPC_ON_END_READ, VPC_ON_NOTED},
     "tell_opened stop_reading leave tell_eof"},
    {true, {VPC_ON_OPENED, VPC_ON_END_READ, VPC_ON_HANG_UP}, "tell_opened tell_eof"},
    /* A stop, and what was written before it. */
    {true,
     {VPC_ON_OPENED, VPC_ON_TAKE_NO_MORE, VPC_ON_TAKE_NO_MORE, VPC_ON_END_READ},
     "tell_opened stop_reading tell_eof"},
    {true, {VPC_ON_TAKE_NO_MORE, VPC_ON_CLOSE}, "release"},
    {true, {VPC_ON_FAILED, VPC_ON_OPENED}, "break_off tell_failed"},
    /* A client that does not read may still write. */
    {true,
     {VPC_ON_OPENED, VPC_ON_NO_READER, VPC_ON_END_READ, VPC_ON_CLOSE},
     "tell_opened tell_eof release"},
    /* TCP: what came before the error is read first; without room the error is told at once. */
    {false, {VPC_ON_OPENED, VPC_ON_BROKE, VPC_ON_END_READ}, "tell_opened leave tell_gone"},
    {false,
     {VPC_ON_OPENED, VPC_ON_BROKE, VPC_ON_FULL, VPC_ON_END_READ},
     "tell_opened leave tell_gone"},
    {false, {VPC_ON_OPENED, VPC_ON_END_READ, VPC_ON_BROKE}, "tell_opened tell_eof leave tell_gone"},
    {false,
     {VPC_ON_OPENED, VPC_ON_BOTH_ENDED, VPC_ON_FULL, VPC_ON_END_READ},
     "tell_opened leave tell_eof"},
    /* The end of a connection. */
    {false,
     {VPC_ON_OPENED, VPC_ON_CLOSE_EARLY, VPC_ON_RECEIVED, VPC_ON_ABORT},
     "tell_opened linger release"},
    {false, {VPC_ON_OPENED, VPC_ON_CLOSE_EARLY, VPC_ON_ABORT}, "tell_opened linger break_off"},
    {false, {VPC_ON_OPENED, VPC_ON_CLOSE}, "tell_opened release"},
    {false, {VPC_ON_OPENED, VPC_ON_ABORT, VPC_ON_CLOSE, VPC_ON_BROKE}, "tell_opened break_off"},
};

Test(stream_machines, stories)
{
    for (size_t i = 0; i < COUNT(stories); i++) {
        struct vpc_stream stream = {.local = stories[i].local};

        vpc_stream_begin(&stream);
        notes[0] = '\0';
        for (size_t e = 0; e < COUNT(stories[i].events) && stories[i].events[e]; e++)
            vpc_stream_step(&stream, (enum vpc_stream_event)stories[i].events[e]);
        cr_expect_str_eq(notes, stories[i].actions, "story %zu: %s", i, notes);
    }
}
