/* SPDX-License-Identifier: MIT */
/*
 * What no subject should do, against the harness and against the machine.
 *
 * None of these harms more than processes of the harness and its temporary folders, even where nothing confines the subject.
 */
#include "tests/deeds.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

static const char verdict[] =
    "{\"verdict\":0,\"line\":0,\"step\":\"\",\"expected\":\"\",\"got\":\"\",\"requirement\":\"\","
    "\"trace\":\"\",\"ms\":1}";

/* What the kernel refuses a rogue is no trouble to it. */
static void try(long result)
{
    (void)result;
}

/* ---- against verdicts ------------------------------------------------------------------------------------------------ */

static void forge(void)
{
    for (int fd = 3; fd < 1024; fd++)
        try(write(fd, verdict, sizeof(verdict) - 1));
    _exit(0);
}

/* Calls fn for each process of the harness, in whose run this one is. */
static void each_of_harness(void (*fn)(int pid))
{
    DIR *all = opendir("/proc");
    struct dirent *one;

    while (all && (one = readdir(all)) != NULL) {
        char path[300], name[32] = "";
        int fd, pid = atoi(one->d_name);

        snprintf(path, sizeof(path), "/proc/%s/comm", one->d_name);
        fd = pid > 0 && pid != getpid() ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        if (fd >= 0 && read(fd, name, sizeof(name) - 1) > 0 && strcmp(name, "vpc-conform\n") == 0 &&
            getpgid(pid) == getpgid(getppid()))
            fn(pid);
        if (fd >= 0)
            close(fd);
    }
    if (all)
        closedir(all);
}

static void forge_into(int pid)
{
    for (int number = 3; number < 64; number++) {
        char path[64];
        int fd;

        snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, number);
        fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        if (fd >= 0) {
            try(write(fd, verdict, sizeof(verdict) - 1));
            close(fd);
        }
    }
}

static void forge_by_proc(void)
{
    forge_into(getppid());
    _exit(0);
}

/* Who has said the verdict says nothing more. */
static void forge_and_kill(void)
{
    forge_into(getppid());
    kill(getppid(), SIGKILL);
}

static void take_hold_of(int pid)
{
    char path[64], octets[8] = {0};
    struct iovec own = {octets, sizeof(octets)}, other = {(void *)0x400000, sizeof(octets)};
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/mem", pid);
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd >= 0 || process_vm_readv(pid, &own, 1, &other, 1, 0) >= 0 ||
        ptrace(PTRACE_ATTACH, pid, 0, 0) == 0)
        kill(pid, SIGKILL);
}

static void ptrace_parent(void)
{
    take_hold_of(getppid());
}

static void kill_parent(void)
{
    kill(getppid(), SIGKILL);
}

static void kill_group(void)
{
    signal(SIGTERM, SIG_IGN);
    kill(0, SIGTERM);
    kill(-getppid(), SIGTERM);
}

static void stop_parent(void)
{
    kill(getppid(), SIGSTOP);
}

static void take_hold_of_all(void)
{
    each_of_harness(take_hold_of);
}

static void limit_parent(void)
{
    struct rlimit none = {0, 0};

    try(prlimit(getppid(), RLIMIT_FSIZE, &none, NULL));
    try(prlimit(getppid(), RLIMIT_NOFILE, &none, NULL));
    try(setpriority(PRIO_PROCESS, (id_t)getppid(), 19));
}

/* ---- out of a sandbox: who gets out aborts, and is seen by that ------------------------------------------------------- */

static void reach(int family, const void *address, socklen_t size)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && connect(fd, address, size) == 0)
        abort();
    if (fd >= 0)
        close(fd);
}

/* The check listens at both. */
static void reach_out(void)
{
    const char *port = getenv("VPC_ROGUE_PORT");
    struct sockaddr_in tcp = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int n =
        snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "vpc-rogue-%s", port ? port : "");

    tcp.sin_port = htons((uint16_t)(port ? atoi(port) : 0));
    reach(AF_INET, &tcp, sizeof(tcp));
    reach(AF_UNIX, &name, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n));
    if (socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0)
        abort();
}

static void write_outside(void)
{
    const char *folder = getenv("TMPDIR");
    char path[4096];

    snprintf(path, sizeof(path), "%s/vpc-rogue-wrote", folder ? folder : "/tmp");
    if (open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0666) >= 0 ||
        open("/dev/shm/vpc-rogue-wrote", O_CREAT | O_WRONLY | O_CLOEXEC, 0666) >= 0)
        abort();
}

static void fork_without_end(void)
{
    int count = 0;

    for (pid_t pid; count < 2000 && (pid = fork()) >= 0; count++)
        if (pid == 0)
            for (;;)
                pause();
    if (count == 2000)
        abort();
}

static void forbidden_calls(void)
{
    static const int calls[] = {SYS_bpf,        SYS_keyctl,         SYS_mount,      SYS_setns,
                                SYS_kexec_load, SYS_io_uring_setup, SYS_userfaultfd};

    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        if (syscall(calls[i], 0, 0, 0, 0, 0) >= 0 || errno != EPERM)
            abort();
    if (unshare(CLONE_NEWUSER) == 0 || ptrace(PTRACE_TRACEME, 0, 0, 0) == 0)
        abort();
}

static bool is_refused(long result)
{
    return result < 0 && (errno == EPERM || errno == ENOSYS);
}

/* What the process of a shared object has no need of: who gets any of it aborts. */
static void call_for_all(void)
{
    struct rlimit none = {0, 0};
    char name[] = "vpc-rogue-runs", *const words[] = {name, NULL};
    pid_t pid = fork();

    if (pid == 0)
        pause();
    if (pid > 0)
        kill(pid, SIGKILL);
    if (!is_refused(pid) || !is_refused(syscall(SYS_vfork)) ||
        !is_refused(execv("/bin/true", words)) ||
        !is_refused(open("/dev/null", O_WRONLY | O_CLOEXEC)) ||
        !is_refused(open("/dev/null", O_RDWR | O_CLOEXEC)) ||
        !is_refused(open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)) ||
        !is_refused(creat("/tmp/vpc-rogue-made", 0600)) ||
        !is_refused(memfd_create("vpc-rogue", MFD_CLOEXEC)) ||
        !is_refused(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) ||
        !is_refused(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) ||
        !is_refused(ptrace(PTRACE_TRACEME, 0, 0, 0)) || !is_refused(kill(getppid(), 0)) ||
        !is_refused(kill(0, 0)) || !is_refused(setrlimit(RLIMIT_NOFILE, &none)) ||
        !is_refused(fcntl(0, F_SETOWN, getppid())) || !is_refused(unshare(CLONE_NEWUSER)) ||
        !is_refused(prctl(PR_SET_DUMPABLE, 1)) || !is_refused(unlink("/tmp/vpc-rogue-none")))
        abort();
}

/* Of its run, with what else that starts. */
static void be_in_group(void)
{
    char text[4096] = "";
    int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);

    if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0 || !strstr(text, "/vpc-conform-"))
        abort();
    close(fd);
}

static void see_others(void)
{
    DIR *all = opendir("/proc");
    struct dirent *one;
    int seen = 0;

    while (all && (one = readdir(all)) != NULL)
        seen += atoi(one->d_name) > 0;
    if (all)
        closedir(all);
    if (seen > 2 || getppid() != 0 || kill(-1, 0) == 0) /* the first of its namespace, and it */
        abort();
}

static void be_root(void)
{
    if (geteuid() == 0 || setuid(0) == 0 || access("/run/lock", F_OK) == 0)
        abort();
}

/* ---- ends, and what never does ----------------------------------------------------------------------------------------- */

static void leave(void)
{
    exit(0);
}

static void overflow(void)
{
    raise(SIGSEGV);
}

static void spin(void)
{
    for (;;)
        ;
}

static void sleep_on(void)
{
    for (;;)
        pause();
}

static void stop_self(void)
{
    raise(SIGSTOP);
}

static void alarm_self(void)
{
    raise(SIGALRM);
}

static void close_all(void)
{
    close_range(3, ~0u, 0);
}

static void close_from_0(void)
{
    close_range(0, ~0u, 0);
}

/* It may only read, write and end, and is killed for anything else. */
static void confine_self(void)
{
    try(prctl(PR_SET_SECCOMP, 1));
}

static void end_thread(void)
{
    pthread_exit(NULL);
}

static void become_sleep(void)
{
    execl("/bin/sleep", "vpc-rogue-sleeps", "1000", (char *)NULL);
}

static void deafen(void)
{
    sigset_t all;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    for (int number = 1; number < 32; number++)
        signal(number, SIG_IGN);
}

/* ---- what stays behind -------------------------------------------------------------------------------------------------- */

static void stay(void)
{
    prctl(PR_SET_NAME, "vpc-rogue-stays");
    deafen();
    close_range(0, ~0u, 0);
    sleep_on();
}

static void leave_daemon(void)
{
    if (fork() == 0) {
        setsid();
        if (fork() == 0)
            stay();
        _exit(0);
    }
}

static void leave_many(void)
{
    for (int i = 0; i < 300; i++)
        if (fork() == 0)
            stay();
}

static void *spin_in_thread(void *unused)
{
    (void)unused;
    spin();
    return NULL;
}

static void *scribble_on(void *unused)
{
    (void)unused;
    for (;;)
        for (int fd = 3; fd < 64; fd++)
            try(write(fd, verdict, sizeof(verdict) - 1));
    return NULL;
}

static void scribble(void)
{
    pthread_t thread;

    try(pthread_create(&thread, NULL, scribble_on, NULL));
}

/* The first thread ends, another one goes on. */
static void outlive(void)
{
    pthread_t thread;

    try(pthread_create(&thread, NULL, spin_in_thread, NULL));
    pthread_exit(NULL);
}

/* No memory of it that can be written keeps what it held. */
static void trash_shared(void)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512], flags[8];
    unsigned long from, to;

    while (maps && fgets(line, sizeof(line), maps))
        if (sscanf(line, "%lx-%lx %7s", &from, &to, flags) == 3 && flags[1] == 'w' &&
            flags[3] == 's')
            memset((void *)from, 0xa5, to - from);
    if (maps)
        fclose(maps);
}

static void leave_threads(void)
{
    pthread_t thread;

    for (int i = 0; i < 2; i++)
        try(pthread_create(&thread, NULL, spin_in_thread, NULL));
}

static void leave_shared_memory(void)
{
    int fd = shm_open("/vpc-rogue", O_CREAT | O_RDWR, 0600);

    try(shmget(0x56504352, 4096, IPC_CREAT | 0600));
    if (fd >= 0)
        close(fd);
}

static void leave_files(void)
{
    try(mkfifo("../vpc-rogue-fifo", 0600));
    try(symlink("/etc/hostname", "../trace.txt.link"));
    try(mkfifo("/tmp/vpc-rogue-fifo", 0600));
    try(open("/tmp/vpc-rogue-file", O_CREAT | O_RDWR | O_CLOEXEC, 0600));
}

static void leave_odd_names(void)
{
    static const char *const names[] = {"new\nline", "\033[2J\a", "\xff\xfe", "-rf", " ", "*"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        try(open(names[i], O_CREAT | O_RDWR | O_CLOEXEC, 0));
}

static void say_verdict(void)
{
    for (int i = 0; i < 100; i++) {
        try(write(1, verdict, sizeof(verdict) - 1));
        try(write(2, "\0\n", 2));
    }
}

static void mount_over(void)
{
    try(mkdir("mounted", 0700));
    try(mkdir("bound", 0700));
    try(mount("vpc-rogue", "mounted", "tmpfs", 0, "size=64k"));
    try(mount("mounted", "bound", NULL, MS_BIND, NULL));
    try(open("mounted/file", O_CREAT | O_RDWR | O_CLOEXEC, 0600));
}

/* ---- against the machine -------------------------------------------------------------------------------------------------- */

static void write_much(const char *path)
{
    static char block[1 << 20];
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    signal(SIGXFSZ, SIG_IGN);
    for (int i = 0; i < 400 && write(fd, block, sizeof(block)) > 0; i++)
        ;
    close(fd);
}

static void flood_output(void)
{
    static char block[1 << 20];

    signal(SIGXFSZ, SIG_IGN);
    for (int i = 0; i < 200 && write(1 + i % 2, block, sizeof(block)) > 0; i++)
        ;
    write_much("/proc/self/fd/1");
    write_much("/proc/self/fd/2");
}

static void fill_disk(void)
{
    for (int i = 0; i < 20; i++) {
        char path[32];

        snprintf(path, sizeof(path), "much-%d", i);
        write_much(path);
    }
}

static void make_many_files(void)
{
    for (int i = 0; i < 50000; i++) {
        char path[32];
        int fd;

        snprintf(path, sizeof(path), "many-%d", i);
        fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        if (fd >= 0)
            close(fd);
    }
}

static void eat_memory(void)
{
    for (int i = 0; i < 64; i++) {
        char *part = malloc(128 << 20);

        if (part == NULL)
            abort();
        for (size_t at = 0; at < 128 << 20; at += 1 << 20)
            part[at] = 1;
    }
}

static void lower_limits(void)
{
    struct rlimit none = {0, 0};

    for (int what = 0; what < RLIMIT_NLIMITS; what++)
        if (what != RLIMIT_AS && what != RLIMIT_DATA && what != RLIMIT_STACK && what != RLIMIT_CPU)
            try(setrlimit((__rlimit_resource_t)what, &none));
}

static void move_away(void)
{
    try(chdir("/"));
    umask(0777);
}

/* ---- the table -------------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*fn)(void);
} deeds[] = {
    {"forge", forge},
    {"forge-by-proc", forge_by_proc},
    {"forge-and-kill", forge_and_kill},
    {"ptrace-parent", ptrace_parent},
    {"kill-parent", kill_parent},
    {"kill-group", kill_group},
    {"stop-parent", stop_parent},
    {"close-from-0", close_from_0},
    {"confines-itself", confine_self},
    {"ends-thread", end_thread},
    {"scribbles", scribble},
    {"outlives", outlive},
    {"trash-shared", trash_shared},
    {"odd-names", leave_odd_names},
    {"says-verdict", say_verdict},
    {"mounts", mount_over},
    {"take-hold-of-all", take_hold_of_all},
    {"limit-parent", limit_parent},
    {"reaches-out", reach_out},
    {"writes-outside", write_outside},
    {"forks-endlessly", fork_without_end},
    {"forbidden-calls", forbidden_calls},
    {"calls-for-all", call_for_all},
    {"alone-in-group", be_in_group},
    {"sees-others", see_others},
    {"is-root", be_root},
    {"leaves", leave},
    {"segfault", overflow},
    {"aborts", abort},
    {"spins", spin},
    {"sleeps", sleep_on},
    {"stops-itself", stop_self},
    {"alarm", alarm_self},
    {"close-all", close_all},
    {"exec", become_sleep},
    {"deafens", deafen},
    {"daemon", leave_daemon},
    {"many-processes", leave_many},
    {"threads", leave_threads},
    {"shared-memory", leave_shared_memory},
    {"files", leave_files},
    {"flood-output", flood_output},
    {"fill-disk", fill_disk},
    {"many-files", make_many_files},
    {"eat-memory", eat_memory},
    {"lower-limits", lower_limits},
    {"moves-away", move_away},
};

void vpc_deed(const char *name)
{
    for (size_t i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++)
        if (strcmp(deeds[i].name, name) == 0)
            deeds[i].fn();
}
