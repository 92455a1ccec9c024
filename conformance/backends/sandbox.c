/* SPDX-License-Identifier: MIT */
/*
 * Who is where: the run's process stays in the process namespace of the harness, sees its children by their ids there, and
 * waits for them as ever.  Its first child is the first of the new namespace; it only reaps, and its end, which comes with
 * that of the run's process, ends all others.  A subject sees neither: not in /proc, nor can it name one in a call.
 *
 * Root does not enter as root: a user namespace hides what root may do, but its files would stay those of root.
 */
#include "backends/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <net/if.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/confine.h"
#include "backends/group.h"
#include "memory.h"

#define NOBODY        65534
#define PROCESSES_MAX 512 /* of a run, with its threads */

/* ---- namespaces ---------------------------------------------------------------------------------------------------- */

/* Its folder, and that of the link to it, go with it. */
static int become_nobody(const struct vpc_folder *folder)
{
    if ((folder && folder->real && chown(folder->real, NOBODY, NOBODY) != 0) ||
        (folder && folder->near && chown(folder->near, NOBODY, NOBODY) != 0) ||
        setgroups(0, NULL) != 0 || setresgid(NOBODY, NOBODY, NOBODY) != 0 ||
        setresuid(NOBODY, NOBODY, NOBODY) != 0)
        return errno;
    return folder && access(folder->path, R_OK | W_OK | X_OK) != 0 ? errno : 0;
}

static int write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC), error = fd < 0 ? errno : 0;

    if (fd >= 0 && write(fd, text, strlen(text)) < 0)
        error = errno;
    if (fd >= 0)
        close(fd);
    return error;
}

/* In the new user namespace this user is the only one, by the same number. */
static int map_self(uid_t uid, gid_t gid)
{
    char *users = vpc_format("%u %u 1", (unsigned)uid, (unsigned)uid);
    char *groups = vpc_format("%u %u 1", (unsigned)gid, (unsigned)gid);
    int error = write_text("/proc/self/setgroups", "deny");

    if (error == 0)
        error = write_text("/proc/self/uid_map", users);
    if (error == 0)
        error = write_text("/proc/self/gid_map", groups);
    free(users);
    free(groups);
    return error;
}

static int loopback_up(void)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), error = fd < 0 ? errno : 0;

    if (fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &request) != 0)
        error = errno;
    if (fd >= 0)
        close(fd);
    return error;
}

/* The files of /proc/self are root's while nobody may look into this process: for a moment anybody of this user may. */
static int make_namespaces(void)
{
    uid_t uid = getuid();
    gid_t gid = getgid();
    int error;

    if (unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC) != 0 ||
        prctl(PR_SET_DUMPABLE, 1) != 0)
        return errno;
    error = map_self(uid, gid);
    if (prctl(PR_SET_DUMPABLE, 0) != 0 && error == 0)
        error = errno;
    return error ? error : loopback_up();
}

/* Who ignores SIGCHLD has his children reaped by the kernel. */
static _Noreturn void be_first(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGCHLD, SIG_IGN);
    setsid();
    close_range(0, ~0u, 0);
    for (;;)
        pause();
}

static int start_first(void)
{
    pid_t pid = fork();

    if (pid == 0)
        be_first();
    return pid < 0 ? errno : 0;
}

int conform_sandbox_enter(unsigned parts, const struct vpc_folder *folder)
{
    pid_t parent = getppid();
    int error;

    if (!(parts & VPC_SANDBOX_NAMESPACES))
        return 0;
    error = geteuid() == 0 ? become_nobody(folder) : 0;
    if (error == 0)
        error = make_namespaces();
    if (error)
        return error;
    /* Whoever becomes another user forgets it. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
        return errno ? errno : ESRCH;
    return start_first();
}

/* ---- mounts --------------------------------------------------------------------------------------------------------- */

/* In /run are the sockets of the machine's services, and in /proc all its processes. */
static int make_mounts(void)
{
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0)
        return errno;
    if (mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=64k") != 0 &&
        errno != ENOENT)
        return errno;
    return 0;
}

/* ---- system calls ----------------------------------------------------------------------------------------------------- */

/* Those that reach other processes, the kernel's own settings, or out of the namespaces. */
static const int forbidden[] = {
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(pidfd_getfd),
    SCMP_SYS(kcmp),
    SCMP_SYS(process_madvise),
    SCMP_SYS(unshare),
    SCMP_SYS(setns),
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(pivot_root),
    SCMP_SYS(chroot),
    SCMP_SYS(open_tree),
    SCMP_SYS(move_mount),
    SCMP_SYS(fsopen),
    SCMP_SYS(fsconfig),
    SCMP_SYS(fsmount),
    SCMP_SYS(fspick),
    SCMP_SYS(mount_setattr),
    SCMP_SYS(name_to_handle_at),
    SCMP_SYS(open_by_handle_at),
    SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(delete_module),
    SCMP_SYS(bpf),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(keyctl),
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(io_uring_enter),
    SCMP_SYS(io_uring_register),
    SCMP_SYS(reboot),
    SCMP_SYS(swapon),
    SCMP_SYS(swapoff),
    SCMP_SYS(acct),
    SCMP_SYS(quotactl),
    SCMP_SYS(syslog),
    SCMP_SYS(settimeofday),
    SCMP_SYS(clock_settime),
    SCMP_SYS(adjtimex),
    SCMP_SYS(clock_adjtime),
};

static int forbid(scmp_filter_ctx filter)
{
    int error = 0;

    for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]) && error == 0; i++)
        error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), forbidden[i], 0);
    return error;
}

/* clone3() hides its flags from a filter; a libc without it takes clone(). */
static int forbid_namespaces(scmp_filter_ctx filter)
{
    static const unsigned flags[] = {CLONE_NEWNS,  CLONE_NEWUSER, CLONE_NEWPID,   CLONE_NEWNET,
                                     CLONE_NEWIPC, CLONE_NEWUTS,  CLONE_NEWCGROUP};
    int error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);

    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]) && error == 0; i++)
        error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                                 SCMP_A0(SCMP_CMP_MASKED_EQ, flags[i], flags[i]));
    return error;
}

/* A network namespace does not part all of them: AF_VSOCK reaches the machine's host. */
static int forbid_families(scmp_filter_ctx filter)
{
    int error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
                                 SCMP_A0(SCMP_CMP_GT, AF_NETLINK));

    for (unsigned family = 0; family < AF_NETLINK && error == 0; family++)
        if (family != AF_UNIX && family != AF_INET && family != AF_INET6)
            error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
                                     SCMP_A0(SCMP_CMP_EQ, family));
    return error;
}

static int filter_calls(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    int error = filter ? forbid(filter) : -ENOMEM;

    if (error == 0)
        error = forbid_namespaces(filter);
    if (error == 0)
        error = forbid_families(filter);
    if (error == 0)
        error = seccomp_load(filter);
    seccomp_release(filter);
    return -error;
}

/* ---- a program -------------------------------------------------------------------------------------------------------- */

int conform_sandbox_close(const struct conform_sandbox *sandbox)
{
    int error = sandbox->group > 0 ? conform_group_enter(sandbox->group) : 0;

    /* where they are counted by themselves */
    if (error == 0 && sandbox->parts & VPC_SANDBOX_NAMESPACES)
        error = vpc_limit(RLIMIT_NPROC, PROCESSES_MAX);
    if (error == 0 && sandbox->parts & VPC_SANDBOX_MOUNTS)
        error = make_mounts();
    /* What a program of this user keeps for as long as it runs. */
    if (error == 0 && sandbox->folder && setenv("XDG_RUNTIME_DIR", sandbox->folder, 1) != 0)
        error = errno;
    if (error == 0 && sandbox->parts & VPC_SANDBOX_FILES)
        error = vpc_shut_in(sandbox->folder, true);
    if (error == 0 && sandbox->parts & VPC_SANDBOX_CALLS)
        error = filter_calls();
    return error;
}

/* ---- what there is ------------------------------------------------------------------------------------------------------ */

static const struct {
    unsigned part;
    const char *name;
} parts_table[] = {
    {VPC_SANDBOX_NAMESPACES, "namespaces of users, processes, IPC and networks"},
    {VPC_SANDBOX_MOUNTS, "a mount namespace with a /proc of its own"},
    {VPC_SANDBOX_FILES, "Landlock"},
    {VPC_SANDBOX_CALLS, "seccomp filters"},
};

/* Forks, and what the child gives of fn() is the value; 0: it could not say. */
static unsigned value_of_child(unsigned (*fn)(unsigned), unsigned argument)
{
    pid_t pid = fork();
    int status = 0;

    if (pid == 0)
        _exit((int)fn(argument));
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return pid > 0 && WIFEXITED(status) ? (unsigned)WEXITSTATUS(status) : 0;
}

/* In the order of the table: what comes first is needed for what follows, or does not hinder it. */
static unsigned close_by_parts(unsigned entered)
{
    unsigned granted = entered;

    for (unsigned part = VPC_SANDBOX_MOUNTS; part < VPC_SANDBOX_ALL; part <<= 1)
        if (conform_sandbox_close(&(struct conform_sandbox){.parts = part}) == 0)
            granted |= part;
    return entered ? granted : granted & ~(unsigned)VPC_SANDBOX_MOUNTS;
}

static unsigned enter_and_close(unsigned parts)
{
    return conform_sandbox_enter(parts, NULL) == 0 ? value_of_child(close_by_parts, parts) : 0;
}

unsigned conform_sandbox_granted(void)
{
    unsigned granted = value_of_child(enter_and_close, VPC_SANDBOX_NAMESPACES);

    /* Who failed on the way in is nowhere, and tells of nothing else. */
    return granted ? granted : value_of_child(close_by_parts, 0);
}

char *conform_sandbox_words(unsigned parts)
{
    char *words = vpc_copy("");

    for (size_t i = 0; i < sizeof(parts_table) / sizeof(parts_table[0]); i++) {
        char *longer;

        if (!(parts & parts_table[i].part))
            continue;
        longer = vpc_format("%s%s%s", words, *words ? ", " : "", parts_table[i].name);
        free(words);
        words = longer;
    }
    return words;
}
