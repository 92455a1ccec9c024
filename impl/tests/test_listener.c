/* SPDX-License-Identifier: MIT */
/* Names of sockets between processes: one owner at a time, whoever starts, stops or is killed at whatever moment. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "named_socket.h"
#include "scratch.h"
#include "shell_rig.h"

TestSuite(listener, .timeout = 60, .init = scratch_begin, .fini = scratch_end);

enum {
    RIVALS = 6,
    RUN_MS = 1500,
};

static char path[96], mark[96];

static int take(struct vpc_named_socket *named, const char *owner, int *fd)
{
    return vpc_named_socket_open(
        named, &(struct vpc_named_socket_options){.path = path, .owner = owner, .backlog = 1}, fd);
}

static void give(struct vpc_named_socket *named, int fd)
{
    close(fd);
    vpc_named_socket_close(named);
}

/* Takes the name and gives it back again and again.  Who has it is alone: nobody else can have made the mark, and who
 * connects reaches this very listener.  0, or what was wrong. */
static int rival(int64_t end)
{
    struct vpc_named_socket named;
    int taken = 0, listening;

    while (scratch_now_ms() < end || taken == 0) {
        int error = take(&named, "rival", &listening);
        if (error == EADDRINUSE)
            continue;
        if (error)
            return 2;
        int fd = open(mark, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
        if (fd < 0)
            return 3;
        int client = rig_connect(path);
        int served = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (client < 0 || served < 0)
            return 4;
        close(served);
        close(client);
        close(fd);
        unlink(mark);
        give(&named, listening);
        taken++;
    }
    return 0;
}

static pid_t start_rival(int64_t end)
{
    pid_t pid = fork();

    cr_assert_geq(pid, 0);
    if (pid == 0)
        _exit(rival(end));
    return pid;
}

static void name_paths(void)
{
    snprintf(path, sizeof(path), "%s/pipes/x.sock", scratch);
    snprintf(mark, sizeof(mark), "%s/mark", scratch);
}

Test(listener, rivals_have_a_name_one_after_the_other)
{
    pid_t pids[RIVALS];
    int64_t end = scratch_now_ms() + RUN_MS;

    name_paths();
    for (int i = 0; i < RIVALS; i++)
        pids[i] = start_rival(end);
    for (int i = 0; i < RIVALS; i++) {
        int status;

        cr_assert_eq(waitpid(pids[i], &status, 0), pids[i]);
        cr_assert_eq(status, 0, "status %x", (unsigned)status);
    }
    cr_assert_eq(access(path, F_OK), -1, "a socket is left");
}

/* An owner that is killed leaves its socket, its lock's file and here its mark; the next one begins anew. */
Test(listener, a_killed_owner_leaves_the_name_to_the_next)
{
    struct vpc_named_socket named;
    int listening;

    name_paths();
    for (int i = 0; i < 40; i++) {
        pid_t pid = start_rival(INT64_MAX);

        scratch_sleep_ms(2 + i % 5);
        kill(pid, SIGKILL);
        cr_assert_eq(waitpid(pid, NULL, 0), pid);
        unlink(mark);
        cr_assert_eq(take(&named, "next", &listening), 0, "round %d", i);
        int client = rig_connect(path);
        cr_assert_geq(client, 0);
        close(client);
        give(&named, listening);
        cr_assert_eq(rig_connect(path), -1);
    }
}

/* A link at the path of a socket goes.  Where the lock's file should be, a link is no way to somebody else's file. */
Test(listener, rubbish_at_the_path)
{
    struct vpc_named_socket named;
    char lock[128], target[96];
    struct stat st;
    int listening;

    name_paths();
    snprintf(lock, sizeof(lock), "%s.lock", path);
    snprintf(target, sizeof(target), "%s/target", scratch);
    close(open(target, O_CREAT | O_RDWR | O_CLOEXEC, 0600));
    cr_assert_eq(symlink(target, path), 0);
    cr_assert_eq(take(&named, "vm", &listening), 0);
    cr_assert_eq(lstat(path, &st), 0);
    cr_assert(S_ISSOCK(st.st_mode));
    cr_assert_eq(st.st_mode & 0777, 0600);
    give(&named, listening);
    cr_assert_eq(access(target, F_OK), 0, "what the link named is still there");
    cr_assert_eq(symlink(target, lock), 0);
    cr_assert_eq(take(&named, "vm", &listening), ELOOP);
}

/* `--control` and `--bus listen:` name any path: what stands there and is no socket is somebody's, and stays. */
Test(listener, somebodys_file_at_the_path)
{
    struct vpc_named_socket named;
    char lock[128];
    struct stat st;
    int listening;

    name_paths();
    snprintf(path, sizeof(path), "%s/mine", scratch);
    snprintf(lock, sizeof(lock), "%s.lock", path);
    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_assert_eq(take(&named, "vm", &listening), EEXIST);
    cr_assert_eq(lstat(path, &st), 0);
    cr_assert(S_ISFIFO(st.st_mode));
    cr_assert_eq(unlink(path), 0);
    close(open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600));
    cr_assert_eq(take(&named, "vm", &listening), EEXIST);
    cr_assert_eq(lstat(path, &st), 0);
    cr_assert(S_ISREG(st.st_mode));
    cr_assert_eq(access(lock, F_OK), -1, "the lock's file is left");
}

/* A pipe of `owner` that was killed; what stands there is left. */
static void leave_pipe(const char *name, const char *owner)
{
    struct vpc_named_socket named;
    int listening;
    pid_t pid = fork();

    snprintf(path, sizeof(path), "%s/pipes/%s.sock", scratch, name);
    if (pid == 0)
        _exit(take(&named, owner, &listening));
    cr_assert_eq(waitpid(pid, &listening, 0), pid);
    cr_assert_eq(listening, 0);
}

static bool is_left(const char *name, const char *end)
{
    char file[128];

    snprintf(file, sizeof(file), "%s/pipes/%s.sock%s", scratch, name, end);
    return access(file, F_OK) == 0;
}

/* What another machine left, what somebody uses, and what is no pipe's, stays. */
Test(listener, what_a_killed_owner_left_is_cleared_for_it_alone)
{
    struct vpc_named_socket named;
    int listening;

    leave_pipe("mine", "vm");
    leave_pipe("also~mine", "vm");
    leave_pipe("other", "vm2");
    leave_pipe("older", "");
    snprintf(path, sizeof(path), "%s/pipes/used.sock", scratch);
    cr_assert_eq(take(&named, "vm", &listening), 0);
    vpc_named_sockets_clear(scratch, "vm");
    cr_expect_not(is_left("mine", "") || is_left("mine", ".lock"));
    cr_expect_not(is_left("also~mine", "") || is_left("also~mine", ".lock"));
    cr_expect(is_left("other", "") && is_left("other", ".lock"));
    cr_expect(is_left("older", "") && is_left("older", ".lock"));
    cr_expect(is_left("used", "") && is_left("used", ".lock"));
    give(&named, listening);
}

/* ---- other programs' files ---------------------------------------------------------------------------- */

/* As a program listens that knows nothing of our locks. */
static int serve(void)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
    cr_assert_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    cr_assert_eq(listen(fd, 1), 0);
    return fd;
}

Test(listener, a_socket_that_another_program_serves_is_in_use)
{
    struct vpc_named_socket named;
    struct stat before, after;
    int listening;

    snprintf(path, sizeof(path), "%s/theirs", scratch);
    int theirs = serve();
    cr_assert_eq(stat(path, &before), 0);
    for (int i = 0; i < 4; i++) /* its backlog is full, too */
        cr_assert_eq(take(&named, "vm", &listening), EADDRINUSE);
    cr_assert_eq(stat(path, &after), 0);
    cr_assert_eq(before.st_ino, after.st_ino);
    close(theirs);
    cr_assert_eq(take(&named, "vm", &listening), 0, "it has gone");
    give(&named, listening);
}

Test(listener, what_took_the_place_of_its_socket_is_not_removed)
{
    struct vpc_named_socket named;
    int listening;

    snprintf(path, sizeof(path), "%s/ours", scratch);
    cr_assert_eq(take(&named, "vm", &listening), 0);
    unlink(path);
    int theirs = serve();
    give(&named, listening);
    cr_assert_eq(access(path, F_OK), 0);
    close(theirs);
}

static void expect_foreign_lock(const char *text, size_t size)
{
    char lock[sizeof(path) + 8], got[256];
    struct vpc_named_socket named;
    int listening;

    snprintf(path, sizeof(path), "%s/.s.PGSQL.5432", scratch);
    snprintf(lock, sizeof(lock), "%s.lock", path);
    int fd = open(lock, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    cr_assert_eq(write(fd, text, size), (ssize_t)size);
    cr_assert_eq(take(&named, "vm", &listening), EEXIST);
    cr_assert_eq(pread(fd, got, sizeof(got), 0), (ssize_t)size);
    cr_assert_arr_eq(got, text, size);
    cr_assert_eq(access(lock, F_OK), 0);
    close(fd);
}

Test(listener, a_lock_file_of_another_program_stays_as_it_is)
{
    char text[65];

    memset(text, 'x', sizeof(text));
    for (size_t size = 1; size <= sizeof(text); size++)
        expect_foreign_lock(text, size);
    text[10] = '\0';
    expect_foreign_lock(text, 64);
}
