/* SPDX-License-Identifier: MIT */
/*
 * Two cores back to back: honest programs on both sides, and between them a wire that delivers any number of octets at
 * any time, is cut, loses octets from its middle; either side crashes, comes back, resets, stops, at any moment.
 *
 * Input   one octet: the windows; then steps of four octets: what happens, to whom, how much.
 * Goal    What arrives is a prefix of what was sent in the same session, all of it when the end arrives; no honest message
 *         is a violation; when the faults are over both sides become ready, every pair is released, and a new one works.
 * Never   A byte, a request or an end crosses from one session to another.
 *
 * The wire keeps at most PAD_KEPT octets of each run of padding.  That is one more loss from the middle, which the two
 * must bear anyway, and it makes a run some hundred times shorter.
 */
#include "input.h"
#include "internal.h"
#include "steps.h"

#include <stdlib.h>

#define MAX_PAIRS 2u
#define FLOWS     32u
#define PAD_KEPT  600u
#define WIRE_SIZE 16384u
#define WAIT_MS   90000u /* simulated: two dead-peer limits, the longest backoff, and something */
#define SETTLE_MS 5000u  /* a receiver that waits for the rest of a broken frame is late by then */

enum side { HOST, GUEST };

/* One direction of a pair. */
struct way {
    uint64_t sent, received;
    bool finished; /* the sender finished: the end comes behind `sent` */
};

struct flow {
    uint64_t session; /* in which the host opened it */
    bool requested;   /* the guest has heard of it */
    struct way way[2];
};

struct end {
    enum side side;
    struct run *run;
    vpc_session_config config;
    vpc_session *session;
    vpc_pair *pairs[MAX_PAIRS];
    uint64_t draws, drawn_before; /* epochs drawn so far, and when it last started */
    unsigned downs;               /* sessions lost */
    uint8_t wire[WIRE_SIZE];      /* sent and not yet arrived */
    size_t wire_len, pads;        /* pads: how many of them end the wire */
};

struct run {
    struct end end[2];
    struct flow flows[FLOWS]; /* by the pair's port */
    unsigned next_port;
    uint64_t now;
};

static void require(bool condition)
{
    if (!condition)
        abort();
}

static uint8_t byte_of(unsigned port, int from, uint64_t at)
{
    uint64_t x = (at << 8 | port << 1 | (unsigned)from) * UINT64_C(0x9E3779B97F4A7C15);

    return (uint8_t)(x >> 56);
}

static uint64_t draw(void *user)
{
    struct end *end = user;

    return ++end->draws << 1 | end->side;
}

static struct end *peer_of(struct end *end)
{
    return &end->run->end[!end->side];
}

/* ---- programs ------------------------------------------------------------------------------------------------------ */

static struct flow *flow_of(struct end *end, const vpc_pair *pair)
{
    unsigned port = vpc_pair_port(pair);

    require(port >= 1 && port < end->run->next_port);
    return &end->run->flows[port];
}

static void add_pair(struct end *end, vpc_pair *pair)
{
    unsigned i = 0;

    while (i < MAX_PAIRS && end->pairs[i] != NULL)
        i++;
    require(i < MAX_PAIRS);
    end->pairs[i] = pair;
}

static void on_request(struct end *end, vpc_pair *pair)
{
    struct flow *flow = flow_of(end, pair);

    require(end->side == GUEST && !flow->requested && flow->session == end->session->id);
    flow->requested = true;
    add_pair(end, pair);
}

static void on_released(struct end *end, const vpc_pair *pair)
{
    unsigned i = 0;

    while (i < MAX_PAIRS && end->pairs[i] != pair)
        i++;
    require(i < MAX_PAIRS);
    end->pairs[i] = NULL;
}

static void on_event(void *user, const vpc_session_event *event)
{
    struct end *end = user;

    require(event->kind != VPC_EV_VIOLATION && event->kind != VPC_EV_MISMATCH);
    if (event->kind == VPC_EV_SESSION_DOWN)
        end->downs++;
    else if (event->kind == VPC_EV_PAIR_REQUEST)
        on_request(end, event->pair);
    else if (event->kind == VPC_EV_PAIR_RELEASED)
        on_released(end, event->pair);
    else if (event->kind == VPC_EV_PAIR_RESET && event->value != 0)
        vpc_pair_reset(event->pair, (uint32_t)event->value); /* CLS-5 */
}

static void open_pair(struct end *end)
{
    struct run *run = end->run;
    vpc_pair *pair =
        run->next_port < FLOWS ? vpc_pair_open(end->session, (uint16_t)run->next_port, 1000) : NULL;

    if (pair == NULL)
        return;
    run->flows[run->next_port++].session = end->session->id;
    add_pair(end, pair);
}

static void write_some(struct end *end, vpc_pair *pair, size_t n)
{
    struct way *way = &flow_of(end, pair)->way[end->side];
    uint8_t bytes[256];
    size_t taken;

    for (size_t i = 0; i < n; i++)
        bytes[i] = byte_of(vpc_pair_port(pair), end->side, way->sent + i);
    taken = vpc_pair_write(pair, bytes, n);
    require(taken <= n && !(way->finished && taken > 0));
    way->sent += taken;
}

static void read_some(struct end *end, vpc_pair *pair, size_t most)
{
    struct way *way = &flow_of(end, pair)->way[!end->side];
    const void *octets;
    const uint8_t *bytes;
    size_t n = vpc_pair_read(pair, &octets);

    bytes = octets;
    n = n < most ? n : most;
    for (size_t i = 0; i < n; i++)
        require(bytes[i] == byte_of(vpc_pair_port(pair), !end->side, way->received + i));
    vpc_pair_delivered(pair, n);
    way->received += n;
    require(way->received <= way->sent);
}

static void take_end(struct end *end, vpc_pair *pair)
{
    struct way *way = &flow_of(end, pair)->way[!end->side];

    if (!vpc_pair_at_end(pair))
        return;
    require(way->finished && (pair->discarding || way->received == way->sent));
    vpc_pair_end_delivered(pair);
}

static void finish(struct end *end, vpc_pair *pair)
{
    flow_of(end, pair)->way[end->side].finished = true;
    vpc_pair_finish(pair);
}

static bool unanswered(const struct end *end, const vpc_pair *pair)
{
    return end->side == GUEST && vpc_pair_sending_state(pair) == VPC_CHANNEL_OPENING;
}

static void act(struct end *end, vpc_pair *pair, unsigned deed, unsigned n)
{
    if (pair == NULL)
        return;
    switch (deed % 16) {
    case 0:
    case 1:
    case 2:
    case 3:
        if (unanswered(end, pair))
            vpc_pair_opened(pair);
        else
            write_some(end, pair, n % 256);
        break;
    case 4:
        if (unanswered(end, pair))
            vpc_pair_refused(pair, 1 + n);
        break;
    case 5:
    case 6:
    case 7:
    case 8:
        read_some(end, pair, n);
        break;
    case 9:
    case 10:
        take_end(end, pair);
        break;
    case 11:
    case 12:
        finish(end, pair);
        break;
    case 13:
        vpc_pair_discard(pair);
        break;
    case 14:
        vpc_pair_reset(pair, n);
        break;
    default:
        vpc_pair_stop_reading(pair);
        break;
    }
}

/* ---- the wire -------------------------------------------------------------------------------------------------------- */

/* How many octets of padding there are at the start; in blocks, since there may be many. */
static size_t padding(const uint8_t *octets, size_t n)
{
    static uint8_t pads[4096];
    size_t at = 0;

    pads[0] == VPC_PAD ? NULL : memset(pads, VPC_PAD, sizeof(pads));
    while (n - at >= sizeof(pads) && memcmp(octets + at, pads, sizeof(pads)) == 0)
        at += sizeof(pads);
    while (at < n && octets[at] == VPC_PAD)
        at++;
    return at;
}

/* Puts octets on the wire while there is room; returns how many were taken. */
static size_t put(struct end *end, const uint8_t *octets, size_t n)
{
    size_t at = 0;

    while (at < n && end->wire_len < WIRE_SIZE) {
        size_t pads = padding(octets + at, n - at);

        if (pads > 0 && end->pads + pads > PAD_KEPT) {
            at += end->pads < PAD_KEPT ? pads - (PAD_KEPT - end->pads) : pads;
            pads = end->pads < PAD_KEPT ? PAD_KEPT - end->pads : 0;
        }
        end->pads = pads > 0 || end->pads >= PAD_KEPT ? end->pads : 0;
        if (pads > 0) {
            pads = pads < WIRE_SIZE - end->wire_len ? pads : WIRE_SIZE - end->wire_len;
            memset(end->wire + end->wire_len, VPC_PAD, pads);
            end->wire_len += pads;
            end->pads += pads;
            at += pads;
        } else if (at < n && octets[at] != VPC_PAD) {
            end->wire[end->wire_len++] = octets[at++];
            end->pads = 0;
        }
    }
    return at;
}

static size_t collect(struct end *end)
{
    const void *octets;
    size_t n, total = 0;

    while (end->wire_len < WIRE_SIZE && (n = vpc_session_output(end->session, &octets)) > 0) {
        n = put(end, octets, n);
        vpc_session_sent(end->session, n);
        total += n;
        require(total < 8u << 20); /* it sends without end */
    }
    return total;
}

/* n octets of the wire, from `at` on, are lost. */
static void lose(struct end *end, size_t at, size_t n)
{
    if (at >= end->wire_len)
        return;
    n = n < end->wire_len - at ? n : end->wire_len - at;
    memmove(end->wire + at, end->wire + at + n, end->wire_len - at - n);
    end->wire_len -= n;
}

static size_t deliver(struct end *end, size_t n)
{
    size_t at = 0;

    n = n < end->wire_len ? n : end->wire_len;
    while (at < n) {
        size_t piece = n - at < FUZZ_LARGEST ? n - at : FUZZ_LARGEST;

        vpc_session_input(peer_of(end)->session, fuzz_at_edge(end->wire + at, piece), piece);
        at += piece;
    }
    lose(end, 0, n);
    return n;
}

/* ---- life ------------------------------------------------------------------------------------------------------------ */

static void start(struct end *end)
{
    end->drawn_before = end->draws;
    memset(end->pairs, 0, sizeof(end->pairs));
    end->session = vpc_session_init(end->session, &end->config, end->run->now);
    vpc_session_set_ready(end->session, true);
    vpc_session_transport(end->session, true);
}

static void make(struct run *run, enum side side, unsigned windows)
{
    static void *memory[2]; /* of all runs: a session's own set-up is all that it needs */
    static const uint32_t sizes[] = {1, 7, 40, 64};
    struct end *end = &run->end[side];

    end->side = side;
    end->run = run;
    end->config = (vpc_session_config){
        .role = side == HOST ? VPC_HOST : VPC_GUEST,
        .version_min = VPC_VERSION_1_0,
        .version_max = VPC_VERSION_1_0,
        .max_pairs = MAX_PAIRS,
        .window = sizes[windows % 4],
        .send_buffer = sizes[windows / 4 % 4],
        .hello_interval_ms = 1000,
        .heartbeat_ms = 1000,
        .heartbeat_late_ms = 3000,
        .peer_limit_ms = 30000,
        .backoff_max_ms = 5000,
        .tag = "TAG",
        .name = "fuzz",
        .random = draw,
        .on_event = on_event,
        .user = end,
    };
    if (memory[side] == NULL) {
        vpc_session_config largest = end->config;

        largest.window = largest.send_buffer = 64;
        memory[side] = malloc(vpc_session_size(&largest));
    }
    end->session = memory[side];
    end->wire_len = end->pads = end->draws = 0;
    end->downs = 0;
    start(end);
}

static void tick(struct run *run, uint64_t ms)
{
    run->now += ms;
    vpc_session_clock(run->end[HOST].session, run->now);
    vpc_session_clock(run->end[GUEST].session, run->now);
}

static void check(const struct end *end)
{
    unsigned down, held = 0, count = vpc_session_pairs(end->session, &down);

    for (unsigned i = 0; i < MAX_PAIRS; i++) {
        const vpc_pair *pair = end->pairs[i];

        if (pair == NULL)
            continue;
        held++;
        require(pair->receiving.offset <= pair->receiving.limit);
        require(pair->sending.state != VPC_CHANNEL_OPEN ||
                pair->sending.offset <= pair->sending.limit);
    }
    require(held == count && down <= count);
}

static void step(struct run *run, const uint8_t step[4])
{
    struct end *end = &run->end[step[1] & 1];
    unsigned n = step[2] | (unsigned)step[3] << 8;

    switch (step[0] % 24) {
    case 0:
        open_pair(&run->end[HOST]);
        break;
    case 1:
        tick(run, n % 4096);
        break;
    case 2:
        tick(run, n);
        break;
    case 3:
    case 4:
    case 5:
        collect(end);
        break;
    case 6:
    case 7:
        deliver(end, n % 256);
        break;
    case 8:
    case 9:
        collect(end);
        deliver(end, n);
        break;
    case 10: /* cut at any place */
        if (end->wire_len > 0)
            lose(end, n % end->wire_len, WIRE_SIZE);
        break;
    case 11: /* from the middle */
        lose(end, step[2] * (step[1] & 2 ? 1u : 16u), 1u + step[3]);
        break;
    case 12: /* crash */
        start(end);
        break;
    case 13: /* restored: the same random numbers again; the other one's are fresh (SES-5) */
        run->end[GUEST].draws = run->end[GUEST].drawn_before;
        start(&run->end[GUEST]);
        break;
    case 14: /* what was on the way is lost, or comes late */
        vpc_session_transport(end->session, step[1] & 2);
        lose(end, 0, n);
        break;
    case 15:
        if (step[1] == 0xFF)
            vpc_session_stop(end->session);
        break;
    default:
        act(end, end->pairs[step[2] % MAX_PAIRS], step[1] >> 4, step[3]);
        break;
    }
    check(&run->end[HOST]);
    check(&run->end[GUEST]);
}

/* ---- the end of a run ------------------------------------------------------------------------------------------------ */

static void exchange(struct run *run)
{
    size_t moved;
    unsigned rounds = 0;

    do {
        moved = 0;
        for (int side = HOST; side <= GUEST; side++) {
            moved += collect(&run->end[side]);
            moved += deliver(&run->end[side], WIRE_SIZE);
        }
        require(rounds++ < 1000); /* they never become quiet */
    } while (moved > 0);
}

static bool both_ready(const struct run *run)
{
    return vpc_session_state(run->end[HOST].session) == VPC_SESSION_READY &&
           vpc_session_state(run->end[GUEST].session) == VPC_SESSION_READY &&
           run->end[HOST].session->id == run->end[GUEST].session->id;
}

/* No more faults: both become ready. */
static void recover(struct run *run)
{
    uint64_t limit = run->now + WAIT_MS;

    for (int side = HOST; side <= GUEST; side++) {
        struct end *end = &run->end[side];

        if (vpc_session_state(end->session) == VPC_SESSION_STOPPED)
            start(end);
        vpc_session_transport(end->session, true);
    }
    exchange(run);
    while (!both_ready(run) || run->now + WAIT_MS < limit + SETTLE_MS) {
        uint64_t host = vpc_session_deadline(run->end[HOST].session);
        uint64_t guest = vpc_session_deadline(run->end[GUEST].session);
        uint64_t at = host < guest ? host : guest;

        require(run->now < limit);
        tick(run, at > run->now ? at - run->now : 1);
        exchange(run);
    }
}

static unsigned pairs_of(struct run *run)
{
    unsigned down;

    return vpc_session_pairs(run->end[HOST].session, &down) +
           vpc_session_pairs(run->end[GUEST].session, &down);
}

/* The programs come to an end: they read what there is, and finish. */
static void wind_up(struct run *run)
{
    for (unsigned rounds = 0; pairs_of(run) > 0; rounds++) {
        require(rounds < 2000); /* a pair is never released */
        for (int side = HOST; side <= GUEST; side++)
            for (unsigned i = 0; i < MAX_PAIRS; i++) {
                struct end *end = &run->end[side];
                vpc_pair *pair = end->pairs[i];

                if (pair == NULL)
                    continue;
                if (unanswered(end, pair))
                    vpc_pair_opened(pair);
                read_some(end, pair, SIZE_MAX);
                take_end(end, pair);
                finish(end, pair);
            }
        exchange(run);
    }
}

/* After all that a new pair carries bytes both ways to their ends. */
static void try_a_pair(struct run *run)
{
    struct flow *flow = &run->flows[run->next_port];

    open_pair(&run->end[HOST]);
    require(run->end[HOST].pairs[0] != NULL);
    exchange(run);
    require(flow->requested);
    vpc_pair_opened(run->end[GUEST].pairs[0]);
    exchange(run);
    for (int side = HOST; side <= GUEST; side++)
        write_some(&run->end[side], run->end[side].pairs[0], 100);
    wind_up(run);
    for (int side = HOST; side <= GUEST; side++)
        require(flow->way[side].sent > 0 && flow->way[side].received == flow->way[side].sent);
}

/* For the mutator. */
size_t fuzz_step_size(const uint8_t *at, size_t left)
{
    (void)at;
    return left < 4 ? left : 4;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct run run;
    unsigned downs;

    if (size < 1 || size > FUZZ_LARGEST)
        return 0;
    memset(run.flows, 0, sizeof(run.flows));
    run.next_port = 1;
    run.now = 1000;
    make(&run, HOST, data[0] & 15u);
    make(&run, GUEST, data[0] >> 4);
    if (!(size & 1)) /* most begin in a session, some without one */
        exchange(&run);
    for (size_t at = 1; size - at >= 4; at += 4)
        step(&run, data + at);
    recover(&run);
    downs = run.end[HOST].downs + run.end[GUEST].downs;
    wind_up(&run);
    if (run.next_port < FLOWS)
        try_a_pair(&run);
    require(run.end[HOST].downs + run.end[GUEST].downs == downs && both_ready(&run));
    return 0;
}
