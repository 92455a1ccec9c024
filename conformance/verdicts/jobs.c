/* SPDX-License-Identifier: MIT */
/* See jobs.h. */
#include "verdicts/jobs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "backends/load.h"
#include "clock.h"

#define LOOK_MS  10   /* where nothing tells when to look */
#define SWEEP_MS 5000 /* for the end of what was killed: far more than a busy machine takes */

struct job {
    pid_t pid; /* 0: a free place */
    int fd;
    uint64_t started, end;
    bool late, too_long;
    void *user;
    struct vpc_buffer text;
};

struct vpc_jobs {
    struct job *jobs;
    size_t room;
    int limit_ms;
    int signals;
    int broken; /* an errno: why none can be started */
    int interrupted;
    sigset_t before; /* the mask that children get */
};

/* Those that nobody has told us to ignore, as nohup does. */
static sigset_t signals_that_end(void)
{
    static const int all[] = {SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGTERM};
    struct sigaction now;
    sigset_t ends;

    sigemptyset(&ends);
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (sigaction(all[i], NULL, &now) == 0 && now.sa_handler != SIG_IGN)
            sigaddset(&ends, all[i]);
    return ends;
}

struct vpc_jobs *vpc_jobs_begin(size_t at_once, int limit_ms)
{
    struct vpc_jobs *jobs = vpc_alloc(sizeof(*jobs));
    sigset_t ends;

    jobs->jobs = vpc_alloc(at_once * sizeof(*jobs->jobs));
    jobs->room = at_once;
    jobs->limit_ms = limit_ms;
    ends = signals_that_end();
    jobs->signals = signalfd(-1, &ends, SFD_NONBLOCK | SFD_CLOEXEC);
    if (jobs->signals < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
        jobs->broken = errno;
    /* Signals that nobody could read are not taken. */
    if (sigprocmask(SIG_BLOCK, jobs->broken ? NULL : &ends, &jobs->before) != 0)
        jobs->broken = errno;
    return jobs;
}

static struct job *free_place(const struct vpc_jobs *jobs)
{
    for (size_t i = 0; i < jobs->room; i++)
        if (jobs->jobs[i].pid == 0)
            return &jobs->jobs[i];
    return NULL;
}

size_t vpc_jobs_running(const struct vpc_jobs *jobs)
{
    size_t count = 0;

    for (size_t i = 0; i < jobs->room; i++)
        count += jobs->jobs[i].pid != 0;
    return count;
}

bool vpc_jobs_full(const struct vpc_jobs *jobs)
{
    return vpc_jobs_running(jobs) == jobs->room;
}

static _Noreturn void become(const struct vpc_jobs *jobs, vpc_job_fn *fn, void *user, int fd,
                             pid_t parent)
{
    if (setpgid(0, 0) != 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 ||
        prctl(PR_SET_CHILD_SUBREAPER, 1) != 0 || getppid() != parent ||
        sigprocmask(SIG_SETMASK, &jobs->before, NULL) != 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        _exit(VPC_JOB_NOT_BEGUN);
    fn(user, fd);
    _exit(0);
}

/* The pipe in which a job says its result; we never wait in a read.  False with errno. */
static bool talk(int fds[2])
{
    int failed;

    if (pipe2(fds, O_CLOEXEC) != 0)
        return false;
    if (fcntl(fds[0], F_SETFL, O_NONBLOCK) == 0)
        return true;
    failed = errno;
    close(fds[0]);
    close(fds[1]);
    errno = failed;
    return false;
}

bool vpc_jobs_start(struct vpc_jobs *jobs, vpc_job_fn *fn, void *user)
{
    struct job *job = free_place(jobs);
    pid_t parent = getpid(), pid;
    int fds[2], failed;

    fflush(NULL);
    errno = jobs->broken;
    if (jobs->broken || !talk(fds))
        return false;
    pid = fork();
    if (pid == 0) {
        close(fds[0]);
        become(jobs, fn, user, fds[1], parent);
    }
    failed = errno;
    close(fds[1]);
    if (pid < 0) {
        close(fds[0]);
        errno = failed;
        return false;
    }
    setpgid(pid, pid); /* the child does it too: whoever comes first */
    *job = (struct job){.pid = pid, .fd = fds[0], .user = user};
    job->started = vpc_real_ms();
    job->end = job->started + (uint64_t)jobs->limit_ms;
    return true;
}

/* True when it has said all that it will, or may. */
static bool take_text(struct job *job)
{
    char part[4096];
    ssize_t n = read(job->fd, part, sizeof(part));

    job->too_long = n > 0 && vpc_buffer_size(&job->text) + (size_t)n > VPC_JOB_TEXT_MAX;
    if (n > 0 && !job->too_long)
        vpc_buffer_add(&job->text, part, (size_t)n);
    return job->too_long || n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN);
}

static bool is_job(const struct vpc_jobs *jobs, pid_t pid)
{
    for (size_t i = 0; i < jobs->room; i++)
        if (jobs->jobs[i].pid == pid)
            return true;
    return false;
}

/* Kills each child of ours that is no job, and takes those that have ended; how many it found. *left: that have not. */
static unsigned take_strays(const struct vpc_jobs *jobs, unsigned *left)
{
    unsigned found = 0;
    char path[64];
    FILE *children;
    int pid;

    *left = 0;
    snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
    children = fopen(path, "re");
    while (children && fscanf(children, "%d", &pid) == 1) {
        if (is_job(jobs, pid))
            continue;
        found++;
        kill(pid, SIGKILL);
        *left += waitpid(pid, NULL, WNOHANG) == 0;
    }
    if (children)
        fclose(children);
    return found;
}

/*
 * Whoever left its group and lost its parent is a child of a job, which is a subreaper, and once that is gone a child of
 * ours: it is killed, and then its own children, which come to us in turn.  None of them is waited for alone: the first
 * process of a namespace ends only when all others in it were taken, and they may be children of ours too.
 */
static void sweep(const struct vpc_jobs *jobs)
{
    const uint64_t by = vpc_real_ms() + SWEEP_MS;
    unsigned left;

    while (take_strays(jobs, &left) > 0 && vpc_real_ms() < by)
        if (left > 0)
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static bool share_of_tree(void *watched, struct vpc_share *share)
{
    return vpc_process_tree_share(*(const pid_t *)watched, share);
}

static void finish(struct job *job, struct vpc_job_result *result)
{
    *result = (struct vpc_job_result){
        .user = job->user, .text = job->text, .in_time = !job->late, .too_long = job->too_long};
    if (job->late)
        result->held_up = conform_load_excuse_since(share_of_tree, &job->pid, job->started);
    if (job->late || job->too_long)
        kill(job->pid, SIGKILL);
    while (waitpid(job->pid, &result->status, 0) < 0 && errno == EINTR)
        ;
    kill(-job->pid, SIGKILL);
    close(job->fd);
    *job = (struct job){0};
}

static void take_signal(struct vpc_jobs *jobs)
{
    struct signalfd_siginfo info;

    if (read(jobs->signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return;
    jobs->interrupted = (int)info.ssi_signo;
    for (size_t i = 0; i < jobs->room; i++)
        if (jobs->jobs[i].pid)
            kill(-jobs->jobs[i].pid, SIGKILL);
}

/*
 * Where the system can not wait for us (no memory, or fewer descriptors than we look at), no job is to be blamed for our
 * deafness: each is looked at, now and then.
 */
static void look_at_all(struct pollfd *fds, size_t count, int error)
{
    for (size_t i = 0; i < count; i++)
        fds[i].revents = error != EINTR && fds[i].fd >= 0 ? POLLIN : 0;
    if (error != EINTR)
        nanosleep(&(struct timespec){.tv_nsec = LOOK_MS * 1000000}, NULL);
}

/* Waits until something may have happened; sets fds, one for each place and one for the signals. */
static void wait_for_any(const struct vpc_jobs *jobs, struct pollfd *fds)
{
    uint64_t now = vpc_real_ms(), until = UINT64_MAX;

    for (size_t i = 0; i < jobs->room; i++) {
        const struct job *job = &jobs->jobs[i];

        fds[i] = (struct pollfd){.fd = job->pid ? job->fd : -1, .events = POLLIN};
        if (job->pid && job->end < until)
            until = job->end;
    }
    fds[jobs->room] = (struct pollfd){.fd = jobs->signals, .events = POLLIN};
    if (poll(fds, jobs->room + 1, until > now ? (int)(until - now) : 0) < 0)
        look_at_all(fds, jobs->room + 1, errno);
}

bool vpc_jobs_next(struct vpc_jobs *jobs, struct vpc_job_result *result)
{
    struct pollfd *fds = vpc_alloc((jobs->room + 1) * sizeof(*fds));
    struct job *ended = NULL;

    while (ended == NULL && vpc_jobs_running(jobs) > 0) {
        wait_for_any(jobs, fds);
        if (fds[jobs->room].revents)
            take_signal(jobs);
        for (size_t i = 0; i < jobs->room && ended == NULL; i++) {
            struct job *job = &jobs->jobs[i];

            if (job->pid == 0)
                continue;
            job->late = vpc_real_ms() >= job->end;
            if ((fds[i].revents && take_text(job)) || job->late)
                ended = job;
        }
    }
    free(fds);
    if (ended) {
        finish(ended, result);
        sweep(jobs);
    }
    return ended != NULL;
}

bool vpc_job_has_spoken(const struct vpc_job_result *result)
{
    return !result->too_long && WIFEXITED(result->status) && WEXITSTATUS(result->status) == 0;
}

int vpc_jobs_interrupted(const struct vpc_jobs *jobs)
{
    return jobs->interrupted;
}

void vpc_jobs_end(struct vpc_jobs *jobs)
{
    struct vpc_job_result result;

    for (size_t i = 0; i < jobs->room; i++) {
        if (jobs->jobs[i].pid == 0)
            continue;
        kill(jobs->jobs[i].pid, SIGKILL);
        finish(&jobs->jobs[i], &result);
        vpc_buffer_free(&result.text);
        sweep(jobs);
    }
    if (jobs->signals >= 0)
        close(jobs->signals);
    sigprocmask(SIG_SETMASK, &jobs->before, NULL);
    free(jobs->jobs);
    free(jobs);
}
