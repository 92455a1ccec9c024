/* SPDX-License-Identifier: MIT */
/*
 * A hostile side against a real endpoint: it floods, stalls, lies about credit, opens and resets without end, sends noise.
 *
 * The victim must stay within the memory that it had after a warm-up, write little into its log, fall idle when the flood
 * ends, and do its work again; and another virtual machine's endpoints must not notice.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "flood_rig.h"
#include "scratch.h"
#include "shell_rig.h"
#include "vpc.h"

enum {
    CLIENTS =
        64, /* control clients that an endpoint takes, each with 1 MiB and a line (CTL-3, CTL-5) */
    CLIENTS_KIB = CLIENTS * (1024 + 64 + 64),
};

TestSuite(floods_host, .timeout = 120, .init = flood_begin_host, .fini = flood_end);
TestSuite(floods_guest, .timeout = 120, .init = flood_begin_guest, .fini = flood_end);

/* ---- on either side ---------------------------------------------------------------------------------------------- */

static uint64_t random_state = 88172645463325252u;

static uint64_t random_bits(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    return random_state ^= random_state << 17;
}

static void noise(void)
{
    static uint64_t octets[32768];

    for (size_t i = 0; i < sizeof(octets) / sizeof(octets[0]); i++)
        octets[i] = random_bits();
    wire_put(&peer, octets, sizeof(octets), WIRE_LIMIT_MS);
}

static void noise_in_a_session(void)
{
    wire_join(&peer);
    noise();
}

static void greetings(void)
{
    for (int i = 0; i < 20; i++)
        wire_hello(&peer, random_bits());
}

static void sessions(void)
{
    wire_join(&peer);
}

/* So many frames of one kind in one go, as `next` makes them. */
static void pour(unsigned count, vpc_frame (*next)(unsigned i))
{
    static uint8_t octets[1 << 20];
    uint8_t one[VPC_FRAME_MAX];
    size_t n = 0;

    for (unsigned i = 0; i < count; i++) {
        size_t size = wire_seal(&peer, next(i), one);

        if (n + size > sizeof(octets)) {
            wire_put(&peer, octets, n, peer.deaf ? 50 : WIRE_LIMIT_MS);
            n = 0;
        }
        memcpy(octets + n, one, size);
        n += size;
    }
    wire_put(&peer, octets, n, peer.deaf ? 50 : WIRE_LIMIT_MS);
}

static vpc_frame a_heartbeat(unsigned i)
{
    return (vpc_frame){.type = VPC_HEARTBEAT, .count = i};
}

static void heartbeats(void)
{
    wire_join(&peer);
    pour(20000, a_heartbeat);
}

static vpc_frame a_violation(unsigned i)
{
    return (vpc_frame){.type = VPC_FIN, .channel = i + 1};
}

static void violations(void)
{
    wire_join(&peer);
    pour(1, a_violation);
}

Test(floods_host, noise)
{
    flood(noise);
}

Test(floods_host, noise_in_sessions)
{
    flood(noise_in_a_session);
}

Test(floods_host, greetings)
{
    flood(greetings);
}

Test(floods_host, sessions)
{
    flood(sessions);
}

Test(floods_host, heartbeats)
{
    flood(heartbeats);
}

Test(floods_host, violations)
{
    flood(violations);
}

Test(floods_guest, noise)
{
    flood(noise);
}

Test(floods_guest, noise_in_sessions)
{
    flood(noise_in_a_session);
}

Test(floods_guest, greetings)
{
    flood(greetings);
}

Test(floods_guest, heartbeats)
{
    flood(heartbeats);
}

Test(floods_guest, violations)
{
    flood(violations);
}

/* ---- a hostile guest --------------------------------------------------------------------------------------------- */

static vpc_frame a_ready(unsigned i)
{
    return (vpc_frame){.type = VPC_READY, .ready = i & 1};
}

static void readiness(void)
{
    wire_join(&peer);
    pour(5000, a_ready);
}

Test(floods_host, readiness)
{
    flood(readiness);
}

static vpc_frame an_event(unsigned i)
{
    return (vpc_frame){
        .type = VPC_EVENT, .event = 1000 + i % 30, .lost = i, .level = 1, .cause_text = "a cause"};
}

/* All in one session: LOG-8 counts by the second. */
static void entries(void)
{
    if (peer.number == 0)
        wire_join(&peer);
    pour(5000, an_event);
}

Test(floods_host, entries)
{
    flood(entries);
}

static void connections(void)
{
    for (int i = 0; i < 3; i++) {
        close(peer.fd);
        flood_take_host();
        wire_join(&peer);
    }
}

Test(floods_host, connections)
{
    flood(connections);
}

/* A pair in the session, its pipe's client to *client: the peer answers OPEN. */
static void open_pair(int *client)
{
    static const char start[] =
        "{\"execute\": \"start\", \"arguments\": {\"host-name\": \"\\\\\\\\.\\\\pipe\\\\v\", "
        "\"guest-name\": \"80\"}}\n";
    unsigned opens = peer.seen[VPC_OPEN];
    int64_t limit = scratch_now_ms() + WIRE_LIMIT_MS;
    int control = rig_connect(victim_control);

    cr_assert_geq(control, 0);
    while (peer.seen[VPC_OPEN] == opens) {
        cr_assert_lt(scratch_now_ms(), limit, "no OPEN");
        cr_assert_eq(write(control, start, sizeof(start) - 1), (ssize_t)sizeof(start) - 1);
        wire_hear(&peer, 50); /* READY may still be on its way */
    }
    while (vpc_pipe_connect(scratch, "\\\\.\\pipe\\v", client) != 0)
        cr_assert_lt(scratch_now_ms(), limit, "no pipe");
    close(control);
}

static uint64_t sent;

static vpc_frame a_data(unsigned i)
{
    static uint8_t payload[VPC_FRAME_MAX];

    (void)i;
    vpc_frame frame = {.type = VPC_DATA,
                       .channel = peer.subject == VPC_HOST ? peer.g2h : peer.h2g,
                       .offset = sent,
                       .payload = payload,
                       .payload_len = 60000};
    sent += frame.payload_len;
    return frame;
}

/* The client does not read, and the peer sends forty times what it has credit for. */
static void data_beyond_credit(void)
{
    int client;

    wire_join(&peer);
    open_pair(&client);
    sent = 0;
    pour(170, a_data);
    close(client);
}

Test(floods_host, data_beyond_credit)
{
    flood(data_beyond_credit);
}

static vpc_frame a_credit(unsigned i)
{
    (void)i;
    return (vpc_frame){.type = VPC_CREDIT, .channel = peer.h2g, .limit = UINT64_MAX};
}

/* The peer gives credit without end and reads nothing: what the client writes must wait in the client. */
static void credit_without_reading(void)
{
    static char octets[1 << 20];
    int client;

    wire_join(&peer);
    open_pair(&client);
    pour(1, a_credit);
    peer.deaf = true;
    for (int i = 0; i < 200; i++) {
        if (send(client, octets, sizeof(octets), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
            scratch_sleep_ms(1);
        if (i % 50 == 0)
            pour(1000, a_credit);
    }
    peer.deaf = false;
    close(client);
}

Test(floods_host, credit_without_reading)
{
    flood(credit_without_reading);
}

static vpc_frame a_reset(unsigned i)
{
    return (vpc_frame){
        .type = VPC_RESET, .channel = i & 1 ? peer.g2h : peer.h2g, .error = VPC_EPROTO};
}

static void resets(void)
{
    int client;

    wire_join(&peer);
    open_pair(&client);
    pour(10000, a_reset);
    close(client);
}

Test(floods_host, resets)
{
    flood(resets);
}

/* ---- a hostile host ---------------------------------------------------------------------------------------------- */

static uint32_t last_id;

static vpc_frame an_open(unsigned i)
{
    (void)i;
    last_id += 2;
    return (vpc_frame){.type = VPC_OPEN,
                       .channel = last_id - 1,
                       .reverse_channel = last_id,
                       .port = (uint16_t)port,
                       .connect_ms = 600000,
                       .limit = UINT64_MAX};
}

static vpc_frame an_open_or_reset(unsigned i)
{
    if (i % 2 == 0)
        return an_open(i);
    return (vpc_frame){.type = VPC_RESET, .channel = last_id - 1, .error = 0};
}

static void opens(void)
{
    wire_join(&peer);
    last_id = 0;
    pour(2000, an_open);
}

static void opens_and_resets(void)
{
    wire_join(&peer);
    last_id = 0;
    pour(4000, an_open_or_reset);
}

static void opens_without_reading(void)
{
    wire_join(&peer);
    last_id = 0;
    peer.deaf = true;
    pour(2000, an_open);
    peer.deaf = false;
}

static vpc_frame an_open_to_nobody(unsigned i)
{
    vpc_frame frame = an_open(i);

    frame.port = 1;
    return frame;
}

static void opens_to_nobody(void)
{
    wire_join(&peer);
    last_id = 0;
    for (int i = 0; i < 50; i++) {
        pour(40, an_open_to_nobody); /* more that are not answered yet would be a violation */
        for (unsigned answers = peer.seen[VPC_REFUSED];
             peer.seen[VPC_REFUSED] < answers + 40 && !peer.ended;)
            wire_hear(&peer, 100);
    }
}

/* To a server that accepts nothing. */
static void data_to_a_deaf_server(void)
{
    wire_join(&peer);
    last_id = 0;
    pour(1, an_open);
    peer.h2g = 1;
    sent = 0;
    pour(100, a_data);
}

Test(floods_guest, opens)
{
    flood(opens);
}

Test(floods_guest, opens_to_nobody)
{
    flood(opens_to_nobody);
}

Test(floods_guest, opens_and_resets)
{
    flood(opens_and_resets);
}

Test(floods_guest, opens_without_reading)
{
    flood(opens_without_reading);
}

Test(floods_guest, data_to_a_deaf_server)
{
    flood(data_to_a_deaf_server);
}

/* ---- control clients --------------------------------------------------------------------------------------------- */

static int clients[CLIENTS];

static void requests_without_reading(void)
{
    static char lines[60000];
    static const char line[] = "{\"execute\": \"query-stats\"}\n";

    for (size_t n = 0; n + sizeof(line) - 1 <= sizeof(lines); n += sizeof(line) - 1)
        memcpy(lines + n, line, sizeof(line) - 1);
    for (int i = 0; i < CLIENTS; i++) {
        if (clients[i] <= 0)
            clients[i] = rig_connect(victim_control);
        if (clients[i] > 0 &&
            send(clients[i], lines, sizeof(lines), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
            errno != EAGAIN) {
            close(clients[i]);
            clients[i] = 0;
        }
    }
}

static void half_lines(void)
{
    static char octets[65536];

    memset(octets, 'x', sizeof(octets));
    for (int i = 0; i < CLIENTS; i++) {
        int fd = rig_connect(victim_control);

        if (fd < 0)
            continue;
        send(fd, octets, sizeof(octets), MSG_DONTWAIT | MSG_NOSIGNAL);
        close(fd);
    }
}

static void control_flood(void (*burst)(void))
{
    flood_within(burst, CLIENTS_KIB + GROWTH_KIB);
    for (int i = 0; i < CLIENTS; i++)
        if (clients[i] > 0)
            close(clients[i]);
    wire_join(&peer);
    flood_expect_idle();
    vpc_virtual_machine *vm;
    char tag[VPC_TAG_SIZE];
    cr_assert_eq(vpc_open_control_socket(victim_control, &vm), VPC_S_OK);
    cr_assert_eq(vpc_chassis_asset_tag(vm, tag), VPC_S_OK);
    vpc_release_virtual_machine(vm);
}

Test(floods_host, requests_without_reading)
{
    control_flood(requests_without_reading);
}

Test(floods_host, half_lines)
{
    control_flood(half_lines);
}

Test(floods_guest, requests_without_reading)
{
    control_flood(requests_without_reading);
}
