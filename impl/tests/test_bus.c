/* SPDX-License-Identifier: MIT */
/*
 * What --bus may say, and the bus over AF_VSOCK.
 *
 * Where the kernel has the loopback of AF_VSOCK the stream itself is tried; without it, that a bus which can not be reached
 * is waited for in peace.  Nothing here connects to another machine.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include "bus_address.h"
#include "bus_dial.h"
#include "fake_endpoint.h"
#include "programs.h"
#include "shell_rig.h"

TestSuite(bus, .timeout = 60);

static const struct address {
    const char *text;
    enum vpc_bus_kind kind;
    const char *path;
    uint32_t cid, port;
} good[] = {
    {"/run/vm.bus", VPC_BUS_CONNECT, "/run/vm.bus", VPC_CID_ANY, 0},
    {"vm.bus", VPC_BUS_CONNECT, "vm.bus", VPC_CID_ANY, 0},
    {"unix:vm.bus", VPC_BUS_CONNECT, "vm.bus", VPC_CID_ANY, 0},
    {"unix:vsock:3:1", VPC_BUS_CONNECT, "vsock:3:1", VPC_CID_ANY, 0},
    {"listen:/run/vm.bus", VPC_BUS_LISTEN, "/run/vm.bus", VPC_CID_ANY, 0},
    {"/dev/no-such-port", VPC_BUS_PORT, "/dev/no-such-port", VPC_CID_ANY, 0},
    {"vsock", VPC_BUS_CONNECT, "vsock", VPC_CID_ANY, 0},
    {"vsock:3:6174", VPC_BUS_VSOCK, "vsock:3:6174", 3, 6174},
    {"vsock:0:0", VPC_BUS_VSOCK, "vsock:0:0", 0, 0},
    {"vsock:4294967294:4294967294", VPC_BUS_VSOCK, "vsock:4294967294:4294967294", 4294967294u,
     4294967294u},
    {"vsock-listen:6174", VPC_BUS_VSOCK_LISTEN, "vsock-listen:6174", VPC_CID_ANY, 6174},
    {"vsock-listen:2:6174", VPC_BUS_VSOCK_LISTEN, "vsock-listen:2:6174", 2, 6174},
};

Test(bus, addresses_that_are_right)
{
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct vpc_bus_address got;
        const char *wrong = vpc_bus_address_parse(good[i].text, &got);

        cr_assert_null(wrong, "%s: %s", good[i].text, wrong);
        cr_assert_eq(got.kind, good[i].kind, "%s", good[i].text);
        cr_assert_str_eq(got.path, good[i].path);
        cr_assert_eq(got.cid, good[i].cid, "%s", good[i].text);
        cr_assert_eq(got.port, good[i].port, "%s", good[i].text);
    }
}

Test(bus, addresses_that_are_wrong)
{
    static const struct wrong {
        const char *text, *word; /* a word of what is said */
    } wrongs[] = {
        {"", "empty"},
        {"unix:", "empty"},
        {"listen:", "empty"},
        {"vsock:", "vsock:CID:PORT"},
        {"vsock:3", "vsock:CID:PORT"},
        {"vsock:3:", "vsock:CID:PORT"},
        {"vsock::1", "vsock:CID:PORT"},
        {"vsock:3:1:", "vsock:CID:PORT"},
        {"vsock:3:1:2", "vsock:CID:PORT"},
        {"vsock:3:1 ", "vsock:CID:PORT"},
        {"vsock: 3:1", "vsock:CID:PORT"},
        {"vsock:+3:1", "vsock:CID:PORT"},
        {"vsock:-1:1", "vsock:CID:PORT"},
        {"vsock:03:1", "vsock:CID:PORT"},
        {"vsock:0x3:1", "vsock:CID:PORT"},
        {"vsock:host:1", "vsock:CID:PORT"},
        {"vsock:4294967295:1", "0 to 4294967294"},
        {"vsock:3:4294967295", "0 to 4294967294"},
        {"vsock:3:4294967296", "0 to 4294967294"},
        {"vsock:3:99999999999999999999999999", "0 to 4294967294"},
        {"vsock-listen:", "vsock-listen:PORT"},
        {"vsock-listen:x", "vsock-listen:PORT"},
        {"vsock-listen:2:", "vsock-listen:PORT"},
        {"vsock-listen::6174", "vsock-listen:PORT"},
        {"vsock-listen:2:6174:1", "vsock-listen:PORT"},
        {"vsock-listen:4294967295", "0 to 4294967294"},
    };

    for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
        struct vpc_bus_address got;
        const char *wrong = vpc_bus_address_parse(wrongs[i].text, &got);

        cr_assert_not_null(wrong, "\"%s\" was taken", wrongs[i].text);
        cr_assert_not_null(strstr(wrong, wrongs[i].word), "\"%s\": %s", wrongs[i].text, wrong);
    }
}

Test(bus, a_wrong_address_is_wrong_usage, .init = scratch_begin, .fini = scratch_end)
{
    pid_t pid = program_run(-1, -1,
                            (const char *[]){"vpc-host", "--vm", "vm", "--bus", "vsock:3:x",
                                             "--runtime-dir", scratch, NULL});

    cr_assert_eq(program_ended(pid), 2);
}

/* ---- AF_VSOCK ---------------------------------------------------------------------------------------------------- */

static struct sockaddr_vm local(unsigned port)
{
    return (struct sockaddr_vm){
        .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_LOCAL, .svm_port = port};
}

/* A socket that listens at a free port to *port, or -1 with errno. */
static int listening(unsigned *port)
{
    struct sockaddr_vm at = {
        .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = VMADDR_PORT_ANY};
    socklen_t size = sizeof(at);
    int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    cr_assert_eq(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
    cr_assert_eq(listen(fd, 1), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    *port = at.svm_port;
    return fd;
}

/* A connection within this machine, or -1 with the errno of one that does not come to be. */
static int connected(unsigned port)
{
    struct sockaddr_vm to = local(port);
    struct pollfd look = {.events = POLLOUT};
    int error = ETIMEDOUT;
    socklen_t size = sizeof(error);
    int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    cr_assert_geq(fd, 0);
    if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0)
        return fd;
    look.fd = fd;
    if (errno != EINPROGRESS)
        error = errno;
    else if (poll(&look, 1, 300) == 1)
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (!error)
        return fd;
    close(fd);
    errno = error;
    return -1;
}

static bool kernel_loops_back(void)
{
    unsigned port;
    int server = listening(&port), fd = server >= 0 ? connected(port) : -1;

    if (fd >= 0)
        close(fd);
    if (server >= 0)
        close(server);
    return fd >= 0;
}

static void end(void)
{
    if (rig != NULL)
        rig_end();
    else
        scratch_end();
}

TestSuite(bus_vsock, .timeout = 60, .init = scratch_begin, .fini = end);

static char bus[64];

/* Where nothing listens, or the kernel has no way, the endpoint waits, tries again, and turns its loop for that only. */
Test(bus_vsock, a_bus_that_is_not_there_is_waited_for)
{
    unsigned port = 6174;
    int probe = listening(&port);

    if (probe >= 0)
        close(probe);
    snprintf(bus, sizeof(bus), "vsock:%u:%u", VMADDR_CID_LOCAL, port);
    rig_begin_with(bus, &fake_abi);
    uint64_t turns = rig_turn_for(2500);
    cr_assert_eq(fake->ups, 0);
    cr_assert_geq(turns, 2u, "it does not try again");
    cr_assert_leq(turns, 60u, "%u turns in 2.5 seconds", (unsigned)turns);
}

Test(bus_vsock, a_port_that_is_taken_is_told_at_once)
{
    unsigned port;
    int taken = listening(&port);
    struct vpc_shell *shell;
    struct vpc_shell_config config = {
        .abi = &fake_abi,
        .program = "test",
        .role = VPC_ROLE_GUEST,
        .vm = "vm",
        .tag = "",
        .options = "{}",
        .bus = bus,
        .runtime_dir = scratch,
        .control_path = rig_control,
    };

    if (taken < 0)
        cr_skip_test("this kernel has no AF_VSOCK");
    snprintf(rig_control, sizeof(rig_control), "%s/vms/vm.sock", scratch);
    snprintf(bus, sizeof(bus), "vsock-listen:%u", port);
    cr_assert_eq(vpc_shell_open(&config, &shell), EADDRINUSE);
    close(taken);
}

/* One peer after the other, octets both ways. */
Test(bus_vsock, a_peer_connects_to_a_bus_that_listens)
{
    unsigned port;

    if (!kernel_loops_back())
        cr_skip_test("this kernel has no loopback of AF_VSOCK");
    close(listening(&port));
    snprintf(bus, sizeof(bus), "vsock-listen:%u:%u", VMADDR_CID_LOCAL, port);
    rig_begin_with(bus, &fake_abi);
    for (int i = 0; i < 2; i++) {
        char got[8];
        int fd = connected(port);

        cr_assert_geq(fd, 0);
        RIG_UNTIL(fake->ups == i + 1);
        fake->bus_echo = true;
        cr_assert_eq(write(fd, "echo", 4), 4);
        RIG_UNTIL(rig_read(fd, got, sizeof(got)) == 4);
        close(fd);
        RIG_UNTIL(fake->downs == i + 1);
    }
}

Test(bus_vsock, another_machine_is_turned_away)
{
    unsigned port;

    if (!kernel_loops_back())
        cr_skip_test("this kernel has no loopback of AF_VSOCK");
    close(listening(&port));
    snprintf(bus, sizeof(bus), "vsock-listen:77:%u", port);
    rig_begin_with(bus, &fake_abi);
    char got;
    int fd = connected(port);
    cr_assert_geq(fd, 0);
    RIG_UNTIL(rig_read(fd, &got, 1) == 0);
    cr_assert_eq(fake->ups, 0);
    close(fd);
}

Test(bus_vsock, a_bus_that_connects_comes_up_and_comes_again)
{
    unsigned port;

    if (!kernel_loops_back())
        cr_skip_test("this kernel has no loopback of AF_VSOCK");
    int server = listening(&port);
    snprintf(bus, sizeof(bus), "vsock:%u:%u", VMADDR_CID_LOCAL, port);
    rig_begin_with(bus, &fake_abi);
    for (int i = 0; i < 2; i++) {
        RIG_UNTIL(fake->ups == i + 1);
        int fd = accept4(server, NULL, NULL, SOCK_CLOEXEC);
        cr_assert_geq(fd, 0);
        close(fd);
        RIG_UNTIL(fake->downs == i + 1);
    }
    close(server);
}

/* ---- in line ---------------------------------------------------------------------------------------------------- */

static int bus_listener(void)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    snprintf(at.sun_path, sizeof(at.sun_path), "%s", rig_bus);
    cr_assert_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    cr_assert_eq(listen(fd, 1), 0);
    return fd;
}

static bool logged(const char *text)
{
    char entries[8192];
    FILE *file = fopen(rig_log, "re");
    size_t n = file != NULL ? fread(entries, 1, sizeof(entries) - 1, file) : 0;

    if (file != NULL)
        fclose(file);
    entries[n] = '\0';
    return strstr(entries, text) != NULL;
}

static void wait_behind(const char *label, const char *told)
{
    struct vpc_bus_address address = {.kind = VPC_BUS_CONNECT, .label = label, .path = rig_bus};
    int first;

    scratch_begin();
    snprintf(rig_bus, sizeof(rig_bus), "%s/bus", scratch);
    int listener = bus_listener();
    cr_assert_eq(vpc_bus_dial(&address, &first), 0);
    int served = accept(listener, NULL, NULL);
    cr_assert_geq(served, 0);
    rig_begin_with(rig_bus, &fake_abi);
    RIG_UNTIL(logged("\"id\":1049"));
    cr_assert(logged(told), "%s", told);
    cr_assert_eq(fake->ups, 0);
    cr_assert_leq(rig_turn_for(1000), 8); /* a look five times a second */
    close(first);
    close(served);
    int turn = -1;
    RIG_UNTIL((turn = accept(listener, NULL, NULL)) >= 0);
    RIG_UNTIL(fake->ups == 1);
    close(turn);
    close(listener);
    RIG_UNTIL(fake->downs == 1);
    rig_end();
}

Test(bus, who_waits_in_line_says_behind_whom)
{
    wait_behind("vpc-host of VM other (process 7)",
                "\"holder\":\"vpc-host of VM other (process 7)\"");
}

Test(bus, behind_a_program_without_a_name_too)
{
    wait_behind(NULL, "\"bus\":");
    cr_assert(!logged("\"holder\""));
}

/* Nobody listens any more: who waited in line begins anew. */
Test(bus, the_end_of_the_line_is_no_turn)
{
    scratch_begin();
    snprintf(rig_bus, sizeof(rig_bus), "%s/bus", scratch);
    int listener = bus_listener();
    rig_begin_with(rig_bus, &fake_abi);
    rig_turn_for(300);
    close(listener);
    unlink(rig_bus);
    cr_assert_leq(rig_turn_for(1000), 12);
    cr_assert_eq(fake->ups, 0);
    listener = bus_listener();
    int turn = -1;
    RIG_UNTIL((turn = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0);
    RIG_UNTIL(fake->ups == 1);
    close(turn);
    close(listener);
    rig_end();
}
