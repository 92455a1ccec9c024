/* SPDX-License-Identifier: MIT */
/* Another user's programs at the endpoint's sockets.  The folders' modes keep them away; here those are opened, and
 * the sockets themselves must refuse. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shell_rig.h"
#include "trust.h"
#include "vpc.h"

enum {
    STRANGER = 65534,
    FLOOD = 100,
};

static void begin(void)
{
    char path[96];

    rig_begin();
    static const char *const folders[] = {"", "/vms", "/pipes"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s%s", scratch, folders[i]);
        cr_assert_eq(chmod(path, 0755), 0);
    }
    cr_assert_eq(chmod(rig_control, 0666), 0);
}

TestSuite(strangers, .timeout = 30, .init = begin, .fini = rig_end);

/* Connects as another user `times` times and reads to the end; what came last is put to text. */
static void stranger_at(const char *path, int times, char *text, size_t size)
{
    int out[2], status = 0;

    cr_assert_eq(pipe(out), 0);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        char octets[256];
        long n = 0;

        if (setuid(STRANGER) != 0)
            _exit(1);
        for (int i = 0; i < times; i++) {
            int fd;

            while ((fd = rig_connect(path)) < 0 && errno == EAGAIN)
                scratch_sleep_ms(1);
            if (fd < 0)
                _exit(2);
            long r;
            n = 0;
            while ((r = rig_read(fd, octets + n, sizeof(octets) - (size_t)n)) > 0 ||
                   (r < 0 && errno == EAGAIN))
                if (r > 0)
                    n += r;
                else
                    scratch_sleep_ms(1);
            close(fd);
        }
        _exit(write(out[1], octets, (size_t)n) == n ? 0 : 3);
    }
    close(out[1]);
    RIG_UNTIL(waitpid(pid, &status, WNOHANG) == pid);
    ssize_t n = read(out[0], text, size - 1);
    close(out[0]);
    text[n > 0 ? n : 0] = '\0';
    cr_assert_eq(status, 0);
}

/* How many lines of the log hold the text. */
static int logged(const char *text)
{
    char line[1024];
    int count = 0;
    FILE *log = fopen(rig_log, "re");

    cr_assert_not_null(log);
    while (fgets(line, sizeof(line), log) != NULL)
        count += strstr(line, text) != NULL;
    fclose(log);
    return count;
}

Test(strangers, the_control_socket_tells_them_why)
{
    char text[256];

    if (geteuid() != 0)
        cr_skip_test("needs root to be another user");
    stranger_at(rig_control, 1, text, sizeof(text));
    cr_assert_not_null(strstr(text, "belongs to another user"), "%s", text);
    cr_assert_eq(fake->clients_opened, 0);
    cr_assert_eq(logged("\"name\":\"CLIENT_REFUSED\""), 1);
    cr_assert_eq(logged("\"uid\":65534"), 1);
    cr_assert_eq(logged(rig_control), 1);
}

Test(strangers, a_flood_of_them_does_not_fill_the_log)
{
    char text[256];

    if (geteuid() != 0)
        cr_skip_test("needs root to be another user");
    int64_t start = scratch_now_ms();
    stranger_at(rig_control, FLOOD, text, sizeof(text));
    int64_t seconds = (scratch_now_ms() - start) / 1000;
    cr_assert_leq(logged("CLIENT_REFUSED"), (int)seconds + 2);
    cr_assert_eq(fake->clients_opened, 0);
    int fd = rig_connect(rig_control);
    RIG_UNTIL(fake->clients_opened == 1);
    close(fd);
}

Test(strangers, a_pipe_waits_on_for_its_client)
{
    char text[256];

    if (geteuid() != 0)
        cr_skip_test("needs root to be another user");
    fake_act(VPC_ACTION_LISTEN, 1, 0, 0, "\\\\.\\pipe\\p");
    RIG_UNTIL(fake->streams[1].listening == 0);
    cr_assert_eq(chmod(fake->streams[1].path, 0666), 0);
    stranger_at(fake->streams[1].path, 3, text, sizeof(text));
    cr_assert_str_eq(text, "");
    cr_assert_eq(fake->streams[1].opened, -1);
    cr_assert_geq(logged("CLIENT_REFUSED"), 1);
    int fd = rig_connect(fake->streams[1].path);
    RIG_UNTIL(fake->streams[1].opened == 0);
    close(fd);
}

Test(strangers, a_folder_that_lets_others_in_is_refused)
{
    char path[96];

    cr_assert_eq(vpc_runtime_dir_make(scratch), EPERM);
    cr_assert_eq(chmod(scratch, 0700), 0);
    cr_assert_eq(vpc_runtime_dir_make(scratch), EPERM);
    snprintf(path, sizeof(path), "%s/vms", scratch);
    cr_assert_eq(chmod(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/pipes", scratch);
    cr_assert_eq(chmod(path, 0700), 0);
    cr_assert_eq(vpc_runtime_dir_make(scratch), 0);
}

/* ---- a stranger who serves ------------------------------------------------------------------- */

enum {
    PERSON = 65533,
};

TestSuite(trust, .timeout = 30, .init = scratch_begin, .fini = scratch_end);

static int bound_at(const char *dir)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%.80s/vms/vm.sock", dir);
    cr_assert_eq(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    cr_assert_eq(chmod(address.sun_path, 0666), 0);
    return fd;
}

/* A runtime directory of `owner`, in which a program of user `server` listens. */
static int serve(const char *dir, uid_t owner, uid_t server, mode_t mode)
{
    char path[128];
    int status;

    snprintf(path, sizeof(path), "%s/vms", dir);
    cr_assert(mkdir(dir, 0755) == 0 || errno == EEXIST);
    cr_assert_eq(mkdir(path, 0755), 0);
    int fd = bound_at(dir);
    cr_assert(chown(path, owner, owner) == 0 && chown(dir, owner, owner) == 0);
    cr_assert(chmod(path, mode) == 0 && chmod(dir, mode) == 0);
    pid_t pid = fork();
    if (pid == 0) /* the system notes who says listen() */
        _exit(setuid(server) != 0 || listen(fd, 4) != 0);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert_eq(status, 0);
    return fd;
}

/* What a client of this user gets: 0 or the errno; why (if it is EPERM). */
static int find_as(uid_t uid, const char *dir, char why[VPC_MISSING_SIZE])
{
    int out[2], error = -1;

    cr_assert_eq(pipe(out), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct vpc_trust trust = {0};
        vpc_virtual_machine *vm;
        int got = setuid(uid) != 0                                       ? -2
                  : vpc_find_trusted(dir, "vm", &vm, &trust) == VPC_S_OK ? 0
                                                                         : errno;

        _exit(write(out[1], &got, sizeof(got)) < 0 ||
              write(out[1], trust.why, sizeof(trust.why)) < 0);
    }
    waitpid(pid, NULL, 0);
    cr_assert_eq(read(out[0], &error, sizeof(error)), (ssize_t)sizeof(error));
    cr_assert_eq(read(out[0], why, VPC_MISSING_SIZE), VPC_MISSING_SIZE);
    close(out[0]);
    close(out[1]);
    return error;
}

static void expect_refused(uid_t uid, const char *dir, const char *words)
{
    char why[VPC_MISSING_SIZE];

    cr_expect_eq(find_as(uid, dir, why), EPERM, "%s", dir);
    cr_expect_not_null(strstr(why, words), "\"%s\" is not in: %s", words, why);
}

static void expect_welcome(uid_t uid, const char *dir)
{
    char why[VPC_MISSING_SIZE];

    cr_expect_eq(find_as(uid, dir, why), 0, "%s: %s", dir, why);
}

#define NEEDS_ROOT()                                                                               \
    do {                                                                                           \
        if (geteuid() != 0)                                                                        \
            cr_skip_test("needs root to be another user");                                         \
        cr_assert_eq(chmod(scratch, 01777), 0); /* as /tmp is */                                   \
    } while (0)

Test(trust, a_folder_of_a_stranger_is_refused)
{
    char dir[96];

    NEEDS_ROOT();
    snprintf(dir, sizeof(dir), "%s/x", scratch);
    close(serve(dir, STRANGER, STRANGER, 0755));
    expect_refused(PERSON, dir, "/x belongs to user 65534, not to you (65533) or root");
    expect_refused(0, dir, "/x belongs to user 65534, not to you (0) or root");
    vpc_virtual_machine *vm;
    cr_expect_eq(vpc_find_virtual_machine(dir, "vm", &vm), VPC_DISP_E_EXCEPTION);
    cr_expect_eq(errno, EPERM);
    cr_expect_eq(vpc_list_virtual_machines(dir, NULL, NULL), EPERM);
    char text[VPC_MISSING_SIZE];
    vpc_distrust(dir, NULL, text, sizeof(text));
    cr_expect_not_null(strstr(text, "/x belongs to user 65534"), "%s", text);
    vpc_distrust(scratch, NULL, text, sizeof(text));
    cr_expect_not_null(strstr(text, "others may write to it"), "%s", text);
    vpc_distrust("/", NULL, text, sizeof(text));
    cr_expect_str_eq(text, "");
    int fd;
    cr_expect_eq(vpc_pipe_connect(dir, "\\\\.\\pipe\\x", &fd), EPERM);
}

Test(trust, a_stranger_who_serves_in_our_folder_is_refused)
{
    char dir[96];

    NEEDS_ROOT();
    snprintf(dir, sizeof(dir), "%s/x", scratch);
    int fd = serve(dir, PERSON, STRANGER, 0755);
    expect_refused(PERSON, dir, "the program that listens there belongs to user 65534");
    close(fd);
}

Test(trust, a_folder_that_others_may_write_to_is_refused)
{
    char dir[96];

    NEEDS_ROOT();
    snprintf(dir, sizeof(dir), "%s/x", scratch);
    int fd = serve(dir, PERSON, PERSON, 0775);
    expect_refused(PERSON, dir, "others may write to it (mode 0775)");
    close(fd);
}

Test(trust, our_own_server_and_roots_are_welcome)
{
    char dir[96];

    NEEDS_ROOT();
    snprintf(dir, sizeof(dir), "%s/x", scratch);
    int ours = serve(dir, PERSON, PERSON, 0755);
    expect_welcome(PERSON, dir);
    snprintf(dir, sizeof(dir), "%s/y", scratch);
    int roots = serve(dir, 0, 0, 0755);
    expect_welcome(PERSON, dir);
    expect_welcome(0, dir);
    close(ours);
    close(roots);
}

Test(trust, the_owner_of_a_folder_that_only_root_could_make_is_welcome)
{
    char dir[] = "/run/vpctrust.XXXXXX", link[96];

    NEEDS_ROOT();
    if (mkdtemp(dir) == NULL)
        cr_skip_test("needs a /run to write to");
    int fd = serve(dir, STRANGER, STRANGER, 0755);
    expect_welcome(PERSON, dir);
    expect_welcome(0, dir);
    snprintf(link, sizeof(link), "%s/l", scratch);
    cr_assert_eq(symlink(dir, link), 0);
    expect_refused(PERSON, link, "/l belongs to user 65534");
    close(fd);
    snprintf(link, sizeof(link), "%s/vms/vm.sock", dir);
    unlink(link);
    snprintf(link, sizeof(link), "%s/vms", dir);
    cr_expect(rmdir(link) == 0 && rmdir(dir) == 0);
}

Test(trust, a_socket_named_by_its_path_may_be_anywhere_but_not_anybodys)
{
    char dir[96], path[128];
    vpc_virtual_machine *vm;

    NEEDS_ROOT();
    snprintf(dir, sizeof(dir), "%s/x", scratch);
    snprintf(path, sizeof(path), "%s/vms/vm.sock", dir);
    int fd = serve(dir, PERSON, 0, 01777);
    cr_assert_eq(vpc_open_control_socket(path, &vm), VPC_S_OK);
    vpc_release_virtual_machine(vm);
    close(fd);
    snprintf(dir, sizeof(dir), "%s/y", scratch);
    snprintf(path, sizeof(path), "%s/vms/vm.sock", dir);
    fd = serve(dir, PERSON, PERSON, 0755);
    cr_expect_eq(vpc_open_control_socket(path, &vm), VPC_DISP_E_EXCEPTION);
    cr_expect_eq(errno, EPERM);
    close(fd);
}
