/* SPDX-License-Identifier: MIT */
/*
 * Two sessions back to back talk after a script; a fault strikes behind its N-th step, for every N.
 *
 * Script   Rounds of one deed of the programs and six steps of the wire, each way half of what lies there, then the rest:
 *          so every N-th step is a place in mid-frame or between frames, in the greeting, in a transfer, at its end.
 * Faults   What is on the wire is lost, or a run from its middle; an end crashes and starts anew; an end is put back to a
 *          copy of its memory from behind step M, for every M before N, with its random numbers; the transport goes down.
 * After    What is read is a prefix of what was written on that pair, and of no other; both ends become ready; every pair
 *          is released; a new pair carries bytes both ways to their end.
 *
 * One restriction, as in the models: what an end sends after it was put back is not lost (VPCBUS.md, section 4).
 */
#include "bench.h"
#include "internal.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS     14u
#define WIRE_STEPS 6u
#define STEPS      (ROUNDS * (1 + WIRE_STEPS))
#define PAIRS      4u
#define PORTS      64u

/* One end's program.  A pair's port is its generation, never used again; it makes the bytes that travel. */
struct program {
    vpc_pair *pairs[PAIRS];
    uint64_t written[PORTS], received[PORTS];
    bool finished[PORTS], ended[PORTS];
};

struct world {
    struct bench bench;
    struct program program[2];
    uint64_t most[2][PORTS]; /* written, in any course of events; not put back with an end */
    unsigned next_port;
    bool strict; /* no end was put back: what is written is what `written` says */
};

/* What is put back: memory, program, and the source of the epochs. */
struct copy {
    void *memory[2];
    uint64_t seed[2];
    struct program program[2];
    uint8_t *wire[2];
    size_t wire_len[2];
    uint64_t now;
    unsigned next_port;
    uint64_t most[2][PORTS];
};

static const char *what;
static unsigned where, from;

#define assert_fault(condition, text)                                                              \
    cr_assert((condition), "%s: %s behind step %u (copy of step %u)", (text), what, where, from)

static uint8_t byte_of(unsigned port, int side, uint64_t at)
{
    uint64_t seed = (uint64_t)port << 33 | (uint64_t)(unsigned)side << 32 | at;

    return (uint8_t)bench_random(&seed);
}

/* ---- the programs --------------------------------------------------------------------------------------------------- */

static void on_event(struct bench_end *end, const vpc_session_event *event)
{
    struct world *world = end->user;
    struct program *program = &world->program[end->side];

    for (unsigned i = 0; i < PAIRS; i++) {
        if (event->kind == VPC_EV_PAIR_RELEASED && program->pairs[i] == event->pair)
            program->pairs[i] = NULL;
        if (event->kind == VPC_EV_PAIR_REQUEST && program->pairs[i] == NULL) {
            program->pairs[i] = event->pair;
            break;
        }
    }
    assert_fault(!world->strict || event->kind != VPC_EV_VIOLATION, event->text);
}

static void open_pair(struct world *world)
{
    struct program *program = &world->program[HOST];
    vpc_pair *pair =
        vpc_pair_open(world->bench.end[HOST].session, (uint16_t)world->next_port, 1000);

    if (pair == NULL)
        return;
    assert_fault(++world->next_port < PORTS, "too many pairs");
    for (unsigned i = 0; i < PAIRS; i++)
        if (program->pairs[i] == NULL) {
            program->pairs[i] = pair;
            return;
        }
    assert_fault(false, "more pairs than max_pairs");
}

static void write_to(struct world *world, int side, vpc_pair *pair)
{
    struct program *program = &world->program[side];
    unsigned port = vpc_pair_port(pair);
    uint8_t bytes[70];

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = byte_of(port, side, program->written[port] + i);
    program->written[port] += vpc_pair_write(pair, bytes, sizeof(bytes));
    if (world->most[side][port] < program->written[port])
        world->most[side][port] = program->written[port];
}

static void read_from(struct world *world, int side, vpc_pair *pair)
{
    struct program *program = &world->program[side];
    unsigned port = vpc_pair_port(pair);
    const void *octets;
    size_t n;

    while ((n = vpc_pair_read(pair, &octets)) > 0) {
        for (size_t i = 0; i < n; i++)
            assert_fault(((const uint8_t *)octets)[i] ==
                             byte_of(port, !side, program->received[port] + i),
                         "a byte of another pair or place");
        program->received[port] += n;
        assert_fault(program->received[port] <= world->most[!side][port],
                     "more bytes than were written");
        vpc_pair_delivered(pair, n);
    }
    if (!vpc_pair_at_end(pair))
        return;
    assert_fault(!world->strict || (world->program[!side].finished[port] &&
                                    program->received[port] == world->program[!side].written[port]),
                 "an end before the last byte");
    program->ended[port] = true;
    vpc_pair_end_delivered(pair);
}

static void answer(struct world *world, int side, vpc_pair *pair)
{
    (void)world;
    if (side == GUEST && vpc_pair_sending_state(pair) == VPC_CHANNEL_OPENING)
        vpc_pair_opened(pair);
}

static void finish(struct world *world, int side, vpc_pair *pair)
{
    if (vpc_pair_sending_state(pair) != VPC_CHANNEL_OPEN)
        return;
    world->program[side].finished[vpc_pair_port(pair)] = true;
    vpc_pair_finish(pair);
}

static void reset(struct world *world, int side, vpc_pair *pair)
{
    (void)world, (void)side;
    vpc_pair_reset(pair, 104);
}

/* ---- the script ------------------------------------------------------------------------------------------------------- */

/* What the programs do in a round, to every pair of that end. */
static const struct deed {
    bool open;
    void (*host)(struct world *, int, vpc_pair *);
    void (*guest)(struct world *, int, vpc_pair *);
} deeds[ROUNDS] = {
    [2] = {.open = true},
    [3] = {true, write_to, answer},
    [4] = {false, write_to, answer},
    [5] = {false, write_to, write_to},
    [6] = {false, read_from, read_from},
    [7] = {true, write_to, write_to},
    [8] = {false, finish, answer},
    [9] = {false, read_from, read_from},
    [10] = {false, read_from, finish},
    [11] = {true, read_from, read_from},
    [12] = {false, reset, write_to},
    [13] = {false, read_from, answer},
};

static void for_each_pair(struct world *world, int side,
                          void (*deed)(struct world *, int, vpc_pair *))
{
    for (unsigned i = 0; i < PAIRS && deed != NULL; i++)
        if (world->program[side].pairs[i] != NULL)
            deed(world, side, world->program[side].pairs[i]);
}

static void do_step(struct world *world, unsigned n)
{
    struct bench *b = &world->bench;
    const struct deed *deed = &deeds[n / (1 + WIRE_STEPS)];
    unsigned k = n % (1 + WIRE_STEPS);
    struct bench_end *end = &b->end[k <= 3 ? HOST : GUEST];

    if (k == 0) {
        if (deed->open)
            open_pair(world);
        for_each_pair(world, HOST, deed->host);
        for_each_pair(world, GUEST, deed->guest);
        vpc_session_clock(b->end[HOST].session, b->now += 100);
        vpc_session_clock(b->end[GUEST].session, b->now);
    } else if (k % 3 == 1) {
        bench_collect(end);
    } else {
        bench_deliver(end, k % 3 == 2 ? end->wire_len / 2 : SIZE_MAX);
    }
}

static void begin(struct world *world)
{
    memset(world, 0, sizeof(*world));
    bench_init(&world->bench);
    for (int side = HOST; side <= GUEST; side++) {
        world->bench.end[side].hook = on_event;
        world->bench.end[side].user = world;
    }
    world->next_port = 1;
    world->strict = true;
    bench_up(&world->bench);
}

/* ---- what must hold afterwards ------------------------------------------------------------------------------------------ */

static unsigned pairs_left(struct world *world)
{
    unsigned down;

    return vpc_session_pairs(world->bench.end[HOST].session, &down) +
           vpc_session_pairs(world->bench.end[GUEST].session, &down);
}

/* The programs read, and give up the pairs that do not end by themselves. */
static void wind_up(struct world *world)
{
    for (unsigned i = 0; i < 6; i++)
        for (int side = HOST; side <= GUEST; side++) {
            for_each_pair(world, side, answer);
            for_each_pair(world, side, read_from);
            for_each_pair(world, side, i < 3 ? finish : reset);
            bench_run(&world->bench);
        }
}

static void expect_transfer(struct world *world)
{
    unsigned port = world->next_port;

    open_pair(world);
    for (unsigned i = 0; i < 3; i++)
        for (int side = HOST; side <= GUEST; side++) {
            bench_run(&world->bench);
            for_each_pair(world, side, answer);
            for_each_pair(world, side, i == 1 ? write_to : i == 2 ? finish : NULL);
        }
    wind_up(world);
    for (int side = HOST; side <= GUEST; side++)
        assert_fault(world->program[side].received[port] == 70 && world->program[side].ended[port],
                     "a new pair does not work");
}

static void expect_recovery(struct world *world)
{
    struct bench *b = &world->bench;

    bench_wait_ready(b);
    bench_pass(
        b, 2100); /* two heartbeats: a frame that was cut is completed, a loss at the end seen */
    bench_wait_ready(b);
    wind_up(world);
    assert_fault(pairs_left(world) == 0, "a pair is left");
    expect_transfer(world);
    assert_fault(pairs_left(world) == 0, "a pair is left");
}

/* ---- copies -------------------------------------------------------------------------------------------------------------- */

static size_t memory_size(const struct world *world, int side)
{
    return vpc_session_size(&world->bench.end[side].config);
}

static void take_copy(const struct world *world, struct copy *copy)
{
    for (int side = HOST; side <= GUEST; side++) {
        const struct bench_end *end = &world->bench.end[side];

        copy->memory[side] = malloc(memory_size(world, side));
        copy->wire[side] = malloc(end->wire_len + 1);
        cr_assert(copy->memory[side] != NULL && copy->wire[side] != NULL);
        memcpy(copy->memory[side], end->session, memory_size(world, side));
        if (end->wire_len > 0)
            memcpy(copy->wire[side], end->wire, end->wire_len);
        copy->wire_len[side] = end->wire_len;
        copy->seed[side] = end->seed;
        copy->program[side] = world->program[side];
    }
    copy->now = world->bench.now;
    copy->next_port = world->next_port;
    memcpy(copy->most, world->most, sizeof(copy->most));
}

static void put_back_end(struct world *world, const struct copy *copy, int side)
{
    struct bench_end *end = &world->bench.end[side];

    memcpy(end->session, copy->memory[side], memory_size(world, side));
    end->seed = copy->seed[side];
    world->program[side] = copy->program[side];
}

static void put_back_all(struct world *world, const struct copy *copy)
{
    for (int side = HOST; side <= GUEST; side++) {
        put_back_end(world, copy, side);
        world->bench.end[side].wire_len = 0;
        bench_inject(&world->bench.end[side], copy->wire[side], copy->wire_len[side]);
    }
    world->bench.now = copy->now;
    world->next_port = copy->next_port;
    memcpy(world->most, copy->most, sizeof(copy->most));
    world->strict = true;
}

/* ---- the faults ----------------------------------------------------------------------------------------------------------- */

static void lose_all(struct world *world, int side)
{
    bench_lose(&world->bench.end[side], 0, SIZE_MAX);
}

static void lose_run(struct world *world, int side)
{
    struct bench_end *end = &world->bench.end[side];

    bench_lose(end, end->wire_len / 3, 1 + end->wire_len / 4);
}

static void lose_octet(struct world *world, int side)
{
    struct bench_end *end = &world->bench.end[side];

    bench_lose(end, end->wire_len / 2, 1);
}

/* In the same memory, so that the copies of it stay good. */
static void crash(struct world *world, int side)
{
    struct bench_end *end = &world->bench.end[side];

    memset(world->program[side].pairs, 0, sizeof(world->program[side].pairs));
    end->session = vpc_session_init(end->session, &end->config, world->bench.now);
    vpc_session_set_ready(end->session, true);
    vpc_session_transport(end->session, true);
}

static void crash_and_lose(struct world *world, int side)
{
    lose_all(world, side);
    crash(world, side);
}

static void one_transport(struct world *world, int side)
{
    struct bench_end *end = &world->bench.end[side];

    lose_all(world, side);
    vpc_session_transport(end->session, false);
    vpc_session_transport(end->session, true);
}

static void both_transports(struct world *world, int side)
{
    one_transport(world, side);
    one_transport(world, !side);
}

static const struct fault {
    const char *name;
    void (*strike)(struct world *, int);
} faults[] = {
    {"what is on the wire is lost", lose_all},
    {"a run is lost", lose_run},
    {"an octet is lost", lose_octet},
    {"an end crashes", crash},
    {"an end crashes, its octets are lost", crash_and_lose},
    {"a transport goes down", one_transport},
    {"both transports go down", both_transports},
};

#define FAULTS (sizeof(faults) / sizeof(faults[0]))

/* ---- the tests -------------------------------------------------------------------------------------------------------------- */

static void make_copies(struct world *world, struct copy *copies)
{
    begin(world);
    for (unsigned n = 0; n < STEPS; n++) {
        do_step(world, n);
        take_copy(world, &copies[n]);
    }
}

static void finish_script(struct world *world, unsigned n)
{
    while (++n < STEPS)
        do_step(world, n);
    expect_recovery(world);
}

static void free_all(struct world *world, struct copy *copies)
{
    for (unsigned n = 0; n < STEPS; n++)
        for (int side = HOST; side <= GUEST; side++) {
            free(copies[n].memory[side]);
            free(copies[n].wire[side]);
        }
    bench_free(&world->bench);
}

Test(faults, none, .timeout = 60)
{
    static struct world world;

    what = "no fault";
    begin(&world);
    for (unsigned n = 0; n < STEPS; n++)
        do_step(&world, n);
    /* The script is worth its name: bytes went both ways, ends arrived, the guest was asked three times. */
    cr_assert(world.program[GUEST].received[1] >= 140 && world.program[HOST].received[1] >= 70);
    cr_assert(world.program[GUEST].ended[1]);
    cr_assert_eq(world.bench.end[GUEST].count[VPC_EV_PAIR_REQUEST], 4);
    expect_recovery(&world);
    cr_assert_eq(world.bench.end[HOST].count[VPC_EV_SESSION_DOWN], 0);
    bench_free(&world.bench);
}

Test(faults, every_fault_behind_every_step, .timeout = 600)
{
    static struct world world;
    static struct copy copies[STEPS];

    make_copies(&world, copies);
    for (size_t f = 0; f < FAULTS; f++)
        for (unsigned n = 0; n < STEPS; n++)
            for (int side = HOST; side <= GUEST; side++) {
                what = faults[f].name;
                where = from = n;
                put_back_all(&world, &copies[n]);
                faults[f].strike(&world, side);
                finish_script(&world, n);
            }
    free_all(&world, copies);
}

/* FAULTS_EVERY=1 tries every M (`make walk`); otherwise every third before N, another third for each N. */
Test(faults, an_end_is_put_back_behind_every_step, .timeout = 3600)
{
    static struct world world;
    static struct copy copies[STEPS];
    const char *every = getenv("FAULTS_EVERY");
    unsigned stride = every != NULL ? (unsigned)strtoul(every, NULL, 10) : 3;

    cr_assert(stride > 0, "FAULTS_EVERY is 1 or more");
    make_copies(&world, copies);
    what = "an end is put back";
    for (where = 0; where < STEPS; where++)
        for (from = where % stride; from < where; from += stride)
            for (int side = HOST; side <= GUEST; side++)
                for (int lost = 0; lost < 2; lost++) {
                    put_back_all(&world, &copies[where]);
                    world.strict = false;
                    if (lost)
                        lose_all(&world, side);
                    put_back_end(&world, &copies[from], side);
                    finish_script(&world, where);
                }
    free_all(&world, copies);
}
