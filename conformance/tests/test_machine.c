/* SPDX-License-Identifier: MIT */
/* What the harness does on machines that lack something, function by function; check-machine has whole runs. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/folder.h"
#include "backends/machine.h"
#include "backends/socket_io.h"

TestSuite(machine, .timeout = 20);

/* ---- folders -------------------------------------------------------------------------------------------------------- */

static char *folder_in(const char *base, struct vpc_folder *folder)
{
    char *error = NULL;

    setenv("TMPDIR", base, 1);
    vpc_folder_begin(folder, &error);
    return error;
}

/* Whoever ran in it moved it and put a link in its place: it comes back with what it holds, and what the link names stays. */
Test(machine, a_folder_that_was_moved_comes_back)
{
    char base[] = "/tmp/vpc-machine-XXXXXX", *moved, *inside, *error;
    struct vpc_folder folder;

    cr_assert_not_null(mkdtemp(base));
    error = folder_in(base, &folder);
    cr_assert_null(error);
    moved = vpc_format("%s/moved", base);
    inside = vpc_format("%s/inside", folder.path);
    cr_assert_eq(mkdir(inside, 0700), 0);
    cr_assert_eq(rename(folder.real, moved), 0);
    cr_assert_eq(symlink("/", folder.real), 0);
    vpc_folder_restore(&folder);
    cr_expect_eq(access(inside, F_OK), 0);
    cr_expect_neq(access(moved, F_OK), 0);
    cr_assert_eq(rename(folder.real, moved), 0);
    vpc_folder_end(&folder);
    cr_expect_eq(rmdir(base), 0, "something is left");
    free(moved);
    free(inside);
}

Test(machine, a_folder_has_a_short_path_wherever_it_is)
{
    char base[] = "/tmp/vpc-machine-XXXXXX", *deep = NULL, *error, *path;
    struct vpc_folder folder;
    struct stat link, near;

    cr_assert_not_null(mkdtemp(base));
    deep = vpc_format("%s/it is a \"my proj\" %%{bus} of forty characters and more", base);
    cr_assert_eq(mkdir(deep, 0700), 0);
    error = folder_in(deep, &folder);
    cr_assert_null(error, "%s", error);
    cr_expect_leq(strlen(folder.path), VPC_FOLDER_MAX);
    cr_expect_eq(strcspn(folder.path, " %\"'{}"), strlen(folder.path));
    cr_expect_eq(strncmp(folder.real, deep, strlen(deep)), 0);
    cr_expect_eq(lstat(folder.path, &link), 0);
    cr_expect_eq(stat(folder.near, &near), 0);
    cr_expect_eq(near.st_mode & 0777, 0700);
    path = vpc_copy(folder.near);
    vpc_folder_end(&folder);
    cr_expect_neq(stat(path, &near), 0);
    cr_expect_eq(rmdir(deep), 0, "something is left");
    cr_expect_eq(rmdir(base), 0);
    free(deep);
    free(path);
}

Test(machine, a_folder_whose_link_was_turned_elsewhere_takes_nothing_with_it)
{
    char base[] = "/tmp/vpc-machine-of-many-characters-XXXXXX", other[] = "/tmp/vpc-other-XXXXXX";
    struct vpc_folder folder;
    char *error, *file;

    cr_assert(mkdtemp(base) && mkdtemp(other));
    file = vpc_format("%s/file", other);
    close(open(file, O_CREAT | O_CLOEXEC, 0600));
    error = folder_in(base, &folder);
    cr_assert_null(error, "%s", error);
    cr_assert_eq(unlink(folder.path), 0);
    cr_assert_eq(symlink(other, folder.path), 0);
    vpc_folder_end(&folder);
    cr_expect_eq(access(file, F_OK), 0);
    cr_expect_eq(rmdir(base), 0, "the folder itself is left");
    unlink(file);
    rmdir(other);
    free(file);
}

Test(machine, no_folder_says_where_and_what_to_do)
{
    struct vpc_folder folder;
    char *error = folder_in("/no/such/folder", &folder);

    cr_assert_not_null(error);
    cr_expect_not_null(strstr(error, "no folder can be made in /no/such/folder: No such file"));
    cr_expect_not_null(strstr(error, "set TMPDIR"));
    free(error);
}

/* ---- limits --------------------------------------------------------------------------------------------------------- */

Test(machine, the_limit_of_descriptors_is_raised_as_far_as_it_may)
{
    struct vpc_machine_need need = {.jobs = 1, .processes = true};
    struct rlimit limit = {32, 1000};
    char *missing;

    unsetenv("TMPDIR");
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    missing = vpc_machine_missing(&need);
    cr_expect_null(missing, "%s", missing);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    cr_expect_gt(limit.rlim_cur, 200);
    limit.rlim_cur = limit.rlim_max = 100;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    missing = vpc_machine_missing(&need);
    cr_assert_not_null(missing);
    cr_expect_not_null(strstr(missing, "raise \"ulimit -n\""), "%s", missing);
    free(missing);
}

/* ---- connections ---------------------------------------------------------------------------------------------------- */

struct seen {
    int broken, opened;
    char *why;
};

static void on_seen(void *user, const struct vpc_seen *one)
{
    struct seen *seen = user;

    seen->opened += one->kind == VPC_SEEN_LOCAL_OPENED;
    if (one->kind != VPC_SEEN_BROKEN)
        return;
    seen->broken++;
    free(seen->why);
    seen->why = vpc_copy(one->text);
}

static bool saw;

static struct vpc_sockets begin(struct seen *seen)
{
    return (struct vpc_sockets){.next_id = 1000, .sink = on_seen, .user = seen, .saw = &saw};
}

/* The number that the next descriptor would have. */
static rlim_t next_descriptor(void)
{
    int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);

    close(fd);
    return (rlim_t)fd;
}

Test(machine, connections_that_are_closed_are_polled_no_more)
{
    struct seen seen = {0};
    struct vpc_sockets all = begin(&seen);
    int ends[2];

    for (int i = 1; i <= 2000; i++) {
        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        cr_assert_eq(vpc_sockets_join(&all, i, ends[0]), 0);
        close(ends[1]);
        if (i < 2000)
            vpc_socket_abort(&all, vpc_sockets_find(&all, i));
    }
    cr_expect_eq(vpc_sockets_room(&all), 1);
    cr_expect_not_null(vpc_sockets_find(&all, 2000));
    cr_expect_eq(seen.broken, 0);
    vpc_sockets_free(&all);
}

Test(machine, without_descriptors_it_is_the_harness_that_can_not)
{
    struct seen seen = {0};
    struct vpc_sockets all = begin(&seen);
    struct rlimit limit;
    struct pollfd fds[4];
    char *error = NULL;
    uint16_t port = vpc_sockets_port(&all, 6174);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    cr_assert(vpc_sockets_mode(&all, 6174, VPC_TCP_LISTENING, &error));
    cr_assert_eq(connect(client, (struct sockaddr *)&address, sizeof(address)), 0);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = next_descriptor();
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    cr_assert_eq(vpc_sockets_room(&all), 1);
    cr_assert_eq(vpc_sockets_poll(&all, fds), 1);
    cr_assert_eq(poll(fds, 1, 5000), 1);
    vpc_sockets_serve(&all, fds, 1);
    cr_expect_eq(seen.opened, 0);
    cr_expect_eq(seen.broken, 1);
    cr_expect_str_eq(seen.why, "the harness can not accept a connection: Too many open files: "
                               "raise \"ulimit -n\"");
    cr_expect_eq(vpc_sockets_port(&all, 6175), 0);
    cr_expect_eq(seen.broken, 2);
    cr_expect_eq(vpc_sockets_join(&all, 1, vpc_unix_connect("/tmp/x")), EMFILE);
    cr_expect_eq(seen.broken, 3);
    cr_expect_not(vpc_sockets_mode(&all, 6175, VPC_TCP_LISTENING, &error));
    cr_expect_not_null(strstr(error, "Too many open files"), "%s", error);
    free(error);
    free(seen.why);
    close(client);
    vpc_sockets_free(&all);
}
