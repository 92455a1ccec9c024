/* SPDX-License-Identifier: MIT */
#include "shell_rig.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct vpc_shell *rig;
char rig_bus[96], rig_control[96], rig_log[96];
const char *rig_trace_path, *rig_monitor;
char rig_told[64];
size_t rig_octets_before;
uint64_t rig_trace_limit, rig_log_limit;
char rig_states[1024];

static void note_state(uint32_t stream, const char *from, const char *to)
{
    size_t n = strlen(rig_states);

    (void)stream;
    snprintf(rig_states + n, sizeof(rig_states) - n, "%s%s>%s", n ? " " : "", from, to);
}

static void note_machine(vpc_endpoint *ep, uint32_t machine)
{
    size_t n = strlen(rig_told);

    (void)ep;
    snprintf(rig_told + n, sizeof(rig_told) - n, "%u", machine);
    rig_octets_before = fake->bus_input_size;
}

void rig_begin_with(const char *bus, const vpc_endpoint_abi *abi)
{
    snprintf(rig_control, sizeof(rig_control), "%s/vms/vm.sock", scratch);
    snprintf(rig_log, sizeof(rig_log), "%s/log/vm.jsonl", scratch);
    struct vpc_shell_config config = {
        .abi = abi,
        .program = "test",
        .role = VPC_ROLE_HOST,
        .vm = "vm",
        .tag = "",
        .options = "{}",
        .bus = bus,
        .monitor = rig_monitor,
        .machine = note_machine,
        .runtime_dir = scratch,
        .control_path = rig_control,
        .log_path = rig_log,
        .log_limit = rig_log_limit,
        .trace_path = rig_trace_path,
        .trace_limit = rig_trace_limit,
        .on_stream_state = note_state,
    };
    rig_states[0] = rig_told[0] = '\0';
    cr_assert_eq(vpc_shell_open(&config, &rig), 0);
}

void rig_begin(void)
{
    static char bus[128]; /* the shell keeps it */

    scratch_begin();
    snprintf(rig_bus, sizeof(rig_bus), "%s/bus", scratch);
    snprintf(bus, sizeof(bus), "listen:%s", rig_bus);
    rig_begin_with(bus, &fake_abi);
}

void rig_end(void)
{
    vpc_shell_close(rig);
    rig = NULL;
    scratch_end();
}

uint64_t rig_turn_for(int ms)
{
    uint64_t before = vpc_shell_turns(rig);
    int64_t end = scratch_now_ms() + ms, now;

    while ((now = scratch_now_ms()) < end)
        cr_assert_eq(vpc_shell_turn(rig, (int)(end - now)), 0);
    return vpc_shell_turns(rig) - before;
}

int rig_connect(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    cr_assert_geq(fd, 0);
    if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

int rig_pipe(uint32_t stream, const char *name)
{
    fake_act(VPC_ACTION_LISTEN, stream, 0, 0, name);
    RIG_UNTIL(fake->streams[stream].listening != -1);
    cr_assert_eq(fake->streams[stream].listening, 0);
    int fd = rig_connect(fake->streams[stream].path);
    cr_assert_geq(fd, 0);
    RIG_UNTIL(fake->streams[stream].opened == 0);
    return fd;
}

int rig_tcp_server(unsigned *port, int backlog)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    cr_assert_geq(fd, 0);
    cr_assert_eq(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
    cr_assert_eq(listen(fd, backlog), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&addr, &size), 0);
    *port = ntohs(addr.sin_port);
    return fd;
}

long rig_read(int fd, void *buf, size_t size)
{
    return recv(fd, buf, size, MSG_DONTWAIT);
}
