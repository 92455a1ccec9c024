/* SPDX-License-Identifier: MIT */
/* What `files =` of [guest] names: what can't be laid over an image is said, and waited for is none of it. */
#include <criterion/criterion.h>
#include <errno.h>
#include <glob.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "backends/guest_image.h"
#include "files.h"
#include "memory.h"
#include "vm/vm_hash.h"

static char dir[] = "/tmp/vpc-image-XXXXXX";

/* As tools/guest-image is called: --dir DIR, and then perhaps -o INITRD. */
#define TOOL(does) "#!/bin/sh\ntest \"$3\" != -o || { echo image >\"$4\"; " does "; }\n"

static void put_tool(const char *text)
{
    cr_assert(vpc_file_write_text("tool", text));
    cr_assert_eq(chmod("tool", 0755), 0);
}

static void set_up(void)
{
    cr_assert_not_null(mkdtemp(dir));
    cr_assert_eq(chdir(dir), 0);
    put_tool(TOOL(":"));
    cr_assert(vpc_file_write_text("vpc-puppet", "the puppet"));
    cr_assert(vpc_file_write_text("base.cpio.gz", "the base"));
    cr_assert(vpc_file_write_text("it", "the program"));
}

static void tear_down(void)
{
    glob_t found;

    if (glob("*", 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++)
            if (unlink(found.gl_pathv[i]) != 0)
                rmdir(found.gl_pathv[i]);
        globfree(&found);
    }
    cr_expect_eq(rmdir(dir), 0);
}

TestSuite(guest_image, .init = set_up, .fini = tear_down, .timeout = 20);

/* The initrd, or NULL and *error. */
static char *image_of(const char *files, char **error)
{
    char *text = vpc_format("[implementation]\nname = it\nrole = guest\n[guest]\nfiles = %s\n"
                            "command = /it\n",
                            files);
    struct vpc_implementation *it;
    char *initrd = NULL;

    *error = NULL;
    cr_assert(vpc_file_write_text("it.ini", text));
    it = vpc_implementation_load("it.ini", error);
    cr_assert_not_null(it, "%s", *error);
    if (!vpc_guest_image(it, dir, dir, "./tool", &initrd, error))
        cr_assert_null(initrd);
    vpc_implementation_free(it);
    free(text);
    return initrd;
}

static void expect_refused(const char *files, const char *name, const char *why)
{
    char *error, *initrd = image_of(files, &error);
    char *words = vpc_format("it.ini: files in [guest] needs %s/%s: %s", dir, name, why);

    cr_expect_null(initrd, "%s was taken", name);
    if (error)
        cr_expect_not_null(strstr(error, words), "%s instead of %s", error, words);
    free(words);
    free(error);
    free(initrd);
}

Test(guest_image, the_same_files_have_the_same_image)
{
    char *error, *one = image_of("it:/it", &error), *same, *other;

    cr_assert_not_null(one, "%s", error);
    put_tool("#!/bin/sh\ntest \"$3\" != -o\n");
    same = image_of("it:/it", &error);
    cr_assert_not_null(same, "it is made again: %s", error);
    cr_expect_str_eq(one, same);
    put_tool(TOOL(":"));
    cr_assert(vpc_file_write_text("it", "another program"));
    other = image_of("it:/it", &error);
    cr_assert_not_null(other, "%s", error);
    cr_expect_str_neq(one, other);
    cr_expect_eq(access(one, F_OK), -1, "the older one is still there");
    free(one);
    free(same);
    free(other);
}

Test(guest_image, what_is_no_file_is_said)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "socket"};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    cr_assert_eq(bind(listener, (const struct sockaddr *)&address, sizeof(address)), 0);
    cr_assert_eq(mkfifo("fifo", 0600), 0);
    cr_assert_eq(mkdir("folder", 0700), 0);
    cr_assert_eq(symlink("loop", "loop"), 0);
    cr_assert_eq(symlink("nowhere", "dangling"), 0);
    cr_assert_eq(symlink("fifo", "to-a-fifo"), 0);
    cr_assert_eq(symlink("/dev/zero", "zero"), 0);
    expect_refused("nothing:/it", "nothing", "No such file or directory; is it built?");
    expect_refused("dangling:/it", "dangling", "No such file or directory; is it built?");
    expect_refused("fifo:/it", "fifo", "it is no regular file");
    expect_refused("fifo.tar:/it/", "fifo.tar", "No such file or directory; is it built?");
    expect_refused("to-a-fifo:/it", "to-a-fifo", "it is no regular file");
    expect_refused("socket:/it", "socket", "it is no regular file");
    expect_refused("zero:/it", "zero", "it is no regular file");
    expect_refused("folder:/it", "folder", "it is a folder");
    expect_refused("loop:/it", "loop", strerror(ELOOP));
    expect_refused("it:/it fifo:/other", "fifo", "it is no regular file");
    close(listener);
}

Test(guest_image, what_may_not_be_read_is_said)
{
    cr_assert_eq(chmod("it", 0), 0);
    if (geteuid() == 0) { /* to whom nothing is forbidden */
        cr_assert_eq(chmod(dir, 0777), 0);
        cr_assert_eq(chmod("vpc-puppet", 0644), 0);
        cr_assert_eq(seteuid(65534), 0);
    }
    expect_refused("it:/it", "it", strerror(EACCES));
    if (getuid() == 0)
        cr_assert_eq(seteuid(0), 0);
}

/* Files of the system that say another length than they have, or have no end. */
Test(guest_image, what_says_another_length_is_said)
{
    cr_assert_eq(symlink("/proc/cpuinfo", "cpuinfo"), 0);
    expect_refused("cpuinfo:/it", "cpuinfo", "it changes while it is read");
}

Test(guest_image, what_no_guest_has_room_for_is_said)
{
    cr_assert(vpc_file_write_text("huge", ""));
    cr_assert_eq(truncate("huge", VPC_HASH_FILE_MAX + 1), 0);
    expect_refused("huge:/it", "huge", "it is larger than 1 GiB");
}

static volatile bool enough;

/* A log of somebody's, say. */
static void *write_on(void *file)
{
    static char part[65536];

    while (!enough)
        if (fwrite(part, 1, sizeof(part), file) == 0 || ftell(file) > 64 << 20)
            rewind(file);
    return NULL;
}

Test(guest_image, what_grows_is_said)
{
    FILE *file = fopen("log", "we");
    pthread_t writer;

    cr_assert_not_null(file);
    cr_assert_eq(ftruncate(fileno(file), 32 << 20), 0);
    cr_assert_eq(pthread_create(&writer, NULL, write_on, file), 0);
    for (bool seen = false; !seen;) { /* the machine may have let the writer wait meanwhile */
        char *error, *initrd = image_of("log:/it", &error);

        seen = error && strstr(error, "log: it changes while it is read");
        free(error);
        free(initrd);
    }
    enough = true;
    pthread_join(writer, NULL);
    fclose(file);
}

/* It was whole when its hash was taken: an image of something else must not stay under that name. */
Test(guest_image, what_changes_under_the_tool_is_said)
{
    char *error, *initrd;
    glob_t found;

    put_tool(TOOL("echo more >>\"$2/it\""));
    initrd = image_of("it:/it", &error);
    cr_assert_null(initrd);
    cr_expect_not_null(strstr(error, "files in [guest] change while the guest image is made"), "%s",
                       error);
    cr_expect_eq(glob("it.ini.*.cpio.gz", 0, NULL, &found), GLOB_NOMATCH, "the image stays");
    free(error);
}

/* As an archive that is half unpacked would be: the tool has failed, and said why. */
Test(guest_image, a_tool_that_fails_leaves_no_image)
{
    char *error, *initrd;
    glob_t found;

    put_tool(TOOL("exit 1"));
    initrd = image_of("it:/it", &error);
    cr_assert_null(initrd);
    cr_expect_not_null(strstr(error, "it has said above why"), "%s", error);
    cr_expect_eq(glob("it.ini.*.cpio.gz", 0, NULL, &found), GLOB_NOMATCH, "the image stays");
    free(error);
}
