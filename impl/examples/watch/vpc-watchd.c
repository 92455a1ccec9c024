/* SPDX-License-Identifier: MIT */
/*
 * In the guest: tells the host how much room is on disks, the load, and whether files are there.
 *
 * It gives up root's rights as soon as it listens, so it sees what the user of --user sees.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "../talk/account.h"
#include "../talk/serve.h"
#include "watch.h"

enum {
    CONNECTIONS_MAX = 8,
};

struct question {
    unsigned every, count;
    struct {
        char kind;
        char path[WATCH_PATH_MAX + 1];
    } items[WATCH_ITEMS_MAX];
};

static int say(int fd, char letter, const uint64_t *numbers)
{
    return talk_say(fd, &watch_answer, letter, numbers, NULL, 0, WATCH_LIMIT_MS);
}

/* Reads the host's question; false when it is none. */
static bool hear(struct talk *talk, struct question *question)
{
    const struct talk_message *message = &talk->message;

    while (talk_next(talk, WATCH_LIMIT_MS) == 1) {
        if (message->kind == 'g')
            return true;
        if (message->kind == 'e') {
            if (message->numbers[0] == 0 || message->numbers[0] > WATCH_EVERY_MAX)
                return false;
            question->every = (unsigned)message->numbers[0];
        } else {
            question->items[question->count].kind = message->kind;
            memcpy(question->items[question->count++].path, message->data, message->size + 1);
        }
    }
    return false;
}

static int say_load(int fd)
{
    double load[3] = {0};
    uint64_t hundredths[3];

    getloadavg(load, 3);
    for (int i = 0; i < 3; i++)
        hundredths[i] = (uint64_t)(load[i] * 100 + 0.5);
    return say(fd, 'l', hundredths);
}

static int say_failed(int fd, unsigned number)
{
    return say(fd, 'x', (uint64_t[]){number, (uint64_t)errno});
}

/* Free is what users other than root can fill, as df has it. */
static int say_disk(int fd, unsigned number, const char *path)
{
    struct statvfs disk;

    if (statvfs(path, &disk) != 0)
        return say_failed(fd, number);
    uint64_t used = disk.f_blocks - disk.f_bfree;
    return say(fd, 'd',
               (uint64_t[]){number, (used + disk.f_bavail) * disk.f_frsize,
                            disk.f_bavail * disk.f_frsize});
}

static int say_file(int fd, unsigned number, const char *path)
{
    struct stat file;

    if (stat(path, &file) == 0)
        return say(fd, 'f', (uint64_t[]){number, 1});
    return errno == ENOENT || errno == ENOTDIR ? say(fd, 'f', (uint64_t[]){number, 0})
                                               : say_failed(fd, number);
}

static int report(int fd, const struct question *question)
{
    int result = say_load(fd);

    for (unsigned i = 0; i < question->count && result == 0; i++)
        result = question->items[i].kind == 'd' ? say_disk(fd, i, question->items[i].path)
                                                : say_file(fd, i, question->items[i].path);
    return result == 0 ? say(fd, 'e', NULL) : result;
}

/* False when the host has gone; it has nothing more to say. */
static bool pause_for(int fd, unsigned seconds)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, (int)seconds * 1000) == 0;
}

static int talk_to_host(int fd, const void *user)
{
    static struct talk talk;
    static struct question question;

    (void)user;
    talk_begin(&talk, fd, &watch_question);
    if (say(fd, 'h', (uint64_t[]){WATCH_VERSION}) != 0 || !hear(&talk, &question))
        return 1;
    while (report(fd, &question) == 0 && pause_for(fd, question.every))
        ;
    return 0;
}

static int usage(int status)
{
    fputs("usage: vpc-watchd [--port PORT] [--peer USER|any] [--user USER]\n"
          "Serves vpc-watch of the host on a port of 127.0.0.1 (" WATCH_PORT ").\n"
          "  --peer USER  whose programs may connect: the user of vpc-guest (root)\n"
          "  --user USER  whose rights it keeps (nobody)\n",
          status == 0 ? stdout : stderr);
    return status;
}

static bool find(const char *name, struct account *account)
{
    bool found = account_find(name, account);

    if (!found)
        fprintf(stderr, "vpc-watchd: the user %s: %s\n", name, strerror(errno));
    return found;
}

static int serve(const char *port, const char *peer, const char *user)
{
    struct account own, other = {.uid = SERVE_ANYBODY};

    if (!find(user, &own) || (strcmp(peer, "any") != 0 && !find(peer, &other)))
        return 2;
    const struct server server = {.program = "vpc-watchd",
                                  .fd = serve_listen("vpc-watchd", port),
                                  .most = CONNECTIONS_MAX,
                                  .peer = other.uid,
                                  .talk = talk_to_host};
    if (server.fd < 0)
        return 1;
    if (geteuid() == 0 && !account_become(&own)) {
        fprintf(stderr, "vpc-watchd: the rights of root can not be given up: %s\n",
                strerror(errno));
        return 1;
    }
    return serve_run(&server);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"port", required_argument, NULL, 'p'},
                                            {"peer", required_argument, NULL, 'e'},
                                            {"user", required_argument, NULL, 'u'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    const char *port = WATCH_PORT, *peer = "root", *user = "nobody";
    int option;

    if (talk_version("vpc-watchd", argc, argv))
        return 0;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        switch (option) {
        case 'p':
            port = optarg;
            break;
        case 'e':
            peer = optarg;
            break;
        case 'u':
            user = optarg;
            break;
        case 'h':
            return usage(0);
        default:
            return usage(2);
        }
    return optind == argc ? serve(port, peer, user) : usage(2);
}
