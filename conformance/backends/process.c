/* SPDX-License-Identifier: MIT */
#include "backends/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/confine.h"
#include "files.h"
#include "memory.h"

#define PROCESS_MEMORY_MAX (4ull << 30)

#define OUTPUT_MAX  (16 << 20) /* of a program's output that may stand on the disk */
#define OUTPUT_KEPT (1 << 20)
#define LAST_WORDS  200 /* octets of a program's output that are shown */

#define TREE_MAX 64 /* processes of a tree that are looked at */

/*
 * What root mounts in the folder of a run is not there for us, who will remove that folder with all that is in it.  Who may
 * not do this can not mount either.
 */
static bool keep_mounts_apart(void)
{
    return unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) == 0;
}

/*
 * The error of an exec comes back through a pipe that the exec closes.  In a script's background we ourselves ignore
 * SIGINT, and the program would inherit it.
 */
static _Noreturn void child(const struct vpc_process *process, char *const *words,
                            const char *output, int joined, int report, pid_t parent)
{
    struct rlimit most = {(rlim_t)process->descriptors, (rlim_t)process->descriptors};
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int out = output ? vpc_file_append_stranger(output) : null;
    int failed;

    if (out >= 0 && null >= 0 && setpgid(0, 0) == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 &&
        getppid() == parent && dup2(joined < 0 ? null : joined, STDIN_FILENO) >= 0 &&
        dup2(joined < 0 ? out : joined, STDOUT_FILENO) >= 0 && dup2(out, STDERR_FILENO) >= 0 &&
        signal(SIGPIPE, SIG_DFL) != SIG_ERR && signal(SIGINT, SIG_DFL) != SIG_ERR &&
        keep_mounts_apart() && (errno = vpc_limit_process(PROCESS_MEMORY_MAX)) == 0 &&
        (process->descriptors == 0 || setrlimit(RLIMIT_NOFILE, &most) == 0) &&
        (errno = conform_sandbox_close(&process->sandbox)) == 0 &&
        (process->folder == NULL || chdir(process->folder) == 0))
        execvp(words[0], words);
    failed = errno;
    if (write(report, &failed, sizeof(failed)) < 0)
        _exit(126);
    _exit(127);
}

/* joined: what the process has for standard input and output; -1: nothing, and the file. */
static bool start(struct vpc_process *process, char *const *words, const char *output, int joined,
                  char **error)
{
    int report[2], failed = 0;
    /* In another process namespace it has no parent. */
    pid_t parent = process->sandbox.parts & VPC_SANDBOX_NAMESPACES ? 0 : getpid();
    ssize_t n;

    if (pipe2(report, O_CLOEXEC) != 0) {
        *error = vpc_format("%s can not be started: pipe: %s", words[0], strerror(errno));
        return false;
    }
    process->pid = fork();
    if (process->pid == 0)
        child(process, words, output, joined, report[1], parent);
    failed = process->pid < 0 ? errno : 0;
    close(report[1]);
    if (process->pid > 0) {
        setpgid(process->pid, process->pid); /* the child does it too: whoever comes first */
        while ((n = read(report[0], &failed, sizeof(failed))) < 0 && errno == EINTR)
            ;
        failed = n < 0 ? errno : failed;
    }
    close(report[0]);
    if (failed) {
        *error = vpc_format("%s can not be started: %s", words[0], strerror(failed));
        process->pid = process->pid < 0 ? 0 : process->pid;
        vpc_process_end(process);
    }
    return failed == 0;
}

bool vpc_process_start(struct vpc_process *process, char *const *words, const char *output,
                       char **error)
{
    return start(process, words, output, -1, error);
}

bool vpc_process_join(struct vpc_process *process, char *const *words, const char *output,
                      int *joined, char **error)
{
    int ends[2];
    bool good = false;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        *error = vpc_format("%s can not be started: socketpair: %s", words[0], strerror(errno));
        return false;
    }
    if (fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0)
        *error = vpc_format("%s can not be started: fcntl: %s", words[0], strerror(errno));
    else
        good = start(process, words, output, ends[1], error);
    if (good)
        *joined = ends[0];
    else
        close(ends[0]);
    close(ends[1]);
    return good;
}

bool vpc_process_ended(struct vpc_process *process, int *status)
{
    if (process->pid == 0 || waitpid(process->pid, status, WNOHANG) != process->pid)
        return false;
    kill(-process->pid, SIGKILL);
    process->pid = 0;
    return true;
}

bool vpc_process_wait(struct vpc_process *process, int *status, int limit_ms)
{
    for (int waited = 0; waited <= limit_ms; waited += 5) {
        if (vpc_process_ended(process, status))
            return true;
        poll(NULL, 0, 5);
    }
    return false;
}

void vpc_process_signal(struct vpc_process *process, int number)
{
    if (process->pid)
        kill(process->pid, number);
}

void vpc_process_end(struct vpc_process *process)
{
    if (process->pid == 0)
        return;
    kill(-process->pid, SIGKILL);
    kill(process->pid, SIGKILL);
    while (waitpid(process->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    process->pid = 0;
}

char *vpc_process_status(int status)
{
    if (WIFSIGNALED(status))
        return vpc_format("it was ended by signal %d (%s)", WTERMSIG(status),
                          strsignal(WTERMSIG(status)));
    return vpc_format("it ended with status %d", WEXITSTATUS(status));
}

void vpc_process_bound_output(const char *output)
{
    struct stat file;
    int fd;

    if (lstat(output, &file) != 0 || file.st_size <= OUTPUT_MAX) /* none is made */
        return;
    fd = vpc_file_append_stranger(output);
    if (fd < 0)
        return;
    if (ftruncate(fd, OUTPUT_KEPT) != 0)
        file.st_size = 0; /* it is as long as it is */
    close(fd);
}

char *vpc_process_last_words(const char *output)
{
    char end[LAST_WORDS + 1];
    int fd = vpc_file_open_stranger(output);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
    size_t n = 0, start;

    if (file && (fseek(file, -LAST_WORDS, SEEK_END) == 0 || fseek(file, 0, SEEK_SET) == 0))
        n = fread(end, 1, LAST_WORDS, file);
    if (file)
        fclose(file);
    while (n > 0 && (end[n - 1] == '\n' || end[n - 1] == '\r'))
        n--;
    for (start = n; start > 0 && end[start - 1] != '\n' && end[start - 1] != '\0'; start--)
        ;
    return n > start ? vpc_copy_n(end + start, n - start) : NULL;
}

/* Adds what a thread has had, the folder of which this is; false: it is gone. */
static bool add_thread(const char *folder, struct vpc_share *share)
{
    char *schedule = vpc_format("%s/schedstat", folder), *stat = vpc_format("%s/stat", folder);
    FILE *file = fopen(schedule, "re"), *states = fopen(stat, "re");
    unsigned long long used, waited;
    char text[512] = "", *name_end;
    bool there = file && fscanf(file, "%llu %llu", &used, &waited) == 2 && states &&
                 fgets(text, sizeof(text), states);

    if (there) {
        share->used += used / 1000;
        share->waited = waited / 1000 > share->waited ? waited / 1000 : share->waited;
        name_end = strrchr(text, ')');
        share->waits |= name_end && strncmp(name_end, ") R", 3) == 0;
    }
    if (file)
        fclose(file);
    if (states)
        fclose(states);
    free(schedule);
    free(stat);
    return there;
}

bool vpc_process_share(pid_t pid, struct vpc_share *share)
{
    char *folder = vpc_format("/proc/%d/task", (int)pid);
    DIR *threads = opendir(folder);
    const struct dirent *one;
    bool any = false;

    *share = (struct vpc_share){0};
    while (threads && (one = readdir(threads)) != NULL) {
        char *thread = vpc_format("%s/%s", folder, one->d_name);

        any |= *one->d_name != '.' && add_thread(thread, share);
        free(thread);
    }
    if (threads)
        closedir(threads);
    free(folder);
    return any;
}

/* What its children have used that have ended: a script is a chain of them. */
static uint64_t used_by_the_dead(pid_t pid)
{
    char *path = vpc_format("/proc/%d/stat", (int)pid), text[512] = "", *at;
    unsigned long long user, system, ticks = (unsigned long long)sysconf(_SC_CLK_TCK);
    FILE *file = fopen(path, "re");
    uint64_t us = 0;

    at = file && fgets(text, sizeof(text), file) ? strrchr(text, ')') : NULL;
    if (at && sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %llu %llu",
                     &user, &system) == 2)
        us = (user + system) * 1000000 / ticks;
    if (file)
        fclose(file);
    free(path);
    return us;
}

static void add_tree(pid_t pid, struct vpc_share *sum, int *most);

static void add_children(const char *folder, struct vpc_share *sum, int *most)
{
    char *path = vpc_format("%s/children", folder);
    FILE *children = fopen(path, "re");
    int child;

    while (children && fscanf(children, "%d", &child) == 1)
        add_tree(child, sum, most);
    if (children)
        fclose(children);
    free(path);
}

/* most: so many processes are looked at. */
static void add_tree(pid_t pid, struct vpc_share *sum, int *most)
{
    struct vpc_share one;
    char *folder = vpc_format("/proc/%d/task", (int)pid);
    DIR *threads = *most > 0 && vpc_process_share(pid, &one) ? opendir(folder) : NULL;
    const struct dirent *thread;

    if (threads) {
        --*most;
        sum->used += one.used + used_by_the_dead(pid);
        sum->waited += one.waited;
        sum->waits |= one.waits;
    }
    while (threads && (thread = readdir(threads)) != NULL) {
        char *path = vpc_format("%s/%s", folder, thread->d_name);

        if (*thread->d_name != '.')
            add_children(path, sum, most);
        free(path);
    }
    if (threads)
        closedir(threads);
    free(folder);
}

bool vpc_process_tree_share(pid_t pid, struct vpc_share *share)
{
    int most = TREE_MAX;

    *share = (struct vpc_share){0};
    if (pid > 0)
        add_tree(pid, share, &most);
    return most < TREE_MAX;
}

/* The name is in parentheses and may hold any character; utime and stime are the 12th and 13th words after it. */
bool vpc_process_busy(const char *stat, uint64_t *us)
{
    const char *at = strrchr(stat, ')');
    unsigned long long user, system;
    unsigned long ticks = (unsigned long)sysconf(_SC_CLK_TCK);

    if (at == NULL || sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu",
                             &user, &system) != 2)
        return false;
    *us = (user + system) * 1000000 / ticks;
    return true;
}
