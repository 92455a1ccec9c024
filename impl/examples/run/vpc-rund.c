/* SPDX-License-Identifier: MIT */
/*
 * In the guest: runs commands for the host, those that its settings name and for the users that they name, never
 * through a shell.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../talk/serve.h"
#include "rules.h"
#include "session.h"

#define SETTINGS "/etc/vpc-rund.conf"

enum {
    SETTINGS_SIZE = 65536,
    COMMANDS_AT_ONCE = 8,
    TIME_LIMIT_S = 3600,
};

struct run_server {
    struct rules rules;
    int64_t limit_ms;
};

struct request {
    char user[RUN_USER_MAX + 1];
    unsigned count;
    char *words[RUN_WORDS_MAX + 1]; /* ends with NULL */
};

/* ---- one command -------------------------------------------------------------------------------- */

/* A word is a string: one with a NUL in it is none. */
static bool take_word(struct request *request, const struct talk_message *message)
{
    char *word = memchr(message->data, '\0', message->size) == NULL
                     ? strdup((const char *)message->data)
                     : NULL;

    request->words[request->count] = word;
    request->count += word != NULL;
    return word != NULL;
}

static bool hear(struct talk *talk, struct request *request)
{
    const struct talk_message *message = &talk->message;

    while (talk_next(talk, RUN_LIMIT_MS) == 1)
        switch (message->kind) {
        case 'g':
            return true;
        case 'u':
            strcpy(request->user, (const char *)message->data);
            break;
        default:
            if (!take_word(request, message))
                return false;
        }
    return false;
}

static void report(const struct request *request, const char *user, const char *what)
{
    fprintf(stderr, "vpc-rund: %s", what);
    for (unsigned i = 0; i < request->count; i++) {
        fputc(' ', stderr);
        talk_print(stderr, request->words[i], strlen(request->words[i]));
    }
    fputs(" for ", stderr);
    talk_print(stderr, user, strlen(user));
    fputc('\n', stderr);
}

static int say(int fd, char letter, uint64_t number, const char *text)
{
    return talk_say(fd, &run_answer, letter, &number, text, text != NULL ? strlen(text) : 0,
                    RUN_LIMIT_MS);
}

/* Starts what a rule allows, or tells the host why not; true: it runs, and its end is waited for. */
static bool start(int fd, const struct run_server *server, const struct request *request,
                  struct command *command)
{
    const struct rule *rule =
        rules_find(&server->rules, request->user, request->words, request->count);
    struct account account;

    if (rule == NULL) {
        report(request, *request->user != '\0' ? request->user : "anybody", "no rule allows");
        say(fd, 'r', 0, "no rule of the guest allows it");
        return false;
    }
    if (!account_find(rule->words[0], &account)) {
        report(request, rule->words[0], "there is no user to run");
        say(fd, 'r', 0, "the user of its rule is not known");
        return false;
    }
    report(request, rule->words[0], "runs");
    int error = command_start(command, &account, request->words);
    if (error != 0)
        say(fd, 'f', (uint64_t)error, NULL);
    return error == 0;
}

/* So that nothing that was sent is lost: the host closes first, if it does so in time. */
static void part(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int64_t end = talk_now_ms() + RUN_LIMIT_MS;
    char rest[4096];

    shutdown(fd, SHUT_WR);
    while (talk_now_ms() < end && poll(&p, 1, RUN_LIMIT_MS) > 0 &&
           recv(fd, rest, sizeof(rest), 0) > 0)
        ;
}

static int talk_to_host(int fd, const void *user)
{
    static struct talk talk;
    static struct request request;
    const struct run_server *server = user;
    struct command command;

    talk_begin(&talk, fd, &run_request);
    if (say(fd, 'h', RUN_VERSION, NULL) != 0 || !hear(&talk, &request))
        return 1;
    if (start(fd, server, &request, &command))
        session_run(&talk, &command, server->limit_ms);
    part(fd);
    return 0;
}

/* ---- settings -------------------------------------------------------------------------------- */

/* Whoever can write the settings can run what they like. */
static const char *distrust(FILE *file)
{
    struct stat status;

    if (fstat(fileno(file), &status) != 0 || !S_ISREG(status.st_mode))
        return "no file";
    if (status.st_uid != 0 && status.st_uid != geteuid())
        return "another user's";
    return (status.st_mode & (S_IWGRP | S_IWOTH)) != 0 ? "others can write it" : NULL;
}

static bool read_settings(struct rules *rules, const char *path)
{
    static char text[SETTINGS_SIZE];
    FILE *file = fopen(path, "re");
    const char *wrong = file == NULL ? strerror(errno) : distrust(file);
    size_t n = wrong == NULL ? fread(text, 1, sizeof(text), file) : 0;

    if (n == sizeof(text))
        wrong = "too long";
    if (file != NULL)
        fclose(file);
    unsigned line = wrong == NULL ? rules_read(rules, text, n) : 0;
    if (wrong != NULL)
        fprintf(stderr, "vpc-rund: %s: %s\n", path, wrong);
    else if (line != 0)
        fprintf(stderr, "vpc-rund: %s: line %u is wrong (allow USER /COMMAND [ARGUMENT]... [*])\n",
                path, line);
    return wrong == NULL && line == 0;
}

static int usage(int status)
{
    fputs("usage: vpc-rund [--config FILE] [--port PORT] [--peer USER|any] [--most N] "
          "[--time-limit SECONDS]\n"
          "Runs commands for vpc-run of the host, a connection to a port of 127.0.0.1 (" RUN_PORT
          ") each.\n"
          "  --config FILE         which commands, for which users (" SETTINGS ")\n"
          "  --peer USER           whose programs may connect: the user of vpc-guest (root)\n"
          "  --most N              commands at once (8)\n"
          "  --time-limit SECONDS  how long one may run; 0: for ever (3600)\n",
          status == 0 ? stdout : stderr);
    return status;
}

/* ---- the command line -------------------------------------------------------------------------------- */

struct arguments {
    const char *config, *port, *peer;
    unsigned long most, limit_s;
};

static bool whole_number(const char *text, unsigned long most, unsigned long *number)
{
    char *end;

    *number = strtoul(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0' && *number <= most;
}

static bool take_option(struct arguments *given, int option, const char *value)
{
    switch (option) {
    case 'c':
        given->config = value;
        return true;
    case 'p':
        given->port = value;
        return true;
    case 'e':
        given->peer = value;
        return true;
    case 'm':
        return whole_number(value, 1024, &given->most) && given->most > 0;
    case 't':
        return whole_number(value, 86400 * 365, &given->limit_s);
    default:
        return false;
    }
}

static int serve(const struct arguments *given)
{
    static struct run_server run;
    struct account peer = {.uid = SERVE_ANYBODY};

    if (!read_settings(&run.rules, given->config))
        return 2;
    if (strcmp(given->peer, "any") != 0 && !account_find(given->peer, &peer)) {
        fprintf(stderr, "vpc-rund: the user %s: %s\n", given->peer, strerror(errno));
        return 2;
    }
    run.limit_ms = (int64_t)given->limit_s * 1000;
    const struct server server = {.program = "vpc-rund",
                                  .fd = serve_listen("vpc-rund", given->port),
                                  .most = (unsigned)given->most,
                                  .peer = peer.uid,
                                  .talk = talk_to_host,
                                  .user = &run};
    return server.fd < 0 ? 1 : serve_run(&server);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"port", required_argument, NULL, 'p'},
                                            {"peer", required_argument, NULL, 'e'},
                                            {"most", required_argument, NULL, 'm'},
                                            {"time-limit", required_argument, NULL, 't'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    struct arguments given = {SETTINGS, RUN_PORT, "root", COMMANDS_AT_ONCE, TIME_LIMIT_S};
    int option;

    if (talk_version("vpc-rund", argc, argv))
        return 0;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'h')
            return usage(0);
        if (!take_option(&given, option, optarg))
            return usage(2);
    }
    return optind == argc ? serve(&given) : usage(2);
}
