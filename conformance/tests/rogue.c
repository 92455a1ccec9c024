/* SPDX-License-Identifier: MIT */
/*
 * A program that behaves as no endpoint should: the harness must survive it, in bounded memory and time, and blame it.
 *
 * rogue HOW BUS LOG CONTROL
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

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

int main(int argc, char **argv)
{
    const char *how = argc == 5 ? argv[1] : "";
    int bus;

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
    bus = connect_to(argv[2]);
    if (strcmp(how, "crashes") == 0)
        raise(SIGSEGV);
    if (strcmp(how, "pads") == 0)
        flood(bus, 0x16);
    if (strcmp(how, "noise") == 0)
        noise(bus);
    if (strcmp(how, "logs") == 0)
        say(argv[3], "{\"id\": 1}\n");
    if (strcmp(how, "endless-line") == 0)
        say(argv[3], "x");
    if (strcmp(how, "no-json") == 0)
        say(argv[3], "\033[2J<b>\xff\n");
    if (strcmp(how, "chatters") == 0)
        flood(1, 'x');
    if (strcmp(how, "forks") == 0 && fork() == 0)
        setsid();
    for (;;) /* "hangs": it reads nothing and says nothing */
        pause();
}
