/* SPDX-License-Identifier: MIT */
/* What is said between the programs at both sides, whatever endpoints carry it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clean.h"
#include "interop/interop.h"
#include "report/report.h"

#define LARGE    (1u << 20)
#define PARALLEL 8
#define TIMES    20
#define OCTETS   200
#define START_MS 10000 /* where a description says nothing */
#define COUNT    (sizeof(conversations) / sizeof(conversations[0]))
#define PIPE     "\\\\.\\pipe\\interop"

/* ---- parts ------------------------------------------------------------------------------------------------------------ */

/* Octets that are not the same anywhere near. */
static uint8_t *pattern(struct vpc_pairing *pairing, size_t n)
{
    uint8_t *octets = vpc_alloc(n);

    for (size_t i = 0; i < n; i++)
        octets[i] = (uint8_t)(nrand48(pairing->random) >> 8);
    return octets;
}

static bool say_and_hear(struct vpc_pairing *pairing, struct vpc_talker *from,
                         struct vpc_talker *to, const char *text)
{
    vpc_say_octets(pairing, from, text, strlen(text));
    return vpc_hear(pairing, to, text, strlen(text));
}

/* Both finish; neither may read anything more. */
static bool part(struct vpc_pairing *pairing, struct conform_pair *pair)
{
    vpc_say_end(pairing, pair->client);
    if (!vpc_hear_end(pairing, pair->server))
        return false;
    vpc_hang_up(pairing, pair->server);
    if (!vpc_hear_end(pairing, pair->client))
        return false;
    vpc_hang_up(pairing, pair->client);
    return true;
}

static bool greet(struct vpc_pairing *pairing, struct conform_pair *pair)
{
    return say_and_hear(pairing, pair->client, pair->server, "Hello World!") &&
           say_and_hear(pairing, pair->server, pair->client, "Hello, host!");
}

/* A channel of that name works, from its first octet to its end. */
static bool channel_works(struct vpc_pairing *pairing, const char *name)
{
    struct conform_pair pair;
    bool good =
        vpc_open_pair(pairing, &pair, name) && greet(pairing, &pair) && part(pairing, &pair);

    vpc_pair_free(&pair);
    return good;
}

/* ---- conversations ---------------------------------------------------------------------------------------------------- */

static bool ready(struct vpc_pairing *pairing)
{
    return vpc_endpoint_start(&pairing->ends[VPC_HOST_SIDE]) &&
           vpc_endpoint_start(&pairing->ends[VPC_GUEST_SIDE]) && vpc_wait_ready(pairing);
}

static bool hello_world(struct vpc_pairing *pairing)
{
    return channel_works(pairing, NULL);
}

static bool large_both_ways(struct vpc_pairing *pairing)
{
    uint8_t *there = pattern(pairing, LARGE), *back = pattern(pairing, LARGE);
    struct conform_pair pair;
    bool good = vpc_open_pair(pairing, &pair, NULL);

    if (good) {
        vpc_say_octets(pairing, pair.client, there, LARGE);
        vpc_say_octets(pairing, pair.server, back, LARGE);
        good = vpc_hear(pairing, pair.server, there, LARGE) &&
               vpc_hear(pairing, pair.client, back, LARGE) && part(pairing, &pair);
    }
    vpc_pair_free(&pair);
    free(there);
    free(back);
    return good;
}

/* One asks and finishes; the whole answer still comes. */
static bool half_close(struct vpc_pairing *pairing, struct vpc_talker *asks,
                       struct vpc_talker *answers)
{
    uint8_t *octets = pattern(pairing, LARGE / 4);
    bool good;

    vpc_say_octets(pairing, asks, "question", 8);
    vpc_say_end(pairing, asks);
    good = vpc_hear(pairing, answers, "question", 8) && vpc_hear_end(pairing, answers);
    if (good) {
        vpc_say_octets(pairing, answers, octets, LARGE / 4);
        vpc_say_end(pairing, answers);
        good = vpc_hear(pairing, asks, octets, LARGE / 4) && vpc_hear_end(pairing, asks);
    }
    if (good) {
        vpc_hang_up(pairing, asks);
        vpc_hang_up(pairing, answers);
    }
    free(octets);
    return good;
}

static bool half_close_by_client(struct vpc_pairing *pairing)
{
    struct conform_pair pair;
    bool good =
        vpc_open_pair(pairing, &pair, NULL) && half_close(pairing, pair.client, pair.server);

    vpc_pair_free(&pair);
    return good;
}

static bool half_close_by_server(struct vpc_pairing *pairing)
{
    struct conform_pair pair;
    bool good =
        vpc_open_pair(pairing, &pair, NULL) && half_close(pairing, pair.server, pair.client);

    vpc_pair_free(&pair);
    return good;
}

static bool refused_port(struct vpc_pairing *pairing)
{
    struct conform_pair pair;
    bool good = vpc_start_channel(pairing, &pair, VPC_INTEROP_REFUSED, NULL);
    const json_t *error = json_object_get(pairing->answer, "error");
    const char *class = json_string_value(json_object_get(error, "class"));
    json_int_t number = json_integer_value(json_object_get(error, "errno"));

    vpc_pair_free(&pair);
    if (good && (!class || strcmp(class, "ERROR_CONNECTION_REFUSED") != 0))
        return vpc_pairing_fail(pairing, "a refused port is %s, not ERROR_CONNECTION_REFUSED",
                                class ? class : "no error");
    if (good && number != ECONNREFUSED)
        return vpc_pairing_fail(pairing, "a refused port has errno %lld, not %d", (long long)number,
                                ECONNREFUSED);
    return good;
}

static bool many_pairs(struct vpc_pairing *pairing)
{
    struct conform_pair pairs[PARALLEL] = {0};
    uint8_t *octets = pattern(pairing, LARGE / 4);
    bool good = true;

    for (size_t i = 0; i < PARALLEL && good; i++)
        good = vpc_open_pair(pairing, &pairs[i], NULL) && greet(pairing, &pairs[i]);
    for (size_t i = 0; i < PARALLEL && good; i++) {
        vpc_say_octets(pairing, pairs[i].client, octets + i, LARGE / 8);
        vpc_say_octets(pairing, pairs[i].server, octets + i, LARGE / 8);
    }
    for (size_t i = 0; i < PARALLEL && good; i++)
        good = vpc_hear(pairing, pairs[i].server, octets + i, LARGE / 8) &&
               vpc_hear(pairing, pairs[i].client, octets + i, LARGE / 8) &&
               part(pairing, &pairs[i]);
    for (size_t i = 0; i < PARALLEL; i++)
        vpc_pair_free(&pairs[i]);
    free(octets);
    return good;
}

/* Both talk, and one of them goes in the middle: the other must read an end. */
static bool gone(struct vpc_pairing *pairing, bool server_goes)
{
    uint8_t *octets = pattern(pairing, LARGE);
    struct conform_pair pair;
    bool good = vpc_open_pair(pairing, &pair, NULL) && greet(pairing, &pair);
    struct vpc_talker *goes = server_goes ? pair.server : pair.client;
    struct vpc_talker *stays = server_goes ? pair.client : pair.server;

    if (good) {
        vpc_say_octets(pairing, goes, octets, LARGE);
        vpc_say_octets(pairing, stays, octets, LARGE);
        good = vpc_hear(pairing, goes, octets, LARGE / 8) &&
               vpc_hear(pairing, stays, octets, LARGE / 8);
    }
    if (good) {
        conform_cut(pairing, goes);
        good = vpc_wait_end(pairing, stays);
    }
    if (good)
        conform_cut(pairing, stays);
    vpc_pair_free(&pair);
    free(octets);
    return good && channel_works(pairing, NULL);
}

static bool client_gone(struct vpc_pairing *pairing)
{
    return gone(pairing, false);
}

static bool server_resets(struct vpc_pairing *pairing)
{
    return gone(pairing, true);
}

/* A client that leaves with octets unread, more than its socket holds, is heard to its last octet. */
static bool last_words(struct vpc_pairing *pairing)
{
    uint8_t *octets = pattern(pairing, LARGE);
    struct conform_pair pair;
    bool good = vpc_open_pair(pairing, &pair, NULL) && greet(pairing, &pair);

    if (good) {
        vpc_let_read(pairing, pair.client, false);
        vpc_say_octets(pairing, pair.server, octets, LARGE);
        vpc_say_octets(pairing, pair.client, octets, LARGE);
        vpc_hang_up(pairing, pair.client);
        good = vpc_hear(pairing, pair.server, octets, LARGE) && vpc_hear_end(pairing, pair.server);
    }
    if (good)
        conform_cut(pairing, pair.server);
    vpc_pair_free(&pair);
    free(octets);
    return good;
}

/* The same from the other side: the server leaves, and a client that is slow to read gets all of it, and the end. */
static bool late_reader(struct vpc_pairing *pairing)
{
    uint8_t *octets = pattern(pairing, 2 * LARGE);
    struct conform_pair pair;
    bool good = vpc_open_pair(pairing, &pair, NULL) && greet(pairing, &pair);

    if (good) {
        vpc_let_read(pairing, pair.client, false);
        vpc_say_octets(pairing, pair.server, octets, 2 * LARGE);
        vpc_hang_up(pairing, pair.server);
        good = channel_works(pairing, NULL);
        vpc_let_read(pairing, pair.client, true);
    }
    good = good && vpc_hear(pairing, pair.client, octets, 2 * LARGE) &&
           vpc_hear_end(pairing, pair.client);
    if (good)
        vpc_hang_up(pairing, pair.client);
    vpc_pair_free(&pair);
    free(octets);
    return good;
}

/* Programs that do not read hold up their own pair only, in both directions, and get all of it when they do. */
static bool slow_beside_fast(struct vpc_pairing *pairing)
{
    uint8_t *octets = pattern(pairing, 2 * LARGE);
    struct conform_pair slow, fast = {0};
    bool good = vpc_open_pair(pairing, &slow, NULL) && vpc_open_pair(pairing, &fast, NULL);

    if (good) {
        vpc_let_read(pairing, slow.client, false);
        vpc_let_read(pairing, slow.server, false);
        vpc_say_octets(pairing, slow.client, octets, 2 * LARGE);
        vpc_say_octets(pairing, slow.server, octets, 2 * LARGE);
        vpc_say_octets(pairing, fast.client, octets, LARGE);
        vpc_say_octets(pairing, fast.server, octets, LARGE);
        good = vpc_hear(pairing, fast.server, octets, LARGE) &&
               vpc_hear(pairing, fast.client, octets, LARGE) && part(pairing, &fast);
    }
    if (good) {
        vpc_let_read(pairing, slow.client, true);
        vpc_let_read(pairing, slow.server, true);
        good = vpc_hear(pairing, slow.server, octets, 2 * LARGE) &&
               vpc_hear(pairing, slow.client, octets, 2 * LARGE) && part(pairing, &slow);
    }
    vpc_pair_free(&slow);
    vpc_pair_free(&fast);
    free(octets);
    return good;
}

/* Each waits for the other's octet, as a terminal does. */
static bool octet_by_octet(struct vpc_pairing *pairing)
{
    uint8_t *octets = pattern(pairing, OCTETS);
    struct conform_pair pair;
    bool good = vpc_open_pair(pairing, &pair, NULL);

    for (size_t i = 0; i < OCTETS && good; i++) {
        vpc_say_octets(pairing, pair.client, octets + i, 1);
        good = vpc_hear(pairing, pair.server, octets + i, 1);
        if (good)
            vpc_say_octets(pairing, pair.server, octets + i, 1);
        good = good && vpc_hear(pairing, pair.client, octets + i, 1);
    }
    good = good && part(pairing, &pair);
    vpc_pair_free(&pair);
    free(octets);
    return good;
}

/* More pairs than either endpoint may have descriptors, each of which comes to its end, and refusals between them. */
static bool one_after_the_other(struct vpc_pairing *pairing)
{
    bool good = true;

    for (size_t i = 0; i < 2 * VPC_INTEROP_DESCRIPTORS && good; i++)
        good = i % 2 ? channel_works(pairing, PIPE) : refused_port(pairing);
    return good;
}

/* Both go at once, so that the two ends of the pair meet on the bus; each pair must still come to its end. */
static bool both_gone(struct vpc_pairing *pairing)
{
    uint8_t *octets = pattern(pairing, LARGE / 4);
    bool good = true;

    for (size_t i = 0; i < TIMES && good; i++) {
        struct conform_pair pair;

        good = vpc_open_pair(pairing, &pair, NULL) && greet(pairing, &pair);
        if (good) {
            vpc_say_octets(pairing, pair.client, octets, LARGE / 4);
            vpc_say_octets(pairing, pair.server, octets, LARGE / 4);
            conform_cut(pairing, i % 2 ? pair.client : pair.server);
            conform_cut(pairing, i % 2 ? pair.server : pair.client);
        }
        vpc_pair_free(&pair);
    }
    free(octets);
    return good && vpc_wait_no_pairs(pairing) && channel_works(pairing, NULL);
}

/*
 * One endpoint is killed while octets wait everywhere: all that was open ends, and none of them is seen again.  A host
 * learns of a new guest by its HELLO alone, so the old ends are waited for after the start.
 */
static bool restarted(struct vpc_pairing *pairing, enum conform_side side)
{
    uint8_t *octets = pattern(pairing, LARGE);
    struct conform_pair pair;
    bool good = vpc_open_pair(pairing, &pair, PIPE) && greet(pairing, &pair);

    if (good) {
        vpc_let_read(pairing, pair.server, false);
        vpc_say_octets(pairing, pair.client, octets, LARGE);
        vpc_say_octets(pairing, pair.server, octets, LARGE);
        good = vpc_hear(pairing, pair.client, octets, LARGE / 8);
        vpc_let_read(pairing, pair.server, true);
        vpc_endpoint_kill(&pairing->ends[side]);
    }
    good = good && vpc_endpoint_start(&pairing->ends[side]) && vpc_wait_end(pairing, pair.client) &&
           vpc_wait_end(pairing, pair.server);
    if (good) {
        conform_cut(pairing, pair.client);
        conform_cut(pairing, pair.server);
    }
    vpc_pair_free(&pair);
    free(octets);
    return good && vpc_wait_ready(pairing) && channel_works(pairing, PIPE);
}

static bool guest_restarted(struct vpc_pairing *pairing)
{
    return restarted(pairing, VPC_GUEST_SIDE);
}

static bool host_restarted(struct vpc_pairing *pairing)
{
    return restarted(pairing, VPC_HOST_SIDE);
}

/* The pair is over when stop is answered, so that its name can be used again at once. */
static bool stop_command(struct vpc_pairing *pairing)
{
    struct conform_pair pair;
    bool good = vpc_open_pair(pairing, &pair, PIPE) && greet(pairing, &pair) &&
                vpc_request(pairing, "stop", json_pack("{s:s}", "pipe", pair.pipe));

    if (good && json_object_get(pairing->answer, "return") == NULL)
        good = vpc_pairing_fail(pairing, "stop of an open pair is answered with an error");
    good = good && vpc_wait_end(pairing, pair.client) && vpc_wait_end(pairing, pair.server);
    if (good) {
        conform_cut(pairing, pair.client);
        conform_cut(pairing, pair.server);
    }
    vpc_pair_free(&pair);
    return good && channel_works(pairing, PIPE);
}

/* The first brings both endpoints up. */
static const struct {
    const char *name;
    bool (*hold)(struct vpc_pairing *pairing);
} conversations[] = {
    {"ready", ready},
    {"hello world", hello_world},
    {"1 MiB both ways", large_both_ways},
    {"half-close by client", half_close_by_client},
    {"half-close by server", half_close_by_server},
    {"refused port", refused_port},
    {"8 pairs at once", many_pairs},
    {"slow beside fast", slow_beside_fast},
    {"octet by octet", octet_by_octet},
    {"one after the other", one_after_the_other},
    {"client gone", client_gone},
    {"last words", last_words},
    {"late reader", late_reader},
    {"server resets", server_resets},
    {"both gone at once", both_gone},
    {"guest restarted", guest_restarted},
    {"host restarted", host_restarted},
    {"stop command", stop_command},
    {"nothing left", vpc_wait_no_pairs},
};

/* ---- all of them ------------------------------------------------------------------------------------------------------ */

static uint64_t now_of(const struct vpc_pairing *pairing)
{
    struct vpc_backend *backend = pairing->ends[VPC_HOST_SIDE].backend;

    return backend->ops->now(backend);
}

static bool bring_up(struct vpc_pairing *pairing)
{
    uint64_t ms = 0;

    for (int side = VPC_HOST_SIDE; side <= VPC_GUEST_SIDE; side++)
        ms += vpc_implementation_pixit(pairing->ends[side].implementation, "start_ms", START_MS);
    vpc_pairing_give(pairing, ms);
    return ready(pairing);
}

static void note(json_t *list, size_t which, bool passed, const struct vpc_pairing *pairing,
                 uint64_t ms)
{
    json_array_append_new(list,
                          json_pack("{s:s, s:b, s:b, s:I, s:o}", "name", conversations[which].name,
                                    "passed", passed, "inconclusive", !passed && pairing->excused,
                                    "ms", (json_int_t)ms, "why", vpc_json_text(pairing->why)));
}

/* Why both can not be brought up, which all that follows fails for; the caller's, or NULL. */
static char *hold(struct vpc_pairing *pairing, size_t which, uint64_t limit_ms, json_t *list)
{
    uint64_t start = now_of(pairing);
    bool passed;

    vpc_trace_add(pairing->trace, "---- %s", conversations[which].name);
    if (which == 0) {
        passed = bring_up(pairing);
    } else {
        vpc_pairing_give(pairing, limit_ms);
        passed = conversations[which].hold(pairing);
    }
    if (!passed)
        vpc_pairing_excuse(pairing);
    note(list, which, passed, pairing, now_of(pairing) - start);
    if (passed || pairing->trouble)
        return NULL;
    if (which == 0)
        return vpc_copy("not tried: the endpoints are not ready");
    vpc_pairing_clear(pairing);
    if (bring_up(pairing))
        return NULL;
    vpc_pairing_excuse(pairing);
    return vpc_format("not ready again: %s", pairing->why);
}

/* What is not held since the endpoints could not be brought up. */
static void leave_out(const struct vpc_pairing *pairing, size_t which, const char *down,
                      json_t *list)
{
    json_array_append_new(list,
                          json_pack("{s:s, s:b, s:b, s:i, s:o}", "name", conversations[which].name,
                                    "passed", false, "inconclusive", pairing->excused, "ms", 0,
                                    "why", vpc_json_text(down)));
}

json_t *vpc_pairing_hold_all(const struct vpc_pairing_config *config)
{
    struct vpc_pairing pairing;
    json_t *list = json_array(), *result;
    bool good = vpc_pairing_begin(&pairing, config);
    char *down = NULL;

    for (size_t i = 0; good && i < COUNT && !pairing.trouble; i++) {
        if (down == NULL)
            down = hold(&pairing, i, config->limit_ms, list);
        else
            leave_out(&pairing, i, down, list);
    }
    free(down);
    vpc_pairing_write(&pairing, config->out);
    result = json_pack("{s:o, s:o, s:o, s:o}", "host", vpc_json_text(config->host->name), "guest",
                       vpc_json_text(config->guest->name), "conversations", list, "trouble",
                       pairing.trouble ? vpc_json_text(pairing.trouble) : json_null());
    vpc_pairing_end(&pairing);
    return result;
}
