/* SPDX-License-Identifier: MIT */
/*
 * The sandbox: a child enters the same one as the programs do, and tries what it must not have and what it needs.
 *
 * Five processes have one: the two endpoints, which read what strangers send, the opener of each and a host's observer, which do not.  An
 * endpoint may do nothing to a file, a socket's name, another process or the network; what the tables below let it do is
 * to move octets, and to end.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
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

/* Below the runtime directory, where another machine has its own too. */
static const char *below(const char *name)
{
    static char path[96];

    snprintf(path, sizeof(path), "%s/%s", scratch, name);
    return path;
}

static int try_turn_over(void)
{
    char old[128];

    snprintf(old, sizeof(old), "%s.1", below("log/new"));
    int error = said(open(below("log/new"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
    return error ? error : said(rename(below("log/new"), old));
}

static int try_take_away(void)
{
    return said(rename("/etc/passwd", "/etc/passwd-"));
}

static int try_log_of_another(void)
{
    return said(open(below("log/other.jsonl"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
}

static int try_other_socket(void)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", below("vms/other.sock"));
    return fd < 0 ? errno : said(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)));
}

static int try_unlink_of_another(void)
{
    return said(unlink(below("vms/other.sock"))) == ENOENT ? 0 : errno;
}

static int try_chmod_folder(void)
{
    return said(chmod(scratch, 0700));
}

static int try_fchmod(void)
{
    return said(fchmod(STDERR_FILENO, 0600));
}

static int try_chown(void)
{
    return said(chown("/tmp/no-such-file", 65534, 65534));
}

static int try_mkdir(void)
{
    return said(mkdir("/tmp/no-such-folder/x", 0700));
}

static int try_symlink(void)
{
    return said(symlink("/etc/passwd", below("vms/link")));
}

static int try_link(void)
{
    return said(link("/etc/passwd", below("vms/link")));
}

static int try_mknod(void)
{
    return said(mknod(below("vms/fifo"), S_IFIFO | 0600, 0));
}

static int try_truncate(void)
{
    return said(truncate("/etc/hostname.no-such-file", 0));
}

static int try_stat(void)
{
    struct stat st;

    return said(stat("/etc/passwd", &st));
}

static int try_readlink(void)
{
    char text[64];

    return said(readlink("/proc/self/exe", text, sizeof(text)));
}

static int try_chdir(void)
{
    return said(chdir("/"));
}

static int try_chroot(void)
{
    return said(chroot("/"));
}

static int try_mount(void)
{
    return said(mount("none", "/mnt", "tmpfs", 0, NULL));
}

static int try_bind(void)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    return said(bind(STDERR_FILENO, (const struct sockaddr *)&addr, sizeof(addr)));
}

static int try_listen(void)
{
    return said(listen(STDERR_FILENO, 1));
}

static int try_connect(void)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX, .sun_path = "/no/such/socket"};

    return said(connect(STDERR_FILENO, (const struct sockaddr *)&addr, sizeof(addr)));
}

static const struct sockaddr_un somebody = {.sun_family = AF_UNIX, .sun_path = "/no/such/socket"};

static int try_send_to(void)
{
    return said(
        sendto(STDERR_FILENO, "x", 1, 0, (const struct sockaddr *)&somebody, sizeof(somebody)));
}

static int try_send_message(void)
{
    const struct msghdr message = {.msg_name = (void *)(uintptr_t)&somebody,
                                   .msg_namelen = sizeof(somebody)};

    return said(sendmsg(STDERR_FILENO, &message, 0)) == ENOTSOCK ? 0 : errno;
}

static int try_socket_pair(void)
{
    int ends[2];

    return said(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
}

static int try_option(void)
{
    return said(setsockopt(STDERR_FILENO, SOL_SOCKET, SO_SNDBUF, &(int){1}, sizeof(int))) ==
                   ENOTSOCK
               ? 0
               : errno;
}

static int try_limits(void)
{
    return said(setrlimit(RLIMIT_NOFILE, &(struct rlimit){8, 8}));
}

static int try_prctl(void)
{
    return said(prctl(PR_SET_DUMPABLE, 1));
}

static int try_seccomp(void)
{
    return said(syscall(SYS_seccomp, 0, 0, NULL));
}

static int try_memfd(void)
{
    return said(syscall(SYS_memfd_create, "x", 0));
}

static int try_io_uring(void)
{
    return said(syscall(SYS_io_uring_setup, 1, NULL));
}

static int try_bpf(void)
{
    return said(syscall(SYS_bpf, 0, NULL, 0));
}

static int try_keyctl(void)
{
    return said(syscall(SYS_keyctl, 0, 0, 0, 0, 0));
}

static int try_perf(void)
{
    return said(syscall(SYS_perf_event_open, NULL, 0, 0, 0, 0));
}

static int try_user_fault(void)
{
    return said(syscall(SYS_userfaultfd, 0));
}

static int try_pidfd(void)
{
    return said(syscall(SYS_pidfd_open, getppid(), 0));
}

static int try_handle(void)
{
    return said(syscall(SYS_open_by_handle_at, -1, NULL, 0));
}

static int try_inotify(void)
{
    return said(syscall(SYS_inotify_init1, 0));
}

static int try_dup(void)
{
    return said(dup(STDERR_FILENO));
}

static int try_clock(void)
{
    return said(syscall(SYS_clock_settime, 0, NULL));
}

static int try_terminal(void)
{
    return said(ioctl(STDERR_FILENO, TIOCSTI, "x")) == ENOTTY ? 0 : errno;
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

/* Who enters. */
enum who {
    HOST,
    GUEST,
    HOST_OPENER,
    GUEST_OPENER,
    OBSERVER,
};

static bool is_opener(enum who who)
{
    return who == HOST_OPENER || who == GUEST_OPENER;
}

/* Its filter has a last message. */
static bool is_endpoint(enum who who)
{
    return who == HOST || who == GUEST;
}

/* As the daemon does it: a host's opener connects to QEMU, a guest's opens a port. */
static int enter_opener(uint32_t role, const char **what)
{
    struct vpc_acts_config config = {.program = "test", .vm = "vm", .role = role};
    static char log[128];

    config.bus.kind = role == VPC_ROLE_HOST ? VPC_BUS_CONNECT : VPC_BUS_PORT;
    config.bus.path = "/no/such/bus";
    config.runtime_dir = scratch;
    snprintf(log, sizeof(log), "%s/log/vm.jsonl", scratch);
    config.changing.log_path = log;
    return vpc_sandbox_enter_opener(&config, what);
}

static int enter(enum who who)
{
    uint32_t role = who == HOST || who == HOST_OPENER ? VPC_ROLE_HOST : VPC_ROLE_GUEST;
    struct vpc_sandbox sandbox = {.program = "test", .vm = "vm", .role = role};
    const char *what;
    bool paths = false;

    int error = is_opener(who)    ? enter_opener(role, &what)
                : who == OBSERVER ? vpc_sandbox_enter_observer(&what)
                                  : vpc_sandbox_enter(&sandbox, &what, &paths);
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

#define BY_NOBODY                                                                                  \
    {                                                                                              \
        KILLED, KILLED, KILLED, KILLED, KILLED                                                     \
    }
#define BY_OPENERS(host, guest)                                                                    \
    {                                                                                              \
        KILLED, KILLED, host, guest, KILLED                                                        \
    }
#define BY_OTHERS(opener, observer)                                                                \
    {                                                                                              \
        KILLED, KILLED, opener, opener, observer                                                   \
    }

static const struct attempt {
    const char *name;
    int (*run)(void);
    int want[5];   /* by enum who: KILLED, an errno, or 0 */
    bool landlock; /* only where the kernel confines files */
} attempts[] = {
    /* programs, processes */
    {"execve", try_exec, BY_NOBODY, false},
    {"fork", try_fork, BY_NOBODY, false},
    {"clone", try_clone, BY_NOBODY, false},
    {"ptrace", try_ptrace, BY_NOBODY, false},
    {"process_vm_readv", try_process_vm, BY_NOBODY, false},
    {"kill", try_kill, BY_NOBODY, false},
    {"pidfd_open", try_pidfd, BY_NOBODY, false},
    {"setuid", try_setuid, BY_NOBODY, false},
    {"setrlimit", try_limits, BY_NOBODY, false},
    {"prctl", try_prctl, BY_NOBODY, false},
    {"another handler of SIGSYS", try_handler, BY_NOBODY, false},
    {"another filter", try_seccomp, BY_NOBODY, false},
    {"unshare", try_unshare, BY_NOBODY, false},
    {"chroot", try_chroot, BY_NOBODY, false},
    {"mount", try_mount, BY_NOBODY, false},
    {"the clock", try_clock, BY_NOBODY, false},
    /* code, and wide doors into the kernel */
    {"mprotect to code", try_mprotect, BY_NOBODY, false},
    {"mmap of code", try_map_code, BY_NOBODY, false},
    {"memfd_create", try_memfd, BY_NOBODY, false},
    {"io_uring_setup", try_io_uring, BY_NOBODY, false},
    {"bpf", try_bpf, BY_NOBODY, false},
    {"keyctl", try_keyctl, BY_NOBODY, false},
    {"perf_event_open", try_perf, BY_NOBODY, false},
    {"userfaultfd", try_user_fault, BY_NOBODY, false},
    {"open_by_handle_at", try_handle, BY_NOBODY, false},
    {"inotify", try_inotify, BY_NOBODY, false},
    {"dup", try_dup, BY_NOBODY, false},
    {"the terminal's input", try_terminal, BY_OPENERS(KILLED, KILLED), false},
    /* sockets */
    {"socket AF_INET", try_inet, BY_OPENERS(0, 0), false},
    {"socket AF_INET6", try_inet6, BY_OPENERS(0, KILLED), false},
    {"socket AF_NETLINK", try_netlink, BY_NOBODY, false},
    {"socket AF_VSOCK", try_vsock, BY_NOBODY, false},
    {"socket AF_UNIX", try_unix, BY_OTHERS(0, 0), false},
    {"socketpair", try_socket_pair, BY_NOBODY, false},
    {"bind", try_bind, BY_OPENERS(ENOTSOCK, KILLED), false},
    {"listen", try_listen, BY_OPENERS(ENOTSOCK, KILLED), false},
    {"connect", try_connect, BY_OTHERS(ENOTSOCK, ENOTSOCK), false},
    {"connecting by TCP", try_connect_inet, BY_OPENERS(ECONNREFUSED, ECONNREFUSED), false},
    {"connecting to a Unix socket", try_connect_unix, BY_OTHERS(ENOENT, ENOENT), false},
    {"a datagram to somebody else", try_send_to, BY_NOBODY, false},
    {"a message to somebody else", try_send_message, BY_OPENERS(0, 0), false},
    {"an option of a socket", try_option, BY_OTHERS(0, 0), false},
    {"a pipe server", try_pipe_server, BY_OPENERS(0, KILLED), false},
    /* files */
    {"open for reading", try_read_file, BY_OPENERS(EACCES, EACCES), true},
    {"making a file elsewhere", try_other_lock, BY_OPENERS(EACCES, EACCES), true},
    {"writing another user's file", try_write_shadow, BY_OPENERS(EACCES, EACCES), true},
    {"a device", try_port, BY_OPENERS(EACCES, 0), true},
    {"the names of ports", try_class, BY_OPENERS(EACCES, 0), true},
    {"the log after its rotation", try_log, BY_OPENERS(0, 0), false},
    {"another machine's log", try_log_of_another, BY_OPENERS(0, 0), false},
    {"a log elsewhere", try_other_log, BY_OPENERS(EACCES, EACCES), true},
    {"turning over the log", try_turn_over, BY_OPENERS(0, 0), false},
    {"taking away a file", try_take_away, BY_OPENERS(EACCES, EACCES), true},
    {"renaming", try_rename, BY_OPENERS(ENOENT, ENOENT), false},
    {"removing what is not there", try_remove_other, BY_OPENERS(ENOENT, ENOENT), false},
    {"a control socket", try_other_socket, BY_OPENERS(EACCES, KILLED), true},
    {"another machine's control socket", try_unlink_of_another, BY_OPENERS(0, 0), false},
    {"chmod", try_chmod, BY_OPENERS(ENOENT, KILLED), false},
    {"chmod of our folder", try_chmod_folder, BY_OPENERS(0, KILLED), false},
    {"fchmod", try_fchmod, BY_NOBODY, false},
    {"chown", try_chown, BY_NOBODY, false},
    {"mkdir", try_mkdir, BY_OPENERS(ENOENT, KILLED), false},
    {"symlink", try_symlink, BY_NOBODY, false},
    {"link", try_link, BY_NOBODY, false},
    {"mknod", try_mknod, BY_NOBODY, false},
    {"truncate", try_truncate, BY_NOBODY, false},
    {"stat", try_stat, BY_OPENERS(0, 0), false},
    {"readlink", try_readlink, BY_NOBODY, false},
    {"chdir", try_chdir, BY_NOBODY, false},
    {"the ready event", try_event, BY_OPENERS(0, KILLED), false},
    /* what everybody has */
    {"memory", try_memory, {0, 0, 0, 0, 0}, false},
    {"abort", try_abort, {-SIGABRT, -SIGABRT, KILLED, KILLED, KILLED}, false},
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
    if (want != KILLED || !is_endpoint(who))
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

Test(sandbox, the_observer_of_a_host_has_what_it_needs_and_nothing_else)
{
    try_all(OBSERVER);
}
