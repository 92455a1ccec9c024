/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "port_list.h"
#include "scratch.h"
#include "vpc.h"

TestSuite(pipe_name, .timeout = 10);

static const struct {
    const char *pipe;
    const char *file; /* NULL: refused */
} names[] = {
    {"\\\\.\\pipe\\mynamedpipe", "mynamedpipe.sock"},
    {"\\\\.\\PIPE\\MyNamedPipe", "mynamedpipe.sock"},
    {"\\\\.\\pipe\\a b/c%", "a%20b%2Fc%25.sock"},
    {"\\\\.\\pipe\\..", "...sock"},
    {"\\\\.\\pipe\\\xc3\xa9", "%C3%A9.sock"},
    {"\\\\.\\pipe\\012345678901234567890123456789012345678901234567890123456789",
     "012345678901234567890123456789012345678901234567890123456789.sock"},
    {"\\\\.\\pipe\\", NULL},
    {"\\\\.\\pipe\\a\\b", NULL},
    {"\\\\.\\pipe\\a\nb", NULL},
    {"\\\\.\\pipe\\\xff", NULL},
    {"\\\\.\\pipe\\\xc3", NULL},
    {"\\\\server\\pipe\\a", NULL},
    {"mynamedpipe", NULL},
    {"", NULL},
};

Test(pipe_name, file_names)
{
    char file[128];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        int error = vpc_pipe_file(names[i].pipe, file, sizeof(file));

        cr_assert_eq(error, names[i].file ? 0 : EINVAL, "%s: error %d", names[i].pipe, error);
        if (names[i].file != NULL)
            cr_assert_str_eq(file, names[i].file);
    }
}

/* A pipe name of n times c. */
static const char *long_name(char c, size_t n)
{
    static char name[512];

    snprintf(name, sizeof(name), "\\\\.\\pipe\\");
    memset(name + 9, c, n);
    name[9 + n] = '\0';
    return name;
}

Test(pipe_name, long_names_keep_their_head_and_a_hash)
{
    char upper[128], lower[128], other[128];

    cr_assert_eq(vpc_pipe_file(long_name('A', 61), upper, sizeof(upper)), 0);
    cr_assert_eq(vpc_pipe_file(long_name('a', 61), lower, sizeof(lower)), 0);
    cr_assert_eq(vpc_pipe_file(long_name('a', 62), other, sizeof(other)), 0);
    cr_assert_str_eq(upper, lower);
    cr_assert_str_neq(lower, other);
    cr_assert_eq(strlen(lower), 40 + 1 + 16 + 5);
    cr_assert_eq(strncmp(lower, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa~", 41), 0);
}

Test(pipe_name, the_hash_is_fnv_1a_of_the_folded_name)
{
    char file[128];
    /* FNV-1a 64 of 61 times 'a', reckoned here octet by octet. */
    uint64_t hash = 14695981039346656037u;

    for (int i = 0; i < 61; i++)
        hash = (hash ^ 0x61) * 1099511628211u;
    char want[32];
    snprintf(want, sizeof(want), "~%016llx.sock", (unsigned long long)hash);
    cr_assert_eq(vpc_pipe_file(long_name('A', 61), file, sizeof(file)), 0);
    cr_assert_str_eq(file + 40, want);
}

Test(pipe_name, at_most_256_characters)
{
    char file[128], pipe[1200] = "\\\\.\\pipe\\";

    cr_assert_eq(vpc_pipe_file(long_name('x', 247), file, sizeof(file)), 0);
    cr_assert_eq(vpc_pipe_file(long_name('x', 248), file, sizeof(file)), EINVAL);
    for (int i = 0; i < 247; i++)
        strcat(pipe, "\xf0\x9f\x98\x80");
    cr_assert_eq(vpc_pipe_file(pipe, file, sizeof(file)), 0, "characters are counted, not octets");
    strcat(pipe, "x");
    cr_assert_eq(vpc_pipe_file(pipe, file, sizeof(file)), EINVAL);
}

Test(pipe_name, ports)
{
    cr_assert_eq(vpc_port("6174"), 6174);
    cr_assert_eq(vpc_port("65535"), 65535);
    const char *bad[] = {"0", "", "06174", "65536", "123456", "-1", "6174 ", "http"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_assert_eq(vpc_port(bad[i]), 0, "%s", bad[i]);
}

Test(pipe_name, port_lists)
{
    struct vpc_ports ports;
    const char *bad[] = {"",    "0",     ",",      "80,",  ",80",   "80-",     "-80",
                         "9-8", "1-2-3", "80 ,90", "http", "65536", "1-65536", "80,,90"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_assert_not(vpc_ports_parse(&ports, bad[i]), "%s", bad[i]);
    cr_assert(vpc_ports_parse(&ports, "80,6000-6002,65535,7-7"));
    unsigned have = 0;
    for (unsigned port = 0; port <= 70000; port++)
        have += vpc_ports_have(&ports, port);
    cr_assert_eq(have, 6u);
    cr_assert(vpc_ports_have(&ports, 80) && vpc_ports_have(&ports, 6000) &&
              vpc_ports_have(&ports, 6001) && vpc_ports_have(&ports, 6002) &&
              vpc_ports_have(&ports, 65535) && vpc_ports_have(&ports, 7));
    cr_assert(vpc_ports_parse(&ports, "1-65535"));
    cr_assert(vpc_ports_have(&ports, 1) && vpc_ports_have(&ports, 65535));
    cr_assert_not(vpc_ports_have(&ports, 0));
}

TestSuite(runtime_dir, .timeout = 10, .init = scratch_begin, .fini = scratch_end);

Test(runtime_dir, a_socket_path_has_a_limit)
{
    char path[VPC_PATH_SIZE], want[VPC_PATH_SIZE];

    cr_assert_eq(vpc_pipe_path(scratch, "\\\\.\\pipe\\X", path, sizeof(path)), 0);
    snprintf(want, sizeof(want), "%s/pipes/x.sock", scratch);
    cr_assert_str_eq(path, want);
    char deep[128];
    memset(deep, 'd', 120);
    deep[0] = '/', deep[78] = '\0';
    cr_assert_eq(vpc_pipe_path(deep, "\\\\.\\pipe\\X", path, sizeof(path)), 0);
    cr_assert_eq(strlen(path), 78 + strlen("/pipes/x.sock"));
    cr_assert_eq(vpc_pipe_path(deep, "\\\\.\\pipe\\a long name, and more", path, sizeof(path)), 0);
    cr_assert_eq(strlen(path), 107, "a brief name");
    cr_assert_eq(strncmp(path + 78, "/pipes/~", 8), 0);
    deep[78] = 'd', deep[120] = '\0';
    cr_assert_eq(vpc_pipe_path(deep, "\\\\.\\pipe\\X", path, sizeof(path)), ENAMETOOLONG);
}

Test(runtime_dir, is_private)
{
    struct stat st;

    cr_assert_eq(stat(scratch, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0700);
    cr_assert_eq(chmod(scratch, 0777), 0);
    cr_assert_eq(vpc_runtime_dir_make(scratch), EPERM, "others may write to it");
    cr_assert_eq(chmod(scratch, 0700), 0);
}

Test(runtime_dir, of_another_user_is_refused)
{
    if (geteuid() != 0)
        cr_skip_test("needs root to give a directory away");
    cr_assert_eq(chown(scratch, 12345, 12345), 0);
    cr_assert_eq(vpc_runtime_dir_make(scratch), EPERM);
    cr_assert_eq(chown(scratch, 0, 0), 0);
}
