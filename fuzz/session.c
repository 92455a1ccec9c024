/* SPDX-License-Identifier: MIT */
/*
 * One session against a hostile peer that knows its epochs, and a local side that calls what it may, in any order.
 *
 * Input   one octet: the role and the habits of the local side; then steps, each an octet and its operands.
 * Never   More pairs or bytes than were granted, an output without end, a pair that outlives its session.
 *
 * The peer's frames are sealed here, since no fuzzer guesses a session id: what is fuzzed is what follows the seal.
 */
#include "input.h"
#include "internal.h"
#include "steps.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PAIRS 3u

struct run {
    struct fuzz_input input;
    vpc_session *session;
    vpc_pair *pairs[MAX_PAIRS];
    unsigned habits;
    uint64_t now, epoch;
};

#define HABIT_ANSWER 2u  /* opens what is asked for, in the callback */
#define HABIT_RESET  4u  /* resets the other channel, in the callback */
#define HABIT_READ   8u  /* reads in the callback */
#define HABIT_READY  16u /* changes its readiness in callbacks */
#define HABIT_REOPEN 32u /* opens another pair when one is released */

static unsigned take(struct run *run)
{
    return fuzz_octet(&run->input);
}

static uint64_t draw(void *user)
{
    struct run *run = user;

    return ++run->epoch; /* a peer may well guess it */
}

/* ---- the local side --------------------------------------------------------------------------------------------- */

static void read_all(vpc_pair *pair)
{
    const void *octets;
    size_t n;
    volatile uint8_t sum = 0;

    while ((n = vpc_pair_read(pair, &octets)) > 0) {
        for (size_t i = 0; i < n; i++)
            sum ^= ((const uint8_t *)octets)[i];
        vpc_pair_delivered(pair, n);
    }
    vpc_pair_end_delivered(pair);
}

static void add_pair(struct run *run, vpc_pair *pair)
{
    for (unsigned i = 0; i < MAX_PAIRS; i++)
        if (run->pairs[i] == NULL) {
            run->pairs[i] = pair;
            return;
        }
    abort(); /* more pairs than max_pairs */
}

static void remove_pair(struct run *run, const vpc_pair *pair)
{
    unsigned i = 0;

    while (i < MAX_PAIRS && run->pairs[i] != pair)
        i++;
    if (i == MAX_PAIRS)
        abort(); /* it was released before, or never made */
    run->pairs[i] = NULL;
}

static void open_pair(struct run *run, uint16_t port)
{
    vpc_pair *pair = vpc_pair_open(run->session, port, 1000);

    if (pair != NULL)
        add_pair(run, pair);
}

static void on_event(void *user, const vpc_session_event *event)
{
    struct run *run = user;

    if (strlen(event->text) > 200)
        abort();
    if (event->kind == VPC_EV_PAIR_REQUEST) {
        add_pair(run, event->pair);
        if (run->habits & HABIT_ANSWER)
            vpc_pair_opened(event->pair);
    } else if (event->kind == VPC_EV_PAIR_RELEASED) {
        remove_pair(run, event->pair);
        if (run->habits & HABIT_REOPEN)
            open_pair(run, 7);
    } else if (event->kind == VPC_EV_PAIR_RESET && run->habits & HABIT_RESET) {
        vpc_pair_reset(event->pair, (uint32_t)event->value);
    } else if (event->kind == VPC_EV_PAIR_READABLE && run->habits & HABIT_READ) {
        read_all(event->pair);
    } else if (run->habits & HABIT_READY && event->kind <= VPC_EV_RESUMED) {
        vpc_session_set_ready(run->session, event->kind % 2 == 0);
    }
}

static void act_on_pair(struct run *run)
{
    static const uint8_t bytes[255] = {1, 2, 3};
    vpc_pair *pair = run->pairs[take(run) % MAX_PAIRS];
    unsigned deed = take(run);

    if (pair == NULL)
        return;
    switch (deed % 10) {
    case 0:
        vpc_pair_opened(pair);
        break;
    case 1:
        vpc_pair_refused(pair, deed);
        break;
    case 2:
    case 3:
        vpc_pair_write(pair, bytes, deed % sizeof(bytes));
        break;
    case 4:
        vpc_pair_finish(pair);
        break;
    case 5:
    case 6:
        read_all(pair);
        break;
    case 7:
        vpc_pair_discard(pair);
        break;
    case 8:
        vpc_pair_reset(pair, deed);
        break;
    default:
        vpc_pair_stop_reading(pair);
        break;
    }
}

static void drain(struct run *run, unsigned share)
{
    const void *octets;
    size_t n, total = 0;

    while ((n = vpc_session_output(run->session, &octets)) > 0) {
        volatile uint8_t last = ((const uint8_t *)octets)[n - 1];

        (void)last;
        vpc_session_sent(run->session, share == 0 ? n : n / (share + 1));
        total += n;
        if (total > 8u << 20)
            abort(); /* it sends without end */
        if (share != 0)
            return;
    }
}

/* ---- the peer --------------------------------------------------------------------------------------------------- */

static void feed(struct run *run, const uint8_t *octets, size_t n)
{
    vpc_session_input(run->session, fuzz_at_edge(octets, n), n);
}

static void feed_raw(struct run *run)
{
    const uint8_t *octets;
    size_t n = fuzz_octets(&run->input, take(run), &octets);

    feed(run, octets, n);
}

static void feed_hello(struct run *run, bool echo)
{
    uint8_t octets[16 + VPC_SMALL_FRAME_MAX];
    unsigned variant = take(run);
    vpc_frame hello = {
        .type = VPC_HELLO,
        .role = run->session->config.role == VPC_HOST ? VPC_GUEST : VPC_HOST,
        .version_min = VPC_VERSION_1_0,
        .version_max = (uint16_t)(VPC_VERSION_1_0 + variant % 2),
        .max_pairs = (uint16_t)(variant % 5),
        .epoch = 1 + variant / 16,
        .echo = echo ? run->session->epoch : variant,
        .tag = "TAG",
        .name = "fuzz",
    };

    if (variant % 16 == 15)
        hello.version_min = hello.version_max = 9;
    memset(octets, VPC_PAD, 16);
    feed(run, octets, 16 + vpc_encode(&hello, octets + 16));
}

#define PAYLOAD_MOST 255u

/* A payload about as long as the credit: none of its octets too many, or one. */
static uint32_t payload_at_limit(const struct channel *channel, unsigned lot)
{
    uint64_t n = channel->limit - channel->offset + lot % 3;

    return n < 2 ? 1 : n > PAYLOAD_MOST ? PAYLOAD_MOST : (uint32_t)n - 1;
}

static void feed_frame(struct run *run)
{
    static const uint8_t types[] = {VPC_READY,   VPC_HEARTBEAT, VPC_GOODBYE, VPC_OPEN,   VPC_OPENED,
                                    VPC_REFUSED, VPC_DATA,      VPC_DATA,    VPC_CREDIT, VPC_FIN,
                                    VPC_RESET,   VPC_RELEASED,  VPC_EVENT};
    static const uint8_t payload[PAYLOAD_MOST];
    uint8_t octets[VPC_SMALL_FRAME_MAX + sizeof(payload)];
    unsigned lot = take(run);
    vpc_frame frame = {.type = types[lot % sizeof(types)], .seal_session = run->session->id};
    const struct channel *channel;

    frame.seal_number = run->session->received_number + 1;
    frame.channel = 1 + take(run) % 16;
    if (frame.type < VPC_OPEN)
        frame.channel = 0;
    channel = vpc_pairs_find(run->session, frame.channel);
    frame.reverse_channel = frame.channel + 1;
    frame.port = (uint16_t)(lot / sizeof(types) % 3); /* independent of the type */
    frame.ready = lot / 16 % 2;
    frame.event = 1; /* the least that is one */
    frame.payload = payload;
    frame.error = frame.cause = lot / 32;
    frame.offset = frame.limit = lot & 128 ? fuzz_number(&run->input) : take(run);
    frame.payload_len = 1 + (uint32_t)(frame.limit % sizeof(payload));
    if (!(lot & 128) && channel != NULL) { /* what fits */
        if (frame.limit >= 224)
            frame.payload_len = payload_at_limit(channel, (unsigned)frame.limit);
        frame.offset = channel->offset;
        frame.limit += channel->limit;
    }
    feed(run, octets, vpc_encode(&frame, octets));
}

/* Any octets as the body of a frame that is whole: length, session id and number, or a HELLO's CRC, are put right. */
static void feed_body(struct run *run)
{
    uint8_t octets[VPC_HEADER_SIZE + 256 + VPC_SEAL_SIZE] = {0xB5, 0x56};
    size_t n;
    uint64_t session = run->session->id, number = run->session->received_number + 1;
    const uint8_t *body;

    octets[2] = (uint8_t)take(run);
    octets[4] = (uint8_t)take(run);
    n = fuzz_octets(&run->input, take(run), &body);
    octets[8] = (uint8_t)n;
    if (n > 0)
        memcpy(octets + VPC_HEADER_SIZE, body, n);
    n += VPC_HEADER_SIZE;
    if (octets[2] == VPC_HELLO) {
        session = 0;
        number = vpc_crc32c(0, octets, n);
    }
    for (unsigned i = 0; i < 8; i++) {
        octets[n + i] = (uint8_t)(session >> 8 * i);
        octets[n + 8 + i] = (uint8_t)(number >> 8 * i);
    }
    feed(run, octets, n + VPC_SEAL_SIZE);
}

/* ---- a run ------------------------------------------------------------------------------------------------------- */

static void check(const struct run *run)
{
    unsigned down, count = vpc_session_pairs(run->session, &down), held = 0;

    for (unsigned i = 0; i < MAX_PAIRS; i++) {
        const vpc_pair *pair = run->pairs[i];

        if (pair == NULL)
            continue;
        held++;
        if (pair->sending.ring.used > pair->sending.ring.size ||
            pair->receiving.ring.used > pair->receiving.ring.size ||
            pair->receiving.offset > pair->receiving.limit ||
            (pair->sending.state == VPC_CHANNEL_OPEN && pair->sending.offset > pair->sending.limit))
            abort();
    }
    if (held != count || down > count || run->session->staged > VPC_STAGING_SIZE)
        abort();
}

static void step(struct run *run)
{
    unsigned op = take(run);

    switch (op % 16) {
    case 0:
        feed_raw(run);
        break;
    case 1:
        feed_hello(run, false);
        break;
    case 2:
        feed_hello(run, true);
        break;
    case 3:
    case 4:
    case 5:
        feed_frame(run);
        break;
    case 6:
        feed_body(run);
        break;
    case 7:
        run->now += take(run) * 64;
        vpc_session_clock(run->session, run->now);
        break;
    case 8:
    case 9:
        drain(run, take(run) % 3);
        break;
    case 10:
    case 11:
    case 12:
        act_on_pair(run);
        break;
    case 13:
        open_pair(run, (uint16_t)op);
        break;
    case 14:
        vpc_session_set_ready(run->session, op & 16);
        break;
    default:
        if (op == 0xFF)
            vpc_session_stop(run->session);
        else if (op >= 0xE0)
            vpc_session_transport(run->session, op & 16);
        break;
    }
    check(run);
}

/* For the mutator: how long each step is, without its octet of operation. */
size_t fuzz_step_size(const uint8_t *at, size_t left)
{
    static const uint8_t operands[16] = {1, 1, 1, 3, 3, 3, 3, 1, 1, 1, 2, 2, 2};
    unsigned op = at[0] % 16;
    size_t n = 1u + operands[op];

    if (n > left)
        return left;
    if (op == 0)
        n += at[1];
    else if (op == 6)
        n += at[3];
    else if (op >= 3 && op <= 5 && at[1] & 128)
        n += at[3] % 9u;
    return n < left ? n : left;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void *memory; /* of all runs: the session's own set-up is all that it needs */
    struct run run = {.input = {data, data + size}};
    vpc_session_config config = {
        .version_min = VPC_VERSION_1_0,
        .version_max = VPC_VERSION_1_0,
        .max_pairs = MAX_PAIRS,
        .window = 61,
        .send_buffer = 37,
        .hello_interval_ms = 1000,
        .heartbeat_ms = 1000,
        .heartbeat_late_ms = 3000,
        .peer_limit_ms = 30000,
        .backoff_max_ms = 5000,
        .tag = "TAG",
        .name = "fuzz",
        .random = draw,
        .on_event = on_event,
        .user = &run,
    };

    run.habits = take(&run);
    config.role = run.habits & 1 ? VPC_HOST : VPC_GUEST;
    if (memory == NULL)
        memory = malloc(vpc_session_size(&config));
    run.session = vpc_session_init(memory, &config, 0);
    vpc_session_set_ready(run.session, true);
    vpc_session_transport(run.session, true);
    while (run.input.at < run.input.end)
        step(&run);
    run.habits = 0;
    vpc_session_transport(run.session, false);
    check(&run);
    for (unsigned i = 0; i < MAX_PAIRS; i++)
        if (run.pairs[i] != NULL)
            abort(); /* a pair outlived its session */
    return 0;
}
