/* SPDX-License-Identifier: MIT */
/*
 * Two processes stand for a confined one.  The guardian is the first of the process namespace, hence it dies last and takes
 * all others with it; it waits for the second, which runs the subject's code, and reports its end.  (The subject itself can
 * not be the first: signals that have no handler do not reach that one, and an abort() would look like something else.)
 */
#include "backends/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/filter.h"
#include "backends/group.h"
#include "memory.h"

/* ---- limits ------------------------------------------------------------------------------------------------------- */

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED true /* a sanitizer wants terabytes of addresses */
#else
#define SANITIZED false
#endif

#define OBJECT_MEMORY_MAX (1ull << 30)
#define FILE_OCTETS_MAX   (64ull << 20)

int vpc_limit(int what, uint64_t most)
{
    struct rlimit limit;

    if (getrlimit((__rlimit_resource_t)what, &limit) != 0)
        return errno;
    limit.rlim_max = limit.rlim_max < most ? limit.rlim_max : most;
    limit.rlim_cur = limit.rlim_cur < limit.rlim_max ? limit.rlim_cur : limit.rlim_max;
    return setrlimit((__rlimit_resource_t)what, &limit) == 0 ? 0 : errno;
}

/* Whoever writes more than a file may hold is told so, and not killed. */
int vpc_limit_process(uint64_t memory)
{
    const struct {
        int what;
        rlim_t most;
    } limits[] = {
        {RLIMIT_CORE, 0},
        {RLIMIT_FSIZE, FILE_OCTETS_MAX},
        {RLIMIT_DATA, SANITIZED ? RLIM_INFINITY : memory},
        {RLIMIT_MSGQUEUE, 1ul << 20},
    };
    int error = signal(SIGXFSZ, SIG_IGN) == SIG_ERR ? errno : 0;

    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]) && error == 0; i++)
        error = vpc_limit(limits[i].what, limits[i].most);
    return error;
}

/* ---- Landlock ------------------------------------------------------------------------------------------------------ */

/* What Debian 12's headers do not know yet. */
#define NET_TCP      (1ull << 0 | 1ull << 1) /* LANDLOCK_ACCESS_NET_*, from version 4 on */
#define IOCTL_DEV    (1ull << 15)            /* LANDLOCK_ACCESS_FS_IOCTL_DEV, 5 */
#define SCOPE_OTHERS (1ull << 0 | 1ull << 1) /* LANDLOCK_SCOPE_*: abstract sockets and signals, 6 */

struct ruleset {
    uint64_t fs, net, scoped;
};

#define WRITES                                                                                     \
    (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                               \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | \
     LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |   \
     LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)
#define REFER    (1ull << 13) /* LANDLOCK_ACCESS_FS_REFER, 2 */
#define TRUNCATE (1ull << 14) /* LANDLOCK_ACCESS_FS_TRUNCATE, 3 */

static int allow_below(int ruleset, const char *path, uint64_t access)
{
    struct landlock_path_beneath_attr rule = {.allowed_access = access,
                                              .parent_fd = open(path, O_PATH | O_CLOEXEC)};
    int error = 0;

    if (rule.parent_fd < 0)
        return errno;
    if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0)
        error = errno;
    close(rule.parent_fd);
    return error;
}

/* What the kernel's Landlock has of all that is asked for. */
static struct ruleset ruleset_of(long version, bool tcp)
{
    return (struct ruleset){
        .fs = WRITES | (version >= 2 ? REFER : 0) | (version >= 3 ? TRUNCATE : 0) |
              (version >= 5 ? IOCTL_DEV : 0),
        .net = version >= 4 && !tcp ? NET_TCP : 0,
        .scoped = version >= 6 ? SCOPE_OTHERS : 0,
    };
}

int vpc_shut_in(const char *folder, bool tcp)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    struct ruleset attributes = ruleset_of(version, tcp);
    size_t size = version >= 6 ? sizeof(attributes) : version >= 4 ? 16 : 8;
    int ruleset, error;

    if (version < 0)
        return errno;
    ruleset = (int)syscall(SYS_landlock_create_ruleset, &attributes, size, 0);
    if (ruleset < 0)
        return errno;
    error = folder ? allow_below(ruleset, folder, attributes.fs & ~IOCTL_DEV) : 0;
    if (error == 0)
        error = allow_below(ruleset, "/dev/null", LANDLOCK_ACCESS_FS_WRITE_FILE);
    if (error == 0 && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
                       syscall(SYS_landlock_restrict_self, ruleset, 0) != 0))
        error = errno;
    close(ruleset);
    return error;
}

/* ---- the second process --------------------------------------------------------------------------------------------- */

/* All but the two, and standard input, output and error. */
static void close_others(int one, int other)
{
    unsigned low = (unsigned)(one < other ? one : other);
    unsigned high = (unsigned)(one < other ? other : one);

    if (low > 3)
        close_range(3, low - 1, 0);
    if (high > low + 1)
        close_range(low + 1, high - 1, 0);
    close_range(high + 1, ~0u, 0);
}

static _Noreturn void become_subject(const struct vpc_confined_config *config)
{
    int out = open(config->output, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0666);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int error;

    if (out < 0 || null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
        dup2(out, STDERR_FILENO) < 0)
        _exit(VPC_EXIT_HARNESS);
    close_others(config->fd, config->fd);
    signal(SIGPIPE, SIG_DFL);
    error = vpc_limit_process(OBJECT_MEMORY_MAX);
    if (error == 0)
        error = vpc_shut_in(NULL, false);
    if (error != 0 && error != ENOSYS && error != EOPNOTSUPP)
        _exit(VPC_EXIT_HARNESS);
    error = conform_filter_object();
    if (error == ENOMEM) /* else there is no such fence here, which was said before the first run */
        _exit(VPC_EXIT_HARNESS);
    config->run(config->user);
    _exit(0);
}

/* ---- the guardian ------------------------------------------------------------------------------------------------------ */

/* It has nothing of the harness that the subject could take from it. */
static _Noreturn void guard(const struct vpc_confined_config *config, int report)
{
    int status = 0;
    pid_t pid, ended;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setsid();
    if (config->group > 0 && conform_group_enter(config->group) != 0)
        _exit(VPC_EXIT_HARNESS);
    close_others(config->fd, report);
    pid = fork();
    if (pid == 0) {
        close(report);
        become_subject(config);
    }
    close(config->fd);
    while (pid > 0 && ((ended = wait(&status)) != pid) && (ended > 0 || errno == EINTR))
        ;
    if (pid > 0 && write(report, &status, sizeof(status)) < 0)
        _exit(1);
    _exit(0);
}

/* As fork(), with namespaces; the kernel or its settings may refuse them. */
static pid_t fork_apart(void)
{
    long pid =
        syscall(SYS_clone, CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWIPC | SIGCHLD, 0, 0, 0, 0);

    return pid >= 0 ? (pid_t)pid : fork();
}

bool vpc_confined_start(struct vpc_confined *process, const struct vpc_confined_config *config,
                        char **error)
{
    int report[2];

    process->report = -1;
    process->pid = 0;
    if (pipe2(report, O_CLOEXEC) != 0) {
        *error = vpc_format("no process can be started for the subject: %s", strerror(errno));
        return false;
    }
    process->pid = fork_apart();
    if (process->pid == 0)
        guard(config, report[1]);
    close(report[1]);
    process->report = report[0];
    if (process->pid > 0)
        return true;
    *error = vpc_format("no process can be started for the subject: %s", strerror(errno));
    process->pid = 0;
    return false;
}

static char *how_it_ended(int report, int wait_ms)
{
    struct pollfd end = {.fd = report, .events = POLLIN};
    int status;

    if (poll(&end, 1, wait_ms) <= 0)
        return vpc_copy("has closed its connection to the harness");
    if (read(report, &status, sizeof(status)) != (ssize_t)sizeof(status))
        return vpc_copy("was ended with its guardian");
    if (WIFSIGNALED(status))
        return vpc_format("ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    return vpc_format("ended with status %d", WEXITSTATUS(status));
}

char *vpc_confined_end(struct vpc_confined *process, int wait_ms)
{
    char *how;

    if (process->pid == 0)
        return vpc_copy("has ended");
    how = how_it_ended(process->report, wait_ms);
    kill(-process->pid, SIGKILL);
    kill(process->pid, SIGKILL);
    while (waitpid(process->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    close(process->report);
    process->report = -1;
    process->pid = 0;
    return how;
}
