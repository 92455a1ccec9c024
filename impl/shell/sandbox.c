/* SPDX-License-Identifier: MIT */
/*
 * What an endpoint gives up once everything is open.
 *
 * Goal     A peer that finds a fault in the parsers gets a process that moves octets between the
 *          descriptors that it has, and can do nothing else: it opens, makes, removes and renames
 *          nothing, reaches no socket by its name and no port, starts no program, looks into no other
 *          process.  All of that is done by the opener, which reads nothing of a peer (opener.h).
 * Means    Capabilities are dropped, with no_new_privs they can't come back; Landlock, where the
 *          kernel has it, leaves an endpoint no file at all, and an opener a few folders; a seccomp
 *          filter leaves the system calls of the tables below, some with fixed arguments.
 * Answer   A call that is not in the tables ends the process, as OpenSSH's and QEMU's filters do: it
 *          is a fault in the endpoint or an attack, and to go on with an error in its place would
 *          hide either.  It traps first, so that the last message names the call; then the same
 *          call, with no handler left, kills.
 * Limits   Mapping code and changing signal handlers are not in the tables, so the handler stays.
 *          An opener's folders are not its machine's alone, where several share a runtime directory:
 *          that it touches no other's files there is said by its code (acts.c).
 */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <linux/net.h> /* SYS_SENDTO, of socketcall() */
#include <linux/sockios.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "local_socket.h"
#include "vpc_endpoint.h"

enum {
    HOST = 1 << VPC_ROLE_HOST,
    GUEST = 1 << VPC_ROLE_GUEST,
    BOTH = HOST | GUEST,
};

/* ---- the last message ------------------------------------------------------------------------ */

static char last_words[256];

static size_t put_number(char *at, unsigned n)
{
    char digits[12];
    size_t count = 0, i = 0;

    do
        digits[count++] = (char)('0' + n % 10);
    while ((n /= 10) != 0);
    while (count > 0)
        at[i++] = digits[--count];
    return i;
}

/* SA_RESETHAND has taken this handler away: the forbidden call at its end kills. */
static void on_forbidden(int signal, siginfo_t *info, void *context)
{
    char text[sizeof(last_words) + 16];
    size_t n = strlen(last_words);

    (void)signal, (void)context;
    memcpy(text, last_words, n);
    n += put_number(text + n, (unsigned)info->si_syscall);
    text[n++] = '\n';
    if (write(STDERR_FILENO, text, n) < 0)
        n = 0; /* nobody listens */
    for (;;)
        syscall(SYS_ptrace, -1, 0, 0, 0);
}

static int prepare_last_words(const struct vpc_sandbox *sandbox)
{
    struct sigaction action = {.sa_sigaction = on_forbidden,
                               .sa_flags = SA_SIGINFO | SA_RESETHAND | SA_NODEFER};

    snprintf(last_words, sizeof(last_words),
             "%s: VM %.64s: ended by its sandbox: it tried the forbidden system call ",
             sandbox->program, sandbox->vm);
    return sigaction(SIGSYS, &action, NULL) == 0 ? 0 : errno;
}

/* ---- capabilities ---------------------------------------------------------------------------- */

/* All but those in `kept`. */
static int drop_capabilities(uint32_t kept)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct have[2], keep[2] = {{0}};

    if (syscall(SYS_capget, &header, have) != 0)
        return errno;
    keep[0].permitted = keep[0].effective = have[0].permitted & kept;
    return syscall(SYS_capset, &header, keep) == 0 ? 0 : errno;
}

/* ---- files ----------------------------------------------------------------------------------- */

enum {
    PORT_RIGHTS = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE,
    PORT_CLASS_RIGHTS = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
    FILE_RIGHTS = PORT_RIGHTS | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE,
    PIPE_RIGHTS = FILE_RIGHTS | LANDLOCK_ACCESS_FS_MAKE_SOCK,
    /* All of the first version of Landlock, that every kernel with it has. */
    ALL_RIGHTS = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1,
};

static int allow_path(int rules, const char *path, uint64_t rights)
{
    struct landlock_path_beneath_attr attr = {.allowed_access = rights};
    int error = 0;

    attr.parent_fd = open(path, O_PATH | O_CLOEXEC);
    if (attr.parent_fd < 0)
        return errno;
    if (syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &attr, 0) != 0)
        error = errno;
    close(attr.parent_fd);
    return error;
}

/* A port may come with any name of its own; /sys tells which has the name that is wanted. */
static int allow_port(int rules)
{
    int error = allow_path(rules, "/dev", PORT_RIGHTS);

    return error ? error : allow_path(rules, "/sys", PORT_CLASS_RIGHTS);
}

/* In the folder of a path.  NULL or "": there is none. */
static int allow_beside(int rules, const char *path, uint64_t rights)
{
    const char *slash = path != NULL ? strrchr(path, '/') : NULL;
    char folder[VPC_FILE_SIZE];

    if (path == NULL || !*path)
        return 0;
    if (slash == NULL || slash == path)
        return allow_path(rules, slash != NULL ? "/" : ".", rights);
    snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
    return allow_path(rules, folder, rights);
}

/* A log or trace may begin anywhere in it at SIGHUP; sockets are those of pipes alone. */
static int allow_runtime(int rules, const struct vpc_acts_config *config)
{
    char pipes[VPC_FILE_SIZE + 16];

    if (config->runtime_dir == NULL)
        return 0;
    int error = allow_path(rules, config->runtime_dir, FILE_RIGHTS);
    if (error || config->role != VPC_ROLE_HOST)
        return error;
    snprintf(pipes, sizeof(pipes), "%s/pipes", config->runtime_dir);
    return allow_path(rules, pipes, PIPE_RIGHTS);
}

/* The sockets that are made once are to be removed at the end. */
static int allow_acts(int rules, const struct vpc_acts_config *config)
{
    const struct {
        const char *path;
        uint64_t rights;
    } files[] = {
        {config->control_path, LANDLOCK_ACCESS_FS_REMOVE_FILE},
        {config->bus.kind == VPC_BUS_LISTEN ? config->bus.path : NULL,
         LANDLOCK_ACCESS_FS_REMOVE_FILE},
        {config->changing.log_path, FILE_RIGHTS},
        {config->changing.trace_path, FILE_RIGHTS},
        {config->config_path, LANDLOCK_ACCESS_FS_READ_FILE},
    };
    int error = allow_runtime(rules, config);

    for (size_t i = 0; !error && i < sizeof(files) / sizeof(files[0]); i++)
        error = allow_beside(rules, files[i].path, files[i].rights);
    for (const char *const *at = config->forward_folders; !error && at != NULL && *at != NULL; at++)
        error = allow_path(rules, *at, PIPE_RIGHTS);
    return error || config->bus.kind != VPC_BUS_PORT ? error : allow_port(rules);
}

/* To those of the acts; NULL: to none at all.  *confined: whether the kernel can do it. */
static int confine_files(const struct vpc_acts_config *acts, bool *confined)
{
    struct landlock_ruleset_attr attr = {.handled_access_fs = ALL_RIGHTS};
    int rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr.handled_access_fs), 0);

    *confined = rules >= 0;
    if (rules < 0)
        return errno == ENOSYS || errno == EOPNOTSUPP ? 0 : errno;
    int error = acts != NULL ? allow_acts(rules, acts) : 0;
    if (!error && syscall(SYS_landlock_restrict_self, rules, 0) != 0)
        error = errno;
    close(rules);
    return error;
}

/* ---- system calls ---------------------------------------------------------------------------- */

/* With any arguments. */
static const struct call {
    int number;
    unsigned roles;
} calls[] = {
    /* the loop, and what it moves */
    {SCMP_SYS(epoll_wait), BOTH},
    {SCMP_SYS(epoll_pwait), BOTH},
    {SCMP_SYS(epoll_ctl), BOTH},
    {SCMP_SYS(read), BOTH},
    {SCMP_SYS(write), BOTH},
    {SCMP_SYS(readv), BOTH},
    {SCMP_SYS(writev), BOTH},
    {SCMP_SYS(recvmsg), BOTH},  /* the opener's answers */
    {SCMP_SYS(recvfrom), BOTH}, /* its end */
    {SCMP_SYS(close), BOTH},
    {SCMP_SYS(poll), BOTH}, /* of the host: whether a pipe's client is still there */
    {SCMP_SYS(ppoll), BOTH},
    {SCMP_SYS(clock_gettime), BOTH},
    {SCMP_SYS(getrandom), BOTH},
    /* clients, and the connections of pairs */
    {SCMP_SYS(accept4), BOTH},
    {SCMP_SYS(shutdown), BOTH},
    {SCMP_SYS(getsockopt), BOTH},
    {SCMP_SYS(getsockname), BOTH}, /* of the host: which port a forward has */
    {SCMP_SYS(getpeername), BOTH}, /* of the host: which machine connects over AF_VSOCK */
    {SCMP_SYS(geteuid), BOTH},
    /* files that are open */
    {SCMP_SYS(lseek), BOTH},
    {SCMP_SYS(ftruncate), BOTH},
    {SCMP_SYS(futex), BOTH},
    /* memory, signals, the end */
    {SCMP_SYS(brk), BOTH},
    {SCMP_SYS(munmap), BOTH},
    {SCMP_SYS(mremap), BOTH},
    {SCMP_SYS(madvise), BOTH},
    {SCMP_SYS(rt_sigprocmask), BOTH},
    {SCMP_SYS(rt_sigreturn), BOTH},
    {SCMP_SYS(restart_syscall), BOTH},
    {SCMP_SYS(getpid), BOTH},
    {SCMP_SYS(gettid), BOTH},
    {SCMP_SYS(exit), BOTH},
    {SCMP_SYS(exit_group), BOTH},
};

/* With one argument fixed: of its bits in `mask` those of `value`. */
struct fixed_call {
    int number;
    unsigned roles;
    unsigned argument;
    uint64_t mask, value;
};

static int allow_fixed(scmp_filter_ctx filter, const struct fixed_call *call)
{
    return -seccomp_rule_add(
        filter, SCMP_ACT_ALLOW, call->number, 1,
        SCMP_CMP64(call->argument, SCMP_CMP_MASKED_EQ, call->mask, call->value));
}

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* Those of the role, or of several: a bit for each. */
static int allow_rows(scmp_filter_ctx filter, unsigned roles, const struct call *rows, size_t n)
{
    int error = 0;

    for (size_t i = 0; !error && i < n; i++)
        if (rows[i].roles & roles)
            error = -seccomp_rule_add(filter, SCMP_ACT_ALLOW, rows[i].number, 0);
    return error;
}

static int allow_fixed_rows(scmp_filter_ctx filter, unsigned roles, const struct fixed_call *rows,
                            size_t n)
{
    int error = 0;

    for (size_t i = 0; !error && i < n; i++)
        if (rows[i].roles & roles)
            error = allow_fixed(filter, &rows[i]);
    return error;
}

/* What other C libraries and processors have in place of the calls of the tables: a number that this processor does not
 * have is passed over. */
static const struct call other_names[] = {
    {SCMP_SYS(clock_gettime64), BOTH}, {SCMP_SYS(ppoll_time64), BOTH},
    {SCMP_SYS(futex_time64), BOTH},    {SCMP_SYS(recv), BOTH},
    {SCMP_SYS(geteuid32), BOTH},       {SCMP_SYS(ftruncate64), BOTH},
    {SCMP_SYS(_llseek), BOTH},         {SCMP_SYS(sigreturn), BOTH},
};

static int allow_other_names(scmp_filter_ctx filter)
{
    const struct fixed_call fixed[] = {
        {SCMP_SYS(mmap2), BOTH, 2, PROT_EXEC, 0},
#ifndef __GLIBC__
        {SCMP_SYS(mprotect), BOTH, 2, PROT_EXEC, 0}, /* of musl's malloc() */
#endif
        {SCMP_SYS(ioctl), BOTH, 1, UINT32_MAX, TIOCGWINSZ},         /* musl's isatty() */
        {SCMP_SYS(tkill), BOTH, 0, UINT32_MAX, (uint64_t)getpid()}, /* musl's abort() */
        /* On i386 all of sockets is one call, and what it is called with can't be seen. */
        {SCMP_SYS(socketcall), BOTH, 0, UINT32_MAX, SYS_SENDTO},
        {SCMP_SYS(socketcall), BOTH, 0, UINT32_MAX, SYS_SETSOCKOPT},
    };
    int error = allow_rows(filter, BOTH, other_names, COUNT(other_names));

    return error ? error : allow_fixed_rows(filter, BOTH, fixed, COUNT(fixed));
}

/* Sockets, the ready event, and folders that are missing. */
static int allow_group(scmp_filter_ctx filter, gid_t group)
{
    const struct fixed_call give[] = {
        {SCMP_SYS(chown), BOTH, 2, UINT32_MAX, group},
        {SCMP_SYS(fchown), BOTH, 2, UINT32_MAX, group},
        {SCMP_SYS(fchownat), BOTH, 3, UINT32_MAX, group},
        {SCMP_SYS(chown32), BOTH, 2, UINT32_MAX, group},
        {SCMP_SYS(fchown32), BOTH, 2, UINT32_MAX, group},
    };
    int error = -seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fchmod), 0);

    return error ? error : allow_fixed_rows(filter, BOTH, give, COUNT(give));
}

static int allow_fixed_calls(scmp_filter_ctx filter, const struct vpc_sandbox *sandbox)
{
    const uint64_t all = UINT32_MAX;
    const struct fixed_call fixed[] = {
        {SCMP_SYS(mmap), BOTH, 2, PROT_EXEC, 0},
        {SCMP_SYS(sendto), BOTH, 4, UINT64_MAX, 0}, /* to whom it is connected */
        {SCMP_SYS(ioctl), BOTH, 1, all, TCGETS},    /* isatty() */
        {SCMP_SYS(ioctl), BOTH, 1, all, SIOCOUTQ},
        {SCMP_SYS(setsockopt), BOTH, 2, all, SO_LINGER},
        {SCMP_SYS(setsockopt), HOST, 2, all, SO_PEEK_OFF}, /* of a pipe's client */
        {SCMP_SYS(rt_sigaction), BOTH, 0, all, SIGABRT},   /* abort() */
        {SCMP_SYS(tgkill), BOTH, 0, all, (uint64_t)getpid()},
    };

    return allow_fixed_rows(filter, 1u << sandbox->role, fixed, COUNT(fixed));
}

static int allow_calls(scmp_filter_ctx filter, const void *who)
{
    const struct vpc_sandbox *sandbox = who;
    int error = allow_rows(filter, 1u << sandbox->role, calls, COUNT(calls));

    if (!error)
        error = allow_fixed_calls(filter, sandbox);
    if (!error) /* sendto() without an address, as above */
        error = -seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(send), 0);
    return error ? error : allow_other_names(filter);
}

/* ---- the opener's ------------------------------------------------------------------------------ */

/* It reads nothing that comes from a stranger, so it has what the C library may want for its calls, with any arguments. */
static const struct call opener_calls[] = {
    {SCMP_SYS(recvfrom), BOTH},
    {SCMP_SYS(sendmsg), BOTH},
    {SCMP_SYS(read), BOTH},
    {SCMP_SYS(write), BOTH},
    {SCMP_SYS(pread64), BOTH},
    {SCMP_SYS(pwrite64), BOTH},
    {SCMP_SYS(close), BOTH},
    {SCMP_SYS(lseek), BOTH},
    {SCMP_SYS(newfstatat), BOTH},
    {SCMP_SYS(stat), BOTH},
    {SCMP_SYS(getdents64), BOTH},
    {SCMP_SYS(fcntl), BOTH},
    {SCMP_SYS(openat), BOTH},
    {SCMP_SYS(ftruncate), BOTH},
    {SCMP_SYS(unlink), BOTH},
    {SCMP_SYS(unlinkat), BOTH},
    {SCMP_SYS(connect), BOTH},
    {SCMP_SYS(getpeername), BOTH},
    {SCMP_SYS(setsockopt), BOTH},
    {SCMP_SYS(brk), BOTH},
    {SCMP_SYS(munmap), BOTH},
    {SCMP_SYS(mremap), BOTH},
    {SCMP_SYS(madvise), BOTH},
    {SCMP_SYS(futex), BOTH},
    {SCMP_SYS(exit_group), BOTH},
    {SCMP_SYS(rt_sigreturn), BOTH},
    {SCMP_SYS(restart_syscall), BOTH},
    {SCMP_SYS(bind), HOST},
    {SCMP_SYS(listen), HOST},
    {SCMP_SYS(chmod), HOST},
    {SCMP_SYS(fchmodat), HOST},
    {SCMP_SYS(flock), HOST},
    {SCMP_SYS(mkdir), HOST},
    {SCMP_SYS(mkdirat), HOST},
    {SCMP_SYS(rename), BOTH},
    {SCMP_SYS(renameat), BOTH},
    {SCMP_SYS(geteuid), HOST},
    /* of other C libraries and processors */
    {SCMP_SYS(open), BOTH},
    {SCMP_SYS(fstat), BOTH},
    {SCMP_SYS(lstat), BOTH},
    {SCMP_SYS(fstat64), BOTH},
    {SCMP_SYS(stat64), BOTH},
    {SCMP_SYS(lstat64), BOTH},
    {SCMP_SYS(fstatat64), BOTH},
    {SCMP_SYS(statx), BOTH},
    {SCMP_SYS(fcntl64), BOTH},
    {SCMP_SYS(renameat2), BOTH},
    {SCMP_SYS(readv), BOTH},
    {SCMP_SYS(writev), BOTH},
    {SCMP_SYS(rt_sigprocmask), BOTH},
};

static int allow_opener_calls(scmp_filter_ctx filter, const void *who)
{
    const struct vpc_acts_config *config = who;
    const unsigned role = 1u << config->role;
    const struct fixed_call fixed[] = {
        {SCMP_SYS(mmap), BOTH, 2, PROT_EXEC, 0},
        {SCMP_SYS(socket), BOTH, 0, UINT32_MAX, AF_UNIX},
        {SCMP_SYS(socket), BOTH, 0, UINT32_MAX, AF_INET},  /* servers, and forwards */
        {SCMP_SYS(socket), HOST, 0, UINT32_MAX, AF_INET6}, /* forwards */
        {SCMP_SYS(socket), config->bus.kind == VPC_BUS_VSOCK ? BOTH : 0, 0, UINT32_MAX, AF_VSOCK},
    };
    int error = allow_fixed_rows(filter, role, fixed, COUNT(fixed));

    if (!error)
        error = allow_rows(filter, role, opener_calls, COUNT(opener_calls));
    if (!error && config->group != NULL)
        error = allow_group(filter, *config->group);
    return error ? error : allow_other_names(filter);
}

/* ---- the observer's ------------------------------------------------------------------------------ */

/* It reads what QEMU says, and tells its endpoint. */
static const struct call observer_calls[] = {
    {SCMP_SYS(epoll_wait), HOST}, {SCMP_SYS(epoll_pwait), HOST},
    {SCMP_SYS(epoll_ctl), HOST},  {SCMP_SYS(read), HOST},
    {SCMP_SYS(write), HOST},      {SCMP_SYS(writev), HOST},
    {SCMP_SYS(send), HOST},       {SCMP_SYS(recvfrom), HOST},
    {SCMP_SYS(connect), HOST},    {SCMP_SYS(close), HOST},
    {SCMP_SYS(fcntl), HOST},      {SCMP_SYS(fcntl64), HOST},
    {SCMP_SYS(setsockopt), HOST}, {SCMP_SYS(clock_gettime), HOST},
    {SCMP_SYS(getrandom), HOST},  {SCMP_SYS(brk), HOST},
    {SCMP_SYS(munmap), HOST},     {SCMP_SYS(mremap), HOST},
    {SCMP_SYS(madvise), HOST},    {SCMP_SYS(rt_sigreturn), HOST},
    {SCMP_SYS(futex), HOST},      {SCMP_SYS(restart_syscall), HOST},
    {SCMP_SYS(exit_group), HOST}, {SCMP_SYS(rt_sigprocmask), HOST},
};

static int allow_observer_calls(scmp_filter_ctx filter, const void *who)
{
    const struct fixed_call fixed[] = {
        {SCMP_SYS(mmap), HOST, 2, PROT_EXEC, 0},
        {SCMP_SYS(socket), HOST, 0, UINT32_MAX, AF_UNIX},
        {SCMP_SYS(sendto), HOST, 4, UINT64_MAX, 0}, /* to nobody else */
        {SCMP_SYS(openat), HOST, 2, UINT32_MAX,
         VPC_FOLDER_FLAGS}, /* of a socket with a long path */
    };

    (void)who;
    int error = allow_fixed_rows(filter, HOST, fixed, COUNT(fixed));
    if (!error)
        error = allow_rows(filter, HOST, observer_calls, COUNT(observer_calls));
    return error ? error : allow_other_names(filter);
}

/* ---- all of it ------------------------------------------------------------------------------- */

bool vpc_sandbox_possible(void)
{
#ifdef __SANITIZE_ADDRESS__
    return false;
#else
    return true;
#endif
}

/* What a process keeps, and how a call is answered that it has not. */
struct confinement {
    uint32_t capabilities;
    const struct vpc_acts_config *files; /* whose; NULL: none */
    uint32_t otherwise;
    int (*allow)(scmp_filter_ctx filter, const void *who);
    const void *who;
};

static int load_filter(const struct confinement *c)
{
    scmp_filter_ctx filter = seccomp_init(c->otherwise);

    if (filter == NULL)
        return ENOMEM;
    int error = c->allow(filter, c->who);
    if (!error)
        error = -seccomp_load(filter);
    seccomp_release(filter);
    return error;
}

/* *what names the step that failed; *paths: whether the kernel confines files. */
static int enter(const struct confinement *c, const char **what, bool *paths)
{
    *what = "capabilities";
    int error = drop_capabilities(c->capabilities);
    if (error)
        return error;
    *what = "no_new_privs";
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return errno;
    *what = "Landlock";
    error = confine_files(c->files, paths);
    if (error)
        return error;
    *what = "seccomp";
    return load_filter(c);
}

int vpc_sandbox_enter(const struct vpc_sandbox *sandbox, const char **what, bool *paths)
{
    const struct confinement c = {.otherwise = SCMP_ACT_TRAP, .allow = allow_calls, .who = sandbox};

    *paths = false;
    *what = "seccomp";
    tzset(); /* reads a file */
    int error = prepare_last_words(sandbox);
    return error ? error : enter(&c, what, paths);
}

/* One that root started may have to reach the socket of another user's QEMU. */
int vpc_sandbox_enter_opener(const struct vpc_acts_config *config, const char **what)
{
    const struct confinement c = {
        .capabilities = config->bus.kind == VPC_BUS_CONNECT ? 1u << CAP_DAC_OVERRIDE : 0,
        .files = config,
        .otherwise = SCMP_ACT_KILL_PROCESS,
        .allow = allow_opener_calls,
        .who = config,
    };
    bool paths;

    return enter(&c, what, &paths);
}

int vpc_sandbox_enter_observer(const char **what)
{
    const struct confinement c = {
        .capabilities = 1u << CAP_DAC_OVERRIDE,
        .otherwise = SCMP_ACT_KILL_PROCESS,
        .allow = allow_observer_calls,
    };
    bool paths;

    return enter(&c, what, &paths);
}
