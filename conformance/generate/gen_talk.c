/* SPDX-License-Identifier: MIT */
/*
 * Conversations by chance: several pairs at once, each with a life of its own, their steps mixed.
 *
 * Each pair goes through opening (or a refusal), some bytes in either direction, and one of the ends of section 7.  A
 * scenario asks for every byte and every message that a step of a pair provokes before it goes on with another pair, so
 * that the channels' messages need no order among pairs.  At the end the session itself may end.
 */
#include <stdlib.h>
#include <string.h>

#include "generate/generate.h"
#include "memory.h"

#define TALKS      20 /* of each role */
#define PAIRS_MAX  5
#define MOVES_MAX  6
#define BYTES_MOST 300000

enum stage { TO_OPEN, TALKING, OVER };

struct talker {
    unsigned number; /* from 1 */
    unsigned order;  /* of its opening, from 1: ids must rise */
    enum stage stage;
    unsigned moves;              /* left, before its end */
    unsigned long long up, down; /* bytes so far: host to guest, guest to host */
    bool up_over, down_over;     /* its FIN has gone */
};

/* Sizes at which something changes are likely. */
static unsigned long long some_bytes(struct vpc_generator *generator)
{
    static const unsigned sizes[] = {1, 2, 100, 4096, 65527, 65528, 65529, 131072, 262144, 262145};
    size_t count = sizeof(sizes) / sizeof(sizes[0]);

    if (vpc_gen_random(generator, 2) == 0)
        return sizes[vpc_gen_random(generator, count)];
    return 1 + vpc_gen_random(generator, BYTES_MOST);
}

/* The ids of a pair: a host chooses them, of a guest's they are the scenario's. */
static void name_ids(const struct vpc_generator *generator, const struct talker *talker, char h[16],
                     char g[16])
{
    if (generator->host) {
        snprintf(h, 16, "$h%u", talker->number);
        snprintf(g, 16, "$g%u", talker->number);
    } else {
        snprintf(h, 16, "%u", 2 * talker->order - 1);
        snprintf(g, 16, "%u", 2 * talker->order);
    }
}

static const char *who_of(const struct vpc_generator *generator)
{
    return generator->host ? "pipe" : "tcp";
}

static void open_pair(struct vpc_generator *generator, struct talker *talker, bool refused)
{
    unsigned n = talker->number;
    char h[16], g[16];

    name_ids(generator, talker, h, g);
    if (generator->host) {
        vpc_gen(generator,
                "api   > start pipe=t%u port=%u\nbus   < open channel=%s reverse_channel=%s\n", n,
                6000 + n, h, g);
        vpc_gen(generator,
                refused ? "bus   > refused channel=%s errno=111\napi   < ERROR_CONNECTION_REFUSED\n"
                          "log   < 1004 pipe=t%u errno=111\n"
                        : "bus   > opened channel=%s\napi   < S_OK\npipe:t%u open t%u\n",
                h, n, n);
    } else {
        if (!refused)
            vpc_gen(generator, "tcp   listen %u\n", 6000 + n);
        vpc_gen(generator, "bus   > open channel=%s reverse_channel=%s port=%u\n", h, g, 6000 + n);
        if (refused)
            vpc_gen(generator, "bus   < refused channel=%s errno=111\nlog   < 1022 errno=111\n", h);
        else
            vpc_gen(generator, "tcp:t%u accepted %u\nbus   < opened channel=%s\n", n, 6000 + n, h);
    }
    talker->stage = refused ? OVER : TALKING;
}

/* Some bytes in one direction. */
static void send_bytes(struct vpc_generator *generator, struct talker *talker, bool up)
{
    unsigned n = talker->number;
    unsigned long long *so_far = up ? &talker->up : &talker->down, bytes = some_bytes(generator);
    unsigned pattern = 2 * n + up;
    char h[16], g[16];

    name_ids(generator, talker, h, g);
    if (up == generator->host)
        vpc_gen(generator,
                "%s:t%u > bytes=%llu pattern=%u from=%llu\n"
                "bus   < data channel=%s bytes=%llu pattern=%u from=%llu within 30s\n",
                who_of(generator), n, bytes, pattern, *so_far, up ? h : g, bytes, pattern, *so_far);
    else
        vpc_gen(generator,
                "bus   > data channel=%s bytes=%llu pattern=%u from=%llu within 30s\n"
                "%s:t%u < bytes=%llu pattern=%u from=%llu within 30s\n",
                up ? h : g, bytes, pattern, *so_far, who_of(generator), n, bytes, pattern, *so_far);
    *so_far += bytes;
}

/* One direction finishes. */
static void finish(struct vpc_generator *generator, struct talker *talker, bool up)
{
    unsigned n = talker->number;
    char h[16], g[16];
    const char *id = up ? h : g;
    unsigned long long bytes = up ? talker->up : talker->down;

    name_ids(generator, talker, h, g);
    if (up == generator->host)
        vpc_gen(generator, "%s:t%u shutdown\nbus   < fin channel=%s offset=%llu\n",
                who_of(generator), n, id, bytes);
    else
        vpc_gen(generator,
                "bus   > fin channel=%s\n%s:t%u < eof\nbus   < released channel=%s offset=%llu\n",
                id, who_of(generator), n, id, bytes);
    *(up ? &talker->up_over : &talker->down_over) = true;
}

static void expect_closed(struct vpc_generator *generator, struct talker *talker, const char *more)
{
    bool host = generator->host;
    char *pair =
        vpc_format(host ? "pipe=t%u" : "port=%u", host ? talker->number : 6000 + talker->number);

    vpc_gen(generator, "log   < 1021 %s %s sent=%llu received=%llu\n", pair, more,
            host ? talker->up : talker->down, host ? talker->down : talker->up);
    free(pair);
    talker->stage = OVER;
}

static void abort_by_peer(struct vpc_generator *generator, struct talker *talker)
{
    char h[16], g[16];
    bool of_h = talker->down_over || (!talker->up_over && vpc_gen_random(generator, 2));

    name_ids(generator, talker, h, g);
    vpc_gen(generator, "bus   > reset channel=%s errno=104\nbus   < released channel=%s\n",
            of_h ? h : g, of_h ? h : g);
    if (of_h ? !talker->down_over : !talker->up_over)
        vpc_gen(generator, "bus   < reset channel=%s\n", of_h ? g : h);
    /* a FIN was seen, or the peer reads no more: the end shows differently then, and in the log in any case */
    if (generator->host && !talker->down_over)
        vpc_gen(generator, "pipe:t%u < eof\n", talker->number);
    if (!generator->host && !talker->up_over)
        vpc_gen(generator, "tcp:t%u < reset\n", talker->number);
    expect_closed(generator, talker,
                  generator->host ? "cause=\"reset by guest\" errno=104 level=warning"
                                  : "cause=\"reset by host\" errno=104 level=warning");
}

/* A client that closes, or is told to by `stop`; a program that resets. */
static void leave(struct vpc_generator *generator, struct talker *talker)
{
    unsigned n = talker->number;
    char h[16], g[16];

    name_ids(generator, talker, h, g);
    if (generator->host) {
        bool stop = vpc_gen_random(generator, 3) == 0;

        vpc_gen(generator, stop ? "api   > stop pipe=t%u\n" : "pipe:t%u close\n", n);
        if (!talker->up_over)
            vpc_gen(generator, "bus   < fin channel=%s offset=%llu\n", h, talker->up);
        if (!talker->down_over)
            vpc_gen(generator, "bus   < reset channel=%s errno=0\n", g);
        if (stop)
            vpc_gen(generator, "api   < return\n");
        expect_closed(generator, talker, "pipe=*");
        return;
    }
    vpc_gen(generator, "tcp:t%u abort\n", n);
    if (!talker->up_over)
        vpc_gen(generator, "bus   < reset channel=%s errno=104\n", h);
    if (!talker->down_over)
        vpc_gen(generator, "bus   < reset channel=%s errno=104\n", g);
    expect_closed(generator, talker, "cause=\"local program\" errno=104 level=warning");
}

static void end_pair(struct vpc_generator *generator, struct talker *talker)
{
    unsigned way = (unsigned)vpc_gen_random(generator, 4);

    if (way == 0 && !(talker->up_over || talker->down_over))
        abort_by_peer(generator, talker);
    else if (way == 1 && !(talker->up_over || talker->down_over))
        leave(generator, talker);
    else
        finish(generator, talker,
               talker->down_over || (!talker->up_over && vpc_gen_random(generator, 2)));
    if (talker->stage != OVER && talker->up_over && talker->down_over)
        expect_closed(generator, talker, "cause=closed level=info");
}

static void move(struct vpc_generator *generator, struct talker *talker)
{
    if (talker->stage == TO_OPEN) {
        open_pair(generator, talker, vpc_gen_random(generator, 8) == 0);
    } else if (talker->moves == 0) {
        end_pair(generator, talker);
    } else {
        bool up = talker->down_over || (!talker->up_over && vpc_gen_random(generator, 2));

        talker->moves--;
        send_bytes(generator, talker, up);
    }
}

/* One step of a talker that is not over; those that are in the end are as many as `left` says. */
static bool step(struct vpc_generator *generator, struct talker *talkers, size_t count, size_t left)
{
    size_t open = 0, chosen;
    unsigned opened = 0;

    for (size_t i = 0; i < count; i++) {
        open += talkers[i].stage != OVER;
        opened += talkers[i].stage != TO_OPEN;
    }
    if (open <= left)
        return false;
    chosen = vpc_gen_random(generator, open);
    for (size_t i = 0; i < count; i++)
        if (talkers[i].stage != OVER && chosen-- == 0) {
            if (talkers[i].stage == TO_OPEN)
                talkers[i].order = opened + 1;
            vpc_gen(generator, "\n");
            move(generator, &talkers[i]);
            break;
        }
    return true;
}

/* The session ends under those that still talk. */
static void end_session(struct vpc_generator *generator, const struct talker *talkers, size_t count)
{
    vpc_gen(generator, "\nbus   > goodbye\n");
    for (size_t i = 0; i < count; i++) {
        if (talkers[i].stage != TALKING)
            continue;
        if (generator->host && !talkers[i].down_over)
            vpc_gen(generator, "pipe:t%u < eof\n", talkers[i].number);
        if (generator->host)
            vpc_gen(generator, "log   < 1021 pipe=t%u cause=\"session lost\"\n", talkers[i].number);
        else
            vpc_gen(generator, "tcp:t%u < reset\nlog   < 1021 port=%u cause=\"session lost\"\n",
                    talkers[i].number, 6000 + talkers[i].number);
    }
    vpc_gen(generator, "log   < 1011 cause=goodbye\nsession\n");
}

static void write_one(struct vpc_generator *generator, unsigned number)
{
    struct talker talkers[PAIRS_MAX];
    size_t count = 1 + vpc_gen_random(generator, PAIRS_MAX), left = vpc_gen_random(generator, 3);
    char *name = vpc_format("talk-%llu-%u", (unsigned long long)generator->seed, number);
    char *title = vpc_format(
        "Conversation %u by chance, seed %llu: %zu pairs talk at once, in any legal way.", number,
        (unsigned long long)generator->seed, count);

    for (size_t i = 0; i < count; i++)
        talkers[i] = (struct talker){.number = (unsigned)i + 1,
                                     .moves = (unsigned)vpc_gen_random(generator, MOVES_MAX)};
    if (vpc_gen_begin(generator, generator->host, "talk", name, title,
                      "CHN-6 FLW-1 FLW-2 FLW-3 CLS-1 CLS-2 CLS-3 CLS-4 CLS-9 LOG-5 SES-11")) {
        vpc_gen(generator, "\nsession\n");
        while (step(generator, talkers, count, left < count ? left : 0))
            ;
        vpc_gen(generator, "\nlog   none 1014\nbus   none goodbye\n");
        end_session(generator, talkers, count);
        vpc_gen_end(generator);
    }
    free(name);
    free(title);
}

void vpc_gen_talks(struct vpc_generator *generator)
{
    for (unsigned i = 0; i < 2 * TALKS; i++) {
        generator->host = i < TALKS;
        write_one(generator, i % TALKS + 1);
    }
}
