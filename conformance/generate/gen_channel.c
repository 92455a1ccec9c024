/* SPDX-License-Identifier: MIT */
/*
 * The channel machines: each message that a peer can send on a channel, in each state of either end.
 *
 * A scenario opens a witness, walks a road to the state, sends the message, and asks for what the machine says: a violation
 * (GOODBYE, a new session), or RELEASED, RESET, or nothing; then the witness still works.  What an endpoint does of itself
 * (the snd_ events) is on the roads.  OPENED and REFUSED are events of both channels of a pair, so both machines are asked.
 */
#include <stdlib.h>
#include <string.h>

#include "generate/generate.h"
#include "memory.h"
#include "testers/monitor.h"

enum message { OPEN, OPENED, REFUSED, DATA, CREDIT, FIN, RESET, RELEASED, MESSAGES };
enum {
    SND = 32,
    RCV = 48,
    BAD_GUARD = 64,
};

static const char *const names[] = {"open",   "opened", "refused", "data",
                                    "credit", "fin",    "reset",   "released"};

struct road {
    bool sending; /* of which of the pair's channels this is a state */
    const char *state;
    unsigned char path[6];
    unsigned char other[6]; /* of the pair's other channel meanwhile */
    const char *lines[2];   /* host, guest */
    const char *options[2];
    const char *sent[2]; /* bytes that the tester has sent on the channel, or the subject has */
    bool call;           /* a call waits for its answer */
};

#define HOST_OPENING "api   > start pipe=p port=6174\nbus   < open channel=$h reverse_channel=$g\n"
#define HOST_OPEN    HOST_OPENING "bus   > opened channel=$h\napi   < S_OK\npipe  open p\n"
#define GUEST_OPENING                                                                              \
    "tcp   deaf 6174\nbus   > open channel=11 reverse_channel=12 port=6174 connect_ms=600000\n"
#define GUEST_OPEN                                                                                 \
    "bus   > open channel=11 reverse_channel=12 port=6174\ntcp   accepted 6174\n"                  \
    "bus   < opened channel=11\n"
#define HOST_CLOSING                                                                               \
    HOST_OPEN "auto  off released\npipe  > \"four\"\npipe  shutdown\n"                             \
              "bus   < data channel=$h text=\"four\"\nbus   < fin channel=$h offset=4\n"
#define GUEST_CLOSING                                                                              \
    GUEST_OPEN "auto  off released\ntcp   > \"four\"\ntcp   shutdown\n"                            \
               "bus   < data channel=12 text=\"four\"\nbus   < fin channel=12 offset=4\n"
#define HOST_ABORTING                                                                              \
    HOST_OPEN "auto  off released\nbus   > fin channel=$g offset=9\n"                              \
              "bus   < reset channel=$h errno=71\nbus   < reset channel=$g errno=71\n"             \
              "log   < 1014 pipe=p\n"
#define GUEST_ABORTING                                                                             \
    GUEST_OPEN "auto  off released\ntcp   abort\n"                                                 \
               "bus   < reset channel=11 errno=104\nbus   < reset channel=12 errno=104\n"

static const struct road roads[] = {
    {true, "idle", {0}, {0}, {"", ""}, {"", ""}, {"0", "0"}, false},
    {true,
     "opening",
     {SND + OPEN},
     {SND + OPEN},
     {HOST_OPENING, GUEST_OPENING},
     {"", ""},
     {"0", "0"},
     true},
    {true,
     "open",
     {SND + OPEN, RCV + OPENED},
     {SND + OPEN, RCV + OPENED},
     {HOST_OPEN, GUEST_OPEN},
     {"", ""},
     {"0", "0"},
     false},
    {true,
     "closing",
     {SND + OPEN, RCV + OPENED, SND + DATA, SND + FIN},
     {SND + OPEN, RCV + OPENED},
     {HOST_CLOSING, GUEST_CLOSING},
     {"", ""},
     {"4", "4"},
     false},
    {true,
     "aborting",
     {SND + OPEN, RCV + OPENED, SND + RESET},
     {SND + OPEN, RCV + OPENED, SND + RESET},
     {HOST_ABORTING, GUEST_ABORTING},
     {"", ""},
     {"0", "0"},
     false},
    {true,
     "released",
     {SND + OPEN, RCV + OPENED, SND + FIN, RCV + RELEASED},
     {SND + OPEN, RCV + OPENED},
     {HOST_CLOSING "bus   > released channel=$h offset=4\n",
      GUEST_CLOSING "bus   > released channel=12 offset=4\n"},
     {"", ""},
     {"4", "4"},
     false},
    {false, "idle", {0}, {0}, {"", ""}, {"", ""}, {"0", "0"}, false},
    {false,
     "opening",
     {SND + OPEN},
     {SND + OPEN},
     {HOST_OPENING, GUEST_OPENING},
     {"", ""},
     {"0", "0"},
     true},
    {false,
     "open",
     {SND + OPEN, RCV + OPENED},
     {SND + OPEN, RCV + OPENED},
     {HOST_OPEN, GUEST_OPEN},
     {"", ""},
     {"0", "0"},
     false},
    {false,
     "draining",
     {SND + OPEN, RCV + OPENED, RCV + DATA, RCV + FIN},
     {SND + OPEN, RCV + OPENED},
     {HOST_OPEN "pipe  pause\nbus   > data channel=$g bytes=400000 pattern=1 within 30s\n"
                "bus   > fin channel=$g\n",
      GUEST_OPEN "tcp   pause\nbus   > data channel=11 bytes=5000000 pattern=1 within 30s\n"
                 "bus   > fin channel=11\n"},
     {"option window=400000 max_pairs=2\n", "option window=5000000 max_pairs=2\n"},
     {"400000", "5000000"},
     false},
    {false,
     "aborting",
     {SND + OPEN, RCV + OPENED, SND + RESET},
     {SND + OPEN, RCV + OPENED, SND + RESET},
     {HOST_ABORTING, GUEST_ABORTING},
     {"", ""},
     {"0", "0"},
     false},
    {false,
     "released",
     {SND + OPEN, RCV + OPENED, RCV + FIN, SND + RELEASED},
     {SND + OPEN, RCV + OPENED},
     {HOST_OPEN "bus   > fin channel=$g\npipe  < eof\nbus   < released channel=$g offset=0\n",
      GUEST_OPEN "bus   > fin channel=11\ntcp   < eof\nbus   < released channel=11 offset=0\n"},
     {"", ""},
     {"0", "0"},
     false},
};

/* One message, written so that its guards hold, or so that one does not. */
struct shot {
    enum message message;
    bool bad_guard;
    int sending;      /* -1: both; else of which end's states this is a shot */
    const char *name; /* of the file, behind the message's */
    const char *words;
    const char *args; /* SENT: so many bytes */
    const char *covers;
};

static const struct shot shots[] = {
    {OPEN, false, -1, "", "An OPEN of its id", "reverse_channel=77 port=6174", "CHN-1"},
    {OPENED, false, -1, "", "An OPENED", "", "CHN-3 CHN-9"},
    {REFUSED, false, -1, "", "A REFUSED", "errno=111", "CHN-3 API-9"},
    {DATA, false, -1, "", "A DATA", "offset=SENT text=\"x\"", "CHN-3 FLW-2"},
    {CREDIT, false, -1, "", "A CREDIT", "limit=500000", "CHN-3 FLW-1"},
    {FIN, false, -1, "", "A FIN", "offset=SENT", "CHN-3 CLS-2"},
    {RESET, false, -1, "", "A RESET", "errno=104", "CLS-4 CLS-5"},
    {RESET, false, -1, "-0", "A RESET with 0", "errno=0", "CLS-4 CLS-5"},
    {RELEASED, false, -1, "", "A RELEASED", "offset=SENT", "CLS-4 CHN-3"},
    {CREDIT, true, 1, "-lower", "A CREDIT that takes back what was given", "limit=5", "FLW-4"},
    {DATA, true, 0, "-beyond", "A DATA beyond its limit", "offset=0 bytes=1001", "FLW-4 FLW-1"},
    {DATA, true, 0, "-offset", "A DATA with another offset", "offset=1 text=\"x\"", "FLW-4 FLW-2"},
    {FIN, true, 0, "-offset", "A FIN with another offset", "offset=3", "FLW-4"},
};

struct verdict {
    bool violation;
    bool bad_guard;
    unsigned actions;
    bool other_open; /* the pair's other channel is not released and not aborting */
};

static int walk(bool sending, const unsigned char *path, size_t n, const char **name)
{
    int state = vpc_channel_start(sending);
    unsigned actions;

    *name = "idle";
    for (size_t i = 0; i < n && path[i] && state >= 0; i++)
        state = vpc_channel_step(sending, state, path[i], &actions, name);
    return state;
}

static bool about_pair(enum message message)
{
    return message == OPENED || message == REFUSED;
}

static struct verdict judge(const struct road *road, const struct shot *shot)
{
    const char *here, *there, *next;
    int state = walk(road->sending, road->path, sizeof(road->path), &here);
    int other = walk(!road->sending, road->other, sizeof(road->other), &there);
    struct verdict verdict = {.bad_guard = shot->bad_guard};
    unsigned char event = (unsigned char)(shot->bad_guard ? BAD_GUARD : RCV + shot->message);
    unsigned ignored;

    verdict.violation =
        shot->message == OPEN ||
        vpc_channel_step(road->sending, state, event, &verdict.actions, &next) < 0 ||
        (about_pair(shot->message) &&
         vpc_channel_step(!road->sending, other, event, &ignored, &next) < 0);
    verdict.other_open = strcmp(there, "released") != 0 && strcmp(there, "aborting") != 0;
    return verdict;
}

/* Whether the shot can be fired there at all: a guest sends no OPEN, a host no answer to one, and a guard breaks only
   where the message itself is legal. */
static bool applies(bool host, const struct road *road, const struct shot *shot)
{
    const char *here, *next;
    int state = walk(road->sending, road->path, sizeof(road->path), &here);
    unsigned actions;

    if (host ? shot->message == OPEN : about_pair(shot->message))
        return false;
    if (shot->message == OPEN && strcmp(road->state, "idle") == 0)
        return false; /* it is how every pair begins */
    if (shot->sending >= 0 && shot->sending != road->sending)
        return false;
    return !shot->bad_guard ||
           vpc_channel_step(road->sending, state, (unsigned char)(RCV + shot->message), &actions,
                            &next) >= 0;
}

static void open_witness(struct vpc_generator *generator)
{
    vpc_gen(generator,
            generator->host
                ? "session\napi   > start pipe=witness port=80\n"
                  "bus   < open channel=$hw reverse_channel=$gw\nbus   > opened channel=$hw\n"
                  "api   < S_OK\npipe:w open witness\n\n"
                : "tcp   listen 80\ntcp   listen 6174\nsession\n"
                  "bus   > open channel=1 reverse_channel=2 port=80\ntcp:w accepted 80\n"
                  "bus   < opened channel=1\n\n");
}

static void ask_witness(struct vpc_generator *generator)
{
    vpc_gen(generator,
            generator->host
                ? "\npipe:w > \"still here\"\nbus   < data channel=$hw text=\"still here\"\n"
                  "bus   > data channel=$gw text=\"here too\"\npipe:w < \"here too\"\n"
                : "\ntcp:w > \"still here\"\nbus   < data channel=2 text=\"still here\"\n"
                  "bus   > data channel=1 text=\"here too\"\ntcp:w < \"here too\"\n");
}

struct ids {
    const char *here, *there;
};

/* The channel of which the road tells the state, and the pair's other one. */
static struct ids ids_of(bool host, const struct road *road)
{
    bool h2g = road->sending == host;

    if (strcmp(road->state, "idle") == 0)
        return h2g ? (struct ids){"77", "78"} : (struct ids){"78", "77"};
    if (host)
        return h2g ? (struct ids){"$h", "$g"} : (struct ids){"$g", "$h"};
    return h2g ? (struct ids){"11", "12"} : (struct ids){"12", "11"};
}

static void expect_violation(struct vpc_generator *generator, const struct road *road)
{
    vpc_gen(generator,
            "bus   < goodbye cause=1 by SES-14\nlog   < 1014\n"
            "log   < 1011 cause=\"protocol violation\"\n%s%s"
            "bus   < hello epoch!=$subject_epoch within backoff_max\nsession\n",
            road->call && generator->host ? "api   < ERROR_NOT_READY\n" : "",
            generator->host ? "pipe:w < eof\n" : "tcp:w < reset\n");
}

/* The host gives the pair up while the guest connects: REFUSED, or RESET on the channel that it would name (CHN-9). */
static void expect_given_up(struct vpc_generator *generator, const struct ids *ids)
{
    vpc_gen(generator,
            "either\n  bus < reset channel=%s errno=104\n  bus < released channel=%s\n"
            "or\n  bus < refused channel=%s errno=104\nend\n",
            ids->there, ids->here, ids->there);
}

static bool gives_up(bool host, const struct road *road, const struct shot *shot)
{
    return !host && road->sending && shot->message == RESET && *shot->name == '\0' &&
           strcmp(road->state, "opening") == 0;
}

static void expect_answers(struct vpc_generator *generator, const struct road *road,
                           const struct shot *shot, const struct verdict *verdict,
                           const struct ids *ids)
{
    bool ends_other = verdict->other_open && (!road->sending || strcmp(shot->name, "-0") != 0);

    if (verdict->actions & VPC_STEP_RELEASED)
        vpc_gen(generator, "bus   < released channel=%s\n", ids->here);
    if (verdict->actions & VPC_STEP_ABORT)
        vpc_gen(generator, "bus   < reset channel=%s errno=71\n", ids->here);
    if (verdict->actions & VPC_STEP_ABORT && verdict->other_open)
        vpc_gen(generator, "bus   < reset channel=%s errno=71\n", ids->there);
    if (verdict->actions & VPC_STEP_ABORT)
        vpc_gen(generator, "log   < 1014\n");
    if (verdict->actions & VPC_STEP_RELEASED && ends_other)
        vpc_gen(generator, "bus   < reset channel=%s\n", ids->there);
    if (road->call && generator->host && shot->message == OPENED)
        vpc_gen(generator, "api   < S_OK\n");
    else if (road->call && generator->host && shot->message == REFUSED)
        vpc_gen(generator, "api   < ERROR_CONNECTION_REFUSED\n");
    else if (road->call && generator->host && ends_other)
        vpc_gen(generator, "log   < 1004 pipe=p\n");
}

static void expect_legal(struct vpc_generator *generator, const struct road *road,
                         const struct shot *shot, const struct verdict *verdict,
                         const struct ids *ids)
{
    if (gives_up(generator->host, road, shot))
        expect_given_up(generator, ids);
    else
        expect_answers(generator, road, shot, verdict, ids);
    ask_witness(generator);
    vpc_gen(generator, "log   none 1014\nlog   none 1011\nbus   none goodbye\n");
}

static void write_args(struct vpc_generator *generator, const struct shot *shot, const char *sent)
{
    const char *at = strstr(shot->args, "SENT");

    if (at)
        vpc_gen(generator, "%.*s%s%s", (int)(at - shot->args), shot->args, sent, at + 4);
    else
        vpc_gen(generator, "%s", shot->args);
}

static void write_one(struct vpc_generator *generator, const struct road *road,
                      const struct shot *shot)
{
    bool host = generator->host;
    struct verdict verdict = judge(road, shot);
    struct ids ids = ids_of(host, road);
    const char *id = about_pair(shot->message) && !road->sending ? ids.there : ids.here;
    char *name = vpc_format("%s-%s-%s%s", road->sending ? "sending" : "receiving", road->state,
                            names[shot->message], shot->name);
    char *title =
        vpc_format("%s on a channel whose %s end is %s %s.", shot->words,
                   road->sending ? "sending" : "receiving", road->state,
                   verdict.violation ? "is a violation" : "is legal, or ends its pair only");
    char *covers = vpc_format("%s CHN-6%s", shot->covers, verdict.violation ? " SES-14" : "");

    if (vpc_gen_begin(generator, host, "lifecycle", name, title, covers)) {
        vpc_gen(generator, "%s%s\n", road->options[!host],
                shot->bad_guard && !road->sending ? "option window=1000\n" : "");
        open_witness(generator);
        vpc_gen(generator, "%s\n# lifecycle.rl: vpc_%s_channel %s, %s\nbus   > %s channel=%s ",
                road->lines[!host], road->sending ? "sending" : "receiving", road->state,
                shot->bad_guard ? "bad_guard" : names[shot->message], names[shot->message], id);
        write_args(generator, shot, road->sent[!host]);
        vpc_gen(generator, "\n");
        if (verdict.violation)
            expect_violation(generator, road);
        else
            expect_legal(generator, road, shot, &verdict, &ids);
        vpc_gen_end(generator);
    }
    free(name);
    free(title);
    free(covers);
}

void vpc_gen_channels(struct vpc_generator *generator)
{
    for (int host = 1; host >= 0; host--) {
        generator->host = host;
        for (size_t r = 0; r < sizeof(roads) / sizeof(roads[0]); r++)
            for (size_t s = 0; s < sizeof(shots) / sizeof(shots[0]); s++)
                if (applies(host, &roads[r], &shots[s]))
                    write_one(generator, &roads[r], &shots[s]);
    }
}
