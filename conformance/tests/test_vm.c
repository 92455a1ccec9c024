/* The harness's VMs under TCG: a cold boot, a snapshot, and what the puppet does in a guest. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "vm/vm.h"

#define SNAPSHOTS VPC_GUEST "/snapshots"

static void progress(void *context, const char *waiting_for, int elapsed)
{
    (void)context;
    fprintf(stderr, "[%3d.%d s] waiting for %s\n", elapsed / 1000, elapsed / 100 % 10, waiting_for);
}

static struct vpc_vm *start(const char *tag, const char *snapshots)
{
    const struct vpc_vm_options options = {.name = "test",
                                           .tag = tag,
                                           .kernel = VPC_GUEST "/vmlinuz",
                                           .initrd = VPC_GUEST "/puppet.cpio.gz",
                                           .snapshots = snapshots,
                                           .progress = progress};
    char error[512];
    struct timespec begin, end;

    clock_gettime(CLOCK_MONOTONIC, &begin);
    struct vpc_vm *vm = vpc_vm_start(&options, error, sizeof(error));
    clock_gettime(CLOCK_MONOTONIC, &end);
    cr_assert_not_null(vm, "%s", error);
    fprintf(stderr, "%s: up after %.3f s\n", snapshots ? "snapshot" : "boot",
            (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9);
    return vm;
}

static struct vpc_puppet_event next_event(struct vpc_vm *vm)
{
    struct vpc_vm_event event;

    do {
        cr_assert_eq(vpc_vm_poll(vm, 30000, &event), 1, "nothing comes from the VM");
        cr_assert(event.type != VPC_VM_PUPPET_LOST && event.type != VPC_VM_GONE, "event %d: %d",
                  event.type, event.status);
    } while (event.type != VPC_VM_PUPPET);
    return event.puppet;
}

static struct vpc_puppet_event expect(struct vpc_vm *vm, enum vpc_puppet_type type, uint32_t handle)
{
    struct vpc_puppet_event event = next_event(vm);

    cr_assert(event.type == type && event.handle == handle, "%s for %x, not %s for %x (%u %s)",
              vpc_puppet_type_name(event.type), event.handle, vpc_puppet_type_name(type), handle,
              event.value, event.text ? event.text : "");
    return event;
}

static void expect_vm(struct vpc_vm *vm, enum vpc_vm_event_type type)
{
    struct vpc_vm_event event;

    do {
        cr_assert_eq(vpc_vm_poll(vm, 30000, &event), 1, "no event %d comes from the VM", type);
    } while (event.type != type);
}

/* Runs a shell command in the guest; its output, which is less than `size`. */
static void shell(struct vpc_vm *vm, const char *command, char *output, size_t size)
{
    const char *argv[] = {"sh", "-c", command, NULL};
    uint32_t handle = vpc_puppet_run(vpc_vm_puppet(vm), argv);
    size_t have = 0;
    int code = -1;

    for (;;) {
        struct vpc_puppet_event event = next_event(vm);

        cr_assert_eq(event.handle, handle);
        cr_assert_neq(event.type, VPC_PUPPET_FAILED, "%s: %s", event.text,
                      strerror((int)event.value));
        if (event.type == VPC_PUPPET_DATA) {
            cr_assert_lt(have + event.size, size);
            memcpy(output + have, event.data, event.size);
            have += event.size;
        } else if (event.type == VPC_PUPPET_EXITED) {
            code = (int)event.value;
        } else if (event.type == VPC_PUPPET_CLOSED) {
            break;
        }
    }
    output[have] = 0;
    cr_assert_eq(code, 0, "%s: exit %d: %s", command, code, output);
}

static int open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;

    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static void stop(struct vpc_vm *vm)
{
    pid_t pid = vpc_vm_pid(vm);
    char bus[128];

    snprintf(bus, sizeof(bus), "%s", vpc_vm_bus(vm));
    vpc_vm_stop(vm);
    cr_assert_eq(kill(pid, 0), -1, "QEMU is still there");
    cr_assert_neq(access(bus, F_OK), 0, "%s is still there", bus);
    cr_assert_eq(waitpid(-1, NULL, WNOHANG), -1, "a child is left");
}

static int dial(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0, "%s: %s", path,
                 strerror(errno));
    return fd;
}

/* A TCP connection inside the guest: netcat speaks, the puppet is the server and answers. */
static void echo_over_tcp(struct vpc_vm *vm)
{
    struct vpc_puppet *puppet = vpc_vm_puppet(vm);
    uint32_t listener = vpc_puppet_listen(puppet, 6174, 0, 0);

    cr_assert_eq(expect(vm, VPC_PUPPET_OPENED, listener).value, 6174);
    const char *argv[] = {"sh", "-c", "echo Hello World! | nc 127.0.0.1 6174", NULL};
    uint32_t command = vpc_puppet_run(puppet, argv), connection = 0;
    char answer[32] = "";
    size_t have = 0;
    bool closed = false;

    while (!closed) {
        struct vpc_puppet_event event = next_event(vm);

        if (event.type == VPC_PUPPET_ACCEPTANCE) {
            connection = event.value;
        } else if (event.type == VPC_PUPPET_DATA && event.handle == connection) {
            cr_assert_eq(vpc_puppet_send(puppet, connection, event.data, event.size),
                         (ssize_t)event.size);
        } else if (event.type == VPC_PUPPET_FIN && event.handle == connection) {
            cr_assert_eq(vpc_puppet_fin(puppet, connection), 0);
        } else if (event.type == VPC_PUPPET_DATA && event.handle == command) {
            cr_assert_lt(have + event.size, sizeof(answer));
            memcpy(answer + have, event.data, event.size);
            have += event.size;
        }
        closed = event.type == VPC_PUPPET_CLOSED && event.handle == command;
    }
    cr_assert_str_eq(answer, "Hello World!\n");
    cr_assert_eq(vpc_puppet_close(puppet, listener), 0);
    expect(vm, VPC_PUPPET_CLOSED, listener);
}

/* Raw bytes through the bus port: the puppet on the guest's side sends back what it gets. */
static void echo_over_the_bus(struct vpc_vm *vm)
{
    enum { TOTAL = 200000 };
    struct vpc_puppet *puppet = vpc_vm_puppet(vm);
    static uint8_t block[TOTAL], relay[TOTAL], back[TOTAL];
    size_t sent = 0, heard = 0, passed = 0, got = 0;

    for (size_t i = 0; i < TOTAL; i++)
        block[i] = (uint8_t)(i * 3 + i / 253);
    int host = dial(vpc_vm_bus(vm));
    uint32_t bus = vpc_puppet_open(puppet, VPC_VM_BUS_PORT);
    expect(vm, VPC_PUPPET_OPENED, bus);
    while (got < TOTAL) {
        struct vpc_vm_event event;
        ssize_t moved = send(host, block + sent, TOTAL - sent, MSG_DONTWAIT);

        sent += moved > 0 ? (size_t)moved : 0;
        if (vpc_vm_poll(vm, 10, &event) == 1 && event.type == VPC_VM_PUPPET &&
            event.puppet.type == VPC_PUPPET_DATA) {
            cr_assert_leq(heard + event.puppet.size, TOTAL);
            memcpy(relay + heard, event.puppet.data, event.puppet.size);
            heard += event.puppet.size;
        }
        moved = vpc_puppet_send(puppet, bus, relay + passed, heard - passed);
        cr_assert_geq(moved, 0);
        passed += (size_t)moved;
        moved = recv(host, back + got, TOTAL - got, MSG_DONTWAIT);
        got += moved > 0 ? (size_t)moved : 0;
    }
    cr_assert_eq(passed, TOTAL);
    cr_assert_eq(memcmp(block, back, TOTAL), 0);

    /* The host's client leaves and comes back: the guest's side is told. */
    close(host);
    cr_assert_eq(expect(vm, VPC_PUPPET_LINK, bus).value, 0);
    host = dial(vpc_vm_bus(vm));
    cr_assert_eq(expect(vm, VPC_PUPPET_LINK, bus).value, 1);
    cr_assert_eq(send(host, "again", 5, 0), 5);
    cr_assert_eq(expect(vm, VPC_PUPPET_DATA, bus).size, 5);
    cr_assert_eq(vpc_puppet_close(puppet, bus), 0);
    expect(vm, VPC_PUPPET_CLOSED, bus);
    close(host);
}

/* The puppet's CPU time in the guest does not grow while a port says HUP. */
static void no_spin_without_a_host(struct vpc_vm *vm)
{
    struct vpc_puppet *puppet = vpc_vm_puppet(vm);
    uint32_t bus = vpc_puppet_open(puppet, VPC_VM_BUS_PORT);
    char text[64];

    expect(vm, VPC_PUPPET_OPENED, bus);
    cr_assert_eq(expect(vm, VPC_PUPPET_LINK, bus).value, 0);
    shell(vm,
          "used() { awk '{print $14 + $15}' /proc/1/stat; };"
          "before=$(used); sleep 1; echo $(($(used) - before))",
          text, sizeof(text));
    cr_assert_lt(atoi(text), 10, "%s ticks of 100 in a second", text);
    cr_assert_eq(vpc_puppet_close(puppet, bus), 0);
    expect(vm, VPC_PUPPET_CLOSED, bus);
}

Test(vm, cold_boot, .timeout = 120)
{
    struct vpc_vm *vm = start("cold-1", NULL);
    char text[256];

    cr_assert_not(vpc_vm_from_snapshot(vm));
    shell(vm, "cat /sys/class/dmi/id/chassis_asset_tag; ls /dev/virtio-ports", text, sizeof(text));
    cr_assert_str_eq(text, "cold-1\norg.vpcbus.0\norg.vpcbus.puppet.0\n");
    echo_over_tcp(vm);
    echo_over_the_bus(vm);
    no_spin_without_a_host(vm);
    stop(vm);
}

Test(vm, from_snapshot, .timeout = 120)
{
    char tag[32], text[2][256];

    int descriptors = open_descriptors();

    for (int i = 0; i < 2; i++) {
        struct vpc_vm *vm = start("snapshot-1", SNAPSHOTS);

        cr_assert(vpc_vm_from_snapshot(vm));
        shell(vm, "cat /sys/class/dmi/id/chassis_asset_tag", tag, sizeof(tag));
        cr_assert_str_eq(tag, "snapshot-1\n");
        shell(vm, "head -c 16 /dev/urandom | xxd -p", text[i], sizeof(text[i]));
        char now[32];
        shell(vm, "date +%s", now, sizeof(now));
        cr_assert_lt(labs(atol(now) - (long)time(NULL)), 5, "the guest's clock: %s", now);
        echo_over_tcp(vm);
        echo_over_the_bus(vm);
        no_spin_without_a_host(vm);
        shell(vm, "test ! -e /tmp/mark && touch /tmp/mark", now, sizeof(now));
        stop(vm);
    }
    cr_assert_eq(open_descriptors(), descriptors, "descriptors are left open");
    cr_assert_str_neq(text[0], text[1], "two copies draw the same random bytes");
}

Test(vm, pause_resume_reset, .timeout = 120)
{
    struct vpc_vm *vm = start("snapshot-1", SNAPSHOTS);
    struct vpc_vm_event event;
    char text[64];

    cr_assert_eq(vpc_vm_pause(vm, 5000), 0, "%s", vpc_vm_error(vm));
    expect_vm(vm, VPC_VM_PAUSED);
    uint32_t ping = vpc_puppet_ping(vpc_vm_puppet(vm));
    cr_assert_eq(vpc_vm_poll(vm, 300, &event), 0, "a paused guest answers");
    cr_assert_eq(vpc_vm_resume(vm, 5000), 0, "%s", vpc_vm_error(vm));
    expect_vm(vm, VPC_VM_RESUMED);
    expect(vm, VPC_PUPPET_PONG, ping);

    cr_assert_eq(vpc_vm_reset(vm, 10000), 0, "%s", vpc_vm_error(vm));
    expect(vm, VPC_PUPPET_PONG, 0);
    shell(vm, "cut -d . -f 1 /proc/uptime", text, sizeof(text));
    cr_assert_lt(atoi(text), 60);
    stop(vm);
}

Test(vm, its_end_is_told, .timeout = 120)
{
    struct vpc_vm *vm = start("snapshot-1", SNAPSHOTS);

    cr_assert_eq(kill(vpc_vm_pid(vm), SIGKILL), 0);
    expect_vm(vm, VPC_VM_PUPPET_LOST);
    expect_vm(vm, VPC_VM_GONE);
    cr_assert_null(vpc_vm_puppet(vm));
    cr_assert_eq(vpc_vm_pause(vm, 1000), -1);
    vpc_vm_stop(vm);
}

#define PIECE 12000 /* of a window of 65536: two of them, and more is given */

static uint32_t pieces(struct vpc_vm *vm)
{
    const char *argv[] = {"sh", "-c", "while read x </run/go; do head -c 12000 /dev/zero; done",
                          NULL};
    uint32_t handle = vpc_puppet_run(vpc_vm_puppet(vm), argv);

    expect(vm, VPC_PUPPET_OPENED, handle);
    return handle;
}

static void piece_of(struct vpc_vm *vm, uint32_t handle)
{
    const char *argv[] = {"sh", "-c", "echo >/run/go", NULL};
    uint32_t asked = vpc_puppet_run(vpc_vm_puppet(vm), argv);
    struct vpc_puppet_event event;
    size_t have = 0;
    bool closed = false;

    while (have < PIECE || !closed) {
        event = next_event(vm);
        have += event.handle == handle && event.type == VPC_PUPPET_DATA ? event.size : 0;
        closed |= event.handle == asked && event.type == VPC_PUPPET_CLOSED;
    }
    cr_assert_eq(have, PIECE);
}

/* What happened after it was kept never did; what lived in the puppet then lives again, under the same handle. */
Test(vm, kept_and_restored, .timeout = 120)
{
    struct vpc_vm *vm = start("snapshot-1", SNAPSHOTS);
    char path[] = "/tmp/vpc-kept-XXXXXX", text[64], error[640];
    struct vpc_vm_options options = {.name = "test",
                                     .tag = "snapshot-1",
                                     .kernel = VPC_GUEST "/vmlinuz",
                                     .initrd = VPC_GUEST "/puppet.cpio.gz",
                                     .kept = path,
                                     .snapshots = SNAPSHOTS};

    uint32_t loop;

    close(mkstemp(path));
    shell(vm, "mkfifo /run/go; echo kept >/run/state; cat /run/state", text, sizeof(text));
    loop = pieces(vm);
    cr_assert_eq(vpc_vm_keep(vm, path, 30000), 0, "%s", vpc_vm_error(vm));
    shell(vm, "echo changed >/run/state; cat /run/state", text, sizeof(text));
    cr_assert_str_eq(text, "changed\n");
    piece_of(vm, loop);
    options.puppet = vpc_vm_take_puppet(vm);
    vpc_vm_stop(vm);
    vm = vpc_vm_start(&options, error, sizeof(error));
    cr_assert_not_null(vm, "%s", error);
    shell(vm, "cat /run/state", text, sizeof(text));
    cr_assert_str_eq(text, "kept\n");
    for (int i = 0; i < 8; i++) /* more than a window */
        piece_of(vm, loop);
    unlink(path);
    stop(vm);
}

/* The same machine, and the same line: only the guest goes back, more than once. */
Test(vm, marked_and_gone_back, .timeout = 120)
{
    struct vpc_vm *vm = start("snapshot-1", SNAPSHOTS);
    pid_t qemu = vpc_vm_pid(vm);
    char text[64];

    cr_assert_eq(vpc_vm_go_back(vm, 30000), -1);
    cr_assert_not_null(strstr(vpc_vm_error(vm), "no moment"), "%s", vpc_vm_error(vm));
    for (int i = 0; i < 2; i++) {
        shell(vm, i ? "echo second >/run/state" : "echo first >/run/state", text, sizeof(text));
        cr_assert_eq(vpc_vm_mark(vm, 30000), 0, "%s", vpc_vm_error(vm));
        for (int k = 0; k < 2; k++) {
            shell(vm, "echo changed >/run/state; cat /run/state", text, sizeof(text));
            cr_assert_str_eq(text, "changed\n");
            cr_assert_eq(vpc_vm_go_back(vm, 30000), 0, "%s", vpc_vm_error(vm));
            shell(vm, "cat /run/state", text, sizeof(text));
            cr_assert_str_eq(text, i ? "second\n" : "first\n");
        }
    }
    cr_assert_eq(vpc_vm_pid(vm), qemu);
    stop(vm);
}

/* Each tag needs a snapshot of its own; of rubbish with such names, only what is old goes. */
Test(vm, snapshots_are_pruned, .timeout = 120)
{
    const char *dir = VPC_GUEST "/prune-test";
    struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    char path[256];

    cr_assert_eq(system("rm -rf " VPC_GUEST "/prune-test"), 0);
    cr_assert_eq(mkdir(dir, 0700), 0);
    for (int i = 0; i < 8; i++) {
        snprintf(path, sizeof(path), "%s/%016x", dir, i);
        cr_assert_eq(mkdir(path, 0700), 0);
        old[1].tv_sec = 1000 + i;
        cr_assert_eq(utimensat(AT_FDCWD, path, old, 0), 0);
    }
    snprintf(path, sizeof(path), "%s/%016x.abcdef", dir, 9);
    cr_assert_eq(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/%016x.fedcba", dir, 9);
    cr_assert_eq(mkdir(path, 0700), 0);
    cr_assert_eq(utimensat(AT_FDCWD, path, old, 0), 0);
    stop(start("prune", dir));
    const struct {
        const char *name;
        bool stays;
    } rest[] = {{"0000000000000000", false},       {"0000000000000002", false},
                {"0000000000000003", true},        {"0000000000000007", true},
                {"0000000000000009.abcdef", true}, {"0000000000000009.fedcba", false}};
    for (size_t i = 0; i < sizeof(rest) / sizeof(*rest); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, rest[i].name);
        cr_assert_eq(access(path, F_OK) == 0, rest[i].stays, "%s", path);
    }
    cr_assert_eq(system("rm -rf " VPC_GUEST "/prune-test"), 0);
}

/* A snapshot that QEMU cannot read is made anew. */
Test(vm, broken_snapshot_is_made_anew, .timeout = 120)
{
    const char *dir = VPC_GUEST "/broken-test";

    cr_assert_eq(system("rm -rf " VPC_GUEST "/broken-test"), 0);
    stop(start("broken", dir));
    cr_assert_eq(system("echo rubbish | tee " VPC_GUEST "/broken-test/*/state >/dev/null"), 0);
    struct vpc_vm *vm = start("broken", dir);
    char text[16];
    shell(vm, "echo well", text, sizeof(text));
    cr_assert_str_eq(text, "well\n");
    stop(vm);
    cr_assert_eq(system("rm -rf " VPC_GUEST "/broken-test"), 0);
}

/* A harness that is killed leaves no QEMU behind. */
Test(vm, dies_with_its_harness, .timeout = 120)
{
    char dir[] = "/tmp/vpc-test.XXXXXX", command[64];
    int tell[2];
    pid_t qemu = 0;

    cr_assert_not_null(mkdtemp(dir));
    cr_assert_eq(pipe2(tell, O_CLOEXEC), 0);
    pid_t harness = fork();
    if (harness == 0) {
        const struct vpc_vm_options options = {.name = "orphan",
                                               .tag = "snapshot-1",
                                               .kernel = VPC_GUEST "/vmlinuz",
                                               .initrd = VPC_GUEST "/puppet.cpio.gz",
                                               .scratch = dir,
                                               .snapshots = SNAPSHOTS};
        char error[512];
        struct vpc_vm *vm = vpc_vm_start(&options, error, sizeof(error));
        pid_t pid = vm ? vpc_vm_pid(vm) : -1;

        prctl(PR_SET_PDEATHSIG, SIGKILL); /* should this test fail before it kills it */

        (void)!write(tell[1], &pid, sizeof(pid));
        for (;;)
            pause();
    }
    close(tell[1]);
    cr_assert_eq(read(tell[0], &qemu, sizeof(qemu)), (ssize_t)sizeof(qemu));
    cr_assert_gt(qemu, 0);
    struct pollfd end = {.fd = pidfd_open(qemu, 0), .events = POLLIN};
    cr_assert_geq(end.fd, 0);
    cr_assert_eq(poll(&end, 1, 0), 0, "QEMU does not run");
    kill(harness, SIGKILL);
    cr_assert_eq(poll(&end, 1, 10000), 1, "QEMU outlives its harness");
    waitpid(harness, NULL, 0);
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    cr_assert_eq(system(command), 0);
}

Test(vm, bad_start_says_why, .timeout = 30)
{
    struct vpc_vm_options options = {.name = "bad",
                                     .tag = "bad",
                                     .kernel = VPC_GUEST "/vmlinuz",
                                     .initrd = "/nonexistent/initrd"};
    char error[512];

    cr_assert_null(vpc_vm_start(&options, error, sizeof(error)));
    cr_assert_not_null(strstr(error, "VM bad"), "%s", error);
    cr_assert_not_null(strstr(error, "/nonexistent/initrd"), "%s", error);
    options.snapshots = SNAPSHOTS;
    cr_assert_null(vpc_vm_start(&options, error, sizeof(error)));
    cr_assert_not_null(strstr(error, "/nonexistent/initrd"), "%s", error);
    options.snapshots = NULL;
    options.initrd = VPC_GUEST "/base.cpio.gz"; /* it has no puppet, which would answer */
    options.timeout = 1500;
    cr_assert_null(vpc_vm_start(&options, error, sizeof(error)));
    cr_assert_not_null(strstr(error, "puppet to answer"), "%s", error);
    cr_assert_eq(waitpid(-1, NULL, WNOHANG), -1, "a child is left");
}
