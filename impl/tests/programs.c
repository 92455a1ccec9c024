/* SPDX-License-Identifier: MIT */
#include "programs.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scratch.h"

bool program_nameless;

pid_t program_run(int in, int out, const char *const argv[])
{
    char program[256];
    snprintf(program, sizeof(program), VPC_BUILD "/%s", argv[0]);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid > 0)
        return pid;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (program_nameless && (unshare(CLONE_NEWUTS) != 0 || sethostname("(none)", 6) != 0))
        _exit(126);
    signal(SIGPIPE, SIG_DFL);
    dup2(in < 0 ? null : in, 0);
    dup2(out < 0 ? null : out, 1);
    execv(program, (char *const *)(uintptr_t)argv);
    _exit(127);
}

int program_ended(pid_t pid)
{
    int status = 0;
    int64_t end = scratch_now_ms() + PROGRAM_LIMIT_MS;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        cr_assert_lt(scratch_now_ms(), end, "a program does not end");
        scratch_sleep_ms(5);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static FILE *proc_file(pid_t pid, const char *name)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    FILE *file = fopen(path, "re");
    cr_assert_not_null(file, "%s", path);
    return file;
}

void program_stop(pid_t *pid)
{
    if (*pid <= 0)
        return;
    kill(*pid, SIGTERM);
    cr_expect_eq(program_ended(*pid), 0, "an endpoint did not stop well");
    *pid = 0;
}

unsigned long program_status(pid_t pid, const char *name)
{
    char line[256];
    unsigned long value = ~0ul;
    FILE *file = proc_file(pid, "status");
    while (fgets(line, sizeof(line), file))
        if (strncmp(line, name, strlen(name)) == 0)
            value = strtoul(line + strlen(name), NULL, 16);
    fclose(file);
    return value;
}

long program_rss(pid_t pid)
{
    long pages = -1;
    FILE *file = proc_file(pid, "statm");
    int read = fscanf(file, "%*d %ld", &pages);
    fclose(file);
    cr_assert_eq(read, 1);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

long program_cpu(pid_t pid)
{
    char line[1024];
    unsigned long user = 0, system = 0;
    FILE *file = proc_file(pid, "stat");
    cr_assert_not_null(fgets(line, sizeof(line), file));
    fclose(file);
    const char *behind_name = strrchr(line, ')');
    cr_assert_not_null(behind_name);
    cr_assert_eq(sscanf(behind_name + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                        &user, &system),
                 2);
    return (long)((user + system) * 1000 / (unsigned long)sysconf(_SC_CLK_TCK));
}
