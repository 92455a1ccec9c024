/* SPDX-License-Identifier: MIT */
/* Files read, written and copied whole, whoever put them there. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "files.h"

static char dir[] = "/tmp/vpc-files-XXXXXX";

static void set_up(void)
{
    cr_assert_not_null(mkdtemp(dir));
    cr_assert_eq(chdir(dir), 0);
}

static void tear_down(void)
{
    static const char *const names[] = {"from", "to", "link", "fifo", "huge"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        unlink(names[i]);
    cr_expect_eq(rmdir(dir), 0);
}

TestSuite(files, .init = set_up, .fini = tear_down, .timeout = 10);

static void expect_text(const char *path, const char *text)
{
    char *read = vpc_file_read(path);

    cr_assert_not_null(read, "%s", path);
    cr_expect_str_eq(read, text);
    free(read);
}

Test(files, what_was_written_is_read)
{
    cr_assert(vpc_file_write_text("from", "one\ntwo\n"));
    expect_text("from", "one\ntwo\n");
    cr_assert(vpc_file_write_text("from", ""));
    expect_text("from", "");
}

Test(files, what_can_not_be_is_said)
{
    cr_expect_null(vpc_file_read("no/such"));
    cr_expect_eq(errno, ENOENT);
    cr_expect_null(vpc_file_read("."));
    cr_expect_eq(errno, EISDIR);
    cr_expect_not(vpc_file_write_text("no/such", "x"));
    cr_expect_eq(errno, ENOENT);
    cr_expect_not(vpc_file_write_text("/dev/full", "x"));
    cr_expect_eq(errno, ENOSPC);
}

Test(files, a_copy_has_no_more_than_the_limit)
{
    cr_assert(vpc_file_write_text("from", "0123456789"));
    cr_expect(vpc_file_copy("from", "to", 100));
    expect_text("to", "0123456789");
    cr_expect(vpc_file_copy("from", "to", 4));
    expect_text("to", "0123");
    cr_expect_not(vpc_file_copy("from", "/dev/full", 4));
    cr_expect_eq(errno, ENOSPC);
}

/* What a user names by mistake: none of it is waited for, or read until there is no memory. */
Test(files, what_is_no_file_is_not_read)
{
    static const struct {
        const char *path;
        int error;
    } strange[] = {{"fifo", EINVAL}, {"/dev/zero", EINVAL}, {".", EISDIR}, {"huge", EFBIG}};

    cr_assert_eq(mkfifo("fifo", 0600), 0);
    cr_assert(vpc_file_write_text("huge", ""));
    cr_assert_eq(truncate("huge", VPC_FILE_MAX + 1), 0);
    for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++) {
        cr_expect_null(vpc_file_read(strange[i].path), "%s", strange[i].path);
        cr_expect_eq(errno, strange[i].error, "%s: %s", strange[i].path, strerror(errno));
    }
    cr_assert_eq(truncate("huge", VPC_FILE_MAX), 0);
    expect_text("huge", "");
}

Test(files, a_fifo_is_written_for_who_reads_it)
{
    char part[8] = "";
    int reader;

    cr_assert_eq(mkfifo("fifo", 0600), 0);
    cr_expect_not(vpc_file_write_text("fifo", "x"));
    cr_expect_eq(errno, ENXIO);
    reader = open("fifo", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    cr_assert_geq(reader, 0);
    cr_expect(vpc_file_write_text("fifo", "heard"));
    cr_expect_eq(read(reader, part, sizeof(part)), 5);
    cr_expect_str_eq(part, "heard");
    close(reader);
}

/* A subject may make its log anything: a link to what is not its own, a FIFO that nobody writes. */
Test(files, only_a_regular_file_is_copied)
{
    cr_assert(vpc_file_write_text("from", "a secret"));
    cr_assert_eq(symlink("from", "link"), 0);
    cr_expect(vpc_file_copy("link", "to", 100));
    cr_expect_eq(access("to", F_OK), -1, "a link was followed");
    cr_assert_eq(unlink("link"), 0);
    cr_assert_eq(mkfifo("link", 0600), 0);
    cr_expect(vpc_file_copy("link", "to", 100));
    cr_expect(vpc_file_copy("/dev/zero", "to", 100));
    cr_expect(vpc_file_copy("no/such", "to", 100));
    cr_expect_eq(access("to", F_OK), -1);
}

/* A subject may have put anything where its output is collected, but what the machine owns is never removed. */
Test(files, what_is_in_the_way_of_an_output_is_removed_and_nothing_else)
{
    struct stat st;
    int fd;

    cr_assert_eq(mkfifo("link", 0600), 0);
    fd = vpc_file_append_stranger("link");
    cr_assert_geq(fd, 0);
    cr_expect(fstat(fd, &st) == 0 && S_ISREG(st.st_mode));
    close(fd);
    cr_assert_eq(unlink("link"), 0);
    cr_assert_eq(mkdir("to", 0700), 0);
    cr_expect_eq(vpc_file_append_stranger("to"), -1);
    cr_expect_eq(errno, EINVAL);
    cr_expect_eq(rmdir("to"), 0, "a folder was removed");
    if (geteuid() != 0 || mknod("link", S_IFCHR | 0600, makedev(1, 3)) != 0)
        return; /* only root makes a device */
    cr_expect_eq(vpc_file_append_stranger("link"), -1);
    cr_expect_eq(errno, EINVAL);
    cr_expect(lstat("link", &st) == 0 && S_ISCHR(st.st_mode), "a device was removed");
}
