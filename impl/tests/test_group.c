/* SPDX-License-Identifier: MIT */
/* An endpoint that lets a group in: real programs, and clients that are other users.  The group has no name in /etc/group. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "group.h"
#include "named_event.h"
#include "programs.h"
#include "runtime_dir.h"
#include "shell_rig.h"
#include "trust.h"
#include "vpc.h"

#define PIPE       "\\\\.\\pipe\\test"
#define GROUP_TEXT "65531"

enum {
    GROUP = 65531,
    MEMBER = 65533,
    STRANGER = 65534,
    MANY = 100, /* groups of a member: more than the endpoint has room for at first */
    TEXT = 400,
};

static pid_t host, guest;
static char control[96];

/* ---- the programs ------------------------------------------------------------------------------ */

static void start_guest(const char *group)
{
    char bus[128];

    snprintf(bus, sizeof(bus), "listen:%s/bus", scratch);
    guest = program_run(-1, -1,
                        (const char *[]){"vpc-guest", "--bus", bus, "--runtime-dir", scratch,
                                         "--tag", "T", "--vm", "guest",
                                         group != NULL ? "--group" : NULL, group, NULL});
}

static pid_t run_host(const char *dir, const char *group)
{
    char bus[128];

    snprintf(bus, sizeof(bus), "%s/bus", scratch);
    return program_run(-1, -1,
                       (const char *[]){"vpc-host", "--bus", bus, "--runtime-dir", dir, "--vm",
                                        "vm", "--tag", "T", "--group", group, NULL});
}

static void wait_ready(void)
{
    vpc_progress progress;
    vpc_hresult result =
        vpc_wait_channel_ready(scratch, "vm", PROGRAM_LIMIT_MS, &progress, NULL, NULL);

    cr_assert_eq(result, VPC_S_OK, "still missing: %s", progress.missing);
}

static void begin(void)
{
    scratch_begin();
    snprintf(control, sizeof(control), "%s/vms/vm.sock", scratch);
    host = guest = 0;
}

static void end(void)
{
    program_stop(&guest);
    program_stop(&host);
    scratch_end();
}

TestSuite(group, .timeout = 60, .init = begin, .fini = end);

#define NEEDS_ROOT()                                                                               \
    do {                                                                                           \
        if (geteuid() != 0)                                                                        \
            cr_skip_test("needs root to be another user");                                         \
    } while (0)

static void run_both(void)
{
    start_guest(NULL);
    host = run_host(scratch, GROUP_TEXT);
    wait_ready();
}

/* ---- other users ------------------------------------------------------------------------------- */

static bool become(uid_t uid, bool member)
{
    gid_t groups[MANY];

    for (unsigned i = 0; i < MANY; i++)
        groups[i] = 100000 + i;
    groups[MANY - 1] = GROUP;
    return setgroups(member ? MANY : 0, groups) == 0 && setgid(uid) == 0 && setuid(uid) == 0;
}

/* What another user's program does: it says how that went in text (TEXT octets), and answers an errno. */
typedef int deed(char *text);

/* Runs it as a user; the errno.  Meanwhile turns nothing: the endpoints are processes of their own. */
static int as_user(uid_t uid, bool member, deed *what, char text[TEXT])
{
    int out[2], got = -1;

    cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        char said[TEXT] = "it could not become another user";
        int result = become(uid, member) ? what(said) : -1;

        _exit(write(out[1], &result, sizeof(result)) < 0 || write(out[1], said, TEXT) < 0);
    }
    close(out[1]);
    ssize_t n = read(out[0], &got, sizeof(got));
    cr_assert_eq(n, (ssize_t)sizeof(got), "the other user's program has died");
    cr_assert_eq(read(out[0], text, TEXT), TEXT);
    close(out[0]);
    waitpid(pid, NULL, 0);
    return got;
}

static void expect_good(uid_t uid, bool member, deed *what)
{
    char text[TEXT];
    int error = as_user(uid, member, what, text);

    cr_expect_eq(error, 0, "%s: %s", strerror(error), text);
}

static void expect_refused(uid_t uid, bool member, deed *what, int error, const char *words)
{
    char text[TEXT];

    cr_expect_eq(as_user(uid, member, what, text), error, "%s", text);
    cr_expect_not_null(strstr(text, words), "\"%s\" is not in: %s", words, text);
}

/* ---- what they do -------------------------------------------------------------------------------- */

static int server;
static unsigned port;

static int start_channel(char *text)
{
    char number[8];
    vpc_virtual_machine *vm;
    vpc_hresult result = vpc_find_virtual_machine(scratch, "vm", &vm);

    snprintf(number, sizeof(number), "%u", port);
    if (result == VPC_S_OK) {
        result = vpc_start_communication_channel(vm, VPC_ENDPOINT_NAMED_PIPE, PIPE,
                                                 VPC_ENDPOINT_TCPIP, number, NULL);
        snprintf(text, TEXT, "start: %s", vpc_last_error(vm));
        vpc_release_virtual_machine(vm);
    }
    return result == VPC_S_OK ? 0 : EIO;
}

static int talk(char *text)
{
    char answer[8] = "";
    int fd, error = start_channel(text);

    if (!error)
        error = vpc_pipe_connect(scratch, PIPE, &fd);
    if (error)
        return error;
    int there = accept4(server, NULL, NULL, SOCK_CLOEXEC);
    bool good = write(fd, "hello", 5) == 5 && read(there, answer, sizeof(answer)) == 5 &&
                write(there, "world", 5) == 5 && read(fd, answer, sizeof(answer)) == 5;
    close(fd);
    close(there);
    snprintf(text, TEXT, "the answer is \"%s\"", answer);
    return good && strcmp(answer, "world") == 0 ? 0 : EIO;
}

static void add_name(const char *name, void *user)
{
    snprintf(user, TEXT, "%s", name);
}

static int list(char *text)
{
    *text = '\0';
    return vpc_list_virtual_machines(scratch, add_name, text);
}

static int find(char *text)
{
    vpc_virtual_machine *vm;

    if (vpc_find_virtual_machine(scratch, "vm", &vm) == VPC_S_OK) {
        vpc_release_virtual_machine(vm);
        return 0;
    }
    int error = errno;
    vpc_distrust(scratch, "vm", text, TEXT);
    return error;
}

static int wait_for_event(char *text)
{
    vpc_event *event;
    int error = vpc_event_open(scratch, "Local\\T_ChannelReady", &event);

    if (error) {
        vpc_distrust(scratch, NULL, text, TEXT);
        return error;
    }
    error = vpc_event_wait(event, PROGRAM_LIMIT_MS);
    if (!error && (!vpc_event_is_set(event) || vpc_event_set(event, false) != EPERM ||
                   vpc_event_own(event) != EPERM))
        error = EIO;
    vpc_event_close(event);
    return error;
}

static int ask_guest(char *text)
{
    char path[96];
    vpc_progress progress;
    vpc_virtual_machine *vm;

    snprintf(path, sizeof(path), "%s/guest.sock", scratch);
    if (vpc_open_control_socket(path, &vm) != VPC_S_OK)
        return errno;
    vpc_hresult result = vpc_readiness(vm, &progress);
    snprintf(text, TEXT, "%s", vpc_last_error(vm));
    vpc_release_virtual_machine(vm);
    return result == VPC_S_OK ? 0 : EIO;
}

static int ask(char *text)
{
    vpc_progress progress;
    vpc_virtual_machine *vm;

    if (vpc_find_virtual_machine(scratch, "vm", &vm) != VPC_S_OK)
        return errno;
    vpc_hresult result = vpc_readiness(vm, &progress);
    snprintf(text, TEXT, "%s", vpc_last_error(vm));
    vpc_release_virtual_machine(vm);
    return result == VPC_S_OK ? 0 : EPERM;
}

/* ---- the tests ----------------------------------------------------------------------------------- */

Test(group, members_use_it_as_its_own_user_does)
{
    char text[TEXT];

    NEEDS_ROOT();
    run_both();
    server = rig_tcp_server(&port, 4);
    expect_good(MEMBER, true, talk);
    expect_good(0, false, talk);
    cr_expect_eq(as_user(MEMBER, true, list, text), 0);
    cr_expect_str_eq(text, "vm");
    expect_good(MEMBER, true, wait_for_event);
    close(server);
}

Test(group, who_is_no_member_is_told_who_owns_what)
{
    NEEDS_ROOT();
    run_both();
    expect_refused(STRANGER, false, find, EACCES,
                   " belongs to user 0 and group 65531, and its mode 0710");
    expect_refused(STRANGER, false, find, EACCES,
                   "keeps you (65534) out: become a member of that group");
    expect_refused(STRANGER, false, wait_for_event, EACCES, "");
}

Test(group, without_a_group_its_owner_is_named)
{
    NEEDS_ROOT();
    expect_refused(MEMBER, true, find, EACCES,
                   "mode 0700 keeps you (65533) out: its owner can let a group in");
}

/* The endpoint asks the kernel, whatever somebody has made of the modes. */
Test(group, modes_that_were_opened_let_nobody_else_in)
{
    static const char *const paths[] = {"", "/vms", "/vms/vm.sock"};
    char path[96];

    NEEDS_ROOT();
    run_both();
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s%s", scratch, paths[i]);
        cr_assert_eq(chmod(path, i < 2 ? 0755 : 0666), 0);
    }
    expect_refused(STRANGER, false, ask, EPERM,
                   "belongs to another user (0) and the group 65531: run the program as that user, "
                   "or become a member");
    expect_good(MEMBER, true, ask);
}

static void expect_mode(const char *name, mode_t mode, gid_t group)
{
    char path[200];
    struct stat st;

    snprintf(path, sizeof(path), "%s%s", scratch, name);
    cr_assert_eq(lstat(path, &st), 0, "%s", path);
    cr_expect_eq(st.st_mode & 07777, mode, "%s has mode %o", name, st.st_mode & 07777);
    cr_expect_eq(st.st_gid, group, "%s is of group %u", name, st.st_gid);
}

Test(group, modes_are_no_wider_than_needed)
{
    char text[TEXT];

    NEEDS_ROOT();
    run_both();
    server = rig_tcp_server(&port, 4);
    cr_assert_eq(start_channel(text), 0, "%s", text);
    expect_mode("", 0710, GROUP);
    expect_mode("/vms", 0750, GROUP);
    expect_mode("/vms/vm.sock", 0660, GROUP);
    expect_mode("/vms/vm.sock.lock", 0600, 0);
    expect_mode("/pipes", 0710, GROUP);
    expect_mode("/pipes/test.sock", 0660, GROUP);
    expect_mode("/events", 0710, GROUP);
    expect_mode("/events/Local%5CT_ChannelReady", 0640, GROUP);
    expect_mode("/log", 0700, 0);
    expect_mode("/guest.sock", 0600, 0);
    close(server);
}

Test(group, the_guests_control_socket_too)
{
    NEEDS_ROOT();
    start_guest(GROUP_TEXT);
    cr_assert_eq(chmod(scratch, 0700), 0);
    host = run_host(scratch, GROUP_TEXT);
    wait_ready();
    expect_good(MEMBER, true, ask_guest);
    expect_refused(STRANGER, false, ask_guest, EACCES, "");
    program_stop(&guest);
}

Test(group, a_member_may_wait_before_the_endpoint_is_there)
{
    char text[TEXT];
    const gid_t group = GROUP;
    int status;

    NEEDS_ROOT();
    cr_assert_eq(vpc_runtime_dir_make_for(scratch, &group), 0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(as_user(MEMBER, true, wait_for_event, text));
    scratch_sleep_ms(50);
    run_both();
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_expect_eq(status, 0);
}

Test(group, a_directory_has_one_group)
{
    NEEDS_ROOT();
    const gid_t one = GROUP, other = GROUP + 1;
    cr_expect_eq(vpc_runtime_dir_make_for(scratch, &one), 0);
    cr_expect_eq(vpc_runtime_dir_make_for(scratch, &one), 0);
    cr_expect_eq(vpc_runtime_dir_make_for(scratch, &other), EPERM);
    cr_expect_eq(vpc_runtime_dir_make(scratch), 0, "an endpoint without a group is there too");
    cr_assert_eq(chmod(scratch, 0770), 0);
    cr_expect_eq(vpc_runtime_dir_make_for(scratch, &one), EPERM, "members could replace sockets");
}

Test(group, a_wrong_group_is_told_of_at_the_start)
{
    cr_expect_eq(program_ended(run_host(scratch, "no-such-group")), 2);
    if (geteuid() == 0)
        return;
    cr_expect_eq(program_ended(run_host(scratch, GROUP_TEXT)), 1, "not a member itself");
}

/* ---- a service of a plain user ---------------------------------------------------------------------- */

/* One that runs as MEMBER, in a directory of his own. */
static pid_t run_service(const char *dir)
{
    pid_t pid = fork();

    if (pid == 0) {
        int program = open(VPC_BUILD "/vpc-host", O_PATH | O_CLOEXEC);
        const char *const argv[] = {"vpc-host", "--bus", "/nowhere", "--runtime-dir", dir,
                                    "--vm",     "vm",    "--group",  GROUP_TEXT,      NULL};

        if (become(MEMBER, true))
            fexecve(program, (char *const *)(uintptr_t)argv, environ);
        _exit(127);
    }
    return pid;
}

static char service_dir[64];

static int ask_service(char *text)
{
    vpc_virtual_machine *vm;
    int64_t end = scratch_now_ms() + PROGRAM_LIMIT_MS;

    while (vpc_find_virtual_machine(service_dir, "vm", &vm) != VPC_S_OK) {
        int error = errno;

        vpc_distrust(service_dir, "vm", text, TEXT);
        if (error == EPERM || scratch_now_ms() > end)
            return error;
        scratch_sleep_ms(10);
    }
    vpc_release_virtual_machine(vm);
    return 0;
}

static void remove_service(const char *dir)
{
    static const char *const names[] = {"/log/vm.jsonl", "/log", "/vms", "/pipes", "/events", ""};
    char path[96];

    for (size_t i = 0; i < 6; i++) {
        snprintf(path, sizeof(path), "%s%s", dir, names[i]);
        cr_expect_eq(remove(path), 0, "%s: %s", path, strerror(errno));
    }
}

Test(group, a_service_is_trusted_where_only_root_and_it_could_make_its_directory)
{
    NEEDS_ROOT();
    snprintf(service_dir, sizeof(service_dir), "/run/vpcgroup.XXXXXX");
    if (mkdtemp(service_dir) == NULL)
        cr_skip_test("needs a /run to write to");
    cr_assert_eq(chown(service_dir, MEMBER, MEMBER), 0);
    pid_t service = run_service(service_dir);
    expect_good(MEMBER - 1, true, ask_service);
    expect_good(0, false, ask_service);
    expect_refused(STRANGER, false, ask_service, EACCES, "belongs to user 65533 and group 65531");
    program_stop(&service);
    remove_service(service_dir);
}

/* That we share a group with somebody is no reason to trust him. */
Test(group, a_directory_that_anybody_could_make_is_trusted_by_no_member)
{
    NEEDS_ROOT();
    cr_assert_eq(chmod(scratch, 01777), 0); /* as /tmp is */
    snprintf(service_dir, sizeof(service_dir), "%.40s/x", scratch);
    pid_t service = run_service(service_dir);
    expect_good(MEMBER, true, ask_service);
    expect_refused(MEMBER - 1, true, ask_service, EPERM,
                   "belongs to user 65533, not to you (65532) or root");
    program_stop(&service);
}
