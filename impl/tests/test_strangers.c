/* SPDX-License-Identifier: MIT */
/* Another user's programs at the endpoint's sockets.  The folders' modes keep them away; here those are opened, and
 * the sockets themselves must refuse. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shell_rig.h"
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
