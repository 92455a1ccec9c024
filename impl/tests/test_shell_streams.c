/* SPDX-License-Identifier: MIT */
/* Pipe clients and TCP connections: ends of every kind, flow, and a loop that never spins. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "shell_rig.h"

#define PIPE "\\\\.\\pipe\\p"

TestSuite(shell_pipe, .timeout = 20, .init = rig_begin, .fini = rig_end);
TestSuite(shell_tcp, .timeout = 20, .init = rig_begin, .fini = rig_end);

static struct fake_stream *stream(void)
{
    return &fake->streams[1];
}

static void say(int fd, const char *text)
{
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static char octets[FAKE_CAPACITY];

/* Reads n octets in all while the shell turns; they must be `value`. */
static void expect_octets(int fd, size_t n, int value)
{
    size_t have = 0;
    int64_t end = scratch_now_ms() + 5000;

    while (have < n) {
        long r = rig_read(fd, octets, sizeof(octets));

        cr_assert_neq(r, 0, "the end came after %zu of %zu octets", have, n);
        for (long i = 0; i < r; i++)
            cr_assert_eq(octets[i], value);
        have += r > 0 ? (size_t)r : 0;
        cr_assert_lt(scratch_now_ms(), end, "%zu of %zu octets came", have, n);
        vpc_shell_turn(rig, 1);
    }
    cr_assert_eq(have, n);
}

Test(shell_pipe, a_client_that_writes_and_closes_loses_nothing)
{
    int fd = rig_pipe(1, PIPE);

    say(fd, "the last words");
    close(fd);
    stream()->room = 1000;
    RIG_UNTIL(stream()->gone != -1);
    cr_assert_eq(stream()->gone, 0);
    cr_assert_eq(stream()->eofs, 1);
    cr_assert_eq(stream()->input_size, 14u);
    cr_assert_arr_eq(stream()->input, "the last words", 14);
}

/* Which events the kernel's signs are taken for shows in the states. */
static void expect_states(const char *states)
{
    cr_assert_str_eq(rig_states, states, "%s", rig_states);
}

Test(shell_pipe, the_states_of_a_client_that_leaves)
{
    int fd = rig_pipe(1, PIPE);

    expect_states("waiting>open none>reading none>writing");
    rig_states[0] = '\0';
    close(fd);
    stream()->room = 1000;
    RIG_UNTIL(stream()->gone == 0);
    fake_act(VPC_ACTION_CLOSE, 1, 0, 0, NULL);
    vpc_shell_turn(rig, 0);
    expect_states("reading>left writing>discarding left>parting parting>over open>closed "
                  "discarding>none");
}

Test(shell_pipe, the_states_of_a_client_that_finishes_and_waits_for_our_end)
{
    int fd = rig_pipe(1, PIPE);

    rig_states[0] = '\0';
    stream()->room = 1000;
    fake->auto_shutdown = true;
    shutdown(fd, SHUT_WR);
    RIG_UNTIL(strstr(rig_states, ">over") != NULL);
    expect_states("reading>finished writing>finished finished>over");
    cr_assert_eq(stream()->gone, -1);
    close(fd);
}

Test(shell_pipe, the_states_of_a_client_that_leaves_octets_unread)
{
    int fd = rig_pipe(1, PIPE);

    rig_states[0] = '\0';
    stream()->output_size = 100;
    RIG_UNTIL(stream()->output_sent == 100);
    close(fd);
    RIG_UNTIL(stream()->gone == 0);
    expect_states("reading>left writing>discarding left>known_gone");
    stream()->room = 1000;
    RIG_UNTIL(stream()->eofs == 1);
    expect_states("reading>left writing>discarding left>known_gone known_gone>over");
}

Test(shell_pipe, a_full_window_keeps_the_words_of_a_client_that_left)
{
    int fd = rig_pipe(1, PIPE);

    stream()->room = 4;
    say(fd, "the last words");
    close(fd);
    RIG_UNTIL(stream()->input_size == 4);
    cr_assert_leq(rig_turn_for(200), 8u, "the loop spins while there is no room");
    cr_assert_eq(stream()->eofs, 0);
    cr_assert_eq(stream()->gone, 0, "that it has gone sets the limit of CLS-8, room or not");
    stream()->room = 4;
    RIG_UNTIL(stream()->input_size == 8);
    cr_assert_leq(rig_turn_for(200), 8u, "the loop spins after that, too");
    stream()->room = 1000;
    RIG_UNTIL(stream()->eofs == 1);
    cr_assert_arr_eq(stream()->input, "the last words", 14);
}

Test(shell_pipe, a_hangup_takes_what_was_written_and_nothing_later)
{
    int fd = rig_pipe(1, PIPE);

    say(fd, "the last words");
    stream()->room = 4;
    RIG_UNTIL(stream()->input_size == 4);
    fake_act(VPC_ACTION_HANGUP, 1, 0, 0, NULL);
    stream()->output_size = 1000000;
    RIG_UNTIL(stream()->output_size == 0); /* discarded */
    cr_assert(write(fd, "more", 4) < 0 && errno == EPIPE);
    cr_assert_leq(rig_turn_for(200), 8u, "the loop spins while there is no room");
    cr_assert_eq(stream()->eofs, 0);
    stream()->room = 1000;
    RIG_UNTIL(stream()->eofs == 1);
    cr_assert_arr_eq(stream()->input, "the last words", 14);
    cr_assert_leq(rig_turn_for(200), 8u, "the loop spins after the end");
    fake_act(VPC_ACTION_CLOSE, 1, 0, 0, NULL);
    RIG_UNTIL(rig_read(fd, octets, sizeof(octets)) == 0);
    close(fd);
}

/* Whatever is still to be read; and the name is another stream's from then on. */
Test(shell_pipe, a_look_finds_a_client_that_has_closed)
{
    int fd = rig_pipe(1, PIPE);

    say(fd, "the last words");
    stream()->room = 4;
    RIG_UNTIL(stream()->input_size == 4);
    fake_act(VPC_ACTION_LOOK, 1, 0, 0, NULL);
    rig_turn_for(50);
    cr_assert_eq(stream()->gone, -1, "it is still there");
    close(fd);
    fake_act(VPC_ACTION_LOOK, 1, 0, 0, NULL);
    RIG_UNTIL(stream()->gone == 0);
    fake_act(VPC_ACTION_FREE_NAME, 1, 0, 0, NULL);
    fd = rig_pipe(2, PIPE);
    stream()->room = 1000;
    RIG_UNTIL(stream()->eofs == 1);
    cr_assert_arr_eq(stream()->input, "the last words", 14);
    close(fd);
}

Test(shell_pipe, a_hangup_of_a_client_that_has_finished_or_gone_does_nothing)
{
    int fd = rig_pipe(1, PIPE);

    stream()->room = 1000;
    shutdown(fd, SHUT_WR);
    RIG_UNTIL(stream()->eofs == 1);
    fake_act(VPC_ACTION_HANGUP, 1, 0, 0, NULL);
    rig_turn_for(50);
    close(fd);
    RIG_UNTIL(stream()->gone == 0);
    fake_act(VPC_ACTION_HANGUP, 1, 0, 0, NULL);
    rig_turn_for(50);
    cr_assert_eq(stream()->eofs, 1);
}

Test(shell_pipe, a_full_window_does_not_spin_while_the_client_writes)
{
    int fd = rig_pipe(1, PIPE);

    say(fd, "more than there is room for");
    stream()->room = 4;
    RIG_UNTIL(stream()->input_size == 4);
    cr_assert_leq(rig_turn_for(200), 8u, "the loop spins while there is no room");
    stream()->room = 1000;
    RIG_UNTIL(stream()->input_size == 27);
    close(fd);
}

Test(shell_pipe, half_close_ends_one_direction_only)
{
    int fd = rig_pipe(1, PIPE);

    stream()->room = 1000;
    say(fd, "question");
    shutdown(fd, SHUT_WR);
    RIG_UNTIL(stream()->eofs == 1);
    cr_assert_eq(stream()->input_size, 8u);
    cr_assert_leq(rig_turn_for(200), 8u, "the loop spins after a half-close");
    cr_assert_eq(stream()->gone, -1);
    stream()->output_size = 100000;
    expect_octets(fd, 100000, 1);
    fake_act(VPC_ACTION_SHUTDOWN, 1, 0, 0, NULL);
    RIG_UNTIL(rig_read(fd, octets, 1) == 0);
    cr_assert_eq(stream()->gone, -1, "both directions ended in order");
    cr_assert_leq(rig_turn_for(200), 8u, "the loop spins after both directions ended");
    close(fd);
}

Test(shell_pipe, half_close_then_close)
{
    int fd = rig_pipe(1, PIPE);

    stream()->room = 1000;
    shutdown(fd, SHUT_WR);
    RIG_UNTIL(stream()->eofs == 1);
    close(fd);
    RIG_UNTIL(stream()->gone == 0);
}

Test(shell_pipe, closing_with_unread_octets_is_no_error)
{
    int fd = rig_pipe(1, PIPE);

    stream()->output_size = 100;
    RIG_UNTIL(stream()->output_sent == 100);
    say(fd, "bye");
    close(fd);
    stream()->room = 1000;
    RIG_UNTIL(stream()->gone != -1);
    cr_assert_eq(stream()->gone, 0);
    cr_assert_eq(stream()->input_size, 3u);
}

Test(shell_pipe, output_for_a_client_that_left_is_discarded_while_its_words_wait)
{
    int fd = rig_pipe(1, PIPE);

    say(fd, "words");
    close(fd);
    RIG_UNTIL(vpc_shell_turns(rig) > 0);
    rig_turn_for(50);
    stream()->output_size = 3000000;
    RIG_UNTIL(stream()->output_size == 0);
    cr_assert_eq(stream()->eofs, 0);
    stream()->room = 1000;
    RIG_UNTIL(stream()->eofs == 1);
    cr_assert_eq(stream()->gone, 0);
    cr_assert_eq(stream()->input_size, 5u);
}

Test(shell_pipe, a_client_that_does_not_read_may_still_write)
{
    int fd = rig_pipe(1, PIPE);

    stream()->room = 1000;
    shutdown(fd, SHUT_RD);
    stream()->output_size = 1000000;
    RIG_UNTIL(stream()->output_size == 0);
    say(fd, "still here");
    RIG_UNTIL(stream()->input_size == 10);
    cr_assert_eq(stream()->gone, -1);
    close(fd);
    RIG_UNTIL(stream()->gone == 0);
}

Test(shell_pipe, a_slow_reader_gets_every_octet)
{
    int fd = rig_pipe(1, PIPE);

    stream()->output_size = 2000000;
    rig_turn_for(100);
    size_t sent = stream()->output_sent;
    cr_assert_gt(stream()->output_size, 0u, "a socket holds less than that");
    cr_assert_leq(rig_turn_for(200), 8u, "the loop spins while the reader is slow");
    cr_assert_eq(stream()->output_sent, sent);
    expect_octets(fd, 2000000, 1);
    close(fd);
}

Test(shell_pipe, a_slow_reader_does_not_hold_up_another_pipe)
{
    int slow = rig_pipe(1, PIPE), quick = rig_pipe(2, PIPE "2");

    fake->streams[1].output_size = 2000000;
    fake->streams[2].output_size = 500000;
    expect_octets(quick, 500000, 2);
    cr_assert_gt(fake->streams[1].output_size, 0u);
    close(slow);
    close(quick);
}

Test(shell_pipe, a_second_client_is_refused)
{
    int fd = rig_pipe(1, PIPE);

    cr_assert_eq(rig_connect(stream()->path), -1);
    cr_assert_eq(errno, ECONNREFUSED);
    close(fd);
}

Test(shell_pipe, a_second_client_in_the_backlog_is_reset)
{
    fake_act(VPC_ACTION_LISTEN, 1, 0, 0, PIPE);
    RIG_UNTIL(stream()->listening == 0);
    int one = rig_connect(stream()->path), two = rig_connect(stream()->path);
    cr_assert(one >= 0 && two >= 0);
    RIG_UNTIL(stream()->opened == 0);
    char octet;
    long n = rig_read(two, &octet, 1);
    cr_assert(n == 0 || (n < 0 && errno == ECONNRESET));
    close(one);
    close(two);
}

Test(shell_pipe, a_name_is_taken_until_the_end_of_the_pair)
{
    int fd = rig_pipe(1, PIPE);

    fake_act(VPC_ACTION_LISTEN, 2, 0, 0, "\\\\.\\PIPE\\P");
    RIG_UNTIL(fake->streams[2].listening != -1);
    cr_assert_eq(fake->streams[2].listening, EADDRINUSE);
    fake_act(VPC_ACTION_CLOSE, 1, 0, 0, NULL);
    RIG_UNTIL(rig_read(fd, octets, 1) == 0);
    cr_assert_eq(access(stream()->path, F_OK), -1);
    close(fd);
    close(rig_pipe(3, PIPE));
}

Test(shell_pipe, unlisten_removes_the_server)
{
    fake_act(VPC_ACTION_LISTEN, 1, 0, 0, PIPE);
    RIG_UNTIL(stream()->listening == 0);
    fake_act(VPC_ACTION_UNLISTEN, 1, 0, 0, NULL);
    vpc_shell_turn(rig, 0);
    cr_assert_eq(access(stream()->path, F_OK), -1);
}

Test(shell_pipe, a_bad_name_is_an_error)
{
    fake_act(VPC_ACTION_LISTEN, 1, 0, 0, "p");
    RIG_UNTIL(stream()->listening != -1);
    cr_assert_eq(stream()->listening, EINVAL);
    cr_assert_str_eq(stream()->path, "");
}

Test(shell_pipe, the_socket_of_a_killed_host_is_cleaned_up)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    char lock[128];
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/pipes/p.sock", scratch);
    snprintf(lock, sizeof(lock), "%s.lock", addr.sun_path);
    cr_assert_eq(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
    close(fd);
    close(open(lock, O_CREAT | O_RDWR | O_CLOEXEC, 0600));
    close(rig_pipe(1, PIPE));
}

/* CLS-14, with what was delivered before it. */
Test(shell_pipe, an_abort_is_an_error_behind_all_output_where_input_is_unread)
{
    int fd = rig_pipe(1, PIPE);

    stream()->output_size = 6;
    RIG_UNTIL(stream()->output_size == 0);
    say(fd, "nobody will read this");
    fake_act(VPC_ACTION_ABORT, 1, 0, 0, NULL);
    vpc_shell_turn(rig, 0);
    cr_assert_eq(rig_read(fd, octets, sizeof(octets)), 6);
    cr_assert_eq(rig_read(fd, octets, 1), -1);
    cr_assert_eq(errno, ECONNRESET);
    cr_assert_eq(rig_read(fd, octets, 1), 0);
    close(fd);
}

/* A message of a client that was silent before; all of it reaches the endpoint. */
static void ask(int fd, const char *text)
{
    size_t before = stream()->input_size;

    stream()->room = 100000;
    scratch_sleep_ms(120);
    say(fd, text);
    RIG_UNTIL(stream()->input_size == before + strlen(text));
    cr_assert_eq(memcmp(stream()->input + before, text, strlen(text)), 0);
}

Test(shell_pipe, an_abort_is_an_error_to_a_client_that_has_asked)
{
    int fd = rig_pipe(1, PIPE);

    ask(fd, "a question");
    stream()->output_size = 6;
    RIG_UNTIL(stream()->output_size == 0);
    cr_assert_leq(rig_turn_for(200), 5, "it spins on what it keeps");
    fake_act(VPC_ACTION_ABORT, 1, 0, 0, NULL);
    vpc_shell_turn(rig, 0);
    cr_assert_eq(rig_read(fd, octets, sizeof(octets)), 6);
    cr_assert_eq(rig_read(fd, octets, 1), -1);
    cr_assert_eq(errno, ECONNRESET);
    close(fd);
}

Test(shell_pipe, an_end_in_order_is_none_to_a_client_that_has_asked)
{
    int fd = rig_pipe(1, PIPE);

    ask(fd, "a question");
    fake_act(VPC_ACTION_CLOSE, 1, 0, 0, NULL);
    vpc_shell_turn(rig, 0);
    cr_assert_eq(rig_read(fd, octets, 1), 0);
    close(fd);
}

Test(shell_pipe, what_is_kept_comes_once)
{
    int fd = rig_pipe(1, PIPE);

    ask(fd, "one");
    ask(fd, "two");
    say(fd, "three"); /* at once */
    RIG_UNTIL(stream()->input_size == 11);
    say(fd, "four");
    RIG_UNTIL(stream()->input_size == 15);
    ask(fd, "5");
    shutdown(fd, SHUT_WR);
    RIG_UNTIL(stream()->eofs == 1);
    cr_assert_eq(memcmp(stream()->input, "onetwothreefour5", 16), 0);
    cr_assert_eq(stream()->input_size, 16);
    close(fd);
}

Test(shell_pipe, what_is_kept_of_a_client_that_goes_comes_once)
{
    int fd = rig_pipe(1, PIPE);

    ask(fd, "one");
    stream()->room = 0;
    say(fd, "two");
    close(fd);
    stream()->room = 2;
    RIG_UNTIL(stream()->input_size == 5);
    stream()->room = 1000;
    RIG_UNTIL(stream()->eofs == 1);
    cr_assert_eq(stream()->input_size, 6);
    cr_assert_eq(memcmp(stream()->input, "onetwo", 6), 0);
}

Test(shell_pipe, a_long_message_after_a_short_one_is_whole)
{
    enum { LONG = 100000 };
    int fd = rig_pipe(1, PIPE);

    ask(fd, "x");
    memset(octets, 'y', LONG);
    scratch_sleep_ms(120);
    stream()->room = 200000;
    cr_assert_eq(write(fd, octets, LONG), LONG);
    RIG_UNTIL(stream()->input_size == LONG + 1);
    for (size_t i = 1; i <= LONG; i++)
        cr_assert_eq(stream()->input[i], 'y');
    close(fd);
}

Test(shell_pipe, an_end_in_order_is_no_error_even_with_unread_input)
{
    int fd = rig_pipe(1, PIPE);

    say(fd, "nobody will read this");
    fake_act(VPC_ACTION_CLOSE, 1, 0, 0, NULL);
    vpc_shell_turn(rig, 0);
    cr_assert_eq(rig_read(fd, octets, 1), 0);
    close(fd);
}

/* Leaves no free descriptor below the limit; takes the limit back when off. */
static void starve(bool on)
{
    static struct rlimit old;
    struct rlimit none;
    int probe;

    if (!on) {
        setrlimit(RLIMIT_NOFILE, &old);
        return;
    }
    getrlimit(RLIMIT_NOFILE, &old);
    probe = dup(0);
    close(probe);
    none = (struct rlimit){.rlim_cur = (rlim_t)probe, .rlim_max = old.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
}

Test(shell_pipe, without_descriptors_a_client_waits_and_nothing_spins)
{
    fake_act(VPC_ACTION_LISTEN, 1, 0, 0, PIPE);
    RIG_UNTIL(stream()->listening == 0);
    int fd = rig_connect(stream()->path);
    cr_assert_geq(fd, 0);
    starve(true);
    uint64_t turns = rig_turn_for(400);
    int opened = stream()->opened;
    starve(false);
    cr_assert_eq(opened, -1);
    cr_assert_leq(turns, 24u, "%u turns", (unsigned)turns);
    RIG_UNTIL(stream()->opened == 0);
    close(fd);
}

/* ---- TCP ------------------------------------------------------------------------------------- */

/* Connects stream 1 to a server of the test's: the server's end. */
static int tcp_pair(void)
{
    unsigned port;
    int server = rig_tcp_server(&port, 1);

    fake_act(VPC_ACTION_CONNECT, 1, 0, port, NULL);
    RIG_UNTIL(stream()->opened != -1);
    cr_assert_eq(stream()->opened, 0);
    int fd = accept(server, NULL, NULL);
    cr_assert_geq(fd, 0);
    close(server);
    return fd;
}

Test(shell_tcp, nobody_listens)
{
    unsigned port;

    close(rig_tcp_server(&port, 1));
    fake_act(VPC_ACTION_CONNECT, 1, 0, port, NULL);
    RIG_UNTIL(stream()->opened != -1);
    cr_assert_eq(stream()->opened, ECONNREFUSED);
}

Test(shell_tcp, a_server_that_does_not_accept_times_out)
{
    unsigned port;
    int server = rig_tcp_server(&port, 0), filler[8];

    /* A full backlog drops what comes; how many it takes to fill it is the kernel's business. */
    for (int i = 0; i < 8; i++) {
        fake->streams[2].opened = -1;
        fake_act(VPC_ACTION_CONNECT, 2, 0, port, NULL);
        RIG_UNTIL(fake->streams[2].opened != -1);
        filler[i] = fake->streams[2].opened;
        if (filler[i])
            break;
        cr_assert_lt(i, 7, "the backlog never fills");
    }
    cr_assert_eq(fake->streams[2].opened, ETIMEDOUT);
    close(server);
}

Test(shell_tcp, octets_and_ends_go_both_ways)
{
    int fd = tcp_pair();

    stream()->output_size = 300000;
    expect_octets(fd, 300000, 1);
    fake_act(VPC_ACTION_SHUTDOWN, 1, 0, 0, NULL);
    RIG_UNTIL(rig_read(fd, octets, 1) == 0);
    say(fd, "answer");
    close(fd);
    stream()->room = 1000;
    RIG_UNTIL(stream()->eofs == 1);
    cr_assert_eq(stream()->input_size, 6u);
    cr_assert_leq(rig_turn_for(200), 8u, "the loop spins after both directions ended");
    cr_assert_eq(stream()->gone, -1);
}

Test(shell_tcp, a_reset_is_told)
{
    int fd = tcp_pair();
    struct linger reset = {.l_onoff = 1};

    stream()->room = 1000;
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(fd);
    RIG_UNTIL(stream()->gone != -1);
    cr_assert_eq(stream()->gone, ECONNRESET);
    cr_assert_eq(stream()->eofs, 0);
    cr_assert_leq(rig_turn_for(200), 8u, "the loop spins after a reset");
}

Test(shell_tcp, the_states_of_a_connection_that_breaks)
{
    int fd = tcp_pair();
    struct linger reset = {.l_onoff = 1};

    rig_states[0] = '\0';
    stream()->room = 1000;
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(fd);
    RIG_UNTIL(stream()->gone != -1);
    fake_act(VPC_ACTION_ABORT, 1, 0, 0, NULL);
    vpc_shell_turn(rig, 0);
    expect_states("reading>broken writing>halted broken>over open>closed halted>none");
}

Test(shell_tcp, the_states_of_a_connection_that_lingers)
{
    int fd = tcp_pair();

    rig_states[0] = '\0';
    stream()->output_size = 1000;
    RIG_UNTIL(stream()->output_size == 0);
    fake_act(VPC_ACTION_CLOSE, 1, 0, 0, NULL);
    RIG_UNTIL(strstr(rig_states, ">closed") != NULL);
    cr_assert(strcmp(rig_states, "open>closed reading>over writing>none") == 0 ||
                  strcmp(rig_states, "open>lingering reading>over writing>none lingering>closed") ==
                      0,
              "%s", rig_states);
    close(fd);
}

Test(shell_tcp, a_reset_is_told_without_room_too)
{
    int fd = tcp_pair();
    struct linger reset = {.l_onoff = 1};

    stream()->output_size = 100000;
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(fd);
    RIG_UNTIL(stream()->gone != -1);
    cr_assert(stream()->gone == ECONNRESET || stream()->gone == EPIPE);
}

Test(shell_tcp, what_came_before_a_reset_is_read)
{
    int fd = tcp_pair();

    say(fd, "last words");
    rig_turn_for(50);
    stream()->output_size = 10;
    RIG_UNTIL(stream()->output_size == 0);
    stream()->room = 1000;
    close(fd); /* with octets unread: a reset */
    RIG_UNTIL(stream()->gone != -1);
    cr_assert_eq(stream()->gone, ECONNRESET);
    cr_assert_eq(stream()->input_size, 10u);
}

Test(shell_tcp, an_abort_is_a_reset_and_a_close_is_not)
{
    int fd = tcp_pair();

    fake_act(VPC_ACTION_ABORT, 1, 0, 0, NULL);
    vpc_shell_turn(rig, 0);
    cr_assert_eq(rig_read(fd, octets, 1), -1);
    cr_assert_eq(errno, ECONNRESET);
    close(fd);
    *stream() =
        (struct fake_stream){.listening = -1, .opened = -1, .gone = -1, .input = stream()->input};
    fd = tcp_pair();
    fake_act(VPC_ACTION_CLOSE, 1, 0, 0, NULL);
    vpc_shell_turn(rig, 0);
    cr_assert_eq(rig_read(fd, octets, 1), 0);
    close(fd);
}

/* Writes until the kernel takes no more. */
static void fill_the_connection(void)
{
    size_t before;

    do {
        before = stream()->output_sent;
        rig_turn_for(100);
    } while (stream()->output_sent != before);
}

/* The host's client wrote, and closed without reading what the server wrote; the server is slow. */
Test(shell_tcp, a_close_with_unread_input_loses_none_of_the_output)
{
    int fd = tcp_pair();

    say(fd, "an answer that nobody reads");
    stream()->output_size = 5000000;
    fill_the_connection();
    size_t sent = stream()->output_sent;
    cr_assert_gt(sent, 500000u, "more than the server's side can hold");
    fake_act(VPC_ACTION_CLOSE, 1, 0, 0, NULL);
    rig_turn_for(100);
    cr_assert_leq(rig_turn_for(200), 24u, "the loop spins while the connection lingers");
    say(fd, "and more");
    expect_octets(fd, sent, 1);
    RIG_UNTIL(rig_read(fd, octets, 1) == 0);
    RIG_UNTIL(!vpc_shell_has_output(rig));
    close(fd);
}

Test(shell_tcp, a_server_that_breaks_off_ends_the_lingering)
{
    int fd = tcp_pair();

    stream()->room = 1000;
    stream()->output_size = 5000000;
    fill_the_connection();
    shutdown(fd, SHUT_WR);
    RIG_UNTIL(stream()->eofs == 1);
    fake_act(VPC_ACTION_CLOSE, 1, 0, 0, NULL);
    rig_turn_for(100);
    cr_assert(vpc_shell_has_output(rig));
    close(fd); /* with unread octets: a reset, which comes after the FIN */
    RIG_UNTIL(!vpc_shell_has_output(rig));
}

Test(shell_tcp, half_close_keeps_the_other_direction)
{
    int fd = tcp_pair();

    stream()->room = 1000;
    shutdown(fd, SHUT_WR);
    RIG_UNTIL(stream()->eofs == 1);
    cr_assert_leq(rig_turn_for(200), 8u, "the loop spins after a half-close");
    stream()->output_size = 100000;
    expect_octets(fd, 100000, 1);
    close(fd);
}
