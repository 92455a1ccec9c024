/* SPDX-License-Identifier: MIT */
/*
 * A program that behaves as no endpoint should: the harness must survive it, in bounded memory and time, and blame it.
 *
 * rogue HOW BUS LOG CONTROL, where HOW is a deed (deeds.h), too.
 * rogue no-seccomp PROGRAM [ARGUMENT]..., which is run where no filter can be had.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tests/deeds.h"

static char block[65536];

static int connect_to(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
    for (int i = 0; i < 100; i++) {
        if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
            return fd;
        usleep(20000);
    }
    exit(1);
}

/* As much as there is room for, until the end. */
static void flood(int fd, int octet)
{
    memset(block, octet, sizeof(block));
    for (;;)
        if (write(fd, block, sizeof(block)) < 0 && errno != EINTR)
            pause();
}

static void noise(int fd)
{
    for (;;) {
        for (size_t i = 0; i < sizeof(block); i++)
            block[i] = (char)rand();
        if (write(fd, block, sizeof(block)) < 0)
            pause();
    }
}

static void say(const char *path, const char *line)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0666);

    for (;;)
        if (write(fd, line, strlen(line)) < 0)
            pause();
}

/* Each is as it should be, at its time. */
static void say_entries(const char *path)
{
    static const char rest[] =
        "\"level\": \"warning\", \"source\": \"guest\", \"vm\": \"conform\", "
        "\"cause\": \"none\"}\n";
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    struct timespec now;

    dprintf(fd,
            "{\"time\": %lld, \"id\": 1000, \"name\": \"ENDPOINT_STARTED\", \"message\": \"!\", "
            "\"level\": \"info\", \"source\": \"guest\", \"vm\": \"conform\", "
            "\"implementation\": \"rogue\", \"version\": \"1\"}\n",
            (long long)time(NULL) * 1000);
    for (;;) {
        clock_gettime(CLOCK_REALTIME, &now);
        if (dprintf(
                fd,
                "{\"time\": %lld, \"id\": 1040, \"name\": \"SANDBOX_OFF\", \"message\": \"!\", %s",
                (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000, rest) < 0)
            pause();
    }
}

/* Whoever connects is told garbage. */
static void garble(const char *path, const char *text)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
    bind(fd, (struct sockaddr *)&at, sizeof(at));
    listen(fd, 4);
    for (int client; (client = accept(fd, NULL, NULL)) >= 0;)
        while (write(client, text, strlen(text)) > 0)
            ;
}

/* ---- in the run's folder ------------------------------------------------------------------------------------------------ */

/* Something else stands where a file of that name was, beside the log. */
static void put_in_place(const char *log, const char *name, const char *target)
{
    char path[4096];

    snprintf(path, sizeof(path), "%.*s/%s", (int)(strrchr(log, '/') - log), log, name);
    unlink(path);
    if (strcmp(target, "fifo") == 0)
        mkfifo(path, 0600);
    else if (strcmp(target, "folder") == 0)
        mkdir(path, 0700);
    else if (symlink(target, path) != 0)
        perror(path);
}

static void go_deep(void)
{
    for (int i = 0; i < 3000 && mkdir("deep", 0700) == 0 && chdir("deep") == 0; i++)
        ;
}

static void close_folder(void)
{
    mkdir("closed", 0700);
    mkdir("closed/inner", 0700);
    close(open("closed/inner/file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    chmod("closed/inner", 0);
    chmod("closed", 0);
}

/* The folder of the run is not where it was; in its place is nothing, or another folder. */
static void move_folder(const char *how)
{
    char other[4200], *real = strncmp(how, "folder-", 7) == 0 ? realpath(".", NULL) : NULL;
    int failed;

    if (real == NULL)
        return;
    snprintf(other, sizeof(other), "%s-moved", real);
    failed = rename(real, other);
    if (failed == 0 && strcmp(how, "folder-link") == 0)
        failed = symlink("/dev/shm", real);
    if (failed == 0 && strcmp(how, "folder-file") == 0)
        failed = mkfifo(real, 0600);
    if (failed == 0 && strcmp(how, "folder-other") == 0)
        failed = mkdir(real, 0500);
    if (failed != 0)
        perror(real);
    free(real);
}

static void sleep_on(void)
{
    for (;;)
        pause();
}

static void connect_often(const char *path)
{
    for (int i = 0; i < 500; i++)
        (void)connect_to(path);
}

static void in_folder(const char *how, const char *log)
{
    static const struct {
        const char *how, *name, *target;
    } places[] = {
        {"log-fifo", "subject.log", "fifo"},
        {"log-link", "subject.log", "/etc/passwd"},
        {"log-zero", "subject.log", "/dev/zero"},
        {"log-folder", "subject.log", "folder"},
        {"output-fifo", "subject.out", "fifo"},
        {"output-link", "subject.out", "/etc/passwd"},
        {"trace-fifo", "trace.txt", "fifo"},
        {"trace-link", "trace.txt", "/etc/passwd"},
        {"record-link", "trace.pcapng", "/etc/passwd"},
    };
    char *folder = strdup(log);

    *strrchr(folder, '/') = '\0';
    if (chdir(folder) != 0)
        exit(1);
    free(folder);
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
        if (strcmp(places[i].how, how) == 0)
            put_in_place(log, places[i].name, places[i].target);
    if (strcmp(how, "deep") == 0)
        go_deep();
    if (strcmp(how, "closed-folder") == 0)
        close_folder();
}

/* Whoever asks for a filter is told that there is no such thing. */
static const struct sock_filter none[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_seccomp, 3, 0),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 0, 3),
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PR_SET_SECCOMP, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};

/* Becomes a program on a kernel without filters. */
static int without_filters(char **words)
{
    const struct sock_fprog program = {sizeof(none) / sizeof(none[0]),
                                       (struct sock_filter *)(uintptr_t)none};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0)
        execv(words[0], words);
    perror(words[0]);
    return 1;
}

int main(int argc, char **argv)
{
    const char *how = argc >= 5 ? argv[1] : "";
    int bus;

    if (argc >= 3 && strcmp(argv[1], "no-seccomp") == 0)
        return without_filters(argv + 2);
    signal(SIGPIPE, SIG_IGN);
    if (strcmp(how, "absent") == 0)
        pause();
    if (strcmp(how, "ends") == 0)
        return 0;
    if (strcmp(how, "garble") == 0)
        garble(argv[4], "\033[31m{not json\n");
    if (strcmp(how, "endless-answer") == 0)
        garble(argv[4], "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
    if (strcmp(how, "deaf") == 0) /* from now on, since a stop may follow at once */
        signal(SIGTERM, SIG_IGN);
    in_folder(how, argv[3]);
    if (strncmp(how, "early-", 6) == 0) { /* before the harness listens there */
        move_folder(how + 6);
        sleep_on();
    }
    bus = connect_to(argv[2]);
    vpc_deed(how);
    move_folder(how);
    if (strcmp(how, "connects-often") == 0)
        connect_often(argv[2]);
    if (strcmp(how, "crashes") == 0)
        raise(SIGSEGV);
    if (strcmp(how, "pads") == 0)
        flood(bus, 0x16);
    if (strcmp(how, "noise") == 0)
        noise(bus);
    if (strcmp(how, "logs") == 0)
        say(argv[3], "{\"id\": 1}\n");
    if (strcmp(how, "logs-much") == 0)
        say(argv[3], "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n");
    if (strcmp(how, "entries") == 0)
        say_entries(argv[3]);
    if (strcmp(how, "endless-line") == 0)
        say(argv[3], "x");
    if (strcmp(how, "logs-endlessly") == 0)
        flood(open(argv[3], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666), 'x');
    if (strcmp(how, "no-json") == 0)
        say(argv[3], "\033[2J<b>\xff\n");
    if (strcmp(how, "chatters") == 0)
        flood(1, 'x');
    if (strcmp(how, "forks") == 0 && fork() == 0)
        setsid();
    for (;;) /* "hangs": it reads nothing and says nothing */
        pause();
}
