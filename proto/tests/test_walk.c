/* SPDX-License-Identifier: MIT */
/*
 * Random walks: two honest endpoints do whatever the library lets them, in any order, over a wire that delivers any
 * number of octets at any time.
 *
 * Goal    What arrives is a prefix of what was sent, all of it when the end arrives; no message that honest ends make is
 *         ever called a violation; every pair is released in the end.
 * Seeds   Each walk has a seed of its own.  A failure prints it with the number of steps, as settings that make the same
 *         walk again and fail at the same step.  WALK_SEED=S runs that walk alone; WALK_STEPS=N is the steps of each walk,
 *         WALKS=N how many walks there are (`make walk`: millions of steps).
 */
#include "bench.h"
#include "internal.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PAIRS 3
#define FLOWS     65536u

/* One direction of a pair; the pair's port is its number. */
struct flow {
    uint64_t sent, received;
    bool finished; /* the sender finished writing: the end comes behind `sent` */
    bool ended;    /* the end arrived */
};

struct walk {
    struct bench bench;
    uint64_t walk_seed, seed;
    struct flow *flows[2]; /* by sender, then by port */
    vpc_pair *pairs[2][MAX_PAIRS];
    unsigned next_port;
    unsigned all_steps, steps, opened, ends;
};

static uint8_t byte_of(unsigned port, int from, uint64_t at)
{
    return (uint8_t)(at * 31 + at / 256 * 7 + port * 13 + (unsigned)from * 101);
}

static uint64_t pick(struct walk *walk, uint64_t n)
{
    return bench_random(&walk->seed) % n;
}

#define assert_walk(walk, condition, what)                                                         \
    cr_assert((condition), "%s (WALK_SEED=%llu WALK_STEPS=%u, step %u)", (what),                   \
              (unsigned long long)(walk)->walk_seed, (walk)->all_steps, (walk)->steps)

/* ---- what happens to pairs ------------------------------------------------------------------------------------------- */

static void add_pair(struct walk *walk, int side, vpc_pair *pair)
{
    for (unsigned i = 0; i < MAX_PAIRS; i++)
        if (walk->pairs[side][i] == NULL) {
            walk->pairs[side][i] = pair;
            return;
        }
    assert_walk(walk, false, "more pairs than max_pairs");
}

static void remove_pair(struct walk *walk, int side, const vpc_pair *pair)
{
    for (unsigned i = 0; i < MAX_PAIRS; i++)
        if (walk->pairs[side][i] == pair) {
            walk->pairs[side][i] = NULL;
            return;
        }
    assert_walk(walk, false, "a pair is released twice");
}

static void on_event(struct bench_end *end, const vpc_session_event *event)
{
    struct walk *walk = end->user;

    assert_walk(walk, event->kind != VPC_EV_VIOLATION, event->text);
    assert_walk(walk, event->kind != VPC_EV_FRAMING_LOST && event->kind != VPC_EV_SESSION_DOWN,
                event->text);
    if (event->kind == VPC_EV_PAIR_REQUEST)
        add_pair(walk, end->side, event->pair);
    else if (event->kind == VPC_EV_PAIR_RELEASED)
        remove_pair(walk, end->side, event->pair);
    else if (event->kind == VPC_EV_PAIR_RESET && event->value != 0)
        vpc_pair_reset(event->pair, (uint32_t)event->value); /* CLS-5 */
}

static void write_some(struct walk *walk, int side, vpc_pair *pair)
{
    struct flow *flow = &walk->flows[side][vpc_pair_port(pair)];
    uint8_t bytes[300];
    size_t n = pick(walk, sizeof(bytes)) + 1, taken;

    for (size_t i = 0; i < n; i++)
        bytes[i] = byte_of(vpc_pair_port(pair), side, flow->sent + i);
    taken = vpc_pair_write(pair, bytes, n);
    assert_walk(walk, taken <= n && !(flow->finished && taken > 0), "a write is taken wrongly");
    flow->sent += taken;
}

static void read_some(struct walk *walk, int side, vpc_pair *pair, size_t most)
{
    struct flow *flow = &walk->flows[!side][vpc_pair_port(pair)];
    const uint8_t *bytes;
    const void *octets;
    size_t n = vpc_pair_read(pair, &octets);

    bytes = octets;
    if (n > most)
        n = most;
    for (size_t i = 0; i < n; i++)
        assert_walk(walk, bytes[i] == byte_of(vpc_pair_port(pair), !side, flow->received + i),
                    "a wrong byte");
    vpc_pair_delivered(pair, n);
    flow->received += n;
    assert_walk(walk, flow->received <= flow->sent, "more bytes than were sent");
}

static void take_end(struct walk *walk, int side, vpc_pair *pair)
{
    struct flow *flow = &walk->flows[!side][vpc_pair_port(pair)];

    if (!vpc_pair_at_end(pair))
        return;
    assert_walk(walk, flow->finished && !flow->ended, "an end that nobody sent");
    assert_walk(walk, pair->discarding || flow->received == flow->sent,
                "the end came before the last byte");
    flow->ended = true;
    walk->ends++;
    vpc_pair_end_delivered(pair);
}

static void finish(struct walk *walk, int side, vpc_pair *pair)
{
    walk->flows[side][vpc_pair_port(pair)].finished = true;
    vpc_pair_finish(pair);
}

/* ---- a step --------------------------------------------------------------------------------------------------------------- */

static void act_on_pair(struct walk *walk, int side, vpc_pair *pair)
{
    bool unanswered = side == GUEST && vpc_pair_sending_state(pair) == VPC_CHANNEL_OPENING;
    uint64_t lot = pick(walk, 1000);

    if (unanswered && lot < 500)
        lot < 400 ? vpc_pair_opened(pair) : vpc_pair_refused(pair, ECONNREFUSED);
    else if (lot < 450)
        write_some(walk, side, pair);
    else if (lot < 900)
        read_some(walk, side, pair, pick(walk, 200));
    else if (lot < 960)
        take_end(walk, side, pair);
    else if (lot < 985)
        finish(walk, side, pair);
    else if (lot < 990)
        vpc_pair_discard(pair);
    else if (lot < 995)
        vpc_pair_stop_reading(pair);
    else
        vpc_pair_reset(pair, ECONNRESET);
}

static void check_credit(struct walk *walk)
{
    for (int side = HOST; side <= GUEST; side++)
        for (unsigned i = 0; i < MAX_PAIRS; i++) {
            const vpc_pair *pair = walk->pairs[side][i];

            if (pair == NULL || pair->sending.state != VPC_CHANNEL_OPEN)
                continue;
            assert_walk(walk, pair->sending.offset <= pair->sending.limit, "credit is exceeded");
            assert_walk(walk, pair->receiving.ring.used <= pair->receiving.ring.size,
                        "the window is exceeded");
        }
}

static bool flows(const struct channel *channel)
{
    return channel->state == VPC_CHANNEL_OPENING || channel->state == VPC_CHANNEL_OPEN;
}

/* What is counted where it changes is what a count would give now. */
static void check_counts(struct walk *walk)
{
    for (int side = HOST; side <= GUEST; side++) {
        const vpc_session *session = walk->bench.end[side].session;
        unsigned pairs = 0, down = 0;

        for (unsigned i = 0; i < session->config.max_pairs; i++) {
            const vpc_pair *pair = &session->pairs[i];

            pairs += pair->used;
            down += pair->used && (!flows(&pair->sending) || !flows(&pair->receiving) ||
                                   pair->sending.finishing || pair->discarding);
        }
        assert_walk(walk, session->pair_count == pairs, "the pairs are not as they are counted");
        assert_walk(walk, session->running_down == down, "running down is not as it is counted");
    }
}

static void open_one(struct walk *walk)
{
    vpc_pair *pair;

    if (walk->next_port + 1 >= FLOWS)
        return;
    pair = vpc_pair_open(walk->bench.end[HOST].session, (uint16_t)walk->next_port, 1000);
    if (pair == NULL)
        return;
    add_pair(walk, HOST, pair);
    walk->next_port++;
    walk->opened++;
}

static void step(struct walk *walk)
{
    int side = (int)pick(walk, 2);
    struct bench_end *end = &walk->bench.end[side];
    vpc_pair *pair = walk->pairs[side][pick(walk, MAX_PAIRS)];

    walk->steps++;
    switch (pick(walk, 16)) {
    case 0:
        open_one(walk);
        break;
    case 1:
        vpc_session_clock(end->session, walk->bench.now += pick(walk, 3));
        break;
    case 2:
    case 3:
    case 4:
        bench_collect(end);
        break;
    case 5:
    case 6:
    case 7:
        bench_deliver(end, (size_t)pick(walk, 400));
        break;
    default:
        if (pair != NULL)
            act_on_pair(walk, side, pair);
        break;
    }
    check_credit(walk);
    check_counts(walk);
}

/* ---- the walk --------------------------------------------------------------------------------------------------------------- */

/* Both programs come to an end: what is there is read, and they finish. */
static void wind_up(struct walk *walk)
{
    for (int side = HOST; side <= GUEST; side++)
        for (unsigned i = 0; i < MAX_PAIRS; i++) {
            vpc_pair *pair = walk->pairs[side][i];

            if (pair == NULL)
                continue;
            if (side == GUEST && vpc_pair_sending_state(pair) == VPC_CHANNEL_OPENING)
                vpc_pair_opened(pair);
            read_some(walk, side, pair, SIZE_MAX);
            read_some(walk, side, pair, SIZE_MAX);
            take_end(walk, side, pair);
            finish(walk, side, pair);
        }
    bench_run(&walk->bench);
}

static void expect_nothing_left(struct walk *walk)
{
    unsigned down;

    for (int side = HOST; side <= GUEST; side++) {
        const vpc_session *session = walk->bench.end[side].session;

        assert_walk(walk, vpc_session_pairs(session, &down) == 0 && down == 0,
                    "a pair is not released");
        assert_walk(walk, vpc_list_empty(&session->control) && vpc_list_empty(&session->data),
                    "a list is not empty");
        for (unsigned i = 0; i < session->bucket_count; i++)
            assert_walk(walk, session->buckets[i] == NULL, "an id is left");
    }
    for (unsigned port = 1; port < walk->next_port; port++)
        for (int side = HOST; side <= GUEST; side++)
            if (walk->flows[side][port].ended)
                assert_walk(walk, walk->flows[side][port].finished, "an end that nobody sent");
}

static void take_a_walk(uint64_t seed, unsigned steps)
{
    struct walk *walk = calloc(1, sizeof(*walk));
    uint64_t shape = seed;

    bench_init(&walk->bench);
    walk->walk_seed = walk->seed = seed;
    walk->all_steps = steps;
    walk->next_port = 1;
    for (int side = HOST; side <= GUEST; side++) {
        struct bench_end *end = &walk->bench.end[side];

        walk->flows[side] = calloc(FLOWS, sizeof(struct flow));
        cr_assert_not_null(walk->flows[side]);
        end->config.max_pairs = (uint16_t)(1 + bench_random(&shape) % MAX_PAIRS);
        end->config.window = (uint32_t)(1 + bench_random(&shape) % 300);
        end->config.send_buffer = (uint32_t)(1 + bench_random(&shape) % 300);
        end->config.peer_limit_ms = 0;
        end->hook = on_event;
        end->user = walk;
    }
    bench_greet(&walk->bench);
    for (unsigned i = 0; i < steps; i++)
        step(walk);
    for (unsigned i = 0; i < 2000; i++)
        wind_up(walk);
    expect_nothing_left(walk);
    assert_walk(walk, steps < 10000 || (walk->opened > 5 && walk->ends > 5),
                "the walk went nowhere");
    bench_free(&walk->bench);
    free(walk->flows[HOST]);
    free(walk->flows[GUEST]);
    free(walk);
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text != NULL ? strtoull(text, NULL, 0) : otherwise;
}

Test(walk, honest_ends_in_any_order, .timeout = 3600)
{
    uint64_t only = setting("WALK_SEED", 0), walks = setting("WALKS", 20);
    unsigned steps = (unsigned)setting("WALK_STEPS", 60000);

    if (only != 0)
        take_a_walk(only, steps);
    for (uint64_t seed = 1; seed <= walks && only == 0; seed++)
        take_a_walk(seed, steps);
}
