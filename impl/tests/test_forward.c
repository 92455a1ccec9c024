/* SPDX-License-Identifier: MIT */
/*
 * Forwards as processes: what only a kernel shows of them, the settings that make them, the library and vpcctl.  The test is
 * the server in the guest, too.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "programs.h"
#include "scratch.h"
#include "shell_rig.h"
#include "vpc.h"

static pid_t host, guest;
static vpc_virtual_machine *vm;
static int server;
static unsigned port;

static void begin(void)
{
    scratch_begin();
    server = rig_tcp_server(&port, 16);
}

static pid_t run_host(const char *option, const char *value)
{
    char bus[96];

    snprintf(bus, sizeof(bus), "listen:%s/bus", scratch);
    return program_run(-1, -1,
                       (const char *[]){"vpc-host", "--bus", bus, "--runtime-dir", scratch, "--vm",
                                        "vm", option, value, NULL});
}

static void start_host(const char *option, const char *value)
{
    int64_t limit = scratch_now_ms() + PROGRAM_LIMIT_MS;

    host = run_host(option, value);
    while (vpc_find_virtual_machine(scratch, "vm", &vm) != VPC_S_OK) {
        cr_assert_lt(scratch_now_ms(), limit, "the host endpoint does not come");
        scratch_sleep_ms(5);
    }
}

static void start_guest(void)
{
    char bus[96], dir[96];

    snprintf(bus, sizeof(bus), "%s/bus", scratch);
    snprintf(dir, sizeof(dir), "%s/guest", scratch);
    guest = program_run(
        -1, -1,
        (const char *[]){"vpc-guest", "--bus", bus, "--runtime-dir", dir, "--tag", "T", NULL});
    cr_assert_eq(vpc_wait_channel_ready(scratch, "vm", PROGRAM_LIMIT_MS, NULL, NULL, NULL),
                 VPC_S_OK);
}

static void end(void)
{
    close(server);
    vpc_release_virtual_machine(vm);
    program_stop(&host);
    program_stop(&guest);
    scratch_end();
}

TestSuite(forward, .timeout = 60, .init = begin, .fini = end);

/* ---- clients ----------------------------------------------------------------------------------- */

static int unix_client(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
    cr_assert_eq(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0, "%s: %s", path,
                 strerror(errno));
    return fd;
}

static int port_client(const char *listen)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)atoi(strrchr(listen, ':') + 1)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    cr_assert_eq(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0, "%s: %s", listen,
                 strerror(errno));
    return fd;
}

static vpc_forward_info started(const char *listen, unsigned to, unsigned flags)
{
    vpc_forward_info info;
    vpc_hresult result = vpc_start_forward(vm, listen, to, flags, &info);

    cr_assert_eq(result, VPC_S_OK, "%s: %s", listen, vpc_last_error(vm));
    return info;
}

static void say(int from, int to, const char *text)
{
    char got[64] = "";
    struct pollfd p = {.fd = to, .events = POLLIN};

    cr_assert_eq(write(from, text, strlen(text)), (ssize_t)strlen(text));
    cr_assert_eq(poll(&p, 1, PROGRAM_LIMIT_MS), 1, "nothing comes");
    cr_assert_eq(read(to, got, sizeof(got) - 1), (ssize_t)strlen(text));
    cr_assert_str_eq(got, text);
}

static int served(void)
{
    struct pollfd p = {.fd = server, .events = POLLIN};

    cr_assert_eq(poll(&p, 1, PROGRAM_LIMIT_MS), 1, "no connection in the guest");
    return accept4(server, NULL, NULL, SOCK_CLOEXEC);
}

/* The end that the client sees: 0 or an errno. */
static int end_of(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char octet;

    cr_assert_eq(poll(&p, 1, PROGRAM_LIMIT_MS), 1, "it does not end");
    ssize_t n = read(fd, &octet, 1);
    int error = n < 0 ? errno : 0;

    cr_assert_leq(n, 0, "an octet came");
    close(fd);
    return error;
}

static unsigned free_port(void)
{
    unsigned number;

    close(rig_tcp_server(&number, 1));
    return number;
}

Test(forward, each_client_has_a_channel_of_its_own)
{
    start_host("--option", "max_pairs=2");
    start_guest();
    vpc_forward_info web = started("web", port, 0);
    struct stat st;

    cr_assert_eq(stat(web.path, &st), 0);
    cr_expect_eq(st.st_mode & 0777, 0600, "others may come in");
    int a = unix_client(web.path), far_a = served();
    int b = unix_client(web.path), far_b = served();
    int waiting = unix_client(web.path);
    say(b, far_b, "second");
    say(far_a, a, "first");
    close(a);
    close(far_a);
    int far_c = served();
    say(waiting, far_c, "third");
    close(b), close(far_b), close(waiting), close(far_c);
}

Test(forward, a_client_that_is_refused_sees_a_reset)
{
    unsigned nobody = free_port();
    char octet = 'x';

    start_host("--option", "max_pairs=2");
    start_guest();
    cr_expect_eq(end_of(port_client(started("127.0.0.1:0", nobody, 0).listen)), ECONNRESET);
    int fd = unix_client(started("web", nobody, 0).path);
    if (write(fd, &octet, 1) == 1)
        cr_expect_eq(end_of(fd), ECONNRESET, "it has written, so it sees that this was not read");
    else
        close(fd);
}

Test(forward, a_pair_that_breaks_is_a_reset)
{
    const struct linger reset = {.l_onoff = 1};

    start_host("--option", "max_pairs=2");
    start_guest();
    int fd = port_client(started("127.0.0.1:0", port, 0).listen), far = served();
    say(fd, far, "question");
    setsockopt(far, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(far);
    cr_expect_eq(end_of(fd), ECONNRESET);
}

Test(forward, half_a_close_goes_through)
{
    start_host("--option", "max_pairs=2");
    start_guest();
    int fd = port_client(started("127.0.0.1:0", port, 0).listen), far = served();
    say(fd, far, "question");
    shutdown(fd, SHUT_WR);
    cr_expect_eq(end_of(far), 0, "the server sees the end of the question"); /* and closes */
    cr_expect_eq(end_of(fd), 0);
}

/* ---- settings ---------------------------------------------------------------------------------- */

static void see(const vpc_forward_info *forward, void *user)
{
    vpc_forward_info *seen = user;

    *seen = *forward;
}

Test(forward, there_from_the_start_and_before_the_machine)
{
    char option[64], path[96];
    vpc_forward_info seen = {.port = 0};

    snprintf(path, sizeof(path), "%s/pipes/web.forward", scratch);
    snprintf(option, sizeof(option), "web=%u,when-not-ready=wait", port);
    start_host("--forward", option);
    cr_assert_eq(vpc_list_forwards(vm, see, &seen), VPC_S_OK); /* it is open by now */
    int fd = unix_client(path);
    cr_expect_str_eq(seen.listen, "web");
    cr_expect_str_eq(seen.path, path);
    cr_expect_eq(seen.port, port);
    cr_expect_eq(seen.flags, (unsigned)VPC_FORWARD_WAIT_UNTIL_READY);
    cr_assert_eq(write(fd, "early", 5), 5);
    start_guest();
    int far = served();
    char got[8];
    cr_expect_eq(recv(far, got, 5, MSG_WAITALL), 5, "what it wrote before is lost");
    close(fd), close(far);
}

Test(forward, of_the_configuration_file)
{
    char config[96], text[128];
    vpc_forward_info seen = {.port = 0};

    snprintf(config, sizeof(config), "%s/config.json", scratch);
    FILE *file = fopen(config, "we");
    snprintf(text, sizeof(text),
             "{\"forwards\": {\"web\": {\"port\": %u, \"when-full\": \"refuse\"}}}", port);
    fputs(text, file);
    fclose(file);
    start_host("--config", config);
    cr_assert_eq(vpc_list_forwards(vm, see, &seen), VPC_S_OK);
    cr_expect_str_eq(seen.listen, "web");
    cr_expect_eq(seen.flags, (unsigned)VPC_FORWARD_REFUSE_WHEN_FULL);
}

Test(forward, settings_that_are_wrong)
{
    static const char *const wrong[] = {"web",           "web=",
                                        "web=0",         "web=65536",
                                        "0.0.0.0:80=80", "web=80,when-full=never",
                                        "a/b=80",        "web=80,when-x=wait"};

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        cr_expect_eq(program_ended(run_host("--forward", wrong[i])), 2, "%s", wrong[i]);
    cr_expect_eq(program_ended(run_host("--forward", "/nowhere/at/all=80")), 1);
}

Test(forward, a_path_in_a_folder_that_was_named)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/guest", scratch);
    cr_assert_eq(mkdir(path, 0700), 0);
    start_host("--forward-dir", path);
    start_guest();
    snprintf(path, sizeof(path), "%s/guest/socket", scratch);
    int fd = unix_client(started(path, port, 0).path), far = served();
    say(fd, far, "question");
    close(fd), close(far);
    cr_expect_eq(vpc_stop_forward(vm, path), VPC_S_OK);
    cr_expect_neq(access(path, F_OK), 0, "its socket stays");
    cr_expect_eq(vpc_stop_forward(vm, path), VPC_E_POINTER);
}

Test(forward, of_a_killed_endpoint_leaves_no_socket)
{
    vpc_forward_info web;
    int64_t limit = scratch_now_ms() + PROGRAM_LIMIT_MS;

    start_host("--option", "max_pairs=2");
    web = started("web", port, 0);
    kill(host, SIGKILL);
    program_ended(host);
    host = 0;
    while (access(web.path, F_OK) == 0) {
        cr_assert_lt(scratch_now_ms(), limit, "the socket stays");
        scratch_sleep_ms(5);
    }
}
