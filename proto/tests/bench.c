/* SPDX-License-Identifier: MIT */
#include "bench.h"

#include "internal.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define EVERYTHING SIZE_MAX

uint64_t bench_random(uint64_t *seed)
{
    uint64_t x = *seed += UINT64_C(0x9E3779B97F4A7C15);

    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return x ^ x >> 31;
}

static uint64_t draw_epoch(void *user)
{
    struct bench_end *end = user;

    return bench_random(&end->seed);
}

static void count_event(void *user, const vpc_session_event *event)
{
    struct bench_end *end = user;

    cr_assert(event->kind < BENCH_KINDS);
    end->count[event->kind]++;
    end->last[event->kind] = *event;
    end->last[event->kind].tag = NULL;
    strncpy(end->texts[event->kind], event->text, sizeof(end->texts[0]) - 1);
    end->last[event->kind].text = end->texts[event->kind];
    if (event->kind == VPC_EV_PAIR_REQUEST)
        end->pair = event->pair;
    if (event->kind == VPC_EV_PAIR_RELEASED && event->pair == end->pair)
        end->pair = NULL;
    if (end->hook != NULL)
        end->hook(end, event);
}

struct bench_end *bench_peer(struct bench_end *end)
{
    return &end->bench->end[end->side == HOST ? GUEST : HOST];
}

void bench_init(struct bench *bench)
{
    memset(bench, 0, sizeof(*bench));
    bench->now = 1000;
    for (int side = HOST; side <= GUEST; side++) {
        struct bench_end *end = &bench->end[side];

        end->bench = bench;
        end->side = (enum bench_side)side;
        end->seed = side == HOST ? 7 : 70000;
        end->config = (vpc_session_config){
            .role = side == HOST ? VPC_HOST : VPC_GUEST,
            .version_min = VPC_VERSION_1_0,
            .version_max = VPC_VERSION_1_0,
            .max_pairs = 4,
            .window = 256,
            .send_buffer = 128,
            .hello_interval_ms = 1000,
            .heartbeat_ms = 1000,
            .heartbeat_late_ms = 3000,
            .peer_limit_ms = 30000,
            .backoff_max_ms = 5000,
            .tag = "TAG-1",
            .random = draw_epoch,
            .on_event = count_event,
            .user = end,
        };
        strcpy(end->config.name, side == HOST ? "bench host" : "bench guest");
    }
}

static void start(struct bench_end *end)
{
    size_t size = vpc_session_size(&end->config);
    void *memory = malloc(size);

    cr_assert_not_null(memory);
    memset(memory, 0xA5, size);
    end->pair = NULL;
    end->session = vpc_session_init(memory, &end->config, end->bench->now);
    vpc_session_set_ready(end->session, true);
    vpc_session_transport(end->session, true);
}

void bench_up(struct bench *bench)
{
    start(&bench->end[HOST]);
    start(&bench->end[GUEST]);
}

void bench_greet(struct bench *bench)
{
    bench_up(bench);
    bench_run(bench);
    cr_assert_eq(vpc_session_state(bench->end[HOST].session), VPC_SESSION_READY);
    cr_assert_eq(vpc_session_state(bench->end[GUEST].session), VPC_SESSION_READY);
}

void bench_free(struct bench *bench)
{
    for (int side = HOST; side <= GUEST; side++) {
        free(bench->end[side].session);
        free(bench->end[side].wire);
    }
}

void bench_restart(struct bench_end *end)
{
    free(end->session);
    start(end);
}

void bench_restore(struct bench_end *end)
{
    end->seed = end->side == HOST ? 7 : 70000;
    bench_restart(end);
}

void bench_inject(struct bench_end *end, const void *octets, size_t n)
{
    if (end->wire_len + n > end->wire_size) {
        end->wire_size = (end->wire_len + n) * 2;
        end->wire = realloc(end->wire, end->wire_size);
        cr_assert_not_null(end->wire);
    }
    if (n > 0)
        memcpy(end->wire + end->wire_len, octets, n);
    end->wire_len += n;
}

void bench_inject_frame(struct bench_end *end, vpc_frame frame)
{
    const vpc_session *receiver = bench_peer(end)->session;
    uint8_t octets[4096];

    cr_assert_eq(end->wire_len, 0, "an injected frame would have a wrong number");
    frame.seal_session = receiver->id;
    frame.seal_number = receiver->received_number + 1;
    bench_inject(end, octets, vpc_encode(&frame, octets));
    end->session->sent_number++; /* what the end sends next still fits */
}

size_t bench_collect(struct bench_end *end)
{
    const void *octets;
    size_t n, total = 0;

    while ((n = vpc_session_output(end->session, &octets)) > 0) {
        bench_inject(end, octets, n);
        vpc_session_sent(end->session, n);
        total += n;
        cr_assert(total < 64u << 20, "an end sends without end");
    }
    return total;
}

void bench_lose(struct bench_end *end, size_t at, size_t n)
{
    cr_assert(at <= end->wire_len);
    if (n > end->wire_len - at)
        n = end->wire_len - at;
    if (n == 0)
        return;
    memmove(end->wire + at, end->wire + at + n, end->wire_len - at - n);
    end->wire_len -= n;
}

void bench_deliver(struct bench_end *end, size_t n)
{
    vpc_session *receiver = bench_peer(end)->session;
    size_t piece = end->bench->piece, at = 0;

    if (n > end->wire_len)
        n = end->wire_len;
    while (at < n) {
        size_t now = piece == 0 || piece > n - at ? n - at : piece;

        vpc_session_input(receiver, end->wire + at, now);
        at += now;
    }
    bench_lose(end, 0, n);
}

void bench_run(struct bench *bench)
{
    unsigned rounds = 0;

    do {
        cr_assert(rounds++ < 1000, "the two ends never become quiet");
        bench_collect(&bench->end[HOST]);
        bench_deliver(&bench->end[HOST], EVERYTHING);
        bench_collect(&bench->end[GUEST]);
        bench_deliver(&bench->end[GUEST], EVERYTHING);
    } while (bench_collect(&bench->end[HOST]) + bench_collect(&bench->end[GUEST]) > 0);
}

void bench_pass(struct bench *bench, uint64_t ms)
{
    while (ms > 0) {
        uint64_t step = ms < 10 ? ms : 10;

        bench->now += step;
        ms -= step;
        vpc_session_clock(bench->end[HOST].session, bench->now);
        vpc_session_clock(bench->end[GUEST].session, bench->now);
        bench_run(bench);
        cr_assert(vpc_session_deadline(bench->end[HOST].session) > bench->now,
                  "the host's timer would spin");
        cr_assert(vpc_session_deadline(bench->end[GUEST].session) > bench->now,
                  "the guest's timer would spin");
    }
}

void bench_wait_ready(struct bench *bench)
{
    uint64_t limit = bench->now + 10000;

    bench_run(bench);
    while (vpc_session_state(bench->end[HOST].session) != VPC_SESSION_READY ||
           vpc_session_state(bench->end[GUEST].session) != VPC_SESSION_READY) {
        cr_assert(bench->now < limit, "host %s, guest %s",
                  vpc_session_state_name(vpc_session_state(bench->end[HOST].session)),
                  vpc_session_state_name(vpc_session_state(bench->end[GUEST].session)));
        bench_pass(bench, 10);
    }
}

void bench_open(struct bench *bench, uint16_t port)
{
    struct bench_end *host = &bench->end[HOST], *guest = &bench->end[GUEST];

    guest->pair = NULL;
    host->pair = vpc_pair_open(host->session, port, 1000);
    cr_assert_not_null(host->pair);
    bench_run(bench);
    cr_assert_not_null(guest->pair);
    vpc_pair_opened(guest->pair);
    bench_run(bench);
    cr_assert_eq(vpc_pair_sending_state(host->pair), VPC_CHANNEL_OPEN);
}

unsigned bench_frames(struct bench_end *end, vpc_frame *frames, unsigned max)
{
    vpc_parser *parser = calloc(1, sizeof(*parser));
    const uint8_t *p = end->wire;
    unsigned count = 0;

    cr_assert_not_null(parser);
    vpc_parser_follow(parser, end->config.role);
    while (count < max && end->wire_len > 0 &&
           vpc_parse(parser, &p, end->wire + end->wire_len) == VPC_PARSE_FRAME) {
        frames[count] = parser->frame;
        frames[count++].payload = NULL; /* it may lie in the parser */
    }
    free(parser);
    return count;
}

void bench_expect_state(const struct bench_end *end, enum vpc_session_state state)
{
    cr_expect_eq(vpc_session_state(end->session), state, "%s is %s, not %s",
                 end->side == HOST ? "host" : "guest",
                 vpc_session_state_name(vpc_session_state(end->session)),
                 vpc_session_state_name(state));
}

void bench_expect_cause(const struct bench_end *end, const char *cause)
{
    cr_assert_eq(end->count[VPC_EV_SESSION_DOWN], 1);
    cr_expect_str_eq(end->last[VPC_EV_SESSION_DOWN].text, cause);
}

size_t bench_expect_hello(const uint8_t *wire, size_t n, vpc_frame *hello)
{
    vpc_parser *parser = calloc(1, sizeof(*parser));
    size_t pads = 0;
    const uint8_t *p;

    cr_assert_not_null(parser);
    while (pads < n && wire[pads] == VPC_PAD)
        pads++;
    cr_assert(pads >= BENCH_PREAMBLE_MIN, "%zu octets of padding", pads);
    cr_assert(n >= pads + BENCH_HELLO_SIZE);
    p = wire + pads;
    vpc_parser_follow(parser, VPC_HOST);
    cr_assert_eq(vpc_parse(parser, &p, p + BENCH_HELLO_SIZE), VPC_PARSE_FRAME);
    *hello = parser->frame;
    free(parser);
    cr_assert_eq(hello->type, VPC_HELLO);
    cr_assert_eq(hello->seal_session, 0);
    cr_assert_eq(hello->seal_number, hello->crc);
    return pads + BENCH_HELLO_SIZE;
}

void bench_inject_hello(struct bench_end *end, vpc_frame hello)
{
    uint8_t octets[BENCH_PREAMBLE_MIN + VPC_SMALL_FRAME_MAX];

    hello.type = VPC_HELLO;
    memset(octets, VPC_PAD, BENCH_PREAMBLE_MIN);
    bench_inject(end, octets, BENCH_PREAMBLE_MIN + vpc_encode(&hello, octets + BENCH_PREAMBLE_MIN));
}
