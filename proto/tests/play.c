/* SPDX-License-Identifier: MIT */
/* What happens on the endpoint's own side in a transcript, by the words of spec/vectors/README.md. */
#include "play.h"

#include <criterion/criterion.h>

struct channel *play_channel(struct player *player, uint64_t id)
{
    for (unsigned i = 0; i < player->play.channel_count; i++)
        if (player->play.channels[i].id == id)
            return &player->play.channels[i];
    cr_assert_fail("%s: no channel %u", player->id, (unsigned)id);
    return NULL;
}

static vpc_pair *pair_of(struct player *player, const json_t *step)
{
    const json_t *h2g = json_object_get(step, "h2g");
    struct channel *channel =
        play_channel(player, vec_number(step, h2g != NULL ? "h2g" : "channel"));

    cr_assert_not_null(channel->pair, "%s: the pair is gone", player->id);
    return channel->pair;
}

static void do_clock(struct player *player, const json_t *step, const struct vec_octets *octets)
{
    (void)player, (void)step, (void)octets; /* the time was told before */
}

static void do_transport_up(struct player *player, const json_t *step,
                            const struct vec_octets *octets)
{
    (void)step, (void)octets;
    vpc_session_transport(player->play.session, true);
}

static void do_transport_down(struct player *player, const json_t *step,
                              const struct vec_octets *octets)
{
    (void)step, (void)octets;
    vpc_session_transport(player->play.session, false);
}

static void do_ready(struct player *player, const json_t *step, const struct vec_octets *octets)
{
    (void)octets;
    vpc_session_set_ready(player->play.session, strcmp(vec_text(step, "local"), "ready") == 0);
}

static void do_start(struct player *player, const json_t *step, const struct vec_octets *octets)
{
    (void)octets;
    if (json_object_get(step, "result") !=
        NULL) { /* ERROR_NOT_READY is for the caller of the library to say */
        cr_assert_neq(vpc_session_state(player->play.session), VPC_SESSION_READY);
        return;
    }
    player->play.opened =
        vpc_pair_open(player->play.session, (uint16_t)vec_number(step, "port"), 10000);
    cr_assert_not_null(player->play.opened, "%s: no pair", player->id);
}

static void do_connected(struct player *player, const json_t *step, const struct vec_octets *octets)
{
    (void)octets;
    vpc_pair_opened(pair_of(player, step));
}

static void do_connect_failed(struct player *player, const json_t *step,
                              const struct vec_octets *octets)
{
    (void)octets;
    vpc_pair_refused(pair_of(player, step), (uint32_t)vec_number(step, "errno"));
}

static void do_write(struct player *player, const json_t *step, const struct vec_octets *octets)
{
    cr_assert_eq(vpc_pair_write(pair_of(player, step), octets->octets, octets->n), octets->n, "%s",
                 player->id);
}

static void do_finish(struct player *player, const json_t *step, const struct vec_octets *octets)
{
    (void)octets;
    vpc_pair_finish(pair_of(player, step));
}

static void do_read(struct player *player, const json_t *step, const struct vec_octets *octets)
{
    vpc_pair *pair = pair_of(player, step);

    for (size_t at = 0; at < octets->n;) {
        const void *bytes;
        size_t n = vpc_pair_read(pair, &bytes);

        cr_assert_gt(n, 0, "%s: nothing to read at %zu", player->id, at);
        if (n > octets->n - at)
            n = octets->n - at;
        cr_assert_arr_eq(bytes, octets->octets + at, n, "%s: other bytes at %zu", player->id, at);
        vpc_pair_delivered(pair, n);
        at += n;
    }
}

static void do_read_end(struct player *player, const json_t *step, const struct vec_octets *octets)
{
    (void)octets;
    cr_assert(vpc_pair_at_end(pair_of(player, step)), "%s: no end", player->id);
    vpc_pair_end_delivered(pair_of(player, step));
}

static void do_broken(struct player *player, const json_t *step, const struct vec_octets *octets)
{
    (void)octets;
    vpc_pair_reset(pair_of(player, step), (uint32_t)vec_number(step, "errno"));
}

static void do_stop(struct player *player, const json_t *step, const struct vec_octets *octets)
{
    (void)step, (void)octets;
    vpc_session_stop(player->play.session);
}

static void do_query(struct player *player, const json_t *step, const struct vec_octets *octets)
{
    (void)octets;
    cr_assert_eq(player->play.version, vec_number(step, "version"), "%s", player->id);
}

static const struct {
    const char *name;
    void (*run)(struct player *, const json_t *, const struct vec_octets *);
} locals[] = {
    {"clock", do_clock},
    {"transport_up", do_transport_up},
    {"transport_down", do_transport_down},
    {"ready", do_ready},
    {"not_ready", do_ready},
    {"start", do_start},
    {"pipe_opened", do_clock},
    {"connected", do_connected},
    {"connect_failed", do_connect_failed},
    {"write", do_write},
    {"finish", do_finish},
    {"read", do_read},
    {"read_end", do_read_end},
    {"broken", do_broken},
    {"stop", do_stop},
    {"query", do_query},
};

void play_local(struct player *player, const json_t *step, const struct vec_octets *octets)
{
    for (size_t i = 0; i < sizeof(locals) / sizeof(locals[0]); i++)
        if (strcmp(locals[i].name, vec_text(step, "local")) == 0) {
            locals[i].run(player, step, octets);
            return;
        }
    cr_assert_fail("%s: what is %s?", player->id, vec_text(step, "local"));
}
