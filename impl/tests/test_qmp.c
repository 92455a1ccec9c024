/* SPDX-License-Identifier: MIT */
/* The machine's monitor: what QEMU says, in whatever pieces, and what becomes of it when it is lost. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fake_endpoint.h"
#include "qmp.h"
#include "shell_rig.h"

/* What the endpoint is told, as rig_told has it. */
#define UNKNOWN     "0"
#define RUNS        "1"
#define PAUSED      "2"
#define SHUT_DOWN   "3"
#define RESET       "4"
#define PORT_CLOSED "5"

#define GREETING "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n"
#define CAPABLE  "{\"return\": {}, \"id\": \"capabilities\"}\r\n"
#define RUNNING  "{\"return\": {\"status\": \"running\", \"running\": true}, \"id\": \"status\"}\r\n"
#define EVENT(name)                                                                                \
    "{\"timestamp\": {\"seconds\": 1, \"microseconds\": 2}, \"event\": \"" name "\"}\r\n"
#define PORT(id, on)                                                                               \
    "{\"event\": \"VSERPORT_CHANGE\", \"data\": {\"open\": " on ", \"id\": \"" id "\"}}\r\n"

static int listener = -1, qemu = -1; /* QEMU's side */
static char monitor[108];

static void serve(void)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};

    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    snprintf(at.sun_path, sizeof(at.sun_path), "%s", monitor);
    cr_assert_eq(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
    cr_assert_eq(listen(listener, 1), 0);
}

static void begin(void)
{
    static char bus[128];

    scratch_begin();
    snprintf(monitor, sizeof(monitor), "%s/monitor", scratch);
    snprintf(rig_bus, sizeof(rig_bus), "%s/bus", scratch);
    snprintf(bus, sizeof(bus), "listen:%s", rig_bus);
    serve();
    rig_monitor = monitor;
    rig_begin_with(bus, &fake_abi);
}

static void end(void)
{
    rig_monitor = NULL;
    if (qemu >= 0)
        close(qemu);
    if (listener >= 0)
        close(listener);
    qemu = listener = -1;
    rig_end();
}

TestSuite(qmp, .timeout = 60, .init = begin, .fini = end);

static void hide_notes(void)
{
    cr_assert_not_null(freopen("/dev/null", "w", stderr));
}

static void say(const char *text)
{
    cr_assert_eq(send(qemu, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static void expect_asked(const char *command)
{
    char asked[512];
    long n = 0;

    RIG_UNTIL((n = rig_read(qemu, asked, sizeof(asked) - 1)) > 0);
    asked[n] = '\0';
    cr_assert_not_null(strstr(asked, command), "%s", asked);
    cr_assert_eq(asked[n - 1], '\n');
}

static void expect_told(const char *told)
{
    RIG_UNTIL(strlen(rig_told) >= strlen(told));
    cr_assert_str_eq(rig_told, told);
}

static void accept_it(void)
{
    RIG_UNTIL((qemu = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0);
    say(GREETING);
    expect_asked("qmp_capabilities");
    say(CAPABLE);
    expect_asked("query-status");
}

Test(qmp, asks_how_the_machine_is_when_it_comes)
{
    accept_it();
    say("{\"return\": {\"status\": \"paused\", \"running\": false}, \"id\": \"status\"}\r\n");
    expect_told(PAUSED);
    say(EVENT("RESUME"));
    expect_told(PAUSED RUNS);
}

Test(qmp, a_machine_that_has_shut_down_is_found_so)
{
    accept_it();
    say("{\"return\": {\"status\": \"shutdown\", \"running\": false}, \"id\": \"status\"}\r\n");
    expect_told(SHUT_DOWN);
}

Test(qmp, each_event_is_told_once)
{
    accept_it();
    say(RUNNING EVENT("STOP") EVENT("RESUME") EVENT("RESET") EVENT("SUSPEND") EVENT("WAKEUP"));
    expect_told(RUNS PAUSED RUNS RESET PAUSED RUNS);
}

/* QEMU stops a machine that has shut down, and says that too. */
Test(qmp, a_stop_behind_a_shutdown_is_no_pause)
{
    accept_it();
    say(RUNNING EVENT("SHUTDOWN") EVENT("STOP") EVENT("RESET") EVENT("RESUME") EVENT("STOP"));
    expect_told(RUNS SHUT_DOWN RESET RUNS PAUSED);
}

Test(qmp, what_comes_octet_by_octet_is_heard)
{
    static const char text[] = RUNNING EVENT("STOP");

    accept_it();
    for (const char *c = text; *c != '\0'; c++) {
        const char one[2] = {*c, '\0'};

        say(one);
        cr_assert_eq(vpc_shell_turn(rig, 1), 0);
    }
    expect_told(RUNS PAUSED);
}

static void say_long(size_t octets)
{
    char part[4096];

    memset(part, 'x', sizeof(part));
    for (size_t n; octets > 0; octets -= n) {
        n = octets < sizeof(part) ? octets : sizeof(part);
        long sent;

        RIG_UNTIL((sent = send(qemu, part, n, MSG_NOSIGNAL)) > 0);
        n = (size_t)sent;
    }
}

Test(qmp, what_it_does_not_understand_is_passed_over)
{
    static const char *const strange[] = {
        "no JSON at all\n",
        "\n",
        "[]\n",
        "{}\n",
        "{\"event\": 7}\n",
        "{\"event\": \"NOBODY\"}\n",
        "{\"event\": \"VSERPORT_CHANGE\"}\n",
        "{\"event\": \"VSERPORT_CHANGE\", \"data\": {\"id\": 3}}\n",
        "{\"return\": {}}\n",
        "{\"return\": 1, \"id\": {\"port\": 5}}\n",
        "{\"error\": {}, \"id\": 4}\n",
        "{\"return\": \"another.port\", \"id\": {\"port\": \"a\", \"closed\": true}}\n"};

    hide_notes(); /* it says so, once */
    accept_it();
    for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++)
        say(strange[i]);
    say(RUNNING);
    expect_told(RUNS);
    for (size_t n = VPC_HYPERVISOR_LINE_MAX - 2; n < VPC_HYPERVISOR_LINE_MAX + 3; n++) {
        say_long(n);
        say("\n");
    }
    say_long(1000000);
    say("\n" EVENT("STOP"));
    expect_told(RUNS PAUSED);
}

Test(qmp, the_port_of_the_bus_is_known_by_its_name)
{
    accept_it();
    say(RUNNING PORT("other", "false"));
    expect_asked("/machine/peripheral/other");
    say("{\"return\": \"org.qemu.guest_agent.0\", \"id\": {\"port\": \"other\", \"closed\": "
        "true}}\n");
    say(PORT("bus7", "true"));
    expect_asked("/machine/peripheral/bus7");
    say("{\"return\": \"org.vpcbus.0\", \"id\": {\"port\": \"bus7\", \"closed\": false}}\n");
    say(PORT("other", "false") PORT("bus7", "false") PORT("bus7", "true"));
    expect_told(RUNS PORT_CLOSED);
    say(EVENT("RESET"));
    expect_told(RUNS PORT_CLOSED RESET);
}

Test(qmp, a_port_that_is_closed_before_it_is_known_is_told_too)
{
    accept_it();
    say(RUNNING PORT("bus7", "false"));
    expect_asked("qom-get");
    say("{\"return\": \"org.vpcbus.0\", \"id\": {\"port\": \"bus7\", \"closed\": true}}\n");
    expect_told(RUNS PORT_CLOSED);
}

Test(qmp, what_the_guest_said_before_is_given_first)
{
    char octets[50000] = {0};

    accept_it();
    say(RUNNING);
    expect_told(RUNS);
    int peer = rig_connect(rig_bus);
    RIG_UNTIL(fake->ups == 1);
    say(EVENT("RESET"));
    cr_assert_eq(send(peer, octets, sizeof(octets), 0), (ssize_t)sizeof(octets));
    expect_told(RUNS RESET);
    cr_assert_eq(rig_octets_before, sizeof(octets));
    close(peer);
}

Test(qmp, when_it_is_lost_it_is_looked_for_again)
{
    hide_notes();
    accept_it();
    say(RUNNING EVENT("STOP"));
    expect_told(RUNS PAUSED);
    close(listener);
    unlink(monitor);
    close(qemu);
    expect_told(RUNS PAUSED UNKNOWN);
    serve();
    accept_it();
    say(RUNNING);
    expect_told(RUNS PAUSED UNKNOWN RUNS);
}

/* Somebody else has it: it is served when that one goes, and meanwhile nothing turns. */
Test(qmp, one_that_does_not_greet_costs_nothing)
{
    hide_notes();
    rig_turn_for(300);
    cr_assert_leq(rig_turn_for(3500), 3);
    cr_assert_str_empty(rig_told);
    accept_it();
    say(RUNNING);
    expect_told(RUNS);
}
