/* SPDX-License-Identifier: MIT */
/* The endpoint's second process: what it opens, what it must not be asked, and what the end of either means. */
#include "opener.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bus_dial.h"
#include "programs.h"
#include "sandbox.h"
#include "scratch.h"
#include "shell_rig.h"
#include "vpc_endpoint.h"

TestSuite(opener, .timeout = 60, .init = scratch_begin, .fini = scratch_end);

static char path[108];

static struct vpc_opener started(enum vpc_bus_kind kind)
{
    const struct vpc_acts_config config = {
        .program = "test",
        .vm = "vm",
        .role = VPC_ROLE_HOST,
        .bus = {.kind = kind, .path = path},
        .runtime_dir = scratch,
    };
    struct vpc_opener opener;
    int fd;

    cr_assert_eq(vpc_opener_start(&opener, &config), 0);
    if (vpc_sandbox_possible())
        cr_assert_eq(vpc_opener_wish(&opener, VPC_WISH_CONFINE, &fd), 0);
    return opener;
}

static int serve(void)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
    cr_assert_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    cr_assert_eq(listen(fd, 8), 0);
    return fd;
}

Test(opener, connects_to_a_socket_whenever_it_is_asked)
{
    int fd;

    snprintf(path, sizeof(path), "%s/bus", scratch);
    struct vpc_opener opener = started(VPC_BUS_CONNECT);
    cr_assert_eq(vpc_opener_dial(&opener, &fd), ENOENT);
    cr_assert_eq(fd, -1);
    int served = serve();
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(vpc_opener_dial(&opener, &fd), 0);
        cr_assert_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
        cr_assert_eq(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
        close(fd);
    }
    close(served);
    cr_assert_eq(vpc_opener_dial(&opener, &fd), ECONNREFUSED);
    vpc_opener_end(&opener);
}

Test(opener, opens_a_device)
{
    int fd;

    snprintf(path, sizeof(path), "/dev/null");
    struct vpc_opener opener = started(VPC_BUS_PORT);
    cr_assert_eq(vpc_opener_dial(&opener, &fd), 0);
    cr_assert_eq(write(fd, "x", 1), 1);
    close(fd);
    vpc_opener_end(&opener);
}

Test(opener, a_port_that_is_not_there_is_said_to_be_so)
{
    int fd;

    snprintf(path, sizeof(path), "/dev/virtio-ports/org.vpcbus.no-such-port");
    struct vpc_opener opener = started(VPC_BUS_PORT);
    cr_assert_eq(vpc_opener_dial(&opener, &fd), ENOENT);
    vpc_opener_end(&opener);
}

/* That it says why, each time, is for nobody here. */
static void ends_it(const void *asked, size_t n)
{
    struct vpc_opener opener = started(VPC_BUS_PORT);
    int status, fd;

    cr_assert_eq(send(opener.fd, asked, n, MSG_NOSIGNAL), (ssize_t)n);
    cr_assert_eq(waitpid(opener.pid, &status, 0), opener.pid);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_FAILURE, "length %zu", n);
    cr_assert_eq(vpc_opener_dial(&opener, &fd), EPIPE);
    vpc_opener_end(&opener);
}

/* Each octet that is not as it must be, and lengths. */
Test(opener, what_it_must_not_be_asked_ends_it)
{
    static char longer[sizeof(struct vpc_errand) + 64];
    const struct vpc_errand good = {.wish = VPC_WISH_BUS};
    int shown = dup(STDERR_FILENO), hidden = open("/dev/null", O_WRONLY | O_CLOEXEC);

    snprintf(path, sizeof(path), "/dev/null");
    dup2(hidden, STDERR_FILENO);
    memcpy(longer, &good, sizeof(good));
    ends_it(longer, 1);
    ends_it(longer, sizeof(good) - 1);
    ends_it(longer, sizeof(good) + 1);
    ends_it(longer, sizeof(longer));
    for (size_t odd = 0; odd < sizeof(good); odd += odd < 16 || odd > sizeof(good) - 4 ? 1 : 97) {
        memcpy(longer, &good, sizeof(good));
        longer[odd] ^= 0x40;
        ends_it(longer, sizeof(good));
    }
    dup2(shown, STDERR_FILENO);
    close(shown);
    close(hidden);
}

static bool there_is(const char *name)
{
    char file[160];

    snprintf(file, sizeof(file), "%s/%s", scratch, name);
    return access(file, F_OK) == 0;
}

Test(opener, makes_pipe_servers_and_removes_its_own)
{
    int fd, again;

    snprintf(path, sizeof(path), "%s/bus", scratch);
    struct vpc_opener opener = started(VPC_BUS_CONNECT);
    cr_assert_eq(vpc_opener_pipe(&opener, 7, "\\\\.\\pipe\\a/../b", &fd), 0);
    cr_assert(there_is("pipes/a%2F..%2Fb.sock") && there_is("pipes/a%2F..%2Fb.sock.lock"));
    cr_assert_eq(vpc_opener_pipe(&opener, 7, "\\\\.\\pipe\\c", &again), EINVAL);
    cr_assert_eq(vpc_opener_pipe(&opener, 8, "\\\\.\\pipe\\A/../B", &again), EADDRINUSE);
    cr_assert_eq(vpc_opener_pipe(&opener, 9, "/tmp/c", &again), EINVAL);
    cr_assert_eq(vpc_opener_wish(&opener, VPC_WISH_CONTROL, &again), EINVAL, "it knows of none");
    vpc_opener_end_pipe(&opener, 8);
    cr_assert(there_is("pipes/a%2F..%2Fb.sock"));
    vpc_opener_end_pipe(&opener, 7);
    cr_assert_not(there_is("pipes/a%2F..%2Fb.sock") || there_is("pipes/a%2F..%2Fb.sock.lock"));
    close(fd);
    cr_assert_eq(vpc_opener_pipe(&opener, 7, "\\\\.\\pipe\\d", &fd), 0);
    close(fd);
    vpc_opener_end(&opener);
    cr_assert_not(there_is("pipes/d.sock") || there_is("pipes/d.sock.lock"));
}

static int alive = -1; /* the descriptor that says that the owner of the event lives */

static int event(const struct vpc_opener *opener, const char *name, uint32_t bits)
{
    struct vpc_answer answer;
    int fd, error = vpc_opener_event(opener, name, bits, &answer, &fd);

    if (fd >= 0) {
        cr_assert_eq(alive, -1, "it is given once");
        alive = fd;
    }
    return error;
}

Test(opener, owns_the_event_of_one_tag_and_no_other_file)
{
    static const char *const names[] = {
        "",
        "Local\\T",
        "_ChannelReady",
        "Local\\_Ready",
        "Local\\T\n_ChannelReady",
        "../vms/vm.sock",
        "Local\\123456789012345678901234567890123_ChannelReady",
    };
    static const char name[] = "Local\\T_ChannelReady";
    vpc_event *seen;

    snprintf(path, sizeof(path), "%s/bus", scratch);
    struct vpc_opener opener = started(VPC_BUS_CONNECT);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        cr_assert_eq(event(&opener, names[i], 0), EINVAL, "%s", names[i]);
    cr_assert_eq(event(&opener, name, VPC_EVENT_BITS + 1), EINVAL);
    cr_assert_eq(event(&opener, name, VPC_EVENT_IS_SET), 0);
    cr_assert_eq(vpc_event_open(scratch, name, &seen), 0);
    cr_assert(vpc_event_is_set(seen));
    cr_assert_eq(event(&opener, name, 0), 0);
    cr_assert_not(vpc_event_is_set(seen));
    cr_assert_eq(event(&opener, name, VPC_EVENT_IS_SET), 0);
    close(alive);
    cr_assert_not(vpc_event_is_set(seen), "the endpoint is dead, whatever its opener does");
    vpc_event_close(seen);
    vpc_opener_end(&opener);
    cr_assert_not(there_is("events/Local%5CT_ChannelReady"), "the file of a guest's word is left");
}

Test(opener, connects_a_guest_to_the_ports_that_are_allowed)
{
    unsigned port;
    int fd, server = rig_tcp_server(&port, 4);
    char ports[16];
    const struct vpc_acts_config config = {
        .program = "test",
        .vm = "vm",
        .role = VPC_ROLE_GUEST,
        .bus = {.kind = VPC_BUS_PORT, .path = "/dev/null"},
        .allow_ports = ports,
    };
    struct vpc_opener opener;

    snprintf(ports, sizeof(ports), "%u", port);
    cr_assert_eq(vpc_opener_start(&opener, &config), 0);
    if (vpc_sandbox_possible())
        cr_assert_eq(vpc_opener_wish(&opener, VPC_WISH_CONFINE, &fd), 0);
    cr_assert_eq(vpc_opener_connect(&opener, 0, &fd), EINVAL);
    cr_assert_eq(vpc_opener_connect(&opener, 65536 + port, &fd), EINVAL);
    cr_assert_eq(vpc_opener_connect(&opener, port ^ 1, &fd), EACCES);
    int error = vpc_opener_connect(&opener, port, &fd);
    cr_assert(error == 0 || error == EINPROGRESS);
    int served = accept4(server, NULL, NULL, SOCK_CLOEXEC);
    cr_assert_geq(served, 0);
    close(served);
    close(fd);
    close(server);
    vpc_opener_end(&opener);
}

Test(opener, its_end_is_seen)
{
    int fd;

    snprintf(path, sizeof(path), "/dev/null");
    struct vpc_opener opener = started(VPC_BUS_PORT);
    cr_assert_eq(kill(opener.pid, SIGKILL), 0);
    struct pollfd poller = {.fd = opener.fd, .events = POLLIN};
    cr_assert_eq(poll(&poller, 1, 10000), 1);
    cr_assert(poller.revents & POLLHUP);
    cr_assert_eq(vpc_opener_dial(&opener, &fd), EPIPE);
    vpc_opener_end(&opener);
}

/* What comes late would be the answer to the next question. */
Test(opener, one_that_hangs_is_asked_once)
{
    int fd;

    snprintf(path, sizeof(path), "/dev/null");
    struct vpc_opener opener = started(VPC_BUS_PORT);
    cr_assert_eq(kill(opener.pid, SIGSTOP), 0);
    cr_assert_eq(vpc_opener_dial(&opener, &fd), ETIMEDOUT);
    cr_assert_eq(kill(opener.pid, SIGCONT), 0);
    cr_assert_eq(vpc_opener_dial(&opener, &fd), EPIPE);
    vpc_opener_end(&opener);
}

/* An opener that was taken over has no more to say than an errno and one descriptor. */
static int answered(const void *octets, size_t n, int with)
{
    struct iovec piece = {(void *)(uintptr_t)octets, n};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    union {
        struct cmsghdr align;
        char octets[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct vpc_opener opener = {.fd = -1};
    int ends[2], fd;

    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    if (with >= 0) {
        message.msg_control = control.octets;
        message.msg_controllen = sizeof(control.octets);
        *CMSG_FIRSTHDR(&message) = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), &with, sizeof(with));
    }
    cr_assert_eq(sendmsg(ends[1], &message, 0), (ssize_t)n);
    opener.fd = ends[0];
    int error = vpc_opener_dial(&opener, &fd);
    cr_assert_eq(fd >= 0, error == 0 || error == EINPROGRESS, "error %d comes with descriptor %d",
                 error, fd);
    if (fd >= 0)
        close(fd);
    close(ends[0]);
    close(ends[1]);
    return error;
}

Test(opener, an_answer_that_is_none_is_taken_for_none)
{
    const struct vpc_answer good = {.error = 0}, going = {.error = EINPROGRESS},
                            bad = {.error = ENOENT};
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    cr_assert_eq(answered(&good, sizeof(good), null), 0);
    cr_assert_eq(answered(&going, sizeof(going), null), EINPROGRESS);
    cr_assert_eq(answered(&bad, sizeof(bad), -1), ENOENT);
    cr_assert_eq(answered(&good, sizeof(good), -1), EPROTO);
    cr_assert_eq(answered(&going, sizeof(going), -1), EPROTO);
    cr_assert_eq(answered(&bad, sizeof(bad), null), EPROTO);
    for (size_t n = 1; n < sizeof(bad); n++)
        cr_assert_eq(answered(&bad, n, -1), EPROTO, "%zu octets", n);
    close(null);
}

/* Whose descriptors are all in use is told so, and may ask again. */
Test(opener, no_room_for_a_descriptor_is_no_end)
{
    const struct rlimit none = {0, 4096};
    struct rlimit limit;
    int fd;

    snprintf(path, sizeof(path), "/dev/null");
    struct vpc_opener opener = started(VPC_BUS_PORT);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    cr_assert_eq(vpc_opener_dial(&opener, &fd), EMFILE);
    cr_assert_eq(vpc_opener_dial(&opener, &fd), EMFILE);
    cr_assert_eq(fd, -1);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &(struct rlimit){4096, 4096}), 0);
    cr_assert_eq(vpc_opener_dial(&opener, &fd), 0);
    close(fd);
    vpc_opener_end(&opener);
}

static pid_t child_of(pid_t pid)
{
    char name[64];
    int child = 0;

    snprintf(name, sizeof(name), "/proc/%d/task/%d/children", (int)pid, (int)pid);
    for (int i = 0; child == 0; i++) {
        FILE *file = fopen(name, "re");

        cr_assert_lt(i, PROGRAM_LIMIT_MS, "there is no opener");
        if (file != NULL) {
            if (fscanf(file, "%d", &child) != 1)
                child = 0;
            fclose(file);
        }
        scratch_sleep_ms(1);
    }
    return child;
}

static pid_t start(const char *program)
{
    const char *const argv[] = {program, "--bus",         path,    "--vm",
                                "vm",    "--runtime-dir", scratch, NULL};

    snprintf(path, sizeof(path), "%s/bus", scratch);
    return program_run(-1, -1, argv);
}

Test(opener, an_endpoint_whose_opener_ended_ends)
{
    static const char *const programs[] = {"vpc-host", "vpc-guest"};

    for (int i = 0; i < 2; i++) {
        pid_t pid = start(programs[i]);

        cr_assert_eq(kill(child_of(pid), SIGKILL), 0);
        cr_assert_eq(program_ended(pid), 1);
    }
}

/* Whether it goes within a moment. */
static bool goes(const char *name)
{
    for (int i = 0; there_is(name); i++) {
        if (i == PROGRAM_LIMIT_MS)
            return false;
        scratch_sleep_ms(1);
    }
    return true;
}

/* Until the endpoint listens. */
static void await_control(const char *name)
{
    for (int i = 0; !there_is(name); i++) {
        cr_assert_lt(i, PROGRAM_LIMIT_MS, "it does not start");
        scratch_sleep_ms(1);
    }
}

Test(opener, no_opener_outlives_its_endpoint_and_it_leaves_nothing)
{
    static const char *const programs[] = {"vpc-host", "vpc-guest"},
                             *const sockets[] = {"vms/vm.sock", "guest.sock"},
                             *const locks[] = {"vms/vm.sock.lock", "guest.sock.lock"};

    for (int p = 0; p < 2; p++) {
        pid_t pid = start(programs[p]), opener = child_of(pid);

        await_control(sockets[p]);
        /* a service manager's, and the terminal's, reach both */
        cr_assert_eq(kill(opener, SIGTERM), 0);
        cr_assert_eq(kill(pid, SIGKILL), 0);
        cr_assert_eq(program_ended(pid), -SIGKILL);
        cr_assert(goes(sockets[p]) && goes(locks[p]));
        for (int i = 0; kill(opener, 0) == 0; i++) {
            cr_assert_lt(i, PROGRAM_LIMIT_MS, "the opener is still there");
            scratch_sleep_ms(1);
        }
    }
}

/* A whole control group is killed at once: the next start clears what is its machine's. */
Test(opener, what_both_left_goes_with_the_next_start)
{
    pid_t pid = start("vpc-host"), opener = child_of(pid);
    char file[128];

    await_control("vms/vm.sock");
    cr_assert_eq(kill(opener, SIGSTOP), 0); /* it sees nothing of the end of the other */
    cr_assert_eq(kill(pid, SIGKILL), 0);
    cr_assert_eq(program_ended(pid), -SIGKILL);
    cr_assert_eq(kill(opener, SIGKILL), 0);
    snprintf(file, sizeof(file), "%s/pipes/left.sock.lock", scratch);
    FILE *lock = fopen(file, "we");
    fputs("vm", lock);
    fclose(lock);
    snprintf(file, sizeof(file), "%s/events/Local%%5Cx_ChannelReady", scratch);
    FILE *left = fopen(file, "we");
    fwrite("\0\0\0\0vm", 1, 6, left);
    fclose(left);
    cr_assert(there_is("vms/vm.sock"));
    pid = start("vpc-host");
    cr_assert(goes("pipes/left.sock.lock"));
    cr_assert(goes("events/Local%5Cx_ChannelReady"));
    await_control("vms/vm.sock");
    cr_assert_eq(kill(pid, SIGTERM), 0);
    cr_assert_eq(program_ended(pid), 0);
    cr_assert_not(there_is("vms/vm.sock") || there_is("vms/vm.sock.lock"));
}

/* Who is told of is the one who was accepted, and only while we are not. */
Test(opener, knows_whose_turn_it_is)
{
    const struct vpc_errand turn = {.wish = VPC_WISH_TURN},
                            who = {.wish = VPC_WISH_TURN, .number = 1};
    struct vpc_bus_address first = {.kind = VPC_BUS_CONNECT, .label = "the first", .path = path};
    struct vpc_answer answer;
    int fd, none, other;

    snprintf(path, sizeof(path), "%s/bus", scratch);
    struct vpc_opener opener = started(VPC_BUS_CONNECT);
    cr_assert_eq(vpc_opener_ask(&opener, &turn, &answer, &none), 0, "there is no connection");
    int served = serve();
    cr_assert_eq(vpc_bus_dial(&first, &other), 0);
    cr_assert_eq(vpc_opener_dial(&opener, &fd), 0);
    cr_assert_eq(vpc_opener_ask(&opener, &who, &answer, &none), EAGAIN, "nobody is served");
    int accepted = accept(served, NULL, NULL);
    cr_assert_eq(vpc_opener_ask(&opener, &turn, &answer, &none), EAGAIN);
    cr_assert_eq(vpc_opener_ask(&opener, &who, &answer, &none), EBUSY);
    cr_assert_str_eq(answer.text, "the first");
    close(accepted);
    accepted = accept(served, NULL, NULL);
    cr_assert_eq(vpc_opener_ask(&opener, &who, &answer, &none), 0);
    close(accepted);
    close(other);
    close(fd);
    close(served);
    vpc_opener_end(&opener);
}
