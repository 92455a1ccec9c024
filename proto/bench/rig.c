/* SPDX-License-Identifier: MIT */
#include "rig.h"

#include "streams.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "bench-proto: two sessions back to back: %s\n", what);
    exit(1);
}

static uint64_t draw_epoch(void *user)
{
    struct rig_end *end = user;

    return ++end->epoch;
}

/* The guest's program: it connects at once and takes all that there is. */
static void on_event(void *user, const vpc_session_event *event)
{
    struct rig *rig = ((struct rig_end *)user)->rig;
    const void *octets;
    size_t n;

    must(event->kind != VPC_EV_VIOLATION && event->kind != VPC_EV_FRAMING_LOST, event->text);
    if (event->kind == VPC_EV_PAIR_REQUEST)
        vpc_pair_opened(event->pair);
    if (event->kind != VPC_EV_PAIR_READABLE)
        return;
    while ((n = vpc_pair_read(event->pair, &octets)) > 0) {
        memcpy(rig->sink, octets, n);
        vpc_pair_delivered(event->pair, n);
        rig->delivered += n;
    }
}

static bool move(struct rig *rig, vpc_session *from, vpc_session *to)
{
    const void *octets;
    size_t n = vpc_session_output(from, &octets);

    if (n == 0)
        return false;
    if (rig->piece == 0) {
        vpc_session_input(to, octets, n);
    } else {
        for (size_t at = 0; at < n; at += rig->piece)
            vpc_session_input(to, (const uint8_t *)octets + at,
                              n - at < rig->piece ? n - at : rig->piece);
    }
    vpc_session_sent(from, n);
    return true;
}

static void pump(struct rig *rig)
{
    bool moved;

    do {
        moved = move(rig, rig->host.session, rig->guest.session);
        moved |= move(rig, rig->guest.session, rig->host.session);
    } while (moved);
}

static void start(struct rig *rig, struct rig_end *end, enum vpc_side role,
                  const struct rig_plan *plan)
{
    vpc_session_config config = {
        .role = role,
        .version_min = VPC_VERSION_1_0,
        .version_max = VPC_VERSION_1_0,
        .max_pairs = (uint16_t)plan->pairs,
        .window = plan->buffer,
        .send_buffer = plan->buffer,
        .hello_interval_ms = 1000,
        .heartbeat_ms = 1000,
        .heartbeat_late_ms = 3000,
        .backoff_max_ms = 5000,
        .name = "bench",
        .random = draw_epoch,
        .on_event = on_event,
        .user = end,
    };

    end->rig = rig;
    end->epoch = role * 1000;
    end->session = vpc_session_init(must_allocate(vpc_session_size(&config)), &config, 1000);
    vpc_session_set_ready(end->session, true);
    vpc_session_transport(end->session, true);
}

void rig_up(struct rig *rig, const struct rig_plan *plan)
{
    uint8_t *content = must_allocate(plan->chunk);

    memset(content, 0x5A, plan->chunk);
    *rig = (struct rig){.pairs = plan->pairs, .piece = plan->piece, .chunk = plan->chunk};
    rig->pair = must_allocate(plan->pairs * sizeof(rig->pair[0]));
    rig->content = content;
    rig->sink = must_allocate(plan->buffer);
    start(rig, &rig->host, VPC_HOST, plan);
    start(rig, &rig->guest, VPC_GUEST, plan);
    pump(rig);
    for (unsigned i = 0; i < plan->pairs; i++) {
        rig->pair[i] = vpc_pair_open(rig->host.session, 80, 1000);
        must(rig->pair[i] != NULL, "no pair opens");
    }
    pump(rig);
    for (unsigned i = 0; i < plan->pairs; i++)
        must(vpc_pair_sending_state(rig->pair[i]) == VPC_CHANNEL_OPEN, "a pair is not open");
}

void rig_down(struct rig *rig)
{
    free(rig->host.session);
    free(rig->guest.session);
    free(rig->pair);
    free(rig->sink);
    free((void *)(uintptr_t)rig->content);
}

static void write_chunk(struct rig *rig, unsigned i)
{
    must(vpc_pair_write(rig->pair[i], rig->content, rig->chunk) == rig->chunk, "no room");
}

static void expect_delivered(struct rig *rig, uint64_t octets)
{
    pump(rig);
    must(rig->delivered == octets, "octets did not arrive");
    rig->delivered = 0;
}

void rig_first_pair(void *state)
{
    struct rig *rig = state;

    write_chunk(rig, 0);
    expect_delivered(rig, rig->chunk);
}

void rig_pair_in_turn(void *state)
{
    struct rig *rig = state;

    write_chunk(rig, rig->next);
    if (++rig->next == rig->pairs)
        rig->next = 0;
    expect_delivered(rig, rig->chunk);
}

void rig_all_pairs(void *state)
{
    struct rig *rig = state;

    for (unsigned i = 0; i < rig->pairs; i++)
        write_chunk(rig, i);
    expect_delivered(rig, rig->pairs * rig->chunk);
}

void rig_memcpy(void *state)
{
    struct rig *rig = state;

    memcpy(rig->sink, rig->content, rig->chunk);
    __asm__ volatile("" : : "r"(rig->sink) : "memory");
}
