/* SPDX-License-Identifier: MIT */
/* The sandbox: a child enters the same one as the programs do, and tries what it must not have and what it needs. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox.h"
#include "scratch.h"
#include "vpc.h"
#include "vpc_endpoint.h"

TestSuite(sandbox, .timeout = 60, .init = scratch_begin, .fini = scratch_end);

static bool confined; /* the kernel has Landlock: known after the first child */

/* ---- what is tried: each answers 0 or an errno ------------------------------------------------------------------- */

static int said(long result)
{
    return result < 0 ? errno : 0;
}

static int try_exec(void)
{
    return said(execve("/bin/true", (char *[]){NULL}, (char *[]){NULL}));
}

static int try_fork(void)
{
    return said(syscall(SYS_fork));
}

static int try_clone(void)
{
    return said(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
}

static int try_ptrace(void)
{
    return said(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static int try_process_vm(void)
{
    return said(syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0));
}

static int try_inet(void)
{
    return said(socket(AF_INET, SOCK_STREAM, 0));
}

static int try_inet6(void)
{
    return said(socket(AF_INET6, SOCK_STREAM, 0));
}

static int try_netlink(void)
{
    return said(socket(AF_NETLINK, SOCK_RAW, 0));
}

static int try_vsock(void)
{
    return said(socket(AF_VSOCK, SOCK_STREAM, 0));
}

static int try_unix(void)
{
    return said(socket(AF_UNIX, SOCK_STREAM, 0));
}

static int try_mprotect(void)
{
    return said(mprotect(&confined, 4096, PROT_READ | PROT_EXEC));
}

static int try_map_code(void)
{
    void *map =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return map == MAP_FAILED ? errno : 0;
}

static int try_read_file(void)
{
    return said(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
}

static int try_kill(void)
{
    return said(kill(1, 0));
}

static int try_handler(void)
{
    return signal(SIGSYS, SIG_IGN) == SIG_ERR ? errno : 0;
}

static int try_unshare(void)
{
    return said(unshare(CLONE_NEWNS));
}

static int try_setuid(void)
{
    return said(setuid(65534));
}

static int try_rename(void)
{
    return said(rename("/tmp/no-such-a", "/tmp/no-such-b"));
}

static int try_turn_over(void)
{
    char path[128], old[128];

    snprintf(path, sizeof(path), "%s/log/new", scratch);
    snprintf(old, sizeof(old), "%s/log/new.1", scratch);
    int error = said(open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600));
    if (!error)
        error = said(open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    return error ? error : said(rename(path, old));
}

static int try_take_away(void)
{
    return said(rename("/etc/passwd", "/etc/passwd-"));
}

/* With the very flags that the endpoints' own files need, but elsewhere. */
static int try_other_lock(void)
{
    char path[128];

    snprintf(path, sizeof(path), "%s-other", scratch);
    return said(open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
}

static int try_write_shadow(void)
{
    return said(open("/etc/shadow", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
}

static int try_remove_other(void)
{
    return said(unlink("/etc/hostname.no-such-file"));
}

static int try_log(void)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/log/new", scratch);
    return said(open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600));
}

static int try_other_log(void)
{
    char path[128];

    snprintf(path, sizeof(path), "%s-log", scratch);
    return said(open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600));
}

static int try_port(void)
{
    return said(open("/dev/null", O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
}

static int try_connect_inet(void)
{
    struct sockaddr_in addr = {
        .sin_family = AF_INET, .sin_port = htons(1), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return fd < 0 ? errno : said(connect(fd, (const struct sockaddr *)&addr, sizeof(addr)));
}

static int try_memory(void)
{
    for (size_t n = 16; n < (64u << 20); n *= 4) {
        char *block = malloc(n);

        if (block == NULL)
            return ENOMEM;
        memset(block, 1, n);
        block = realloc(block, n * 2);
        free(block);
    }
    return 0;
}

static int try_pipe_server(void)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/pipes/x", scratch);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) != 0 ||
        chmod(addr.sun_path, 0600) != 0 || listen(fd, 1) != 0)
        return errno;
    return said(unlink(addr.sun_path));
}

static int try_event(void)
{
    vpc_event *event;
    int error = vpc_event_open(scratch, "Local\\T_ChannelReady", &event);

    if (!error)
        error = vpc_event_own(event);
    if (!error)
        error = vpc_event_set(event, true);
    return error;
}

static int try_abort(void)
{
    abort();
}

/* ---- the child --------------------------------------------------------------------------------------------------- */

enum {
    KILLED = 1000,    /* by SIGSYS, with the last message */
    EXIT_ENTER = 120, /* the sandbox could not be entered */
};

static bool rotates; /* as an endpoint whose log has a limit */

/* Who enters. */
enum who {
    HOST,
    GUEST,
    HOST_OPENER,
    GUEST_OPENER,
};

static bool is_opener(enum who who)
{
    return who == HOST_OPENER || who == GUEST_OPENER;
}

/* As the daemon does it: a host's opener connects to QEMU, a guest's opens a port. */
static int enter_opener(uint32_t role, const char **what)
{
    struct vpc_acts_config config = {.program = "test", .vm = "vm", .role = role};

    config.bus.kind = role == VPC_ROLE_HOST ? VPC_BUS_CONNECT : VPC_BUS_PORT;
    config.bus.path = "/no/such/bus";
    config.runtime_dir = scratch;
    return vpc_sandbox_enter_opener(&config, what);
}

static int enter(enum who who)
{
    uint32_t role = who == HOST || who == HOST_OPENER ? VPC_ROLE_HOST : VPC_ROLE_GUEST;
    struct vpc_sandbox sandbox = {
        .program = "test", .vm = "vm", .role = role, .rotates = rotates, .folders = {scratch}};
    const char *what;
    bool paths = false;

    int error =
        is_opener(who) ? enter_opener(role, &what) : vpc_sandbox_enter(&sandbox, &what, &paths);
    return error ? EXIT_ENTER : 0;
}

/* What became of the child: KILLED, an errno, or -SIGNAL; its standard error is put to text. */
static int outcome(enum who who, int (*attempt)(void), char *text, size_t size)
{
    int out[2], status;
    struct rlimit no_core = {0, 0};

    cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGABRT, SIG_DFL); /* Criterion's */
        dup2(out[1], STDERR_FILENO);
        int failed = enter(who);
        _exit(failed ? failed : attempt());
    }
    close(out[1]);
    size_t n = 0;
    ssize_t r;
    while (n + 1 < size && (r = read(out[0], text + n, size - 1 - n)) > 0)
        n += (size_t)r;
    text[n] = '\0';
    close(out[0]);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    if (!WIFSIGNALED(status))
        return WEXITSTATUS(status);
    return WTERMSIG(status) == SIGSYS ? KILLED : -WTERMSIG(status);
}

static int try_class(void)
{
    int fd = open("/sys/class", O_RDONLY | O_CLOEXEC | O_DIRECTORY);

    return fd < 0 ? errno : said(close(fd));
}

static int try_chmod(void)
{
    return said(chmod("/tmp/no-such-file", 0600));
}

static int try_connect_unix(void)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX, .sun_path = "/no/such/socket"};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return fd < 0 ? errno : said(connect(fd, (const struct sockaddr *)&addr, sizeof(addr)));
}

static const struct attempt {
    const char *name;
    int (*run)(void);
    int want[4];   /* by enum who: KILLED, an errno, or 0 */
    bool landlock; /* only where the kernel confines files */
} attempts[] = {
    {"execve", try_exec, {KILLED, KILLED, KILLED, KILLED}, false},
    {"fork", try_fork, {KILLED, KILLED, KILLED, KILLED}, false},
    {"clone", try_clone, {KILLED, KILLED, KILLED, KILLED}, false},
    {"ptrace", try_ptrace, {KILLED, KILLED, KILLED, KILLED}, false},
    {"process_vm_readv", try_process_vm, {KILLED, KILLED, KILLED, KILLED}, false},
    {"socket AF_INET", try_inet, {KILLED, KILLED, KILLED, 0}, false},
    {"socket AF_INET6", try_inet6, {KILLED, KILLED, KILLED, KILLED}, false},
    {"socket AF_NETLINK", try_netlink, {KILLED, KILLED, KILLED, KILLED}, false},
    {"socket AF_VSOCK", try_vsock, {KILLED, KILLED, KILLED, KILLED}, false},
    {"socket AF_UNIX", try_unix, {KILLED, KILLED, 0, 0}, false},
    {"mprotect to code", try_mprotect, {KILLED, KILLED, KILLED, KILLED}, false},
    {"mmap of code", try_map_code, {KILLED, KILLED, KILLED, KILLED}, false},
    {"open for reading", try_read_file, {KILLED, KILLED, EACCES, EACCES}, true},
    {"kill", try_kill, {KILLED, KILLED, KILLED, KILLED}, false},
    {"another handler of SIGSYS", try_handler, {KILLED, KILLED, KILLED, KILLED}, false},
    {"unshare", try_unshare, {KILLED, KILLED, KILLED, KILLED}, false},
    {"setuid", try_setuid, {KILLED, KILLED, KILLED, KILLED}, false},
    {"rename", try_rename, {KILLED, KILLED, KILLED, KILLED}, false},
    {"making a file elsewhere", try_other_lock, {KILLED, KILLED, EACCES, EACCES}, true},
    {"writing another user's file", try_write_shadow, {KILLED, KILLED, EACCES, EACCES}, true},
    {"a device", try_port, {KILLED, KILLED, EACCES, 0}, true},
    {"the names of ports", try_class, {KILLED, KILLED, EACCES, 0}, true},
    {"the log after its rotation", try_log, {0, 0, 0, 0}, false},
    {"a log elsewhere", try_other_log, {EACCES, EACCES, EACCES, EACCES}, true},
    {"connecting by TCP", try_connect_inet, {KILLED, KILLED, KILLED, ECONNREFUSED}, false},
    {"connecting by a Unix socket", try_connect_unix, {KILLED, KILLED, ENOENT, ENOENT}, false},
    {"chmod", try_chmod, {KILLED, KILLED, ENOENT, KILLED}, false},
    {"memory", try_memory, {0, 0, 0, 0}, false},
    {"a pipe server", try_pipe_server, {KILLED, KILLED, 0, KILLED}, false},
    {"the ready event", try_event, {KILLED, KILLED, 0, KILLED}, false},
    {"abort", try_abort, {-SIGABRT, -SIGABRT, KILLED, KILLED}, false},
    {"removing what is not there", try_remove_other, {KILLED, KILLED, ENOENT, ENOENT}, false},
};

static bool kernel_confines(void)
{
    return syscall(SYS_landlock_create_ruleset, NULL, 0, 1u) > 0;
}

static void try_one(enum who who, const struct attempt *a)
{
    char text[512], number[512];
    int want = a->want[who];

    if (a->landlock && !confined && want != KILLED)
        return;
    int got = outcome(who, a->run, text, sizeof(text));
    cr_assert_eq(got, want, "%s: %d, not %d (%s)", a->name, got, want, text);
    if (want != KILLED || is_opener(who)) /* an opener's filter has no last message */
        return;
    cr_assert_eq(
        sscanf(text, "test: VM vm: ended by its sandbox: it tried the forbidden system call %511s",
               number),
        1, "%s: the last message is \"%s\"", a->name, text);
}

static void try_all(enum who who)
{
    if (!vpc_sandbox_possible())
        cr_skip_test("this build has no sandbox");
    confined = kernel_confines();
    for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++)
        try_one(who, &attempts[i]);
}

Test(sandbox, a_host_endpoint_has_what_it_needs_and_nothing_else)
{
    try_all(HOST);
}

Test(sandbox, a_guest_endpoint_has_what_it_needs_and_nothing_else)
{
    try_all(GUEST);
}

Test(sandbox, the_opener_of_a_host_has_what_it_needs_and_nothing_else)
{
    try_all(HOST_OPENER);
}

Test(sandbox, the_opener_of_a_guest_has_what_it_needs_and_nothing_else)
{
    try_all(GUEST_OPENER);
}

Test(sandbox, a_log_with_a_limit_can_be_turned_over_and_nothing_else_renamed)
{
    char text[512];

    if (!vpc_sandbox_possible())
        cr_skip_test("this build has no sandbox");
    for (enum who who = HOST; who <= GUEST; who++) {
        rotates = false;
        cr_assert_eq(outcome(who, try_turn_over, text, sizeof(text)), KILLED);
        rotates = true;
        cr_assert_eq(outcome(who, try_turn_over, text, sizeof(text)), 0, "%s", text);
        if (kernel_confines())
            cr_assert_eq(outcome(who, try_take_away, text, sizeof(text)), EACCES);
    }
}
