/* SPDX-License-Identifier: MIT */
/* The bus, the control socket, the log, the ready event, and stopping. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "named_event.h"
#include "shell_rig.h"
#include "vpc.h"

TestSuite(shell, .timeout = 20, .init = rig_begin, .fini = rig_end);
TestSuite(shell_bus, .timeout = 20, .init = scratch_begin, .fini = rig_end);

static char octets[FAKE_CAPACITY];

Test(shell, the_bus_carries_octets_both_ways)
{
    int fd = rig_connect(rig_bus);

    RIG_UNTIL(fake->ups == 1);
    fake->bus_echo = true;
    size_t sent = 0, got = 0;
    memset(octets, 'x', sizeof(octets));
    int64_t end = scratch_now_ms() + 5000;
    while (got < 900000 && scratch_now_ms() < end) {
        ssize_t n = sent < 900000 ? write(fd, octets, 900000 - sent) : 0;

        sent += n > 0 ? (size_t)n : 0;
        vpc_shell_turn(rig, 1);
        long r = rig_read(fd, octets, sizeof(octets));
        got += r > 0 ? (size_t)r : 0;
    }
    cr_assert_eq(got, 900000u);
    close(fd);
    RIG_UNTIL(fake->downs == 1);
}

Test(shell, the_listening_bus_takes_one_peer_after_the_other)
{
    int one = rig_connect(rig_bus);

    RIG_UNTIL(fake->ups == 1);
    int two = rig_connect(rig_bus);
    cr_assert_geq(two, 0);
    cr_assert_leq(rig_turn_for(200), 8u);
    cr_assert_eq(fake->ups, 1);
    close(one);
    RIG_UNTIL(fake->ups == 2);
    close(two);
    RIG_UNTIL(fake->downs == 2);
    cr_assert_leq(rig_turn_for(200), 8u, "the loop spins without a peer");
}

Test(shell, output_waits_for_a_peer_that_does_not_read)
{
    int fd = rig_connect(rig_bus);

    RIG_UNTIL(fake->ups == 1);
    fake->bus_input_size = FAKE_CAPACITY;
    fake->bus_echo = true;
    rig_turn_for(50);
    cr_assert_lt(fake->bus_output_at, (size_t)FAKE_CAPACITY);
    cr_assert_leq(rig_turn_for(200), 8u, "the loop spins while the peer does not read");
    close(fd);
    RIG_UNTIL(fake->downs == 1);
}

/* QEMU's side: a listening socket of the test's. */
static int qemu(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
    unlink(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
    cr_assert_eq(listen(fd, 1), 0);
    return fd;
}

Test(shell_bus, reconnects_for_ever)
{
    char path[96];

    snprintf(path, sizeof(path), "%s/qemu", scratch);
    rig_begin_with(path, &fake_abi);
    cr_assert_leq(rig_turn_for(450), 8u, "five looks a second");
    for (int round = 1; round <= 3; round++) {
        int server = qemu(path);

        struct pollfd connected = {.fd = server, .events = POLLIN};
        RIG_UNTIL(poll(&connected, 1, 0) > 0);
        int fd = accept(server, NULL, NULL);
        RIG_UNTIL(fake->ups == round);
        close(server);
        unlink(path);
        cr_assert_eq(write(fd, "hello", 5), 5);
        RIG_UNTIL(fake->bus_input_size == 5);
        close(fd);
        RIG_UNTIL(fake->downs == round);
    }
}

/*
 * The master side of a pseudo terminal does as a virtio-serial port does: POLLHUP at once and for
 * ever while nobody has the other side open, and bytes when somebody has.  This finds the shell's
 * and opens the other side.
 */
static int host_of_port(void)
{
    char link[64], target[64];

    for (int fd = 3; fd < 64; fd++) {
        int unlocked = 0;

        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        ssize_t n = readlink(link, target, sizeof(target) - 1);
        target[n > 0 ? n : 0] = '\0';
        if (strstr(target, "ptmx") == NULL)
            continue;
        cr_assert_eq(ioctl(fd, TIOCSPTLCK, &unlocked), 0);
        int host = ioctl(fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
        cr_assert_geq(host, 0);
        struct termios raw;
        tcgetattr(host, &raw);
        cfmakeraw(&raw);
        tcsetattr(host, TCSANOW, &raw);
        return host;
    }
    cr_assert_fail("the shell has no port open");
    return -1;
}

static void expect_idle_port(void)
{
    int64_t start = scratch_now_ms();
    uint64_t turns = rig_turn_for(600);
    int64_t took = scratch_now_ms() - start;

    cr_assert_leq(turns, (uint64_t)(took / 100 + 3), "%u turns in %d ms", (unsigned)turns,
                  (int)took);
}

Test(shell_bus, a_port_without_a_host_costs_ten_looks_a_second)
{
    rig_begin_with("/dev/ptmx", &fake_abi);
    rig_turn_for(20);
    close(host_of_port()); /* the first opening makes it hang up ever after */
    rig_turn_for(20);
    for (int round = 0; round < 2; round++) {
        RIG_UNTIL(fake->ups == fake->downs);
        int ups = fake->ups;
        expect_idle_port();
        cr_assert_eq(fake->ups, ups);
        int host = host_of_port();
        RIG_UNTIL(fake->ups == ups + 1);
        cr_assert_eq(write(host, "hello", 5), 5);
        RIG_UNTIL(fake->bus_input_size == 5);
        fake->bus_echo = true;
        RIG_UNTIL(read(host, octets, sizeof(octets)) == 5);
        close(host);
        RIG_UNTIL(fake->downs == ups + 1);
    }
}

/* Puts octets of a pattern without a period of pages into the port, from at on: as many as it takes. */
static size_t fill_port(int host, size_t at, size_t total)
{
    unsigned char piece[5000];
    size_t n = total - at < sizeof(piece) ? total - at : sizeof(piece);

    for (size_t i = 0; i < n; i++)
        piece[i] = (unsigned char)((at + i) % 251);
    ssize_t w = n > 0 ? write(host, piece, n) : 0;
    return w > 0 ? (size_t)w : 0;
}

/* A port gives a page at a time: whole pages, a piece of one, and the end. */
Test(shell_bus, all_pages_of_a_port_in_their_order)
{
    enum { TOTAL = 300000 };
    size_t put = 0;

    rig_begin_with("/dev/ptmx", &fake_abi);
    rig_turn_for(20);
    int host = host_of_port();
    RIG_UNTIL(fake->ups == 1);
    while (put < TOTAL) {
        size_t n = fill_port(host, put, TOTAL);

        put += n;
        if (n == 0)
            cr_assert_eq(vpc_shell_turn(rig, 20), 0);
    }
    RIG_UNTIL(fake->bus_input_size == TOTAL);
    for (size_t i = 0; i < TOTAL; i++)
        cr_assert_eq(fake->bus_input[i], i % 251, "octet %zu", i);
    close(host);
    RIG_UNTIL(fake->downs == 1);
}

Test(shell_bus, a_missing_port_is_waited_for)
{
    rig_begin_with("/dev/no-such-port", &fake_abi);
    uint64_t turns = rig_turn_for(500);
    cr_assert(turns >= 2 && turns <= 8, "%u turns", (unsigned)turns);
    cr_assert_eq(fake->ups, 0);
}

/* ---- control --------------------------------------------------------------------------------- */

static int control_client(void)
{
    int opened = fake->clients_opened;
    int fd = rig_connect(rig_control);

    cr_assert_geq(fd, 0);
    RIG_UNTIL(fake->clients_opened == opened + 1);
    return fd;
}

static void expect_text(int fd, const char *want)
{
    char text[256] = "";
    long n = 0;

    RIG_UNTIL((n = rig_read(fd, text, sizeof(text) - 1)) > 0);
    text[n] = '\0';
    cr_assert_str_eq(text, want);
}

Test(shell, control_lines_and_answers)
{
    struct stat st;

    cr_assert_eq(stat(rig_control, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0600);
    int fd = control_client();
    expect_text(fd, "{\"VPCBus\": {}}\n");
    cr_assert_eq(write(fd, "one\ntw", 6), 6);
    RIG_UNTIL(fake->lines == 1);
    cr_assert_str_eq(fake->last_line, "one");
    cr_assert_eq(write(fd, "o\n", 2), 2);
    RIG_UNTIL(fake->lines == 2);
    cr_assert_str_eq(fake->last_line, "two");
    fake_act(VPC_ACTION_BROADCAST, 0, 0, 0, "event");
    expect_text(fd, "event\n");
    close(fd);
    RIG_UNTIL(fake->clients_closed == 1);
}

Test(shell, a_control_client_that_finished_writing_still_gets_its_answer)
{
    int fd = control_client();

    expect_text(fd, "{\"VPCBus\": {}}\n");
    cr_assert_eq(write(fd, "one\n", 4), 4);
    shutdown(fd, SHUT_WR);
    RIG_UNTIL(fake->lines == 1);
    cr_assert_leq(rig_turn_for(100), 8u, "the loop spins after a half-close");
    fake_act(VPC_ACTION_REPLY, 0, fake->last_client, 0, "late");
    expect_text(fd, "late\n");
    close(fd);
    RIG_UNTIL(fake->clients_closed == 1);
}

/* Sends them all while the shell turns, and looks what came back meanwhile. */
static void send_long_line(int fd, size_t n, char *text, size_t size)
{
    size_t sent = 0, got = 0;

    memset(octets, 'x', n);
    int64_t end = scratch_now_ms() + 5000;
    while ((sent < n || memchr(text, '\n', got) == NULL) && scratch_now_ms() < end) {
        ssize_t w = sent < n ? write(fd, octets + sent, n - sent) : 0;

        cr_assert(w >= 0 || errno == EAGAIN, "%s after %u octets", strerror(errno), (unsigned)sent);
        sent += w > 0 ? (size_t)w : 0;
        vpc_shell_turn(rig, 1);
        long r = rig_read(fd, text + got, size - 1 - got);
        got += r > 0 ? (size_t)r : 0;
    }
    text[got] = '\0';
}

Test(shell, a_line_that_is_too_long_ends_the_connection_after_an_error)
{
    int fd = control_client();
    char text[256] = "";

    expect_text(fd, "{\"VPCBus\": {}}\n");
    send_long_line(fd, 600000, text, sizeof(text));
    cr_assert_not_null(strstr(text, "\"GenericError\", \"hresult\": \"0x80020009\""), "%s", text);
    cr_assert_eq(fake->lines, 0);
    RIG_UNTIL(rig_read(fd, text, sizeof(text)) == 0);
    cr_assert_eq(fake->clients_closed, 0, "it may still write");
    cr_assert_eq(write(fd, "more", 4), 4);
    shutdown(fd, SHUT_WR);
    RIG_UNTIL(fake->clients_closed == 1);
    cr_assert_eq(rig_read(fd, text, sizeof(text)), 0, "%s", strerror(errno));
    close(fd);
}

Test(shell, a_client_that_was_sent_away_goes_within_a_time_limit)
{
    int fd = control_client();
    char text[256] = "";

    expect_text(fd, "{\"VPCBus\": {}}\n");
    send_long_line(fd, 70000, text, sizeof(text));
    cr_assert_leq(rig_turn_for(100), 8u, "the loop spins meanwhile");
    RIG_UNTIL(fake->clients_closed == 1); /* it neither writes nor closes */
    cr_assert_eq(rig_read(fd, text, sizeof(text)), 0);
    cr_assert(write(fd, "more", 4) < 0 && errno == EPIPE);
    close(fd);
}

Test(shell, the_longest_line_is_taken)
{
    int fd = control_client();

    memset(octets, 'x', VPC_CONTROL_LINE_MAX);
    octets[VPC_CONTROL_LINE_MAX] = '\n';
    size_t sent = 0;
    while (sent < VPC_CONTROL_LINE_MAX + 1) {
        ssize_t w = write(fd, octets + sent, VPC_CONTROL_LINE_MAX + 1 - sent);

        sent += w > 0 ? (size_t)w : 0;
        vpc_shell_turn(rig, 1);
    }
    RIG_UNTIL(fake->lines == 1);
    close(fd);
}

Test(shell, a_control_client_that_does_not_read_is_disconnected)
{
    int slow = control_client(), good = control_client();
    static char text[100001];

    memset(text, 'b', 100000);
    for (int i = 0; i < 14; i++) {
        fake_act(VPC_ACTION_BROADCAST, 0, 0, 0, text);
        vpc_shell_turn(rig, 0);
        while (rig_read(good, octets, sizeof(octets)) > 0)
            vpc_shell_turn(rig, 0);
    }
    cr_assert_eq(fake->clients_closed, 1);
    cr_assert_eq(write(good, "still here\n", 11), 11);
    RIG_UNTIL(fake->lines == 1);
    close(slow);
    close(good);
}

Test(shell, a_flood_of_control_lines_is_bounded_and_ends)
{
    int fd = control_client();

    fake->reply_size = 100000;
    for (int i = 0; i < 60000; i += 2)
        octets[i] = 'x', octets[i + 1] = '\n';
    int64_t end = scratch_now_ms() + 10000;
    while (fake->clients_closed == 0 && scratch_now_ms() < end) {
        if (write(fd, octets, 60000) < 0)
            cr_assert(errno == EAGAIN || errno == EPIPE);
        vpc_shell_turn(rig, 1);
    }
    cr_assert_eq(fake->clients_closed, 1);
    cr_assert_leq(fake->lines, 40, "it was answered %d times", fake->lines);
    close(fd);
}

Test(shell, many_lines_at_once_are_all_answered)
{
    int fd = control_client();

    for (int i = 0; i < 1000; i++)
        memcpy(octets + 2 * i, "x\n", 2);
    cr_assert_eq(write(fd, octets, 2000), 2000);
    RIG_UNTIL(fake->lines == 1000);
    close(fd);
}

Test(shell, a_flood_of_control_clients_is_bounded)
{
    int fds[80];

    for (int i = 0; i < 80; i++) {
        RIG_UNTIL((fds[i] = rig_connect(rig_control)) >= 0);
        vpc_shell_turn(rig, 0);
    }
    RIG_UNTIL(fake->clients_opened == 80);
    cr_assert_eq(fake->clients_closed, 16, "those that came first");
    RIG_UNTIL(rig_read(fds[15], octets, sizeof(octets)) > 0);
    cr_assert_not_null(strstr(octets, "another client has the place of this one"));
    cr_assert_eq(rig_read(fds[15], octets, sizeof(octets)), 0);
    for (int i = 0; i < 80; i++)
        close(fds[i]);
    RIG_UNTIL(fake->clients_closed == 80);
    close(control_client());
}

/* Who asks stays before who does not; of those who asked the one stays who did so last. */
Test(shell, the_idlest_client_makes_way)
{
    int fds[64], late;

    for (int i = 0; i < 64; i++) {
        fds[i] = control_client();
        cr_assert_eq(write(fds[i], i == 40 ? "half" : "x\n", i == 40 ? 4 : 2), i == 40 ? 4 : 2);
        RIG_UNTIL(fake->lines == (i < 40 ? i + 1 : i));
        scratch_sleep_ms(2);
    }
    late = control_client();
    RIG_UNTIL(rig_read(fds[40], octets, sizeof(octets)) > 0);
    cr_assert_not_null(strstr(octets, "another client has the place"));
    cr_assert_eq(write(fds[0], "x\n", 2), 2);
    RIG_UNTIL(fake->lines == 64);
    scratch_sleep_ms(2);
    close(control_client()); /* late asked nothing yet */
    RIG_UNTIL(rig_read(late, octets, sizeof(octets)) > 0);
    RIG_UNTIL(fake->clients_closed == 3);
    cr_assert_eq(fake->clients_opened, 66);
    for (int i = 0; i < 64; i++)
        close(fds[i]);
    close(late);
}

/* ---- log, ready event, stopping
 * ------------------------------------------------------------------- */

Test(shell, log_entries_are_appended)
{
    char line[64];

    fake_act(VPC_ACTION_LOG, 0, 0, 0, "{\"id\": 1}");
    fake_act(VPC_ACTION_LOG, 0, 0, 0, "{\"id\": 2}");
    vpc_shell_turn(rig, 0);
    FILE *log = fopen(rig_log, "r");
    cr_assert_not_null(fgets(line, sizeof(line), log));
    cr_assert_str_eq(line, "{\"id\": 1}\n");
    cr_assert_not_null(fgets(line, sizeof(line), log));
    cr_assert_str_eq(line, "{\"id\": 2}\n");
    fclose(log);
}

Test(shell, the_ready_event_follows_the_endpoint)
{
    vpc_event *event;

    cr_assert_eq(vpc_event_open(scratch, "Local\\T_ChannelReady", &event), 0);
    fake_act(VPC_ACTION_READY, 0, 0, 1, "Local\\T_ChannelReady");
    vpc_shell_turn(rig, 0);
    cr_assert(vpc_event_is_set(event));
    fake_act(VPC_ACTION_READY, 0, 0, 0, "Local\\T_ChannelReady");
    vpc_shell_turn(rig, 0);
    cr_assert_not(vpc_event_is_set(event));
    fake_act(VPC_ACTION_READY, 0, 0, 1, "Local\\T_ChannelReady");
    fake_act(VPC_ACTION_READY, 0, 0, 1, "Local\\OTHER_ChannelReady");
    vpc_shell_turn(rig, 0);
    cr_assert_not(vpc_event_is_set(event), "a new tag is a new event");
    vpc_event_close(event);
}

static bool has_event_file(const char *tag)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/events/Local%%5C%s_ChannelReady", scratch, tag);
    return access(path, F_OK) == 0;
}

/* A guest may say another tag in every session; a tag that was given leaves its file. */
Test(shell, tags_that_a_guest_said_leave_no_files)
{
    fake_act(VPC_ACTION_READY, 0, 0, 1, "Local\\SAID_ChannelReady");
    vpc_shell_turn(rig, 0);
    cr_assert(has_event_file("SAID"));
    fake_act(VPC_ACTION_READY, 0, 1, 0, "Local\\GIVEN_ChannelReady");
    vpc_shell_turn(rig, 0);
    cr_assert_not(has_event_file("SAID"));
    cr_assert(has_event_file("GIVEN"));
    fake_act(VPC_ACTION_READY, 0, 0, 0, "Local\\NEXT_ChannelReady");
    vpc_shell_turn(rig, 0);
    cr_assert(has_event_file("GIVEN"));
    cr_assert(has_event_file("NEXT"));
}

/* Such a guest may say the tags of two other machines in turn, in as many sessions as it likes. */
Test(shell, tags_of_others_that_a_guest_says_do_not_fill_the_log)
{
    static const char *const names[] = {"Local\\A_ChannelReady", "Local\\B_ChannelReady"};
    vpc_event *events[2];
    char line[512];
    unsigned said = 0;
    bool of_last = false;
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(vpc_event_open(scratch, names[i], &events[i]), 0);
        cr_assert_eq(vpc_event_claim(events[i], "other", true), 0);
    }
    int64_t began = scratch_now_ms();
    for (int i = 0; i < 500; i++) {
        fake_act(VPC_ACTION_READY, 0, 0, 0, names[i % 2]);
        vpc_shell_turn(rig, 0);
    }
    /* The last one is told all the same, as it lasts. */
    rig_turn_for(1500);
    unsigned seconds = (unsigned)((scratch_now_ms() - began) / 1000);
    FILE *log = fopen(rig_log, "re");
    cr_assert_not_null(log);
    while (fgets(line, sizeof(line), log) != NULL)
        if (strstr(line, "READY_EVENT_FAILED") != NULL) {
            said++;
            of_last = strstr(line, "B_ChannelReady") != NULL;
        }
    fclose(log);
    cr_assert(of_last);
    cr_assert_geq(said, 16u);
    cr_assert_leq(said, 16 * (seconds + 1), "%u in %u s", said, seconds);
    for (int i = 0; i < 2; i++)
        vpc_event_close(events[i]);
}

Test(shell, a_ready_event_whose_file_was_removed_comes_back)
{
    char path[128];
    vpc_event *event;

    fake_act(VPC_ACTION_READY, 0, 0, 1, "Local\\T_ChannelReady");
    vpc_shell_turn(rig, 0);
    snprintf(path, sizeof(path), "%s/events/Local%%5CT_ChannelReady", scratch);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(vpc_event_open(scratch, "Local\\T_ChannelReady", &event), 0);
    cr_assert_not(vpc_event_is_set(event));
    RIG_UNTIL(vpc_event_is_set(event));
    vpc_event_close(event);
}

/* Lets files grow to so many octets. */
static void limit_files(rlim_t size)
{
    struct rlimit limit;

    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = size;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void log_line(const char *text)
{
    fake_act(VPC_ACTION_LOG, 0, 0, 0, text);
    vpc_shell_turn(rig, 0);
}

Test(shell, an_entry_cut_by_a_full_disk_spoils_no_other)
{
    vpc_shell_hold_signals(); /* SIGXFSZ would end us */
    limit_files(14);
    log_line("{\"n\":1}");
    log_line("{\"n\":2}");
    log_line("{\"n\":3}");
    limit_files(16);
    log_line("{\"n\":4}"); /* no more than the newline, and one octet */
    limit_files(RLIM_INFINITY);
    log_line("{\"n\":5}");
    log_line("{\"n\":6}");
    char text[256] = "";
    int fd = open(rig_log, O_RDONLY | O_CLOEXEC);
    cr_assert_gt(read(fd, text, sizeof(text) - 1), 0);
    close(fd);
    cr_assert_str_eq(text, "{\"n\":1}\n{\"n\":2\n{\n{\"n\":5}\n{\"n\":6}\n");
}

Test(shell, deadlines_are_kept)
{
    vpc_shell_turn(rig, 0);
    int64_t start = scratch_now_ms();
    fake->deadline = fake->now + 100;
    RIG_UNTIL(fake->deadline == VPC_NEVER);
    cr_assert_geq(scratch_now_ms() - start, 90);
}

Test(shell, stops_when_the_endpoint_has)
{
    vpc_shell_stop(rig, 100);
    cr_assert(vpc_shell_stopped(rig));
}

Test(shell, a_second_endpoint_of_the_same_name_is_refused)
{
    struct vpc_shell *other = NULL;
    struct fake_endpoint *first = fake;
    struct vpc_shell_config config = {
        .abi = &fake_abi,
        .program = "test",
        .role = VPC_ROLE_HOST,
        .vm = "vm",
        .tag = "",
        .options = "{}",
        .bus = rig_bus,
        .runtime_dir = scratch,
        .control_path = rig_control,
        .log_path = rig_log,
    };

    cr_assert_eq(vpc_shell_open(&config, &other), EADDRINUSE);
    fake = first;
    config.options = "{\"window\": 0}";
    cr_assert_eq(vpc_shell_open(&config, &other), VPC_SHELL_BAD_SETTING);
}
