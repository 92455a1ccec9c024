/* SPDX-License-Identifier: MIT */
/*
 * Random walks over the whole ABI: two endpoints with each other, and each of them with a peer that keeps no rule.  What
 * the rig watches must hold at every step; at the end of a round everything is given back, and no memory is held more
 * than after the round before.
 *
 * VPC_WALK_SEED=N runs one seed only, VPC_WALK_ROUNDS=N as many rounds of it.
 */
#include "heap.h"
#include "peer.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

TestSuite(walk, .timeout = 300);

#define SEEDS  25
#define ROUNDS 4
#define STEPS  150

static struct rig rig;
static struct peer peer;
static struct {
    uint64_t seed;
    unsigned round, step;
    bool done;
} at;

/* Runs after a failed test too. */
static void say_seed(void)
{
    if (!at.done)
        fprintf(stderr, "the walk failed at VPC_WALK_SEED=%llu, round %u, step %u\n",
                (unsigned long long)at.seed, at.round, at.step);
}

static unsigned pick(unsigned n)
{
    return (unsigned)(rig_random(&rig) >> 11) % n;
}

static struct stream *pick_stream(struct side *side)
{
    struct stream *stream = &side->streams[pick(STREAMS)];

    for (unsigned i = 0; i < STREAMS && stream->state != STREAM_LIVE; i++)
        stream = &side->streams[(stream - side->streams + 1) % STREAMS];
    return stream;
}

/* ---- what can happen ---- */

static void start(struct side *side)
{
    static const char *const names[] = {"a", "A", "b", "c", "d", "e"};
    static unsigned port;

    if (side->role == VPC_ROLE_HOST)
        rig_ask_start(&rig, names[pick(6)], 1 + port++ % 65535);
}

static void open_pipe(struct side *side)
{
    for (unsigned i = 0; i < STREAMS && side->role == VPC_ROLE_HOST; i++) {
        struct stream *stream = &side->streams[i];

        if (stream->state != STREAM_LISTENING || pick(2))
            continue;
        stream->state = STREAM_LIVE;
        vpc_endpoint_abi_v1.stream_opened(side->ep, stream->id, 0);
        rig_take(side);
    }
}

static void write_some(struct side *side)
{
    struct stream *stream = pick_stream(side);

    if (stream->state == STREAM_LIVE && !stream->finish)
        stream->to_write += pick(10) ? pick(3000) : 100000;
}

static void throttle(struct side *side)
{
    struct stream *stream = pick_stream(side);

    stream->may_read = pick(3) ? UINT64_MAX : stream->read + pick(500);
}

static void finish(struct side *side)
{
    struct stream *stream = pick_stream(side);

    if (stream->state == STREAM_LIVE)
        stream->finish = true;
}

static void gone(struct side *side)
{
    static const int errors[] = {0, ECONNRESET, EPIPE};
    struct stream *stream = pick_stream(side);

    if (stream->state == STREAM_LIVE)
        rig_gone(side, stream, errors[pick(3)]);
}

/* Calls about streams that are not there, or not in that state, do nothing. */
static void nonsense(struct side *side)
{
    const void *octets;
    uint32_t id = pick(4) ? side->last_stream + 1 + pick(3) : UINT32_MAX;

    vpc_endpoint_abi_v1.stream_opened(side->ep, id, (int)pick(2));
    vpc_endpoint_abi_v1.stream_eof(side->ep, id);
    vpc_endpoint_abi_v1.stream_gone(side->ep, id, (int)pick(2));
    vpc_endpoint_abi_v1.stream_sent(side->ep, id, 1);
    cr_assert_eq(vpc_endpoint_abi_v1.stream_input(side->ep, id, "x", 1), 0);
    cr_assert_eq(vpc_endpoint_abi_v1.stream_output(side->ep, id, &octets), 0);
    vpc_endpoint_abi_v1.stream_listening(side->ep, id, 0, "");
    rig_take(side);
}

static void stop_pipe(struct side *side)
{
    rig_say(side, 1 + pick(3),
            pick(2) ? "{\"execute\": \"stop\", \"id\": 4, \"arguments\": {\"pipe\": "
                      "\"\\\\\\\\.\\\\pipe\\\\a\"}}"
                    : "{\"execute\": \"query-devices\", \"id\": {\"a\": [1]}}");
}

static void vanish(struct side *side)
{
    vpc_endpoint_abi_v1.control_close(side->ep, 1 + pick(3));
    vpc_endpoint_abi_v1.control_open(side->ep, 1 + pick(3));
    rig_take(side);
}

static void garble(struct side *side)
{
    char line[60];

    for (size_t i = 0; i < sizeof(line); i++)
        line[i] = "{}[]\":,\\ aexcut1.-\0\xff"[pick(21)];
    vpc_endpoint_abi_v1.control_line(side->ep, 2, line, pick(sizeof(line)));
    rig_take(side);
}

static void change_answers(struct side *side)
{
    static const int errors[] = {0, 0, 0, ECONNREFUSED, ETIMEDOUT};

    side->connect_error = errors[pick(5)];
    side->listen_error = pick(8) ? 0 : pick(2) ? EADDRINUSE : EACCES;
    side->manual = pick(5) == 0;
}

static void let_time_pass(struct side *side)
{
    (void)side;
    rig_advance(&rig, pick(8) ? pick(300) : pick(40000));
}

static void block(struct side *side)
{
    side->mute = pick(2);
    rig.blocked = pick(3) == 0;
    rig.budget = rig.blocked || pick(2) ? 0 : 1 + pick(200000);
    rig.bus_chunk = pick(2) ? 0 : 1000 + pick(100000);
    rig.program_chunk = pick(2) ? 0 : 1 + pick(5000);
}

static void flap(struct side *side)
{
    (void)side;
    if (pick(8) == 0)
        rig_bus(&rig, !rig.bus);
    if (!rig.bus && pick(2))
        rig_bus(&rig, true);
}

static void (*const happenings[])(struct side *) = {
    start,    start,          open_pipe, open_pipe, write_some,    write_some, write_some,
    throttle, finish,         finish,    gone,      nonsense,      stop_pipe,  vanish,
    garble,   change_answers, block,     flap,      let_time_pass,
};

static void happen(struct side *side)
{
    happenings[pick(sizeof(happenings) / sizeof(happenings[0]))](side);
    rig_settle(&rig);
}

/* ---- the end of a round ---- */

static void expect_all_ended(struct side *side)
{
    json_t *value;

    for (unsigned i = 0; i < STREAMS; i++)
        cr_assert(side->streams[i].state == STREAM_FREE || side->streams[i].state == STREAM_ENDED,
                  "stream %u was not given back", side->streams[i].id);
    cr_assert_eq(side->opened, side->closed);
    value = rig_query(side, "query-stats");
    expect(value, "pairs_open=0");
    json_decref(value);
    json_array_clear(side->replies);
    cr_assert_neq(side->ready, 1);
}

static size_t end_round(void)
{
    struct side *sides[] = {&rig.host, &rig.guest};

    rig.blocked = false;
    rig.budget = 0;
    rig.host.manual = rig.guest.manual = rig.host.mute = rig.guest.mute = false;
    rig_settle(&rig);
    rig_bus(&rig, false);
    for (unsigned i = 0; i < 2; i++)
        if (sides[i]->ep != NULL)
            expect_all_ended(sides[i]);
    return heap_blocks();
}

static unsigned setting(const char *name, unsigned fallback)
{
    const char *text = getenv(name);

    return text != NULL ? (unsigned)strtoul(text, NULL, 10) : fallback;
}

static void for_all_seeds(void (*walk)(void))
{
    unsigned only = setting("VPC_WALK_SEED", 0);

    heap_begin();
    for (at.seed = only != 0 ? only : 1; at.seed <= (only != 0 ? only : SEEDS); at.seed++)
        walk();
    at.done = true;
}

static void run_rounds(void (*step)(void), void (*prepare)(void))
{
    size_t blocks = 0;

    rig.seed = at.seed * UINT64_C(0x9E3779B97F4A7C15);
    rig.forgetful = true;
    for (at.round = 0; at.round < setting("VPC_WALK_ROUNDS", ROUNDS); at.round++) {
        size_t now;

        prepare();
        for (at.step = 0; at.step < STEPS; at.step++)
            step();
        now = end_round();
        cr_assert(blocks == 0 || now == blocks, "%zu blocks held, %zu after the round before", now,
                  blocks);
        blocks = now;
    }
    rig_end(&rig);
}

/* ---- two endpoints ---- */

static void step_two(void)
{
    happen(pick(2) ? &rig.host : &rig.guest);
}

static void prepare_two(void)
{
    rig_bus(&rig, true);
    rig_advance(&rig, 10000);
}

static void walk_two(void)
{
    static const char *const options[] = {
        "{\"max_pairs\": 4}", "{\"max_pairs\": 2, \"window\": 1000}",
        "{\"window\": 70000, \"drain_ms\": 300}", "{\"pipe_open_ms\": 100, \"connect_ms\": 200}",
        "{\"peer_limit_ms\": 3000, \"heartbeat_late_ms\": 1500}"};

    rig_begin(&rig, options[at.seed % 5], options[at.seed / 5 % 5]);
    rig.faultless = true;
    run_rounds(step_two, prepare_two);
}

Test(walk, two_endpoints, .fini = say_seed)
{
    for_all_seeds(walk_two);
}

/* ---- one endpoint and a hostile peer ---- */

static void send_any(void)
{
    static const uint8_t types[] = {VPC_OPENED, VPC_OPENED,   VPC_REFUSED,  VPC_DATA,     VPC_DATA,
                                    VPC_DATA,   VPC_DATA,     VPC_CREDIT,   VPC_FIN,      VPC_RESET,
                                    VPC_RESET,  VPC_RELEASED, VPC_RELEASED, VPC_HEARTBEAT};
    static const uint32_t errors[] = {0, ECONNREFUSED, ETIMEDOUT, 71, UINT32_MAX};
    static uint8_t payload[VPC_PAYLOAD_MAX];
    bool host = peer.side->role == VPC_ROLE_HOST; /* the endpoint; the peer is its guest */
    struct peer_pair *pair = &peer.pairs[pick(PEER_PAIRS)];
    vpc_frame frame = {
        .type = types[pick(sizeof(types))],
        .error = errors[pick(5)],
        .limit = pick(20) ? 1000000 + (uint64_t)at.step : UINT64_MAX - pick(2),
        .payload = payload,
        .payload_len = 1 + (pick(8) ? pick(1000) : pick(VPC_PAYLOAD_MAX)),
    };
    bool theirs; /* a message that belongs on the channel that the peer sends on */

    if (!host && frame.type <= VPC_REFUSED)
        frame.type = VPC_HEARTBEAT;
    theirs = frame.type == VPC_DATA || frame.type == VPC_FIN ||
             ((frame.type == VPC_RESET || frame.type == VPC_RELEASED) && pick(2));
    frame.channel = theirs == host && frame.type > VPC_REFUSED ? pair->g2h : pair->h2g;
    if (pick(60) == 0)
        frame.channel = pick(40);
    frame.offset = pick(60) ? pair->sent : pick(1000);
    if (frame.type == VPC_DATA)
        pair->sent += frame.payload_len;
    if (frame.type == VPC_HEARTBEAT || frame.channel == 0)
        frame = (vpc_frame){.type = VPC_HEARTBEAT};
    peer_send(&peer, frame);
}

static void send_open(void)
{
    uint32_t id = 1 + 2 * peer.pair_count;
    uint32_t other = pick(50) ? id + 1 : pick(10) + 1;

    peer_send(&peer, (vpc_frame){.type = VPC_OPEN,
                                 .channel = id,
                                 .reverse_channel = other,
                                 .port = (uint16_t)(pick(9) ? 1 + pick(65535) : 0),
                                 .connect_ms = pick(1000),
                                 .limit = pick(100000)});
    peer_knows(&peer, id, other);
}

static void send_of_the_session(void)
{
    if (pick(30) == 0)
        peer_send(&peer, (vpc_frame){.type = VPC_GOODBYE, .cause = pick(3)});
    else if (peer.side->role == VPC_ROLE_HOST)
        peer_send(&peer, (vpc_frame){.type = VPC_READY, .ready = pick(4) > 0});
    if (pick(60) == 0)
        peer_octets(&peer, "\xb5V\x13", 3);
}

static void step_hostile(void)
{
    if (!rig.bus || !peer.side->in_session)
        peer_join(&peer, peer.side->role == VPC_ROLE_HOST);
    switch (pick(8)) {
    case 0:
    case 1:
    case 2:
    case 3:
        send_any();
        break;
    case 4:
        if (peer.side->role == VPC_ROLE_GUEST)
            send_open();
        break;
    case 5:
        send_of_the_session();
        break;
    default:
        happen(peer.side);
        peer_hear(&peer);
    }
}

static void prepare_hostile(void)
{
    peer_begin(&peer, peer.side);
    peer.epoch = (uint64_t)at.round << 32;
    peer_join(&peer, peer.side->role == VPC_ROLE_HOST);
}

static void walk_hostile_guest(void)
{
    rig_one(&rig, VPC_ROLE_HOST, "{\"max_pairs\": 3, \"drain_ms\": 400}");
    peer_begin(&peer, &rig.host);
    rig.unchecked = true;
    run_rounds(step_hostile, prepare_hostile);
}

static void walk_hostile_host(void)
{
    rig_one(&rig, VPC_ROLE_GUEST, "{\"max_pairs\": 3, \"drain_ms\": 400}");
    peer_begin(&peer, &rig.guest);
    rig.unchecked = true;
    run_rounds(step_hostile, prepare_hostile);
}

Test(walk, a_host_endpoint_and_a_hostile_guest, .fini = say_seed)
{
    for_all_seeds(walk_hostile_guest);
}

Test(walk, a_guest_endpoint_and_a_hostile_host, .fini = say_seed)
{
    for_all_seeds(walk_hostile_host);
}
