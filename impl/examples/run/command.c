/* SPDX-License-Identifier: MIT */
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    PIPES = 4, /* standard input, output, error; what failed */
    FAILED = 3,
};

/* Of each pipe [0] is read and [1] is written. */
typedef int pipes[PIPES][2];

static void close_pipes(pipes ends)
{
    for (int i = 0; i < PIPES; i++)
        for (int j = 0; j < 2; j++)
            if (ends[i][j] >= 0)
                close(ends[i][j]);
}

/* Away from 0 to 2, which may be closed, so that no dup2() is in another's way. */
static bool open_pipes(pipes ends)
{
    memset(ends, -1, sizeof(pipes));
    for (int i = 0; i < PIPES; i++) {
        int low[2];

        if (pipe2(low, O_CLOEXEC) != 0)
            return false;
        for (int j = 0; j < 2; j++) {
            ends[i][j] = fcntl(low[j], F_DUPFD_CLOEXEC, 3);
            close(low[j]);
        }
        if (ends[i][0] < 0 || ends[i][1] < 0)
            return false;
    }
    return true;
}

static void reset_signals(void)
{
    sigset_t none;

    for (int i = 1; i < NSIG; i++)
        signal(i, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void execute(const struct account *account, char *const *words)
{
    char home[sizeof(account->home) + 8], user[sizeof(account->name) + 8], logname[sizeof(user)];
    char path[] = "PATH=/usr/local/bin:/usr/bin:/bin";
    char *const environment[] = {path, home, user, logname, NULL};

    snprintf(home, sizeof(home), "HOME=%s", account->home);
    snprintf(user, sizeof(user), "USER=%s", account->name);
    snprintf(logname, sizeof(logname), "LOGNAME=%s", account->name);
    if (chdir(account->home) == 0 || chdir("/") == 0)
        execve(words[0], words, environment);
}

/* In the new process: all that may fail is looked at, and nothing of it may be passed over. */
static void become(const pipes ends, const struct account *account, char *const *words)
{
    int error;

    reset_signals();
    errno = 0;
    if (setsid() >= 0 && dup2(ends[0][0], 0) == 0 && dup2(ends[1][1], 1) == 1 &&
        dup2(ends[2][1], 2) == 2 && close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) == 0 &&
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && account_become(account) &&
        prctl(PR_SET_PDEATHSIG, SIGKILL) == 0) {
        umask(022);
        execute(account, words);
    }
    error = errno != 0 ? errno : EPERM;
    if (write(ends[FAILED][1], &error, sizeof(error)) < 0)
        _exit(126);
    _exit(127);
}

static void keep(struct command *command, pipes ends)
{
    command->in = ends[0][1];
    command->out = ends[1][0];
    command->err = ends[2][0];
    ends[0][1] = ends[1][0] = ends[2][0] = -1;
    fcntl(command->in, F_SETFL, O_NONBLOCK);
    fcntl(command->out, F_SETFL, O_NONBLOCK);
    fcntl(command->err, F_SETFL, O_NONBLOCK);
}

int command_start(struct command *command, const struct account *account, char *const *words)
{
    pipes ends;
    int error = 0;

    command->pid = open_pipes(ends) ? fork() : -1;
    if (command->pid == 0)
        become(ends, account, words);
    if (command->pid < 0) {
        error = errno;
        close_pipes(ends);
        return error;
    }
    close(ends[FAILED][1]);
    ends[FAILED][1] = -1;
    /* The end of this pipe comes with a good execve(). */
    if (read(ends[FAILED][0], &error, sizeof(error)) != sizeof(error))
        error = 0;
    if (error == 0)
        keep(command, ends);
    else
        waitpid(command->pid, NULL, 0);
    close_pipes(ends);
    return error;
}
